"""The README's transcripts and snippets, run as they stand."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mockbm import MockServer, loading

README = Path(__file__).parents[1] / "README.md"
TEXT = README.read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The texts of the README's code blocks in one language."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    assert found, f"the README has no {language} block"
    return found


needs_curl = pytest.mark.skipif(
    not (shutil.which("curl") and shutil.which("bash")), reason="curl or bash is not installed"
)


def shell(command: str, directory: Path) -> str:
    """What a shell command prints, with the mockbm of this Python on the path."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=directory,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    return done.stdout


@needs_curl
@pytest.mark.parametrize("block", blocks("console"))
def test_transcripts_are_what_happens(block: str, tmp_path: Path) -> None:
    """Each command of a transcript prints what the README shows, on a fresh mock."""
    (tmp_path / "broken").mkdir()
    with MockServer() as server:
        address = "http://127.0.0.1:8080"
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, expected = part.partition("\n")
            if command.startswith("cat "):
                (tmp_path / command[4:]).write_text(expected)
            elif command.startswith("mockbm use"):
                command += f" --url {address}"
            printed = shell(command.replace(address, server.url), tmp_path)
            printed = printed.replace(server.url, address)
            printed = printed.replace(str(loading.shipped_scenarios()), "SCENARIOS")
            shown = [line.rstrip() for line in printed.splitlines()]
            assert shown == expected.splitlines()


@pytest.mark.parametrize("block", blocks("python"))
def test_snippets_run(block: str, pytester: pytest.Pytester) -> None:
    """Each Python snippet passes: as a test file where it holds tests, else as a script."""
    tests = block.count("def test_")
    pytester.makepyfile(test_snippet=block)
    if tests:
        pytester.runpytest_subprocess().assert_outcomes(passed=tests)
    else:
        assert pytester.runpython("test_snippet.py").ret == 0


@pytest.mark.parametrize("block", blocks("yaml"))
def test_scenario_files_are_valid(block: str, tmp_path: Path) -> None:
    """Each scenario file that the README shows can be served."""
    (tmp_path / "shown.yaml").write_text(block)
    assert len(loading.load_scenarios(tmp_path)["shown"].definition) > 0


@needs_curl
def test_the_vendors_line_is_answered() -> None:
    """The curl line of the vendor's page, as the README has it, gets its two releases first."""
    line = next(block for block in blocks("sh") if block.startswith("curl -X POST"))
    with MockServer() as server:
        printed = shell(line.replace('"http://127.0.0.1:8080', f'-sS "{server.url}'), README.parent)
    assert re.findall(r'"id":(\d+)', printed)[:2] == ["4", "1"]


RECIPES = {
    "py": ("test_recipe.py", (sys.executable, "-m", "pytest", "-q")),
    "javascript": ("recipe.test.js", ("node", "--test")),
    "java": ("Releases.java", ("java",)),
}


@pytest.mark.parametrize("language", RECIPES)
def test_recipes_run(language: str, tmp_path: Path) -> None:
    """Each recipe whose tool is installed passes against a running mock."""
    name, command = RECIPES[language]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    found = blocks(language)
    assert found
    for block in found:
        (tmp_path / name).write_text(block)
        with MockServer() as server:
            environment = {**os.environ, "MOCKBM_URL": server.url}
            subprocess.run([*command, name], cwd=tmp_path, env=environment, check=True)


def test_its_own_links_lead_somewhere() -> None:
    """Each link within the README is to one of its headings."""
    headings = re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    linked = re.findall(r"\]\(#([^)]+)\)", TEXT)
    assert linked
    assert set(linked) <= anchors
