"""What the pytest fixtures give a test: `mockbm` and `mockbm_server`, in this process or not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import date, timedelta
from itertools import count
from threading import Lock
from typing import TYPE_CHECKING, Any

import pytest
from marshmallow import ValidationError

from .assertions import Calls
from .client import AdminClient, RemoteSession
from .core.errors import ScenarioError, UnknownName, quoted, without_positions
from .core.journal import Entry
from .core.mock import LocalSession
from .endpoints.releases import sample_release

if TYPE_CHECKING:
    from flask import Flask

    from .serving.server import MockServer

__tracebackhide__ = True  # pytest shows no frame of this module

REFUSED = (400, 404, 405, 413)
"""Statuses that say that a request was malformed, or for something that is not there."""

SHOWN = 50
"""Requests that the report of a failed test shows."""

MISTAKES = (ScenarioError, UnknownName, OSError, RuntimeError, TypeError, ValueError)
"""What a wrong call raises here."""


def hide_frames(error: BaseException) -> None:
    """Let what a wrong call raises show the line of the test, and no source of mockbm."""
    entry = error.__traceback__ if isinstance(error, MISTAKES) else None
    while entry is not None:
        if entry.tb_next is not None and entry.tb_next.tb_frame.f_globals is globals():
            entry.tb_next = None
            error.__cause__ = None  # nor what was raised before
        entry = entry.tb_next


class MockbmClock:
    """What one test's session takes for now. It shows the machine's time until it is set."""

    def __init__(self, session: LocalSession | RemoteSession) -> None:
        self._session = session

    @property
    def now(self) -> str:
        """The moment it shows, in the form of the endpoint's dates."""
        return self._session.now

    def set(self, now: str | date) -> None:
        """Stop it at a moment, where the active scenario restarts. Raises: ValueError."""
        self._session.set_clock(now.isoformat() if isinstance(now, date) else now)

    def advance(self, by: str | timedelta) -> None:
        """Put it forward by a duration: `30s`, `2d`, or a timedelta. Raises: ValueError."""
        self._session.advance_clock(_duration(by) if isinstance(by, timedelta) else by)


def _duration(by: timedelta) -> str:
    """A timedelta as durations are written. Raises: ValueError for one that goes back."""
    if by < timedelta():
        raise ValueError(f"a clock goes forward only; got {by!r}")
    minutes, rest = divmod(by, timedelta(minutes=1))
    return f"{by.total_seconds():.6f}s" if rest else f"{minutes}m"


