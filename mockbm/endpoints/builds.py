"""Builds: the list, Create Build and Reject Build [V]; also under their older name, packages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from ..core.endpoint import Result
from ..core.errors import nearest, quoted
from ..core.fields import Choice, Date, Integer, Row, Text
from ..core.json_schema import about
from ..core.kind import Kind, World
from ..core.session import Session
from . import _calls as calls
from . import _records as records
from ._calls import Values
from .releases import ReleaseSchema

STATUSES = ("active", "rejected", "deployed")


class BuildSchema(records.RecordSchema):
    """BuildInfo [V]."""

    NAME = "builds"
    OLDER = {"buildNumber": "number"}  # noqa: RUF012
    DEFAULTS = records.RecordSchema.DEFAULTS | {"status": "active"}
    error_messages = {"type": "expected a build, as in `- {id: 6, number: 2, releaseId: 4}`"}  # noqa: RUF012

    number = Text(required=True, metadata=about("The number, which is text."))
    status = Choice(*STATUSES, metadata=about("How far it is.", left_out="active"))
    createdBy = Text(metadata=about("Who created it.", left_out="SYSTEM"))
    createdOn = Date(metadata=about("When it was created.", left_out=records.DEFAULT_CREATED_ON))
    rejectedBy = Text(metadata=about("Who rejected it."))
    rejectedOn = Date(metadata=about("When it was rejected."))
    applicationId = Integer(metadata=about("Its application.", left_out="that of its release"))
    applicationName = Text(metadata=about("Its application.", left_out="that of its release"))
    pipelineName = Text(metadata=about("Its pipeline.", left_out="that of its release"))
    furthestStage = Text(metadata=about("The furthest stage to which it was deployed."))
    releaseId = Integer(metadata=about("The id of its release."))
    releaseNumber = Text(metadata=about("Its release.", left_out="as its release has it"))
    releaseName = Text(metadata=about("Its release.", left_out="as its release has it"))
    buildNumber = Text(metadata=about("An older name of number, same value."))
    extra = records.extra_field()


OF_RELEASE = records.properties_of(
    "release", (*calls.RELEASE, "releaseName", *calls.APPLICATION, "pipelineName")
)
"""The properties that a build has from its release."""


def check(builds: Sequence[Row], world: World) -> dict[int, Any]:
    """What is wrong with the builds of a file: of no release or application, or in no stage."""
    problems = records.unknown(builds, world, "releases")
    releases = {release["id"]: release for release in world["releases"]}
    for index, build in enumerate(builds):
        if "releaseId" not in build and not {*calls.APPLICATION} <= build.keys():
            how = "add releaseId, or applicationId and applicationName"
            problems[index] = {"releaseId": [f"is missing; {how}"]}
        pipeline = (releases.get(build.get("releaseId"), {}) | build).get("pipelineName")
        stages = world.get("pipelines", {}).get(pipeline, ())
        stage = build.get("furthestStage", "")
        near = None if stage in stages else nearest(stage, stages)
        if near:  # without one, it may be a stage that the pipeline had when the build was there
            what = f"pipeline {pipeline} has no such stage; did you mean {near}?"
            problems.setdefault(index, {})["furthestStage"] = [what]
    return problems


def named_by_releases(world: World) -> int:
    """The highest id of a build that a release names, whether or not the file has the build."""
    names = ("furthestBuildId", "latestBuildId")
    return max((release.get(name, 0) for release in world["releases"] for name in names), default=0)


def completed(builds: Sequence[Row], world: World) -> Iterator[Row]:
    """Builds as loaded, with the default of everything that was left out."""
    releases = {row["id"]: row for row in world.get("releases", ())} if builds else {}
    for build in builds:
        release = releases.get(build.get("releaseId"), {})
        name = {"releaseName": release["number"]} if release else {}
        yield BuildSchema.completed(name | records.inherited(release, OF_RELEASE) | build)


class BuildFilters(calls.OfBuild):
    """The filters of builds [V]."""

    pipelineName = calls.whole("name of the pipeline")
    furthestStage = calls.whole("name of the furthest stage")
    status = Choice(*STATUSES, any_case=True, metadata=about("The status of the build."))


BUILD = Kind(
    name="builds",
    noun="build",
    schema=BuildSchema,
    filters=records.properties_of("build", BuildFilters._declared_fields),
    complete=completed,
    check=check,
    named=named_by_releases,
)


class CreateBuild(calls.ReleaseCall):
    """The parameters of Create Build [V]."""

    NEEDS = (*calls.ReleaseCall.NEEDS, *((name, "pipelineName") for name in calls.APPLICATION))

    buildNumber = Text(metadata=about("Its number.", left_out="the next whole number"))
    pipelineName = Text(metadata=about("The pipeline, where there is no release."))


def create_build(session: Session, values: Values) -> Result:
    """It belongs to a release, or to an application and a pipeline, and is not deployed."""
    release, owner = _owner(session, values)
    name = "applicationId" if release is None else "releaseId"
    key = ("builds", name, owner[name])
    if key not in session.memo:
        of_release = (release or {}).get
        named = of_release("furthestBuildNumber", ""), of_release("latestBuildNumber", "")
        taken = [row["number"] for row in calls.rows(session, "builds", {name: owner[name]})]
        session.memo[key] = max(map(_whole, (*named, *taken)))
    table = session.table("builds")
    number = values.get("buildNumber", str(session.memo[key] + 1))
    if "buildNumber" in values and table.ids({name: owner[name], "buildNumber": number}):
        raise calls.refuse("buildNumber", f"{quoted(number)} is there already")
    new = {"id": table.highest_id + 1, "number": number, "createdBy": calls.BY_API}
    build = BuildSchema.completed(new | owner | {"createdOn": calls.now(session)})
    session.put("builds", build)
    for counted in {key, ("builds", "applicationId", owner["applicationId"])}:
        if counted in session.memo:  # a build of a release counts in its application, too
            session.memo[counted] = max(session.memo[counted], _whole(number))
    if release is not None:
        note_build(session, release, build)
    return calls.as_object(session, "builds", build)


def _owner(session: Session, values: Values) -> tuple[Row | None, Row]:
    """The release of a new build, or None, and the properties that the build has from its owner."""
    if any(name in values for name in calls.RELEASE):
        release = calls.find_release(session, values)
        if release["status"] != "active":
            how = "; restore it first" if release["status"] == "canceled" else ""
            what = f"release {release['number']} is {release['status']}{how}"
            raise calls.refuse("releaseId", what)
        return release, records.inherited(release, OF_RELEASE)
    if not any(name in values for name in calls.APPLICATION):
        how = "add a release, or an application and a pipelineName"
        raise calls.refuse("releaseId", f"is missing; {how}")
    application = calls.find_application(session, values)
    if "pipelineName" not in values:
        what = "is missing; without a release, a build needs a pipeline"
        raise calls.refuse("pipelineName", what)
    pipeline = calls.find_pipeline(session, values["pipelineName"])
    owner = {"applicationId": application["id"], "applicationName": application["name"]}
    return None, {**owner, "pipelineName": pipeline}


def _whole(number: str) -> int:
    """The number of a build from which the next one counts on; 0 for another text."""
    return int(number) if re.fullmatch("[0-9]{1,100}", number) else 0


def note_build(session: Session, release: Row, build: Row) -> None:
    """Let a release follow from a build of it that is new, or has gone further."""
    stages = calls.stages(session, build)
    best = release.get("furthestBuildId", 0)
    furthest = session.table("builds").get(best)
    highest = 0 if best else -1  # where the release names a build that is not there
    if furthest is not None:
        highest = records.place_of(stages, furthest.get("furthestStage"))
    own = {"BuildId": build["id"], "BuildNumber": build["number"]}
    if (records.place_of(stages, build.get("furthestStage")), build["id"]) >= (highest, best):
        release |= {f"furthest{name}": value for name, value in own.items()}
    if build["id"] >= release.get("latestBuildId", 0):
        release |= {f"latest{name}": value for name, value in own.items()}
    session.put("releases", ReleaseSchema.with_older_names(release))


def reject_build(session: Session, values: Values) -> Result:
    """One that is rejected already stays as it is."""
    build = calls.find_build(session, values)
    if build["status"] == "rejected":
        return calls.done("build", build, "rejected already")
    calls.reject(session, build, calls.BY_API)
    return calls.done("build", build, "rejected")


ENDPOINTS = (
    calls.listing("/api/releases/builds", BUILD, BuildFilters(), "Get Builds"),
    calls.call("builds/create", BUILD, CreateBuild(), create_build, BuildSchema()),
    calls.call("builds/reject", BUILD, calls.BuildCall(), reject_build, methods=("POST", "DELETE")),
)
