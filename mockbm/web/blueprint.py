"""The endpoints as a Flask blueprint: `core.answer` under any WSGI server, and in process."""

from __future__ import annotations

import time
from typing import cast

from flask import Blueprint, Flask, Response, current_app, request
from flask import Request as FlaskRequest
from flask.blueprints import BlueprintSetupState
from werkzeug.exceptions import BadRequest

from ..core.answer import answer
from ..core.mock import Mock
from ..core.request import MAX_BODY, Answer, Request
from ..core.session import log

CAN_BREAK = "mockbm.can_break"
"""In the WSGI environment: whether the server can break the connection."""

BREAK = "mockbm.break"
"""In the WSGI environment: how the server is to break it, if it is to."""

MAX_READ = 16 * 1024 * 1024
"""Bytes of a body that are read at all."""

blueprint = Blueprint("endpoints", __name__)


@blueprint.record
def _add_rules(setup: BlueprintSetupState) -> None:
    mock: Mock = cast(Flask, setup.app).extensions["mockbm"]
    for endpoint in mock.endpoints.values():
        setup.add_url_rule(
            endpoint.path, "answer", respond, methods=[*endpoint.methods], strict_slashes=False
        )


def current_mock() -> Mock:
    """The mock of the application that handles this request."""
    return cast(Mock, current_app.extensions["mockbm"])


def respond() -> Response:
    """Answer the current request by the table of endpoints, also one that no URL rule matches."""
    current: FlaskRequest = request._get_current_object()  # type: ignore[attr-defined]
    environ = current.environ
    try:
        body = read_body(current)
    except BadRequest as error:
        return Response(f"{error.description}\n", 400, mimetype="text/plain")
    mock = current_mock()
    found = answer(
        mock,
        Request(
            current.method,
            current.path,
            environ.get("QUERY_STRING", ""),
            {
                "x-apikey": environ.get("HTTP_X_APIKEY", ""),
                "authorization": environ.get("HTTP_AUTHORIZATION", ""),
                "content-type": environ.get("CONTENT_TYPE", ""),
            },
            body,
            bool(environ.get(CAN_BREAK)),
            bool(environ.get("wsgi.multiprocess")) and not mock.store.shared,
        ),
    )
    if found.delay:
        time.sleep(found.delay)
    if found.broken:
        environ[BREAK] = found.broken
    return as_response(found)


def as_response(found: Answer) -> Response:
    """An answer as Flask has it."""
    response = Response(found.body, found.status, found.headers)
    if not any(name.lower() == "content-type" for name, _ in found.headers):
        del response.headers["Content-Type"]
    return response


def read_body(current: FlaskRequest) -> bytes:
    """The body, of which no more is held than it takes to see that it is too long.

    Raises: BadRequest where it does not arrive as its headers say.
    """
    if current.environ.get("HTTP_TRANSFER_ENCODING", "chunked").lower() != "chunked":
        raise BadRequest("the only Transfer-Encoding that is read is chunked")
    body, stream, length = b"", current.stream, current.content_length or 0
    try:
        while len(body) <= MAX_BODY and (piece := stream.read(MAX_BODY + 1 - len(body))):
            body += piece
        if len(body) > MAX_BODY:
            # A server that closes a connection with unread bytes may take its answer back.
            left = MAX_READ - len(body)
            while left > 0 and (piece := stream.read(min(left, MAX_BODY))):
                left -= len(piece)
        elif len(body) < length:  # not every server minds
            raise EOFError(f"{len(body)} of {length} bytes")
    except Exception as error:  # noqa: BLE001 (each WSGI server has errors of its own)
        log.warning("a request has no end: %r", error)
        raise BadRequest("the body does not arrive as the headers say") from None
    return body
