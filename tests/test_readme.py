"""The documentation: transcripts and snippets run as they are, and links, names and tables hold."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest
from commands import BIN, ROOT, environment, free_port, require, running
from redis_server import RedisServer

from mockbm import AdminClient, MockServer
from mockbm.settings import Settings, option_of, variable_of

PAGES = (
    "README.md",
    "scenarios/README.md",
    "mockbm/README.md",
    "tests/README.md",
    "tests/recipes/README.md",
    "CHANGELOG.md",
)
TEXTS = {page: (ROOT / page).read_text(encoding="utf-8") for page in PAGES}
PACKAGE = ROOT / "mockbm"
ADDRESS = "http://127.0.0.1:8080"


def blocks(language: str, *pages: str) -> list[str]:
    """The code blocks in one language, of some pages or of all of them."""
    form = re.compile(rf"^```{language}\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    found = [block for page in pages or PAGES for block in form.findall(TEXTS[page])]
    assert found, f"there is no {language} block"
    return found


def shell(command: str, directory: Path, **variables: str) -> str:
    """The output of a shell command, with the mockbm of this Python on the path."""
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=directory,
        env=environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    return done.stdout


needs_curl = pytest.mark.skipif(
    not (shutil.which("curl") and shutil.which("bash")), reason="curl or bash is not installed"
)


# What is shown is what happens.


@needs_curl
@pytest.mark.parametrize("block", blocks("console"))
def test_transcripts_are_what_happens(block: str, tmp_path: Path) -> None:
    """Each command of a transcript prints what the page shows, on a fresh mock."""
    (tmp_path / "broken").mkdir()
    with MockServer() as server:
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, expected = part.partition("\n")
            if command.startswith("cat "):
                (tmp_path / command[4:]).write_text(expected)
            elif command.startswith("mockbm use"):
                command += f" --url {ADDRESS}"
            printed = shell(command.replace(ADDRESS, server.url), tmp_path)
            printed = printed.replace(server.url, ADDRESS)
            assert [line.rstrip() for line in printed.splitlines()] == expected.splitlines()


def test_snippets_run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each Python snippet passes: as a test file where it has tests, else as a script."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # other plugins take their time
    tests = 0
    for number, block in enumerate(blocks("python")):
        name = f"test_snippet_{number}" if "def test_" in block else f"snippet_{number}"
        snippet = pytester.makepyfile(**{name: block})
        tests += block.count("def test_")
        assert "def test_" in block or pytester.runpython(snippet).ret == 0
    pytester.runpytest_subprocess("-p", "mockbm.pytest_plugin").assert_outcomes(passed=tests)
    assert tests > 1


def test_scenario_files_are_valid(tmp_path: Path) -> None:
    """Each scenario file that is shown can be served, and has releases."""
    shown = blocks("yaml")
    for number, block in enumerate(shown):
        (tmp_path / f"shown{number}.yaml").write_text(block)
    with MockServer(tmp_path) as server:
        counts = [scenario["releaseCount"] for scenario in AdminClient(server.url).scenarios()]
    assert len(counts) == len(shown)
    assert min(counts) > 0


@needs_curl
def test_the_vendors_line_is_answered() -> None:
    """The curl line of the vendor's page, as the README has it, gets its two releases first."""
    line = next(block for block in blocks("sh", "README.md") if block.startswith("curl -X POST"))
    with MockServer() as server:
        printed = shell(line.replace(f'"{ADDRESS}', f'-sS "{server.url}'), ROOT)
    assert re.findall(r'"id":(\d+)', printed)[:2] == ["4", "1"]


@needs_curl
def test_import_from_a_server(tmp_path: Path) -> None:
    """The commands that import from a server make a scenario file that can be served."""
    block = next(block for block in blocks("sh", "scenarios/README.md") if "mockbm import" in block)
    (tmp_path / "scenarios").mkdir()
    with MockServer() as server:
        here = block.replace("https://buildmaster.example", server.url)
        printed = shell(here, tmp_path, KEY=server.api_key)
    assert printed == "scenarios/ours.yaml: 7 releases, 3 builds, 1 deployment\n"
    with MockServer(tmp_path / "scenarios") as server:
        assert AdminClient(server.url).scenario("ours")["releases"][0]["createdBy"] == "Person1"


def test_the_schema_for_editors(tmp_path: Path) -> None:
    """The command for editors writes a JSON Schema."""
    block = next(block for block in blocks("sh", "scenarios/README.md") if "mockbm schema" in block)
    (tmp_path / "tests" / "scenarios").mkdir(parents=True)
    assert shell(block, tmp_path) == ""
    written = tmp_path / "tests" / "scenarios" / ".scenario.schema.json"
    assert "releases" in json.loads(written.read_text())["properties"]


STARTS = {
    line
    for block in blocks("sh")
    for line in block.splitlines()
    if re.search(r"\b(gunicorn|flask|mockbm serve)\b", line) and "venv" not in line
}


