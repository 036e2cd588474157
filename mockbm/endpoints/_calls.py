"""What calls share: their entries in the table, parameters, and what they name that must exist."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from marshmallow import Schema, ValidationError

from ..core.endpoint import Endpoint, Result
from ..core.errors import quoted, suggest
from ..core.fields import Integer, Row, Text
from ..core.json_schema import about
from ..core.kind import Kind
from ..core.parameters import ParameterSchema
from ..core.session import Session
from ..core.times import outgoing
from ._records import stages_of

BY_API = "API"
"""Who does what a call asks for."""

APPLICATION = ("applicationId", "applicationName")
RELEASE = ("releaseId", "releaseNumber")
BUILD = ("buildId", "buildNumber")

OLDER_PARAMETERS = {"packageid": "buildId", "packagenumber": "buildNumber"}
"""Names of parameters from the time when builds were called packages [F]."""

Values = Mapping[str, Any]
"""The parameters of a call, as their schema reads them."""


def listing(
    path: str,
    kind: Kind,
    parameters: ParameterSchema,
    summary: str,
    run: Callable[[Session, Values], Result] | None = None,
    *,
    counts: bool = False,
) -> Endpoint:
    """The endpoint that lists the records of a kind which match every filter [S, V]."""

    def select(session: Session, filters: Values) -> Result:
        return Result.of(session.table(kind.name).select(filters))

    answer = kind.schema(many=True)
    return Endpoint(path, run or select, parameters, kind, summary, counts=counts, answer=answer)


def call(
    path: str,
    kind: Kind,
    parameters: ParameterSchema,
    run: Callable[[Session, Values], Result],
    *answers: Schema,
    methods: tuple[str, ...] = ("POST", "PUT"),
) -> Endpoint:
    """An endpoint that changes something [V]; the vendor's name for it is that of `run`.

    answers: the schemas of what it may answer; none for nothing.
    """
    answer, *others = answers or (None,)
    return Endpoint(
        f"/api/releases/{path}",
        run,
        parameters,
        kind,
        run.__name__.replace("_", " ").title(),
        methods,
        changes=True,
        answer=answer,
        others=tuple(others),
    )


def whole(what: str) -> Text:
    """The field of a text filter."""
    return Text(metadata=about(f"The whole {what}; case is ignored."))


class NoParameters(ParameterSchema):
    """No parameters at all."""


class FilterSchema(ParameterSchema):
    """The filters of everything that belongs to a release [S, V]."""

    GROUPS: ClassVar[tuple[tuple[str, ...], ...]] = (APPLICATION, (*RELEASE, "releaseName"))

    applicationId = Integer(metadata=about("The id of the application."))
    applicationName = whole("name of the application")
    releaseId = Integer(metadata=about("The id of the release."))
    releaseNumber = whole("number of the release")
    releaseName = whole("name of the release")


class OfBuild(FilterSchema):
    """The filters of everything that belongs to a build [V]."""

    ALIASES = OLDER_PARAMETERS
    GROUPS = (*FilterSchema.GROUPS, BUILD)

    buildId = Integer(metadata=about("The id of the build."))
    buildNumber = whole("number of the build")


class CallSchema(ParameterSchema):
    """The parameters that every call takes which changes something."""

    ALIASES = OLDER_PARAMETERS
    VARIABLES = True

    reason = Text(metadata=about("Why; it is taken everywhere and is in no answer."))


class ReleaseCall(CallSchema):
    """A call about a release."""

    NEEDS = (RELEASE[:1], *((RELEASE[1], name) for name in APPLICATION))

    releaseId = Integer(metadata=about("The id of the release."))
    releaseNumber = Text(metadata=about("The number of the release; needs an application."))
    applicationId = Integer(metadata=about("The id of the application."))
    applicationName = Text(metadata=about("The name of the application; case is ignored."))


class BuildCall(ReleaseCall):
    """A call about a build."""

    NEEDS = (BUILD[:1], *((BUILD[1], name) for name in ("releaseId", *APPLICATION)))

    buildId = Integer(metadata=about("The id of the build."))
    buildNumber = Text(metadata=about("The number of the build; needs a release."))


def now(session: Session) -> str:
    """The moment by the session's clock, as dates go out."""
    return outgoing(session.clock.now())


