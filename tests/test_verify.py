"""`mockbm verify` against mocks that were made to drift: each drift is found, and nothing else."""

from __future__ import annotations

import codecs
import itertools
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from wsgiref.simple_server import WSGIRequestHandler, make_server

import drifts
import pytest
from click.testing import CliRunner, Result
from drifts import (
    Answer,
    Drift,
    drifted,
    filtered,
    in_answer,
    in_each,
    in_releases,
    in_request,
    in_status,
    is_form,
    is_get_with_body,
    is_json_post,
    is_post,
    matching,
    refusing,
)

from mockbm import MockServer
from mockbm.app import create_app
from mockbm.cli import main
from mockbm.loading import load_scenarios, shipped_scenarios
from mockbm.scenario import DEFAULT_API_KEY
from mockbm.verify import Privacy, Server, verify
from mockbm.verify.asking import Mocked
from mockbm.verify.findings import WHY, Finding

KEY = "Very+secret/key=9"
RICH: dict[str, Any] = {
    "apiKeys": [KEY],
    "releases": [
        {
            "id": 4,
            "number": "2.0-Beta",
            "name": "(JohnSmith) Hotfix",
            "createdBy": "JohnSmith",
            "createdOn": "2024-03-04T09:03:43.92",
            "targetDate": "2024-04-01",
            "applicationId": 2,
            "applicationName": "Profit Calculator",
            "pipelineName": "global::Release Übung",
            "furthestBuildId": 6,
            "furthestBuildNumber": "2",
            "latestBuildId": 6,
            "latestBuildNumber": "2",
        },
        {
            "id": 6,
            "number": "2.1-Beta",
            "name": "Night shift",
            "status": "deployed",
            "createdOn": "2024-03-03",
            "applicationId": 2,
            "applicationName": "Profit Calculator",
            "pipelineName": "global::Release Übung",
        },
        {
            "id": 3,
            "number": "1.0-alpha",
            "status": "canceled",
            "createdBy": "Mary Major",
            "createdOn": "2024-03-02",
            "canceledBy": "JohnSmith",
            "canceledOn": "2024-03-05T12:00",
            "applicationId": 1,
            "applicationName": "Tax of Mary Major",
            "pipelineName": "Nightly",
        },
        {
            "id": 5,
            "number": "1.10",
            "status": "deployed",
            "createdOn": "2024-03-01",
            "applicationId": 1,
            "applicationName": "Tax of Mary Major",
            "template": "Standard",
        },
    ],
}


@contextmanager
def serving(
    drift: Drift | None = None, values: Any = RICH, scenario: str = "empty"
) -> Iterator[MockServer]:
    """A mock with these releases, or of a scenario, that has drifted."""
    with MockServer(scenario=scenario) as server:
        if values is not None:
            server.mock.default.use_values(values)
        if drift is not None:
            app: Any = server.app
            app.wsgi_app = drifted(app.wsgi_app, drift)
        yield server


def verified(url: str, *arguments: object, key: str = KEY, **environment: str) -> Result:
    """Run `mockbm verify` with the key on its standard input."""
    command = ["verify", "--url", url, "--api-key-file", "-", *map(str, arguments)]
    return CliRunner().invoke(main, command, input=f"{key}\n", env=environment)


def differences(result: Result) -> list[str]:
    """The kinds of differences of a JSON report, and what each is about."""
    found = json.loads(result.stdout)["differences"]
    return sorted(f"{item['kind']}: {', '.join(item['about'])}" for item in found)


def keeps_secrets(*texts: str) -> bool:
    """Whether no text holds the key or the name of a person, in any case."""
    secrets = (KEY, "Very%2Bsecret", "johns", "smith", "major")
    return not any(secret.lower() in text.lower() for secret in secrets for text in texts)


class Row(NamedTuple):
    """A drift, what is found, and what the report says of the server there."""

    id: str
    drift: Drift
    expected: list[str]
    says: str = ""


def order_by(key: Callable[[Any], Any], *, reverse: bool = False) -> Drift:
    return in_releases(lambda releases: sorted(releases, key=key, reverse=reverse))


ARRAY = "the array of releases"
ALL_TEXTS = [f"filter {name}" for name in drifts.TEXTS]
MATCHING = f"matching: {', '.join(ALL_TEXTS)}"
SELECT_TWO = ("applicationId", "applicationName", "pipelineName", "status")
SELECT_SOME = ", ".join(f"filter {name}" for name in SELECT_TWO)
BAD = (
    "a status in other case",
    "a status that there is not",
    "an id that is no integer of 32 bits",
    "a list for a text in JSON",
    "an unknown parameter",
    "two filters of one group",
    "a parameter twice",
    "broken JSON",
    "JSON that is no object",
    "JSON that says it is a form",
    "a body of another type",
)
UNKNOWN = "an unknown parameter"
JSON_POST = "a JSON body by POST"
NO_KEY = "no API key, an unknown API key"

