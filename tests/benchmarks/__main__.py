"""Measure mockbm and its peers side by side: `python tests/benchmarks [PART ...]`.

Prints which goals are met, then the figures of each part. README.md says what the parts are.
"""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Callable
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version

import fixture
import instructions
import load
import size
import starts
from report import Report, print_reports, progress


def main() -> None:
    parser = argparse.ArgumentParser(prog="python tests/benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help="default: all of them")
    parser.add_argument("--rounds", type=int, default=3, help="the median of so many is taken")
    parser.add_argument("--seconds", type=float, default=4, help="of load in each round")
    parser.add_argument("--requests", type=int, default=100, help="of each series of `core`")
    options = parser.parse_args()
    rounds: int = options.rounds
    parts: dict[str, Callable[[], Report]] = {
        "size": size.measure,
        "core": lambda: instructions.measure(options.requests),
        "start": lambda: starts.measure_start(2 * rounds + 1),
        "fixture": lambda: fixture.measure(100 * rounds),
        "loading": lambda: starts.measure_loading(rounds),
    }
    for part in load.PARTS:
        parts[part] = lambda part=part: load.measure(part, rounds, options.seconds)  # type: ignore[misc]
    unknown = set(options.parts) - set(parts)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; the parts are {', '.join(parts)}")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # a package that is installed is compiled
    before = os.getloadavg()[0]
    reports = [parts[part]() for part in options.parts or parts]
    progress("")
    print(_circumstances(before))
    print_reports(reports)


def _circumstances(load: float) -> str:
    """What the figures depend on, apart from what is measured."""
    try:
        loop = f"uvloop {version('uvloop')}"
    except PackageNotFoundError:
        loop = "without uvloop"
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}"
    today = datetime.now(timezone.utc).date()
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{today}, {machine}, {python}, {loop}; load {load:.1f} at the start"


if __name__ == "__main__":
    main()
