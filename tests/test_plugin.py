"""The pytest fixtures, as a downstream project meets them."""

from __future__ import annotations

import http.client
import importlib.util
import re
import shutil
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_cli import answering

from mockbm import MockServer

DOWNSTREAM = Path(__file__).parent / "downstream"
EMPTY = "releases: []\n"

Way = tuple[str, ...]
"""Options with which the plugin uses a mock in this process, or another one."""


@pytest.fixture(params=["here", "elsewhere"])
def way(request: pytest.FixtureRequest) -> Iterator[Way]:
    """Both ways to run the mock; a test leaves the one elsewhere as it found it."""
    if request.param == "here":
        yield ()
        return
    with MockServer() as server:
        yield (f"--mockbm-url={server.url}",)
        assert (server.mock.sessions(), server.mock.default.requests()) == ([], [])
        assert server.active == "documented"


def test_a_downstream_project_passes(pytester: pytest.Pytester) -> None:
    """A project that uses only the fixture, with scenarios of its own, passes its tests."""
    shutil.copytree(DOWNSTREAM, pytester.path, dirs_exist_ok=True)
    pytester.runpytest_inprocess().assert_outcomes(passed=11)


def test_each_test_begins_clean(pytester: pytest.Pytester, way: Way) -> None:
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
    pytester.runpytest_inprocess("-p", "no:randomly", *way).assert_outcomes(passed=4)


OVERRIDE = """
from pathlib import Path
import pytest

@pytest.fixture(scope="session")
def mockbm_scenarios():
    return Path(__file__).parent / "mine"
"""


def test_scenarios_by_fixture(pytester: pytest.Pytester) -> None:
    """Overriding `mockbm_scenarios` replaces the directory, for each place where that is done."""
    for place, name in (("one", "quiet"), ("two", "loud")):
        mine = pytester.mkpydir(place) / "mine"
        mine.mkdir()
        (mine / f"{name}.yaml").write_text(EMPTY)
        (mine.parent / "conftest.py").write_text(OVERRIDE)
        (mine.parent / "test_it.py").write_text(
            f"""
import pytest

@pytest.fixture(scope="module")
def shop(mockbm_session_factory):
    with mockbm_session_factory() as mockbm:
        yield mockbm

def test_it(mockbm, mockbm_server, shop):
    assert mockbm.active == shop.active == "{name}"
    assert mockbm.scenarios == mockbm_server.scenarios == ("{name}",)
    assert mockbm_server.admin.active == "{name}"

@pytest.mark.mockbm(scenario="*")
def test_each(mockbm, request):
    assert request.node.name == "test_each[{name}]"
"""
        )
    pytester.makepyfile("def test_shipped(mockbm):\n    assert mockbm.active == 'documented'\n")
    result = pytester.runpytest_inprocess("-p", "no:randomly")
    result.assert_outcomes(passed=5)
    reordered = ("two/test_it.py::test_it", "one", "two/test_it.py::test_each")
    pytester.runpytest_inprocess(*reordered).assert_outcomes(passed=4)


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


THREE = """
import pytest

def test_before():
    pass

@pytest.mark.mockbm(scenario="*")
def test_it(mockbm):
    pass

def test_other(mockbm):
    pass
"""


