"""One request outside the admin API, on its way from the socket to the journal.

Whatever a client asks becomes an `Exchange`, which ends in the journal, in the log and in the
headers of the answer, with its explanation.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, cast

from flask import Response, current_app, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from .fields import nearest
from .journal import MAX_ANSWER, MAX_EXPLANATION, MAX_PARAMETERS, MAX_TEXT, Entry, Told
from .memory import REMEMBER
from .mock import Admission, Mock
from .parameters import Received, printable, receive
from .session import View

PATH = "/api/releases"
ADMIN_PREFIX = "/__admin"
SCENARIO_HEADER = "X-Mockbm-Scenario"
REVISION_HEADER = "X-Mockbm-Revision"
EXPLAIN_HEADER = "X-Mockbm-Explain"
TEXT = "text/plain; charset=utf-8"

MAX_HEADER = 1_000
"""Characters of an explanation that go into its header."""

log = logging.getLogger("mockbm")


def current_mock() -> Mock:
    """The mock behind the application that handles this request."""
    return cast(Mock, current_app.extensions["mockbm"])


@dataclass
class Exchange:
    """One request on its way from the socket to the journal."""

    mock: Mock
    begun: float
    received: Received
    admission: Admission
    explanation: str = ""
    count: int = 0
    ids: tuple[int, ...] = ()
    ignored: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    broken: str | None = None
    """How the connection breaks, if it does, as the server was told."""

    @property
    def view(self) -> View:
        """The state that this request was given; it keeps to it."""
        return self.admission.view

    def hide(self, text: str) -> str:
        """`text`, which the client sent, without API keys."""
        return self.mock.hide(text, self.received.api_key)

    def shown(self) -> dict[str, Any]:
        """The parameters as they may be written anywhere."""
        return {
            name: self.hide(item.value) if isinstance(item.value, str) else item.value
            for name, item in self.received.parameters.items()
        }


def for_admin() -> bool:
    """Whether this request is for the admin API, which leaves no traces."""
    if "admin" not in current_app.blueprints:
        return False
    return request.path == ADMIN_PREFIX or request.path.startswith(f"{ADMIN_PREFIX}/")


ALONE = (
    "this process is one of several that share no state; give all of them the same "
    "MOCKBM_STATE=redis://HOST:PORT, or run one process with threads"
)
"""Why something is refused that one of several processes cannot know."""


def is_one_of_many() -> bool:
    """Whether other processes answer as well, which do not know what this one counts or switches.

    As the WSGI server tells.
    """
    return bool(request.environ.get("wsgi.multiprocess")) and not current_mock().state.shared


def begin() -> None:
    if not for_admin():
        begun = perf_counter()
        received = receive(request)
        mock = current_mock()
        g.exchange = Exchange(mock, begun, received, mock.admit(received.api_key))


def refuse(error: HTTPException) -> Response:
    """Any other failure outside the admin API, such as a wrong path, verb or size."""
    if isinstance(error, NotFound):
        near = nearest(request.path, [PATH])
        guess = f"; did you mean {near}?" if near else ""
        if request.path == "/" and "page" in current_app.blueprints:
            guess = f"; for people, there is a page at {ADMIN_PREFIX}/"
        error.description = f"mockbm serves GET and POST {PATH} only{guess}"
    elif isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        error.description = f"{request.method} is not served here; use {allowed}"
    g.exchange.explanation = error.description or error.name
    return Response(f"{g.exchange.explanation}\n", error.code, mimetype="text/plain")


def refuse_without_state(error: ConnectionError) -> Response:
    """What the shared state would have decided is not known: answered outside the journal."""
    g.pop("exchange", None)
    log.error("%s", error)
    response = Response(f"{error}\n", 503, {"Retry-After": "1"}, content_type=TEXT)
    response.headers[EXPLAIN_HEADER] = _for_header(str(error))
    return response


def finish(response: Response) -> Response:
    if "exchange" in g:  # which calls of the admin API do not become
        exchange: Exchange = g.exchange
        view = exchange.view
        try:
            _record(exchange, response)
        except ConnectionError as error:
            return refuse_without_state(error)
        response.headers[SCENARIO_HEADER] = view.scenario.name
        response.headers[REVISION_HEADER] = str(view.revision)
        response.headers[EXPLAIN_HEADER] = _for_header(exchange.explanation)
    return response


def _record(exchange: Exchange, response: Response) -> None:
    """Write the exchange into its journal and the log, without any API key."""
    arrives = exchange.broken in (None, "truncate")
    body = response.get_data() if arrives and request.method != "HEAD" else b""
    answer = body[: len(body) // 2] if exchange.broken else body
    received, view, hide = exchange.received, exchange.view, exchange.hide
    kept = [*received.parameters.items()][:MAX_PARAMETERS]
    empty = [printable(hide(name)) for name in received.empty[:MAX_PARAMETERS]]
    notes = received.notes[:MAX_PARAMETERS]
    notes += [f"{name} is empty, so it is not given" for name in empty]
    notes += exchange.notes
    if len(received.parameters) > len(kept):
        notes.append(f"{len(received.parameters) - len(kept)} further parameters are not kept")
    shown = exchange.shown()
    entry = {
        "method": request.method[:MAX_TEXT],
        "path": hide(request.path)[:MAX_TEXT],
        "status": response.status_code if arrives else 0,
        "scenario": view.scenario.name,
        "revision": view.revision,
        "parameters": {
            hide(name)[:MAX_TEXT]: hide(str(shown[name]))[:MAX_TEXT] for name, _ in kept
        },
        "places": {hide(name)[:MAX_TEXT]: parameter.place for name, parameter in kept},
        "count": exchange.count,
        "ids": exchange.ids,
        "answer": answer[:MAX_ANSWER],
        "size": len(answer),
        "explanation": exchange.explanation[:MAX_EXPLANATION],
        "ignored": tuple(hide(name)[:MAX_TEXT] for name in exchange.ignored[:MAX_PARAMETERS]),
        "notes": tuple(note[:MAX_TEXT] for note in notes),
    }
    conclude(view, entry, exchange.begun)
    if view.run is None and not exchange.admission.refusal:
        request.environ[REMEMBER] = (view, entry)


def conclude(view: View, entry: Mapping[str, Any], begun: float) -> None:
    """Write an answer into the journal of its view, and into the log."""
    told = Told(time.time(), perf_counter() - begun, entry)
    number = view.journal.record(told)
    if view.also is not None:
        view.also.record(told)
    level = logging.WARNING if entry["status"] == 403 else logging.INFO
    if log.isEnabledFor(level):
        log.log(level, "%s", Entry.told(number, told))


def _for_header(text: str) -> str:
    """`text` in printable ASCII, and not too long."""
    plain = re.sub(r"[\x00-\x1f\x7f]", " ", text.encode("ascii", "backslashreplace").decode())
    return plain if len(plain) <= MAX_HEADER else f"{plain[: MAX_HEADER - 3]}..."
