"""Selecting and ordering against an oracle too simple to be wrong: look at every release."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mockbm.releases import ReleaseSchema, completed
from mockbm.selection import FilterSchema, Releases

SELECTS_BY = {
    "applicationId": "applicationId",
    "applicationName": "applicationName",
    "releaseId": "id",
    "releaseNumber": "number",
    "releaseName": "name",
    "pipelineName": "pipelineName",
    "status": "status",
}
MOMENTS = {
    "2024-01-01": 0,
    "2024-01-01T00:00:00.0000001Z": 1,
    "2024-01-01T02:00:00.0000001+02:00": 1,
    "2024-01-01T00:00:00.000001Z": 10,
    "2023-12-31T20:00:00-05:00": 36_000_000_000,
    "2023-12-31T23:59:59.9999999": -1,
}
"""Ways to write a date, and the tenths of a microsecond from the first one."""

ids = st.integers(min_value=-1, max_value=12)
few = st.integers(min_value=1, max_value=2)
texts = st.sampled_from(["a", "A", "b", "é", "É", "a.", "1", "01"])
statuses = st.sampled_from(["active", "canceled", "deployed"])
releases = st.fixed_dictionaries(
    {
        "id": ids,
        "number": texts,
        "applicationId": few,
        "applicationName": texts,
        "createdOn": st.sampled_from(list(MOMENTS)),
    },
    optional={"name": texts, "pipelineName": texts, "status": statuses},
)
instances = st.lists(releases, max_size=12, unique_by=lambda release: release["id"])


@st.composite
def filter_sets(draw: st.DrawFn, instance: list[dict[str, Any]]) -> dict[str, Any]:
    """Some filters, most with values that the instance has, so that they select something."""
    filters = {}
    for name in draw(st.sets(st.sampled_from(list(SELECTS_BY)), max_size=4)):
        own = [release[SELECTS_BY[name]] for release in instance if SELECTS_BY[name] in release]
        kind = ids if name.endswith("Id") else statuses if name == "status" else texts
        filters[name] = draw(st.sampled_from(own) | kind if own else kind)
    return filters


def matches(release: dict[str, Any], filters: dict[str, Any]) -> bool:
    """Whether a release, as the scenario writes it, has every value that is asked for."""
    full = {"name": release["number"], "status": "active", **release}
    for name, wanted in filters.items():
        if SELECTS_BY[name] not in full:
            return False
        if str(full[SELECTS_BY[name]]).lower() != str(wanted).lower():
            return False
    return True


def newest_first(instance: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The releases by moment, then id, descending: the greatest that is left, again and again."""
    left, ordered = list(instance), []
    while left:
        newest = left[0]
        for release in left[1:]:
            later = MOMENTS[release["createdOn"]] - MOMENTS[newest["createdOn"]]
            if later > 0 or (later == 0 and release["id"] > newest["id"]):
                newest = release
        left.remove(newest)
        ordered.append(newest)
    return ordered


@settings(max_examples=400, deadline=None, database=None)
@given(data=st.data(), instance=instances, as_written=st.booleans())
def test_selection_is_a_scan_of_all_releases(
    data: st.DataObject, instance: list[dict[str, Any]], as_written: bool
) -> None:
    """The releases answered are the ones that match every filter, in the scenario's order."""
    filters = data.draw(filter_sets(instance), label="filters")
    loaded = list(completed(ReleaseSchema(many=True).load(instance)))
    compiled = Releases(loaded, as_written=as_written)
    as_asked = FilterSchema(strict=False).load(
        {name: str(value) for name, value in filters.items()}
    )

    answer = json.loads(compiled.body(compiled.select(as_asked).positions))

    ordered = instance if as_written else newest_first(instance)
    expected = [release["id"] for release in ordered if matches(release, filters)]
    by_id = {release["id"]: release for release in loaded}
    assert [release["id"] for release in answer] == expected
    assert answer == [by_id[id_] for id_ in expected]
    assert len(compiled) == len(instance)
