"""Sessions in the memory of one process."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from contextlib import AbstractContextManager, nullcontext

from ..core.journal import DEFAULT_SIZE, Entry, Record
from ..core.session import DEFAULT, Session
from ..core.times import monotonic

MAX_ENDINGS = 1_000
"""Ended sessions of which the reason is known."""


class MemoryJournal:
    """The newest requests of one session."""

    def __init__(self, size: int = DEFAULT_SIZE) -> None:
        self._records: deque[Record] = deque(maxlen=size)
        self.add = self._records.append
        self.clear = self._records.clear

    def update(self, record: Record) -> None:
        """Nothing is to be done: the records themselves are what is here."""

    def entries(self) -> list[Entry]:
        """The entries, oldest first."""
        return [record.entry() for record in self._records.copy()]


class _Slot:
    """A session in memory, and a unit of work with it."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.lock = threading.RLock()
        self.used = monotonic()
        self.ended = False

    def __enter__(self) -> Session | None:
        self.lock.acquire()
        return None if self.ended else self.session

    def __exit__(self, *_: object) -> None:
        self.lock.release()


class MemoryStore:
    """The sessions of one process; see `mockbm.core.session.Store`.

    journal_size: requests that each journal holds.
    idle_seconds: how long a session may go without a request before it ends.
    """

    name = "memory"
    shared = False

    def __init__(self, journal_size: int, idle_seconds: float) -> None:
        self._journal_size = journal_size
        self._idle_seconds = idle_seconds
        self._slots: dict[str, _Slot] = {}
        self._endings: OrderedDict[str, str] = OrderedDict()
        self._reloads = 0
        self._lock = threading.RLock()

    def use(self, id_: str) -> AbstractContextManager[Session | None]:
        return self._slots.get(id_) or nullcontext()

    def find(self, *ids: str) -> list[bool]:
        now = monotonic()
        found = []
        for id_ in ids:
            slot = self._slots.get(id_)
            if slot is not None and now - slot.used > self._idle_seconds and id_ != DEFAULT:
                self._end_idle()
                slot = None
            if slot is not None:
                slot.used = now
            found.append(slot is not None)
        return found

    def add(self, session: Session, most: int | None = None) -> bool:
        with self._lock:
            self._end_idle()
            opened = sum(
                slot.session.parent is None for id_, slot in self._slots.items() if id_ != DEFAULT
            )
            if session.id in self._slots or (most is not None and opened >= most):
                return False
            session.journal = MemoryJournal(self._journal_size)
            self._slots[session.id] = _Slot(session)
            return True

    def sessions(self) -> list[Session]:
        with self._lock:
            self._end_idle()
            return [slot.session for slot in self._slots.values()]

    def end(self, id_: str, why: str = "") -> bool:
        with self._lock:
            pins = [key for key, slot in self._slots.items() if slot.session.parent == id_]
            slots = [self._slots.pop(key, None) for key in (id_, *pins)]
            for slot in slots:
                if slot is not None:
                    slot.ended = True
                    slot.session.log("ended", f"ended: {why}")
            if slots[0] is not None and why:
                self._endings[id_] = why
            if len(self._endings) > MAX_ENDINGS:
                self._endings.popitem(last=False)
            return slots[0] is not None

    def ended(self, id_: str) -> str | None:
        return self._endings.get(id_)

    def reloads(self) -> int:
        return self._reloads

    def add_reload(self) -> int:
        with self._lock:
            self._reloads += 1
            return self._reloads

    def _end_idle(self) -> None:
        now = monotonic()
        with self._lock:
            for id_, slot in list(self._slots.items()):
                if now - slot.used > self._idle_seconds and id_ != DEFAULT:
                    self.end(id_, idle_ending(self._idle_seconds))


def idle_ending(seconds: float) -> str:
    """Why a session has ended that was not used."""
    return f"it was idle for over {seconds:g} seconds"