def aborted(pytester: pytest.Pytester, first: str, *arguments: str) -> pytest.RunResult:
    """A run that ends with the first test that needs the mock, and says why in its last lines."""
    pytester.makepyfile(THREE)
    result = pytester.runpytest_inprocess("-p", "no:randomly", *arguments)
    result.assert_outcomes(passed=1, errors=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    *_, stopped, _count = result.outlines
    assert re.fullmatch(f"!+ mockbm cannot start: {first} !+", stopped)
    assert not [line for line in result.outlines if "another exception" in line]
    assert not [line for line in result.outlines if re.search(r"mockbm/\w+\.py", line)]
    return result


def test_bad_files_end_the_run(pytester: pytest.Pytester) -> None:
    """Scenario files with problems are reported once, with all problems and their positions."""
    pytester.makeini("[pytest]\nmockbm_scenarios = mine\n")
    bad = pytester.mkdir("mine") / "bad.yaml"
    bad.write_text("release: []\n")
    first = f"{bad}:1:1: release: unknown property; did you mean releases?"
    result = aborted(pytester, re.escape(first))
    result.stdout.fnmatch_lines(
        [f"mockbm cannot start: {first}", f"{bad}:1:1: releases: is missing; *"]
    )


def test_a_wrong_url_ends_the_run(pytester: pytest.Pytester) -> None:
    """No mock at the URL is one clear line, and so is what cannot be a URL."""
    url = "http://127.0.0.1:9"
    aborted(pytester, f"no mock answers at {url}: .*refused", f"--mockbm-url={url}")
    first = "'nothing' is not the URL of a mock, such as http://127.0.0.1:8080"
    aborted(pytester, first, "--mockbm-url=nothing")
    body = b'{"status": "unavailable", "problems": ["the shared state is gone"]}'
    head = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: %d\r\n\r\n" % len(body)
    with answering(*[head + body] * 2) as url:  # one for the scenarios, one for the health
        first = f"the mock at {url} is unavailable: the shared state is gone"
        aborted(pytester, first, f"--mockbm-url={url}")


@pytest.mark.parametrize("setting", ["mockbm_scenario", "MOCKBM_SCENARIO"])
def test_the_scenario_that_tests_begin_with(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, way: Way, setting: str
) -> None:
    """It is that of the configuration, or of the variable, which takes precedence."""
    ini = "mockbm_scenario = single\n"
    if setting == "MOCKBM_SCENARIO":
        ini = "mockbm_scenario = empty\n"
        monkeypatch.setenv(setting, "single")
    pytester.makeini(f"[pytest]\n{ini}")
    tests = """
        def test_it(mockbm, mockbm_session_factory):
            with mockbm_session_factory() as other:
                assert mockbm.active == other.active == "single"
            mockbm.use("empty")
            mockbm.reset()
            assert mockbm.active == "single"

        @pytest.mark.mockbm(scenario="empty")
        def test_other(mockbm):
            assert mockbm.active == "empty"
    """
    run(pytester, tests, *way).assert_outcomes(passed=2)
    pytester.makeini("[pytest]\nmockbm_scenario = singel\n")
    if setting == "MOCKBM_SCENARIO":
        monkeypatch.setenv(setting, "singel")
    first = f"{setting}: no scenario is called 'singel'; did you mean single[?] There are: .*"
    aborted(pytester, first, *way)


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
    assert ours == {"mockbm", "mockbm_server", "mockbm_scenarios", "mockbm_session_factory"}


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
            with urllib.request.urlopen(request, timeout=30) as answer:
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


def test_releases_of_a_test(pytester: pytest.Pytester, way: Way) -> None:
    """A test makes releases without a file, with a file's defaults and errors."""
    run(pytester, RELEASES, *way).assert_outcomes(passed=2)


def test_whole_scenarios_and_faults(pytester: pytest.Pytester, way: Way) -> None:
    """A test has whole scenarios without a file, and faults of what is active."""
    tests = """
        def test_whole(mockbm):
            values = {"extends": "single", "faults": ({"times": 1, "respond": {"status": 503}},)}
            mockbm.use(values)
            assert ([ask(mockbm), ask(mockbm)], mockbm.active) == ([503, 200], "inline")
            assert mockbm.requests[-1].count == 1
            change = {"after": "1 calls", "status": "deployed"}
            mockbm.use({"releases": [mockbm.release(id=7) | {"changes": [change]}]})
            ask(mockbm)
            assert [release["status"] for release in mockbm.state["releases"]] == ["deployed"]
            with pytest.raises(package.ScenarioError, match="^extends: no scenario .* empty[?]$"):
                mockbm.use({"extends": "emty"})
            assert (mockbm.active, mockbm.state["releases"][0]["id"]) == ("inline", 7)

        def test_faults(mockbm):
            mockbm.use("flaky")
            ask(mockbm)
            mockbm.faults({"respond": {"status": status}, "times": 1} for status in (500, 502))
            assert [ask(mockbm) for _ in range(4)] == [500, 502, 503, 200]
            assert mockbm.active == "flaky"
            mockbm.releases([mockbm.release(id=7)])
            mockbm.faults([{"rate": "1/h"}])
            assert [ask(mockbm) for _ in range(2)] == [200, 429]
            mockbm.faults([])
            assert (ask(mockbm), mockbm.requests[-1].ids) == (200, (7,))

        @pytest.mark.mockbm(scenario="release-train")
        def test_faults_keep_what_clients_changed(mockbm):
            def create():
                url = f"{mockbm.url}/api/releases/builds/create?releaseId=3&key={mockbm.api_key}"
                with urllib.request.urlopen(url, data=b"") as answer:
                    return answer.status

            assert create() == 200
            builds = mockbm.state["builds"]
            mockbm.faults([{"times": 1, "respond": {"status": 503}}])
            assert [ask(mockbm), ask(mockbm)] == [503, 200]
            assert mockbm.state["builds"] == builds
            assert (create(), len(mockbm.state["builds"])) == (200, len(builds) + 1)

        def test_wrong_values_change_nothing(mockbm):
            mockbm.releases([mockbm.release(id=7)])
            with pytest.raises(package.ScenarioError):
                mockbm.builds([{"id": 1}])
            mockbm.faults([])
            assert (ask(mockbm), mockbm.requests[-1].ids) == (200, (7,))
    """
    run(pytester, f"import mockbm as package{textwrap.dedent(tests)}", *way).assert_outcomes(
        passed=4
    )


def test_reset_and_cleared_requests(pytester: pytest.Pytester, way: Way) -> None:
    """A reset is the beginning of the test; cleared requests are in no assertion any more."""
    tests = """
        @pytest.mark.mockbm(scenario="single", strict=True)
        def test_it(mockbm):
            mockbm.clear_requests()
            ask(mockbm, "statsu=active")
            assert isinstance(mockbm.requests, tuple)
            mockbm.clear_requests()
            assert mockbm.requests == ()
            mockbm.assert_not_called()
            ask(mockbm, "status=active")
            ask(mockbm, "status=deployed")
            mockbm.assert_called(times=2)
            assert [entry.number for entry in mockbm.requests] == [2, 3]
            mockbm.releases([mockbm.release(id=7)])
            mockbm.clock.set("2024-03-04")
            mockbm.reset()
            assert (mockbm.active, mockbm.requests) == ("single", ())
            assert not mockbm.clock.now.startswith("2024")
            ask(mockbm)
            assert [entry.number for entry in mockbm.requests] == [1]
            mockbm.faults([])
            assert len(mockbm.state["releases"]) == 1
    """
    run(pytester, tests, *way).assert_outcomes(passed=1)


def test_the_clock_takes_dates_and_durations(pytester: pytest.Pytester, way: Way) -> None:
    """The clock of a test takes texts, and what `datetime` has."""
    tests = """
        from datetime import date, datetime, timedelta, timezone

        def test_it(mockbm):
            for now in ("2024-03-04T09:00:00Z", datetime(2024, 3, 4, 9, tzinfo=timezone.utc),
                        datetime(2024, 3, 4, 11, tzinfo=timezone(timedelta(hours=2)))):
                mockbm.clock.set(now)
                assert mockbm.clock.now == "2024-03-04T09:00:00.0000000Z"
            mockbm.clock.set(date(2024, 3, 4))
            mockbm.clock.advance("2d")
            mockbm.clock.advance(timedelta(days=1, microseconds=5))
            assert mockbm.clock.now == "2024-03-07T00:00:00.0000050Z"
            mockbm.clock.advance(timedelta(days=365 * 40))
            assert mockbm.clock.now == "2064-02-26T00:00:00.0000050Z"
            mockbm.clock.advance(timedelta(0))
    """
    run(pytester, tests, *way).assert_outcomes(passed=1)


MISTAKES = {
    'use("emty")': ["UnknownName: no scenario is called 'emty'; did you mean empty? There are: *"],
    'use({"relases": []})': [
        "ScenarioError: relases: unknown property; did you mean releases?",
        "releases: is missing; add releases: ..., or [] for none",
    ],
    'use({"name": "empty", "releases": []})': [
        "ScenarioError: name: unknown property; a scenario has the name of its file: give the name "
        "alone, or leave it out"
    ],
    "use({})": ["ScenarioError: releases: is missing; add releases: ..., or [] for none"],
    "use(5)": [
        "TypeError: expected the name of a scenario, or a dict with the keys of a scenario file; "
        "got 5"
    ],
    "releases(5)": ["ScenarioError: releases: expected a list of releases, or [[]] for none"],
    'builds([{"id": 1}])': ["ScenarioError: builds[[]0].number: is missing; add number: ..."],
    'faults([{"respnd": 1}])': [
        "ScenarioError: faults[[]0].respnd: unknown property; did you mean respond?"
    ],
    'release(stauts="active")': [
        "ScenarioError: release.stauts: unknown property; did you mean status?"
    ],
    'clock.set("soon")': ["ValueError: 'soon' is not a date; write it like 2024-03-04 or *"],
    'clock.advance("2 d")': ["ValueError: '2 d': write a number and one of ms, s, m, h, d, w, *"],
    "clock.advance(-timedelta(1))": [
        "ValueError: a clock goes forward only; got datetime.timedelta(days=-1)"
    ],
    'assert_called(statsu="x")': ["TypeError: 'statsu' is not a parameter; did you mean status?"],
    "assert_called()": ["Failed: expected at least 1 call of /api/releases, got 0", "the *"],
}


def test_mistakes_are_one_clean_block(pytester: pytest.Pytester, way: Way) -> None:
    """A wrong call shows the line of the test and what is wrong, and no source of mockbm."""
    lines = ["from datetime import timedelta"]
    for number, call in enumerate(MISTAKES):
        lines += ["", f"def test_{number:02}(mockbm):", f"    mockbm.{call}"]
    path = pytester.makepyfile("\n".join(lines))
    result = pytester.runpytest_inprocess("-p", "no:randomly", *way)
    result.assert_outcomes(failed=len(MISTAKES))
    for call, message in MISTAKES.items():
        first, *others = message
        expected = [f">       mockbm.{call}".replace("[", "[[]"), f"E       {first}"]
        if first.partition(":")[0] in ("UnknownName", "ScenarioError"):
            expected[1] = f"E       mockbm.core.errors.{first}"
        result.stdout.fnmatch_lines([*expected, *(f"E *{other}" for other in others)])
    places = [line for line in result.outlines if re.search(r"\.py:\d+", line)]
    assert [place.partition(":")[0] for place in places] == [path.name] * len(MISTAKES)


def test_a_test_for_each_scenario(pytester: pytest.Pytester, way: Way) -> None:
    """A marker runs a test with each scenario, or with some; the nearest marker counts."""
    tests = """
        @pytest.mark.mockbm(scenario="*")
        class TestAll:
            def test_it(self, mockbm, request):
                assert request.node.name == f"test_it[{mockbm.active}]"
                assert mockbm.active in mockbm.scenarios

            @pytest.mark.mockbm(scenario=["empty", "single"])
            def test_some(self, mockbm, request):
                assert request.node.name == f"test_some[{mockbm.active}]"

            @pytest.mark.mockbm(scenario="empty")
            def test_one(self, mockbm):
                assert mockbm.active == "empty"

        @pytest.mark.mockbm(scenario=["single"])
        def test_late(request):
            request.getfixturevalue("mockbm")
    """
    count = len([*(Path(__file__).parents[1] / "scenarios").glob("*.yaml")])
    result = run(pytester, tests, *way)
    result.assert_outcomes(passed=count + 3, failed=1)
    result.stdout.fnmatch_lines(["the scenarios of the marker are needed before the tests run: *"])


def test_all_scenarios_must_be_known(pytester: pytest.Pytester) -> None:
    """Where they are not known before the tests run, the fixture says why."""
    tests = """
        @pytest.fixture(scope="session")
        def mockbm_scenarios(tmp_path_factory):
            (tmp_path_factory.mktemp("mine") / "quiet.yaml").write_text("releases: []")
            return tmp_path_factory.getbasetemp() / "mine0"

        @pytest.mark.mockbm(scenario="*")
        def test_it(mockbm):
            pass

        def test_other(mockbm):
            assert mockbm.active == "quiet"
    """
    result = run(pytester, tests)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["the scenarios of the marker *mockbm_scenarios takes none, *"])


