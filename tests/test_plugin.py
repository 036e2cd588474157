"""The pytest fixtures, as a downstream project meets them."""

from __future__ import annotations

import http.client
import re
import shutil
import textwrap
import time
from pathlib import Path

import pytest

from mockbm import MockServer

DOWNSTREAM = Path(__file__).parent / "downstream"
EMPTY = "releases: []\n"


def test_a_downstream_project_passes(pytester: pytest.Pytester) -> None:
    """A project that uses only the fixture, with scenarios of its own, passes its tests."""
    shutil.copytree(DOWNSTREAM, pytester.path, dirs_exist_ok=True)
    pytester.runpytest_inprocess().assert_outcomes(passed=6)


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
    pytester.runpytest_inprocess("-p", "no:randomly").assert_outcomes(passed=4)


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
    pytester.runpytest_inprocess().assert_outcomes(passed=1)


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
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([message])
    result.stdout.no_fnmatch_line("*another exception*")
    result.stdout.no_fnmatch_line("*pytest_plugin.py*")


def test_bad_files_are_reported_with_positions(pytester: pytest.Pytester) -> None:
    """Scenario files with problems fail the tests that need them, problem by problem."""
    pytester.makeini("[pytest]\nmockbm_scenarios = mine\n")
    pytester.mkdir("mine")
    (pytester.path / "mine" / "bad.yaml").write_text("release: []\n")
    pytester.makepyfile("def test_it(mockbm):\n    pass\n\ndef test_other():\n    pass\n")
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["*bad.yaml:1:1: release: unknown property; did you mean releases?"]
    )
    result.stdout.no_fnmatch_line("*another exception*")


def test_nothing_heavy_without_a_fixture(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that uses no fixture of mockbm imports none of what mockbm stands on."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(
        """
        import sys

        def test_it():
            heavy = {"flask", "marshmallow", "yaml", "httptools", "werkzeug", "click"}
            assert "mockbm.pytest_plugin" in sys.modules
            assert not heavy & set(sys.modules)
        """
    )
    pytester.runpytest_subprocess("-p", "mockbm.pytest_plugin").assert_outcomes(passed=1)


def test_every_fixture_has_the_name_and_none_is_automatic(pytester: pytest.Pytester) -> None:
    """The plugin's fixtures all start with `mockbm`, and a test gets only what it asks for."""
    pytester.makepyfile(
        """
        def test_it(request):
            assert not [name for name in request.fixturenames if name.startswith("mockbm")]
        """
    )
    pytester.runpytest_inprocess().assert_outcomes(passed=1)
    listed = pytester.runpytest_inprocess("--fixtures").stdout.str()
    ours = set(re.findall(r"^(\w+).* -- .*mockbm.pytest_plugin.py", listed, re.MULTILINE))
    assert ours == {"mockbm", "mockbm_server", "mockbm_scenarios"}


def test_a_failure_shows_what_was_asked(pytester: pytest.Pytester) -> None:
    """The report of a failed test lists its requests, each with its explanation."""
    shutil.copytree(DOWNSTREAM, pytester.path, dirs_exist_ok=True)
    result = pytester.runpytest_inprocess("deliberately_failing.py")
    result.assert_outcomes(failed=1)
    report = result.stdout.str()
    section = report[report.index("- mockbm requests -") :].splitlines()[1:3]
    assert section == [
        "#1 GET /api/releases applicationName='Shop' status='active' -> 200 [nightly] "
        "2 releases; applicationName='Shop': 2; status=active: 1",
        "#2 GET /api/releases applicationName='Shopp' status='active' -> 200 [nightly] "
        "2 releases; applicationName='Shopp': 0 (nearest: 'Shop'); "
        "status=active: 0 (1 without the filters before)",
    ]


HELPERS = """
    import pytest
    import threading
    import urllib.error
    import urllib.request

    def ask(mockbm, query="", path="/api/releases", key=None):
        request = urllib.request.Request(
            f"{mockbm.url}{path}?{query}", headers={"X-ApiKey": key or mockbm.api_key}
        )
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            with error:
                return error.code
"""


