"""Scenario files as people really write them: traps of YAML, of encodings and of directories.

The traps of single values are in test_scenario_values.py, which has the same kind of table.
"""

from __future__ import annotations

import errno
import os
import re
import time
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scenario_rows import (
    Row,
    answered,
    load_in_processes,
    one,
    outcome,
    problem_lines,
    refused,
    served,
    write,
)
from test_cli import run

from mockbm import ScenarioError
from mockbm.files.directory import load_scenarios

SMALLEST = "releases: []\n"
EMPTY = "file: is empty; the smallest scenario is `releases: []`"
KEYS = "file: expected the keys of a scenario, as in `releases: []`"
TOP = (
    "known are description, extends, apiKeys, order, generate, remove, faults, nativeAnswer, "
    "pipelines, deployAnswer, releases, applications, builds, deployments, $schema"
)
PROPERTIES = (
    "known are id, number, name, sequence, template, status, createdBy, createdOn, canceledBy, "
    "canceledOn, targetDate, applicationId, applicationName, pipelineId, pipelineName, "
    "furthestBuildId, furthestBuildNumber, latestBuildId, latestBuildNumber, deployables, "
    "furthestPackageId, furthestPackageNumber, latestPackageId, latestPackageNumber, "
    "releaseName, releaseNumber, extra, absent, changes"
)
UNLIKE_ANY = f"unknown property; {PROPERTIES}"
NO_RELEASES = "releases: is missing; add releases: ..., or [] for none"
NO_LIST = "releases: expected a list of releases, or [] for none"
NO_RELEASE = "expected a release, as in `- id: 1` with its other properties below"
NOT_UTF8 = "save the file as UTF-8"
NO_CONTROL = "is not allowed; in quotes, write it escaped"
NO_MAPPING_KEY = "no list or mapping can be a key; a text that begins with { or [ needs quotes"
NO_TAG = "has no meaning here; a text that begins with ! needs quotes"
TAB = "YAML: a tab is used to indent; YAML wants spaces"
INDENT = (
    "YAML: the indentation does not fit the lines above, or text goes on behind a quote or a "
    "bracket"
)
DASHES = "YAML: the indentation does not fit the list above"
COLON = "YAML: a text that holds ': ' needs quotes, or else the indentation is wrong"
BRACKET = "YAML: a bracket is opened and not closed, or a comma is missing before here"
QUOTE = "YAML: a quote is opened and not closed before here"
NO_FILES = "holds no scenario files (*.yaml, *.yml, *.json)"
TOO_DEEP = "YAML: nested more than 32 levels deep"


