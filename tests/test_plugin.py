"""The pytest fixtures, as a downstream project meets them."""

from __future__ import annotations

import http.client
import re
import shutil
import time
from pathlib import Path

import pytest

from mockbm import MockServer

DOWNSTREAM = Path(__file__).parent / "downstream"
EMPTY = "releases: []\n"


def test_a_downstream_project_passes(pytester: pytest.Pytester) -> None:
    """A project that uses only the fixture, with scenarios of its own, passes its tests."""
    shutil.copytree(DOWNSTREAM, pytester.path, dirs_exist_ok=True)
    pytester.runpytest_subprocess().assert_outcomes(passed=3)


def test_each_test_begins_clean(pytester: pytest.Pytester) -> None:
    """What one test switches is forgotten before the next one, marker or not."""
    pytester.makepyfile(
        """
        import pytest

        def test_one(mockbm):
            assert mockbm.active == "documented"
            mockbm.use("empty")
            assert mockbm.active == "empty"

        def test_two(mockbm):
            assert mockbm.active == "documented"

        @pytest.mark.mockbm(scenario="single")
        def test_three(mockbm):
            assert mockbm.active == "single"

        def test_four(mockbm):
            assert mockbm.active == "documented"
        """
    )
    pytester.runpytest_subprocess("-p", "no:randomly").assert_outcomes(passed=4)


def test_scenarios_by_fixture(pytester: pytest.Pytester) -> None:
    """Overriding `mockbm_scenarios` replaces the directory."""
    pytester.mkdir("mine")
    (pytester.path / "mine" / "quiet.yaml").write_text(EMPTY)
    pytester.makepyfile(
        """
        from pathlib import Path
        import pytest

        @pytest.fixture(scope="session")
        def mockbm_scenarios():
            return Path(__file__).parent / "mine"

        def test_it(mockbm):
            assert mockbm.active == "quiet"
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ('scenario="emty"', "*no scenario is called 'emty'; did you mean empty?*"),
        ('"empty"', "*write the marker as @pytest.mark.mockbm(scenario=*"),
        ('scenaro="empty"', "*write the marker as @pytest.mark.mockbm(scenario=*"),
        ("scenario=3", "*write the marker as @pytest.mark.mockbm(scenario=*"),
    ],
)
def test_a_wrong_marker_says_how(pytester: pytest.Pytester, marker: str, message: str) -> None:
    """A marker that cannot be meant is an error that shows the right one, without a traceback."""
    pytester.makepyfile(
        f"import pytest\n\n@pytest.mark.mockbm({marker})\ndef test_it(mockbm):\n    pass\n"
    )
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([message])
    result.stdout.no_fnmatch_line("*pytest_plugin.py*")


def test_bad_files_are_reported_with_positions(pytester: pytest.Pytester) -> None:
    """Scenario files with problems fail the tests that need them, problem by problem."""
    pytester.makeini("[pytest]\nmockbm_scenarios = mine\n")
    pytester.mkdir("mine")
    (pytester.path / "mine" / "bad.yaml").write_text("release: []\n")
    pytester.makepyfile("def test_it(mockbm):\n    pass\n\ndef test_other():\n    pass\n")
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["*bad.yaml:1:1: release: unknown property; did you mean releases?"]
    )


def test_nothing_heavy_without_a_fixture(pytester: pytest.Pytester) -> None:
    """A run that uses no fixture of mockbm imports none of what mockbm stands on."""
    pytester.makepyfile(
        """
        import sys

        def test_it():
            heavy = {"flask", "marshmallow", "yaml", "waitress", "werkzeug", "click"}
            assert "mockbm.pytest_plugin" in sys.modules
            assert not heavy & set(sys.modules)
        """
    )
    pytester.runpytest_subprocess("-p", "no:randomly").assert_outcomes(passed=1)


def test_every_fixture_has_the_name_and_none_is_automatic(pytester: pytest.Pytester) -> None:
    """The plugin's fixtures all start with `mockbm`, and a test gets only what it asks for."""
    pytester.makepyfile(
        """
        def test_it(request):
            assert not [name for name in request.fixturenames if name.startswith("mockbm")]
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
    listed = pytester.runpytest_subprocess("--fixtures").stdout.str()
    ours = set(re.findall(r"^(\w+).* -- .*mockbm.pytest_plugin.py", listed, re.MULTILINE))
    assert ours == {"mockbm", "mockbm_server", "mockbm_scenarios"}


def test_stops_with_a_keep_alive_connection_open() -> None:
    """A stop ends the thread and the connections, idle ones too, without waiting for anybody."""
    with MockServer() as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.request("GET", f"/api/releases?key={server.api_key}")
        assert connection.getresponse().read().startswith(b"[")
        begun = time.monotonic()
    # A loop that nobody wakes takes a second; a lost connection thirty. Far from both:
    assert time.monotonic() - begun < 0.5
    assert connection.sock.recv(1) == b""
    connection.close()
