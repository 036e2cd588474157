"""The application on uvicorn: the faster server, behind the extra `fast`.

uvicorn answers in the thread of an event loop. So does this module, where the answer is remembered;
any other request goes to a thread of its own, and the loop goes on.
"""

from __future__ import annotations

import asyncio
import io
import logging
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.protocols.utils import ClientDisconnected

from . import limits
from .api import BREAK, PAUSE
from .memory import SERVER, Memory

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

_LAST = [(b"connection", b"close"), (b"content-length", b"0")]

PROTOCOL, CYCLE = "mockbm.protocol", "mockbm.cycle"
"""In the ASGI scope: the connection of a request, and what uvicorn knows of its answer."""


class FastServer:
    """A WSGI application that listens, in a thread of its own, from when it is made to its `stop`.

    memory: of the application, if it has one.
    """

    def __init__(
        self, application: WSGIApplication, memory: Memory | None, listener: socket.socket
    ) -> None:
        self._application = application
        self._memory = memory
        self._stopping = threading.Event()
        self._turns = threading.BoundedSemaphore(limits.THREADS)
        self._pool = ThreadPoolExecutor(limits.THREADS + limits.MAX_PAUSING, "mockbm")
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
        config = uvicorn.Config(
            self._serve,
            http=partial(_Protocol, memory),  # type: ignore[arg-type]
            interface="asgi3",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,  # who calls is who the socket says
            server_header=False,
            headers=[("Server", SERVER)],
            timeout_keep_alive=limits.IDLE_SECONDS,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, args=([listener],), name="mockbm", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop at once: delays end, open connections are closed, idle or not.

        Requests that are being answered have up to a second to be done.
        """
        self._stopping.set()
        self._server.should_exit = True
        self._thread.join()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        protocol: _Protocol = scope[PROTOCOL]
        try:
            await self._answer(scope, receive, send)
        except (ClientDisconnected, RuntimeError):
            if not protocol.transport.is_closing():
                raise
        if protocol.transport.is_closing():  # and nobody is there to hear the rest of the answer
            scope[CYCLE].disconnected = True

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        """One request, as uvicorn tells it."""
        protocol: _Protocol = scope[PROTOCOL]
        body = await _body(receive)
        if body is None:
            await send({"type": "http.response.start", "status": 413, "headers": _LAST})
            await send({"type": "http.response.body"})
            return
        environ = _environment(scope, body)
        given = self._memory and self._memory.recall(environ)
        if given:
            answer = _Answer(given.answer.status, given.answer.headers, given.answer.body)
        else:
            loop = asyncio.get_running_loop()
            answer = await loop.run_in_executor(self._pool, self._call, environ)
        if answer.broken:
            if answer.broken == "truncate":
                await send({"type": "http.response.start", **answer.start()})
                half = answer.body[: len(answer.body) // 2]
                await send({"type": "http.response.body", "body": half, "more_body": True})
            protocol.break_connection(reset=answer.broken == "reset")
            return
        request = protocol.lasting_request()
        if self._memory and given and request:
            self._memory.keep(request, given, answer.head())
        await send({"type": "http.response.start", **answer.start()})
        await send({"type": "http.response.body", "body": answer.body})

    def _call(self, environ: WSGIEnvironment) -> _Answer:
        """Ask the application, in a thread of the pool, when it is this request's turn."""
        answer = _Answer("", [], b"")
        environ[PAUSE] = partial(self._pause, answer)
        environ[BREAK] = partial(setattr, answer, "broken")
        with self._turns:
            parts = self._application(environ, answer.set_start)
            try:
                answer.body = b"".join(parts)
            finally:
                getattr(parts, "close", lambda: None)()
        return answer

    def _pause(self, answer: _Answer, seconds: float) -> None:
        """Wait in the thread of a request; another one has its turn meanwhile."""
        self._turns.release()
        try:
            if self._stopping.wait(seconds):
                answer.broken = "empty"
        finally:
            self._turns.acquire()


class _Answer:
    """What the application answered, and how its connection breaks, if it does."""

    def __init__(self, status: str, headers: Iterable[tuple[str, str]], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body
        self.broken: str | None = None

    def set_start(self, status: str, headers: list[tuple[str, str]], *_: Any) -> Callable[..., Any]:
        self.status, self.headers = status, headers
        return lambda _: None  # Flask does not write in this old way

    def head(self) -> tuple[bytes, bytes]:
        """The head as uvicorn writes it, before and behind the date."""
        fields = [("server", SERVER), *self.headers]
        after = "".join(f"\r\n{name.lower()}: {value}" for name, value in fields)
        before = STATUS_LINE[int(self.status[:3])] + b"date: "
        return before, f"{after}\r\n\r\n".encode("latin-1")

    def start(self) -> dict[str, Any]:
        """Status and headers, as uvicorn takes them."""
        headers = [
            (name.encode("latin-1"), value.encode("latin-1")) for name, value in self.headers
        ]
        return {"status": int(self.status[:3]), "headers": headers}


class _Protocol(HttpToolsProtocol):
    """One connection; a client that sends too much or too slowly is cut off.

    A request that came before, byte for byte, is answered right here, unread.
    """

    def __init__(self, memory: Memory | None, **settings: Any) -> None:
        super().__init__(**settings)
        self._memory = memory
        self._raw = b""
        self._requests_in_raw = 0
        self._head = 0
        self._receiving = self._in_head = self._too_large = False
        self._cut_off: asyncio.TimerHandle | None = None
        self._heard = time.monotonic()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > limits.MAX_CONNECTIONS or self.client is None:
            transport.abort()
        else:
            self.timeout_keep_alive_handler()

    def connection_lost(self, exc: Exception | None) -> None:
        self._receiving = False
        self._watch_time()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._receiving and (self.cycle is None or self.cycle.response_complete):
            if self._answer_again(data):
                return
            self._raw, self._requests_in_raw = b"", 0
        if len(self._raw) <= limits.MAX_KEPT_REQUEST:
            self._raw += data
        super().data_received(data)
        if self._in_head:
            self._head += len(data)
            if self._head > limits.MAX_HEADERS:
                self._too_large = True
                self.send_400_response("")
        self._watch_time()

    def _answer_again(self, request: bytes) -> bool:
        """Answer a request that came before, if nothing else is on its way; else do nothing."""
        if self.transport.is_closing() or self.transport.get_write_buffer_size():
            return False
        answer = self._memory and self._memory.again(request)
        if not answer:
            return False
        self._heard = time.monotonic()
        self.transport.write(answer)
        return True

    def lasting_request(self) -> bytes | None:
        """All the bytes of a short request after which the connection stays open, if it is one."""
        alone = self._requests_in_raw == 1 and not self._receiving
        short = len(self._raw) <= limits.MAX_KEPT_REQUEST
        lasting = self.cycle.keep_alive and not self.expect_100_continue
        return self._raw if alone and short and lasting else None

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope[PROTOCOL] = self  # type: ignore[literal-required]
        self._receiving = self._in_head = True
        self._requests_in_raw += 1
        self._head = 0

    def on_headers_complete(self) -> None:
        self._in_head = False
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > limits.MAX_HEADERS:
            self._too_large = True
            raise ValueError("headers too large")
        super().on_headers_complete()
        self.scope[CYCLE] = self.cycle  # type: ignore[literal-required]

    def on_message_complete(self) -> None:
        self._receiving = False
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, or too large."""
        self._receiving = self._in_head = False
        if self._too_large:
            close = b"server: mockbm\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            self.transport.write(STATUS_LINE[431] + close)
            self.transport.close()
        else:
            super().send_400_response(msg)

    def _watch_time(self) -> None:
        """Give a request that has begun to arrive its time, and no more."""
        if self._receiving and self._cut_off is None:
            self._cut_off = self.loop.call_later(limits.SLOW_SECONDS, self.transport.abort)
        elif not self._receiving and self._cut_off is not None:
            self._cut_off.cancel()
            self._cut_off = None

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that has been idle for long; uvicorn has not seen all requests."""
        rest = self._heard + limits.IDLE_SECONDS - time.monotonic()
        if rest <= 0:
            super().timeout_keep_alive_handler()
        else:
            again = self.timeout_keep_alive_handler
            self.timeout_keep_alive_task = self.loop.call_later(rest, again)

    def break_connection(self, *, reset: bool) -> None:
        """Close the connection, with a reset or with the usual farewell."""
        if not reset or self.transport.is_closing():
            self.transport.close()
            return
        # Without lingering, a close sends a reset instead of the usual farewell.
        linger = struct.pack("ii", 1, 0)
        connection = self.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.transport.abort()


async def _body(receive: Any) -> bytes | None:
    """The body of a request; None for one that is far too large.

    Raises: ClientDisconnected where the client goes before it has sent all.
    """
    parts, size = [], 0
    while size <= limits.MAX_UPLOAD:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        part = message.get("body", b"")
        size += len(part)
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)
    return None


def _environment(scope: Any, body: bytes) -> WSGIEnvironment:
    """The WSGI environment of a request; its body has arrived."""
    environ: WSGIEnvironment = {
        "REMOTE_ADDR": scope["client"][0],
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": "/" + unquote_to_bytes(scope["raw_path"]).decode("latin-1").lstrip("/"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": scope["server"][0],
        "SERVER_PORT": str(scope["server"][1]),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in scope["headers"]:
        if b"_" in name:
            continue  # it would look like the one with a hyphen
        key = name.decode("latin-1").upper().replace("-", "_")
        key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
        text = value.decode("latin-1").strip(" \t")  # no part of it, says RFC 9110
        environ[key] = f"{environ[key]}, {text}" if key in environ else text
    if environ.pop("HTTP_TRANSFER_ENCODING", None):
        environ["CONTENT_LENGTH"] = str(len(body))
    return environ
