"""The OpenAPI document (3.1) of the endpoint and the admin API, made of their Marshmallow schemas.

Which calls there are is asked of the application, so a call that is not described here is missed
at once. What they take and answer is told by schemas: those that load requests, and those below.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Flask
from marshmallow import EXCLUDE, INCLUDE, Schema, fields

from . import __version__
from .admin import (
    MAX_APPLICATIONS,
    MAX_CHANGES,
    IdsSchema,
    RequestsSchema,
    SessionSchema,
    SwitchSchema,
)
from .api import EXPLAIN_HEADER, PATH, REVISION_HEADER, SCENARIO_HEADER
from .describe import (
    IN_BODY,
    IN_FORM,
    IN_JSON,
    OUTSIDE,
    JsonSchema,
    Place,
    given,
    json_schema,
    taught,
)
from .faults import MAX_DELAY, Seconds
from .fields import Date, NamedSchema
from .guard import Guard
from .parameters import KEY_HEADER, KEY_USER
from .releases import ReleaseSchema
from .scenario import DEFAULT_API_KEY, ORDERS, ScenarioSchema
from .selection import FilterSchema


def _whole(least: int = 0, **more: Any) -> fields.Integer:
    return fields.Integer(required=True, metadata={"minimum": least, **more})


def _texts(**metadata: Any) -> fields.List[str]:
    return fields.List(fields.String(), required=True, metadata=metadata)


def _text(**metadata: Any) -> fields.String:
    return fields.String(required=True, metadata=metadata)


class Answer(Schema):
    """What the admin API answers. Callers pass over properties that they do not know."""

    class Meta:
        unknown = EXCLUDE


class SummarySchema(Answer):
    """A scenario in a list."""

    name = _text()
    description = _text()
    releaseCount = _whole()
    active = fields.Boolean(required=True)


class StatusesSchema(Answer):
    """How many releases have which status."""

    active = _whole()
    deployed = _whole()
    canceled = _whole()


class ApplicationSchema(Answer):
    name = _text()
    statuses = fields.Nested(StatusesSchema, required=True)


class OverviewSchema(SummarySchema):
    """A scenario in the list of all, with what it holds."""

    statuses = fields.Nested(StatusesSchema, required=True)
    applicationCount = _whole()
    applications = fields.List(
        fields.Nested(ApplicationSchema),
        required=True,
        metadata={"description": f"Those with most releases, {MAX_APPLICATIONS} at most."},
    )
    apiKeys = _texts(description="The API keys that it accepts.")
    faults = _texts(description="What it does on purpose, each fault in a sentence.")
    changes = _whole(description="How many changes its releases go through.")


class ReleaseShownSchema(ReleaseSchema):
    """A release as it is answered: with what `completed` adds, and what a scenario has as extra."""

    class Meta:
        unknown = INCLUDE
        exclude = ("extra", "absent", "changes")

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        field_obj.required = field_obj.required or field_name in (
            *("name", "sequence", "status", "createdBy", "createdOn", "deployables"),
            *("releaseName", "releaseNumber"),
        )


class ScenariosSchema(Answer):
    active = _text(description="The name of the active scenario.")
    scenarios = fields.List(fields.Nested(OverviewSchema), required=True)


class ShownSchema(OverviewSchema):
    """A scenario with its releases, as they are when it becomes active."""

    order = fields.String(required=True, metadata={"enum": [*ORDERS]})
    releases = fields.List(fields.Nested(ReleaseShownSchema), required=True)


class RunSchema(Answer):
    """What a scenario that counts or changes has been through."""

    calls = _whole(description="Answers with releases since it became active.")
    seconds = fields.Float(required=True, metadata={"description": "Since it became active."})
    faults = fields.List(
        fields.Integer(),
        required=True,
        metadata={"description": "How many matching requests each fault has met."},
    )
    changes = _whole(description="How many changes have happened.")


class FaultShownSchema(Answer):
    fault = _text(description="What it does, in a sentence.")
    met = _whole(description="How many matching requests it has met.")
    over = fields.Boolean(
        required=True, metadata={"description": "Whether it will do nothing any more."}
    )


class ChangeShownSchema(Answer):
    id = fields.Integer(required=True, metadata={"description": "Of the release."})
    number = _text()
    applicationName = _text()
    after = _text(description="When it happens, such as `3 calls`.")
    sets = fields.Dict(required=True, metadata={"description": "What the release has then."})
    happened = fields.Boolean(required=True)


class ActiveSchema(SummarySchema):
    """The active scenario."""

    revision = _whole(1, description="Counts switches, reloads and set clocks.")
    run = fields.Nested(RunSchema, metadata={"description": "Only where it counts or changes."})
    faults = fields.List(
        fields.Nested(FaultShownSchema), metadata={"description": "Only where there is a run."}
    )
    changes = fields.List(
        fields.Nested(ChangeShownSchema),
        metadata={"description": f"Only where there is a run; the first {MAX_CHANGES}."},
    )


class ClockShownSchema(Answer):
    now = _text(description="What the clock shows, as dates in releases.")
    set = fields.Boolean(
        required=True, metadata={"description": "Whether it stands still, as it was set to."}
    )


class EntrySchema(Answer):
    """One request in a journal."""

    number = _whole(1, description="Counts the requests of this journal.")
    time = _text(description="When it was answered, UTC.")
    method = _text()
    path = _text(description="Without the query.")
    status = _whole(description="That of the answer; 0 where a fault let none arrive.")
    scenario = _text()
    revision = _whole(1)
    parameters = fields.Dict(
        values=fields.String(), required=True, metadata={"description": "Without API keys."}
    )
    places = fields.Dict(
        values=fields.String(metadata={"enum": ["query", "form", "JSON"]}), required=True
    )
    count = _whole(description="How many releases the answer had.")
    ids = fields.List(fields.Integer(), required=True)
    duration = fields.Float(required=True, metadata={"description": "In seconds."})
    explanation = _text(description="Why the answer is what it is.")
    ignored = _texts(description="Parameters that had no effect.")
    notes = _texts(description="What else was odd.")


class RequestsShownSchema(Answer):
    requests = fields.List(fields.Nested(EntrySchema), required=True)


class LinksSchema(Answer):
    self = _text()
    scenario = _text()
    reset = _text()
    requests = _text()
    clock = _text()


class SessionShownSchema(Answer):
    """A session; its API key is told once, to whoever opened it."""

    id = _text()
    label = _text()
    scenario = _text(description="The name of its active scenario.")
    revision = _whole(1)
    links = fields.Nested(LinksSchema, required=True)


class OpenedSchema(SessionShownSchema):
    """A session that has just been opened."""

    apiKey = _text(description="The API key whose requests see this session.")


class SessionsSchema(Answer):
    sessions = fields.List(fields.Nested(SessionShownSchema), required=True)


class HealthSchema(Answer):
    """How the mock is. What is active, it does not know while its shared state does not answer."""

    status = _text(enum=["ok", "degraded", "unavailable"])
    problems = _texts(description="Of changed files, while what was there before is served on.")
    version = _text()
    uptime = fields.Float(required=True, metadata={"description": "In seconds."})
    loaded = _text(description="When the scenario files were read.")
    state = _text(description="Where sessions are kept: `memory`, or a server.")
    scenario = fields.String(metadata={"description": "The name of the active scenario."})
    revision = fields.Integer(metadata={"minimum": 1})
    scenarios = _whole(1, description="How many there are.")
    sessions = fields.Integer(metadata={"minimum": 0, "description": "How many are open."})


class IndexSchema(HealthSchema):
    links = fields.Dict(
        values=fields.String(), required=True, metadata={"description": "Where the calls are."}
    )


class ProblemSchema(Answer):
    """Problem details (RFC 9457)."""

    type = _text()
    title = _text()
    status = _whole(400, maximum=599)
    detail = _text(description="What came, what was expected, and what is near.")
    problems = fields.List(fields.String(), metadata={"description": "Each problem on its own."})
    name = fields.String(metadata={"description": "The name that nothing has."})
    nearest = fields.String(allow_none=True, metadata={"description": "The likeliest name."})
    scenarios = fields.List(fields.String(), metadata={"description": "The names there are."})


class DocumentSchema(Answer):
    openapi = _text()
    info = fields.Dict(required=True)
    tags = fields.List(fields.Dict())
    paths = fields.Dict(required=True)
    components = fields.Dict()


class ClockWantedSchema(NamedSchema):
    """A body that `ClockSchema` loads, and what its texts have to be."""

    now = Date(metadata={"description": "Stop the clock at this date, which is no now-3d."})
    advance = Seconds(metadata={"description": "Put the clock forward by this duration."})


@dataclass(frozen=True)
class Call:
    """What one function of the admin API does for its callers.

    answer: of a success with a body. body: of the request, as a component. refusals: statuses of
    problems, beside those that calls with a body or with a name in their path have anyway.
    """

    summary: str
    answer: type[Schema] | None = None
    status: int = 200
    body: str | None = None
    body_required: bool = True
    query: type[Schema] | None = None
    refusals: tuple[int, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)


_FOLLOW: JsonSchema = {
    name: {"operationId": name, "parameters": {"id": "$response.body#/id"}}
    for name in (
        *("show_session", "end_session", "reset_of_session", "show_active_of_session"),
        *("switch_scenario_of_session", "list_requests_of_session", "show_clock_of_session"),
        *("set_clock_of_session", "release_clock_of_session", "clear_requests_of_session"),
    )
}
"""What can be done with a session that has just been opened."""

CALLS: dict[str, Call] = {
    "list_scenarios": Call("All scenarios.", ScenariosSchema),
    "show_scenario": Call(
        "One scenario, with its releases.", ShownSchema, query=IdsSchema, refusals=(400,)
    ),
    "show_active": Call("The active scenario.", ActiveSchema),
    "switch_scenario": Call(
        "Switch to a scenario: to one by its name, or to one that is given whole.",
        ActiveSchema,
        body="Switch",
        refusals=(404, 409),
    ),
    "reset": Call("Back to what a fresh start gives.", ActiveSchema),
    "show_clock": Call("The clock.", ClockShownSchema),
    "set_clock": Call(
        "Stop the clock at a moment, or put it forward.", ClockShownSchema, body="ClockWanted"
    ),
    "release_clock": Call("Let the clock show the machine's time again.", ClockShownSchema),
    "list_requests": Call(
        "The journal, newest last.", RequestsShownSchema, query=RequestsSchema, refusals=(400,)
    ),
    "clear_requests": Call("Empty the journal.", status=204),
    "list_sessions": Call("The sessions.", SessionsSchema),
    "open_session": Call(
        "Open a session, which has an API key of its own.",
        OpenedSchema,
        status=201,
        body="SessionWanted",
        body_required=False,
        refusals=(404, 429),
        more={
            "headers": {"Location": {"required": True, "schema": {"type": "string"}}},
            "links": _FOLLOW,
        },
    ),
    "show_session": Call("One session.", SessionShownSchema),
    "end_session": Call("End a session.", status=204),
    "reload": Call("Read the scenario files again.", ScenariosSchema, refusals=(400, 409)),
    "health": Call("Whether it is up, and what is active.", HealthSchema),
    "index": Call("Whether it is up, and where its calls are; a page for browsers.", IndexSchema),
    "openapi": Call("This document.", DocumentSchema),
}
"""The functions of the admin API, by their names."""

_REFUSALS = {
    400: "The request is not what was expected.",
    401: "The admin token is missing or wrong.",
    403: "Web pages and other machines cannot call the admin API.",
    404: "There is nothing of that name.",
    409: "Not possible as things are; nothing has changed.",
    413: "The body is over 1 MiB.",
    415: "The body does not say that it is JSON.",
    503: "The shared state does not answer.",
    429: "There are as many sessions as are allowed.",
}


def described(app: Flask) -> JsonSchema:
    """The OpenAPI document of an application. Raises: KeyError for a call that has no words."""
    plugin = MarshmallowPlugin(schema_name_resolver=_component)
    spec = APISpec(
        title="mockbm",
        version=__version__,
        openapi_version="3.1.0",
        info={
            "description": "A mock of BuildMaster's Get Releases endpoint, and the admin API that "
            "switches what it answers.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        tags=[
            {"name": "endpoint", "description": "As BuildMaster answers it."},
            {"name": "admin", "description": "The state of the mock, shown and switched."},
        ],
        plugins=[plugin],
    )
    taught(plugin, OUTSIDE)
    guard: Guard | None = app.extensions.get("mockbm.guard")
    _add_components(spec, has_token=guard is not None and guard.token is not None)
    spec.path(PATH, operations=_endpoint())
    for path, operations in _admin(app).items():
        spec.path(path, operations=operations)
    return spec.to_dict()


def _component(schema: Schema | type[Schema]) -> str:
    kind = schema if isinstance(schema, type) else type(schema)
    return kind.__name__.removesuffix("Schema").removesuffix("Shown")


def _add_components(spec: APISpec, *, has_token: bool) -> None:
    scenario = json_schema(ScenarioSchema(), IN_BODY)
    clock = json_schema(ClockWantedSchema(), IN_BODY)
    clock["oneOf"] = [given("now"), given("advance")]
    bodies: dict[str, JsonSchema] = {
        "Switch": {"anyOf": [_reference("Named"), _reference("Scenario")]},
        "Named": json_schema(SwitchSchema(), IN_BODY),
        "Scenario": scenario | {"description": "The keys of a scenario file."},
        "SessionWanted": json_schema(SessionSchema(), IN_BODY),
        "ClockWanted": clock,
        "Filters": _filters(IN_JSON),
        "FiltersInForm": _filters(IN_FORM),
    }
    for name, component in bodies.items():
        spec.components.schema(name, component)
    schemes: dict[str, JsonSchema] = {
        "header": {"type": "apiKey", "in": "header", "name": KEY_HEADER},
        "basic": {
            "type": "http",
            "scheme": "basic",
            "description": f"The user is {KEY_USER}, the password is the key.",
        },
        "query": {"type": "apiKey", "in": "query", "name": "key"},
    }
    if has_token:
        schemes["token"] = {"type": "http", "scheme": "bearer"}
    for name, scheme in schemes.items():
        spec.components.security_scheme(name, scheme)


def _reference(name: str) -> JsonSchema:
    return {"$ref": f"#/components/schemas/{name}"}


def _filters(place: Place) -> JsonSchema:
    """The filters in a body, where the key may stand, too."""
    shape = json_schema(FilterSchema(), place)
    words = f"The API key, such as {DEFAULT_API_KEY}, where it stands nowhere else."
    shape["properties"] |= {name: {"description": words} for name in ("API_Key", "key")}
    return shape


_HEADERS: JsonSchema = {
    SCENARIO_HEADER: {
        "description": "The scenario that answered.",
        "required": True,
        "schema": {"type": "string"},
    },
    REVISION_HEADER: {
        "description": "Counts switches, reloads and set clocks.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
    EXPLAIN_HEADER: {
        "description": "Why the answer is what it is.",
        "required": True,
        "schema": {"type": "string"},
    },
}


def _endpoint() -> dict[str, JsonSchema]:
    text = {"text/plain": {"schema": {"type": "string"}}}
    releases = {"type": "array", "items": ReleaseShownSchema}
    answers: dict[str, JsonSchema] = {
        "200": {
            "description": "The releases that match, newest first; [] for none.",
            "content": {"application/json": {"schema": releases}},
        },
        "400": {"description": "What is wrong, one problem a line.", "content": text},
        "403": {"description": "The API key is missing, unknown or refused. No body."},
        "409": {
            "description": "The scenario counts or changes, and this is one of several processes "
            "that share no state.",
            "content": text,
        },
        "413": {"description": "The body is over 1 MiB.", "content": text},
        "429": {
            "description": "A fault of the scenario: more requests than its rate.",
            "content": text,
        },
        "5XX": {
            "description": "A fault of the scenario. It may also ask for any other status, "
            f"body and headers, a broken connection, or a delay of up to {MAX_DELAY} s.",
            "content": {"*/*": {}},
        },
    }
    for answer in answers.values():
        answer["headers"] = _HEADERS
    answers["503"] = {
        "description": "The shared state of several mocks does not answer, or a fault.",
        "content": {"*/*": {}},
        "headers": {EXPLAIN_HEADER: _HEADERS[EXPLAIN_HEADER]},
    }
    common = {
        "tags": ["endpoint"],
        "security": [{"header": []}, {"basic": []}, {"query": []}],
        "responses": answers,
    }
    where = (
        "Each filter is given at most once, in the query or in a body, with either verb; at most "
        "one of applicationId and applicationName, and one of releaseId, releaseNumber and "
        "releaseName. Names ignore case. Null and empty count as not given."
    )
    kinds = {"application/json": "Filters"} | dict.fromkeys(
        ("application/x-www-form-urlencoded", "multipart/form-data"), "FiltersInForm"
    )
    content = {kind: {"schema": _reference(name)} for kind, name in kinds.items()}
    return {
        "get": {
            "operationId": "get_releases",
            "summary": "Get Releases, with filters in the query.",
            "description": where,
            "parameters": _query(FilterSchema(), allowEmptyValue=True),
            **common,
        },
        "post": {
            "operationId": "post_releases",
            "summary": "Get Releases, with filters in a body.",
            "description": f"{where} The key may be in the body, too, as API_Key or key.",
            "requestBody": {"content": content},
            **common,
        },
    }


def _query(schema: Schema, **more: object) -> list[JsonSchema]:
    shapes = json_schema(schema, OUTSIDE)["properties"]
    return [
        {"name": name, "in": "query", "description": shape.pop("description", ""), **more}
        | {"schema": shape}
        for name, shape in shapes.items()
    ]


def _admin(app: Flask) -> dict[str, dict[str, JsonSchema]]:
    """The calls of the admin API: path to method to operation."""
    guard: Guard | None = app.extensions.get("mockbm.guard")
    found: dict[str, dict[str, JsonSchema]] = {}
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        room, _, name = rule.endpoint.partition(".")
        if room != "admin" and rule.endpoint != "page.index":
            continue
        path = re.sub(r"<(\w+?)_?>", r"{\1}", rule.rule)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            operation = _operation(name, path)
            if method != "GET" or name == "list_requests":
                operation["responses"].setdefault("409", _refusal(409))
            if guard is not None and guard.token is not None:
                operation["security"] = [{"token": []}]
                operation["responses"]["401"] = _refusal(401)
            found.setdefault(path, {})[method.lower()] = operation
    return found


def _operation(name: str, path: str) -> JsonSchema:
    call = CALLS[name]
    in_path = re.findall(r"{(\w+)}", path)
    of_session = in_path == ["id"] and not name.endswith("_session")
    refusals = {403, *call.refusals, *([404] if in_path else [])}
    operation: JsonSchema = {
        "operationId": f"{name}_of_session" if of_session else name,
        "summary": f"{call.summary[:-1]}, in a session." if of_session else call.summary,
        "tags": ["admin"],
        "parameters": [
            {"name": part, "in": "path", "required": True, "schema": {"type": "string"}}
            for part in in_path
        ]
        + (_query(call.query()) if call.query else []),
    }
    if call.body:
        refusals |= {400, 413, 415}
        content = {"application/json": {"schema": _reference(call.body)}}
        operation["requestBody"] = {"required": call.body_required, "content": content}
    success: JsonSchema = {"description": "Done.", **call.more}
    if call.answer:
        success["content"] = {"application/json": {"schema": call.answer}}
    operation["responses"] = {str(call.status): success} | {
        str(status): _refusal(status) for status in sorted(refusals | {503})
    }
    if name == "health":
        operation["responses"]["503"] = {**success, "description": _REFUSALS[503]}
    elif name == "index":
        success["content"]["text/html"] = {"schema": {"type": "string"}}
        operation["responses"]["308"] = {"description": "For browsers: to the path with a slash."}
    return operation


def _refusal(status: int) -> JsonSchema:
    content = {"application/problem+json": {"schema": ProblemSchema}}
    return {"description": _REFUSALS[status], "content": content}