@contextmanager
def redis_for(line: str, directory: Path) -> Iterator[str]:
    """The line with the URL of a Redis server that runs, where it has one."""
    if "redis://" not in line:
        yield line
        return
    redis = RedisServer(directory, keeps=False)
    try:
        yield line.replace("redis://127.0.0.1:6379", redis.url)
    finally:
        redis.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="gunicorn and Redis do not run here")
@pytest.mark.parametrize("line", sorted(STARTS))
def test_servers_start(line: str, tmp_path: Path) -> None:
    """Each line that starts a server starts one that answers, with the scenario that it names."""
    require("bash")
    port = free_port()
    variables = {"MOCKBM_PORT": port, "GUNICORN_CMD_ARGS": f"--bind 127.0.0.1:{port}"}
    with redis_for(line.replace("8080", port), tmp_path) as command:
        here = ("bash", "-c", command)
        with running(*here, url=f"http://127.0.0.1:{port}", **variables) as client:
            expected = re.search(r"MOCKBM_SCENARIO=(\S+)", line)
            assert client.active == (expected[1] if expected else "documented")
    assert len(STARTS) >= 4


# The two commands.


def test_the_two_commands() -> None:
    """One starts the mock, one passes the tests; CI runs the latter as it finds it here."""
    install = "python3 -m venv .venv && .venv/bin/pip install -q -e "
    lines = TEXTS["README.md"].splitlines()
    commands = [line for line in lines if line.startswith("python3 -m venv ")]
    assert commands == [
        f"{install}. && .venv/bin/mockbm serve",
        f"{install}'.[test]' && .venv/bin/pytest -q -n auto",
    ]
    assert TEXTS["tests/README.md"].splitlines().count(commands[1]) == 1
    find = 'grep -m 1 -E "^python3 -m venv .*pytest" README.md'
    assert find in (ROOT / ".ci" / "run").read_text()
    assert shell(find, ROOT).strip() == commands[1]


def test_the_readme_is_short() -> None:
    """It is read by people who do not know yet whether they need mockbm."""
    assert len(TEXTS["README.md"].splitlines()) <= 350


# Links.


def prose(page: str) -> str:
    """A page without its code blocks."""
    return re.sub(r"^```.*?^```$", "", TEXTS[page], flags=re.MULTILINE | re.DOTALL)


def headings(page: str, depth: str = "#+") -> list[str]:
    return re.findall(rf"^{depth} (.+)$", prose(page), re.MULTILINE)


def anchor(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """Each link is to a file of the repository, and to one of its headings where it names one."""
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        path, _, fragment = link.partition("#")
        if re.match(r"https?:", link):
            continue
        target = ((ROOT / page).parent / path).resolve() if path else ROOT / page
        name = target.relative_to(ROOT).as_posix()
        anchors = [anchor(heading) for heading in headings(name)] if name in TEXTS else []
        if not target.exists() or (fragment and fragment not in anchors):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES[:4])
def test_contents_are_complete(page: str) -> None:
    """Each section of a page is linked at its beginning."""
    contents, _, _ = prose(page).partition("\n## ")
    sections = {anchor(heading) for heading in headings(page, "##")} - {"licence"}
    assert sections <= set(re.findall(r"\]\(#([^)]+)\)", contents))


def test_every_page_is_linked_from_the_readme() -> None:
    """A reader finds each page from the first one."""
    linked = set(re.findall(r"\]\(([^)#\s]+)", prose("README.md")))
    assert set(PAGES[1:]) <= linked


# Names: options, variables, calls, modules.


