"""HTTP on asyncio: bytes of a connection become requests, and answers become bytes.

httptools parses. Requests to the endpoints are answered right here, in the thread of the loop;
whatever may wait is handed to a thread, and the loop goes on.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import unquote_to_bytes

import httptools

from ..core.request import MAX_BODY, MAX_HEADERS, Answer, Request
from . import limits

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

SERVER = "mockbm"

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}" for status in HTTPStatus}
_BAD = "the request is not HTTP as the standard has it"
_TOO_LARGE = f"request line and headers are over {MAX_HEADERS // 1024} KiB"
_OF_BODIES = (b"content-length", b"transfer-encoding")
_UPGRADES = (b"upgrade", b"connection", b"http2-settings", b"expect")


class Wired(NamedTuple):
    """A request and what the server has to know of it."""

    request: Request
    lasts: bool
    """Whether the connection stays open after the answer."""
    target: bytes


class Hub:
    """What all connections of one server share.

    answer: answers a request; called in the thread of the loop if `inline` says so.
    inline: whether a path is answered without ever waiting.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        answer: Callable[[Wired, Any], Answer],
        inline: Callable[[str], bool],
        pool: ThreadPoolExecutor,
    ) -> None:
        self.loop = loop
        self.answer = answer
        self.inline = inline
        self.pool = pool
        self.connections: set[Connection] = set()
        self.parsed: dict[bytes, Wired] = {}
        self.tick()

    def tick(self) -> None:
        """Note the time, and close what has been idle or slow for too long; twice a second."""
        self.now = self.loop.time()
        self.date = formatdate(usegmt=True)
        for connection in [c for c in self.connections if c.deadline < self.now]:
            connection.transport.abort()
        self.ticking = self.loop.call_later(0.5, self.tick)


