"""The mock for a WSGI server, as in `flask --app wsgi run` or `gunicorn wsgi:app`.

Set up by MOCKBM_SCENARIOS (a directory), MOCKBM_SCENARIO (active at the start) and the other
variables of `mockbm.web.app.app_from_environment`.
"""

import sys

from mockbm import ScenarioError, UnknownName
from mockbm.web.app import app_from_environment

try:
    app = app_from_environment()
except (ScenarioError, UnknownName, ValueError) as error:
    print(f"mockbm cannot start:\n{error}", file=sys.stderr)
    sys.exit(3)  # the status that makes gunicorn give up, where another would make it try again
