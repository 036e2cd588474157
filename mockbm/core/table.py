"""Records of one kind: indexed by filters, selected, explained, and written as JSON."""

from __future__ import annotations

import json
import operator
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import islice
from typing import Any

from .errors import Names
from .explanation import Step, explain
from .fields import Row, fold, write_json
from .kind import Kind

MAX_GUESSES = 1_000
"""Values among which the nearest to one that nothing has is searched."""

BATCH = 1_000
"""Records that are written as JSON at a time, so that few are in memory twice."""

MAX_RESULTS = 256
"""Selections that a table keeps, for requests that come again and again."""

MAX_KEPT_BYTES = 8_192
"""Bytes of JSON that such a selection has at most."""


@dataclass(eq=False, slots=True)
class Selection:
    """The records that match, in the order of the answer. body: a JSON array."""

    ids: Sequence[int]
    body: bytes
    explanation: str


@dataclass
class _Record:
    """A record that a session has changed or created."""

    kind: Kind
    row: Row
    rank: tuple[Any, ...]

    @cached_property
    def json(self) -> bytes:
        """Written when it is first read: one call may change a record that another one reads."""
        ((_, text),) = _written(self.kind, [self.row])
        return text


class Table:
    """The records of one kind, in the order of the answer.

    What a scenario's file has is written as JSON and indexed once, and shared by all sessions: it
    never changes. A session works on a `fork` of it, in which it may `put` and `remove` records;
    only those are its own. Finding what matches costs as much as the rarer of the first two
    filter values has records, however many there are.

    rows: complete records.
    places: id to its place where the order is that of the file; None for the newest first.
    reserved: the highest id that is taken by something else than these rows.

    Any number of threads may read a table; only one may change it, when none reads.
    """

    def __init__(
        self,
        kind: Kind,
        rows: Iterable[Row],
        places: Mapping[int, int] | None = None,
        reserved: int = 0,
    ) -> None:
        self.kind = kind
        self._reserved = reserved
        self._places = places
        unordered = [
            (self._rank(row), row["id"], text, [_shared(row.get(p)) for p in kind.filters.values()])
            for row, text in _written(kind, rows)
        ]
        unordered.sort(key=operator.itemgetter(0), reverse=places is None)
        self._ranks = [rank for rank, *_ in unordered]
        self._ids = [id_ for _, id_, *_ in unordered]
        self._json = [text for _, _, text, _ in unordered]
        self._position = {id_: position for position, id_ in enumerate(self._ids)}
        self._keys: dict[str, list[Any]] = {}
        self._index: dict[str, dict[Any, int | array[int]]] = {}
        for column, name in enumerate(kind.filters):
            self._keys[name] = [keys[column] for *_, keys in unordered]
            self._index[name] = _indexed(self._keys[name])
        self._names: dict[str, Names] = {}
        self._start_empty()

    def _start_empty(self) -> None:
        """Begin without records of one's own."""
        self._own: dict[int, _Record] = {}
        self._hidden: set[int] = set()
        self._changed: dict[str, tuple[dict[Any, set[int]], dict[Any, set[int]]]] = {}
        self._own_names: dict[str, Names] = {}
        self._results: dict[tuple[Any, ...], Selection] = {}
        self._highest: int | None = None

    def fork(self) -> Table:
        """A table with the same records, whose changes are its own."""
        fork: Table = object.__new__(Table)
        fork.__dict__.update(self.__dict__)
        fork._start_empty()
        return fork

    def __len__(self) -> int:
        return len(self._ids) - len(self._hidden) + len(self._own)

    def __contains__(self, id_: int) -> bool:
        return id_ in self._own or (
            id_ in self._position and self._position[id_] not in self._hidden
        )

    def get(self, id_: int) -> Row | None:
        """The record of an id, or None. It is the caller's to change; `put` puts it back."""
        if id_ in self._own:
            return dict(self._own[id_].row)
        position = self._position.get(id_)
        if position is None or position in self._hidden:
            return None
        row: Row = json.loads(self._json[position])
        fields = self.kind.schema._declared_fields
        if row.keys() <= fields.keys():
            return row
        return row | {"extra": {name: row.pop(name) for name in [*row] if name not in fields}}

    @property
    def highest_id(self) -> int:
        """The highest id that is taken: by a record that is or was here, or reserved."""
        if self._highest is None:
            self._highest = max((self._reserved, *self._ids))
        return self._highest

    def put(self, row: Row) -> None:
        """Add a complete record, or put it in the place of the one with its id."""
        self._highest = max(self.highest_id, row["id"])
        self.remove(row["id"])
        self._own[row["id"]] = _Record(self.kind, row, self._rank(row))
        for name, (own, _) in self._changed.items():
            own.setdefault(self._key(row, name), set()).add(row["id"])

    def remove(self, id_: int) -> None:
        """Take out the record of this id, if there is one."""
        self._results.clear()
        self._own_names.clear()
        record, at = self._own.pop(id_, None), self._position.get(id_)
        if record is not None:
            for name, (own, _) in self._changed.items():
                own[self._key(record.row, name)].discard(id_)
        if at is not None and at not in self._hidden:
            self._hidden.add(at)
            for name, (_, hidden) in self._changed.items():
                hidden.setdefault(self._keys[name][at], set()).add(at)

    def _key(self, row: Row, name: str) -> Any:
        """What a filter compares of a record."""
        return fold(row.get(self.kind.filters[name]))

    def _index_changed(self, name: str) -> tuple[dict[Any, set[int]], dict[Any, set[int]]]:
        """Ids of own records and positions of hidden ones, each by what a filter compares.

        Made when a filter first needs it, since few of them are used in a session.
        """
        if name not in self._changed:
            own: dict[Any, set[int]] = {}
            hidden: dict[Any, set[int]] = {}
            for id_, record in self._own.items():
                own.setdefault(self._key(record.row, name), set()).add(id_)
            for at in self._hidden:
                hidden.setdefault(self._keys[name][at], set()).add(at)
            self._changed[name] = own, hidden
        return self._changed[name]

    def select(self, filters: Mapping[str, Any]) -> Selection:
        """The records that match every filter, and why.

        Texts match as a whole and ignore case [S "any value", C]; a record without the property
        never matches.
        """
        wanted = (*filters.items(),)
        found = self._results.get(wanted)
        if found is None:
            found = self._select(wanted)
            if len(found.body) <= MAX_KEPT_BYTES or not wanted:
                if len(self._results) >= MAX_RESULTS:
                    self._results.clear()
                self._results[wanted] = found
        return found

    def ids(self, filters: Mapping[str, Any]) -> list[int]:
        """The ids of what matches every filter; `select` also says why, which takes longer."""
        return self._match((*filters.items(),))[0]

    def json(self, id_: int) -> bytes:
        """The record of an id that is here, as JSON."""
        return self._own[id_].json if id_ in self._own else self._json[self._position[id_]]

    def _select(self, wanted: Sequence[tuple[str, Any]]) -> Selection:
        ids, texts, steps = self._match(wanted)
        return Selection(ids, b"[" + b",".join(texts) + b"]", self._explain(steps))

    def _match(
        self, wanted: Sequence[tuple[str, Any]]
    ) -> tuple[list[int], list[bytes], list[Step]]:
        """The ids and the JSON of the records that match, and what each filter did."""
        positions: Sequence[int] = range(len(self._ids))
        own: set[int] | None = None
        hidden: set[int] | None = None
        steps: list[Step] = []
        before: list[tuple[list[Any], Any]] = []
        for name, value in wanted:
            key, keys = fold(value), self._keys[name]
            found = self._index[name].get(key, ())
            alone = (found,) if isinstance(found, int) else found
            if not before:
                positions = alone
            elif len(positions) <= len(alone):
                positions = [at for at in positions if keys[at] == key]
            else:
                positions = [at for at in alone if all(of[at] == k for of, k in before)]
            before.append((keys, key))
            left, in_all = len(positions), len(alone)
            if self._own or self._hidden:
                of_own, of_hidden = self._index_changed(name)
                mine, gone = of_own.get(key) or set(), of_hidden.get(key) or set()
                own = mine if own is None else own & mine
                hidden = gone if hidden is None else hidden & gone
                left += len(own) - len(hidden)
                in_all += len(mine) - len(gone)
            steps.append((name, value, left, in_all))
        if self._hidden:
            positions = [at for at in positions if at not in self._hidden]
        ids = [self._ids[at] for at in positions]
        texts = [self._json[at] for at in positions]
        if self._own:
            for id_ in self._own if own is None else own:
                self._insert(self._own[id_], ids, texts)
        return ids, texts, steps

    def _insert(self, record: _Record, ids: list[int], texts: list[bytes]) -> None:
        """Put a record of one's own into its place in the order of an answer."""

        def comes_later(id_: int) -> bool:
            other = self._own.get(id_)
            rank = other.rank if other else self._ranks[self._position[id_]]
            return rank < record.rank if self._places is None else rank > record.rank

        at = bisect_left(ids, True, key=comes_later)
        ids.insert(at, record.row["id"])
        texts.insert(at, record.json)

    def _rank(self, row: Row) -> tuple[Any, ...]:
        """What orders the records: the newest first, or as they are written."""
        if self._places is None:
            return row.get("createdOn", ""), row["id"]
        return self._places.get(row["id"], len(self._places)), row["id"]

    def _explain(self, steps: Sequence[Step]) -> str:
        """Why a selection is what it is."""
        count, kind = len(self), self.kind
        if steps and steps[0][0] in kind.internal:
            (_, _, count, _), *steps = steps
        return explain(count, kind.noun, kind.filters, steps, self._known)

    def _known(self, name: str) -> list[Names]:
        """The values that a filter can find, as they are spelt; first those of one's own."""
        property_ = self.kind.filters[name]
        if name not in self._names:
            positions = (
                at if isinstance(at, int) else at[0]
                for key, at in self._index[name].items()
                if key is not None
            )
            self._names[name] = Names(
                str(json.loads(self._json[at])[property_]) for at in islice(positions, MAX_GUESSES)
            )
        if self._own and name not in self._own_names:
            values = (record.row.get(property_) for record in self._own.values())
            self._own_names[name] = Names(str(value) for value in values if value is not None)
        return [*filter(None, (self._own_names.get(name), self._names[name]))]


def _written(kind: Kind, rows: Iterable[Row]) -> Iterator[tuple[Row, bytes]]:
    """Complete records, each with its JSON. What a file has as `extra` follows the properties."""
    left = iter(rows)
    while batch := list(islice(left, BATCH)):
        for row, dumped in zip(batch, kind.writer.dump(batch), strict=True):
            yield row, write_json(dumped | row["extra"] if "extra" in row else dumped)


@lru_cache(maxsize=10_000)
def _shared_text(text: str) -> str:
    return text.casefold()


def _shared(value: Any) -> Any:
    """`value` as filters compare it. Equal texts of many records are one in memory."""
    return _shared_text(value) if isinstance(value, str) else value


def _indexed(keys: Sequence[Any]) -> dict[Any, int | array[int]]:
    """Each key to its positions; most ids, numbers and names occur once, which needs no array."""
    index: dict[Any, int | array[int]] = {}
    for position, key in enumerate(keys):
        others = index.get(key)
        if others is None:
            index[key] = position
        elif isinstance(others, int):
            index[key] = array("I", (others, position))
        else:
            others.append(position)
    return index
