"""The pytest fixtures. Nothing heavy is imported before one of them is used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .server import MockServer

MARKER = "mockbm(scenario): the scenario that is active when the test begins"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(
        "mockbm_scenarios", "directory of your scenario files, relative to the configuration file"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)


class Mockbm:
    """The mock as one test sees it: the handle that the fixture `mockbm` gives."""

    def __init__(self, server: MockServer) -> None:
        self._server = server

    @property
    def url(self) -> str:
        """The base URL, without a slash at the end, such as `http://127.0.0.1:40321`."""
        return self._server.url

    @property
    def api_key(self) -> str:
        """A key that the active scenario accepts. Raises: LookupError where it accepts none."""
        return self._server.api_key

    @property
    def active(self) -> str:
        """The name of the active scenario."""
        return self._server.active

    def use(self, name: str) -> None:
        """Make another scenario active, until the test ends. Raises: UnknownScenario."""
        self._server.use(name)


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
def mockbm_server(mockbm_scenarios: Path | str | None) -> Iterator[MockServer]:
    """One mock on a real socket on 127.0.0.1, for the whole run."""
    from . import MockServer, ScenarioError

    try:
        server = MockServer(mockbm_scenarios)
    except ScenarioError as error:
        pytest.fail(f"mockbm cannot start:\n{error}", pytrace=False)
    with server:
        yield server


@pytest.fixture
def mockbm(mockbm_server: MockServer, request: pytest.FixtureRequest) -> Mockbm:
    """The mock, as a fresh start gives it, or with the scenario of the test's marker."""
    mockbm_server.mock.reset()
    handle = Mockbm(mockbm_server)
    marker = request.node.get_closest_marker("mockbm")
    if marker is not None:
        try:
            handle.use(_scenario_of(marker))
        except LookupError as error:
            pytest.fail(str(error), pytrace=False)
    return handle


def _scenario_of(marker: pytest.Mark) -> str:
    scenario = marker.kwargs.get("scenario")
    if marker.args or set(marker.kwargs) != {"scenario"} or not isinstance(scenario, str):
        pytest.fail(
            f'write the marker as @pytest.mark.mockbm(scenario="empty"); got {marker}',
            pytrace=False,
        )
    return scenario
