"""What a release is: the schema that reads it from YAML and writes it to JSON, and its stages.

Everything here works on plain values: no files, no HTTP.
"""

from __future__ import annotations

import marshal
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from json.encoder import encode_basestring
from operator import eq, itemgetter
from typing import Any, overload

from marshmallow import ValidationError, fields, post_load
from marshmallow import validates_schema as validates

from .document import NameProblem
from .fields import (
    After,
    Choice,
    Date,
    Flag,
    Integer,
    JsonList,
    JsonObject,
    NamedSchema,
    Text,
    quoted,
    write_json,
)
from .times import resolve

Release = dict[str, Any]
"""One release as loaded by `ReleaseSchema`: property name to value, nothing null."""

STATUSES = ("active", "canceled", "deployed")

OLDER_NAMES = {
    "furthestPackageId": "furthestBuildId",
    "furthestPackageNumber": "furthestBuildNumber",
    "latestPackageId": "latestBuildId",
    "latestPackageNumber": "latestBuildNumber",
    "releaseName": "name",
    "releaseNumber": "number",
}
"""Properties that BuildMaster keeps for old clients, and the ones whose values they repeat."""

_CONTRADICTABLE = frozenset((*OLDER_NAMES, "canceledBy", "canceledOn"))
"""Properties that not every release can have as they are."""

_NOT_CANCELED = ("active", "deployed", None)

DATES = ("createdOn", "canceledOn", "targetDate")
"""Properties that are dates, and may be relative."""

DEFAULT_CREATED_ON = "2024-01-01T00:00:00.0000000Z"

_PACKED_TOGETHER = 1_000
"""Releases in one pack: with fewer, packs need more memory; with more, a look unpacks more."""


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
    deployables = JsonList()
    furthestPackageId = Integer()
    furthestPackageNumber = Text()
    latestPackageId = Integer()
    latestPackageNumber = Text()
    releaseName = Text()
    releaseNumber = Text()
    extra = JsonObject(load_only=True)
    absent = Flag(load_only=True)
    changes = fields.Nested(
        lambda: ChangeSchema(many=True, partial=True, exclude=("id", "changes", "extra")),
        load_only=True,
        error_messages={"type": "expected a list of changes, such as - {{after: 3 calls, ...}}"},
    )

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
        if release.keys().isdisjoint(_CONTRADICTABLE):
            return  # as most are
        problems = {}
        for older, name in OLDER_NAMES.items():
            what = self._contradiction(release, original, older, name)
            if what:
                problems[older] = [what]
        if not self.partial and release.get("status", original.get("status")) in _NOT_CANCELED:
            for name in {"canceledBy", "canceledOn"} & release.keys():
                problems[name] = ["only a release with status: canceled has this"]
        if problems:
            raise ValidationError(problems)

    def _contradiction(
        self, release: Release, original: Mapping[str, Any], older: str, name: str
    ) -> str | None:
        """What is wrong with a property under its older name, beside the one under its name."""
        if older not in release:
            return None
        if name in release and release[name] != release[older]:
            return (
                f"{quoted(release[older])} contradicts {name}, which is {quoted(release[name])}; "
                f"leave {older} out, it repeats {name}"
            )
        if self.fields[name].required and not self.partial and original.get(name) is None:
            return f"is an older name; write {name}: {release[older]} instead"
        return None

    @validates(skip_on_field_errors=False)
    def refuse_impossible_changes(self, release: Release, **_: Any) -> None:
        """Every stage of a release is a valid release, and the stages come one after the other."""
        required = {name for name, field in self.fields.items() if field.required}
        changes = release.get("changes", ())
        if not required <= release.keys() or not all("after" in change for change in changes):
            return  # there are problems already, and they would come again for every stage
        named = under_newer_names({**release, "changes": [*map(under_newer_names, changes)]})
        before: dict[str, float] = {}
        for number, change in enumerate(changes):
            kind, amount = change["after"]
            if amount < before.get(kind, 0):
                late = {"after": ["comes before the change above it; sort the changes"]}
                raise ValidationError({"changes": {number: late}})
            before[kind] = amount
            stage = staged(named, number + 1)
            stage.pop("changes")
            found: dict[Any, Any] = ReleaseSchema(many=True, exclude=("changes",)).validate([stage])
            if found:
                raise ValidationError({"changes": {number: found[0]}})

    @validates(skip_on_field_errors=False)
    def refuse_names_twice(self, release: Release, **_: Any) -> None:
        for name in release.get("extra", ()):
            if name in self.dump_fields:
                what = f"{name} is a property of every release; write it outside extra"
                raise ValidationError({"extra": {name: [NameProblem(what)]}})

    @post_load
    def rename_older(self, release: Release, **_: Any) -> Release:
        return under_newer_names(release)


