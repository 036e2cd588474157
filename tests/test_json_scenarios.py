"""Scenario files in JSON: they say what the same content says in YAML, right or wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from scenario_rows import problem_lines

from mockbm import ScenarioError
from mockbm.core.scenario import Scenario
from mockbm.files.directory import load_scenarios

LEAST = '"id": 1, "number": 1, "applicationId": 1, "applicationName": "A"'


def release(more: str) -> str:
    """A file with one release, which has this in column 10 of line 3."""
    return '{"releases":\n[{' + LEAST + f",\n         {more}" + "}]}\n"


def said(scenario: Scenario) -> object:
    """All that a scenario says."""
    settings = (scenario.description, scenario.api_keys, scenario.order, scenario.faults)
    return (*settings, scenario.size, [*scenario.records("releases")])


def outcome(directory: Path, suffix: str, content: str | bytes) -> object:
    """What a file `t` says, or the lines of its problems."""
    for other in directory.iterdir():
        other.unlink()
    raw = content if isinstance(content, bytes) else content.encode()
    (directory / f"t{suffix}").write_bytes(raw)
    try:
        return said(load_scenarios(directory)["t"])
    except ScenarioError as error:
        return [line.partition(":")[2] for line in problem_lines(error, directory)]


SAME = {
    "nothing": '{"releases": []}',
    "tabs and line ends": '{\r\n\t"releases" :\t[\r\n]\t}\r\n',
    "byte order mark": '\ufeff{"releases": []}',
    "numbers as they were written": release('"name": 1.10, "template": -0, "sequence": -0'),
    "a number beyond all bounds": release(f'"name": {"1" * 5000}, "sequence": {"1" * 5000}'),
    "its JSON Schema": '{"$schema": "./.scenario.schema.json",\n"releases": []}',
    "its JSON Schema misspelt": '{"$schma": "./x.json", "$schema": [], "releases": []}',
    "a whole number": release('"sequence": 198084.0, "name": 1.0'),
    "an exponent": release('"name": 1e5, "createdBy": 1E+05, "sequence": 1e2'),
    "words": release('"name": true, "template": false, "pipelineName": null, "createdBy": "null"'),
    "words that are wrong": release('"status": true, "sequence": false, "createdOn": 1'),
    "flags": release('"absent": false, "changes": [{"after": "1 call", "absent": true}]'),
    "a flag that is a number": release('"absent": 1'),
    "numbers that have no schema": release(
        '"extra": {"a": 1.10, "b": -0, "c": 1.5, "d": true, "e": 1e999, "f": [12, "12", null, 0.1],'
        ' "g": {"extra": 1, "deployables": [true]}}, "deployables": [1, 1.0, {"x": false}, "1"]'
    ),
    "letters beyond 16 bits": release('"name": "\\ud83d\\ude80 \\u00e9 \\/", "template": "🚀"'),
    "a problem behind such letters": release('"name": "\\ud83d\\ude80\\ud83d\\ude80", "nmae": 1'),
    "an escaped backslash before u": release('"name": "\\\\ud83d\\\\ude80 \\ud83d\\ude80"'),
    "odd line ends in a text": release('"name": "a\x85b\u2028c", "nmae": "\u2029"'),
    "keys that are texts": release('"<<": 1, "null": 2, "~": 3, "": 4, "\\u0069d": 5'),
    "keys twice": '{"releases": [],\n"order": "newest-first",\n"order": null, "releases": 1}',
    "keys twice, escaped": release('"name": "a", "n\\u0061me": "b"'),
    "many problems": '{"order": 1, "releases": [{"id": "x", "statsu": 1},\n [], 5, {"id": 1.0}]}',
    "ids twice": '{"releases": [{' + LEAST + "},\n{" + LEAST + "}]}",
    "a list": '[{"id": 1}]',
    "a text": '"releases"',
    "a number": "12",
    "extends itself": '{"extends":\n "t"}',
    "extends a path": '{"extends": "../t"}',
    "extends what is not there": '{"extends": "documentet", "releases": 5}',
    "extends and removes": '{"extends": "documented", "remove": [3, "4", 99]}',
    "faults": '{"releases": [], "faults": [{"respond": {"status": 503, "body": 1}}, {"rate": 5}]}',
    "32 levels": release(f'"deployables": {"[" * 28}1{"]" * 28}'),
    "33 levels": release(f'"deployables": {"[" * 29}1{"]" * 29}'),
    "33 levels, the last one empty": release(f'"deployables": {"[" * 30}{"]" * 30}'),
    "a control character": b'{"releases": [],\n "description": "\x7f"}',
    "not UTF-8": b'{"releases": [],\n "description": "\xe9"}',
    "UTF-16": '{"releases": []}'.encode("utf-16"),
}


@pytest.mark.parametrize("content", SAME.values(), ids=SAME)
def test_says_the_same_as_in_yaml(content: str | bytes, tmp_path: Path) -> None:
    """What JSON can say means the same in both, problems and their places included."""
    assert outcome(tmp_path, ".json", content) == outcome(tmp_path, ".yaml", content)


spaces = st.sampled_from(["", "", " ", "\n", "\n  ", "\r\n ", " \t"])
leaves = st.sampled_from(
    [
        *("1", "7", "1.10", "-0", "0.5", "1e5", "true", "false", "null", "99999999999", "[]", "{}"),
        *('"active"', '"canceled"', '"2024-03-04"', '"now-3d"', '"3 calls"', '"5/s"', '"reset"'),
        *(
            '"documented"',
            '"\\u00e9\\ud83d\\ude80"',
            '"a\x85b"',
            '"é🚀"',
            '""',
            '"single"',
            '" x "',
        ),
    ]
) | st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=5).map(json.dumps)
keys = st.sampled_from(
    [
        *("id", "number", "applicationId", "applicationName", "name", "status", "createdOn"),
        *("canceledBy", "releaseName", "latestPackageId", "latestBuildId", "deployables", "extra"),
        *("absent", "changes", "after", "nmae", "\\u0069d", "<<", "_schema"),
    ]
)


def objects(names: st.SearchStrategy[str], inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Objects as texts, some with a name that occurs twice."""
    pair = st.builds('{2}"{0}":{2}{1}{3}'.format, names, inner, spaces, spaces)
    return st.lists(pair, max_size=5).map(lambda pairs: "{" + ",".join(pairs) + "}")


