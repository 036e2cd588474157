"""What a call names: an application, a release, a build or a pipeline that has to exist."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from marshmallow import ValidationError

from ..core.endpoint import Endpoint, Result
from ..core.errors import quoted, suggest
from ..core.fields import Integer, ParameterSchema, Row, Text
from ..core.json_schema import about
from ..core.session import Session
from ..core.table import World
from ..core.times import outgoing

DEFAULT_STAGES = ("Build", "Integration", "Testing", "Production")
"""The stages of a pipeline that the scenario does not list [D]."""

BY_API = "API"
"""Who does what a call asks for."""

APPLICATION = ("applicationId", "applicationName")
RELEASE = ("releaseId", "releaseNumber")
BUILD = ("buildId", "buildNumber")

OLDER_PARAMETERS = {"packageid": "buildId", "packagenumber": "buildNumber"}
"""Names of parameters from the time when builds were called packages [F]."""


def about_whole(what: str) -> dict[str, str]:
    """The description of a text filter."""
    return about(f"The whole {what}; case is ignored.")


def also_of_packages(*endpoints: Endpoint) -> tuple[Endpoint, ...]:
    """Endpoints of builds, also under the paths of when builds were called packages [F]."""
    older = (replace(each, path=each.path.replace("/builds", "/packages")) for each in endpoints)
    return (*endpoints, *older)


class CallSchema(ParameterSchema):
    """The parameters that every call takes which changes something."""

    ALIASES = OLDER_PARAMETERS
    VARIABLES = True

    reason = Text(metadata=about("Why; it is taken everywhere and is in no answer."))


class ReleaseCall(CallSchema):
    """A call about a release."""

    releaseId = Integer(metadata=about("The id of the release."))
    releaseNumber = Text(metadata=about("The number of the release; needs an application."))
    applicationId = Integer(metadata=about("The id of the application."))
    applicationName = Text(metadata=about("The name of the application; case is ignored."))


class BuildCall(ReleaseCall):
    """A call about a build."""

    buildId = Integer(metadata=about("The id of the build."))
    buildNumber = Text(metadata=about("The number of the build; needs a release."))


class NoParameters(ParameterSchema):
    """No parameters at all."""


def now(session: Session) -> str:
    """The moment by the session's clock, as dates go out."""
    return outgoing(session.clock.now())


def rows(session: Session, kind: str, filters: Mapping[str, Any]) -> Iterator[Row]:
    """The records that match; each is the caller's to change and put back."""
    table = session.table(kind)
    for id_ in table.select(filters).ids:
        row = table.get(id_)
        assert row is not None
        yield row


def as_object(session: Session, kind: str, row: Row) -> Result:
    """An answer with one record, as it is in its table."""
    found = session.table(kind).select({f"{kind[:-1]}Id": row["id"]})
    return Result(found.body[1:-1], f"{kind[:-1]} {row['id']}", ids=(row["id"],))


def done(row: Row, what: str) -> Result:
    """An answer that says nothing [V]."""
    return Result(b"", what, content_type="", ids=(row["id"],))


def refuse(name: str, what: str) -> ValidationError:
    """The error of a parameter that names something impossible."""
    return ValidationError({name: [what]})


def _the_one(session: Session, kind: str, filters: Mapping[str, Any]) -> Row:
    """The newest record that has all these properties. Raises: ValidationError for none."""
    found = session.table(kind).select(filters)
    if not found.ids:
        name = [*filters][-1]
        both = " and ".join(filters)
        agree = f"no {kind[:-1]} has this {both}" if len(filters) > 1 else f"no {kind[:-1]} has it"
        raise refuse(name, f"{agree}: {found.explanation}")
    row = session.table(kind).get(found.ids[0])
    assert row is not None
    return row


def _given(values: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: values[name] for name in names if name in values}


def find_application(session: Session, values: Mapping[str, Any]) -> Row:
    """The application of a call, by its id or name, which agree where both are sent [D]."""
    filters = _given(values, APPLICATION)
    if not filters:
        raise refuse("applicationId", "is missing; add applicationId or applicationName")
    return _the_one(session, "applications", filters)


def find_release(session: Session, values: Mapping[str, Any]) -> Row:
    """The release of a call: by its id, or by its number and application; all agree [D]."""
    filters = _given(values, ("releaseId", *APPLICATION, "releaseNumber"))
    if "releaseId" not in filters and "releaseNumber" not in filters:
        how = "add releaseId, or releaseNumber and an application"
        raise refuse("releaseId", f"is missing; {how}")
    if "releaseId" not in filters and len(filters) == 1:
        how = "a releaseNumber needs an application: add applicationId or applicationName"
        raise refuse("applicationId", f"is missing; {how}")
    if "releaseId" not in filters:
        find_application(session, values)
    return _the_one(session, "releases", filters)


def find_build(session: Session, values: Mapping[str, Any]) -> Row:
    """The build of a call: by its id, or by its number and release; all agree [D]."""
    filters = _given(values, ("buildId", "releaseId", *APPLICATION, "releaseNumber", "buildNumber"))
    if "buildId" in filters:
        return _the_one(session, "builds", filters)
    if "buildNumber" not in filters:
        raise refuse("buildId", "is missing; add buildId, or buildNumber and a release")
    if "releaseId" in filters or "releaseNumber" in filters:
        find_release(session, values)
    elif len(filters) == 1:
        raise refuse("releaseId", "is missing; a buildNumber needs a release: add releaseId")
    elif len(session.table("builds").select(filters).ids) > 1:
        what = "several builds of the application have this buildNumber: add releaseNumber"
        raise refuse("releaseId", f"is missing; {what}")
    return _the_one(session, "builds", filters)


def find_pipeline(session: Session, name: str) -> str:
    """The pipeline of a call; any name will do where the scenario lists none [D]."""
    pipelines = pipelines_of(session)
    if pipelines and name not in pipelines:
        what = f"no pipeline is called {quoted(name)}; {suggest(name, pipelines)}"
        raise refuse("pipelineName", what)
    return name


def unknown(rows: Sequence[Row], world: World, name: str, kind: str) -> dict[int, Any]:
    """What is wrong with records of a file that name a record of another kind by its id."""
    known = {row["id"] for row in world[kind]}
    what = f"no {kind[:-1]} has the id"
    return {
        index: {name: [f"{what} {row[name]}"]}
        for index, row in enumerate(rows)
        if name in row and row[name] not in known
    }


def stages_of(pipelines: Mapping[str, Sequence[str]], name: str | None) -> Sequence[str]:
    """The stages of a pipeline, in their order."""
    return pipelines.get(name or "", DEFAULT_STAGES)


def place_of(stages: Sequence[str], stage: str | None) -> int:
    """How far a stage is in its pipeline; -1 for none."""
    return stages.index(stage) if stage in stages else -1


def pipelines_of(session: Session) -> Mapping[str, Sequence[str]]:
    """The pipelines that the scenario lists: name to stages."""
    found: Mapping[str, Sequence[str]] = session.scenario.options.get("pipelines", {})
    return found


def reject(session: Session, build: Row, by: str) -> None:
    """Let a build be rejected from now on."""
    session.put(
        "builds", build | {"status": "rejected", "rejectedBy": by, "rejectedOn": now(session)}
    )