def test_handles_of_a_module_and_of_the_run(pytester: pytest.Pytester, way: Way) -> None:
    """A wider fixture has a session of its own, which a report shows, too, and which ends."""
    tests = """
        @pytest.fixture(scope="session")
        def farm(mockbm_session_factory):
            with mockbm_session_factory("single", label="farm") as mockbm:
                yield mockbm

        @pytest.fixture(scope="module")
        def shop(mockbm_session_factory, farm):
            with mockbm_session_factory("empty", strict=True) as mockbm:
                mockbm.allow(400)
                yield mockbm

        @pytest.mark.parametrize("number", [1, 2])
        def test_it(shop, farm, mockbm, number):
            assert (shop.active, farm.active, mockbm.active) == ("empty", "single", "documented")
            ask(shop, "statsu=active")
            assert len(shop.requests) == number
            assert (farm.requests, mockbm.requests) == ((), ())

        def test_report(shop):
            assert False

        def test_careless(mockbm_session_factory):
            with mockbm_session_factory(strict=True) as mockbm:
                ask(mockbm, "statsu=active")

        def test_wrong(mockbm_session_factory):
            mockbm_session_factory("emty")

        def test_not_ended(mockbm_session_factory):
            mockbm_session_factory()
    """
    result = run(pytester, tests, *way)
    result.assert_outcomes(passed=3, failed=3)
    result.stdout.fnmatch_lines(
        [
            "*- mockbm requests of shop -*",
            "#1 GET /api/releases statsu='active' -> 400 *",
            "#2 GET /api/releases statsu='active' -> 400 *",
            "mockbm is strict, and had to refuse or ignore what this test sent:",
            "E*UnknownName: no scenario is called 'emty'; *",
        ]
    )
    result.stdout.no_fnmatch_line("*fixture.py:*")


