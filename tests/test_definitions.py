"""Faults and changes that cannot be meant: the exact messages, with their positions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from string import Template

import pytest
from scenario_rows import Row, answered, one, outcome, refused, served

FAULT_WORDS = {
    "duration": "is not a duration; "
    "write a number and one of ms, s, m, h, d, w, such as 250ms or 2d",
    "rate": "is not a rate; write 5/s, 100/m or 1000/h",
    "known": "known are after, times, delay, respond, connection, rate, when",
    "nothing": "3:5: faults[0]: does nothing; give delay, respond, connection or rate",
    "kinds": "is not one of reset, empty, truncate, malformed",
    "status": "is no status of an answer; allowed is 200 to 599",
    "headers": "faults[0].respond.headers",
    "integer": "is not an integer; write decimal digits only",
    "together": "given together with releaseId; give at most one of releaseId, releaseNumber, "
    "releaseName",
}
# The lines of a fault, parted by `|`, and below it everything that is wrong with it.
FAULT_DEFINITIONS = """
x
    3:5: faults[0]: expected a fault, such as `- respond: {status: 503}`
{}
    $nothing
after: 1|times: 2|when: {status: active}
    $nothing
delay:|respond:
    $nothing
delay: 1s|tims: 2
    4:5: faults[0].tims: unknown property; did you mean times?
delay: 1s|zzz: 2
    4:5: faults[0].zzz: unknown property; $known
when: x|delay: 1s
    3:11: faults[0].when: expected parameters, such as {status: active}
when: {statsu: active}|delay: 1s
    3:12: faults[0].when.statsu: unknown parameter; did you mean status?
when: {status: odd, releaseId: x}|delay: 1s
    3:20: faults[0].when.status: 'odd' is not one of active, canceled, deployed
    3:36: faults[0].when.releaseId: 'x' $integer
when: {pipelineId: 1}|delay: 1s
    3:12: faults[0].when.pipelineId: was dropped in BuildMaster 6.2; filter by pipelineName
when: {releaseId: 1, status: odd, releaseName: a}|delay: 1s
    3:34: faults[0].when.status: 'odd' is not one of active, canceled, deployed
    3:52: faults[0].when.releaseName: $together
after: -1|delay: 1s
    3:12: faults[0].after: is below 0
times: 0|delay: 1s
    3:12: faults[0].times: is below 1; leave the fault out instead
times: 1.5|delay: 1s
    3:12: faults[0].times: '1.5' $integer
delay: 1
    3:12: faults[0].delay: '1' $duration
delay: 1 s
    3:12: faults[0].delay: '1 s' $duration
delay: -1s
    3:12: faults[0].delay: '-1s' $duration
delay: [1s]
    3:12: faults[0].delay: a list $duration
delay: 2h
    3:12: faults[0].delay: is over an hour, longer than any client waits
delay: {min: 1s}
    3:12: faults[0].delay.max: is missing; add max: ...
delay: {min: 2s, max: 1s}
    3:12: faults[0].delay: min is more than max
delay: {min: 1s, max: 2, sed: 1}
    3:27: faults[0].delay.max: '2' $duration
    3:30: faults[0].delay.sed: unknown property; did you mean seed?
respond: 503
    3:14: faults[0].respond: expected an answer, such as {status: 503}
respond: {}
    3:14: faults[0].respond.status: is missing; add status: ...
respond: {status: 199}
    3:23: faults[0].respond.status: 199 $status
respond: {status: 600}
    3:23: faults[0].respond.status: 600 $status
respond: {status: 204, body: x}
    3:34: faults[0].respond.body: an answer with status 204 has no body
respond: {status: 503, headers: [a]}
    3:37: $headers: expected names and values, such as {Retry-After: 1}
respond: {status: 503, headers: {'a b': c}}
    3:45: $headers.a b: cannot name a header; use letters, digits and '-'
respond: {status: 503, headers: {X: "a\\r\\nb: c"}}
    3:41: $headers.X: 'a\\r\\nb: c' is not plain ASCII on one line
respond: {status: 503, headers: {X: [1]}}
    3:41: $headers.X: a list is not text; write one text, in quotes
respond: {status: 503, headers: {X: }}
    3:41: $headers.X: is empty; write some text
