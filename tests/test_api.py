"""The endpoints besides Get Releases, in every way that leads there: the table of requests."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import pytest
from api_table import ABSENT, KEY, NOW, SHOP, TABLE, Expected, Refused, Row, Whole, target
from clients import Answer
from endpoint_table import JSON
from test_endpoint import TYPES, WAYS, Send, take, through_flask

from mockbm import create_app


class Played(NamedTuple):
    """What one row got in one way: the answers, and the records before and after it."""

    answer: Answer
    then: tuple[Answer, ...]
    before: bytes
    after: bytes


def play(row: Row, send: Send) -> Played:
    """Send a row in a scenario that begins with it."""

    def admin(method: str, path: str, body: Any = None) -> bytes:
        text = None if body is None else json.dumps(body).encode()
        answer = take(method, f"/__admin{path}", JSON if text else {}, text, send)
        assert answer.status == 200, answer.body
        return answer.body

    def call(text: str) -> Answer:
        return take(text.partition(" ")[0], target(text), KEY, None, send)

    admin("PUT", "/clock", {"now": NOW})
    admin("PUT", "/scenario", row.scenario)
    for first in row.before:
        answer = call(first)
        assert answer.status == 200, (row.id, first, answer.body)
    before = admin("GET", "/state")
    answer = take(row.method, target(row.call), row.headers, row.body, send)
    after = admin("GET", "/state")
    return Played(answer, tuple(map(call, row.then)), before, after)


@pytest.fixture(scope="module")
def flask() -> Iterator[Send]:
    """One mock for the rows that are sent one by one."""
    yield from through_flask()


def check(expected: Expected, answer: Answer) -> None:
    """Fail unless an answer is what the table promises."""
    match expected:
        case Refused(status, text):
            assert (answer.status, answer.body.decode()) == (status, text)
        case str():
            assert (answer.status, answer.body.decode()) == (400, f"{expected}\n")
        case bytes():
            assert (answer.status, answer.body) == (200, expected)
        case Whole():
            assert (answer.status, answer.body) == (200, expected.body)
        case _:
            assert answer.status == 200, answer.body
            check_records(expected, json.loads(answer.body))
    has_type = answer.body and answer.status in TYPES
    assert not has_type or answer.headers["content-type"] == TYPES[answer.status]


def check_records(expected: Mapping[str, Any] | list[int], found: Any) -> None:
    """Fail unless these are records of these ids, or one of these properties."""
    if isinstance(expected, list):
        assert [record["id"] for record in found] == expected
        return
    (record,) = found if isinstance(found, list) else [found]
    assert {name: record.get(name, ABSENT) for name in expected} == expected


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.id)
def test_answer(row: Row, flask: Send) -> None:
    """Each call gets the answer that the table promises, and what is refused changes nothing."""
    found = play(row, flask)
    check(row.expected, found.answer)
    for expected, answer in zip(row.then.values(), found.then, strict=True):
        check(expected, answer)
    assert found.answer.status == 200 or found.after == found.before


def test_every_way_answers_the_same() -> None:
    """All ways give the same bytes."""
    with ExitStack() as stack:
        ways = {name: stack.enter_context(contextmanager(WAYS[name])()) for name in WAYS}
        for row in TABLE:
            found = {name: play(row, send) for name, send in ways.items()}
            assert found == dict.fromkeys(WAYS, found["Flask"]), row.id


EXPLANATIONS = {
    "": "3 deployments",
    "?buildId=99": "3 deployments; buildId=99: 0 (nearest: 6)",
    "?status=pending&buildId=6": "3 deployments; status=pending: 0 (there are: 'failed', "
    "'succeeded', 'warned'); buildId=6: 0 (2 without the filters before)",
    "?deploymentId=20&status=failed": "4 deployments; deploymentId=20: 1; status=failed: 0 "
    "(1 without the filters before)",
}


def test_explanations_of_deployments() -> None:
    """They show what a client can send, and nothing of how parents are kept apart."""
    client = create_app().test_client()
    client.put("/__admin/scenario", json=SHOP)
    for query, explanation in EXPLANATIONS.items():
        answer = client.get(f"/api/releases/builds/deployments{query}", headers=KEY)
        assert answer.headers["X-Mockbm-Explain"] == explanation


def test_a_deployment_without_a_plan_does_its_work_itself() -> None:
    """Only the parent of one with a plan, of its build and stage, is left out of answers."""
    client = create_app().test_client()
    at_stage = {"buildId": 1, "pipelineStageName": "Testing", "status": "failed"}
    values = {
        "extends": "single",
        "builds": [{"id": 1, "number": 1, "releaseId": 1}],
        "deployments": [
            {"id": 5, "buildId": 1, "status": "failed"},
            {"id": 6, **at_stage},
            {"id": 7, "plan": "Deploy", **at_stage},
        ],
    }
    assert client.put("/__admin/scenario", json=values).status_code == 200
    for query, ids in {"": [7, 5], "?status=failed": [7, 5], "?deploymentId=6": [6]}.items():
        answer = client.get(f"/api/releases/builds/deployments{query}", headers=KEY)
        assert [deployment["id"] for deployment in answer.get_json()] == ids


def test_no_row_is_twice() -> None:
    """Every row has a name and a request of its own."""
    assert len({row.id for row in TABLE}) == len(TABLE) >= 150
    requests = [
        (row.call, row.body, str(row.headers), row.before, str(row.scenario)) for row in TABLE
    ]
    assert len({*requests}) == len(TABLE)
