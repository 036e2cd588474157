"""How mockbm grows with its scenarios: time to load, memory, and the time of one filter.

Each figure is taken in a process of its own, which runs this file.
"""

from __future__ import annotations

import gc
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from answers import API_KEY, SELECTED, releases, write_json, write_yaml
from servers import PATH, POST
from serving import time_to_answer

SIZES = (10, 10_000, 100_000)
ASKED = 2_000
"""Requests that one time of a filter is the median of."""


def scale_all(rounds: int, tell: Callable[[str], None]) -> dict[str, dict[str, float]]:
    """For each size and format, what `_loaded` tells, the bare parser's seconds and a start's."""
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as directory:
        for size in SIZES:
            for suffix, write in (("yaml", write_yaml), ("json", write_json)):
                if (size, suffix) == (SIZES[-1], "yaml"):
                    continue  # half a minute and two gigabytes, whoever reads it
                tell(f"{size:,} releases as {suffix}")
                place = Path(directory) / f"{suffix}-{size}"
                place.mkdir()
                file = place / f"large.{suffix}"
                write(file, releases(size))
                row = _measured(file, rounds if size < SIZES[-1] else 1)
                if row is not None:
                    found[f"{size:,} releases, .{suffix}"] = row
    return found


def _measured(file: Path, rounds: int) -> dict[str, float] | None:
    rows = []
    for _ in range(rounds):
        row = _child("loaded", file)
        if row is None:
            return None
        row["parser"] = (_child("parsed", file) or {})["seconds"]
        row["start"] = time_to_answer([str(file.parent)], POST, file.parent)
        rows.append(row)
    return {name: median(row[name] for row in rows) for name in rows[0]}


def _child(what: str, file: Path) -> dict[str, float] | None:
    done = subprocess.run(
        [sys.executable, __file__, what, str(file)], capture_output=True, text=True
    )
    if done.returncode:
        print(f"\n{file.name} is not read: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return None
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _parsed(file: Path) -> dict[str, float]:
    """Seconds that the bare parser needs: PyYAML's in C, with the collector paused, or json."""
    import yaml

    text = file.read_text()
    gc.disable()
    begun = time.perf_counter()
    if file.suffix == ".json":
        json.loads(text)
    else:
        yaml.load(text, yaml.CSafeLoader)
    return {"seconds": time.perf_counter() - begun}


def _loaded(file: Path) -> dict[str, float]:
    """Seconds and memory of loading a scenario up to the first answer; then of one filter."""
    from mockbm import create_app

    gc.collect()
    before = _resident()
    begun = time.perf_counter()
    app = create_app(file.parent, remember=False)
    few = _ask(app.wsgi_app, "applicationName=Application%201")
    seconds = time.perf_counter() - begun
    gc.collect()
    after = _resident()
    if len(json.loads(few)) != SELECTED:
        raise RuntimeError(f"{SELECTED} releases were to come: {few[:200]!r}")
    rendered = len(_ask(app.wsgi_app, "")) / 1e6
    times = []
    for _ in range(ASKED):
        begun = time.perf_counter()
        _ask(app.wsgi_app, "applicationName=Application%201")
        times.append(time.perf_counter() - begun)
    memory = after - before
    return {
        "seconds": seconds,
        "memory": memory,
        "rendered": rendered,
        "filter": median(times) * 1e6,
    }


def _ask(application: Callable[..., Any], query: str) -> bytes:
    """One request without a client's own work."""
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": PATH,
        "QUERY_STRING": query,
        "HTTP_X_APIKEY": API_KEY,
        "SERVER_NAME": "mock",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
    }
    return b"".join(application(environ, lambda *_: lambda _: None))


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    print(json.dumps({"parsed": _parsed, "loaded": _loaded}[sys.argv[1]](Path(sys.argv[2]))))
