"""Steps of two clients in the order that would do most harm, forced: in memory, and in Redis."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis, exceptions
from redis_server import RedisServer
from test_watch import until
from werkzeug.test import TestResponse

from mockbm import create_app
from mockbm.core.mock import Mock
from mockbm.core.scenario import Scenario
from mockbm.core.session import Session
from mockbm.store import redis as store

KEY = "abc12345"
FLAKY = "faults: [{times: 3, respond: {status: 503}}]\nreleases: []\n"
RELEASES = "releases: [{{id: {0}, number: 1, applicationId: 1, applicationName: A}}]\n"

Apps = tuple[Flask, Flask]
"""Two applications with one state; in memory, that is one and the same."""


@pytest.fixture(params=["memory", "redis"])
def apps(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Apps]:
    """Two applications of the same files in `scenarios`, for threads to call at once."""
    directory = tmp_path / "scenarios"
    directory.mkdir()
    (directory / "flaky.yaml").write_text(FLAKY)
    (directory / "start.yaml").write_text(RELEASES.format(1))
    (directory / "other.yaml").write_text(RELEASES.format(1))
    if request.param == "memory":
        app = create_app(directory, "start")
        yield app, app
        return
    server = RedisServer(tmp_path, keeps=False)
    try:
        first, second = (create_app(directory, "start", state=server.url) for _ in range(2))
        yield first, second
    finally:
        server.kill()


def mock_of(app: Flask) -> Mock:
    mock: Mock = app.extensions["mockbm"]
    return mock


def ask(app: Flask, key: str = KEY) -> TestResponse:
    return app.test_client().get("/api/releases", headers={"X-ApiKey": key})


def ids(app: Flask) -> list[int]:
    return [release["id"] for release in ask(app).get_json()]


def admin(app: Flask, method: str, path: str, body: Any = None) -> TestResponse:
    client: FlaskClient = app.test_client()
    return client.open(f"/__admin{path}", method=method, json=body)


class Pause:
    """Stops the first call of a function in the middle, until `go_on`.

    before: whether it stops before the function does its work, or after.
    """

    def __init__(self, patch: pytest.MonkeyPatch, owner: Any, name: str, *, before: bool) -> None:
        self._reached, self._left = threading.Event(), threading.Event()
        self._first = threading.Lock()
        function = getattr(owner, name)

        def paused(*arguments: Any, **more: Any) -> Any:
            stops = self._first.acquire(blocking=False)
            if stops and before:
                self._stop()
            result = function(*arguments, **more)
            if stops and not before:
                self._stop()
            return result

        patch.setattr(owner, name, paused)

    def _stop(self) -> None:
        self._reached.set()
        assert self._left.wait(20)

    def wait(self) -> None:
        """Wait until the function is in the middle."""
        assert self._reached.wait(20)

    def go_on(self) -> None:
        self._left.set()


@contextmanager
def threads() -> Iterator[Callable[..., Future[Any]]]:
    """Runs functions in threads; all have ended when the block does."""
    with ThreadPoolExecutor(8) as pool:
        yield pool.submit


@pytest.mark.parametrize("step", ["opens", "resets"])
def test_a_pinned_key_after_a_reset_fails_as_often_as_its_fault_says(
    apps: Apps, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """A client that begins a pinned session does not end what another one has begun."""
    first, second = apps
    pinned = f"{KEY}@flaky"
    admin(first, "DELETE", "/requests")
    if step == "resets":
        assert [ask(first, pinned).status_code for _ in range(2)] == [503, 503]
        assert admin(second, "POST", "/reset").status_code == 200
        pause = Pause(monkeypatch, Session, "reset", before=True)
    else:
        pause = Pause(monkeypatch, mock_of(first).store, "add", before=True)
    with threads() as start:
        one = start(ask, first, pinned)
        pause.wait()
        others = [start(ask, app, pinned) for app in (*apps, *apps)]
        done = [other.done() for other in others]
        pause.go_on()
        statuses = Counter(answer.result().status_code for answer in (one, *others))
    assert done == [False] * 4
    assert statuses == {503: 3, 200: 2}
    journal = admin(first, "GET", "/requests").get_json()["requests"]
    assert [entry["number"] for entry in journal] == [1, 2, 3, 4, 5]


def test_a_reset_waits_for_a_request_and_takes_it_back(
    apps: Apps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reset in the middle of a request is one after it: nothing of it is left."""
    first, second = apps
    admin(first, "PUT", "/scenario", {"name": "flaky"})
    pause = Pause(monkeypatch, Session, "judge", before=False)
    with threads() as start:
        request = start(ask, first)
        pause.wait()
        reset = start(admin, second, "POST", "/reset")
        pause.go_on()
        assert (request.result().status_code, reset.result().status_code) == (503, 200)
    assert admin(first, "GET", "/requests").get_json()["requests"] == []
    admin(first, "PUT", "/scenario", {"name": "flaky"})
    assert [ask(app).status_code for app in (*apps, *apps)] == [503, 503, 503, 200]


