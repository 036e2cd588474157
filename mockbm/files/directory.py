"""Scenario files: a directory of YAML and JSON becomes scenarios, or a list of every problem."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from marshmallow import ValidationError

from ..core.errors import Problem, ScenarioError, quoted, suggest, without_positions
from ..core.scenario import INLINE, Scenario, collector_paused, make_scenario
from ..endpoints import KINDS, ScenarioSchema
from .document import Document, Progress, is_json, json_values

SUFFIXES = (".yaml", ".yml", ".json")
"""Of scenario files."""


def shipped_scenarios() -> Path:
    """The directory of the scenarios that come with mockbm, installed or in a checkout."""
    package = Path(__file__).resolve().parent.parent
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


class Directory:
    """A directory of scenario files, for `mockbm.core.mock.Mock`.

    path: by default that of the scenarios that come with mockbm.
    progress: is called with the part of the files that has been read, from 0 to 1.
    """

    def __init__(self, path: Path | str | None = None, progress: Progress | None = None) -> None:
        self.path = shipped_scenarios() if path is None else Path(path)
        self.name = str(self.path)
        self._progress = progress

    def load(self) -> dict[str, Scenario]:
        """All scenarios, by name in alphabetical order. Raises: ScenarioError."""
        return load_scenarios(self.path, self._progress)

    def inline(self, values: Any, known: Mapping[str, Scenario]) -> Scenario:
        """A scenario from plain values, which may extend a known one. Raises: ScenarioError."""
        return inline_scenario(values, known)

    def hint(self, name: str) -> str:
        """Why no scenario has a name that one could have; "" for other names."""
        with suppress(OSError):
            for path in scenario_files(self.path):
                if path.stem == name:
                    return f"{path.name} is new since the files were read; reload them"
            if any(path.stem == name for path in scenario_files(shipped_scenarios())):
                what = f"{name} comes with mockbm, whose scenarios those of {self.name} replace"
                return f"{what}; a file there may say `extends: {name}`"
        return ""


def load_scenarios(
    directory: Path, progress: Progress | None = None, files: Collection[Path] | None = None
) -> dict[str, Scenario]:
    """The scenarios of `directory` (`*.yaml`, `*.yml`, `*.json`), by name in alphabetical order.

    A scenario may extend one of the same directory or one that comes with mockbm.
    progress: is called with the part of the files that has been read, from 0 to 1.
    files: only these of the directory; another one is read only where one of them extends it.
    Raises: ScenarioError with every problem of every file.
    """
    with collector_paused():
        family = _Family(directory, progress)
        wanted = [name for name, path in family.files.items() if files is None or path in files]
        made = {name: family.scenario(name) for name in wanted}
    problems = family.problems if files is None else family.problems_of(files)
    if problems:
        raise ScenarioError(problems)
    return {name: scenario for name, scenario in made.items() if scenario is not None}


def inline_scenario(values: Any, known: Mapping[str, Scenario] | None = None) -> Scenario:
    """A scenario without a file, from plain values; its name is `INLINE`.

    known: scenarios that it may extend, in addition to those that come with mockbm.
    Raises: ScenarioError, whose problems have names but no positions.
    """
    try:
        loaded = ScenarioSchema().load(values)
        extended = loaded.get("extends")
        base = (known or {}).get(extended)
        if extended is not None and base is None:
            base = _Family(shipped_scenarios()).base(INLINE, extended, known or ())
        return make_scenario(INLINE, loaded, base, KINDS)
    except ValidationError as error:
        raise without_positions(error.messages_dict) from None


MAX_GENERATIONS = 32
"""Scenarios in a chain that extend one another."""

_TOO_LONG = f"goes on over more than {MAX_GENERATIONS} scenarios that extend one another"


class _Family:
    """The scenario files of one directory, which may extend one another."""

    def __init__(self, directory: Path, progress: Progress | None = None) -> None:
        self.problems: list[Problem] = []
        self.files: dict[str, Path] = {}  # those that can be scenarios, by name
        self._schema = ScenarioSchema()  # which takes longer to make than to load a short file
        self._progress = progress
        self._sizes: dict[Path, int] = {}
        self._parts: dict[Path, float] = {}  # of the sizes, what has been read
        self._open: list[str] = []
        self._made: dict[str, Scenario | None] = {}
        self._is_shipped = os.path.realpath(directory) == str(shipped_scenarios())
        try:
            paths = scenario_files(directory)
        except OSError as error:
            hint = "; give a directory of scenario files" * isinstance(error, NotADirectoryError)
            self.problems.append(Problem("", 0, 0, f"{directory}", f"{error.strerror}{hint}"))
            return
        if not paths:
            what = f"holds no scenario files ({', '.join(f'*{suffix}' for suffix in SUFFIXES)})"
            self._complain(directory, "directory", what)
        for path in paths:
            with suppress(OSError):  # reading it says why
                self._sizes[path] = path.stat().st_size
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", path.stem):
                what = f"{quoted(path.stem)} cannot name a scenario; use letters, digits, '.', '_'"
                self._complain(path, "name", f"{what} and '-'")
            elif path.stem in self.files:
                other = self.files[path.stem].name
                self._complain(path, "name", f"{other} is called {path.stem}, too; rename one")
            else:
                self.files[path.stem] = path

    def problems_of(self, files: Collection[Path]) -> list[Problem]:
        """The problems of some files, and of those that were read since they extend them."""
        for path in files:
            if path.suffix.lower() not in SUFFIXES:
                self._complain(path, "name", f"a scenario file ends in {', '.join(SUFFIXES)}")
        paths = {*map(str, files), *(str(self.files[name]) for name in self._made)}
        return [problem for problem in self.problems if problem.path in paths]

    def _complain(self, path: Path, where: str, what: str) -> None:
        self.problems.append(Problem(str(path), 1, 1, where, what))

    def scenario(self, name: str) -> Scenario | None:
        """The scenario of one file, or None where it has problems."""
        if name not in self._made:
            self._open.append(name)
            self._made[name] = self._load(self.files[name])
            self._open.pop()
        return self._made[name]

    @cached_property
    def _shipped(self) -> _Family | None:
        """The family of the scenarios that come with mockbm; None for that family itself."""
        return None if self._is_shipped else _Family(shipped_scenarios())

    def base(self, name: str, extended: str, others: Collection[str] = ()) -> Scenario | None:
        """The scenario that `name` extends; None where that has problems of its own.

        others: names of further scenarios, for the error about an unknown one.
        Raises: ValidationError where it is not there or extends `name` in turn.
        """
        if len(self._open) > MAX_GENERATIONS:
            raise ValidationError({"extends": [_TOO_LONG]})
        shipped = self._shipped
        in_shipped = shipped is not None and extended in shipped.files
        if extended in self.files and not (extended == name and in_shipped):
            if extended in self._open:
                way = " extends ".join([*self._open[self._open.index(extended) :], extended])
                raise ValidationError({"extends": [f"goes in a circle: {way}"]})
            found = self.scenario(extended)
            if found is not None and found.generation >= MAX_GENERATIONS:
                raise ValidationError({"extends": [_TOO_LONG]})
            return found
        if shipped is not None and in_shipped:
            return shipped.scenario(extended)  # also of the same name: a file may build on that
        known = sorted({*self.files, *(shipped.files if shipped else ()), *others} - {name})
        what = f"no scenario is called {quoted(extended)}; {suggest(extended, known)}"
        raise ValidationError({"extends": [what]})

    def _load(self, path: Path) -> Scenario | None:
        progress = partial(self._report, path)
        if is_json(path):
            try:
                values = json_values(path)
                progress(1.0)
                return self._scenario(path, values)
            except (ScenarioError, ValidationError, ValueError, RecursionError):
                pass  # a document says what is wrong and where
        try:
            document = Document(path, progress)
        except ScenarioError as error:
            self.problems += error.problems
            return None
        if document.values is None:
            smallest = '{"releases": []}' if is_json(path) else "releases: []"
            self._complain(path, "file", f"is empty; the smallest scenario is `{smallest}`")
            return None
        scenario = None
        try:
            scenario = self._scenario(path, document.values)
        except ValidationError as error:
            document.add(error.messages_dict)
        self.problems += document.problems
        return None if document.problems else scenario

    def _scenario(self, path: Path, values: Any) -> Scenario | None:
        """The scenario of a file's values; None where the one that it extends has problems.

        Raises: ValidationError.
        """
        problems: dict[Any, Any] = {}
        base = None
        try:
            loaded: Any = self._schema.load(values)
        except ValidationError as error:
            problems, loaded = error.messages_dict, error.valid_data or {}
        if "extends" in loaded:
            try:
                base = self.base(path.stem, loaded["extends"])
            except ValidationError as error:
                problems |= error.messages_dict
        if problems:
            raise ValidationError(problems)
        if "extends" in loaded and base is None:
            return None
        return make_scenario(path.stem, loaded, base, KINDS)

    def _report(self, path: Path, part: float) -> None:
        """Report the part of one file that has been read, as a part of all files."""
        if self._progress is not None:
            self._parts[path] = part * self._sizes.get(path, 0)
            self._progress(sum(self._parts.values()) / (sum(self._sizes.values()) or 1))
