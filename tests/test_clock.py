"""Relative dates, and the clock that says what now is."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import requests
from test_changes import NOON, REQUIRED, get, release, seen
from test_cli import run, serving

from mockbm import AdminClient, MockbmFixture, MockServer

# Relative dates.


@pytest.mark.parametrize(
    ("now", "date", "expected"),
    [
        (NOON, "now", "2024-03-04T12:00:00.0000000Z"),
        (NOON, "now-3d", "2024-03-01T12:00:00.0000000Z"),
        (NOON, "now-4d", "2024-02-29T12:00:00.0000000Z"),
        ("2023-03-04T12:00:00Z", "now-4d", "2023-02-28T12:00:00.0000000Z"),
        ("2024-02-28", "now+1d", "2024-02-29T00:00:00.0000000Z"),
        ("2024-02-29", "now+1d", "2024-03-01T00:00:00.0000000Z"),
        ("2024-02-29T23:59:59Z", "now+1s", "2024-03-01T00:00:00.0000000Z"),
        ("2100-02-28", "now+1d", "2100-03-01T00:00:00.0000000Z"),
        ("2000-02-28", "now+1d", "2000-02-29T00:00:00.0000000Z"),
        ("2023-12-31T23:59:00Z", "now+1m", "2024-01-01T00:00:00.0000000Z"),
        ("2024-01-01", "now-1h", "2023-12-31T23:00:00.0000000Z"),
        ("2024-12-25", "now+2w", "2025-01-08T00:00:00.0000000Z"),
        ("2024-03-04T12:00:00.1234567Z", "now+250ms", "2024-03-04T12:00:00.3734560Z"),
        ("2024-03-04T12:00+02:00", "now+1.5d", "2024-03-05T22:00:00.0000000Z"),
        ("1900-01-01", "now-100w", "1898-01-31T00:00:00.0000000Z"),
        ("9799-12-30", "now+5000w", "9895-10-28T00:00:00.0000000Z"),
    ],
)
def test_a_relative_date(shared: MockServer, now: str, date: str, expected: str) -> None:
    """A relative date is so long before or after the moment at which the scenario began."""
    session = shared.open_session()
    session.use_values({"releases": [{"id": 1, **REQUIRED, "targetDate": date}]})
    session.set_clock(now)
    assert seen(shared, session, "targetDate") == [[expected]]
    session.advance_clock("1d")
    assert seen(shared, session, "targetDate") == [[expected]]
    session.use_values({"releases": [{"id": 1, **REQUIRED, "targetDate": date}]})
    assert seen(shared, session, "targetDate") != [[expected]]


def test_now_is_the_machines_time_without_a_clock(shared: MockServer) -> None:
    """Where no clock is set, dates count from the moment of the switch to the scenario."""
    session = shared.open_session()
    before = datetime.now(timezone.utc)
    session.use_values({"releases": [{"id": 1, **REQUIRED, "createdOn": "now"}]})
    after = datetime.now(timezone.utc)
    [[first]] = seen(shared, session, "createdOn")
    time.sleep(0.01)
    assert seen(shared, session, "createdOn") == [[first]]
    found = datetime.fromisoformat(f"{first[:26]}+00:00")
    assert before <= found <= after


CHANGING = """
order: newest-first
releases:
  - {id: 1, number: 1, applicationId: 1, applicationName: A, createdOn: now-3d, targetDate: now+2w,
     changes: [{after: 2 calls, status: canceled, canceledOn: now}, {after: 1h, status: active}]}
  - {id: 2, number: 2, applicationId: 1, applicationName: A, createdOn: now-90m, absent: true,
     changes: [{after: 1d, absent: false}]}
  - {id: 3, number: 3, applicationId: 1, applicationName: A, createdOn: 2024-03-01T13:00:00Z}
