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
from marshmallow import Schema

from . import __version__
from .admin import (
    ClockSchema,
    RequestsSchema,
    SessionSchema,
    SwitchSchema,
)
from .answers import (
    ActiveSchema,
    ClockShownSchema,
    DocumentSchema,
    HealthSchema,
    IndexSchema,
    OpenedSchema,
    ProblemSchema,
    ReleaseShownSchema,
    RequestsShownSchema,
    ScenariosSchema,
    SessionShownSchema,
    SessionsSchema,
    ShownSchema,
)
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
from .exchange import EXPLAIN_HEADER, PATH, REVISION_HEADER, SCENARIO_HEADER
from .faults import MAX_DELAY
from .guard import Guard
from .limits import MAX_HEADERS
from .parameters import KEY_HEADER, KEY_USER
from .scenario import DEFAULT_API_KEY, ScenarioSchema
from .selection import FilterSchema


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


def _location(description: str) -> JsonSchema:
    return {
        "Location": {"description": description, "required": True, "schema": {"type": "string"}}
    }


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
    "show_scenario": Call("One scenario, with its releases.", ShownSchema),
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
            "headers": _location("The path of the session."),
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

_CHALLENGE: JsonSchema = {
    "WWW-Authenticate": {
        "description": "That a bearer token is wanted.",
        "required": True,
        "schema": {"type": "string"},
    }
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
    clock = json_schema(ClockSchema(), IN_BODY)
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

_NOT_ALWAYS: JsonSchema = {
    name: header | {"required": False, "description": f"{header['description']} Only of a fault."}
    for name, header in _HEADERS.items()
    if name != EXPLAIN_HEADER
}
_RETRY_AFTER: JsonSchema = {
    "Retry-After": {
        "description": "Seconds to wait. Where a fault gives the whole answer, what it says.",
        "schema": {"type": "string"},
    }
}
_TOO_LONG: JsonSchema = {
    "description": f"Request line and headers are over {MAX_HEADERS // 1024} KiB, together. "
    "From the server itself, which may say nothing more.",
    "content": {"text/plain": {"schema": {"type": "string"}}},
}


def _endpoint_answers() -> dict[str, JsonSchema]:
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
    answers["429"]["headers"] = _HEADERS | _RETRY_AFTER
    answers["431"] = _TOO_LONG
    answers["503"] = {
        "description": "The shared state of several mocks does not answer, or a fault.",
        "content": {"*/*": {}},
        "headers": _HEADERS | _NOT_ALWAYS | _RETRY_AFTER,
    }
    return answers


def _endpoint() -> dict[str, JsonSchema]:
    common = {
        "tags": ["endpoint"],
        "security": [{"header": []}, {"basic": []}, {"query": []}],
        "responses": _endpoint_answers(),
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
            "description": f"{where} The key may be in the body, too, as API_Key or key. The "
            "parameters of the query are those of the GET; here they are not listed, since a "
            "document cannot say that a filter is in one of two places.",
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
                operation["responses"]["401"] = _refusal(401) | {"headers": _CHALLENGE}
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
    operation["responses"]["431"] = _TOO_LONG
    if name == "health":
        operation["responses"]["503"] = {**success, "description": _REFUSALS[503]}
    elif name == "index" and path.endswith("/"):
        success["content"]["text/html"] = {"schema": {"type": "string"}}
    elif name == "index":
        operation["operationId"] = "index_without_slash"
        operation["summary"] = "Whether it is up, and where its calls are; browsers go on."
        operation["responses"]["308"] = {
            "description": "For browsers: the page is at the path with a slash.",
            "headers": _location("The path with a slash."),
        }
    return operation


def _refusal(status: int) -> JsonSchema:
    content = {"application/problem+json": {"schema": ProblemSchema}}
    return {"description": _REFUSALS[status], "content": content}
