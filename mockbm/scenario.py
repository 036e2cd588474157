"""What a scenario is: its keys in a file, and frozen, with the releases that it answers from.

Releases are rendered and indexed when a scenario is first asked for them.
"""

from __future__ import annotations

import gc
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from marshmallow import ValidationError, fields
from marshmallow import validates_schema as validates

from .document import Progress
from .faults import NEEDS_SOCKET, Fault, FaultSchema
from .fields import Choice, Integer, NamedSchema, Text
from .generate import GenerateSchema, generated
from .memory import Answers
from .releases import (
    Kept,
    Release,
    ReleaseSchema,
    completed,
    is_told_from_now,
    load_releases,
    resolved,
    staged,
)
from .selection import Releases

DEFAULT_API_KEY = "abc12345"
"""The key of the vendor's own example [S]."""

INLINE = "inline"
"""The name of every scenario that came without a file."""

MANY = 1_000
"""Releases whose making leaves memory behind that is worth giving back."""

ORDERS = ("newest-first", "as-written")

Stages = tuple[int, ...]
"""How many of its changes each release with changes has behind it, in the order of the releases."""


@dataclass(frozen=True)
class Scenario:
    """A named, complete state of the mocked instance; its name is the file's stem.

    base, removed: the scenario that it extends, and the ids of the releases that go.
    size: the arguments of `generated`, or None.
    own: the releases that the file itself gives.

    Kept are the releases of files as they were loaded, packed, and those of the answers as JSON;
    the dicts in between are made when they are needed, and go again.
    """

    name: str
    description: str
    api_keys: tuple[str, ...]
    order: str
    faults: tuple[Fault, ...]
    base: Scenario | None
    removed: frozenset[int]
    size: Mapping[str, int] | None
    own: Sequence[Release]
    _compiling: threading.Lock = field(default_factory=threading.Lock, compare=False, repr=False)

    @cached_property
    def generation(self) -> int:
        """The place in a row of scenarios that extend one another, from 1."""
        return 1 + (self.base.generation if self.base else 0)

    @property
    def definition(self) -> Sequence[Release]:
        """All releases as loaded, with their changes; `at` makes of them what is served."""
        if not self.base and not self.size:
            return self.own
        inherited = self.base.definition if self.base else ()
        made = generated(**self.size, beside=inherited) if self.size else ()
        by_id = {release["id"]: release for release in inherited}
        for id_ in self.removed:
            by_id.pop(id_, None)
        by_id |= {release["id"]: release for release in (*made, *self.own)}
        return tuple(by_id.values())

    @cached_property
    def _facts(self) -> tuple[int, tuple[Release, ...], bool]:
        """What is to be known of the definition without looking at it again."""
        definition = self.definition
        if isinstance(definition, Kept):
            return len(definition), definition.changing, definition.told_from_now
        changing = tuple(release for release in definition if release.get("changes"))
        return len(definition), changing, any(map(is_told_from_now, definition))

    @property
    def release_count(self) -> int:
        """How many releases are defined, with those that are not there yet."""
        return self._facts[0]

    @property
    def changing(self) -> tuple[Release, ...]:
        """The releases that change."""
        return self._facts[1]

    @cached_property
    def holdings(self) -> Mapping[str, Mapping[str, int]]:
        """Each application, that with most releases first, with how many of each status it has.

        As the scenario begins: without the releases that are absent at first.
        """
        counts: dict[str, Counter[str]] = {}
        for release in self.definition:
            if not release.get("absent"):
                application = counts.setdefault(release["applicationName"], Counter())
                application[release.get("status", "active")] += 1
        return dict(sorted(counts.items(), key=lambda item: (-item[1].total(), item[0])))

    @property
    def told_from_now(self) -> bool:
        """Whether a date is relative, so that the answer depends on the day."""
        return self._facts[2]

    @cached_property
    def is_live(self) -> bool:
        """Whether an answer depends on more than the request: counts, the clock, chance."""
        return bool(self.faults or self.changing or self.told_from_now)

    @cached_property
    def answers(self) -> Answers:
        """What was answered from it, where it is not live."""
        return Answers()

    def forget_answers(self) -> None:
        """Let every answer be made anew."""
        self.__dict__.pop("answers", None)

    @cached_property
    def counts(self) -> bool:
        """Whether an answer depends on what was asked before, or on when it became active."""
        return bool(
            self.changing or self.told_from_now or any(fault.counts for fault in self.faults)
        )

    @property
    def needs_socket(self) -> bool:
        """Whether a fault breaks connections, which not every server lets us do."""
        return any(fault.connection in NEEDS_SOCKET for fault in self.faults)

    def prepare(self) -> None:
        """Render and index what there is, so that the first request does not wait for it."""
        if not self.told_from_now:
            _ = self.releases

    @property
    def releases(self) -> Releases:
        """The releases of a scenario that is not live, rendered and indexed once."""
        with self._compiling:
            return self._releases

    @cached_property
    def _releases(self) -> Releases:
        return self._compiled(self.definition)

    def at(self, stages: Stages, now: datetime) -> Releases:
        """The releases when each has so many changes behind it, with relative dates."""
        if not any(stages) and not self.told_from_now:
            return self.releases
        left = iter(stages)
        releases = [
            resolved(staged(release, next(left) if release.get("changes") else 0), now)
            for release in self.definition
        ]
        return self._compiled(releases)

    def _compiled(self, releases: Sequence[Release]) -> Releases:
        with collector_paused():
            present = (release for release in completed(releases) if not release.get("absent"))
            compiled = Releases(present, as_written=self.order == "as-written")
        if len(compiled) >= MANY:
            _give_memory_back()
        return compiled


