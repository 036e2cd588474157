"""One client's private view of the mock: what is active there, and what that has been through."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from marshmallow import ValidationError
from marshmallow.fields import Field

from .faults import Counts, Verdict, judge
from .fields import Duration, Moment
from .journal import Entry, Journal, narrowed
from .loading import inline_scenario
from .memory import Answer
from .scenario import Scenario, Stages
from .selection import Filters, Releases
from .state import Result, Standing, State
from .times import Clock, duration, moment, outgoing

if TYPE_CHECKING:
    from .mock import Mock


class Run:
    """What a live scenario has been through in one session since it became active there.

    The counts are in the state: every request counts, and is told what the counts decide, in one
    step. So any number of threads and processes see each step once and in order.
    """

    def __init__(self, state: State, standing: Standing, scenario: Scenario) -> None:
        self.began = standing.began
        self._state = state
        self._id = standing.id
        self._epoch = standing.epoch
        self._scenario = scenario
        self._made: tuple[Stages, Releases] | None = None

    def judge(self, filters: Filters, clock: Clock) -> Verdict:
        """What the scenario's faults do to a request with these filters."""
        faults, now = self._scenario.faults, clock.now().timestamp()
        if not faults:
            return Verdict()
        return self._count(lambda counts: judge(faults, counts, filters, now))

    def releases(self, clock: Clock, *, counts: bool) -> Releases:
        """The releases that the next answer is made from, and whether it counts as a call.

        No release ever goes back, whatever clock the request has.
        """

        def step(kept: Counts) -> Stages:
            reached = self.stages(kept, clock)
            is_begun = len(kept.stages) == len(reached)
            kept.stages = [*map(max, reached, kept.stages if is_begun else reached)]
            kept.calls += counts
            return tuple(kept.stages)

        stages = self._count(step)
        made = self._made
        if made is None or made[0] != stages:
            made = self._made = (stages, self._scenario.at(stages, self.began))
        return made[1]

    def stages(self, counts: Counts, clock: Clock) -> Stages:
        """How many of its changes each release that changes has behind it."""
        passed = {"calls": float(counts.calls), "seconds": self.seconds(clock)}
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

    def counts(self) -> Counts:
        """What has been counted so far."""
        counts = self._count(replace)
        counts.fit(len(self._scenario.faults))
        return counts

    def _count(self, act: Callable[[Counts], Result]) -> Result:
        return self._state.count(self._id, self._epoch, act)


@dataclass(frozen=True)
class View:
    """All that decides an answer, at one moment, and where the answer is recorded.

    A request takes it once and keeps to it, so nothing it answers mixes two scenarios.
    run: what counts and changes; None for a scenario in which nothing does.
    also: a further journal, that of the session whose key a pinned key is made of.
    """

    scenario: Scenario
    revision: int
    journal: Journal
    clock: Clock
    run: Run | None
    also: Journal | None = None

    def releases(self, *, counts: bool = True) -> Releases:
        """The releases that the next answer is made from.

        counts: whether the answer is a call that moves on a scenario in which calls count.
        """
        if self.run is None:
            return self.scenario.releases
        return self.run.releases(self.clock, counts=counts)

    def recall(self, request: tuple[Any, ...]) -> Answer | None:
        """What was answered to the same request, by any view of this scenario and revision."""
        return self.scenario.answers.get((self.revision, request))

    def remember(self, request: tuple[Any, ...], answer: Answer) -> None:
        """Keep an answer for `recall`; only of a scenario in which nothing counts."""
        self.scenario.answers.put((self.revision, request), answer)


