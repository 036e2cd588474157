"""Scenarios that build on others, and large ones that are made from a few numbers."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from scenario_rows import (
    LEFT_OUT,
    Row,
    answered,
    body,
    one,
    outcome,
    problem_lines,
    refused,
    served,
    write,
)

from mockbm import ScenarioError, create_app
from mockbm.core.scenario import Scenario
from mockbm.endpoints.releases import STATUSES, ReleaseSchema, completed
from mockbm.files.directory import inline_scenario, load_scenarios, shipped_scenarios

BASE = """\
apiKeys: [a, b]
order: as-written
faults:
- delay: 1ms
releases:
- {id: 2, number: 1.0, applicationId: 1, applicationName: A, template: T}
- {id: 1, number: 1.1, applicationId: 1, applicationName: A, changes: [{after: 1 call, name: X}]}
- {id: 3, number: 2.0, applicationId: 2, applicationName: B}
"""
OTHER = "{id: 9, number: 9, applicationId: 1, applicationName: A}"
MISSING = "extends: no scenario is called"
CIRCLE = "extends: goes in a circle:"
NOT_INTEGER = "is not an integer; write decimal digits only"
NO_NULL = "is empty; write a number"
ROOM = "allowed is 0 to 1000000"
ROOMS = "allowed is 1 to 10000"
SIZE = "expected how much, such as {releases: 1000, applications: 20}"
IDS = "remove: expected a list of ids, such as [4]"
NO_BASE = "remove: needs extends: there is nothing to remove from"


def by_id(*ids: int) -> list[dict[str, Any]]:
    """Releases of which only the ids matter."""
    return [{"id": id_} for id_ in ids]


ROWS = [
    # Of the shipped `documented`, which has 4, 3, 2, 1, 7, 6, 5, newest first.
    served("as it is", "extends: documented\n", *by_id(4, 3, 2, 1, 7, 6, 5)),
    served(
        "other keys left empty",
        "extends: documented\nremove:\nreleases:\ngenerate:\n",
        *by_id(4, 3, 2, 1, 7, 6, 5),
    ),
    served("removed", "extends: documented\nremove: [4, 03, '7']\n", *by_id(2, 1, 6, 5)),
    served("removed twice", "extends: documented\nremove: [4, 4]\n", *by_id(3, 2, 1, 7, 6, 5)),
    served("all removed", "extends: documented\nremove: [1, 2, 3, 4, 5, 6, 7]\n"),
    served("none removed", "extends: single\nremove: []\n", *by_id(1)),
    served(
        "added, in its place by date",
        f"extends: documented\nreleases: [{OTHER}]\n",
        *by_id(4, 3, 2, 1, 7, 6, 5, 9),
    ),
    served(
        "replaced, not merged",
        "extends: documented\nremove: [1, 2, 3, 5, 6, 7]\n"
        "releases: [{id: 4, number: 9, applicationId: 2, applicationName: P}]\n",
        {"id": 4, "number": "9", "pipelineName": LEFT_OUT, "createdBy": "SYSTEM", "sequence": 1},
    ),
    served(
        "removed, and there under the same id",
        f"extends: single\nremove: [1]\n{one()}",
        {"id": 1, "number": "1", "applicationName": "A"},
    ),
    served(
        "as written", f"extends: single\norder: as-written\nreleases: [{OTHER}]\n", *by_id(1, 9)
    ),
    served(
        "sequence goes on",
        "extends: documented\nremove: [1, 3, 5, 6, 7]\nreleases:\n"
        "- {id: 8, number: 1.0.2, applicationId: 2, applicationName: P, createdOn: 2025-01-01}\n"
        "- {id: 1, number: 1, applicationId: 7, applicationName: Q}\n",
        {"id": 8, "sequence": 3},
        {"id": 4, "sequence": 2},
        {"id": 2, "sequence": 1},
        {"id": 1, "sequence": 1},
    ),
    served(
        "sequence counts what is left",
        "extends: single\nremove: [1]\n"
        "releases: [{id: 5, number: 1, applicationId: 1, applicationName: TaxCalculator}]\n",
        {"id": 5, "sequence": 1},
    ),
    refused(
        "name almost known",
        "extends: documentd\n",
        f"1:10: {MISSING} 'documentd'; did you mean documented?",
    ),
    refused(
        "name in other case",
        "description: x\nextends: Single\n",
        f"2:10: {MISSING} 'Single'; did you mean single?",
    ),
    refused(
        "list of names",
        "extends: [single]\n",
        "1:10: extends: a list is not text; write one text, in quotes",
    ),
    refused("itself", "extends: t\n", f"1:10: {CIRCLE} t extends t"),
    refused(
        "removes what is not there",
        "extends: single\nremove:\n- 1\n- 2\n- 99\n",
        "4:3: remove[1]: single has no release with the id 2",
        "5:3: remove[2]: single has no release with the id 99",
    ),
    refused(
        "removes what only this file has",
        f"extends: single\nremove: [9]\nreleases: [{OTHER}]\n",
        "2:10: remove[0]: single has no release with the id 9",
    ),
    refused("removes from nothing", "remove: [1]\nreleases: []\n", f"1:9: {NO_BASE}"),
    refused("removes no list", "extends: single\nremove: 1\n", f"2:9: {IDS}"),
    refused(
        "removes odd ids",
        "extends: single\nremove: [x, ~, 1.5]\n",
        f"2:10: remove[0]: 'x' {NOT_INTEGER}",
        f"2:13: remove[1]: {NO_NULL}",
        f"2:16: remove[2]: '1.5' {NOT_INTEGER}",
    ),
    refused(
        "own ids occur once",
        f"extends: single\nreleases: [{OTHER}, {OTHER}]\n",
        "2:75: releases[1].id: 9 is taken by releases[0]; an id occurs once",
    ),
    refused(
        "more than one problem",
        "extends: singel\nordr: as-written\n",
        f"1:10: {MISSING} 'singel'; did you mean single?",
        "2:1: ordr: unknown property; did you mean order?",
    ),
    # Generated.
    served("none", "generate: {releases: 0}\n"),
    served("in the order of the ids", "generate: {releases: 3}\n", *by_id(3, 2, 1)),
    served(
        "own ones win",
        f"generate: {{releases: 2, applications: 1}}\n{one('createdOn: 2030-01-01')}",
        {"id": 1, "number": "1", "applicationName": "A"},
        {"id": 2, "applicationId": 1},
    ),
    served(
        "zeros and quotes", "generate: {releases: 01, applications: '1', seed: -7}\n", *by_id(1)
    ),
    served(
        "the rest left empty",
        "generate:\n  releases: 1\n  applications:\n  seed: ~\nreleases:\n",
        *by_id(1),
    ),
    *(
        refused(f"generate {size}", f"generate: {{{size}}}\n", *lines)
        for size, lines in {
            "releases: -1": [f"1:22: generate.releases: {ROOM}"],
            "releases: 1000001": [f"1:22: generate.releases: {ROOM}"],
            "releases: 1e3": [f"1:22: generate.releases: '1e3' {NOT_INTEGER}"],
            "releases: 1, applications: 0": [f"1:39: generate.applications: {ROOMS}"],
            "releases: 1, applications: 10001": [f"1:39: generate.applications: {ROOMS}"],
            "releases: 1, seed: x": [f"1:31: generate.seed: 'x' {NOT_INTEGER}"],
            "releases: 1, seed: 2147483648": [
                "1:31: generate.seed: '2147483648' does not fit in 32 bits; allowed is "
                "-2147483648 to 2147483647"
            ],
            "": ["1:11: generate.releases: is missing; add releases: ..."],
            "release: 1": [
                "1:11: generate.releases: is missing; add releases: ...",
                "1:12: generate.release: unknown property; did you mean releases?",
            ],
        }.items()
    ),
    refused("generate 9", "generate: 9\n", f"1:11: generate: {SIZE}"),
    refused("generate a list", "generate: [9]\n", f"1:11: generate: {SIZE}"),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_composed(row: Row, tmp_path: Path) -> None:
    """A scenario takes over, adds, replaces, removes and generates, or is refused with a reason."""
    assert answered(row, tmp_path) == row.expected


FAMILIES: dict[str, tuple[dict[str, str], list[str]]] = {
    "circle of two": (
        {"a.yaml": "extends: b\n", "b.yaml": "description: x\nextends: a\n"},
        [f"b.yaml:2:10: {CIRCLE} a extends b extends a"],
    ),
    "circle of three, and one that leads there": (
        {
            "a.yaml": "extends: c\n",
            "b.yaml": "extends: d\n",
            "c.yaml": "extends: b\n",
            "d.yaml": "extends: c\n",
        },
        [f"d.yaml:1:10: {CIRCLE} c extends b extends d extends c"],
    ),
    "near one of the same directory": (
        {"nightly.yaml": "releases: []\n", "t.yaml": "extends: nightli\n"},
        [f"t.yaml:1:10: {MISSING} 'nightli'; did you mean nightly?"],
    ),
    "problem in the base, reported once": (
        {
            "a.yaml": "extends: z\n",
            "b.yaml": "extends: z\nremove: [77]\n",
            "c.yaml": "extends: b\n",
            "z.yaml": "releases:\n- id: x\n  number: 1\n  applicationId: 1\n  applicationName: A\n",
        },
        [f"z.yaml:2:7: releases[0].id: 'x' {NOT_INTEGER}"],
    ),
    "no YAML in the base": (
        {"a.yaml": "extends: z\n", "z.yaml": "{\n"},
        [
            "z.yaml:2:1: YAML: a bracket is opened and not closed before here, or one too many is "
            "closed"
        ],
    ),
    "nothing in the base": (
        {"a.yaml": "extends: z\n", "z.yaml": ""},
        ["z.yaml:1:1: file: is empty; the smallest scenario is `releases: []`"],
    ),
    "problems of both": (
        {"a.yaml": "extends: z\norder: x\n", "z.yaml": "extends: singel\n"},
        [
            "a.yaml:2:8: order: 'x' is not one of newest-first, as-written",
            f"z.yaml:1:10: {MISSING} 'singel'; did you mean single?",
        ],
    ),
    "removed further up": (
        {
            "a.yaml": "extends: b\nremove: [1]\n",
            "b.yaml": "extends: single\nremove: [1]\n",
        },
        ["a.yaml:2:10: remove[0]: b has no release with the id 1"],
    ),
}


@pytest.mark.parametrize(("files", "lines"), FAMILIES.values(), ids=FAMILIES)
def test_families_that_do_not_fit(files: dict[str, str], lines: list[str], tmp_path: Path) -> None:
    """Circles, unknown names and problems of a base are reported once, where they are."""
    write(tmp_path, files)
    with pytest.raises(ScenarioError) as caught:
        load_scenarios(tmp_path)
    assert problem_lines(caught.value, tmp_path) == lines


def test_an_unknown_name_far_from_all_lists_what_there_is(tmp_path: Path) -> None:
    """Where no name is near, all are listed: one's own and the shipped ones, but not oneself."""
    write(tmp_path, {"mine.yaml": "releases: []\n", "t.yaml": "extends: qqqqqq\n"})
    with pytest.raises(ScenarioError) as caught:
        load_scenarios(tmp_path)
    known = sorted(["mine", *(path.stem for path in shipped_scenarios().glob("*.yaml"))])
    line = f"t.yaml:1:10: {MISSING} 'qqqqqq'; known are {', '.join(known)}"
    assert problem_lines(caught.value, tmp_path) == [line]


