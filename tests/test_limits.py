"""What a client cannot do to the mock: overfill it, hold it up, or make it stumble."""

from __future__ import annotations

import socket
import subprocess
import sys
import urllib.request
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import NoReturn
from urllib.parse import quote

import pytest
import requests
from described import Described
from hypothesis import given, settings
from hypothesis import strategies as st
from test_cli import MOCKBM, serving
from test_watch import until

from mockbm import MockServer, create_app
from mockbm.serving import limits

KEY = {"X-ApiKey": "abc12345"}
MANY = 1_500
TOO_DEEP = "nested more than 32 levels deep"


@pytest.mark.parametrize(
    ("more", "status", "text"),
    [
        ({"data": b"x" * (1024 * 1024 + 1)}, 413, "the body is too large; allowed are 1 MiB"),
        ({"data": b"x" * (limits.MAX_UPLOAD + 100_000)}, 413, ""),
        ({"headers": {**KEY, **{f"X-{n}": "x" * 1000 for n in range(70)}}}, 431, ""),
        ({"headers": {**KEY, "X-Long": "x" * 70_000}}, 431, ""),
        ({"params": {"releaseName": "x" * 70_000}}, 431, ""),
        ({"data": "&".join(f"a{n}=1" for n in range(1_001))}, 400, "more than 1000 fields"),
        ({"json": {"status": None, "x": 1}}, 400, "x: unknown parameter"),
        ({"data": b"[" * 500_000}, 400, TOO_DEEP),
        *(({"data": b'{"a":' * n + b"1" + b"}" * n}, 400, TOO_DEEP) for n in (33, 400, 700, 980)),
        ({"data": b'{"a":' * 32 + b"1" + b"}" * 32}, 400, "a: unknown parameter"),
        ({"files": {f"a{n}": (None, "1") for n in range(1_001)}}, 400, "more than 1000 fields"),
        ({"headers": {"Authorization": b"Basic \xff\xff"}}, 403, ""),
    ],
)
def test_too_much_is_refused(
    server: MockServer, more: dict[str, object], status: int, text: str
) -> None:
    """What is too large has an answer that says so, and the mock goes on."""
    call = {"headers": dict(KEY), **more}
    if isinstance(call.get("data"), str):
        call["headers"]["Content-Type"] = "application/x-www-form-urlencoded"  # type: ignore[index]
    elif "data" in call:
        call["headers"]["Content-Type"] = "application/json"  # type: ignore[index]
    answer = requests.post(f"{server.url}/api/releases", timeout=20, **call)  # type: ignore[arg-type]
    assert answer.status_code == status
    assert text in answer.text
    assert requests.get(f"{server.url}/api/releases", headers=KEY, timeout=20).ok


def test_an_odd_name_stays_on_its_line(shared: MockServer) -> None:
    """One problem is one line of a 400, whatever the name of a file or a charset holds."""
    boundary = {**KEY, "Content-Type": "multipart/form-data; boundary=x"}
    part = (
        b'--x\r\nContent-Disposition: form-data; name="a%0Ab"; filename="f"\r\n\r\n1\r\n--x--\r\n'
    )
    charset = {**KEY, "Content-Type": f"application/json; charset={'y' * 500}"}
    for headers, body in ((boundary, part), (charset, b"{}")):
        answer = requests.post(f"{shared.url}/api/releases", data=body, headers=headers, timeout=20)
        assert answer.status_code == 400
        assert len(answer.text.splitlines()) == 1
        assert len(answer.text) < 200


SLOW = {
    "head": (b"X-Slow", 1),
    "body": (b"Content-Length: 20\r\n\r\n{", 1),
    "body that was asked for": (b"Expect: 100-continue\r\nContent-Length: 20\r\n\r\n", 2),
}


