"""The commands about scenario files, and how files are written: whole, and in UTF-8."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_cli import MOCKBM, run

from mockbm import MockServer
from mockbm.files.directory import shipped_scenarios

RELEASE = {"id": 1, "number": "1.0", "applicationId": 1, "applicationName": "A"}


def test_init_begins_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`init` makes a scenario that can be served, and its schema; it says what comes next."""
    monkeypatch.chdir(tmp_path)
    done = run("init")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "tests/scenarios/first.yaml: a scenario to change, or to copy under another name",
        "tests/scenarios/.scenario.schema.json: its schema, with which editors complete and check",
        "",
        "Next, on the command line:",
        "  mockbm check tests/scenarios",
        "  mockbm serve tests/scenarios --watch",
        "Or for the fixture, in the pytest configuration:",
        "  mockbm_scenarios = tests/scenarios",
    ]
    directory = tmp_path / "tests" / "scenarios"
    assert sorted(path.name for path in directory.iterdir()) == [
        ".scenario.schema.json",
        "first.yaml",
    ]
    schema = (directory / ".scenario.schema.json").read_bytes()
    assert schema == (shipped_scenarios() / ".scenario.schema.json").read_bytes()
    first = (directory / "first.yaml").read_text()
    assert first.startswith("# yaml-language-server: $schema=.scenario.schema.json\n")
    assert run("check", "tests/scenarios").stdout == "tests/scenarios: 1 scenario, no problems\n"
    again = run("init")
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr == "tests/scenarios/first.yaml is there already; nothing is written\n"
    assert "  mockbm check 'my tests'\n" in run("init", "my tests").stdout
    (tmp_path / "file").touch()
    assert run("init", "file/new").stderr == "cannot write into file/new: Not a directory\n"


def test_show_prints_a_scenario_as_yaml(tmp_path: Path) -> None:
    """`show` prints a file as it was written, also a shipped one, and JSON in the style of YAML."""
    documented = (shipped_scenarios() / "documented.yaml").read_text(encoding="utf-8")
    assert run("show", "documented").stdout == documented
    assert run("show", "documented", str(tmp_path)).stdout == documented
    (tmp_path / "single.yaml").write_text("releases: []  # mine\n")
    assert run("show", "single", str(tmp_path)).stdout == "releases: []  # mine\n"
    assert run("show", "single", MOCKBM_SCENARIOS=str(tmp_path)).stdout == "releases: []  # mine\n"
    (tmp_path / "old.json").write_text(
        '{"releases": [{"id": 1, "number": 1.10, "applicationId": 1, "applicationName": "ä true",'
        ' "template": "1.10", "deployables": [], "extra": {"a": "yes\\nno", "b": "true"}}]}'
    )
    says = "A YAML file is printed as it was written, a JSON file in the style of YAML."
    assert says in run("show", "--help").stdout
    printed = run("show", "old", str(tmp_path)).stdout
    assert printed.splitlines() == [
        "releases:",
        "- id: 1",
        "  number: 1.10",
        "  applicationId: 1",
        "  applicationName: ä true",
        "  template: '1.10'",
        "  deployables: []",
        "  extra:",
        '    a: "yes\\nno"',
        "    b: 'true'",
    ]
    (tmp_path / "new.yaml").write_text(printed, encoding="utf-8")
    with MockServer(tmp_path) as server:
        old, new = (
            server.mock.catalog.get(name).tables["releases"].select({}) for name in ("old", "new")
        )
        assert old.body == new.body
    done = run("show", "singel", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith("no scenario is called 'singel'; did you mean single? There are:")
    done = run("show", "single", str(tmp_path / "none"))
    assert (done.returncode, done.stderr) == (1, f"{tmp_path}/none: No such file or directory\n")


def test_list_as_json(tmp_path: Path) -> None:
    """`list --json` is an array; control characters reach no terminal in either form."""
    (tmp_path / "a.yaml").write_text('description: "x\\e[2Jy\\n z"\nreleases: []\n')
    done = run("list", str(tmp_path), "--json")
    expected = [{"name": "a", "description": "x\x1b[2Jy\n z", "releaseCount": 0}]
    assert (done.returncode, json.loads(done.stdout)) == (0, expected)
    assert "\x1b" not in done.stdout
    assert run("list", str(tmp_path)).stdout == "a       0  x\\x1b[2Jy z\n"


CHECKED = {
    "good": (("good.yaml",), 0, ["good.yaml: no problems"]),
    "bad": (("bad.yaml",), 1, ["bad.yaml:1:1: release: unknown property; did you mean releases?"]),
    "only of those named": (
        ("good.yaml", "sub/a.json"),
        0,
        ["good.yaml: no problems", "sub/a.json: no problems"],
    ),
    "a base with problems": (
        ("heir.yaml",),
        1,
        ["bad.yaml:1:1: release: unknown property; did you mean releases?"],
    ),
    "only hidden": ((".scenario.schema.json",), 0, []),
    "hidden": ((".scenario.schema.json", "good.yaml"), 0, ["good.yaml: no problems"]),
    "no name of a scenario": (
        ("a b.yaml",),
        1,
        ["a b.yaml:1:1: name: 'a b' cannot name a scenario; use letters, digits, '.', '_' and '-'"],
    ),
    "another file": (
        ("notes.txt",),
        1,
        ["notes.txt:1:1: name: a scenario file ends in .yaml, .yml, .json"],
    ),
    "a file and a directory": (
        ("sub", "good.yaml"),
        0,
        ["sub: 1 scenario, no problems", "good.yaml: no problems"],
    ),
    "no file": (
        ("none.yaml",),
        1,
        ["none.yaml: No such file or directory"],
    ),
}


@pytest.mark.parametrize("name", CHECKED)
def test_check_takes_files(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`check FILE...` is about these files, as editors and pre-commit call it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    for path, text in {
        "good.yaml": "releases: []\n",
        "bad.yaml": "release: []\nextends: single\n",
        "heir.yaml": "extends: bad\n",
        "a b.yaml": "releases: []\n",
        ".scenario.schema.json": "{}",
        "notes.txt": "",
        "sub/a.json": '{"extends": "single"}',
    }.items():
        (tmp_path / path).write_text(text)
    arguments, status, lines = CHECKED[name]
    done = run("check", *arguments)
    assert (done.returncode, done.stdout.splitlines(), done.stderr) == (status, lines, "")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("mockbm rel", ["plain,reload"]),
        ("mockbm show appr", ["plain,approval"]),
        ("mockbm show mi", ["plain,mine"]),
        ("mockbm use mi", ["plain,mine"]),
        ("mockbm use --url {url} ot", ["plain,other"]),
        ("mockbm use --url {url} mi", []),
        ("mockbm nonsense mi", []),
    ],
)
def test_shells_complete(words: str, expected: list[str], tmp_path: Path) -> None:
    """The shell completes commands and scenarios: a running mock's, or else those of files."""
    for name in ("mine", "served/other"):
        path = tmp_path / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text("releases: []\n")
    with MockServer(tmp_path / "served") as server:
        typed = words.format(url=server.url)
        done = run(
            _MOCKBM_COMPLETE="bash_complete",
            COMP_WORDS=typed,
            COMP_CWORD=str(len(typed.split()) - 1),
            MOCKBM_URL="http://127.0.0.1:9",
            MOCKBM_SCENARIOS=str(tmp_path),
        )
    assert (done.stdout.split(), done.stderr) == (expected, "")


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_output_is_utf_8(encoding: str, tmp_path: Path) -> None:
    """Redirected output is UTF-8 whatever the machine's encoding, and can be read again."""
    (tmp_path / "a.json").write_text(json.dumps([RELEASE | {"applicationName": "日本→ü"}]))
    variables = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    new = tmp_path / "scenarios" / "new.yaml"
    new.parent.mkdir()
    (new.parent / "b.yaml").write_text("description: 日→\nreleases: []\n", encoding="utf-8")
    for arguments, path in (
        (("import", str(tmp_path / "a.json")), new),
        (("list", str(new.parent)), tmp_path / "list"),
        (("check", str(new.parent)), tmp_path / "check"),
        (("show", "unicode-and-odd-values"), tmp_path / "show"),
    ):
        with path.open("wb") as file:
            command = [MOCKBM, *arguments]
            done = subprocess.run(command, stdout=file, stderr=subprocess.PIPE, env=variables)
        assert (done.returncode, done.stderr) == (0, b"")
    assert "日本→ü" in new.read_text(encoding="utf-8")
    assert "2 scenarios, no problems" in (tmp_path / "check").read_text(encoding="utf-8")
    assert "b         0  日→\n" in (tmp_path / "list").read_text(encoding="utf-8")
    assert "café" in (tmp_path / "show").read_text(encoding="utf-8")


