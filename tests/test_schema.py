"""The JSON Schema of a scenario file and the loader: they agree on what is valid."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import test_composition
import test_definitions
import test_scenario_files
import test_scenario_values
import yaml
from click.testing import CliRunner
from scenario_rows import Row, outcome

from mockbm.cli import main
from mockbm.files.directory import ScenarioSchema, load_scenarios, shipped_scenarios

FILE = shipped_scenarios() / ".scenario.schema.json"
LINE = "# yaml-language-server: $schema=.scenario.schema.json\n"
SHIPPED = sorted(shipped_scenarios().glob("*.yaml"))
SCHEMA = json.loads(FILE.read_text(encoding="utf-8"))
VALIDATOR = jsonschema_rs.validator_for(SCHEMA)


class Editor(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads YAML as editors do: the types of YAML 1.2, and no key twice."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012

    def construct_core_number(self, node: yaml.ScalarNode) -> float:
        text = node.value.lower()
        if text[:2] in ("0x", "0o"):
            return int(text, 0)
        if text.lstrip("+-") in (".inf", ".nan"):
            return 0.5  # any number will do; JSON has none of these
        number = float(text)
        return int(number) if number.is_integer() and abs(number) < 1e300 else number

    def construct_unique(self, node: yaml.MappingNode) -> Iterator[dict[Any, Any]]:
        values: dict[Any, Any] = {}
        yield values
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str | int | float | None) or key in values:
                raise yaml.constructor.ConstructorError(problem="no key, or one that occurs twice")
            values[key] = self.construct_object(value_node, deep=True)


for name, pattern in {
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "float": r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"
    r"|[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
}.items():
    Editor.add_implicit_resolver(f"tag:yaml.org,2002:{name}", re.compile(f"^(?:{pattern})$"), None)
Editor.add_constructor("tag:yaml.org,2002:float", Editor.construct_core_number)
Editor.add_constructor("tag:yaml.org,2002:map", Editor.construct_unique)


def with_pairs_joined(content: str | bytes) -> str | bytes:
    """A file in which two escapes of one letter, as JSON has them, are that letter."""
    if isinstance(content, bytes):
        return content
    pairs = r"\\u[dD][89abAB]\w\w\\u[dD][c-fC-F]\w\w"
    return re.sub(pairs, lambda pair: str(json.loads(f'"{pair[0]}"')), content)


def complaints(content: str | bytes) -> list[str]:
    """What an editor with the schema shows for a file; [] where it finds nothing."""
    try:
        values = yaml.load(with_pairs_joined(content), Editor)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        return [str(error)]
    return [error.message for error in VALIDATOR.iter_errors(values)]


UNSEEN: dict[str, list[str]] = {
    "an encoding: editors read any": ["UTF-16"],
    "an id that another release has": [
        "alias of a release",
        "duplicate ids",
        "own ids occur once",
    ],
    "names and releases of other files": [
        "name almost known",
        "name in other case",
        "itself",
        "removes what is not there",
        "removes what only this file has",
    ],
    "which records there are": ["what is wrong with siblings together"],
    "which stages a pipeline has": [
        "stages that no pipeline has",
        "a result for a stage that no pipeline has by default",
    ],
    "whether two properties have one value": [
        "older names contradict",
        "changes: [{after: 1 call, furthestBuildId: 3, furthestPackageId: 4}]",
        "furthestPackageId: 3|furthestBuildId: 4|changes: [{after: 1 call, name: B}]",
    ],
    "how a number was written: to an editor, 1e3 and 0x1F are integers": [
        *(f"no id {text}" for text in ("0x1F", "1e3", "+1")),
        "generate releases: 1e3",
    ],
    "the time zone: a pattern does not compute": [
        "no date 0001-01-01T00:00+00:01",
        "no date 9999-12-31T23:59:59-00:01",
    ],
    "how long a duration is: a pattern does not compute": [
        "delay: 2h",
        "delay: {min: 2s, max: 1s}",
        "targetDate: now+6000w",
        "changes: [{after: 9999w, status: active}]",
        "changes:|- {after: 3 calls, status: deployed}|- {after: 2 calls, status: active}",
        "changes:|- {after: 30s, name: B}|- {after: 3 calls, name: C}|- {after: 20s, name: D}",
    ],
    "what changes make of a release": [
        "changes: [{after: 1 call, canceledBy: X}]",
    ],
    "nothing where a text has to be: an editor takes a plain NULL, which is a text, for nothing": [
        "respond: {status: 503, headers: {X: }}"
    ],
}
"""What the schema cannot see, and the rows that the loader refuses for it, and an editor does not.