@pytest.mark.parametrize("name", SLOW)
def test_slow_senders_are_cut_off(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """A client that takes too long over one request gets a 408 and loses its connection.

    An idle one does not.
    """
    monkeypatch.setattr(limits, "SLOW_SECONDS", 0.2)
    part, answers = SLOW[name]
    why = "the request is not complete after 0.2 s"
    server = MockServer()
    with server as mock, socket.create_connection(("127.0.0.1", mock.port), 20) as slow:
        slow.sendall(b"POST /api/releases HTTP/1.1\r\nHost: x\r\n" + part)
        with socket.create_connection(("127.0.0.1", mock.port), 20) as idle:
            received = slow.makefile("rb").read().decode()
            assert received.count("HTTP/1.1 ") == answers
            assert "HTTP/1.1 408 Request Timeout\r\n" in received
            assert received.endswith(f"\r\n\r\n{why}\n")
            assert caplog.messages == [f"refused with 408, from 127.0.0.1: {why}"]
            idle.sendall(b"GET /api/releases HTTP/1.1\r\nHost: x\r\n\r\n")
            assert idle.recv(12) == b"HTTP/1.1 403"


def test_idle_connections_do_not_stop_the_next_client() -> None:
    """Beside a great many idle connections, the next client is answered."""
    with serving("--port", "0") as (_, line):
        url = line.split()[3]
        address = ("127.0.0.1", int(url.rpartition(":")[2]))
        idle = []
        try:
            for _ in range(MANY):
                idle.append(socket.create_connection(address, 20))  # noqa: PERF401 (all are closed)
            request = urllib.request.Request(f"{url}/api/releases", headers=KEY)
            with urllib.request.urlopen(request, timeout=20) as answer:
                assert answer.status == 200
        finally:
            for connection in idle:
                connection.close()


@pytest.mark.skipif(sys.platform != "linux", reason="limits of another process are Linux's")
@pytest.mark.parametrize("is_early", [True, False], ids=["from the start", "later"])
def test_no_files_left(is_early: bool) -> None:
    """With no file left for a connection, others go on, nothing fills the log, and it recovers."""
    import resource

    at_start = "ulimit -n 64; " if is_early else ""
    command = ["sh", "-c", f'{at_start}exec "$0" serve --port 0', MOCKBM]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not is_early:
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (64, 64))
        port = int(line.split()[3].rpartition(":")[2])
        with ExitStack() as stack:
            first, *_, last = [
                stack.enter_context(socket.create_connection(("127.0.0.1", port), 20))
                for _ in range(200)
            ]
            if is_early:  # else it waits
                with suppress(ConnectionResetError):
                    assert last.recv(1) == b""
            first.sendall(b"GET /api/releases HTTP/1.1\r\nHost: x\r\n\r\n")
            assert first.recv(12) == b"HTTP/1.1 403"
        until(lambda: is_answered(port))
        process.terminate()
        _, errors = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    assert "Traceback" not in errors
    assert len(errors.splitlines()) < 100


def is_answered(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/health", timeout=20).status_code == 200
    except requests.ConnectionError:
        return False


@pytest.mark.parametrize("way", ["Flask", "server"])
def test_a_mistake_of_ours_is_one_500(way: str, described: Described) -> None:
    """Where mockbm itself fails, the answer is a 500 that says so, and nothing is tried twice."""
    tried = []

    def fail(*_: object) -> NoReturn:
        tried.append(1)
        raise KeyError("oh")

    with MockServer() as server:
        endpoints = server.mock.endpoints
        endpoints["/api/releases"] = replace(endpoints["/api/releases"], run=fail)
        if way == "server":
            answer = requests.get(f"{server.url}/api/releases", headers=KEY, timeout=20)
            status, text = answer.status_code, answer.text
        else:
            response = server.app.test_client().get("/api/releases", headers=KEY)
            status, text = response.status_code, response.text
    assert (status, text) == (500, "mockbm failed; its log says how\n")
    assert tried == [1]
    described.problems.clear()


APP = create_app()
names = st.text(max_size=20) | st.sampled_from(["status", "releaseId", "applicationName", "key"])
headers = st.dictionaries(
    st.sampled_from(["Content-Type", "X-ApiKey", "Authorization", "Cookie", "Accept", "Host"]),
    st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=60)
    | st.sampled_from(
        [
            "application/json",
            "application/json; charset=utf-16",
            "application/json; charset=zlib",
            "multipart/form-data",
            "multipart/form-data; boundary=x",
            "application/x-www-form-urlencoded",
            "abc12345",
            "abc12345@flaky",
            "Basic OjpfOg==",
        ]
    ),
)
bodies = st.binary(max_size=200) | st.builds(
    lambda name, value: f'{{"{name}": {value}}}'.encode("utf-8", "surrogatepass"),
    names,
    st.sampled_from(["1", "1.10", "true", "null", '"\\ud800"', "[[]]", "{}", "1e999", "NaN"]),
)


@settings(max_examples=250, deadline=None, database=None)
@given(
    method=st.sampled_from(["GET", "POST", "HEAD", "PUT", "OPTIONS", "PROPFIND"]),
    path=st.sampled_from(["/api/releases", "/API/Releases/", "/__admin/scenario"])
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20).map(
        lambda text: f"/{quote(text)}"
    ),
    query=st.dictionaries(names, st.text(max_size=20), max_size=3),
    body=bodies,
    headers=headers,
)
def test_nothing_that_is_sent_is_a_500(
    method: str, path: str, query: dict[str, str], body: bytes, headers: dict[str, str]
) -> None:
    """Whatever comes, the answer is one that the contract knows."""
    text = "&".join(f"{name}={value}" for name, value in query.items())
    answer = APP.test_client().open(
        path,
        method=method,
        query_string=text.encode("utf-8", "surrogatepass").decode("latin-1"),
        data=body,
        headers={**KEY, **headers},
    )
    assert answer.status_code in (200, 400, 403, 404, 405, 413, 415, 503)