def test_a_server_that_a_test_stops(pytester: pytest.Pytester) -> None:
    """A test of an outage stops the server; the next test finds it at the same address."""
    tests = """
        import contextlib
        import socket

        urls = []

        def test_outage(mockbm, mockbm_server):
            assert ask(mockbm) == 200
            urls.append(mockbm.url)
            mockbm_server.stop()
            with pytest.raises(urllib.error.URLError, match="refused"):
                ask(mockbm)
            mockbm_server.start()
            assert ask(mockbm) == 200
            mockbm_server.stop()

        def test_next(mockbm):
            assert (ask(mockbm), [mockbm.url]) == (200, urls)

        @pytest.fixture(scope="module")
        def others():
            with contextlib.ExitStack() as others:
                yield others

        def test_taken(mockbm_server, others):
            mockbm_server.stop()
            port = int(mockbm_server.url.rpartition(":")[2])
            others.enter_context(socket.create_server(("127.0.0.1", port)))

        def test_cannot_start(mockbm, others):
            pass

        def test_does_not_need_it(others):
            pass
    """
    result = run(pytester, tests)
    result.assert_outcomes(passed=4, errors=1)
    result.stdout.fnmatch_lines(
        ["a test has stopped mockbm, which cannot listen at http://127.0.0.1:* now: *in use*"]
    )


