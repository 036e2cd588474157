"""The living state of a mock: the scenarios it has loaded, and each session's own view of them.

The API key says whose view a request gets: a session's own key that session's, any other accepted
key the default session's, and `KEY@scenario` that scenario for this one request.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .document import Problem, ScenarioError
from .journal import DEFAULT_SIZE, Entry, Journal
from .releases import nearest
from .scenario import (
    DEFAULT_API_KEY,
    Scenario,
    inline_scenario,
    load_scenarios,
    shipped_scenarios,
)

DEFAULT_SCENARIO = "documented"

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
class View:
    """All that decides an answer, at one moment, and where the answer is recorded.

    A request takes it once and keeps to it, so nothing it answers mixes two scenarios.
    """

    scenario: Scenario
    revision: int
    journal: Journal


class Session:
    """One client's private view: its API key, active scenario and journal.

    Made by a `Mock`. Any number of threads may use it.
    """

    def __init__(self, mock: Mock, id_: str, api_key: str, label: str, start: Scenario) -> None:
        self.id = id_
        self.api_key = api_key
        self.label = label
        self.last_used = time.monotonic()
        self._mock = mock
        self._start = start
        self.view = self._first_view()

    def _first_view(self) -> View:
        return View(self._start, 1, Journal(self._mock.journal_size))

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
        """Go back to what a fresh start gives: scenario, revision and an empty journal."""
        with self._mock.writing:
            self.view = self._first_view()

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
            self.view = View(scenario, self.view.revision + 1, self.view.journal)

    def renew(self, before: Mapping[str, Scenario], after: Mapping[str, Scenario]) -> None:
        """Take over what a reload changed; a scenario that has no file any more stays as it is."""

        def renewed(scenario: Scenario) -> Scenario:
            from_file = before.get(scenario.name) is scenario
            return after.get(scenario.name, scenario) if from_file else scenario

        self._start = renewed(self._start)
        self._switch(renewed(self.view.scenario))


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
    max_sessions, idle_seconds: how many sessions there may be beside the default one, and how long
        one may go without a request before it ends.
    Raises: ScenarioError for files with problems, UnknownName.
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
    ) -> None:
        self.directory = shipped_scenarios() if directory is None else Path(directory)
        self.strict = strict
        self.journal_size = journal_size
        self.max_sessions = max_sessions
        self.idle_seconds = idle_seconds
        self.writing = threading.RLock()
        self.scenarios: Mapping[str, Scenario] = load_scenarios(self.directory)
        if scenario is None:
            known = self.scenarios
            scenario = DEFAULT_SCENARIO if DEFAULT_SCENARIO in known else next(iter(known))
        self._start = scenario
        self._sessions: dict[str, Session] = {}
        self._by_key: dict[str, Session] = {}
        self._endings: OrderedDict[str, str] = OrderedDict()
        self.default = Session(self, "default", "", "", self.scenario(scenario))

    def scenario(self, name: str) -> Scenario:
        """The scenario of that name. Raises: UnknownName."""
        scenarios = self.scenarios
        if name not in scenarios:
            raise UnknownName("scenario", name, scenarios)
        return scenarios[name]

    def reload(self) -> None:
        """Read the scenario files again. What is active stays active, with its new content.

        Raises: ScenarioError, after which everything is as it was.
        """
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
            before, self.scenarios = self.scenarios, scenarios
            for session in (self.default, *self._sessions.values()):
                session.renew(before, scenarios)

    def open_session(self, scenario: str | None = None, label: str = "") -> Session:
        """A new session with a fresh API key, in the scenario that is active at the start.

        scenario: another one to start with.
        Raises: UnknownName; RuntimeError where there are `max_sessions` already.
        """
        with self.writing:
            start = self.scenario(scenario or self._start)
            self._end_idle()
            if len(self._sessions) >= self.max_sessions:
                raise RuntimeError(
                    f"there are {self.max_sessions} sessions, and no more are allowed; end some "
                    "with DELETE, or start the mock with a higher limit"
                )
            session = Session(self, secrets.token_hex(8), secrets.token_urlsafe(24), label, start)
            self._sessions[session.id] = self._by_key[session.api_key] = session
            return session

    def sessions(self) -> list[Session]:
        """The sessions that have been opened and not ended, oldest first."""
        with self.writing:
            self._end_idle()
            return list(self._sessions.values())

    def session(self, id_: str) -> Session:
        """The session of that id. Raises: UnknownName."""
        session = self._sessions.get(id_)
        if session is None:
            raise UnknownName("session", id_)
        return session

    def end_session(self, id_: str, why: str = "it was ended by a call") -> None:
        """End a session. Raises: UnknownName."""
        with self.writing:
            session = self.session(id_)
            del self._sessions[id_], self._by_key[session.api_key]
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
        if pinned and self._knows(base):
            session = self._session_of(base) or self.default
            try:
                scenario = self.scenario(name)
            except UnknownName as error:
                return Admission(session.view, f"the API key is pinned, but {error}")
            view = View(scenario, session.view.revision, session.view.journal)
            return self._enter(session, view, base)
        if key in self._endings or base in self._endings:
            why = self._endings.get(key) or self._endings[base]
            return self._refuse(f"the session of this API key has ended: {why}")
        if self._knows(key):
            others = [item.name for item in self.scenarios.values() if key in item.api_keys]
            return self._refuse(
                f"scenario {self.default.active} does not accept this API key; "
                f"accepted by: {', '.join(others)}"
            )
        return self._refuse("the API key is unknown")

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

    def _knows(self, key: str) -> bool:
        return key in self._by_key or any(
            key in scenario.api_keys for scenario in self.scenarios.values()
        )
