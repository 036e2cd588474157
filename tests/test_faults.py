"""Faults: what a scenario does to answers on purpose, and what clients make of it."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
from test_cli import serving

from mockbm import AdminClient, MockServer, ScenarioError, create_app
from mockbm.client import RemoteSession
from mockbm.core.mock import LocalSession
from mockbm.core.session import session_id

Asked = Mapping[str, str]
NO_FILTERS: Asked = {}
DEPLOYED: Asked = {"status": "deployed"}
ACTIVE: Asked = {"status": "active"}
UNAVAILABLE = {"respond": {"status": 503}}


def opened(url: str, *faults: Mapping[str, Any]) -> RemoteSession:
    """A session of its own: the documented instance, with these faults."""
    session = AdminClient(url).open_session()
    session.use_values({"extends": "documented", "faults": list(faults)})
    return session


def ask(
    url: str, key: str, parameters: Asked = NO_FILTERS, timeout: float = 30
) -> requests.Response:
    """One request on a connection of its own."""
    headers = {"X-ApiKey": key}
    return requests.get(
        f"{url}/api/releases", params=dict(parameters), headers=headers, timeout=timeout
    )


def statuses(session: RemoteSession | LocalSession, url: str, count: int) -> list[int]:
    """What so many requests get, one after the other."""
    return [ask(url, session.api_key).status_code for _ in range(count)]


def notes(session: RemoteSession) -> list[tuple[str, ...]]:
    """What the journal notes about each request."""
    return [tuple(entry.notes) for entry in session.requests()]


# What each client makes of each fault.


def test_what_an_answer_of_a_fault_holds(shared: MockServer) -> None:
    """An answer has the status, body and headers asked for, or plain text, and says why it came."""
    table: list[tuple[dict[str, Any], str, str, str | None]] = [
        ({"status": 503, "body": "Närmare", "headers": {}}, "Närmare", "text/plain", None),
        ({"status": 200, "body": "[]", "headers": {"Content-Type": "a/b"}}, "[]", "a/b", None),
        ({"status": 302, "headers": {"location": "/x", "Retry-After": 7}}, "", "text/plain", "7"),
        ({"status": 204}, "", "text/plain", None),
    ]
    for respond, body, kind, retry_after in table:
        session = opened(shared.url, {"respond": respond})
        with requests.Session() as client:
            answer = client.get(
                f"{shared.url}/api/releases",
                headers={"X-ApiKey": session.api_key},
                timeout=10,
                allow_redirects=False,
            )
        assert (answer.status_code, answer.content.decode()) == (respond["status"], body)
        assert answer.headers["Content-Type"].startswith(kind)
        assert answer.headers.get("Retry-After") == retry_after
        why = f"faults[0]: status {respond['status']}"
        assert answer.headers["X-Mockbm-Explain"] == why
        [entry] = session.requests()
        assert (entry.status, entry.explanation, entry.ids) == (respond["status"], why, ())


# Counting.

THREE = [NO_FILTERS] * 3
FOUR = [NO_FILTERS] * 4
COUNTING: dict[str, tuple[list[dict[str, Any]], list[Asked], list[int]]] = {
    "all": ([UNAVAILABLE], THREE, [503, 503, 503]),
    "times": ([{"times": 2, **UNAVAILABLE}], FOUR, [503, 503, 200, 200]),
    "after": ([{"after": 2, **UNAVAILABLE}], FOUR, [200, 200, 503, 503]),
    "after and times": ([{"after": 1, "times": 2, **UNAVAILABLE}], FOUR, [200, 503, 503, 200]),
    "when": (
        [{"when": DEPLOYED, **UNAVAILABLE}],
        [NO_FILTERS, DEPLOYED, ACTIVE, {**DEPLOYED, "applicationId": "1"}],
        [200, 503, 200, 503],
    ),
    "when, after and times": (
        [{"when": DEPLOYED, "after": 1, "times": 1, **UNAVAILABLE}],
        [DEPLOYED, ACTIVE, NO_FILTERS, DEPLOYED, DEPLOYED],
        [200, 200, 200, 503, 200],
    ),
    "when with all of several": (
        [{"when": {**ACTIVE, "applicationId": 1}, **UNAVAILABLE}],
        [ACTIVE, {"applicationId": "1"}, {**ACTIVE, "applicationId": "01"}],
        [200, 200, 503],
    ),
    "when ignores case": (
        [{"when": {"applicationName": "SHOP"}, **UNAVAILABLE}],
        [{"applicationName": "shop"}, {"applicationName": "Shops"}],
        [503, 200],
    ),
    "refused ones do not count": (
        [{"after": 1, **UNAVAILABLE}],
        [{"nonsense": "1"}, {"status": "odd"}, NO_FILTERS, NO_FILTERS],
        [400, 400, 200, 503],
    ),
    "the first that answers": (
        [{"times": 1, **UNAVAILABLE}, {"times": 1, "respond": {"status": 400}}],
        THREE,
        [503, 400, 200],
    ),
    "each counts its own": (
        [{"when": ACTIVE, "times": 1, **UNAVAILABLE}, {"after": 2, "respond": {"status": 400}}],
        [ACTIVE, ACTIVE, NO_FILTERS, ACTIVE],
        [503, 200, 200, 400],
    ),
    "none": ([], THREE, [200, 200, 200]),
}


@pytest.mark.parametrize("name", COUNTING)
def test_which_requests_misbehave(shared: MockServer, name: str) -> None:
    """`when` chooses requests, `after` lets so many of them through, `times` bounds the rest."""
    faults, asked, expected = COUNTING[name]
    session = opened(shared.url, *faults)
    found = [ask(shared.url, session.api_key, filters).status_code for filters in asked]
    assert found == expected
    session.reset()
    session.use_values({"extends": "documented", "faults": faults})
    found = [ask(shared.url, session.api_key, filters).status_code for filters in asked]
    assert found == expected


def test_counters_are_a_sessions_own(server: MockServer) -> None:
    """Sessions do not share counters; a reset or a switch of one begins its own again."""
    one, two = server.open_session("flaky"), server.open_session("flaky")
    server.use("flaky")
    assert statuses(one, server.url, 3) == [503, 503, 200]
    assert statuses(two, server.url, 1) == [503]
    assert ask(server.url, "abc12345").status_code == 503
    one.reset()
    assert statuses(one, server.url, 3) == [503, 503, 200]
    assert statuses(two, server.url, 2) == [503, 200]
    two.use("flaky")
    assert statuses(two, server.url, 3) == [503, 503, 200]
    assert ask(server.url, "abc12345").status_code == 503
    assert ask(server.url, "abc12345").status_code == 200


def test_pinned_keys_count_on_their_own(server: MockServer) -> None:
    """A key pinned to a scenario has a session of its own: seen, with a journal, and reset.

    Its requests are in the journal of the key's own session, too.
    """
    mine = server.open_session()
    for key in ("abc12345@flaky", f"{mine.api_key}@flaky"):
        found = [ask(server.url, key).status_code for _ in range(3)]
        assert found == [503, 503, 200]
    for session in (server.mock.default, mine):
        assert [entry.status for entry in session.requests()] == [503, 503, 200]
    admin = f"{server.url}/__admin"
    listed = requests.get(f"{admin}/sessions", timeout=10).json()["sessions"]
    pinned = [item for item in listed if item["id"] != mine.id]
    assert [(item["scenario"], item["label"]) for item in pinned] == [
        ("flaky", "pinned to flaky"),
        ("flaky", "pinned to flaky"),
    ]
    journal = requests.get(f"{server.url}{pinned[0]['links']['requests']}", timeout=10).json()
    assert [entry["status"] for entry in journal["requests"]] == [503, 503, 200]
    requests.post(f"{server.url}{pinned[0]['links']['reset']}", timeout=10).raise_for_status()
    assert ask(server.url, "abc12345@flaky").status_code == 503
    assert ask(server.url, f"{mine.api_key}@flaky").status_code == 200
    assert ask(server.url, "abc12345@single").status_code == 200
    mine.reset()
    assert ask(server.url, f"{mine.api_key}@flaky").status_code == 503
    refused = requests.put(
        f"{server.url}{pinned[0]['links']['scenario']}", json={"name": "empty"}, timeout=10
    )
    assert refused.status_code == 409
    listed = requests.get(f"{admin}/sessions", timeout=10).json()["sessions"]
    labels = [item["label"] for item in listed]
    assert labels == ["", "pinned to flaky", "pinned to flaky", "pinned to single"]


def test_a_pinned_key_ends_with_its_session(server: MockServer) -> None:
    """The key of a session that has ended opens nothing, pinned or not."""
    mine = server.open_session()
    for name in ("flaky", "single"):
        assert ask(server.url, f"{mine.api_key}@{name}").status_code in (200, 503)
    mine.end()
    for key in (mine.api_key, f"{mine.api_key}@single", f"{mine.api_key}@flaky"):
        answer = ask(server.url, key)
        assert (answer.status_code, answer.content) == (403, b"")
        assert "the session of this API key has ended" in answer.headers["X-Mockbm-Explain"]


@pytest.mark.parametrize(
    ("fault", "failing"),
    [
        ({"times": 2, **UNAVAILABLE}, 2),
        ({"after": 5, "times": 7, **UNAVAILABLE}, 7),
        ({"after": 150, **UNAVAILABLE}, 10),
        ({"rate": "5/h"}, 155),
        ({"times": 3, "connection": "reset"}, 3),
    ],
)
def test_counts_are_exact_among_threads(
    shared: MockServer, fault: dict[str, Any], failing: int
) -> None:
    """16 threads ask ten times each, and just so many requests misbehave as the scenario says."""
    session, bystander = opened(shared.url, fault), opened(shared.url)

    def fails(_: int) -> bool:
        assert ask(shared.url, bystander.api_key).status_code == 200
        try:
            return not ask(shared.url, session.api_key).ok
        except requests.ConnectionError:
            return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(fails, range(160))) == failing
    assert len(session.requests()) == len(bystander.requests()) == 160


# Delays and rates.


def test_delays_add_up(shared: MockServer) -> None:
    """The delays before the first fault that answers add up; those behind it do not count."""
    faults = [{"delay": "10ms"}, {"times": 1, "delay": "20ms", **UNAVAILABLE}, {"delay": "40ms"}]
    session = opened(shared.url, *faults)
    assert statuses(session, shared.url, 2) == [503, 200]
    assert notes(session) == [("delayed by 30 ms",), ("delayed by 50 ms",)]
    assert session.requests()[0].explanation == "faults[1]: status 503"
    assert session.requests()[1].explanation == "7 releases"


def test_delays_by_chance_can_be_repeated(shared: MockServer) -> None:
    """The same seed gives the same delays, between min and max, in any session and run of it."""
    seen = []
    for seed in (7, 7, 8):
        fault = {"delay": {"min": "1ms", "max": "30ms", "seed": seed}}
        session = opened(shared.url, fault)
        statuses(session, shared.url, 6)
        seen.append(notes(session))
    assert seen[0] == seen[1] != seen[2]
    delays = [int(note.split()[2]) for [note] in seen[0]]
    assert all(1 <= delay <= 30 for delay in delays)
    assert len(set(delays)) > 2


def test_a_rate_counts_by_the_clock(shared: MockServer) -> None:
    """Above the rate come 429s that say when to try again, and then is when the next one passes."""
    session = opened(shared.url, {"rate": "2/m"})
    session.set_clock("2024-03-04T09:00:00Z")
    table = [
        ("0s", 200, None),
        ("30s", 200, None),
        ("0s", 429, "30"),
        ("29500ms", 429, "1"),
        ("500ms", 200, None),
        ("0s", 429, "30"),
        ("1d", 200, None),
        ("0s", 200, None),
        ("0s", 429, "60"),
    ]
    for step, status, retry_after in table:
        session.advance_clock(step)
        answer = ask(shared.url, session.api_key)
        assert (answer.status_code, answer.headers.get("Retry-After")) == (status, retry_after)
    assert answer.text == "Too many requests; try again in 60 s\n"
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["X-Mockbm-Explain"] == "faults[0]: more than 2 requests in 60 seconds"
    session.set_clock("2024-03-04T09:00:00Z")
    assert statuses(session, shared.url, 3) == [200, 200, 429]


def test_a_clock_that_was_ahead_blocks_no_rate(shared: MockServer) -> None:
    """Requests that another machine has counted, with its clock an hour ahead, do not count."""
    session = opened(shared.url, {"rate": "2/m"})
    assert statuses(session, shared.url, 3) == [200, 200, 429]
    with shared.mock.use(session_id(session.api_key)) as state:
        state.counts.passed = [[moment + 3600 for moment in state.counts.passed[0]]]
    assert statuses(session, shared.url, 3) == [200, 200, 429]


def all_asleep(
    url: str, pool: ThreadPoolExecutor, count: int, delay: str
) -> list[Future[requests.Response]]:
    """Requests that are all being delayed, one session's."""
    session = opened(url, {"delay": delay})
    sleeping = [pool.submit(ask, url, session.api_key) for _ in range(count)]
    path = f"{url}/__admin{session._path}/scenario"
    deadline = time.monotonic() + 20
    while requests.get(path, timeout=10).json()["run"]["faults"] != [count]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return sleeping


