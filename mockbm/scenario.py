"""Scenario files: a directory of YAML and JSON becomes frozen scenarios, or a list of problems.

Text, then values with positions, then the schema, then what a scenario extends or generates.
Releases are rendered and indexed when a scenario is first asked for them.
"""

from __future__ import annotations

import gc
import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from marshmallow import ValidationError, fields
from marshmallow import validates_schema as validates

from .document import (
    Document,
    Problem,
    Progress,
    ScenarioError,
    is_json,
    json_values,
    unplaced,
)
from .faults import NEEDS_SOCKET, Fault, FaultSchema
from .fields import Choice, Integer, NamedSchema, Text, quoted, suggest
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

ORDERS = ("newest-first", "as-written")

SUFFIXES = (".yaml", ".yml", ".json")
"""Of scenario files."""

UNTYPED = frozenset({"deployables", "extra"})
"""Properties without a schema of their own: plain values inside mean what they mean in JSON."""

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
        """Whether a date is told from now, so that the answer depends on the day."""
        return self._facts[2]

    @cached_property
    def is_live(self) -> bool:
        """Whether an answer depends on more than the request: counts, the clock, chance."""
        return bool(self.faults or self.changing or self.told_from_now)

    @cached_property
    def answers(self) -> Answers:
        """What was answered from it, where it is not live."""
        return Answers()

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
        """The releases when each has so many changes behind it, with dates told from `now`."""
        if not any(stages) and not self.told_from_now:
            return self.releases
        left = iter(stages)
        releases = [
            resolved(staged(release, next(left) if release.get("changes") else 0), now)
            for release in self.definition
        ]
        return self._compiled(releases)

    def _compiled(self, releases: Sequence[Release]) -> Releases:
        with _collector_paused():
            present = (release for release in completed(releases) if not release.get("absent"))
            return Releases(present, as_written=self.order == "as-written")


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


def shipped_scenarios() -> Path:
    """The directory of the scenarios that come with mockbm, installed or in a checkout."""
    package = Path(__file__).resolve().parent
    inside = package / "scenarios"
    return inside if inside.is_dir() else package.parent / "scenarios"


def scenario_files(directory: Path) -> list[Path]:
    """The scenario files of a directory, by name. Raises: OSError."""
    found = (
        path
        for path in directory.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    )
    return sorted(found, key=lambda path: (path.stem, path.suffix))


def load_scenarios(directory: Path, progress: Progress | None = None) -> dict[str, Scenario]:
    """The scenarios of `directory` (`*.yaml`, `*.yml`, `*.json`), by name in alphabetical order.

    A scenario may extend one of the same directory or one that comes with mockbm.
    progress: is told how much of the files has been read, from 0 to 1.
    Raises: ScenarioError with every problem of every file.
    """
    scenarios = {}
    with _collector_paused():
        family = _Family(directory, progress)
        for name in family.names:
            scenario = family.scenario(name)
            if scenario is not None:
                scenarios[name] = scenario
    if family.problems:
        raise ScenarioError(family.problems)
    return scenarios


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Without garbage collection: it finds nothing in so many nodes, again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def inline_scenario(values: Any, known: Mapping[str, Scenario] | None = None) -> Scenario:
    """A scenario without a file, from plain values; its name is `INLINE`.

    known: scenarios that it may extend, beside those that come with mockbm.
    Raises: ScenarioError, whose problems have names but no positions.
    """
    try:
        loaded = ScenarioSchema().load(values)
        extended = loaded.get("extends")
        if extended is None:
            return _joined(INLINE, loaded, None)
        base = (known or {}).get(extended)
        if base is None:
            base = _Family(shipped_scenarios()).base(INLINE, extended)
        return _joined(INLINE, loaded, base)
    except ValidationError as error:
        raise unplaced(error.messages_dict) from None


