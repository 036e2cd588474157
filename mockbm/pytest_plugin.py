"""The pytest fixtures. Nothing heavy is imported before one of them is used."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from difflib import SequenceMatcher
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .core import times as _times  # noqa: F401

if TYPE_CHECKING:
    from flask import Flask

    from .client import AdminClient, RemoteSession
    from .core.journal import Entry
    from .core.mock import LocalSession
    from .serving.server import MockServer

MARKER = (
    "mockbm(scenario=None, strict=None): the scenario that is active when the test begins, and "
    "whether the test fails when its client sends something malformed or unknown"
)
REFUSED = (400, 404, 405, 413)
"""Statuses that say that a request was malformed, or for something that is not there."""

JOURNAL_SIZE = 100_000
"""Requests of one test that are kept; a test is over soon, so this is no burden."""

SHOWN = 50
"""Requests that the report of a failed test shows."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("mockbm")
    group.addoption(
        "--mockbm-url",
        default=os.environ.get("MOCKBM_URL"),
        help="use the mock that runs at this URL, instead of starting one (also: MOCKBM_URL)",
    )
    parser.addini(
        "mockbm_scenarios", "directory of your scenario files, relative to the configuration file"
    )
    parser.addini(
        "mockbm_strict",
        "fail a test whose client sends something malformed or unknown",
        type="bool",
        default=False,
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)


def pytest_report_header(config: pytest.Config) -> str | None:
    url = config.getoption("--mockbm-url")
    return f"mockbm: {url}, with its own scenarios" if url else None


class MockbmClock:
    """What one test's session takes for now. It shows the machine's time until it is set."""

    def __init__(self, session: LocalSession | RemoteSession) -> None:
        self._session = session

    @property
    def now(self) -> str:
        """The moment it shows, as dates go out."""
        return self._session.now

    def set(self, now: str) -> None:
        """Stop it at a moment, and begin the active scenario there anew. Raises: ValueError."""
        self._session.set_clock(now)

    def advance(self, by: str) -> None:
        """Put it forward by a duration such as `30s` or `2d`. Raises: ValueError."""
        self._session.advance_clock(by)