@pytest.mark.parametrize("inner", ["switch", "reload"])
def test_a_switch_and_a_reload_at_once(
    apps: Apps, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, inner: str
) -> None:
    """Whichever is in the middle of the other, the new scenario has its new content."""
    first, second = apps
    (tmp_path / "scenarios" / "other.yaml").write_text(RELEASES.format(22))
    switch = (admin, first, "PUT", "/scenario", {"name": "other"})
    reload = (admin, second, "POST", "/reload")
    with threads() as start:
        if inner == "switch":
            pause = Pause(monkeypatch, mock_of(second).catalog.source, "load", before=False)
            outer = start(*reload)
            pause.wait()
            assert start(*switch).result().status_code == 200
        else:
            pause = Pause(monkeypatch, Scenario, "prepare", before=True)
            outer = start(*switch)
            pause.wait()
            assert start(*reload).result().status_code == 200
        pause.go_on()
        assert outer.result().status_code == 200
    assert [ids(app) for app in apps] == [[22], [22]]
    assert {ask(app).headers["X-Mockbm-Scenario"] for app in apps} == {"other"}


def test_two_reloads_at_once(apps: Apps, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The newest files are served, also where a reload that has read older ones ends later."""
    first, second = apps
    file = tmp_path / "scenarios" / "start.yaml"
    pause = Pause(monkeypatch, mock_of(first).catalog.source, "load", before=False)
    with threads() as start:
        file.write_text(RELEASES.format(22))
        older = start(admin, first, "POST", "/reload")
        pause.wait()
        file.write_text(RELEASES.format(333))
        newer = start(admin, second, "POST", "/reload")
        if first is not second:  # in one process, one waits for the other
            assert newer.result().status_code == 200
        pause.go_on()
        assert (older.result().status_code, newer.result().status_code) == (200, 200)
    assert [ids(app) for app in apps] == [[333], [333]]


def test_a_session_that_ends_while_its_pinned_key_begins(
    apps: Apps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request is refused as any other of a session that has ended."""
    first, second = apps
    assert ids(first) == [1]
    session = mock_of(first).open_session("start")
    key = f"{session.api_key}@other"
    pause = Pause(monkeypatch, mock_of(first).store, "add", before=False)
    with threads() as start:
        request = start(ask, first, key)
        pause.wait()
        mock_of(second).end_session(session.id)
        pause.go_on()
        answers = [request.result(), ask(second, key)]
    assert [answer.status_code for answer in answers] == [403, 403]
    whys = [answer.headers["X-Mockbm-Explain"] for answer in answers]
    assert whys[0] == "the session of this API key has ended"
    assert whys[1].startswith("the session of this API key has ended: it was ended by a call")
    assert mock_of(first).sessions() == []


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path, keeps=False)
    yield server
    server.kill()


