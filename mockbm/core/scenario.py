"""What a scenario is: its keys in a file, and the records that it answers from."""

from __future__ import annotations

import gc
import hashlib
import marshal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from marshmallow import ValidationError, fields
from marshmallow import validates_schema as validates

from .faults import NEEDS_SOCKET, Fault, fault_schema
from .fields import Choice, Integer, NamedSchema, Row, Text
from .generate import GenerateSchema, generated
from .json_schema import JsonSchema, Place, about
from .kind import Kind, World
from .parameters import ParameterSchema
from .table import Table

DEFAULT_API_KEY = "abc12345"
"""The key of the vendor's own example [S]."""

INLINE = "inline"
"""The name of every scenario that has no file."""

MANY = 1_000
"""Records whose indexing leaves memory behind that is worth giving back."""

ORDERS = ("newest-first", "as-written")

RELEASES = "releases"
"""The kind of record that every scenario has; `generate` and `remove` are about it."""


@dataclass(frozen=True, eq=False)
class Scenario:
    """A named, complete state of the mocked instance; its name is the stem of its file.

    base, removed: the scenario that it extends, and the ids of the releases that it leaves out.
    size: the arguments of `generated`, or None.
    own: the records that the file itself has, as loaded, by the name of their kind.
    options: the other keys of the file, such as `pipelines`, also those of the extended scenario.
    fingerprint: the same for the same content, also in another process.
    memo: what endpoints have computed from the records.
    """

    name: str
    description: str
    api_keys: tuple[str, ...]
    order: str
    faults: tuple[Fault, ...]
    base: Scenario | None
    removed: frozenset[int]
    size: Mapping[str, int] | None
    own: Mapping[str, Sequence[Row]]
    options: Mapping[str, Any]
    kinds: Mapping[str, Kind]
    fingerprint: str
    memo: dict[Any, Any] = field(default_factory=dict, repr=False)
    _indexing: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @cached_property
    def generation(self) -> int:
        """The place in a chain of scenarios that extend one another, from 1."""
        return 1 + (self.base.generation if self.base else 0)

    def records(self, kind: str) -> Sequence[Row]:
        """All records of a kind as loaded, with their changes."""
        size = self.size if kind == RELEASES else None
        own = self.own.get(kind, ())
        if not self.base and not size:
            return own
        inherited = self.base.records(kind) if self.base else ()
        made = generated(**size, beside=inherited) if size else ()
        by_id = {row["id"]: row for row in inherited}
        if kind == RELEASES:
            for id_ in self.removed:
                by_id.pop(id_, None)
        by_id |= {row["id"]: row for row in (*made, *own)}
        return tuple(by_id.values())

    @property
    def world(self) -> World:
        """All records as loaded, and the other keys of the file; `settings` are those of kinds."""
        settings = {name: self.options[name] for name in self.kinds if name in self.options}
        records = {name: self.records(name) for name in self.kinds}
        return {**self.options, "settings": settings, **records}

    @cached_property
    def release_count(self) -> int:
        """How many releases are defined, also those that are absent at first."""
        return len(self.records(RELEASES))

    @cached_property
    def changing(self) -> tuple[tuple[Kind, Row], ...]:
        """The records that change, as loaded."""
        return tuple(
            (kind, row)
            for kind in self.kinds.values()
            for row in self.records(kind.name)
            if row.get("changes")
        )

    @cached_property
    def advances(self) -> tuple[Callable[[Any], None], ...]:
        """What lets the records of a session go on whose time has come, where it says when."""
        kinds = [kind for kind in self.kinds.values() if kind.name in self.options]
        return tuple(kind.advance for kind in kinds if kind.advance is not None)

    @cached_property
    def has_relative_dates(self) -> bool:
        """Whether a date is relative, so that the answer depends on the day."""
        return any(
            kind.is_relative(row) for kind in self.kinds.values() for row in self.records(kind.name)
        )

    @cached_property
    def is_live(self) -> bool:
        """Whether an answer depends on more than the request: counts, the clock, chance."""
        return bool(self.faults or self.changing or self.has_relative_dates)

    @cached_property
    def counts(self) -> bool:
        """Whether an answer depends on earlier requests, or on when it became active."""
        counting = any(fault.counts for fault in self.faults)
        going_on = any(
            row.get("status") in kind.unfinished
            for kind in self.kinds.values()
            if kind.unfinished
            for row in self.records(kind.name)
        )
        return bool(counting or going_on or self.changing or self.has_relative_dates)

    @property
    def needs_socket(self) -> bool:
        """Whether a fault breaks connections, which only mockbm's own server can do."""
        return any(fault.connection in NEEDS_SOCKET for fault in self.faults)

    @cached_property
    def holdings(self) -> Mapping[str, Mapping[str, int]]:
        """Each application, that with most releases first, with the number of each status.

        As the scenario begins: without the releases that are absent at first.
        """
        counts: dict[str, Counter[str]] = {}
        for release in self.records(RELEASES):
            if not release.get("absent"):
                application = counts.setdefault(release["applicationName"], Counter())
                application[release.get("status", "active")] += 1
        return dict(sorted(counts.items(), key=lambda item: (-item[1].total(), item[0])))

    def prepare(self) -> None:
        """Index what there is, so that the first request does not wait for it."""
        _ = self._indexed

    @property
    def tables(self) -> dict[str, Table]:
        """The records that every session begins with, by the name of their kind; never changed."""
        return self._indexed[0]

    @property
    def particular(self) -> dict[str, dict[int, Row]]:
        """Complete records by kind and id that no table has as they are.

        They change, are absent, or have dates that depend on when the scenario became active.
        """
        return self._indexed[1]

    @cached_property
    def _indexed(self) -> tuple[dict[str, Table], dict[str, dict[int, Row]]]:
        with self._indexing, collector_paused():
            if "_indexed" in self.__dict__:  # by another thread, meanwhile
                done: tuple[dict[str, Table], dict[str, dict[int, Row]]] = self.__dict__["_indexed"]
                return done
            tables: dict[str, Table] = {}
            particular: dict[str, dict[int, Row]] = {}
            world = self.world
            for kind in self.kinds.values():
                rows = [*world[kind.name], *kind.implied(world)]
                mine: dict[int, Row] = {}
                particular[kind.name] = mine
                places = None
                if self.order == "as-written" or not kind.dates:
                    places = {row["id"]: place for place, row in enumerate(rows)}
                # A record that is absent at first may appear later, with its id.
                reserved = max((kind.named(world), *(row["id"] for row in rows)))
                plain = _plain(kind, rows, world, mine)
                tables[kind.name] = Table(kind, plain, places, reserved)
            if sum(map(len, tables.values())) >= MANY:
                _give_memory_back()
            return tables, particular


