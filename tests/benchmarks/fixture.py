"""The part `fixture`: what one test with one request costs above an empty test.

This file is also the tests, and the pytest plugin that times them: each is repeated, all of them
in turn, so that a busy moment of the machine meets them all.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import requests
from report import Goal, Report, figure, progress
from workloads import PATH, answers, releases, write_yaml

if TYPE_CHECKING:
    from pytest_httpserver import HTTPServer

    from mockbm import MockbmFixture

WARM = 10
"""Repetitions that are not counted; the first ones start servers and import."""

QUERY = {"status": "active"}
TWO = answers(2)

_times = pytest.StashKey[dict[str, list[float]]]()


def measure(repetitions: int) -> Report:
    """Milliseconds of one test of each kind, above an empty one."""
    progress("fixture")
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        (place / "scenarios").mkdir()
        write_yaml(place / "scenarios" / "two.yaml", releases(2))
        (place / "pytest.ini").write_text("[pytest]\nmockbm_scenarios = scenarios\n")
        command = [sys.executable, "-m", "pytest", "-q", "--noconftest", "-c", "pytest.ini"]
        command += ["--assert=plain", "-p", "fixture", "-p", "no:cacheprovider"]
        command += ["-p", "no:randomly", "-p", "no:xdist"]
        command += ["--repetitions", str(repetitions + WARM), "--times", "times.json", __file__]
        here = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
        environ = {**os.environ, "PYTHONPATH": here}
        done = subprocess.run(command, cwd=place, env=environ, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"the tests to be timed fail:\n{done.stdout}{done.stderr}")
        times: dict[str, list[float]] = json.loads((place / "times.json").read_text())
    costs = {test: median(items[WARM:]) * 1000 for test, items in times.items()}
    empty = costs.pop("test_empty")
    costs = {test.removeprefix("test_"): cost - empty for test, cost in costs.items()}

    def ratio(test: str, peer: str) -> float | None:
        return costs[test] / costs[peer] if peer in costs else None

    httpserver, client, transport = "pytest_httpserver", "mockbm_flask_client", "mockbm_httpx"
    goals = [
        Goal("fixture: over a socket / pytest-httpserver", "<", 0.9, ratio("mockbm", httpserver)),
        Goal("fixture: Flask client / responses", "<", 0.85, ratio(client, "responses")),
        Goal("fixture: httpx in process / responses", "<", 0.85, ratio(transport, "responses")),
    ]
    rows = [(test.replace("_", " "), figure(cost)) for test, cost in costs.items()]
    return Report("FIXTURE: a test with a request, above an empty test", ("", "ms"), rows, goals)


def require_two(found: Any) -> None:
    assert [release["name"] for release in found] == ["Release 2", "Release 1"]


def test_empty() -> None:
    pass


def test_mockbm(mockbm: MockbmFixture) -> None:
    key = {"X-ApiKey": mockbm.api_key}
    require_two(requests.get(f"{mockbm.url}{PATH}", params=QUERY, headers=key).json())


def test_mockbm_flask_client(mockbm: MockbmFixture) -> None:
    client = mockbm.app.test_client()
    answer = client.get(PATH, query_string=QUERY, headers={"X-ApiKey": mockbm.api_key})
    require_two(answer.json)


def test_mockbm_httpx(mockbm: MockbmFixture) -> None:
    transport = httpx.WSGITransport(app=mockbm.app)
    with httpx.Client(transport=transport, base_url="http://mock") as client:
        answer = client.get(PATH, params=QUERY, headers={"X-ApiKey": mockbm.api_key})
    require_two(answer.json())


if find_spec("pytest_httpserver"):

    def test_pytest_httpserver(httpserver: HTTPServer) -> None:
        httpserver.expect_request(PATH, query_string=QUERY).respond_with_json(TWO)
        url, key = httpserver.url_for(PATH), {"X-ApiKey": "key"}
        require_two(requests.get(url, params=QUERY, headers=key).json())


if find_spec("responses"):
    import responses

    @responses.activate
    def test_responses() -> None:
        responses.get(f"http://mock{PATH}", json=TWO)
        key = {"X-ApiKey": "key"}
        require_two(requests.get(f"http://mock{PATH}", params=QUERY, headers=key).json())


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--repetitions", type=int)
    parser.addoption("--times", type=Path)


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_times] = {}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items *= config.getoption("--repetitions")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    begun = time.perf_counter()
    result = yield
    times = item.config.stash[_times]
    times.setdefault(item.name, []).append(time.perf_counter() - begun)
    return result


def pytest_sessionfinish(session: pytest.Session) -> None:
    session.config.getoption("--times").write_text(json.dumps(session.config.stash[_times]))
