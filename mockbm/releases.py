"""What a release is: the schema that reads it from YAML and writes it to JSON, and its stages.

Everything here works on plain values: no files, no HTTP.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from marshmallow import ValidationError, fields
from marshmallow import validates_schema as validates

from .document import NameProblem
from .fields import After, Choice, Date, Flag, Integer, Json, JsonObject, NamedSchema, Text, quoted
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

DEFAULT_CREATED_ON = "2024-01-01T00:00:00.0000000Z"


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
    deployables = fields.List(
        Json(allow_none=True), error_messages={"invalid": "expected a list, such as []"}
    )
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
        if not isinstance(original, Mapping) or self.partial:
            return
        problems: dict[str, Any] = {}
        for older in OLDER_NAMES.keys() & release.keys():
            name = OLDER_NAMES[older]
            value = release.get(name)
            if original.get(name) is None:
                if name != "name" or release[older] != release.get("number"):
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

    @validates(skip_on_field_errors=False)
    def refuse_impossible_changes(self, release: Release, **_: Any) -> None:
        """Every stage of a release is a valid release, and the stages come one after the other."""
        required = {name for name, field in self.fields.items() if field.required}
        changes = release.get("changes", ())
        if not required <= release.keys() or not all("after" in change for change in changes):
            return  # there are problems already, and they would come again for every stage
        before: dict[str, float] = {}
        for number, change in enumerate(changes):
            kind, amount = change["after"]
            if amount < before.get(kind, 0):
                late = {"after": ["comes before the change above it; sort the changes"]}
                raise ValidationError({"changes": {number: late}})
            before[kind] = amount
            stage = staged(release, number + 1)
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


def staged(release: Release, stage: int) -> Release:
    """A release, as loaded, after the first `stage` of its changes."""
    now = release
    for change in release.get("changes", ())[:stage]:
        now = {name: value for name, value in now.items() if name not in OLDER_NAMES}
        if change.get("status", "canceled") != "canceled":
            now = {name: value for name, value in now.items() if not name.startswith("canceled")}
        now = {**now, **change}
        del now["after"]
    return dict(now)


DATES = ("createdOn", "canceledOn", "targetDate")


def is_told_from_now(release: Release) -> bool:
    """Whether a date of this release, or of a change of it, is told from now."""
    return any(
        str(item.get(name, "")).startswith("now")
        for item in (release, *release.get("changes", ()))
        for name in DATES
    )


def resolved(release: Release, now: datetime) -> Release:
    """A release whose dates are told from `now`, with the moments they mean."""
    dates = {name: release[name] for name in DATES if release.get(name, "").startswith("now")}
    return {**release, **{name: resolve(text, now) for name, text in dates.items()}}


def completed(releases: Iterable[Release]) -> list[Release]:
    """Releases as loaded, with the fixed default of everything that was left out.

    So two runs answer the same bytes. `sequence` counts among all of an application's releases.
    """
    full = [dict(release) for release in releases]
    sequences: dict[int, int] = {}
    for release in sorted(full, key=lambda release: int(release["id"])):
        application = release["applicationId"]
        sequences[application] = sequences.get(application, 0) + 1
        release.setdefault("name", release["number"])
        release.setdefault("sequence", sequences[application])
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
    return full


def sample_release(number: int, /, **changes: object) -> Release:
    """A valid release with everything filled in, exactly as the endpoint answers it.

    With changes such as `absent`, which the endpoint does not tell, these stay beside it.

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
    loaded: list[Release] = schema.load([release | changes])
    filled: Release = schema.dump(completed(loaded))[0]
    kept = {name: changes[name] for name in ("extra", "absent", "changes") if name in loaded[0]}
    return filled | kept
