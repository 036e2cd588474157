"""What the Marshmallow schemas take and give, as JSON Schema: for editors and for clients.

apispec walks the schemas; here is what it cannot know of our fields, and how a value looks in
each place where it can stand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.openapi import OpenAPIConverter
from marshmallow import Schema, fields

from .faults import (
    NOT_OURS,
    TOKEN,
    WITHOUT_BODY,
    Delay,
    FaultSchema,
    Headers,
    RangeSchema,
    Rate,
    RespondSchema,
    Seconds,
)
from .fields import (
    After,
    Choice,
    Date,
    Duration,
    Flag,
    Integer,
    Json,
    JsonObject,
    Moment,
    Text,
)
from .generate import GenerateSchema
from .releases import DEFAULT_CREATED_ON, OLDER_NAMES, ChangeSchema, ReleaseSchema
from .scenario import DEFAULT_API_KEY, ORDERS, ScenarioSchema
from .selection import GROUPS, FilterSchema
from .times import DURATION

JsonSchema = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """Where values stand, which decides what they may look like.

    text: the JSON types that are taken for a text.
    digits: whether an integer may also be a text of digits.
    nothing: the values that count as left out.
    null_is_text: whether some text looks like null there, so that a text may always be null.
    """

    text: tuple[str, ...] = ("string",)
    digits: bool = False
    nothing: tuple[str | None, ...] = ()
    null_is_text: bool = False


_SCALARS = ("string", "number", "boolean")

IN_FILE = Place(_SCALARS, digits=True, nothing=(None,), null_is_text=True)
"""A scenario file, as an editor reads it: YAML 1.2, in which a plain `NULL` is null. To mockbm it
is a text, as is every other scalar until its property types it."""

IN_BODY = Place(("string", "integer"), digits=True, nothing=(None,))
"""The JSON body of an admin call."""

IN_JSON = Place(_SCALARS, digits=True, nothing=("", None))
"""The JSON body of a request to the endpoint."""

IN_FORM = Place(digits=True, nothing=("",))
"""A form sent to the endpoint."""

OUTSIDE = Place()
"""Answers, and what stands in a query: each value has one type."""


def json_schema(schema: Schema, place: Place) -> JsonSchema:
    """The JSON Schema of what a Marshmallow schema loads in a place, in one piece."""
    plugin = MarshmallowPlugin(schema_name_resolver=lambda _: "")  # none: no references
    APISpec("", "", "3.1.0", plugins=[plugin])
    found: JsonSchema = taught(plugin, place).schema2jsonschema(schema)  # type: ignore[no-untyped-call]
    return found | _about(schema, place)


def scenario_schema() -> JsonSchema:
    """The JSON Schema (draft-07, which editors know best) of a scenario file."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A scenario of mockbm",
        **json_schema(ScenarioSchema(), IN_FILE),
    }


def taught(plugin: MarshmallowPlugin, place: Place) -> OpenAPIConverter:
    """The part of apispec that converts schemas, told about our fields, as they are in `place`."""
    converter = plugin.converter
    assert converter is not None
    converter.field_mapping = {**converter.field_mapping, Integer: ("integer", None)}

    def ours(_converter: object, field: fields.Field[Any], ret: JsonSchema) -> JsonSchema:
        found = _shape(field, ret, place)
        if isinstance(field, fields.Nested) and "$ref" not in ret.get("items", ret):
            about = _about(field.schema, place)
            found = {"items": ret["items"] | about} if "items" in ret else about
        if isinstance(field.parent, Schema):
            found |= _words(field, place)
            found |= _left_out(field, ret | found, place)
        ret.pop("writeOnly", None)
        if ret.get("default") == "":
            del ret["default"]
        return found

    converter.add_attribute_function(ours)  # type: ignore[no-untyped-call]
    return converter


def _shape(field: fields.Field[Any], ret: JsonSchema, place: Place) -> JsonSchema:
    """What a value of one of our fields looks like."""
    for kind, shape in _SHAPES.items():
        if isinstance(field, kind):
            return shape(field, ret, place)
    return {}