def test_a_delay_holds_up_only_its_own_request(server: MockServer) -> None:
    """While 50 requests sleep, more than there are threads, another one is answered."""
    other = server.open_session()
    with ThreadPoolExecutor(50) as pool:
        sleeping = all_asleep(server.url, pool, 50, "2s")
        assert statuses(other, server.url, 1) == [200]
        assert not any(request.done() for request in sleeping)
        assert {request.result().status_code for request in sleeping} == {200}


@pytest.mark.parametrize("kind", ["MockServer", "mockbm serve"])
def test_stopping_does_not_wait_for_sleepers(kind: str) -> None:
    """A server with delayed requests stops long before their delay is over."""
    with ThreadPoolExecutor(20) as pool:
        if kind == "MockServer":
            with MockServer() as server:
                sleeping = all_asleep(server.url, pool, 20, "30s")
                begun = time.monotonic()
                server.stop()
        else:
            with serving("--port", "0", "--log", "off") as (process, line):
                sleeping = all_asleep(line.split()[3], pool, 20, "30s")
                begun = time.monotonic()
                process.send_signal(signal.SIGTERM)
                assert process.wait(20) == 0
        assert time.monotonic() - begun < 5
        for request in sleeping:
            assert request.exception(20) is None or isinstance(request.exception(), OSError)