def ids(scenario: Scenario) -> list[int]:
    """The ids of a scenario's releases, in the order of the answer."""
    return [release["id"] for release in json.loads(body(scenario))]


def test_chains_and_what_they_take_over(tmp_path: Path) -> None:
    """Along a chain of three, keys come from the nearest that gives them, and changes stay."""
    write(
        tmp_path,
        {
            "z.yaml": f"description: the first\n{BASE}",
            "m.yaml": f"extends: z\nremove: [3]\nreleases: [{OTHER}]\nfaults: []\n",
            "a.yaml": "extends: m\nremove: [9]\napiKeys: []\norder: newest-first\nfaults:\n",
            "b.yaml": "extends: z\napiKeys: ~\norder: ~\nfaults: ~\ndescription: mine\n",
        },
    )
    found = load_scenarios(tmp_path)
    assert list(found) == ["a", "b", "m", "z"]
    settings = {
        name: (each.description, each.api_keys, each.order, len(each.faults))
        for name, each in found.items()
    }
    assert settings == {
        "z": ("the first", ("a", "b"), "as-written", 1),
        "m": ("", ("a", "b"), "as-written", 0),
        "a": ("", (), "newest-first", 0),
        "b": ("mine", ("a", "b"), "as-written", 1),
    }
    assert {name: ids(each) for name, each in found.items()} == {
        "z": [2, 1, 3],
        "m": [2, 1, 9],
        "a": [2, 1],
        "b": [2, 1, 3],
    }
    assert found["b"].faults == found["z"].faults
    for each in found.values():
        names = [item["name"] for item in json.loads(body(each, calls=1)) if item["id"] == 1]
        assert names == ["X"]