BUSY = """
local function now() local time = redis.call('time'); return time[1] * 1000 + time[2] / 1000 end
local till = now() + tonumber(ARGV[1])
while now() < till do end
"""
"""Keeps Redis busy for some milliseconds."""


def test_a_slow_redis_counts_a_request_once(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request whose end Redis is too slow to confirm is repeated there, and is one request."""
    monkeypatch.setattr(store, "PATIENCE", 0.3)
    app = create_app(scenario="flaky", state=redis.url)
    database = Redis.from_url(redis.url)
    pause = Pause(monkeypatch, Session, "judge", before=False)
    with threads() as start:
        request = start(ask, app)
        pause.wait()
        busy = start(database.eval, BUSY, 0, 500)
        until_busy(redis)
        pause.go_on()
        assert request.result().status_code == 503
        assert request.result().headers["X-Mockbm-Scenario"] == "flaky"
        busy.result()
    assert [entry["number"] for entry in requests_of(app)] == [1]
    assert admin(app, "GET", "/scenario").get_json()["run"]["faults"] == [1]


def until_busy(redis: RedisServer) -> None:
    """Wait until Redis answers nobody."""
    impatient = Redis.from_url(redis.url, socket_timeout=0.05, retry=None)
    try:
        for _ in range(1_000):
            impatient.ping()
    except exceptions.TimeoutError:
        return
    pytest.fail("Redis is not busy")


def requests_of(app: Flask) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = admin(app, "GET", "/requests").get_json()["requests"]
    return found


def test_who_is_too_slow_writes_nothing(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the next one has got a session, the slow one before it says that it has no effect."""
    monkeypatch.setattr(store, "LOCK_SECONDS", 0.3)
    first, second = (create_app(scenario="flaky", state=redis.url) for _ in range(2))
    pause = Pause(monkeypatch, Session, "judge", before=False)
    with threads() as start:
        slow = start(ask, first)
        pause.wait()
        assert ask(second).headers["X-Mockbm-Explain"].startswith("faults[0]")
        pause.go_on()
        assert slow.result().status_code == 503
        assert "took too long; another request came first" in slow.result().text
    assert [entry["number"] for entry in requests_of(second)] == [1]
    assert admin(second, "GET", "/scenario").get_json()["run"]["faults"] == [1]


def test_who_has_waited_longest_comes_next(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests that wait for one session get it in their order."""
    app, database = create_app(state=redis.url), Redis.from_url(redis.url)
    pause = Pause(monkeypatch, Session, "judge", before=False)

    def waiting() -> int:
        return [client["cmd"] for client in database.client_list()].count("blpop")

    with threads() as start:
        start(ask, app)
        pause.wait()
        for number in (1, 2, 3):
            start(app.test_client().get, f"/api/releases?key={KEY}&releaseId={number}")
            until(lambda number=number: waiting() == number)  # type: ignore[misc]
        pause.go_on()
    parameters = [entry["parameters"].get("releaseId") for entry in requests_of(app)]
    assert parameters == [None, "1", "2", "3"]


def test_a_flush_at_any_moment_is_no_500(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis may lose everything between any two steps of a request."""
    app = create_app(state=redis.url)
    mock, database = mock_of(app), Redis.from_url(redis.url)
    for name in ("find", "add", "use"):
        step = getattr(mock.store, name)

        def flush_after(*arguments: Any, step: Callable[..., Any] = step) -> Any:
            result = step(*arguments)
            database.flushall()
            return result

        database.flushall()
        with monkeypatch.context() as patch:
            patch.setattr(mock.store, name, flush_after)
            for answer in (ask(app), ask(app), admin(app, "GET", "/health")):
                lost = "has lost the default session at this moment" in answer.text
                assert answer.status_code == (503 if lost else 200)
        assert ask(app).status_code == 200
    pause = Pause(monkeypatch, Session, "judge", before=False)
    with threads() as start:
        request = start(ask, app)
        pause.wait()
        database.flushall()
        pause.go_on()
        assert request.result().status_code == 503
    assert ask(app).status_code == 200
