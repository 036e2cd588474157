"""The application on waitress: the server that comes with every installation."""

from __future__ import annotations

import logging
import socket
import struct
import threading
import time
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import waitress
from waitress import wasyncore
from waitress.channel import ClientDisconnected, HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.task import WSGITask
from waitress.utilities import BadRequest

from . import limits
from .api import BREAK, PAUSE
from .memory import SERVER, Answer, Memory

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


class WaitressServer:
    """A WSGI application that listens, in a thread of its own, from when it is made to its `stop`.

    memory: of the application, if it has one.
    """

    def __init__(
        self, application: WSGIApplication, memory: Memory | None, listener: socket.socket
    ) -> None:
        self._stopping = threading.Event()
        self._pausing = 0
        self._counting = threading.Lock()
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a short queue is no news
        self._server: Any = waitress.create_server(
            application,
            sockets=[listener],
            threads=limits.THREADS,
            ident=SERVER,
            connection_limit=limits.MAX_CONNECTIONS,
            channel_timeout=limits.IDLE_SECONDS,
            asyncore_use_poll=True,  # select() ends at 1,024
            max_request_body_size=limits.MAX_UPLOAD,
            max_request_header_size=limits.MAX_HEADERS,
        )
        self._server.channel_class = _Channel
        self._server.memory = memory
        self._server.pause = self._pause
        self._server.add_task = self._add_task
        self._thread = threading.Thread(target=self._loop, name="mockbm", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop at once: delays end, open connections are closed, idle or not.

        Requests that are being answered have up to a second to be done.
        """
        with self._counting:
            self._stopping.set()
        # The threads go first: each of them wakes the loop when it is done with a request, which
        # must not be closed by then.
        self._server.task_dispatcher.shutdown(timeout=1)
        self._server.pull_trigger()  # the loop sleeps for up to a second
        self._thread.join()
        for channel in list(self._server.active_channels.values()):
            channel.handle_write()
        wasyncore.close_all(self._server._map)

    def _loop(self) -> None:
        while not self._stopping.is_set():
            wasyncore.loop(timeout=1, use_poll=True, map=self._server._map, count=1)

    def _add_task(self, channel: _Channel) -> None:
        """Have the first request of a channel answered, in another thread if it is a new one."""
        request = channel.requests[0]
        if channel.receiving and self._is_remembered(channel, request):
            channel.requests.pop().close()
        else:
            self._server.task_dispatcher.add_task(channel)

    def _is_remembered(self, channel: _Channel, request: _Request) -> bool:
        """Answer a request right here, in the thread of the loop, if its answer is remembered."""
        if channel.answer_again(request.raw):
            return True
        memory: Memory | None = self._server.memory
        if memory is None or not request.is_plain():
            return False
        environ = _Task(channel, request).get_environment()
        given = memory.find(environ)
        request.get_body_stream().seek(0)
        if given is None:
            return False
        memory.keep(request.raw, given, _head(given.answer))
        return channel.answer_again(request.raw)

    def _pause(self, seconds: float) -> bool:
        """Wait in the thread of a request; another thread takes its place meanwhile.

        Returns: whether the time is over; False where the server stops before.
        """
        self._count_pausing(1)
        try:
            return not self._stopping.wait(seconds)
        finally:
            self._count_pausing(-1)

    def _count_pausing(self, change: int) -> None:
        with self._counting:
            self._pausing += change
            if not self._stopping.is_set():
                count = limits.THREADS + min(self._pausing, limits.MAX_PAUSING)
                self._server.task_dispatcher.set_thread_count(count)


class _Request(HTTPRequestParser):  # type: ignore[misc]
    """What a client sends; keeps the bytes of a short request as they came."""

    raw = b""
    path = ""  # which waitress asks for, even of a client that vanished before it said one

    def received(self, data: bytes) -> int:
        try:
            count = int(super().received(data))
        except ValueError as error:  # waitress lets that of some odd URLs pass
            self.error, self.completed, count = BadRequest(str(error)), True, len(data)
        if len(self.raw) <= limits.MAX_KEPT_REQUEST:
            self.raw += data[:count]
        return count

    def is_plain(self) -> bool:
        """Whether it is a short request after which the connection stays open."""
        if self.error is not None:
            return False
        headers = self.headers
        lasting = self.version == "1.1" and headers.get("CONNECTION", "").lower() != "close"
        return lasting and "EXPECT" not in headers and len(self.raw) <= limits.MAX_KEPT_REQUEST


class _Task(WSGITask):  # type: ignore[misc]
    """One request; lets the application wait and break its connection."""

    broken: str | None = None

    def get_environment(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environment()
        environ[PAUSE] = self.pause
        environ[BREAK] = self.break_connection
        return environ

    def pause(self, seconds: float) -> None:
        if not self.channel.server.pause(seconds):
            self.broken = "empty"

    def break_connection(self, kind: str) -> None:
        self.broken = kind

    def write(self, data: bytes) -> None:
        """Write the answer, or as much of it as the connection is allowed to bring across."""
        if self.broken == "truncate":
            super().write(data[: len(data) // 2])
        if self.broken == "reset":
            # Without lingering, a close sends a reset instead of the usual farewell.
            linger = struct.pack("ii", 1, 0)
            self.channel.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        if self.broken is not None:
            raise ClientDisconnected
        super().write(data)


def _head(answer: Answer) -> tuple[bytes, bytes]:
    """The head of an answer as waitress writes it, before and behind the date."""
    fields = sorted([*answer.headers, ("Server", SERVER), ("Date", "")], key=itemgetter(0))
    lines = [f"HTTP/1.1 {answer.status}", *(f"{name}: {value}" for name, value in fields)]
    before, date, after = "\r\n".join([*lines, "", ""]).partition("\r\nDate: ")
    return (before + date).encode("latin-1"), after.encode("latin-1")


class _Channel(HTTPChannel):  # type: ignore[misc]
    """One connection; a client that takes too long to say what it wants is cut off.

    A request that came before, byte for byte, is answered right here, in the thread of the loop.
    """

    task_class = _Task
    parser_class = _Request
    began = 0.0
    receiving = False

    def received(self, data: bytes) -> bool:
        if self.request is None:
            self.began = time.monotonic()
            if not self.requests and self.answer_again(data):
                return True
        self.receiving = True
        try:
            return bool(super().received(data))
        finally:
            self.receiving = False

    def answer_again(self, request: bytes) -> bool:
        """Answer a request that came before, if nothing else is on its way; else do nothing."""
        if self.total_outbufs_len or self.will_close or self.close_when_flushed:
            return False
        memory: Memory | None = self.server.memory
        answer = memory and memory.again(request)
        if not answer:
            return False
        self.write_soon(answer)
        return True

    def readable(self) -> bool:
        if self.request is not None and time.monotonic() - self.began > limits.SLOW_SECONDS:
            self.will_close = True
        return bool(super().readable())
