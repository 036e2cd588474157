"""Whether answers are what the OpenAPI document says, asked of every answer in every test."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import flask
import jsonschema_rs
from werkzeug.datastructures import Headers

from mockbm import create_app
from mockbm.core.answer import answer
from mockbm.core.mock import Mock
from mockbm.core.request import Answer, Request

NOT_DESCRIBED = {"content": {"text/plain": {"schema": {"type": "string"}}}}
NOT_DESCRIBED_OF_ADMIN = {
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
}
"""What is answered where the document has no call: 404, 405, and 400 to what has no path at all."""


class Seen(NamedTuple):
    """An answer, and what was asked.

    template: the path as the document has it; "" where it has none.
    sent: the body of the request.
    """

    method: str
    path: str
    template: str
    sent: bytes
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Described:
    """Listens to every mock in this process, and keeps what its document does not say."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        # That of a mock with an admin token has the answer 401, too.
        client = create_app(admin_token="t").test_client()
        asked = client.get("/__admin/openapi.json", headers={"Authorization": "Bearer t"})
        self.document: Any = asked.get_json()
        self._validators: dict[str, jsonschema_rs.Validator] = {}
        # Most answers of a run are the same ones.
        self._find = lru_cache(maxsize=10_000)(lambda seen: tuple(self._problems(seen)))

    def listen(self, _app: flask.Flask, response: flask.Response, **_: Any) -> None:
        """Look at an answer of Flask's, inside of its request."""
        request = flask.request
        # A file of the page is no part of the document.
        if request.path.startswith("/__admin/page/") or response.direct_passthrough:
            return
        is_admin = request.path.startswith("/__admin") and is_of_admin(response.headers)
        template = path_of_call(request) if is_admin else path_of_endpoint(request.path)
        is_read = response.status_code < 300 and self._taken(template, request.method)
        sent = request.get_data() if is_read else b""
        self._look(
            Seen(
                request.method,
                request.path,
                template,
                sent,
                response.status_code,
                tuple(response.headers),
                response.get_data(),
            )
        )

    def answer(self, mock: Mock, request: Request) -> Answer:
        """Look at an answer that a server gives without Flask; stands in for `core.answer`."""
        found = answer(mock, request)
        path = path_of_endpoint(request.path)
        answered = (found.status, found.headers, found.body)
        self._look(Seen(request.method, request.path, path, b"", *answered))
        return found

    def _look(self, seen: Seen) -> None:
        begin = f"{seen.method} {seen.path} -> {seen.status}: "
        self.problems += [begin + what for what in self._find(seen)]

    def _problems(self, seen: Seen) -> Iterator[str]:
        headers = Headers(seen.headers)
        if headers.get("X-Mockbm-Explain", "").startswith("faults["):
            return  # any status, body and headers
        operation = self._operation(seen.template, seen.method)
        if operation is None and seen.status in (400, 404, 405):
            is_admin = seen.path.startswith("/__admin") and is_of_admin(headers)
            expected = NOT_DESCRIBED_OF_ADMIN if is_admin else NOT_DESCRIBED
        else:
            answers = (operation or {}).get("responses", {})
            expected = answers.get(str(seen.status), answers.get(f"{seen.status // 100}XX"))
        if expected is None:
            yield "is not in the document"
            return
        for name, header in expected.get("headers", {}).items():
            if name in headers:
                is_number = header["schema"]["type"] == "integer"
                value = headers[name]
                yield from self._errors(header["schema"], int(value) if is_number else value)
            elif header.get("required"):
                yield f"has no {name}"
        yield from self._problems_of_body(seen, headers, expected.get("content", {}))
        if seen.sent:
            taken = self._taken(seen.template, seen.method)
            yield from self._errors(taken, json.loads(seen.sent))

    def _operation(self, template: str, method: str) -> Any:
        """What the document says of a call, if it does."""
        verb = "get" if method == "HEAD" else method.lower()
        return self.document["paths"].get(template, {}).get(verb)

    def _taken(self, template: str, method: str) -> Any:
        """The schema of the body of a call that takes JSON and nothing else."""
        operation = self._operation(template, method) or {}
        content = operation.get("requestBody", {}).get("content", {})
        return content["application/json"]["schema"] if [*content] == ["application/json"] else None

    def _problems_of_body(self, seen: Seen, headers: Headers, content: Any) -> Iterator[str]:
        kind = headers.get("Content-Type", "").partition(";")[0]
        if "*/*" in content or seen.method == "HEAD":
            return
        if not content:
            if seen.body:
                yield "has a body"
        elif kind not in content:
            yield f"is of the type {kind}"
        else:
            value = json.loads(seen.body) if "json" in kind else seen.body.decode()
            yield from self._errors(content[kind]["schema"], value)

    def _errors(self, schema: Any, value: Any) -> Iterator[str]:
        key = json.dumps(schema)
        if key not in self._validators:
            components = closed(self.document["components"])
            whole = {"components": components, **closed(schema)}
            self._validators[key] = jsonschema_rs.Draft202012Validator(whole)
        for error in self._validators[key].iter_errors(value):
            yield f"{'/'.join(map(str, error.instance_path))}: {error.message[:300]}"


def is_of_admin(headers: Mapping[str, str] | Headers) -> bool:
    """Whether an answer is the admin API's: only those of the endpoints explain themselves."""
    return "X-Mockbm-Explain" not in headers


def path_of_endpoint(path: str) -> str:
    """The path that the document has for a request that the endpoints answer."""
    # Without an admin API, its paths are like any other.
    return "" if path.startswith("/__admin") else path.lower().removesuffix("/")


def path_of_call(request: flask.Request) -> str:
    """The path that the document has for a call of the admin API; "" where it has none."""
    rule = request.url_rule
    return re.sub(r"<(\w+?)_?>", r"{\1}", rule.rule) if rule else ""


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
