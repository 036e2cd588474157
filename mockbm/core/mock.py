"""The mock: its scenarios and its sessions, which a program in this process uses by their ids."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

from marshmallow import ValidationError
from marshmallow.fields import Field

from .catalog import Catalog, Source
from .endpoint import Endpoint, not_found
from .errors import ScenarioError, UnknownName, plural
from .fields import Duration, Moment
from .journal import Entry, Record, narrowed
from .scenario import Scenario
from .session import DEFAULT, Session, Store, log, new_key, session_id
from .times import Clock, duration, moment, monotonic, outgoing

DEFAULT_SCENARIO = "documented"

ADMIN_PREFIX = "/__admin"


def log_record(record: Record, session: Session) -> None:
    """Log a request by `logging`, as a WSGI server is set up to."""
    level = logging.WARNING if record.status == 403 else logging.INFO
    if log.isEnabledFor(level):
        log.log(level, "%s %s", session.name, record.entry())


class Mock:
    """One mocked BuildMaster instance. Any number of threads may use it.

    source: of the scenarios. store: of the sessions.
    endpoints: the table of the API, that of Get Releases first.
    scenario: name of the one active at the start; by default `documented` where there is one, or
        else the first by name.
    strict: refuse unknown parameters and two of a group, as the real server does.
    clock: a date at which every session's clock stands at first; by default the machine's time.
    breaks_connections: whether the server that runs this lets a fault break a connection.
    max_sessions: number of sessions that there may be besides the default one.
    page: whether there is a page for people.
    Raises: ScenarioError for files with problems, UnknownName, ValueError for a bad clock.
    """

    def __init__(
        self,
        source: Source,
        store: Store,
        endpoints: tuple[Endpoint, ...],
        *,
        scenario: str | None = None,
        strict: bool = True,
        max_sessions: int = 1_000,
        clock: str | None = None,
        breaks_connections: bool = False,
        page: bool = True,
    ) -> None:
        self.catalog = Catalog(source, breaks_connections=breaks_connections)
        self.store = store
        self.strict = strict
        self.max_sessions = max_sessions
        try:
            self.clock = Clock() if clock is None else clock_at(clock)
        except ValueError as error:
            raise ValueError(f"the clock: {error}") from None
        self.on_record: Callable[[Record, Session], None] = log_record
        self.endpoints = {endpoint.path: endpoint for endpoint in endpoints}
        paths = [*self.endpoints]
        unknown = not_found(paths, f"{ADMIN_PREFIX}/" if page else "")
        self._unknown = Endpoint("", unknown, endpoints[0].parameters)
        self._reloading = threading.RLock()
        self._began = monotonic()
        self._reloads = 0
        if scenario is None:
            known = self.catalog.scenarios
            scenario = DEFAULT_SCENARIO if DEFAULT_SCENARIO in known else next(iter(known))
        self._start = scenario
        self.catalog.require_playable(self.catalog.get(scenario))
        self.catalog.get(scenario).prepare()
        self.default = LocalSession(self, DEFAULT)

    @property
    def uptime(self) -> float:
        """Seconds since it was made."""
        return monotonic() - self._began

    def endpoint(self, path: str) -> Endpoint:
        """The endpoint of a path, in any case and perhaps with a slash at its end [C, D]."""
        found = self.endpoints.get(path)
        if found is None and path.isascii():  # some other letters are ASCII ones in lower case
            found = self.endpoints.get(path.lower().removesuffix("/"))
        return found or self._unknown

    # Reading the files again.

    def reload(self) -> None:
        """Read the scenario files again. What is active stays active, with its new content.

        It begins again where that is new, with the next use of each session; where it is not,
        the sessions notice nothing.
        Raises: ScenarioError, after which everything is as it was, and `problems` has them.
        """
        with self._reloading:
            self.store.find()
            before = self.store.reloads()
            default = next((s for s in self.store.sessions() if s.id == DEFAULT), None)
            needed = {self._start: "active at the start"}
            if default and default.values is None and default.active in self.catalog.scenarios:
                needed[default.active] = "active"
            try:
                self._load(needed)
            except ScenarioError as error:
                text = "the scenario files have problems; what was read before stays in use:\n%s"
                fields = {"event": "reload", "problems": [*map(str, error.problems)]}
                log.warning(text, error, extra={"fields": fields})
                raise
            reloads = self.store.add_reload()
            # Where another process has reloaded meanwhile, its files may be newer: read them, too.
            self._reloads = reloads if reloads == before + 1 else before

    def _load(self, needed: Mapping[str, str]) -> None:
        self.catalog.load(needed, self._in_use)
        count = len(self.catalog.scenarios)
        text = f"the scenario files are reloaded: {plural(count, 'scenario')}"
        log.info(text, extra={"fields": {"event": "reload", "scenarios": count}})

    def _in_use(self) -> set[str]:
        """The names of the scenarios that sessions have."""
        sessions = self.store.sessions()
        return {self._start, *(s.active for s in sessions), *(s.start for s in sessions)}

    def _catch_up(self) -> None:
        """Read the files again because another process has.

        Raises: ConnectionError where they have problems: what others serve is not known.
        """
        with self._reloading:
            reloads = self.store.reloads()
            if self._reloads == reloads:
                return
            try:
                self._load({})
            except ScenarioError as error:
                text = f"another process has read scenario files that have problems now: {error}"
                raise ConnectionError(text) from None
            self._reloads = reloads

    # Sessions.

    def open_session(self, scenario: str | None = None, label: str = "") -> LocalSession:
        """A new session with a fresh API key, in the scenario that is active at the start.

        scenario: another one to start with.
        Raises: UnknownName; RuntimeError where there are `max_sessions` already.
        """
        start = self.catalog.get(self._start if scenario is None else scenario)
        self.catalog.require_playable(start)
        start.prepare()
        key = new_key()
        session = self.fresh(session_id(key), label, start)
        if not self.store.add(session, self.max_sessions):
            raise RuntimeError(
                f"{plural(self.max_sessions, 'session')} may be open, and no more; end one, or "
                "start the mock with a higher limit"
            )
        session.log("opened", f"opened in {start.name}", scenario=start.name)
        return LocalSession(self, session.id, key)

    def fresh(
        self, id_: str, label: str, start: Scenario, parent: Session | None = None
    ) -> Session:
        clock = self.clock if parent is None else parent.clock
        session = Session(id_, label, start.name, start.name, clock, clock.now())
        if parent is not None:
            session.parent, session.generation = parent.id, parent.generation
        session.load(start)
        return session

    def sessions(self) -> list[Session]:
        """The sessions that are open, oldest first, and those of pinned keys. Only for reading."""
        found = self.store.sessions()
        generations = {session.id: session.generation for session in found}
        opened = [s for s in found if s.parent is None and s.id != DEFAULT]
        pins = [s for s in found if s.parent and generations.get(s.parent) == s.generation]
        return opened + pins

    def local(self, id_: str) -> LocalSession:
        """The session of that id. Raises: UnknownName."""
        with self.use(id_):
            return LocalSession(self, id_)

    def end_session(self, id_: str, why: str = "it was ended by a call") -> None:
        """End a session. Raises: UnknownName."""
        if id_ == DEFAULT or not self.store.end(id_, why):
            raise UnknownName("session", id_)

    @contextmanager
    def use(self, id_: str) -> Iterator[Session]:
        """A unit of work with the session of that id. Raises: UnknownName."""
        self.find(id_)
        with self.store.use(id_) as found:
            if found is None:
                raise ConnectionError(LOST) if id_ == DEFAULT else UnknownName("session", id_)
            self.sync(found)
            yield found

    def find(self, *ids: str) -> list[bool]:
        """Which of these sessions there are; the default one begins when it is first needed."""
        *found, is_default = self.store.find(*ids, DEFAULT)
        if self.store.reloads() != self._reloads:
            self._catch_up()
        if not is_default:
            self.store.add(self.fresh(DEFAULT, "", self.catalog.get(self._start)))
        return found

    def sync(self, session: Session) -> None:
        """Give a session its active scenario as it is now.

        Where this process cannot have it, which another one may, all that needs it fails; a switch
        or a reset does not.
        """
        try:
            self._sync_scenario(session)
            if session.faults is not None and not session.added:
                session.added = self.catalog.faults(session.faults)
        except (ScenarioError, UnknownName) as error:
            session.unload(
                f"this mock cannot use the active scenario {session.active}: {error}; switch to "
                "another one, or give mocks with different files names of their own, after a # in "
                "MOCKBM_STATE"
            )

    def _sync_scenario(self, session: Session) -> None:
        if session.values is None:
            session.load(self.catalog.find(session.active))
        elif not session.is_loaded:
            session.load(self.catalog.inline(session.values))


LOST = "the shared state has lost the default session at this moment"


class LocalSession:
    """A session of a mock in this process, by its id; `client.RemoteSession` has the same calls.

    Made by a `Mock`. Any number of threads may use it. Every call raises UnknownName where the
    session has ended.
    """

    def __init__(self, mock: Mock, id_: str, api_key: str = "") -> None:
        self.id = id_
        self.api_key = api_key
        self._mock = mock

    @property
    def active(self) -> str:
        """The name of the active scenario."""
        with self._mock.use(self.id) as session:
            return session.active

    @property
    def scenario(self) -> Scenario:
        """The active scenario."""
        with self._mock.use(self.id) as session:
            return session.scenario

    def use(self, name: str) -> None:
        """Make another scenario active. Raises: UnknownName; RuntimeError for a pinned key's."""
        self._switch(self._mock.catalog.get(name), None)

    def use_values(self, values: Any) -> None:
        """Make a scenario active that is written as plain values, as in a scenario file.

        Raises: ScenarioError; RuntimeError for a pinned key's.
        """
        values = deepcopy(values)  # the caller may go on changing them
        self._switch(self._mock.catalog.inline(values), values)

    def _switch(self, scenario: Scenario, values: Any) -> None:
        self._mock.catalog.require_playable(scenario)
        scenario.prepare()
        with self._mock.use(self.id) as session:
            if session.parent is not None:
                raise RuntimeError("this session belongs to a key that is pinned to its scenario")
            session.switch(scenario, values)
            session.log("switch", f"{scenario.name} is active now", scenario=scenario.name)

    def use_faults(self, faults: Any) -> None:
        """Let requests meet these faults, as in a scenario file, before those of what is active.

        They replace those of an earlier call; the active scenario goes on. Raises: ScenarioError.
        """
        faults = deepcopy(faults)
        loaded = self._mock.catalog.faults(faults)
        with self._mock.use(self.id) as session:
            session.add_faults(faults, loaded)
            session.log("faults", f"{plural(len(loaded), 'fault')} added")

    def reset(self) -> None:
        """Go back to what a fresh start has: scenario, counts, clock and an empty journal."""
        with self._mock.use(self.id) as session:
            mock = self._mock
            clock = session.clock if session.parent else mock.clock
            try:
                start = mock.catalog.find(session.start)
            except UnknownName:
                start = mock.catalog.get(mock._start)
            session.reset(start, clock)
            session.log("reset", f"reset to {session.active}", scenario=session.active)

    @property
    def now(self) -> str:
        """What this session's clock shows, as dates go out."""
        with self._mock.use(self.id) as session:
            return outgoing(session.clock.now())

    def set_clock(self, text: str) -> None:
        """Stop the clock at a moment, and let the active scenario begin again there.

        Raises: ValueError for what is not a date, or one that is too far away.
        """
        clock = clock_at(text)
        with self._mock.use(self.id) as session:
            session.restart(clock)
            _log_clock(session, "stopped at")

    def advance_clock(self, text: str) -> None:
        """Put the clock forward by a duration such as `2d`. Raises: ValueError."""
        seconds = duration(_read(Duration(), text))
        with self._mock.use(self.id) as session:
            session.clock = session.clock.advanced(seconds)
            session.revision += 1
            _log_clock(session, "advanced to")

    def release_clock(self) -> None:
        """Let the clock show the machine's time, and let the active scenario begin again."""
        with self._mock.use(self.id) as session:
            session.restart(Clock())
            _log_clock(session, "released, at")

    def state(self) -> dict[str, list[dict[str, Any]]]:
        """The records that the session sees now: kind to records, in the order of the answers."""
        with self._mock.use(self.id) as session:
            session.advance()
            tables = {kind: session.table(kind) for kind in session.scenario.kinds}
            bodies = {kind: table.select({}).body for kind, table in tables.items()}
        return {kind: json.loads(body) for kind, body in bodies.items()}

    def requests(self, **filters: Any) -> list[Entry]:
        """The journal, oldest first; filters as for `narrowed`."""
        with self._mock.use(self.id) as session:
            journal = session.journal
        return narrowed(journal.entries(), **filters)

    def clear_requests(self) -> None:
        """Empty the journal."""
        with self._mock.use(self.id) as session:
            session.journal.clear()

    def end(self) -> None:
        """End the session: its key is refused from now on."""
        self._mock.end_session(self.id)


def _log_clock(session: Session, what: str) -> None:
    now = outgoing(session.clock.now())
    session.log("clock", f"the clock is {what} {now}", now=now)


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
