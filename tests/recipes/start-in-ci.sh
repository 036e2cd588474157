#!/usr/bin/env bash
# Install mockbm, start it in the background and wait until it answers: a step of any CI.
# The arguments are those of `mockbm serve`, such as the directory of your scenarios. Replace the URL
# by that of an archive of mockbm, or set MOCKBM_PACKAGE.
set -euo pipefail
venv=${MOCKBM_VENV:-/tmp/mockbm}
if [ ! -x "$venv/bin/mockbm" ]; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install -q "${MOCKBM_PACKAGE:-https://your.host/mockbm.tar.gz}"
fi
"$venv/bin/mockbm" serve "$@" > mockbm.log 2>&1 &
"$venv/bin/mockbm" health --wait 30
