"""Change over time: releases that come, move and are canceled, and each step once."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from scenario_rows import LEFT_OUT

from mockbm import MockServer
from mockbm.core.mock import LocalSession

NOON = "2024-03-04T12:00:00Z"
REQUIRED = {"number": "1.0", "applicationId": 1, "applicationName": "Shop"}


def get(url: str, key: str, **parameters: str) -> requests.Response:
    headers = {"X-ApiKey": key}
    return requests.get(f"{url}/api/releases", params=parameters, headers=headers, timeout=10)


def release(*changes: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A release with what is required and these changes."""
    return {"id": 1, **REQUIRED, **more, "changes": list(changes)}


def opened(server: MockServer, *releases: dict[str, Any]) -> LocalSession:
    """A session of its own with these releases, whose clock is stopped at noon."""
    session = server.open_session()
    session.set_clock(NOON)
    session.use_values({"releases": list(releases)})
    return session


def seen(server: MockServer, session: LocalSession, *names: str) -> list[list[Any]]:
    """What one answer says: of each release, these properties."""
    answer = get(server.url, session.api_key)
    assert answer.status_code == 200, answer.text
    return [[item.get(name, LEFT_OUT) for name in names] for item in answer.json()]


# Changes.

DEPLOY = {"after": "2 calls", "status": "deployed"}
LATER = {"after": "30s", "furthestBuildNumber": "3"}
BEFORE = ["active", LEFT_OUT]

STEPS: dict[str, tuple[Sequence[dict[str, Any]], list[tuple[str, list[Any]]]]] = {
    "calls": ([DEPLOY], [("0s", BEFORE), ("1d", BEFORE), ("0s", ["deployed", LEFT_OUT])]),
    "at once": ([{"after": "0 calls", "status": "deployed"}], [("0s", ["deployed", LEFT_OUT])]),
    "one call": (
        [{"after": "1 call", "status": "deployed"}],
        [("0s", BEFORE), ("0s", ["deployed", LEFT_OUT])],
    ),
    "time": (
        [LATER],
        [("0s", BEFORE), ("29999ms", BEFORE), ("1ms", ["active", "3"]), ("1w", ["active", "3"])],
    ),
    "calls, then time": (
        [DEPLOY, LATER],
        [("1h", BEFORE), ("0s", BEFORE), ("0s", ["deployed", "3"])],
    ),
    "time, then calls": (
        [LATER, DEPLOY],
        [("0s", BEFORE), ("0s", BEFORE), ("0s", BEFORE), ("30s", ["deployed", "3"])],
    ),
    "three of one kind": (
        [
            {"after": "1 call", "furthestBuildNumber": "1"},
            {"after": "1 call", "furthestBuildNumber": "2"},
            {"after": "2 calls", "status": "deployed", "furthestBuildNumber": "3"},
        ],
        [("0s", BEFORE), ("0s", ["active", "2"]), ("0s", ["deployed", "3"])],
    ),
}


@pytest.mark.parametrize("name", STEPS)
def test_steps_of_a_release(shared: MockServer, name: str) -> None:
    """A change is seen when its calls or its time are over and those above it have happened."""
    changes, steps = STEPS[name]
    session = opened(shared, release(*changes))
    for _ in range(2):
        for advance, expected in steps:
            session.advance_clock(advance)
            assert seen(shared, session, "status", "furthestBuildNumber") == [expected]
        session.set_clock(NOON)  # restarts the scenario


def test_calls_are_answers_with_releases(shared: MockServer) -> None:
    """Refused requests and answers of faults are no calls; filters make no difference."""
    session = shared.open_session()
    fault = {"when": {"status": "canceled"}, "respond": {"status": 503}}
    session.use_values({"releases": [release(DEPLOY)], "faults": [fault]})
    for parameters, status in (
        ({"status": "canceled"}, 503),
        ({"nonsense": "1"}, 400),
        ({"status": "odd"}, 400),
        ({"status": "active"}, 200),
        ({"status": "canceled"}, 503),
        ({"status": "deployed"}, 200),
    ):
        assert get(shared.url, session.api_key, **parameters).status_code == status
    assert seen(shared, session, "status") == [["deployed"]]
    assert get(shared.url, session.api_key, status="active").json() == []
    assert len(get(shared.url, session.api_key, status="deployed").json()) == 1


