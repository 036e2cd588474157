"""Get Releases [S], and what a release is: the schema that reads it and writes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

from marshmallow import ValidationError, fields
from marshmallow import validates_schema as validates

from ..core.endpoint import Result
from ..core.errors import quoted
from ..core.fields import After, Choice, Date, Flag, Integer, JsonList, Row, Text
from ..core.json_schema import JsonSchema, Place, about, is_one_of
from ..core.kind import Kind, World
from ..core.session import Session
from . import _calls as calls
from . import _records as records
from ._calls import Values

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

_NOT_CANCELED = ("active", "deployed", None)
_OF_CANCELED = {"canceledBy", "canceledOn"}

_ALWAYS = (
    *("id", "number", "name", "sequence", "status", "createdBy", "createdOn"),
    *("applicationId", "applicationName", "deployables", "releaseName", "releaseNumber"),
)
"""Properties that every release in an answer has."""


_OLDER = {n: about(f"An older name of {of}, same value.") for n, of in OLDER_NAMES.items()}


class ReleaseSchema(records.RecordSchema):
    """ReleaseInfo. The order of the fields is the order in the response [S, O]."""

    NAME = "releases"
    OLDER = OLDER_NAMES
    DEFAULTS = records.RecordSchema.DEFAULTS | {"status": "active"}
    error_messages = {"type": "expected a release, as in `- id: 1` with its other properties below"}  # noqa: RUF012

    number = Text(required=True, metadata=about("The number, which is text: 1.10 is not 1.1."))
    name = Text(metadata=about("The name.", left_out="the number"))
    sequence = Integer(metadata=about("Its place in the application.", left_out="the order of ids"))
    template = Text(metadata=about("The name of the release template."))
    status = Choice(*STATUSES, metadata=about("How far it is.", left_out="active"))
    createdBy = Text(metadata=about("Who created it.", left_out="SYSTEM"))
    createdOn = Date(metadata=about("When it was created.", left_out=records.DEFAULT_CREATED_ON))
    canceledBy = Text(metadata=about("Who canceled it; needs status: canceled.", left_out="SYSTEM"))
    canceledOn = Date(metadata=about("When; needs status: canceled.", left_out="createdOn"))
    targetDate = Date(metadata=about("When it is due."))
    applicationId = Integer(required=True, metadata=about("The id of its application."))
    applicationName = Text(required=True, metadata=about("The name of its application."))
    pipelineId = Integer(metadata=about("The id of its pipeline; BuildMaster 6.1 and earlier."))
    pipelineName = Text(metadata=about("The name of its pipeline; global::NAME is a global one."))
    furthestBuildId = Integer(metadata=about("The id of the build furthest in the pipeline."))
    furthestBuildNumber = Text(metadata=about("The number of the build furthest in the pipeline."))
    latestBuildId = Integer(metadata=about("The id of the latest build."))
    latestBuildNumber = Text(metadata=about("The number of the latest build."))
    deployables = JsonList(metadata=about("Its deployables, served as written.", left_out="[]"))
    furthestPackageId = Integer(metadata=_OLDER["furthestPackageId"])
    furthestPackageNumber = Text(metadata=_OLDER["furthestPackageNumber"])
    latestPackageId = Integer(metadata=_OLDER["latestPackageId"])
    latestPackageNumber = Text(metadata=_OLDER["latestPackageNumber"])
    releaseName = Text(metadata=_OLDER["releaseName"])
    releaseNumber = Text(metadata=_OLDER["releaseNumber"])
    extra = records.extra_field()
    absent = Flag(load_only=True, metadata=about("Whether it does not exist (yet, or any more)."))
    changes = fields.Nested(
        lambda: ChangeSchema(many=True, partial=True, exclude=("id", "changes", "extra")),
        load_only=True,
        error_messages={"type": "expected a list of changes, such as - {{after: 3 calls, ...}}"},
        metadata=about("What changes, one step after the other, each after its moment."),
    )

    def rules(self, place: Place) -> JsonSchema:
        if place.is_answer:
            return {"required": [*_ALWAYS], "additionalProperties": True}
        is_canceled = is_one_of("status", "canceled")
        return {"if": is_canceled, "else": place.has_none("canceledBy", "canceledOn")}

    def problems(self, row: Row, original: Mapping[str, Any]) -> dict[Any, Any]:
        problems = super().problems(row, original)
        if not self.partial and row.get("status", original.get("status")) in _NOT_CANCELED:
            for name in _OF_CANCELED & row.keys():
                problems[name] = ["only a release with status: canceled has this"]
        if not problems and "changes" in row:
            problems = self._impossible_changes(row)
        return problems

    def _impossible_changes(self, release: Row) -> dict[Any, Any]:
        """Every stage of a release is a valid release, and the stages come one after the other."""
        required = {name for name, field in self.fields.items() if field.required}
        changes = release["changes"]
        if not required <= release.keys() or not all("after" in change for change in changes):
            return {}  # there are problems already, which every stage would only repeat
        stage = {name: value for name, value in release.items() if name != "changes"}
        before: dict[str, float] = {}
        for number, change in enumerate(changes):
            kind, amount = change["after"]
            if amount < before.get(kind, 0):
                late = {"after": ["comes before the change above it; sort the changes"]}
                return {"changes": {number: late}}
            before[kind] = amount
            stage = changed(self.under_newer_names(stage), self.under_newer_names(change))
            found: dict[Any, Any] = ReleaseSchema(many=True, exclude=("changes",)).validate([stage])
            if found:
                return {"changes": {number: found[0]}}
        return {}


class ChangeSchema(ReleaseSchema):
    """A step in the life of a release: when, and the properties that are different then."""

    error_messages = {"type": "expected a change, such as {after: 3 calls, status: deployed}"}  # noqa: RUF012

    after = After(
        required=True,
        metadata=about("When: `3 calls`, or a time such as 30s, after the scenario became active."),
    )

    def rules(self, place: Place) -> JsonSchema:
        return {
            "allOf": [place.has("after")],
            "minProperties": 2,
            "if": is_one_of("status", "active", "deployed"),
            "then": place.has_none("canceledBy", "canceledOn"),
        }

    @validates(pass_original=True, skip_on_field_errors=False)
    def require_after(self, _change: Any, original: Any, **_: Any) -> None:
        if not isinstance(original, Mapping):
            return
        if original.get("after") is None:
            raise ValidationError({"after": ["is missing; add after: 3 calls, or after: 30s"]})
        if not any(value is not None for name, value in original.items() if name != "after"):
            raise ValidationError("changes nothing; add what is different then, such as a status")


def changed(release: Row, change: Row) -> Row:
    """A release after one of its changes."""
    gone = _OF_CANCELED if change.get("status", "canceled") != "canceled" else ()
    kept = {name: value for name, value in release.items() if name not in gone}
    return kept | {name: value for name, value in change.items() if name != "after"}


def completed(releases: Sequence[Row], world: World | None = None) -> Iterator[Row]:
    """Releases as loaded, with the fixed default of everything that was left out.

    So two runs answer the same bytes. `sequence` counts among all of an application's releases; the
    furthest and the latest build follow from the builds of the world, where it has some.
    """
    likely = _likely_builds(world or {})
    for release, sequence in zip(releases, _sequences(releases), strict=True):
        full = {"name": release["number"], "sequence": sequence, "deployables": [], **release}
        for builds in likely.get(release["id"], ()):
            full |= _fitting(release, builds)
        if full.get("status") == "canceled":
            when = full.get("createdOn", records.DEFAULT_CREATED_ON)
            full = {"canceledBy": "SYSTEM", "canceledOn": when} | full
        yield ReleaseSchema.completed(full)


_FURTHEST = ("furthestBuildId", "furthestBuildNumber")
_LATEST = ("latestBuildId", "latestBuildNumber")


def _likely_builds(world: World) -> dict[int, list[list[Row]]]:
    """What each release may say of its furthest and of its latest build; the likeliest is last."""
    builds: dict[int, list[Row]] = {}
    for build in sorted(world.get("builds", ()), key=itemgetter("id")):
        builds.setdefault(build.get("releaseId"), []).append(build)
    pipelines = world.get("pipelines", {})
    return {
        release["id"]: _likely(mine, records.stages_of(pipelines, release.get("pipelineName")))
        for release in world.get("releases", ())
        if (mine := builds.get(release["id"]))
    }


def _likely(builds: Sequence[Row], stages: Sequence[str]) -> list[list[Row]]:
    ranked = sorted(builds, key=lambda build: records.place_of(stages, build.get("furthestStage")))
    if all(build.get("furthestStage", stages[0]) in stages for build in builds):
        furthest = ranked[-1].get("furthestStage")
        ranked = [build for build in ranked if build.get("furthestStage") == furthest]
    return [
        [dict(zip(names, (build["id"], build["number"]), strict=True)) for build in each]
        for names, each in ((_FURTHEST, ranked), (_LATEST, builds[-1:]))
    ]


def _fitting(release: Row, likely: Sequence[Row]) -> Row:
    """What a release may say that contradicts nothing it says; empty where all of it does."""
    fitting = (said for said in reversed(likely) if said.items() <= (said | release).items())
    return next(fitting, {})


def check(releases: Sequence[Row], world: World) -> dict[int, Any]:
    """What is wrong with the releases of a file: builds that are others than the file has.

    A build of which a release has id and number need not be in the file.
    """
    problems: dict[int, Any] = {}
    likely, known = _likely_builds(world), {build["id"] for build in world["builds"]}
    for index, release in enumerate(releases):
        for builds in likely.get(release["id"], ()):
            id_, number = builds[-1]
            is_elsewhere = {id_, number} <= release.keys() and release[id_] not in known
            if is_elsewhere or _fitting(release, builds):
                continue
            for name, value in builds[-1].items():
                if release.get(name, value) != value:
                    what = f"{quoted(release[name])} contradicts the builds, of which it is"
                    found = problems.setdefault(index, {})
                    found[name] = [f"{what} {quoted(value)}; leave it out"]
    return problems


def _sequences(releases: Iterable[Row]) -> Sequence[int]:
    """The place of each release among those of its application, by id."""
    pairs = [(release["id"], release["applicationId"]) for release in releases]
    sequences = [0] * len(pairs)
    last: dict[int, int] = {}
    for place in sorted(range(len(pairs)), key=pairs.__getitem__):
        application = pairs[place][1]
        sequences[place] = last[application] = last.get(application, 0) + 1
    return sequences


def sample_release(number: int, /, **changes: object) -> Row:
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
        "createdOn": records.DEFAULT_CREATED_ON,
        "targetDate": "2024-02-01",
        "applicationId": 1,
        "applicationName": "TaxCalculator",
        "pipelineName": "Release",
        "furthestBuildId": number,
        "furthestBuildNumber": "1",
        "latestBuildId": number,
        "latestBuildNumber": "1",
    }
    release |= {name: changes[n] for n, name in OLDER_NAMES.items() if changes.get(n) is not None}
    schema = ReleaseSchema(many=True)
    loaded: list[Row] = schema.load([release | changes])
    filled: Row = schema.dump(list(completed(loaded)))[0]
    kept = {name: changes[name] for name in ("extra", "absent", "changes") if name in loaded[0]}
    return filled | kept


class FilterSchema(calls.FilterSchema):
    """The filters of releases [S]."""

    pipelineName = calls.whole("name of the pipeline")
    status = Choice(*STATUSES, any_case=True, metadata=about("The status of the release."))

    def unknown_name(self, name: str) -> str:
        if name.lower() == "pipelineid":
            return "was dropped in BuildMaster 6.2; filter by pipelineName"
        return super().unknown_name(name)


RELEASE = Kind(
    name="releases",
    noun="release",
    schema=ReleaseSchema,
    filters=records.properties_of("release", FilterSchema._declared_fields),
    complete=completed,
    changed=changed,
    check=check,
    derived=("sequence", *_FURTHEST, *_LATEST),
)


class CreateRelease(calls.CallSchema):
    """The parameters of Create Release [V]."""

    NEEDS = tuple((name,) for name in calls.APPLICATION)

    applicationId = Integer(metadata=about("The id of the application."))
    applicationName = Text(metadata=about("The name of the application; case is ignored."))
    releaseNumber = Text(required=True, metadata=about("The number; new in the application."))
    releaseName = Text(metadata=about("The name.", left_out="the number"))
    pipelineName = Text(required=True, metadata=about("The name of the pipeline."))


def create_release(session: Session, values: Values) -> Result:
    """A number occurs once in an application."""
    application = calls.find_application(session, values)
    number, id_ = values["releaseNumber"], application["id"]
    pipeline = calls.find_pipeline(session, values["pipelineName"])
    table = session.table("releases")
    if table.ids({"applicationId": id_, "releaseNumber": number}):
        what = f"{application['name']} has a release {quoted(number)} already"
        raise calls.refuse("releaseNumber", what)
    sequences = _last_sequences(session)
    sequences[id_] = sequences.get(id_, 0) + 1
    release = {
        "id": table.highest_id + 1,
        "number": number,
        "sequence": sequences[id_],
        "name": values.get("releaseName", number),
        "createdBy": calls.BY_API,
        "createdOn": calls.now(session),
        "pipelineName": pipeline,
        "applicationId": id_,
        "applicationName": application["name"],
        "deployables": [],
    }
    session.put("releases", ReleaseSchema.completed(release))
    return calls.as_object(session, "releases", release)


def _last_sequences(session: Session) -> dict[int, int]:
    """The highest sequence that a release of each application has or had, or may have later."""
    shared, own = session.scenario.memo, session.memo
    if "sequences" not in shared:
        shared["sequences"] = _highest({}, completed(session.scenario.records("releases")))
    if "sequences" not in own:
        written = filter(None, session.written.get("releases", {}).values())
        own["sequences"] = _highest(shared["sequences"], written)
    found: dict[int, int] = own["sequences"]
    return found


def _highest(sequences: Mapping[int, int], releases: Iterable[Row]) -> dict[int, int]:
    """These sequences, and higher ones of some releases, by application."""
    highest = dict(sequences)
    for row in releases:
        id_ = row["applicationId"]
        highest[id_] = max(highest.get(id_, 0), row["sequence"])
    return highest


def cancel_release(session: Session, values: Values) -> Result:
    """Its active builds are rejected."""
    release = calls.find_release(session, values)
    if release["status"] == "canceled":
        return calls.done("release", release, "canceled already")
    active = {"releaseId": release["id"], "status": "active"}
    for build in [*calls.rows(session, "builds", active)]:
        calls.reject(session, build, calls.BY_API)
    by = {"canceledBy": calls.BY_API, "canceledOn": calls.now(session)}
    session.put("releases", release | {"status": "canceled"} | by)
    return calls.done("release", release, "canceled")


def restore_release(session: Session, values: Values) -> Result:
    """Its builds stay as they are."""
    release = calls.find_release(session, values)
    if release["status"] == "active":
        return calls.done("release", release, "active already")
    session.put("releases", changed(release, {"status": "active"}))
    return calls.done("release", release, "active")


ENDPOINTS = (
    calls.listing("/api/releases", RELEASE, FilterSchema(), "Get Releases", counts=True),
    calls.call("create", RELEASE, CreateRelease(), create_release, ReleaseSchema()),
    calls.call("cancel", RELEASE, calls.ReleaseCall(), cancel_release),
    calls.call("restore", RELEASE, calls.ReleaseCall(), restore_release),
)
