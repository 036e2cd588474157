"""The rooms put together: one Flask application for one mock."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any, cast

from flask import Flask, Response
from flask.json.provider import DefaultJSONProvider
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge

from . import admin, api, browser, exchange
from .guard import Guard
from .memory import Memory
from .mock import Mock

MAX_BODY = 1024 * 1024
"""Bytes that the body of a request may have."""


def create_app(
    scenarios: Path | str | None = None,
    scenario: str | None = None,
    *,
    admin_api: bool = True,
    admin_token: str | None = None,
    allowed_hosts: Iterable[str] = (),
    remember: bool = True,
    **settings: Any,
) -> Flask:
    """A Flask application that answers as BuildMaster does, with the admin API beside it.

    scenarios: directory of the scenario files; by default those that come with mockbm.
    scenario: the one active at the start.
    admin_api: whether there is an admin API.
    admin_token: what its callers must send; without one, or with an empty one, only those on this
        machine are let in.
    allowed_hosts: names by which they may call this machine, beside the loopback ones.
    remember: whether an answer that was made once is given again without being made again.
    settings: the others of `mockbm.mock.Mock`, such as strict and journal_size.
    Raises: ScenarioError for files with problems, UnknownName, ValueError for a setting that cannot
        be meant.
    """
    if admin_token and not re.fullmatch(r"[!-~]+", admin_token):
        raise ValueError("the admin token: only letters, digits and signs of ASCII, without blanks")
    app = Flask("mockbm", static_folder=None)
    app.config.update(
        MAX_CONTENT_LENGTH=MAX_BODY, MAX_FORM_MEMORY_SIZE=MAX_BODY, PROVIDE_AUTOMATIC_OPTIONS=False
    )
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    cast(DefaultJSONProvider, app.json).sort_keys = False
    cast(DefaultJSONProvider, app.json).compact = False
    mock = app.extensions["mockbm"] = Mock(scenarios, scenario, **settings)
    app.register_blueprint(api.blueprint)
    if admin_api:
        hosts = frozenset(host.lower() for host in allowed_hosts)
        app.extensions["mockbm.guard"] = Guard(admin_token or None, hosts)
        app.extensions["mockbm.openapi"] = cache(partial(_describe, app))
        app.register_blueprint(admin.blueprint)
        app.register_blueprint(browser.blueprint)
    app.register_error_handler(HTTPException, _refuse)
    app.register_error_handler(ConnectionError, exchange.refuse_without_state)
    if remember:
        app.wsgi_app = Memory(app.wsgi_app, mock, exchange.conclude)  # type: ignore[method-assign]
    return app


def _describe(app: Flask) -> dict[str, Any]:
    """The OpenAPI document of an application."""
    from .openapi import described  # here, because a start need not wait for it

    return described(app)


def app_from_environment(environ: Mapping[str, str] = os.environ) -> Flask:
    """The application that the variables `MOCKBM_*` ask for; an empty one counts as not set.

    Read are SCENARIOS (a directory), SCENARIO (active at the start), STRICT (1 or 0), JOURNAL_SIZE,
    MAX_SESSIONS, SESSION_IDLE (seconds), CLOCK (a date), STATE (`memory` or a URL), REMEMBER and
    ADMIN (1 or 0), ADMIN_TOKEN and ALLOWED_HOST (names, with spaces between them).
    Raises: ValueError for a value that is none of what is allowed, and what `create_app` does.
    """
    settings = {
        name: _setting(f"MOCKBM_{variable}", environ[f"MOCKBM_{variable}"], kind)
        for variable, (name, kind) in _VARIABLES.items()
        if environ.get(f"MOCKBM_{variable}")
    }
    return create_app(**settings)


_VARIABLES: dict[str, tuple[str, Callable[[str], Any]]] = {
    "SCENARIOS": ("scenarios", str),
    "SCENARIO": ("scenario", str),
    "STRICT": ("strict", bool),
    "JOURNAL_SIZE": ("journal_size", int),
    "MAX_SESSIONS": ("max_sessions", int),
    "SESSION_IDLE": ("idle_seconds", float),
    "CLOCK": ("clock", str),
    "STATE": ("state", str),
    "REMEMBER": ("remember", bool),
    "ADMIN": ("admin_api", bool),
    "ADMIN_TOKEN": ("admin_token", str),
    "ALLOWED_HOST": ("allowed_hosts", str.split),
}


def _setting(variable: str, text: str, kind: Callable[[str], Any]) -> Any:
    if kind is bool:
        if text.lower() not in ("1", "true", "yes", "on", "0", "false", "no", "off"):
            raise ValueError(f"{variable}: {text!r} is neither 1 nor 0")
        return text.lower() in ("1", "true", "yes", "on")
    try:
        value = kind(text)
        if kind in (int, float) and not 0 < value < float("inf"):
            raise ValueError
    except ValueError:
        what = "a whole number" if kind is int else "a number"
        raise ValueError(f"{variable}: {text!r} is not {what} above 0") from None
    return value


def _refuse(error: HTTPException) -> Response:
    if isinstance(error, RequestEntityTooLarge):
        error.description = f"the body is too large; allowed are {MAX_BODY // 1024**2} MiB"
    response = admin.refuse(error) if exchange.for_admin() else exchange.refuse(error)
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return response