def test_canceled_and_back(shared: MockServer) -> None:
    """A release is canceled by a person at some time, or by the defaults, and both go with it."""
    session = opened(
        shared,
        release(
            {"after": "1 call", "status": "canceled", "canceledBy": "Me", "canceledOn": "now+1d"},
            {"after": "2 calls", "canceledBy": "You"},
            {"after": "3 calls", "status": "active"},
            {"after": "4 calls", "status": "canceled"},
            createdOn="2024-03-01",
        ),
    )
    created = "2024-03-01T00:00:00.0000000Z"
    for expected in (
        ["active", LEFT_OUT, LEFT_OUT],
        ["canceled", "Me", "2024-03-05T12:00:00.0000000Z"],
        ["canceled", "You", "2024-03-05T12:00:00.0000000Z"],
        ["active", LEFT_OUT, LEFT_OUT],
        ["canceled", "SYSTEM", created],
    ):
        assert seen(shared, session, "status", "canceledBy", "canceledOn") == [expected]


def test_older_names_follow(shared: MockServer) -> None:
    """The older names of properties say at every step what the properties say."""
    session = opened(
        shared,
        release(
            {"after": "1 call", "furthestBuildId": 8, "furthestBuildNumber": "2", "number": "1.1"},
            {"after": "2 calls", "name": "Easter", "latestBuildId": 9},
            furthestBuildId=7,
            furthestPackageId=7,
        ),
    )
    names = ("number", "name", "releaseNumber", "releaseName", "furthestPackageId")
    names += ("furthestPackageNumber", "latestPackageId")
    assert [seen(shared, session, *names)[0] for _ in range(3)] == [
        ["1.0", "1.0", "1.0", "1.0", 7, LEFT_OUT, LEFT_OUT],
        ["1.1", "1.1", "1.1", "1.1", 8, "2", LEFT_OUT],
        ["1.1", "Easter", "1.1", "Easter", 8, "2", 9],
    ]
    assert len(get(shared.url, session.api_key, releaseName="easter").json()) == 1
    assert get(shared.url, session.api_key, releaseNumber="1.0").json() == []


def test_older_names_change_releases(shared: MockServer) -> None:
    """A release and its changes may use the older names instead, the one or the other."""
    session = opened(
        shared,
        release(
            {"after": "1 call", "latestPackageId": 7, "releaseName": "Easter"},
            {"after": "2 calls", "latestBuildId": 8, "releaseNumber": "1.1"},
            {"after": "3 calls", "latestPackageId": 9, "latestBuildId": 9, "name": "May"},
            latestPackageId=6,
        ),
    )
    names = ("latestBuildId", "latestPackageId", "name", "releaseName", "number", "releaseNumber")
    assert [seen(shared, session, *names)[0] for _ in range(4)] == [
        [6, 6, "1.0", "1.0", "1.0", "1.0"],
        [7, 7, "Easter", "Easter", "1.0", "1.0"],
        [8, 8, "Easter", "Easter", "1.1", "1.1"],
        [9, 9, "May", "May", "1.1", "1.1"],
    ]


def test_several_releases_change_on_their_own(shared: MockServer) -> None:
    """Each release has its own changes; absent ones are in no answer and match no filter."""
    session = opened(
        shared,
        release({"after": "2 calls", "status": "deployed"}, id=3),
        release(
            {"after": "1 call", "absent": False}, {"after": "1m", "absent": True}, id=2, absent=True
        ),
        {"id": 4, **REQUIRED, "absent": True},
        {"id": 1, **REQUIRED},
    )
    both = [[3, "active"], [1, "active"]]
    assert seen(shared, session, "id", "status") == both
    assert seen(shared, session, "id", "status") == [both[0], [2, "active"], both[1]]
    assert seen(shared, session, "id", "status") == [[3, "deployed"], [2, "active"], both[1]]
    session.advance_clock("1m")
    assert seen(shared, session, "id", "status") == [[3, "deployed"], both[1]]
    gone = get(shared.url, session.api_key, releaseId="4")
    assert gone.json() == []
    assert gone.headers["X-Mockbm-Explain"].startswith("2 releases; releaseId=4: 0")


