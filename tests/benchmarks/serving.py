"""How mockbm and its peers serve: throughput, 99th percentile, first answer, memory; and how long
a start takes beside the imports that nothing can avoid."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import NamedTuple

from answers import API_KEY, TWO_ACTIVE
from processes import Request, ask, first_answer, free_port, load, resident, running
from servers import MOCKBM, PATH, POST, SERVERS, Server

from mockbm import create_app

WARMING = 1.0
WARMING_JAVA = 6.0
"""Seconds of load that are not counted; what runs on Java becomes faster meanwhile."""

BARE = "python -c pass"
IMPORTS = "import flask, marshmallow"
START = "mockbm serve"
FAST_START = "mockbm[fast] serve"


class Served(NamedTuple):
    """What one server did, in the median of all rounds."""

    rate: float
    p99: float
    first: float
    """Milliseconds from the start of the process to the first answer."""
    idle: float
    """Megabytes after the first answer."""
    after: float
    """Megabytes after the load."""
    failed: float


def two_releases() -> str:
    """The answer that every server gives, from mockbm itself."""
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "two-active.yaml").write_text(TWO_ACTIVE)
        headers = {"X-ApiKey": API_KEY}
        answer = create_app(directory).test_client().post(PATH, json={}, headers=headers)
        return answer.get_data(as_text=True)


def serve_all(rounds: int, seconds: float, tell: Callable[[str], None]) -> dict[str, Served]:
    """Measure every server that is installed, one after the other, in several rounds."""
    answer = two_releases()
    found: dict[str, list[Served]] = {}
    for round_ in range(rounds):
        for server in SERVERS:
            tell(f"round {round_ + 1} of {rounds}: {server.name}")
            served = _serve(server, answer, seconds, tell)
            if served is not None:
                found.setdefault(server.name, []).append(served)
    return {
        name: Served(*(median(column) for column in zip(*rows, strict=True)))
        for name, rows in found.items()
    }


def _serve(
    server: Server, answer: str, seconds: float, tell: Callable[[str], None]
) -> Served | None:
    with tempfile.TemporaryDirectory() as directory:
        place, port = Path(directory), free_port()
        started = server.prepare(place, port, answer)
        if started is None:
            tell(f"{server.name} is not installed\n")
            return None
        try:
            begun = time.perf_counter()
            with running(started.command, place, started.environ) as process:
                body = first_answer(process, port, started.request)
                first = (time.perf_counter() - begun) * 1000
                _require_two(body, server.name)
                idle = resident(process.pid)
                warming = WARMING_JAVA if server.kind == "java" else WARMING
                load(port, started.request, warming, place)
                under_load = load(port, started.request, seconds, place)
                after = resident(process.pid)
                _require_two(ask(port, started.request)[1], server.name)
        except (RuntimeError, OSError) as error:
            tell(f"{server.name} is left out: {error}\n")
            return None
    return Served(under_load.rate, under_load.p99, first, idle, after, under_load.failed)


def _require_two(body: bytes, name: str) -> None:
    """Raises: RuntimeError for an answer without the two releases, however it is laid out."""
    if not (b"ProfitCalculator" in body and b"TaxCalculator" in body):
        raise RuntimeError(f"{name} answers something else: {body[:200]!r}")


def start_all(rounds: int) -> dict[str, float]:
    """Milliseconds from the start of a process to its end, or to its first answer."""
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        for _ in range(rounds + 1):
            for name, code in ((BARE, "pass"), (IMPORTS, IMPORTS)):
                begun = time.perf_counter()
                with running([sys.executable, "-c", code], place) as process:
                    process.wait()
                    found.setdefault(name, []).append((time.perf_counter() - begun) * 1000)
            for name, server in ((START, "waitress"), (FAST_START, "uvicorn")):
                if find_spec(server):
                    taken = time_to_answer(["--server", server], POST, place)
                    found.setdefault(name, []).append(taken * 1000)
    # The first of each may have had to compile.
    return {name: median(times[1:]) for name, times in found.items()}


def time_to_answer(arguments: list[str], request: Request, place: Path) -> float:
    """Seconds from the start of `mockbm serve` to its first answer, which has releases."""
    port = free_port()
    begun = time.perf_counter()
    command = [MOCKBM, "serve", *arguments, "--port", str(port), "--log", "off"]
    with running(command, place) as process:
        body = first_answer(process, port, request)
        taken = time.perf_counter() - begun
    if not json.loads(body):
        raise RuntimeError(f"{command} answers without releases")
    return taken
