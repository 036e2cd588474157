"""The journal: the requests received, with what was decided and why. It is bounded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timezone
from typing import Any, Protocol

from .errors import one_line
from .request import Call, printable

DEFAULT_SIZE = 1_000
"""Requests that one journal holds; the oldest make room for new ones."""

MAX_SIZE = 10_000_000
"""Requests that one journal can be set to hold."""

MAX_IDS = 100
"""Ids that one entry has of a long answer; `count` is the number of all of them."""

MAX_ANSWER = 4_096
"""Bytes that an entry has of the body of the answer."""

MAX_PARAMETERS = 30
"""Parameters that one entry has."""

MAX_EXPLANATION = 2_000
"""Characters that an entry has of its explanation."""

MAX_TEXT = 300
"""Characters that an entry has of one text that a client sent."""


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
    count, ids: the number of records in the answer, and the ids of the first `MAX_IDS`.
    answer, size: the beginning of the body of the answer, as text, and the bytes of all of it.
    duration: seconds from the arrival of the request to the answer, with the delay of a fault.
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
        request = f"{self.method} {self.path}{sent} -> {self.status}"
        return one_line(f"#{self.number} {request} [{self.scenario}] {self.explanation}")

    def to_json(self) -> dict[str, Any]:
        """The entry as the admin API shows it."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Entry:
        """The entry that `to_json` wrote. Names that a newer mock has added are ignored."""
        known = {item.name for item in fields(cls)}
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in data.items()
            if name in known
        }
        return cls(**values)


@dataclass(eq=False, slots=True)
class Record:
    """One request as it is recorded: cheaply, since few requests are ever read as an `Entry`.

    at: seconds of Unix time. call: what the request said, which does not change any more.
    matches: the `count` of the entry.
    """

    number: int
    at: float
    duration: float
    method: str
    path: str
    status: int
    scenario: str
    revision: int
    call: Call
    matches: int
    ids: Sequence[int]
    answer: bytes
    size: int
    explanation: str
    notes: tuple[str, ...]

    def line(self) -> str:
        """The same as `str` of the entry; made for each request where there is a log."""
        values = self.call.values
        recorded = values if len(values) <= MAX_PARAMETERS else [*values][:MAX_PARAMETERS]
        sent = "".join(
            [f" {name[:MAX_TEXT]}={str(values[name])[:MAX_TEXT]!r}" for name in recorded]
        )
        return one_line(
            f"#{self.number} {self.method[:MAX_TEXT]} {self.path[:MAX_TEXT]}{sent} -> "
            f"{self.status} [{self.scenario}] {self.explanation[:MAX_EXPLANATION]}"
        )

    def entry(self) -> Entry:
        """The entry of the journal."""
        call = self.call
        recorded = [*call.values][:MAX_PARAMETERS]
        empty = map(printable, call.empty[:MAX_PARAMETERS])
        notes = [
            *call.notes[:MAX_PARAMETERS],
            *(f"{name} is empty, so it counts as left out" for name in empty),
            *self.notes,
        ]
        if len(call.values) > len(recorded):
            notes.append(f"{len(call.values) - len(recorded)} further ones are not recorded")
        return Entry(
            number=self.number,
            time=utc(self.at),
            method=self.method[:MAX_TEXT],
            path=self.path[:MAX_TEXT],
            status=self.status,
            scenario=self.scenario,
            revision=self.revision,
            parameters={name[:MAX_TEXT]: str(call.values[name])[:MAX_TEXT] for name in recorded},
            places={name[:MAX_TEXT]: call.places[name] for name in recorded},
            count=self.matches,
            ids=tuple(self.ids),
            answer=self.answer.decode("utf-8", "ignore"),  # which may end within a letter
            size=self.size,
            duration=self.duration,
            explanation=self.explanation[:MAX_EXPLANATION],
            ignored=tuple(name[:MAX_TEXT] for name in call.ignored[:MAX_PARAMETERS]),
            notes=tuple(note[:MAX_TEXT] for note in notes),
        )


def utc(at: float) -> str:
    """Seconds of Unix time as entries show it."""
    return f"{datetime.fromtimestamp(at, timezone.utc).isoformat(timespec='microseconds')[:-6]}Z"


class Journal(Protocol):
    """The newest requests of one session."""

    def add(self, record: Record) -> None:
        """Add a request."""

    def update(self, record: Record) -> None:
        """Write a request anew that was added and has changed, if it is still there."""

    def clear(self) -> None:
        """Remove all entries."""

    def entries(self) -> list[Entry]:
        """The entries, oldest first."""


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
    name, has_value, value = (parameter or "").partition("=")
    found = [
        entry
        for entry in entries
        if (after is None or entry.number > after)
        and (method is None or entry.method == method.upper())
        and (status is None or entry.status == status)
        and (parameter is None or name in entry.parameters)
        and (not has_value or entry.parameters[name] == value)
    ]
    return found if count is None else found[max(len(found) - count, 0) :]
