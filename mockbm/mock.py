"""The living state of a mock: the scenarios it has loaded, and each session's own view of them.

The API key says whose view a request gets: a session's own key that session's, any other accepted
key the default session's, and `KEY@scenario` that scenario for this one request.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from .document import Problem, Progress, ScenarioError
from .fields import nearest
from .journal import DEFAULT_SIZE, MAX_SIZE
from .keys import PIN, new_key, session_id, without_keys
from .loading import inline_scenario, load_scenarios, shipped_scenarios
from .scenario import DEFAULT_API_KEY, Scenario
from .selection import FilterSchema
from .session import Run, Session, View, anew, clock_at
from .state import DEFAULT, MemoryState, Standing, State
from .times import Clock, outgoing

DEFAULT_SCENARIO = "documented"

MAX_SESSIONS = 1_000
IDLE_SECONDS = 3_600.0


class UnknownName(LookupError):  # noqa: N818 (it reads as what it says)
    """A name that nothing has; `known` are the names there are, `nearest` the likeliest of them."""

    def __init__(self, kind: str, name: str, known: Collection[str] = ()) -> None:
        self.kind = kind
        self.name = name
        self.known = tuple(known)
        self.nearest = nearest(str(name), self.known)
        guess = f"; did you mean {self.nearest}?" if self.nearest else ""
        there = f"{'' if guess else ';'} There are: {', '.join(known)}" if known else ""
        super().__init__(f"no {kind} is called {name!r}{guess}{there}")


@dataclass(frozen=True)
class Admission:
    """What a request's API key decided: whose view it gets, and why not, if it is refused."""

    view: View
    refusal: str = ""


