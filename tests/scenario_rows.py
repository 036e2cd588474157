"""What the tests of scenario files share: a file as a row of a table, and what comes of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mockbm import ScenarioError
from mockbm.core.scenario import Scenario
from mockbm.core.session import Session
from mockbm.core.times import Clock, moment
from mockbm.files.directory import load_scenarios

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
    """A file with this many releases; each answers these properties, and maybe others."""
    return Row(name, content, list(releases))


def one(*lines: str) -> str:
    """A file with one release, the least that is required; `lines` go on in line 6."""
    required = ("- id: 1", "  number: 1", "  applicationId: 1", "  applicationName: A")
    return "\n".join(["releases:", *required, *(f"  {line}" for line in lines), ""])


def body(scenario: Scenario, calls: int = 0) -> bytes:
    """The answer with all releases of a scenario, after so many calls, by a stopped clock."""
    clock = Clock(moment("2024-03-04T12:00:00.0000000Z"))
    session = Session("t", "", scenario.name, scenario.name, clock, clock.now())
    session.load(scenario)
    session.counts.calls = calls
    session.advance()
    return session.table("releases").select({}).body


def outcome(directory: Path, content: str | bytes) -> list[Any]:
    """The problem lines of a file, or its releases as they are answered."""
    raw = content if isinstance(content, bytes) else content.encode()
    (directory / "t.yaml").write_bytes(raw)
    try:
        answer: list[Any] = json.loads(body(load_scenarios(directory)["t"]))
    except ScenarioError as error:
        return problem_lines(error, directory)
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


def load_in_processes(directory: Path, hashes: Sequence[str]) -> list[str]:
    """What a fresh Python prints for a directory, once with each seed of its hashes."""
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, str(directory)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in hashes
    ]
    try:
        return [process.communicate(timeout=30)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def print_scenarios(directory: Path) -> None:
    """Print all that the scenarios of a directory say, or their problems."""
    try:
        for scenario in load_scenarios(directory).values():
            settings = (scenario.name, scenario.description, scenario.api_keys)
            print(ascii((*settings, scenario.fingerprint, body(scenario))))
    except ScenarioError as error:
        print(error)


if __name__ == "__main__":
    print_scenarios(Path(sys.argv[1]))