def make(pytester: pytest.Pytester, tests: str) -> None:
    """Write a file of tests that may use `ask`."""
    pytester.makepyfile(textwrap.dedent(HELPERS) + textwrap.dedent(tests))


def run(pytester: pytest.Pytester, tests: str, *arguments: str) -> pytest.RunResult:
    """Run tests that may use `ask`."""
    make(pytester, tests)
    return pytester.runpytest_inprocess("-p", "no:randomly", *arguments)


def test_assertions_about_calls(pytester: pytest.Pytester) -> None:
    """Assertions pass for what was asked; their failures show what came nearest."""
    result = run(
        pytester,
        """
        def test_right(mockbm):
            mockbm.assert_not_called()
            ask(mockbm, "status=active&applicationId=1")
            ask(mockbm, "status=active")
            mockbm.assert_called()
            mockbm.assert_called(times=2, status="active")
            mockbm.assert_called(times=1, applicationId=1)
            mockbm.assert_not_called(status="deployed")
            assert [entry.status for entry in mockbm.requests] == [200, 200]

        def test_other_value(mockbm):
            ask(mockbm, "applicationName=Shop")
            ask(mockbm, "status=deployed&releaseId=4")
            mockbm.assert_called(times=1, status="active", releaseId=4)

        def test_too_often(mockbm):
            ask(mockbm)
            mockbm.assert_not_called()

        def test_never(mockbm):
            mockbm.assert_called(status="active")

        def test_misspelt(mockbm):
            mockbm.assert_called(statsu="active")
        """,
    )
    result.assert_outcomes(passed=1, failed=4)
    result.stdout.fnmatch_lines(
        [
            "E*expected 1 call of /api/releases with status='active', releaseId='4', got 0",
            "E*there are 2 other calls:",
            "E*#2 GET /api/releases status='deployed' releaseId='4' -> 200 *",
            "E*but status is 'deployed'",
            "E*#1 GET /api/releases applicationName='Shop' -> 200 *",
            "E*but no status, no releaseId",
            "E*expected no call of /api/releases, got 1",
            "E*expected at least 1 call of /api/releases with status='active', got 0",
            "E*the endpoint was not called at all by this test's key",
            "E*TypeError: 'statsu' is not a parameter; did you mean status?",
        ]
    )


def test_the_nearest_calls_come_first(pytester: pytest.Pytester) -> None:
    """Of calls that differ in as many parameters, those with the likest values are shown first."""
    result = run(
        pytester,
        """
        def test_it(mockbm):
            for name in ["Alpha", "Beta", "Gamma", "Delta", "Omega", "Shop"]:
                ask(mockbm, f"applicationName={name}&status=active")
            mockbm.assert_called(applicationName="Shopp", status="active")

        def test_none(mockbm):
            mockbm.assert_called(applicationName=None)
        """,
    )
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "E*there are 6 other calls, of which the nearest:",
            "E*#6 GET /api/releases applicationName='Shop' *",
            "E*but applicationName is 'Shop'",
            "E*TypeError: applicationName is None; give the value *",
        ]
    )


def test_strict_fails_a_careless_client(pytester: pytest.Pytester) -> None:
    """Strict turns refused requests into errors, unless the test allows them or is not strict."""
    pytester.makeini("[pytest]\nmockbm_strict = true\n")
    result = run(
        pytester,
        """
        def test_fine(mockbm):
            assert ask(mockbm, "status=active") == 200
            assert ask(mockbm, key="wrong") == 403

        def test_malformed(mockbm):
            assert ask(mockbm, "statsu=active") == 400

        def test_lost(mockbm):
            assert ask(mockbm, path="/api/release") == 404

        def test_meant(mockbm):
            mockbm.allow(400, 404)
            assert ask(mockbm, "statsu=active") == 400

        @pytest.mark.mockbm(strict=False)
        def test_not_strict(mockbm):
            assert ask(mockbm, "statsu=active") == 400
        """,
    )
    result.assert_outcomes(passed=5, errors=2)
    result.stdout.fnmatch_lines(
        [
            "mockbm is strict, and had to refuse or ignore what this test sent:",
            "  #1 GET /api/releases statsu='active' -> 400 *did you mean status?",
            "A test that means it says so: mockbm.allow(400)",
        ]
    )