@cache
def helps() -> dict[str, str]:
    """The help of each command."""

    def printed(*arguments: str) -> str:
        command = [str(BIN / "mockbm"), *arguments, "--help"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    commands = re.findall(r"^  (\w+) ", printed().partition("Commands:")[2], re.MULTILINE)
    return {command: printed(command) for command in commands}


def options(command: str) -> set[str]:
    """The options of a command, in each of their forms."""
    # Help wraps long lines: an option begins one, after two spaces.
    lines = re.findall(r"^  (--?\S.*?)(?:  |$)", helps()[command], re.MULTILINE)
    return set(re.findall(r"--[a-z-]+", " ".join(lines)))


def command_lines(page: str) -> Iterator[list[str]]:
    """The words of each command line of mockbm, from sentences and from blocks."""
    yield from (shlex.split(line) for line in re.findall(r"`(mockbm [^`]+)`", prose(page)))
    for block in re.findall(
        r"^```(?:sh|console)\n(.*?)^```$", TEXTS[page], re.MULTILINE | re.DOTALL
    ):
        for line in re.findall(r"(?:^|^\$ |/bin/)(mockbm .+)$", block, re.MULTILINE):
            yield shlex.split(re.split(r" [|>&]", line)[0])


def test_commands_and_their_options_exist() -> None:
    """Each command line of mockbm in the pages can be typed."""
    lines = [line for page in PAGES[:-1] for line in command_lines(page)]
    assert [line for line in lines if line[1] not in helps()] == []
    used = [(line[1], word) for line in lines for word in line if word.startswith("--")]
    assert [(command, word) for command, word in used if word not in options(command)] == []
    assert len(used) > 5


def test_options_alone_exist() -> None:
    """Each option that a sentence names is one of mockbm or of its pytest plugin."""
    known = {"--mockbm-url"}.union(*map(options, helps()))
    named = {
        name
        for page in PAGES[:3]
        for name in re.findall(r"`(--[a-z-]+)", prose(page))
        if name != "--help"
    }
    assert named <= known
    assert len(named) > 15


def test_variables_exist() -> None:
    """Each variable that a page names is read by a command, the plugin, a recipe or the tests."""
    readers = [*ROOT.glob("tests/**/*.py"), *ROOT.glob("tests/recipes/*"), ROOT / ".ci" / "run"]
    sources = [path.read_text(encoding="utf-8") for path in readers if path.name != "README.md"]
    form = re.compile(r"\bMOCKBM_[A-Z_]+\b")
    known = set(form.findall(" ".join([*helps().values(), *sources])))
    named = {name for page in PAGES[:-1] for name in form.findall(TEXTS[page])}
    assert named <= known


def test_every_setting_is_documented() -> None:
    """The table of settings has the options and the variables of `mockbm serve`, and no others."""
    rows = re.findall(r"^\| (`.+?) \| `(MOCKBM_\w+)` \|", TEXTS["mockbm/README.md"], re.MULTILINE)
    documented = {option for names, _ in rows for option in re.findall(r"--[a-z-]+", names)}
    assert documented == options("serve") - {"--help"}
    variables = set(re.findall(r"\bMOCKBM_[A-Z_]+\b", helps()["serve"]))
    assert {variable for _, variable in rows} == variables
    everywhere = {variable_of(option_of(item)) for item in fields(Settings)}
    assert {variable for _, variable in rows[:-5]} == everywhere
    assert "set the mock up, except for the last five, which belong" in TEXTS["mockbm/README.md"]


def test_every_call_is_documented() -> None:
    """The table of the admin API has the calls of the OpenAPI document, and no others."""
    with (
        MockServer() as server,
        urllib.request.urlopen(f"{server.url}/__admin/openapi.json") as got,
    ):
        paths = json.load(got)["paths"]
    calls = {
        (method.upper(), path)
        for path, item in paths.items()
        for method in item
        if path.startswith("/__admin/") and method in ("get", "put", "post", "delete")
    }
    documented = set()
    for first, path, others in re.findall(
        r"^\| `([A-Z]+) (/__admin/\S*)`((?:, `[A-Z]+`)*)", TEXTS["mockbm/README.md"], re.MULTILINE
    ):
        documented |= {(method, path) for method in (first, *re.findall(r"[A-Z]+", others))}
    assert documented == calls


def test_the_layout_is_what_is_there() -> None:
    """The tables of folders and modules name what the package has."""
    tables = TEXTS["mockbm/README.md"].partition("## How it is built")[2].partition("\n### ")[0]
    rows = re.findall(r"^\| (`.+?) \|", tables, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    assert [name for name in sorted(named) if not (PACKAGE / name).exists()] == []
    parts = [
        path.relative_to(PACKAGE).as_posix() + "/" * path.is_dir()
        for path in PACKAGE.iterdir()
        if not path.name.startswith("_") and (path.is_dir() or path.suffix == ".py")
    ]
    assert [part for part in parts if part not in named] == []
    folders = {name.partition("/")[0] for name in named if name.count("/") == 1 and name[-1] != "/"}
    modules = [
        path.relative_to(PACKAGE).as_posix()
        for folder in folders
        for path in (PACKAGE / folder).glob("*.py")
        if path.name != "__init__.py"
    ]
    assert [module for module in modules if module not in named] == []


def test_files_that_commands_name_exist() -> None:
    """Programs of the repository in commands and sentences are where the pages say."""
    form = re.compile(r"\b((?:tests|\.ci)/[\w./-]+\w)")
    named = {name for page in PAGES[:-1] for name in form.findall(TEXTS[page])}
    theirs = {
        "tests/scenarios",
        "tests/scenarios/first.yaml",
        "tests/scenarios/nightly.yaml",
        "tests/scenarios/.scenario.schema.json",
    }
    assert [name for name in sorted(named - theirs) if not (ROOT / name).exists()] == []


def test_tests_that_the_page_lists_exist() -> None:
    """The table of the kinds of tests names files and folders of this directory."""
    table = TEXTS["tests/README.md"].partition("## Kinds of tests")[2].partition("\n## ")[0]
    named = re.findall(r"`([\w/]+(?:\.py|/))`", table)
    assert len(named) > 20
    tests = ROOT / "tests"
    assert [name for name in named if not (tests / name).exists()] == []


@pytest.mark.parametrize("block", blocks("sh"))
def test_shell_blocks_can_be_parsed(block: str, tmp_path: Path) -> None:
    """Each block of shell commands is valid."""
    require("bash")
    (tmp_path / "block.sh").write_text(block)
    assert shell("bash -n block.sh", tmp_path) == ""
