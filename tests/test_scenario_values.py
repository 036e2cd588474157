"""Scenario files as people really write them: what each value becomes in the answer.

The traps of whole files and directories are in test_scenario_files.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from marshmallow import ValidationError
from scenario_rows import (
    LEFT_OUT,
    Row,
    answered,
    one,
    refused,
    served,
    write,
)

from mockbm.endpoints.releases import sample_release
from mockbm.files.directory import load_scenarios

NOT_INTEGER = "is not an integer; write decimal digits only"
TOO_BIG = "does not fit in 32 bits; allowed is -2147483648 to 2147483647"
NOT_TEXT = "is not text; write one text, in quotes"
NOT_DATE = (
    "is not a date; write it like 2024-03-04 or 2024-03-04T09:03:43.9200000Z, with at most "
    "seven decimals"
)
NO_SUCH_DATE = "is not a date that exists"
STATUSES = "is not one of active, canceled, deployed"
ORDERS = "is not one of newest-first, as-written"
ONLY_CANCELED = "only a release with status: canceled has this"
TAKEN = "1 is taken by releases[0]; an id occurs once"
JSON = '{"id":1,"number":"1.10","applicationId":1,"applicationName":"A",'
DEFAULTS = {
    "id": 1,
    "number": "1",
    "name": "1",
    "sequence": 1,
    "template": LEFT_OUT,
    "status": "active",
    "createdBy": "SYSTEM",
    "createdOn": "2024-01-01T00:00:00.0000000Z",
    "canceledBy": LEFT_OUT,
    "canceledOn": LEFT_OUT,
    "targetDate": LEFT_OUT,
    "applicationId": 1,
    "applicationName": "A",
    "pipelineId": LEFT_OUT,
    "pipelineName": LEFT_OUT,
    "furthestBuildId": LEFT_OUT,
    "furthestBuildNumber": LEFT_OUT,
    "latestBuildId": LEFT_OUT,
    "latestBuildNumber": LEFT_OUT,
    "deployables": [],
    "furthestPackageId": LEFT_OUT,
    "furthestPackageNumber": LEFT_OUT,
    "latestPackageId": LEFT_OUT,
    "latestPackageNumber": LEFT_OUT,
    "releaseName": "1",
    "releaseNumber": "1",
}
OPTIONAL = [name for name in DEFAULTS if name not in one()]


def releases(*each: str) -> str:
    """A file with these releases, each written as what it has in addition to an application."""
    lines = [f"- {{{text}, applicationId: 1, applicationName: A}}" for text in each]
    return "\n".join(["releases:", *lines, ""])


def both_dates(written: str, answered: str) -> Row:
    """A release with one date in its two properties."""
    content = one(f"createdOn: {written}", f"targetDate: '{written}'")
    return served(f"date {written}", content, {"createdOn": answered, "targetDate": answered})


def no_date(written: str, what: str) -> Row:
    """A release with something that is not a date."""
    return refused(
        f"no date {written}",
        one(f"createdOn: {written}"),
        f"6:14: releases[0].createdOn: '{written}' {what}",
    )


ROWS = [
    # Text is text.
    served(
        "looks like a number",
        releases("id: 1, number: 1.10, name: 010, template: 1e3, createdBy: 0x1F"),
        {"number": "1.10", "name": "010", "template": "1e3", "createdBy": "0x1F"},
    ),
    served(
        "looks like a truth",
        one("name: no", "template: yes", "createdBy: on", "pipelineName: true"),
        {"name": "no", "template": "yes", "createdBy": "on", "pipelineName": "true"},
    ),
    served(
        "looks like a time or a date",
        one("name: 12:30:45", "template: 2024-03-04", "createdBy: .inf", "pipelineName: ="),
        {
            "name": "12:30:45",
            "template": "2024-03-04",
            "createdBy": ".inf",
            "pipelineName": "=",
        },
    ),
    served(
        "looks like a global pipeline",
        one("pipelineName: global::Hotfix"),
        {"pipelineName": "global::Hotfix"},
    ),
    served(
        "looks like null",
        one("name: Null", "template: NULL", "createdBy: nil"),
        {"name": "Null", "template": "NULL", "createdBy": "nil"},
    ),
    served(
        "null in quotes",
        one('name: "null"', "template: '~'", 'createdBy: ""'),
        {"name": "null", "template": "~", "createdBy": ""},
    ),
    served(
        "beyond ASCII",
        one("name: Übergabe 🚀", r'template: "\u00dc \U0001F680"'),
        {"name": "Übergabe 🚀", "template": "Ü 🚀"},
    ),
    refused("list for a text", one("name: [a]"), f"6:9: releases[0].name: a list {NOT_TEXT}"),
    refused(
        "mapping for a text",
        one("template:", "  a: b"),
        f"7:5: releases[0].template: an object {NOT_TEXT}",
    ),
    refused(
        "empty required text",
        releases("id: 1, number: ''"),
        "2:19: releases[0].number: is empty; write some text",
    ),
    # Null is left out.
    served("null", one(*(f"{name}: null" for name in OPTIONAL)), DEFAULTS),
    served("tilde", one(*(f"{name}: ~" for name in OPTIONAL)), DEFAULTS),
    served("nothing", one(*(f"{name}:" for name in OPTIONAL)), DEFAULTS),
    served("left out", one(), DEFAULTS),
    refused(
        "null for what is required",
        "releases:\n- id: ~\n  number: null\n  applicationId:\n  applicationName: A\n",
        "2:7: releases[0].id: is missing; add id: ...",
        "3:11: releases[0].number: is missing; add number: ...",
        "4:17: releases[0].applicationId: is missing; add applicationId: ...",
    ),
    refused(
        "nothing but an id",
        "releases:\n- id: 1\n",
        "2:3: releases[0].applicationId: is missing; add applicationId: ...",
        "2:3: releases[0].applicationName: is missing; add applicationName: ...",
        "2:3: releases[0].number: is missing; add number: ...",
    ),
    # Integers.
    served("zeros before an id", releases("id: 010, number: 010"), {"id": 10, "number": "010"}),
    served("id in quotes", releases("id: '7', number: 1"), {"id": 7}),
    served("smallest id", releases("id: -2147483648, number: 1"), {"id": -2147483648}),
    served("greatest id", releases("id: 2147483647, number: 1"), {"id": 2147483647}),
    refused(
        "beyond 32 bits",
        one("sequence: 2147483648", "pipelineId: -2147483649", "latestBuildId: 99999999999"),
        f"6:13: releases[0].sequence: '2147483648' {TOO_BIG}",
        f"7:15: releases[0].pipelineId: '-2147483649' {TOO_BIG}",
        f"8:18: releases[0].latestBuildId: '99999999999' {TOO_BIG}",
    ),
    refused(
        "more digits than Python converts",
        releases(f"id: {'9' * 5000}, number: 1"),
        f"2:8: releases[0].id: '{'9' * 59}...{'9' * 16}' {TOO_BIG}",
    ),
    *(
        refused(f"no id {text}", releases(f"id: {text}, number: 1"), f"2:8: releases[0].id: {line}")
        for text, line in {
            "one": f"'one' {NOT_INTEGER}",
            "0x1F": f"'0x1F' {NOT_INTEGER}",
            "1e3": f"'1e3' {NOT_INTEGER}",
            "1.5": f"'1.5' {NOT_INTEGER}",
            "'1.0'": f"'1.0' {NOT_INTEGER}",
            "1_000": f"'1_000' {NOT_INTEGER}",
            "+1": f"'+1' {NOT_INTEGER}",
            "' 1 '": f"' 1 ' {NOT_INTEGER}",
            "''": f"'' {NOT_INTEGER}",
            "true": f"'true' {NOT_INTEGER}",
            "٣": f"'٣' {NOT_INTEGER}",
            "{a: b}": f"an object {NOT_INTEGER}",
            "[1]": f"a list {NOT_INTEGER}",
        }.items()
    ),
    refused(
        "duplicate ids",
        releases("id: 1, number: 1", "id: 01, number: 2", "id: 2, number: 3", "id: 1, number: 4"),
        f"3:8: releases[1].id: {TAKEN}",
        f"5:8: releases[3].id: {TAKEN}",
    ),
    # Dates.
    both_dates("2024-03-04", "2024-03-04T00:00:00.0000000Z"),
    both_dates("2024-03-04T09:03", "2024-03-04T09:03:00.0000000Z"),
    both_dates("2024-03-04 09:03:43.92", "2024-03-04T09:03:43.9200000Z"),
    both_dates("2024-03-04T09:03:43.1234567Z", "2024-03-04T09:03:43.1234567Z"),
    both_dates("2024-03-04T09:03:43.0000001+02:00", "2024-03-04T07:03:43.0000001Z"),
    both_dates("2024-03-04T23:30-01:00", "2024-03-05T00:30:00.0000000Z"),
    both_dates("2024-03-04T23:59+23:59", "2024-03-04T00:00:00.0000000Z"),
    both_dates("2024-02-29T00:00:00+05:45", "2024-02-28T18:15:00.0000000Z"),
    both_dates("9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59.9999999Z"),
    no_date("2024-03-04T09:03:43.12345678Z", NOT_DATE),
    no_date("soon", NOT_DATE),
    no_date("20240304", NOT_DATE),
    no_date("03/04/2024", NOT_DATE),
    no_date("2024-3-4", NOT_DATE),
    no_date("2024-03-04T09", NOT_DATE),
    no_date("2024-03-04Z", NOT_DATE),
    no_date("2024-03-04T09:03+0100", NOT_DATE),
    no_date("2024-03-04T24:00", NO_SUCH_DATE),
    no_date("2024-03-04T23:59:60Z", NO_SUCH_DATE),
    no_date("2023-02-29", NO_SUCH_DATE),
    no_date("0000-01-01", NO_SUCH_DATE),
    no_date("0000-01-01T00:00:00.0000000Z", NO_SUCH_DATE),
    no_date("2023-02-29T00:00:00.0000000Z", NO_SUCH_DATE),
    no_date("2024-03-04T24:00:00.0000000Z", NO_SUCH_DATE),
    no_date("2024-13-04T00:00:00.0000000Z", NO_SUCH_DATE),
    no_date("0001-01-01T00:00+00:01", "is, in UTC, outside the years 1 to 9999"),
    no_date("2024-03-04T09:03+24:00", "has an offset beyond 23:59"),
    no_date("2024-03-04T09:03+00:60", "has an offset beyond 23:59"),
    no_date("9999-12-31T23:59:59-00:01", "is, in UTC, outside the years 1 to 9999"),
    refused(
        "list for a date",
        one("targetDate: [1]"),
        f"6:15: releases[0].targetDate: a list {NOT_DATE}",
    ),
    # Status, and what goes with it.
    refused(
        "status in capitals",
        one("status: Active"),
        f"6:11: releases[0].status: 'Active' {STATUSES}; did you mean active?",
    ),
    refused(
        "status in British",
        one("status: cancelled", "canceledBy: Me"),
        f"6:11: releases[0].status: 'cancelled' {STATUSES}; did you mean canceled?",
    ),
    refused("empty status", one("status: ''"), f"6:11: releases[0].status: '' {STATUSES}"),
    served(
        "canceled",
        one("status: canceled", "createdOn: 2024-02-03"),
        {"canceledBy": "SYSTEM", "canceledOn": "2024-02-03T00:00:00.0000000Z"},
    ),
    served(
        "canceled by a person",
        one("status: canceled", "canceledBy: Me", "canceledOn: 2024-02-03"),
        {"canceledBy": "Me", "canceledOn": "2024-02-03T00:00:00.0000000Z"},
    ),
    refused(
        "canceled, but active",
        one("status: active", "canceledBy: Me", "canceledOn: 2024-02-03"),
        f"7:15: releases[0].canceledBy: {ONLY_CANCELED}",
        f"8:15: releases[0].canceledOn: {ONLY_CANCELED}",
    ),
    refused(
        "canceled, but active by default",
        one("canceledBy: Me"),
        f"6:15: releases[0].canceledBy: {ONLY_CANCELED}",
    ),
    # Older names.
    served(
        "older names are derived",
        one("furthestBuildId: 3", "furthestBuildNumber: 03", "latestBuildId: 4", "name: B"),
        {
            "furthestPackageId": 3,
            "furthestPackageNumber": "03",
            "latestPackageId": 4,
            "latestPackageNumber": LEFT_OUT,
            "releaseName": "B",
            "releaseNumber": "1",
        },
    ),
    served(
        "older names agree",
        one("furthestBuildId: 3", "furthestPackageId: 03", "releaseName: 1", "releaseNumber: 1"),
        {"furthestBuildId": 3, "furthestPackageId": 3, "releaseName": "1", "releaseNumber": "1"},
    ),
    refused(
        "older names contradict",
        one("name: B", "releaseName: C", "releaseNumber: 1.0", "furthestBuildId: 3")
        + "  furthestPackageId: 4\n  latestBuildNumber: 5\n  latestPackageNumber: 05\n",
        "7:16: releases[0].releaseName: 'C' contradicts name, which is 'B'; "
        "leave releaseName out, it repeats name",
        "8:18: releases[0].releaseNumber: '1.0' contradicts number, which is '1'; "
        "leave releaseNumber out, it repeats number",
        "10:22: releases[0].furthestPackageId: 4 contradicts furthestBuildId, which is 3; "
        "leave furthestPackageId out, it repeats furthestBuildId",
        "12:24: releases[0].latestPackageNumber: '05' contradicts latestBuildNumber, which is "
        "'5'; leave latestPackageNumber out, it repeats latestBuildNumber",
    ),
    served(
        "older name alone, of what has a default",
        one("releaseName: B"),
        {"name": "B", "number": "1", "releaseName": "B", "releaseNumber": "1"},
    ),
    served(
        "older names alone",
        one("furthestPackageId: 02", "furthestBuildId: ", "latestPackageNumber: 03"),
        {
            "furthestBuildId": 2,
            "furthestPackageId": 2,
            "furthestBuildNumber": LEFT_OUT,
            "latestBuildNumber": "03",
            "latestPackageNumber": "03",
        },
    ),
    served(
        "older names of an answer, and nothing else of them",
        'releases: [{"id":1,"applicationId":1,"applicationName":"A","furthestPackageId":6,'
        '"furthestPackageNumber":"2","latestPackageId":7,"latestPackageNumber":"3",'
        '"releaseName":"B","releaseNumber":"1.10","number":"1.10"}]',
        {
            "number": "1.10",
            "name": "B",
            "furthestBuildId": 6,
            "furthestBuildNumber": "2",
            "latestBuildId": 7,
            "latestBuildNumber": "3",
            "furthestPackageId": 6,
        },
    ),
    refused(
        "older name alone, with a wrong value",
        one("furthestPackageId: x", "releaseName: [a]"),
        f"6:22: releases[0].furthestPackageId: 'x' {NOT_INTEGER}",
        f"7:16: releases[0].releaseName: a list {NOT_TEXT}",
    ),
    refused(
        "older name of what is required",
        releases("id: 1, releaseNumber: 2.0"),
        "2:3: releases[0].number: is missing; add number: ...",
        "2:26: releases[0].releaseNumber: is an older name; write number: 2.0 instead",
    ),
    # Order and sequence.
    served(
        "newest first, then by id",
        releases(
            "id: 2, number: 1, createdOn: 2024-03-04T01:00+02:00",
            "id: 3, number: 1, createdOn: 2024-03-04",
            "id: 9, number: 1, createdOn: 2024-03-03T23:59:59.9999999",
            "id: 4, number: 1, createdOn: 2024-03-04",
        ),
        {"id": 4, "sequence": 3},
        {"id": 3, "sequence": 2},
        {"id": 9, "sequence": 4},
        {"id": 2, "sequence": 1},
    ),
    served(
        "as written",
        "order: as-written\n"
        + releases("id: 2, number: 1", "id: 3, number: 1", "id: 1, number: 1"),
        {"id": 2, "sequence": 2},
        {"id": 3, "sequence": 3},
        {"id": 1, "sequence": 1},
    ),
    served(
        "order left out",
        "order: ~\n" + releases("id: 1, number: 1", "id: 2, number: 1"),
        {"id": 2},
        {"id": 1},
    ),
    refused(
        "order misspelt",
        "order: aswritten\nreleases: []\n",
        f"1:8: order: 'aswritten' {ORDERS}; did you mean as-written?",
    ),
    refused("order is a list", "order: [a]\nreleases: []\n", f"1:8: order: a list {ORDERS}"),
    # Deployables, which have no schema.
    served(
        "deployables",
        one("deployables: [{a: true, b: 1.10, c: '1', d: 12, e: 'true', f: [no, -3, 010]}, 5, x]"),
        {
            "deployables": [
                {"a": True, "b": "1.10", "c": "1", "d": 12, "e": "true", "f": ["no", -3, "010"]},
                5,
                "x",
            ]
        },
    ),
    served(
        "null in deployables",
        one("deployables: [{a: null, b: 1}]"),
        {"deployables": [{"a": None, "b": 1}]},
    ),
    served("null as a deployable", one("deployables: [null, a]"), {"deployables": [None, "a"]}),
    refused(
        "duplicate key in deployables",
        one("deployables: [{a: 1, a: 2}]"),
        "6:24: releases[0].deployables[0].a: occurs twice; first in line 6",
    ),
    refused(
        "text for deployables",
        one("deployables: x"),
        "6:16: releases[0].deployables: expected a list, such as []",
    ),
    # JSON is YAML.
    served(
        "JSON with nulls",
        "releases: [" + JSON + '"template":null,"canceledBy":null,"latestPackageId":null}]',
        {
            "number": "1.10",
            "template": LEFT_OUT,
            "canceledBy": LEFT_OUT,
            "latestPackageId": LEFT_OUT,
        },
    ),
    served(
        "JSON with escapes",
        "releases: [" + JSON + r'"name":"\u00e9 \"\/\\ \ud83d\ude80"}]',
        {"name": 'é "/\\ 🚀'},
    ),
    served(
        "JSON with odd line ends in a text",
        "releases: [" + JSON + '"name":"a\x85b \u2028 c"}]',
        {"name": "a\x85b \u2028 c"},
    ),
    served(
        "whole file in JSON",
        '{\r\n\t"releases": [' + JSON + '"template": "B"}]\r\n}',
        {"template": "B"},
    ),
    # Builds, deployments and applications.
    refused(
        "what is wrong with siblings alone",
        "releases: []\n"
        "applications:\n"
        "- {id: 6, name: A, extra: {groupName: B}}\n"
        "- {id: 6, name: B}\n"
        "builds:\n"
        "- {id: 6, number: 1, buildNumber: 2}\n"
        "- {id: 6, buildNumber: 2}\n"
        "deployments:\n"
        "- {id: 1, buildId: 6, packageId: 7}\n"
        "- {id: 2, packageNumber: 7, buildNumber: 8}\n",
        "3:28: applications[0].extra.groupName: groupName is a property of every application; "
        "write it outside extra",
        "4:8: applications[1].id: 6 is taken by applications[0]; an id occurs once",
        "6:35: builds[0].buildNumber: '2' contradicts number, which is '1'; "
        "leave buildNumber out, it repeats number",
        "7:3: builds[1].number: is missing; add number: ...",
        "7:8: builds[1].id: 6 is taken by builds[0]; an id occurs once",
        "7:24: builds[1].buildNumber: is an older name; write number: 2 instead",
        "9:34: deployments[0].packageId: 7 contradicts buildId, which is 6; "
        "leave packageId out, it repeats buildId",
        "10:26: deployments[1].packageNumber: '7' contradicts buildNumber, which is '8'; "
        "leave packageNumber out, it repeats buildNumber",
    ),
    refused(
        "what is wrong with siblings together",
        "releases:\n"
        "- {id: 4, number: 1, applicationId: 1, applicationName: A, furthestBuildId: 7}\n"
        "- {id: 5, number: 2, applicationId: 1, applicationName: A, latestBuildId: 9}\n"
        "- {id: 7, number: 3, applicationId: 1, applicationName: A, furthestBuildNumber: 9}\n"
        "- {id: 8, number: 4, applicationId: 1, applicationName: A, latestBuildId: 12,\n"
        "   latestBuildNumber: 2}\n"
        "builds:\n"
        "- {id: 6, number: 1, releaseId: 4, furthestStage: Testing}\n"
        "- {id: 7, number: 2, releaseId: 4, furthestStage: Integration}\n"
        "- {id: 10, number: 1, releaseId: 5}\n"
        "- {id: 11, number: 1, releaseId: 7}\n"
        "- {id: 12, number: 1, releaseId: 8}\n"
        "- {id: 13, number: 1, releaseId: 99}\n"
        "deployments:\n"
        "- {id: 1, buildId: 77}\n",
        "2:77: releases[0].furthestBuildId: 7 contradicts the builds, of which it is 6; "
        "leave it out",
        "3:75: releases[1].latestBuildId: 9 contradicts the builds, of which it is 10; "
        "leave it out",
        "4:81: releases[2].furthestBuildNumber: '9' contradicts the builds, of which it is '1'; "
        "leave it out",
        "6:23: releases[3].latestBuildNumber: '2' contradicts the builds, of which it is '1'; "
        "leave it out",
        "13:34: builds[5].releaseId: no release has the id 99",
        "15:20: deployments[0].buildId: no build has the id 77",
    ),
    refused(
        "stages that no pipeline has",
        "releases:\n"
        "- {id: 1, number: 1, applicationId: 1, applicationName: A, pipelineName: Ship}\n"
        "pipelines: {Ship: [Testing, Live]}\n"
        "builds:\n"
        "- {id: 2, number: 1, releaseId: 1, furthestStage: Testng}\n"
        "- {id: 3, number: 2, releaseId: 1, furthestStage: Warehouse}\n"
        "deployments: {result: {Lvie: failed, Live: failed}}\n",
        "5:51: builds[0].furthestStage: pipeline Ship has no such stage; did you mean Testing?",
        "7:30: deployments.result.Lvie: no pipeline has this stage; did you mean Live?",
    ),
    refused(
        "a result for a stage that no pipeline has by default",
        "releases: []\ndeployments: {result: {Prodction: failed}}\n",
        "2:35: deployments.result.Prodction: no pipeline has this stage; did you mean Production?",
    ),
    refused(
        "pipelines without stages",
        "releases: []\npipelines: {A: Build, B: [], C: [[]], D: null}\n",
        "2:16: pipelines.A: expected a list of at least one stage, such as [Test, Production]",
        "2:26: pipelines.B: expected a list of at least one stage, such as [Test, Production]",
        "2:33: pipelines.C: a stage is some text",
        "2:42: pipelines.D: expected a list of at least one stage, such as [Test, Production]",
    ),
    served(
        "builds of a release, of which it names one",
        "releases:\n"
        "- {id: 4, number: 1, applicationId: 1, applicationName: A, furthestBuildId: 6}\n"
        "- {id: 5, number: 2, applicationId: 1, applicationName: A,\n"
        "   latestBuildId: 9, latestBuildNumber: 3}\n"
        "builds:\n"
        "- {id: 6, number: 1, releaseId: 4, furthestStage: Testing}\n"
        "- {id: 7, number: 2, releaseId: 4, furthestStage: Testing}\n"
        "- {id: 8, number: 2, releaseId: 5}\n",
        {"furthestBuildId": 8, "latestBuildId": 9, "latestPackageNumber": "3"},
        {"furthestBuildNumber": "1", "latestBuildId": 7},
    ),
    # The other keys.
    refused(
        "description is a list",
        "description: [a]\nreleases: []\n",
        f"1:14: description: a list {NOT_TEXT}",
    ),
    refused(
        "keys are no list",
        "apiKeys: abc\nreleases: []\n",
        "1:10: apiKeys: expected a list, such as [abc12345]",
    ),
    refused(
        "empty key", "apiKeys: ['']\nreleases: []\n", "1:11: apiKeys[0]: is empty; write some text"
    ),
    refused(
        "mapping for a key",
        "apiKeys:\n- a: b\nreleases: []\n",
        f"2:3: apiKeys[0]: an object {NOT_TEXT}",
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_value(row: Row, tmp_path: Path) -> None:
    """A value is refused with exactly this problem, or comes out as exactly this."""
    assert answered(row, tmp_path) == row.expected


def test_a_sample_takes_older_names() -> None:
    """A property of a sample is set by its older name too; by both names, to one value only."""
    sample = sample_release(3, furthestPackageId=6, releaseName="B")
    assert (sample["furthestBuildId"], sample["furthestPackageId"], sample["name"]) == (6, 6, "B")
    with pytest.raises(ValidationError, match="6 contradicts furthestBuildId, which is 7"):
        sample_release(3, furthestPackageId=6, furthestBuildId=7)


SETTINGS: list[tuple[str, tuple[str, tuple[str, ...], str]]] = [
    ("", ("", ("abc12345",), "newest-first")),
    ("description:\napiKeys:\norder:\n", ("", ("abc12345",), "newest-first")),
    ("description: '  a '\napiKeys: []\n", ("a", (), "newest-first")),
    ("description: >\n  a: b\n  'c'\n", ("a: b 'c'", ("abc12345",), "newest-first")),
    (
        "apiKeys: [007, no, 'x y', 1.10]\norder: as-written\n",
        ("", ("007", "no", "x y", "1.10"), "as-written"),
    ),
]


@pytest.mark.parametrize(("lines", "expected"), SETTINGS)
def test_settings(lines: str, expected: tuple[str, tuple[str, ...], str], tmp_path: Path) -> None:
    """Description, keys and order are what the file says, or else their defaults."""
    write(tmp_path, {"t.yaml": f"{lines}releases: []\n"})
    scenario = load_scenarios(tmp_path)["t"]
    assert (scenario.description, scenario.api_keys, scenario.order) == expected
