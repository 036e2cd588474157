"""The living state of a mock: the scenarios it has loaded and the one that is active."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from .document import Problem, ScenarioError
from .releases import nearest
from .scenario import Scenario, load_scenarios, shipped_scenarios

DEFAULT_SCENARIO = "documented"


class UnknownScenario(LookupError):  # noqa: N818 (it reads as what it says)
    """A name that no scenario has; `known` are the names there are, `nearest` the likeliest."""

    def __init__(self, name: str, known: Collection[str]) -> None:
        self.name = name
        self.known = tuple(known)
        self.nearest = nearest(name, self.known)
        guess = f"did you mean {self.nearest}? " if self.nearest else ""
        super().__init__(f"no scenario is called {name!r}; {guess}There are: {', '.join(known)}")


@dataclass(frozen=True)
class State:
    """All that decides an answer, at one moment. A request takes it once and keeps to it."""

    scenarios: Mapping[str, Scenario]
    active: Scenario

    def switched(self, name: str) -> State:
        """This state with another scenario active. Raises: UnknownScenario."""
        if name not in self.scenarios:
            raise UnknownScenario(name, self.scenarios)
        return replace(self, active=self.scenarios[name])


class Mock:
    """One mocked BuildMaster instance. Any number of threads may use it.

    directory: of the scenario files; by default those that come with mockbm.
    scenario: the one active at the start; by default `documented` where there is one, or else
        the first by name.
    strict: refuse unknown parameters and two of a group, as the real server does.
    Raises: ScenarioError for files with problems, UnknownScenario.
    """

    def __init__(
        self, directory: Path | str | None = None, scenario: str | None = None, strict: bool = True
    ) -> None:
        self.directory = shipped_scenarios() if directory is None else Path(directory)
        self.strict = strict
        self._writing = threading.Lock()
        scenarios = load_scenarios(self.directory)
        if scenario is None:
            scenario = DEFAULT_SCENARIO if DEFAULT_SCENARIO in scenarios else next(iter(scenarios))
        self._start = scenario
        self._state = State(scenarios, next(iter(scenarios.values()))).switched(scenario)

    @property
    def state(self) -> State:
        """The state at this moment."""
        return self._state

    def switch(self, name: str) -> State:
        """Make another scenario active. Raises: UnknownScenario."""
        with self._writing:
            self._state = self._state.switched(name)
            return self._state

    def reset(self) -> State:
        """Go back to what a fresh start gives."""
        return self.switch(self._start)

    def reload(self) -> State:
        """Read the scenario files again; what is active stays active, with its new content.

        Raises: ScenarioError, after which everything is as it was.
        """
        with self._writing:
            scenarios = load_scenarios(self.directory)
            needed = {self._state.active.name: "active", self._start: "active at the start"}
            gone = [
                Problem(str(self.directory), 1, 1, name, f"has no file any more, but is {role}")
                for name, role in needed.items()
                if name not in scenarios
            ]
            if gone:
                raise ScenarioError(gone)
            self._state = State(scenarios, scenarios[self._state.active.name])
            return self._state