def test_own_names_hide_shipped_ones(tmp_path: Path) -> None:
    """A name means the file of the same directory first; shipped ones build on shipped ones."""
    write(
        tmp_path,
        {
            "documented.yaml": one(),
            "mine.yaml": "extends: documented\n",
            "theirs.yaml": "extends: flaky\n",
        },
    )
    found = load_scenarios(tmp_path)
    assert ids(found["mine"]) == [1]
    assert ids(found["theirs"]) == [4, 3, 2, 1, 7, 6, 5]
    assert found["theirs"].faults == load_scenarios(shipped_scenarios())["flaky"].faults
    assert sorted(found) == ["documented", "mine", "theirs"]


def test_generated_ones_come_on_top_of_a_base(tmp_path: Path) -> None:
    """What is generated comes in addition: nothing of the base is lost, nothing removed is back."""
    base = outcome(tmp_path, "extends: documented\nremove: [3]\n")
    all_ = outcome(tmp_path, "extends: documented\nremove: [3]\ngenerate: {releases: 20}\n")
    assert [release for release in all_ if release in base] == base
    assert len(all_) == len(base) + 20


SIZES = [(2_000, 50, 1), (200, 7, 3), (300, 1, -5), (40, 10_000, 0)]


@pytest.fixture(scope="module", params=SIZES, ids=str)
def generated(request: pytest.FixtureRequest) -> tuple[list[dict[str, Any]], int]:
    """A generated instance, oldest first, and how many applications it was to have."""
    size, applications, seed = request.param
    wanted = {"releases": size, "applications": applications, "seed": seed}
    answer = json.loads(body(inline_scenario({"generate": wanted})))
    assert len(answer) == size
    return answer[::-1], applications