There is no such list of the other direction: what the loader takes, the schema never refuses.
"""

TRAPS = {
    "files": test_scenario_files.ROWS,
    "values": test_scenario_values.ROWS,
    "composition": test_composition.ROWS,
    "faults": test_definitions.FAULTS,
    "changes": test_definitions.CHANGES,
}
ROWS = [pytest.param(row, id=f"{name}: {row.id}") for name, rows in TRAPS.items() for row in rows]


@pytest.mark.parametrize("row", ROWS)
def test_agrees_with_the_loader(row: Row) -> None:
    """Of every trap of the loader, an editor thinks as the loader does, or cannot see it."""
    refused = any(isinstance(problem, str) for problem in row.expected)
    unseen = [reason for reason, ids in UNSEEN.items() if row.id in ids]
    assert bool(complaints(row.content)) == (refused and not unseen), complaints(row.content)
    assert refused or not unseen


def test_every_exception_is_a_trap() -> None:
    """What is listed as unseen is there, once."""
    listed = sorted(id_ for ids in UNSEEN.values() for id_ in ids)
    there = sorted(row.id for rows in TRAPS.values() for row in rows if row.id in listed)
    assert listed == there


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_scenarios(path: Path) -> None:
    """Every shipped scenario begins with the line that editors need, and is valid to both."""
    text = path.read_text(encoding="utf-8")
    assert text.startswith(LINE)
    assert complaints(text) == []
    assert path.stem in load_scenarios(shipped_scenarios())


WRITTEN = """
x|''|'x'|"1"|1|01|-1|+1|1.0|1.10|1e3|1_000|0x1F|0o17|12:30:45|2147483648|99999999999|.inf|.NaN|
~|null|Null|NULL|'null'|true|True|'true'|false|yes|no|on|active|canceled|reset|newest-first|empty
2024-03-04|'2024-03-04'|2024-02-30|2024-03-04T09:03Z|now|now-3d|'now+2w'|nowish|3 calls|1 call
5s|250ms|1.5h|2h|36525d|9999w|5/s|0/s|100/m|[]|[1]|['1']|[a]|[NULL]|[~]|{}|{a: b}|{id: 1}
{status: 503}|{status: '204'}|{status: 204, body: x}|{min: 1s, max: 2s}|{releases: 3}|{X: NULL}
"""
VALUES = WRITTEN.strip().replace("\n", "|").split("|")
RELEASE = "- {{id: {0}, number: 1, applicationId: 1, applicationName: A"
FORMS = {
    "release": ("releases", RELEASE + ", {1}: {2}}}\n"),
    "canceled": ("releases", RELEASE + ", status: canceled, {1}: {2}}}\n"),
    "change": ("releases", RELEASE + ", changes: [{{after: 1 call, name: B, {1}: {2}}}]}}\n"),
    "fault": ("faults", "- {{delay: 1s, {1}: {2}}}\n"),
    "fault alone": ("faults", "- {{{1}: {2}}}\n"),
    "filter": ("faults", "- {{delay: 1s, when: {{applicationId: 1, {1}: {2}}}}}\n"),
    "respond": ("faults", "- respond: {{status: 503, {1}: {2}}}\n"),
    "delay": ("faults", "- delay: {{min: 1s, max: 1h, {1}: {2}}}\n"),
}
"""Kinds of objects: the list in which they are, and an item of it, by number, name and value."""


def properties(kind: str) -> list[str]:
    """The names of the properties of one kind of object."""
    release = SCHEMA["properties"]["releases"]["items"]["properties"]
    fault = SCHEMA["properties"]["faults"]["items"]["properties"]
    shapes = {
        "release": release,
        "canceled": release,
        "change": release["changes"]["items"]["properties"],
        "filter": fault["when"]["then"]["properties"],
        "respond": fault["respond"]["properties"],
        "delay": fault["delay"]["anyOf"][1]["properties"],
    }
    return list(shapes.get(kind, fault))


@pytest.mark.parametrize("kind", FORMS)
def test_never_refuses_what_the_loader_takes(kind: str, tmp_path: Path) -> None:
    """Whatever value a property has, an editor never calls wrong what the loader takes."""
    list_, item = FORMS[kind]
    head = "" if list_ == "releases" else "releases: []\n"
    taken = 0
    for name in properties(kind):
        if f"{name}: " in item:
            continue  # a key that occurs twice is another matter
        items = [item.format(number, name, value) for number, value in enumerate(VALUES)]
        content = f"{head}{list_}:\n{''.join(items)}"
        lines = [line for line in outcome(tmp_path, content) if isinstance(line, str)]
        places = [re.search(rf" {list_}\[(\d+)\]", line) for line in lines]
        assert all(places), lines
        refused = {int(place[1]) for place in places if place}
        taken += len(items) - len(refused)
        errors = VALIDATOR.iter_errors(yaml.load(content, Editor))
        wrong = {int(error.instance_path[1]): error.message for error in errors}
        assert [(items[number], wrong[number]) for number in wrong.keys() - refused] == []
    assert taken > len(properties(kind))


@pytest.mark.parametrize("value", VALUES)
def test_never_refuses_a_key_that_the_loader_takes(value: str, tmp_path: Path) -> None:
    """The same of the keys of a scenario, and of how much to generate."""
    sizes = SCHEMA["properties"]["generate"]["properties"]
    contents = [f"generate: {{releases: {value}}}\n"]
    contents += [f"generate: {{releases: 1, {name}: {value}}}\n" for name in list(sizes)[1:]]
    contents += [f"{name}: {value}\n" for name in ("releases", "extends", "generate")]
    contents += [f"releases: []\n{name}: {value}\n" for name in list(SCHEMA["properties"])[:-1]]
    taken = [
        content
        for content in contents
        if not any(isinstance(line, str) for line in outcome(tmp_path, content))
    ]
    assert [content for content in taken if complaints(content)] == []
    assert taken or value != "1"


def test_the_file_is_what_the_command_prints() -> None:
    """`mockbm schema` prints the file that the shipped scenarios point to."""
    done = CliRunner().invoke(main, ["schema"])
    assert done.stdout_bytes == FILE.read_bytes(), (
        "run: mockbm schema > scenarios/.scenario.schema.json"
    )


def test_is_a_schema_of_every_property() -> None:
    """It is a draft-07 schema, knows every key of a file, and has words for every property."""
    assert SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"
    jsonschema_rs.meta.validate(SCHEMA)
    assert list(SCHEMA["properties"]) == list(ScenarioSchema().fields)
    for shape in objects(SCHEMA):
        for name, about in shape["properties"].items():
            assert about.get("description"), name


def objects(shape: Any) -> Iterator[dict[str, Any]]:
    """The schemas of all kinds of objects within a schema."""
    if isinstance(shape, dict):
        if "additionalProperties" in shape and "properties" in shape:
            yield shape
        for inner in shape.values():
            yield from objects(inner)
    elif isinstance(shape, list):
        for inner in shape:
            yield from objects(inner)
