"""What holds for each server that can listen: the same answers, on connections that stay open."""

from __future__ import annotations

import re
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import ANY
from urllib.parse import quote

import pytest
from clients import with_requests
from conftest import WITHOUT
from endpoint_table import TABLE, Row
from hypothesis import given, settings
from hypothesis import strategies as st
from test_cli import get, run, serving
from test_limits import bodies, headers, names

from mockbm import MockServer

KEY = b"Host: mock\r\nX-ApiKey: abc12345\r\n"
GET = b"GET /api/releases?status=active HTTP/1.1\r\n" + KEY + b"\r\n"
POST = (
    b"POST /api/releases HTTP/1.1\r\n" + KEY + b"Content-Type: application/json\r\n"
    b'Content-Length: 20\r\n\r\n{"status": "active"}'
)
HEAD = GET.replace(b"GET", b"HEAD")
WRONG = GET.replace(b"active", b"open")


@pytest.fixture(scope="module")
def fast() -> Iterator[MockServer]:
    with MockServer(fast=True) as server:
        yield server


@WITHOUT
@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.id)
def test_the_servers_answer_alike(row: Row, fast: MockServer, shared: MockServer) -> None:
    """Status, body and headers are the same from each server, made or remembered."""
    answers = []
    for server in (shared, fast, fast, fast):
        server.use(row.scenario)
        target = f"{server.url}{row.path}" + (f"?{row.query}" if row.query else "")
        status, fields, body = with_requests(row.method, target, row.headers, row.body)
        changing = ("date", "x-mockbm-revision")
        answers.append((status, {n: v for n, v in fields.items() if n not in changing}, body))
    assert answers == [answers[0]] * 4


class Connection:
    """A connection that takes bytes and gives answers.

    head: that of the last answer as it was written, without the date.
    """

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 20)
        self._file = self._socket.makefile("rb")

    def send(self, *parts: bytes) -> None:
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in parts:
            self._socket.sendall(part)

    def answer(self, *, body: bool = True) -> tuple[int, dict[str, str], bytes]:
        """The next answer; its date is checked and left out. At the end its status is 0."""
        line = self._file.readline()
        self.head = [line]
        if not line:
            return 0, {}, b""
        status = int(line.split()[1])
        fields = {}
        while (line := self._file.readline().strip()) != b"":
            self.head.append(line[: 6 if line.lower().startswith(b"date: ") else None])
            name, _, value = line.decode("latin-1").partition(": ")
            fields[name.lower()] = value
        if "date" in fields:
            assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", fields.pop("date"))
        length = int(fields.get("content-length", 0)) if body else 0
        return status, fields, self._file.read(length)

    def close(self) -> None:
        self._file.close()
        self._socket.close()


@contextmanager
def connected(server: MockServer) -> Iterator[Connection]:
    connection = Connection(server.port)
    try:
        yield connection
    finally:
        connection.close()


@pytest.mark.parametrize("request_", [GET, POST, WRONG], ids=["GET", "POST", "400"])
@pytest.mark.parametrize("parts", [1, 2])
def test_what_came_before_is_answered_alike(
    either: MockServer, request_: bytes, parts: int
) -> None:
    """The same bytes again get the same answer without the application, and are recorded."""
    pieces = [request_] if parts == 1 else [request_[:-20], request_[-20:]]
    with connected(either) as connection:
        answers, heads = [], []
        for _ in range(3):
            connection.send(*pieces)
            answers.append(connection.answer())
            heads.append(connection.head)
        either.app.wsgi_app = None  # type: ignore[assignment, method-assign]
        connection.send(request_)
        answers.append(connection.answer())
        heads.append(connection.head)
    assert answers == [answers[0]] * 4
    assert heads == [heads[0]] * 4
    made, *again = [
        {**entry.to_json(), "number": 0, "time": 0, "duration": 0}
        for entry in either.mock.default.requests()
    ]
    assert again == [made] * 3


def test_a_switch_holds_from_the_next_request_on(either: MockServer) -> None:
    """An open connection sees every switch at once, back and forth."""
    with connected(either) as connection:
        for name in ("documented", "empty", "documented", "single", "flaky", "empty"):
            either.use(name)
            for _ in range(3):
                connection.send(GET)
                _, fields, body = connection.answer()
                assert fields["x-mockbm-scenario"] == name
                assert fields["x-mockbm-revision"] == str(either.mock.default.view.revision)
                assert (body == b"[]") == (name == "empty")
        session = either.open_session("empty")
        own = GET.replace(b"abc12345", session.api_key.encode())
        for _ in range(3):
            connection.send(own)
            assert connection.answer()[0] == 200
        session.end()
        connection.send(own)
        assert connection.answer()[0] == 403