connection: rest
    3:17: faults[0].connection: 'rest' $kinds; did you mean reset?
connection: Empty
    3:17: faults[0].connection: 'Empty' $kinds; did you mean empty?
connection: [reset]
    3:17: faults[0].connection: a list $kinds
rate: 5
    3:11: faults[0].rate: '5' $rate
rate: 0/s
    3:11: faults[0].rate: '0/s' $rate
rate: 5/d
    3:11: faults[0].rate: '5/d' $rate
respond: {status: 50}|connection: reset|after: soon
    3:5: faults[0]: gives respond and connection; one fault answers in one way
    3:23: faults[0].respond.status: 50 $status
    5:12: faults[0].after: 'soon' $integer
"""


def rows(table: str, words: Mapping[str, str], write: Callable[..., str]) -> list[Row]:
    """The rows of such a table, with words in the place of texts; `write` makes a file of lines."""
    found: list[Row] = []
    for line in Template(table).substitute(words).strip().splitlines():
        if line.startswith(" "):
            found[-1].expected.append(f"t.yaml:{line.strip()}")  # type: ignore[arg-type]
        else:
            found.append(Row(line, write(*line.split("|")), []))
    return found


def with_fault(first: str, *others: str) -> str:
    """A file with one fault, which begins in line 3, column 5."""
    return "\n".join(["releases: []", f"faults:\n  - {first}", *(f"    {x}" for x in others), ""])


A_LIST = "2:9: faults: expected a list of faults, such as - respond: {status: 503}"
HEADERS = {
    "is set by the server itself; leave it out": "Content-Length Date server X-Mockbm-Explain",
    "is about the connection, which is the server's; leave it out": (
        "Connection Keep-Alive Proxy-Authenticate proxy-authorization Proxy-Connection TE Trailer "
        "Trailers transfer-encoding UPGRADE"
    ),
}

FAULTS = [
    *(
        refused(
            f"the header {name}",
            with_fault("respond:", "  status: 503", f"  headers: {{{name}: x}}"),
            f"5:{19 + len(name)}: faults[0].respond.headers.{name}: {what}",
        )
        for what, names in HEADERS.items()
        for name in names.split()
    ),
    *rows(FAULT_DEFINITIONS, FAULT_WORDS, with_fault),
    refused("no list", "releases: []\nfaults: x\n", A_LIST),
    refused("no list, but a fault", "releases: []\nfaults: {delay: 1s}\n", A_LIST),
    served("nulls", with_fault("respond: {status: 503}", "connection:", "delay:")),
    served(
        "a null and a filter of its group",
        with_fault("when: {applicationId: 1, applicationName: }", "delay: 1s"),
    ),
    served("of another endpoint", with_fault("when: {endpoint: create}", "delay: 1s")),
    served(
        "of another endpoint, with its parameters",
        with_fault("when: {endpoint: builds/deployments, status: pending}", "delay: 1s"),
    ),
    served("of Get Releases by its name", with_fault("when: {endpoint: Releases}", "delay: 1s")),
    served("none", "releases: []\nfaults: []\n"),
]


@pytest.mark.parametrize("row", FAULTS, ids=lambda row: row.id)
def test_a_fault_is_checked(row: Row, tmp_path: Path) -> None:
    """What is wrong with a fault is reported before the start, with its place and what to write."""
    assert answered(row, tmp_path) == row.expected


def test_every_bad_header_is_reported(tmp_path: Path) -> None:
    """Where several headers are wrong, all of them are reported at once."""
    content = with_fault("respond: {status: 503, headers: {'a b': c, Date: x, Y: é}}")
    found = "".join(outcome(tmp_path, content))
    assert [name in found for name in ("a b:", "Date:", "Y:")] == [True, True, True]


CHANGE_WORDS = {
    "after": "is not a moment; write `3 calls`, or a duration such as 30s or 2d",
    "sort": "comes before the change above it; sort the changes",
    "only": "only a release with status: canceled has this",
    "how": "is not a relative date; write now, now-3d or now+2w; units are ms, s, m, h, d, w",
    "unit": "write a number and one of ms, s, m, h, d, w, such as 250ms or 2d",
    "most": "allowed are a hundred years at most",
    "at": "releases[0].changes",
    "leave": "leave furthestPackageId out, it repeats furthestBuildId",
    "list": "expected a list of changes, such as - {after: 3 calls, ...}",
}
# The lines of a release from the sixth on, parted by `|`, and below them all that is wrong.
CHANGE_DEFINITIONS = """
changes: x
    6:12: $at: $list