def _plain(
    kind: Kind, rows: Sequence[Row], world: World, particular: dict[int, Row]
) -> Iterator[Row]:
    """The complete records that are in every answer as the file has them; the others are noted."""
    for loaded, row in zip(rows, kind.complete(rows, world), strict=True):
        goes_on = row.get("status") in kind.unfinished
        if goes_on or loaded.get("changes") or loaded.get("absent") or kind.is_relative(loaded):
            particular[row["id"]] = row
        else:
            yield row


class ScenarioSchema(NamedSchema):
    """The keys of a scenario file; `scenario_schema` adds faults and the kinds of record."""

    error_messages = {"type": "expected the keys of a scenario, as in `releases: []`"}  # noqa: RUF012

    description = Text(load_default="", metadata=about("What the scenario is about."))
    extends = Text(
        metadata=about("The scenario to build on: one of the same directory, or of mockbm's own.")
    )
    apiKeys = fields.List(
        Text(required=True),
        error_messages={"invalid": f"expected a list, such as [{DEFAULT_API_KEY}]"},
        metadata=about(
            "The API keys that are accepted; [] refuses all.",
            left_out=f"those of the extended scenario, or [{DEFAULT_API_KEY}]",
        ),
    )
    order = Choice(
        *ORDERS,
        metadata=about(
            "The order of the answer: newest-first is by createdOn, then id.",
            left_out=f"that of the extended scenario, or {ORDERS[0]}",
        ),
    )
    generate = fields.Nested(
        GenerateSchema, metadata=about("Further releases, made up the same each time.")
    )
    remove = fields.List(
        Integer(),
        error_messages={"invalid": "expected a list of ids, such as [4]"},
        metadata=about("Ids of releases of the extended scenario to leave out."),
    )

    def unknown_name(self, name: str) -> str:
        if name == "name":
            what = "a scenario has the name of its file"
            return f"unknown property; {what}: give the name alone, or leave it out"
        return super().unknown_name(name)

    def rules(self, place: Place) -> JsonSchema:
        extends = place.has("extends")
        anything = {"anyOf": [place.has("releases"), extends, place.has("generate")]}
        return {"allOf": [anything, {"anyOf": [place.has_none("remove"), extends]}]}

    @validates(pass_original=True, skip_on_field_errors=False)
    def require_releases(self, scenario: Any, original: Any, **_: Any) -> None:
        if not isinstance(original, Mapping):
            return
        if all(original.get(name) is None for name in ("releases", "extends", "generate")):
            raise ValidationError({"releases": ["is missing; add releases: ..., or [] for none"]})
        if "remove" in scenario and original.get("extends") is None:
            raise ValidationError({"remove": ["needs extends: there is nothing to remove from"]})