def test_strict_by_marker(pytester: pytest.Pytester) -> None:
    """Strict is off by default and on for a test whose marker says so."""
    result = run(
        pytester,
        """
        def test_off(mockbm):
            assert ask(mockbm, "statsu=active") == 400

        @pytest.mark.mockbm(strict=True)
        @pytest.mark.mockbm(scenario="single")
        def test_on(mockbm):
            assert mockbm.active == "single"
            assert ask(mockbm, "statsu=active") == 400
        """,
    )
    result.assert_outcomes(passed=2, errors=1)


RELEASES = """
    import datetime
    import json
    import mockbm as package

    def test_releases(mockbm):
        first, second = mockbm.release(), mockbm.release(status="canceled", template=None)
        mockbm.releases([first, second])
        with urllib.request.urlopen(
            f"{mockbm.url}/api/releases?key={mockbm.api_key}"
        ) as answer:
            assert json.load(answer) == [second, first]
        assert (first["id"], second["id"], second["canceledBy"]) == (1, 2, "SYSTEM")
        assert "template" in first and "template" not in second
        created = datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.timezone.utc)
        release = mockbm.release(createdOn=created)
        assert release["createdOn"] == "2024-02-29T12:00:00.0000000Z"
        mockbm.releases([{"id": 1, "number": "1", "applicationId": 1, "applicationName": "A",
                          "createdOn": created}])
        assert mockbm.release(releaseNumber="7", latestPackageId=8)["number"] == "7"
        with pytest.raises(package.ScenarioError, match="expected a list of releases"):
            mockbm.releases(5)
        mockbm.releases(mockbm.release(id=number) for number in range(5))
        assert ask(mockbm) == 200
        assert mockbm.requests[-1].ids == (4, 3, 2, 1, 0)

    def test_problems(mockbm):
        with pytest.raises(package.ScenarioError) as caught:
            mockbm.releases([{"id": 1, "numbr": "1", "applicationId": 1, "applicationName": "A"}])
        assert str(caught.value).splitlines() == [
            "releases[0].number: is missing; add number: ...",
            "releases[0].numbr: unknown property; did you mean number?",
        ]
        with pytest.raises(package.ScenarioError) as caught:
            mockbm.release(stauts="active")
        assert str(caught.value) == "release.stauts: unknown property; did you mean status?"
        assert mockbm.active == "documented"
"""


def test_releases_of_a_test(pytester: pytest.Pytester) -> None:
    """A test makes releases without a file, with a file's defaults and errors."""
    run(pytester, RELEASES).assert_outcomes(passed=2)


def test_late_threads_reach_nobody(pytester: pytest.Pytester) -> None:
    """A thread that outlives its test is refused, and is not in the next test's journal."""
    result = run(
        pytester,
        """
        kept = []

        def test_one(mockbm):
            kept.append(mockbm.api_key)

        def test_two(mockbm):
            late = threading.Thread(target=lambda: kept.append(ask(mockbm, key=kept[0])))
            late.start()
            late.join()
            assert kept[1] == 403
            assert mockbm.requests == []
        """,
    )
    result.assert_outcomes(passed=2)


PARALLEL = """
    @pytest.mark.parametrize("number", range(12))
    def test_it(mockbm, number):
        mockbm.releases([mockbm.release(id=number)])
        for _ in range(5):
            assert ask(mockbm, f"releaseId={number}") == 200
        assert [entry.ids for entry in mockbm.requests] == [(number,)] * 5
        mockbm.use("empty")
        assert ask(mockbm) == 200
        assert mockbm.requests[-1].ids == ()
        mockbm.assert_called(times=5, releaseId=number)
"""


