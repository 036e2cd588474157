"""How releases are selected: the filters, the index, and the explanation of a selection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from marshmallow import ValidationError
from marshmallow import validates_schema as validates

from .fields import Choice, Integer, NamedSchema, Text, nearest, quoted, suggest, write_json
from .releases import STATUSES, Release, ReleaseSchema

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


class Releases:
    """The releases of one scenario, in the order of the answer, rendered once and indexed.

    releases: as `completed` made them. Never changed after it is made, so any number of threads
    may read it. Finding the releases that match costs as much as the rarest filter value has
    releases, however many there are.
    """

    def __init__(self, releases: Iterable[Release], *, as_written: bool = False) -> None:
        ordered = list(releases)
        if not as_written:
            ordered.sort(key=lambda release: (release["createdOn"], release["id"]), reverse=True)
        self.ids: tuple[int, ...] = tuple(release["id"] for release in ordered)
        dumped = ReleaseSchema(many=True).dump(ordered)
        self.rendered: tuple[bytes, ...] = tuple(
            write_json(dump | release.get("extra", {}))
            for dump, release in zip(dumped, ordered, strict=True)
        )
        self._keys: dict[str, list[Any]] = {}
        self._index: dict[str, dict[Any, list[int]]] = {}
        self._spellings: dict[str, str] = {}
        for name, property_ in FILTERS.items():
            keys = self._keys[name] = []
            index = self._index[name] = {}
            for position, release in enumerate(ordered):
                value = release.get(property_)
                key = fold(value)
                keys.append(key)
                index.setdefault(key, []).append(position)
                if isinstance(value, str) and key != value:
                    self._spellings[key] = value

    def __len__(self) -> int:
        return len(self.ids)

    def select(self, filters: Filters) -> Selection:
        """The releases that match every filter.

        Texts match as a whole and ignoring case [S "any value", C]; a release without the
        property never matches.
        """
        positions: Sequence[int] = range(len(self.ids))
        steps: list[Step] = []
        wanted = {name: fold(value) for name, value in filters.items()}
        for name, key in wanted.items():
            matching = self._index[name].get(key, [])
            if len(matching) < len(positions):
                positions, unchecked = matching, [step.name for step in steps]
            else:
                unchecked = [name]
            for other in unchecked:
                keys, other_key = self._keys[other], wanted[other]
                positions = [position for position in positions if keys[position] == other_key]
            steps.append(Step(name, filters[name], len(positions), len(matching)))
        return Selection(positions, steps)

    def body(self, positions: Iterable[int]) -> bytes:
        """The releases at `positions` as one JSON array."""
        return b"[" + b",".join([self.rendered[position] for position in positions]) + b"]"

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
        known = [key for key in self._index[step.name] if key is not None][:MAX_GUESSES]
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
