"""Several processes: what one of many refuses, and what all of them share through Redis."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from redis import Redis
from redis_server import RedisServer
from test_cli import run, serving
from test_wsgi import ROOT, free_port

from mockbm import AdminClient, MockServer, create_app

BIN = Path(sys.executable).parent
KEY = "abc12345"
SAME_TESTS = ("switching", "sessions", "changes", "clock", "flows")
"""The tests of what a state keeps, which pass on each kind of state."""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="gunicorn does not run here")


@contextmanager
def workers(count: int, **environment: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A gunicorn with so many processes, which have all read the scenario files, and its URL."""
    port = free_port()
    ready = Path(tempfile.mkdtemp())
    config = ready / "gunicorn.conf.py"
    config.write_text(
        f"def post_worker_init(worker): open(f'{ready}/{{worker.pid}}', 'w').close()\n"
    )
    options = ["--workers", str(count), "--bind", f"127.0.0.1:{port}", "--graceful-timeout", "1"]
    process = subprocess.Popen(
        [BIN / "gunicorn", "--config", config, *options, "wsgi:app"],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        eventually(lambda: len(list(ready.iterdir())) > count)
        yield process, url
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(ready)


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds that other processes are about to do."""
    deadline = time.monotonic() + 20
    while True:
        try:
            if holds():
                return
        except requests.RequestException:
            pass
        assert time.monotonic() < deadline
        time.sleep(0.1)


def ask(url: str, key: str = KEY, **parameters: str) -> requests.Response:
    """One request over a connection of its own, so that any process may get it."""
    return requests.get(
        f"{url}/api/releases", params=parameters, headers={"X-ApiKey": key}, timeout=10
    )


def admin(method: str, url: str, path: str, body: Any = None) -> requests.Response:
    return requests.request(method, f"{url}/__admin{path}", json=body, timeout=10)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis server that loses everything when it is killed."""
    server = RedisServer(tmp_path, keeps=False)
    yield server
    server.kill()


ONE_OF_MANY = [
    ("GET", "/scenarios", None, 200),
    ("GET", "/scenarios/empty", None, 200),
    ("GET", "/scenario", None, 200),
    ("GET", "/health", None, 200),
    ("PUT", "/scenario", {"name": "empty"}, 409),
    ("POST", "/reset", None, 409),
    ("POST", "/reload", None, 409),
    ("POST", "/sessions", {}, 409),
    ("PUT", "/faults", {"faults": []}, 409),
    ("PUT", "/clock", {"now": "2024-03-04"}, 409),
    ("DELETE", "/clock", None, 409),
    ("GET", "/requests", None, 409),
    ("GET", "/requests/", None, 409),
    ("DELETE", "/requests", None, 409),
]


def test_one_of_many_refuses_what_it_cannot_know() -> None:
    """Without shared state, stateless answers are right, and all others say what to do."""
    with workers(2) as (_, url):
        for method, path, body, status in ONE_OF_MANY:
            answer = admin(method, url, path, body)
            assert (answer.status_code, path) == (status, path)
            if status == 409:
                assert "MOCKBM_STATE=redis://HOST:PORT" in answer.json()["detail"]
        found = {
            name: ask(url, f"{KEY}@{name}").status_code
            for name in ("documented", "empty", "outage", "unauthorized")
        }
        assert list(found.values()) == [200, 200, 503, 403]
        for name in ("slow", "flaky", "rate-limited", "release-appears", "deploy-in-progress"):
            answer = ask(url, f"{KEY}@{name}")
            assert answer.status_code == 409
            assert f"scenario {name} counts or changes" in answer.text
            assert "MOCKBM_STATE" in answer.headers["X-Mockbm-Explain"]
        assert ask(url, f"{KEY}@flaky", status="wrong").status_code == 400


def test_one_process_refuses_nothing() -> None:
    """One process with any number of threads switches, counts and has a journal."""
    with workers(1) as (_, url):
        assert admin("PUT", url, "/scenario", {"name": "empty"}).ok
        assert ask(url).json() == []
        assert ask(url, f"{KEY}@flaky").status_code == 503
        assert len(admin("GET", url, "/requests").json()["requests"]) == 2


def test_processes_share_all_that_a_session_is(redis: RedisServer) -> None:
    """A switch, a session, its counts, its clock and its journal are one for all processes."""
    with workers(4, MOCKBM_STATE=redis.url) as (_, url):
        for name in ("empty", "single", "documented", "many-applications") * 3:
            admin("PUT", url, "/scenario", {"name": name})
            assert {ask(url).headers["X-Mockbm-Scenario"] for _ in range(8)} == {name}
        session = AdminClient(url).open_session(label="mine")
        faults = [{"after": 20, "times": 50, "respond": {"status": 503}}]
        session.use_values({"extends": "documented", "faults": faults})
        with ThreadPoolExecutor(8) as pool:
            statuses = Counter(
                pool.map(lambda _: ask(url, session.api_key).status_code, range(200))
            )
        assert statuses == {503: 50, 200: 150}
        entries = session.requests()
        assert [entry.number for entry in entries] == list(range(1, 201))
        assert [entry.status for entry in entries].count(503) == 50
        session.set_clock("2024-03-04T09:00:00Z")
        session.advance_clock("2d")
        assert {session.now for _ in range(8)} == {"2024-03-06T09:00:00.0000000Z"}
        assert {item["label"] for item in admin("GET", url, "/sessions").json()["sessions"]} == {
            "mine"
        }
        session.end()
        answers = [ask(url, session.api_key) for _ in range(8)]
        assert {answer.status_code for answer in answers} == {403}
        assert all("it was ended by a call" in a.headers["X-Mockbm-Explain"] for a in answers)


def test_the_log_says_that_a_session_has_ended(
    redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A session that a call ends, and those of its pinned keys, have their lines in the log."""
    caplog.set_level("INFO", "mockbm")
    with MockServer(state=redis.url) as server:
        session = server.open_session(label="mine")
        ask(server.url, f"{session.api_key}@empty")
        session.end()
    assert [text for text in caplog.messages if "#" not in text] == [
        "mine: opened in documented",
        "pinned to empty: opened by its first request",
        "mine: ended: it was ended by a call",
        "pinned to empty: ended: it was ended by a call",
    ]


def test_a_reload_reaches_every_process(redis: RedisServer, tmp_path: Path) -> None:
    """After a reload in one process, every other one serves the new files, or says why not."""
    directory = tmp_path / "scenarios"
    directory.mkdir()
    file = directory / "start.yaml"
    file.write_text("releases: []\n")
    release = "{id: 1, number: %s, applicationId: 1, applicationName: Shop}"
    with workers(4, MOCKBM_STATE=redis.url, MOCKBM_SCENARIOS=str(directory)) as ready:
        _, url = ready
        for number in ("1.0", "2.0", "3.0"):
            file.write_text(f"releases: [{release % number}]\n")
            assert admin("POST", url, "/reload").ok
            assert [ask(url).json()[0]["number"] for _ in range(12)] == [number] * 12
        file.write_text("release: []\n")
        assert admin("POST", url, "/reload").status_code == 409
        for answer in [ask(url) for _ in range(12)]:
            if answer.ok:  # by a process that had read the files before they were broken
                assert answer.json()[0]["number"] == "3.0"
            else:
                assert answer.status_code == 503
                assert "start.yaml:1:1: release: unknown property" in answer.text


def test_a_reload_needs_no_earlier_one(redis: RedisServer, tmp_path: Path) -> None:
    """A process that has missed a reload names the problems of the files when it is told to."""
    file = tmp_path / "start.yaml"
    file.write_text("releases: []\n")
    shared = (str(tmp_path), "--port", "0", "--state", redis.url)
    with serving(*shared) as (_, first), serving(*shared) as (_, second):
        one, other = (line.split()[3] for line in (first, second))
        assert admin("POST", one, "/reload").ok
        file.write_text("release: []\n")
        answer = admin("POST", other, "/reload")
        assert answer.status_code == 409
        assert "start.yaml:1:1: release: unknown property" in answer.text
        assert (ask(one).status_code, ask(other).status_code) == (200, 503)
        file.write_text("releases: []\n")
        assert admin("POST", other, "/reload").ok
        assert (ask(one).status_code, ask(other).status_code) == (200, 200)


def test_mocks_that_serve_share_as_well(redis: RedisServer) -> None:
    """Two `mockbm serve` with one state are one mock; a name behind # makes another."""
    state = ("--port", "0", "--state")
    with (
        serving(*state, redis.url) as (_, first),
        serving(*state, redis.url) as (_, second),
        serving(*state, f"{redis.url}/0#other") as (_, other),
    ):
        urls = [line.split()[3] for line in (first, second, other)]
        assert run("use", "empty", "--url", urls[0]).returncode == 0
        found = [ask(url).headers["X-Mockbm-Scenario"] for url in urls]
        assert found == ["empty", "empty", "documented"]


def test_a_killed_process_takes_nothing_with_it(redis: RedisServer) -> None:
    """While processes are killed, no answer is wrong and no count or entry is lost or doubled."""
    with workers(3, MOCKBM_STATE=redis.url) as (process, url):
        session = AdminClient(url).open_session("empty")

        def answered(_: int) -> bool:
            try:
                answer = ask(url, session.api_key)
            except requests.RequestException:
                return False
            assert (answer.status_code, answer.text) == (200, "[]")
            return True

        with ThreadPoolExecutor(4) as pool:
            done = pool.map(answered, range(300))
            for _ in range(3):
                time.sleep(0.3)
                killed = children(process.pid)[0]
                os.kill(killed, 9)
            count = sum(done)
        eventually(lambda: len(children(process.pid)) == 3)
        entries = session.requests()
        assert [entry.number for entry in entries] == list(range(1, len(entries) + 1))
        assert count <= len(entries) <= 300
        assert count >= 280


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True)
    return [int(line) for line in found.stdout.split()]


def test_a_second_signal_ends_it_at_once(redis: RedisServer) -> None:
    """The first lets calls end that are under way, as one that Redis does not answer."""
    with serving("--port", "0", "--state", redis.url) as (process, line), redis.stopped():
        address = ("127.0.0.1", int(line.split()[3].rpartition(":")[2]))
        with socket.create_connection(address, 20) as waiting:
            waiting.sendall(b"GET /api/releases HTTP/1.1\r\nHost: x\r\n\r\n")
            time.sleep(0.2)
            process.terminate()
            time.sleep(0.2)
            process.terminate()
            assert process.wait(20) == -signal.SIGTERM


@pytest.mark.parametrize("keeps", [True, False])
def test_what_redis_loses_is_lost_and_nothing_else(tmp_path: Path, keeps: bool) -> None:
    """While Redis is away, every answer says so; then all is there that Redis has kept."""
    redis = RedisServer(tmp_path, keeps=keeps)
    try:
        with workers(2, MOCKBM_STATE=redis.url) as (_, url):
            session = AdminClient(url).open_session("single")
            admin("PUT", url, "/scenario", {"name": "empty"})
            assert ask(url, session.api_key).json() != []
            redis.kill()
            for key in (KEY, session.api_key, f"{KEY}@single"):
                answer = ask(url, key)
                assert answer.status_code == 503
                assert f"the shared state at {redis.url} does not answer" in answer.text
                assert answer.headers["Retry-After"] == "1"
            assert admin("PUT", url, "/scenario", {"name": "single"}).status_code == 503
            health = admin("GET", url, "/health")
            assert (health.status_code, health.json()["status"]) == (503, "unavailable")
            (problem,) = health.json()["problems"]
            assert problem.startswith(f"the shared state at {redis.url} does not answer: ")
            done = run("health", "--wait", "0.2", "--url", url)
            expected = f"the mock at {url} is unavailable: {problem}\n"
            assert (done.returncode, done.stdout, done.stderr) == (1, "", expected)
            redis.start()
            eventually(lambda: ask(url).status_code == 200)
            assert admin("GET", url, "/health").json()["status"] == "ok"
            after = ask(url, session.api_key)
            if keeps:
                assert ask(url).json() == []
                assert after.headers["X-Mockbm-Scenario"] == "single"
                assert [entry.number for entry in session.requests()] == [1, 2]
            else:
                assert ask(url).headers["X-Mockbm-Scenario"] == "documented"
                assert after.status_code == 403
                assert "the API key is unknown" in after.headers["X-Mockbm-Explain"]
    finally:
        redis.kill()


NOT_OURS = [
    ("session:default", "{}"),
    ("session:default", "00000000 {}"),
    ("session:default", "5"),
    ("session:default", b"\xff\xfe"),
    ("reloads", "many"),
    ("journal:default", '{"number": 1}'),
    ("journal:default", "[]"),
    ("journal:default", "{"),
]


@pytest.mark.parametrize(("key", "value"), NOT_OURS)
def test_what_another_program_has_written(redis: RedisServer, key: str, value: str | bytes) -> None:
    """Values in Redis that cannot be read are a 503 that names the key, until they are deleted."""
    database = Redis.from_url(redis.url)
    with MockServer(state=redis.url) as server:
        assert ask(server.url).status_code == 200
        if key.startswith("journal"):
            database.lpush(f"mockbm:{key}", value)
            answer = admin("GET", server.url, "/requests")
            assert ask(server.url).status_code == 200
        else:
            database.set(f"mockbm:{key}", value)
            answer = ask(server.url)
            health = admin("GET", server.url, "/health")
            assert (health.status_code, health.json()["status"]) == (503, "unavailable")
        assert answer.status_code == 503
        unreadable = f"has something at mockbm:{key} that cannot be read; delete it, or use the"
        assert ("does not answer: " if key == "reloads" else unreadable) in answer.text
        held = database.get("mockbm:lock:default")  # which others would wait for
        assert held is None or held.startswith(b"saved")
        database.delete(f"mockbm:{key}")
        assert ask(server.url).status_code == 200
        assert admin("GET", server.url, "/health").json()["status"] == "ok"


def test_a_session_that_was_edited(redis: RedisServer) -> None:
    """A session with any other field or value than was written is not guessed at."""
    database = Redis.from_url(redis.url, decode_responses=True)
    with MockServer(state=redis.url) as server:
        assert ask(server.url).status_code == 200
        stored = str(database.get("mockbm:session:default"))
        for old, new in (('{"id"', '{"new": 1, "id"'), ('"number": 1', '"number": [1]')):
            assert old in stored
            database.set("mockbm:session:default", stored.replace(old, new))
            assert ask(server.url).status_code == 503
        database.set("mockbm:session:default", stored)
        assert ask(server.url).status_code == 200


LACKING = "this mock cannot use the active scenario"
ADVICE = (
    "switch to another one, or give mocks with different files names of their own, after a # in "
    "MOCKBM_STATE"
)
UNKNOWN = f"{LACKING} mine: no scenario is called 'mine'; there are: both; {ADVICE}"
UNREADABLE = (
    f"{LACKING} inline: extends: no scenario is called 'mine'; did you mean single?; {ADVICE}"
)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [({"name": "mine"}, UNKNOWN), ({"extends": "mine", "releases": []}, UNREADABLE)],
)
@pytest.mark.parametrize("way", ["switch", "reset"])
def test_a_scenario_that_only_another_mock_has(
    redis: RedisServer, tmp_path: Path, wanted: dict[str, Any], message: str, way: str
) -> None:
    """Mocks with different files in one state say so, and each one's scenarios stay what they are.

    So does a mock that is started when the file of the active scenario is gone.
    """
    for name in ("mine", "both"):
        (tmp_path / f"{name}.yaml").write_text("releases: []\n")
    (tmp_path / "fewer").mkdir()
    (tmp_path / "fewer" / "both.yaml").write_text("releases: []\n")
    fewer = (str(tmp_path / "fewer"), "--port", "0", "--state", redis.url)
    with MockServer(tmp_path, "both", state=redis.url) as first, serving(*fewer) as (process, line):
        url = line.split()[3]
        assert ask(url).status_code == 200
        assert admin("PUT", first.url, "/scenario", wanted).ok
        process.terminate()
        process.wait(20)
        with serving(*fewer) as (process, line):
            url = line.split()[3]
            name = wanted.get("name", "inline")
            greeting = (
                f"mockbm listening on {url} (scenario {name}); requests are refused with a 503"
            )
            assert line == f"{greeting}: {message}\n"
            answer = ask(url)
            assert (answer.status_code, message in answer.text) == (503, True)
            assert answer.headers["Retry-After"] == "1"
            health = admin("GET", url, "/health")
            assert (health.status_code, health.json()["status"]) == (503, "unavailable")
            assert message in health.json()["problems"][0]
            fault = {"faults": [{"respond": {"status": 418}}]}
            assert admin("PUT", url, "/faults", fault).status_code == 503
            assert ask(first.url).status_code == 200
            expected = f"the mock at {url} is unavailable: {health.json()['problems'][0]}\n"
            assert run("health", "--url", url).stderr == expected
            assert message in admin("GET", url, "/scenario").json()["detail"]
            assert ask(first.url).json() == []
            if way == "switch":
                assert run("use", "both", "--url", url).returncode == 0
            else:
                assert admin("POST", url, "/reset").ok
            assert [ask(place).headers["X-Mockbm-Scenario"] for place in (url, first.url)] == [
                "both",
                "both",
            ]
            assert admin("GET", url, "/health").json()["status"] == "ok"
            process.terminate()
            assert "Traceback" not in process.communicate(timeout=20)[1]


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ("nowhere", "the state is 'nowhere'; it is kept in memory, or at redis://HOST:PORT"),
        ("redis://127.0.0.1:x", "the URL of the state cannot be read; write redis://:PASSWORD@"),
        ("redis://:hidden:6379", "the URL of the state cannot be read; write redis://:PASSWORD@"),
        ("redis://127.0.0.1:1", "the shared state at redis://127.0.0.1:1 does not answer: "),
    ],
)
def test_a_state_that_cannot_be(state: str, message: str) -> None:
    """`serve` ends with a message where its state cannot be kept."""
    done = run("serve", "--port", "0", "--state", state)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(message)
    assert "hidden" not in done.stderr
    assert "Traceback" not in done.stderr