def _integer(_field: fields.Field[Any], ret: JsonSchema, place: Place) -> JsonSchema:
    limits = {
        "minimum": ret.get("minimum", -(2**31)),
        "maximum": ret.get("maximum", 2**31 - 1),
    }
    if not place.digits:
        return {"type": "integer", **limits}
    return {"type": ["integer", "string"], **limits, "pattern": r"^-?0*[0-9]{1,10}$"}


def _text(field: fields.Field[Any], _ret: JsonSchema, place: Place) -> JsonSchema:
    types = [*place.text, "null"] if place.null_is_text else [*place.text]
    shape: JsonSchema = {"type": types if len(types) > 1 else types[0]}
    return shape | ({"minLength": 1} if field.required and place is not OUTSIDE else {})


def _choice(field: fields.Field[Any], _ret: JsonSchema, _place: Place) -> JsonSchema:
    assert isinstance(field, Choice)
    return {"type": "string", "enum": [*field.choices]}


def _flag(_field: fields.Field[Any], _ret: JsonSchema, place: Place) -> JsonSchema:
    if place.digits:
        return {"type": ["boolean", "string"], "enum": [True, False, "true", "false"]}
    return {"type": "boolean"}


def _moment(_field: fields.Field[Any], _ret: JsonSchema, place: Place) -> JsonSchema:
    what = "write it like 2024-03-04 or 2024-03-04T09:03:43.9200000Z"
    return _written(place, [Date.form.pattern], what)


