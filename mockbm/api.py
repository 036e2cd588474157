"""`/api/releases`, as BuildMaster answers it: a straight run of guards, then the releases.

Whatever a client asks outside the admin API becomes an `Exchange`, which ends in the journal, in
the log and in the headers of the answer, with its explanation.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, cast

from flask import Blueprint, Flask, Response, current_app, g, request
from flask.blueprints import BlueprintSetupState
from marshmallow import ValidationError
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.routing import BaseConverter, Map

from .faults import Fault, Verdict
from .fields import nearest
from .journal import MAX_EXPLANATION, MAX_IDS, MAX_PARAMETERS, MAX_TEXT, Entry, Told
from .memory import REMEMBER
from .mock import Admission, Mock
from .parameters import Received, printable, receive
from .selection import FILTERS, GROUPS, Filters
from .session import View

PATH = "/api/releases"
ADMIN_PREFIX = "/__admin"
SCENARIO_HEADER = "X-Mockbm-Scenario"
REVISION_HEADER = "X-Mockbm-Revision"
EXPLAIN_HEADER = "X-Mockbm-Explain"
JSON = "application/json; charset=utf-8"
TEXT = "text/plain; charset=utf-8"

PAUSE = "mockbm.pause"
"""In the WSGI environment: a function that waits some seconds without holding up others."""

BREAK = "mockbm.break"
"""In the WSGI environment: a function that breaks the connection in the way it is told."""

MAX_PROBLEMS = 30
"""Lines that a 400 has at most."""

MAX_HEADER = 1_000
"""Characters of an explanation that go into its header."""

log = logging.getLogger("mockbm")

blueprint = Blueprint("api", __name__)


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
    nothing_arrives: bool = False

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


class AnyCase(BaseConverter):
    """One fixed word of a path, in capitals or not, as on the vendor's web stack [C, D]."""

    def __init__(self, url_map: Map, word: str) -> None:
        super().__init__(url_map)
        self.regex = f"(?i:{word})"


@blueprint.record
def _add_converter(setup: BlueprintSetupState) -> None:
    cast(Flask, setup.app).url_map.converters["anycase"] = AnyCase


def for_admin() -> bool:
    """Whether this request is for the admin API, which leaves no traces."""
    if "admin" not in current_app.blueprints:
        return False
    return request.path == ADMIN_PREFIX or request.path.startswith(f"{ADMIN_PREFIX}/")


@blueprint.before_app_request
def _begin() -> None:
    if not for_admin():
        begun = perf_counter()
        received = receive(request)
        mock = current_mock()
        g.exchange = Exchange(mock, begun, received, mock.admit(received.api_key))


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


@blueprint.route("/<anycase(api):_api>/<anycase(releases):_releases>", methods=["GET", "POST"])
def get_releases(**_: str) -> Response:
    """Answer with the releases that match the request's filters [S]."""
    exchange: Exchange = g.exchange
    received = exchange.received
    if received.failure and (received.api_key is None or not exchange.admission.refusal):
        raise received.failure  # the key may have been in the body that was too large
    if exchange.admission.refusal:
        return _refuse_key(exchange)
    filters, problems = _filters(exchange)
    if problems:
        return _refuse(exchange, problems)
    if exchange.view.scenario.counts and is_one_of_many():
        return _refuse_alone(exchange)
    run = exchange.view.run
    verdict = run.judge(filters, exchange.view.clock) if run else Verdict()
    if verdict.delay:
        exchange.notes.append(f"delayed by {verdict.delay * 1000:.0f} ms")
        request.environ.get(PAUSE, time.sleep)(verdict.delay)
    if verdict.fault and not verdict.fault.connection:
        return _respond(exchange, verdict, verdict.fault)
    body = _select(exchange, filters, counts=verdict.fault is None)
    if verdict.fault:
        return _break(exchange, verdict, body)
    return Response(body, content_type=JSON)


def _filters(exchange: Exchange) -> tuple[Filters, dict[str, list[str]]]:
    """The filters in the order in which they came, and what is wrong with the parameters."""
    received = exchange.received
    problems = {name: [exchange.hide(what)] for name, what in received.problems.items()}
    try:
        loaded = exchange.mock.filter_schema.load(received.values())
    except ValidationError as error:
        complaints = _complaints(exchange) or error.messages_dict
        for name in received.parameters:
            problems.setdefault(name, []).extend(complaints.get(name, ()))
        return {}, problems
    exchange.ignored = tuple(name for name in received.parameters if name not in FILTERS)
    for group in GROUPS:
        given = [name for name in received.parameters if name in group]
        if len(given) > 1:
            names = " and ".join(given)
            exchange.notes.append(f"{names} were given; BuildMaster takes one of them")
    return {name: loaded[name] for name in received.parameters if name in loaded}, problems