class _ReleaseList(fields.Nested):
    """The releases of a file, which may be a great many."""

    def _load(self, value: Any, partial: Any = None) -> list[Release]:
        assert not partial
        progress = self.parent.progress if isinstance(self.parent, ScenarioSchema) else None
        return load_releases(value, progress)


class ScenarioSchema(NamedSchema):
    """The keys of a scenario file."""

    def __init__(self, progress: Progress | None = None) -> None:
        super().__init__()
        self.progress = progress

    error_messages = {"type": "expected the keys of a scenario, as in `releases: []`"}  # noqa: RUF012

    description = Text(load_default="")
    extends = Text()
    apiKeys = fields.List(
        Text(required=True),
        error_messages={"invalid": f"expected a list, such as [{DEFAULT_API_KEY}]"},
    )
    order = Choice(*ORDERS)
    faults = fields.Nested(
        FaultSchema(many=True),
        error_messages={"type": "expected a list of faults, such as - respond: {{status: 503}}"},
    )
    generate = fields.Nested(GenerateSchema)
    remove = fields.List(
        Integer(), error_messages={"invalid": "expected a list of ids, such as [4]"}
    )
    releases = _ReleaseList(
        ReleaseSchema(many=True),
        error_messages={"type": "expected a list of releases, or [] for none"},
    )

    @validates(pass_original=True, skip_on_field_errors=False)
    def require_releases(self, scenario: Any, original: Any, **_: Any) -> None:
        if not isinstance(original, Mapping):
            return
        if all(original.get(name) is None for name in ("releases", "extends", "generate")):
            raise ValidationError({"releases": ["is missing; add releases: ..., or [] for none"]})
        if "remove" in scenario and original.get("extends") is None:
            raise ValidationError({"remove": ["needs extends: there is nothing to remove from"]})


def _give_memory_back() -> None:
    """Give the system the memory back that reading and rendering took, where the C library can."""
    import ctypes  # which a start without so many releases need not wait for

    with suppress(AttributeError, OSError, TypeError):  # that is glibc only
        ctypes.CDLL(None).malloc_trim(0)


@contextmanager
def collector_paused() -> Iterator[None]:
    """Without garbage collection: it finds nothing in so many nodes, again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