def test_late_threads_reach_url(pytester: pytest.Pytester) -> None:
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
            assert mockbm.requests == ()
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


def test_what_only_a_mock_here_can_do(pytester: pytest.Pytester) -> None:
    """`app` and `stop` say that the mock is another process."""
    tests = """
        def test_it(mockbm, mockbm_server):
            with pytest.raises(RuntimeError, match=" is another process; it has no app here$"):
                mockbm.app
            with pytest.raises(RuntimeError, match=" is another process; it is stopped there$"):
                mockbm_server.stop()
            assert mockbm_server.url == mockbm.url == mockbm_server.admin.url
    """
    with MockServer() as server:
        run(pytester, tests, f"--mockbm-url={server.url}").assert_outcomes(passed=1)


def test_stops_with_a_keep_alive_connection_open() -> None:
    """A stop ends the thread and the connections, idle ones too, without waiting for anybody."""
    with MockServer() as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.request("GET", f"/api/releases?key={server.api_key}")
        assert connection.getresponse().read().startswith(b"[")
        begun = time.monotonic()
    # A loop that url wakes takes a second; a lost connection thirty. Far from both:
    assert time.monotonic() - begun < 0.5
    assert connection.sock.recv(1) == b""
    connection.close()


FROZEN = """
    import sys
    import freezegun
    {travel}

    MOVES = [freezegun.freeze_time("2030-01-01"), freezegun.freeze_time("1999-01-01"), *TRAVELS]

    @pytest.mark.parametrize("move", MOVES)
    def test_it(mockbm, move):
        before = mockbm.clock.now
        for _ in range(2):
            with move:
                mockbm.use("empty")
                assert ask(mockbm) == 200
                mockbm.use({{"releases": [], "faults": [{{"delay": "10ms"}}, {{"rate": "2/h"}}]}})
                assert [ask(mockbm) for _ in range(3)] == [200, 200, 429]
                assert before[:4] == mockbm.clock.now[:4]
            assert ask(mockbm) == 429
            assert before < mockbm.clock.now
            assert all(0 <= entry.duration < 60 for entry in mockbm.requests)

    @freezegun.freeze_time("2030-01-01")
    def test_decorated(mockbm):
        mockbm.clock.advance("1d")
        assert ask(mockbm) == 200
        mockbm.assert_called(times=1)
"""
"""Tests that move the clock of their process, past the hour after which an idle session ends."""