@pytest.mark.skipif(sys.platform == "win32", reason="there are no limits of processes")
@pytest.mark.parametrize(
    ("arguments", "most", "status"),
    [
        ("import {there}/answer.json --output new.yaml", 1_000, 1),
        ("verify --url {url} --api-key-file {there}/key --scenario-out new.json", 1_000, 2),
        ("init .", 1_000, 1),
        ("serve --port 0 --port-file new", 3, 1),
    ],
)
def test_files_are_whole_or_not_there(
    arguments: str, most: int, status: int, tmp_path: Path
) -> None:
    """Where a file cannot be written whole, as on a full disk, nothing is left of it."""
    limited = (
        "import os, resource, sys;"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({most}, {most}));"
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    (tmp_path / "key").write_text("abc12345")
    answer = [RELEASE | {"id": id_} for id_ in range(100)]
    (tmp_path / "answer.json").write_text(json.dumps(answer))
    directory = tmp_path / "here"
    directory.mkdir()
    with MockServer() as server:
        words = arguments.format(there=tmp_path, url=server.url).split()
        done = subprocess.run(
            [sys.executable, "-c", limited, MOCKBM, *words],
            capture_output=True,
            text=True,
            cwd=directory,
            timeout=30,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )
    assert done.returncode == status
    last = done.stderr.splitlines()[-1]
    assert (last[:12], last.rpartition(": ")[2]) == ("cannot write", "File too large")
    assert [*directory.iterdir()] == []


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """`import --output` writes no file that is there, and leaves nothing beside it."""
    (tmp_path / "a.json").write_text(json.dumps([RELEASE]))
    (tmp_path / "b.yaml").write_text("mine\n")
    done = run("import", str(tmp_path / "a.json"), "--output", str(tmp_path / "b.yaml"))
    assert (done.returncode, done.stderr) == (
        1,
        f"cannot write {tmp_path}/b.yaml: File exists\n",
    )
    assert (tmp_path / "b.yaml").read_text() == "mine\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "b.yaml"]
