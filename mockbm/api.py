"""`/api/releases`, as BuildMaster answers it: a straight run of guards, then the releases."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import cast

from flask import Blueprint, Flask, Response, g, request
from flask.blueprints import BlueprintSetupState
from marshmallow import ValidationError
from werkzeug.routing import BaseConverter, Map

from .exchange import ALONE, TEXT, Exchange, begin, finish, is_one_of_many
from .faults import Fault, Verdict
from .journal import MAX_IDS
from .parameters import printable
from .selection import FILTERS, GROUPS, Filters

JSON = "application/json; charset=utf-8"

PAUSE = "mockbm.pause"
"""In the WSGI environment: a function that waits some seconds without holding up others."""

BREAK = "mockbm.break"
"""In the WSGI environment: a function that breaks the connection in the way it is told."""

MAX_PROBLEMS = 30
"""Lines that a 400 has at most."""

blueprint = Blueprint("api", __name__)
blueprint.before_app_request(begin)
blueprint.after_app_request(finish)


class AnyCase(BaseConverter):
    """One fixed word of a path, in capitals or not, as on the vendor's web stack [C, D]."""

    def __init__(self, url_map: Map, word: str) -> None:
        super().__init__(url_map)
        self.regex = f"(?i:{word})"


@blueprint.record
def _add_converter(setup: BlueprintSetupState) -> None:
    cast(Flask, setup.app).url_map.converters["anycase"] = AnyCase


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
    exchange.broken = kind
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
