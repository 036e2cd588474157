"""HTTP on asyncio: bytes of a connection become requests, and answers become bytes.

httptools parses. Requests to the endpoints are answered right here, in the thread of the loop;
whatever may wait is handed to a thread, and the loop goes on.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from email.utils import formatdate
from functools import partial
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import unquote_to_bytes

import httptools

from ..core.mock import ADMIN_PREFIX
from ..core.request import MAX_BODY, MAX_HEADERS, Answer, Request
from ..core.session import log
from . import limits

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}" for status in HTTPStatus}
_BAD = "the request is not HTTP as the standard has it"
_WHY: dict[type[Exception], str] = {
    httptools.HttpParserInvalidMethodError: "it does not begin with a method, such as GET",
    httptools.HttpParserInvalidURLError: "its target is not a URL; letters beyond ASCII are %C3%A4",
}
"""What is wrong, where httptools says it less plainly."""
_TLS = "the client speaks TLS, and here is plain HTTP; write http:// instead of https://"
_LONG_BODY = f"the body is too large; allowed are {MAX_BODY // 1024**2} MiB"
_TOO_LARGE = f"request line and headers are over {MAX_HEADERS // 1024} KiB"
_HANDSHAKE = b"\x16"
"""What TLS begins with."""
_OF_BODIES = ("content-length", "transfer-encoding")
_UPGRADES = ("upgrade", "connection", "http2-settings", "expect")


Wired = tuple[Request, bool, Answer | None]
"""A request on its way to its answer, and whether the connection stays open after that; the answer
is there already where bytes could not be read as a request."""


class Hub(ABC):
    """What all connections of one server share, and what answers their requests.

    loop: their event loop. pool: threads for what may wait.
    is_shared: whether other processes have the same sessions, for which a request may wait.
    parsed: requests that have come more than once, by their bytes.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, is_shared: bool) -> None:
        self.loop = loop
        self.is_shared = is_shared
        self.pool = ThreadPoolExecutor(limits.THREADS, "mockbm")
        self.connections: set[Connection] = set()
        self.most = limits.max_connections()
        self.parsed: dict[bytes, Wired] = {}
        self._seen: set[int] = set()
        self.tick()

    @abstractmethod
    def answer(self, request: Request, peer: Any) -> Answer:
        """Answer a request. peer: the client's address."""

    def may_wait(self, request: Request) -> bool:
        """Whether a thread is to answer a request, since the answer may have to wait."""
        return self.is_shared or request.path.startswith(ADMIN_PREFIX)

    def drop(self, answer: Answer) -> None:
        """Have the journal say of an answer that it is not sent."""
        if answer.unsent and self.is_shared:
            self.pool.submit(answer.unsent)
        elif answer.unsent:
            answer.unsent()

    def tick(self) -> None:
        """Note the time, and close what has been idle or slow for too long; twice a second."""
        self.now = self.loop.time()
        self.head = f"\r\nDate: {formatdate(usegmt=True)}\r\nServer: mockbm\r\n"
        for connection in [c for c in self.connections if c.deadline < self.now]:
            connection.expire()
        self.ticking = self.loop.call_later(0.5, self.tick)

    def cache(self, data: bytes, wired: Wired) -> None:
        """Cache the request that these bytes are, once they have come twice."""
        if hash(data) in self._seen:
            self.parsed[data] = wired
        self._seen.add(hash(data))
        if len(self._seen) > limits.MAX_CACHED:
            self._seen.clear()
            self.parsed.clear()