faults: [{rate: 3/h}]
"""


def conversation(url: str) -> list[tuple[int, bytes, str, str]]:
    """What a fixed series of requests and steps of the clock gets."""
    client, found = AdminClient(url), []
    for step in ("0s", "0s", "0s", "0s", "30m", "30m", "1d", "0s"):
        client.advance_clock(step)
        answer = get(url, "abc12345")
        revision = answer.headers["X-Mockbm-Revision"]
        found.append(
            (answer.status_code, answer.content, answer.headers["X-Mockbm-Explain"], revision)
        )
    return found


def test_a_set_clock_gives_the_same_bytes(tmp_path: Path) -> None:
    """With a set clock, the same requests get the same bytes from any server at any time."""
    (tmp_path / "changing.yaml").write_text(CHANGING)
    found = []
    with MockServer(tmp_path, clock=NOON) as server:
        found.append(conversation(server.url))
        server.mock.default.reset()
        found.append(conversation(server.url))
        assert server.mock.default.now == "2024-03-05T13:00:00.0000000Z"
    with MockServer(tmp_path) as server:
        server.mock.default.set_clock(NOON)
        later = conversation(server.url)
        assert [row[:3] for row in later] == [row[:3] for row in found[0]]
    with serving(str(tmp_path), "--port", "0", "--log", "off", "--clock", NOON) as (_, line):
        found.append(conversation(line.split()[3]))
    assert found[0] == found[1] == found[2]
    assert [row[0] for row in found[0]] == [200] * 3 + [429] * 2 + [200] * 3
    assert len({row[1] for row in found[0]}) == 5


# The clock.


def clock(url: str, method: str, body: Any = None, session: str = "") -> requests.Response:
    more = {} if body is None else {"json": body}
    return requests.request(method, f"{url}/__admin{session}/clock", timeout=10, **more)


def test_the_clock_over_http(server: MockServer) -> None:
    """A clock is seen, set, advanced and released, each session's on its own."""
    opening = requests.post(f"{server.url}/__admin/sessions", timeout=10).json()
    path = f"/sessions/{opening['id']}"
    assert clock(server.url, "PUT", {"now": "2024-02-28T09:00:00Z"}, path).json() == {
        "now": "2024-02-28T09:00:00.0000000Z",
        "set": True,
    }
    ahead = clock(server.url, "PUT", {"advance": "2d"}, path)
    assert (ahead.status_code, ahead.json()["now"]) == (200, "2024-03-01T09:00:00.0000000Z")
    assert clock(server.url, "GET", session=path).json() == ahead.json()
    default = clock(server.url, "GET").json()
    assert default["set"] is False
    assert default["now"] > "2024-03-02"
    moved = clock(server.url, "PUT", {"advance": "1w"}).json()
    shift = datetime.fromisoformat(moved["now"][:26]) - datetime.fromisoformat(default["now"][:26])
    assert timedelta(days=7) <= shift < timedelta(days=7, minutes=5)
    assert moved["set"] is False
    released = clock(server.url, "DELETE", session=path)
    assert (released.status_code, released.json()["set"]) == (200, False)
    assert released.json()["now"] < moved["now"]
    assert clock(server.url, "DELETE").json()["now"] < moved["now"]
    assert clock(server.url, "PUT", {"now": NOON}, path).json()["set"] is True
    requests.post(f"{server.url}/__admin{path}/reset", timeout=10).raise_for_status()
    assert clock(server.url, "GET", session=path).json()["set"] is False
    assert clock(server.url, "GET", session="/sessions/none").status_code == 404


