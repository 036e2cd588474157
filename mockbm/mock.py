"""The living state of a mock: the scenarios it has loaded, and each session's own view of them.

The API key says whose view a request gets: a session's own key that session's, any other accepted
key the default session's, and `KEY@scenario` that scenario for this one request.
"""

from __future__ import annotations

import math
import re
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from .document import Problem, Progress, ScenarioError
from .fields import nearest
from .journal import DEFAULT_SIZE
from .memory import Answers
from .scenario import DEFAULT_API_KEY, Scenario, load_scenarios, shipped_scenarios
from .selection import FilterSchema
from .session import Session, View, clock_at, new_id
from .times import Clock

DEFAULT_SCENARIO = "documented"

HIDDEN = "***"
"""Stands where a secret stood, in everything that mockbm writes."""

SHORT_KEY = 6
"""Letters from which on a key is no ordinary word."""

_WORDS = re.compile(r"[A-Za-z0-9_-]{20,}")

PIN = "@"
"""Stands between an API key and the scenario that it is pinned to."""

MAX_SESSIONS = 1_000
IDLE_SECONDS = 3_600.0
KEPT_ENDINGS = 1_000
"""Ended sessions of which it is remembered why they ended."""


class UnknownName(LookupError):  # noqa: N818 (it reads as what it says)
    """A name that nothing has; `known` are the names there are, `nearest` the likeliest of them."""

    def __init__(self, kind: str, name: str, known: Collection[str] = ()) -> None:
        self.kind = kind
        self.name = name
        self.known = tuple(known)
        self.nearest = nearest(name, self.known)
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
    Raises: ScenarioError for files with problems, UnknownName, ValueError for a bad clock.
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
        progress: Progress | None = None,
    ) -> None:
        self.directory = shipped_scenarios() if directory is None else Path(directory)
        self.filter_schema = FilterSchema(strict=strict)
        self.journal_size = journal_size
        self.max_sessions = max_sessions
        self.idle_seconds = idle_seconds
        if math.isnan(idle_seconds):
            raise ValueError("idle_seconds is no number")
        try:
            self.clock = Clock() if clock is None else clock_at(clock)
        except ValueError as error:
            raise ValueError(f"the clock: {error}") from None
        self.breaks_connections = breaks_connections
        self.writing = threading.RLock()
        self.problems: tuple[Problem, ...] = ()
        self.began = time.monotonic()
        self._take(load_scenarios(self.directory, progress))
        if scenario is None:
            known = self.scenarios
            scenario = DEFAULT_SCENARIO if DEFAULT_SCENARIO in known else next(iter(known))
        self._start = scenario
        self._sessions: dict[str, Session] = {}
        self._by_key: dict[str, Session] = {}
        self._endings: OrderedDict[str, str] = OrderedDict()
        self.default = Session(self, "default", "", "", self.scenario(scenario))

    def _take(self, scenarios: Mapping[str, Scenario]) -> None:
        self.scenarios = scenarios
        self._keys = frozenset(key for item in scenarios.values() for key in item.api_keys)

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

        Raises: ScenarioError, after which everything is as it was, and `problems` has them.
        """
        try:
            self._reload()
            self.problems = ()
        except ScenarioError as error:
            self.problems = error.problems
            raise

    def _reload(self) -> None:
        with self.writing:
            scenarios = load_scenarios(self.directory)
            active = self.default.view.scenario
            needed = {self._start: "active at the start"}
            if self.scenarios.get(active.name) is active:
                needed[active.name] = "active"
            gone = [
                Problem(str(self.directory), 1, 1, name, f"has no file any more, but is {role}")
                for name, role in needed.items()
                if name not in scenarios
            ]
            if gone:
                raise ScenarioError(gone)
            sessions = (self.default, *self._sessions.values())
            for name in {*needed, *(session.active for session in sessions)} & scenarios.keys():
                self.require_socket_for(scenarios[name])
            before = self.scenarios
            self._take(scenarios)
            for session in sessions:
                session.renew(before, scenarios)

    def open_session(self, scenario: str | None = None, label: str = "") -> Session:
        """A new session with a fresh API key, in the scenario that is active at the start.

        scenario: another one to start with.
        Raises: UnknownName; RuntimeError where there are `max_sessions` already.
        """
        with self.writing:
            start = self.scenario(self._start if scenario is None else scenario)
            self._make_room()
            session = Session(self, new_id(), secrets.token_urlsafe(24), label, start)
            self._sessions[session.id] = self._by_key[session.api_key] = session
            return session

    def _make_room(self) -> None:
        self._end_idle()
        if len(self._sessions) >= self.max_sessions:
            raise RuntimeError(
                f"there are {self.max_sessions} sessions, and no more are allowed; end some "
                "with DELETE, or start the mock with a higher limit"
            )

    def sessions(self) -> list[Session]:
        """The sessions that have been opened and not ended, oldest first, and their pins."""
        with self.writing:
            self._end_idle()
            opened = list(self._sessions.values())
            return opened + [pin for item in (self.default, *opened) for pin in item.pins]

    def session(self, id_: str) -> Session:
        """The session of that id. Raises: UnknownName."""
        if id_ in self._sessions:
            return self._sessions[id_]
        for session in self.sessions():
            if session.id == id_:
                return session
        raise UnknownName("session", id_)

    def end_session(self, id_: str, why: str = "it was ended by a call") -> None:
        """End a session. Raises: UnknownName."""
        with self.writing:
            if id_ not in self._sessions:
                raise UnknownName("session", id_)
            session = self._sessions.pop(id_)
            del self._by_key[session.api_key]
            self._endings[session.api_key] = why
            if len(self._endings) > KEPT_ENDINGS:
                self._endings.popitem(last=False)

    def _end_idle(self) -> None:
        long_ago = time.monotonic() - self.idle_seconds
        for session in list(self._sessions.values()):
            if session.last_used < long_ago:
                self.end_session(session.id, f"it was idle for over {self.idle_seconds:g} seconds")

    def admit(self, key: str | None) -> Admission:
        """Decide whose view a request with this API key gets.

        A session's own key is accepted in every scenario that accepts any key at all.
        """
        if key is None:
            return self._refuse("the API key is missing")
        session = self._session_of(key)
        if session is not None:
            return self._enter(session, session.view, key)
        if key in self.default.view.scenario.api_keys:
            return Admission(self.default.view)
        base, pinned, name = key.rpartition(PIN)
        parent = self._session_of(base)
        if pinned and (parent is not None or self._is_accepted_somewhere(base)):
            return self._pinned(key, parent or self.default, base, name)
        if key in self._endings or base in self._endings:
            why = self._endings.get(key) or self._endings[base]
            return self._refuse(f"the session of this API key has ended: {why}")
        if self._is_accepted_somewhere(key):
            others = [item.name for item in self.scenarios.values() if key in item.api_keys]
            return self._refuse(
                f"scenario {self.default.active} does not accept this API key; "
                f"accepted by: {', '.join(others)}"
            )
        return self._refuse("the API key is unknown")

    def _pinned(self, key: str, parent: Session, base: str, name: str) -> Admission:
        """Decide about a key that sees one scenario, whatever is active."""
        try:
            scenario = self.scenario(name)
        except UnknownName as error:
            said = UnknownName(error.kind, self.hide(name, base), error.known)
            return Admission(parent.view, f"the API key is pinned, but {said}")
        view = replace(parent.view, scenario=scenario, run=None, answers=Answers())
        admission = self._enter(parent, view, base)
        if not scenario.is_live or admission.refusal:
            return admission
        try:
            return Admission(parent.pinned_view(key, scenario))
        except ScenarioError as error:
            return Admission(view, str(error))

    def _enter(self, session: Session, view: View, key: str) -> Admission:
        accepted = view.scenario.api_keys
        if key in accepted or (accepted and session is not self.default):
            return Admission(view)
        what = "does not accept this API key" if accepted else "accepts no API key at all"
        return Admission(view, f"scenario {view.scenario.name} {what}")

    def _refuse(self, why: str) -> Admission:
        view = self.default.view
        if view.scenario.api_keys == (DEFAULT_API_KEY,):
            why += f"; scenario {view.scenario.name} accepts {DEFAULT_API_KEY}"
        elif not view.scenario.api_keys:
            why += f"; scenario {view.scenario.name} accepts no API key at all"
        return Admission(view, why)

    def _session_of(self, key: str) -> Session | None:
        session = self._by_key.get(key)
        if session is not None:
            if session.last_used < time.monotonic() - self.idle_seconds:
                with self.writing:
                    self._end_idle()
                return None
            session.last_used = time.monotonic()
        return session

    def _is_accepted_somewhere(self, key: str) -> bool:
        return key in self._keys

    def hide(self, text: str, sent: str | None) -> str:
        """`text`, which a client sent, without any API key in it.

        sent: the key of the request. Hidden are also the keys of all scenarios, as parts of a text
        only where they are long enough not to be ordinary words, and those of all sessions.
        """
        own = {sent, sent.rpartition(PIN)[0] or sent} if sent else set()
        for key in self._keys.union(own, self.default.view.scenario.api_keys):
            if text == key or (len(key) >= SHORT_KEY and key in text):
                text = text.replace(key, HIDDEN)
        for word in _WORDS.findall(text):
            if word in self._by_key or word in self._endings:
                text = text.replace(word, HIDDEN)
        return text
