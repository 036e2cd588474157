"""Selecting, ordering and changing against an oracle too simple to be wrong: every release."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mockbm.endpoints.releases import FilterSchema, ReleaseSchema, completed
from mockbm.files.directory import inline_scenario

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
few_ids = st.integers(min_value=1, max_value=3)
writes = st.lists(st.builds(lambda row, id_: {**row, "id": id_}, releases, few_ids) | few_ids)
"""Releases that a session adds or replaces, and ids of those that it removes."""


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
    """Whether a release, as the scenario writes it, has every value of the filters."""
    full = {"name": release["number"], "status": "active", **release}
    for name, wanted in filters.items():
        if SELECTS_BY[name] not in full:
            return False
        if str(full[SELECTS_BY[name]]).lower() != str(wanted).lower():
            return False
    return True


def newest_first(instance: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The releases by moment, then id, descending: each time the greatest that is left."""
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


def loaded(instance: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Releases as they are written in a file, complete."""
    return list(completed(ReleaseSchema(many=True).load(instance)))


@settings(max_examples=200, deadline=None, database=None)
@given(data=st.data(), instance=instances, writes=writes, as_written=st.booleans())
def test_selection_is_a_scan_of_all_releases(
    data: st.DataObject,
    instance: list[dict[str, Any]],
    writes: list[dict[str, Any] | int],
    as_written: bool,
) -> None:
    """The releases answered are the ones that match every filter, in the scenario's order.

    The explanation counts them filter by filter. All this also after a session has written some of
    its own, of which the scenario's table knows nothing.
    """
    order = "as-written" if as_written else "newest-first"
    shared = inline_scenario({"releases": instance, "order": order}).tables["releases"]
    table = shared.fork()
    rows = {row["id"]: row for row in loaded(instance)}
    written = {release["id"]: release for release in instance}
    for write in writes:
        if isinstance(write, int):
            table.remove(write)
            rows.pop(write, None)
            written.pop(write, None)
        else:
            (rows[write["id"]],) = loaded([write])
            table.put(rows[write["id"]])
            written[write["id"]] = write
    before = [write for write in writes if isinstance(write, dict)]
    filters = data.draw(filter_sets([*written.values(), *before]), label="filters")
    texts = {name: str(value) for name, value in filters.items()}

    selection = table.select(FilterSchema().read(texts, strict=False))

    places = [release["id"] for release in instance]
    others = sorted(written.keys() - {*places})
    in_order = [written[id_] for id_ in (*places, *others) if id_ in written]
    ordered = in_order if as_written else newest_first(in_order)
    expected = [release["id"] for release in ordered if matches(release, filters)]
    assert list(selection.ids) == expected
    assert json.loads(selection.body) == [rows[id_] for id_ in expected]
    first, *steps = selection.explanation.split("; ")
    assert first.startswith(f"{len(written)} release")
    for number, step in enumerate(steps, 1):
        so_far = dict(list(filters.items())[:number])
        left = sum(matches(release, so_far) for release in written.values())
        assert re.search(rf": {left}\b", step)
    assert len(steps) == len(filters)
    assert len(table) == len(written)
    assert all((id_ in table) == (id_ in written) for id_ in range(-1, 13))
    assert len(shared) == len(instance)