ROWS = [
    Row("property added", in_each(lambda r: r.update(risk="low")), ["property-new: risk"]),
    Row(
        "property added to some, naming a person",
        in_each(lambda r: r["id"] == 3 and r.update(ownedBy={"name": "Mary Major"})),
        ["property-new: ownedBy"],
    ),
    Row(
        "property with an odd name",
        in_each(lambda r: r.update({"a\ud800\n\x1b[2J": 1})),
        [r"property-new: a\ud800\n\x1b[2J"],
    ),
    Row("sequence missing", in_each(lambda r: r.pop("sequence")), ["property-missing: sequence"]),
    Row(
        "property renamed",
        in_each(drifts.renamed),
        ["property-missing: createdOn", "property-new: createdAt"],
    ),
    Row(
        "older name missing",
        in_each(lambda r: r.pop("latestPackageId", 0)),
        ["property-missing: latestPackageId"],
    ),
    Row(
        "older name with another value",
        in_each(lambda r: r.update(releaseName="x")),
        ["property-value: releaseName"],
    ),
    Row(
        "required property missing",
        in_each(lambda r: r.pop("applicationName")),
        ["property-missing: applicationName"],
    ),
    Row(
        "required property missing in one",
        in_each(lambda r: r["id"] == 3 and r.pop("applicationId")),
        ["property-missing: applicationId"],
    ),
    Row("id as text", in_each(lambda r: r.update(id=str(r["id"]))), ["property-type: id"]),
    Row(
        "id missing",
        in_each(lambda r: r.pop("id")),
        ["property-missing: id"],
    ),
    Row(
        "number as number",
        in_each(lambda r: r.update(sequence=float(r["sequence"]))),
        ["property-type: sequence"],
    ),
    Row(
        "template as object",
        in_each(lambda r: r.update(template={"by": "JohnSmith"})),
        ["property-type: template"],
    ),
    Row(
        "null instead of missing",
        in_each(drifts.nulls),
        ["property-null: template, canceledBy, canceledOn, targetDate, pipelineName"],
    ),
    Row(
        "deployables null",
        in_each(lambda r: r.update(deployables=None)),
        ["property-type: deployables"],
    ),
    Row(
        "canceledBy everywhere",
        in_each(lambda r: r.setdefault("canceledBy", "JohnSmith")),
        ["property-new: canceledBy"],
    ),
    Row(
        "properties in another order",
        in_each(drifts.backwards),
        ["property-order: the order of properties"],
    ),
    Row(
        "dates with milliseconds",
        drifts.dates(lambda text: f"{text[:23]}Z"),
        ["date-form: createdOn, targetDate, canceledOn"],
    ),
    Row(
        "dates without Z",
        drifts.dates(lambda text: text[:-1]),
        ["date-form: createdOn, targetDate, canceledOn"],
    ),
    Row(
        "dates with an offset",
        drifts.dates(lambda text: f"{text[:-1]}+00:00"),
        ["date-form: createdOn, targetDate, canceledOn"],
    ),
    Row(
        "dates as .NET wrote them once",
        drifts.dates(lambda _: "/Date(1709543023920)/"),
        ["date-form: createdOn, targetDate, canceledOn"],
    ),
    Row(
        "dates as numbers",
        drifts.dates(lambda _: 1709543023),
        [f"property-type: {name}" for name in ("canceledOn", "createdOn", "targetDate")],
    ),
    Row(
        "statuses in capitals",
        in_each(lambda r: r.update(status=r["status"].title())),
        ["status-value: status"],
    ),
    Row(
        "a further status",
        in_each(lambda r: r["id"] == 6 and r.update(status="archived")),
        ["status-value: status"],
    ),
    Row(
        "canceled is spelled otherwise",
        in_each(lambda r: r["status"] == "canceled" and r.update(status="cancelled")),
        ["status-value: status"],
    ),
    Row(
        "statuses as numbers",
        in_each(lambda r: r.update(status=len(r["status"]))),
        ["property-type: status"],
    ),
    Row(
        "ids beyond 32 bits",
        in_each(lambda r: r.update(id=r["id"] + 2**40)),
        ["property-value: id"],
        "a value that no scenario holds",
    ),
    Row("oldest first", in_releases(lambda r: r[::-1]), [f"order: {ARRAY}"]),
    Row("by id", order_by(lambda r: -r["id"]), [f"order: {ARRAY}"]),
    Row("filtered in another order", filtered(lambda r: r[::-1]), [f"order-filtered: {ARRAY}"]),
    Row("releases twice", in_releases(lambda r: r + r), [f"release-twice: {ARRAY}"]),
    Row(
        "all share an id",
        in_each(lambda r: r.update(id=1)),
        [f"release-twice: {ARRAY}"],
        "several releases share an id",
    ),
    Row(
        "only active ones without filter",
        drifts.active_by_default,
        [f"release-hidden: {ARRAY}"],
        "leaves out releases that it has with a filter",
    ),
    Row("two at most without filter", drifts.two_without_filter, [f"release-hidden: {ARRAY}"]),
    Row("two at most", in_releases(lambda r: r[:2]), [f"release-hidden: {ARRAY}"]),
    Row(
        "one at most with a filter",
        filtered(lambda r: r[:1]),
        [f"filter: {SELECT_SOME}"],
        "answers at most 1 of those that match",
    ),
    Row("twice where filtered", filtered(lambda r: r + r[:1]), [f"release-twice: {ARRAY}"]),
    Row(
        "fewer properties where filtered",
        filtered(lambda r: [{k: v for k, v in x.items() if k != "sequence"} for x in r]),
        ["property-missing: sequence"],
    ),
    Row(
        "other values where filtered",
        filtered(lambda r: [{**x, "sequence": 77} for x in r]),
        ["property-value: sequence"],
    ),
    Row("case counts", matching(str.__eq__), [MATCHING]),
    Row(
        "the beginning matches",
        matching(lambda sent, value: value.casefold().startswith(sent.casefold())),
        [MATCHING],
    ),
    Row(
        "a part matches",
        matching(lambda sent, value: sent.casefold() in value.casefold()),
        [MATCHING],
        "a part is enough",
    ),
    Row(
        "a part matches in one filter",
        matching(lambda sent, value: sent.casefold() in value.casefold(), {"releaseName": "name"}),
        ["matching: filter releaseName"],
    ),
    Row(
        "spaces are trimmed",
        matching(lambda sent, value: sent.strip().casefold() == value.casefold()),
        [MATCHING],
    ),
    Row(
        "spaces at the end are trimmed, and case counts",
        matching(lambda sent, value: sent.rstrip() == value),
        [MATCHING],
        "case counts; spaces at the end do not count",
    ),
    Row(
        "case counts beyond ASCII",
        matching(lambda sent, value: drifts.ascii_lower(sent) == drifts.ascii_lower(value)),
        ["matching: filter pipelineName"],
    ),
    Row(
        "accents do not count",
        matching(lambda sent, value: drifts.with_u(sent) == drifts.with_u(value)),
        ["matching: filter pipelineName"],
        "accents do not count",
    ),
    Row(
        "wildcards",
        matching(
            lambda sent, value: (
                value.casefold().startswith(sent[:-1].casefold())
                if sent.endswith("*")
                else sent.casefold() == value.casefold()
            )
        ),
        [MATCHING],
    ),
    Row(
        "wildcards as in SQL",
        matching(drifts.like("%", "_")),
        [MATCHING],
        "% stands for anything, _ for any character",
    ),
    Row(
        "wildcards as in a shell",
        matching(drifts.like("*", "?")),
        [MATCHING],
        "* stands for anything, ? for any character",
    ),
    Row(
        "a sign for one character",
        matching(drifts.like("", "_")),
        [MATCHING],
        "_ stands for any character",
    ),
    Row(
        "what comes behind does not count",
        matching(lambda sent, value: sent.casefold().startswith(value.casefold())),
        [MATCHING],
        "what comes behind does not count",
    ),
    Row(
        "ten characters count",
        matching(lambda sent, value: sent.casefold()[:10] == value.casefold()[:10]),
        ["matching: filter applicationName, filter releaseName, filter pipelineName"],
        "what comes behind does not count",
    ),
    Row(
        "zeros at the end do not count",
        matching(lambda sent, value: drifts.unzeroed(sent) == drifts.unzeroed(value)),
        ["matching: filter releaseNumber, filter releaseName"],
        "zeros at the end of a number do not count",
    ),
    Row(
        "letters and accents are put together",
        matching(lambda sent, value: drifts.composed(sent) == drifts.composed(value)),
        ["matching: filter pipelineName"],
        "letters and accents are put together first",
    ),
    Row(
        "global may be left out",
        matching(
            lambda sent, value: (
                sent.casefold() in (value.casefold(), value.casefold().removeprefix("global::"))
            )
        ),
        ["matching: filter pipelineName"],
        "what stands before :: may be left out",
    ),
    Row(
        "names match numbers, too",
        drifts.number_by_name,
        ["matching: filter releaseName"],
        "looks at the number, too",
    ),
    Row(
        "names and numbers are swapped",
        in_request(drifts.swapped),
        ["filter: filter releaseNumber, filter releaseName"],
        "number and name are swapped",
    ),
    Row("a filter is ignored", drifts.without("releaseName"), ["filter: filter releaseName"]),
    Row("an id is ignored", drifts.without("releaseId"), ["filter: filter releaseId"]),
    Row("the status is ignored", drifts.without("status"), ["filter: filter status"]),
    Row(
        "a filter is unknown",
        refusing(lambda environ: "pipelineName=" in environ["QUERY_STRING"]),
        ["refused: filter pipelineName"],
    ),
    Row("one of two filters is enough", drifts.any_is_enough, ["combining: two filters together"]),
    Row(
        "any case of a status is accepted",
        drifts.status_in_any_case,
        ["accepted: a status in other case"],
    ),
    Row(
        "an unknown status selects nothing",
        drifts.unknown_status_is_nothing,
        ["accepted: a status that there is not"],
    ),
    Row("unknown parameters are ignored", drifts.unknown_ignored, [f"accepted: {UNKNOWN}"]),
    Row(
        "bad ids are ignored",
        drifts.bad_ids_ignored,
        ["accepted: an id that is no integer of 32 bits"],
    ),
    Row("the last of a name counts", drifts.last_of_a_name, ["accepted: a parameter twice"]),
    Row("of a name twice, values are joined", drifts.joined, ["accepted: a parameter twice"]),
    Row(
        "name and number together",
        drifts.first_of(("releaseName", "releaseNumber")),
        ["accepted: two filters of one group"],
    ),
    Row(
        "empty parameters are filters",
        drifts.nothing_where(lambda environ: "=&" in f"{environ['QUERY_STRING']}&"),
        ["selection: an empty parameter, which counts as not given"],
    ),
    Row(
        "null is a filter",
        drifts.nothing_where(lambda environ: b"null" in drifts.body_of(environ)),
        ["selection: null in JSON, which counts as not given"],
    ),
    Row(
        "integers as texts are refused",
        refusing(lambda environ: re.search(rb'Id": "', drifts.body_of(environ))),
        ["refused: an integer as a text in JSON"],
    ),
    Row(
        "numbers for texts are refused",
        refusing(lambda environ: re.search(rb'(Number|Name)": [0-9]', drifts.body_of(environ))),
        ["refused: a number for a text in JSON"],
    ),
    Row("both filters of a group", drifts.first_of_a_group, ["accepted: two filters of one group"]),
    Row("401 for a bad key", in_status(403, "401 Unauthorized"), [f"error-status: {NO_KEY}"]),
    Row(
        "a login page for a bad key",
        in_status(403, "302 Found", headers={"Location": "/log-in"}),
        [f"error-status: {NO_KEY}"],
    ),
    Row(
        "a text for a bad key",
        in_status(403, "403 Forbidden", headers={"Content-Type": "text/plain"}, body=b"key?"),
        ["error-body: the body of a 403"],
    ),
    Row(
        "a 400 without a text",
        in_status(400, "400 Bad", body=b""),
        ["error-body: the body of a 400"],
    ),
    Row(
        "a 400 as HTML",
        in_status(400, "400 Bad", headers={"Content-Type": "text/html"}),
        ["content-type: Content-Type of a 400"],
    ),
    Row(
        "releases as text",
        in_status(200, "200 OK", headers={"Content-Type": "text/json"}),
        ["content-type: Content-Type of a 200"],
    ),
    Row(
        "404 where nothing matches",
        drifts.nothing_is_404,
        ["no-match: filters that nothing matches"],
    ),
    Row(
        "404 where nothing matches, to HEAD, too",
        drifts.nothing_is_404_to_head,
        ["no-match: filters that nothing matches"],
    ),
    Row("POST is refused", refusing(is_post, "405 No"), ["refused: a query by POST"]),
    Row("JSON by POST is refused", refusing(is_json_post, "415 No"), [f"refused: {JSON_POST}"]),
    Row(
        "JSON by POST is ignored", in_request(drifts.json_post_emptied), [f"selection: {JSON_POST}"]
    ),
    Row("forms are refused", refusing(is_form), ["refused: a form by POST"]),
    Row("GET has no body", refusing(is_get_with_body), ["refused: a JSON body by GET"]),
    Row(
        "names in capitals are unknown",
        refusing(lambda environ: "ID=" in environ["QUERY_STRING"]),
        ["refused: names in other case"],
    ),
    Row(
        "no key in HTTP Basic",
        in_request(lambda environ: {**environ, "HTTP_AUTHORIZATION": ""}),
        ["refused: the key in HTTP Basic"],
    ),
    Row(
        "no key in the query",
        in_request(lambda environ: drifts.query_without(environ, "key", "API_Key")),
        ["refused: the key in the query, as key"],
    ),
    Row(
        "one name of the key in the query",
        in_request(lambda environ: drifts.query_without(environ, "API_Key")),
        ["refused: the key in the query, as API_Key"],
    ),
    Row(
        "HEAD is refused",
        refusing(lambda environ: environ["REQUEST_METHOD"] == "HEAD", "405 No"),
        ["refused: HEAD"],
    ),
    Row(
        "the path in one case",
        refusing(lambda environ: environ["PATH_INFO"] == "/API/Releases", "404 No"),
        ["refused: the path in other case"],
    ),
    Row("500 for broken JSON", in_answer(drifts.broken_is_500), ["error-status: broken JSON"]),
    Row("422 for all that is bad", in_status(400, "422 No"), [f"error-status: {', '.join(BAD)}"]),
    Row(
        "a byte-order mark",
        drifts.in_array(lambda body: codecs.BOM_UTF8 + body),
        [f"body: {ARRAY}"],
        "begins with a byte-order mark",
    ),
    Row(
        "NaN",
        drifts.in_array(lambda body: re.sub(rb'"sequence":\d+', b'"sequence":NaN', body)),
        [f"body: {ARRAY}", "property-type: sequence"],
    ),
    Row("an object around the array", in_releases(lambda r: {"releases": r}), ["body: no filter"]),
    Row(
        "an object around two releases",
        filtered(lambda r: {"releases": r} if len(r) == 2 else r),
        [f"body: {SELECT_SOME}"],
    ),
]