def rows(session: Session, kind: str, filters: Values) -> Iterator[Row]:
    """The records that match; each is the caller's to change and put back."""
    table = session.table(kind)
    for id_ in table.ids(filters):
        row = table.get(id_)
        assert row is not None
        yield row


def as_object(session: Session, kind: str, row: Row) -> Result:
    """An answer with one record, as it is in its table."""
    body = session.table(kind).json(row["id"])
    return Result(body, f"{kind[:-1]} {row['id']}", ids=(row["id"],))


def done(noun: str, row: Row, what: str) -> Result:
    """An answer that says nothing [V]."""
    return Result(b"", f"{noun} {row['number']} is {what}", content_type="", ids=(row["id"],))


def refuse(name: str, what: str) -> ValidationError:
    """The error of a parameter that names something impossible."""
    return ValidationError({name: [what]})


def _the_one(session: Session, kind: str, filters: Values) -> Row:
    """The newest record that has all these properties. Raises: ValidationError for none."""
    table = session.table(kind)
    *others, name = filters
    is_id = name == f"{kind[:-1]}Id" and not others  # which needs no index
    row = table.get(filters[name]) if is_id else next(rows(session, kind, filters), None)
    if row is not None:
        return row
    has = f"this {' and '.join(filters)}" if others else "it"
    why = table.select(filters).explanation
    raise refuse(name, f"no {kind[:-1]} has {has}: {why}")


def _given(values: Values, *names: str) -> Row:
    return {name: values[name] for name in names if name in values}


def find_application(session: Session, values: Values) -> Row:
    """The application of a call, by its id or name, which agree where both are sent [D]."""
    filters = _given(values, *APPLICATION)
    if not filters:
        raise refuse("applicationId", "is missing; add applicationId or applicationName")
    return _the_one(session, "applications", filters)


def find_release(session: Session, values: Values) -> Row:
    """The release of a call: by its id, or by its number and application; all agree [D]."""
    filters = _given(values, "releaseId", *APPLICATION, "releaseNumber")
    if "releaseId" not in filters:
        if "releaseNumber" not in filters:
            how = "add releaseId, or releaseNumber and an application"
            raise refuse("releaseId", f"is missing; {how}")
        if len(filters) == 1:
            how = "a releaseNumber needs an application: add applicationId or applicationName"
            raise refuse("applicationId", f"is missing; {how}")
        find_application(session, values)
    return _the_one(session, "releases", filters)


def find_build(session: Session, values: Values) -> Row:
    """The build of a call: by its id, or by its number and release; all agree [D]."""
    filters = _given(values, "buildId", "releaseId", *APPLICATION, "releaseNumber", "buildNumber")
    if "buildId" in filters:
        return _the_one(session, "builds", filters)
    if "buildNumber" not in filters:
        raise refuse("buildId", "is missing; add buildId, or buildNumber and a release")
    if "releaseId" in filters or "releaseNumber" in filters:
        find_release(session, values)
    elif len(filters) == 1:
        raise refuse("releaseId", "is missing; a buildNumber needs a release: add releaseId")
    elif len(session.table("builds").ids(filters)) > 1:
        what = "several builds of the application have this buildNumber: add releaseNumber"
        raise refuse("releaseId", f"is missing; {what}")
    return _the_one(session, "builds", filters)


def find_pipeline(session: Session, name: str) -> str:
    """The pipeline of a call; any name will do where the scenario lists none [D]."""
    pipelines = session.scenario.options.get("pipelines")
    if pipelines and name not in pipelines:
        what = f"no pipeline is called {quoted(name)}; {suggest(name, pipelines)}"
        raise refuse("pipelineName", what)
    return name


def stages(session: Session, build: Row) -> Sequence[str]:
    """The stages of the pipeline of a build, in their order."""
    return stages_of(session.scenario.options.get("pipelines", {}), build.get("pipelineName"))


def reject(session: Session, build: Row, by: str) -> None:
    """Let a build be rejected from now on."""
    session.put(
        "builds", build | {"status": "rejected", "rejectedBy": by, "rejectedOn": now(session)}
    )
