"""Large scenarios: what is right for ten releases stays right, and affordable, for very many."""

from __future__ import annotations

import cProfile
import io
import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from flask import Flask
from scenario_rows import body, problem_lines

from mockbm import ScenarioError, create_app
from mockbm.endpoints.releases import ReleaseSchema, completed
from mockbm.files import document
from mockbm.files.directory import load_scenarios

pty = pytest.importorskip("pty", reason="only where there are terminals of this kind")


def instance(count: int) -> list[dict[str, Any]]:
    """So many releases, two of each application, half of them active, all in one pipeline."""
    return [
        {
            "id": number,
            "number": f"1.{number}",
            "status": ("active", "deployed")[number % 2],
            "applicationId": number // 2,
            "applicationName": f"Application {number // 2}",
            "pipelineName": "Release",
            "deployables": [],
        }
        for number in range(1, count + 1)
    ]


def write_json(directory: Path, name: str, releases: list[dict[str, Any]]) -> None:
    """A scenario file in JSON."""
    values = {"order": "as-written", "releases": releases}
    (directory / f"{name}.json").write_text(json.dumps(values))


def get(app: Flask, query: str) -> tuple[int, int]:
    """How many releases an application finds, and in how many steps of Python."""
    steps = 0

    def trace(frame: FrameType, _event: str, _argument: object) -> Any:
        nonlocal steps
        frame.f_trace_opcodes = True
        steps += 1
        return trace

    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/api/releases",
        "QUERY_STRING": query,
        "HTTP_X_APIKEY": "abc12345",
        "SERVER_NAME": "mock",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
    }
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        found = b"".join(app(environ, lambda *_: lambda _: None))
    finally:
        sys.settrace(before)
    return len(json.loads(found)), steps


QUERIES = {
    "releaseId={}": 1,
    "applicationName=Application+{}": 2,
    "status=active&applicationName=Application+{}": 1,
    "applicationName=Application+{}&status=active&pipelineName=Release": 1,
    "status=canceled&pipelineName=Release&releaseNumber={}": 0,
    "applicationName=Applicatoin+{}": 0,
}
"""Filters that select few releases, and how many; each is sent with two numbers."""


def test_the_work_is_that_of_what_is_found(tmp_path: Path) -> None:
    """A filter that selects few releases takes the same steps among many and among twice as many.

    Also where the nearest name is searched that there is.
    """
    work: dict[str, list[int]] = {}
    for name, count in (("many", 2_200), ("more", 4_400)):
        write_json(tmp_path, name, instance(count))
        app = create_app(tmp_path, name)
        get(app, "releaseId=1")  # what Flask and others do once
        for query, found in QUERIES.items():
            for number in (7, 8):
                answered, steps = get(app, query.format(number))
                assert answered == found
                work.setdefault(query.format(number), []).append(steps)
    assert {query: steps for query, steps in work.items() if steps[1] > steps[0] * 1.02} == {}


MANY_PROBLEMS = {
    "unknown keys": lambda n: "\n".join(f"key{i:05}: 1" for i in range(n)),
    "keys that occur twice": lambda n: "\n".join(f"key{i % (n // 2):05}: 1" for i in range(n)),
    "unknown properties": lambda n: (
        f"releases: [{{{', '.join(f'nam{i:05}: 1' for i in range(n))}}}]"
    ),
    "tags": lambda n: "\n".join(f"key{i:05}: !t{i:05} 1" for i in range(n)),
    "unknown names": lambda n: (
        "releases: []\nfaults:\n"
        + "\n".join(
            f"- {{when: {{endpoint: relea{i:05}}}, respond: {{status: 500}}}}" for i in range(n)
        )
    ),
}


@pytest.mark.parametrize("kind", MANY_PROBLEMS)
def test_many_problems_take_as_many_steps_more(kind: str, tmp_path: Path) -> None:
    """Ten times as many problems of one kind are found and named in ten times as many calls."""
    calls = []
    for number in (200, 2_000):
        (tmp_path / "t.yaml").write_text(MANY_PROBLEMS[kind](number))
        profile = cProfile.Profile()
        with pytest.raises(ScenarioError) as raised:
            profile.runcall(load_scenarios, tmp_path)
        assert len(raised.value.problems) >= number // 2
        calls.append(sum(entry.callcount for entry in profile.getstats()))
    assert calls[1] < 14 * calls[0]