@pytest.mark.parametrize("row", [pytest.param(row, id=row.id) for row in ROWS])
def test_a_drift_is_found_and_none_is_invented(row: Row) -> None:
    """Each drift is one finding for each cause, and the report keeps what is secret."""
    with serving(row.drift) as server:
        result = verified(server.url, "--key-in-query")
        methods = {entry.method for entry in server.mock.default.view.journal.all()}
    found = re.findall(r"^\d+\. (.*)$", result.stdout, re.MULTILINE)
    assert (result.exit_code, sorted(found)) == (1, sorted(row.expected))
    assert f"\n  server: {row.says}" in result.stdout
    assert keeps_secrets(result.output)
    assert methods <= {"GET", "HEAD", "POST"}


SEEN_WITHOUT_RELEASES = {
    *("releases as text", "a filter is unknown", "names in capitals are unknown"),
    *("an object around the array", "a byte-order mark"),
    *("integers as texts are refused", "numbers for texts are refused", "forms are refused"),
    *("POST is refused", "JSON by POST is refused", "HEAD is refused", "GET has no body"),
    *("the path in one case", "500 for broken JSON", "422 for all that is bad"),
    *("401 for a bad key", "a login page for a bad key", "a text for a bad key"),
    *("no key in HTTP Basic", "no key in the query", "one name of the key in the query"),
    *("a 400 without a text", "a 400 as HTML", "unknown parameters are ignored"),
    *("any case of a status is accepted", "an unknown status selects nothing"),
    *("bad ids are ignored", "the last of a name counts", "both filters of a group"),
    *("of a name twice, values are joined", "name and number together"),
}
UNSEEN = {
    "single": {
        *("property added to some, naming a person", "older name missing"),
        *("required property missing in one", "a further status", "canceled is spelled otherwise"),
        *("oldest first", "by id", "filtered in another order", "all share an id"),
        *("only active ones without filter", "two at most without filter", "two at most"),
        *("one at most with a filter", "case counts beyond ASCII", "accents do not count"),
        *("letters and accents are put together", "global may be left out"),
        *("names match numbers, too", "names and numbers are swapped"),
        "an object around two releases",
    },
    "many-applications": {
        *("older name missing", "by id", "case counts beyond ASCII", "accents do not count"),
        *("letters and accents are put together", "names match numbers, too"),
        "names and numbers are swapped",
        "one at most with a filter",  # seen in more filters than in the row
    },
}
"""Rows whose drift the releases of a scenario cannot show."""


