"""What the modules of records share: schemas, and what a call names that has to exist."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from marshmallow import ValidationError, post_load
from marshmallow import validates_schema as validates

from ..core.endpoint import Endpoint, Result
from ..core.errors import NameProblem, quoted, suggest
from ..core.fields import COLLECTION, Integer, JsonObject, NamedSchema, Row, Text
from ..core.json_schema import JsonSchema, Place, about
from ..core.kind import World
from ..core.parameters import ParameterSchema
from ..core.session import Session
from ..core.times import outgoing

DEFAULT_STAGES = ("Build", "Integration", "Testing", "Production")
"""The stages of a pipeline that the scenario does not list [D]."""

DEFAULT_CREATED_ON = "2024-01-01T00:00:00.0000000Z"
"""When records were created that do not say it; the same in every run."""

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


class RecordSchema(NamedSchema):
    """A record: reads it from a scenario file and writes it as BuildMaster does.

    NAME: of the kind of record, such as releases.
    OLDER: names that BuildMaster keeps for old clients, to those whose values they repeat.
    PARTICULAR: properties that can be wrong though each has a value that its field takes.
    """

    NAME: ClassVar[str]
    OLDER: ClassVar[Mapping[str, str]] = {}
    PARTICULAR: ClassVar[frozenset[str]] = frozenset()

    def rules(self, place: Place) -> JsonSchema:
        return {"additionalProperties": True} if place.is_answer else {}

    @validates(**COLLECTION, pass_original=True, skip_on_field_errors=False)
    def check(self, loaded: Any, original: Any, *, many: bool, **_: Any) -> None:
        """What no field can decide alone; in one pass, since a file may have very many records."""
        problems: dict[int, dict[Any, Any]] = {}
        originals = original if many else [original]
        particular = self.PARTICULAR.union(self.OLDER, ["extra"])
        for index, row in enumerate(loaded if many else [loaded]):
            if not particular.isdisjoint(row) and isinstance(originals[index], Mapping):
                found = self.problems(row, originals[index])
                if found:
                    problems[index] = found
        if many and not self.partial:
            first: dict[int, int] = {}
            for index, row in enumerate(loaded):
                if "id" in row and first.setdefault(row["id"], index) != index:
                    taken = f"{row['id']} is taken by {self.NAME}[{first[row['id']]}]"
                    problems.setdefault(index, {})["id"] = [f"{taken}; an id occurs once"]
        if problems:
            raise ValidationError(problems if many else problems[0])

    def problems(self, row: Row, original: Mapping[str, Any]) -> dict[Any, Any]:
        """What is wrong with a record, of which `original` has what could not be loaded, too."""
        problems: dict[Any, Any] = {}
        for older, name in self.OLDER.items():
            what = self._contradiction(row, original, older, name)
            if what:
                problems[older] = [what]
        taken = [name for name in row.get("extra", ()) if name in self.whole.dump_fields]
        if taken:
            what = f"is a property of every {self.NAME[:-1]}; write it outside extra"
            problems["extra"] = {name: [NameProblem(f"{name} {what}")] for name in taken}
        return problems

    def _contradiction(
        self, row: Row, original: Mapping[str, Any], older: str, name: str
    ) -> str | None:
        """What is wrong with a property under its older name, compared to that under its name."""
        if older not in row:
            return None
        if name in row and row[name] != row[older]:
            return (
                f"{quoted(row[older])} contradicts {name}, which is {quoted(row[name])}; "
                f"leave {older} out, it repeats {name}"
            )
        if self.whole.fields[name].required and not self.partial and original.get(name) is None:
            return f"is an older name; write {name}: {row[older]} instead"
        return None

    @post_load(**COLLECTION)
    def rename_older(self, loaded: Any, *, many: bool, **_: Any) -> Any:
        rename = self.under_newer_names
        return [*map(rename, loaded)] if many else rename(loaded)

    @classmethod
    def under_newer_names(cls, row: Row) -> Row:
        """A record, or a change of one, in which each value stands under the newer name alone."""
        if row.keys().isdisjoint(cls.OLDER):
            return row
        renamed = {name: value for name, value in row.items() if name not in cls.OLDER}
        for older, name in cls.OLDER.items():
            if older in row:
                renamed.setdefault(name, row[older])
        return renamed

    @classmethod
    def with_older_names(cls, row: Row) -> Row:
        """A record with its values under the older names, too."""
        return row | {older: row[name] for older, name in cls.OLDER.items() if name in row}


def extra_field() -> JsonObject:
    """The field of the properties that mockbm does not know."""
    return JsonObject(load_only=True, metadata=about("Further properties, served as written."))


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


class NoParameters(ParameterSchema):
    """No parameters at all."""


def now(session: Session) -> str:
    """The moment by the session's clock, as dates go out."""
    return outgoing(session.clock.now())


def rows(session: Session, kind: str, filters: Mapping[str, Any]) -> Iterator[Row]:
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


def done(row: Row, what: str) -> Result:
    """An answer that says nothing [V]."""
    return Result(b"", what, content_type="", ids=(row["id"],))


def refuse(name: str, what: str) -> ValidationError:
    """The error of a parameter that names something impossible."""
    return ValidationError({name: [what]})


def _the_one(session: Session, kind: str, filters: Mapping[str, Any]) -> Row:
    """The newest record that has all these properties. Raises: ValidationError for none."""
    table = session.table(kind)
    ids: Sequence[int] = [*filters.values()] if [*filters] == [f"{kind[:-1]}Id"] else ()
    if not ids or ids[0] not in table:
        ids = table.ids(filters)
    if not ids:
        name = [*filters][-1]
        both = " and ".join(filters)
        agree = f"no {kind[:-1]} has this {both}" if len(filters) > 1 else f"no {kind[:-1]} has it"
        raise refuse(name, f"{agree}: {table.select(filters).explanation}")
    row = table.get(ids[0])
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
    elif len(session.table("builds").ids(filters)) > 1:
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


def unknown(rows: Sequence[Row], world: World, kind: str, id_: str, number: str) -> dict[int, Any]:
    """What is wrong with records of a file that name a record of another kind by its id.

    One that has its number, too, says all that is needed, such as one of a server's answer.
    """
    known = {row["id"] for row in world[kind]}
    what = f"no {kind[:-1]} has the id"
    return {
        index: {id_: [f"{what} {row[id_]}"]}
        for index, row in enumerate(rows)
        if id_ in row and row[id_] not in known and number not in row
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
