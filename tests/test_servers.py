"""Bytes in, bytes out: what a server makes of a connection, and where gunicorn must agree."""

from __future__ import annotations

import re
import signal
import socket
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from unittest.mock import ANY
from urllib.parse import quote

import pytest
from commands import BIN, free_port, require, running
from described import Described
from hypothesis import given, settings
from hypothesis import strategies as st
from test_cli import get, run, serving
from test_limits import bodies, headers, names
from test_watch import until

from mockbm import MockServer
from mockbm.core.endpoint import Result
from mockbm.serving import limits

KEY = b"Host: mock\r\nX-ApiKey: abc12345\r\n"
GET = b"GET /api/releases?status=active HTTP/1.1\r\n" + KEY + b"\r\n"
ONE = GET.replace(b"status=active", b"releaseId=7")
HEAD = GET.replace(b"GET", b"HEAD")
WRONG = GET.replace(b"active", b"open")
BODY = b'{"status": "active"}'


def post(*fields: bytes, body: bytes = BODY, key: bytes = KEY, length: bool = True) -> bytes:
    """A POST with these headers after the usual ones, and a length unless it has another."""
    lines = [b"Content-Type: application/json", *fields]
    if length:
        lines.append(b"Content-Length: %d" % len(body))
    return b"POST /api/releases HTTP/1.1\r\n" + key + b"\r\n".join([*lines, b"", body])


def chunked(*fields: bytes, chunks: bytes, key: bytes = KEY) -> bytes:
    """A POST whose body comes in chunks, as they go over the wire."""
    return post(b"Transfer-Encoding: chunked", *fields, body=chunks, key=key, length=False)


def with_field(request: bytes, *fields: bytes) -> bytes:
    """A request without a body that has more headers."""
    return request[:-2] + b"".join(field + b"\r\n" for field in fields) + b"\r\n"


def one_by_one(request: bytes) -> tuple[bytes, ...]:
    """Each byte of a request on its own."""
    return tuple(request[place : place + 1] for place in range(len(request)))


OLD = GET.replace(b"HTTP/1.1", b"HTTP/1.0")
POST = post()
CHUNKS = b'9\r\n{"status"\r\nb;some=extension\r\n: "active"}\r\n0\r\n\r\n'


class Answer(NamedTuple):
    """One answer: its status, its headers without the date, and its body."""

    status: int
    fields: dict[str, str]
    body: bytes

    def __str__(self) -> str:
        return (
            f"{self.status}/{self.releases}" if self.status == 200 else str(self.status or "closed")
        )

    @property
    def releases(self) -> int:
        """The number of releases in it."""
        return self.body.count(b'"id":')


END = Answer(0, {}, b"")
"""Stands for the end of the connection."""


class Connection:
    """A connection that takes bytes and gives answers.

    head: that of the last answer as it was written, without the date.
    """

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self.socket.makefile("rb")

    def send(self, *parts: bytes) -> None:
        for part in parts:
            self.socket.sendall(part)

    def answer(self, *, body: bool = True) -> Answer:
        """The next answer, or `END`. The date is checked and left out."""
        try:
            line = self._file.readline()
        except ConnectionResetError:
            line = b""
        self.head = [line]
        if not line:
            return END
        status = int(line.split()[1])
        fields = {}
        while (line := self._file.readline().strip()) != b"":
            self.head.append(line[: 6 if line.lower().startswith(b"date: ") else None])
            name, _, value = line.decode("latin-1").partition(": ")
            fields[name.lower()] = value
        if "date" in fields:
            assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", fields.pop("date"))
        length = int(fields["content-length"]) if body and status >= 200 and status != 204 else 0
        return Answer(status, fields, self._file.read(length))

    def close(self) -> None:
        self._file.close()
        self.socket.close()


@contextmanager
def connected(port: int) -> Iterator[Connection]:
    connection = Connection(port)
    try:
        yield connection
    finally:
        connection.close()


@pytest.fixture(scope="module")
def busy() -> Iterator[MockServer]:
    """A mock that serves all tests which take nothing but its answers."""
    with MockServer() as server:
        yield server


