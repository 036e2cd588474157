"""`/__admin`: the state of the mock, shown and switched over HTTP. JSON in and out.

Each function follows the declaration of its call, by which Flask routes to it, Marshmallow loads
what it takes and dumps what it returns, and OpenAPI describes it. A function of a `session` is
called at `/__admin/...` for the default one, at `/__admin/sessions/ID/...` for any other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from inspect import signature
from itertools import islice
from typing import Any, TypeVar

from flask import Blueprint, Response, abort, current_app, json, jsonify, request, url_for
from marshmallow import Schema, ValidationError
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from .._version import __version__
from ..core.answer import ALONE
from ..core.errors import ScenarioError, UnknownName, flatten, nearest, spell
from ..core.mock import ADMIN_PREFIX, LocalSession
from ..core.request import MAX_BODY, Answer, UnreadableBody, read_json
from ..core.scenario import RELEASES, Scenario
from ..core.session import DEFAULT, Session
from ..core.times import outgoing
from ..endpoints import KINDS
from . import page, schemas
from .blueprint import as_response, current_mock, read_body
from .guard import Guard

blueprint = Blueprint("admin", __name__, url_prefix=ADMIN_PREFIX)

Function = TypeVar("Function", bound=Callable[..., Any])
Values = dict[str, Any]
"""What a function returns, for the schema of its answer to dump."""


@dataclass
class Call:
    """The declaration of a call, and the decorator of the function that carries it out.

    The function gets what is in the path; `session`, if it has that parameter; and as `wanted`
    what the call takes. It returns what the schema of the answer dumps, or a whole Response.

    path: without the prefix of the admin API.
    takes: the schema of the query of a GET, or of the JSON body of any other; a POST may go
        without one.
    refusals: statuses of problems, in addition to those that calls of this kind have anyway.
    """

    method: str
    path: str
    answer: type[Schema] | None = None
    takes: type[Schema] | None = None
    status: int = 200
    refusals: tuple[int, ...] = ()
    of_session: bool = field(init=False)
    paths: tuple[str, ...] = field(init=False)
    summary: str = field(init=False)

    def __call__(self, function: Function) -> Function:
        name = function.__name__
        CALLS[name] = self
        self.summary = (function.__doc__ or "").partition("\n")[0]
        self.of_session = "session" in signature(function).parameters
        also = [f"/sessions/<id_>{self.path}"] if self.of_session else []
        self.paths = (self.path, *also) if self.path else ("", "/")

        def view(**arguments: Any) -> Response:
            if self.of_session:
                arguments["session"] = current_mock().local(arguments.pop("id_", DEFAULT))
            if self.takes:
                arguments["wanted"] = self.takes().load(self._read())
            elif self.method != "GET":
                read_body(request)  # where half of one arrives, nothing is done
            found = function(**arguments)
            if isinstance(found, Response):
                return found
            if self.answer is None:
                return as_response(Answer(204, (), b""))
            return reply(self.answer, found, self.status)

        for path in self.paths:
            blueprint.add_url_rule(path, name, view, methods=[self.method])
        return function

    def _read(self) -> Any:
        """The query of this request, or its JSON body. Raises: HTTPException."""
        if self.method == "GET":
            return request.args.to_dict()
        body = read_body(request)
        if len(body) > MAX_BODY:
            abort(413)
        if not body and self.method == "POST":
            return {}
        if not request.is_json:
            abort(415, "say that the body is JSON: set Content-Type: application/json")
        try:
            return read_json(body)
        except UnreadableBody as error:
            raise ValidationError({"body": [str(error)]}) from None


CALLS: dict[str, Call] = {}
"""The calls of the admin API, by the names of their functions."""


def reply(schema: type[Schema], found: object, status: int = 200) -> Response:
    """A response with the JSON of what a schema dumps."""
    response = jsonify(schema().dump(found))
    response.status_code = status
    return response


def problem(status: int, title: str, detail: str, **more: object) -> Response:
    """An error as problem details (RFC 9457)."""
    details = {"status": status, "title": title, "detail": detail, **more}
    response = reply(schemas.Problem, details, status)
    response.content_type = "application/problem+json"
    return response


def refuse(error: Exception) -> Response:
    """What a call cannot do, as problem details."""
    text = str(error)
    match error:
        case UnknownName(kind="session"):
            return problem(404, "Unknown session", f"{text}; it may have ended", name=error.name)
        case UnknownName():
            more = {"name": error.name, "scenarios": error.known, "nearest": error.nearest}
            return problem(404, "Unknown scenario", text, **more)
        case ScenarioError() if request.endpoint == "admin.reload":
            text = "The scenario files have problems; the mock goes on with what it had."
            return problem(409, "Bad scenario files", text, problems=error.problems)
        case ScenarioError():
            text = "; ".join(map(str, error.problems))
            return problem(400, "Bad scenario", text, problems=error.problems)
        case ValidationError():
            found = flatten(error.messages_dict)
            problems = [f"{spell(where) or 'body'}: {message}" for where, message in found]
            return problem(400, "Bad request", "; ".join(problems), problems=problems)
        case NotFound():
            near = _nearest_call()
            guess = f"did you mean {near}?" if near else f"{ADMIN_PREFIX}/ has links to the calls"
            text = f"there is nothing at {request.path}; {guess}"
            return problem(404, error.name, text, nearest=near)
        case MethodNotAllowed():
            allowed = ", ".join(sorted(error.valid_methods or ()))
            text = f"{request.method} is not a call at {request.path}; use {allowed}"
            response = problem(405, error.name, text)
            response.headers["Allow"] = allowed
            return response
        case HTTPException():
            return problem(error.code or 500, error.name, error.description or error.name)
        case ConnectionError():
            return problem(503, "No shared state", text)
        case _:
            return problem(409, "Not possible", text)


def _nearest_call() -> str | None:
    """The path of a call that is most like that of this request, and has its names and ids."""
    sent = request.path.removeprefix(ADMIN_PREFIX).split("/")
    paths = [path.split("/") for call in CALLS.values() for path in call.paths]
    likely = [
        "/".join(its if "<" in mine else mine for mine, its in zip(parts, sent, strict=True))
        for parts in paths
        if len(parts) == len(sent)
    ]
    near = nearest("/".join(sent), likely)
    return near and ADMIN_PREFIX + near


for _kind in (UnknownName, ScenarioError, ValidationError, ConnectionError, RuntimeError):
    blueprint.register_error_handler(_kind, refuse)


@blueprint.before_request
def _let_in() -> Response | None:
    """Every call passes the guard first, and one of several processes changes nothing by itself."""
    guard: Guard = current_app.extensions["mockbm.guard"]
    called = request.endpoint
    is_file = called == "admin.page_file" or (called == "admin.index" and page.is_for_people())
    refusal = guard.refusal(request, is_file=is_file)
    if refusal:
        status, why = refusal
        response = problem(status, "Not allowed", why)
        if status == 401:
            response.headers["WWW-Authenticate"] = 'Bearer realm="mockbm admin"'
        return response
    reads = request.method in ("GET", "HEAD") and called != "admin.list_requests"
    if reads or current_mock().store.shared or not request.environ.get("wsgi.multiprocess"):
        return None
    return problem(409, "One of several processes", f"{ALONE[0].upper()}{ALONE[1:]}.")


@Call("GET", "/scenarios", schemas.Scenarios)
def list_scenarios() -> Values:
    """All scenarios."""
    active = current_mock().default.scenario
    scenarios = current_mock().catalog.scenarios.values()
    return {"active": active.name, "scenarios": [_overview(item, active) for item in scenarios]}


@Call("GET", "/scenarios/<name>", schemas.Content)
def show_scenario(name: str) -> Values:
    """One scenario, with its releases."""
    active = current_mock().default.scenario
    return _overview(current_mock().catalog.get(name), active) | _records(name, RELEASES)


@Call("GET", "/scenarios/<name>/state", schemas.State)
def show_scenario_state(name: str) -> Values:
    """The records that a scenario has when it becomes active."""
    return _records(name, *KINDS)


def _records(name: str, *kinds: str) -> Values:
    """Records of a scenario as a session would begin with them now."""
    scenario = current_mock().catalog.get(name)
    with current_mock().use(DEFAULT) as default:
        clock = default.clock
    fresh = Session("", "", name, name, clock, clock.now())
    fresh.load(scenario)
    return {kind: json.loads(fresh.table(kind).select({}).body) for kind in kinds}


def _overview(scenario: Scenario, active: Scenario) -> Values:
    holdings = scenario.holdings
    largest = islice(holdings.items(), schemas.MAX_APPLICATIONS)
    return {
        "scenario": scenario,
        "active": scenario.fingerprint == active.fingerprint,
        "statuses": sum(map(Counter, holdings.values()), Counter()),
        "applicationCount": len(holdings),
        "applications": [{"name": name, "statuses": counts} for name, counts in largest],
        "faults": [fault.sentence for fault in scenario.faults],
        "changes": sum(len(row["changes"]) for _, row in scenario.changing),
    }


@Call("GET", "/scenario", schemas.Active)
def show_active(session: LocalSession) -> Values:
    """The active scenario."""
    with current_mock().use(session.id) as found:
        shown = {"scenario": found.scenario, "active": True, "revision": found.revision}
        return shown | _progress(found) if found.is_live else shown


def _progress(session: Session) -> Values:
    """What has happened in a scenario that counts or changes."""
    scenario, counts, stages = session.scenario, session.counts, session.stages()
    seen = counts.met or [0] * len(session.all_faults)
    faults = zip(session.all_faults, seen, strict=True)
    run = {"calls": counts.calls, "seconds": round(session.seconds, 3), "faults": seen}
    return {
        "run": run | {"changes": sum(stages)},
        "faults": [{"fault": x.sentence, "met": met, "over": x.is_over(met)} for x, met in faults],
        "changes": [*islice(_changes(scenario, stages), schemas.MAX_CHANGES)],
    }


def _changes(scenario: Scenario, stages: list[int]) -> Iterator[Values]:
    """Each change of each release, and whether it has happened."""
    for (_, release), stage in zip(scenario.changing, stages, strict=True):
        for place, change in enumerate(release["changes"]):
            kind, amount = change["after"]
            yield release | {
                "after": f"{amount:.15g} {kind.removesuffix('s') if amount == 1 else kind}",
                "sets": {name: value for name, value in change.items() if name != "after"},
                "happened": place < stage,
            }


@Call("PUT", "/scenario", schemas.Active, schemas.Switch, refusals=(404,))
def switch_scenario(session: LocalSession, wanted: Mapping[str, Any]) -> Values:
    """Switch to a scenario: to one by its name, or to a whole one."""
    if "values" in wanted:
        session.use_values(wanted["values"])
    else:
        session.use(wanted["name"])
    return show_active(session)


@Call("PUT", "/faults", schemas.Active, schemas.FaultsWanted)
def use_faults(session: LocalSession, wanted: Mapping[str, Any]) -> Values:
    """Let requests meet faults before those of the active scenario, which goes on."""
    session.use_faults(wanted["faults"])
    return show_active(session)


@Call("GET", "/state", schemas.State)
def show_state(session: LocalSession) -> Values:
    """The records as they are now, with what calls have changed."""
    return session.state()


@Call("POST", "/reset", schemas.Active)
def reset(session: LocalSession) -> Values:
    """Back to the state after a start."""
    session.reset()
    return show_active(session)


@Call("GET", "/clock", schemas.Clock)
def show_clock(session: LocalSession) -> Values:
    """The clock."""
    with current_mock().use(session.id) as found:
        return {"now": outgoing(found.clock.now()), "set": found.clock.set_to is not None}


@Call("PUT", "/clock", schemas.Clock, schemas.ClockWanted)
def set_clock(session: LocalSession, wanted: Mapping[str, str]) -> Values:
    """Stop the clock at a moment, or put it forward."""
    ((name, text),) = wanted.items()
    try:
        session.set_clock(text) if name == "now" else session.advance_clock(text)
    except ValueError as error:
        raise ValidationError({name: [str(error)]}) from None
    return show_clock(session)


@Call("DELETE", "/clock", schemas.Clock)
def release_clock(session: LocalSession) -> Values:
    """Let the clock show the machine's time."""
    session.release_clock()
    return show_clock(session)


