"""The recipes, run as they are over a real mock, each where its tool is installed."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import BIN, ROOT, environment, free_port, releases, require, run, running
from redis_server import RedisServer

from mockbm import AdminClient, MockServer

RECIPES = ROOT / "tests" / "recipes"
PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
PROGRAMS: Mapping[str, tuple[str, ...]] = {
    "with_fixture.py": (*PYTEST, "-p", "mockbm.pytest_plugin"),
    "with_unittest.py": (sys.executable, "-m", "unittest"),
    "with_requests.py": PYTEST,
    "with-node.js": ("node", "--test"),
    "Releases.java": ("java",),
    "releases.ps1": ("pwsh", "-NoProfile", "-File"),
    "switching.sh": ("bash",),
}
"""Recipes that are programs, which end with the status 0 where the mock did what they expect."""

OTHERS = {
    "README.md",
    "Releases.cs",
    "compose.yaml",
    "github-actions.yml",
    "gunicorn-redis.sh",
    "gunicorn.sh",
    "mockbm.service",
    "playwright.fixtures.js",
    "start-in-ci.sh",
}
"""Recipes that a test of their own runs or checks."""


def test_every_recipe_is_tested_and_listed() -> None:
    """No recipe is without a test, and the list has all of them."""
    recipes = {path.name for path in RECIPES.iterdir() if path.is_file()}
    assert recipes == PROGRAMS.keys() | OTHERS
    listed = re.findall(r"\]\((\S+?)\)", (RECIPES / "README.md").read_text(encoding="utf-8"))
    assert {name for name in listed if "/" not in name} == recipes - {"README.md"}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_pass(name: str, tmp_path: Path) -> None:
    """Each program finds what it expects, with a mock that needs a token and leaves nothing."""
    require(PROGRAMS[name][0])
    if name == "switching.sh":
        require("curl")
    shutil.copy(RECIPES / name, tmp_path)
    takes_token = "MOCKBM_ADMIN_TOKEN" in (RECIPES / name).read_text(encoding="utf-8")
    token = "let-me-in" if takes_token else None
    with MockServer(admin_token=token) as server:
        variables = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # other plugins take their time
        if name != "with_fixture.py":
            variables["MOCKBM_URL"] = server.url
        if token:
            variables["MOCKBM_ADMIN_TOKEN"] = token
        run(*PROGRAMS[name], name, directory=tmp_path, **variables)
        sessions = [session for session in server.mock.sessions() if session.parent is None]
        assert sessions == []  # only a pinned key has one as long as the key whose it is
        assert AdminClient(server.url, token).active == "documented"


def test_calls_exist() -> None:
    """Where the tool is rare: what it calls is in the OpenAPI document, its scenarios exist."""
    with MockServer() as server:
        scenarios = {scenario["name"] for scenario in AdminClient(server.url).scenarios()}
        opening = urllib.request.Request(f"{server.url}/__admin/sessions", method="POST")
        with urllib.request.urlopen(opening) as answer:
            links = json.load(answer)["links"].keys()
        with urllib.request.urlopen(f"{server.url}/__admin/openapi.json") as answer:
            paths = json.load(answer)["paths"].keys()
    for name in ("Releases.cs", "releases.ps1"):
        text = (RECIPES / name).read_text(encoding="utf-8")
        called = set(re.findall(r"/__admin/\w+|/api/\w+", text))
        assert called == {"/__admin/sessions", "/api/releases"}
        assert called <= paths
        named = set(re.findall(r'(?:scenario|name)"?\s*[=:]\s*"([\w-]+)"', text))
        assert named == {"documented", "empty"}
        assert named <= scenarios
        followed = set(re.findall(r'links(?:\.|\[")(\w+)', text, re.IGNORECASE))
        assert followed == {"self", "scenario"}
        assert followed <= links


def test_dotnet(tmp_path: Path) -> None:
    """The recipe in C# is the whole program of a console project."""
    require("dotnet")
    run("dotnet", "new", "console", directory=tmp_path)
    shutil.copy(RECIPES / "Releases.cs", tmp_path / "Program.cs")
    with MockServer() as server:
        run("dotnet", "run", directory=tmp_path, MOCKBM_URL=server.url)


PLAYWRIGHT = """
exports.expect = () => {};
exports.test = { extend: (fixtures) => fixtures };
"""
"""What `@playwright/test` has that the recipe uses."""

WORKER = """
const { test } = require("./playwright.fixtures.js");
const [fixture, { scope }] = test.mockSession;
const use = async ({ apiKey, scenario }) => {
  await scenario("empty");
  const headers = { "X-ApiKey": apiKey };
  const answer = await fetch(`${process.env.MOCKBM_URL}/api/releases`, { headers });
  console.log(scope, await answer.text());
};
fixture({}, use, { workerIndex: 3 });
"""


def test_playwright(tmp_path: Path) -> None:
    """The fixture opens a session for a worker, switches it, and ends it."""
    require("node")
    package = tmp_path / "node_modules" / "@playwright" / "test"
    package.mkdir(parents=True)
    (package / "index.js").write_text(PLAYWRIGHT)
    shutil.copy(RECIPES / "playwright.fixtures.js", tmp_path)
    with MockServer(admin_token="let-me-in") as server:
        url = server.url
        variables = {"MOCKBM_URL": url, "MOCKBM_ADMIN_TOKEN": "let-me-in"}
        printed = run("node", "-e", WORKER, directory=tmp_path, **variables)
        assert printed == "worker []\n"
        health = AdminClient(url, "let-me-in").health()
    assert (health["sessions"], health["scenario"]) == (0, "documented")


