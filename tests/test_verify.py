"""`mockbm verify` against mocks that were made to drift: each drift is found, and nothing else."""

from __future__ import annotations

import codecs
import itertools
import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import drifts
import pytest
from drifts import (
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
from verifying import COUNTS, FULL, KEY, answering, differences, keeps_secrets, verified

from mockbm.core.scenario import DEFAULT_API_KEY
from mockbm.endpoints import LISTS
from mockbm.files.directory import load_scenarios, shipped_scenarios
from mockbm.verify import Privacy, Report, Server, verify
from mockbm.verify.asking import Answer, Request
from mockbm.verify.findings import WHY, Finding
from mockbm.web.app import create_app


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
    "an unknown status",
    "an id that is not a 32-bit integer",
    "a list for a text in JSON",
    "an unknown parameter",
    "two filters of one group",
    "a parameter twice",
    "broken JSON",
    "JSON that is not an object",
    "JSON sent as a form",
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
        "also selects by the number",
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
        "the case of a status counts",
        drifts.status_as_written,
        ["refused: a status in other case"],
    ),
    Row(
        "an unknown status selects nothing",
        drifts.unknown_status_is_nothing,
        ["accepted: an unknown status"],
    ),
    Row("unknown parameters are ignored", drifts.unknown_ignored, [f"accepted: {UNKNOWN}"]),
    Row(
        "bad ids are ignored",
        drifts.bad_ids_ignored,
        ["accepted: an id that is not a 32-bit integer"],
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
    with answering(row.drift) as server:
        result = verified(server.url, "--key-in-query")
        methods = {entry.method for entry in server.mock.default.requests()}
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
    *("the case of a status counts", "an unknown status selects nothing"),
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


def ask_app(app: Any, request: Request) -> Answer:
    """The answer of a WSGI application to a request of verify, without a socket."""
    path, headers, body = request.encode(DEFAULT_API_KEY)
    response = app.test_client().open(path, method=request.method, headers=headers, data=body)
    return Answer(response.status_code, response.headers, response.data)


def reported(
    drift: Drift, scenario: str, path: str = "/api/releases", values: Any = None
) -> Report:
    """The report about a server that has drifted under a path; asked without a socket.

    scenario, values: what it answers, the latter in the place of the former.
    """
    app: Any = create_app(None, scenario, admin_api=False)
    if values is not None:
        app.extensions["mockbm"].default.use_values(values)
    app.wsgi_app = drifted(app.wsgi_app, drift, path)
    server = Server("http://127.0.0.1:9", DEFAULT_API_KEY)
    server.ask = partial(ask_app, app)  # type: ignore[method-assign]
    report, _ = verify(server, Privacy(DEFAULT_API_KEY), key_in_query=True)
    return report


def findings(drift: Drift, scenario: str) -> list[Finding]:
    """What is found at a server that answers a scenario and has drifted."""
    return list(reported(drift, scenario).findings.values())


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
    with answering(capitals) as server:
        told = verified(server.url).stdout
    assert "server: none of these\n  mock:   one of active, canceled, deployed\n" in told
    assert re.findall(r"seen:   (.*)", told) == [
        *("'Active', as of release 4", "'Deployed', as of release 6"),
        "'Canceled', as of release 3",
    ]


class Other(NamedTuple):
    """A drift of another endpoint, what is found, and what the report says of the server."""

    id: str
    path: str
    drift: Drift
    expected: list[str]
    says: str = ""


BUILDS, DEPLOYMENTS = "/api/releases/builds", "/api/releases/builds/deployments"
APPLICATIONS = "/api/applications/list"
BUILD_TEXTS = {
    **{name: name for name in ("applicationName", "releaseNumber", "releaseName")},
    "buildNumber": "number",
    "pipelineName": "pipelineName",
    "furthestStage": "furthestStage",
}
OTHERS = [
    Other(
        "a property", BUILDS, in_each(lambda b: b.update(risk=1)), ["property-new: builds: risk"]
    ),
    Other(
        "an older name is missing",
        DEPLOYMENTS,
        in_each(lambda d: d.pop("packageId")),
        ["property-missing: deployments: packageId"],
    ),
    Other(
        "an older name with another value",
        BUILDS,
        in_each(lambda b: b.update(buildNumber="x")),
        ["property-value: builds: buildNumber"],
        "a value of its own",
    ),
    Other(
        "a required property is missing",
        BUILDS,
        in_each(lambda b: b.pop("number")),
        ["property-missing: builds: number"],
    ),
    Other(
        "nulls are left out",
        DEPLOYMENTS,
        in_each(lambda d: d["ended"] or d.pop("ended")),
        ["property-missing: deployments: ended"],
    ),
    Other(
        "nulls are not left out",
        BUILDS,
        in_each(lambda b: b.setdefault("rejectedBy", None)),
        ["property-null: builds: rejectedBy"],
    ),
    Other(
        "no plan",
        DEPLOYMENTS,
        in_each(lambda d: d.update(plan=None)),
        ["property-type: deployments: plan"],
        "null",
    ),
    Other(
        "statuses in capitals",
        DEPLOYMENTS,
        in_each(lambda d: d.update(status=d["status"].title())),
        ["status-value: deployments: status"],
    ),
    Other(
        "true as a text",
        APPLICATIONS,
        in_each(lambda a: a.update(active=str(a["active"]))),
        ["property-type: applications: active"],
    ),
    Other(
        "oldest first",
        BUILDS,
        in_releases(lambda b: b[::-1]),
        ["order: builds: the array of builds"],
    ),
    Other(
        "a filter is ignored",
        BUILDS,
        drifts.without("furthestStage"),
        ["filter: builds: filter furthestStage"],
        "has no effect",
    ),
    Other(
        "an id is unknown",
        DEPLOYMENTS,
        refusing(lambda environ: "environmentId=" in environ["QUERY_STRING"]),
        ["refused: deployments: filter environmentId"],
    ),
    Other(
        "case counts",
        BUILDS,
        matching(str.__eq__, BUILD_TEXTS),
        [f"matching: {', '.join(f'builds: filter {name}' for name in BUILD_TEXTS)}"],
        "case counts",
    ),
    Other(
        "the case of a status counts",
        DEPLOYMENTS,
        drifts.status_as_written,
        ["refused: deployments: a status in other case"],
    ),
    Other(
        "unknown parameters are ignored",
        BUILDS,
        drifts.unknown_ignored,
        ["accepted: builds: an unknown parameter"],
    ),
    Other(
        "JSON is refused",
        BUILDS,
        refusing(is_json_post, "415 No"),
        [f"refused: builds: {JSON_POST}"],
    ),
    Other(
        "401 for a bad key",
        APPLICATIONS,
        in_status(403, "401 No"),
        ["error-status: applications: no API key, applications: an unknown API key"],
    ),
    Other(
        "there is no such endpoint",
        BUILDS,
        in_status(200, "404 Not Found"),
        ["refused: builds: no filter"],
        "404",
    ),
    Other(
        "an object around the array",
        DEPLOYMENTS,
        in_releases(lambda d: {"deployments": d}),
        ["body: deployments: no filter"],
    ),
]


@pytest.mark.parametrize("row", OTHERS, ids=lambda row: row.id)
def test_a_drift_of_another_endpoint_is_found(row: Other, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each drift is one finding about the records of that endpoint, and nothing else is found."""
    monkeypatch.setattr("mockbm.verify.KINDS", [n for n, e in LISTS.items() if e.path == row.path])
    values = {**FULL, "apiKeys": [DEFAULT_API_KEY]}
    report = reported(row.drift, "empty", row.path, values)
    found = [f"{item.kind}: {', '.join(item.about)}" for item in report.findings.values()]
    assert sorted(found) == sorted(row.expected)
    assert not row.says or [item.server for item in report.findings.values()] == [row.says]


def test_the_same_drift_of_several_endpoints_is_one() -> None:
    """What differs in the same way in several kinds of record is one finding."""
    drift = in_each(lambda record: record.update(risk="low"))
    app: Any = create_app(None, "documented", admin_api=False)
    for path in ("/api/releases", BUILDS, DEPLOYMENTS):
        app.wsgi_app = drifted(app.wsgi_app, drift, path)
    server = Server("http://127.0.0.1:9", DEFAULT_API_KEY)
    server.ask = partial(ask_app, app)  # type: ignore[method-assign]
    (found,) = verify(server, Privacy(DEFAULT_API_KEY))[0].findings.values()
    assert found.about == ["risk", "builds: risk", "deployments: risk"]
    assert [*found.seen][:2] == ["release 4", "release 3"]
    assert len(found.seen) == 7 + 3 + 1


def changing(name: str) -> Drift:
    """A property has another value in every answer."""
    numbers = itertools.count()
    return in_each(lambda record: record.update({name: str(next(numbers))}))


UNCOMPARED = {
    "the key is refused": (
        in_status(200, "403 Forbidden", body=b""),
        "deployments: the server refuses the API key: it answers 403",
    ),
    "a page": (
        in_status(200, "200 OK", headers={"Content-Type": "text/html"}, body=b"<p>Log in</p>"),
        "deployments: the server answers a web page, perhaps for a login",
    ),
    "it fails": (
        in_status(200, "500 Oops"),
        "deployments: the server answers 500 to GET /api/releases/builds/deployments; "
        "is it the base URL of a BuildMaster?",
    ),
    "it changes": (
        changing("plan"),
        "deployments: the deployments changed while they were compared, twice; "
        "try again when no one uses it",
    ),
}


@pytest.mark.parametrize(("drift", "why"), UNCOMPARED.values(), ids=UNCOMPARED)
def test_another_endpoint_that_cannot_be_compared(drift: Drift, why: str) -> None:
    """The rest is compared all the same, and the report says what was not."""
    report = reported(drift, "documented", DEPLOYMENTS)
    assert (report.findings, why in report.unchecked) == ({}, True)
    assert report.records["applications"] == 3


GOING_ON = [
    name
    for name, scenario in load_scenarios(shipped_scenarios()).items()
    if scenario.is_live and not scenario.faults
]


@pytest.mark.parametrize("name", GOING_ON)
def test_a_mock_is_like_itself(name: str) -> None:
    """A shipped scenario shows no difference, whatever goes on in it."""
    assert reported(lambda ask, environ: ask(environ), name).findings == {}


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
    with answering(values=None, scenario=name) as server:
        result = verified(server.url, "--json", "--key-in-query", key="abc12345")
        entries = server.mock.default.requests()
    assert (result.exit_code, differences(result)) == (0, [])
    report = json.loads(result.stdout)
    assert report["requests"] == entries[-1].number
    scenario = load_scenarios(shipped_scenarios())[name]
    for kind in ("releases", "builds"):
        assert report[kind] == len(scenario.records(kind))
    assert not report["drift"]


def test_nothing_is_found_in_many_releases() -> None:
    """Hundreds of releases pass as a few do, with no more requests."""
    values = {"apiKeys": [KEY], "generate": {"releases": 400, "applications": 9}}
    with answering(values=values) as server:
        report = json.loads(verified(server.url, "--json").stdout)
    assert (report["releases"], report["differences"]) == (400, [])
    assert report["requests"] < 170


def test_a_rich_instance_leaves_nothing_unchecked() -> None:
    """Where releases have all that can be compared, only what was not asked for is left."""
    with answering(values=FULL) as server:
        assert json.loads(verified(server.url, "--json").stdout)["notChecked"] == [
            "the key in the query: URLs are written into logs on their way"
        ]
        told = verified(server.url, "--key-in-query").stdout
    assert "not checked" not in told
    assert re.search(rf"^no difference in \d+ requests, {COUNTS}: http://127", told)


UNCHECKED = {
    "empty": "filter status: no release is active or canceled or deployed",
    "single": "the order of releases: there are fewer than two",
    "many-applications": "whether filters releaseNumber and releaseName are swapped: "
    "number and name of each release are the same",
    "documented": "case and accents of letters beyond ASCII: no value has such a letter",
    "every-status": "properties that no release has: template",
}


@pytest.mark.parametrize("name", UNCHECKED)
def test_a_pass_says_what_was_not_checked(name: str) -> None:
    """Where releases are missing to see something by, the report says so."""
    with answering(values=None, scenario=name) as server:
        told = verified(server.url, key="abc12345").stdout
    assert f"\n  {UNCHECKED[name]}\n" in told


def test_the_last_line_says_how_much_was_missed() -> None:
    """A pass without releases is a small one, and a difference may stand for others."""
    with answering(values=None, scenario="empty") as server:
        told = verified(server.url, key="abc12345").stdout
    last = rf"no difference in \d+ requests, 0 releases \(so most was not checked\): {server.url}"
    assert re.fullmatch(last, told.splitlines()[-1])
    with answering(refusing(is_json_post), FULL) as server:
        told = verified(server.url, "--key-in-query").stdout
    found = re.search(rf"{COUNTS} \((\d+) checks left out because of that\): http", told)
    skipped = re.search("what builds on a JSON body by POST, where the two differ: (.*)", told)
    assert found is not None
    assert skipped is not None
    assert int(found[1]) == skipped[1].count(", ") + 1 - skipped[1].count(", which counts")
    with answering(in_releases(lambda r: {"releases": r})) as server:
        told = verified(server.url).stdout
    last = f"1 difference in 1 request, 0 releases (so most was not checked): {server.url}"
    assert told.splitlines()[-1] == last


def test_what_was_asked_for_is_announced() -> None:
    """The command says how many requests there will be, and keeps to it."""
    with answering(values=FULL) as server:
        result = verified(server.url, "--key-in-query")
        sent = server.mock.default.requests()[-1].number
    said = r"asking http.* for (\w+) at most (\d+) times, with GET, HEAD and POST only\n"
    most = dict(re.findall(said, result.stderr))
    assert [*most] == ["releases", "builds", "deployments", "applications"]
    assert sent <= sum(map(int, most.values())) < sent + 10


def test_releases_that_change_meanwhile() -> None:
    """A release that comes while it asks makes it ask everything again, and is no difference."""
    with answering(values=None, scenario="release-appears") as server:
        result = verified(server.url, "--json", key="abc12345")
    assert (result.exit_code, differences(result)) == (0, [])
    assert json.loads(result.stdout)["releases"] == 2