class MockbmFixture:
    """What the fixture `mockbm` gives a test: the mock as a private session sees it.

    One from `mockbm_session_factory` is the same for as long as its `with` block runs.
    """

    def __init__(
        self, server: MockbmServer, session: LocalSession | RemoteSession, strict: bool
    ) -> None:
        self._server = server
        self._session = session
        self._strict = strict
        self._numbers = count(1)
        self._values: dict[str, Any] = {}
        self._allowed: set[int] = set()
        self._cleared = 0
        self._log: list[str] | None = None

    def __enter__(self) -> MockbmFixture:
        return self

    def __exit__(self, kind: object = None, *_: object) -> None:
        """End the session. Fails where strict is on and requests were refused or ignored."""
        try:
            refused = self.refused() if self._strict and kind is None else []
            if refused:
                self._log = self._lines()
        finally:
            self._server._end(self._session)
        if refused:
            lines = "\n".join(f"  {entry}" for entry in refused)
            text = f"mockbm is strict, and had to refuse or ignore what this test sent:\n{lines}\n"
            pytest.fail(f"{text}A test that means it says so: mockbm.allow(400)", pytrace=False)

    @property
    def url(self) -> str:
        """The base URL, without a slash at the end, such as `http://127.0.0.1:40321`."""
        return self._server.url

    @property
    def api_key(self) -> str:
        """This test's own API key. The scenarios' keys see the default session, not this one."""
        return self._session.api_key

    @property
    def app(self) -> Flask:
        """The WSGI application, to be called without a socket, as by `httpx.WSGITransport`.

        Raises: RuntimeError with `--mockbm-url`, where it is in another process.
        """
        return self._server.app

    @property
    def scenarios(self) -> tuple[str, ...]:
        """The names of all scenarios, in alphabetical order."""
        return self._server.scenarios

    @property
    def active(self) -> str:
        """The name of the active scenario; `inline` for one without a file."""
        return self._session.active

    def use(self, scenario: str | Mapping[str, Any]) -> None:
        """Make another scenario active, only for this test.

        scenario: its name; or a dict with all that a scenario file may have, such as
            `{"extends": "single", "faults": [{"rate": "5/s"}]}`.
        Raises: UnknownName for a name; ScenarioError, which has all problems of a dict.
        """
        if isinstance(scenario, str):
            self._session.use(scenario)
            self._values = {}
        elif isinstance(scenario, Mapping):
            values = _as_json(scenario)
            self._session.use_values(values)
            self._values = values
        else:
            what = "the name of a scenario, or a dict with the keys of a scenario file"
            raise TypeError(f"expected {what}; got {quoted(scenario)}")

    def releases(self, releases: Iterable[Mapping[str, Any]]) -> None:
        """Give this test releases of its own: dicts as in a scenario file, with its defaults.

        They replace whatever was active, builds and deployments too.
        Raises: ScenarioError, which says what is wrong with which of them.
        """
        self.use({"releases": releases})

    def builds(self, builds: Iterable[Mapping[str, Any]]) -> None:
        """Give this test builds of its own, of the releases that it has from `releases`.

        Raises: ScenarioError.
        """
        self.use({"releases": [], **self._values, "builds": builds})

    def deployments(self, deployments: Iterable[Mapping[str, Any]] | Mapping[str, Any]) -> None:
        """Give this test deployments, or settings of how deployments go on, as in a file.

        Raises: ScenarioError.
        """
        self.use({"releases": [], **self._values, "deployments": deployments})

    def faults(self, faults: Iterable[Mapping[str, Any]]) -> None:
        """Let requests meet faults before those of the active scenario, which goes on.

        faults: dicts as in a scenario file, until another call or scenario; [] for none.
        Raises: ScenarioError.
        """
        self._session.use_faults(_as_json(faults))

    def reset(self) -> None:
        """Go back to how the test began: scenario, records, clock, and no requests."""
        self._session.reset()
        self._values, self._cleared = {}, 0

    @property
    def state(self) -> dict[str, list[dict[str, Any]]]:
        """The records as they are now, by kind: `mockbm.state["builds"]` is a list of dicts."""
        return self._session.state()

    def release(self, **changes: Any) -> dict[str, Any]:
        """A release with everything filled in, as the endpoint answers it; ids count from 1.

        changes: properties to set otherwise; None leaves one out.
        Raises: ScenarioError for changes that make it invalid.
        """
        try:
            return sample_release(next(self._numbers), **changes)
        except ValidationError as error:
            messages: dict[Any, Any] = error.messages_dict
            raise without_positions({"release": messages[0]}) from None

    @property
    def clock(self) -> MockbmClock:
        """This test's clock: `set("2024-03-04T09:00:00Z")`, `advance("2d")`, `now`."""
        return MockbmClock(self._session)

    @property
    def requests(self) -> tuple[Entry, ...]:
        """What this test's clients have sent so far, oldest first: all that the journal has."""
        return tuple(self._session.requests(after=self._cleared))

    def clear_requests(self) -> None:
        """Forget the requests so far: those before are in no assertion any more."""
        # The journal itself stays, so that a request that arrives meanwhile cannot get lost.
        for newest in self._session.requests(count=1):
            self._cleared = newest.number

    def _all_requests(self) -> tuple[Entry, ...]:
        """The requests, where none may be missing."""
        entries = self.requests
        if entries and entries[0].number > self._cleared + 1:
            sent = entries[-1].number - self._cleared
            pytest.fail(
                f"the journal kept only the newest {len(entries)} of {sent} requests, so nothing "
                "can be said about all of them; call mockbm.clear_requests() earlier, or start "
                "the mock with a larger --journal-size"
            )
        return entries

    def assert_called(
        self, times: int | None = None, endpoint: str = "releases", **parameters: object
    ) -> None:
        """Fail unless an endpoint was called with these parameters, and perhaps others.

        times: exactly so often; by default at least once.
        endpoint: Get Releases, or another one such as `builds/deploy`.
        parameters: as BuildMaster spells their names, and as the client wrote their values.
        """
        calls = Calls(self._all_requests(), endpoint, parameters)
        is_met = bool(calls.matching) if times is None else len(calls.matching) == times
        if not is_met:
            wanted = {None: "at least 1 call", 0: "no call", 1: "1 call"}
            pytest.fail(calls.miss(wanted.get(times, f"{times} calls")))

    def assert_not_called(self, endpoint: str = "releases", **parameters: object) -> None:
        """Fail if an endpoint was called, or called with these parameters."""
        self.assert_called(0, endpoint, **parameters)

    def allow(self, *statuses: int) -> None:
        """Let this test's client be refused with these statuses, even where strict is on."""
        self._allowed.update(statuses)

    def refused(self) -> list[Entry]:
        """The requests that strict fails a test for, without those that it allows."""
        return [
            entry
            for entry in self._all_requests()
            if (entry.status in REFUSED and entry.status not in self._allowed) or entry.ignored
        ]

    def _lines(self) -> list[str]:
        """What the report of a failed test says about its requests."""
        if self._log is not None:
            return self._log
        try:
            entries = self.requests
        except MISTAKES as error:
            return [f"(not available: {error})"]
        more = len(entries) - SHOWN
        lines = [f"({more} earlier ones)"] if more > 0 else []
        lines += map(str, entries[-SHOWN:])
        return lines or ["(none with this test's API key)"]