@pytest.fixture(scope="module")
def gunicorn() -> Iterator[int]:
    """The port where gunicorn serves the same."""
    require(str(BIN / "gunicorn"))
    port = free_port()
    command = (str(BIN / "gunicorn"), "--threads=4", f"--bind=127.0.0.1:{port}", "wsgi:app")
    with running(*command, url=f"http://127.0.0.1:{port}"):
        yield int(port)


H2C = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__")
WEBSOCKET = (b"Connection: keep-alive, Upgrade", b"Upgrade: websocket")
LAST = b"Connection: close"
STAYS = b"Connection: keep-alive"
TRAILERS = CHUNKS[:-2] + b"X-ApiKey: abc12345\r\nContent-Type: text/plain\r\n\r\n"
LARGE = b"20000\r\n%b\r\n" % (b" " * 0x20000) * 9 + CHUNKS[-5:]
TO_ADMIN = (
    b"POST /api/releases HTTP/1.1\r\nHost: mock",
    b"PUT /__admin/clock HTTP/1.1\r\nHost: [::1]",
)
HUGE = b"Content-Length: 99000000000"
LONG = b'{"status": "active"' + b" " * 100_000 + b"}"


TLS = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
"""The beginning of what a client of `https://` sends."""


class Bytes(NamedTuple):
    """What goes over the wire, in pieces, and what comes back.

    expected: the answers as `status` or, of a 200, `status/releases`; and whether the connection is
        open then or closed, or either where a server may do as it likes.
    is_common: whether gunicorn must answer the same.
    """

    expected: str
    parts: tuple[bytes, ...]
    is_common: bool = True


def row(expected: str, *parts: bytes) -> Bytes:
    return Bytes(expected, parts)


def own(expected: str, *parts: bytes) -> Bytes:
    """A row that gunicorn answers in its own way."""
    return Bytes(expected, parts, is_common=False)