def test_the_order_is_that_of_the_step(shared: MockServer) -> None:
    """A change of `createdOn` moves a release to where it belongs then."""
    session = opened(
        shared,
        release({"after": "1 call", "createdOn": "now"}, createdOn="2020-01-01"),
        {"id": 2, **REQUIRED, "createdOn": "now-1h"},
    )
    assert seen(shared, session, "id") == [[2], [1]]
    assert seen(shared, session, "id") == [[1], [2]]


def test_a_release_that_appears_changes_no_other(shared: MockServer) -> None:
    """The default sequence of a release is the same before and after another one has come."""
    session = opened(
        shared,
        release({"after": "1 call", "absent": False}, id=1, absent=True),
        {"id": 2, **REQUIRED},
    )
    before = seen(shared, session, "id", "sequence")
    after = seen(shared, session, "id", "sequence")
    assert before == [after[0]]
    assert after[1][0] == 1


def test_changes_are_a_sessions_own(server: MockServer) -> None:
    """Each session sees each step; a reset, a switch and a pinned key begin at the first one."""
    one_, two = (server.open_session("deploy-in-progress") for _ in range(2))
    first = [["active"], ["deployed"]]
    last = [["deployed"], ["deployed"]]
    assert [seen(server, one_, "status") for _ in range(4)] == [first, first, first, last]
    assert seen(server, two, "status") == first
    one_.reset()
    assert seen(server, one_, "status") == first
    two.use("deploy-in-progress")
    assert [seen(server, two, "status") for _ in range(4)] == [first, first, first, last]
    pinned = [get(server.url, "abc12345@deploy-in-progress").json() for _ in range(4)]
    assert [answer[0]["status"] for answer in pinned] == ["active"] * 3 + ["deployed"]
    entries = server.mock.default.requests()
    assert [entry.scenario for entry in entries] == ["deploy-in-progress"] * 4


def test_steps_happen_once_among_threads(shared: MockServer) -> None:
    """Of 16 threads with 20 requests each, each step is seen as often as it lasts, and in order."""
    changes = [
        {"after": f"{calls} calls", "furthestBuildId": number}
        for number, calls in enumerate((40, 41, 100, 250), 1)
    ]
    session = opened(shared, release(*changes, furthestBuildId=0))

    def watch(_: int) -> list[int]:
        found = []
        with requests.Session() as client:
            client.headers["X-ApiKey"] = session.api_key
            for _ in range(20):
                answer = client.get(f"{shared.url}/api/releases", timeout=30)
                found.append(int(answer.json()[0]["furthestBuildId"]))
        return found

    with ThreadPoolExecutor(16) as pool:
        watched = list(pool.map(watch, range(16)))
    assert all(found == sorted(found) for found in watched)
    everything = [step for found in watched for step in found]
    assert [everything.count(step) for step in range(5)] == [40, 1, 59, 150, 70]


def test_shipped_scenarios_that_change(server: MockServer) -> None:
    """`deploy-in-progress` deploys after three answers, `release-appears` appears after two."""
    server.use("deploy-in-progress")
    names = ("status", "furthestBuildId", "furthestBuildNumber", "furthestPackageNumber")
    answers = [get(server.url, "abc12345").json() for _ in range(5)]
    found = [[answer[0][name] for name in names] for answer in answers]
    assert found == [["active", 4, "1", "1"]] * 3 + [["deployed", 5, "2", "2"]] * 2
    server.use("release-appears")
    answers = [get(server.url, "abc12345").json() for _ in range(4)]
    assert [[item["id"] for item in answer] for answer in answers] == [[1], [1], [2, 1], [2, 1]]


# Definitions.


def test_a_broken_connection_is_no_call(server: MockServer) -> None:
    """Answers that do not arrive move nothing on, and the journal says that nothing arrived."""
    session = server.open_session()
    changing = release({"after": "1 call", "status": "deployed"})
    faults = [{"connection": "empty", "times": 2}]
    session.use_values({"releases": [changing], "faults": faults})
    for _ in range(2):
        with pytest.raises(requests.ConnectionError):
            get(server.url, session.api_key)
    found = [get(server.url, session.api_key).json()[0]["status"] for _ in range(2)]
    assert found == ["active", "deployed"]
    assert [entry.status for entry in session.requests()] == [0, 0, 200, 200]
