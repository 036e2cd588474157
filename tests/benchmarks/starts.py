"""The parts `start` and `loading`: from the start of a process to its first answer."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median

from peers import SERVE
from processes import serving
from report import Goal, Report, figure, progress
from workloads import Release, Request, get, name, releases, write_json, write_yaml

BARE, IMPORTS, YAML = "pass", "import flask, marshmallow", "PyYAML's C loader, collector paused"

# Ends without freeing what it has loaded, because mockbm does not do so either.
_PARSE = """
import gc, os, sys, yaml
gc.disable()
yaml.load(open(sys.argv[1], "rb"), yaml.CSafeLoader)
os._exit(0)
"""


def measure_start(rounds: int) -> Report:
    """`mockbm serve` with the scenarios that it brings along, and what nothing can avoid."""
    times: dict[str, list[float]] = {}
    shown = Request("POST", body='{"status": "active"}')
    for round_ in range(rounds + 1):  # in the first one, bytecode may have to be compiled
        progress(f"start, round {round_} of {rounds}")
        taken = {
            "python -c pass": _run("-c", BARE),
            IMPORTS: _run("-c", IMPORTS),
            "mockbm serve": _serve([], shown)[0],
        }
        for what, seconds in taken.items():
            times.setdefault(what, []).append(seconds)
    medians = {what: median(items[1:]) for what, items in times.items()}
    ratio = medians["mockbm serve"] / medians[IMPORTS]
    rows = [(what, figure(seconds * 1000)) for what, seconds in medians.items()]
    goal = Goal(f"mockbm serve to first answer / {IMPORTS}", "<", 1, ratio)
    return Report("START of a process, to its end or first answer", ("", "ms"), rows, [goal])


def measure_loading(rounds: int) -> Report:
    """`mockbm serve` with one large scenario, from its start to the first answer."""
    sizes: list[tuple[str, int, Callable[[Path, Iterable[Release]], None], int]] = [
        ("10,000 releases, .yaml", 10_000, write_yaml, rounds),
        ("100,000 releases, .json", 100_000, write_json, 1),
    ]
    found: dict[str, tuple[float, float]] = {}
    parsed = []
    with tempfile.TemporaryDirectory() as directory:
        for what, count, write, times in sizes:
            progress(f"loading {what}")
            file = Path(directory, str(count), f"large{what[-5:]}")
            file.parent.mkdir()
            write(file, releases(count, 10))
            if write is write_yaml:
                parsed = [_run("-c", _PARSE, str(file)) for _ in range(times)]
            request = get({"applicationName": name(0)})
            loaded = [_serve([str(file.parent)], request) for _ in range(times)]
            found[what] = (median(one for one, _ in loaded), median(one for _, one in loaded))
    (yaml_seconds, _), (json_seconds, json_memory) = found.values()
    goals = [
        Goal(f"{sizes[0][0]}: to first answer / {YAML}", "<", 1.2, yaml_seconds / median(parsed)),
        Goal(f"{sizes[1][0]}: to first answer", "<", 8, json_seconds, " s"),
        Goal(f"{sizes[1][0]}: most memory", "<", 500, json_memory, " MB"),
    ]
    rows = [(what, figure(seconds), figure(mb)) for what, (seconds, mb) in found.items()]
    rows.append((YAML, figure(median(parsed)), ""))
    header = ("", "s", "MB at most")
    return Report("LOADING, from the start of the process", header, rows, goals)


def _run(*arguments: str) -> float:
    """Seconds that a Python process takes."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True)
    return time.perf_counter() - begun


def _serve(arguments: list[str], request: Request) -> tuple[float, float]:
    """Seconds to the first answer of `mockbm serve`, and the most megabytes it has had by then."""
    with tempfile.TemporaryDirectory() as directory:
        begun = time.perf_counter()
        with serving([*SERVE, "off", *arguments], Path(directory)) as server:
            body = server.first_answer(request)
            taken = time.perf_counter() - begun
            if not json.loads(body):
                raise RuntimeError(f"mockbm serve {arguments} answers without releases")
            return taken, server.peak()