WIRE = {
    "a GET": row("200/4 open", GET),
    "a POST": row("200/4 open", POST),
    "a head and its body": row("200/4 open", POST[: -len(BODY)], BODY),
    "several at once": row("200/4 200/1 200/4 400 200/1 open", GET + ONE + POST + WRONG + ONE),
    "several, cut anywhere": row(
        "200/4 200/4 200/1 open", GET + POST[:50], POST[50:] + ONE[:9], ONE[9:]
    ),
    "byte by byte": row("200/4 200/4 200/4 open", *one_by_one(GET + POST + chunked(chunks=CHUNKS))),
    "a body that is a request": row("400 200/1 open", post(body=GET)[: -len(GET)], GET, ONE),
    "a line break first": row("200/4 200/1 open", b"\r\n" + GET + b"\r\n" + ONE),
    "a long body and the next request": row(
        "200/4 200/1 open", post(body=LONG) + ONE[:30], ONE[30:]
    ),
    # Headers.
    "a blank behind the key": row("200/4 open", GET.replace(b"12345", b"12345 \t ")),
    "no blank before the key": row("200/4 open", GET.replace(b"Key: ", b"Key:")),
    "two keys": row("403 open", with_field(GET, b"X-ApiKey: wrong")),
    "an underscore is no hyphen": row("403 open", GET.replace(b"X-ApiKey", b"X_ApiKey")),
    "a header of two lines": row("400 closed", with_field(GET, b"X-Folded: a\r\n b")),
    "a blank before the colon": row("400 closed", GET.replace(b"X-ApiKey:", b"X-ApiKey :")),
    "a NUL in the key": row("400 closed", GET.replace(b"12345", b"12345\0")),
    "line breaks of LF": row("400 closed", GET.replace(b"\r\n", b"\n")),
    # Targets.
    "an absolute target": row("200/4 open", GET.replace(b"/api", b"http://elsewhere:80/api")),
    "an absolute target without a path": row(
        "404 open", GET.replace(b"/api/releases", b"http://else")
    ),
    "a fragment": row("200/4 open", GET.replace(b"active", b"active#part")),
    # Versions and connections.
    "HTTP/1.0": row("200/4 closed", OLD),
    "HTTP/1.0 that stays": row("200/4 200/4 open", with_field(OLD, STAYS), with_field(OLD, STAYS)),
    "the last one": row("200/4 closed", with_field(GET, LAST) + ONE),
    "the last one, in a list": own("200/4 closed", with_field(GET, b"Connection: x, Close") + ONE),
    "no Host": row("200/4 open", GET.replace(b"Host: mock\r\n", b"")),
    "the admin API without a Host": row(
        "403 200/1 open", b"GET /__admin/health HTTP/1.1\r\n\r\n" + ONE
    ),
    # Bodies in chunks.
    "chunks": row("200/4 200/1 open", chunked(chunks=CHUNKS) + ONE),
    "chunks in capitals": row("200/4 open", chunked(chunks=CHUNKS).replace(b"chunked", b"Chunked")),
    "a trailer is no header": row("200/4 open", chunked(chunks=TRAILERS)),
    "a key in a trailer is none": row("403 open", chunked(chunks=TRAILERS, key=b"Host: mock\r\n")),
    "no chunk": row("400 closed", chunked(chunks=b"zz\r\n")),
    "a chunk without its end": row("400 closed", chunked(chunks=b"9\r\n" + BODY + CHUNKS[-5:])),
    "chunks over 1 MiB": row("413 either", chunked(chunks=LARGE)),
    # Another protocol is offered.
    "h2c": row("200/4 200/1 open", post(*H2C) + ONE),
    "h2c, byte by byte": row("200/4 200/1 open", *one_by_one(post(*H2C) + ONE)),
    "h2c, head and body": row("200/4 open", post(*H2C)[: -len(BODY)], BODY),
    "a websocket": row("200/4 200/1 open", with_field(GET, *WEBSOCKET) + ONE),
    "a websocket with a body": row("200/4 200/1 open", post(*WEBSOCKET) + ONE),
    "another protocol, in chunks": row(
        "200/4 200/1 open", chunked(*WEBSOCKET, chunks=CHUNKS) + ONE
    ),
    "a websocket over HTTP/1.0": row("200/4 closed", with_field(OLD, *WEBSOCKET[1:])),
    "h2c, the last one": own("200/4 closed", post(*H2C[1:], b"Connection: Upgrade, close") + ONE),
    "CONNECT": own("400 closed", b"CONNECT mock:80 HTTP/1.1\r\nHost: mock\r\n\r\n"),
    # May the body come?
    "100 at once": row("100 200/4 open", post(b"Expect: 100-continue")),
    "100 in capitals": row("100 200/4 open", post(b"Expect: 100-Continue")),
    "100 and chunks": row("100 200/4 open", chunked(b"Expect: 100-continue", chunks=CHUNKS)),
    "100 without a body": own("200/4 open", with_field(GET, b"Expect: 100-continue")),
    "100 of HTTP/1.0": row("200/4 closed", post(b"Expect: 100-continue").replace(b"1.1", b"1.0")),
    "100 of an upgrade": row("100 200/4 open", post(*H2C, b"Expect: 100-continue")),
    "100 after another": row("200/1 100 200/4 open", ONE + post(b"Expect: 100-continue")),
    # Where a body ends must be beyond doubt.
    "two lengths": row("400 closed", post(b"Content-Length: 21")),
    "one length twice": row("400 closed", post(b"Content-Length: 20")),
    "a list of lengths": row("400 closed", post(b"Content-Length: 20, 20", length=False)),
    "a length with a sign": row("400 closed", post(b"Content-Length: +20", length=False)),
    "a length below 0": row("400 closed", post(b"Content-Length: -1", length=False)),
    "a length of 4,300 digits": own(
        "400 closed", post(b"Content-Length: " + b"1" * 4300, length=False)
    ),
    "a length and chunks": row("400 closed", chunked(b"Content-Length: 20", chunks=CHUNKS)),
    "two encodings": row("400 closed", chunked(b"Transfer-Encoding: chunked", chunks=CHUNKS)),
    "an unknown encoding": own(
        "400 closed", chunked(chunks=CHUNKS).replace(b"chunked", b"xchunked")
    ),
    **{
        f"encoding {name}": row(
            "400 closed", chunked(chunks=CHUNKS).replace(b"chunked", name.encode())
        )
        for name in ("gzip, chunked", "chunked, gzip", "identity", "gzip")
    },
    # Too much.
    **{
        f"the admin API's {name}": row(expected, chunked(chunks=chunks).replace(*TO_ADMIN))
        for name, expected, chunks in (
            ("chunks over 1 MiB", "413 either", LARGE),
            ("no chunk", "400 closed", b"zz\r\n"),
        )
    },
    "a body over 1 MiB": row("413 200/1 open", post(body=b" " * 1_100_000) + ONE),
    "chunks over 16 MiB": own("413 closed", chunked(chunks=LARGE[:-5] * 15)),
    **{
        f"a length over 16 MiB, {name}": own(
            expected, before + post(*more, HUGE, body=b"", length=False)
        )
        for name, expected, before, more in (
            ("without its body", "413 closed", b"", ()),
            ("that asks first", "413 closed", b"", (b"Expect: 100-continue",)),
            ("after another", "200/1 413 closed", ONE, (b"Expect: 100-continue",)),
            ("of an upgrade", "413 closed", b"", H2C),
        )
    },
    "a body over 16 MiB": own("413 closed", post(body=b" " * 17_000_000) + ONE),
    # No HTTP at all.
    "TLS": own("400 closed", TLS),
    "garbage behind a request": row("200/4 400 closed", GET + b"\x16\x03\x01garbage\r\n\r\n"),
    "a method in small letters": row("400 closed", GET.replace(b"GET", b"get")),
    "no target": own("400 closed", b"GET  HTTP/1.1\r\n\r\n"),
    "a target of odd bytes": own("400 closed", b"GET /\xff\xfe HTTP/1.1\r\n\r\n"),
    "a target without an end": own("404 open", b"GET http://[/ HTTP/1.1\r\n\r\n"),
    "another version": own("400 closed", GET.replace(b"1.1", b"9.9")),
    "no colon": row("400 closed", with_field(GET, b"no colon")),
    "an asterisk": own("404 open", b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"),
}


def play(port: int, parts: tuple[bytes, ...], expected: str) -> str:
    """Send some bytes, and read as much as is expected."""
    with connected(port) as connection, ThreadPoolExecutor(1) as pool:

        def send() -> None:
            with suppress(OSError):  # the server may close the connection first
                connection.send(*parts)

        sending = pool.submit(send)
        *answers, state = expected.split()
        found = [str(connection.answer()) for _ in answers]
        sending.result()
        if state == "open":
            connection.send(ONE)
            found.append("open" if str(connection.answer()) == "200/1" else "odd")
        else:
            found.append(str(connection.answer()) if state == "closed" else state)
        return " ".join(found)


@pytest.mark.parametrize("name", WIRE)
def test_bytes(busy: MockServer, name: str) -> None:
    """Whatever comes over a connection, in whichever pieces, is answered as the standard has it."""
    for _ in range(2):  # the same bytes another time need not be parsed
        assert play(busy.port, WIRE[name].parts, WIRE[name].expected) == WIRE[name].expected


@pytest.mark.parametrize("name", [name for name in WIRE if WIRE[name].is_common])
def test_bytes_under_gunicorn(gunicorn: int, name: str) -> None:
    """What the table expects is no opinion of our own server."""
    assert play(gunicorn, WIRE[name].parts, WIRE[name].expected) == WIRE[name].expected


@pytest.mark.parametrize("request_", [GET, POST, WRONG], ids=["GET", "POST", "400"])
@pytest.mark.parametrize("parts", [1, 2])
def test_the_same_bytes_get_the_same_answer(
    server: MockServer, request_: bytes, parts: int
) -> None:
    """A request that came before is answered in the same bytes, and recorded like the first."""
    pieces = [request_] if parts == 1 else [request_[:-20], request_[-20:]]
    with connected(server.port) as connection:
        answers, heads = [], []
        for sent in (pieces, pieces, pieces, [request_]):
            connection.send(*sent)
            answers.append(connection.answer())
            heads.append(connection.head)
    assert answers == [answers[0]] * 4
    assert heads == [heads[0]] * 4
    first, *others = [
        {**entry.to_json(), "number": 0, "time": 0, "duration": 0}
        for entry in server.mock.default.requests()
    ]
    assert others == [first] * 3


def test_a_switch_holds_from_the_next_request_on(server: MockServer) -> None:
    """An open connection sees every switch at once, back and forth."""
    with connected(server.port) as connection:
        switches = ("documented", "empty", "documented", "single", "flaky", "empty")
        for revision, name in enumerate(switches, 2):
            server.use(name)
            for _ in range(3):
                connection.send(GET)
                _, fields, body = connection.answer()
                assert fields["x-mockbm-scenario"] == name
                assert fields["x-mockbm-revision"] == str(revision)
                assert (body == b"[]") == (name == "empty")
        session = server.open_session("empty")
        own = GET.replace(b"abc12345", session.api_key.encode())
        for _ in range(3):
            connection.send(own)
            assert connection.answer().status == 200
        session.end()
        connection.send(own)
        assert connection.answer().status == 403


def test_the_order_of_requests_is_kept(busy: MockServer) -> None:
    """Requests sent without waiting are answered in their order; a HEAD has no body."""
    with connected(busy.port) as connection:
        other = [GET.replace(b"active", status) for status in (b"deployed", b"canceled")]
        many = [GET, other[0], HEAD, GET, POST, WRONG, other[1], GET, GET, HEAD]
        connection.send(b"".join(many[:4]), b"".join(many[4:7]), b"".join(many[7:]))
        counts = [connection.answer(body=request is not HEAD).releases for request in many]
    assert counts == [4, 2, 0, 4, 4, 0, 1, 4, 4, 0]


@pytest.mark.parametrize("piece", [7, 1_000, 10_000_000])
def test_3000_requests_without_waiting(busy: MockServer, piece: int) -> None:
    """Very many requests on one connection, whose client reads late, are all answered in order."""
    sent = (GET + ONE + POST) * 1_000
    if piece == 7:
        sent = sent[: len(sent) // 20]
    count = sent.count(b"HTTP/1.1")
    with connected(busy.port) as connection, ThreadPoolExecutor(1) as pool:
        pieces = (sent[at : at + piece] for at in range(0, len(sent), piece))
        sending = pool.submit(connection.send, *pieces)
        time.sleep(0.1)
        counts = [connection.answer().releases for _ in range(count)]
        sending.result()
    assert counts == ([4, 1, 4] * 1_000)[:count]


def test_a_client_that_asks_first_may_go_on(busy: MockServer) -> None:
    """`Expect: 100-continue` is answered each time, before the body is sent."""
    head = post(b"Expect: 100-continue")[: -len(BODY)]
    with connected(busy.port) as connection:
        for _ in range(4):
            connection.send(head)
            assert connection.answer().status == 100
            connection.send(BODY)
            assert connection.answer().releases == 4


ADMIN = {
    "GET /page/page.js": (200, {"date": 1, "content-type": 1, "server": 1}),
    "GET /": (200, {"date": 1, "content-type": 1, "vary": 1}),
    "DELETE /requests": (204, {"date": 1, "content-type": 0, "content-length": 0}),
}


@pytest.mark.parametrize("own", [True, False], ids=["mockbm", "gunicorn"])
@pytest.mark.parametrize("name", ADMIN)
def test_fields_of_what_flask_answers(
    request: pytest.FixtureRequest, busy: MockServer, name: str, own: bool
) -> None:
    """No field comes from both Flask and the server, and none is about a body that there is not."""
    status, counts = ADMIN[name]
    method, _, path = name.partition(" ")
    line = f"{method} /__admin{path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n\r\n"
    with connected(busy.port if own else request.getfixturevalue("gunicorn")) as connection:
        connection.send(line.encode())
        assert connection.answer().status == status
    found = [field.partition(b":")[0].decode().lower() for field in connection.head[1:]]
    assert {field: found.count(field) for field in counts} == counts


HALVES = {
    "admin": (b"GET /__admin/scenario HTTP/1.1\r\nHost: [::1]\r\n\r\n", "200/0"),
    "one": (GET, "200/4"),
    "three": (GET + POST + ONE, "200/4 200/4 200/1"),
    "part": (GET[:-2], ""),
}


@pytest.mark.parametrize("name", HALVES)
def test_a_client_that_sends_no_more_gets_its_answers(busy: MockServer, name: str) -> None:
    """A half-closed connection has all answers to what it sent as a whole, and is closed then."""
    sent, expected = HALVES[name]
    with connected(busy.port) as connection:
        connection.send(sent)
        connection.socket.shutdown(socket.SHUT_WR)
        found = [str(connection.answer()) for _ in expected.split()]
        assert (" ".join(found), connection.answer()) == (expected, END)


def delayed(server: MockServer, delay: str) -> bytes:
    """A request whose answer is late."""
    session = server.open_session()
    session.use_values({"extends": "documented", "faults": [{"delay": delay}]})
    return ONE.replace(b"abc12345", session.api_key.encode())


def test_a_late_answer_keeps_its_place(server: MockServer) -> None:
    """What comes after a delayed request waits for it, also where the client sends no more."""
    late = delayed(server, "50ms")
    with connected(server.port) as connection:
        connection.send(late + GET + late)
        connection.socket.shutdown(socket.SHUT_WR)
        assert [connection.answer().releases for _ in range(3)] == [1, 4, 1]
        assert connection.answer() is END


def test_a_slow_request_after_a_late_answer(
    server: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that is too slow is refused after the answer before it, and not in its place."""
    monkeypatch.setattr(limits, "SLOW_SECONDS", 0.1)
    late = delayed(server, "700ms")
    with connected(server.port) as connection:
        connection.send(late + GET[:-2])
        assert [str(connection.answer()) for _ in range(3)] == ["200/1", "408", "closed"]


@pytest.mark.parametrize("way", ["client", "server"])
def test_what_was_not_sent_is_noted(
    server: MockServer, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The journal says of a late answer that it did not go out: a client or the server was gone."""
    caplog.set_level("INFO", "mockbm")
    late = delayed(server, "30s")
    session = server.mock.local(server.mock.sessions()[0].id)
    with connected(server.port) as connection:
        connection.send(late)
        until(lambda: len(session.requests()) == 1)
        if way == "server":
            server.stop()
        else:  # a reset; after the usual farewell it might still read
            linger = struct.pack("ii", 1, 0)
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    until(lambda: len(session.requests()[0].notes) == 2)
    assert session.requests()[0].notes == ("delayed by 30000 ms", "not sent: the client was gone")
    (line,) = (line for line in caplog.records if "is not sent" in line.message)
    assert line.message.endswith(": #1 is not sent: the client was gone")
    assert line.fields.items() >= {"event": "unsent", "session": session.id, "number": 1}.items()


def test_stopping_takes_no_time() -> None:
    """With many idle connections and delayed answers, a server stops at once and closes them."""
    times = []
    for _ in range(5):
        with MockServer() as server:
            late = delayed(server, "30s")
            connections = [Connection(server.port) for _ in range(200)]
            for number, connection in enumerate(connections):
                if number % 3:
                    connection.send(GET)
                    assert connection.answer().releases == 4
                if number % 10 == 0:
                    connection.send(late)
                if number % 10 == 1:
                    connection.send(GET[:-2])
            while len(server.mock.sessions()[0].journal.entries()) < 20:
                time.sleep(0.01)
            begun = time.perf_counter()
            server.stop()
            times.append(time.perf_counter() - begun)
            for connection in connections:
                assert connection.answer() is END
                connection.close()
        with pytest.raises(OSError, match="refused"):
            Connection(server.port)
    assert min(times) < 0.05  # the others were perhaps interrupted


PARTS_OF_REQUESTS = [
    POST[:-5],
    POST.replace(b"Length: 20", b"Length: 21"),
    chunked(chunks=b"14\r\n" + BODY),
    POST[: -len(BODY)],
    GET[:-2],
]


def test_part_of_a_request_is_none(server: MockServer) -> None:
    """A client that goes before it has sent its whole request has asked for nothing."""
    for part in PARTS_OF_REQUESTS:
        with connected(server.port) as connection:
            connection.send(part)
    with connected(server.port) as connection:
        connection.send(GET)
        assert connection.answer().status == 200
    assert [entry.method for entry in server.mock.default.requests()] == ["GET"]


def half(line: bytes, body: bytes) -> bytes:
    """A request of which the end of its body is missing."""
    host = b"Host: localhost\r\nX-ApiKey: abc12345\r\n"
    fields = b"Content-Type: application/json\r\nContent-Length: 999\r\n\r\n"
    return line + b" HTTP/1.1\r\n" + host + fields + body


HALF_BODIES = {
    "endpoint": half(b"POST /api/releases/builds/create", b'{"releaseId": 7}'),
    "endpoint without a byte": half(b"POST /api/releases", b""),
    "admin": half(b"PUT /__admin/scenario", b'{"name": "empty"}'),
    "admin that takes nothing": half(b"POST /__admin/reset", b""),
    "admin that deletes": half(b"DELETE /__admin/requests", b"{}"),
}


def break_off(port: int, request: bytes) -> str:
    """Send half of a request, and return the answer as `str(Answer)`."""
    with connected(port) as connection:
        connection.send(request)
        connection.socket.shutdown(socket.SHUT_WR)
        return str(connection.answer())


@pytest.mark.parametrize("name", HALF_BODIES)
def test_half_a_body_changes_nothing_under_gunicorn(gunicorn: int, name: str) -> None:
    """A body that ends before its length is a 400, whatever could be read of it."""
    urls = [f"http://127.0.0.1:{gunicorn}/__admin/{of}" for of in ("state", "scenario", "requests")]
    play(gunicorn, (ONE,), "200/1 open")
    before = [*map(get, urls)]
    assert break_off(gunicorn, HALF_BODIES[name]) == "400"
    assert [*map(get, urls)] == before


@pytest.mark.parametrize("name", ["SIGHUP", "SIGINT", "SIGTERM"])
def test_a_log_that_is_not_read_holds_nothing_up(tmp_path: Path, name: str) -> None:
    """With its pipe full, answers and health come, a signal ends the mock, and lines are whole."""
    port_file = tmp_path / "port"
    with serving("--port", "0", "--port-file", str(port_file)) as (process, line):
        port = int(line.split()[3].rpartition(":")[2])
        with connected(port) as connection:
            connection.send(ONE * 3_000)
            assert {connection.answer().releases for _ in range(3_000)} == {1}
        assert run("health", "--url", f"http://127.0.0.1:{port}").returncode == 0
        assert port_file.read_text() == f"{port}\n"
        process.send_signal(getattr(signal, name))
        assert process.wait(20) == 0
        assert not port_file.exists()
        assert process.stderr is not None
        lines = process.stderr.read().splitlines()
    assert 100 < len(lines) < 3_000
    assert {line[line.index("#") :].partition(" ")[2] for line in lines} == {
        "GET /api/releases releaseId='7' -> 200 [documented] 7 releases; releaseId=7: 1"
    }


def test_clients_that_vanish_leave_no_traces(tmp_path: Path) -> None:
    """Clients are gone before, within and after their requests: nothing is printed, nothing fails.

    Several requests may be on their way, and the next one may be answered with a broken connection.
    """
    (tmp_path / "large.yaml").write_text("generate: {releases: 2000}\n")
    (tmp_path / "reset.yaml").write_text("extends: large\nfaults: [{connection: reset}]\n")
    whole = POST.replace(BODY, b"{}" + b" " * 18)
    broken = whole.replace(b"abc12345", b"abc12345@reset")
    with serving(str(tmp_path), "--port", "0", "--log", "off") as (process, line):
        address = ("127.0.0.1", int(line.split()[3].rpartition(":")[2]))
        for number in range(200):
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


@pytest.mark.parametrize("address", [b"192.0.2.1", b"127.0.0.1"])
def test_who_calls_is_not_what_a_header_says(busy: MockServer, address: bytes) -> None:
    """Whatever address a client forwards, its call is then not local to the admin API."""
    admin = b"GET /__admin/scenario HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    with connected(busy.port) as connection:
        connection.send(admin + b"\r\n")
        assert connection.answer().status == 200
        connection.send(admin + b"X-Forwarded-For: " + address + b"\r\n\r\n")
        assert connection.answer().status == 403


def test_what_is_not_described_is_found(server: MockServer, described: Described) -> None:
    """An answer of the server that is not as the OpenAPI document says fails its test, too."""
    endpoints = server.mock.endpoints
    odd = replace(endpoints["/api/releases"], run=lambda *_: Result(b"", "odd", 418))
    endpoints["/api/releases"] = odd
    with connected(server.port) as connection:
        connection.send(GET)
        assert connection.answer().status == 418
    assert described.problems == ["GET /api/releases -> 418: is not in the document"]
    described.problems.clear()


REFUSALS = {
    "TLS": (TLS, 400, "the client speaks TLS, and here is plain HTTP; write http:// instead of"),
    **{
        name: (sent, 400, f"the request is not HTTP as the standard has it: {why}")
        for name, sent, why in (
            ("no HTTP", b"\x00\x01\r\n\r\n", "it does not begin with a method, such as GET"),
            ("a target of odd bytes", b"GET /\xff HTTP/1.1\r\n\r\n", "its target is not a URL; "),
            ("two lengths", post(b"Content-Length: 21"), "Duplicate Content-Length"),
            ("no chunk", chunked(chunks=b"zz\r\n"), "Invalid character in chunk size"),
            ("another version", GET.replace(b"1.1", b"9.9"), "Invalid HTTP version"),
        )
    },
    "a long head": (
        with_field(GET, b"X: " + b"x" * 66_000),
        431,
        "request line and headers are over 64",
    ),
    "a large length": (
        post(HUGE, length=False),
        413,
        "the body is too large; allowed are 1 MiB, and Content-Length is 99000000000",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_is_refused_is_logged(
    busy: MockServer, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """Bytes that are no request are answered at once, and are no entry of a journal, but a line."""
    sent, status, why = REFUSALS[name]
    with connected(busy.port) as connection:
        connection.send(sent)
        answer = connection.answer()
        assert (answer.status, why in answer.body.decode()) == (status, True)
        assert connection.answer() is END
    (line,) = caplog.messages
    assert line.startswith(f"refused with {status}, from 127.0.0.1: {why}")


HOSTS = {
    "::1": ("[::1]", ["::1"]),
    "::": ("[::]", ["::1", "127.0.0.1"]),
    "": ("0.0.0.0", ["127.0.0.1"]),
}


@pytest.mark.parametrize("host", HOSTS)
def test_hosts_to_listen_on(host: str) -> None:
    """An address with colons is one to listen on, too; that of all addresses is for IPv4 as well.

    The URL that is printed is one that can be called, also where no host was named.
    """
    printed, addresses = HOSTS[host]
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    token = {"MOCKBM_ADMIN_TOKEN": "let-me-in"}
    with serving("--host", host, "--port", "0", **token) as (_, line):
        url, port = line.split()[3], line.split()[3].rpartition(":")[2]
        assert url == f"http://{printed}:{port}"
        assert run("use", "single", "--url", url, **token).returncode == 0
        for address in addresses:
            with socket.create_connection((address, int(port)), 20) as connection:
                connection.sendall(ONE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
                assert connection.recv(12) == b"HTTP/1.1 200"


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
    busy: MockServer,
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
    with connected(busy.port) as connection:
        connection.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        status = connection.answer(body=method != "HEAD").status
    assert status in (200, 400, 403, 404, 405, 413, 415, 503)
