"""Whether answers are what the OpenAPI document says, asked of every answer in every test."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import flask
import jsonschema_rs

from mockbm import create_app
from mockbm.openapi import described

NOT_DESCRIBED = {"content": {"text/plain": {"schema": {"type": "string"}}}}
NOT_DESCRIBED_OF_ADMIN = {
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
}
"""What is answered where the document has no call: 404, 405, and 400 to what has no path at all."""


class Described:
    """Listens to every application in this process, and keeps what its document does not say."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        # That of a mock with an admin token has the answer 401, too.
        self.document: Any = described(create_app(admin_token="t"))
        self._validators: dict[str, jsonschema_rs.Validator] = {}

    def listen(self, _app: flask.Flask, response: flask.Response, **_: Any) -> None:
        """Look at an answer, inside of its request."""
        request = flask.request
        begin = f"{request.method} {request.path} -> {response.status_code}: "
        self.problems += [begin + what for what in self._look(request, response)]

    def _look(self, request: flask.Request, response: flask.Response) -> Iterator[str]:
        is_fault = response.headers.get("X-Mockbm-Explain", "").startswith("faults[")
        if is_fault or request.path.startswith("/__admin/page/") or response.direct_passthrough:
            return  # any status, body and headers, or a file of the page
        method = "get" if request.method == "HEAD" else request.method.lower()
        operation = self.document["paths"].get(path_of(request), {}).get(method)
        if operation is None and response.status_code in (400, 404, 405):
            is_admin = request.path.startswith("/__admin") and "X-Mockbm-Explain" not in (
                response.headers
            )
            expected = NOT_DESCRIBED_OF_ADMIN if is_admin else NOT_DESCRIBED
        else:
            answers = (operation or {}).get("responses", {})
            status = response.status_code
            expected = answers.get(str(status), answers.get(f"{status // 100}XX"))
        if expected is None:
            yield "is not in the document"
            return
        for name, header in expected.get("headers", {}).items():
            if name in response.headers:
                value = response.headers[name]
                is_number = header["schema"]["type"] == "integer"
                yield from self._errors(header["schema"], int(value) if is_number else value)
            elif header.get("required"):
                yield f"has no {name}"
        yield from self._look_at_body(request, response, expected.get("content", {}))
        taken = (operation or {}).get("requestBody", {}).get("content", {})
        if response.status_code < 300 and list(taken) == ["application/json"]:
            body = request.get_data()
            if body:
                yield from self._errors(taken["application/json"]["schema"], json.loads(body))

    def _look_at_body(
        self, request: flask.Request, response: flask.Response, content: Any
    ) -> Iterator[str]:
        body = response.get_data()
        if "*/*" in content or request.method == "HEAD":
            return
        if not content:
            if body:
                yield "has a body"
        elif response.mimetype not in content:
            yield f"is of the type {response.mimetype}"
        else:
            value = json.loads(body) if "json" in response.mimetype else body.decode()
            yield from self._errors(content[response.mimetype]["schema"], value)

    def _errors(self, schema: Any, value: Any) -> Iterator[str]:
        key = json.dumps(schema)
        if key not in self._validators:
            components = closed(self.document["components"])
            whole = {"components": components, **closed(schema)}
            self._validators[key] = jsonschema_rs.Draft202012Validator(whole)
        for error in self._validators[key].iter_errors(value):
            yield f"{'/'.join(map(str, error.instance_path))}: {error.message[:300]}"


def path_of(request: flask.Request) -> str:
    """The path that the document has for a request; "" where it has none."""
    if request.url_rule is None:
        return ""
    if "anycase" in request.url_rule.rule:
        return "/api/releases"
    return re.sub(r"<(\w+?)_?>", r"{\1}", request.url_rule.rule)


def closed(schema: Any) -> Any:
    """A schema that takes no property which it does not name, unless it says that it does."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: closed(item) for name, item in schema.items()}
    if schema.get("type") == "object" and "properties" in schema:
        found.setdefault("additionalProperties", False)
    return found