# Without a socket.

USE_SERVE = "breaks connections, which this WSGI server does not let mockbm do; run it with `mockbm"
BREAKING = ("reset", "empty", "truncate")


@pytest.mark.parametrize("kind", BREAKING)
def test_breaking_needs_a_socket(kind: str, tmp_path: Path) -> None:
    """Under another server, a scenario that breaks connections is refused wherever it would run."""
    (tmp_path / "calm.yaml").write_text("releases: []\n")
    broken = tmp_path / "broken.yaml"
    broken.write_text(f"releases: []\nfaults:\n  - connection: {kind}\n")
    with pytest.raises(ScenarioError, match=f"^broken: {USE_SERVE} serve`"):
        create_app(tmp_path, "broken")
    client = create_app(tmp_path, "calm").test_client()
    inline = {"releases": [], "faults": [{"connection": kind}]}
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("PUT", "/__admin/scenario", {"name": "broken"}),
        ("PUT", "/__admin/scenario", inline),
        ("POST", "/__admin/sessions", {"scenario": "broken"}),
    ]
    for method, path, body in calls:
        answer = client.open(path, method=method, json=body)
        assert (answer.status_code, answer.content_type) == (400, "application/problem+json")
        assert f"{USE_SERVE} serve`" in answer.json["detail"]
    pinned = client.get("/api/releases?key=abc12345@broken")
    assert pinned.status_code == 403
    assert f"{USE_SERVE} serve`" in pinned.headers["X-Mockbm-Explain"]
    (tmp_path / "calm.yaml").write_text(broken.read_text())
    reloaded = client.post("/__admin/reload")
    assert reloaded.status_code in (400, 409)
    assert f"calm: {USE_SERVE} serve`" in "".join(reloaded.json["problems"])
    assert client.get("/api/releases?key=abc12345").json == []
    assert client.get("/__admin/sessions").json == {"sessions": []}


