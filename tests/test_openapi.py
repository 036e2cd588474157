"""The OpenAPI document: valid, complete, and true of what a live mock answers.

That every answer of every other test is as it says is looked at by a fixture in conftest.py.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import requests
from api_table import TAKEN
from described import Described
from openapi_spec_validator import validate

from mockbm import MockServer, create_app
from mockbm.core.request import MAX_HEADERS
from mockbm.web import openapi
from mockbm.web.admin import CALLS

BIN = Path(sys.executable).parent
PATH = "/__admin/openapi.json"


@pytest.fixture(scope="module")
def document() -> Any:
    """The document of a mock, as it answers it."""
    return create_app().test_client().get(PATH).get_json()


def operations(document: Any) -> list[dict[str, Any]]:
    """All operations of a document."""
    return [each for path in document["paths"].values() for each in path.values()]


def test_is_valid_openapi_3_1(document: Any) -> None:
    """A validator of OpenAPI documents finds nothing wrong with it."""
    assert document["openapi"] == "3.1.0"
    validate(document)


def test_the_command_prints_it(document: Any) -> None:
    """`mockbm openapi` prints what a mock without an admin token answers."""
    done = subprocess.run(
        [BIN / "mockbm", "openapi"], capture_output=True, check=True, timeout=60, text=True
    )
    assert json.loads(done.stdout) == document


def test_has_every_call_and_no_other(document: Any) -> None:
    """Each path and verb is described, and nothing that is not there."""
    rules = [
        rule
        for rule in create_app().url_map.iter_rules()
        if "admin." in rule.endpoint and rule.endpoint != "admin.page_file"
    ]
    there = {
        (rule.rule.replace("<id_>", "{id}").replace("<", "{").replace(">", "}"), verb.lower())
        for rule in rules
        for verb in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    taken = {"/api/releases": "GET POST", **TAKEN}
    there |= {(path.lower(), verb.lower()) for path in taken for verb in taken[path].split()}
    there -= {(path.lower(), "head") for path in taken}
    described = {(path, verb) for path, calls in document["paths"].items() for verb in calls}
    assert described == there
    assert set(CALLS) == {rule.endpoint.partition(".")[2] for rule in rules}


def test_tells_what_things_are(document: Any) -> None:
    """Each operation has its own name and a summary, each filter has words, links lead on."""
    names = [each["operationId"] for each in operations(document)]
    assert len(names) == len(set(names))
    assert all(each["summary"] for each in operations(document))
    parameters = [item for each in operations(document) for item in each.get("parameters", [])]
    assert all(item["description"] for item in parameters if item["in"] == "query")
    links = document["paths"]["/__admin/sessions"]["post"]["responses"]["201"]["links"]
    assert {link["operationId"] for link in links.values()} <= set(names)


def test_tells_the_token_where_there_is_one(document: Any) -> None:
    """Admin calls of a mock with a token say that they need it; the endpoint needs its key."""
    headers = {"Authorization": "Bearer t"}
    with_token = create_app(admin_token="t").test_client().get(PATH, headers=headers).get_json()
    validate(with_token)
    for each, other in zip(operations(document), operations(with_token), strict=True):
        keys = [{"header": []}, {"basic": []}, {"query": []}]
        is_admin = each["tags"] == ["admin"]
        if each["operationId"] == "get_health":  # which needs no key
            assert each["security"] == other["security"] == []
            continue
        assert each.get("security") == (None if is_admin else keys)
        assert other["security"] == ([{"token": []}] if is_admin else keys)
        assert ("401" in other["responses"]) == is_admin


STATE_HEADERS = ["X-Mockbm-Scenario", "X-Mockbm-Revision"]
RATE = [{"rate": "1/h"}]
DOWN = [{"respond": {"status": 503, "headers": {"Retry-After": "7"}}}]
BIG = {"X-Long": "x" * MAX_HEADERS}
BROWSER = {"Accept": "text/html"}


@pytest.mark.parametrize(
    ("settings", "faults", "path", "headers", "status", "told"),
    [
        ({}, RATE, "/api/releases", {}, 429, ["X-Mockbm-Explain", *STATE_HEADERS, "Retry-After"]),
        ({}, DOWN, "/api/releases", {}, 503, ["X-Mockbm-Explain", *STATE_HEADERS, "Retry-After"]),
        ({}, [], "/api/releases", BIG, 431, []),
        ({}, [], "/__admin/health", BIG, 431, []),
        ({"admin_token": "t"}, [], "/__admin/health", {}, 401, ["WWW-Authenticate"]),
        ({}, [], "/__admin", BROWSER, 308, ["Location"]),
        ({}, [], "/__admin/", BROWSER, 200, []),
    ],
)
def test_what_an_answer_has_is_described(
    settings: dict[str, Any],
    faults: list[Any],
    path: str,
    headers: dict[str, str],
    status: int,
    told: list[str],
) -> None:
    """An answer has the headers that the document tells, and its status is there."""
    with MockServer(**settings) as server:
        server.mock.default.use_values({"releases": [], "faults": faults})
        headers = {"X-ApiKey": "abc12345", **headers}
        for _ in range(2):
            answer = requests.get(
                server.url + path, headers=headers, timeout=10, allow_redirects=False
            )
        document = openapi.describe(server.app, CALLS)
    assert answer.status_code == status
    expected = document["paths"][path]["get"]["responses"][str(status)]
    assert sorted(expected.get("headers", {})) == sorted(told)
    assert [name for name in told if name not in answer.headers] == []


def test_the_endpoint_without_its_state(document: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is required of a 503 is what it has where the shared state does not answer, too."""
    app = create_app()

    def gone(_: object) -> None:
        raise ConnectionError("the shared state does not answer")

    monkeypatch.setattr(app.extensions["mockbm"].store, "use", gone)
    answer = app.test_client().get("/api/releases")
    headers = document["paths"]["/api/releases"]["get"]["responses"]["503"]["headers"]
    required = [name for name, header in headers.items() if header.get("required")]
    assert (answer.status_code, required) == (503, ["X-Mockbm-Explain"])
    assert [name for name in headers if name in answer.headers] == [*required, "Retry-After"]