SCHEMA_KEY = "$schema"
_SCHEMA = "Where an editor finds the JSON Schema of this file; mockbm does not read it."


def scenario_schema(
    kinds: Mapping[str, Kind],
    parameters: Mapping[str, ParameterSchema],
    options: Mapping[str, fields.Field[Any]],
) -> type[ScenarioSchema]:
    """The schema of scenario files with these kinds of record, endpoints and further keys."""
    faults = fields.Nested(
        fault_schema(parameters)(many=True),
        error_messages={"type": "expected a list of faults, such as - respond: {{status: 503}}"},
        metadata=about(
            "What the mock does to answers on purpose, tried in this order.",
            left_out="those of the extended scenario",
        ),
    )
    records = {kind.name: Records(kind) for kind in kinds.values()}
    added = {"faults": faults, **options, **records, SCHEMA_KEY: Text(metadata=about(_SCHEMA))}
    return type("ScenarioSchema", (ScenarioSchema,), added)


class Records(fields.Nested):
    """The records of a kind in a file, or its settings."""

    def __init__(self, kind: Kind) -> None:
        text = f"The {kind.name}; [] for none. They are added to those of the extended scenario, "
        super().__init__(
            kind.schema(many=True),
            error_messages={"type": f"expected a list of {kind.name}, or [] for none"},
            metadata=about(f"{text}where they replace those with the same id."),
        )
        self.kind = kind
        self.settings = kind.settings

    def _deserialize(self, value: Any, *arguments: Any, **more: Any) -> Any:
        if self.settings is not None and isinstance(value, Mapping):
            return self.settings.deserialize(value)
        return super()._deserialize(value, *arguments, **more)

    def _load(self, value: Any, *_: Any, **__: Any) -> Any:
        """Look in each record only for properties that some record has; many have few of them."""
        there = frozenset[str]().union(*(row for row in value if isinstance(row, Mapping)))
        return self.kind.reader(there).load(value)


_KEYS = frozenset((*ScenarioSchema().fields, "faults", SCHEMA_KEY))


def make_scenario(
    name: str, loaded: Mapping[str, Any], base: Scenario | None, kinds: Mapping[str, Kind]
) -> Scenario:
    """A scenario from what its schema has loaded, and the one that it extends.

    Raises: ValidationError for what the file names and does not exist.
    """
    removed = loaded.get("remove", [])
    if removed and base:
        known = {release["id"] for release in base.records(RELEASES)}
        problems = {
            number: [f"{base.name} has no release with the id {id_}"]
            for number, id_ in enumerate(removed)
            if id_ not in known
        }
        if problems:
            raise ValidationError({"remove": problems})
    own = {kind: found for kind in kinds if isinstance(found := loaded.get(kind, []), list)}
    others = sorted((key, repr(value)) for key, value in loaded.items() if key not in own)
    options = {key: loaded[key] for key in loaded if key not in own and key not in _KEYS}
    # Version 0 writes the same for the same values, whatever they share in memory.
    content = marshal.dumps([name, own, others, base.fingerprint if base else ""], 0)
    scenario = Scenario(
        name=name,
        description=loaded["description"].strip(),
        api_keys=tuple(loaded.get("apiKeys", base.api_keys if base else [DEFAULT_API_KEY])),
        order=loaded.get("order", base.order if base else ORDERS[0]),
        faults=tuple(loaded.get("faults", base.faults if base else ())),
        base=base,
        removed=frozenset(removed),
        size=loaded.get("generate"),
        own=own,
        options={**(base.options if base else {}), **options},
        kinds=kinds,
        fingerprint=hashlib.sha256(content).hexdigest(),
    )
    others_too = any(rows for kind, rows in own.items() if kind != RELEASES)
    if others_too or options.keys() & kinds.keys():
        world = scenario.world
        found = {kind.name: kind.check(own.get(kind.name, ()), world) for kind in kinds.values()}
        wrong = {kind: messages for kind, messages in found.items() if messages}
        if wrong:
            raise ValidationError(wrong)
    return scenario


def _give_memory_back() -> None:
    """Return to the system the memory that reading and indexing took, where the C library can."""
    import ctypes  # which a start without so many records need not wait for

    with suppress(AttributeError, OSError, TypeError):  # that is glibc only
        ctypes.CDLL(None).malloc_trim(0)


@contextmanager
def collector_paused() -> Iterator[None]:
    """Without garbage collection, which would search all the new records over and over."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
