"""One client's private view of the mock: what is active there, and what that has been through."""

from __future__ import annotations

import itertools
import secrets
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
        self._stages: Stages = (0,) * len(scenario.changing)
        self._releases: Releases | None = None
        self._lock = threading.Lock()

    def judge(self, filters: Filters, clock: Clock) -> Verdict:
        """What the scenario's faults do to a request with these filters."""
        with self._lock:
            return self._counters.judge(filters, clock.now().timestamp())

    def releases(self, clock: Clock, *, counts: bool) -> Releases:
        """The releases that the next answer is made from, and whether it counts as a call.

        No release ever goes back, whatever clock the request has.
        """
        with self._lock:
            stages = tuple(map(max, self.stages(clock), self._stages))
            self.calls += counts
            if self._releases is None or stages != self._stages:
                self._stages = stages
                self._releases = self._scenario.at(stages, self.began)
            return self._releases

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
    also: a further journal, that of the session whose key a pinned key is made of.
    """

    scenario: Scenario
    revision: int
    journal: Journal
    clock: Clock
    run: Run | None
    answers: Answers = field(default_factory=Answers)
    also: Journal | None = None

    def releases(self, *, counts: bool = True) -> Releases:
        """The releases that the next answer is made from.

        counts: whether the answer is a call that moves on a scenario in which calls count.
        """
        if self.run is None:
            return self.scenario.releases
        return self.run.releases(self.clock, counts=counts)


class Session:
    """One client's private view: its API key, active scenario, counters, clock and journal.

    Made by a `Mock`. Any number of threads may use it.
    parent: the session of `KEY`, for one that belongs to a pinned key `KEY@SCENARIO` whose scenario
        counts or changes. It takes its parent's clock, begins anew when that is set or reset, and
        ends with it.
    """

    def __init__(
        self,
        mock: Mock,
        id_: str,
        api_key: str,
        label: str,
        start: Scenario,
        *,
        parent: Session | None = None,
    ) -> None:
        self.id = id_
        self.api_key = api_key
        self.label = label
        self.parent = parent
        self.last_used = time.monotonic()
        self._mock = mock
        self._start = start
        self._pins: dict[str, Session] = {}
        self.view = self._fresh_view()

    def _fresh_view(self) -> View:
        clock = self._mock.clock if self.parent is None else self.parent.view.clock
        return self._view(self._start, 1, Journal(self._mock.journal_size), clock)

    def _view(self, scenario: Scenario, revision: int, journal: Journal, clock: Clock) -> View:
        self._mock.require_socket_for(scenario)
        scenario.prepare()
        run = Run(scenario, clock.now()) if scenario.is_live else None
        return View(scenario, revision, journal, clock, run)

    @property
    def active(self) -> str:
        """The name of the active scenario."""
        return self.view.scenario.name

    def use(self, name: str) -> None:
        """Make another scenario active. Raises: UnknownName; RuntimeError for a pinned key's."""
        with self._mock.writing:
            self._switch(self._mock.scenario(name))

    def use_values(self, values: Any) -> None:
        """Make a scenario active that is given as plain values.

        Raises: ScenarioError; RuntimeError for a pinned key's.
        """
        self._switch(inline_scenario(values, self._mock.scenarios))

    @property
    def pins(self) -> list[Session]:
        """The sessions of the keys that are pinned to a scenario and made of this one's key."""
        return list(self._pins.values())

    def pinned_view(self, key: str, scenario: Scenario) -> View:
        """What a request sees whose key is pinned to a scenario that counts or changes.

        Raises: ScenarioError for a scenario that this server cannot play.
        """
        with self._mock.writing:
            pin = self._pins.get(key)
            if pin is None:
                label = f"pinned to {scenario.name}"
                pin = Session(self._mock, new_id(), key, label, scenario, parent=self)
                self._pins[key] = pin
            return replace(pin.view, clock=self.view.clock, also=self.view.journal)

    def reset(self) -> None:
        """Go back to what a fresh start gives: scenario, counters, clock and an empty journal."""
        with self._mock.writing:
            self._pins.clear()
            self.view = self._fresh_view()

    @property
    def now(self) -> str:
        """What this session's clock shows, as dates go out."""
        return outgoing(self.view.clock.now())

    def set_clock(self, text: str) -> None:
        """Stop the clock at a moment, and begin the active scenario there anew.

        Raises: ValueError for what is no date, or one that is too far away.
        """
        self._begin_anew(clock_at(text))

    def advance_clock(self, text: str) -> None:
        """Put the clock forward by a duration such as `2d`. Raises: ValueError."""
        with self._mock.writing:
            clock = self.view.clock.advanced(duration(text))
            view = self.view
            revision = view.revision + 1
            self.view = replace(view, clock=clock, revision=revision, answers=Answers())

    def release_clock(self) -> None:
        """Let the clock show the machine's time again, and begin the active scenario anew."""
        self._begin_anew(Clock())

    def _begin_anew(self, clock: Clock) -> None:
        with self._mock.writing:
            self._pins.clear()
            view = self.view
            self.view = self._view(view.scenario, view.revision + 1, view.journal, clock)

    def requests(self, **filters: Any) -> list[Entry]:
        """The journal, oldest first; filters as for `Journal.entries`."""
        return self.view.journal.entries(**filters)

    def clear_requests(self) -> None:
        """Empty the journal."""
        self.view.journal.clear()

    def end(self) -> None:
        """End the session: its key is refused from now on, a pinned one begins anew."""
        if self.parent is not None:
            self.parent._pins.pop(self.api_key, None)
        else:
            self._mock.end_session(self.id)

    def _switch(self, scenario: Scenario) -> None:
        if self.parent is not None:
            raise RuntimeError("this session belongs to a key that is pinned to its scenario")
        with self._mock.writing:
            view = self.view
            self.view = self._view(scenario, view.revision + 1, view.journal, view.clock)

    def renew(self, before: Mapping[str, Scenario], after: Mapping[str, Scenario]) -> None:
        """Take over what a reload changed; a scenario that has no file any more stays as it is."""

        def renewed(scenario: Scenario) -> Scenario:
            from_file = before.get(scenario.name) is scenario
            return after.get(scenario.name, scenario) if from_file else scenario

        self._pins.clear()
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


def new_id() -> str:
    """An id that cannot be guessed."""
    return secrets.token_hex(8)