def elsewhere() -> Iterator[tuple[Row, str]]:
    """Each row with a further scenario that shows it: the empty one where that does."""
    for number, row in enumerate(ROWS):
        seen = [name for name, unseen in UNSEEN.items() if row.id not in unseen]
        seen = ["empty"] if row.id in SEEN_WITHOUT_RELEASES else seen
        if seen:
            yield row, seen[number % len(seen)]


def findings(drift: Drift, scenario: str) -> list[Finding]:
    """What is found at a server that answers a scenario and has drifted; asked without a socket."""
    app: Any = create_app(None, scenario, admin_api=False)
    app.wsgi_app = drifted(app.wsgi_app, drift)
    server = Server("http://127.0.0.1:9", DEFAULT_API_KEY)
    server.ask = Mocked(app, DEFAULT_API_KEY).ask  # type: ignore[method-assign]
    report, _ = verify(server, Privacy(DEFAULT_API_KEY), key_in_query=True)
    return list(report.findings.values())


def narrows(found: str, expected: str) -> bool:
    """Whether a difference is of the kind that is expected, and about nothing else."""
    (kind, _, about), (other_kind, _, all_about) = (
        text.partition(": ") for text in (found, expected)
    )
    return kind == other_kind and {*about.split(", ")} <= {*all_about.split(", ")}