@Call("GET", "/requests", schemas.Requests, schemas.RequestsWanted)
def list_requests(session: LocalSession, wanted: Mapping[str, Any]) -> Values:
    """The journal, newest last."""
    return {"requests": session.requests(**wanted)}


@Call("DELETE", "/requests", status=204)
def clear_requests(session: LocalSession) -> None:
    """Empty the journal."""
    session.clear_requests()


@Call("GET", "/sessions", schemas.Sessions)
def list_sessions() -> Values:
    """The sessions."""
    return {"sessions": [*map(_session, current_mock().sessions())]}


def _session(session: Session) -> Values:
    here = url_for("admin.show_session", id_=session.id)
    links = {"self": here, **_links(here, of_session=True)}
    return {**vars(session), "scenario": session.active, "links": links}


@Call("POST", "/sessions", schemas.Opened, schemas.SessionWanted, status=201, refusals=(404, 429))
def open_session(wanted: Mapping[str, str]) -> Response:
    """Open a session, which has an API key of its own."""
    try:
        session = current_mock().open_session(wanted.get("scenario"), wanted["label"])
    except RuntimeError as error:
        return problem(429, "Too many sessions", str(error))
    with current_mock().use(session.id) as opened:
        shown = {**_session(opened), "apiKey": session.api_key}
    response = reply(schemas.Opened, shown, 201)
    response.headers["Location"] = shown["links"]["self"]
    return response


