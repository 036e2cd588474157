"""`/__admin`: the state of the mock, shown and switched over HTTP. JSON in and out.

What the default session has at `/__admin/...`, every other one has at `/__admin/sessions/ID/...`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

from flask import Blueprint, Response, current_app, json, jsonify, request
from marshmallow import ValidationError, validate
from marshmallow import validates_schema as validates
from werkzeug.exceptions import BadRequest, HTTPException

from . import __version__
from .document import ScenarioError, flatten, spell
from .exchange import ADMIN_PREFIX, ALONE, current_mock, is_one_of_many
from .fields import Duration, Integer, Moment, NamedSchema, Text
from .guard import Guard
from .mock import UnknownName
from .releases import STATUSES
from .scenario import Scenario, Stages
from .session import Session
from .state import Standing

blueprint = Blueprint("admin", __name__, url_prefix=ADMIN_PREFIX)


class SwitchSchema(NamedSchema):
    """The body of a switch to a scenario that has a file."""

    name = Text(required=True, metadata={"description": "The name of the scenario."})


class SessionSchema(NamedSchema):
    """The body that opens a session."""

    scenario = Text(metadata={"description": "Left out: the one that is active at the start."})
    label = Text(
        load_default="",
        validate=validate.Length(max=200),
        metadata={"description": "What the session is called in lists."},
    )


class ClockSchema(NamedSchema):
    """What to do to a clock: stop it at a moment, or put it forward."""

    now = Moment(metadata={"description": "Stop the clock at this date, which is not relative."})
    advance = Duration(metadata={"description": "Put the clock forward by this duration."})

    @validates(skip_on_field_errors=True)
    def one_of_them(self, wanted: dict[str, str], **_: Any) -> None:
        if len(wanted) != 1:
            raise ValidationError('expected {"now": "2024-03-04T09:00:00Z"} or {"advance": "2d"}')


class RequestsSchema(NamedSchema):
    """The query that narrows a journal; see `mockbm.journal.narrowed`."""

    method = Text(metadata={"description": "Only requests of this method, in any case."})
    status = Integer(metadata={"description": "Only those that were answered with it."})
    parameter = Text(metadata={"description": "Only those that had it: NAME, or NAME=VALUE."})
    after = Integer(metadata={"description": "Only those with a higher number."})
    count = Integer(
        validate=validate.Range(min=0),
        metadata={"description": "Only so many, the newest of those that the others leave."},
    )


MAX_APPLICATIONS = 50
"""Applications of a scenario that are told in the list, those with most releases."""

MAX_CHANGES = 100
"""Changes of the active scenario that are told one by one."""

WHOLE = {"releases", "extends", "generate", "faults"}
"""Keys that show that a body is a whole scenario, and not the name of one."""


def problem(status: int, title: str, detail: str, **more: object) -> Response:
    """An error as problem details (RFC 9457)."""
    document = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    response = jsonify(document)
    response.status_code = status
    response.content_type = "application/problem+json"
    return response


@blueprint.errorhandler(UnknownName)
def _unknown_name(error: UnknownName) -> Response:
    if error.kind == "session":
        return problem(404, "Unknown session", f"{error}; it may have ended", name=error.name)
    more = {"name": error.name, "scenarios": error.known, "nearest": error.nearest}
    return problem(404, "Unknown scenario", str(error), **more)


@blueprint.errorhandler(RuntimeError)
def _not_now(error: RuntimeError) -> Response:
    return problem(409, "Not possible", str(error))


@blueprint.errorhandler(ConnectionError)
def _no_state(error: ConnectionError) -> Response:
    return problem(503, "No shared state", str(error))


@blueprint.errorhandler(ScenarioError)
def _bad_scenario(error: ScenarioError) -> Response:
    problems = [str(item) for item in error.problems]
    if any(item.path for item in error.problems):
        detail = "The scenario files have problems; the mock goes on with what it had."
        return problem(409, "Bad scenario files", detail, problems=problems)
    return problem(400, "Bad scenario", "; ".join(problems), problems=problems)


@blueprint.errorhandler(ValidationError)
def _bad_request(error: ValidationError) -> Response:
    found = flatten(error.messages_dict)
    problems = [f"{spell(where) or 'body'}: {message}" for where, message in found]
    return problem(400, "Bad request", "; ".join(problems), problems=problems)


@blueprint.before_request
def _let_in() -> Response | None:
    """Every call passes the guard first."""
    guard: Guard = current_app.extensions["mockbm.guard"]
    return refused(guard.refusal(request)) or _refuse_alone()


def refused(found: tuple[int, str] | None) -> Response | None:
    """The answer to what the guard refuses, or None."""
    if found is None:
        return None
    status, why = found
    response = problem(status, "Not allowed", why)
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="mockbm admin"'
    return response


def _refuse_alone() -> Response | None:
    """One of several processes changes nothing that the others would not know of."""
    asks = request.method in ("GET", "HEAD") and not request.path.rstrip("/").endswith("/requests")
    if asks or not is_one_of_many():
        return None
    return problem(409, "One of several processes", f"{ALONE[0].upper()}{ALONE[1:]}.")


def refuse(error: HTTPException) -> Response:
    """Any other failure of an admin call, such as a wrong path or verb."""
    if error.code == 404:
        error.description = f"there is nothing at {request.path}; the README lists the calls"
    elif error.code == 415:
        error.description = "say that the body is JSON: set Content-Type: application/json"
    return problem(error.code or 500, error.name, error.description or error.name)


@blueprint.get("/scenarios")
def list_scenarios() -> Response:
    active = current_mock().default.view.scenario
    scenarios = current_mock().scenarios.values()
    listed = [_overview(scenario, scenario is active) for scenario in scenarios]
    return jsonify({"active": active.name, "scenarios": listed})


@blueprint.get("/scenarios/<name>")
def show_scenario(name: str) -> Response:
    scenario = current_mock().scenario(name)
    stages = (0,) * len(scenario.changing)
    releases = scenario.at(stages, current_mock().default.view.clock.now())
    body = releases.body(range(len(releases)))
    more = {"order": scenario.order, "releases": json.loads(body)}
    active = scenario is current_mock().default.view.scenario
    return jsonify(_overview(scenario, active) | more)


@blueprint.get("/scenario")
@blueprint.get("/sessions/<id_>/scenario")
def show_active(id_: str | None = None) -> Response:
    return _active(_session(id_))


@blueprint.put("/scenario")
@blueprint.put("/sessions/<id_>/scenario")
def switch_scenario(id_: str | None = None) -> Response:
    session = _session(id_)
    body = _body()
    if isinstance(body, dict) and "name" not in body and body.keys() & WHOLE:
        session.use_values(body)
    else:
        session.use(SwitchSchema().load(body)["name"])
    return _active(session)


@blueprint.post("/reset")
@blueprint.post("/sessions/<id_>/reset")
def reset(id_: str | None = None) -> Response:
    session = _session(id_)
    session.reset()
    return _active(session)


@blueprint.get("/clock")
@blueprint.get("/sessions/<id_>/clock")
def show_clock(id_: str | None = None) -> Response:
    session = _session(id_)
    return jsonify({"now": session.now, "set": session.view.clock.set_to is not None})


@blueprint.put("/clock")
@blueprint.put("/sessions/<id_>/clock")
def set_clock(id_: str | None = None) -> Response:
    session = _session(id_)
    wanted = ClockSchema().load(_body())
    for name, act in (("now", session.set_clock), ("advance", session.advance_clock)):
        if name in wanted:
            try:
                act(wanted[name])
            except ValueError as error:
                raise ValidationError({name: [str(error)]}) from None
    return show_clock(id_)


@blueprint.delete("/clock")
@blueprint.delete("/sessions/<id_>/clock")
def release_clock(id_: str | None = None) -> Response:
    _session(id_).release_clock()
    return show_clock(id_)


@blueprint.get("/requests")
@blueprint.get("/sessions/<id_>/requests")
def list_requests(id_: str | None = None) -> Response:
    filters = RequestsSchema().load(request.args.to_dict())
    entries = _session(id_).requests(**filters)
    return jsonify({"requests": [entry.to_json() for entry in entries]})


@blueprint.delete("/requests")
@blueprint.delete("/sessions/<id_>/requests")
def clear_requests(id_: str | None = None) -> Response:
    _session(id_).clear_requests()
    return Response(status=204)


@blueprint.get("/sessions")
def list_sessions() -> Response:
    return jsonify({"sessions": [_session_json(item) for item in current_mock().standings()]})


@blueprint.post("/sessions")
def open_session() -> Response:
    wanted = SessionSchema().load(_body() if request.get_data() else {})
    try:
        session = current_mock().open_session(wanted.get("scenario"), wanted["label"])
    except RuntimeError as error:
        return problem(429, "Too many sessions", str(error))
    document = _session_json(session.standing)
    response = jsonify({"id": session.id, "apiKey": session.api_key} | document)
    response.status_code = 201
    response.headers["Location"] = document["links"]["self"]
    return response


@blueprint.get("/sessions/<id_>")
def show_session(id_: str) -> Response:
    return jsonify(_session_json(current_mock().standing(id_)))


@blueprint.delete("/sessions/<id_>")
def end_session(id_: str) -> Response:
    current_mock().end_session(id_)
    return Response(status=204)


@blueprint.post("/reload")
def reload() -> Response:
    current_mock().reload()
    return list_scenarios()


@blueprint.get("/health")
def health() -> Response:
    shown = told_health()
    response = jsonify(shown)
    response.status_code = 503 if shown["status"] == "unavailable" else 200
    return response


def told_health() -> dict[str, Any]:
    """How the mock is."""
    mock = current_mock()
    shown: dict[str, Any] = {
        "status": "degraded" if mock.problems else "ok",
        "problems": [str(item) for item in mock.problems],
        "version": __version__,
        "uptime": round(time.monotonic() - mock.began, 3),
        "loaded": mock.loaded,
        "state": mock.state.name,
        "scenarios": len(mock.scenarios),
    }
    try:
        standing = mock.default.standing
        shown |= {"scenario": standing.scenario, "revision": standing.revision}
        shown["sessions"] = len(mock.standings())
    except ConnectionError as error:
        shown |= {"status": "unavailable", "problems": [str(error), *shown["problems"]]}
    return shown


@blueprint.get("/openapi.json")
def openapi() -> Response:
    return jsonify(current_app.extensions["mockbm.openapi"]())


def _session(id_: str | None) -> Session:
    return current_mock().default if id_ is None else current_mock().session(id_)


def _body() -> Any:
    """The JSON body of this call. Raises: HTTPException."""
    try:
        return request.get_json()
    except BadRequest as error:
        raise BadRequest(f"The body is not valid JSON: {error.__cause__}") from None
    except RecursionError:
        raise BadRequest("The body is JSON nested too deep.") from None


def _active(session: Session) -> Response:
    view = session.view
    shown = _summary(view.scenario) | {"active": True, "revision": view.revision}
    if view.run is not None:
        counts = view.run.counts()
        stages = view.run.stages(counts, view.clock)
        shown["run"] = {
            "calls": counts.calls,
            "seconds": round(view.run.seconds(view.clock), 3),
            "faults": counts.met,
            "changes": sum(stages),
        }
        shown["faults"] = [
            {"fault": fault.sentence, "met": met, "over": fault.is_over(met)}
            for fault, met in zip(view.scenario.faults, shown["run"]["faults"], strict=True)
        ]
        shown["changes"] = list(islice(_changes(view.scenario, stages), MAX_CHANGES))
    return jsonify(shown)


def _changes(scenario: Scenario, stages: Stages) -> Iterator[dict[str, Any]]:
    """Each change of each release, and whether it has happened."""
    for release, stage in zip(scenario.changing, stages, strict=True):
        for place, change in enumerate(release["changes"]):
            kind, amount = change["after"]
            yield {
                "id": release["id"],
                "number": release["number"],
                "applicationName": release["applicationName"],
                "after": f"{amount:.15g} {kind.removesuffix('s') if amount == 1 else kind}",
                "sets": {name: value for name, value in change.items() if name != "after"},
                "happened": place < stage,
            }


def _overview(scenario: Scenario, is_active: bool) -> dict[str, Any]:
    """What is told of each scenario in the list of all."""
    holdings = scenario.holdings
    return _summary(scenario) | {
        "active": is_active,
        "statuses": {
            status: sum(counts.get(status, 0) for counts in holdings.values())
            for status in STATUSES
        },
        "applicationCount": len(holdings),
        "applications": [
            {"name": name, "statuses": {status: counts.get(status, 0) for status in STATUSES}}
            for name, counts in islice(holdings.items(), MAX_APPLICATIONS)
        ],
        "apiKeys": scenario.api_keys,
        "faults": [fault.sentence for fault in scenario.faults],
        "changes": sum(len(release["changes"]) for release in scenario.changing),
    }


def _summary(scenario: Scenario) -> dict[str, Any]:
    return {
        "name": scenario.name,
        "description": scenario.description,
        "releaseCount": scenario.release_count,
    }


def _session_json(standing: Standing) -> dict[str, Any]:
    """A session as it is shown; its key is told once, to whoever opened it."""
    here = f"{ADMIN_PREFIX}/sessions/{standing.id}"
    return {
        "id": standing.id,
        "label": standing.label,
        "scenario": standing.scenario,
        "revision": standing.revision,
        "links": {
            "self": here,
            "scenario": f"{here}/scenario",
            "reset": f"{here}/reset",
            "requests": f"{here}/requests",
            "clock": f"{here}/clock",
        },
    }