def test_what_needs_no_socket_is_not_refused() -> None:
    """Statuses, rates, delays and answers that are no JSON work under every server."""
    for name in ("outage", "rate-limited", "slow", "malformed"):
        create_app(scenario=name)
    client = create_app(scenario="malformed").test_client()
    answer = client.get("/api/releases?key=abc12345")
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.data)


@pytest.mark.parametrize("kind", BREAKING)
def test_in_process_there_is_nothing_to_break(shared: MockServer, kind: str) -> None:
    """Asked without a socket, a fault that breaks connections is a 501 that says why."""
    session = opened(shared.url, {"connection": kind})
    transport = httpx.WSGITransport(app=shared.app)
    with httpx.Client(transport=transport, base_url="http://mock") as client:
        answer = client.get("/api/releases", headers={"X-ApiKey": session.api_key})
    why = f"faults[0]: connection {kind}; 7 releases: there is no connection here to break"
    assert (answer.status_code, answer.text) == (501, f"{why}; send it over a socket\n")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["X-Mockbm-Explain"] == why
    assert [entry.status for entry in session.requests()] == [501]


# The scenarios that come with mockbm.

SHIPPED: dict[str, tuple[list[Any], str | None]] = {
    "outage": ([503] * 4, "30"),
    "flaky": ([503, 503, 200, 200], "1"),
    "unauthorized": ([403] * 3, None),
    "malformed": ([requests.JSONDecodeError] * 2, None),
    "connection-reset": ([requests.ConnectionError] * 2, None),
    "rate-limited": ([200] * 5 + [429] * 2, "1"),
    "bad-request": ([400] * 2, None),
    "slow": ([200], None),
}


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_scenario(shared: MockServer, name: str) -> None:
    """Each scenario with faults that comes with mockbm does what its description says."""
    expected, retry_after = SHIPPED[name]
    session = AdminClient(shared.url).open_session(name)
    session.set_clock("2024-03-04T09:00:00Z")
    found: list[Any] = []
    for _ in expected:
        try:
            answer = ask(shared.url, session.api_key)
            if answer.ok:
                assert len(answer.json()) == 7
            else:
                assert answer.headers.get("Retry-After") == retry_after
                assert bool(answer.content) == (answer.status_code != 403)
            found.append(answer.status_code)
        except requests.RequestException as error:  # noqa: PERF203
            found.append(type(error))
    assert found == expected
    if name == "slow":
        assert all(500 <= int(note.split()[2]) <= 2000 for [note] in notes(session))
    if name == "rate-limited":
        session.advance_clock("1s")
        assert ask(shared.url, session.api_key).status_code == 200


# Definitions that are refused.
