"""Marshmallow fields whose errors help: they name what was sent, what is allowed and near."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from functools import cached_property
from inspect import signature
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from marshmallow import RAISE, Schema, ValidationError, fields, missing, pre_load

from .errors import NameProblem, Names, nearest, quoted, suggest
from .json_schema import JsonSchema, Place
from .times import DURATION, duration, is_relative


def write_json(value: object) -> bytes:
    """`value` as compact JSON in UTF-8, as the vendor's server writes it."""
    return _ENCODER.encode(value).encode()


if TYPE_CHECKING or hasattr(fields.Field, "__class_getitem__"):
    from marshmallow.fields import Field as Field
else:  # Marshmallow 3, whose fields do not say what they load

    class Field(fields.Field):
        def __class_getitem__(cls, _loaded):
            return cls


_IS_4 = "pass_collection" in signature(pre_load).parameters
COLLECTION: dict[str, Any] = {"pass_collection" if _IS_4 else "pass_many": True}
"""Lets a hook of a schema have all of a list at once, in the words of Marshmallow 4 or 3."""

T = TypeVar("T")

Row = dict[str, Any]
"""One record: property to value, nothing null."""

MAX_DEPTH = 32
"""Levels of nesting that a file or a body may have."""

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def fold(value: Any) -> Any:
    """`value` as filters compare it: texts ignore case [C]."""
    return value.casefold() if isinstance(value, str) else value


class Value(Field[T]):
    """A value that needs no more than `_deserialize`, and goes out as it is in a dict.

    That is most of the time of a large file: Marshmallow's own ways also look for defaults,
    validators and attributes of objects.
    """

    default_error_messages = {"null": "is empty; write a value"}  # noqa: RUF012

    def deserialize(
        self, value: Any, attr: str | None = None, data: Any = None, **kwargs: Any
    ) -> Any:
        if value is missing and self.load_default is missing and not self.required:
            return missing
        if value is missing or value is None or self.validators:
            return super().deserialize(value, attr, data, **kwargs)
        return self._deserialize(value, attr, data)

    def serialize(self, attr: str, obj: Any, *args: Any, **kwargs: Any) -> Any:
        if type(obj) is dict and self.dump_default is missing and self.attribute is None:
            return obj.get(attr, missing)
        return super().serialize(attr, obj, *args, **kwargs)


_MOST = str(2**31 - 1)
_IN_32_BITS = "|".join(
    [
        *(f"{_MOST[:at]}[0-{int(digit) - 1}][0-9]{{{9 - at}}}" for at, digit in enumerate(_MOST)),
        *("[0-9]{1,9}", _MOST),
    ]
)
"""The digits of integers, for what reads only patterns; but for the least of all."""


class Integer(Value[int]):
    """A 32-bit integer, as a number without a fraction or as ASCII decimal digits [C]."""

    default_error_messages = {"null": "is empty; write a number"}  # noqa: RUF012

    _form = re.compile(r"(-?)0*([0-9]+)", re.ASCII)

    def _deserialize(self, value: object, *_: Any, **__: Any) -> int:
        if type(value) is int and 0 <= value < 2**31:
            return value
        if isinstance(value, str) and value.isdigit() and value.isascii() and len(value) < 10:
            return int(value)
        number = value.value if isinstance(value, Word) else value
        if type(number) is float and number.is_integer():  # to JSON Schema, 2.0 is an integer
            value = int(number)
        text = str(value) if type(value) is int else value
        match = self._form.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise ValidationError(f"{quoted(value)} is not an integer; write decimal digits only")
        number = int(match[1] + match[2]) if len(match[2]) <= 10 else 2**31
        if not -(2**31) <= number < 2**31:
            raise ValidationError(
                f"{quoted(value)} does not fit in 32 bits; allowed is -2147483648 to 2147483647"
            )
        return number

    def json_schema(self, place: Place) -> JsonSchema:
        limits = {"minimum": -(2**31), "maximum": 2**31 - 1}
        if place.is_answer:
            return {"type": "integer", **limits}
        digits = "[0-9]{1,10}" if place.is_file else _IN_32_BITS
        shape: JsonSchema = {"type": "string", "pattern": f"^-?0*(?:{digits})$"}
        return shape if place.is_form else {**shape, "type": ["integer", "string"], **limits}


