#!/usr/bin/env bash
# The mock under gunicorn, four processes that share their state in Redis, from a checkout of mockbm
# with the extra `redis`. The name behind # keeps several mocks in one database apart.
exec env MOCKBM_STATE="${MOCKBM_STATE:-redis://127.0.0.1:6379#mock}" \
  gunicorn --workers 4 --threads 8 --bind "127.0.0.1:${PORT:-8080}" wsgi:app
