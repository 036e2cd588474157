"""The scenarios that come with mockbm: which there are, and that every run answers the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from scenario_rows import load_in_a_process, one, outcome, write

from mockbm.loading import load_scenarios, shipped_scenarios

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


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_scenario_tells_what_it_is(name: str) -> None:
    """Each scenario that comes with the package has a description and the documented key."""
    scenario = load_scenarios(shipped_scenarios())[name]
    assert scenario.description
    assert scenario.api_keys == (() if name == "unauthorized" else ("abc12345",))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", SHIPPED)
def test_an_answer_is_a_list_of_releases(name: str, way: str, tmp_path: Path) -> None:
    """What a server answers can be pasted behind `releases:`, and is answered again."""
    compiled = load_scenarios(shipped_scenarios())[name].releases
    answer = json.loads(compiled.body(range(len(compiled))))
    content = f"order: as-written\nreleases: {json.dumps(answer, **WAYS[way])}\n"
    assert outcome(tmp_path, content) == answer


def test_loading_is_deterministic(tmp_path: Path) -> None:
    """Two runs serve the same bytes and list the same problems, whatever Python's hashes are."""
    write(tmp_path, {"t.yaml": one("canceledOn: 2024-01-01", "canceledBy: B", "releaseName: C")})
    for directory in (shipped_scenarios(), tmp_path):
        first, second = (load_in_a_process(directory, hashes) for hashes in ("1", "2"))
        assert first == second
        assert first