class Mock:
    """One mocked BuildMaster instance. Any number of threads may use it.

    directory: of the scenario files; by default those that come with mockbm.
    scenario: the one active at the start; by default `documented` where there is one, or else
        the first by name.
    strict: refuse unknown parameters and two of a group, as the real server does.
    journal_size: requests that the journal of each session keeps.
    clock: a date at which every session's clock stands at first; by default the machine's time.
    breaks_connections: whether the server that runs this lets a fault break a connection.
    progress: is told how much of the files has been read, from 0 to 1.
    max_sessions, idle_seconds: how many sessions there may be beside the default one, and how long
        one may go without a request before it ends.
    state: where sessions are kept: "memory", or `redis://...` for several processes.
    Raises: ScenarioError for files with problems, UnknownName, ValueError for a bad clock or state.
    """

    def __init__(
        self,
        directory: Path | str | None = None,
        scenario: str | None = None,
        *,
        strict: bool = True,
        journal_size: int = DEFAULT_SIZE,
        max_sessions: int = MAX_SESSIONS,
        idle_seconds: float = IDLE_SECONDS,
        clock: str | None = None,
        breaks_connections: bool = False,
        state: str = "memory",
        progress: Progress | None = None,
    ) -> None:
        self.directory = shipped_scenarios() if directory is None else Path(directory)
        self.filter_schema = FilterSchema(strict=strict)
        self.max_sessions = max_sessions
        if math.isnan(idle_seconds):
            raise ValueError("idle_seconds is no number")
        if not 0 < journal_size <= MAX_SIZE:
            raise ValueError(f"journal_size is {journal_size}; allowed is 1 to {MAX_SIZE}")
        try:
            self.clock = Clock() if clock is None else clock_at(clock)
        except ValueError as error:
            raise ValueError(f"the clock: {error}") from None
        self.breaks_connections = breaks_connections
        self.writing = threading.RLock()
        self.problems: tuple[Problem, ...] = ()
        self.began = time.monotonic()
        self._gone: dict[str, Scenario] = {}
        self._keys: frozenset[str] = frozenset()
        self._views: dict[str, tuple[Standing, View]] = {}
        self._take(load_scenarios(self.directory, progress))
        if scenario is None:
            known = self.scenarios
            scenario = DEFAULT_SCENARIO if DEFAULT_SCENARIO in known else next(iter(known))
        self._start = scenario
        self.require_socket_for(self.scenario(scenario))
        self.scenario(scenario).prepare()
        self.state = _state(state, journal_size, idle_seconds)
        self._reloads = 0
        self.default = Session(self, DEFAULT)

    def _take(self, scenarios: Mapping[str, Scenario]) -> None:
        self.scenarios = scenarios
        self.loaded = outgoing(Clock().now())
        keys = frozenset(key for item in scenarios.values() for key in item.api_keys)
        if keys != self._keys:  # what has to be hidden in answers is another
            for scenario in scenarios.values():
                scenario.forget_answers()
        self._keys = keys

    def scenario(self, name: str) -> Scenario:
        """The scenario of that name. Raises: UnknownName."""
        scenarios = self.scenarios
        if name not in scenarios:
            raise UnknownName("scenario", name, scenarios)
        return scenarios[name]

    def require_socket_for(self, scenario: Scenario) -> None:
        """Refuse a scenario that this server cannot play. Raises: ScenarioError."""
        if scenario.needs_socket and not self.breaks_connections:
            what = (
                "breaks connections, which this WSGI server does not let mockbm do; "
                "run it with `mockbm serve`, or with the pytest fixture"
            )
            raise ScenarioError([Problem("", 0, 0, scenario.name, what)])

    def reload(self) -> None:
        """Read the scenario files again. What is active stays active, with its new content.

        It begins anew where that is new; else whoever is in the midst of it notices nothing.
        Raises: ScenarioError, after which everything is as it was, and `problems` has them.
        """
        with self.writing:
            # Without catching up with another process first: the files are about to be read.
            standings = {item.id: item for item in self.standings()}
            default = standings[DEFAULT] = self.state.look(DEFAULT)[0] or self._default()
            needed = {self._start: "active at the start"}
            if default.values is None and default.scenario in self.scenarios:
                needed[default.scenario] = "active"
            has_missed_one = self.state.reloads() != self._reloads
            known = {} if has_missed_one else {**self._gone, **self.scenarios}
            self._load(standings.values(), needed)
            # Told before the sessions change: who sees a changed session reads the files first.
            self._reloads = self.state.add_reload()

            def is_new(standing: Standing) -> bool:
                loaded = self.scenarios.get(standing.scenario)
                is_same = loaded is known.get(standing.scenario)
                return standing.values is None and loaded is not None and not is_same

            def again(standing: Standing) -> Standing:
                return anew(standing) if is_new(standing) else standing

            for standing in filter(is_new, standings.values()):
                self.state.change(standing.id, again)

    def _load(self, standings: Iterable[Standing], needed: Mapping[str, str]) -> None:
        try:
            scenarios = load_scenarios(self.directory)
            gone = [
                Problem(str(self.directory), 1, 1, name, f"has no file any more, but is {role}")
                for name, role in needed.items()
                if name not in scenarios
            ]
            if gone:
                raise ScenarioError(gone)
            used = {item.scenario for item in standings} | {item.start for item in standings}
            for name in used & scenarios.keys():
                self.require_socket_for(scenarios[name])
        except ScenarioError as error:
            self.problems = error.problems
            raise
        before = {**self._gone, **self.scenarios}
        self._gone = {name: before[name] for name in used & before.keys() - scenarios.keys()}
        self.problems = ()
        # One that says the same stays, with all that has been made of it.
        self._take(
            {
                name: before[name] if before.get(name) == loaded else loaded
                for name, loaded in scenarios.items()
            }
        )

    def _catch_up(self) -> None:
        """Read the files again because another process has, and told so.

        Raises: ConnectionError where they have problems by now: what others serve is not known.
        """
        with self.writing:
            told = self.state.reloads()
            if self._reloads == told:
                return
            try:
                self._load(self.state.standings(), {})
            except ScenarioError as error:
                text = f"another process has read scenario files that have problems now: {error}"
                raise ConnectionError(text) from None
            self._reloads = told

    def open_session(self, scenario: str | None = None, label: str = "") -> Session:
        """A new session with a fresh API key, in the scenario that is active at the start.

        scenario: another one to start with.
        Raises: UnknownName; RuntimeError where there are `max_sessions` already.
        """
        start = self.scenario(self._start if scenario is None else scenario)
        self.require_socket_for(start)
        start.prepare()
        key = new_key()
        standing = self._fresh(session_id(key), label, start)
        if self.state.open(standing, self.max_sessions) is None:
            raise RuntimeError(
                f"there are {self.max_sessions} sessions, and no more are allowed; end some "
                "with DELETE, or start the mock with a higher limit"
            )
        return Session(self, standing.id, key)

    def _fresh(
        self, id_: str, label: str, start: Scenario, parent: Standing | None = None
    ) -> Standing:
        clock = self.clock if parent is None else parent.clock
        standing = Standing(id_, label, start.name, start.name, clock, clock.now())
        if parent is None:
            return standing
        return replace(standing, parent=parent.id, era=parent.era)

    def standings(self) -> list[Standing]:
        """Where the sessions stand that have been opened and not ended, oldest first, and pins."""
        found = self.state.standings()
        eras = {item.id: item.era for item in found}
        opened = [item for item in found if item.parent is None and item.id != DEFAULT]
        pins = [item for item in found if item.parent and eras.get(item.parent) == item.era]
        return opened + pins

    def session(self, id_: str) -> Session:
        """The session of that id. Raises: UnknownName."""
        return Session(self, self.standing(id_).id)

    def standing(self, id_: str) -> Standing:
        """Where a session stands. Raises: UnknownName."""
        default, own = self._look(DEFAULT, id_)
        if id_ == DEFAULT:
            return default or self._default()
        if own is not None and own.parent is not None:
            (parent,) = self._look(own.parent)
            own = own if parent is not None and parent.era == own.era else None
        if own is None:
            raise UnknownName("session", id_)
        return own

    def _look(self, *ids: str, used: bool = False) -> list[Standing | None]:
        found = self.state.look(*ids, used=used)
        if self.state.reloads() != self._reloads:
            self._catch_up()
        return found

    def _default(self) -> Standing:
        fresh = self._fresh(DEFAULT, "", self.scenario(self._start))
        return self.state.open(fresh) or fresh

    def view(self, standing: Standing) -> View:
        """What a request sees of a session that stands there. Raises: UnknownName, ScenarioError.

        The same standing has the same view, with all that this remembers.
        """
        found = self._views.get(standing.id)
        if found is not None and found[0] is standing:
            return found[1]
        same = found is not None and found[0].values is standing.values is not None
        scenario = found[1].scenario if found and same else self._scenario_of(standing)
        return self._see(standing, scenario)

    def _scenario_of(self, standing: Standing) -> Scenario:
        known = {**self._gone, **self.scenarios}
        if standing.values is not None:
            return inline_scenario(standing.values, known)
        if standing.scenario not in known:
            raise UnknownName("scenario", standing.scenario, self.scenarios)
        return known[standing.scenario]

    def _see(self, standing: Standing, scenario: Scenario) -> View:
        scenario.prepare()
        run = Run(self.state, standing, scenario) if scenario.is_live else None
        journal = self.state.journal(standing.id)
        view = View(scenario, standing.revision, journal, standing.clock, run)
        with self.writing:
            while len(self._views) > self.max_sessions:
                del self._views[next(iter(self._views))]
            self._views[standing.id] = (standing, view)
        return view

    def change(
        self, id_: str, act: Callable[[Standing], Standing], scenario: Scenario | None = None
    ) -> None:
        """Change where a session stands. Raises: UnknownName, and what `act` raises.

        scenario: the one that is active then, where it is known already.
        """
        changed = self.state.change(id_, act)
        if changed is None and id_ == DEFAULT:
            self._default()
            changed = self.state.change(id_, act)
        if changed is None:
            raise UnknownName("session", id_)
        if scenario is not None:
            self._see(changed, scenario)

    def end_session(self, id_: str, why: str = "it was ended by a call") -> None:
        """End a session. Raises: UnknownName."""
        self.standing(id_)
        if id_ == DEFAULT or not self.state.end(id_, why):
            raise UnknownName("session", id_)
        self._views.pop(id_, None)

    def admit(self, key: str | None) -> Admission:
        """Decide whose view a request with this API key gets.

        A session's own key is accepted in every scenario that accepts any key at all.
        """
        base, pinned, name = (key or "").rpartition(PIN)
        ids = [session_id(text) for text in ((key, base) if pinned else (key,)) if text]
        default, *found = self._look(DEFAULT, *ids, used=True)
        default = default or self._default()
        if key is None:
            return self._refuse(default, "the API key is missing")
        own = found[0] if found else None
        if own is not None and own.parent is None:
            return self._enter(own, self.view(own), key)
        view = self.view(default)
        if key in view.scenario.api_keys:
            return Admission(view)
        parent = found[1] if pinned and len(found) > 1 else None
        if pinned and (parent is not None or self._is_accepted_somewhere(base)):
            return self._pinned(ids[0], own, parent or default, base, name)
        return self._refuse(default, self._why_refused(key, ids, view))

    def _why_refused(self, key: str, ids: Iterable[str], view: View) -> str:
        why = next(filter(None, map(self.state.ended, ids)), None)
        if why is not None:
            return f"the session of this API key has ended: {why}"
        if self._is_accepted_somewhere(key):
            others = [item.name for item in self.scenarios.values() if key in item.api_keys]
            return (
                f"scenario {view.scenario.name} does not accept this API key; "
                f"accepted by: {', '.join(others)}"
            )
        return "the API key is unknown"

    def _pinned(
        self, id_: str, pin: Standing | None, parent: Standing, base: str, name: str
    ) -> Admission:
        """Decide about a key that sees one scenario, whatever is active."""
        seen = self.view(parent)
        try:
            scenario = self.scenario(name)
        except UnknownName as error:
            said = UnknownName(error.kind, self.hide(name, base), error.known)
            return Admission(seen, f"the API key is pinned, but {said}")
        view = replace(seen, scenario=scenario, run=None)
        admission = self._enter(parent, view, base)
        if not scenario.is_live or admission.refusal:
            return admission
        try:
            self.require_socket_for(scenario)
        except ScenarioError as error:
            return Admission(view, str(error))
        if pin is None or pin.era != parent.era:
            pin = self._pin(id_, scenario, parent)
        return Admission(replace(self.view(pin), clock=parent.clock, also=seen.journal))

    def _pin(self, id_: str, scenario: Scenario, parent: Standing) -> Standing:
        """A fresh session for a pinned key, in the place of one that is over."""
        fresh = self._fresh(id_, f"pinned to {scenario.name}", scenario, parent)
        found = self.state.open(fresh) or fresh
        if found.era != parent.era:
            self.state.end(id_)
            found = self.state.open(fresh) or fresh
        return found

    def _enter(self, standing: Standing, view: View, key: str) -> Admission:
        accepted = view.scenario.api_keys
        if key in accepted or (accepted and standing.id != DEFAULT):
            return Admission(view)
        what = "does not accept this API key" if accepted else "accepts no API key at all"
        return Admission(view, f"scenario {view.scenario.name} {what}")

    def _refuse(self, default: Standing, why: str) -> Admission:
        view = self.view(default)
        if view.scenario.api_keys == (DEFAULT_API_KEY,):
            why += f"; scenario {view.scenario.name} accepts {DEFAULT_API_KEY}"
        elif not view.scenario.api_keys:
            why += f"; scenario {view.scenario.name} accepts no API key at all"
        return Admission(view, why)

    def _is_accepted_somewhere(self, key: str) -> bool:
        return key in self._keys

    def hide(self, text: str, sent: str | None) -> str:
        """`text`, which a client sent, without the keys of scenarios and sessions in it.

        sent: the key of the request, which goes, too.
        """
        own = {sent, sent.rpartition(PIN)[0] or sent} if sent else set()
        _, view = self._views.get(DEFAULT, (None, None))
        keys = self._keys.union(own, view.scenario.api_keys if view else ())
        return without_keys(text, keys, self._was_session)

    def _was_session(self, id_: str) -> bool:
        return self.state.look(id_)[0] is not None or self.state.ended(id_) is not None


def _state(text: str, journal_size: int, idle_seconds: float) -> State:
    if text == "memory":
        return MemoryState(journal_size, idle_seconds)
    if text.startswith(("redis://", "rediss://", "unix://")):
        from .redis_state import RedisState

        return RedisState(text, journal_size, idle_seconds)
    raise ValueError(f"the state is {text!r}; it is kept in memory, or at redis://HOST:PORT")