def test_one_external_mock_for_all(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several workers test against one mock in another process, and leave it as they found it."""
    # Other plugins, which each worker would have to import, take longer than the tests.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    plugins = ("-p", "xdist", "-p", "mockbm.pytest_plugin")
    make(pytester, PARALLEL)
    with MockServer() as server:
        url = f"--mockbm-url={server.url}"
        result = pytester.runpytest_subprocess(*plugins, url, "-n", "3")
        result.assert_outcomes(passed=12)
        result.stdout.fnmatch_lines([f"mockbm: {server.url}, with its own scenarios"])
        assert (server.mock.sessions(), server.mock.default.requests()) == ([], [])


def test_releases_in_an_external_mock(pytester: pytest.Pytester) -> None:
    """A test makes releases without a file in a mock that is elsewhere, too."""
    with MockServer() as server:
        run(pytester, RELEASES, f"--mockbm-url={server.url}").assert_outcomes(passed=2)
        assert (server.mock.sessions(), server.mock.default.requests()) == ([], [])


def test_sessions_end_whatever_happens(pytester: pytest.Pytester) -> None:
    """A test whose requests cannot be looked over leaves no session in the mock."""
    tests = """
        @pytest.mark.mockbm(strict=True)
        def test_it(mockbm):
            for _ in range(3):
                ask(mockbm)
    """
    with MockServer(journal_size=2) as server:
        result = run(pytester, tests, f"--mockbm-url={server.url}")
        result.assert_outcomes(passed=1, errors=1)
        wrong = run(pytester, tests, f"--mockbm-url={server.url}", "-omockbm_strict=maybe")
        assert "maybe" in wrong.stdout.str()
        assert server.mock.sessions() == []


def test_nothing_is_asserted_from_half_a_journal(pytester: pytest.Pytester) -> None:
    """Where the journal had to forget requests, an assertion about all of them says so."""
    with MockServer(journal_size=2) as server:
        result = run(
            pytester,
            """
            def test_it(mockbm):
                for _ in range(3):
                    ask(mockbm)
                mockbm.assert_not_called(status="active")
            """,
            f"--mockbm-url={server.url}",
        )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*the journal kept only the newest 2 of 3 requests*"])


def test_a_second_run_of_a_test_shows_its_own_requests(pytester: pytest.Pytester) -> None:
    """Where a plugin runs a failed test again, its report has the requests of that run."""
    pytester.makeconftest(
        """
        from _pytest.runner import runtestprotocol

        def pytest_runtest_protocol(item, nextitem):
            for _ in range(2):
                item.config.hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
                runtestprotocol(item, nextitem=nextitem)
            return True
        """
    )
    result = run(
        pytester,
        """
        runs = []

        def test_it(mockbm):
            runs.append(1)
            ask(mockbm, f"releaseId={len(runs)}")
            assert False
        """,
    )
    result.stdout.fnmatch_lines(["#1 GET*releaseId='1'*", "#1 GET*releaseId='2'*"])


def test_the_external_mock_must_be_there(pytester: pytest.Pytester) -> None:
    """Nobody at the URL is one clear line, and `app` says that it is elsewhere."""
    result = run(pytester, "def test_it(mockbm): pass", "--mockbm-url=http://127.0.0.1:9")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["no mock answers at http://127.0.0.1:9: *refused*"])
    result.stdout.no_fnmatch_line("*another exception*")
    result.stdout.no_fnmatch_line("*urlopen*")
    with MockServer() as server:
        tests = "def test_it(mockbm):\n    with pytest.raises(RuntimeError, match='no app here'):"
        tests += "\n        mockbm.app"
        run(pytester, tests, f"--mockbm-url={server.url}").assert_outcomes(passed=1)


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