def _as_json(values: Any) -> Any:
    """Mappings as dicts, and what can be iterated over as lists, so that they can be sent."""
    if isinstance(values, Mapping):
        return {key: _as_json(value) for key, value in values.items()}
    if isinstance(values, Iterable) and not isinstance(values, (str, bytes)):
        return [_as_json(value) for value in values]
    return values


class MockbmServer:
    """The mock that tests share, in this process or elsewhere: what `mockbm_server` gives.

    In this process it listens from when a `url` is first read, on a free port of 127.0.0.1.
    """

    def __init__(
        self, mock: MockServer | AdminClient, scenario: str | None = None, *, strict: bool = False
    ) -> None:
        self._mock = mock
        self._scenario = scenario
        self._strict = strict
        self._lock = Lock()
        self._listens: bool | None = None
        self._sessions: set[LocalSession | RemoteSession] = set()

    @property
    def url(self) -> str:
        """The base URL, without a slash at the end, such as `http://127.0.0.1:40321`."""
        if self._listens is None:
            self.start()
        return self._mock.url

    @property
    def app(self) -> Flask:
        """The WSGI application. Raises: RuntimeError where it is in another process."""
        return self._require_here("has no app here").app

    @property
    def admin(self) -> AdminClient:
        """A client of the admin API: the default session, all sessions, the scenario files."""
        return self._mock if isinstance(self._mock, AdminClient) else AdminClient(self.url)

    @property
    def scenarios(self) -> tuple[str, ...]:
        """The names of all scenarios, in alphabetical order."""
        if isinstance(self._mock, AdminClient):
            return tuple(found["name"] for found in self._mock.scenarios())
        return tuple(self._mock.mock.catalog.scenarios)

    def session(
        self, scenario: str | None = None, *, strict: bool | None = None, label: str = "pytest"
    ) -> MockbmFixture:
        """A session like that of the fixture `mockbm`, which ends with a `with` block.

        scenario: the one to begin with; by default the one that every test begins with.
        strict: as for the marker; by default that of the pytest configuration.
        label: its name in lists of sessions.
        Raises: UnknownName; RuntimeError where there are too many sessions.
        """
        session = self._mock.open_session(scenario or self._scenario, label)
        self._sessions.add(session)
        return MockbmFixture(self, session, self._strict if strict is None else strict)

    def start(self) -> None:
        """Listen on the same port as before, where a test has stopped it. Raises: OSError."""
        with self._lock:
            if not self._listens and not isinstance(self._mock, AdminClient):
                self._mock.start()
            self._listens = True

    def stop(self) -> None:
        """Refuse connections until `start`, or until the next test begins.

        Raises: RuntimeError where it is another process.
        """
        with self._lock:
            self._require_here("is stopped there").stop()
            self._listens = False

    def _restart(self) -> None:
        """Listen where a test has stopped it. Raises: RuntimeError where the port is taken."""
        if self._listens is False:
            try:
                self.start()
            except OSError as error:
                what = f"a test has stopped mockbm, which cannot listen at {self._mock.url} now"
                raise RuntimeError(f"{what}: {error.strerror or error}") from None

    def _end(self, session: LocalSession | RemoteSession) -> None:
        self._sessions.discard(session)
        session.end()

    def _close(self) -> None:
        """End the sessions that no fixture has ended, and stop, unless it is another process."""
        for session in list(self._sessions):
            with suppress(*MISTAKES):
                self._end(session)
        if not isinstance(self._mock, AdminClient):
            self._mock.stop()

    def _require_here(self, what: str) -> MockServer:
        if isinstance(self._mock, AdminClient):
            raise RuntimeError(f"the mock at {self._mock.url} is another process; it {what}")
        return self._mock