class Connection(asyncio.Protocol):
    """One connection. Its requests are answered one after the other, in their order."""

    transport: asyncio.Transport

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.waiting: deque[Wired] = deque()
        self.answering: asyncio.TimerHandle | asyncio.Future[Answer] | None = None
        self.paused = self.half_closed = self.receiving = self.in_head = False
        self.continue_owed = self.refused = self.full = False
        self.received = self.chunk = 0
        self.completed: list[Wired] = []
        self.parser = httptools.HttpRequestParser(self)
        self.deadline = hub.now + limits.IDLE_SECONDS

    @property
    def is_at_work(self) -> bool:
        """Whether a thread is answering one of its requests."""
        return isinstance(self.answering, asyncio.Future)  # a timer may be asyncio's or uvloop's

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.peer = transport.get_extra_info("peername")
        if len(self.hub.connections) >= self.hub.most:
            self.transport.abort()
        self.hub.connections.add(self)

    def connection_lost(self, _error: Exception | None) -> None:
        self.hub.connections.discard(self)
        self.waiting.clear()
        if self.answering is not None and not self.is_at_work:
            self.answering.cancel()
            self.hub.drop(self.delayed)

    def data_received(self, data: bytes) -> None:
        if self.refused:
            return
        is_idle = not self.receiving and not self.waiting and self.answering is None
        wired = self.hub.parsed.get(data) if is_idle else None
        if wired is not None:
            self.take(wired)
            return
        self.chunk = len(data)
        self.received += self.chunk
        self.feed(data)
        if self.in_head and self.received > MAX_HEADERS:
            self.refuse(431, _TOO_LARGE)
        if len(self.waiting) > limits.MAX_WAITING:
            self.full = True
            self.transport.pause_reading()
        if self.completed:
            is_whole = is_idle and len(self.completed) == 1 and not self.receiving
            if is_whole and self.chunk <= limits.MAX_CACHED and not self.refused:
                self.hub.cache(data, self.completed[0])
            self.completed.clear()

    def eof_received(self) -> bool:
        """The client sends no more; it still gets the answers to what it has sent."""
        self.half_closed = True
        return bool(self.answering is not None or self.waiting) and not self.transport.is_closing()

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        self.answer_next()

    # What the parser calls.

    def feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self.decline_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            why = f"{_BAD}: {_WHY.get(type(error), error)}"
            self.refuse(400, _TLS if data[:1] == _HANDSHAKE else why)

    def on_message_begin(self) -> None:
        self.receiving = self.in_head = True
        self.received = 0  # what comes after the bytes in which it begins is added
        self.deadline = self.hub.now + limits.SLOW_SECONDS
        self.url = self.body = b""
        self.headers: dict[str, str] = {}
        self.size = 0

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.in_head:  # a trailer is not a header
            key, text = name.decode("latin-1").lower(), value.decode("latin-1").strip()
            headers = self.headers
            headers[key] = f"{headers[key]}, {text}" if key in headers else text

    def on_headers_complete(self) -> None:
        self.in_head = False
        headers = self.headers
        if "transfer-encoding" in headers and headers["transfer-encoding"].lower() != "chunked":
            self.refuse(400, "the only Transfer-Encoding that is read is chunked")
        if self.received + self.chunk > MAX_HEADERS:  # of which all may be body, or a part
            parts = (self.url, *headers, *headers.values())
            if sum(map(len, parts)) > MAX_HEADERS:
                self.refuse(431, _TOO_LARGE)
        length = headers.get("content-length")
        if length and len(length) > 7 and int(length) > limits.MAX_UPLOAD:  # few are long
            self.refuse(413, f"{_LONG_BODY}, and Content-Length is {length}")
        if "expect" in headers and not self.refused and headers["expect"].lower() == "100-continue":
            # Not for HTTP/1.0, which does not know it, and not where no body comes.
            has_body = not headers.keys().isdisjoint(_OF_BODIES)
            self.continue_owed = has_body and self.parser.get_http_version() == "1.1"
            if self.continue_owed and not self.waiting and self.answering is None:
                self.send_continue()

    def on_body(self, body: bytes) -> None:
        self.size += len(body)
        if self.size > limits.MAX_UPLOAD:
            self.refuse(413, _LONG_BODY)
        elif len(self.body) <= MAX_BODY:
            self.body += body

    def on_message_complete(self) -> None:
        """Take a request that has arrived to its answer."""
        if self.refused or self.parser.should_upgrade():
            return
        self.receiving = self.continue_owed = False
        target = self.url.partition(b"#")[0]
        if not target.startswith(b"/"):  # absolute, as sent to a proxy
            target = b"/" + target.partition(b"://")[2].partition(b"/")[2]
        path, _, query = target.partition(b"?")
        if b"%" in path:
            path = unquote_to_bytes(path)
        request = Request(
            self.parser.get_method().decode("latin-1"),
            path.decode("utf-8", "replace"),
            query.decode("latin-1"),
            self.headers,
            self.body[: MAX_BODY + 1],
            True,
        )
        wired = (request, self.parser.should_keep_alive(), None)
        self.completed.append(wired)
        self.take(wired)

    # From a request to its answer.

    def take(self, wired: Wired) -> None:
        self.waiting.append(wired)
        self.answer_next()

    def answer_next(self) -> None:
        """Answer what waits, as far as nothing has to be waited for."""
        hub = self.hub
        while self.waiting and self.answering is None and not self.paused:
            wired = self.waiting.popleft()
            request, _, refusal = wired
            if refusal or not hub.may_wait(request):
                self.deliver(wired, refusal or hub.answer(request, self.peer))
                continue
            self.deadline = float("inf")
            answering = hub.loop.run_in_executor(hub.pool, hub.answer, request, self.peer)
            answering.add_done_callback(partial(self.from_thread, wired))
            self.answering = answering
        if self.answering is not None:
            return
        patience = limits.SLOW_SECONDS if self.receiving else limits.IDLE_SECONDS
        self.deadline = hub.now + patience
        if self.continue_owed and not self.waiting:
            self.send_continue()
        if self.half_closed and not self.waiting:
            self.transport.close()
        elif self.full and len(self.waiting) <= limits.MAX_WAITING and not self.refused:
            self.full = False
            self.transport.resume_reading()

    def from_thread(self, wired: Wired, done: asyncio.Future[Answer]) -> None:
        if not done.cancelled():
            self.go_on(self.deliver, wired, done.result())

    def deliver(self, wired: Wired, answer: Answer) -> None:
        """Send an answer, now or after its delay."""
        if answer.delay and not self.transport.is_closing():
            self.deadline, self.delayed = float("inf"), answer
            later = self.hub.loop.call_later
            self.answering = later(answer.delay, self.go_on, self.send, wired, answer)
        else:
            self.send(wired, answer)

    def go_on(self, send: Callable[[Wired, Answer], None], wired: Wired, answer: Answer) -> None:
        """Send an answer that was waited for, and answer what came meanwhile."""
        self.answering = None
        send(wired, answer)
        self.answer_next()

    def send(self, wired: Wired, answer: Answer) -> None:
        request, lasts, _ = wired
        status, body, broken = answer.status, answer.body, answer.broken
        if self.transport.is_closing():
            self.hub.drop(answer)
            return
        if broken in ("reset", "empty"):
            if broken == "reset":  # which closing a socket sends that does not linger
                linger = struct.pack("ii", 1, 0)
                raw = self.transport.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.refused = True
            self.waiting.clear()
            self.transport.abort()
            return
        is_empty = status in (204, 304)
        line = _STATUS_LINES.get(status) or f"HTTP/1.1 {status} "
        length = "" if is_empty else f"Content-Length: {len(body)}\r\n"
        connection = "" if lasts else "Connection: close\r\n"
        if lasts and request.headers.get("connection", "").lower() == "keep-alive":
            connection = "Connection: keep-alive\r\n"  # which HTTP/1.0 has to be told
        fields = "".join([f"{name}: {value}\r\n" for name, value in answer.headers])
        head = f"{line}{self.hub.head}{fields}{length}{connection}\r\n".encode("latin-1", "replace")
        if is_empty or request.method == "HEAD":
            body = b""
        if broken:
            body = body[: len(body) // 2]
        if len(body) < 1 << 16:
            self.transport.write(head + body)
        else:
            self.transport.writelines([head, body])
        if broken or not lasts:
            self.end()

    def end(self) -> None:
        """Close the connection once everything is sent.

        A client that is still sending could lose the answer by that, so it is read to its end.
        """
        self.refused, self.continue_owed = True, False
        self.waiting.clear()
        if self.receiving and not self.half_closed:
            with suppress(OSError):  # the client may be gone
                self.transport.write_eof()
        else:
            self.transport.close()

    def send_continue(self) -> None:
        self.continue_owed = False
        self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def refuse(self, status: int, why: str) -> None:
        """Answer what cannot be read, after everything before it, and close the connection."""
        if not self.refused:
            log.warning("refused with %d, from %s: %s", status, (self.peer or "?")[0], why)
            self.refused, self.in_head = True, False
            headers = (("Content-Type", "text/plain; charset=utf-8"),)
            answer = Answer(status, headers, f"{why}\n".encode())
            self.take((Request("", ""), False, answer))

    def expire(self) -> None:
        """Close the connection, which was idle for too long, or has a request that is too slow."""
        if self.receiving and not self.refused:
            self.receiving, self.deadline = False, float("inf")
            self.refuse(408, f"the request is not complete after {limits.SLOW_SECONDS:g} s")
        else:
            self.transport.abort()

    def decline_upgrade(self, rest: bytes) -> None:
        """Read a request that offers another protocol as the HTTP/1.1 that it is, body and all."""
        method, headers = self.parser.get_method(), self.headers
        if method == b"CONNECT":
            self.refuse(400, "CONNECT is for proxies")
            return
        kept = [f"{name}: {value}" for name, value in headers.items() if name not in _UPGRADES]
        if "close" in headers.get("connection", "").lower():
            kept.append("connection: close")
        first = f" HTTP/{self.parser.get_http_version()}\r\n".encode()
        head = "".join(f"{line}\r\n" for line in kept).encode("latin-1")
        self.parser = httptools.HttpRequestParser(self)
        self.feed(method + b" " + self.url + first + head + b"\r\n" + rest)