@pytest.mark.parametrize("suffix", [".json", ".yaml"])
def test_memory_is_a_few_times_that_of_the_answer(suffix: str, tmp_path: Path) -> None:
    """When a scenario is loaded and indexed, the tree of its file is gone."""
    values = {"releases": [ReleaseSchema().dump(item) for item in completed(instance(500))]}
    (tmp_path / f"t{suffix}").write_text(json.dumps(values))
    body(load_scenarios(tmp_path)["t"])  # what is made once, such as compiled patterns
    tracemalloc.start()
    try:
        scenario = load_scenarios(tmp_path)["t"]
        answer = len(body(scenario))
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < 9 * answer


def test_empty_changes_change_nothing(tmp_path: Path) -> None:
    """A release whose list of changes is empty is one that does not change."""
    first, second = instance(2)
    change = {"after": "1 call", "status": "canceled"}
    write_json(tmp_path, "t", [first | {"changes": []}, second | {"changes": [change]}])
    app = create_app(tmp_path)
    found = [get(app, "status=canceled")[0] for _ in range(2)]
    assert found == [0, 1]


@pytest.mark.parametrize("suffix", [".json", ".yaml"])
def test_a_file_that_is_too_large_is_not_read(suffix: str, tmp_path: Path) -> None:
    """A file over the limit is one problem, found without reading it."""
    path = tmp_path / f"t{suffix}"
    with path.open("wb") as file:
        file.truncate(document.MAX_BYTES + 1)  # a hole, which takes no space
    with pytest.raises(ScenarioError) as raised:
        load_scenarios(tmp_path)
    assert problem_lines(raised.value, tmp_path) == [
        f"t{suffix}:1:1: file: is larger than 256 MiB; split it, or let `generate` make the "
        "releases"
    ]


def test_files_may_be_links(tmp_path: Path) -> None:
    """Links are followed, wherever they lead: that is how Kubernetes mounts files."""
    served, elsewhere = tmp_path / "served", tmp_path / "elsewhere"
    for directory in (served, elsewhere):
        directory.mkdir()
    write_json(elsewhere, "t", instance(1))
    (served / "..data").symlink_to(elsewhere)
    (served / "t.json").symlink_to("..data/t.json")
    assert load_scenarios(served)["t"].release_count == 1


def test_progress_only_goes_forward(tmp_path: Path) -> None:
    """What is reported while files are read goes from 0 to 1, over all of them."""
    text = json.dumps({"releases": instance(1_000)})
    for name in ("a.json", "a2.yaml", "b.json", "b2.yaml", "c.json"):
        (tmp_path / name).write_text(text)
    reported: list[float] = []
    load_scenarios(tmp_path, reported.append)
    assert reported == sorted(reported)
    assert len(reported) > 10
    assert reported[0] == pytest.approx(0.2)
    assert reported[-1] == pytest.approx(1)


def check_on_a_terminal(directory: Path, patience: float) -> tuple[int, bytes]:
    """The status of `mockbm check`, and what it shows on a terminal for errors."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", IMPATIENT.format(patience), "check", str(directory)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, timeout=60)
    os.close(theirs)
    seen = b""
    try:
        while part := os.read(ours, 10_000):
            seen += part
    except OSError:  # how Linux says that the other end is closed
        pass
    finally:
        os.close(ours)
    return done.returncode, seen


IMPATIENT = (
    "from mockbm.cli import main, options; options.PATIENCE = float('{}'); main(prog_name='mockbm')"
)


@pytest.mark.parametrize(
    ("patience", "content", "shown"),
    [(0, "[]", True), (0, "[5]", True), (float("inf"), "[]", False)],
)
def test_a_bar_on_a_terminal(patience: float, content: str, shown: bool, tmp_path: Path) -> None:
    """A load that takes long shows a bar, which ends with its line; a short one shows none."""
    write_json(tmp_path, "a", instance(500))
    (tmp_path / "b.yaml").write_text(f"releases: {content}\n")
    status, seen = check_on_a_terminal(tmp_path, patience)
    assert status == (1 if "5" in content else 0)
    assert (b"Reading scenarios" in seen) == shown
    assert seen.endswith(b"\n") == shown


def test_no_bar_without_a_terminal(tmp_path: Path) -> None:
    """Where the standard error is not a terminal, nothing is written there."""
    write_json(tmp_path, "a", instance(500))
    command = [sys.executable, "-c", IMPATIENT.format("0"), "check", str(tmp_path)]
    assert subprocess.run(command, capture_output=True, timeout=60).stderr == b""
