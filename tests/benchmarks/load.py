"""Parts that load servers over HTTP: mockbm and its peers in turn, with the same requests."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import workloads
from peers import Prepare, filtering, fixed, json_server, mockbm, nginx, refusing, wiremock
from processes import Load, free_port, installed, serving
from report import Goal, Report, figure, progress
from workloads import FIRST, SESSIONS, Request

RATE = 40_000
"""Requests prepared for each second of load; only a server that reads nothing of them is faster."""

WARMING, WARMING_JAVA = 1.0, 6.0
"""Seconds of load that are not counted; what runs on Java becomes faster meanwhile."""


class Row(NamedTuple):
    """A server under a workload. The rate of the part's first row has to be over `limit` times
    this one's."""

    name: str
    prepare: Prepare
    workload: Callable[[int, Sequence[str]], Request]
    limit: float = 0
    refused: float = 0
    """The share of 400s and 403s that the server must answer."""


NEW, MIXED = workloads.new, workloads.mixed
MOCKBM = mockbm("off")
WITHOUT_JOURNAL = wiremock(fixed, "--no-request-journal")
PARTS: dict[str, tuple[str, Sequence[Row]]] = {
    "new": (
        "requests that are all different, with journals",
        [
            Row("mockbm", MOCKBM, NEW),
            Row("nginx, one file", nginx, NEW, 0.12),
            Row("WireMock, one stub", wiremock(fixed), NEW, 1.4),
            Row("WireMock, one stub, no journal", WITHOUT_JOURNAL, NEW, 1.1),
            Row("WireMock, stubs that filter", wiremock(filtering), NEW, 5),
            Row("json-server's filter", json_server, workloads.exact, 10),
        ],
    ),
    "mixed": (
        "mixed workload",
        [
            Row("mockbm", MOCKBM, MIXED, refused=0.2),
            Row("nginx, one file", nginx, MIXED, 0.12),
            Row("WireMock, equivalent stubs", wiremock(refusing), MIXED, 3, refused=0.2),
        ],
    ),
    "repeated": (
        "one request over and over",
        [
            Row("mockbm", MOCKBM, workloads.repeated),
            Row("nginx, one file", nginx, workloads.repeated, 0.3),
        ],
    ),
    "log": (
        "a log line for each request, all different",
        [
            Row("mockbm with its log", mockbm("text"), NEW),
            Row("mockbm without", MOCKBM, NEW, 0.85),
        ],
    ),
}
"""What each part is about, and its rows; the first is compared with each of the others."""


class Measured(NamedTuple):
    """One server in one round; memory in megabytes after the first answer and after the load."""

    load: Load
    idle: float
    after: float


def measure(part: str, rounds: int, seconds: float) -> Report:
    """Measure the servers of a part in turn, several times; a server is started for each round."""
    title, rows = PARTS[part]
    found: dict[str, list[Measured]] = {row.name: [] for row in rows}
    for round_ in range(rounds if installed("wrk") else 0):
        for row in rows:
            progress(f"{part}, round {round_ + 1} of {rounds}: {row.name}")
            with tempfile.TemporaryDirectory() as directory:
                measured = _measure(row, Path(directory), seconds)
            if measured:
                found[row.name].append(measured)
    first, goals = rows[0].name, []
    for row in rows[1:]:
        # Both rates of a ratio are of the same round, so that a busy machine slows both.
        pairs = zip(found[first], found[row.name], strict=False)
        ratios = [one.load.rate / other.load.rate for one, other in pairs]
        ratio = median(ratios) if ratios else None
        goals.append(Goal(f"{part}: {first} / {row.name}", ">", row.limit, ratio))
    header = ("", "requests/s", "p99 ms", "MB idle", "MB after", "broken")
    cells = [(name, *_cells(items)) for name, items in found.items()]
    return Report(f"{part.upper()}: {title}", header, cells, goals)


def _cells(items: Sequence[Measured]) -> Sequence[str]:
    columns = [(*item.load[:2], item.idle, item.after, item.load.broken) for item in items]
    medians = [median(column) for column in zip(*columns, strict=True)]
    return [figure(value) for value in medians] or ["-"]


def _measure(row: Row, directory: Path, seconds: float) -> Measured | None:
    """Raises: RuntimeError for a server that answers something else than it should."""
    ours = row.name.startswith("mockbm")
    port = 0 if ours else free_port()
    command = row.prepare(directory, port)
    if command is None:
        return None
    first = row.workload(0, ()) if row.workload is workloads.exact else FIRST
    warming = WARMING_JAVA if command[0] == "java" else WARMING
    with serving(command, directory, port) as server:
        _require_two(server.first_answer(first), row.name)
        idle = server.resident()
        keys = [f"session-{number}" for number in range(SESSIONS)]
        if ours and row.workload is MIXED:
            keys = [server.open_session() for _ in keys]
        count, warm = round(RATE * seconds), round(RATE * warming)
        server.load((row.workload(n, keys) for n in range(count, count + warm)), warming, directory)
        load = server.load((row.workload(n, keys) for n in range(count)), seconds, directory)
        after = server.resident()
        _require_two(server.send(first)[1], row.name)
    if abs(load.refused - row.refused) > 0.02:
        raise RuntimeError(f"{row.name} refuses {load.refused:.0%}, not {row.refused:.0%}")
    return Measured(load, idle, after)


def _require_two(body: bytes, server: str) -> None:
    if [item["name"] for item in json.loads(body)] != ["Release 2", "Release 1"]:
        raise RuntimeError(f"{server} answers something else: {body[:200]!r}")