def under_newer_names(release: Release) -> Release:
    """A release, or a change of one, in which each value stands under the newer name alone."""
    if release.keys().isdisjoint(OLDER_NAMES):
        return release
    renamed = {name: value for name, value in release.items() if name not in OLDER_NAMES}
    for older, name in OLDER_NAMES.items():
        if older in release:
            renamed.setdefault(name, release[older])
    return renamed


class ChangeSchema(ReleaseSchema):
    """A step in the life of a release: when, and the properties that are different then."""

    error_messages = {"type": "expected a change, such as {after: 3 calls, status: deployed}"}  # noqa: RUF012

    after = After(required=True)

    @validates(pass_original=True, skip_on_field_errors=False)
    def require_after(self, _change: Any, original: Any, **_: Any) -> None:
        if not isinstance(original, Mapping):
            return
        if original.get("after") is None:
            raise ValidationError({"after": ["is missing; add after: 3 calls, or after: 30s"]})
        if not any(value is not None for name, value in original.items() if name != "after"):
            raise ValidationError("changes nothing; add what is different then, such as a status")


def load_releases(values: Any, progress: Callable[[float], object] | None = None) -> list[Release]:
    """What `ReleaseSchema(many=True).load(values)` returns and raises, far faster.

    Where nothing is wrong, the fields and checks of the schema do the same without Marshmallow's
    way from one to the next. Else the schema itself begins anew, to tell every problem.
    progress: is told now and then how much has been done, from 0 to 1.
    """
    schema = ReleaseSchema(many=True)
    try:
        return _load_well_formed(schema, values, progress)
    except (ValidationError, LookupError, TypeError, AttributeError):
        loaded: list[Release] = schema.load(values)
        return loaded


def _load_well_formed(
    schema: ReleaseSchema, values: Any, progress: Callable[[float], object] | None
) -> list[Release]:
    """Releases with nothing wrong; what it raises for others is of no use to anybody."""
    readers = {
        name: getattr(field, "read", field.deserialize) for name, field in schema.fields.items()
    }
    required = {name for name, field in schema.fields.items() if field.required}
    loaded = []
    if type(values) is not list:
        raise TypeError
    for number, value in enumerate(values):
        if type(value) is not dict:
            raise TypeError
        if not value.keys() <= readers.keys():  # also where the value is null
            raise LookupError
        release = {name: readers[name](given) for name, given in value.items() if given is not None}
        if not required <= release.keys():
            raise LookupError
        schema.refuse_contradictions(release, value)
        if "changes" in release:
            schema.refuse_impossible_changes(release)
        if "extra" in release:
            schema.refuse_names_twice(release)
        loaded.append(under_newer_names(release))
        if progress and number % 1_000 == 0:
            progress(number / len(values))
    schema.refuse_repeated_ids(loaded)
    return loaded


class Kept(Sequence[Release]):
    """Releases as loaded, packed as tightly as they go; each look at one unpacks it anew.

    changing, told_from_now: the releases that change, and whether a date is relative.
    """

    def __init__(self, releases: Sequence[Release]) -> None:
        self._length = len(releases)
        self.changing = tuple(release for release in releases if release.get("changes"))
        self.told_from_now = any(map(is_told_from_now, releases))
        starts = range(0, self._length, _PACKED_TOGETHER)
        self._packs = [marshal.dumps(list(releases[at : at + _PACKED_TOGETHER])) for at in starts]

    def __len__(self) -> int:
        return self._length

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Kept):
            return NotImplemented
        return len(self) == len(other) and all(map(eq, self._plain(), other._plain()))

    __hash__ = None  # type: ignore[assignment]

    def _plain(self) -> Iterator[bytes]:
        """The packs in a form in which what is the same has the same bytes, and 1 is not true."""
        return (marshal.dumps(marshal.loads(pack), 2) for pack in self._packs)

    def __iter__(self) -> Iterator[Release]:
        for pack in self._packs:
            yield from marshal.loads(pack)

    @overload
    def __getitem__(self, place: int) -> Release: ...
    @overload
    def __getitem__(self, place: slice) -> list[Release]: ...
    def __getitem__(self, place: int | slice) -> Release | list[Release]:
        return list(self)[place]


