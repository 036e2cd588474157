"""`/__admin/`: a page for people, who see and switch there what programs do with the admin API.

The page is three files without any data in them; what it shows, it asks the admin API for.
"""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, Response, current_app, jsonify, request, send_from_directory

from . import admin
from .exchange import ADMIN_PREFIX
from .guard import Guard

blueprint = Blueprint("page", __name__, url_prefix=ADMIN_PREFIX)

FILES = {
    "index.html": "text/html",
    "page.css": "text/css",
    "page.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
"""The files that are served, with the types that some machines do not know."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Nothing but the page's own files and calls, whatever a name in a scenario tries."""

CALLS = ("health", "scenarios", "scenario", "reset", "requests", "clock", "sessions", "reload")


@blueprint.before_request
def _let_in() -> Response | None:
    """Whoever may call the admin API, and anybody who could, had they the token, gets the files."""
    guard: Guard = current_app.extensions["mockbm.guard"]
    is_file = request.endpoint != "page.index" or _is_for_people()
    return admin.refused(guard.refusal(request, is_file=is_file))


@blueprint.get("")
@blueprint.get("/")
def index() -> Response:
    """The page for a browser; for everything else, how the mock is and where its calls are."""
    if not _is_for_people():
        links = {name: f"{ADMIN_PREFIX}/{name}" for name in CALLS}
        response = jsonify(admin.told_health() | {"links": links})
    elif not request.path.endswith("/"):
        response = Response(
            status=308, headers={"Location": f"{request.script_root}{ADMIN_PREFIX}/"}
        )
    else:
        response = page_file("index.html")
    response.vary.add("Accept")
    return response


@blueprint.get("/page/<any('page.css', 'page.js', 'icon.svg'):name>")
def page_file(name: str) -> Response:
    """One of the files; a browser asks each time whether it has changed."""
    response = send_from_directory(Path(__file__).parent / "page", name, mimetype=FILES[name])
    response.headers.update(HEADERS)
    return response


def _is_for_people() -> bool:
    """Whether the caller likes HTML better than JSON, as browsers do and nothing else."""
    wanted = request.accept_mimetypes
    return wanted["text/html"] > wanted["application/json"]
