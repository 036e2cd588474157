"""Deployments: the list and Deploy [V], and how a deployment goes on; also of packages.

Deploying makes a parent, which is the answer, and a child that does the work [T]. Both go on
together, by the calls that show one of them or by the session's clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from marshmallow import ValidationError, fields

from ..core.endpoint import Result
from ..core.errors import quoted, suggest
from ..core.fields import After, Choice, Date, Field, Flag, Integer, NamedSchema, Row, Text
from ..core.json_schema import JsonSchema, Place, about
from ..core.kind import Kind, World
from ..core.session import Session
from ..core.times import moment, outgoing
from . import _calls as calls
from . import _records as records
from ._calls import Values
from .builds import OF_RELEASE, note_build
from .builds import completed as complete_builds

UNFINISHED = ("pending", "executing")
RESULTS = ("succeeded", "warned", "failed")
STATUSES = (*UNFINISHED, *RESULTS)


class DeploymentSchema(records.RecordSchema):
    """DeploymentInfo [V]."""

    NAME = "deployments"
    OLDER = {"packageId": "buildId", "packageNumber": "buildNumber"}  # noqa: RUF012
    # Where they are null, the last two are written [V].
    DEFAULTS = records.RecordSchema.DEFAULTS | {"status": "succeeded", "plan": None, "ended": None}
    error_messages = {"type": "expected a deployment, as in `- {id: 21, buildId: 6}`"}  # noqa: RUF012

    plan = Text(
        allow_none=True,
        metadata=about(
            "The plan of one that does the work of another of its build and stage, which has "
            "none, and is shown only to a call with its deploymentId."
        ),
    )
    status = Choice(*STATUSES, metadata=about("How far it is.", left_out="succeeded"))
    started = Date(metadata=about("When it started.", left_out="createdOn"))
    ended = Date(allow_none=True, metadata=about("When it ended."))
    createdBy = Text(metadata=about("Who created it.", left_out="SYSTEM"))
    createdOn = Date(metadata=about("When it was created.", left_out=records.DEFAULT_CREATED_ON))
    canceledBy = Text(metadata=about("Who canceled it."))
    canceledOn = Date(metadata=about("When it was canceled."))
    pipelineName = Text(metadata=about("Its pipeline.", left_out="that of its build"))
    pipelineStageName = Text(metadata=about("The stage to which it deploys."))
    environmentId = Integer(metadata=about("The id of its environment."))
    environmentName = Text(metadata=about("The name of its environment."))
    applicationId = Integer(metadata=about("Its application.", left_out="that of its build"))
    applicationName = Text(metadata=about("Its application.", left_out="that of its build"))
    releaseId = Integer(metadata=about("Its release.", left_out="that of its build"))
    releaseNumber = Text(metadata=about("Its release.", left_out="that of its build"))
    releaseName = Text(metadata=about("Its release.", left_out="that of its build"))
    buildId = Integer(metadata=about("The id of its build."))
    buildNumber = Text(metadata=about("Its build.", left_out="as its build has it"))
    packageId = Integer(metadata=about("An older name of buildId, same value."))
    packageNumber = Text(metadata=about("An older name of buildNumber, same value."))
    partner = Integer(
        load_only=True,
        metadata=about("The id of the parent or child with which an unfinished one goes on."),
    )
    extra = records.extra_field()


OF_BUILD = records.properties_of("build", (*OF_RELEASE, *calls.BUILD))
"""The properties that a deployment has from its build."""


def check(deployments: Sequence[Row], world: World) -> dict[int, Any]:
    """What is wrong with the deployments of a file: a build or a stage that is not there."""
    problems: dict[Any, Any] = {**records.unknown(deployments, world, "builds")}
    pipelines = world.get("pipelines", {})
    stages = [stage for each in pipelines.values() for stage in each] or records.DEFAULT_STAGES
    settings = world.get("settings", {}).get("deployments", {})
    wrong = {stage for stage in settings.get("result", {}) if stage and stage not in stages}
    if wrong:
        what = "no pipeline has this stage"
        problems["result"] = {stage: [f"{what}; {suggest(stage, stages)}"] for stage in wrong}
    return problems


def completed(deployments: Sequence[Row], world: World) -> Iterator[Row]:
    """Deployments as loaded, with the default of everything that was left out."""
    known = world.get("builds", ()) if deployments else ()
    builds = {row["id"]: row for row in complete_builds(known, world)}
    worked = {_work(deployment) for deployment in deployments if deployment.get("plan")}
    for deployment in deployments:
        build = builds.get(deployment.get("buildId"), {})
        full = DeploymentSchema.completed(records.inherited(build, OF_BUILD) | deployment)
        full.setdefault("started", full["createdOn"])
        # One without a plan is the parent of one that has one, or does its work itself.
        full["isChild"] = full["plan"] is not None or _work(deployment) not in worked
        yield full


def _work(deployment: Row) -> tuple[Any, ...]:
    """What a parent and its child have in common."""
    return deployment.get("buildId"), deployment.get("pipelineStageName")


class Patience(After):
    """How long a deployment stays in a status: calls that show it, a duration, or for ever."""

    def _deserialize(self, value: object, *_: Any, **__: Any) -> tuple[str, float]:
        return ("never", 0.0) if value == "never" else super()._deserialize(value)

    def json_schema(self, place: Place) -> JsonSchema:
        shape = super().json_schema(place)
        return {"anyOf": [shape, {"const": "never"}]}


class ResultField(Field[dict[str, str]]):
    """How deployments end: a word for all, or one for each stage."""

    def _deserialize(self, value: object, *_: Any, **__: Any) -> dict[str, str]:
        word: Any = Choice(*RESULTS)
        if isinstance(value, Mapping):
            return {str(stage): word.deserialize(each) for stage, each in value.items()}
        return {"": word.deserialize(value)}

    def json_schema(self, _place: Place) -> JsonSchema:
        word = {"type": "string", "enum": [*RESULTS]}
        return {"anyOf": [word, {"type": "object", "additionalProperties": word}]}


class SettingsSchema(NamedSchema):
    """How deployments go on: `deployments` of a scenario file that are no list."""

    pending = Patience(
        load_default=("calls", 1.0), metadata=about("How long it is pending.", left_out="1 call")
    )
    executing = Patience(
        load_default=("calls", 1.0), metadata=about("How long it executes.", left_out="1 call")
    )
    result = ResultField(metadata=about("How it ends.", left_out="succeeded"))


DEFAULTS: dict[str, Any] = SettingsSchema().load({})
"""How deployments go on where a scenario does not say."""


class DeploymentFilters(calls.OfBuild):
    """The filters of deployments [V]."""

    GROUPS = (*calls.OfBuild.GROUPS, ("environmentId", "environmentName"))

    deploymentId = Integer(metadata=about("The id of the deployment."))
    pipelineName = calls.whole("name of the pipeline")
    pipelineStageName = calls.whole("name of the stage")
    environmentId = Integer(metadata=about("The id of the environment."))
    environmentName = calls.whole("name of the environment")
    status = Choice(*STATUSES, any_case=True, metadata=about("The status of the deployment."))


class DeployCall(calls.BuildCall):
    """The parameters of Deploy Build [V]."""

    toStage = Text(metadata=about("The stage.", left_out="the next one"))
    force = Flag(any_case=True, metadata=about("Whether a rejected build is deployed, too."))
    startTime = Text(metadata=about("When to start; it has no effect."))


def get_deployments(session: Session, filters: Values) -> Result:
    """Get Deployments [V]; what it shows goes on by one step, where calls decide that [D]."""
    only = {} if "deploymentId" in filters else {"isChild": True}
    found = session.table("deployments").select({**only, **filters})
    result = Result.of(found)
    for id_ in sorted(found.ids):  # the older one is in its stage first
        row = session.table("deployments").get(id_)
        if row is None or row["status"] not in UNFINISHED:
            continue
        kind, amount = _settings(session)[row["status"]]
        looks = row.get("looks", 0) + 1
        if kind == "calls" and looks >= amount:
            _step(session, row, calls.now(session))
        elif kind == "calls":
            _change(session, row, looks=looks)
    return result


def advance(session: Session) -> None:
    """Let deployments go on whose time has come by the session's clock."""
    for status in UNFINISHED:
        kind, seconds = _settings(session)[status]
        if kind != "seconds":
            continue
        waiting = calls.rows(session, "deployments", {"isChild": True, "status": status})
        for row in sorted(waiting, key=lambda row: (_since(row), row["id"])):
            when = moment(_since(row)) + timedelta(seconds=seconds)
            if when <= session.clock.now():
                _step(session, row, outgoing(when))


