"""The short form of the benchmarks: work is counted, in calls or instructions, and has its bounds.

`tests/benchmarks` measures the same in seconds, beside other mock servers.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest
from flask import Flask, request_finished
from test_memory import work

from mockbm import create_app


@pytest.fixture
def app() -> Iterator[Flask]:
    """An application that has answered before, so that nothing is made for the first time."""
    app = create_app(remember=False)
    ask(app, "releaseNumber=1")
    ask(app, "status=active")
    session = app.extensions["mockbm"].open_session("empty")
    session.use("empty")
    session.end()
    with request_finished.muted():  # what the tests themselves do to each answer does not count
        yield app


def ask(app: Flask, query: str, key: str = "abc12345") -> bytes:
    """One request without a client's own work."""
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/api/releases",
        "QUERY_STRING": query,
        "HTTP_X_APIKEY": key,
        "SERVER_NAME": "mock",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
    }
    return b"".join(app.wsgi_app(environ, lambda *_: lambda _: None))


def instructions(call: Callable[[], object]) -> int:
    """How many instructions of Python a call takes, those of a loop without calls too."""
    count = 0

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal count
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


def test_an_answer_is_bounded_work(app: Flask) -> None:
    """An answer that is made costs the web framework, the schema and little of our own."""
    assert work(lambda: ask(app, "status=active")) < 1_100


def test_a_test_of_its_own_is_bounded_work(app: Flask) -> None:
    """What the fixture does around a test, a session's beginning and end, is next to nothing."""
    mock = app.extensions["mockbm"]
    assert work(lambda: mock.open_session("empty").end()) < 100
    session = mock.open_session()
    assert work(lambda: session.use("empty")) < 50


def test_work_does_not_grow_with_the_scenario(app: Flask) -> None:
    """A filter that selects one release costs the same among 100 and among 10,000."""
    counts = []
    for size in (100, 10_000):
        app.extensions["mockbm"].default.use_values({"generate": {"releases": size}})
        ask(app, "releaseId=1")
        counts.append(instructions(lambda: ask(app, "releaseId=7")))
        assert ask(app, "releaseId=7").count(b'"id":7,') == 1
    assert counts[0] * 1.1 > counts[1] > 1_000