Generated = tuple[Sequence[Mapping[str, Any]], int]


def test_generated_ones_are_valid(generated: Generated) -> None:
    """Ids go from 1 to n, dates only up, and every release is one that a file could have."""
    releases, applications = generated
    assert [release["id"] for release in releases] == list(range(1, len(releases) + 1))
    dates = [release["createdOn"] for release in releases]
    assert dates == sorted(dates)
    schema = ReleaseSchema(many=True)
    assert json.loads(json.dumps(schema.dump(completed(schema.load(releases))))) == releases
    names = {(release["applicationId"], release["applicationName"]) for release in releases}
    assert len(names) == len({id_ for id_, _ in names}) == len({name for _, name in names})
    assert {id_ for id_, _ in names} <= set(range(1, applications + 1))


def test_generated_ones_look_like_life(generated: Generated) -> None:
    """Active ones are few and new, canceled ones were canceled later, builds go up."""
    releases, _ = generated
    by_application: dict[int, list[Mapping[str, Any]]] = {}
    last_build = 0
    for release in releases:
        of_application = by_application.setdefault(release["applicationId"], [])
        of_application.append(release)
        assert release["sequence"] == len(of_application)
        assert ("canceledOn" in release) == (release["status"] == "canceled")
        if release["status"] == "canceled":
            assert release["canceledBy"]
            assert release["canceledOn"] > release["createdOn"]
        if "latestBuildId" in release:
            assert last_build < release["furthestBuildId"] <= release["latestBuildId"]
            assert 1 <= int(release["furthestBuildNumber"]) <= int(release["latestBuildNumber"])
            last_build = release["latestBuildId"]
        assert release.get("targetDate", "9") > release["createdOn"]
    for of_application in by_application.values():
        assert all(release["status"] != "active" for release in of_application[:-2])
        numbers = [tuple(map(int, str(each["number"]).split("."))) for each in of_application]
        assert all(earlier < later for earlier, later in pairwise(numbers))