def _date(_field: fields.Field[Any], _ret: JsonSchema, place: Place) -> JsonSchema:
    if place is OUTSIDE:
        return _written(place, [r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z"], "")
    forms = [Date.form.pattern, f"now(?:[+-]{DURATION.pattern})?"]
    what = "write it like 2024-03-04, 2024-03-04T09:03:43.9200000Z or now-3d"
    return _written(place, forms, what)


def _after(_field: fields.Field[Any], _ret: JsonSchema, place: Place) -> JsonSchema:
    forms = [After.calls.pattern, DURATION.pattern]
    return _written(place, forms, "write `3 calls`, or a duration such as 30s or 2d")


def _seconds(_field: fields.Field[Any], _ret: JsonSchema, place: Place) -> JsonSchema:
    what = "write a number and one of ms, s, m, h, d, w, such as 250ms or 2s"
    return _written(place, [DURATION.pattern], what)


def _delay(field: fields.Field[Any], ret: JsonSchema, place: Place) -> JsonSchema:
    return {"anyOf": [_seconds(field, ret, place), json_schema(RangeSchema(), place)]}


def _rate(_field: fields.Field[Any], _ret: JsonSchema, place: Place) -> JsonSchema:
    return _written(place, [Rate.form.pattern], "write 5/s, 100/m or 1000/h")


def _headers(_field: fields.Field[Any], _ret: JsonSchema, place: Place) -> JsonSchema:
    theirs = "|".join([*map(_any_case, NOT_OURS), _any_case("x-mockbm-") + ".*"])
    names = {"pattern": f"^{TOKEN.pattern}$", "not": {"pattern": f"^(?:{theirs})$"}}
    value = _text(Text(required=True), {}, place) | {"pattern": "^[ -~]+$"}
    return {"type": "object", "propertyNames": names, "additionalProperties": value}


def _json_object(field: fields.Field[Any], _ret: JsonSchema, _place: Place) -> JsonSchema:
    assert isinstance(field.parent, Schema)
    taken = [*field.parent.dump_fields]
    return {"type": "object", "propertyNames": {"not": {"enum": taken}}}


def _json(_field: fields.Field[Any], _ret: JsonSchema, _place: Place) -> JsonSchema:
    return {}


_Shape = Callable[[fields.Field[Any], JsonSchema, Place], JsonSchema]
_SHAPES: dict[type[fields.Field[Any]], _Shape] = {
    Integer: _integer,
    Text: _text,
    Choice: _choice,
    Flag: _flag,
    Moment: _moment,  # before Date, of which it is one
    Date: _date,
    After: _after,
    Duration: _seconds,
    Seconds: _seconds,
    Delay: _delay,
    Rate: _rate,
    Headers: _headers,
    JsonObject: _json_object,
    Json: _json,
}


def _written(place: Place, forms: Iterable[str], what: str) -> JsonSchema:
    """A text in one of some forms, given as regular expressions of Python; editors show `what`."""
    pattern = "|".join(forms).replace(r"\d", "[0-9]")
    shape = {"type": "string", "pattern": f"^(?:{pattern})$"}
    return shape | ({"errorMessage": what} if place is IN_FILE else {})


def _any_case(text: str) -> str:
    return "".join(f"[{x.lower()}{x.upper()}]" if x.isalpha() else x for x in text)


def _words(field: fields.Field[Any], place: Place) -> JsonSchema:
    """What editors and clients are told about a property; clients only what it is in an answer."""
    for kind in type(field.parent).__mro__:
        words = _WORDS.get(kind, {}).get(str(field.name))
        if words:
            return {"description": words.partition(" Left out: ")[0] if place is OUTSIDE else words}
    return {}


def _left_out(field: fields.Field[Any], shape: JsonSchema, place: Place) -> JsonSchema:
    """What changes in the shape of a property that may be left out by a value of nothing."""
    assert isinstance(field.parent, Schema)
    needed = field.required and not field.parent.partial
    if needed or isinstance(field, After) or not place.nothing:
        return {}
    found: JsonSchema = {}
    if "anyOf" in shape:
        found["anyOf"] = [*shape["anyOf"], {"enum": [*place.nothing]}]
    if "enum" in shape:
        found["enum"] = [*shape["enum"], *place.nothing]
    if "pattern" in shape and "" in place.nothing:
        found["pattern"] = f"^$|{shape['pattern']}"
    if "type" in shape and None in place.nothing:
        types = shape["type"] if isinstance(shape["type"], list) else [shape["type"]]
        found["type"] = [*types, *({"null"} - {*types})]
    return found


def _about(schema: Schema, place: Place) -> JsonSchema:
    """What holds for an object as a whole."""
    if place is OUTSIDE:
        return {}
    others = {"enum": [*place.nothing]} if "" in place.nothing else False
    rules = _RULES.get(type(schema))
    return {"additionalProperties": others} | (rules(place) if rules else {})


_NOT_NULL: JsonSchema = {"not": {"type": "null"}}


def _is(name: str, *values: object) -> JsonSchema:
    return {"properties": {name: {"enum": [*values]}}, "required": [name]}


def given(name: str, place: Place | None = None) -> JsonSchema:
    """An object that has a property, not null; with `place`, a text that may look like null."""
    if place is not None and place.null_is_text:
        return {"required": [name]}
    return {"required": [name], "properties": {name: _NOT_NULL}}


def _none_of(names: Iterable[str], place: Place = IN_BODY) -> JsonSchema:
    return {"properties": {name: {"enum": [*place.nothing]} for name in names}}


def _at_most_one(names: Sequence[str], place: Place) -> JsonSchema:
    return {"anyOf": [_none_of((x for x in names if x != name), place) for name in names]}


def _scenario_rules(place: Place) -> JsonSchema:
    anything = [given("releases"), given("extends", place), given("generate")]
    removing = [_none_of(["remove"]), given("extends", place)]
    return {"allOf": [{"anyOf": anything}, {"anyOf": removing}]}


def _release_rules(_place: Place) -> JsonSchema:
    return {"if": _is("status", "canceled"), "else": _none_of(["canceledBy", "canceledOn"])}


def _change_rules(_place: Place) -> JsonSchema:
    return {
        "required": ["after"],
        "minProperties": 2,
        "if": _is("status", "active", "deployed"),
        "then": _none_of(["canceledBy", "canceledOn"]),
    }


def _fault_rules(place: Place) -> JsonSchema:
    answers = ("respond", "connection", "rate")
    anything = {"anyOf": [given(name) for name in ("delay", *answers)]}
    return {"allOf": [anything, _at_most_one(answers, place)]}


def _respond_rules(_place: Place) -> JsonSchema:
    without = _is("status", *WITHOUT_BODY, *map(str, WITHOUT_BODY))
    return {"if": without, "then": {"properties": {"body": {"enum": ["", None]}}}}


def _filter_rules(place: Place) -> JsonSchema:
    return {"allOf": [_at_most_one(group, place) for group in GROUPS]}


_RULES: dict[type[Schema], Callable[[Place], JsonSchema]] = {
    ScenarioSchema: _scenario_rules,
    ReleaseSchema: _release_rules,
    ChangeSchema: _change_rules,
    FaultSchema: _fault_rules,
    RespondSchema: _respond_rules,
    FilterSchema: _filter_rules,
}
"""What no field can say alone."""


_WORDS: Mapping[type, Mapping[str, str]] = {
    ScenarioSchema: {
        "description": "What the scenario is about.",
        "extends": "A scenario that this one builds on: one of the same directory, or one that "
        "comes with mockbm.",
        "apiKeys": "The API keys that are accepted; [] refuses all. Left out: those of the "
        f"extended scenario, or [{DEFAULT_API_KEY}].",
        "order": "The order of the answer: newest-first is by createdOn, then id. Left out: that "
        f"of the extended scenario, or {ORDERS[0]}.",
        "faults": "What the mock does to answers on purpose, looked at in their order. Left out: "
        "those of the extended scenario.",
        "generate": "So many releases more, the same every time.",
        "remove": "Ids of releases of the extended scenario that go.",
        "releases": "The releases; [] for none. They come in addition to those of the extended "
        "scenario, or take the place of those with the same id.",
    },
    ReleaseSchema: {
        "id": "The id, which occurs once in a scenario.",
        "number": "The release number, as text: 1.10 is not 1.1.",
        "name": "The name. Left out: the number.",
        "sequence": "The place among the application's releases. Left out: 1, 2, 3, ... by id.",
        "template": "The name of the release template.",
        "status": "How far it is. Left out: active.",
        "createdBy": "Who created it. Left out: SYSTEM.",
        "createdOn": f"When it was created. Left out: {DEFAULT_CREATED_ON}.",
        "canceledBy": "Who canceled it; only with status: canceled. Left out: SYSTEM.",
        "canceledOn": "When it was canceled; only with status: canceled. Left out: createdOn.",
        "targetDate": "When it is due.",
        "applicationId": "The id of its application.",
        "applicationName": "The name of its application.",
        "pipelineId": "The id of its pipeline, which BuildMaster told up to version 6.1.",
        "pipelineName": "The name of its pipeline; that of a global one begins with global::.",
        "furthestBuildId": "The id of the build that is furthest in the pipeline.",
        "furthestBuildNumber": "The number of the build that is furthest in the pipeline.",
        "latestBuildId": "The id of the latest build.",
        "latestBuildNumber": "The number of the latest build.",
        "deployables": "Its deployables, served as they stand. Left out: [].",
        **{older: f"An older name of {name}, same value." for older, name in OLDER_NAMES.items()},
        "extra": "Properties that mockbm does not know, served as they stand.",
        "absent": "Whether the release is not there (yet, or any more).",
        "changes": "What becomes different, one after the other, each after its moment.",
        "after": "When: after so many answers (3 calls), or so long (30s, 2d) after the scenario "
        "became active.",
    },
    FaultSchema: {
        "when": "Filters as a client sends them. Left out: every request.",
        "after": "How many matching requests pass first.",
        "times": "How many misbehave then. Left out: all that follow.",
        "delay": "How long the answer takes: 250ms, or {min: 100ms, max: 2s, seed: 7}.",
        "respond": "The answer to give instead of the releases.",
        "connection": "How the connection breaks: reset before an answer, closed without one "
        "(empty), cut off after half of the body (truncate), or JSON that is none (malformed).",
        "rate": "How many requests pass, such as 5/s; more get a 429 with Retry-After.",
    },
    RangeSchema: {
        "min": "The shortest delay.",
        "max": "The longest delay, an hour at most.",
        "seed": "Another one gives other delays, repeatably.",
    },
    RespondSchema: {
        "status": "The status of the answer.",
        "body": "Its body, as text.",
        "headers": "Its headers, without those that are the server's business.",
    },
    GenerateSchema: {
        "releases": "How many releases.",
        "applications": "Of how many applications.",
        "seed": "Another one gives another instance of this size.",
    },
    FilterSchema: {
        "applicationId": "The id of the application.",
        "applicationName": "The whole name of the application; case is ignored.",
        "releaseId": "The id of the release.",
        "releaseNumber": "The whole number of the release; case is ignored.",
        "releaseName": "The whole name of the release; case is ignored.",
        "pipelineName": "The whole name of the pipeline; case is ignored.",
        "status": "The status of the release.",
    },
}
"""What each property is, as editors and clients are told."""
