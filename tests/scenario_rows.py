"""What the tests of scenario files share: a file as a row of a table, and what comes of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from mockbm import ScenarioError
from mockbm.loading import load_scenarios

LEFT_OUT = "(left out)"
"""Stands for a property that the answer does not have."""


class Row(NamedTuple):
    """A file `t.yaml`, and all its problem lines, or else what its releases answer."""

    id: str
    content: str | bytes
    expected: list[str] | list[dict[str, Any]]


def refused(name: str, content: str | bytes, *lines: str) -> Row:
    """A file with exactly these problems, as `line:column: where: what`."""
    return Row(name, content, [f"t.yaml:{line}" for line in lines])


def served(name: str, content: str | bytes, *releases: dict[str, Any]) -> Row:
    """A file with this many releases; each answers the properties given, and maybe others."""
    return Row(name, content, list(releases))


def one(*lines: str) -> str:
    """A file with one release, the least that is required; `lines` go on in line 6."""
    required = ("- id: 1", "  number: 1", "  applicationId: 1", "  applicationName: A")
    return "\n".join(["releases:", *required, *(f"  {line}" for line in lines), ""])


def outcome(directory: Path, content: str | bytes) -> list[Any]:
    """The problem lines of a file, or its releases as they are answered."""
    raw = content if isinstance(content, bytes) else content.encode()
    (directory / "t.yaml").write_bytes(raw)
    try:
        releases = load_scenarios(directory)["t"].releases
    except ScenarioError as error:
        return problem_lines(error, directory)
    answer: list[Any] = json.loads(releases.body(range(len(releases))))
    return answer


def problem_lines(error: ScenarioError, directory: Path) -> list[str]:
    """The problems as they are printed, without the directory."""
    return [str(problem).removeprefix(f"{directory}{os.sep}") for problem in error.problems]


def answered(row: Row, directory: Path) -> list[Any]:
    """The problem lines of a row's file, or of its releases the properties that the row has."""
    found = outcome(directory, row.content)
    if len(found) != len(row.expected) or not all(isinstance(item, dict) for item in found):
        return found
    pairs = zip(found, row.expected, strict=True)
    return [{name: item.get(name, LEFT_OUT) for name in wanted} for item, wanted in pairs]


def write(directory: Path, files: dict[str, str]) -> None:
    """Write files, and the directories that they are in."""
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, encoding="utf-8")


LOAD = """
import sys
from pathlib import Path
from mockbm import ScenarioError
from mockbm.loading import load_scenarios
try:
    for scenario in load_scenarios(Path(sys.argv[1])).values():
        body = scenario.releases.body(range(len(scenario.releases)))
        print(ascii((scenario.name, scenario.description, scenario.api_keys, body)))
except ScenarioError as error:
    print(error)
"""


def load_in_a_process(directory: Path, hashes: str = "0") -> str:
    """What a fresh Python prints for a directory, with this seed of its hashes."""
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(directory)],
        env={**os.environ, "PYTHONHASHSEED": hashes},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
        timeout=30,
    )
    return done.stdout
