"""Measure mockbm beside its peers: `python tests/benchmarks [http] [start] [fixture] [scale]`.

Prints one table of figures and ratios, then which goals are met. `install_peers.py` installs the
peers; those that are missing are shown as such. Only 127.0.0.1 is loaded, and only processes that
were started here are ended. On a quiet machine, all parts take under ten minutes.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from itertools import zip_longest

import fixture_cost
import scale
import servers
import serving
from processes import installed

PARTS = ("start", "http", "fixture", "scale")

Row = Sequence[str]
"""A name and the cells behind it."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python tests/benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; or all")
    parser.add_argument("--rounds", type=int, default=3, help="the median of so many is taken")
    parser.add_argument("--seconds", type=float, default=4, help="of load in each round")
    options = parser.parse_args()
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"no part is called {', '.join(sorted(unknown))}; there are {PARTS}")
    parts = options.parts or PARTS
    rounds: int = options.rounds
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed has been compiled
    started = serving.start_all(2 * rounds + 1) if "start" in parts else {}
    served: dict[str, serving.Served] = {}
    if "http" in parts and not installed("wrk"):
        _tell("wrk is not installed; without it there is no part http\n")
    elif "http" in parts:
        served = serving.serve_all(rounds, options.seconds, _tell)
    cost = fixture_cost.cost_all(100 * rounds) if "fixture" in parts else {}
    scaled = scale.scale_all(rounds, _tell) if "scale" in parts else {}
    _tell("")
    rows = [
        [_circumstances()],
        *_start_rows(started),
        *_http_rows(served, started),
        *_cost_rows(cost),
        *_scale_rows(scaled),
        *_goal_rows(started, served, cost, scaled),
    ]
    _print(rows)


def _tell(what: str) -> None:
    """Show how far it has come, on one line of a terminal."""
    print(f"\r\x1b[K{what}", end="", file=sys.stderr, flush=True)


def _circumstances() -> str:
    """What the figures depend on, beside what is measured."""
    today = datetime.now(timezone.utc).date()
    busy = os.getloadavg()[0]  # of the last minute, so mostly our own
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}"
    return f"{today}, {machine}, Python {platform.python_version()}, load {busy:.1f} at the end"


