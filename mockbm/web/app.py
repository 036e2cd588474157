"""One Flask application for one mock: the endpoints, the admin API and the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import Flask, Response, request
from flask.json.provider import DefaultJSONProvider
from werkzeug.exceptions import HTTPException, InternalServerError
from werkzeug.middleware.proxy_fix import ProxyFix

from ..core.answer import FAILED, unavailable
from ..core.mock import ADMIN_PREFIX, Mock
from ..core.session import log
from ..settings import Settings
from . import admin, blueprint
from .guard import Guard


def create_app(
    scenarios: Path | str | None = None, scenario: str | None = None, **settings: Any
) -> Flask:
    """A Flask application that answers as BuildMaster does, and has the admin API.

    scenarios: directory of the scenario files; by default those that come with mockbm.
    scenario: the one active at the start.
    settings: the others of `mockbm.settings.Settings`, such as strict and journal_size:
        admin_api: whether there is an admin API.
        admin_token: what its callers must send; without one, or with an empty one, only those on
            this machine are let in.
        allowed_hosts: names by which they may call this machine, besides the loopback ones.
    Raises: ScenarioError for files with problems, UnknownName, ValueError for a setting that cannot
        be meant.
    """
    found = Settings(scenarios, scenario, **settings)
    return make_app(found.mock(), found)


def app_from_environment() -> Flask:
    """The application that the variables `MOCKBM_*` ask for; see `Settings.from_environment`."""
    settings = Settings.from_environment()
    return make_app(settings.mock(), settings)


def make_app(mock: Mock, settings: Settings) -> Flask:
    """The Flask application of a mock."""
    app = Flask("mockbm", static_folder=None)
    app.config.update(MAX_CONTENT_LENGTH=None, PROVIDE_AUTOMATIC_OPTIONS=False)
    app.url_map.strict_slashes = app.url_map.merge_slashes = False
    app.json = _Json(app)
    app.extensions["mockbm"] = mock
    app.register_blueprint(blueprint.blueprint)
    if settings.admin_api:
        hosts = frozenset(host.lower() for host in settings.allowed_hosts)
        app.extensions["mockbm.guard"] = Guard(settings.admin_token or None, hosts)
        app.register_blueprint(admin.blueprint)

    def refuse(error: Exception) -> Response:
        """What Flask refuses, such as an unknown path: the core knows the answer, or the admin."""
        if settings.admin_api and f"{request.path}/".startswith(f"{ADMIN_PREFIX}/"):
            return admin.refuse(error)
        if isinstance(error, ConnectionError):
            log.error("%s", error)
            return blueprint.as_response(unavailable(error))
        if isinstance(error, InternalServerError):  # a mistake of ours, which Flask has logged
            return Response(f"{FAILED}\n", 500, mimetype="text/plain")
        return blueprint.respond()

    app.register_error_handler(HTTPException, refuse)
    app.register_error_handler(ConnectionError, refuse)
    if settings.trust_proxy:
        fixed = ProxyFix(app.wsgi_app, x_for=0, x_proto=1, x_host=1, x_prefix=1)
        app.wsgi_app = fixed  # type: ignore[method-assign]
    return app


class _Json(DefaultJSONProvider):
    """JSON in lines and in UTF-8, in which half of a surrogate pair stays escaped."""

    sort_keys = compact = ensure_ascii = False

    def dumps(self, obj: Any, **more: Any) -> str:
        return super().dumps(obj, **more).encode(errors="backslashreplace").decode()
