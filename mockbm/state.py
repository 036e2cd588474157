"""What outlives a request: where each session stands, what it has counted, its journal.

`State` is all that a mock asks of whoever keeps this. Here it is kept in memory, for one process;
`redis_state` keeps it for any number of them.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeVar

from .faults import Counts
from .journal import Journal, MemoryJournal
from .times import Clock

Result = TypeVar("Result")

DEFAULT = "default"
"""The id of the session that all keys see which have no session of their own. It never ends."""

KEPT_ENDINGS = 1_000
"""Ended sessions of which it is remembered why they ended."""


@dataclass(frozen=True, eq=False)
class Standing:
    """Where one session stands. Every change replaces it as a whole.

    start: name of the scenario that it began with, and goes back to.
    scenario: name of the active one.
    clock: the session's.
    began: when the active scenario became active there, by that clock.
    values: what the active scenario is made of, where it has no file.
    revision: counts the changes of what is answered, from 1.
    epoch: grows whenever the active scenario begins anew; counts of an earlier epoch are void.
    era: grows whenever the pins of the session begin anew; of a pin, its parent's when it began.
    parent: of a pin, the id of the session whose key it is made of.
    """

    id: str
    label: str
    start: str
    scenario: str
    clock: Clock
    began: datetime
    values: Any = None
    revision: int = 1
    epoch: int = 1
    era: int = 1
    parent: str | None = None


class State(Protocol):
    """Where sessions are kept. Any number of threads, and perhaps processes, use it at once.

    Every call may raise ConnectionError, where the state is elsewhere and cannot be reached.
    name: for people.
    shared: whether other processes see the same.
    """

    name: str
    shared: bool

    def look(self, *ids: str, used: bool = False) -> list[Standing | None]:
        """Where these sessions stand; None for one that is not there.

        used: whether this is a use of the sessions, which puts off their ends.
        """

    def standings(self) -> list[Standing]:
        """All of them, pins too, in the order in which they were opened."""

    def open(self, standing: Standing, most: int | None = None) -> Standing | None:
        """Add a session unless one of its id is there. Returns: the one that is there now.

        most: how many sessions there may be, without the default one and pins; with that many
            there already, nothing is added, and None returned.
        """

    def change(self, id_: str, act: Callable[[Standing], Standing]) -> Standing | None:
        """Replace a standing by what `act` makes of it. Returns: that; None where none is there.

        `act` may be called several times, when others make changes meanwhile; nothing is changed
        where it raises.
        """

    def end(self, id_: str, why: str = "") -> bool:
        """End a session and its pins; why is remembered. Returns: whether it was there."""

    def ended(self, id_: str) -> str | None:
        """Why a session has ended that was there once, while that is remembered."""

    def count(self, id_: str, epoch: int, act: Callable[[Counts], Result]) -> Result:
        """Let `act` change the counts of a session's epoch, and return what it returns.

        One after the other, so that each sees what the one before left. The counts of an epoch
        that is over are lost.
        """

    def journal(self, id_: str) -> Journal:
        """The journal of a session."""

    def reloads(self) -> int:
        """How often the scenario files were read again, as of the last look."""

    def add_reload(self) -> int:
        """Count one more. Returns: how often it is now."""


@dataclass
class _Kept:
    """A session in memory."""

    standing: Standing
    journal: MemoryJournal
    used: float
    counts: Counts = field(default_factory=Counts)
    counted: int = 0


class MemoryState:
    """The state of one process, in its memory.

    journal_size: requests that each journal keeps.
    idle_seconds: how long a session may go without a request before it ends.
    """

    name = "memory"
    shared = False

    def __init__(self, journal_size: int, idle_seconds: float) -> None:
        self._journal_size = journal_size
        self._idle_seconds = idle_seconds
        self._sessions: dict[str, _Kept] = {}
        self._endings: OrderedDict[str, str] = OrderedDict()
        self._reloads = 0
        self._lock = threading.RLock()

    def look(self, *ids: str, used: bool = False) -> list[Standing | None]:
        now = time.monotonic()
        found: list[Standing | None] = []
        for id_ in ids:
            kept = self._sessions.get(id_)
            if kept is not None and kept.used < now - self._idle_seconds and id_ != DEFAULT:
                self._end_idle()
                kept = None
            if kept is not None and used:
                kept.used = now
            found.append(kept.standing if kept else None)
        return found

    def standings(self) -> list[Standing]:
        with self._lock:
            self._end_idle()
            return [kept.standing for kept in self._sessions.values()]

    def open(self, standing: Standing, most: int | None = None) -> Standing | None:
        with self._lock:
            if standing.id in self._sessions:
                return self._sessions[standing.id].standing
            if most is not None and self._opened() >= most:
                return None
            journal = MemoryJournal(self._journal_size)
            self._sessions[standing.id] = _Kept(standing, journal, time.monotonic())
            return standing

    def change(self, id_: str, act: Callable[[Standing], Standing]) -> Standing | None:
        with self._lock:
            kept = self._sessions.get(id_)
            if kept is None:
                return None
            kept.standing = act(kept.standing)
            return kept.standing

    def end(self, id_: str, why: str = "") -> bool:
        with self._lock:
            kept = self._sessions.pop(id_, None)
            for pin in [item for item in self._sessions.values() if item.standing.parent == id_]:
                del self._sessions[pin.standing.id]
            if kept is not None and why:
                self._endings[id_] = why
            if len(self._endings) > KEPT_ENDINGS:
                self._endings.popitem(last=False)
            return kept is not None

    def ended(self, id_: str) -> str | None:
        return self._endings.get(id_)

    def count(self, id_: str, epoch: int, act: Callable[[Counts], Result]) -> Result:
        with self._lock:
            kept = self._sessions.get(id_)
            if kept is None or kept.counted > epoch:
                return act(Counts())
            if kept.counted < epoch:
                kept.counts, kept.counted = Counts(), epoch
            return act(kept.counts)

    def journal(self, id_: str) -> Journal:
        kept = self._sessions.get(id_)
        return kept.journal if kept else MemoryJournal(self._journal_size)

    def reloads(self) -> int:
        return self._reloads

    def add_reload(self) -> int:
        with self._lock:
            self._reloads += 1
            return self._reloads

    def _opened(self) -> int:
        self._end_idle()
        return sum(
            kept.standing.parent is None for id_, kept in self._sessions.items() if id_ != DEFAULT
        )

    def _end_idle(self) -> None:
        long_ago = time.monotonic() - self._idle_seconds
        with self._lock:
            for id_, kept in list(self._sessions.items()):
                if kept.used < long_ago and id_ != DEFAULT:
                    self.end(id_, idle_ending(self._idle_seconds))


def idle_ending(seconds: float) -> str:
    """Why a session has ended that nobody used."""
    return f"it was idle for over {seconds:g} seconds"