def test_the_order_of_requests_is_kept(either: MockServer) -> None:
    """Requests sent without waiting are answered in their order, known ones and new ones."""
    with connected(either) as connection:
        for request in (GET, GET, HEAD, HEAD):
            connection.send(request)
            connection.answer(body=request is not HEAD)
        new = [GET.replace(b"active", status) for status in (b"deployed", b"canceled")]
        many = [GET, new[0], HEAD, GET, POST, WRONG, new[1], GET, GET, HEAD]
        connection.send(b"".join(many[:4]), b"".join(many[4:7]), b"".join(many[7:]))
        counts = [connection.answer(body=request is not HEAD)[2].count(b'"id"') for request in many]
    assert counts == [4, 2, 0, 4, 4, 0, 1, 4, 4, 0]


def test_a_connection_ends_when_the_client_says_so(either: MockServer) -> None:
    """What decides about the connection decides again each time."""
    old = b"GET /api/releases HTTP/1.0\r\n" + KEY + b"\r\n"
    last = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    for request in (old, last):
        for _ in range(4):
            with connected(either) as connection:
                connection.send(request)
                status, fields, _ = connection.answer()
                assert status == 200
                assert fields["connection"].lower() == "close"
                assert connection.answer()[0] == 0


def test_a_client_that_asks_first_is_told_to_go_on(either: MockServer) -> None:
    """`Expect: 100-continue` is answered each time, before the body is sent."""
    head, _, body = POST.partition(b"\r\n\r\n")
    with connected(either) as connection:
        for _ in range(4):
            connection.send(head + b"\r\nExpect: 100-continue\r\n\r\n")
            assert connection.answer()[0] == 100
            connection.send(body)
            assert connection.answer()[2].count(b'"id"') == 4


def test_blanks_around_a_header_are_no_part_of_it(either: MockServer) -> None:
    """A key with a blank or a tab behind it is the same key."""
    for blank in (b" ", b"\t", b" \t "):
        with connected(either) as connection:
            connection.send(GET.replace(b"abc12345", b"abc12345" + blank))
            assert connection.answer()[0] == 200


def test_a_chunked_body_is_read(either: MockServer) -> None:
    """A body of unknown length is a body like any other."""
    chunks = POST.replace(b"Content-Length: 20", b"Transfer-Encoding: chunked").replace(
        b'{"status": "active"}', b'9\r\n{"status"\r\nb\r\n: "active"}\r\n0\r\n\r\n'
    )
    with connected(either) as connection:
        for _ in range(3):
            connection.send(chunks)
            assert connection.answer()[2].count(b'"id"') == 4


PARTS_OF_REQUESTS = [
    POST[:-5],
    POST.replace(b"Length: 20", b"Length: 21"),
    POST.replace(b"Content-Length: 20\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n14\r\n"),
    POST.partition(b"{")[0],
    GET[:-2],
]


@pytest.mark.parametrize("part", PARTS_OF_REQUESTS)
def test_part_of_a_request_is_none(either: MockServer, part: bytes) -> None:
    """A client that goes before it has sent its whole request has asked for nothing."""
    with connected(either) as connection:
        connection.send(part)
    with connected(either) as connection:
        connection.send(GET)
        assert connection.answer()[0] == 200
    assert [entry.method for entry in either.mock.default.requests()] == ["GET"]