def test_no_password_is_told(redis: RedisServer) -> None:
    """The password of a state is in no answer and in no error."""
    url = redis.url.replace("redis://", "redis://:secret@")
    app = create_app(state=url)
    health = app.test_client().get("/__admin/health")
    assert health.json is not None
    assert health.json["state"] == redis.url
    assert "secret" not in health.text


def test_the_same_tests_pass_with_shared_state(redis: RedisServer) -> None:
    """What holds for a mock with its state in memory holds with its state in Redis."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider"),
            *(str(Path(__file__).parent / f"test_{name}.py") for name in SAME_TESTS),
        ],
        env={**os.environ, "MOCKBM_TEST_STATE": redis.url},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout[-5_000:]


def test_a_fixture_server_may_share_too(redis: RedisServer) -> None:
    """A server in this process is one with another that has the same state."""
    with MockServer(state=redis.url) as one, MockServer(state=redis.url) as two:
        session = one.open_session("empty")
        assert ask(two.url, session.api_key).json() == []
        two.use("single")
        assert one.active == "single"
        faults = [{"times": 2, "respond": {"status": 503}}]
        AdminClient(one.url).use_faults(faults)
        found = [ask(url).status_code for url in (two.url, one.url, two.url)]
        assert found == [503, 503, 200]
