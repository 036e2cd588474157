"""One client's private view of the mock: what is active there, and what that has been through."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from marshmallow import ValidationError

from .faults import Counters, Verdict
from .fields import Date
from .journal import Entry, Journal
from .memory import Answers
from .scenario import Scenario, Stages, inline_scenario
from .selection import Filters, Releases
from .times import Clock, duration, moment, outgoing

if TYPE_CHECKING:
    from .mock import Mock


class Run:
    """What a live scenario has been through in one session since it became active there.

    Every request counts, and is told what the counts decide, in one step. So any number of threads
    see each step once and in order.
    """

    def __init__(self, scenario: Scenario, began: datetime) -> None:
        self.began = began
        self.calls = 0
        self._scenario = scenario
        self._counters = Counters(scenario.faults)
        self._compiled: dict[Stages, Releases] = {}
        self._lock = threading.Lock()

    def judge(self, filters: Filters, clock: Clock) -> Verdict:
        """What the scenario's faults do to a request with these filters."""
        with self._lock:
            return self._counters.judge(filters, clock.now().timestamp())

    def releases(self, clock: Clock) -> Releases:
        """The releases that the next answer is made from. Counts the call."""
        with self._lock:
            stages = self.stages(clock)
            self.calls += 1
            if stages not in self._compiled:
                self._compiled[stages] = self._scenario.at(stages, self.began)
            return self._compiled[stages]

    def stages(self, clock: Clock) -> Stages:
        """How many of its changes each release that changes has behind it."""
        passed = {"calls": float(self.calls), "seconds": self.seconds(clock)}
        return tuple(
            sum(
                1
                for _ in itertools.takewhile(
                    lambda change: change["after"][1] <= passed[change["after"][0]],
                    release["changes"],
                )
            )
            for release in self._scenario.changing
        )

    def seconds(self, clock: Clock) -> float:
        """How long the scenario has been active."""
        return (clock.now() - self.began).total_seconds()

    def faults_seen(self) -> list[int]:
        """How many matching requests each fault has met."""
        with self._lock:
            return self._counters.seen()


@dataclass(frozen=True)
class View:
    """All that decides an answer, at one moment, and where the answer is recorded.

    A request takes it once and keeps to it, so nothing it answers mixes two scenarios.
    run: what counts and changes; None for a scenario in which nothing does.
    answers: what was answered to which request; of use only where run is None.
    """

    scenario: Scenario
    revision: int
    journal: Journal
    clock: Clock
    run: Run | None
    answers: Answers = field(default_factory=Answers)

    def releases(self) -> Releases:
        """The releases that the next answer is made from. Counts the call where calls count."""
        return self.scenario.releases if self.run is None else self.run.releases(self.clock)


class Session:
    """One client's private view: its API key, active scenario, counters, clock and journal.

    Made by a `Mock`. Any number of threads may use it.
    clock: that of the session to whose key this one is pinned, as `KEY@SCENARIO`. Such a session
        comes back when it is ended. None for any other session.
    """

    def __init__(
        self,
        mock: Mock,
        id_: str,
        api_key: str,
        label: str,
        start: Scenario,
        *,
        clock: Clock | None = None,
    ) -> None:
        self.id = id_
        self.api_key = api_key
        self.label = label
        self.pinned = clock is not None
        self.last_used = time.monotonic()
        self._mock = mock
        self._start = start
        self._clock = clock or mock.clock
        self.view = self._fresh_view()

    def _fresh_view(self) -> View:
        return self._view(self._start, 1, Journal(self._mock.journal_size), self._clock)

    def _view(self, scenario: Scenario, revision: int, journal: Journal, clock: Clock) -> View:
        self._mock.require_socket_for(scenario)
        run = Run(scenario, clock.now()) if scenario.is_live else None
        return View(scenario, revision, journal, clock, run)

    @property
    def active(self) -> str:
        """The name of the active scenario."""
        return self.view.scenario.name

    def use(self, name: str) -> None:
        """Make another scenario active. Raises: UnknownName."""
        with self._mock.writing:
            self._switch(self._mock.scenario(name))

    def use_values(self, values: Any) -> None:
        """Make a scenario active that is given as plain values. Raises: ScenarioError."""
        self._switch(inline_scenario(values))

    def reset(self) -> None:
        """Go back to what a fresh start gives: scenario, counters, clock and an empty journal."""
        with self._mock.writing:
            self.view = self._fresh_view()

    @property
    def now(self) -> str:
        """What this session's clock shows, as dates go out."""
        return outgoing(self.view.clock.now())

    def set_clock(self, text: str) -> None:
        """Stop the clock at a moment, and begin the active scenario there anew.

        Raises: ValueError for what is no date, or one that is too far away.
        """
        clock = clock_at(text)
        with self._mock.writing:
            view = self.view
            self.view = self._view(view.scenario, view.revision + 1, view.journal, clock)

    def advance_clock(self, text: str) -> None:
        """Put the clock forward by a duration such as `2d`. Raises: ValueError."""
        with self._mock.writing:
            clock = self.view.clock.advanced(duration(text))
            view = self.view
            revision = view.revision + 1
            self.view = replace(view, clock=clock, revision=revision, answers=Answers())

    def release_clock(self) -> None:
        """Let the clock show the machine's time again, and begin the active scenario anew."""
        with self._mock.writing:
            view = self.view
            self.view = self._view(view.scenario, view.revision + 1, view.journal, Clock())

    def requests(self, **filters: Any) -> list[Entry]:
        """The journal, oldest first; filters as for `Journal.entries`."""
        return self.view.journal.entries(**filters)

    def clear_requests(self) -> None:
        """Empty the journal."""
        self.view.journal.clear()

    def end(self) -> None:
        """End the session: its key is refused from now on."""
        self._mock.end_session(self.id)

    def _switch(self, scenario: Scenario) -> None:
        with self._mock.writing:
            view = self.view
            self.view = self._view(scenario, view.revision + 1, view.journal, view.clock)

    def renew(self, before: Mapping[str, Scenario], after: Mapping[str, Scenario]) -> None:
        """Take over what a reload changed; a scenario that has no file any more stays as it is."""

        def renewed(scenario: Scenario) -> Scenario:
            from_file = before.get(scenario.name) is scenario
            return after.get(scenario.name, scenario) if from_file else scenario

        self._start = renewed(self._start)
        self._switch(renewed(self.view.scenario))


def clock_at(text: str) -> Clock:
    """A clock that stands still at a date. Raises: ValueError."""
    try:
        date = Date().deserialize(text)
    except ValidationError as error:
        raise ValueError(error.messages[0]) from None
    if date.startswith("now"):
        raise ValueError(f"{text!r} is told from now; a clock needs a date such as 2024-03-04")
    return Clock(moment(date))
