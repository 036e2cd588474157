"""The journal: the requests received, with what was decided and why. Bounded, and free of keys."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timezone
from typing import Any, NamedTuple, Protocol

from .document import one_line

DEFAULT_SIZE = 1_000
"""Requests that one journal keeps; the oldest make room for new ones."""

MAX_SIZE = 10_000_000
"""Requests that one journal can be told to keep."""

MAX_IDS = 100
"""Ids that one entry keeps of a long answer; `count` has how many there were."""

MAX_ANSWER = 4_096
"""Bytes that an entry keeps of the body of the answer."""

MAX_PARAMETERS = 30
"""Parameters that one entry keeps."""

MAX_EXPLANATION = 2_000
"""Characters that an entry keeps of its explanation."""

MAX_TEXT = 300
"""Characters that an entry keeps of one text that a client sent."""


@dataclass(frozen=True)
class Entry:
    """One request and its answer. Texts that a client sent are cut at `MAX_TEXT` characters.

    number: counts the requests of this journal from 1.
    time: when it was answered, UTC, as in `2024-03-04T09:03:43.920000Z`.
    path: without the query.
    status: that of the answer; 0 where a fault let no answer arrive.
    parameters: what was understood: name to text. Names as BuildMaster spells them.
    places: name of a parameter to "query", "form" or "JSON".
    scenario, revision: what answered, as in the headers X-Mockbm-Scenario and X-Mockbm-Revision.
    count, ids: how many releases the answer had, and the ids of the first `MAX_IDS`.
    answer, size: the beginning of the body that was answered, as text, and the bytes of all of it.
    duration: seconds from the first look at the request to the finished answer.
    explanation: why the answer is what it is.
    ignored: names of parameters that had no effect though they were meant to.
    notes: what else was odd.
    """

    number: int
    time: str
    method: str
    path: str
    status: int
    scenario: str
    revision: int
    parameters: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    count: int = 0
    ids: tuple[int, ...] = ()
    answer: str = ""
    size: int = 0
    duration: float = 0.0
    explanation: str = ""
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """One line for a person, as reports of failed tests show it."""
        sent = "".join(f" {name}={value!r}" for name, value in self.parameters.items())
        asked = f"{self.method} {self.path}{sent} -> {self.status}"
        return f"#{self.number} {one_line(asked)} [{self.scenario}] {one_line(self.explanation)}"

    def to_json(self) -> dict[str, Any]:
        """The entry as the admin API tells it."""
        return asdict(self)

    @classmethod
    def told(cls, number: int, told: Told) -> Entry:
        """The entry of this number that a journal was told."""
        return cls(number=number, **told.fields())

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Entry:
        """The entry that `to_json` told. Names that a newer mock added are passed over."""
        known = {item.name for item in fields(cls)}
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in data.items()
            if name in known
        }
        return cls(**values)


class Told(NamedTuple):
    """What a journal is told of a request: an entry, but for its number."""

    at: float
    """When it was answered: seconds of Unix time."""
    duration: float
    values: Mapping[str, Any]
    """All other fields of the entry, `answer` as bytes; nothing may change them any more."""

    def fields(self) -> dict[str, Any]:
        """The fields of the entry, but for its number."""
        when = datetime.fromtimestamp(self.at, timezone.utc).isoformat(timespec="microseconds")
        answer = self.values["answer"].decode("utf-8", "ignore")  # which may end within a letter
        return {
            "time": f"{when[:-6]}Z",
            "duration": self.duration,
            **self.values,
            "answer": answer,
        }


class Journal(Protocol):
    """The newest requests of one session. Any number of threads may use it."""

    def record(self, told: Told) -> int:
        """Add an entry. Returns: its number, the next one."""

    def clear(self) -> None:
        """Forget the entries; numbers go on."""

    def restart(self) -> None:
        """Forget the entries; numbers begin at 1."""

    def all(self) -> list[Entry]:
        """The entries, oldest first."""


class MemoryJournal:
    """A journal in memory. What it is told becomes entries only when somebody looks."""

    def __init__(self, size: int = DEFAULT_SIZE) -> None:
        self._told: deque[Told] = deque(maxlen=size)
        self._lock = threading.Lock()
        self._count = 0

    def record(self, told: Told) -> int:
        with self._lock:
            self._told.append(told)
            self._count += 1
            return self._count

    def clear(self) -> None:
        with self._lock:
            self._told.clear()

    def restart(self) -> None:
        with self._lock:
            self._told.clear()
            self._count = 0

    def all(self) -> list[Entry]:
        with self._lock:
            told, newest = [*self._told], self._count
        return [*map(Entry.told, range(newest - len(told) + 1, newest + 1), told)]


def narrowed(
    entries: Iterable[Entry],
    *,
    method: str | None = None,
    status: int | None = None,
    parameter: str | None = None,
    after: int | None = None,
    count: int | None = None,
) -> list[Entry]:
    """Some of the entries of a journal, in their order.

    method: only those of one method, in capitals or not.
    status: only those that were answered with it.
    parameter: only those that had it: a name, or `name=value`.
    after: only those with a higher number.
    count: only so many, the newest of those that the others leave.
    """
    if after is not None:
        entries = [entry for entry in entries if entry.number > after]
    if method is not None:
        entries = [entry for entry in entries if entry.method == method.upper()]
    if status is not None:
        entries = [entry for entry in entries if entry.status == status]
    if parameter is not None:
        name, has_value, value = parameter.partition("=")
        entries = [
            entry
            for entry in entries
            if name in entry.parameters and (not has_value or entry.parameters[name] == value)
        ]
    found = list(entries)
    return found if count is None else found[max(len(found) - count, 0) :]