changes: {after: 1 call}
    6:12: $at: $list
changes: [x]
    6:13: $at[0]: expected a change, such as {after: 3 calls, status: deployed}
changes: [{status: deployed}]
    6:13: $at[0].after: is missing; add after: 3 calls, or after: 30s
changes: [{after: soon, status: active}]
    6:21: $at[0].after: 'soon' $after
changes: [{after: 3, status: active}]
    6:21: $at[0].after: '3' $after
changes: [{after: -3 calls, status: active}]
    6:21: $at[0].after: '-3 calls' $after
changes: [{after: 9999w, status: active}]
    6:21: $at[0].after: '9999w' is not a moment; $most
changes: [{after: [1], status: active}]
    6:21: $at[0].after: a list $after
changes: [{after: 1 call, stauts: x}]
    6:29: $at[0].stauts: unknown property; did you mean status?
changes: [{after: 1 call, status: Deployed}]
    6:37: $at[0].status: 'Deployed' is not one of active, canceled, deployed; did you mean deployed?
changes: [{after: 1 call, absent: no}]
    6:37: $at[0].absent: 'no' is neither true nor false
changes: [{after: 1 call, canceledBy: X}]
    6:41: $at[0].canceledBy: $only
changes: [{after: 1 call, furthestPackageId: x}]
    6:48: $at[0].furthestPackageId: 'x' is not an integer; write decimal digits only
changes: [{after: 1 call, furthestBuildId: 3, furthestPackageId: 4}]
    6:68: $at[0].furthestPackageId: 4 contradicts furthestBuildId, which is 3; $leave
furthestPackageId: 3|furthestBuildId: 4|changes: [{after: 1 call, name: B}]
    6:22: releases[0].furthestPackageId: 3 contradicts furthestBuildId, which is 4; $leave
changes: [{after: 1 call, createdOn: 2023-02-29}]
    6:40: $at[0].createdOn: '2023-02-29' is not a date that exists
changes:|- {after: 3 calls, status: deployed}|- {after: 2 calls, status: active}
    8:13: $at[1].after: $sort
changes:|- {after: 30s, name: B}|- {after: 3 calls, name: C}|- {after: 20s, name: D}
    9:13: $at[2].after: $sort
changes:|- {after: 0s, status: canceled}|- {after: 1s, status: active, canceledOn: now}
    8:45: $at[1].canceledOn: $only
absent: yes
    6:11: releases[0].absent: 'yes' is neither true nor false
targetDate: now+
    6:15: releases[0].targetDate: 'now+' $how
targetDate: now-3
    6:15: releases[0].targetDate: 'now-3' $how
targetDate: now - 3d
    6:15: releases[0].targetDate: 'now - 3d' $how
targetDate: nowish
    6:15: releases[0].targetDate: 'nowish' $how
targetDate: now+2y
    6:15: releases[0].targetDate: 'now+2y' is not a relative date; $unit
targetDate: now+6000w
    6:15: releases[0].targetDate: 'now+6000w' is not a relative date; $most
"""

CHANGES = [
    *rows(CHANGE_DEFINITIONS, CHANGE_WORDS, one),
    served(
        "an older name, changed to another value under its newer one",
        one("furthestPackageId: 3", "changes: [{after: 0s, furthestBuildId: 4}]"),
        {"furthestBuildId": 4, "furthestPackageId": 4},
    ),
    served(
        "an older name in a change",
        one("furthestBuildId: 3", "changes: [{after: 3 calls, furthestPackageId: 4}]"),
        {"furthestBuildId": 3, "furthestPackageId": 3},
    ),
]


@pytest.mark.parametrize("row", CHANGES, ids=lambda row: row.id)
def test_a_change_is_checked(row: Row, tmp_path: Path) -> None:
    """What is wrong with changes and dates is reported before the start, with its place."""
    assert answered(row, tmp_path) == row.expected