def test_generated_ones_are_the_same_everywhere() -> None:
    """A seed makes the same releases, byte by byte, on every machine and under every Python."""
    wanted = {"releases": 500, "applications": 20, "seed": 7}
    made = create_app().test_client()
    made.put("/__admin/scenario", json={"extends": "documented", "generate": wanted})
    answer = made.get("/api/releases", headers={"X-ApiKey": "abc12345"})
    digest = "e4b6b5a85eccda9ae420fb1854af5f42521633facc9d4d4b5710d0acd914cdc0"
    assert hashlib.sha256(answer.data).hexdigest() == digest


def test_the_shipped_large_one_has_everything() -> None:
    """`large` has 10,000 releases of 50 applications; each kind of value occurs, in proportion."""
    releases = load_scenarios(shipped_scenarios())["large"].records("releases")
    assert len(releases) == 10_000
    assert len({release["applicationName"] for release in releases}) == 50
    statuses = Counter(release["status"] for release in releases)
    assert set(statuses) == set(STATUSES)
    assert statuses["active"] < statuses["canceled"] < statuses["deployed"]
    pipelines = Counter(release.get("pipelineName") for release in releases)
    assert None in pipelines
    assert len(pipelines) >= 4
    for name in ("template", "targetDate", "latestBuildId"):
        assert 0 < sum(name in release for release in releases) < 10_000
    assert len({release["createdBy"] for release in releases}) > 3
    biggest = Counter(release["applicationId"] for release in releases).most_common(5)
    assert sum(count for _, count in biggest) > 5_000


SHA256 = "564ddc15ce869fd9"
"""Of {releases: 200, applications: 7, seed: 3}, so that every Python makes the same of it."""


def test_generating_is_repeatable() -> None:
    """The same numbers give the same bytes in any process and Python; another seed, others."""
    three, four = (
        body(inline_scenario({"generate": {"releases": 200, "applications": 7, "seed": seed}}))
        for seed in (3, 4)
    )
    assert three != four
    assert hashlib.sha256(three).hexdigest()[:16] == SHA256


def test_an_own_file_may_build_on_the_shipped_one_of_its_name(tmp_path: Path) -> None:
    """A file that has the name of a shipped scenario and extends it means the shipped one."""
    (tmp_path / "single.yaml").write_text(
        "extends: single\nreleases: [{id: 2, number: 2, applicationId: 1, applicationName: A}]\n"
    )
    assert ids(load_scenarios(tmp_path)["single"]) == [2, 1]