@pytest.mark.parametrize(
    ("row", "scenario"),
    [pytest.param(row, name, id=f"{row.id}, {name}") for row, name in elsewhere()],
)
def test_a_drift_is_found_with_other_releases(row: Row, scenario: str) -> None:
    """Whatever releases there are, a drift that they show is found, and none is invented."""
    found = [f"{item.kind}: {', '.join(item.about)}" for item in findings(row.drift, scenario)]
    assert found
    left = list(row.expected)
    for item in found:
        left.remove(next((text for text in left if narrows(item, text)), item))


def test_a_finding_about_values_has_them_as_examples() -> None:
    """Statuses that are none are one finding, with each of them once."""
    capitals = in_each(lambda r: r.update(status=r["status"].title()))
    with serving(capitals) as server:
        told = verified(server.url).stdout
    assert "server: none of these\n  mock:   one of active, canceled, deployed\n" in told
    assert re.findall(r"seen:   (.*)", told) == [
        *("'Active', as of release 4", "'Deployed', as of release 6"),
        "'Canceled', as of release 3",
    ]


def test_there_are_enough_drifts() -> None:
    """The table has a row for every kind of difference that a report can have."""
    assert {item.partition(":")[0] for row in ROWS for item in row.expected} == WHY.keys()


STATIC = [
    name
    for name, scenario in load_scenarios(shipped_scenarios()).items()
    if scenario.api_keys and not scenario.is_live and scenario.size is None
]


@pytest.mark.parametrize("name", STATIC)
def test_nothing_is_found_where_nothing_differs(name: str) -> None:
    """A server that answers as the mock does passes, whatever its releases are."""
    with serving(values=None, scenario=name) as server:
        result = verified(server.url, "--json", "--key-in-query", key="abc12345")
        entries = server.mock.default.view.journal.all()
    assert (result.exit_code, differences(result)) == (0, [])
    report = json.loads(result.stdout)
    assert report["requests"] == entries[-1].number
    assert report["releases"] == len(load_scenarios(shipped_scenarios())[name].definition)
    assert not report["drift"]


def test_nothing_is_found_in_many_releases() -> None:
    """Hundreds of releases pass as a few do, with no more requests."""
    values = {"apiKeys": [KEY], "generate": {"releases": 400, "applications": 9}}
    with serving(values=values) as server:
        report = json.loads(verified(server.url, "--json").stdout)
    assert (report["releases"], report["differences"]) == (400, [])
    assert report["requests"] < 150


def test_a_rich_instance_leaves_nothing_unchecked() -> None:
    """Where releases have all that can be compared, only what was not asked for is left."""
    with serving() as server:
        assert json.loads(verified(server.url, "--json").stdout)["notChecked"] == [
            "the key in the query: URLs are written into logs on their way"
        ]
        told = verified(server.url, "--key-in-query").stdout
    assert "not checked" not in told
    assert re.search(r"^no difference in \d+ requests, 4 releases: http://127", told)


UNCHECKED = {
    "empty": "filter status: no release is active or canceled or deployed",
    "single": "the order of releases: there are less than two",
    "many-applications": "whether filters releaseNumber and releaseName are swapped: "
    "number and name of each release are the same",
    "documented": "case and accents of letters beyond ASCII: no value has such a letter",
    "every-status": "properties that no release has: template",
}


@pytest.mark.parametrize("name", UNCHECKED)
def test_a_pass_says_what_was_not_checked(name: str) -> None:
    """Where releases are missing to see something by, the report says so."""
    with serving(values=None, scenario=name) as server:
        told = verified(server.url, key="abc12345").stdout
    assert f"\n  {UNCHECKED[name]}\n" in told


