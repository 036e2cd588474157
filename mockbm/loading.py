"""Scenario files: a directory of YAML and JSON becomes frozen scenarios, or a list of problems.

Text, then values with positions, then the schema, then what a scenario extends or generates.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from marshmallow import ValidationError

from .document import (
    Document,
    Problem,
    Progress,
    ScenarioError,
    is_json,
    json_values,
    unplaced,
)
from .fields import quoted, suggest
from .releases import Kept
from .scenario import (
    DEFAULT_API_KEY,
    INLINE,
    ORDERS,
    Scenario,
    ScenarioSchema,
    collector_paused,
)

SUFFIXES = (".yaml", ".yml", ".json")
"""Of scenario files."""

UNTYPED = frozenset({"deployables", "extra"})
"""Properties without a schema of their own: plain values inside mean what they mean in JSON."""


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
    with collector_paused():
        family = _Family(directory, progress)
        for name in family.names:
            scenario = family.scenario(name)
            if scenario is not None:
                scenarios[name] = scenario
    if family.problems:
        raise ScenarioError(family.problems)
    return scenarios


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


MAX_GENERATIONS = 32
"""Scenarios in a row that extend one another."""

_TOO_LONG = f"goes on over more than {MAX_GENERATIONS} scenarios that extend one another"


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
            self.problems.append(Problem("", 0, 0, f"{directory}", what))
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
        if len(self._open) > MAX_GENERATIONS:
            raise ValidationError({"extends": [_TOO_LONG]})
        shipped = self._shipped
        in_shipped = shipped is not None and extended in shipped.names
        if extended in self._files and not (extended == name and in_shipped):
            if extended in self._open:
                way = " extends ".join([*self._open[self._open.index(extended) :], extended])
                raise ValidationError({"extends": [f"goes in a circle: {way}"]})
            found = self.scenario(extended)
            if found is not None and found.generation >= MAX_GENERATIONS:
                raise ValidationError({"extends": [_TOO_LONG]})
            return found
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
