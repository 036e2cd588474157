"""Answers of real servers becoming scenario files, and scenarios surviving as text."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scenario_rows import body, write

from mockbm import MockServer, ScenarioError, create_app
from mockbm.cli import main
from mockbm.core.scenario import DEFAULT_API_KEY, Scenario
from mockbm.endpoints.releases import ReleaseSchema
from mockbm.files.directory import inline_scenario, load_scenarios, shipped_scenarios
from mockbm.importer import imported, scenario_text

STATIC = [
    name
    for name, scenario in load_scenarios(shipped_scenarios()).items()
    if scenario.api_keys and not scenario.is_live and scenario.size is None
]
RUN = [sys.executable, "-c", "from mockbm.cli import main; main(prog_name='mockbm')"]
LEAST = {"id": 1, "number": "1", "applicationId": 1, "applicationName": "A"}


def run(*arguments: object, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run `mockbm import` to its end."""
    command = [*RUN, "import", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=60)


def fetched(server: MockServer, scenario: str) -> bytes:
    """What a mock answers over HTTP with this scenario."""
    server.use(scenario)
    headers = {"X-ApiKey": server.api_key}
    request = urllib.request.Request(f"{server.url}/api/releases", headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        body: bytes = answer.read()
    return body


def loaded(directory: Path, values: Any) -> Scenario:
    """A scenario after its way through a file."""
    text = scenario_text(values)
    (directory / "t.yaml").write_text(text, encoding="utf-8", newline="")
    return load_scenarios(directory)["t"]


def reimported(directory: Path, *answers: bytes, anonymize: bool = False) -> bytes:
    """What the scenario answers that is imported from these answers."""
    named = ((f"{number}.json", answer) for number, answer in enumerate(answers))
    return body(loaded(directory, imported(named, anonymize=anonymize)))


def array(*releases: dict[str, Any]) -> bytes:
    """An answer with releases that have what is required, and this."""
    return json.dumps([LEAST | release for release in releases]).encode()


def test_round_trip(tmp_path: Path) -> None:
    """What the mock answers can be imported and served, and it is the same bytes."""
    with MockServer() as server:
        answers = {name: fetched(server, name) for name in STATIC}
    for name, answer in answers.items():
        values = imported([(f"{name}.json", answer)])
        write(tmp_path, {f"{name}.yaml": scenario_text(values)})
        write(tmp_path, {f"{name}-json.json": scenario_text(values, as_json=True)})
    (tmp_path / "all.txt").write_bytes(answers["documented"])
    done = run(tmp_path / "all.txt", "--output", tmp_path / "ours.yaml")
    said = f"{tmp_path / 'ours.yaml'}: 7 releases\n"
    assert (done.returncode, done.stdout.decode(), done.stderr) == (0, said, b"")
    with MockServer(tmp_path) as server:
        assert fetched(server, "ours") == answers["documented"]
        for name, answer in answers.items():
            assert fetched(server, name) == fetched(server, f"{name}-json") == answer, name
    assert len(answers) > 5


AS_WRITTEN = {
    "otherwise": "extends: documented\norder: as-written\n",
    "the same": "extends: single\norder: as-written\n",
    "oldest first": "extends: every-status\norder: as-written\nremove: []\n",
    "with odd values": "extends: unicode-and-odd-values\norder: as-written\n",
    "generated": "generate: {releases: 120, applications: 5}\norder: as-written\n",
}


@pytest.mark.parametrize("content", AS_WRITTEN.values(), ids=AS_WRITTEN)
def test_round_trip_in_an_order_of_its_own(content: str, tmp_path: Path) -> None:
    """An answer in whatever order is served in that order."""
    write(tmp_path, {"t.yaml": content})
    answer = body(load_scenarios(tmp_path)["t"])
    ids = [release["id"] for release in json.loads(answer)]
    values = imported([("a.json", answer)])
    assert ("order" in values) == (
        body(inline_scenario({"releases": json.loads(answer)})) != answer
    )
    reloaded = body(loaded(tmp_path, values))
    assert [release["id"] for release in json.loads(reloaded)] == ids
    assert reloaded == answer


LISTS = (
    "/api/releases",
    "/api/releases/builds",
    "/api/releases/builds/deployments",
    "/api/applications/list",
)
SIBLINGS = [
    *("documented", "release-train", "failing-deployment", "deployment-pending", "approval"),
    *("deploy-in-progress", "single", "empty", "many-applications"),
]


def asked(client: Any, path: str) -> bytes:
    """What a mock answers under a path."""
    body: bytes = client.get(path, headers={"X-ApiKey": DEFAULT_API_KEY}).data
    return body


@pytest.mark.parametrize("older", [False, True], ids=["builds", "packages"])
@pytest.mark.parametrize("scenario", SIBLINGS)
def test_round_trip_of_all_kinds(scenario: str, older: bool, tmp_path: Path) -> None:
    """What the endpoints that list records answer can be imported at once, and is served again."""
    lists = [path.replace("builds", "packages") if older else path for path in LISTS]
    client = create_app(scenario=scenario).test_client()
    answers = {path: asked(client, path) for path in lists}
    ids = [deployment["id"] for deployment in json.loads(answers[lists[2]])]
    parents = {f"{lists[2]}?deploymentId={id_ - 1}": b"" for id_ in ids}
    client = create_app(scenario=scenario).test_client()  # whose deployments have not gone on
    parents = {path: asked(client, path) for path in parents}
    values = imported({**answers, **parents}.items())
    assert "order" not in values
    write(tmp_path, {"t.yaml": scenario_text(values)})
    for recorded in (answers, parents):
        client = create_app(tmp_path).test_client()
        assert {path: asked(client, path) for path in recorded} == recorded


BUILD_OF_4 = {
    "id": 6,
    "number": "2",
    "status": "active",
    "createdBy": "API",
    "createdOn": "2024-03-04T09:00:00.0000000Z",
    "applicationId": 1,
    "applicationName": "A",
    "pipelineName": "P",
    "furthestStage": "QA",
    "releaseId": 4,
    "releaseNumber": "1.0",
    "releaseName": "1.0",
    "buildNumber": "2",
    "risk": "low",
    "approvals": [1.5, "1.5"],
}
DEPLOYMENT_OF_6 = {
    "id": 21,
    "plan": "Deploy",
    "status": "succeeded",
    "started": BUILD_OF_4["createdOn"],
    "ended": None,
    "createdBy": "API",
    "createdOn": BUILD_OF_4["createdOn"],
    "pipelineName": "P",
    "pipelineStageName": "QA",
    "environmentId": 3,
    "applicationId": 1,
    "applicationName": "A",
    "releaseId": 4,
    "releaseNumber": "1.0",
    "releaseName": "1.0",
    "buildId": 6,
    "buildNumber": "2",
    "packageId": 6,
    "packageNumber": "2",
    "risk": None,
}
FULL_RELEASE = {
    "id": 4,
    "number": "1.0",
    "name": "1.0",
    "sequence": 1,
    "status": "active",
    "createdBy": "SYSTEM",
    "createdOn": "2024-03-01T00:00:00.0000000Z",
    "applicationId": 1,
    "applicationName": "A",
    "pipelineName": "P",
    "furthestBuildId": 6,
    "furthestBuildNumber": "2",
    "latestBuildId": 7,
    "latestBuildNumber": "3",
    "deployables": [],
    "furthestPackageId": 6,
    "furthestPackageNumber": "2",
    "latestPackageId": 7,
    "latestPackageNumber": "3",
    "releaseName": "1.0",
    "releaseNumber": "1.0",
}
APPLICATION_1 = {
    "id": 1,
    "name": "A",
    "active": True,
    "buildNumberScheme": "Unique",
    "releaseUsage": "Optional",
    "allowIssues": True,
    "raftId": 1,
}
SERVERS: dict[str, list[list[dict[str, Any]]]] = {
    "builds whose releases were not recorded": [[], [BUILD_OF_4], [], [APPLICATION_1]],
    "deployments alone": [[], [], [DEPLOYMENT_OF_6], []],
    "one of the builds of a release": [[FULL_RELEASE], [BUILD_OF_4], [DEPLOYMENT_OF_6], []],
    "another order than that of stages that are not known": [
        [FULL_RELEASE],
        [
            {**BUILD_OF_4, "id": 7, "number": "3", "buildNumber": "3", "furthestStage": "Dev"},
            BUILD_OF_4,
        ],
        [DEPLOYMENT_OF_6],
        [APPLICATION_1],
    ],
    "two builds in one stage": [
        [FULL_RELEASE],
        [{**BUILD_OF_4, "id": 7, "number": "3", "buildNumber": "3"}, BUILD_OF_4],
        [],
        [],
    ],
    "the oldest first": [
        [],
        [BUILD_OF_4, {**BUILD_OF_4, "id": 7, "number": "3", "buildNumber": "3"}],
        [DEPLOYMENT_OF_6, {**DEPLOYMENT_OF_6, "id": 22}],
        [{**APPLICATION_1, "id": 3}, APPLICATION_1, {**APPLICATION_1, "id": 2}],
    ],
}


@pytest.mark.parametrize("answers", SERVERS.values(), ids=SERVERS)
def test_what_a_server_has_is_served(answers: list[list[dict[str, Any]]], tmp_path: Path) -> None:
    """Whatever part of a server was recorded, with properties of its own, is served again."""
    texts = [
        json.dumps(records, separators=(",", ":"), ensure_ascii=False).encode()
        for records in answers
    ]
    values = imported([(f"{number}.json", text) for number, text in enumerate(texts)])
    write(tmp_path, {"t.yaml": scenario_text(values)})
    client = create_app(tmp_path).test_client()
    for path, text in zip(LISTS, texts, strict=True):
        if text != b"[]":
            assert asked(client, path) == text, path


def test_a_command_takes_answers_of_several_kinds(tmp_path: Path) -> None:
    """The kind of each file is seen from what it holds, and they may come in any order."""
    for name, records in {
        "c.txt": [DEPLOYMENT_OF_6],
        "b.txt": [BUILD_OF_4],
        "a.txt": [FULL_RELEASE],
        "d.txt": [APPLICATION_1],
    }.items():
        (tmp_path / name).write_text(json.dumps(records))
    files = [tmp_path / f"{letter}.txt" for letter in "cbad"]
    done = run(*files, "--output", tmp_path / "t.yaml")
    said = f"{tmp_path / 't.yaml'}: 1 release, 1 application, 1 build, 1 deployment\n"
    assert (done.returncode, done.stdout.decode(), done.stderr) == (0, said, b"")
    text = (tmp_path / "t.yaml").read_text()
    keys = re.findall(r"^\w+", text, re.MULTILINE)
    assert keys == ["description", "applications", "releases", "builds", "deployments"]


TWINS = [
    {**FULL_RELEASE, "furthestPackageId": 9},
    {**FULL_RELEASE, "id": 5, "furthestPackageId": 9, "releaseName": "Summer"},
]


@pytest.mark.parametrize(("prefer", "id_", "name"), [("newer", 6, "1.0"), ("older", 9, "Summer")])
def test_names_whose_values_differ(prefer: str, id_: int, name: str, tmp_path: Path) -> None:
    """With --prefer, one of two names counts, and a line says in how many records."""
    answer = json.dumps(TWINS).encode()
    done = run("-", "--output", tmp_path / "t.yaml", "--prefer", prefer, stdin=answer)
    says = "differs from {}, and {} is taken, in {}\n"
    which = (
        ("furthestBuildId", "name") if prefer == "newer" else ("furthestPackageId", "releaseName")
    )
    assert (done.returncode, done.stderr.decode()) == (
        0,
        "<stdin>: furthestPackageId "
        + says.format("furthestBuildId", which[0], "2 releases")
        + "<stdin>: releaseName "
        + says.format("name", which[1], "1 release"),
    )
    found = {row["id"]: row for row in json.loads(body(load_scenarios(tmp_path)["t"]))}
    for row in found.values():
        assert (row["furthestBuildId"], row["furthestPackageId"]) == (id_, id_)
    assert (found[5]["name"], found[5]["releaseName"]) == (name, name)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_encodings(encoding: str) -> None:
    """What a shell wrote in another encoding of Unicode is read, with a mark or without."""
    release = {**LEAST, "name": "Ü 🚀"}
    answer = json.dumps([release], ensure_ascii=False).encode(encoding)
    assert imported([("a.json", answer)])["releases"] == [release]


def test_persons_get_the_same_names_in_all_kinds() -> None:
    """A person is one alias in releases, builds and deployments; API is no person."""
    answers = [
        [{**FULL_RELEASE, "createdBy": "CORP\\jdoe"}],
        [{**BUILD_OF_4, "rejectedBy": "CORP\\jdoe", "createdBy": "API"}],
        [{**DEPLOYMENT_OF_6, "canceledBy": "Ann", "plan": "Deploy for JDOE"}],
    ]
    named = [(str(number), json.dumps(answer).encode()) for number, answer in enumerate(answers)]
    values = imported(named, anonymize=True)
    (deployment,) = values["deployments"]
    assert values["releases"][0]["createdBy"] == "Person1"
    assert (
        values["builds"][0] | {"rejectedBy": "Person1", "createdBy": "API"} == values["builds"][0]
    )
    assert (deployment["canceledBy"], deployment["plan"]) == ("Person2", "Deploy for Person1")


JSONS = [
    *("0", "-1", "0.5", "-0.0", "1e+20", "1e-07", "1.5e+300", "5e-324", "123456789012"),
    *("12345678901234567890123", "123456789012345678901234567890", "-1" + "0" * 40),
    *("true", "false", "null", "[]", "{}", "[[],{}]", '[null,true,0.5,"0.5",{"a":[1,"1"]}]'),
    *('""', '" "', '"0.5"', '"1e+20"', '"010"', '"null"', '"~"', '"true"', '"no"', '"2024-03-04"'),
    *('"2024-03-04T09:03:43.9200000Z"', '"now-3d"', '"🚀"', '"é\\"\\\\\'"', '"a\\nb\\r\\n\\tc"'),
    *('"a\\n"', '"\\n a"', '"- a"', '"a: b"', '"a #b"', '"{"', '"<<"', '"\\u0000\\u001b\\u007f"'),
    *('"a\u2028b"', '"a \u2029 b"', '"a\x85b"', '"\ufeff"', '"\ufdd1"', '"\ufdd1\u2028"'),
    *('{"":1,"~":2,"1":3,"a b":4,"<<":5,"a: b":6,"true":7,"🚀":8}', '{"a\u2028b":1}'),
    *('{"deployables":[1],"extra":{"id":1},"id":"x"}', '{"a":{"b":{"c":{"d":[{"e":null}]}}}}'),
    json.dumps("x " * 200),
    "[" * 20 + "]" * 20,
]


@pytest.mark.parametrize("text", JSONS, ids=lambda text: ascii(text)[:40])
def test_unknown_properties_are_served_verbatim(text: str, tmp_path: Path) -> None:
    """A property that mockbm does not know has its name and its value as they were written."""
    written = json.dumps(json.loads(text), ensure_ascii=False) if text.startswith('"') else text
    names = ("zeta", "a b", "1", "null", "Id", "~")
    unknown = ",".join(f'"{name}":{written}' for name in names)
    least = body(inline_scenario({"releases": [LEAST]}))
    answer = least[:-2] + f",{unknown}}}]".encode()
    assert reimported(tmp_path, answer) == answer


def test_properties_named_like_keys_of_files_are_served_verbatim(tmp_path: Path) -> None:
    """A server's own property `absent`, `changes` or `extra` is one that mockbm does not know."""
    least = body(inline_scenario({"releases": [LEAST]}))
    answer = least[:-2] + b',"absent":true,"changes":[],"extra":{"a":1}}]'
    assert reimported(tmp_path, answer) == answer


def test_odd_line_ends_in_names(tmp_path: Path) -> None:
    """A name with a line end that only YAML 1.1 knows is pasted as well as a text with one."""
    release = json.dumps(LEAST | {"deployables": [{"a\u2028b": 1}]}, ensure_ascii=False)
    write(tmp_path, {"t.yaml": f"releases: [{release}]\n"})
    answer = json.loads(body(load_scenarios(tmp_path)["t"]))
    assert answer[0]["deployables"] == [{"a\u2028b": 1}]


def test_of_several_files_the_last_wins(tmp_path: Path) -> None:
    """Several answers become one scenario; of a release that occurs twice the later one counts."""
    (tmp_path / "a.txt").write_bytes(array({"template": "old"}, {"id": 2}))
    (tmp_path / "b.txt").write_bytes(b"\xef\xbb\xbf" + array({"id": 3}, {"template": "new"}))
    done = run(tmp_path / "a.txt", tmp_path / "b.txt", "--output", tmp_path / "t.yaml")
    assert done.returncode == 0, done
    scenario = load_scenarios(tmp_path)["t"]
    found = {release["id"]: release.get("template") for release in scenario.records("releases")}
    assert found == {1: "new", 2: None, 3: None}
    assert scenario.description == "What a server answered, imported from a.txt, b.txt."


def test_ids_may_be_written_in_two_ways(tmp_path: Path) -> None:
    """An id in quotes is the same id, so that the later release wins there, too."""
    found = reimported(tmp_path, array({"template": "old"}), array({"id": "1"}))
    assert found == body(inline_scenario({"releases": [LEAST]}))


def test_an_old_server_knows_only_the_older_names(tmp_path: Path) -> None:
    """What only an older name has is answered under the name of today and the older one."""
    release = {
        "id": 1,
        "number": "1.0",
        "applicationId": 1,
        "applicationName": "A",
        "furthestPackageId": 6,
        "latestPackageNumber": "07",
    }
    values = imported([("old.json", json.dumps([release]).encode())])
    (answered,) = json.loads(body(loaded(tmp_path, values)))
    assert release.items() <= answered.items()
    assert (answered["furthestBuildId"], answered["latestBuildNumber"]) == (6, "07")


def test_from_standard_input_to_standard_output(tmp_path: Path) -> None:
    """`-` is the standard input, and without --output the file goes to the standard output."""
    done = run("-", stdin=array({"name": "Ü 🚀"}))
    assert (done.returncode, done.stderr) == (0, b"")
    (tmp_path / "t.yaml").write_bytes(done.stdout)
    assert json.loads(body(load_scenarios(tmp_path)["t"]))[0]["name"] == "Ü 🚀"


def test_a_tidy_file(tmp_path: Path) -> None:
    """The file is what a person would have written: nothing that goes without saying."""
    answer = body(load_scenarios(shipped_scenarios())["documented"])
    (tmp_path / "all.json").write_bytes(answer[:-2] + b',"new":null,"newer":"1"}]')
    done = run(tmp_path / "all.json")
    text = done.stdout.decode()
    assert text.startswith("description: What a server answered, imported from all.json.\n")
    assert not [word for word in ("Package", "releaseN", "deployables", "order") if word in text]
    assert text.count("  name: ") == 4
    assert text.splitlines()[2:6] == [
        "- id: 4",
        "  number: 1.0.1",
        "  sequence: 2",
        "  status: active",
    ]
    assert text.endswith("  extra:\n    new: null\n    newer: '1'\n")


def test_persons_get_other_names(tmp_path: Path) -> None:
    """With --anonymize, no person's name is left: one alias for each, and SYSTEM stays."""
    answer = array(
        {
            "status": "canceled",
            "createdBy": "MikeJones",
            "canceledBy": "Mike",
            "name": "for MikeJones, by AnnBrown (Mike)",
            "applicationName": "Mikes",
            "deployables": [{"requestedBy": "AnnBrown", "note": ["ask mike@x.org", "or Mike."]}],
            "approval": {"ownerEmail": "mike@x.org", "approvedBy": ["AnnBrown", "SYSTEM"]},
        },
        {"id": 2, "createdBy": "SYSTEM", "approver": {"userName": "a.*b"}, "note": "a.*b aXXb"},
        {"id": 3, "createdBy": "AnnBrown", "lastUser": "", "deployables": [{"MikeJones": 1}]},
    )
    (tmp_path / "all.txt").write_bytes(answer)
    done = run("--anonymize", tmp_path / "all.txt", "--output", tmp_path / "t.yaml")
    assert done.returncode == 0, done
    text = (tmp_path / "t.yaml").read_text(encoding="utf-8")
    by_id = {item["id"]: item for item in json.loads(body(load_scenarios(tmp_path)["t"]))}
    first = by_id[1]
    mike_jones, mike, ann = first["createdBy"], first["canceledBy"], by_id[3]["createdBy"]
    mail = first["approval"]["ownerEmail"]
    aliases = {mike_jones, mike, ann, mail, by_id[2]["approver"]["userName"]}
    assert aliases == {f"Person{number}" for number in range(1, 6)}
    assert first["name"] == f"for {mike_jones}, by {ann} ({mike})"
    assert first["applicationName"] == "Mikes"
    assert first["deployables"] == [{"requestedBy": ann, "note": [f"ask {mail}", f"or {mike}."]}]
    assert first["approval"]["approvedBy"] == [ann, "SYSTEM"]
    assert by_id[2]["createdBy"] == "SYSTEM"
    assert by_id[2]["note"] == f"{by_id[2]['approver']['userName']} aXXb"
    assert by_id[3]["lastUser"] == ""
    names = ("MikeJones", "AnnBrown", "mike@x.org", "a.*b")
    assert not [name for name in names if name in text]


FORMS = {
    "Anna Müller": ("ANNA MÜLLER template", "anna müller's", "(Anna Müller)"),
    "Jörg Groß": ("JÖRG GROSS", "jörg groß", "jörg gross"),
    "İpek": ("by İpek",),
    "CORP\\jdoe": ("3.0-JDOE", "corp\\JDoe", "jdoe"),
    "bob@corp.example": ("for bob", "BOB@corp.example", "Bob's"),
    "CORP\\ann@corp.example": ("ann", "ANN"),
}


@pytest.mark.parametrize("person", FORMS)
def test_persons_in_other_forms(person: str, tmp_path: Path) -> None:
    """A name is found in any case, and an account without its domain; both get one alias."""
    answer = array({"createdBy": person, "notes": [*FORMS[person], "jdoes", "bobby", "SYSTEM"]})
    found = json.loads(reimported(tmp_path, answer, anonymize=True))[0]
    *notes, jdoes, bobby, system = found["notes"]
    assert (jdoes, bobby, system) == ("jdoes", "bobby", "SYSTEM")
    assert all("Person1" in note for note in notes), notes
    words = re.findall(r"\w+", person.casefold())
    assert not [note for note in notes if set(words) & set(re.findall(r"\w+", note.casefold()))]


def test_nobody_is_no_person(tmp_path: Path) -> None:
    """SYSTEM is no person, not even as an account, and a number after a domain names nothing."""
    persons = ["CORP\\SYSTEM", "CORP\\1", "SYSTEM"]
    answer = array(*({"id": n, "createdBy": person} for n, person in enumerate(persons)))
    found = json.loads(reimported(tmp_path, answer, anonymize=True))
    assert [item["createdBy"] for item in found] == ["Person1", "Person2", "SYSTEM"]
    assert {item["number"] for item in found} == {"1"}


ODD_PERSONS = ["active", "A", "1", "Z", "2024", "id", "00", "Person2", "é", "-", "\\g<0>"]


@pytest.mark.parametrize("person", ODD_PERSONS)
def test_persons_whose_names_mean_something_else(person: str, tmp_path: Path) -> None:
    """Whatever a person is called, the rest of the release stays a release."""
    answer = array(
        {"status": "active", "createdBy": person, "createdOn": "2024-03-04T09:00:00-00:00"}
    )
    found = json.loads(reimported(tmp_path, answer, anonymize=True))[0]
    rest = (found["status"], found["createdOn"], found["createdBy"])
    assert rest == ("active", "2024-03-04T09:00:00.0000000Z", "Person1")


def test_persons_that_are_numbers(tmp_path: Path) -> None:
    """A person whose name came as a number gets another one, too."""
    answer = array({"createdBy": 4711})
    assert json.loads(reimported(tmp_path, answer, anonymize=True))[0]["createdBy"] == "Person1"


KINDS = "of releases, builds, deployments or applications"
ERRORS: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "-: file: is not JSON: "),
    "no JSON": (b"<html>", "-: file: is not JSON: Expecting value at line 1, column 1"),
    "half": (array({})[:-9], "-: file: is not JSON: "),
    "no UTF-8": (b"[\xff]", "-: file: is not UTF-8: byte 0xff at 1; save it as UTF-8"),
    "deep": (b"[" * 100_000, "-: file: is not JSON: "),
    "an object": (b"{}", f"-: file: is not a JSON array {KINDS}, as a server answers it\n"),
    "null": (b"null", f"-: file: is not a JSON array {KINDS}, as a server answers it\n"),
    "numbers": (b"[1]", "-: releases[0]: expected a release, as in `- id: 1`"),
    "list in list": (b"[[]]", "-: releases[0]: expected a release, as in `- id: 1`"),
    "wrong values": (
        array({}, {"id": 2, "status": "Active", "createdOn": "x"}),
        "-: releases[1].createdOn: 'x' is not a date; write it like 2024-03-04 or "
        "2024-03-04T09:03:43.9200000Z, with at most seven decimals\n"
        "-: releases[1].status: 'Active' is not one of active, canceled, deployed; "
        "did you mean active?\n",
    ),
    "things left out": (
        b'[{"id":1,"number":"1","applicationId":1}]',
        "releases[0].applicationName: is ",
    ),
    "unknown not a number": (array({"x": float("nan")}), "-: "),
    "unknown half a letter": (array({"x": "\ud83d"}), "-: "),
    "unknown half a letter in a name": (array({"\ud83d": 1}), "-: "),
    "known half a letter": (array({"name": "\ud83d"}), "-: releases[0].name: "),
    "unknown too deep": (array({"x": json.loads("[" * 40 + "]" * 40)}), "-: "),
    "known too deep": (array({"deployables": json.loads("[" * 40 + "]" * 40)}), "-: "),
    "id a list": (array({"id": [1]}), "-: releases[0].id: a list is not an integer"),
}


