#!/usr/bin/env bash
# The mock under gunicorn, one process with eight threads, from a checkout of mockbm. Where only the
# package is installed, the application is `mockbm.web.app:app_from_environment()`.
exec env MOCKBM_SCENARIO="${MOCKBM_SCENARIO:-documented}" \
  gunicorn --threads 8 --bind "127.0.0.1:${PORT:-8080}" wsgi:app
