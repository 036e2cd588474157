"""The pytest plugin: options, fixtures and reports. Nothing heavy is imported before it is used."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from .core import times as _times  # noqa: F401 (which reads the clocks before a test freezes them)

if TYPE_CHECKING:
    from .fixture import MockbmFixture, MockbmServer

MARKER = (
    "mockbm(scenario=None, strict=None): the scenario that is active when the test begins, or a "
    'list of them, or "*" for all, to run the test with each; and whether the test fails when its '
    "client sends something malformed or unknown"
)
EVERY = "*"
"""What the marker has for all scenarios."""

SEVERAL = (
    "the scenarios of the marker are needed before the tests run: a test takes mockbm as an "
    'argument; with scenario="*", an override of mockbm_scenarios takes none, and returns the path'
)

JOURNAL_SIZE = 100_000
"""Requests of one test that are kept; a test is over soon, so this is no burden."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("mockbm")
    group.addoption(
        "--mockbm-url",
        default=os.environ.get("MOCKBM_URL"),
        help="use the mock that runs at this URL, instead of starting one (also: MOCKBM_URL)",
    )
    where = "directory of your scenario files, relative to the configuration file"
    which = "the scenario that tests begin with (MOCKBM_SCENARIO takes precedence)"
    strict = "fail a test whose client sends something malformed or unknown"
    parser.addini("mockbm_scenarios", where)
    parser.addini("mockbm_scenario", which)
    parser.addini("mockbm_strict", strict, type="bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)


def pytest_report_header(config: pytest.Config) -> str | None:
    url = config.getoption("--mockbm-url")
    return f"mockbm: {url}, with its own scenarios" if url else None


_handle = pytest.StashKey["MockbmFixture"]()
_server = pytest.StashKey["MockbmServer | None"]()
_scenarios = pytest.StashKey["pytest.FixtureDef[Any]"]()


@pytest.fixture(scope="session")
def mockbm_scenarios(pytestconfig: pytest.Config) -> Path | None:
    """The directory of the scenario files; None for those that come with mockbm.

    Set it with `mockbm_scenarios = ...` in the configuration file, or override this fixture, in as
    many directories or modules as you like.
    """
    name: str = pytestconfig.getini("mockbm_scenarios")
    base = pytestconfig.inipath.parent if pytestconfig.inipath else pytestconfig.rootpath
    return base / name if name else None


@pytest.fixture(scope="session")
def mockbm_server(
    mockbm_scenarios: Path | str | None, pytestconfig: pytest.Config, request: pytest.FixtureRequest
) -> Iterator[MockbmServer]:
    """The mock that all tests share, a `mockbm.MockbmServer`, here or at `--mockbm-url`.

    `url`, `app`, `admin` (a `mockbm.AdminClient`), `scenarios`, `session(...)`, and for tests of
    an outage `stop()` and `start()`.
    """
    with _as_failure(request.session):
        server = _make_server(pytestconfig, mockbm_scenarios)
    pytestconfig.stash[_server] = server
    yield server
    pytestconfig.stash[_server] = None
    server._close()


def _make_server(config: pytest.Config, directory: Path | str | None) -> MockbmServer:
    from .client import AdminClient
    from .core.errors import UnknownName
    from .fixture import MockbmServer

    setting, scenario = "MOCKBM_SCENARIO", os.environ.get("MOCKBM_SCENARIO")
    if not scenario:
        setting, scenario = "mockbm_scenario", config.getini("mockbm_scenario") or None
    url = config.getoption("--mockbm-url")
    mock: Any
    if url:
        mock = AdminClient(url, os.environ.get("MOCKBM_ADMIN_TOKEN"))
        mock.health()
    else:
        from .serving.server import MockServer

        mock = MockServer(directory, journal_size=JOURNAL_SIZE, idle_seconds=float("inf"))
    server = MockbmServer(mock, scenario, strict=config.getini("mockbm_strict"))
    if scenario and scenario not in server.scenarios:
        raise ValueError(f"{setting}: {UnknownName('scenario', scenario, server.scenarios)}")
    return server


@pytest.fixture(scope="session")
def mockbm_session_factory(mockbm_server: MockbmServer) -> Callable[..., MockbmFixture]:
    """Opens a `mockbm` for a module or for the whole run, where that of one test is not enough.

        @pytest.fixture(scope="module")
        def shop(mockbm_session_factory):
            with mockbm_session_factory("empty") as mockbm:
                yield mockbm

    Its arguments are those of `mockbm.MockbmServer.session`: scenario, strict, label.
    """
    return mockbm_server.session


@pytest.fixture
def mockbm(mockbm_server: MockbmServer, request: pytest.FixtureRequest) -> Iterator[MockbmFixture]:
    """The mock in a session of this test's own, a `mockbm.MockbmFixture`, which ends with the test.

    `url`, `api_key`, `app`; `use(...)`, `active`, `scenarios`, `releases([...])`, `release(...)`,
    `builds([...])`, `deployments([...])`, `faults([...])`, `reset()`, `state`, `clock`; `requests`,
    `clear_requests()`, `assert_called(...)`, `assert_not_called(...)`, `allow(...)`.
    """
    node = request.node
    marker = _marker(node)
    # The parameter is there where the test runs with each of several scenarios.
    scenario = getattr(request, "param", marker.get("scenario"))
    with _as_failure():
        if _is_several(scenario):
            raise TypeError(SEVERAL)
        label = node.nodeid[-200:]
        handle = mockbm_server.session(scenario, strict=marker.get("strict"), label=label)
    node.stash[_handle] = handle
    yield handle
    with _as_failure():
        handle.__exit__()


@contextmanager
def _as_failure(run: pytest.Session | None = None) -> Iterator[None]:
    """Fail with what is wrong, and without a traceback. run: ends, since no test can pass."""
    from .fixture import MISTAKES

    try:
        yield
    except (*MISTAKES, LookupError) as error:
        text = str(error)
        if run is not None:
            text = f"mockbm cannot start: {text}"
            run.shouldfail = text.partition("\n")[0]
        raise pytest.fail.Exception(text, pytrace=False) from None


def _is_several(scenario: object) -> bool:
    """Whether this is how a marker says that a test runs with each of several scenarios."""
    if isinstance(scenario, (list, tuple)):
        return all(isinstance(name, str) for name in scenario)
    return scenario == EVERY


def _marker(node: pytest.Item) -> dict[str, Any]:
    """What the test's markers say; the nearest one wins for each word. Fails for a wrong one."""
    said: dict[str, Any] = {}
    for marker in node.iter_markers("mockbm"):
        rest = dict(marker.kwargs)
        scenario, strict = rest.pop("scenario", EVERY), rest.pop("strict", False)
        is_right = isinstance(scenario, str) or _is_several(scenario)
        if marker.args or rest or not is_right or not isinstance(strict, bool):
            raise pytest.fail.Exception(
                'write the marker as @pytest.mark.mockbm(scenario="empty", strict=True); '
                f"got {marker.args or ''}{marker.kwargs or ''}",
                pytrace=False,
            )
        said = {**marker.kwargs, **said}
    return said


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test with each of the scenarios that its marker has."""
    markers = metafunc.definition.iter_markers("mockbm")
    said = [marker.kwargs["scenario"] for marker in markers if "scenario" in marker.kwargs]
    if "mockbm" in metafunc.fixturenames and said and _is_several(said[0]):
        names = _every_scenario(metafunc) if said[0] == EVERY else said[0]
        metafunc.parametrize("mockbm", names, indirect=True)


def _every_scenario(metafunc: pytest.Metafunc) -> tuple[str, ...]:
    """The names of all scenarios of a test, where no fixture exists yet."""
    from .client import AdminClient
    from .files.directory import scenario_files, shipped_scenarios

    url = metafunc.config.getoption("--mockbm-url")
    try:
        if url:
            found = AdminClient(url, os.environ.get("MOCKBM_ADMIN_TOKEN")).scenarios()
            return tuple(scenario["name"] for scenario in found)
        *plugins, nearest = _definitions(metafunc.definition)["mockbm_scenarios"]
        # An override can be called here if it needs no other fixture.
        directory = nearest.func() if plugins else nearest.func(metafunc.config)
        files = scenario_files(Path(directory or shipped_scenarios()))
    except (LookupError, OSError, RuntimeError, TypeError, ValueError):
        return (EVERY,)  # for which the fixture fails with the reason
    return tuple(dict.fromkeys(file.stem for file in files))


def _definitions(item: pytest.Item) -> dict[str, Any]:
    """The definitions of the fixtures of a test, the nearest one of each name last."""
    return getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Give a test the server of its own scenarios, also where the one before it stopped that."""
    definitions, stash = _definitions(item), item.config.stash
    if "mockbm_server" not in definitions:
        return
    scenarios = definitions.get("mockbm_scenarios", (None,))[-1]
    if stash.setdefault(_scenarios, scenarios) is not scenarios:
        # `mockbm_scenarios` is overridden for some tests, so there is another server for them.
        stash[_scenarios] = scenarios
        definitions["mockbm_server"][-1].finish(cast(Any, item)._request)
    server = stash.get(_server, None)
    if server is not None:
        with _as_failure():
            server._restart()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the requests to the report of a failed test that used the fixture."""
    module = sys.modules.get(f"{__package__}.fixture")
    if module is not None and call.excinfo is not None:
        module.hide_frames(call.excinfo.value)
    report = yield
    if report.failed and module is not None:
        handles = {"mockbm": item.stash.get(_handle, None), **(getattr(item, "funcargs", {}) or {})}
        for name, handle in handles.items():
            if isinstance(handle, module.MockbmFixture):
                title = "mockbm requests" if name == "mockbm" else f"mockbm requests of {name}"
                report.sections.append((title, "\n".join(handle._lines())))
    return report
