"""The rooms put together: one Flask application for one mock."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from flask import Flask, Response
from flask.json.provider import DefaultJSONProvider
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from . import admin, api
from .mock import Mock

MAX_BODY = 1024 * 1024
"""Bytes that the body of a request may have."""

_ON_OR_OFF = {
    **dict.fromkeys(("", "1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}


def create_app(
    scenarios: Path | str | None = None, scenario: str | None = None, **settings: Any
) -> Flask:
    """A Flask application that answers as BuildMaster does, with the admin API beside it.

    scenarios: directory of the scenario files; by default those that come with mockbm.
    scenario: the one active at the start.
    settings: the others of `mockbm.mock.Mock`, such as strict and journal_size.
    Raises: ScenarioError for files with problems, UnknownName.
    """
    app = Flask("mockbm", static_folder=None)
    app.config.update(
        MAX_CONTENT_LENGTH=MAX_BODY, MAX_FORM_MEMORY_SIZE=MAX_BODY, PROVIDE_AUTOMATIC_OPTIONS=False
    )
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    cast(DefaultJSONProvider, app.json).sort_keys = False
    cast(DefaultJSONProvider, app.json).compact = False
    app.extensions["mockbm"] = Mock(scenarios, scenario, **settings)
    app.register_blueprint(api.blueprint)
    app.register_blueprint(admin.blueprint)
    app.register_error_handler(HTTPException, _refuse)
    return app


def app_from_environment(environ: Mapping[str, str] = os.environ) -> Flask:
    """The application that `MOCKBM_SCENARIOS`, `MOCKBM_SCENARIO` and `MOCKBM_STRICT` ask for.

    Raises: ValueError for a MOCKBM_STRICT that is neither on nor off, and what `create_app` does.
    """
    strict = environ.get("MOCKBM_STRICT", "1")
    if strict.lower() not in _ON_OR_OFF:
        raise ValueError(f"MOCKBM_STRICT: {strict!r} is neither 1 nor 0")
    return create_app(
        environ.get("MOCKBM_SCENARIOS") or None,
        environ.get("MOCKBM_SCENARIO") or None,
        strict=_ON_OR_OFF[strict.lower()],
    )


def _refuse(error: HTTPException) -> Response:
    response = admin.refuse(error) if api.for_admin() else api.refuse(error)
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return response
