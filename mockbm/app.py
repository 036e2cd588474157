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
    """The application that the variables `MOCKBM_*` ask for; an empty one counts as not set.

    Read are SCENARIOS (a directory), SCENARIO (active at the start), STRICT (1 or 0), JOURNAL_SIZE,
    MAX_SESSIONS, SESSION_IDLE (seconds) and CLOCK (a date).
    Raises: ValueError for a value that is none of what is allowed, and what `create_app` does.
    """
    settings = {
        name: _setting(f"MOCKBM_{variable}", environ[f"MOCKBM_{variable}"], kind)
        for variable, (name, kind) in _VARIABLES.items()
        if environ.get(f"MOCKBM_{variable}")
    }
    return create_app(**settings)


_VARIABLES: dict[str, tuple[str, type]] = {
    "SCENARIOS": ("scenarios", str),
    "SCENARIO": ("scenario", str),
    "STRICT": ("strict", bool),
    "JOURNAL_SIZE": ("journal_size", int),
    "MAX_SESSIONS": ("max_sessions", int),
    "SESSION_IDLE": ("idle_seconds", float),
    "CLOCK": ("clock", str),
}


def _setting(variable: str, text: str, kind: type) -> Any:
    if kind is bool:
        if text.lower() not in ("1", "true", "yes", "on", "0", "false", "no", "off"):
            raise ValueError(f"{variable}: {text!r} is neither 1 nor 0")
        return text.lower() in ("1", "true", "yes", "on")
    try:
        value = kind(text)
        if kind is not str and not 0 < value < float("inf"):
            raise ValueError
    except ValueError:
        what = "a whole number" if kind is int else "a number"
        raise ValueError(f"{variable}: {text!r} is not {what} above 0") from None
    return value


def _refuse(error: HTTPException) -> Response:
    response = admin.refuse(error) if api.for_admin() else api.refuse(error)
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return response
