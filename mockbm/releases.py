"""What a release is and how releases are selected: the schemas, the index, the selection.

Everything here works on plain values: no files, no HTTP.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta, timezone
from typing import Any, NamedTuple

from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_load, pre_load
from marshmallow import validates_schema as validates

from .document import NameProblem

Release = dict[str, Any]
"""One release as loaded by `ReleaseSchema`: property name to value, nothing null."""

STATUSES = ("active", "canceled", "deployed")

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

OLDER_NAMES = {
    "furthestPackageId": "furthestBuildId",
    "furthestPackageNumber": "furthestBuildNumber",
    "latestPackageId": "latestBuildId",
    "latestPackageNumber": "latestBuildNumber",
    "releaseName": "name",
    "releaseNumber": "number",
}
"""Properties that BuildMaster keeps for old clients, and the ones whose values they repeat."""

MAX_GUESSES = 1_000
"""Values among which the nearest one is looked for; comparing texts is slow."""

DEFAULT_CREATED_ON = "2024-01-01T00:00:00.0000000Z"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name`, ignoring case, or None where none is near."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    found = difflib.get_close_matches(name.casefold(), by_folded, n=1)
    return by_folded[found[0]] if found else None


def suggest(name: str, known: Collection[str]) -> str:
    """The end of an error about an unknown name: the nearest known one, or else all of them."""
    near = nearest(name, known)
    return f"did you mean {near}?" if near else f"known are {', '.join(known)}"


def quoted(value: object) -> str:
    """`value` as an error message shows it: short, on one line, in quotes if it is text."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, (list, tuple)):
        return "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:60]}...{text[-17:]}"