def _complaints(exchange: Exchange) -> Mapping[str, Sequence[str]]:
    """What is wrong with the parameters, in words that have no API key in them."""
    try:
        exchange.mock.filter_schema.load(exchange.shown())
    except ValidationError as error:
        return error.messages_dict
    return {}


def _select(exchange: Exchange, filters: Filters, *, counts: bool) -> bytes:
    """The releases that match, as JSON; the exchange learns which and why."""
    releases = exchange.view.releases(counts=counts)
    selection = releases.select(filters)
    sent, shown = exchange.received.parameters, exchange.shown()
    steps = [
        step if shown[step.name] == sent[step.name].value else step._replace(value=shown[step.name])
        for step in selection.steps
    ]
    exchange.explanation = releases.explain(selection._replace(steps=steps))
    exchange.count = len(selection.positions)
    exchange.ids = tuple(releases.ids[position] for position in selection.positions[:MAX_IDS])
    return releases.body(selection.positions)


def _refuse_alone(exchange: Exchange) -> Response:
    """409, where an answer depends on what other processes have answered."""
    exchange.explanation = f"scenario {exchange.view.scenario.name} counts or changes, but {ALONE}"
    return Response(f"{exchange.explanation}\n", 409, content_type=TEXT)


def _respond(exchange: Exchange, verdict: Verdict, fault: Fault) -> Response:
    """The answer that a fault gives instead of the releases."""
    exchange.explanation = f"faults[{verdict.number}]: {fault}"
    if fault.status is None:
        text = f"Too many requests; try again in {verdict.retry_after} s\n"
        headers = {"Retry-After": str(verdict.retry_after)}
        return Response(text, 429, headers, content_type=TEXT)
    typed = any(name.lower() == "content-type" for name in fault.headers)
    kind = None if typed else TEXT
    return Response(fault.body, fault.status, fault.headers, content_type=kind)


def _break(exchange: Exchange, verdict: Verdict, body: bytes) -> Response:
    """An answer that does not arrive as it should; the server does what needs the socket."""
    kind = verdict.fault.connection if verdict.fault else None
    exchange.explanation = f"faults[{verdict.number}]: {verdict.fault}; {exchange.explanation}"
    if kind == "malformed":
        return Response(body[:-1] + b"<html>", content_type=JSON)
    if BREAK not in request.environ:
        why = f"{exchange.explanation}: there is no connection here to break"
        exchange.explanation = why
        return Response(f"{why}; ask over a socket\n", 501, content_type=TEXT)
    request.environ[BREAK](kind)
    exchange.nothing_arrives = kind != "truncate"
    return Response(body, content_type=JSON)


def _refuse_key(exchange: Exchange) -> Response:
    """403 with an empty body, whatever is wrong with the key [S]."""
    exchange.explanation = exchange.admission.refusal
    response = Response(status=403)
    del response.headers["Content-Type"]
    return response


def _refuse(exchange: Exchange, problems: Mapping[str, Sequence[str]]) -> Response:
    """400 with one problem a line, as text [S]."""
    lines = [
        f"{printable(exchange.hide(name))}: {what}"
        for name, texts in problems.items()
        for what in texts
    ]
    if len(lines) > MAX_PROBLEMS:
        lines[MAX_PROBLEMS:] = [f"parameters: {len(lines) - MAX_PROBLEMS} further problems"]
    exchange.explanation = "; ".join(lines)
    text = "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace")
    return Response(text, 400, content_type=TEXT)


def refuse(error: HTTPException) -> Response:
    """Any other failure outside the admin API, such as a wrong path, verb or size."""
    if isinstance(error, NotFound):
        near = nearest(request.path, [PATH])
        guess = f"; did you mean {near}?" if near else ""
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


@blueprint.after_app_request
def _finish(response: Response) -> Response:
    if "exchange" in g:  # which calls of the admin API do not become
        exchange: Exchange = g.exchange
        view = exchange.view
        try:
            _record(exchange, 0 if exchange.nothing_arrives else response.status_code)
        except ConnectionError as error:
            return refuse_without_state(error)
        response.headers[SCENARIO_HEADER] = view.scenario.name
        response.headers[REVISION_HEADER] = str(view.revision)
        response.headers[EXPLAIN_HEADER] = _for_header(exchange.explanation)
    return response


def _record(exchange: Exchange, status: int) -> None:
    """Write the exchange into its journal and the log, without any API key."""
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
        "status": status,
        "scenario": view.scenario.name,
        "revision": view.revision,
        "parameters": {
            hide(name)[:MAX_TEXT]: hide(str(shown[name]))[:MAX_TEXT] for name, _ in kept
        },
        "places": {hide(name)[:MAX_TEXT]: parameter.place for name, parameter in kept},
        "count": exchange.count,
        "ids": exchange.ids,
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
