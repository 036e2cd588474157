"""The parameters of an endpoint: how they are spelt, which go together, and how they are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, ClassVar

from marshmallow import ValidationError

from .errors import NameProblem, suggest
from .fields import NamedSchema
from .json_schema import JsonSchema, Place


class ParameterSchema(NamedSchema):
    """The parameters of requests to one endpoint.

    NEEDS: names of which a request has those of one line at least, where there are any.
    ALIASES: other names of parameters, in lower case, to the names of these.
    VARIABLES: whether any name is taken that begins with `$`.
    """

    NEEDS: ClassVar[tuple[tuple[str, ...], ...]] = ()
    ALIASES: ClassVar[Mapping[str, str]] = {}
    VARIABLES = False

    def rules(self, place: Place) -> JsonSchema:
        found = [place.has_one_at_most(group) for group in self.GROUPS]
        if self.NEEDS and not self.partial:
            found.append({"anyOf": [{"allOf": [*map(place.has, line)]} for line in self.NEEDS]})
        return {"allOf": found} if found else {}

    @cached_property
    def spelling(self) -> dict[str, str]:
        """The names of the parameters, each in lower case to its spelling; case is ignored [C]."""
        return {name.lower(): name for name in self.load_fields} | dict(self.ALIASES)

    @cached_property
    def _required(self) -> frozenset[str]:
        required = (name for name, field in self.load_fields.items() if field.required)
        return frozenset(() if self.partial else required)

    def read(self, values: Mapping[str, Any], *, strict: bool) -> dict[str, Any]:
        """The values as their fields load them, in their order; null counts as left out.

        The fields decide alone: the way of `load` around them costs several times what they do, and
        nothing else is decided there.
        strict: whether unknown names and several of a group are errors.
        Raises: ValidationError, with every problem.
        """
        known, loaded = self.load_fields, {}
        messages: dict[str, list[Any]] = {}
        for name, value in values.items():
            field = known.get(name)
            if field is None:
                if strict and not (self.VARIABLES and name[:1] == "$"):
                    messages[name] = [NameProblem(self.unknown_name(name))]
            elif value is not None:
                try:
                    loaded[name] = field.deserialize(value, name, values)
                except ValidationError as error:
                    messages[name] = [*error.messages]
        missing = self._required.difference(loaded, messages)
        for name in filter(missing.__contains__, known if missing else ()):
            messages[name] = [known[name].error_messages["required"]]
        if missing and self.NEEDS and not any(values.keys() >= {*line} for line in self.NEEDS):
            how = " or ".join(" and ".join(line) for line in self.NEEDS)
            messages.setdefault(self.NEEDS[0][0], [f"is missing; add {how}"])
        for name, what in self._crowded(values) if strict and len(values) > 1 else ():
            messages.setdefault(name, []).append(what)
        if messages:
            raise ValidationError(messages)
        return loaded

    def _crowded(self, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """What is wrong with parameters of which a group may have one only [S "either ... or"]."""
        for group in self.GROUPS:
            present = [name for name in values if name in group and values[name] is not None]
            for name in present[1:]:
                what = f"given together with {present[0]}; give at most one of {', '.join(group)}"
                yield name, what

    def unknown_name(self, name: str) -> str:
        return f"unknown parameter; {suggest(name, self.names)}"