def test_the_last_line_says_how_much_was_missed() -> None:
    """A pass without releases is a small one, and a difference may stand for others."""
    with serving(values=None, scenario="empty") as server:
        told = verified(server.url, key="abc12345").stdout
    last = rf"no difference in \d+ requests, 0 releases \(so most was not checked\): {server.url}"
    assert re.fullmatch(last, told.splitlines()[-1])
    with serving(refusing(is_json_post)) as server:
        told = verified(server.url, "--key-in-query").stdout
    found = re.search(r"4 releases \((\d+) checks left out because of that\): http", told)
    skipped = re.search("what builds on a JSON body by POST, where the two differ: (.*)", told)
    assert found is not None
    assert skipped is not None
    assert int(found[1]) == skipped[1].count(", ") + 1 - skipped[1].count(", which counts")
    with serving(in_releases(lambda r: {"releases": r})) as server:
        told = verified(server.url).stdout
    last = f"1 difference in 1 request, 0 releases (so most was not checked): {server.url}"
    assert told.splitlines()[-1] == last


def test_what_was_asked_for_is_announced() -> None:
    """The command says how many requests there will be, and keeps to it."""
    with serving() as server:
        result = verified(server.url, "--key-in-query")
        sent = server.mock.default.view.journal.all()[-1].number
    most = re.search(r"at most (\d+) times, with GET, HEAD and POST only", result.stderr)
    assert most is not None
    assert sent <= int(most[1]) < sent + 5


def test_releases_that_change_meanwhile() -> None:
    """A release that comes while it asks makes it ask everything again, and is no difference."""
    with serving(values=None, scenario="release-appears") as server:
        result = verified(server.url, "--json", key="abc12345")
    assert (result.exit_code, differences(result)) == (0, [])
    assert json.loads(result.stdout)["releases"] == 2


def ever_changing() -> Drift:
    numbers = itertools.count()
    return in_each(lambda r: r.update(sequence=next(numbers)))


def html(answer: Answer) -> Answer:
    return answer._replace(headers={"Content-Type": "text/html"}, body=b"<h1>Please log in</h1>")


def no_json(answer: Answer) -> Answer:
    return answer._replace(body=b"{oops " + KEY.encode())


REFUSALS: dict[str, tuple[Drift, str]] = {
    "key": (in_status(200, "403 Forbidden", body=b""), "refuses the API key: it answers 403"),
    "path": (in_status(200, "404 Not Found"), "answers 404 to GET /api/releases; is it the base"),
    "failure": (in_status(200, "500 Oops"), "answers 500 to GET"),
    "outage": (in_status(200, "503 Out"), "answers 503 Service Unavailable; try again later"),
    "rate": (in_status(200, "429 Slow"), "answers 429 Too Many Requests"),
    "outage on the way": (
        refusing(lambda environ: "pipelineName" in environ["QUERY_STRING"], "502 Gateway"),
        "answers 502 Bad Gateway",
    ),
    "page": (in_answer(html), "answers a web page, perhaps for a login"),
    "no JSON": (in_answer(no_json), "answers something that is no JSON"),
    "changes": (ever_changing(), "the releases changed while they were asked for, twice"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_server_that_cannot_be_compared(name: str) -> None:
    """What is no drift but no answer either ends the command with status 2 and says why."""
    drift, why = REFUSALS[name]
    with serving(drift) as server:
        result = verified(server.url)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{server.url}{':' if name == 'changes' else ''} {why}" in result.stderr
    assert keeps_secrets(result.output)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("outage", "answers 503 Service Unavailable"),
        ("unauthorized", "refuses the API key: it answers 403"),
        ("malformed", "answers something that is no JSON"),
        ("connection-reset", "broke the connection before an answer"),
        ("slow", "takes more than 0.2 s to answer; --timeout allows more"),
        ("bad-request", "answers 400 to GET /api/releases"),
    ],
)
def test_a_scenario_that_refuses(name: str, why: str) -> None:
    """The shipped scenarios that answer no releases are told in one line, with status 2."""
    with serving(values=None, scenario=name) as server:
        result = verified(server.url, "--timeout", "0.2", key="abc12345")
    assert result.exit_code == 2
    assert re.fullmatch(rf"{server.url} {re.escape(why)}.*\n", result.output)


def test_half_an_answer_is_none() -> None:
    """A connection that breaks in the middle of an answer is no answer."""
    values = {**RICH, "faults": [{"connection": "truncate"}]}
    with serving(values=values) as server:
        result = verified(server.url)
    assert result.exit_code == 2
    assert "broke the connection in the middle of an answer" in result.stderr


@contextmanager
def dripping(begin: bytes, drop: bytes) -> Iterator[str]:
    """A server that answers a first connection in drops, without an end."""
    over = threading.Event()

    def answer() -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.recv(10_000)
            connection.sendall(begin)
            while not over.wait(0.05):
                connection.sendall(drop)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            over.set()
            thread.join()


@pytest.mark.parametrize(
    ("begin", "drop"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\n", b"X-Drop: 1\r\n", id="headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX-Drop: ", b"1", id="a header"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n[", b" ", id="body"),
    ],
)
def test_an_answer_in_drops(begin: bytes, drop: bytes) -> None:
    """--timeout is for a whole answer, however often a part of it comes."""
    began = time.monotonic()
    with dripping(begin, drop) as url:
        result = verified(url, "--timeout", "0.3")
    assert time.monotonic() - began < 3
    said = f"{url} takes more than 0.3 s to answer; --timeout allows more\n"
    assert (result.exit_code, result.output) == (2, said)