ROWS = [
    # Bytes.
    refused(
        "latin-1",
        b"releases: []\ndescription: caf\xe9\n",
        f"2:17: file: not UTF-8: byte 0xe9; {NOT_UTF8}",
    ),
    served("BOM", b"\xef\xbb\xbfreleases: []\n"),
    refused(
        "BOM, then latin-1",
        b"\xef\xbb\xbfreleases: []\ndescription: caf\xe9\n",
        f"2:17: file: not UTF-8: byte 0xe9; {NOT_UTF8}",
    ),
    refused(
        "lines that end as on other systems",
        b"releases: []\rorder:\r\ndescription: \xe9",
        f"3:14: file: not UTF-8: byte 0xe9; {NOT_UTF8}",
    ),
    refused("BOM and junk", b"\xef\xbb\xbfr\xff", f"1:2: file: not UTF-8: byte 0xff; {NOT_UTF8}"),
    refused(
        "UTF-16",
        b"\xff\xfe" + SMALLEST.encode("utf-16-le"),
        f"1:1: file: looks like UTF-16; {NOT_UTF8}",
    ),
    refused(
        "UTF-16 without BOM",
        SMALLEST.encode("utf-16-le"),
        f"1:1: file: looks like UTF-16; {NOT_UTF8}",
    ),
    refused("NUL", SMALLEST + "\0", rf"2:1: file: the control character '\x00' {NO_CONTROL}"),
    refused(
        "control character",
        one("name: a\x07b"),
        rf"6:10: file: the control character '\x07' {NO_CONTROL}",
    ),
    served("control character, escaped", one(r'name: "a\x07b"'), {"name": "a\x07b"}),
    served("CRLF", one("name: B").replace("\n", "\r\n"), {"name": "B"}),
    refused(
        "position with CRLF",
        one("nam: B").replace("\n", "\r\n"),
        "6:3: releases[0].nam: unknown property; did you mean name?",
    ),
    served("no line end", SMALLEST.strip()),
    # Nothing, or another thing, at the top.
    refused("empty file", "", f"1:1: {EMPTY}"),
    refused("blank lines", "\n\n", f"1:1: {EMPTY}"),
    refused("comments", "# releases:\n# - id: 1\n", f"1:1: {EMPTY}"),
    refused("document start", "---\n", f"1:1: {EMPTY}"),
    refused("null at the top", "null\n", f"1:1: {EMPTY}"),
    refused("list at the top", "- id: 1\n", f"1:1: {KEYS}"),
    refused("text at the top", "hello\n", f"1:1: {KEYS}"),
    refused("number at the top", "12\n", f"1:1: {KEYS}"),
    refused("no keys", "{}\n", f"1:1: {NO_RELEASES}"),
    refused("no releases", "description: x\n", f"1:1: {NO_RELEASES}"),
    refused("null releases", "releases:\n", f"1:10: {NO_RELEASES}"),
    refused("text for the list", "releases: none\n", f"1:11: {NO_LIST}"),
    refused("mapping for the list", "releases:\n  id: 1\n", f"2:3: {NO_LIST}"),
    refused(
        "no mappings in the list",
        "releases: [text, [1]]\n",
        f"1:12: releases[0]: {NO_RELEASE}",
        f"1:18: releases[1]: {NO_RELEASE}",
    ),
    # Keys.
    refused(
        "misspelt key",
        "release: []\ndescripton: x\n",
        "1:1: release: unknown property; did you mean releases?",
        f"1:1: {NO_RELEASES}",
        "2:1: descripton: unknown property; did you mean description?",
    ),
    refused(
        "misspelt key in a release",
        one("statsu: active", "CreatedBy: Me"),
        "6:3: releases[0].statsu: unknown property; did you mean status?",
        "7:3: releases[0].CreatedBy: unknown property; did you mean createdBy?",
    ),
    served("its JSON Schema", '{"$schema": "./.scenario.schema.json", "releases": []}'),
    refused("unlike any key", SMALLEST + "zzz: 1\n", f"2:1: zzz: unknown property; {TOP}"),
    refused("unlike any property", one("zzz: 1"), f"6:3: releases[0].zzz: {UNLIKE_ANY}"),
    refused("key of a library", one("_schema: 1"), f"6:3: releases[0]._schema: {UNLIKE_ANY}"),
    refused(
        "duplicate key",
        "releases: []\norder: as-written\nreleases: []\n",
        "3:1: releases: occurs twice; first in line 1",
    ),
    refused(
        "duplicate key in a release",
        one("number: 2"),
        "6:3: releases[0].number: occurs twice; first in line 3",
    ),
    refused(
        "duplicate in quotes", one('"id": 1'), "6:3: releases[0].id: occurs twice; first in line 2"
    ),
    refused("list as a key", f"? [a]\n: b\n{SMALLEST}", f"1:3: file: {NO_MAPPING_KEY}"),
    refused(
        "template braces",
        one("name: {{ x }}"),
        "6:9: releases[0].name: an object is not text; write one text, in quotes",
        f"6:10: releases[0].name: {NO_MAPPING_KEY}",
    ),
    # Spaces and marks.
    refused("tab", "releases:\n\t- id: 1\n", f"2:1: {TAB}"),
    refused("tab further down", "releases:\n  - id: 1\n\t    number: 1\n", f"3:1: {TAB}"),
    served("tab behind a colon", one("name:\tB"), {"name": "B"}),
    refused("indented too far", "releases:\n- id: 1\n   number: 1\n", f"3:10: {COLON}"),
    refused("indented too little", "releases:\n  - id: 1\n   number: 1\n", f"3:4: {DASHES}"),
    refused("dash in between", "releases:\n  - id: 1\n - id: 2\n", f"3:2: {INDENT}"),
    refused("unclosed quote", one('name: "B'), f"7:1: {QUOTE}"),
    refused("text behind a quote", one('name: "a" and b'), f"6:13: {INDENT}"),
    refused(
        "unclosed bracket",
        "releases: [\n",
        "2:1: YAML: a bracket is opened and not closed before here, or one too many is closed",
    ),
    refused(
        "unclosed bracket, and no line end",
        "releases: [",
        "1:12: YAML: a bracket is opened and not closed before here, or one too many is closed",
    ),
    refused("unclosed brace", "releases:\n- {id: 1\n- {id: 2}\n", f"3:3: {BRACKET}"),
    refused("no comma", "releases: [{id: 1 number: 2}]\n", f"1:25: {BRACKET}"),
    refused("no space", "releases:[]\n", f"1:1: {KEYS}"),
    refused("no space in a release", "releases:\n- id:1\n", f"2:3: releases[0]: {NO_RELEASE}"),
    refused(
        "no space in between",
        "releases:\n- id: 1\n  number:1\n  applicationId: 1\n",
        "4:3: YAML: the line above is not `name: value`, with a space in between",
    ),
    refused("colon in a text", one("name: a: b"), f"6:10: {COLON}"),
    refused("@", one("name: @home"), "6:9: YAML: a text that begins with @ needs quotes"),
    refused("backquote", one("name: `x`"), "6:9: YAML: a text that begins with ` needs quotes"),
    refused("percent", one("name: %x"), "6:9: YAML: a text that begins with % needs quotes"),
    refused(
        "star",
        one("name: *.txt"),
        "6:10: YAML: a text that begins with * or & needs quotes",
    ),
    served(
        "marks in quotes",
        one('name: "@home"', "template: '`x` *.txt %x: y'"),
        {"name": "@home", "template": "`x` *.txt %x: y"},
    ),
    served("comment or not", one("name: a#b #c"), {"name": "a#b"}),
    served("several lines", one("name: >-", "  a: b", "  'c'"), {"name": "a: b 'c'"}),
    # Documents, aliases, tags, depth.
    refused(
        "two documents",
        f"{SMALLEST}---\n{SMALLEST}",
        "2:1: YAML: a second document begins; one file holds one document",
    ),
    served("one document, all marks", f"%YAML 1.2\n---\n{SMALLEST}...\n# over\n"),
    served("alias", one("template: &n 1.10", "name: *n"), {"template": "1.10", "name": "1.10"}),
    served("alias of a list", one("deployables: [&d [a], *d, *d]"), {"deployables": [["a"]] * 3}),
    refused(
        "alias of a release",
        "releases:\n- &a {id: 1, number: 1, applicationId: 1, applicationName: A}\n- *a\n",
        "2:11: releases[1].id: 1 is taken by releases[0]; an id occurs once",
    ),
    refused(
        "undefined alias",
        "releases: *nope\n",
        "1:11: YAML: found undefined alias; a text that begins with * needs quotes",
    ),
    refused(
        "merge key",
        one() + "- <<: {number: 1}\n  id: 2\n",
        "6:3: releases[1].<<: merge keys are not read; repeat the properties, or use an alias",
        "6:3: releases[1].applicationId: is missing; add applicationId: ...",
        "6:3: releases[1].applicationName: is missing; add applicationName: ...",
        "6:3: releases[1].number: is missing; add number: ...",
    ),
    refused(
        "Python tag",
        "releases: !!python/object/apply:os.getcwd []\n",
        f"1:11: releases: the tag tag:yaml.org,2002:python/object/apply:os.getcwd {NO_TAG}",
    ),
    refused(
        "other tags",
        one("sequence: !!int 1", "name: !custom B", "template: !!str C"),
        f"6:13: releases[0].sequence: the tag tag:yaml.org,2002:int {NO_TAG}",
        f"7:9: releases[0].name: the tag !custom {NO_TAG}",
    ),
    refused("100 levels", f"releases: {'[' * 100}{']' * 100}\n", f"1:41: {TOO_DEEP}"),
    refused("100 indents", "".join(f"{' ' * n}a:\n" for n in range(100)), f"32:32: {TOO_DEEP}"),
    # Everything at once, by line and column.
    refused(
        "several problems",
        "order: newest\nreleases:\n- id: x\n  status: Active\n- number: [1]\n",
        "1:8: order: 'newest' is not one of newest-first, as-written; did you mean newest-first?",
        "3:3: releases[0].applicationId: is missing; add applicationId: ...",
        "3:3: releases[0].applicationName: is missing; add applicationName: ...",
        "3:3: releases[0].number: is missing; add number: ...",
        "3:7: releases[0].id: 'x' is not an integer; write decimal digits only",
        "4:11: releases[0].status: 'Active' is not one of active, canceled, deployed; "
        "did you mean active?",
        "5:3: releases[1].applicationId: is missing; add applicationId: ...",
        "5:3: releases[1].applicationName: is missing; add applicationName: ...",
        "5:3: releases[1].id: is missing; add id: ...",
        "5:11: releases[1].number: a list is not text; write one text, in quotes",
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_file(row: Row, tmp_path: Path) -> None:
    """A file is refused with exactly these problems, or answers exactly these values."""
    assert answered(row, tmp_path) == row.expected


CANNOT_NAME = "cannot name a scenario; use letters, digits, '.', '_' and '-'"
DIRECTORIES = {
    "several files": (
        {"b.yaml": "z: 1\nrelease: []\n", "a.yml": "[]", "c.yaml": SMALLEST},
        [
            f"a.yml:1:1: {KEYS}",
            f"b.yaml:1:1: {NO_RELEASES}",
            f"b.yaml:1:1: z: unknown property; {TOP}",
            "b.yaml:2:1: release: unknown property; did you mean releases?",
        ],
    ),
    "one name twice": (
        {"x.yaml": SMALLEST, "x.yml": SMALLEST},
        ["x.yml:1:1: name: x.yaml is called x, too; rename one"],
    ),
    "no names": (
        {"a b.yaml": SMALLEST, "-x.yaml": SMALLEST, "é.yml": SMALLEST, "ok.yaml": SMALLEST},
        [
            f"-x.yaml:1:1: name: '-x' {CANNOT_NAME}",
            f"a b.yaml:1:1: name: 'a b' {CANNOT_NAME}",
            f"é.yml:1:1: name: 'é' {CANNOT_NAME}",
        ],
    ),
    "one name twice, once in JSON": (
        {"x.yaml": SMALLEST, "x.json": '{"releases": []}'},
        ["x.yaml:1:1: name: x.json is called x, too; rename one"],
    ),
    "no files": ({}, [f".:1:1: directory: {NO_FILES}"]),
    "no scenario files": ({"x.toml": "", "x": SMALLEST}, [f".:1:1: directory: {NO_FILES}"]),
}


@pytest.mark.parametrize(("files", "lines"), DIRECTORIES.values(), ids=DIRECTORIES)
def test_refuses_a_directory(
    files: dict[str, str], lines: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where one file has a problem none is served, and the problems of all files are listed."""
    write(tmp_path, files)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ScenarioError) as raised:
        load_scenarios(Path())
    assert str(raised.value).splitlines() == lines


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("nowhere", "No such file or directory"),
        ("x.yaml", "Not a directory; give a directory of scenario files"),
    ],
)
def test_needs_a_directory(name: str, what: str, tmp_path: Path) -> None:
    """A directory that is not there, or a file in its place, is one problem."""
    write(tmp_path, {"x.yaml": SMALLEST})
    with pytest.raises(ScenarioError) as raised:
        load_scenarios(tmp_path / name)
    assert problem_lines(raised.value, tmp_path) == [f"{name}: {what}"]


@pytest.mark.parametrize("command", ["check", "serve"])
def test_what_the_system_refuses(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory or file that cannot be read is what a command blames, in one line."""
    directory = tmp_path / "scenarios"
    write(directory, {"a.yaml": SMALLEST})
    (tmp_path / "loop").symlink_to("loop")
    why = "Too many levels of symbolic links"
    assert refusal(command, tmp_path / "loop") == f"{tmp_path}/loop: {why}\n"

    (directory / "link.yaml").symlink_to("x" * 300)
    why = "link.yaml:1:1: file: cannot be read: File name too long"
    assert refusal(command, directory) == f"{directory}/{why}\n"

    (directory / "link.yaml").unlink()
    listed = [directory / "a.yaml", directory / "gone.yaml"]
    monkeypatch.setattr("mockbm.files.directory.scenario_files", lambda _: listed)
    why = "gone.yaml:1:1: file: cannot be read: No such file or directory"
    assert refusal(command, directory) == f"{directory}/{why}\n"

    def refuse(_: Path) -> NoReturn:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("mockbm.files.directory.scenario_files", refuse)
    assert refusal(command, directory) == f"{directory}: Permission denied\n"


def refusal(command: str, directory: Path) -> str:
    """What a command prints that cannot use a directory."""
    done = run(command, str(directory), *(("--port", "0") if command == "serve" else ()))
    assert done.returncode == 1
    return done.stdout + done.stderr


def test_passes_over_other_files(tmp_path: Path) -> None:
    """Hidden files, other suffixes and directories below are not read."""
    broken = dict.fromkeys((".hidden.yaml", "b.toml", "c.yaml.bak", "yaml", "sub/d.yaml"), "[")
    write(tmp_path, {"1.2.YAML": SMALLEST, "a.yml": SMALLEST, **broken})
    assert list(load_scenarios(tmp_path)) == ["1.2", "a"]


def test_scenarios_are_in_the_order_of_their_names(tmp_path: Path) -> None:
    """The order is by name, so that no suffix decides which scenario is first."""
    names = ["B", "a", "a-b", "a.b", "ab"]
    write(tmp_path, {f"{name}.yaml": SMALLEST for name in names})
    assert list(load_scenarios(tmp_path)) == names


def test_a_row_that_is_too_long(tmp_path: Path) -> None:
    """Scenarios may extend one another in a row of 32; every further one is a problem."""
    write(tmp_path, {"s10.yaml": SMALLEST})
    write(tmp_path, {f"s{n}.yaml": f"extends: s{n - 1}\n" for n in range(11, 42)})
    assert len(load_scenarios(tmp_path)) == 32
    for last in (42, 400):
        write(tmp_path, {f"s{n}.yaml": f"extends: s{n - 1}\n" for n in range(42, last + 1)})
        with pytest.raises(ScenarioError, match="more than 32 scenarios that extend one another"):
            load_scenarios(tmp_path)


def test_what_could_hang_or_end_the_process(tmp_path: Path) -> None:
    """A pipe without a writer, and nesting beyond any sense, are problems like others."""
    os.mkfifo(tmp_path / "a.yaml")
    os.mkfifo(tmp_path / "b.json")
    (tmp_path / "c.yaml").mkdir()
    write(
        tmp_path,
        {f"d{n}.yaml": f"releases:\n  {x * 1_000_000}" for n, x in enumerate(OPENINGS)}
        | {"e.json": "[" * 1_000_000},
    )
    found = load_in_processes(tmp_path, hashes=["0"])[0].replace(f"{tmp_path}/", "").splitlines()
    what = "is not a file, but a directory, pipe or device"
    assert found[:3] == [f"{name}:1:1: file: {what}" for name in ("a.yaml", "b.json", "c.yaml")]
    places = [line.removesuffix(f": {TOO_DEEP}").rpartition(":")[0] for line in found[3:]]
    assert places == [*(f"d{n}.yaml:2" for n in range(len(OPENINGS))), "e.json:1"]


OPENINGS = ["[", "{a: ", "- ", "? "]


def test_a_billion_laughs(tmp_path: Path) -> None:
    """Aliases of aliases that would fill the memory are refused within a second."""
    lines = ["deployables:", "- &a [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]"]
    for this, before in zip("bcdefghi", "abcdefgh", strict=True):
        lines.append(f"- &{this} [{', '.join([f'*{before}'] * 10)}]")
    started = time.perf_counter()
    found = outcome(tmp_path, one(*lines))
    assert time.perf_counter() - started < 1
    assert found == [
        "t.yaml:7:5: releases[0].deployables[4][7][0][7][3]: aliases repeat more than 100000 values"
    ]


IN_ITSELF = {
    "list": "releases: &a [*a]",
    "release": "releases: [&a {id: *a}]",
    "file": "&a {releases: *a}",
    "deployables": one("deployables: &a [*a]"),
    "text": one("name: &a [*a]"),
}


@pytest.mark.parametrize("content", IN_ITSELF.values(), ids=IN_ITSELF)
def test_a_value_that_holds_itself(content: str, tmp_path: Path) -> None:
    """An alias inside of what it refers to is a problem in the line where it is written."""
    found = outcome(tmp_path, content)
    assert found
    assert {line.split(":")[1] for line in found} == {str(len(content.splitlines()))}


@pytest.mark.parametrize("steps", [3, 60])
def test_levels_by_aliases(steps: int, tmp_path: Path) -> None:
    """Aliases do not lead deeper than a file may be nested."""
    levels = 20
    lines = [f"- &a{step} {'[' * levels}*a{step - 1}{']' * levels}" for step in range(1, steps + 1)]
    found = outcome(tmp_path, one("deployables:", "- &a0 []", *lines))
    assert found
    assert [problem for problem in found if not str(problem).endswith("32 levels deep")] == []


UNPRINTABLE = {
    "line end in a key": one(r'"a\nb": 1'),
    "terminal code in a key": one(r'"\e[31m": 1'),
    "line end in a duplicate key": one(r'"a\nb": 1', r'"a\nb": 2'),
    "line end in a tag": "releases: !<a%0Ab> []",
    "terminal code in a tag": one("name: !<%1b[31m> B"),
    "line end in a value": one(r'status: "a\nb"', r'createdOn: "\e[31m"'),
}


@pytest.mark.parametrize("content", UNPRINTABLE.values(), ids=UNPRINTABLE)
def test_a_problem_is_one_printable_line(content: str, tmp_path: Path) -> None:
    """Line ends and terminal codes of a file do not come through to where it is reported."""
    found = outcome(tmp_path, content)
    assert found
    assert [line for line in found if not line.isprintable()] == []


FRAGMENTS = [
    *("releases:", "- ", "id", ": ", "1", "\n", "\n  ", "\n- ", " ", "[", "]", "{", "}", ","),
    *("&a ", "*a", "!t ", "|\n", ">-", "'", '"', "\\", "?", "#", "%", "@", "\t", "\r", "---\n"),
    *("<<", "~", "null", "status", "createdOn", "2024-01-01", "deployables", "apiKeys", "order"),
    *("\ufeff", "\x85", "\u2028", "\0", "é", "🚀", "_schema", r"\ud83d", "canceledBy", "name"),
]
GOOD = one("status: active", "deployables: [{a: 1}]")
scraps = st.lists(st.sampled_from(FRAGMENTS), max_size=15).map("".join)
damaged = st.builds(
    lambda scrap, at, length: GOOD[:at] + scrap + GOOD[at + length :],
    scraps,
    st.integers(0, len(GOOD)),
    st.integers(0, 8),
)
contents = st.binary(max_size=40) | (st.text(max_size=40) | scraps | damaged).map(str.encode)
files = st.builds(bytes.__add__, st.sampled_from([b"", b"\xef\xbb\xbf"]), contents)


@settings(
    max_examples=250,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(content=files)
def test_any_file_is_served_or_refused(content: bytes, tmp_path: Path) -> None:
    """Whatever a file holds, it is served, or else each of its problems has a place in it."""
    found = outcome(tmp_path, content)
    lines = re.split(r"\r\n?|\n", content.decode(errors="replace"))
    for problem in found:
        if isinstance(problem, str):
            _, line, column, _ = problem.split(":", 3)
            assert 1 <= int(line) <= len(lines)
            assert 1 <= int(column) <= len(lines[int(line) - 1]) + 1