class Connection(asyncio.Protocol):
    """One connection. Its requests are answered one after the other, in their order."""

    transport: asyncio.Transport

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.waiting: deque[Wired | tuple[int, str]] = deque()
        self.answering: asyncio.TimerHandle | Future[Answer] | None = None
        self.paused = self.half_closed = self.receiving = self.in_head = False
        self.continue_owed = self.refused = False
        self.head_size = 0
        self.parser = httptools.HttpRequestParser(self)
        self.deadline = hub.now + limits.IDLE_SECONDS

    @property
    def is_at_work(self) -> bool:
        """Whether a thread is answering one of its requests."""
        return isinstance(self.answering, Future)  # a timer may be asyncio's or uvloop's

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.peer = transport.get_extra_info("peername")
        if len(self.hub.connections) >= limits.MAX_CONNECTIONS:
            self.transport.abort()
        self.hub.connections.add(self)

    def connection_lost(self, _error: Exception | None) -> None:
        self.hub.connections.discard(self)
        self.waiting.clear()
        if self.answering is not None and not self.is_at_work:
            self.answering.cancel()

    def data_received(self, data: bytes) -> None:
        if self.refused:
            return
        if not self.receiving and not self.waiting and self.answering is None:
            wired = self.hub.parsed.get(data)
            if wired is not None:
                self.waiting.append(wired)
                self.answer_next()
                return
            self.chunk: bytes | None = data
        else:
            self.chunk = None
        self.head_size += len(data)
        self.feed(data)
        if self.in_head and self.head_size > MAX_HEADERS:
            self.refuse(431, _TOO_LARGE)
        if len(self.waiting) > limits.MAX_WAITING:
            self.transport.pause_reading()

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
        except httptools.HttpParserError:
            self.refuse(400, _BAD)

    def on_message_begin(self) -> None:
        self.receiving = self.in_head = True
        self.head_size = 0  # what comes after the bytes in which it begins is added
        self.deadline = self.hub.now + limits.SLOW_SECONDS
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.size = 0

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.in_head:  # a trailer is no header
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.in_head = False
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > MAX_HEADERS:
            self.refuse(431, _TOO_LARGE)
        for name, value in self.headers:
            if name == b"expect" and value.lower() == b"100-continue":
                # Not for HTTP/1.0, which does not know it, and not where no body comes.
                has_body = any(name in _OF_BODIES for name, _ in self.headers)
                self.continue_owed = has_body and self.parser.get_http_version() == "1.1"
            elif name == b"transfer-encoding" and value.lower() != b"chunked":
                self.refuse(400, "the only Transfer-Encoding that is read is chunked")
        if self.continue_owed and not self.waiting and self.answering is None:
            self.send_continue()

    def on_body(self, body: bytes) -> None:
        self.size += len(body)
        if self.size > limits.MAX_UPLOAD and not self.refused:
            self.finish(lasts=False)
            self.refused = True
        elif len(self.body) <= MAX_BODY:
            self.body += body

    def on_message_complete(self) -> None:
        if not self.refused and not self.parser.should_upgrade():
            self.finish(lasts=self.parser.should_keep_alive())

    # From a request to its answer.

    def finish(self, *, lasts: bool) -> None:
        """Take a request that has arrived to its answer."""
        self.receiving = self.continue_owed = False
        target = self.url.partition(b"#")[0]
        if not target.startswith(b"/"):  # absolute, as sent to a proxy
            target = b"/" + target.partition(b"://")[2].partition(b"/")[2]
        path, _, query = target.partition(b"?")
        if b"%" in path:
            path = unquote_to_bytes(path)
        headers: dict[str, str] = {}
        for name_, value_ in self.headers:
            name, value = name_.decode("latin-1"), value_.decode("latin-1").strip()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        request = Request(
            self.parser.get_method().decode("latin-1"),
            path.decode("utf-8", "replace"),
            query.decode("latin-1"),
            headers,
            self.body[: MAX_BODY + 1],
            True,
        )
        wired = Wired(request, lasts, target)
        chunk, self.chunk = self.chunk, None
        if chunk is not None and self.is_whole(chunk):
            if len(self.hub.parsed) >= limits.MAX_CACHED:
                self.hub.parsed.clear()
            self.hub.parsed[chunk] = wired
        self.waiting.append(wired)
        self.answer_next()

    def is_whole(self, chunk: bytes) -> bool:
        """Whether a chunk that ends with this request is nothing but this request."""
        if len(chunk) > limits.MAX_CACHED:
            return False
        names = [name for name, _ in self.headers]
        if b"transfer-encoding" in names or b"expect" in names or b"upgrade" in names:
            return False
        head, _, rest = chunk.partition(b"\r\n\r\n")
        return len(rest) == len(self.body) and head.startswith(self.parser.get_method())

    def answer_next(self) -> None:
        """Answer what waits, as far as nothing has to be waited for."""
        while self.waiting and self.answering is None and not self.paused:
            wired = self.waiting.popleft()
            if isinstance(wired, tuple) and not isinstance(wired, Wired):
                self.send_refusal(*wired)
                return
            self.deadline = float("inf")
            if self.hub.inline(wired.request.path):
                self.deliver(wired, self.hub.answer(wired, self.peer))
            else:
                self.answering = future = self.hub.pool.submit(self.hub.answer, wired, self.peer)
                future.add_done_callback(lambda done, w=wired: self.from_thread(w, done))  # type: ignore[misc]
        if not self.transport.is_closing():
            self.after_answers()

    def after_answers(self) -> None:
        if self.answering is not None:
            return
        if not self.receiving:
            self.deadline = self.hub.now + limits.IDLE_SECONDS
        if self.continue_owed and not self.waiting:
            self.send_continue()
        if self.half_closed and not self.waiting:
            self.transport.close()
        elif len(self.waiting) <= limits.MAX_WAITING and not self.transport.is_reading():
            self.transport.resume_reading()

    def from_thread(self, wired: Wired, done: Future[Answer]) -> None:
        """Take an answer from a thread back into the loop."""
        if done.cancelled():
            return

        def take() -> None:
            self.answering = None
            self.deliver(wired, done.result())
            self.answer_next()

        self.hub.loop.call_soon_threadsafe(take)

    def deliver(self, wired: Wired, answer: Answer) -> None:
        """Send an answer, now or after its delay."""
        if answer.delay:
            self.answering = self.hub.loop.call_later(answer.delay, self.late, wired, answer)
        else:
            self.send(wired, answer)

    def late(self, wired: Wired, answer: Answer) -> None:
        self.answering = None
        self.send(wired, answer)
        self.answer_next()

    def send(self, wired: Wired, answer: Answer) -> None:
        status, headers, body, _, broken = answer
        if self.transport.is_closing():
            return
        if broken and broken != "truncate":
            self.break_off(reset=broken == "reset")
            return
        lines = [
            _STATUS_LINES.get(status) or f"HTTP/1.1 {status} ",
            f"Date: {self.hub.date}",
            f"Server: {SERVER}",
            *[f"{name}: {value}" for name, value in headers],
        ]
        if status >= 200 and status not in (204, 304):
            lines.append(f"Content-Length: {len(body)}")
        if not wired.lasts:
            lines.append("Connection: close")
        elif wired.request.headers.get("connection", "").lower() == "keep-alive":
            lines.append("Connection: keep-alive")  # which HTTP/1.0 has to be told
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
        if wired.request.method == "HEAD" or status in (204, 304):
            body = b""
        if broken:
            body = body[: len(body) // 2]
        if len(body) < 1 << 16:
            self.transport.write(head + body)
        else:
            self.transport.writelines([head, body])
        if broken or not wired.lasts:
            self.end()

    def end(self) -> None:
        """Close the connection once everything is sent."""
        self.refused = True
        self.waiting.clear()
        self.transport.close()

    def break_off(self, *, reset: bool) -> None:
        """Close the connection, with a reset or in the usual way."""
        self.refused = True
        self.waiting.clear()
        if reset:
            # Without lingering, closing a socket sends a reset.
            linger = struct.pack("ii", 1, 0)
            connection = self.transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.transport.abort()

    def send_continue(self) -> None:
        self.continue_owed = False
        self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def refuse(self, status: int, why: str) -> None:
        """Answer what cannot be read, after everything before it, and close the connection."""
        if not self.refused:
            self.refused, self.receiving, self.in_head = True, False, False
            self.waiting.append((status, why))
            self.answer_next()

    def send_refusal(self, status: int, why: str) -> None:
        headers = (("Content-Type", "text/plain; charset=utf-8"),)
        wired = Wired(Request("", ""), False, b"")
        self.send(wired, Answer(status, headers, f"{why}\n".encode()))

    def decline_upgrade(self, rest: bytes) -> None:
        """Read a request that offers another protocol as the HTTP/1.1 that it is, body and all."""
        method, headers = self.parser.get_method(), self.headers
        if method == b"CONNECT":
            self.refuse(400, "CONNECT is for proxies")
            return
        kept = [(name, value) for name, value in headers if name not in _UPGRADES]
        if any(name == b"connection" and b"close" in value.lower() for name, value in headers):
            kept.append((b"connection", b"close"))
        version = self.parser.get_http_version().encode()
        lines = [method + b" " + self.url + b" HTTP/" + version]
        lines += [name + b": " + value for name, value in kept]
        self.parser, self.chunk = httptools.HttpRequestParser(self), None
        self.feed(b"\r\n".join([*lines, b"", b""]) + rest)
