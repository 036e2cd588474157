"""The OpenAPI document (3.1) of the endpoint and the admin API, and the schema of scenario files.

What calls take and answer is described by the schemas that load and dump it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flask import Flask
from marshmallow import Schema

from .._version import __version__
from ..core import json_schema
from ..core.answer import EXPLAIN_HEADER, REVISION_HEADER, SCENARIO_HEADER
from ..core.endpoint import Endpoint
from ..core.faults import MAX_DELAY
from ..core.json_schema import JsonSchema, Place, object_schema
from ..core.mock import ADMIN_PREFIX, Mock
from ..core.request import KEY_HEADER, KEY_USER, MAX_HEADERS
from ..core.scenario import DEFAULT_API_KEY
from ..endpoints import ScenarioSchema
from .schemas import Problem


def scenario_schema() -> JsonSchema:
    """The JSON Schema (draft-07, which editors know best) of a scenario file."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A scenario of mockbm",
        **object_schema(ScenarioSchema(), json_schema.IN_FILE),
    }


def describe(app: Flask, calls: Mapping[str, Any]) -> JsonSchema:
    """The OpenAPI document of an application.

    calls: of the admin API, by the names of their functions.
    """
    mock: Mock = app.extensions["mockbm"]
    guard = app.extensions.get("mockbm.guard")
    token = {"token": {"type": "http", "scheme": "bearer"}} if guard and guard.token else {}
    components = Components()
    paths = {path: _describe_endpoint(each, components) for path, each in mock.endpoints.items()}
    for name, call in calls.items():
        for rule in call.paths:
            path = ADMIN_PREFIX + re.sub(r"<(\w+?)_?>", r"{\1}", rule)
            operation = _describe_call(name, call, path, components, [{key: []} for key in token])
            paths.setdefault(path, {})[call.method.lower()] = operation
    opened = paths[f"{ADMIN_PREFIX}/sessions"]["post"]["responses"]["201"]
    of_session = [f"{name}_of_session" for name, call in calls.items() if call.of_session]
    opened["links"] = {
        name: {"operationId": name, "parameters": {"id": "$response.body#/id"}}
        for name in ("show_session", "end_session", *of_session)
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "mockbm",
            "version": __version__,
            "license": {"name": "MIT", "identifier": "MIT"},
            "description": "A mock of BuildMaster's Release & Build API, and the admin API that "
            "switches it.",
        },
        "tags": [
            {"name": "endpoint", "description": "As BuildMaster answers it."},
            {"name": "admin", "description": "The state of the mock, shown and switched."},
        ],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": _KEYS | token},
    }


class Components(dict[str, JsonSchema]):
    """The schemas of a document, by the names of their classes, as they are referred to."""

    def refer(self, schema: Schema, place: Place = json_schema.IN_ANSWER) -> JsonSchema:
        """A reference to a schema, or for `many` to a list of it; it becomes a component."""
        is_form = place is json_schema.IN_FORM
        name = type(schema).__name__.removesuffix("Schema") + ("InForm" if is_form else "")
        if name not in self:
            shape = object_schema(schema, place, self.refer if place.is_answer else None)
            if "" in place.nothing:  # the body of an endpoint
                shape["properties"] |= {"API_Key": _KEY, "key": _KEY}
            if hasattr(schema, "alternative"):
                shape = {"anyOf": [shape, self.refer(schema.alternative(), place)]}
            self[name] = shape
        found = {"$ref": f"#/components/schemas/{name}"}
        return {"type": "array", "items": found} if schema.many else found


_KEY = {"description": f"The API key, such as {DEFAULT_API_KEY}, where it is nowhere else."}
_KEYS: JsonSchema = {
    "header": {"type": "apiKey", "in": "header", "name": KEY_HEADER},
    "basic": {
        "type": "http",
        "scheme": "basic",
        "description": f"The user is {KEY_USER}, the password is the key.",
    },
    "query": {"type": "apiKey", "in": "query", "name": "key"},
}


def _header(description: str, *, required: bool = True, **schema: Any) -> JsonSchema:
    shape = {"type": "string", **schema}
    return {"description": description, "required": required, "schema": shape}


_EXPLAIN = {EXPLAIN_HEADER: _header("Why the answer is what it is.")}
_STATE = {
    SCENARIO_HEADER: _header("The scenario that answered."),
    REVISION_HEADER: _header("Counts switches, reloads, set clocks.", type="integer", minimum=1),
}
_HEADERS = _EXPLAIN | _STATE
_OF_FAULTS = {name: {**header, "required": False} for name, header in _STATE.items()}
_RETRY_AFTER = {"Retry-After": _header("Seconds to wait, or what a fault says.", required=False)}
_TEXT: JsonSchema = {"text/plain": {"schema": {"type": "string"}}}


def _response(
    description: str, content: JsonSchema = _TEXT, headers: JsonSchema = _HEADERS
) -> JsonSchema:
    more = {"content": content, "headers": headers}
    return {"description": description} | {name: value for name, value in more.items() if value}


_TOO_LONG = _response(
    f"Request line and headers are over {MAX_HEADERS // 1024} KiB, together. From the server "
    "itself, which may say nothing more.",
    headers={},
)
_FAILURES = {
    "400": _response("What is wrong, one problem a line."),
    "403": _response("The API key is missing, unknown or refused. No body.", {}),
    "409": _response("The scenario counts or changes, and several processes share no state."),
    "413": _response("The body is over 1 MiB."),
    "429": _response("More requests than the rate of a fault.", headers=_HEADERS | _RETRY_AFTER),
    "431": _TOO_LONG,
    "503": _response(
        "The shared state of several mocks does not answer, or a fault.",
        {"*/*": {}},
        _EXPLAIN | _OF_FAULTS | _RETRY_AFTER,
    ),
    "5XX": _response(
        "A fault of the scenario. It may also ask for any other status, body and headers, a "
        f"broken connection, or a delay of up to {MAX_DELAY} s.",
        {"*/*": {}},
    ),
}
"""What an endpoint answers but for 200."""