def shell_command(text: str) -> list[str]:
    """The mock's own command in what a container runs, without its installation."""
    match = re.fullmatch(
        r'(?:sh )?-c "pip install -q https://\S+ && exec (mockbm serve [^"]*)"', text
    )
    assert match is not None, text
    return match[1].split()


def container_of(recipe: str) -> dict[str, Any]:
    """The service in a recipe for containers."""
    parsed = yaml.safe_load((RECIPES / recipe).read_text(encoding="utf-8"))
    if recipe == "compose.yaml":
        service: dict[str, Any] = parsed["services"]["mockbm"]
        return {
            **service,
            "health": service["healthcheck"]["test"],
            "token": service["environment"]["MOCKBM_ADMIN_TOKEN"],
        }
    jobs = parsed["jobs"]
    service = jobs["with-a-service"]["services"]["mockbm"]
    health = re.search(r'--health-cmd "([^"]+)"', service["options"])
    client = jobs["with-a-service"]["steps"][-1]["env"]
    assert health is not None
    assert client["MOCKBM_ADMIN_TOKEN"] == service["env"]["MOCKBM_ADMIN_TOKEN"]
    return {**service, "health": health[1], "token": client["MOCKBM_ADMIN_TOKEN"]}


@pytest.mark.parametrize("recipe", ["compose.yaml", "github-actions.yml"])
def test_containers(recipe: str) -> None:
    """What a container runs answers, passes its health check, and can be called by its name."""
    container = container_of(recipe)
    assert container["ports"][0].endswith("8080:8080")  # the default of `mockbm serve`
    port, token = free_port(), container["token"]
    url = f"http://127.0.0.1:{port}"
    variables = {"MOCKBM_ADMIN_TOKEN": token, "MOCKBM_PORT": port}
    command = shell_command(container["command"])
    with running(*command, url=url, token=token, **variables) as client:
        inside = {"MOCKBM_URL": url, "MOCKBM_ADMIN_TOKEN": token}
        run("sh", "-c", container["health"], directory=ROOT, **inside)
        client.use("empty")
        assert releases(url) == []
        if recipe == "compose.yaml":
            headers = {"Host": "mockbm:8080", "Authorization": f"Bearer {token}"}
            request = urllib.request.Request(f"{url}/__admin/scenario", headers=headers)
            with urllib.request.urlopen(request, timeout=10) as answer:
                assert json.load(answer)["name"] == "empty"


def test_workflow_with_a_step() -> None:
    """The job without a service runs a recipe, and points the tests at what that one starts."""
    parsed = yaml.safe_load((RECIPES / "github-actions.yml").read_text(encoding="utf-8"))
    _, start, test = parsed["jobs"]["with-a-step"]["steps"]
    assert (RECIPES / start["run"].split()[1]).is_file()
    assert test["env"] == {"MOCKBM_URL": "http://127.0.0.1:8080"}


def test_start_in_ci(tmp_path: Path) -> None:
    """The step ends when the mock answers; the mock goes on in the background."""
    require("bash")
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "ours.yaml").write_text("releases: []\n")
    installed = tmp_path / "venv" / "bin"
    installed.mkdir(parents=True)
    (installed / "mockbm").symlink_to(BIN / "mockbm")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    variables = {"MOCKBM_VENV": str(tmp_path / "venv"), "MOCKBM_PORT": port, "MOCKBM_URL": url}
    step = subprocess.Popen(
        ["bash", str(RECIPES / "start-in-ci.sh"), "scenarios"],
        cwd=tmp_path,
        env=environment(**variables),
        start_new_session=True,
    )
    try:
        assert step.wait(60) == 0
        assert AdminClient(url).active == "ours"
    finally:
        os.killpg(step.pid, signal.SIGTERM)
    assert "mockbm listening on" in (tmp_path / "mockbm.log").read_text()


def switches(recipe: str, **variables: str) -> None:
    """Assert that a switch reaches every later request, and the journal has all of them."""
    require("bash")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with running("bash", str(RECIPES / recipe), url=url, PORT=port, **variables) as client:
        client.use("empty")
        assert [releases(url) for _ in range(20)] == [[]] * 20
        assert len(client.requests()) == 20


@pytest.mark.skipif(sys.platform == "win32", reason="gunicorn does not run here")
def test_gunicorn() -> None:
    """One process needs no shared state."""
    switches("gunicorn.sh")


@pytest.mark.skipif(sys.platform == "win32", reason="gunicorn does not run here")
def test_gunicorn_with_redis(tmp_path: Path) -> None:
    """Four processes agree by Redis."""
    redis = RedisServer(tmp_path, keeps=False)
    try:
        switches("gunicorn-redis.sh", MOCKBM_STATE=f"{redis.url}#mock")
    finally:
        redis.kill()


def test_unit_of_systemd(tmp_path: Path) -> None:
    """The unit is valid where the program is installed."""
    require("systemd-analyze")
    text = (RECIPES / "mockbm.service").read_text(encoding="utf-8")
    unit = tmp_path / "mockbm.service"
    unit.write_text(text.replace("/opt/mockbm/bin/mockbm", str(BIN / "mockbm")))
    run("systemd-analyze", "verify", "--man=no", str(unit), directory=tmp_path)


def test_unit_of_systemd_uses_options_that_exist(tmp_path: Path) -> None:
    """What the unit starts is a command line that mockbm understands."""
    text = (RECIPES / "mockbm.service").read_text(encoding="utf-8")
    match = re.search(r"^ExecStart=/opt/mockbm/bin/mockbm (.+) /etc/mockbm$", text, re.MULTILINE)
    assert match is not None
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    (tmp_path / "ours.yaml").write_text("releases: []\n")
    command = (str(BIN / "mockbm"), *match[1].split(), str(tmp_path))
    with running(*command, url=url, MOCKBM_PORT=port) as client:
        assert client.active == "ours"