def _since(row: Row) -> str:
    """When a deployment began to have its status."""
    return str(row.get("since", row["createdOn"]))


def _settings(session: Session) -> dict[str, Any]:
    settings: dict[str, Any] = session.scenario.options.get("deployments", DEFAULTS)
    return settings


def _change(session: Session, row: Row, **changes: Any) -> None:
    """Change a deployment, and its parent or child."""
    for each in (row, session.table("deployments").get(row.get("partner", 0))):
        if each is not None:
            session.put("deployments", each | changes)


def _step(session: Session, row: Row, when: str) -> None:
    """Let a deployment go on to the next status."""
    if row["status"] == "pending":
        _change(session, row, status="executing", looks=0, since=when)
        return
    results = _settings(session).get("result", {})
    status = results.get(row.get("pipelineStageName"), results.get("", "succeeded"))
    _change(session, row, status=status, ended=when)
    if status != "failed":
        _enter_stage(session, row)


def _enter_stage(session: Session, deployment: Row) -> None:
    """What follows for the build and its release when it is in a stage [V]."""
    build = session.table("builds").get(deployment.get("buildId", 0))
    stage = deployment.get("pipelineStageName")
    if build is None or stage is None:
        return
    stages = calls.stages(session, build)
    if records.place_of(stages, stage) >= records.place_of(stages, build.get("furthestStage")):
        build["furthestStage"] = stage
    is_last = stage == stages[-1]
    if is_last:
        build = {n: value for n, value in build.items() if not n.startswith("rejected")}
        build["status"] = "deployed"
    session.put("builds", build)
    release = session.table("releases").get(build.get("releaseId", 0))
    if release is None:
        return
    there = {"releaseId": release["id"], "furthestStage": stage, "status": "active"}
    for other in [*calls.rows(session, "builds", there)]:
        if other["id"] < build["id"]:
            calls.reject(session, other, "SYSTEM")
    if is_last and release["status"] == "active":  # it may be canceled meanwhile
        release["status"] = "deployed"
    note_build(session, release, build)


