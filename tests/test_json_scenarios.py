"""Scenario files in JSON: they say what the same content says in YAML, right or wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scenario_rows import problem_lines

from mockbm import ScenarioError
from mockbm.loading import load_scenarios
from mockbm.scenario import Scenario

LEAST = '"id": 1, "number": 1, "applicationId": 1, "applicationName": "A"'


def release(more: str) -> str:
    """A file with one release, which has this in column 10 of line 3."""
    return '{"releases":\n[{' + LEAST + f",\n         {more}" + "}]}\n"


def said(scenario: Scenario) -> object:
    """All that a scenario says."""
    settings = (scenario.description, scenario.api_keys, scenario.order, scenario.faults)
    return (*settings, scenario.size, [*scenario.definition])


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


def in_yaml(directory: Path, content: str | bytes) -> object:
    """The same content's outcome in YAML; where that is only about the form, it says JSON."""
    found = outcome(directory, ".yaml", content)
    if isinstance(found, list):
        return [line.replace(": YAML: nested", ": JSON: nested") for line in found]
    return found


SAME = {
    "nothing": '{"releases": []}',
    "tabs and line ends": '{\r\n\t"releases" :\t[\r\n]\t}\r\n',
    "byte order mark": '\ufeff{"releases": []}',
    "numbers as they were written": release('"name": 1.10, "template": -0, "sequence": -0'),
    "a number beyond all bounds": release(f'"name": {"1" * 5000}, "sequence": {"1" * 5000}'),
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
    "null": "null",
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
    found = outcome(tmp_path, ".json", content)
    if content == "null":
        assert found == ['1:1: file: is empty; the smallest scenario is `{"releases": []}`']
    else:
        assert found == in_yaml(tmp_path, content)


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
    return st.lists(pair, max_size=7).map(lambda pairs: "{" + ",".join(pairs) + "}")


def lists(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Lists as texts."""
    items = st.lists(st.builds("{1}{0}{1}".format, inner, spaces), max_size=3)
    return items.map(lambda texts: "[" + ",".join(texts) + "]")


values = st.recursive(leaves, lambda inner: lists(inner) | objects(keys, inner), max_leaves=8)
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
    max_examples=400,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(content=files | values)
def test_any_json_says_the_same_as_in_yaml(content: str, tmp_path: Path) -> None:
    """The same content gives the same scenario, or the same problems in the same places."""
    found = outcome(tmp_path, ".json", content)
    if content != "null":  # the row above has its own words for that
        assert found == in_yaml(tmp_path, content)


NO_JSON = {
    "nothing": ("", '1:1: file: is empty; the smallest scenario is `{"releases": []}`'),
    "blank lines": (" \n\t\n", '1:1: file: is empty; the smallest scenario is `{"releases": []}`'),
    "a comma at the end": (
        '{"releases": [\n1,\n]}',
        "2:2: JSON: nothing comes after this comma; leave it out",
    ),
    "a comma at the end of an object": (
        '{"releases": [] ,\n }',
        "1:17: JSON: nothing comes after this comma; leave it out",
    ),
    "two commas": ("[1,,2]", "1:4: JSON: a value is missing here"),
    "a comment": ('{"releases": []\n# none\n}', "2:1: JSON: JSON has no comments"),
    "another comment": ('// none\n{"releases": []}', "1:1: JSON: JSON has no comments"),
    "single quotes": ("{'releases': []}", "1:2: JSON: put names and texts into double quotes"),
    "single quotes for a value": (
        "{\"order\": 'as-written'}",
        "1:11: JSON: put names and texts into double quotes",
    ),
    "no quotes": (
        "{releases: []}",
        "1:2: JSON: the name of a property, in double quotes, is missing here",
    ),
    "no quotes for a value": (
        '{"order": as-written}',
        "1:11: JSON: as-written is no value; put texts into double quotes",
    ),
    "a date without quotes": (
        "[2024-03-04]",
        "1:6: JSON: a comma is missing before here, or a bracket is not closed",
    ),
    "YAML": (
        "releases: []\n",
        "1:1: JSON: releases is no value; put texts into double quotes",
    ),
    "Python": ('{"a": None}', "1:7: JSON: None is no value; put texts into double quotes"),
    "not a number": (
        '["NaN", "\\"NaN",\n NaN]',
        "2:2: JSON: NaN is no value; put texts into double quotes",
    ),
    "without an end": (
        "[-Infinity]",
        "1:2: JSON: -Infinity is no value; put texts into double quotes",
    ),
    "no comma": (
        '{"a": 1\n "b": 2}',
        "2:2: JSON: a comma is missing before here, or a bracket is not closed",
    ),
    "no colon": ('{"a" 1}', "1:6: JSON: a colon is missing before here"),
    "a bracket too few": (
        '{"releases": [\n',
        "2:1: JSON: a bracket or a quote is opened and not closed before here",
    ),
    "a bracket too many": (
        '{"releases": []}\n}',
        "2:1: JSON: the file goes on after its end; one bracket too many is closed before here",
    ),
    "a quote too few": ('{"releases: []}', "1:2: JSON: a quote is opened and not closed"),
    "a line end in a text": (
        '{"description": "a\nb"}',
        "1:19: JSON: a text ends in the line where it began; write \\n or \\t in it",
    ),
    "a tab in a text": (
        '["a\tb"]',
        "1:4: JSON: a text ends in the line where it began; write \\n or \\t in it",
    ),
    "an unknown escape": (
        '["C:\\x"]',
        "1:5: JSON: no escape begins like this; \\\\ is the backslash itself",
    ),
    "lines that end as on other systems": (
        "[\r\n1\r,\r]",
        "3:1: JSON: nothing comes after this comma; leave it out",
    ),
    "half of a surrogate pair": (
        release('"name": "\\ud83d"'),
        "3:18: releases[0].name: '\\ud83d' holds half of a surrogate pair",
    ),
    "a million levels": ("[" * 1_000_000, "1:32: JSON: nested more than 32 levels deep"),
}


@pytest.mark.parametrize(("content", "line"), NO_JSON.values(), ids=NO_JSON)
def test_what_is_no_json_is_refused(content: str, line: str, tmp_path: Path) -> None:
    """What only YAML allows, or nobody, is one problem in the place where it stands."""
    assert outcome(tmp_path, ".json", content) == [line]


def test_what_only_json_can_read(tmp_path: Path) -> None:
    """Names of any length, colons in the next line and tabs at the start are no problem in JSON."""
    content = '\t{"releases"\n:\n[{' + LEAST + ', "extra": {"' + "x" * 2_000 + '": 1}}]}\n\t'
    found = outcome(tmp_path, ".json", content)
    assert isinstance(found, tuple)
    assert found[-1][0]["extra"] == {"x" * 2_000: 1}
    wrong = content.replace('"extra"', '"extar"')
    assert outcome(tmp_path, ".json", wrong) == [
        "3:69: releases[0].extar: unknown property; did you mean extra?"
    ]


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