@pytest.mark.parametrize(("answer", "message"), ERRORS.values(), ids=ERRORS)
def test_what_cannot_be_imported(answer: bytes, message: str) -> None:
    """What is no answer of releases is refused in a line for each problem."""
    with pytest.raises(ScenarioError) as raised:
        imported([("-", answer)])
    assert message in f"{raised.value}\n"


def test_no_file_comes_of_what_cannot_be_imported(tmp_path: Path) -> None:
    """The command ends with the status 1 and the problem, and writes nothing."""
    output = tmp_path / "t.yaml"
    done = run("-", "--output", output, stdin=b"{}")
    said = f"<stdin>: file: is not a JSON array {KINDS}, as a server answers it\n"
    assert (done.returncode, done.stdout, done.stderr.decode()) == (1, b"", said)
    assert not output.exists()


def test_files_that_are_there_or_not(tmp_path: Path) -> None:
    """A file to read has to be there, one to write must not; usage errors have status 2."""
    (tmp_path / "a.json").write_bytes(array({}))
    (tmp_path / "t.yaml").write_text("mine")
    done = run(tmp_path / "a.json", "--output", tmp_path / "t.yaml")
    said = f"cannot write {tmp_path / 't.yaml'}: File exists\n"
    assert (done.returncode, done.stdout, done.stderr.decode()) == (1, b"", said)
    assert (tmp_path / "t.yaml").read_text() == "mine"
    done = run(tmp_path / "a.json", "--output", tmp_path / "no" / "t.yaml")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode().endswith("No such file or directory\n")
    for arguments, message in {
        (tmp_path / "b.json",): "b.json': No such file or directory",
        (tmp_path,): "Is a directory",
        (tmp_path / "a.json", "--output", tmp_path): "is a directory",
        (): "Missing argument 'FILE...'",
    }.items():
        with pytest.raises(click.UsageError) as raised:
            main.main(["import", *map(str, arguments)], standalone_mode=False)
        assert raised.value.exit_code == 2
        assert message in raised.value.format_message()


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text here")
def test_a_file_with_an_odd_name(tmp_path: Path) -> None:
    """Whatever the file is called that is imported, a scenario comes of it."""
    odd = tmp_path / b"a: \xff #'b\n.txt".decode(errors="surrogateescape")
    odd.write_bytes(array({}))
    done = run(odd, "--output", tmp_path / "t.yaml")
    assert done.returncode == 0, done.stderr.decode()[-300:]
    assert load_scenarios(tmp_path)["t"].release_count == 1


