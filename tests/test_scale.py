"""Large scenarios: what is right for ten releases stays right, and affordable, for very many."""

from __future__ import annotations

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
from hypothesis import example, given, settings
from hypothesis import strategies as st
from marshmallow import ValidationError
from scenario_rows import problem_lines

from mockbm import MockServer, ScenarioError, document
from mockbm.fields import write_json as compact
from mockbm.loading import load_scenarios
from mockbm.releases import ReleaseSchema, completed, load_releases, rendered

pty = pytest.importorskip("pty", reason="only where there are terminals of this kind")


def instance(count: int) -> list[dict[str, Any]]:
    """So many releases, ten of each application, half of them active, all in one pipeline."""
    return [
        {
            "id": number,
            "number": f"1.{number}",
            "status": ("active", "deployed")[number % 2],
            "applicationId": number // 10,
            "applicationName": f"Application {number // 10}",
            "pipelineName": "Release",
            "deployables": [],
        }
        for number in range(1, count + 1)
    ]


def write_json(directory: Path, name: str, releases: list[dict[str, Any]]) -> None:
    """A scenario file in JSON."""
    values = {"order": "as-written", "releases": releases}
    (directory / f"{name}.json").write_text(json.dumps(values))


def ask(server: MockServer, query: str) -> tuple[int, int]:
    """How many releases the server's application finds, and in how many steps of Python."""
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
        "HTTP_X_APIKEY": server.api_key,
        "SERVER_NAME": "mock",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
    }
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        body = b"".join(server.app(environ, lambda *_: lambda _: None))
    finally:
        sys.settrace(before)
    return len(json.loads(body)), steps


QUERIES = {
    "releaseId=7": 1,
    "applicationName=Application+3": 10,
    "status=active&applicationName=Application+3": 5,
    "status=active&pipelineName=Release&applicationName=Application+3": 5,
    "status=canceled&pipelineName=Release": 0,
    "applicationName=Applicatoin+3": 0,
}


