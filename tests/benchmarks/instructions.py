"""The part `core`: the instructions of one request, counted by valgrind.

Run under valgrind, this file is the process that is counted. Before and after each series of
requests it calls `getpgid`, at which callgrind writes down what it has counted since the last time.
"""

from __future__ import annotations

import gc
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import workloads
from report import Goal, Report, figure, progress
from workloads import APPLICATIONS, QUERIED, Request, get, name, post, releases, write_json

FLASK = "a bare Flask view"
CORE = "the core, a new request"
BLUEPRINT = "through the blueprint, a new request"
UNKNOWN = "the core, a 400 for an unknown parameter"
FOUND = "the core, a name that exists"
UNLIKE = "the core, a name like none"
MISSPELT = "the core, a misspelt name"
READ = "10,000 releases, a new request"
BUILD = "10,000 releases, Create Build"
RELEASE = "10,000 releases, Create Release"
SERIES = (FLASK, CORE, BLUEPRINT, UNKNOWN, FOUND, UNLIKE, MISSPELT, READ, BUILD, RELEASE)
WARM = 30
"""Requests before each series: the interpreter adapts to what is called often."""


def measure(requests: int) -> Report:
    """Count the instructions of so many requests of each series."""
    heading = f"CORE: instructions of one request, mean of {requests}"
    counts: dict[str, float] = {}
    progress("core, under valgrind")
    with tempfile.TemporaryDirectory() as directory:
        command = ["valgrind", "--tool=callgrind", "--dump-before=getpgid"]
        command += [f"--callgrind-out-file={directory}/out", sys.executable, __file__]
        environ = {**os.environ, "PYTHONHASHSEED": "0"}
        try:
            subprocess.run(
                [*command, directory, str(requests)], env=environ, check=True, capture_output=True
            )
        except FileNotFoundError:
            pass
        except subprocess.CalledProcessError as error:
            raise RuntimeError(error.stderr.decode()) from error
        else:
            # The first dump is what came before the first call; then every second is a series.
            for number, title in enumerate(SERIES):
                dump = Path(directory, f"out.{2 * number + 2}").read_text()
                (total,) = re.findall(r"^totals: (\d+)", dump, re.MULTILINE)
                counts[title] = int(total) / requests

    def ratio(title: str, other: str) -> float | None:
        return counts[title] / counts[other] if counts else None

    among = f" among {APPLICATIONS:,} / one that exists"
    goals = [
        Goal("instructions: core, new request / bare Flask view", "<", 0.65, ratio(CORE, FLASK)),
        Goal("instructions: through the blueprint / the same", "<", 2, ratio(BLUEPRINT, FLASK)),
        Goal("instructions: a 400 for an unknown name / a 200", "<", 3, ratio(UNKNOWN, CORE)),
        Goal(f"instructions: {UNLIKE}{among}", "<", 2, ratio(UNLIKE, FOUND)),
        Goal(f"instructions: {MISSPELT}{among}", "<", 2, ratio(MISSPELT, FOUND)),
        *(
            Goal(f"instructions: {write} / a new request", "<", 3, ratio(write, READ))
            for write in (BUILD, RELEASE)
        ),
    ]
    rows = [(title, figure(count)) for title, count in counts.items()]
    return Report(heading, ("", "instructions"), rows, goals)


def _run(directory: Path, count: int) -> None:
    """Send each series of requests, between two calls of `getpgid`."""
    import flask

    import mockbm

    write_json(directory / "large.json", releases(2 * APPLICATIONS))
    write_json(directory / "many.json", releases(10_000, 10))
    app = mockbm.create_app(directory, "large")
    prepare, core = _core(app)
    _, core_of_many = _core(mockbm.create_app(directory, "many"))
    bare = flask.Flask("bare")
    body = core(prepare(get({"applicationId": 1})))

    @bare.route(workloads.PATH, methods=["GET", "POST"])
    def view() -> flask.Response:
        return flask.Response(body, content_type="application/json; charset=utf-8")

    def requests(parameter: str, values: Iterable[str]) -> list[Any]:
        return [
            prepare((post if number % 2 else get)({parameter: value}))
            for number, value in enumerate(values)
        ]

    numbers = range(count + WARM)
    names = [name(QUERIED + number) for number in numbers]
    new = [workloads.new(number) for number in range(2 * len(numbers))]
    first, second = new[: len(numbers)], new[len(numbers) :]
    series: dict[str, tuple[Callable[[Any], bytes], list[Any]]] = {
        FLASK: (_wsgi(bare), [_environ(request) for request in first]),
        CORE: (core, [prepare(request) for request in first]),
        BLUEPRINT: (_wsgi(app), [_environ(request) for request in second]),
        UNKNOWN: (core, requests("aplicationName", names)),
        FOUND: (core, requests("applicationName", names)),
        UNLIKE: (core, requests("applicationName", (f"Nowhere {number}" for number in numbers))),
        MISSPELT: (core, requests("applicationName", (text[:3] + text[4:] for text in names))),
        READ: (core_of_many, [prepare(request) for request in first]),
        BUILD: (core_of_many, [prepare(_create_build(number)) for number in numbers]),
        RELEASE: (core_of_many, [prepare(_create_release(number)) for number in numbers]),
    }
    for title in SERIES:
        call, prepared = series[title]
        answers = [call(request) for request in prepared[:WARM]]
        gc.collect()
        gc.freeze()  # so that no collection of the whole heap falls into one of the series
        os.getpgid(0)
        for request in prepared[WARM:]:
            call(request)
        os.getpgid(0)
        _require(title, answers)


def _create_build(number: int) -> Request:
    """A call for one of the releases that are active, each of which gets one build."""
    return Request("POST", f"releaseId={10 * number + 10}", path=f"{workloads.PATH}/builds/create")


def _create_release(number: int) -> Request:
    query = f"applicationId={number}&releaseNumber=9.{number}&pipelineName=Release"
    return Request("POST", query, path=f"{workloads.PATH}/create")


def _require(title: str, answers: Iterable[bytes]) -> None:
    """Raises: RuntimeError unless these are the answers that the series is about."""
    start = {
        UNKNOWN: b"aplicationName: ",
        UNLIKE: b"[]",
        MISSPELT: b"[]",
        BUILD: b"{",
        RELEASE: b"{",
    }.get(title, b"[{")
    for answer in answers:
        if not answer.startswith(start):
            raise RuntimeError(f"{title}: {answer[:300]!r}")


def _core(app: Any) -> tuple[Callable[[Request], Any], Callable[[Any], bytes]]:
    """What makes a request of the core, and what answers it."""
    from mockbm.core.answer import answer
    from mockbm.core.request import Request as CoreRequest

    mock = app.extensions["mockbm"]

    def prepare(request: Request) -> Any:
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = request.body.encode()
        return CoreRequest(request.method, request.path, request.query, headers, body)

    return prepare, lambda request: bytes(answer(mock, request).body)


def _environ(request: Request) -> dict[str, Any]:
    """A request as a WSGI server hands it on."""
    from werkzeug.test import EnvironBuilder

    method, headers, body = request.method, request.headers.items(), request.body.encode()
    builder = EnvironBuilder(request.path, method=method, headers=headers, data=body)
    return builder.get_environ() | {"QUERY_STRING": request.query}


def _wsgi(app: Any) -> Callable[[dict[str, Any]], bytes]:
    def start_response(*_: Any) -> Callable[[bytes], object]:
        return lambda _: None

    return lambda environ: b"".join(app.wsgi_app(environ, start_response))


if __name__ == "__main__":
    _run(Path(sys.argv[1]), int(sys.argv[2]))