@Call("GET", "/sessions/<id_>", schemas.Session)
def show_session(id_: str) -> Values:
    """One session."""
    with current_mock().use(id_) as session:
        return _session(session)


@Call("DELETE", "/sessions/<id_>", status=204)
def end_session(id_: str) -> None:
    """End a session."""
    current_mock().end_session(id_)


@Call("POST", "/reload", schemas.Scenarios)
def reload() -> Values:
    """Read the scenario files again."""
    current_mock().reload()
    return list_scenarios()


@Call("GET", "/health", schemas.Health)
def health() -> Response:
    """Whether it is up, and what is active."""
    found = get_health()
    return reply(schemas.Health, found, 503 if found["status"] == "unavailable" else 200)


def get_health() -> Values:
    """How the mock is."""
    mock = current_mock()
    found: Values = {
        "status": "degraded" if mock.catalog.problems else "ok",
        "problems": [*mock.catalog.problems],
        "version": __version__,
        "uptime": round(mock.uptime, 3),
        "loaded": mock.catalog.loaded,
        "state": mock.store.name,
        "scenarios": len(mock.catalog.scenarios),
    }
    try:
        with mock.use(DEFAULT) as session:
            found |= {"scenario": session.scenario.name, "revision": session.revision}
        found["sessions"] = len(mock.sessions())
    except ConnectionError as error:
        found |= {"status": "unavailable", "problems": [error, *found["problems"]]}
    return found


@Call("GET", "/openapi.json", schemas.Document)
def openapi() -> Values:
    """This document."""
    from .openapi import describe  # here, because a start need not wait for it

    servers = {"servers": [{"url": request.script_root}]} if request.script_root else {}
    return describe(current_app, CALLS) | servers


@Call("GET", "", schemas.Index)
def index() -> Response:
    """Whether it is up, and where its calls are; a page for browsers."""
    here = f"{request.script_root}{ADMIN_PREFIX}"
    if not page.is_for_people():
        response = reply(schemas.Index, get_health() | {"links": _links(here)})
    elif not request.path.endswith("/"):
        response = Response(status=308, headers={"Location": f"{here}/"})
    else:
        response = page.send("index.html")
    response.vary.add("Accept")
    return response


def _links(here: str, *, of_session: bool = False) -> dict[str, str]:
    """The paths of the calls, or of those of a session, below a path; by their names."""
    calls = [call.path for call in CALLS.values() if call.of_session or not of_session]
    names = dict.fromkeys(path[1:] for path in calls if path and "<" not in path)
    return {name.partition(".")[0]: f"{here}/{name}" for name in names}


blueprint.add_url_rule(f"/page/<any({page.NAMES}):name>", "page_file", page.send)
