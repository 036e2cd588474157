"""Marshmallow fields whose errors help: they say what came, what is allowed and what is near."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, pre_load
from marshmallow import validates_schema as validates

from .document import NameProblem
from .times import DURATION, duration, is_relative


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name`, ignoring case, or None where none is near."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    found = difflib.get_close_matches(name.casefold(), by_folded, n=1)
    return by_folded[found[0]] if found else None


def suggest(name: str, known: Collection[str]) -> str:
    """The end of an error about an unknown name: the nearest known one, or else all of them."""
    near = nearest(name, known)
    return f"did you mean {near}?" if near else f"known are {', '.join(known)}"


def quoted(value: object) -> str:
    """`value` as an error message shows it: short, on one line, in quotes if it is text."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, (list, tuple)):
        return "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:60]}...{text[-17:]}"


def write_json(value: object) -> bytes:
    """`value` as compact JSON in UTF-8, as the vendor's server writes it."""
    return _ENCODER.encode(value).encode()


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


class Integer(fields.Field[int]):
    """A 32-bit integer, as a number or as ASCII decimal digits [C]."""

    default_error_messages = {"null": "is empty; write a number"}  # noqa: RUF012

    _form = re.compile(r"(-?)0*([0-9]+)", re.ASCII)

    def _deserialize(self, value: object, *_: Any, **__: Any) -> int:
        return self.read(value)

    def read(self, value: object) -> int:
        """The number that `value` means. Raises: ValidationError."""
        if isinstance(value, str) and value.isdigit() and value.isascii() and len(value) < 10:
            return int(value)
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


class Text(fields.Field[str]):
    """Any text. A whole number is taken as its digits; other types would be guesses."""

    default_error_messages = {"null": "is empty; write some text"}  # noqa: RUF012

    def _deserialize(self, value: object, *_: Any, **__: Any) -> str:
        return self.read(value)

    def read(self, value: object) -> str:
        """The text that `value` means. Raises: ValidationError."""
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


class Choice(fields.Field[str]):
    """One of a few words, exactly as they are written [S]."""

    def __init__(self, *choices: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.choices = choices

    def _deserialize(self, value: object, *_: Any, **__: Any) -> str:
        return self.read(value)

    def read(self, value: object) -> str:
        """The choice that `value` names. Raises: ValidationError."""
        if isinstance(value, str) and value in self.choices:
            return value
        near = nearest(value, self.choices) if isinstance(value, str) else None
        raise ValidationError(
            f"{quoted(value)} is not one of {', '.join(self.choices)}"
            + (f"; did you mean {near}?" if near else "")
        )


class Date(fields.Field[str]):
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
        return self.read(value)

    def read(self, value: object) -> str:
        """The moment that `value` tells. Raises: ValidationError."""
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
        raise ValidationError(f"{quoted(text)} is no relative date; {why}")


class Moment(Date):
    """A date to which a clock can be set: one that is not relative."""

    def read(self, value: object) -> str:
        """The moment that `value` tells. Raises: ValidationError."""
        date = super().read(value)
        if date.startswith("now"):
            what = "is relative to now; a clock needs a date such as 2024-03-04"
            raise ValidationError(f"{quoted(value)} {what}")
        return date


class Duration(fields.Field[str]):
    """A duration such as `250ms` or `2d`, kept as its text."""

    def _deserialize(self, value: object, *_: Any, **__: Any) -> str:
        text = value if isinstance(value, str) else ""
        try:
            duration(text)
        except ValueError as error:
            raise ValidationError(f"{quoted(value)}: {error}") from None
        return text


class Flag(fields.Field[bool]):
    """`true` or `false`."""

    def _deserialize(self, value: object, *_: Any, **__: Any) -> bool:
        if value is True or value == "true":
            return True
        if value is False or value == "false":
            return False
        raise ValidationError(f"{quoted(value)} is neither true nor false")


class After(fields.Field[tuple[str, float]]):
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
            raise ValidationError(f"{quoted(value)} says no moment; {why}") from None


class Json(fields.Field[Any]):
    """A value without a schema of its own, served as it stands."""

    def _deserialize(self, value: object, *_: Any, **__: Any) -> Any:
        try:
            write_json(value)
        except (TypeError, ValueError, RecursionError) as error:
            raise ValidationError(f"cannot be written as JSON: {error}") from None
        return value


class JsonObject(Json):
    """Properties without a schema of their own, served as they stand."""

    def _deserialize(self, value: object, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(value, Mapping):
            raise ValidationError("expected properties (name: value), served as they are")
        return super()._deserialize(value, *args, **kwargs)


class JsonList(fields.List[Any]):
    """Values without a schema of their own, served as they stand."""

    default_error_messages = {"invalid": "expected a list, such as []"}  # noqa: RUF012

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(Json(allow_none=True), **kwargs)

    def read(self, value: object) -> Any:
        """The list that `value` is, which mostly is empty. Raises: ValidationError."""
        return value if type(value) is list and not value else self.deserialize(value)


class NamedSchema(Schema):
    """A schema whose errors help: null counts as left out, an unknown name gets the nearest one."""

    class Meta:
        unknown = EXCLUDE

    strict = True
    error_messages = {"type": "expected named properties (name: value)"}  # noqa: RUF012

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Give every field our words for the two messages that Marshmallow writes itself."""
        field_obj.error_messages["required"] = f"is missing; add {field_name}: ..."

    @pre_load
    def drop_nulls(self, data: Any, **_: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        return {name: value for name, value in data.items() if value is not None}

    @validates(pass_original=True, skip_on_field_errors=False)
    def refuse_unknown_names(self, _data: Any, original: Any, **_: Any) -> None:
        if not self.strict or not isinstance(original, Mapping):
            return
        if not original.keys() <= self.fields.keys():
            raise ValidationError(
                {
                    name: [NameProblem(self.unknown_name(str(name)))]
                    for name in original
                    if name not in self.fields
                }
            )

    def unknown_name(self, name: str) -> str:
        """What to tell somebody who wrote a name that is not in this schema."""
        if name == "<<":
            return "merge keys are not read; repeat the properties, or use an alias"
        return f"unknown property; {suggest(name, self.fields.keys())}"