class MockbmFixture:
    """What the fixture `mockbm` gives a test: the mock as a private session sees it."""

    def __init__(
        self, server: MockServer | AdminClient, session: LocalSession | RemoteSession
    ) -> None:
        self._server = server
        self._session = session
        self._numbers = count(1)
        self._values: dict[str, Any] = {}
        self._allowed: set[int] = set()

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
        app: Flask | None = getattr(self._server, "app", None)
        if app is None:
            raise RuntimeError(f"the mock at {self.url} is another process; it has no app here")
        return app

    @property
    def active(self) -> str:
        """The name of the active scenario."""
        return self._session.active

    def use(self, name: str) -> None:
        """Make another scenario active, for this test alone. Raises: UnknownName."""
        self._session.use(name)

    def releases(self, releases: Iterable[Mapping[str, Any]]) -> None:
        """Give this test releases of its own: dicts as in a scenario file, with its defaults.

        They replace whatever was active, builds and deployments too.
        Raises: ScenarioError, which says what is wrong with which of them.
        """
        self._values = {"releases": _listed(releases)}
        self._session.use_values(self._values)

    def builds(self, builds: Iterable[Mapping[str, Any]]) -> None:
        """Give this test builds of its own, of the releases that it has been given before.

        Raises: ScenarioError.
        """
        self._values = {"releases": [], **self._values, "builds": _listed(builds)}
        self._session.use_values(self._values)

    def deployments(self, deployments: Iterable[Mapping[str, Any]] | Mapping[str, Any]) -> None:
        """Give this test deployments, or settings of how deployments go on, as in a file.

        Raises: ScenarioError.
        """
        given = deployments if isinstance(deployments, Mapping) else _listed(deployments)
        self._values = {"releases": [], **self._values, "deployments": given}
        self._session.use_values(self._values)

    @property
    def state(self) -> dict[str, list[dict[str, Any]]]:
        """The records as they are now, by kind: `mockbm.state["builds"]` is a list of dicts."""
        return self._session.state()

    def release(self, **changes: Any) -> dict[str, Any]:
        """A release with everything filled in, as the endpoint answers it; ids count from 1.

        changes: properties to set otherwise; None leaves one out.
        Raises: ScenarioError for changes that make it invalid.
        """
        from marshmallow import ValidationError

        from .core.errors import without_positions
        from .endpoints.releases import sample_release

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
    def requests(self) -> list[Entry]:
        """What this test's clients have asked so far, oldest first: all that the journal keeps."""
        return self._session.requests()

    def _all_requests(self) -> list[Entry]:
        """The same, where nothing may be missing."""
        entries = self.requests
        if entries and entries[0].number > 1:
            pytest.fail(
                f"the journal kept only the newest {len(entries)} of {entries[-1].number} "
                "requests, so nothing can be said about all of them; clear it, or start the mock "
                "with a larger --journal-size"
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
        __tracebackhide__ = True
        path, calls, matching = self._calls(endpoint, parameters)
        if times is None and not matching:
            pytest.fail(_miss(f"at least 1 call of {path}", parameters, calls, matching))
        if times is not None and len(matching) != times:
            wanted = "1 call" if times == 1 else f"{times} calls"
            pytest.fail(_miss(f"{wanted} of {path}", parameters, calls, matching))

    def assert_not_called(self, endpoint: str = "releases", **parameters: object) -> None:
        """Fail if an endpoint was called, or called with these parameters."""
        __tracebackhide__ = True
        path, calls, matching = self._calls(endpoint, parameters)
        if matching:
            pytest.fail(_miss(f"no call of {path}", parameters, calls, matching))

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

    def _calls(
        self, name: str, parameters: Mapping[str, object]
    ) -> tuple[str, list[Entry], list[Entry]]:
        """The path of an endpoint, its calls, and those with these parameters."""
        from .core.errors import suggest
        from .core.faults import endpoint_name
        from .endpoints import ENDPOINTS

        endpoints = {endpoint_name(endpoint.path): endpoint for endpoint in ENDPOINTS}
        endpoint = endpoints.get(endpoint_name(name.lower()))
        if endpoint is None:
            raise TypeError(f"{name!r} is not an endpoint; {suggest(name, endpoints)}")
        known = endpoint.parameters.load_fields
        for parameter, value in parameters.items():
            if parameter not in known and parameter[:1] != "$":
                raise TypeError(f"{parameter!r} is not a parameter; {suggest(parameter, known)}")
            if value is None:
                raise TypeError(f"{parameter} is None; give the value that the client should send")
        calls = [
            entry
            for entry in self._all_requests()
            if entry.path.lower().rstrip("/").replace("/packages", "/builds") == endpoint.path
        ]
        matching = [entry for entry in calls if not _differences(entry, parameters)]
        return endpoint.path, calls, matching


def _listed(records: Any) -> Any:
    """Records as a list; what cannot be one stays as it is, for the error that it makes."""
    if isinstance(records, (str, bytes, Mapping)) or not isinstance(records, Iterable):
        return records
    return [*records]


def _differences(entry: Entry, parameters: Mapping[str, object]) -> list[str]:
    return [
        f"{name} is {entry.parameters[name]!r}" if name in entry.parameters else f"no {name}"
        for name, value in parameters.items()
        if entry.parameters.get(name) != str(value)
    ]


def _distance(entry: Entry, parameters: Mapping[str, object]) -> tuple[int, float]:
    """How far a call is from what was expected: in how many parameters, and how unlike there."""
    unlike = [
        1 - SequenceMatcher(None, entry.parameters.get(name, ""), str(value)).ratio()
        for name, value in parameters.items()
    ]
    return len(_differences(entry, parameters)), sum(unlike)


def _miss(
    wanted: str, parameters: Mapping[str, object], calls: list[Entry], matching: list[Entry]
) -> str:
    """The message of a failed assertion: what was wanted, what came, and what came nearest."""
    given = ", ".join(f"{name}={str(value)!r}" for name, value in parameters.items())
    message = f"expected {wanted}"
    message += f" with {given}" if given else ""
    message += f", got {len(matching)}"
    others = [entry for entry in calls if entry not in matching]
    others.sort(key=lambda entry: _distance(entry, parameters))
    lines = [f"  {entry}" for entry in matching[:5]]
    if others:
        are = "is 1 other call" if len(others) == 1 else f"are {len(others)} other calls"
        lines.append(f"there {are}{', of which the nearest' if len(others) > 5 else ''}:")
        lines += [
            f"  {entry}\n    but {', '.join(_differences(entry, parameters))}"
            for entry in others[:5]
        ]
    elif not matching:
        lines.append("the endpoint was not called at all by this test's key")
    return "\n".join([message, *lines])


_handle = pytest.StashKey[MockbmFixture]()
_log = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def mockbm_scenarios(pytestconfig: pytest.Config) -> Path | None:
    """The directory of the scenario files; None for those that come with mockbm.

    Set it with `mockbm_scenarios = ...` in the configuration file, or override this fixture.
    """
    given: str = pytestconfig.getini("mockbm_scenarios")
    if not given:
        return None
    base = pytestconfig.inipath.parent if pytestconfig.inipath else pytestconfig.rootpath
    return base / given


@pytest.fixture(scope="session")
def mockbm_server(
    pytestconfig: pytest.Config, request: pytest.FixtureRequest
) -> Iterator[MockServer | AdminClient]:
    """One mock for the whole run: in this process, on 127.0.0.1, or the one at `--mockbm-url`."""
    from .core.errors import ScenarioError
    from .serving.server import MockServer

    url = pytestconfig.getoption("--mockbm-url")
    if url:
        yield _connected(url)
        return
    try:
        scenarios = request.getfixturevalue("mockbm_scenarios")
        server = MockServer(scenarios, journal_size=JOURNAL_SIZE)
    except ScenarioError as error:
        raise _failure(f"mockbm cannot start:\n{error}") from None
    with server:
        yield server


def _connected(url: str) -> AdminClient:
    from .client import AdminClient

    try:
        client = AdminClient(url, os.environ.get("MOCKBM_ADMIN_TOKEN"))
        client.health()
    except (OSError, ValueError, LookupError, RuntimeError) as error:
        raise _failure(str(error)) from None
    return client


def _failure(why: str) -> BaseException:
    """What makes a test fail with this text alone; raised from None, without what led to it."""
    return pytest.fail.Exception(why, pytrace=False)


@pytest.fixture
def mockbm(
    mockbm_server: MockServer | AdminClient, request: pytest.FixtureRequest
) -> Iterator[MockbmFixture]:
    """The mock in a session of this test's own, which ends with the test."""
    node = request.node
    marker = _marker(node)
    is_strict: bool = marker.get("strict", request.config.getini("mockbm_strict"))
    session = _opened(mockbm_server, marker.get("scenario"), node.nodeid[-200:])
    handle = node.stash[_handle] = MockbmFixture(mockbm_server, session)
    node.stash[_log] = []
    try:
        yield handle
        node.stash[_log] = _lines(handle)
        refused = handle.refused() if is_strict else []
    finally:
        session.end()
    if refused:
        lines = "\n".join(f"  {entry}" for entry in refused)
        raise _failure(
            f"mockbm is strict, and had to refuse or ignore what this test sent:\n{lines}\n"
            "A test that means it says so: mockbm.allow(400)"
        )


def _opened(
    server: MockServer | AdminClient, scenario: str | None, label: str
) -> LocalSession | RemoteSession:
    from .core.errors import ScenarioError

    try:
        return server.open_session(scenario, label)
    except (LookupError, RuntimeError, OSError, ScenarioError) as error:
        raise _failure(str(error)) from None


def _marker(node: pytest.Item) -> dict[str, Any]:
    """What the test's markers say; the nearest one wins for each word. Fails for a wrong one."""
    said: dict[str, Any] = {}
    for marker in node.iter_markers("mockbm"):
        right: dict[str, Callable[[Any], bool]] = {
            "scenario": lambda value: isinstance(value, str),
            "strict": lambda value: isinstance(value, bool),
        }
        if marker.args or not all(
            name in right and right[name](value) for name, value in marker.kwargs.items()
        ):
            raise _failure(
                'write the marker as @pytest.mark.mockbm(scenario="empty", strict=True); '
                f"got {marker.args or ''}{marker.kwargs or ''}"
            )
        said = {**marker.kwargs, **said}
    return said


def _lines(handle: MockbmFixture) -> list[str]:
    try:
        entries = handle.requests
    except (OSError, LookupError, RuntimeError) as error:
        return [f"(not to be had: {error})"]
    lines = [str(entry) for entry in entries]
    if len(lines) > SHOWN:
        return [f"({len(lines) - SHOWN} earlier ones)", *lines[-SHOWN:]]
    return lines or ["(none with this test's API key)"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add what was asked to the report of a failed test that used the fixture."""
    report = yield
    handle = item.stash.get(_handle, None)
    if report.failed and handle is not None:
        lines = item.stash.get(_log, []) or _lines(handle)
        report.sections.append(("mockbm requests", "\n".join(lines)))
    return report