def test_where_browsers_are_sent_on(document: Any) -> None:
    """The path without the slash sends browsers on; the one with it answers them."""
    without, with_slash = (document["paths"][f"/__admin{end}"]["get"] for end in ("", "/"))
    assert ("308" in without["responses"], "308" in with_slash["responses"]) == (True, False)
    kinds = [list(each["responses"]["200"]["content"]) for each in (without, with_slash)]
    assert kinds == [["application/json"], ["application/json", "text/html"]]


@pytest.mark.parametrize(
    ("body", "is_taken"),
    [
        ({"now": "2024-03-04"}, True),
        ({"now": "2024-03-04T09:03:43.92+01:00"}, True),
        ({"now": "2024-03-04", "advance": None}, True),
        ({"advance": "2d"}, True),
        ({"now": "now"}, False),
        ({"now": "now-3d"}, False),
        ({"now": 20240304}, False),
        ({"advance": "2"}, False),
        ({"advance": 2}, False),
        ({"now": "2024-03-04", "advance": "2d"}, False),
        ({}, False),
    ],
)
def test_clocks_are_as_described(
    shared: MockServer, document: Any, body: Any, is_taken: bool
) -> None:
    """The document and the mock agree on what can be done to a clock."""
    shape = {"$ref": "#/components/schemas/ClockWanted", "components": document["components"]}
    assert jsonschema_rs.Draft202012Validator(shape).is_valid(body) == is_taken
    answer = requests.put(f"{shared.url}/__admin/clock", json=body, timeout=10)
    assert answer.status_code == (200 if is_taken else 400)
    requests.delete(f"{shared.url}/__admin/clock", timeout=10).raise_for_status()


SAID = [
    ("get", "/api/releases", {}, True),
    ("get", "/api/releases", {"releaseId": "2147483647", "status": "active"}, True),
    ("get", "/api/releases", {"releaseId": "2147483648"}, False),
    ("get", "/api/releases", {"releaseId": "2.0"}, False),
    ("get", "/api/releases", {"releaseId": "1", "releaseName": "x"}, False),
    ("get", "/api/releases", {"releaseId": "1", "releaseName": ""}, True),
    ("get", "/api/releases", {"unknown": "1"}, False),
    ("get", "/__admin/requests", {"method": "get", "count": "1"}, True),
    ("get", "/__admin/requests", {"count": "-1"}, False),
    ("get", "/__admin/requests", {"counts": "1"}, False),
    ("post", "/api/releases", {"releaseId": 2.0}, True),
    ("post", "/api/releases", {"releaseId": 2.5}, False),
    ("post", "/api/releases", {"releaseId": "2.0"}, False),
    ("post", "/api/releases", {"applicationId": 1, "applicationName": "x"}, False),
    ("post", "/api/releases", {"applicationId": 1, "applicationName": None}, True),
    ("post", "/api/releases", {"unknown": 1}, False),
    ("post", "/api/releases/create", {"releaseNumber": "9", "pipelineName": "R"}, False),
    ("post", "/api/releases/cancel", {"applicationId": 1}, False),
    ("post", "/api/releases/cancel", {"releaseNumber": "1.0.0"}, False),
    ("post", "/api/releases/cancel", {"releaseNumber": "1.0.0", "applicationId": 2}, True),
    ("post", "/api/releases/builds/deploy", {"buildNumber": "1"}, False),
    ("post", "/api/releases/builds/create", {"applicationId": 1}, False),
    ("post", "/api/releases/builds/create", {"applicationId": 1, "pipelineName": "R"}, True),
    ("put", "/__admin/scenario", {"$schema": "x", "releases": []}, True),
    ("put", "/__admin/scenario", {"extends": "single", "remove": [1.0]}, True),
    ("put", "/__admin/clock", {"now": "2024-02-29 09:00"}, True),
    ("put", "/__admin/clock", {"now": "2023-02-29 09:00"}, False),
    ("put", "/__admin/clock", {"now": "1899-12-31"}, False),
]