class Session:
    """One client's private view: its API key, active scenario, counters, clock and journal.

    Made by a `Mock`. Any number of threads may use it. Every call raises UnknownName where the
    session has ended.
    """

    def __init__(self, mock: Mock, id_: str, api_key: str = "") -> None:
        self.id = id_
        self.api_key = api_key
        self._mock = mock

    @property
    def standing(self) -> Standing:
        """Where it stands now."""
        return self._mock.standing(self.id)

    @property
    def view(self) -> View:
        """What a request sees now."""
        return self._mock.view(self.standing)

    @property
    def active(self) -> str:
        """The name of the active scenario."""
        return self.standing.scenario

    def use(self, name: str) -> None:
        """Make another scenario active. Raises: UnknownName; RuntimeError for a pinned key's."""
        self._switch(self._mock.scenario(name), None)

    def use_values(self, values: Any) -> None:
        """Make a scenario active that is given as plain values, as in a scenario file.

        Raises: ScenarioError; RuntimeError for a pinned key's.
        """
        values = deepcopy(values)  # the caller may go on changing them
        self._switch(inline_scenario(values, self._mock.scenarios), values)

    def reset(self) -> None:
        """Go back to what a fresh start gives: scenario, counters, clock and an empty journal."""
        parent = self.standing.parent
        clock = self._mock.standing(parent).clock if parent else self._mock.clock

        def fresh(standing: Standing) -> Standing:
            era = standing.era if parent else standing.era + 1
            later = anew(standing, scenario=standing.start, values=None, clock=clock, era=era)
            return replace(later, revision=1)

        self._mock.change(self.id, fresh)
        self._mock.state.journal(self.id).restart()

    @property
    def now(self) -> str:
        """What this session's clock shows, as dates go out."""
        return outgoing(self.standing.clock.now())

    def set_clock(self, text: str) -> None:
        """Stop the clock at a moment, and begin the active scenario there anew.

        Raises: ValueError for what is no date, or one that is too far away.
        """
        self._begin_at(clock_at(text))

    def advance_clock(self, text: str) -> None:
        """Put the clock forward by a duration such as `2d`. Raises: ValueError."""
        seconds = duration(_read(Duration(), text))

        def advanced(standing: Standing) -> Standing:
            clock = standing.clock.advanced(seconds)
            return replace(standing, clock=clock, revision=standing.revision + 1)

        self._mock.change(self.id, advanced)

    def release_clock(self) -> None:
        """Let the clock show the machine's time again, and begin the active scenario anew."""
        self._begin_at(Clock())

    def requests(self, **filters: Any) -> list[Entry]:
        """The journal, oldest first; filters as for `narrowed`."""
        return narrowed(self._mock.state.journal(self.standing.id).all(), **filters)

    def clear_requests(self) -> None:
        """Empty the journal."""
        self._mock.state.journal(self.standing.id).clear()

    def end(self) -> None:
        """End the session: its key is refused from now on, a pinned one begins anew."""
        self._mock.end_session(self.id)

    def _begin_at(self, clock: Clock) -> None:
        self._mock.change(
            self.id,
            lambda standing: anew(standing, clock=clock, era=standing.era + 1),
        )

    def _switch(self, scenario: Scenario, values: Any) -> None:
        self._mock.require_socket_for(scenario)

        def switched(standing: Standing) -> Standing:
            if standing.parent is not None:
                raise RuntimeError("this session belongs to a key that is pinned to its scenario")
            return anew(standing, scenario=scenario.name, values=values)

        self._mock.change(self.id, switched, scenario)


def anew(standing: Standing, *, clock: Clock | None = None, **changes: Any) -> Standing:
    """The standing after some changes, and after its active scenario has begun anew."""
    clock = clock or standing.clock
    return replace(
        standing,
        clock=clock,
        began=clock.now(),
        revision=standing.revision + 1,
        epoch=standing.epoch + 1,
        **changes,
    )


def clock_at(text: str) -> Clock:
    """A clock that stands still at a date. Raises: ValueError."""
    return Clock(moment(_read(Moment(), text)))


def _read(field: Field[str], text: str) -> str:
    """What a field reads from a text. Raises: ValueError, with its words."""
    try:
        read: str = field.deserialize(text)
    except ValidationError as error:
        raise ValueError(error.messages[0]) from None
    return read
