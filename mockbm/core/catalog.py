"""The catalog: the scenarios of a mock, by name, which can be read again from their source."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol

from .errors import Problem, ScenarioError, UnknownName
from .faults import Fault
from .scenario import Scenario
from .times import Clock, outgoing


class Source(Protocol):
    """Where scenarios come from. name: for people, such as the path of a directory."""

    name: str

    def load(self) -> dict[str, Scenario]:
        """All scenarios, by name in alphabetical order. Raises: ScenarioError."""

    def inline(self, values: Any, known: Mapping[str, Scenario]) -> Scenario:
        """A scenario from plain values, which may extend a known one. Raises: ScenarioError."""

    def hint(self, name: str) -> str:
        """Why no scenario has a name that one could have; "" for other names."""


class Catalog:
    """The scenarios of a mock.

    breaks_connections: whether the server that runs this lets a fault break a connection.
    scenarios: by name, in alphabetical order.
    api_keys: those that any of them accepts.
    problems: of the files as they are now, while these scenarios are those of an earlier state.
    loaded: when they were read, as dates go out.
    Raises: ScenarioError for files with problems.
    """

    def __init__(self, source: Source, *, breaks_connections: bool) -> None:
        self.source = source
        self.breaks_connections = breaks_connections
        self.problems: tuple[Problem, ...] = ()
        self._gone: dict[str, Scenario] = {}
        self._take(source.load())

    def _take(self, scenarios: dict[str, Scenario]) -> None:
        self.scenarios = scenarios
        self.loaded = outgoing(Clock().now())
        self.api_keys = frozenset(key for item in scenarios.values() for key in item.api_keys)

    def get(self, name: str) -> Scenario:
        """The scenario of that name. Raises: UnknownName."""
        scenarios = self.scenarios
        if name not in scenarios:
            broken = self.problems and f"changed files are not served, since {self.problems[0]}"
            raise UnknownName("scenario", name, scenarios, broken or self.source.hint(name))
        return scenarios[name]

    def find(self, name: str) -> Scenario:
        """The scenario of that name, also one in use whose file is gone. Raises: UnknownName."""
        return self.scenarios.get(name) or self._gone.get(name) or self.get(name)

    def inline(self, values: Any) -> Scenario:
        """A scenario from plain values, as in a file. Raises: ScenarioError."""
        return self.source.inline(values, {**self._gone, **self.scenarios})

    def faults(self, values: Any) -> tuple[Fault, ...]:
        """Faults from plain values. Raises: ScenarioError, also where the server cannot do them."""
        scenario = self.source.inline({"releases": [], "faults": values}, {})
        self.require_playable(scenario)
        return scenario.faults

    def require_playable(self, scenario: Scenario) -> None:
        """Refuse a scenario that this server cannot play. Raises: ScenarioError."""
        if scenario.needs_socket and not self.breaks_connections:
            what = (
                "breaks connections, which this WSGI server does not let mockbm do; "
                "run it with `mockbm serve`, or with the pytest fixture"
            )
            raise ScenarioError([Problem("", 0, 0, scenario.name, what)])

    def load(self, needed: Mapping[str, str], in_use: Callable[[], Collection[str]]) -> None:
        """Read all scenarios again. What is as it was stays the same object.

        needed: names that must be there, each with its role.
        in_use: returns the names that sessions have, once the files are read.
        Raises: ScenarioError, after which everything is as it was, and `problems` has them.
        """
        try:
            scenarios = self.source.load()
            gone = [
                Problem(self.source.name, 1, 1, name, f"has no file any more, but is {role}")
                for name, role in needed.items()
                if name not in scenarios
            ]
            if gone:
                raise ScenarioError(gone)
            used = in_use()
            for name in scenarios.keys() & used:
                self.require_playable(scenarios[name])
        except ScenarioError as error:
            self.problems = error.problems
            raise
        before = {**self._gone, **self.scenarios}
        for name, scenario in scenarios.items():
            known = before.get(name)
            if known is not None and known.fingerprint == scenario.fingerprint:
                scenarios[name] = known  # with all that was made of it
        for name in scenarios.keys() & used:
            scenarios[name].prepare()
        self._gone = {name: before[name] for name in before.keys() & used - scenarios.keys()}
        self.problems = ()
        self._take(scenarios)