@pytest.mark.parametrize(("method", "path", "values", "is_taken"), SAID)
def test_what_is_refused_is_described(
    server: MockServer, document: Any, method: str, path: str, values: Any, is_taken: bool
) -> None:
    """The document says which values go together, are needed, and exist, as the mock has it."""
    operation = document["paths"][path][method]
    if method == "get":
        (query,) = operation["parameters"]
        assert (query["style"], query["explode"]) == ("form", True)
        schema, sent = query["schema"], {"params": values}
        assert schema["additionalProperties"] is False
    else:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        sent = {"json": values}
    shape = {**schema, "components": document["components"]}
    assert jsonschema_rs.Draft202012Validator(shape).is_valid(values) == is_taken
    headers = {"X-ApiKey": server.api_key}
    answer = requests.request(method, server.url + path, headers=headers, timeout=10, **sent)
    assert answer.status_code == (200 if is_taken else 400), answer.text


def test_a_post_takes_the_query_of_a_get(document: Any, shared: MockServer) -> None:
    """Filters in the query of a POST work, which its description says; its query is not listed."""
    post = document["paths"]["/api/releases"]["post"]
    assert "parameters" not in post
    assert "parameters of the query are those of the GET" in post["description"]
    headers = {"X-ApiKey": shared.api_key}
    url = f"{shared.url}/api/releases?releaseId=1"
    assert [item["id"] for item in requests.post(url, headers=headers, timeout=10).json()] == [1]


def test_there_is_none_without_the_admin_api() -> None:
    """A mock without the admin API has no path for the document, server."""
    assert create_app(admin_api=False).test_client().get(PATH).status_code == 404


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (({"status": "odd"}, 200), '"odd" is not one of'),
        (({"more": 1}, 200), "'more' was unexpected"),
        (({}, 418), "is not in the document"),
        ("ok", "is of the type text/html"),
        (({"title": 1}, 403), "is of the type application/json"),
    ],
)
def test_what_is_not_described_is_found(answer: Any, what: str, described: Described) -> None:
    """An answer that is not as the document says fails the test in which it is given."""
    app = create_app()
    app.view_functions["admin.health"] = lambda: answer
    app.test_client().get("/__admin/health")
    assert [problem for problem in described.problems if what in problem]
    described.problems.clear()


def test_every_verb_of_every_path(server: MockServer, described: Described) -> None:
    """Each call, described or not, with any body or none, gets an answer that is described."""
    is_json = {"Content-Type": "application/json"}
    bodies: list[dict[str, Any]] = [
        {},
        {"json": {"name": "empty"}},
        {"json": ["x"]},
        {"data": b"{", "headers": is_json},
        {"data": b"x" * 1_100_000, "headers": is_json},
        {"headers": {"Origin": "http://elsewhere.test"}},
    ]
    paths = [rule.rule for rule in server.app.url_map.iter_rules() if "any" not in rule.rule]
    statuses = set()
    for path in [*paths, "/api/releases", "/__admin/nothing", "/nothing"]:
        url = server.url + path.replace("<id_>", "none").replace("<name>", "single")
        for verb in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"):
            for body in bodies:
                statuses.add(requests.request(verb, url, timeout=10, **body).status_code)
    assert statuses == {200, 201, 204, 400, 403, 404, 405, 413, 415}
    assert described.problems == []


@pytest.mark.skipif(not importlib.util.find_spec("schemathesis"), reason="it comes with .[dev]")
def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    """Schemathesis, with all of its checks and a bounded number of calls, finds nothing.

    The key is pinned, so that no scenario which it switches to can change the endpoint meanwhile.
    Other names for the same functions are left out: of packages, of one session, by PUT or DELETE.
    """
    others = r"packages|_of_session$|^(put|delete)_releases"
    with MockServer() as server:
        every = operations(server.app.test_client().get(PATH).get_json())
        count = sum(not re.search(others, each["operationId"]) for each in every)
        done = subprocess.run(
            [
                *(BIN / "schemathesis", "run", f"{server.url}{PATH}", "--checks=all"),
                *("--header", f"X-ApiKey: {server.api_key}@documented"),
                *("--max-examples=5", "--generation-deterministic", "--no-color"),
                *("--exclude-operation-id-regex", others),
            ],
            env={
                **os.environ,
                "PYTHONPATH": str(Path(__file__).parent),
                "SCHEMATHESIS_HOOKS": "schemathesis_hooks",
            },
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
    assert done.returncode == 0, done.stdout
    assert f"Tested: {count - 1}\n" in done.stdout  # all but the document itself
