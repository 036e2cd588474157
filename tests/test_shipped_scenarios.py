"""The scenarios that come with mockbm: which there are, and that every run answers the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from scenario_rows import body, load_in_processes, one, outcome, write

from mockbm.files.directory import load_scenarios, shipped_scenarios

SHIPPED = sorted(path.stem for path in shipped_scenarios().glob("*.yaml"))
PROMISED = {
    "documented",
    "empty",
    "every-status",
    "legacy-6.1",
    "many-applications",
    "single",
    "unicode-and-odd-values",
    "outage",
    "flaky",
    "slow",
    "unauthorized",
    "malformed",
    "connection-reset",
    "rate-limited",
    "bad-request",
    "deploy-in-progress",
    "release-appears",
    "large",
    "release-train",
    "failing-deployment",
    "deployment-pending",
    "approval",
}
WAYS: dict[str, dict[str, Any]] = {
    "compact": {"separators": (",", ":"), "ensure_ascii": False},
    "indented": {"indent": 2, "ensure_ascii": False},
    "with tabs": {"indent": "\t", "ensure_ascii": False},
    "in ASCII": {"ensure_ascii": True},
}


def test_ships_the_promised_scenarios() -> None:
    """The scenarios that users rely on come with the package, and all of them load."""
    assert list(load_scenarios(shipped_scenarios())) == SHIPPED
    assert set(SHIPPED) >= PROMISED


def test_a_shipped_scenario_says_what_it_is() -> None:
    """Each scenario that comes with the package has a description and the documented key."""
    for name, scenario in load_scenarios(shipped_scenarios()).items():
        assert scenario.description, name
        assert scenario.api_keys == (() if name == "unauthorized" else ("abc12345",)), name


@pytest.mark.parametrize("way", WAYS)
def test_an_answer_is_a_list_of_releases(way: str, tmp_path: Path) -> None:
    """What a server answers can be pasted behind `releases:`, and is answered as it is there."""
    answers = {
        name: json.loads(body(scenario))
        for name, scenario in load_scenarios(shipped_scenarios()).items()
        if scenario.release_count < 1_000
    }
    for name, answer in answers.items():
        content = f"order: as-written\nreleases: {json.dumps(answer, **WAYS[way])}\n"
        assert outcome(tmp_path, content) == answer, name
    assert len(answers) >= len(SHIPPED) - 1


def test_loading_is_deterministic(tmp_path: Path) -> None:
    """Two runs serve the same bytes and list the same problems, whatever Python's hashes are."""
    good, bad = tmp_path / "good", tmp_path / "bad"
    shutil.copytree(shipped_scenarios(), good)
    write(good, {"large.yaml": "generate: {releases: 300, applications: 9}\n"})
    bad.mkdir()
    write(bad, {"t.yaml": one("canceledOn: 2024-01-01", "canceledBy: B", "releaseName: C")})
    for directory, printed in ((good, "documented"), (bad, "t.yaml:6:15: ")):
        first, second = load_in_processes(directory, hashes=["1", "2"])
        assert first == second
        assert printed in first
