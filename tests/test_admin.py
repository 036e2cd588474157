"""The admin API over HTTP."""

from __future__ import annotations

import gzip
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import requests

from mockbm import MockServer, __version__
from mockbm.files.directory import shipped_scenarios

NAMES = sorted(path.stem for path in shipped_scenarios().glob("*.yaml"))


def admin(server: MockServer, method: str, path: str, **more: Any) -> requests.Response:
    """Call the admin API of a mock."""
    return requests.request(method, f"{server.url}/__admin{path}", timeout=10, **more)


def test_lists_scenarios(server: MockServer) -> None:
    """The list tells name, description, number of releases and which one is active."""
    listed = admin(server, "GET", "/scenarios").json()
    assert listed["active"] == "documented"
    assert [scenario["name"] for scenario in listed["scenarios"]] == NAMES
    by_name = {scenario["name"]: scenario for scenario in listed["scenarios"]}
    assert [name for name, scenario in by_name.items() if scenario["active"]] == ["documented"]
    assert by_name["empty"] == {
        "name": "empty",
        "description": "An instance without any release.",
        "releaseCount": 0,
        "active": False,
        "statuses": {"active": 0, "canceled": 0, "deployed": 0},
        "applicationCount": 0,
        "applications": [],
        "apiKeys": ["abc12345"],
        "faults": [],
        "changes": 0,
    }
    assert (by_name["documented"]["releaseCount"], by_name["large"]["releaseCount"]) == (7, 10_000)


def test_shows_one_scenario_with_its_releases(server: MockServer) -> None:
    """One scenario comes with its releases as the endpoint would answer them."""
    shown = admin(server, "GET", "/scenarios/every-status").json()
    server.use("every-status")
    headers = {"X-ApiKey": shown["apiKeys"][0]}
    answer = requests.get(f"{server.url}/api/releases", headers=headers, timeout=10)
    assert shown["releases"] == answer.json()
    assert (shown["order"], shown["active"]) == ("newest-first", False)


def test_shows_the_records_that_a_scenario_begins_with(server: MockServer) -> None:
    """All kinds of records come as a session has them right after a switch to the scenario."""
    shown = admin(server, "GET", "/scenarios/release-train/state").json()
    assert {kind: len(records) for kind, records in shown.items()} == {
        "applications": 2,
        "releases": 5,
        "builds": 9,
        "deployments": 4,
    }
    server.use("release-train")
    assert admin(server, "GET", "/state").json() == shown
    unknown = admin(server, "GET", "/scenarios/release-trains/state")
    assert (unknown.status_code, unknown.json()["nearest"]) == (404, "release-train")


def test_switch_and_reset(server: MockServer) -> None:
    """A switch changes what is active, a reset brings back what the start had."""
    switched = admin(server, "PUT", "/scenario", json={"name": "empty"})
    assert (switched.status_code, switched.json()["name"]) == (200, "empty")
    assert admin(server, "GET", "/scenario").json() == switched.json()
    answer = requests.get(f"{server.url}/api/releases?key=abc12345", timeout=10)
    assert (answer.text, answer.headers["X-Mockbm-Scenario"]) == ("[]", "empty")
    assert admin(server, "POST", "/reset").json()["name"] == "documented"
    assert server.active == "documented"


BROKEN = {"headers": {"Content-Type": "application/json"}, "data": b'{"name": "empty" "x"}'}


@pytest.mark.parametrize(
    ("method", "path", "more", "status", "detail"),
    [
        (
            "GET",
            "/scenarios/emtpy",
            {},
            404,
            "did you mean empty? There are: approval, bad-re",
        ),
        (
            "PUT",
            "/scenario",
            {"json": {"name": "qqqqq"}},
            404,
            "called 'qqqqq'; there are: approval, bad-",
        ),
        ("PUT", "/scenario", {"json": {"name": "empty", "x": 1}}, 400, "x: unknown property"),
        (
            "PUT",
            "/scenario",
            {"json": {"nam": "empty"}},
            400,
            "nam: unknown property; did you mean",
        ),
        (
            "PUT",
            "/scenario",
            {"json": {"name": "empty", "releases": []}},
            400,
            "name: unknown property; a scenario has the name of its file: give the name alone, or "
            "leave it out",
        ),
        ("PUT", "/scenario", {"json": {"nam": "empty"}}, 400, "name: is missing"),
        ("PUT", "/scenario", {"json": {"name": ["empty"]}}, 400, "name: a list is not text"),
        ("PUT", "/scenario", {"json": {"name": ""}}, 400, "name: is empty"),
        ("PUT", "/scenario", {"json": ["empty"]}, 400, "body: expected named properties"),
        ("PUT", "/scenario", {"data": '{"name": "empty"}'}, 415, "application/json"),
        ("PUT", "/scenario", {"json": "x", "data": b"{"}, 415, "application/json"),
        (
            "PUT",
            "/scenario",
            BROKEN,
            400,
            "body: not valid JSON: Expecting ',' delimiter at line 1",
        ),
        ("GET", "/xyz", {}, 404, "nothing at /__admin/xyz; /__admin/ has links to the calls"),
        ("GET", "/scenaros", {}, 404, "nothing at /__admin/scenaros; did you mean /__admin/scena"),
        ("POST", "/resset", {}, 404, "did you mean /__admin/reset?"),
        ("POST", "/sessions/abc/resett", {}, 404, "did you mean /__admin/sessions/abc/reset?"),
        ("GET", "/scenario/empty", {}, 404, "did you mean /__admin/scenarios/empty?"),
        (
            "DELETE",
            "/scenario",
            {},
            405,
            "DELETE is not a call at /__admin/scenario; use GET",
        ),
        ("GET", "/reset", {}, 405, "GET is not a call at /__admin/reset; use POST"),
        ("OPTIONS", "/scenarios", {}, 405, "OPTIONS is not a call at /__admin/scenarios; use GET"),
    ],
)
def test_refusals_are_problem_details(
    server: MockServer, method: str, path: str, more: dict[str, Any], status: int, detail: str
) -> None:
    """Every refusal is a problem details document that says what is wrong, and changes nothing."""
    refused = admin(server, method, path, **more)
    document = refused.json()
    assert refused.status_code == document["status"] == status
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert detail in document["detail"]
    assert document["title"]
    assert ("Allow" in refused.headers) == (status == 405)
    near = re.search(r"did you mean (/__admin.*)\?", document["detail"])
    assert near is None or near[1] == document["nearest"]
    assert server.active == "documented"


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"name": "empty",\n "x"',
        b"\xff",
        b'{"name": NaN}',
        b'{"name": ' + b"[" * 100_000,
        gzip.compress(b'{"name": "empty"}', mtime=0),
    ],
)
def test_broken_json_is_told_as_the_endpoints_tell_it(server: MockServer, body: bytes) -> None:
    """A body that cannot be read is a 400 with the words in which an endpoint refuses it."""
    headers = {"Content-Type": "application/json", "X-ApiKey": "abc12345"}
    refused = admin(server, "PUT", "/scenario", data=body, headers=headers)
    url = f"{server.url}/api/releases"
    told = requests.post(url, data=body, headers=headers, timeout=10)
    assert (refused.status_code, told.status_code) == (400, 400)
    assert refused.json()["detail"] == told.text.strip()
    assert told.text.startswith("body: ")