def _print(rows: Iterable[Row]) -> None:
    """One table in sections: a row of one cell begins a section, the others stand in columns."""
    section: list[Row] = []
    for row in [*rows, [""]]:
        if len(row) > 1:
            section.append(row)
            continue
        widths = [
            max(len(cell) for cell in column) for column in zip_longest(*section, fillvalue="")
        ]
        for name, *cells in section:
            shown = [f"{cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=False)]
            print("  ".join([f"{name:<{widths[0]}}", *shown]).rstrip())
        section = []
        print(f"\n{row[0]}".rstrip())


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _cell(value: float, reference: float | None) -> str:
    """A figure, and how many times the reference it is."""
    return f"{_figure(value)} ({value / reference:.2f})" if reference else _figure(value)


def _start_rows(started: Mapping[str, float]) -> list[Row]:
    if not started:
        return []
    rows: list[Row] = [["START of a process (ratio to the imports alone)"], ["", "ms"]]
    reference = started[serving.IMPORTS]
    return rows + [[name, _cell(value, reference)] for name, value in started.items()]


def _http_rows(served: Mapping[str, serving.Served], started: Mapping[str, float]) -> list[Row]:
    if not served:
        return []
    nginx, wiremock = served.get(servers.NGINX), served.get(servers.WIREMOCK)
    default = served.get(servers.DEFAULT)
    references = (
        nginx and nginx.rate,
        wiremock and wiremock.p99,
        started.get(serving.IMPORTS),
        default and default.idle,
        default and default.after,
    )
    title = (
        "HTTP, POST over 8 connections (ratios: requests to nginx, 99th percentile to WireMock, "
        "first answer to the imports alone, memory to mockbm)"
    )
    header = ["", "requests/s", "p99 ms", "first answer ms", "MB idle", "MB after", "failed"]
    rows: list[Row] = [[title], header]
    for server in servers.SERVERS:
        found = served.get(server.name)
        if found is None:
            rows.append([server.name, "not there"])
            continue
        cells = [_cell(value, ref) for value, ref in zip(found, references, strict=False)]
        rows.append([server.name, *cells, f"{found.failed:.0f}"])
    return rows


def _cost_rows(cost: Mapping[str, float]) -> list[Row]:
    if not cost:
        return []
    reference = cost.get(fixture_cost.PYTEST_HTTPSERVER)
    title = "FIXTURE, one test with one request above an empty test (ratio to pytest-httpserver)"
    rows: list[Row] = [[title], ["", "ms"]]
    for name, value in cost.items():
        rows.append([_words(name), _cell(value, reference)])
    peers = (fixture_cost.PYTEST_HTTPSERVER, fixture_cost.RESPONSES)
    return rows + [[_words(name), "not installed"] for name in peers if name not in cost]


def _words(name: str) -> str:
    return name.removeprefix("test_").replace("_", " ")


def _scale_rows(scaled: Mapping[str, Mapping[str, float]]) -> list[Row]:
    if not scaled:
        return []
    title = (
        "SCALE (ratios: seconds to the bare parser with its collector paused, memory to the "
        "rendered bytes, filter to the smallest scenario)"
    )
    header = ["", "load s", "serve, first answer s", "MB", "filter of 10 µs"]
    rows: list[Row] = [[title], header]
    first = next(iter(scaled.values()))
    for name, row in scaled.items():
        parser = row["parser"] if row["parser"] > 0.01 else None  # else a start is all there is
        rows.append(
            [
                name,
                _cell(row["seconds"], parser),
                _cell(row["start"], parser),
                _cell(row["memory"], row["rendered"]),
                _cell(row["filter"], first["filter"]),
            ]
        )
    return rows


def _goal_rows(
    started: Mapping[str, float],
    served: Mapping[str, serving.Served],
    cost: Mapping[str, float],
    scaled: Mapping[str, Mapping[str, float]],
) -> list[Row]:
    """Each goal: what it says, the ratio, and whether it is met. Left out is what lacks figures."""
    goals = [
        *_start_goals(started),
        *_http_goals(served),
        *_cost_goals(cost),
        *_scale_goals(scaled),
    ]
    if not goals:
        return []
    rows: list[Row] = [["GOALS"], ["", "ratio", "wanted", ""]]
    for what, ratio, sign, limit in goals:
        met = ratio < limit if sign == "<" else ratio > limit
        rows.append([what, f"{ratio:.2f}", f"{sign} {limit:g}", "met" if met else "NOT MET"])
    return rows


Goal = tuple[str, float, str, float]
"""What it says, the ratio, `<` or `>`, and the limit."""


def _start_goals(started: Mapping[str, float]) -> list[Goal]:
    if not started:
        return []
    ratio = started[serving.START] / started[serving.IMPORTS]
    return [("start to first answer / importing Flask and Marshmallow", ratio, "<", 1.5)]


def _http_goals(served: Mapping[str, serving.Served]) -> list[Goal]:
    goals: list[Goal] = []
    default = served.get(servers.DEFAULT)
    ours = [served[name] for name in (servers.DEFAULT, servers.FAST) if name in served]
    if default is None:
        return []
    fastest, name = ours[-1], servers.FAST if servers.FAST in served else servers.DEFAULT
    without, with_ = served.get(servers.WIREMOCK_WITHOUT), served.get(servers.WIREMOCK)
    if without:
        what = f"requests/s, {name} / WireMock without its journal"
        goals.append((what, fastest.rate / without.rate, ">", 1))
    if servers.NGINX in served:
        ratio = fastest.rate / served[servers.NGINX].rate
        goals.append((f"requests/s, {name} / nginx", ratio, ">", 0.3))
    if with_:
        goals.append((f"p99, {name} / WireMock", fastest.p99 / with_.p99, "<", 0.1))
    for peer in ("Mockoon", "Prism", servers.PYTEST_HTTPSERVER):
        if peer in served:
            ratio = default.rate / served[peer].rate
            goals.append((f"requests/s, {servers.DEFAULT} / {peer}", ratio, ">", 1))
    heavy = [item.name for item in servers.SERVERS if item.kind in ("java", "node")]
    peers = [served[item] for item in heavy if item in served]
    if peers:
        most = max(item.after for item in ours)
        what = "memory after load, any mockbm / lightest Node or Java peer"
        goals.append((what, most / min(item.after for item in peers), "<", 1))
        most = max(item.idle for item in ours)
        what = "memory idle, any mockbm / lightest Node or Java peer"
        goals.append((what, most / min(item.idle for item in peers), "<", 1))
    return goals


def _cost_goals(cost: Mapping[str, float]) -> list[Goal]:
    goals: list[Goal] = []
    if fixture_cost.PYTEST_HTTPSERVER in cost:
        ratio = cost[fixture_cost.SOCKET] / cost[fixture_cost.PYTEST_HTTPSERVER]
        goals.append(("a test over a socket / pytest-httpserver", ratio, "<", 1))
    if fixture_cost.RESPONSES in cost:
        for name in fixture_cost.IN_PROCESS:
            ratio = cost[name] / cost[fixture_cost.RESPONSES]
            goals.append((f"a test in process, {_words(name)} / responses", ratio, "<", 1))
    return goals


def _scale_goals(scaled: Mapping[str, Mapping[str, float]]) -> list[Goal]:
    goals: list[Goal] = []
    for name, row in scaled.items():
        if name.startswith("10,000") and name.endswith("yaml"):
            ratio = row["seconds"] / row["parser"]
            goals.append((f"{name}: loading and first answer / PyYAML paused", ratio, "<", 2))
        if name.startswith("100,000"):
            goals.append((f"{name}: seconds to load", row["seconds"], "<", 5))
        if not name.startswith("10 "):
            ratio = row["memory"] / row["rendered"]
            goals.append((f"{name}: memory / rendered bytes", ratio, "<", 4))
            first = next(iter(scaled.values()))
            ratio = row["filter"] / first["filter"]
            goals.append((f"{name}: a filter that selects 10 / of 10", ratio, "<", 1.2))
    return goals


if __name__ == "__main__":
    main()
