"""JSON Schema of what Marshmallow schemas load and dump: for editors of scenarios and for clients.

A field of ours describes its values by its method `json_schema(place)`, a schema what no field can
say of itself by its method `rules(place)`. Everything else follows from Marshmallow's own fields.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from marshmallow import Schema, fields, validate

JsonSchema = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """Where values are written, which decides what they may look like.

    text: the JSON types that are read as a text.
    is_form: whether everything is a text.
    nothing: the values that count as left out.
    is_file: whether an editor reads it, as YAML 1.2, in which an unquoted `NULL` is null. To
        mockbm it is a text, so a text may always be null there.
    is_answer: whether mockbm writes it.
    """

    text: tuple[str, ...] = ("string",)
    is_form: bool = False
    nothing: tuple[str | None, ...] = ()
    is_file: bool = False
    is_answer: bool = False

    def form(self, *forms: str, write: str) -> JsonSchema:
        """A text in one of some forms, which are regular expressions of Python.

        write: what an editor shows for any other text.
        """
        pattern = "|".join(forms).replace(r"\d", "[0-9]")
        shape = {"type": "string", "pattern": f"^(?:{pattern})$"}
        return shape | ({"errorMessage": write} if self.is_file else {})

    def has(self, name: str) -> JsonSchema:
        """An object that has a property, which does not count as left out."""
        return {"required": [name], "properties": {name: {"not": {"enum": [*self.nothing]}}}}

    def has_none(self, *names: str) -> JsonSchema:
        """An object in which all of these properties are left out."""
        return {"properties": {name: {"enum": [*self.nothing]} for name in names}}

    def has_one_at_most(self, names: Sequence[str]) -> JsonSchema:
        """An object in which all of these properties but one are left out."""
        others = ([other for other in names if other != name] for name in names)
        return {"anyOf": [self.has_none(*each) for each in others]}


def is_one_of(name: str, *values: object) -> JsonSchema:
    """An object whose property has one of these values."""
    return {"properties": {name: {"enum": [*values]}}, "required": [name]}


_SCALARS = ("string", "number", "boolean")

IN_FILE = Place(_SCALARS, nothing=(None,), is_file=True)
"""A scenario file, in an editor."""

IN_BODY = Place(("string", "integer"), nothing=(None,))
"""The JSON body of an admin call."""

IN_JSON = Place(_SCALARS, nothing=("", None))
"""The JSON body of a request to an endpoint."""

IN_FORM = Place(is_form=True, nothing=("",))
"""A form sent to an endpoint, or the query of its URL."""

IN_QUERY = Place(is_form=True)
"""The query of an admin call."""

IN_ANSWER = Place(is_answer=True)


def about(description: str, *, left_out: str = "") -> dict[str, str]:
    """The metadata of a field: what its value is.

    left_out: what holds where a scenario file or a request does not have it.
    """
    return {"description": description, "left_out": left_out}


Refer = Callable[[Schema], JsonSchema]


def object_schema(schema: Schema, place: Place, refer: Refer | None = None) -> JsonSchema:
    """The JSON Schema of an object that a Marshmallow schema loads from a place, or dumps there.

    refer: makes a reference to a nested schema, or to a list of it; without it, all is in one
        piece.
    """
    there = schema.dump_fields if place.is_answer else schema.load_fields
    shape: JsonSchema = {
        "type": "object",
        "properties": {name: _property(field, place, refer) for name, field in there.items()},
    }
    required = [name for name, field in there.items() if field.required and not schema.partial]
    if required:
        shape["required"] = required
    if not place.is_answer:
        shape["additionalProperties"] = False
    return shape | (schema.rules(place) if hasattr(schema, "rules") else {})


def _property(field: fields.Field[Any], place: Place, refer: Refer | None) -> JsonSchema:
    shape = _value(field, place, refer)
    description, left_out = (field.metadata.get(name, "") for name in ("description", "left_out"))
    if place.is_answer:
        shape |= {"type": [shape["type"], "null"]} if field.allow_none else {}
    else:
        default = field.load_default
        if isinstance(default, (str, int, float)) and default != "":
            shape["default"] = default
        if not field.required or cast(Schema, field.parent).partial:
            _allow_nothing(shape, place)
        description += f" Left out: {left_out}." if left_out else ""
    return shape | ({"description": description} if description else {})


def _value(field: fields.Field[Any], place: Place, refer: Refer | None) -> JsonSchema:
    """What a value of a field looks like, wherever it belongs."""
    if isinstance(field, fields.Nested):
        if refer:
            return refer(field.schema)
        shape = object_schema(field.schema, place)
        shape = {"type": "array", "items": shape} if field.schema.many else shape
        other = getattr(field, "settings", None)
        return {"anyOf": [shape, _value(other, place, refer)]} if other else shape
    if isinstance(field, fields.List):
        return {"type": "array", "items": _value(field.inner, place, refer)}
    if isinstance(field, fields.Dict):
        shape = {"type": "object"}
        if field.value_field:
            shape["additionalProperties"] = _value(field.value_field, place, refer)
        return shape
    describe: Callable[[Place], JsonSchema] | None = getattr(field, "json_schema", None)
    shape = describe(place) if describe else {"type": _TYPES[type(field)]}
    for check in field.validators:
        if isinstance(check, (validate.Range, validate.Length)):
            is_length = isinstance(check, validate.Length)
            names = ("minLength", "maxLength") if is_length else ("minimum", "maximum")
            limits = zip(names, (check.min, check.max), strict=True)
            shape |= {name: limit for name, limit in limits if limit is not None}
    if place.is_form and "minimum" in shape:  # it has no minus, since none is below 0
        shape = {"type": "string", "pattern": shape["pattern"].replace("-?", "")}
    return shape


_TYPES: dict[type[fields.Field[Any]], str] = {
    fields.Boolean: "boolean",
    fields.Float: "number",
    fields.Integer: "integer",
    fields.String: "string",
}


def _allow_nothing(shape: JsonSchema, place: Place) -> None:
    """Let a property that may be left out also be a value that counts as left out."""
    if place.nothing and "anyOf" in shape:
        shape["anyOf"] = [*shape["anyOf"], {"enum": [*place.nothing]}]
    if "enum" in shape:
        shape["enum"] = [*shape["enum"], *place.nothing]
    if "pattern" in shape and "" in place.nothing:
        shape["pattern"] = f"^$|{shape['pattern']}"
    if "type" in shape and None in place.nothing:
        types = shape["type"] if isinstance(shape["type"], list) else [shape["type"]]
        shape["type"] = [*types, *({"null"} - {*types})]