def test_json_is_utf_8(server: MockServer) -> None:
    """The admin API writes letters as they are, as the endpoints do."""
    server.open_session("empty", "Über 税")
    answer = admin(server, "GET", "/sessions")
    assert '"label": "Über 税"'.encode() in answer.content


def test_allow_names_the_verbs(server: MockServer) -> None:
    """A wrong verb is told the right ones."""
    assert admin(server, "POST", "/scenario").headers["Allow"] == "GET, HEAD, PUT"


def test_an_unknown_scenario_lists_the_names(server: MockServer) -> None:
    """The 404 has the valid names and the nearest one for a program to read."""
    document = admin(server, "PUT", "/scenario", json={"name": "Singel"}).json()
    assert (document["scenarios"], document["nearest"]) == (NAMES, "single")


def test_health(server: MockServer) -> None:
    """Health tells the version and what is active; the product's own /health is another."""
    found = admin(server, "GET", "/health").json()
    assert found.pop("uptime") >= 0
    assert found.pop("loaded").endswith("Z")
    assert found == {
        "status": "ok",
        "problems": [],
        "version": __version__,
        "state": "memory",
        "scenario": "documented",
        "revision": 1,
        "scenarios": len(NAMES),
        "sessions": 0,
    }
    product = requests.get(f"{server.url}/health", timeout=10)
    assert (product.status_code, product.json()["applicationName"]) == (200, "BuildMaster")


def test_reload_takes_all_or_nothing(tmp_path: Path) -> None:
    """A reload serves the new files; with any problem the old ones stay, and all are listed."""
    (tmp_path / "start.yaml").write_text("releases: []\n")
    (tmp_path / "other.yaml").write_text("releases: []\n")
    with MockServer(tmp_path, "start") as server:
        server.use("other")
        (tmp_path / "other.yaml").write_text("description: new\nreleases: []\n")
        (tmp_path / "third.yaml").write_text("releases: []\n")
        reloaded = admin(server, "POST", "/reload")
        assert reloaded.status_code == 200
        assert [item["name"] for item in reloaded.json()["scenarios"]] == [
            "other",
            "start",
            "third",
        ]
        assert admin(server, "GET", "/scenario").json()["description"] == "new"

        (tmp_path / "start.yaml").write_text("release: []\n")
        (tmp_path / "third.yaml").write_text("releases: {}\n")
        refused = admin(server, "POST", "/reload")
        assert refused.status_code == 409
        problems = [line.partition(f"{tmp_path}/")[2] for line in refused.json()["problems"]]
        assert problems == [
            "start.yaml:1:1: release: unknown property; did you mean releases?",
            "start.yaml:1:1: releases: is missing; add releases: ..., or [] for none",
            "third.yaml:1:11: releases: expected a list of releases, or [] for none",
        ]

        (tmp_path / "start.yaml").unlink()
        (tmp_path / "other.yaml").unlink()
        (tmp_path / "third.yaml").write_text("releases: []\n")
        problems = admin(server, "POST", "/reload").json()["problems"]
        assert [line.partition("1:1: ")[2] for line in problems] == [
            "other: has no file any more, but is active",
            "start: has no file any more, but is active at the start",
        ]
        listed = admin(server, "GET", "/scenarios").json()
        assert [item["name"] for item in listed["scenarios"]] == ["other", "start", "third"]
        assert listed["active"] == "other"

        shutil.rmtree(tmp_path)
        refused = admin(server, "POST", "/reload")
        assert refused.status_code == 409
        what = f"{tmp_path}: No such file or directory"
        assert refused.json()["problems"] == [what]