ONE_OF = 'body: expected {"now": "2024-03-04T09:00:00Z"} or {"advance": "2d"}'
DURATION = "write a number and one of ms, s, m, h, d, w, such as 250ms or 2d"
RANGE = "1900-01-01T00:00:00.0000000Z to 9800-01-01T00:00:00.0000000Z"


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({}, ONE_OF),
        ({"now": NOON, "advance": "2d"}, ONE_OF),
        ({"now": None}, ONE_OF),
        ([], "body: expected named properties (name: value)"),
        ("now", "body: expected named properties (name: value)"),
        ({"nwo": NOON}, "nwo: unknown property; did you mean now?"),
        ({"now": "tomorrow"}, "now: 'tomorrow' is not a date; write it like 2024-03-04 or"),
        ({"now": ""}, "now: '' is not a date; write it like 2024-03-04 or"),
        ({"now": "2023-02-29"}, "now: '2023-02-29' is not a date that exists"),
        ({"now": "now+2d"}, "now: 'now+2d' is relative to now; a clock needs a date such as 2024"),
        ({"now": "now+2y"}, "now: 'now+2y' is not a relative date; write a number"),
        ({"now": True}, "now: true is not a date; write it like 2024-03-04 or"),
        ({"now": "1899-12-31"}, f"now: a clock shows moments from {RANGE}"),
        ({"now": "9800-01-02"}, f"now: a clock shows moments from {RANGE}"),
        ({"advance": "2"}, f"advance: '2': {DURATION}"),
        ({"advance": "-2d"}, f"advance: '-2d': {DURATION}"),
        ({"advance": ""}, f"advance: '': {DURATION}"),
        ({"advance": "6000w"}, "advance: '6000w': allowed are a hundred years at most"),
    ],
)
def test_a_bad_clock_is_refused(shared: MockServer, body: Any, detail: str) -> None:
    """What cannot be done to a clock is a 400 with problem details, and does nothing."""
    shared.mock.default.set_clock(NOON)
    refusal = clock(shared.url, "PUT", body)
    assert (refusal.status_code, refusal.headers["Content-Type"]) == (
        400,
        "application/problem+json",
    )
    assert (refusal.json()["title"], refusal.json()["status"]) == ("Bad request", 400)
    assert detail in refusal.json()["detail"]
    assert shared.mock.default.now == "2024-03-04T12:00:00.0000000Z"


def test_a_clock_ends_somewhere(shared: MockServer) -> None:
    """A clock is not advanced beyond the last moment that it can show."""
    session = shared.open_session()
    session.set_clock("9799-12-31")
    session.advance_clock("1d")
    for step in ("1s", "5000w"):
        with pytest.raises(ValueError, match="a clock can show at most 9800-01-01T00:00:00"):
            session.advance_clock(step)
    session.release_clock()
    assert session.now < "9800"


def test_serve_takes_a_clock() -> None:
    """`serve --clock` and its variable set the clock of every session, and refuse nonsense."""
    for arguments, variables in ((("--clock", NOON), {}), ((), {"MOCKBM_CLOCK": NOON})):
        with serving("--port", "0", "--log", "off", *arguments, **variables) as (_, line):
            client = AdminClient(line.split()[3])
            assert client.now == client.open_session().now == "2024-03-04T12:00:00.0000000Z"
    for text, message in (
        ("tomorrow", "'tomorrow' is not a date; write it like"),
        ("now", "'now' is relative to now; a clock needs a date such as 2024-03-04"),
        ("1899-12-31", f"a clock shows moments from {RANGE}"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)) as raised:
            MockServer(clock=text)
    done = run("serve", "--port", "0", "--clock", "1899-12-31")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"{raised.value}\n")


def test_the_clock_of_the_fixture(mockbm: MockbmFixture) -> None:
    """A test sets, advances and reads its own clock, and its releases follow it."""
    mockbm.clock.set("2024-02-28T09:00:00Z")
    mockbm.releases([release({"after": "30s", "status": "deployed"}, createdOn="now-1d")])
    assert mockbm.clock.now == "2024-02-28T09:00:00.0000000Z"
    [found] = get(mockbm.url, mockbm.api_key).json()
    assert (found["status"], found["createdOn"]) == ("active", "2024-02-27T09:00:00.0000000Z")
    mockbm.clock.advance("1d")
    assert mockbm.clock.now == "2024-02-29T09:00:00.0000000Z"
    [found] = get(mockbm.url, mockbm.api_key).json()
    assert (found["status"], found["createdOn"]) == ("deployed", "2024-02-27T09:00:00.0000000Z")
    with pytest.raises(ValueError, match="'soon' is not a date"):
        mockbm.clock.set("soon")
    with pytest.raises(ValueError, match="write a number and one of"):
        mockbm.clock.advance("soon")


def test_a_remote_clock_raises_the_same(server: MockServer) -> None:
    """`AdminClient` has the same clock, with the same errors."""
    session = AdminClient(server.url).open_session()
    session.set_clock(NOON)
    session.advance_clock("12h")
    assert session.now == "2024-03-05T00:00:00.0000000Z"
    with pytest.raises(ValueError, match="'soon' is not a date"):
        session.set_clock("soon")
    with pytest.raises(ValueError, match="write a number and one of"):
        session.advance_clock("soon")
    session.release_clock()
    assert session.now > "2024-03-06"