class _Family:
    """The scenario files of one directory, which may extend one another."""

    def __init__(self, directory: Path, progress: Progress | None = None) -> None:
        self.problems: list[Problem] = []
        self._progress = progress
        self._sizes: dict[Path, int] = {}
        self._bytes_done = 0
        self._files: dict[str, Path] = {}
        self._open: list[str] = []
        self._made: dict[str, Scenario | None] = {}
        self._is_shipped = directory.resolve() == shipped_scenarios()
        for path in self._paths(directory):
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", path.stem):
                what = f"{quoted(path.stem)} cannot name a scenario; use letters, digits, '.', '_'"
                self._complain(path, "name", f"{what} and '-'")
            elif path.stem in self._files:
                other = self._files[path.stem].name
                self._complain(path, "name", f"{other} is called {path.stem}, too; rename one")
            else:
                self._files[path.stem] = path

    @property
    def names(self) -> Sequence[str]:
        """The names of the files that can be scenarios."""
        return list(self._files)

    def _complain(self, path: Path, where: str, what: str) -> None:
        self.problems.append(Problem(str(path), 1, 1, where, what))

    def _paths(self, directory: Path) -> list[Path]:
        try:
            files = scenario_files(directory)
        except OSError as error:
            what = f"{error.strerror}; give a directory of scenario files"
            self._complain(directory, "directory", what)
            return []
        if not files:
            what = f"holds no scenario files ({', '.join(f'*{suffix}' for suffix in SUFFIXES)})"
            self._complain(directory, "directory", what)
        self._sizes = {path: path.stat().st_size for path in files if path.exists()}
        return files

    def scenario(self, name: str) -> Scenario | None:
        """The scenario of one file, or None where it has problems."""
        if name not in self._made:
            self._open.append(name)
            self._made[name] = self._load(self._files[name])
            self._open.pop()
        return self._made[name]

    @cached_property
    def _shipped(self) -> _Family | None:
        """The family of the scenarios that come with mockbm; None for that family itself."""
        return None if self._is_shipped else _Family(shipped_scenarios())

    def base(self, name: str, extended: str) -> Scenario | None:
        """The scenario that `name` extends; None where that has problems of its own.

        Raises: ValidationError where it is not there or extends `name` in turn.
        """
        shipped = self._shipped
        in_shipped = shipped is not None and extended in shipped.names
        if extended in self._files and not (extended == name and in_shipped):
            if extended in self._open:
                way = " extends ".join([*self._open[self._open.index(extended) :], extended])
                raise ValidationError({"extends": [f"goes in a circle: {way}"]})
            return self.scenario(extended)
        if shipped is not None and in_shipped:
            return shipped.scenario(extended)  # also of the same name: a file may build on that
        known = sorted({*self.names, *(shipped.names if shipped else ())} - {name})
        what = f"no scenario is called {quoted(extended)}; {suggest(extended, known)}"
        raise ValidationError({"extends": [what]})

    def _load(self, path: Path) -> Scenario | None:
        progress = self._progress_of(path)
        if is_json(path):
            try:
                values = json_values(path, UNTYPED)
                progress(0.3)
                return self._scenario(path, values, lambda part: progress(0.3 + 0.7 * part))
            except (ScenarioError, ValidationError, ValueError, RecursionError):
                pass  # a document says what is wrong and where
        try:
            document = Document(path, UNTYPED, lambda part: progress(0.7 * part))
        except ScenarioError as error:
            self.problems += error.problems
            return None
        if document.values is None:
            smallest = '{"releases": []}' if is_json(path) else "releases: []"
            self._complain(path, "file", f"is empty; the smallest scenario is `{smallest}`")
            return None
        scenario = None
        try:
            values = document.values
            scenario = self._scenario(path, values, lambda part: progress(0.7 + 0.3 * part))
        except ValidationError as error:
            document.add(error.messages_dict)
            if "extends" not in error.messages_dict:
                document.add(self._base_problems(path.stem, document.values))
        self.problems += document.problems
        return None if document.problems else scenario

    def _scenario(self, path: Path, values: Any, progress: Progress) -> Scenario | None:
        """The scenario of a file's values; None where the one that it extends has problems.

        Raises: ValidationError.
        """
        loaded = ScenarioSchema(progress).load(values)
        base = self.base(path.stem, loaded["extends"]) if "extends" in loaded else None
        if "extends" in loaded and base is None:
            return None
        loaded["releases"] = Kept(loaded.get("releases", []))
        return _joined(path.stem, loaded, base)

    def _progress_of(self, path: Path) -> Progress:
        """What to tell how much of one file has been read."""
        if self._progress is None:
            return lambda _: None
        told, size = self._progress, self._sizes.get(path, 0)
        before, whole = self._bytes_done, sum(self._sizes.values()) or 1
        self._bytes_done += size
        return lambda part: told((before + part * size) / whole)

    def _base_problems(self, name: str, values: Any) -> Mapping[str, Any]:
        """What is wrong with `extends` in values that have other problems, too."""
        extended = values.get("extends") if isinstance(values, Mapping) else None
        if isinstance(extended, str):
            try:
                self.base(name, extended)
            except ValidationError as error:
                return error.messages_dict
        return {}


def _joined(name: str, loaded: Mapping[str, Any], base: Scenario | None) -> Scenario:
    """A scenario from the values of a file and the one that it extends.

    Raises: ValidationError for a release to be removed that is not there.
    """
    removed = loaded.get("remove", [])
    if removed and base:
        known = {release["id"] for release in base.definition}
        problems = {
            number: [f"{base.name} has no release with the id {id_}"]
            for number, id_ in enumerate(removed)
            if id_ not in known
        }
        if problems:
            raise ValidationError({"remove": problems})
    return Scenario(
        name=name,
        description=loaded["description"].strip(),
        api_keys=tuple(loaded.get("apiKeys", base.api_keys if base else [DEFAULT_API_KEY])),
        order=loaded.get("order", base.order if base else ORDERS[0]),
        faults=tuple(loaded.get("faults", base.faults if base else ())),
        base=base,
        removed=frozenset(removed),
        size=loaded.get("generate"),
        own=loaded.get("releases", ()),
    )