LETTERS = (
    "ab1 \t\n\r\x00\x07\x1b\x7f\x85\xa0\u2028\u2029\ufeff\ufdd0\ufdd2\U0010ffff🚀é'\"\\:#-~|>{,%"
)
WORDS = "null ~ 1.10 no true - : << = #x !x &x *x @x %x ? 0x1F 1e3 .nan 2024-03-04 now-3d"
some_text = (
    st.sampled_from([*WORDS.split(), "- x", ": ", "a: b", " a ", "a #b", "---", "...", "x " * 90])
    | st.text(st.sampled_from(LETTERS), min_size=1, max_size=8)
    | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
)
a_text = some_text | st.just("")
number = st.integers(-(2**31), 2**31 - 1)
date = st.sampled_from(["2024-03-04", "2024-03-04T09:03:43.9200000Z", "2024-03-04 09:03+02:00"])
day = date | st.sampled_from(["now", "now-3d", "now+1.5h"])
leaf = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
value = st.recursive(
    leaf | a_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(a_text, inner, max_size=3),
    max_leaves=6,
)
known = ReleaseSchema().fields
life = st.sampled_from(
    [
        {"status": "active"},
        {"status": "deployed"},
        {"status": "canceled"},
        {"status": "canceled", "canceledBy": "null", "canceledOn": "now-1h"},
        {"status": None},
        {},
    ]
)
optional = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("name", "template", "createdBy", "pipelineName"), a_text | st.none()),
        **dict.fromkeys(("furthestBuildNumber", "latestBuildNumber"), a_text),
        **dict.fromkeys(("sequence", "pipelineId", "furthestBuildId", "latestBuildId"), number),
        **dict.fromkeys(("createdOn", "targetDate"), day),
        "deployables": st.lists(value, max_size=2),
        "extra": st.dictionaries(a_text.filter(lambda name: name not in known), value, max_size=3),
        "absent": st.booleans(),
        "changes": st.builds(
            lambda steps: [{"after": f"{i} calls", **step} for i, step in enumerate(steps)],
            st.lists(
                st.tuples(
                    life, st.fixed_dictionaries({}, optional={"name": a_text, "targetDate": day})
                )
                .map(lambda two: two[0] | two[1])
                .filter(lambda step: any(value is not None for value in step.values())),
                max_size=3,
            ),
        ),
    },
)
release = st.builds(
    lambda required, others, state: {**required, **others, **state},
    st.fixed_dictionaries(
        {
            "id": st.integers(1, 12) | number,
            "number": some_text | st.integers(0, 9),
            "applicationId": st.integers(1, 2) | number,
            "applicationName": some_text,
        }
    ),
    optional,
    life,
)
fault = st.fixed_dictionaries(
    {"respond": st.fixed_dictionaries({"status": st.integers(400, 599), "body": a_text})},
    optional={
        "when": st.fixed_dictionaries({"applicationName": a_text}),
        "after": st.integers(0, 9),
    },
)
scenario_values = st.fixed_dictionaries(
    {"releases": st.lists(release, max_size=4, unique_by=lambda item: item["id"])},
    optional={
        "description": a_text,
        "apiKeys": st.lists(some_text, max_size=2),
        "order": st.sampled_from(["newest-first", "as-written", None]),
        "faults": st.lists(fault, max_size=2),
        "generate": st.fixed_dictionaries({"releases": st.integers(0, 3), "seed": number}),
    },
)


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(values=scenario_values)
def test_any_scenario_survives_as_text(values: dict[str, Any], tmp_path: Path) -> None:
    """Whatever a scenario says, its text says the same: equal when loaded, equal when served."""
    wanted = inline_scenario(values)
    found = loaded(tmp_path, values)
    for part in ("description", "api_keys", "order", "faults", "size"):
        assert getattr(found, part) == getattr(wanted, part)
    assert list(found.records("releases")) == list(wanted.records("releases"))
    for calls in range(4):
        assert body(found, calls) == body(wanted, calls)