def lists(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Lists as texts."""
    items = st.lists(st.builds("{1}{0}{1}".format, inner, spaces), max_size=3)
    return items.map(lambda texts: "[" + ",".join(texts) + "]")


values = st.recursive(leaves, lambda inner: lists(inner) | objects(keys, inner), max_leaves=5)
releases = st.builds(
    lambda name, value: "{" + LEAST + f', "{name}": {value}' + "}",
    st.sampled_from(["name", "sequence", "deployables", "extra", "status", "targetDate"]),
    values,
)
others = objects(
    st.sampled_from(["releases", "apiKeys", "order", "extends", "remove", "faults", "generate"]),
    values,
)
files = st.builds(
    lambda releases, rest: '{"releases":' + releases + (f", {rest[1:]}" if rest != "{}" else "}"),
    lists(releases | objects(keys, values)),
    others,
)


@settings(
    max_examples=150,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(content=files | values)
def test_any_json_says_the_same_as_in_yaml(content: str, tmp_path: Path) -> None:
    """The same content gives the same scenario, or the same problems in the same places."""
    assume(content != "null")  # in JSON, the smallest scenario is another one
    assert outcome(tmp_path, ".json", content) == outcome(tmp_path, ".yaml", content)


FORGIVEN = {
    "a comma at the end": '{"releases": [] ,\n }',
    "a comment": '{"releases": []\n# none\n}',
    "single quotes": "{'releases': []}",
    "no quotes": "{releases: []}",
    "YAML": "releases: []\n",
    "a line end in a text": '{"description":\n"\n", "releases": []}',
}


@pytest.mark.parametrize("content", FORGIVEN.values(), ids=FORGIVEN)
def test_what_only_yaml_allows_is_read_as_yaml(content: str, tmp_path: Path) -> None:
    """A file that is not quite JSON says what it says as YAML."""
    assert outcome(tmp_path, ".json", content) == outcome(tmp_path, ".yaml", "releases: []\n")


EMPTY = '1:1: file: is empty; the smallest scenario is `{"releases": []}`'
BRACKET = "YAML: a bracket is opened and not closed"
ESCAPE = "YAML: no escape begins like this; in double quotes, \\\\ is the backslash itself"
REFUSED = {
    "nothing": ("", EMPTY),
    "blank lines": (" \n\n", EMPTY),
    "null": ("null", EMPTY),
    "two commas": ("[1,,2]", f"1:4: {BRACKET} before here, or one too many is closed"),
    "another comment": (
        '// none\n{"releases": []}',
        "2:12: YAML: a text that holds ': ' needs quotes, or else the indentation is wrong",
    ),
    "no comma": ('{"a": 1\n "b": 2}', f"2:5: {BRACKET}, or a comma is missing before here"),
    "no colon": ('{"a" 1}', f"1:6: {BRACKET}, or a comma is missing before here"),
    "a bracket too few": (
        '{"releases": [\n',
        f"2:1: {BRACKET} before here, or one too many is closed",
    ),
    "a bracket too many": (
        '{"releases": []}\n}',
        "2:1: YAML: the file goes on after its end; one bracket too many is closed before here",
    ),
    "a quote too few": (
        '{"releases: []}',
        "1:16: YAML: a quote is opened and not closed before here",
    ),
    "an unknown escape": ('["C:\\work"]', f"1:5: {ESCAPE}"),
    "an escape without its digits": ('["C:\\x"]', f"1:7: {ESCAPE}"),
    "half of a surrogate pair": (
        release('"name": "\\ud83d"'),
        "3:21: YAML: an escape here is half of a surrogate pair, or beyond Unicode",
    ),
}


@pytest.mark.parametrize(("content", "line"), REFUSED.values(), ids=REFUSED)
def test_what_is_neither_is_refused(content: str, line: str, tmp_path: Path) -> None:
    """What neither JSON nor YAML allows is one problem, in the place where YAML notices it."""
    assert outcome(tmp_path, ".json", content) == [line]


def test_what_only_json_can_read(tmp_path: Path) -> None:
    """Names of any length, colons in the next line and tabs at the start are no problem in JSON."""
    content = '\t{"releases"\n:\n[{' + LEAST + ', "extra": {"' + "x" * 2_000 + '": 1}}]}\n\t'
    found = outcome(tmp_path, ".json", content)
    assert isinstance(found, tuple)
    assert found[-1][0]["extra"] == {"x" * 2_000: 1}


def test_json_and_yaml_extend_one_another(tmp_path: Path) -> None:
    """The files of one directory are one family, whichever way they are written."""
    (tmp_path / "a.json").write_text('{"releases": [{' + LEAST + "}]}")
    (tmp_path / "b.YAML").write_text("extends: a\ndescription: B\n")
    (tmp_path / "c.JSON").write_text('{"extends": "b", "remove": [1]}')
    scenarios = load_scenarios(tmp_path)
    assert {name: item.release_count for name, item in scenarios.items()} == {
        "a": 1,
        "b": 1,
        "c": 0,
    }