def test_a_server_that_asks_to_wait() -> None:
    """Where a server says when to come again, verify waits, and asks on."""
    respond = {"status": 429, "headers": {"Retry-After": "0"}}
    fault = {"after": 5, "times": 2, "respond": respond}
    values = {**RICH, "faults": [fault]}
    with serving(values=values) as server:
        result = verified(server.url, "--json")
        waited = server.mock.default.requests(status=429)
    assert (result.exit_code, differences(result)) == (0, [])
    assert len(waited) == 2


def test_a_redirect_does_not_get_the_key() -> None:
    """A redirect is not followed: the key goes nowhere else."""
    with serving() as elsewhere:
        moved = Answer("302 Found", {"Location": f"{elsewhere.url}/api/releases"}, b"")
        with serving(lambda _ask, _environ: moved) as server:
            result = verified(server.url)
        assert elsewhere.mock.default.view.journal.all() == []
    assert result.exit_code == 2
    assert "redirects elsewhere, perhaps to a login page; redirects are not followed" in (
        result.stderr
    )


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate that only signs itself, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    directory = tmp_path_factory.mktemp("tls")
    files = directory / "certificate.pem", directory / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=mock"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    command += ["-out", str(files[0]), "-keyout", str(files[1])]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return files


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def over_tls(app: Any, certificate: tuple[Path, Path]) -> Iterator[str]:
    """A WSGI application behind TLS."""

    def typeless(environ: dict[str, Any], start_response: Any) -> Any:
        """wsgiref gives a type to a body that came without one."""
        if environ["CONTENT_TYPE"] == "text/plain":
            environ["CONTENT_TYPE"] = ""
        return app(environ, start_response)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with make_server("127.0.0.1", 0, typeless, handler_class=_Quiet) as server:
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"https://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_certificate_of_its_own(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    """A server whose certificate nobody signed is asked only where `--ca-file` names it."""
    (tmp_path / "none.pem").write_text("none")
    with serving() as server, over_tls(server.app, certificate) as url:
        distrusted = verified(url)
        asked = server.mock.default.view.journal.all()
        trusted = verified(url, "--ca-file", certificate[0])
        unread = verified(url, "--ca-file", tmp_path / "none.pem")
    assert (distrusted.exit_code, asked) == (2, [])
    assert "has a certificate that is not trusted (self" in distrusted.stderr
    assert "--ca-file names whom to trust" in distrusted.stderr
    assert trusted.exit_code == 0, trusted.output
    assert unread.exit_code == 2
    assert unread.stderr.endswith(
        "none.pem cannot be read for certificates: it holds no certificate\n"
    )


def test_nobody_listens() -> None:
    """A server that is not there is told, with status 2."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    result = verified(f"http://127.0.0.1:{port}")
    assert (result.exit_code, result.output) == (
        2,
        f"http://127.0.0.1:{port} refuses connections\n",
    )


NO_URLS = (
    *(
        "buildmaster.example",
        "ftp://h",
        "http://",
        "http://h/?a=1",
        "http://u:p@h",
        "http://h:99999",
    ),
    *("http://[::1", "http://h:x", "http://a b", "http://h/a b", f"http://{'a' * 300}.example"),
)


@pytest.mark.parametrize("url", NO_URLS, ids=lambda url: url[:20])
def test_what_is_no_url(url: str) -> None:
    """A URL that cannot be the base of a server is refused before anything is sent."""
    result = verified(url)
    assert result.exit_code == 2
    assert re.fullmatch("the URL is expected to .*\n", result.output)


@pytest.mark.parametrize("key", ["two words", "ключ"])
def test_what_is_no_key(key: str) -> None:
    """A file that holds no key is refused, without showing what it holds."""
    result = verified("http://127.0.0.1:9", key=key)
    expected = "the API key is expected to be one word of printable ASCII characters\n"
    assert (result.exit_code, result.output) == (2, expected)


def test_an_empty_file_for_the_key(tmp_path: Path) -> None:
    """Where the file of the key is empty, the message says which file that is."""
    (tmp_path / "key").write_text("\n")
    command = ["verify", "--url", "http://127.0.0.1:9", "--api-key-file", str(tmp_path / "key")]
    result = CliRunner().invoke(main, command)
    expected = f"{tmp_path / 'key'} is empty; it is expected to hold the API key\n"
    assert (result.exit_code, result.output) == (2, expected)
    assert verified("http://127.0.0.1:9", key="").output.startswith("the standard input is empty")


def test_a_server_that_tells_the_key() -> None:
    """A key that the server tells in its answers and errors is in no output and no scenario."""
    drift = in_each(lambda r: r.update(name=f"n {KEY} n", releaseName=f"n {KEY} n", status=KEY))
    with serving(drift) as server:
        told = [verified(server.url).output, verified(server.url, "--json").output]
    with serving(in_status(400, "400 Bad", headers={"Content-Type": f"text/{KEY}"})) as server:
        told.append(verified(server.url).output)
    assert keeps_secrets(*told)


def written(
    directory: Path, url: str, *arguments: object, name: str = "ours.yaml"
) -> dict[int, Any]:
    """The releases of a scenario that was written, by id."""
    result = verified(url, "--scenario-out", directory / name, *arguments)
    assert result.exit_code in (0, 1), result.output
    releases = load_scenarios(directory)["ours"].releases
    return {item["id"]: item for item in json.loads(releases.body(range(len(releases))))}


