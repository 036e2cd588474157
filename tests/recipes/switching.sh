#!/usr/bin/env bash
# Switch a running mock with curl. MOCKBM_URL is its address, and MOCKBM_ADMIN_TOKEN its admin
# token, where it has one.
set -euo pipefail
mock=${MOCKBM_URL:-http://127.0.0.1:8080}

admin() { # METHOD PATH [BODY]
  curl -fsS -X "$1" -H "Content-Type: application/json" \
    -H "Authorization: Bearer ${MOCKBM_ADMIN_TOKEN:-}" ${3:+-d "$3"} "$mock/__admin$2"
}
releases() { # [API-KEY]
  curl -fsS -H "X-ApiKey: ${1:-abc12345}" "$mock/api/releases"
}

admin PUT /scenario '{"name": "empty"}'             # for every client without a session
[ "$(releases)" = "[]" ]
[ "$(releases abc12345@single)" != "[]" ]           # for one request
admin PUT /scenario '{"releases": [{"id": 1, "number": "3.0", "applicationId": 1, "applicationName": "Shop"}]}'
releases | grep -q '"number":"3.0"'                 # a scenario without a file
admin GET '/requests?count=1'                       # the journal: the newest request, and why
admin POST /reset
