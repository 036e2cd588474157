"""The mock on a real socket, in this process: what the fixture and `mockbm serve` both run."""

from __future__ import annotations

import importlib.util
import logging
import secrets
import socket
import struct
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

import waitress
from waitress import wasyncore
from waitress.channel import ClientDisconnected, HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.task import WSGITask
from waitress.utilities import BadRequest

from . import limits
from .api import BREAK, PAUSE
from .app import create_app
from .guard import is_loopback
from .memory import GIVEN, SERVER, Memory
from .mock import Mock
from .session import Session

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    from .fast import FastServer


class _Request(HTTPRequestParser):  # type: ignore[misc]
    """What a client sends; keeps the bytes of a short request as they came."""

    raw = b""

    def received(self, data: bytes) -> int:
        try:
            count = int(super().received(data))
        except ValueError as error:  # waitress lets that of some odd URLs pass
            self.error, self.completed, count = BadRequest(str(error)), True, len(data)
        if len(self.raw) <= limits.MAX_KEPT_REQUEST:
            self.raw += data[:count]
        return count


class _Task(WSGITask):  # type: ignore[misc]
    """One request; lets the application wait and break its connection."""

    broken: str | None = None

    def execute(self) -> None:
        """Answer; where the application remembered it, keep what goes over the wire, too."""
        super().execute()
        environ, raw = self.get_environment(), self.request.raw
        given = environ.get(GIVEN)
        lasting = self.version == "1.1" and not self.close_on_finish
        plain = len(raw) <= limits.MAX_KEPT_REQUEST and "HTTP_EXPECT" not in environ
        if given and lasting and plain:
            self.channel.server.memory.keep(raw, given)

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
        if channel.receiving and channel.answer_again(channel.requests[0].raw):
            channel.requests.pop().close()
        else:
            self._server.task_dispatcher.add_task(channel)

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


def fast_is_installed() -> bool:
    """Whether the packages of the extra `fast` are there."""
    return all(importlib.util.find_spec(name) for name in ("uvicorn", "httptools"))


def _fast_server() -> type[FastServer]:
    from .fast import FastServer

    return FastServer


class MockServer:
    """A mock that listens while a `with` block runs.

    >>> with MockServer(scenario="empty") as server:
    ...     print(server.url)  # doctest: +SKIP
    http://127.0.0.1:40321

    scenarios, scenario, settings: as for `create_app`.
    host, port: where to listen; port 0 is any free one. Off loopback, the admin API needs a
        token; without one in the settings, one is made, and `admin_token` holds it.
    fast: answer with uvicorn, which the extra `fast` installs, instead of waitress.
    Raises: ScenarioError, UnknownName when made, ImportError for `fast` without the extra;
        OSError from `start` for a taken port.
    """

    def __init__(
        self,
        scenarios: Path | str | None = None,
        scenario: str | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        fast: bool = False,
        **settings: Any,
    ) -> None:
        self._engine = _fast_server() if fast else WaitressServer
        if settings.get("admin_token") is None and not is_loopback(host):
            settings["admin_token"] = secrets.token_urlsafe(24)
        hosts = [host, *settings.pop("allowed_hosts", ())]
        self.admin_token: str | None = settings.get("admin_token")
        self.app = create_app(
            scenarios, scenario, breaks_connections=True, allowed_hosts=hosts, **settings
        )
        self.host = host
        self.port = port
        self._running: WaitressServer | FastServer | None = None

    @property
    def mock(self) -> Mock:
        """The state behind this server."""
        return cast(Mock, self.app.extensions["mockbm"])

    @property
    def url(self) -> str:
        """The base URL, without a slash at the end, such as `http://127.0.0.1:8080`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def api_key(self) -> str:
        """A key that the active scenario accepts. Raises: LookupError where it accepts none."""
        keys = self.mock.default.view.scenario.api_keys
        if not keys:
            raise LookupError(f"the scenario {self.active} accepts no API key")
        return keys[0]

    @property
    def active(self) -> str:
        """The name of the active scenario."""
        return self.mock.default.active

    def use(self, name: str) -> None:
        """Make another scenario active, for all but sessions. Raises: UnknownName."""
        self.mock.default.use(name)

    def open_session(self, scenario: str | None = None, label: str = "") -> Session:
        """A private session with an API key of its own. Raises: UnknownName, RuntimeError."""
        return self.mock.open_session(scenario, label)

    def start(self) -> None:
        """Listen, and answer in a thread of its own. Raises: OSError where it cannot listen."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        listener = socket.create_server((self.host, self.port), family=family)
        self.port = listener.getsockname()[1]
        beneath = self.app.wsgi_app
        memory = beneath if isinstance(beneath, Memory) else None
        self._running = self._engine(self.app, memory, listener)

    def stop(self) -> None:
        """Stop at once: delays end, open connections are closed, idle or not.

        Requests that are being answered have up to a second to be done.
        """
        running, self._running = self._running, None
        if running is not None:
            running.stop()

    def __enter__(self) -> MockServer:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