class Text(Value[str]):
    """Any text. A whole number is taken as its digits; other types would be guesses."""

    default_error_messages = {"null": "is empty; write some text"}  # noqa: RUF012

    def _deserialize(self, value: object, *_: Any, **__: Any) -> str:
        if type(value) is not str:
            if type(value) is not int and not isinstance(value, str):
                raise ValidationError(f"{quoted(value)} is not text; write one text, in quotes")
            value = str(value)
        if not value and self.required:
            raise ValidationError("is empty; write some text")
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise ValidationError(f"{quoted(value)} holds half of a surrogate pair") from None
        return value

    def json_schema(self, place: Place) -> JsonSchema:
        types = [*place.text, "null"] if place.is_file else [*place.text]
        shape: JsonSchema = {"type": types if len(types) > 1 else types[0]}
        return shape | ({"minLength": 1} if self.required and not place.is_answer else {})


class Choice(Value[str]):
    """One of a few words, exactly as they are written [S], or in any case."""

    def __init__(self, *choices: str, any_case: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.choices = choices
        self.any_case = any_case

    def _deserialize(self, value: object, *_: Any, **__: Any) -> str:
        word = value if isinstance(value, str) else ""
        if self.any_case and word.isascii():
            word = word.lower()
        if word in self.choices:
            return str(word)
        near = nearest(value, self.choices) if isinstance(value, str) else None
        raise ValidationError(
            f"{quoted(value)} is not one of {', '.join(self.choices)}"
            + (f"; did you mean {near}?" if near else "")
        )

    def json_schema(self, _place: Place) -> JsonSchema:
        return {"type": "string", "enum": [*self.choices]}


_FOURTH = "(?:0[48]|[2468][048]|[13579][26])"
_DAY = (
    r"(?:\d{3}[1-9]|\d\d[1-9]\d|\d[1-9]\d\d|[1-9]\d{3})-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])"
    rf"|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)|(?:\d\d{_FOURTH}|{_FOURTH}00)-02-29"
)
_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d"
_EXISTING = rf"(?:{_DAY})(?:[Tt ]{_TIME}(?::[0-5]\d(?:\.\d{{1,7}})?)? ?(?:[Zz]|[+-]{_TIME})?)?"
"""The dates of `Date.form` that exist, for what reads only patterns."""


class Date(Value[str]):
    """A moment, kept as the text that goes out: UTC, seven decimals, `Z` [S].

    Reads `2024-03-04`, `2024-03-04T09:03`, seconds, up to seven decimals, and `Z` or an offset;
    UTC is meant where no offset is given. The texts sort as the moments do. A relative date, such
    as `now-3d`, stays as it is until `resolved`.
    """

    form = re.compile(
        r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d)(:\d\d(?:\.(\d{1,7}))?)? ?([Zz]|[+-]\d\d:\d\d)?)?",
        re.ASCII,
    )
    _outgoing = re.compile(  # days that every month has; the others take the longer way
        r"(?!0000)\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])"
        r"T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{7}Z",
        re.ASCII,
    )

    def _deserialize(self, value: object, *_: Any, **__: Any) -> str:
        if isinstance(value, str) and self._outgoing.fullmatch(value):
            return value
        if isinstance(value, date):
            value = value.isoformat()
        if isinstance(value, str) and value.startswith("now"):
            return self._relative(value)
        match = self.form.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise ValidationError(
                f"{quoted(value)} is not a date; write it like 2024-03-04 or "
                "2024-03-04T09:03:43.9200000Z, with at most seven decimals"
            )
        day, minutes, seconds, decimals, offset = match.groups()
        try:
            moment = datetime.fromisoformat(f"{day}T{minutes or '00:00'}{(seconds or ':00')[:3]}")
        except ValueError:
            raise ValidationError(f"{quoted(value)} is not a date that exists") from None
        if offset and offset not in "Zz":
            if offset[1:] > "23:59" or offset[4:] > "59":
                raise ValidationError(f"{quoted(value)} has an offset beyond 23:59")
            try:
                moment -= timedelta(hours=int(offset[:3]), minutes=int(offset[0] + offset[4:]))
            except OverflowError:
                what = "is, in UTC, outside the years 1 to 9999"
                raise ValidationError(f"{quoted(value)} {what}") from None
        return f"{moment.isoformat()}.{(decimals or '').ljust(7, '0')}Z"

    def _relative(self, text: str) -> str:
        why = "write now, now-3d or now+2w; units are ms, s, m, h, d, w"
        try:
            if is_relative(text):
                return text
        except ValueError as error:
            why = str(error)
        raise ValidationError(f"{quoted(text)} is not a relative date; {why}")

    def json_schema(self, place: Place) -> JsonSchema:
        if place.is_answer:
            return place.form(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z", write="")
        relative = f"now(?:[+-]{DURATION.pattern})?"
        how = "write it like 2024-03-04, 2024-03-04T09:03:43.9200000Z or now-3d"
        return place.form(_EXISTING, relative, write=how)


class Moment(Date):
    """A date to which a clock can be set: one that is not relative."""

    def _deserialize(self, value: object, *_: Any, **__: Any) -> str:
        date = super()._deserialize(value)
        if date.startswith("now"):
            what = "is relative to now; a clock needs a date such as 2024-03-04"
            raise ValidationError(f"{quoted(value)} {what}")
        return date

    def json_schema(self, place: Place) -> JsonSchema:
        how = "write it like 2024-03-04 or 2024-03-04T09:03:43.9200000Z"
        return place.form(f"(?=19|[2-8]|9[0-7])(?:{_EXISTING})", write=how)


class Duration(Value[str]):
    """A duration such as `250ms` or `2d`, kept as its text."""

    def _deserialize(self, value: object, *_: Any, **__: Any) -> str:
        text = value if isinstance(value, str) else ""
        try:
            duration(text)
        except ValueError as error:
            raise ValidationError(f"{quoted(value)}: {error}") from None
        return text

    def json_schema(self, place: Place) -> JsonSchema:
        how = "write a number and one of ms, s, m, h, d, w, such as 250ms or 2s"
        return place.form(DURATION.pattern, write=how)


class Flag(Value[bool]):
    """`true` or `false`; any_case: as .NET writes them, too."""

    def __init__(self, *, any_case: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.any_case = any_case

    def _deserialize(self, value: object, *_: Any, **__: Any) -> bool:
        if isinstance(value, str) and self.any_case and value.isascii():
            value = value.lower()
        if value is True or value == "true":
            return True
        if value is False or value == "false":
            return False
        raise ValidationError(f"{quoted(value)} is neither true nor false")

    def json_schema(self, place: Place) -> JsonSchema:
        if place.is_answer:
            return {"type": "boolean"}
        return {"type": ["boolean", "string"], "enum": [True, False, "true", "false"]}


class After(Value[tuple[str, float]]):
    """When a change happens: after so many calls, or so long after the scenario became active."""

    calls = re.compile(r"([0-9]{1,9}) calls?")

    def _deserialize(self, value: object, *_: Any, **__: Any) -> tuple[str, float]:
        text = value if isinstance(value, str) else ""
        calls = self.calls.fullmatch(text)
        if calls:
            return "calls", float(calls[1])
        try:
            return "seconds", duration(text)
        except ValueError as error:
            how = "write `3 calls`, or a duration such as 30s or 2d"
            why = error if DURATION.fullmatch(text) else how
            raise ValidationError(f"{quoted(value)} is not a moment; {why}") from None

    def json_schema(self, place: Place) -> JsonSchema:
        how = "write `3 calls`, or a duration such as 30s or 2d"
        return place.form(self.calls.pattern, DURATION.pattern, write=how)


class Word(str):
    """A number, `true` or `false` as it was written in a file, or a number in a request.

    It is as good as a text to every field with a type; `Json` takes it for the `value` that it is
    in JSON.
    """

    __slots__ = ("value",)
    value: int | float | bool | str

    def __new__(cls, text: str, value: int | float | bool | str) -> Word:
        word = super().__new__(cls, text)
        word.value = value
        return word

    @classmethod
    def number(cls, text: str) -> Word:
        """A number; one that JSON would write differently stays a text, so that nothing is lost."""
        if len(text) > 1_000:
            return cls(text, text)
        value = float(text) if set(text) & set(".eE") else int(text)
        return cls(text, value if repr(value) == text else text)


class Json(Value[Any]):
    """A value without a schema of its own, served unchanged."""

    def _deserialize(self, value: object, *_: Any, **__: Any) -> Any:
        try:
            value = _json_value(value, MAX_DEPTH)
            write_json(value)
        except (TypeError, ValueError, RecursionError) as error:
            raise ValidationError(f"cannot be written as JSON: {error}") from None
        return value

    def json_schema(self, _place: Place) -> JsonSchema:
        return {}


def _json_value(value: Any, levels: int) -> Any:
    """A value from a file as JSON has it."""
    if isinstance(value, Word):
        return value.value
    if not isinstance(value, (Mapping, list)):
        return value
    if not levels:
        raise ValueError(f"nested more than {MAX_DEPTH} levels deep")
    if isinstance(value, Mapping):
        return {name: _json_value(inner, levels - 1) for name, inner in value.items()}
    return [_json_value(inner, levels - 1) for inner in value]


class JsonObject(Json):
    """Properties without a schema of their own, served unchanged."""

    def _deserialize(self, value: object, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(value, Mapping):
            raise ValidationError("expected properties (name: value), served as they are")
        return super()._deserialize(value, *args, **kwargs)

    def json_schema(self, _place: Place) -> JsonSchema:
        assert isinstance(self.parent, Schema)
        taken = [*self.parent.dump_fields]
        return {"type": "object", "propertyNames": {"not": {"enum": taken}}}


class JsonList(fields.List):  # type: ignore[type-arg] # as Marshmallow 3 has it
    """Values without a schema of their own, served unchanged."""

    default_error_messages = {"invalid": "expected a list, such as []"}  # noqa: RUF012

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(Json(allow_none=True), **kwargs)


class NamedSchema(Schema):
    """A schema whose errors help: null counts as left out, an unknown name gets the nearest one.

    GROUPS: names of fields of which at most one may be present.
    """

    class Meta:
        unknown = RAISE

    GROUPS: ClassVar[tuple[tuple[str, ...], ...]] = ()
    error_messages = {"type": "expected named properties (name: value)"}  # noqa: RUF012

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Give every field our words for the two messages that Marshmallow writes itself."""
        field_obj.error_messages["required"] = f"is missing; add {field_name}: ..."

    @pre_load(**COLLECTION)
    def drop_nulls(self, data: Any, *, many: bool, **_: Any) -> Any:
        if many:
            return [*map(self._without_nulls, data)] if isinstance(data, list) else data
        return self._without_nulls(data)

    def _without_nulls(self, data: Any) -> Any:
        if not isinstance(data, Mapping) or None not in data.values():
            return data
        known = self.load_fields
        # An unknown name is wrong also where its value is null.
        return {
            name: value for name, value in data.items() if value is not None or name not in known
        }

    def handle_error(self, error: ValidationError, data: Any, *, many: bool, **_: Any) -> None:
        """Put our words in the place of Marshmallow's about unknown names."""
        del data
        messages: Any = error.messages
        for found in messages.values() if many else (messages,):
            for name in found if isinstance(found, dict) else ():
                if found[name] == [self.error_messages["unknown"]]:
                    found[name] = [NameProblem(self.unknown_name(str(name)))]

    @cached_property
    def whole(self) -> Schema:
        """The same with all of its fields, of which this one may have only some."""
        return type(self)()

    @cached_property
    def names(self) -> Names:
        """The names that can be loaded."""
        return Names(self.whole.load_fields)

    def unknown_name(self, name: str) -> str:
        """The error for a name that is not in this schema."""
        if name == "<<":
            return "merge keys are not read; repeat the properties, or use an alias"
        return f"unknown property; {suggest(name, self.names)}"