def deploy_build(session: Session, values: Values) -> Result:
    """To the next stage of its pipeline, or to the one that is named."""
    build = calls.find_build(session, values)
    name = "buildId" if "buildId" in values else "buildNumber"
    if build["status"] == "rejected" and not values.get("force"):
        raise calls.refuse(name, "the build is rejected; add force: true to deploy it all the same")
    release = session.table("releases").get(build.get("releaseId", 0))
    if release is not None and release["status"] == "canceled":
        raise calls.refuse(name, f"release {release['number']} is canceled; restore it first")
    stage = _next_stage(session, build, values.get("toStage"), name)
    id_ = session.table("deployments").highest_id + 1
    common = {
        **records.inherited(build, OF_BUILD),
        "status": "pending",
        "pipelineStageName": stage,
        "createdOn": calls.now(session),
    }
    parent = {"id": id_, "createdBy": calls.BY_API, "partner": id_ + 1, **common}
    child = {"id": id_ + 1, "plan": f"Deploy to {stage}", "partner": id_, **common}
    for row in completed([parent, child], {}):
        session.put("deployments", row)
    result = calls.as_object(session, "deployments", parent)
    if session.scenario.options.get("deployAnswer") == "array":
        return replace(result, body=b"[" + result.body + b"]")
    return result


def _next_stage(session: Session, build: Row, wanted: str | None, name: str) -> str:
    """The stage to which a build is deployed, in any case of letters.

    name: of the parameter that names the build.
    """
    stages = calls.stages(session, build)
    if wanted is None:
        later = stages[records.place_of(stages, build.get("furthestStage")) + 1 :]
        if not later:
            what = f"the build is in its last stage, {stages[-1]}; name one with toStage"
            raise calls.refuse(name, what)
        return later[0]
    for stage in stages:
        if stage.casefold() == wanted.casefold():
            return stage
    what = f"pipeline {build.get('pipelineName')} has no stage {quoted(wanted)}"
    raise calls.refuse("toStage", f"{what}; {suggest(wanted, stages)}")


DEPLOYMENT = Kind(
    name="deployments",
    noun="deployment",
    schema=DeploymentSchema,
    filters=records.properties_of("deployment", (*DeploymentFilters._declared_fields, "isChild")),
    internal=("isChild",),
    complete=completed,
    check=check,
    unfinished=UNFINISHED,
    settings=fields.Nested(SettingsSchema),
    advance=advance,
)


class Pipelines(Field[dict[str, list[str]]]):
    """The pipelines of an instance: the name of each, and its stages in their order."""

    def _deserialize(self, value: object, *_: Any, **__: Any) -> dict[str, list[str]]:
        if not isinstance(value, Mapping):
            what = "expected names and stages, such as {Release: [Test, Production]}"
            raise ValidationError(what)
        found, problems, stage = {}, {}, Text(required=True)
        for name, stages in value.items():
            if not isinstance(stages, list) or not stages:
                what = "expected a list of at least one stage, such as [Test, Production]"
                problems[str(name)] = [what]
                continue
            try:
                found[str(name)] = [stage.deserialize(each) for each in stages]
            except ValidationError:
                problems[str(name)] = ["a stage is some text"]
        if problems:
            raise ValidationError(problems)
        return found

    def json_schema(self, _place: Place) -> JsonSchema:
        stages = {"type": "array", "items": {"type": ["string", "number"]}, "minItems": 1}
        return {"type": "object", "additionalProperties": stages}


OPTIONS: dict[str, fields.Field[Any]] = {
    "pipelines": Pipelines(
        metadata=about(
            "The pipelines, each with its stages in their order.",
            left_out="any pipeline has the stages Build, Integration, Testing, Production",
        )
    ),
    "deployAnswer": Choice(
        "object",
        "array",
        metadata=about(
            "Whether Deploy Build answers the deployment, or an array of it, as until 2020.",
            left_out="object",
        ),
    ),
}

ENDPOINTS = (
    calls.listing(
        "/api/releases/builds/deployments",
        DEPLOYMENT,
        DeploymentFilters(),
        "Get Deployments",
        get_deployments,
    ),
    calls.call(
        "builds/deploy",
        DEPLOYMENT,
        DeployCall(),
        deploy_build,
        DeploymentSchema(),
        DeploymentSchema(many=True),
    ),
)
