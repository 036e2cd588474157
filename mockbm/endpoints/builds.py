"""Builds: the list, Create Build and Reject Build [V]; also under their older name, packages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..core.endpoint import Endpoint, Result
from ..core.errors import nearest, quoted
from ..core.fields import Choice, Date, Integer, Row, Text
from ..core.json_schema import about
from ..core.kind import Kind, World
from ..core.parameters import ParameterSchema
from ..core.session import Session
from ._references import (
    APPLICATION,
    BUILD,
    BY_API,
    DEFAULT_CREATED_ON,
    OLDER_PARAMETERS,
    RELEASE,
    BuildCall,
    RecordSchema,
    ReleaseCall,
    about_whole,
    also_of_packages,
    as_object,
    done,
    extra_field,
    find_application,
    find_build,
    find_pipeline,
    find_release,
    now,
    pipelines_of,
    place_of,
    refuse,
    reject,
    rows,
    stages_of,
    unknown,
)

STATUSES = ("active", "rejected", "deployed")


class BuildSchema(RecordSchema):
    """BuildInfo [V]."""

    NAME = "builds"
    OLDER = {"buildNumber": "number"}  # noqa: RUF012
    error_messages = {"type": "expected a build, as in `- {id: 6, number: 2, releaseId: 4}`"}  # noqa: RUF012

    id = Integer(required=True, metadata=about("The id, which occurs once in a scenario."))
    number = Text(required=True, metadata=about("The number, which is text."))
    status = Choice(*STATUSES, metadata=about("How far it is.", left_out="active"))
    createdBy = Text(metadata=about("Who created it.", left_out="SYSTEM"))
    createdOn = Date(metadata=about("When it was created.", left_out=DEFAULT_CREATED_ON))
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
    extra = extra_field()


OF_RELEASE = {
    "applicationId": "applicationId",
    "applicationName": "applicationName",
    "pipelineName": "pipelineName",
    "releaseNumber": "number",
    "releaseName": "name",
}
"""Properties of a build that are those of its release."""


def check(builds: Sequence[Row], world: World) -> dict[int, Any]:
    """What is wrong with the builds of a file: a release that is not there, or no application."""
    problems = unknown(builds, world, "releases", *RELEASE)
    for index, build in enumerate(builds):
        if "releaseId" not in build and not {*APPLICATION} <= build.keys():
            how = "add releaseId, or applicationId and applicationName"
            problems[index] = {"releaseId": [f"is missing; {how}"]}
    releases = {release["id"]: release for release in world["releases"]}
    for index, build in enumerate(builds):
        release = releases.get(build.get("releaseId"), {})
        pipeline = build.get("pipelineName", release.get("pipelineName"))
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
        full = {name: release[of] for name, of in OF_RELEASE.items() if of in release}
        if release:
            full.setdefault("releaseName", release["number"])
        full |= build
        full.setdefault("status", "active")
        full.setdefault("createdBy", "SYSTEM")
        full.setdefault("createdOn", DEFAULT_CREATED_ON)
        yield BuildSchema.with_older_names(full)


BUILD_KIND = Kind(
    name="builds",
    noun="build",
    schema=BuildSchema,
    filters={
        "applicationId": "applicationId",
        "applicationName": "applicationName",
        "releaseId": "releaseId",
        "releaseNumber": "releaseNumber",
        "releaseName": "releaseName",
        "buildId": "id",
        "buildNumber": "number",
        "pipelineName": "pipelineName",
        "furthestStage": "furthestStage",
        "status": "status",
    },
    complete=completed,
    check=check,
    named=named_by_releases,
)


class BuildFilters(ParameterSchema):
    """The filters of builds [V]."""

    ALIASES = OLDER_PARAMETERS
    GROUPS = (APPLICATION, (*RELEASE, "releaseName"), BUILD)

    applicationId = Integer(metadata=about("The id of the application."))
    applicationName = Text(metadata=about_whole("name of the application"))
    releaseId = Integer(metadata=about("The id of the release."))
    releaseNumber = Text(metadata=about_whole("number of the release"))
    releaseName = Text(metadata=about_whole("name of the release"))
    buildId = Integer(metadata=about("The id of the build."))
    buildNumber = Text(metadata=about_whole("number of the build"))
    pipelineName = Text(metadata=about_whole("name of the pipeline"))
    furthestStage = Text(metadata=about_whole("name of the furthest stage"))
    status = Choice(*STATUSES, any_case=True, metadata=about("The status of the build."))


class CreateBuild(ReleaseCall):
    """The parameters of Create Build [V]."""

    NEEDS = (*ReleaseCall.NEEDS, *((name, "pipelineName") for name in APPLICATION))

    buildNumber = Text(metadata=about("Its number.", left_out="the next whole number"))
    pipelineName = Text(metadata=about("The pipeline, where there is no release."))


def get_builds(session: Session, filters: Mapping[str, Any]) -> Result:
    """Get Builds [V]: those that match every filter."""
    return Result.of(session.table("builds").select(filters))


def create_build(session: Session, values: Mapping[str, Any]) -> Result:
    """Create Build [V]: of a release, or of an application and a pipeline. It deploys nothing."""
    release, owner = _owner(session, values)
    name = "applicationId" if release is None else "releaseId"
    siblings, key = {name: owner[name]}, ("builds", name, owner[name])
    if key not in session.memo:
        taken = [row["number"] for row in rows(session, "builds", siblings)]
        taken += [
            (release or {}).get(name, "") for name in ("furthestBuildNumber", "latestBuildNumber")
        ]
        session.memo[key] = max(map(_whole, taken))
    table = session.table("builds")
    number = values.get("buildNumber", str(session.memo[key] + 1))
    if "buildNumber" in values and table.ids({**siblings, "buildNumber": number}):
        raise refuse("buildNumber", f"{quoted(number)} is there already")
    id_ = table.highest_id + 1
    row = {"id": id_, "number": number, **owner, "createdBy": BY_API, "createdOn": now(session)}
    (build,) = completed([row], {})
    session.put("builds", build)
    for counted in {key, ("builds", "applicationId", owner["applicationId"])}:
        if counted in session.memo:  # a build of a release counts in its application, too
            session.memo[counted] = max(session.memo[counted], _whole(number))
    if release is not None:
        note_build(session, release, build)
    return as_object(session, "builds", build)


def _owner(session: Session, values: Mapping[str, Any]) -> tuple[Row | None, Row]:
    """The release of a new build, or None, and the properties that the build has from its owner."""
    if any(name in values for name in RELEASE):
        release = find_release(session, values)
        if release["status"] != "active":
            how = "; restore it first" if release["status"] == "canceled" else ""
            raise refuse("releaseId", f"release {release['number']} is {release['status']}{how}")
        owner = {of: release[name] for of, name in OF_RELEASE.items() if name in release}
        return release, {"releaseId": release["id"], **owner}
    if not any(name in values for name in APPLICATION):
        how = "add a release, or an application and a pipelineName"
        raise refuse("releaseId", f"is missing; {how}")
    application = find_application(session, values)
    if "pipelineName" not in values:
        raise refuse("pipelineName", "is missing; without a release, a build needs a pipeline")
    return None, {
        "applicationId": application["id"],
        "applicationName": application["name"],
        "pipelineName": find_pipeline(session, values["pipelineName"]),
    }


MAX_DIGITS = 100
"""Digits of a build number that the next one counts on from."""


def _whole(number: str) -> int:
    """The number of a build where it is a whole one; 0 where it is another text."""
    is_whole = number.isascii() and number.isdecimal() and len(number) <= MAX_DIGITS
    return int(number) if is_whole else 0


def note_build(session: Session, release: Row, build: Row) -> None:
    """Let a release follow from a build of it that is new, or has gone further."""
    table = session.table("builds")
    stages = stages_of(pipelines_of(session), build.get("pipelineName"))
    rank, best = place_of(stages, build.get("furthestStage")), release.get("furthestBuildId", 0)
    furthest = table.get(best)
    highest = 0 if best else -1  # where the release names a build that is not there
    if furthest is not None:
        highest = place_of(stages, furthest.get("furthestStage"))
    if (rank, build["id"]) >= (highest, best):
        release |= {"furthestBuildId": build["id"], "furthestBuildNumber": build["number"]}
    if build["id"] >= release.get("latestBuildId", 0):
        release |= {"latestBuildId": build["id"], "latestBuildNumber": build["number"]}
    schema: Any = session.scenario.kinds["releases"].schema
    session.put("releases", schema.with_older_names(release))


def reject_build(session: Session, values: Mapping[str, Any]) -> Result:
    """Reject Build [V]."""
    build = find_build(session, values)
    if build["status"] == "rejected":
        return done(build, f"build {build['number']} is rejected already")
    reject(session, build, BY_API)
    return done(build, f"build {build['number']} is rejected")


ENDPOINTS = also_of_packages(
    Endpoint(
        "/api/releases/builds",
        get_builds,
        parameters=BuildFilters(),
        kind=BUILD_KIND,
        summary="Get Builds",
        answer=BuildSchema(many=True),
    ),
    Endpoint(
        "/api/releases/builds/create",
        create_build,
        parameters=CreateBuild(),
        kind=BUILD_KIND,
        summary="Create Build",
        methods=("POST", "PUT"),
        changes=True,
        answer=BuildSchema(),
    ),
    Endpoint(
        "/api/releases/builds/reject",
        reject_build,
        parameters=BuildCall(),
        kind=BUILD_KIND,
        summary="Reject Build",
        methods=("POST", "DELETE"),
        changes=True,
    ),
)
