"""The mock on a real socket, in this process: what the fixture and `mockbm serve` both run."""

from __future__ import annotations

import importlib.util
import secrets
import socket
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

from .app import create_app
from .guard import is_loopback
from .memory import Memory
from .mock import Mock
from .session import Session

if TYPE_CHECKING:
    from .fast import FastServer
    from .plain import WaitressServer


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
        self._server_class = _server_class(fast=fast)
        hosts = [host, *settings.pop("allowed_hosts", ())]
        token: str | None = settings.pop("admin_token", None)
        if not token and not is_loopback(host):
            token = secrets.token_urlsafe(24)
        self.admin_token = token or None
        self.app = create_app(
            scenarios,
            scenario,
            breaks_connections=True,
            allowed_hosts=hosts,
            admin_token=token,
            **settings,
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
        # The thread that all connections share must not wait for a state that is elsewhere.
        waits = self.mock.state.shared
        memory = beneath if isinstance(beneath, Memory) and not waits else None
        self._running = self._server_class(self.app, memory, listener)

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


def fast_is_installed() -> bool:
    """Whether the packages of the extra `fast` are there."""
    return all(importlib.util.find_spec(name) for name in ("uvicorn", "httptools"))


def _server_class(*, fast: bool) -> type[FastServer] | type[WaitressServer]:
    if fast:
        from .fast import FastServer

        return FastServer
    from .plain import WaitressServer

    return WaitressServer
