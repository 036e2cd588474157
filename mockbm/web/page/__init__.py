"""`/__admin/`: a page for people, who see and switch there what programs do with the admin API.

The page is three files without any data in them; what it shows, it gets from the admin API.
"""

from __future__ import annotations

from pathlib import Path

from flask import Response, request, send_from_directory

FILES = {
    "index.html": "text/html",
    "page.css": "text/css",
    "page.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
"""The files that are served, with the types that some machines do not know."""

NAMES = ", ".join(f"'{name}'" for name in FILES if name != "index.html")
"""Those that the first one loads."""

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


def send(name: str) -> Response:
    """One of the files; a browser checks each time whether it has changed."""
    response = send_from_directory(Path(__file__).parent, name, mimetype=FILES[name])
    response.headers.update(HEADERS)
    del response.headers["Date"]  # which every server adds
    return response


def is_for_people() -> bool:
    """Whether the caller likes HTML better than JSON, as browsers do and nothing else."""
    wanted = request.accept_mimetypes
    return wanted["text/html"] > wanted["application/json"]