def _describe_endpoint(endpoint: Endpoint, components: Components) -> dict[str, JsonSchema]:
    """The operations of an endpoint of BuildMaster: method in lower case to operation."""
    parameters, methods = endpoint.parameters, [x for x in endpoint.methods if x != "HEAD"]
    name = endpoint.path.removeprefix("/api").strip("/").replace("/", "_")
    groups = [f" At most one of {', '.join(each)}." for each in parameters.GROUPS]
    success: JsonSchema = {}
    if endpoint.answer is not None:
        forms = [
            {"type": "null"} if form is None else components.refer(form)
            for form in (endpoint.answer, *endpoint.others)
        ]
        schema = {"anyOf": forms} if endpoint.others else forms[0]
        success = {"application/json": {"schema": schema}}
    operations: dict[str, JsonSchema] = {}
    for method in methods:
        is_get = method == "GET"
        operation = operations[method.lower()] = {
            "operationId": f"{method.lower()}_{name}",
            "summary": f"{endpoint.summary}; parameters in {'the query' if is_get else 'a body'}.",
            "description": "Each parameter is there once at most, in the query or in a body, with "
            "any method. Names ignore case. Null and empty count as left out." + "".join(groups),
            "tags": ["endpoint"],
            "security": [] if endpoint.is_open else [{key: []} for key in _KEYS],
            "responses": {"200": _response("What matches; [] for nothing.", success), **_FAILURES},
        }
        if is_get:
            operation["parameters"] = _query(parameters, json_schema.IN_FORM)
            continue
        operation["description"] += " The key may be in the body, too, as API_Key or key."
        if "GET" in methods:
            operation["description"] += (
                " The parameters of the query are those of the GET; here they are not listed, "
                "since a document cannot say that a parameter is in one of two places."
            )
        form = {"schema": components.refer(parameters, json_schema.IN_FORM)}
        operation["requestBody"] = {
            "required": bool(parameters.NEEDS),
            "content": {
                "application/json": {"schema": components.refer(parameters, json_schema.IN_JSON)},
                "application/x-www-form-urlencoded": form,
                "multipart/form-data": form,
            },
        }
    return operations


def _query(schema: Schema, place: Place) -> list[JsonSchema]:
    """The query as one object, for only so a document can say which parameters go together."""
    what = {"name": "parameters", "description": "The parameters.", "in": "query", "style": "form"}
    shape = object_schema(schema, place)
    return [{**what, "explode": True, "schema": shape}] if shape["properties"] else []


_PROBLEMS = {
    400: "The request is not what was expected.",
    401: "The admin token is missing or wrong.",
    403: "Web pages and other machines cannot call the admin API.",
    404: "There is nothing of that name.",
    409: "Not possible as things are; nothing has changed.",
    413: "The body is over 1 MiB.",
    415: "The body does not say that it is JSON.",
    429: "There are as many sessions as are allowed.",
    503: "The shared state does not answer.",
}


def _describe_call(
    name: str, call: Any, path: str, components: Components, security: list[JsonSchema]
) -> JsonSchema:
    """The operation of a call of the admin API at one of its paths."""
    in_path = re.findall(r"{(\w+)}", path)
    in_session = call.of_session and bool(in_path)
    sends = call.method != "GET"
    changes = sends or path.endswith("/requests")
    takes_json = sends and call.takes
    where = {400: call.takes, 401: security, 404: in_path, 409: changes}
    where |= {413: takes_json, 415: takes_json}
    statuses = {403, 503, *call.refusals, *(status for status, has in where.items() if has)}
    problem = {"application/problem+json": {"schema": components.refer(Problem())}}
    responses = {str(x): _response(_PROBLEMS[x], problem, {}) for x in sorted(statuses)}
    shape = components.refer(call.answer()) if call.answer else {}
    success = _response("Done.", {"application/json": {"schema": shape}} if shape else {}, {})
    operation: JsonSchema = {
        "operationId": f"{name}_of_session" if in_session else name,
        "summary": f"{call.summary[:-1]}, in a session." if in_session else call.summary,
        "tags": ["admin"],
        "parameters": [
            {"name": part, "in": "path", "required": True, "schema": {"type": "string"}}
            for part in in_path
        ],
        "responses": {str(call.status): success, **responses, "431": _TOO_LONG},
    }
    if takes_json:
        body = components.refer(call.takes(), json_schema.IN_BODY)
        content = {"application/json": {"schema": body}}
        operation["requestBody"] = {"required": call.method != "POST", "content": content}
    elif call.takes:
        operation["parameters"] += _query(call.takes(), json_schema.IN_QUERY)
    if security:
        operation["security"] = security
        responses["401"]["headers"] = {"WWW-Authenticate": _header("Asks for a bearer token.")}
    if call.status == 201:
        success["headers"] = {"Location": _header("Its path.")}
    if name == "health":
        operation["responses"]["503"] = {**success, "description": _PROBLEMS[503]}
    elif name == "index" and path.endswith("/"):
        success["content"]["text/html"] = {"schema": {"type": "string"}}
    elif name == "index":
        operation["operationId"] = "index_without_slash"
        slash = {"Location": _header("The path with a slash.")}
        operation["responses"]["308"] = _response("For browsers: the page is there.", {}, slash)
    return operation
