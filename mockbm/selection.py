"""How releases are selected: the filters, the index, and the explanation of a selection."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from itertools import islice
from operator import and_
from typing import Any, NamedTuple

from marshmallow import ValidationError
from marshmallow import validates_schema as validates

from .fields import Choice, Integer, NamedSchema, Text, nearest, quoted, suggest
from .releases import STATUSES, Release, rendered

FILTERS = {
    "applicationId": "applicationId",
    "applicationName": "applicationName",
    "releaseId": "id",
    "releaseNumber": "number",
    "releaseName": "name",
    "pipelineName": "pipelineName",
    "status": "status",
}
"""Each filter and the release property that it selects by [S]."""

GROUPS = (("applicationId", "applicationName"), ("releaseId", "releaseNumber", "releaseName"))
"""Filters of which a request gives at most one [S "either ... or"]."""

FEW = 1_000
"""Releases that are looked at one by one; more are counted all at once."""

MAX_GUESSES = 1_000
"""Values among which the nearest one is looked for; comparing texts is slow."""


class FilterSchema(NamedSchema):
    """The filters of one request [S], under the names of `FILTERS`.

    `strict=False` passes over unknown names and several filters of one group.
    """

    def __init__(self, *, strict: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.strict = strict

    applicationId = Integer()
    applicationName = Text()
    releaseId = Integer()
    releaseNumber = Text()
    releaseName = Text()
    pipelineName = Text()
    status = Choice(*STATUSES)

    def unknown_name(self, name: str) -> str:
        if name.lower() == "pipelineid":
            return "was dropped in BuildMaster 6.2; filter by pipelineName"
        return f"unknown parameter; {suggest(name, FILTERS)}"

    @validates(pass_original=True, skip_on_field_errors=False)
    def refuse_two_of_a_group(self, _data: Any, original: Any, **_: Any) -> None:
        problems: dict[str, list[str]] = {}
        for group in GROUPS if self.strict and isinstance(original, Mapping) else ():
            given = [name for name in original if name in group and original[name] is not None]
            for name in given[1:]:
                problems[name] = [
                    f"given together with {given[0]}; give at most one of {', '.join(group)}"
                ]
        if problems:
            raise ValidationError(problems)


Filters = Mapping[str, Any]
"""Filters as loaded by `FilterSchema`: name to an integer or a text."""


class Step(NamedTuple):
    """What one filter did to a selection."""

    name: str
    value: Any
    left: int
    """Releases that match this filter and those before it."""
    in_all: int
    """Releases that match this filter alone."""


class Selection(NamedTuple):
    """The positions of the releases that match, ascending, and how it came to them."""

    positions: Sequence[int]
    steps: Sequence[Step]


class _Texts:
    """Texts in one piece of memory, as the items of a JSON array."""

    def __init__(self, texts: Iterable[bytes | memoryview]) -> None:
        whole = bytearray(b"[")
        starts = array("Q", [1])
        for text in texts:
            whole += text
            whole += b","
            starts.append(len(whole))
        whole[len(whole) - (len(starts) > 1) :] = b"]"
        self.whole = memoryview(whole)
        self._starts = starts

    def __getitem__(self, place: int) -> memoryview:
        return self.whole[self._starts[place] : self._starts[place + 1] - 1]


class Releases:
    """The releases of one scenario, in the order of the answer, rendered once and indexed.

    releases: as `completed` made them; they are not kept.

    Any number of threads may use it: nothing changes after it is made but `_bits`, which remembers.
    Finding the releases that match costs as much as the rarest filter value has releases, however
    many there are.
    """

    def __init__(self, releases: Iterable[Release], *, as_written: bool = False) -> None:
        created: list[str] = []
        columns: dict[str, list[Any]] = {property_: [] for property_ in FILTERS.values()}

        def taken_apart() -> Iterator[bytes]:
            for release, text in rendered(releases):
                created.append(release["createdOn"])
                for property_, column in columns.items():
                    column.append(release.get(property_))
                yield text

        as_given = _Texts(taken_apart())
        order: Sequence[int] = range(len(created))
        if not as_written:
            newest = list(zip(created, columns["id"], strict=True))
            order = sorted(order, key=newest.__getitem__, reverse=True)
        self._texts = _Texts(as_given[place] for place in order)
        self.ids = tuple(columns["id"][place] for place in order)
        self._keys: dict[str, list[Any]] = {}
        self._index: dict[str, dict[Any, int | array[int]]] = {}
        self._spellings: dict[str, str] = {}
        self._bits: dict[tuple[str, Any], int] = {}
        for name, property_ in FILTERS.items():
            column = columns.pop(property_)
            self._add_to_index(name, [column[place] for place in order])

    def _add_to_index(self, name: str, values: list[Any]) -> None:
        folded = {value: fold(value) for value in dict.fromkeys(values)}
        self._spellings |= {key: value for value, key in folded.items() if key != value}
        index: dict[Any, int | array[int]] = {}
        keys = [folded[value] for value in values]
        for position, key in enumerate(keys):
            others = index.get(key)
            if others is None:
                index[key] = position  # most ids, numbers and names are there once
            elif isinstance(others, int):
                index[key] = array("I", (others, position))
            else:
                others.append(position)
        self._keys[name] = keys
        self._index[name] = index

    def __len__(self) -> int:
        return len(self.ids)

    def select(self, filters: Filters) -> Selection:
        """The releases that match every filter.

        Texts match as a whole and ignoring case [S "any value", C]; a release without the
        property never matches.
        """
        wanted = {name: fold(value) for name, value in filters.items()}
        positions = self._positions(wanted)
        steps = []
        before: dict[str, Any] = {}
        for name, key in wanted.items():
            before[name] = key
            left = len(positions) if len(before) == len(wanted) else self._count(before)
            steps.append(Step(name, filters[name], left, len(self._matching(name, key))))
        return Selection(positions, steps)

    def _matching(self, name: str, key: Any) -> Sequence[int]:
        """The positions that one filter alone selects."""
        found = self._index[name].get(key, ())
        return (found,) if isinstance(found, int) else found

    def _positions(self, wanted: Filters) -> Sequence[int]:
        """The positions that match all of some folded filters: the rarest one's that pass."""
        if not wanted:
            return range(len(self.ids))
        rarest = min(wanted, key=lambda name: len(self._matching(name, wanted[name])))
        positions = self._matching(rarest, wanted[rarest])
        for name, key in wanted.items():
            if name != rarest:
                keys = self._keys[name]
                positions = [position for position in positions if keys[position] == key]
        return positions

    def _count(self, wanted: Filters) -> int:
        """How many releases match all of some folded filters."""
        least = min(len(self._matching(name, key)) for name, key in wanted.items())
        if len(wanted) == 1 or not least:
            return least
        if least <= FEW:
            return len(self._positions(wanted))
        return reduce(and_, (self._bits_of(name, key) for name, key in wanted.items())).bit_count()

    def _bits_of(self, name: str, key: Any) -> int:
        """The positions of a frequent value as the bits of a number, which are counted at once."""
        if (name, key) not in self._bits:
            bits = bytearray(len(self) // 8 + 1)
            for position in self._matching(name, key):
                bits[position >> 3] |= 1 << (position & 7)
            self._bits[name, key] = int.from_bytes(bits, "little")
        return self._bits[name, key]

    def body(self, positions: Sequence[int]) -> bytes:
        """The releases at `positions` as one JSON array."""
        if len(positions) == len(self):
            return bytes(self._texts.whole)
        return b"[" + b",".join([self._texts[position] for position in positions]) + b"]"

    def explain(self, selection: Selection) -> str:
        """Why a selection is what it is, filter by filter.

        Such as `7 releases; status=active: 4; applicationName='TaxCalc': 0 (nearest:
        'TaxCalculator')`.
        """
        parts = ["1 release" if len(self) == 1 else f"{len(self)} releases"]
        for step in selection.steps:
            shown = step.value if step.name == "status" else quoted(step.value)
            part = f"{step.name}={shown}: {step.left}"
            if not step.in_all:
                part += self._guess(step)
            elif not step.left and len(parts) > 1:
                part += f" ({step.in_all} without the filters before)"
            parts.append(part)
        return "; ".join(parts)

    def _guess(self, step: Step) -> str:
        """What a filter that selects nothing may have meant."""
        keys = (key for key in self._index[step.name] if key is not None)
        known = list(islice(keys, MAX_GUESSES))
        if not known:
            return f" (no release has a {FILTERS[step.name]})" if len(self) else ""
        if isinstance(step.value, int):
            likely = nearest(str(step.value), map(str, known))
            likely = likely or str(min(known, key=lambda key: abs(key - step.value)))
            return f" (nearest: {likely})"
        spelt = [self._spellings.get(key, key) for key in known]
        near = nearest(step.value, spelt)
        if near is not None:
            return f" (nearest: {quoted(near)})"
        return f" (there are: {', '.join(map(quoted, sorted(spelt)))})" if len(spelt) <= 8 else ""


def fold(value: Any) -> Any:
    """`value` as filters compare it: texts ignore case."""
    return value.casefold() if isinstance(value, str) else value
