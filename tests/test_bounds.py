"""Bounds: what is just allowed, and what is one too many."""

from __future__ import annotations

import json
from typing import Any

import pytest
from werkzeug.test import TestResponse

from mockbm import create_app

KEY = {"X-ApiKey": "abc12345"}
VALID = "?applicationId=2&releaseNumber=2.0.1&pipelineName=Release"
CLIENT = pytest.fixture(lambda: create_app().test_client(), name="client", scope="module")


def ask(client: Any, names: list[str]) -> TestResponse:
    """The answer to a request with parameters that there are not."""
    return client.get("/api/releases", query_string=dict.fromkeys(names, "1"), headers=KEY)  # type: ignore[no-any-return]


@pytest.mark.parametrize(("count", "last"), [(30, "x29: "), (31, "parameters: 1 further problems")])
def test_number_of_problems(client: Any, count: int, last: str) -> None:
    """An answer names 30 problems, and counts the others."""
    lines = ask(client, [f"x{number}" for number in range(count)]).text.splitlines()
    assert lines[29 if count == 30 else 30].startswith(last)
    assert len(lines) == count


def test_length_of_an_explanation(client: Any) -> None:
    """A header has 1,000 characters of an explanation at most, and shows where it was cut."""
    lengths = set()
    for length in range(1, 60):
        answer = ask(client, [*(f"{number:x<50}" for number in range(10, 15)), "y" * length])
        whole, shown = "; ".join(answer.text.splitlines()), answer.headers["X-Mockbm-Explain"]
        assert shown == (whole if len(whole) <= 1_000 else f"{whole[:997]}...")
        lengths.add(len(whole))
    assert {999, 1_000, 1_001} <= lengths


@pytest.mark.parametrize("excess", [0, 1])
def test_size_of_a_body(client: Any, excess: int) -> None:
    """A body has 1 MiB at most."""
    data = json.dumps({"x": "y" * (1024**2 - 9 + excess)})
    assert len(data) == 1024**2 + excess
    answer = client.post("/api/releases", data=data, content_type="application/json", headers=KEY)
    why = "the body is too large; allowed are 1 MiB"
    assert (answer.status_code, answer.headers["X-Mockbm-Explain"] == why) == (
        (413, True) if excess else (400, False)
    )


@pytest.mark.parametrize("where", ["query_string", "data"])
@pytest.mark.parametrize("excess", [0, 1])
def test_number_of_fields(client: Any, where: str, excess: int) -> None:
    """A query or a form has 1,000 fields at most."""
    fields = "&".join(f"x{number}=1" for number in range(1_000 + excess))
    kind = "application/x-www-form-urlencoded"
    answer = client.post("/api/releases", headers=KEY, content_type=kind, **{where: fields})
    assert answer.status_code == 400
    assert ("1000" in answer.text) == bool(excess)


@pytest.mark.parametrize(
    ("scenario", "method", "text"),
    [
        ("flaky", "GET", "scenario flaky counts or changes"),
        ("documented", "PUT", "Create Release changes records"),
    ],
)
def test_one_of_many_processes(scenario: str, method: str, text: str) -> None:
    """Where other processes answer as well, what counts or changes is a 409."""
    client = create_app(scenario=scenario).test_client()
    path = "/api/releases" if method == "GET" else "/api/releases/create" + VALID
    several = {"wsgi.multiprocess": True}
    answer = client.open(path, method=method, headers=KEY, environ_overrides=several)
    assert answer.status_code == 409
    assert answer.text.startswith(f"{text}, but ")
