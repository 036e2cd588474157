"""The mock on a real socket, in this process: what the fixture and `mockbm serve` both run."""

from __future__ import annotations

import asyncio
import io
import secrets
import socket
import threading
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ..core.answer import FAILED, answer, unavailable
from ..core.mock import ADMIN_PREFIX, LocalSession, Mock
from ..core.request import Answer, Request
from ..core.session import log
from ..core.times import monotonic
from ..settings import Settings
from ..web.guard import is_loopback
from . import limits
from .protocol import Connection, Hub

if TYPE_CHECKING:
    from flask import Flask

    from ..files.document import Progress


_BACKLOG = 1_024
"""Connections that can wait to be accepted; clients of more try after a second only."""


class MockServer:
    """A mock that listens while a `with` block runs.

    >>> with MockServer(scenario="empty") as server:
    ...     print(server.url)  # doctest: +SKIP
    http://127.0.0.1:40321

    scenarios, scenario, settings: as for `mockbm.create_app`.
    host, port: where to listen; port 0 is any free one. Off loopback, the admin API needs a
        token; without one in the settings, one is made, and `admin_token` holds it.
    progress: is called with the part of the scenario files that has been read, from 0 to 1.
    Raises: ScenarioError, UnknownName when made; OSError from `start` for a taken port.
    """

    def __init__(
        self,
        scenarios: Path | str | None = None,
        scenario: str | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        progress: Progress | None = None,
        **settings: Any,
    ) -> None:
        host = host or "0.0.0.0"  # as Python's own servers read it
        hosts = [host, *settings.pop("allowed_hosts", ())]
        token: str | None = settings.pop("admin_token", None) or None
        if token is None and not is_loopback(host):
            token = secrets.token_urlsafe(24)
        self.admin_token = token
        self._settings = Settings(
            scenarios, scenario, admin_token=token, allowed_hosts=hosts, **settings
        )
        self.mock: Mock = self._settings.mock(breaks_connections=True, progress=progress)
        self.host = host
        self.port = port
        self._running: _Running | None = None

    @cached_property
    def app(self) -> Flask:
        """The same mock as a WSGI application, to be called without a socket."""
        from ..web.app import make_app  # which brings Flask, that not every run needs

        return make_app(self.mock, self._settings)

    @property
    def url(self) -> str:
        """The base URL, without a slash at the end, such as `http://127.0.0.1:8080`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def api_key(self) -> str:
        """A key that the active scenario accepts. Raises: LookupError where it accepts none."""
        scenario = self.mock.default.scenario
        if not scenario.api_keys:
            raise LookupError(f"the scenario {scenario.name} accepts no API key")
        return scenario.api_keys[0]

    @property
    def active(self) -> str:
        """The name of the active scenario."""
        return self.mock.default.active

    def use(self, name: str) -> None:
        """Make another scenario active, for all but sessions. Raises: UnknownName."""
        self.mock.default.use(name)

    def open_session(self, scenario: str | None = None, label: str = "") -> LocalSession:
        """A private session with an API key of its own. Raises: UnknownName, RuntimeError."""
        return self.mock.open_session(scenario, label)

    def start(self) -> None:
        """Listen, and answer in a thread of its own. Raises: OSError where it cannot listen."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        both = family == socket.AF_INET6 and socket.has_dualstack_ipv6()  # `::` is for IPv4, too
        listener = socket.create_server(
            (self.host, self.port), family=family, backlog=_BACKLOG, dualstack_ipv6=both
        )
        self.port = listener.getsockname()[1]
        self._running = _Running(self, listener)

    def stop(self) -> None:
        """Stop at once: delays end, open connections are closed, idle or not.

        Calls that are being answered in a thread have up to a second to be done.
        """
        running, self._running = self._running, None
        if running is not None:
            running.stop()

    def __enter__(self) -> MockServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Running(Hub):
    """A server that listens, in a thread of its own, from when it is made to its `stop`."""

    def __init__(self, server: MockServer, listener: socket.socket) -> None:
        super().__init__(_new_event_loop(), is_shared=server.mock.store.shared)
        self._server = server
        self._listener = listener
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="mockbm", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop, and wait until that is done."""
        self.loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        self.pool.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.set_exception_handler(_log_error)
        self.loop.run_until_complete(self._serve())
        self.loop.close()

    async def _serve(self) -> None:
        accepting = await self.loop.create_server(
            lambda: Connection(self), sock=self._listener, backlog=limits.MAX_ACCEPTED
        )
        self._listener.listen(_BACKLOG)  # which is another number only for asyncio
        await self._stopping.wait()
        # Also in a process that was forked from this one, which has the socket as well. Here, since
        # the loop must not find the socket like that before it has stopped accepting.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        accepting.close()
        self.ticking.cancel()
        for connection in [*self.connections]:
            if not connection.is_at_work:
                connection.transport.close()
        patience = self.loop.time() + 1
        await asyncio.sleep(0)
        while any(c.is_at_work for c in self.connections) and self.loop.time() < patience:
            await asyncio.sleep(0.01)
        for connection in [*self.connections]:
            if connection.answering is not None:
                connection.answering.cancel()
            connection.transport.abort()
        await asyncio.sleep(0)  # what `abort` has scheduled comes first

    def answer(self, request: Request, peer: Any) -> Answer:
        try:
            if request.path.startswith(ADMIN_PREFIX):
                return self._call_app(request, peer)
            return answer(self._server.mock, request)
        except ConnectionError as error:
            log.error("%s", error)
            return unavailable(error)
        except Exception:  # noqa: BLE001 (a mistake of ours must not leave a client unanswered)
            log.exception("%s %s failed", request.method, request.path)
            headers = (("Content-Type", "text/plain; charset=utf-8"),)
            return Answer(500, headers, f"{FAILED}\n".encode())

    def _call_app(self, request: Request, peer: Any) -> Answer:
        """Have the Flask application answer, in this thread."""
        from werkzeug.test import EnvironBuilder, run_wsgi_app  # as late as Flask

        server = self._server
        # One with an underscore would look like the one with a hyphen, and the body is here whole.
        headers = [
            (name, value)
            for name, value in request.headers.items()
            if "_" not in name and name != "transfer-encoding"
        ]
        builder = EnvironBuilder(
            quote(request.path),
            method=request.method,
            query_string=request.query,
            headers=headers,
            input_stream=io.BytesIO(request.body),
            multithread=True,
            environ_overrides={
                "HTTP_HOST": request.headers.get("host", ""),
                "REMOTE_ADDR": peer[0] if peer else "",
                "SERVER_NAME": server.host,
                "SERVER_PORT": str(server.port),
            },
        )
        parts, status, fields = run_wsgi_app(server.app, builder.get_environ(), buffered=True)
        fields.remove("Content-Length")
        return Answer(int(status[:3]), tuple(fields), b"".join(parts))


def _log_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what asyncio cannot do; one line where files are short, which it tries again."""
    if isinstance(context.get("exception"), OSError):
        log.error("%s: %s", context["message"], context["exception"])
    else:
        loop.default_exception_handler(context)


def _new_event_loop() -> asyncio.AbstractEventLoop:
    """uvloop's where the extra `uvloop` is installed, which is faster; else asyncio's own."""
    loop: asyncio.AbstractEventLoop
    try:
        import uvloop

        loop = uvloop.new_event_loop()
    except ImportError:
        loop = asyncio.new_event_loop()
        loop.time = monotonic  # type: ignore[method-assign]  # also where a test has frozen time
    return loop
