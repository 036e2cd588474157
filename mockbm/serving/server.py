"""The mock on a real socket, in this process: what the fixture and `mockbm serve` both run."""

from __future__ import annotations

import asyncio
import io
import secrets
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

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


class _Running:
    """A server that listens, in a thread of its own, from when it is made to its `stop`."""

    def __init__(self, server: MockServer, listener: socket.socket) -> None:
        self._server = server
        self._listener = listener
        self._pool = ThreadPoolExecutor(limits.THREADS, "mockbm")
        self._loop = _new_event_loop()
        self._hub = Hub(self._loop, self._answer_at_once, self._answer, self._drop, self._pool)
        self._has_admin = server._settings.admin_api
        self._waits = server.mock.store.shared
        self._accepts = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mockbm", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.set_exception_handler(_log_error)
        serving = self._loop.create_server(
            lambda: Connection(self._hub), sock=self._listener, backlog=limits.MAX_ACCEPTED
        )
        self._accepting = self._loop.run_until_complete(serving)
        self._listener.listen(_BACKLOG)  # which is another number only for asyncio
        self._accepts.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def stop(self) -> None:
        """Stop, and wait until that is done."""
        self._accepts.wait()
        self._loop.call_soon_threadsafe(self._close)
        self._thread.join()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _close(self) -> None:
        # Also in a process that was forked from this one, which has the socket as well. Here, since
        # the loop must not find the socket like that before it has stopped accepting.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.close()
        self._hub.ticking.cancel()
        patience = self._loop.time() + 1

        def close_rest() -> None:
            at_work = False
            for connection in list(self._hub.connections):
                if connection.is_at_work and self._loop.time() < patience:
                    at_work = True
                else:
                    connection.transport.abort()
            if at_work:
                self._loop.call_later(0.01, close_rest)
            else:
                # What `abort` has scheduled comes first.
                self._loop.call_soon(self._loop.stop)

        for connection in list(self._hub.connections):
            if not connection.is_at_work:
                connection.transport.close()
        self._loop.call_soon(close_rest)

    def _is_for_admin(self, path: str) -> bool:
        own = path == ADMIN_PREFIX or path.startswith(f"{ADMIN_PREFIX}/")
        return own and self._has_admin

    def _answer_at_once(self, request: Request) -> Answer | None:
        """The answer to a request that needs no thread, since nothing is waited for."""
        if self._waits or request.path.startswith(ADMIN_PREFIX):
            return None
        return self._answer(request, None)

    def _drop(self, answer: Answer) -> None:
        """Have the journal say of an answer that it is not sent."""
        if answer.unsent is None:
            return
        if self._waits:
            self._pool.submit(answer.unsent)
        else:
            answer.unsent()

    def _answer(self, request: Request, peer: Any) -> Answer:
        try:
            if request.path.startswith(ADMIN_PREFIX) and self._is_for_admin(request.path):
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
        started: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], *_: Any) -> Any:
            started[:] = [int(status[:3]), tuple(headers)]
            return lambda _: None  # Flask does not write in this old way

        parts = self._server.app(_environment(self._server, request, peer), start_response)
        try:
            body = b"".join(parts)
        finally:
            getattr(parts, "close", lambda: None)()
        status, headers = started
        headers = tuple(pair for pair in headers if pair[0].lower() != "content-length")
        return Answer(status, headers, body)


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
    except ImportError:
        loop = asyncio.new_event_loop()
        loop.time = monotonic  # type: ignore[method-assign]  # also where a test has frozen time
    else:
        loop = uvloop.new_event_loop()
    return loop


def _environment(server: MockServer, request: Request, peer: Any) -> dict[str, Any]:
    """The WSGI environment of a request."""
    environ: dict[str, Any] = {
        "REMOTE_ADDR": peer[0] if peer else "",
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": request.path.encode().decode("latin-1"),
        "QUERY_STRING": request.query,
        "SERVER_NAME": server.host,
        "SERVER_PORT": str(server.port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in request.headers.items():
        if "_" in name:
            continue  # it would look like the one with a hyphen
        key = name.upper().replace("-", "_")
        environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
    if environ.pop("HTTP_TRANSFER_ENCODING", None):
        environ["CONTENT_LENGTH"] = str(len(request.body))
    return environ