def rendered(releases: Iterable[Release]) -> Iterator[tuple[Release, bytes]]:
    """Complete releases, each with the JSON of what `ReleaseSchema.dump` makes of it.

    That is the schema's properties in its order: no field changes a value on its way out.
    """
    properties = tuple(ReleaseSchema().dump_fields)
    templates: dict[tuple[str, ...], tuple[Callable[[Release], tuple[Any, ...]], str]] = {}
    for release in releases:
        if release["deployables"] or "extra" in release:
            dumped = {name: release[name] for name in properties if name in release}
            yield release, write_json(dumped | release.get("extra", {}))
            continue
        shape = tuple(release)
        if shape not in templates:  # most releases have the same properties as some other
            names = [name for name in properties if name in release]
            parts = ",".join(f'"{name}":%s' for name in names)
            templates[shape] = itemgetter(*names), f"{{{parts}}}"
        values, template = templates[shape]
        # Left are texts, numbers and an empty list, which Python writes as JSON does.
        written = [
            encode_basestring(value) if type(value) is str else value for value in values(release)
        ]
        yield release, (template % tuple(written)).encode()


def staged(release: Release, stage: int) -> Release:
    """A release, as loaded, after the first `stage` of its changes."""
    now = release
    for change in release.get("changes", ())[:stage]:
        if change.get("status", "canceled") != "canceled":
            now = {name: value for name, value in now.items() if not name.startswith("canceled")}
        now = {**now, **change}
        del now["after"]
    return dict(now)


def is_told_from_now(release: Release) -> bool:
    """Whether a date of this release, or of a change of it, is relative."""
    for name in DATES:
        if release.get(name, "").startswith("now"):
            return True
    return any(map(is_told_from_now, release.get("changes", ())))


def resolved(release: Release, now: datetime) -> Release:
    """A release with the moments that its relative dates mean at `now`."""
    dates = {name: release[name] for name in DATES if release.get(name, "").startswith("now")}
    return {**release, **{name: resolve(text, now) for name, text in dates.items()}}


def completed(releases: Sequence[Release]) -> Iterator[Release]:
    """Releases as loaded, with the fixed default of everything that was left out.

    So two runs answer the same bytes. `sequence` counts among all of an application's releases.
    """
    for release, sequence in zip(releases, _sequences(releases), strict=True):
        full = dict(release)
        full.setdefault("name", full["number"])
        full.setdefault("sequence", sequence)
        full.setdefault("status", "active")
        full.setdefault("createdBy", "SYSTEM")
        full.setdefault("createdOn", DEFAULT_CREATED_ON)
        if full["status"] == "canceled":
            full.setdefault("canceledBy", "SYSTEM")
            full.setdefault("canceledOn", full["createdOn"])
        full.setdefault("deployables", [])
        for older, property_ in OLDER_NAMES.items():
            if property_ in full:
                full[older] = full[property_]
        yield full


def _sequences(releases: Iterable[Release]) -> Sequence[int]:
    """The place of each release among those of its application, by id."""
    pairs = [(release["id"], release["applicationId"]) for release in releases]
    sequences = array("I", [0]) * len(pairs)
    last: dict[int, int] = {}
    for place in sorted(range(len(pairs)), key=pairs.__getitem__):
        application = pairs[place][1]
        sequences[place] = last[application] = last.get(application, 0) + 1
    return sequences


def sample_release(number: int, /, **changes: object) -> Release:
    """A valid release with everything filled in, exactly as the endpoint answers it.

    With changes such as `absent`, which the endpoint does not tell, these stay beside it.

    number: 1, 2, 3, ...: the `id`, from which other properties follow.
    changes: properties to set otherwise, an older name for the newer one; None leaves one out.
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
    for older, name in OLDER_NAMES.items():
        if changes.get(older) is not None:
            release[name] = changes[older]
    schema = ReleaseSchema(many=True)
    loaded: list[Release] = schema.load([release | changes])
    filled: Release = schema.dump(list(completed(loaded)))[0]
    kept = {name: changes[name] for name in ("extra", "absent", "changes") if name in loaded[0]}
    return filled | kept