def test_what_was_seen_becomes_a_scenario(tmp_path: Path) -> None:
    """`--scenario-out` writes a scenario that answers as the server did, without persons."""
    with serving(in_each(lambda r: r.update(risk=KEY))) as server:
        masked = written(tmp_path, server.url)
        text = (tmp_path / "ours.yaml").read_text()
        (tmp_path / "ours.yaml").unlink()
        named = written(tmp_path, server.url, "--show-names")
    assert keeps_secrets(text)
    assert list(named) == [4, 6, 3, 5]
    assert named[4] == masked[4] | {
        "createdBy": "JohnSmith",
        "name": "(JohnSmith) Hotfix",
        "releaseName": "(JohnSmith) Hotfix",
    }
    assert masked[4]["risk"] == "***"


def test_a_scenario_of_what_no_scenario_holds(tmp_path: Path) -> None:
    """What a scenario cannot hold is left out of it, and the rest is there."""
    drift = in_each(lambda r: r.update(status="archived") if r["id"] == 4 else r.pop("number"))
    with serving(drift) as server:
        found = written(tmp_path, server.url)
    assert [found[4]["status"], found[6]["number"]] == ["active", "2.1-Beta"]


@pytest.mark.parametrize("name", ["ours.yaml", "ours.yml", "ours.json", "ours.JSON"])
def test_the_name_of_a_file_says_what_it_holds(name: str, tmp_path: Path) -> None:
    """A scenario is JSON in a .json file and else YAML, and says the same."""
    with serving() as server:
        found = written(tmp_path, server.url, "--show-names", name=name)
    assert [found[id_]["name"] for id_ in (4, 6)] == ["(JohnSmith) Hotfix", "Night shift"]
    assert (tmp_path / name).read_text().startswith("{") == (".json" in name.lower())


@pytest.mark.parametrize("name", ["ours", "ours.txt", ".yaml"])
def test_a_file_that_could_be_no_scenario(name: str, tmp_path: Path) -> None:
    """A file that no mock would read as a scenario is not written, and the server not asked."""
    with serving() as server:
        result = verified(server.url, "--scenario-out", tmp_path / name)
        assert server.mock.default.view.journal.all() == []
    said = "a scenario file ends in .yaml, .yml, .json, or it is not served"
    assert f"{tmp_path / name}: {said}" in result.stderr
    assert (result.exit_code, list(tmp_path.iterdir())) == (2, [])


def test_a_scenario_of_statuses_that_are_none(tmp_path: Path) -> None:
    """Who canceled a release and when stays, however the server spells its status."""
    drift = in_each(lambda r: r["status"] == "canceled" and r.update(status="cancelled"))
    with serving(drift) as server:
        found = written(tmp_path, server.url, "--show-names")
    assert (found[3]["status"], found[3]["number"]) == ("canceled", "1.0-alpha")
    assert (found[3]["canceledBy"], found[3]["canceledOn"][:10]) == ("JohnSmith", "2024-03-05")


def test_a_release_that_no_scenario_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release that cannot be put right is not compared nor written, and the report says so."""
    monkeypatch.setattr("mockbm.verify.model._ROUNDS", 1)
    drift = in_each(lambda r: r["id"] == 4 and r.update(canceledBy="x", risk=1))
    with serving(drift) as server:
        result = verified(server.url, "--json")
        found = written(tmp_path, server.url)
    assert (differences(result), list(found)) == ([], [6, 3, 5])
    unchecked = json.loads(result.stdout)["notChecked"]
    assert "the properties of releases that no scenario can hold: 4" in unchecked


def test_an_existing_file_is_kept(tmp_path: Path) -> None:
    """A file that is there already is not written over, and the server is not even asked."""
    kept = tmp_path / "ours.yaml"
    kept.write_text("mine")
    with serving() as server:
        result = verified(server.url, "--scenario-out", kept)
        assert server.mock.default.view.journal.all() == []
    assert (result.exit_code, kept.read_text()) == (2, "mine")
    assert result.stderr == f"{kept} is there already; --scenario-out writes a new file\n"


def test_persons_are_shown_where_that_is_asked() -> None:
    """Only `--show-names` has the names of persons in the report."""
    drift = matching(str.__eq__, {"releaseName": "name"})
    with serving(drift) as server:
        masked = verified(server.url).stdout
        named = verified(server.url, "--show-names").stdout
    assert "(pERSON1) hOTFIX" in masked
    assert "(jOHNsMITH) hOTFIX" in named


def test_the_report_for_people() -> None:
    """A difference says what each of the two does, why it matters and where it was seen."""
    with serving(in_each(lambda r: r.update(risk=1))) as server:
        told = verified(server.url, "--key-in-query").stdout
    assert (
        re.sub(r"\d+ requests", "N requests", told)
        == f"""\
1. property-new: risk
  server: an integer
  mock:   has no such property
  why:    The mock leaves it out of releases that are not imported.
  seen:   release 4
  seen:   release 6
  seen:   release 3
  seen:   release 5

1 difference in N requests, 4 releases: {server.url}
"""
    )


def test_with_files_in_a_process_of_its_own(tmp_path: Path) -> None:
    """The key comes from a file, settings from variables, and the URL may have the whole path."""
    key_file = tmp_path / "key"
    key_file.write_text(f"{KEY}\r\n")
    command = [sys.executable, "-c", "from mockbm.cli import main; main()", "verify"]
    with serving() as server:
        variables = {"MOCKBM_VERIFY_URL": f"{server.url}/api/releases"}
        variables["MOCKBM_API_KEY_FILE"] = str(key_file)
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, env={**os.environ, **variables}
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f" requests, 4 releases: {server.url}\n")
    assert "403" not in done.stderr.replace(server.url, "")  # its port may have it
