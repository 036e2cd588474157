"""One client's private world: what is active there, its records, counts, clock and journal."""

from __future__ import annotations

import hashlib
import itertools
import logging
import secrets
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache, reduce
from typing import Any, Protocol

from .errors import one_line
from .faults import NOTHING, Counts, Fault, Verdict, judge
from .fields import Row
from .journal import Journal
from .kind import Kind
from .scenario import Scenario
from .table import Table
from .times import Clock

DEFAULT = "default"
"""The id of the session of all keys that have no session of their own. It never ends."""

log = logging.getLogger("mockbm")


def new_key() -> str:
    """A fresh API key for a session, which cannot be guessed."""
    return secrets.token_urlsafe(24)


@lru_cache(maxsize=10_000)
def session_id(api_key: str) -> str:
    """The id of the session that has this key. The key cannot be derived from it."""
    return hashlib.sha256(api_key.encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass
class Session:
    """The state of one session. It is used within one unit of work at a time, and saved with it.

    start: name of the scenario that it began with, and goes back to.
    active: name of the active scenario.
    values: what the active scenario is made of, where it has no file.
    faults: what requests meet before the faults of the active scenario, as plain values, or None.
    added: the same, loaded.
    clock: the session's.
    began: when the active scenario became active, by that clock.
    revision: counts the changes of what is active, from 1.
    generation: grows when the session's pinned keys begin again.
    parent: of a pinned key, the id of the session whose key it is made of.
    number: of the newest request in the journal.
    fingerprint: of the content of the active scenario when it became active.
    written: what clients have changed: kind to id to the record, or None where it was removed.
    memo: what endpoints have computed from the records, for as long as these are as they are.
    journal: where requests are recorded; the store's.
    lack: why the active scenario is not at hand, where it is not.
    """

    id: str
    label: str
    start: str
    active: str
    clock: Clock
    began: datetime
    values: Any = None
    faults: Any = None
    revision: int = 1
    generation: int = 1
    parent: str | None = None
    number: int = 0
    fingerprint: str = ""
    counts: Counts = field(default_factory=Counts)
    written: dict[str, dict[int, Row | None]] = field(default_factory=dict)
    memo: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)
    journal: Journal = field(init=False, repr=False)
    added: tuple[Fault, ...] = field(default=(), init=False)
    lack: str = field(default="", init=False, repr=False)
    _scenario: Scenario | None = field(default=None, init=False, repr=False)
    _tables: dict[str, Table] | None = field(default=None, init=False, repr=False)

    @property
    def name(self) -> str:
        """What the log calls it: its label, or the beginning of its id."""
        return one_line(self.label or self.id[:8])

    def log(self, event: str, text: str, **details: object) -> None:
        """Log what has happened to it: `text` for people, the rest for programs."""
        fields = {"event": event, "session": self.id, "label": self.label, **details}
        log.info("%s: %s", self.name, text, extra={"fields": fields})

    @property
    def scenario(self) -> Scenario:
        """The active scenario. Raises: ConnectionError where it is not at hand."""
        if self._scenario is None:
            raise ConnectionError(self.lack)
        return self._scenario

    @property
    def is_loaded(self) -> bool:
        """Whether the active scenario is at hand."""
        return self._scenario is not None

    def unload(self, why: str) -> None:
        """Note why the active scenario is not at hand; all that needs it fails."""
        self._scenario, self.lack = None, why

    def load(self, scenario: Scenario) -> None:
        """Take the active scenario as it is now; it begins again where its content is new."""
        if self._scenario is scenario:
            return
        is_new = self.fingerprint != scenario.fingerprint
        self._scenario = scenario
        self._tables, self.memo = None, {}
        if is_new and self.fingerprint:
            self.restart()
        self.fingerprint = scenario.fingerprint

    def switch(self, scenario: Scenario, values: Any = None) -> None:
        """Make another scenario active. values: what it is made of, where it has no file."""
        self.active, self.values, self.faults, self.added = scenario.name, values, None, ()
        self._scenario, self.fingerprint = scenario, scenario.fingerprint
        self.restart()

    def add_faults(self, values: Any, faults: tuple[Fault, ...]) -> None:
        """Let requests meet these `faults` first. The active scenario and its own go on.

        Raises: ConnectionError where it is not at hand, and nothing has changed.
        """
        before = len(self.all_faults) - len(self.scenario.faults)
        if self.counts.met:
            self.counts.met[:before] = [0] * len(faults)
            self.counts.passed[:before] = [[] for _ in faults]
        self.faults, self.added = values or None, faults
        self.revision += 1

    @property
    def all_faults(self) -> tuple[Fault, ...]:
        """What requests meet, in this order."""
        return (*self.added, *self.scenario.faults) if self.added else self.scenario.faults

    def restart(self, clock: Clock | None = None) -> None:
        """Let the active scenario begin again, perhaps by another clock."""
        if clock is not None:
            self.clock = clock
            self.generation += 1
        self.began = self.clock.now()
        self.revision += 1
        self.counts, self.written, self._tables, self.memo = Counts(), {}, None, {}

    def reset(self, scenario: Scenario, clock: Clock) -> None:
        """Go back to what a fresh start has: scenario, counts, clock and an empty journal."""
        self.active = self.start
        self.switch(scenario)
        self.restart(clock)
        self.revision, self.number = 1, 0
        self.journal.clear()

    @property
    def seconds(self) -> float:
        """How long the scenario has been active, by the session's clock."""
        return (self.clock.now() - self.began).total_seconds()

    def table(self, kind: str) -> Table:
        """The records of a kind as they are now; `put` changes them."""
        if self._tables is None:
            self._tables = self._build()
        return self._tables[kind]

    def put(self, kind: str, row: Row) -> None:
        """Write a complete record that a client has created or changed."""
        self._change(kind).put(row)
        self.written.setdefault(kind, {})[row["id"]] = row

    def _change(self, kind: str) -> Table:
        """The table of a kind, of which this session has its own from now on."""
        table = self.table(kind)
        assert self._tables is not None
        if table is self.scenario.tables[kind]:
            table = self._tables[kind] = table.fork()
        return table

    def _build(self) -> dict[str, Table]:
        """The tables from what the scenario has, how far it has gone on, and what was written."""
        self._tables = dict(self.scenario.tables)
        stages = iter(self.counts.stages)
        stage = {(kind.name, row["id"]): next(stages, 0) for kind, row in self.scenario.changing}
        for name, rows in self.scenario.particular.items():
            kind = self.scenario.kinds[name]
            for id_, row in rows.items():
                if not stage.get((name, id_)):
                    self._show(kind, kind.resolved(row, self.began))
        for kind, loaded in self.scenario.changing:
            reached = stage[kind.name, loaded["id"]]
            if reached:
                self._show(kind, self._staged(kind, loaded, reached))
        for name, written in self.written.items():
            for id_, row_or_none in written.items():
                if row_or_none is None:
                    self._change(name).remove(id_)
                else:
                    self._change(name).put(row_or_none)
        return self._tables

    def _show(self, kind: Kind, row: Row) -> None:
        """Put a record of the scenario into its table, or take it out where it is absent."""
        if not row.get("absent"):
            self._change(kind.name).put(row)
        elif row["id"] in self.table(kind.name):
            self._change(kind.name).remove(row["id"])

    def _staged(self, kind: Kind, loaded: Row, stage: int) -> Row:
        """A complete record after so many of its changes."""
        plain = {name: value for name, value in loaded.items() if name != "changes"}
        row = kind.resolved(reduce(kind.changed, loaded["changes"][:stage], plain), self.began)
        first = self.scenario.particular[kind.name][loaded["id"]]
        # What is counted among all records is as it was at first.
        row = {name: first[name] for name in kind.derived if name in first} | row
        (full,) = kind.complete([row], {})
        return full

    def advance(self) -> None:
        """Apply the changes of the scenario that are due. None is ever undone."""
        for advance in self.scenario.advances:
            advance(self)
        changing = self.scenario.changing
        if not changing:
            return
        before = self.counts.stages or [0] * len(changing)
        stages = [*map(max, self.stages(), before)]
        if stages == before:
            return
        self.table(changing[0][0].name)
        self.counts.stages = stages
        for (kind, loaded), old, new in zip(changing, before, stages, strict=True):
            if new > old:
                self._go_on(kind, loaded, old, new)

    def _go_on(self, kind: Kind, loaded: Row, old: int, new: int) -> None:
        """Apply some changes of one record; one that a client has written is changed as it is."""
        written = self.written.get(kind.name, {}).get(loaded["id"])
        if written is None:
            self._show(kind, self._staged(kind, loaded, new))
            return
        row = reduce(kind.changed, loaded["changes"][old:new], written)
        (full,) = kind.complete([kind.resolved(row, self.began)], {})
        self.written[kind.name][loaded["id"]] = None if full.get("absent") else full
        self._show(kind, full)

    def stages(self) -> list[int]:
        """The number of its changes that each changing record has behind it by now."""
        passed = {"calls": float(self.counts.calls), "seconds": self.seconds}
        return [
            sum(
                1
                for _ in itertools.takewhile(
                    lambda change: change["after"][1] <= passed[change["after"][0]], row["changes"]
                )
            )
            for _, row in self.scenario.changing
        ]

    def judge(self, path: str, parameters: Mapping[str, Any]) -> Verdict:
        """What the scenario's faults do to a request to an endpoint."""
        faults = self.all_faults
        if not faults:
            return NOTHING
        return judge(faults, self.counts, path, parameters, self.clock.now().timestamp())

    def count(self) -> None:
        """Count an answer with records, where what follows may depend on it."""
        if self.is_live:
            self.counts.calls += 1

    @property
    def is_live(self) -> bool:
        """Whether an answer depends on more than the request: counts, the clock, chance."""
        return bool(self.added) or self.scenario.is_live

    @property
    def depends_on_calls(self) -> bool:
        """Whether an answer depends on earlier requests, or on when the scenario became active."""
        return any(fault.counts for fault in self.added) or self.scenario.counts


class Store(Protocol):
    """Where sessions are. Any number of threads, and perhaps processes, use it at once.

    Every call may raise ConnectionError, where the store is elsewhere and cannot be reached.
    name: for people.
    shared: whether other processes use the same.
    """

    name: str
    shared: bool

    def use(self, id_: str) -> AbstractContextManager[Session | None]:
        """A unit of work: exclusive use of one session, which is saved at the end.

        None where there is no such session.
        """

    def find(self, *ids: str) -> list[bool]:
        """Which of these sessions there are. This counts as a use of them."""

    def add(self, session: Session, most: int | None = None) -> bool:
        """Add a session unless one of its id is there, or `most` without pins and the default."""

    def sessions(self) -> list[Session]:
        """All of them as they are at this moment, pins too, in the order in which they opened."""

    def end(self, id_: str, why: str = "") -> bool:
        """End a session and its pins. why: what `ended` returns. Returns: whether it was there."""

    def ended(self, id_: str) -> str | None:
        """Why a session has ended, for some time."""

    def reloads(self) -> int:
        """How often the scenario files were read again, as of the last `find`."""

    def add_reload(self) -> int:
        """Count one more. Returns: the new number."""
