"""What records of all kinds share: the schema that reads and writes them, defaults, stages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from marshmallow import ValidationError, post_load
from marshmallow import validates_schema as validates

from ..core.errors import NameProblem, quoted
from ..core.fields import COLLECTION, Integer, JsonObject, NamedSchema, Row
from ..core.json_schema import JsonSchema, Place, about
from ..core.kind import World

DEFAULT_STAGES = ("Build", "Integration", "Testing", "Production")
"""The stages of a pipeline that the scenario does not list [D]."""

DEFAULT_CREATED_ON = "2024-01-01T00:00:00.0000000Z"
"""When records were created that do not say it; the same in every run."""


class RecordSchema(NamedSchema):
    """A record: reads it from a scenario file and writes it as BuildMaster does.

    NAME: of the kind of record, such as releases.
    OLDER: names that BuildMaster keeps for old clients, to those whose values they repeat.
    DEFAULTS: the values of properties that a file leaves out.
    """

    NAME: ClassVar[str]
    OLDER: ClassVar[Mapping[str, str]] = {}
    DEFAULTS: ClassVar[Row] = {"createdBy": "SYSTEM", "createdOn": DEFAULT_CREATED_ON}

    id = Integer(required=True, metadata=about("The id, which occurs once in a scenario."))

    def rules(self, place: Place) -> JsonSchema:
        return {"additionalProperties": True} if place.is_answer else {}

    @validates(**COLLECTION, pass_original=True, skip_on_field_errors=False)
    def check(self, loaded: Any, original: Any, *, many: bool, **_: Any) -> None:
        """What no field can decide alone; in one pass, since a file may have very many records."""
        problems: dict[int, dict[Any, Any]] = {}
        first: dict[int, int] = {}
        rows, originals = (loaded, original) if many else ([loaded], [original])
        for index, row in enumerate(rows):
            found = self.problems(row, originals[index]) if row else {}
            other = first.setdefault(row["id"], index) if "id" in row else index
            if other != index and not self.partial:
                taken = f"{row['id']} is taken by {self.NAME}[{other}]"
                found["id"] = [f"{taken}; an id occurs once"]
            if found:
                problems[index] = found
        if problems:
            raise ValidationError(problems if many else problems[0])

    def problems(self, row: Row, original: Mapping[str, Any]) -> dict[Any, Any]:
        """What is wrong with a record, of which `original` has what could not be loaded, too."""
        problems: dict[Any, Any] = {}
        fields = self.whole.fields
        for older, name in self.OLDER.items():
            if older not in row:
                continue
            if row.get(name, row[older]) != row[older]:
                both = f"{quoted(row[older])} contradicts {name}, which is {quoted(row[name])}"
                problems[older] = [f"{both}; leave {older} out, it repeats {name}"]
            elif fields[name].required and not self.partial and original.get(name) is None:
                problems[older] = [f"is an older name; write {name}: {row[older]} instead"]
        taken = [name for name in row.get("extra", ()) if name in self.whole.dump_fields]
        if taken:
            what = f"is a property of every {self.NAME[:-1]}; write it outside extra"
            problems["extra"] = {name: [NameProblem(f"{name} {what}")] for name in taken}
        return problems

    @post_load(**COLLECTION)
    def rename_older(self, loaded: Any, *, many: bool, **_: Any) -> Any:
        rename = self.under_newer_names
        return [*map(rename, loaded)] if many else rename(loaded)

    @classmethod
    def under_newer_names(cls, row: Row) -> Row:
        """A record, or a change of one, in which each value stands under the newer name alone."""
        return {cls.OLDER.get(name, name): value for name, value in row.items()}

    @classmethod
    def with_older_names(cls, row: Row) -> Row:
        """A record with its values under the older names, too."""
        return row | {older: row[name] for older, name in cls.OLDER.items() if name in row}

    @classmethod
    def completed(cls, row: Row) -> Row:
        """A record with the defaults of what it leaves out, and under the older names, too."""
        return cls.with_older_names(cls.DEFAULTS | row)


def extra_field() -> JsonObject:
    """The field of the properties that mockbm does not know."""
    return JsonObject(load_only=True, metadata=about("Further properties, served as written."))


def unknown(rows: Sequence[Row], world: World, kind: str) -> dict[int, Any]:
    """What is wrong with records of a file that name a record of another kind by its id.

    One that has its number, too, says all that is needed, such as one of a server's answer.
    """
    noun = kind[:-1]
    known = {row["id"] for row in world[kind]}
    return {
        index: {f"{noun}Id": [f"no {noun} has the id {id_}"]}
        for index, row in enumerate(rows)
        if (id_ := row.get(f"{noun}Id")) is not None
        if id_ not in known and f"{noun}Number" not in row
    }


def properties_of(noun: str, names: Iterable[str]) -> dict[str, str]:
    """Each name to the property that it means: of a release, `releaseId` is its `id`."""
    own = {name: name.removeprefix(noun) for name in names}
    return {name: name if of == name else of[0].lower() + of[1:] for name, of in own.items()}


def inherited(owner: Row, names: Mapping[str, str]) -> Row:
    """What a record has from the one to which it belongs. names: its properties to the owner's."""
    return {name: owner[of] for name, of in names.items() if of in owner}


def stages_of(pipelines: Mapping[str, Sequence[str]], name: str | None) -> Sequence[str]:
    """The stages of a pipeline, in their order."""
    return pipelines.get(name or "", DEFAULT_STAGES)


def place_of(stages: Sequence[str], stage: str | None) -> int:
    """How far a stage is in its pipeline; -1 for none."""
    return stages.index(stage) if stage in stages else -1
