"""Scenario files: a directory of YAML becomes frozen scenarios, or a list of every problem.

Text, then values with positions, then the schema, then a compiled `Scenario`. `mockbm check`
stops before the last step, so checking and serving cannot disagree.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from marshmallow import ValidationError, fields

from .document import Document, Problem, ScenarioError, unplaced
from .releases import Choice, NamedSchema, Releases, ReleaseSchema, Text, quoted

DEFAULT_API_KEY = "abc12345"
"""The key of the vendor's own example [S]."""

INLINE = "inline"
"""The name of every scenario that came without a file."""

ORDERS = ("newest-first", "as-written")

UNTYPED = frozenset({"deployables"})
"""Properties without a schema of their own: plain values inside mean what they mean in JSON."""


@dataclass(frozen=True)
class Scenario:
    """A named, complete state of the mocked instance, compiled; its name is the file's stem."""

    name: str
    description: str
    api_keys: tuple[str, ...]
    order: str
    releases: Releases


class ScenarioSchema(NamedSchema):
    """The keys of a scenario file."""

    error_messages = {"type": "expected the keys of a scenario, such as `releases:`"}  # noqa: RUF012

    description = Text(load_default="")
    apiKeys = fields.List(
        Text(required=True),
        load_default=[DEFAULT_API_KEY],
        error_messages={"invalid": f"expected a list, such as [{DEFAULT_API_KEY}]"},
    )
    order = Choice(*ORDERS, load_default=ORDERS[0])
    releases = fields.Nested(
        ReleaseSchema(many=True),
        required=True,
        error_messages={"type": "expected a list of releases, or [] for none"},
    )


def shipped_scenarios() -> Path:
    """The directory of the scenarios that come with mockbm, installed or in a checkout."""
    package = Path(__file__).resolve().parent
    inside = package / "scenarios"
    return inside if inside.is_dir() else package.parent / "scenarios"


def check_scenarios(directory: Path) -> dict[str, dict[str, Any]]:
    """What the scenario files (`*.yaml`, `*.yml`) of `directory` say, by scenario name.

    Returns: for each name, in alphabetical order, the values of `ScenarioSchema`.
    Raises: ScenarioError with every problem of every file.
    """
    loaded: dict[str, dict[str, Any]] = {}
    problems: list[Problem] = []
    for path in _scenario_files(directory):
        try:
            if path.stem in loaded:
                raise _problem(path, "name", f"another file here names the scenario {path.stem}")
            loaded[path.stem] = _load_file(path)
        except ScenarioError as error:  # noqa: PERF203 (the point is to go on)
            problems += error.problems
    if problems:
        raise ScenarioError(problems)
    return loaded


def load_scenarios(directory: Path) -> dict[str, Scenario]:
    """The scenarios of `directory`, by name in alphabetical order, ready to be served.

    Raises: ScenarioError with every problem of every file.
    """
    return {name: _compile(name, values) for name, values in check_scenarios(directory).items()}


def inline_scenario(values: Any) -> Scenario:
    """A scenario without a file, from plain values; its name is `INLINE`.

    Raises: ScenarioError, whose problems have names but no positions.
    """
    try:
        return _compile(INLINE, ScenarioSchema().load(values))
    except ValidationError as error:
        raise unplaced(error.messages_dict) from None


def _compile(name: str, values: Mapping[str, Any]) -> Scenario:
    return Scenario(
        name=name,
        description=values["description"].strip(),
        api_keys=tuple(values["apiKeys"]),
        order=values["order"],
        releases=Releases(values["releases"], as_written=values["order"] == "as-written"),
    )


def _problem(path: Path, where: str, what: str) -> ScenarioError:
    return ScenarioError([Problem(str(path), 1, 1, where, what)])


def _scenario_files(directory: Path) -> list[Path]:
    try:
        files = sorted(
            path
            for path in directory.iterdir()
            if path.suffix.lower() in (".yaml", ".yml") and not path.name.startswith(".")
        )
    except OSError as error:
        what = f"{error.strerror}; give a directory of scenario files"
        raise _problem(directory, "directory", what) from None
    if not files:
        raise _problem(directory, "directory", "holds no scenario files (*.yaml)")
    return files


def _load_file(path: Path) -> dict[str, Any]:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", path.stem):
        what = f"{quoted(path.stem)} cannot name a scenario; use letters, digits, '.', '_' and '-'"
        raise _problem(path, "name", what)
    document = Document(path, UNTYPED)
    if document.values is None:
        raise _problem(path, "file", "is empty; the smallest scenario is `releases: []`")
    loaded: dict[str, Any] = {}
    try:
        loaded = ScenarioSchema().load(document.values)
    except ValidationError as error:
        document.add(error.messages_dict)
    if document.problems:
        raise ScenarioError(document.problems)
    return loaded