def write_json(value: object) -> bytes:
    """`value` as compact JSON in UTF-8, as the vendor's server writes it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode()


class Integer(fields.Field[int]):
    """A 32-bit integer, as a number or as ASCII decimal digits [C]."""

    _digits = re.compile(r"-?0*[0-9]{1,10}")

    def _deserialize(self, value: object, *_: Any, **__: Any) -> int:
        text = str(value) if type(value) is int else value
        if not isinstance(text, str) or not re.fullmatch(r"-?[0-9]+", text):
            raise ValidationError(f"{quoted(value)} is not an integer; write decimal digits only")
        if not self._digits.fullmatch(text) or not -(2**31) <= int(text) < 2**31:
            raise ValidationError(
                f"{quoted(value)} does not fit in 32 bits; allowed is -2147483648 to 2147483647"
            )
        return int(text)


class Text(fields.Field[str]):
    """Any text. A whole number is taken as its digits; other types would be guesses."""

    def _deserialize(self, value: object, *_: Any, **__: Any) -> str:
        if type(value) is int:
            value = str(value)
        if not isinstance(value, str):
            raise ValidationError(f"{quoted(value)} is not text; write one text, in quotes")
        if not value and self.required:
            raise ValidationError("is empty; write some text")
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise ValidationError(f"{quoted(value)} holds half of a surrogate pair") from None
        return value


class Choice(fields.Field[str]):
    """One of a few words, exactly as they are written [S]."""

    def __init__(self, *choices: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.choices = choices

    def _deserialize(self, value: object, *_: Any, **__: Any) -> str:
        if isinstance(value, str) and value in self.choices:
            return value
        near = nearest(value, self.choices) if isinstance(value, str) else None
        raise ValidationError(
            f"{quoted(value)} is not one of {', '.join(self.choices)}"
            + (f"; did you mean {near}?" if near else "")
        )


class Date(fields.Field[str]):
    """A moment, kept as the text that goes out: UTC, seven decimals, `Z` [S].

    Reads `2024-03-04`, `2024-03-04T09:03`, seconds, up to seven decimals, and `Z` or an offset;
    UTC is meant where no offset is given. The texts sort as the moments do.
    """

    _form = re.compile(
        r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d)(:\d\d(?:\.(\d{1,7}))?)? ?([Zz]|[+-]\d\d:\d\d)?)?",
        re.ASCII,
    )

    def _deserialize(self, value: object, *_: Any, **__: Any) -> str:
        if isinstance(value, date):
            value = value.isoformat()
        match = self._form.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise ValidationError(
                f"{quoted(value)} is not a date; write it like 2024-03-04 or "
                "2024-03-04T09:03:43.9200000Z, with at most seven decimals"
            )
        day, minutes, seconds, decimals, offset = match.groups()
        try:
            moment = datetime.fromisoformat(f"{day}T{minutes or '00:00'}{(seconds or ':00')[:3]}")
            if offset and offset not in "Zz":
                hours, rest = int(offset[1:3]), int(offset[4:])
                east = timezone(
                    timedelta(hours=hours, minutes=rest) * (-1 if offset[0] == "-" else 1)
                )
                moment = moment.replace(tzinfo=east).astimezone(timezone.utc)
        except (ValueError, OverflowError) as error:
            raise ValidationError(f"{quoted(value)} is not a date that exists: {error}") from None
        return f"{moment.replace(tzinfo=None).isoformat()}.{(decimals or '').ljust(7, '0')}Z"


class Json(fields.Field[Any]):
    """A value without a schema of its own, served as it stands."""

    def _deserialize(self, value: object, *_: Any, **__: Any) -> Any:
        try:
            write_json(value)
        except (TypeError, ValueError, RecursionError) as error:
            raise ValidationError(f"cannot be written as JSON: {error}") from None
        return value


class NamedSchema(Schema):
    """A schema whose errors help: null counts as left out, an unknown name gets the nearest one."""

    class Meta:
        unknown = EXCLUDE

    strict = True
    error_messages = {"type": "expected named properties (name: value)"}  # noqa: RUF012

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Give every field our words for the two messages that Marshmallow writes itself."""
        field_obj.error_messages["required"] = f"is missing; add {field_name}: ..."

    @pre_load
    def drop_nulls(self, data: Any, **_: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        return {name: value for name, value in data.items() if value is not None}

    @validates(pass_original=True, skip_on_field_errors=False)
    def refuse_unknown_names(self, _data: Any, original: Any, **_: Any) -> None:
        if not self.strict or not isinstance(original, Mapping):
            return
        if not original.keys() <= self.fields.keys():
            raise ValidationError(
                {
                    name: [NameProblem(self.unknown_name(str(name)))]
                    for name in original
                    if name not in self.fields
                }
            )

    def unknown_name(self, name: str) -> str:
        """What to tell somebody who wrote a name that is not in this schema."""
        return f"unknown property; {suggest(name, self.fields.keys())}"


class ReleaseSchema(NamedSchema):
    """ReleaseInfo: reads releases from a scenario file and writes them as BuildMaster does.

    The order of the fields is the order in the response [S, O].
    """

    error_messages = {"type": "expected a release, as in `- id: 1` with its other properties below"}  # noqa: RUF012

    id = Integer(required=True)
    number = Text(required=True)
    name = Text()
    sequence = Integer()
    template = Text()
    status = Choice(*STATUSES)
    createdBy = Text()
    createdOn = Date()
    canceledBy = Text()
    canceledOn = Date()
    targetDate = Date()
    applicationId = Integer(required=True)
    applicationName = Text(required=True)
    pipelineId = Integer()
    pipelineName = Text()
    furthestBuildId = Integer()
    furthestBuildNumber = Text()
    latestBuildId = Integer()
    latestBuildNumber = Text()
    deployables = fields.List(Json(), error_messages={"invalid": "expected a list, such as []"})
    furthestPackageId = Integer()
    furthestPackageNumber = Text()
    latestPackageId = Integer()
    latestPackageNumber = Text()
    releaseName = Text()
    releaseNumber = Text()

    @validates(pass_collection=True, skip_on_field_errors=False)
    def refuse_repeated_ids(self, releases: Sequence[Release], **_: Any) -> None:
        first: dict[int, int] = {}
        problems = {}
        for index, release in enumerate(releases):
            if "id" in release and first.setdefault(release["id"], index) != index:
                earlier = first[release["id"]]
                problems[index] = {
                    "id": [f"{release['id']} is taken by releases[{earlier}]; an id occurs once"]
                }
        if problems:
            raise ValidationError(problems)

    @validates(pass_original=True, skip_on_field_errors=False)
    def refuse_contradictions(self, release: Release, original: Any, **_: Any) -> None:
        if not isinstance(original, Mapping):
            return
        problems = {}
        for older in OLDER_NAMES.keys() & release.keys():
            name = OLDER_NAMES[older]
            value = release.get(name, release.get("number") if name == "name" else None)
            if value is None and original.get(name) is None:
                problems[older] = [f"is an older name; write {name}: {release[older]} instead"]
            elif value is not None and value != release[older]:
                problems[older] = [
                    f"{quoted(release[older])} contradicts {name}, which is {quoted(value)}; "
                    f"leave {older} out, it repeats {name}"
                ]
        if release.get("status", original.get("status")) in ("active", "deployed", None):
            for name in {"canceledBy", "canceledOn"} & release.keys():
                problems[name] = ["only a release with status: canceled has this"]
        if problems:
            raise ValidationError(problems)

    @post_load(pass_collection=True)
    def fill_in(self, releases: list[Release], **_: Any) -> list[Release]:
        """Give what was left out its fixed default, so that two runs answer the same bytes."""
        next_sequence: dict[int, int] = {}
        for release in sorted(releases, key=lambda release: release["id"]):
            application = release["applicationId"]
            next_sequence[application] = next_sequence.get(application, 0) + 1
            release.setdefault("name", release["number"])
            release.setdefault("sequence", next_sequence[application])
            release.setdefault("status", "active")
            release.setdefault("createdBy", "SYSTEM")
            release.setdefault("createdOn", DEFAULT_CREATED_ON)
            if release["status"] == "canceled":
                release.setdefault("canceledBy", "SYSTEM")
                release.setdefault("canceledOn", release["createdOn"])
            release.setdefault("deployables", [])
            for older, property_ in OLDER_NAMES.items():
                if property_ in release:
                    release[older] = release[property_]
        return releases


def sample_release(number: int, /, **changes: object) -> Release:
    """A valid release with everything filled in, exactly as the endpoint answers it.

    number: 1, 2, 3, ...: the `id`, from which other properties follow.
    changes: properties to set otherwise; None leaves one out.
    Raises: ValidationError for changes that make it invalid.
    """
    release: dict[str, object] = {
        "id": number,
        "number": f"1.0.{number}",
        "sequence": number,
        "template": "Standard",
        "createdBy": "JohnSmith",
        "createdOn": DEFAULT_CREATED_ON,
        "targetDate": "2024-02-01",
        "applicationId": 1,
        "applicationName": "TaxCalculator",
        "pipelineName": "Release",
        "furthestBuildId": number,
        "furthestBuildNumber": "1",
        "latestBuildId": number,
        "latestBuildNumber": "1",
    }
    schema = ReleaseSchema(many=True)
    filled: Release = schema.dump(schema.load([release | changes]))[0]
    return filled


class FilterSchema(NamedSchema):
    """The filters of one request [S], under the names of `FILTERS`.

    `strict=False` passes over unknown names and several filters of one group.
    """

    def __init__(self, *, strict: bool = True) -> None:
        super().__init__()
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
    def refuse_two_of_a_group(self, _data: Any, original: Mapping[str, Any], **_: Any) -> None:
        problems = {}
        for group in GROUPS if self.strict else ():
            given = [name for name in original if name in group]
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

    Never changed after it is made, so any number of threads may read it. Finding the releases
    that match costs as much as the rarest filter value has releases, however many there are.
    """

    def __init__(self, releases: Iterable[Release], *, as_written: bool = False) -> None:
        ordered = list(releases)
        if not as_written:
            ordered.sort(key=lambda release: (release["createdOn"], release["id"]), reverse=True)
        self.ids: tuple[int, ...] = tuple(release["id"] for release in ordered)
        dumped = ReleaseSchema(many=True).dump(ordered)
        self.rendered: tuple[bytes, ...] = tuple(write_json(release) for release in dumped)
        self._keys: dict[str, list[Any]] = {}
        self._index: dict[str, dict[Any, list[int]]] = {}
        self._spellings: dict[str, str] = {}
        for name, property_ in FILTERS.items():
            keys = self._keys[name] = []
            index = self._index[name] = {}
            for position, release in enumerate(ordered):
                value = release.get(property_)
                key = _fold(value)
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
        wanted = {name: _fold(value) for name, value in filters.items()}
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


def _fold(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value