@pytest.fixture(scope="module")
def sizes(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server with a scenario of 11,000 releases and one of twice as many."""
    directory = tmp_path_factory.mktemp("sizes")
    write_json(directory, "many", instance(11_000))
    write_json(directory, "more", instance(22_000))
    with MockServer(directory, "many", remember=False) as server:
        for query in QUERIES:
            ask(server, query)  # what Flask and others do once
        yield server


@pytest.mark.parametrize(("query", "found"), QUERIES.items())
def test_the_work_is_that_of_what_is_found(sizes: MockServer, query: str, found: int) -> None:
    """A filter that selects few releases takes the same steps among many and among twice as many.

    Also the first time that it is asked after a switch; but for frequent values together, whose
    positions are gathered once.
    """
    work = {}
    for name in ("many", "more"):
        sizes.mock.default.use(name)
        if query.count("&") == 2:
            ask(sizes, query)
        work[name] = ask(sizes, query)
    assert [count for count, _ in work.values()] == [found, found]
    assert work["more"][1] <= work["many"][1] * 1.02


odd = st.sampled_from(
    [1, 0, -1, True, False, None, 1.5, "", "1", "-0", "007", 2**31, "active", "x", [], {}, [None]]
) | st.sampled_from(
    [
        *("2024-03-04", "2024-03-04T09:03:43.9200000Z", "2024-02-30T09:03:43.9200000Z", "now-3d"),
        *("2024-03-04T24:00:00.0000000Z", "\ud800", {"a": "\ud800"}, {"id": 1}, {"a": [1, None]}),
        *([{"after": "1 call", "status": "active"}], [{"after": "1 call"}], ["x"], "３", "true"),
        'a "b" \\c\n\t\0\x7f\u2028é😀 %s {',
    ]
)
good = {"id": 1, "number": "1", "applicationId": 1, "applicationName": "A"}
whole = st.builds(
    lambda id_, more: {**good, "id": id_, **more},
    st.integers(1, 4) | st.sampled_from(["1", "01"]),
    st.dictionaries(st.sampled_from([*ReleaseSchema().fields, "nmae", 5]), odd, max_size=3),
)
any_values = st.lists(whole | odd, max_size=4) | st.tuples(whole, whole)


def outcome(load: Any, values: Any) -> Any:
    """What a way of loading returns, or what it complains of."""
    try:
        return load(values)
    except ValidationError as error:
        return error.messages


@settings(max_examples=1_500, deadline=None, database=None)
@given(values=any_values)
@example([good | {"nmae": None}])
def test_loading_fast_is_loading(values: Any) -> None:
    """Whatever comes, the fast way returns and raises what the schema does."""
    assert outcome(load_releases, values) == outcome(ReleaseSchema(many=True).load, values)


@settings(max_examples=300, deadline=None, database=None)
@given(values=st.lists(whole, max_size=4))
def test_rendering_fast_is_dumping(values: list[Any]) -> None:
    """The JSON of a release is what the schema makes of it, and what is extra, byte for byte."""
    try:
        releases = list(completed(ReleaseSchema(many=True).load(values)))
    except ValidationError:
        return
    expected = [ReleaseSchema().dump(item) | item.get("extra", {}) for item in releases]
    assert [text for _, text in rendered(releases)] == list(map(compact, expected))


@pytest.mark.parametrize("suffix", [".json", ".yaml"])
def test_memory_is_a_few_times_that_of_the_answer(suffix: str, tmp_path: Path) -> None:
    """Neither the tree of a file nor the releases as objects stay when a scenario is loaded."""
    values = {"releases": [ReleaseSchema().dump(item) for item in completed(instance(3_000))]}
    (tmp_path / f"t{suffix}").write_text(json.dumps(values))
    load_scenarios(tmp_path)  # what is made once, such as compiled patterns
    tracemalloc.start()
    try:
        scenario = load_scenarios(tmp_path)["t"]
        answer = len(scenario.releases.body(range(3_000)))
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < 4 * answer


def test_empty_changes_change_nothing(tmp_path: Path) -> None:
    """A release whose list of changes is empty is one that does not change."""
    first, second = instance(2)
    change = {"after": "1 call", "status": "canceled"}
    write_json(tmp_path, "t", [first | {"changes": []}, second | {"changes": [change]}])
    with MockServer(tmp_path, "t") as server:
        found = [ask(server, "status=canceled")[0] for _ in range(2)]
    assert found == [0, 1]


def test_well_formed_json_needs_no_positions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a file with a problem is read in the slow way, which knows where everything is."""
    write_json(tmp_path, "t", instance(10))
    monkeypatch.setattr("mockbm.loading.Document", None)
    assert load_scenarios(tmp_path)["t"].release_count == 10


@pytest.mark.parametrize("suffix", [".json", ".yaml"])
def test_a_file_that_is_too_large_is_not_read(suffix: str, tmp_path: Path) -> None:
    """A file over the limit is one problem, told without reading it."""
    path = tmp_path / f"t{suffix}"
    with path.open("wb") as file:
        file.truncate(document.MAX_BYTES + 1)  # a hole, which takes no room
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
    """What is told while files are read goes from 0 to 1, over all of them."""
    for name in "ab":
        write_json(tmp_path, name, instance(3_000))
        (tmp_path / f"{name}2.yaml").write_text(json.dumps({"releases": instance(3_000)}))
    told: list[float] = []
    load_scenarios(tmp_path, told.append)
    assert told == sorted(told)
    assert all(0 <= part <= 1 for part in told)
    assert len(told) > 20
    assert told[-1] > 0.9


IMPATIENT = (
    "from mockbm.cli import main, progress; progress.PATIENCE = float('{}'); "
    "main(prog_name='mockbm')"
)


@pytest.mark.parametrize(
    ("patience", "content", "shown"),
    [("0", "[]", True), ("0", "[5]", True), ("inf", "[]", False)],
)
def test_a_bar_on_a_terminal(patience: str, content: str, shown: bool, tmp_path: Path) -> None:
    """A load that takes long shows a bar, which ends with its line; a short one shows none."""
    write_json(tmp_path, "a", instance(2_000))
    (tmp_path / "b.yaml").write_text(f"releases: {content}\n")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", IMPATIENT.format(patience), "check", str(tmp_path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, timeout=60)
    os.close(theirs)
    seen = b""
    try:
        while part := os.read(ours, 10_000):
            seen += part
    except OSError:  # how Linux says that nobody can write any more
        pass
    finally:
        os.close(ours)
    assert done.returncode == (1 if "5" in content else 0)
    assert (b"Reading scenarios" in seen) == shown
    assert seen.endswith(b"\n") == shown


def test_no_bar_where_nobody_looks(tmp_path: Path) -> None:
    """Where the standard error is no terminal, nothing is written there."""
    write_json(tmp_path, "a", instance(2_000))
    command = [sys.executable, "-c", IMPATIENT.format("0"), "check", str(tmp_path)]
    assert subprocess.run(command, capture_output=True, timeout=60).stderr == b""