def frozen() -> str:
    """The tests, with time-machine where it is installed."""
    if importlib.util.find_spec("time_machine") is None:
        return FROZEN.format(travel="TRAVELS = []")
    travel = 'TRAVELS = [time_machine.travel("2030-01-01", tick=False)]'
    return FROZEN.format(travel=f"import time_machine; {travel}")


def test_frozen_time(pytester: pytest.Pytester, way: Way) -> None:
    """Tools that move the clock for a test move neither sessions nor timers of the mock."""
    tests = frozen()
    result = run(pytester, tests, *way)
    result.assert_outcomes(passed=3 + tests.count("travel("))


def test_time_that_is_frozen_from_the_beginning(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Time may be frozen before the mock is imported and started."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeconftest(
        """
        import sys
        import freezegun
        import pytest

        @pytest.fixture(scope="session", autouse=True)
        def frozen():
            assert "mockbm.core.mock" not in sys.modules
            with freezegun.freeze_time("2030-01-01"):
                yield
        """
    )
    tests = FROZEN.format(travel="TRAVELS = []")
    make(pytester, tests.replace("before[:4] ==", "'2030' >"))
    result = pytester.runpytest_subprocess("-p", "mockbm.pytest_plugin")
    result.assert_outcomes(passed=3)


def test_without_sockets(pytester: pytest.Pytester) -> None:
    """A test that uses only the application starts no server, which may be forbidden."""
    tests = """
        def test_app(mockbm, mockbm_server):
            mockbm.use("single")
            client = mockbm.app.test_client()
            answer = client.get("/api/releases", headers={"X-ApiKey": mockbm.api_key})
            assert [release["id"] for release in answer.json] == [1]
            mockbm.assert_called(times=1)
            assert (mockbm.active, mockbm_server.scenarios) == ("single", mockbm.scenarios)
            mockbm.clock.advance("1d")

        def test_url(mockbm):
            assert mockbm.url

        @pytest.mark.enable_socket
        def test_allowed(mockbm):
            assert ask(mockbm) == 200
    """
    result = run(pytester, tests, "--disable-socket")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["E*A test tried to use socket.socket."])
