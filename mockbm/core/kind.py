"""What a kind of record is: its schema, its filters, and what follows from other records."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any

from marshmallow import Schema, missing
from marshmallow.fields import Field

from .fields import Date, Row
from .times import resolve

World = Mapping[str, Any]
"""The records of all kinds as loaded, by the name of their kind, and a scenario's other keys."""


@dataclass(frozen=True)
class Kind:
    """One kind of record, such as releases.

    name, noun: of the key in scenario files, and of one record.
    schema: loads a record from a file and dumps it as BuildMaster answers it.
    filters: name of a filter to the property that it compares.
    internal: filters that no client sends, and so explanations do not show; one comes first.
    complete: records as loaded to records with the default of everything that was left out; it
        also gets the records of the other kinds as loaded, by kind.
    changed: a record and one of its changes to the record after it.
    implied: records that the others name without defining them.
    check: what is wrong with records of a file that name others: index to Marshmallow's messages.
    named: the highest id that records of other kinds name, whether or not it is defined.
    derived: properties of complete records that depend on other records.
    unfinished: statuses of records that go on to another by themselves.
    settings: the field of what a file may have under this name instead of records.
    advance: lets the records of a session go on whose time has come, by the settings.
    """

    name: str
    noun: str
    schema: type[Schema]
    filters: Mapping[str, str]
    complete: Callable[[Sequence[Row], World], Iterable[Row]]
    internal: tuple[str, ...] = ()
    changed: Callable[[Row, Row], Row] = operator.or_
    implied: Callable[[World], Sequence[Row]] = lambda _: ()
    check: Callable[[Sequence[Row], World], Mapping[int, Any]] = lambda _rows, _world: {}
    named: Callable[[World], int] = lambda _: 0
    derived: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()
    settings: Field[Any] | None = None
    advance: Callable[[Any], None] | None = None

    @cached_property
    def writer(self) -> Schema:
        """What dumps records; making a schema takes longer than to dump one."""
        return self.schema(many=True)

    @cached_property
    def reader(self) -> Callable[[frozenset[str]], Schema]:
        """Returns what loads a list of records that have at most these properties."""
        fields = self.writer.load_fields

        def is_needed(name: str, there: frozenset[str]) -> bool:
            field = fields[name]
            return name in there or field.required or field.load_default is not missing

        # In the order of the schema, which records as loaded then have, too.
        return lru_cache(
            lambda there: self.schema(many=True, only=[n for n in fields if is_needed(n, there)])
        )

    @cached_property
    def dates(self) -> Sequence[str]:
        """The properties that are dates, which may be relative in a file."""
        declared: dict[str, Any] = self.schema._declared_fields
        return [name for name, field in declared.items() if isinstance(field, Date)]

    def is_relative(self, row: Row) -> bool:
        """Whether a date of this record as loaded is relative."""
        return any((row.get(name) or "").startswith("now") for name in self.dates)

    def resolved(self, row: Row, now: datetime) -> Row:
        """A record with the moments that its relative dates mean at `now`."""
        relative = [name for name in self.dates if (row.get(name) or "").startswith("now")]
        return {**row, **{name: resolve(row[name], now) for name in relative}}