@pytest.mark.parametrize("server", ["waitress", "uvicorn"])
def test_clients_that_vanish_leave_no_traces(server: str, tmp_path: Path) -> None:
    """Clients are gone before, within and after their requests: nothing is printed, nothing fails.

    Several requests may be on their way, and the next one may be answered with a broken connection.
    """
    (tmp_path / "large.yaml").write_text("generate: {releases: 2000}\n")
    (tmp_path / "reset.yaml").write_text("extends: large\nfaults: [{connection: reset}]\n")
    whole = POST.replace(b'{"status": "active"}', b"{}" + b" " * 18)
    broken = whole.replace(b"abc12345", b"abc12345@reset")
    serve = (str(tmp_path), "--port", "0", "--log", "off", "--server", server)
    with serving(*serve) as (process, line):
        address = ("127.0.0.1", int(line.split()[3].rpartition(":")[2]))
        for number in range(300):
            with socket.create_connection(address, 20) as connection:
                if number % 2:  # a reset instead of the usual farewell
                    linger = struct.pack("ii", 1, 0)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                connection.sendall(
                    (b"", whole[:-1], whole * 3, broken * 3, broken + whole)[number % 5]
                )
                if number % 3 == 0 and number % 5 == 2:
                    connection.recv(100)
            time.sleep(0.002)
        assert get(f"http://127.0.0.1:{address[1]}/api/releases?releaseId=1")
        process.terminate()
        assert process.communicate(timeout=20) == (ANY, "")
        assert process.returncode == 0


def test_who_calls_is_not_what_a_header_says(either: MockServer) -> None:
    """The guard of the admin API looks at the socket, whatever a client forwards."""
    admin = b"GET /__admin/scenario HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    with connected(either) as connection:
        connection.send(admin + b"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n\r\n")
        assert connection.answer()[0] == 200


@pytest.mark.usefixtures("listens")
def test_it_listens_on_ipv6() -> None:
    """An address with colons is one to listen on, too."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with serving("--host", "::1", "--port", "0") as (_, line):
        url = line.split()[3]
        assert url.startswith("http://[::1]:")
        assert run("use", "empty", "--url", url).returncode == 0


def test_a_server_that_is_not_there_is_said_to_be_missing() -> None:
    """`--server` takes what there is, and names it."""
    done = run("serve", "--server", "apache")
    assert (done.returncode, "'auto', 'waitress', 'uvicorn'" in done.stderr) == (2, True)


def test_without_the_extra_waitress_listens() -> None:
    """Where the extra is missing, auto is waitress, and asking for uvicorn says what to install."""
    code = "import sys; sys.modules['uvicorn'] = None; from mockbm.cli import main; main()"
    command = [sys.executable, "-c", code, "serve", "--port", "0", "--server"]
    done = subprocess.run([*command, "uvicorn"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert "the extra `fast` of mockbm" in done.stderr
    with subprocess.Popen([*command, "auto"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "(scenario documented);" in process.stdout.readline()
        process.terminate()


NO_HTTP = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    b"GET /\xff\xfe HTTP/1.1\r\n\r\n",
    b"GET  HTTP/1.1\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    b"CONNECT mock:80 HTTP/1.1\r\nHost: mock\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    b"GET http://[/ HTTP/1.1\r\n\r\n",
]


@pytest.mark.parametrize("sent", NO_HTTP)
def test_what_is_no_http_is_refused(either: MockServer, sent: bytes) -> None:
    """Whatever comes over the socket gets an answer below 500, and the next client is served."""
    with connected(either) as connection:
        connection.send(sent)
        assert 400 <= connection.answer()[0] < 500
    with connected(either) as connection:
        connection.send(GET)
        assert connection.answer()[0] == 200


@WITHOUT
@settings(max_examples=150, deadline=None, database=None)
@given(
    method=st.sampled_from(["GET", "POST", "HEAD", "PUT", "OPTIONS", "PROPFIND"]),
    path=st.sampled_from(["/api/releases", "/API/Releases/", "/__admin/scenario", "//api/releases"])
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20).map(
        lambda text: f"/{quote(text)}"
    ),
    query=st.dictionaries(names, st.text(max_size=20), max_size=3),
    body=bodies,
    fields=headers,
)
def test_nothing_that_is_sent_is_a_500(
    fast: MockServer,
    method: str,
    path: str,
    query: dict[str, str],
    body: bytes,
    fields: dict[str, str],
) -> None:
    """Whatever comes, the answer is one that the contract knows."""
    text = "&".join(
        f"{name}={quote(value.encode('utf-8', 'surrogatepass'))}" for name, value in query.items()
    )
    query_string = quote(text.encode("utf-8", "surrogatepass"), safe="=&%")
    lines = [f"{method} {path}?{query_string} HTTP/1.1", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in {"X-ApiKey": "abc12345", **fields}.items()]
    with connected(fast) as connection:
        connection.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        status = connection.answer(body=method != "HEAD")[0]
    assert status in (200, 400, 403, 404, 405, 413, 415, 503)
