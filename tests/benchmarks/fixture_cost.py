"""What one test with one request costs above an empty one.

Also the pytest plugin of that measurement: every test of `fixture_tests.py` is repeated, all of
them in turn, so that a busy moment of the machine meets them all.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from statistics import median

import pytest
from answers import TWO_ACTIVE

HERE = Path(__file__).parent
EMPTY = "test_empty"
SOCKET = "test_mockbm_with_requests"
IN_PROCESS = ("test_mockbm_with_flask_client", "test_mockbm_with_httpx")
PYTEST_HTTPSERVER = "test_pytest_httpserver_with_requests"
RESPONSES = "test_responses_with_requests"

WARMING = 10
"""Repetitions that are not counted; the first ones start servers and import."""

_times = pytest.StashKey[dict[str, list[float]]]()


def cost_all(repetitions: int) -> dict[str, float]:
    """Milliseconds of one test of each kind, above an empty one."""
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        (place / "scenarios").mkdir()
        (place / "scenarios" / "two-active.yaml").write_text(TWO_ACTIVE)
        (place / "pytest.ini").write_text("[pytest]\nmockbm_scenarios = scenarios\n")
        command = [sys.executable, "-m", "pytest", "-q", "--noconftest", "-c", "pytest.ini"]
        command += ["-p", "fixture_cost", "-p", "no:randomly", "-p", "no:cacheprovider"]
        command += ["--repetitions", str(repetitions + WARMING), "--cost-file", "cost.json"]
        path = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
        done = subprocess.run(
            [*command, str(HERE / "fixture_tests.py")],
            cwd=place,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"the tests to be timed fail:\n{done.stdout}{done.stderr}")
        times: dict[str, list[float]] = json.loads((place / "cost.json").read_text())
    costs = {name: median(items[WARMING:]) * 1000 for name, items in times.items()}
    empty = costs.pop(EMPTY)
    return {name: cost - empty for name, cost in costs.items()}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--repetitions", type=int, default=1)
    parser.addoption("--cost-file", type=Path)


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_times] = {}


@pytest.fixture
def repetition(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    metafunc.fixturenames.append("repetition")
    repetitions = range(metafunc.config.getoption("--repetitions"))
    metafunc.parametrize("repetition", repetitions, indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.callspec.params["repetition"])  # type: ignore[attr-defined]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    begun = time.perf_counter()
    result = yield
    times = item.config.stash[_times]
    times.setdefault(item.name.partition("[")[0], []).append(time.perf_counter() - begun)
    return result


def pytest_sessionfinish(session: pytest.Session) -> None:
    file = session.config.getoption("--cost-file")
    if file is not None:
        file.write_text(json.dumps(session.config.stash[_times]))
