"""The table of requests to the endpoints besides Get Releases, and the answers expected."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from endpoint_table import BARE_FORM, BARE_JSON, FORM, JSON, KEY, WRONG, basic, typed

NOW = "2026-01-02T03:04:05.0000000Z"
"""What the clock shows in every row."""

SHOP: dict[str, Any] = {
    "applications": [
        {"id": 1, "name": "TaxCalculator", "groupName": "Finance"},
        {"id": 5, "name": "Archive", "active": False, "groupName": "Attic"},
    ],
    "releases": [
        {
            "id": id_,
            "number": number,
            "applicationId": 2,
            "applicationName": "ProfitCalculator",
            "pipelineName": "Release",
            "status": status,
            "createdOn": f"2024-03-0{id_}",
        }
        for id_, number, status in (
            (4, "1.0.1", "active"),
            (3, "0.9", "canceled"),
            (2, "1.0.0", "deployed"),
        )
    ]
    + [
        {
            "id": 1,
            "number": "1.0.1",
            "name": "First",
            "applicationId": 1,
            "applicationName": "TaxCalculator",
            "pipelineName": "global::Hotfix",
            "createdOn": "2024-03-01",
        }
    ],
    "builds": [
        {
            "id": 4,
            "number": "3",
            "releaseId": 2,
            "status": "deployed",
            "furthestStage": "Production",
            "createdOn": "2024-03-02",
        },
        {
            "id": 5,
            "number": "1",
            "releaseId": 4,
            "furthestStage": "Integration",
            "createdOn": "2024-03-05",
        },
        {
            "id": 6,
            "number": "2",
            "releaseId": 4,
            "furthestStage": "Integration",
            "createdBy": "MikeJones",
            "createdOn": "2024-03-06",
        },
        {
            "id": 7,
            "number": "56.develop",
            "releaseId": 4,
            "status": "rejected",
            "rejectedBy": "MikeJones",
            "rejectedOn": "2024-03-08",
            "createdOn": "2024-03-07",
        },
        {
            "id": 8,
            "number": "1",
            "applicationId": 1,
            "applicationName": "TaxCalculator",
            "pipelineName": "Tools",
            "createdOn": "2024-03-08",
        },
    ],
    "deployments": [
        {
            "id": 20,
            "buildId": 6,
            "pipelineStageName": "Integration",
            "createdBy": "MikeJones",
            "createdOn": "2024-03-06T10:00",
            "ended": "2024-03-06T10:05",
        },
        {
            "id": 21,
            "plan": "Deploy to Integration",
            "buildId": 6,
            "pipelineStageName": "Integration",
            "environmentId": 3,
            "environmentName": "Shared",
            "createdOn": "2024-03-06T10:00",
            "ended": "2024-03-06T10:05",
        },
        {
            "id": 22,
            "plan": "Deploy to Integration",
            "buildId": 5,
            "status": "failed",
            "pipelineStageName": "Integration",
            "createdOn": "2024-03-05T10:00",
            "ended": "2024-03-05T10:05",
        },
        {
            "id": 23,
            "plan": "Deploy to Production",
            "buildId": 4,
            "status": "warned",
            "pipelineStageName": "Production",
            "createdOn": "2024-03-02T10:00",
            "ended": "2024-03-02T10:05",
        },
    ],
}
"""The scenario of most rows. ProfitCalculator, 2, is not listed; build 8 has no release."""

PIPED = SHOP | {"pipelines": {"Release": ["Build", "Integration", "Live"], "Tools": ["Publish"]}}
ARRAY = SHOP | {"deployAnswer": "array"}
EXTENDED = SHOP | {"nativeAnswer": "extended"}
WRITTEN = SHOP | {"order": "as-written"}
NOTHING = {"releases": []}


class Whole(NamedTuple):
    """A whole body as JSON, with its properties in this order."""

    value: Any

    @property
    def body(self) -> bytes:
        return json.dumps(self.value, ensure_ascii=False, separators=(",", ":")).encode()


class Refused(NamedTuple):
    """A status that is neither 200 nor 400, and the whole text."""

    status: int
    text: str = ""


ABSENT = "(absent)"
"""Stands for a property that is not there."""

DONE = b""
"""The body of a 200 that says nothing."""

Expected = str | bytes | list[int] | Mapping[str, Any] | Whole | Refused
"""Lines of a 400 without the break at the end; the bytes of a 200; the ids of its records in
their order; those properties of its record that matter; or the whole of it."""


class Row(NamedTuple):
    """One request as it goes over the wire, and what is expected.

    call: method and target; what does not begin with a slash is below `/api/releases/`.
    before: calls that come first, with a 200 each.
    then: calls that come after it, and what is expected of each.
    """

    id: str
    call: str
    expected: Expected
    body: bytes | None = None
    headers: Mapping[str, str] = KEY
    before: tuple[str, ...] = ()
    then: Mapping[str, Expected] = {}
    scenario: Mapping[str, Any] = SHOP

    @property
    def method(self) -> str:
        return self.call.partition(" ")[0]


def target(call: str) -> str:
    """The path and query of a call."""
    path = call.partition(" ")[2]
    return path if path.startswith("/") else f"/api/releases/{path}"


def form(id_: str, call: str, expected: Expected, body: str, **more: Any) -> Row:
    """A row with a form body."""
    return Row(id_, call, expected, body.encode(), **{"headers": FORM, **more})


def in_json(id_: str, call: str, expected: Expected, body: Any, **more: Any) -> Row:
    """A row with a JSON body. body: its text, or what it says."""
    text = body if isinstance(body, str) else json.dumps(body)
    return Row(id_, call, expected, text.encode(), **{"headers": JSON, **more})


PROFIT = {"applicationId": 2, "applicationName": "ProfitCalculator"}
OF_RELEASE_4 = {
    **PROFIT,
    "pipelineName": "Release",
    "releaseId": 4,
    "releaseNumber": "1.0.1",
    "releaseName": "1.0.1",
}
BUILD_9 = {
    "id": 9,
    "number": "3",
    "status": "active",
    "createdBy": "API",
    "createdOn": NOW,
    **OF_RELEASE_4,
    "buildNumber": "3",
}
RELEASE_5 = {
    "id": 5,
    "number": "2.0.1",
    "name": "2.0.1",
    "sequence": 4,
    "status": "active",
    "createdBy": "API",
    "createdOn": NOW,
    **PROFIT,
    "pipelineName": "Release",
    "deployables": [],
    "releaseName": "2.0.1",
    "releaseNumber": "2.0.1",
}
DEPLOYMENT_24 = {
    "id": 24,
    "plan": None,
    "status": "pending",
    "started": NOW,
    "ended": None,
    "createdBy": "API",
    "createdOn": NOW,
    "pipelineName": "Release",
    "pipelineStageName": "Testing",
    **PROFIT,
    "releaseId": 4,
    "releaseNumber": "1.0.1",
    "releaseName": "1.0.1",
    "buildId": 6,
    "buildNumber": "2",
    "packageId": 6,
    "packageNumber": "2",
}
CHILD_25 = DEPLOYMENT_24 | {"id": 25, "plan": "Deploy to Testing", "createdBy": "SYSTEM"}
TAX_NATIVE = {
    "Application_Id": 1,
    "Application_Name": "TaxCalculator",
    "Active_Indicator": "Y",
    "Active_Releases_Count": 1,
    "ApplicationGroup_Id": 2,
    "ApplicationGroup_Name": "Finance",
}
PROFIT_NATIVE = {
    "Application_Id": 2,
    "Application_Name": "ProfitCalculator",
    "Active_Indicator": "Y",
    "Active_Releases_Count": 1,
}
ARCHIVE_NATIVE = {
    "Application_Id": 5,
    "Application_Name": "Archive",
    "Active_Indicator": "N",
    "Active_Releases_Count": 0,
    "ApplicationGroup_Id": 1,
    "ApplicationGroup_Name": "Attic",
}


def application(id_: int, name: str, *, active: bool = True, group: str = "") -> dict[str, Any]:
    """An ApplicationInfo."""
    found = {"id": id_, "name": name, "active": active}
    if group:
        found["groupName"] = group
    return found | {
        "buildNumberScheme": "Sequential",
        "releaseUsage": "Required",
        "allowIssues": False,
    }


LIST = "/api/applications/list"
MANY = "/api/json/Applications_GetApplications"
ONE = "/api/json/Applications_GetApplication"

TAKEN = {
    "/api/releases/create": "POST PUT",
    "/api/releases/cancel": "POST PUT",
    "/api/releases/restore": "POST PUT",
    **{
        f"/api/releases/{name}{call}": verbs
        for name in ("builds", "packages")
        for call, verbs in {
            "": "GET HEAD POST",
            "/create": "POST PUT",
            "/reject": "DELETE POST",
            "/deploy": "POST PUT",
            "/deployments": "GET HEAD POST",
        }.items()
    },
    LIST: "GET HEAD POST",
    MANY: "GET HEAD POST",
    ONE: "GET HEAD POST",
    "/health": "GET HEAD",
}
"""The methods of each endpoint, in alphabetical order."""


def wrong_methods() -> Iterator[Row]:
    """Each endpoint with each method that it does not take."""
    for path, taken in TAKEN.items():
        allowed = ", ".join(taken.split())
        for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
            if method not in taken.split():
                text = f"{method} is not served here; use {allowed}\n"
                refused = Refused(405, "" if method == "HEAD" else text)
                yield Row(f"{method} {path}", f"{method} {path}", refused)


def without_key() -> Iterator[Row]:
    """Each endpoint but Health without a key."""
    for path, taken in TAKEN.items():
        if path != "/health":
            call = f"{taken.split()[-1]} {path}"
            yield Row(f"no key at {path}", call, Refused(403), headers={})


NOT_INTEGER = "is not an integer; write decimal digits only"
NO_APPLICATION = "applicationId: is missing; add applicationId or applicationName"
NO_RELEASE = "releaseId: is missing; add releaseId, or releaseNumber and an application"
NO_BUILD = "buildId: is missing; add buildId, or buildNumber and a release"
NUMBER_ALONE = (
    "applicationId: is missing; a releaseNumber needs an application: "
    "add applicationId or applicationName"
)
NO_APP_9 = "applicationId: no application has it: 3 applications; applicationId=9: 0 (nearest: 5)"
NO_APP_TAX = (
    "applicationName: no application has it: 3 applications; applicationName='Tax': 0 "
    "(there are: 'Archive', 'ProfitCalculator', 'TaxCalculator')"
)
NO_RELEASE_99 = "releaseId: no release has it: 4 releases; releaseId=99: 0 (nearest: 4)"
NO_BUILD_99 = "buildId: no build has it: 5 builds; buildId=99: 0 (nearest: 8)"
NO_STAGE = "known are Build, Integration, Testing, Production"

RELEASES = [
    # Create Release.
    Row(
        "create in a query",
        "POST create?applicationId=2&releaseNumber=2.0.1&pipelineName=Release",
        Whole(RELEASE_5),
        then={"GET /api/releases": [5, 4, 3, 2, 1]},
    ),
    Row(
        "create with PUT",
        "PUT create?applicationName=ProfitCalculator&releaseNumber=2.0.1&pipelineName=Release",
        Whole(RELEASE_5),
    ),
    form(
        "create in a form",
        "POST create",
        Whole(RELEASE_5 | {"pipelineName": "global::Release"}),
        "releaseNumber=2.0.1&releaseName=&pipelineName=global%3a%3aRelease&applicationId=2",
    ),
    form(
        "create with the key in the form",
        "PUT create",
        Whole(RELEASE_5),
        "key=abc12345&releaseNumber=2.0.1&pipelineName=Release&applicationId=2",
        headers=BARE_FORM,
    ),
    in_json(
        "create in JSON, in other cases",
        "POST create",
        Whole(RELEASE_5),
        {
            "ApplicationName": "profitcalculator",
            "ReleaseNumber": "2.0.1",
            "PipelineName": "Release",
        },
    ),
    in_json(
        "create with the key in JSON",
        "POST create",
        Whole(RELEASE_5),
        {
            "API_Key": "abc12345",
            "applicationId": 2,
            "releaseNumber": "2.0.1",
            "pipelineName": "Release",
        },
        headers=BARE_JSON,
    ),
    in_json(
        "a number is text",
        "POST create",
        {"number": "1.10", "name": "1.10", "releaseNumber": "1.10"},
        '{"applicationId": 2, "releaseNumber": 1.10, "pipelineName": "Release"}',
    ),
    Row(
        "a name",
        "POST create?applicationId=2&releaseNumber=2&pipelineName=Release&releaseName=Summer",
        {"number": "2", "name": "Summer", "releaseName": "Summer", "sequence": 4},
        then={"GET /api/releases?releaseName=summer": [5]},
    ),
    Row(
        "the sequence is the application's",
        "POST create?applicationName=TAXCALCULATOR&releaseNumber=2&pipelineName=x",
        {"id": 5, "sequence": 2, "applicationId": 1, "applicationName": "TaxCalculator"},
    ),
    Row(
        "the number of another application",
        "POST create?applicationId=1&releaseNumber=0.9&pipelineName=x",
        {"id": 5, "number": "0.9"},
    ),
    Row(
        "an application without releases",
        "POST create?applicationId=5&releaseNumber=1&pipelineName=x",
        {"id": 5, "sequence": 1, "applicationName": "Archive"},
    ),
    Row(
        "id and name of one application",
        "POST create?applicationId=2&applicationName=ProfitCalculator&releaseNumber=2.0.1"
        "&pipelineName=Release",
        Whole(RELEASE_5),
    ),
    Row(
        "id and name of two applications",
        "POST create?applicationId=2&applicationName=TaxCalculator&releaseNumber=2&pipelineName=x",
        "applicationName: no application has this applicationId and applicationName: "
        "3 applications; applicationId=2: 1; applicationName='TaxCalculator': 0 "
        "(1 without the filters before)",
    ),
    Row(
        "a number that is there",
        "POST create?applicationId=2&releaseNumber=1.0.1&pipelineName=Release",
        "releaseNumber: ProfitCalculator has a release '1.0.1' already",
    ),
    Row(
        "the number of a canceled release",
        "PUT create?applicationId=2&releaseNumber=0.9&pipelineName=Release",
        "releaseNumber: ProfitCalculator has a release '0.9' already",
    ),
    Row(
        "the same release twice",
        "POST create?applicationId=2&releaseNumber=RC&pipelineName=Release",
        "releaseNumber: ProfitCalculator has a release 'RC' already",
        before=("POST create?applicationId=2&releaseNumber=rc&pipelineName=Release",),
    ),
    Row(
        "two releases",
        "POST create?applicationId=2&releaseNumber=3&pipelineName=Release",
        {"id": 6, "sequence": 5},
        before=("POST create?applicationId=2&releaseNumber=2&pipelineName=Release",),
        then={"GET /api/releases?applicationId=2": [6, 5, 4, 3, 2]},
    ),
    Row(
        "create with nothing",
        "POST create",
        "releaseNumber: is missing; add releaseNumber: ...\n"
        "pipelineName: is missing; add pipelineName: ...\n"
        "applicationId: is missing; add applicationId or applicationName",
    ),
    Row(
        "create without an application",
        "POST create?releaseNumber=2&pipelineName=x",
        NO_APPLICATION,
    ),
    Row(
        "create without a number",
        "POST create?applicationId=2&pipelineName=x&releaseNumber=",
        "releaseNumber: is missing; add releaseNumber: ...",
    ),
    in_json(
        "create with a null pipeline",
        "POST create",
        "pipelineName: is missing; add pipelineName: ...",
        {"applicationId": 2, "releaseNumber": "2", "pipelineName": None},
    ),
    Row(
        "create in no application",
        "POST create?applicationId=9&releaseNumber=2&pipelineName=x",
        NO_APP_9,
    ),
    Row(
        "create in no application of a name",
        "POST create?applicationName=Tax&releaseNumber=2&pipelineName=x",
        NO_APP_TAX,
    ),
    Row(
        "create with a text as id",
        "POST create?applicationId=two&releaseNumber=2&pipelineName=x",
        f"applicationId: 'two' {NOT_INTEGER}",
    ),
    in_json(
        "create with a list as number",
        "POST create",
        "releaseNumber: a list is not text; write one text, in quotes",
        {"applicationId": 2, "releaseNumber": ["2"], "pipelineName": "x"},
    ),
    Row(
        "create with a near name",
        "POST create?applicationId=2&releaseNumber=2&pipeline=x",
        "pipeline: unknown parameter; did you mean pipelineName?\n"
        "pipelineName: is missing; add pipelineName: ...",
    ),
    Row(
        "create with a release's id",
        "POST create?applicationId=2&releaseNumber=2&pipelineName=x&releaseId=9",
        "releaseId: unknown parameter; did you mean releaseName?",
    ),
    in_json(
        "variables and a reason",
        "POST create",
        Whole(RELEASE_5),
        {
            "applicationId": 2,
            "releaseNumber": "2.0.1",
            "pipelineName": "Release",
            "reason": "a test",
            "$V": {"nested": [1, None, True]},
            "$": 7,
        },
    ),
    Row(
        "a variable twice",
        "POST create?applicationId=2&releaseNumber=2&pipelineName=x&$a=1&$a=2",
        "$a: given twice, as '1' in the query and as '2' in the query; give it once",
    ),
    form(
        "a number twice",
        "POST create?releaseNumber=2",
        "releaseNumber: given twice, as '2' in the query and as '3' in the form; give it once",
        "releaseNumber=3&applicationId=2&pipelineName=x",
    ),
    Row(
        "a pipeline that the scenario does not list",
        "POST create?applicationId=2&releaseNumber=2&pipelineName=Relaese",
        "pipelineName: no pipeline is called 'Relaese'; did you mean Release?",
        scenario=PIPED,
    ),
    Row(
        "a pipeline that the scenario lists",
        "POST create?applicationId=2&releaseNumber=2&pipelineName=Tools",
        {"pipelineName": "Tools"},
        scenario=PIPED,
    ),
    Row(
        "create in an empty instance",
        "POST create?applicationId=2&releaseNumber=2&pipelineName=x",
        "applicationId: no application has it: 0 applications; applicationId=2: 0",
        scenario=NOTHING,
    ),
    Row(
        "a new one is last where the order is the file's",
        "POST create?applicationId=2&releaseNumber=2.0.1&pipelineName=Release",
        Whole(RELEASE_5),
        then={"GET /api/releases": [4, 3, 2, 1, 5]},
        scenario=WRITTEN,
    ),
    in_json(
        "create in JSON that is sent as a form",
        "POST create",
        "body: JSON that was sent as a form; set Content-Type: application/json",
        {"applicationId": 2},
        headers=FORM,
    ),
    in_json(
        "create in text/json",
        "POST create",
        Whole(RELEASE_5),
        {"applicationId": 2, "releaseNumber": "2.0.1", "pipelineName": "Release"},
        headers=typed("text/json; charset=utf-8"),
    ),
    # Cancel Release.
    Row(
        "cancel",
        "POST cancel?releaseId=4",
        DONE,
        then={
            "GET /api/releases?releaseId=4": {
                "status": "canceled",
                "canceledBy": "API",
                "canceledOn": NOW,
            },
            "GET builds?releaseId=4&status=rejected": [7, 6, 5],
            "GET builds?buildId=6": {"rejectedBy": "API", "rejectedOn": NOW},
            "GET builds?buildId=7": {"rejectedBy": "MikeJones"},
        },
    ),
    form(
        "cancel by number, with a reason",
        "PUT cancel",
        DONE,
        "applicationName=profitcalculator&releaseNumber=1.0.1&reason=late",
        then={"GET /api/releases?status=canceled": [4, 3]},
    ),
    in_json(
        "cancel by id, number and application",
        "POST cancel",
        DONE,
        {"releaseId": 4, "applicationId": 2, "releaseNumber": "1.0.1"},
    ),
    Row(
        "cancel twice",
        "POST cancel?releaseId=3",
        DONE,
        then={"GET /api/releases?releaseId=3": {"canceledBy": "SYSTEM"}},
    ),
    Row(
        "cancel a deployed release",
        "POST cancel?releaseId=2",
        DONE,
        then={
            "GET /api/releases?releaseId=2": {"status": "canceled"},
            "GET builds?releaseId=2": {"status": "deployed", "rejectedBy": ABSENT},
        },
    ),
    Row("cancel nothing", "POST cancel", NO_RELEASE),
    Row("cancel with an application only", "POST cancel?applicationId=2", NO_RELEASE),
    Row("cancel with a number only", "PUT cancel?releaseNumber=1.0.1", NUMBER_ALONE),
    Row("cancel what is not there", "POST cancel?releaseId=99", NO_RELEASE_99),
    Row(
        "cancel in another application",
        "POST cancel?releaseId=4&applicationId=1",
        "applicationId: no release has this releaseId and applicationId: 4 releases; "
        "releaseId=4: 1; applicationId=1: 0 (1 without the filters before)",
    ),
    Row(
        "cancel with another number",
        "POST cancel?releaseId=4&releaseNumber=0.9",
        "releaseNumber: no release has this releaseId and releaseNumber: 4 releases; "
        "releaseId=4: 1; releaseNumber='0.9': 0 (1 without the filters before)",
    ),
    Row(
        "cancel a number that is not there",
        "POST cancel?applicationId=2&releaseNumber=7",
        "releaseNumber: no release has this applicationId and releaseNumber: 4 releases; "
        "applicationId=2: 3; releaseNumber='7': 0 (there are: '0.9', '1.0.0', '1.0.1')",
    ),
    Row(
        "cancel in no application",
        "POST cancel?applicationId=9&releaseNumber=1.0.1",
        NO_APP_9,
    ),
    Row(
        "cancel by name",
        "POST cancel?releaseName=First",
        "releaseName: unknown parameter; did you mean releaseNumber?",
    ),
    # Restore Release.
    Row(
        "restore",
        "POST restore?releaseId=3",
        DONE,
        then={
            "GET /api/releases?releaseId=3": {
                "status": "active",
                "canceledBy": ABSENT,
                "canceledOn": ABSENT,
            }
        },
    ),
    in_json(
        "restore by id and application",
        "PUT restore",
        DONE,
        {"releaseId": 3, "applicationId": 2, "applicationName": "ProfitCalculator"},
        then={"GET /api/releases?status=active": [4, 3, 1]},
    ),
    Row(
        "restore an active release",
        "POST restore?releaseId=4",
        DONE,
        then={"GET /api/releases?releaseId=4": {"status": "active"}},
    ),
    Row(
        "restore a deployed release",
        "POST restore?releaseId=2",
        DONE,
        then={"GET /api/releases?releaseId=2": {"status": "active"}},
    ),
    Row(
        "restore after cancel: its builds stay rejected",
        "PUT restore?releaseId=4",
        DONE,
        before=("POST cancel?releaseId=4",),
        then={
            "GET /api/releases?releaseId=4": {"status": "active", "canceledOn": ABSENT},
            "GET builds?releaseId=4&status=active": [],
        },
    ),
    Row("restore nothing", "POST restore", NO_RELEASE),
    Row("restore what is not there", "POST restore?releaseId=99", NO_RELEASE_99),
]

BUILDS = [
    # Get Builds.
    Row("all builds", "GET builds", [8, 7, 6, 5, 4]),
    Row("all packages", "GET packages", [8, 7, 6, 5, 4]),
    form("builds in a form", "POST builds", [7, 6, 5], "releaseId=4"),
    in_json("builds in JSON", "POST builds", [6], {"releaseId": 4, "buildNumber": 2}),
    in_json("builds in JSON of a GET", "GET builds", [6, 5], {"furthestStage": "integration"}),
    Row("builds of an application", "GET builds?applicationId=2", [7, 6, 5, 4]),
    Row("builds of an application's name", "GET builds?applicationName=taxcalculator", [8]),
    Row("builds of a release number", "GET builds?releaseNumber=1.0.1", [7, 6, 5]),
    Row("builds of a release name", "GET builds?releaseName=1.0.0", [4]),
    Row("builds of a pipeline", "GET builds?pipelineName=Tools", [8]),
    Row("builds of a stage", "GET builds?furthestStage=Production", [4]),
    Row("builds of a number", "GET builds?buildNumber=1", [8, 5]),
    Row("builds of a text", "GET builds?buildNumber=56.DEVELOP", [7]),
    Row("active builds", "GET builds?status=ACTIVE", [8, 6, 5]),
    Row("rejected builds", "GET builds?status=rejected", [7]),
    Row("deployed builds", "GET builds?status=deployed&applicationId=2", [4]),
    Row("builds under older names", "GET packages?packageId=6", [6]),
    Row("older names at the newer path", "GET builds?packageNumber=2", [6]),
    Row("no build", "GET builds?buildId=99", Whole([])),
    Row("no build below zero", "POST builds?buildId=-1", Whole([])),
    Row("builds of no application", "GET builds?applicationName=Nothing", Whole([])),
    Row("builds of a stage that is not there", "GET builds?furthestStage=Moon", Whole([])),
    Row("builds and empty values", "GET builds?buildId=&status=", [8, 7, 6, 5, 4]),
    Row("HEAD of builds", "HEAD builds", DONE),
    Row("a slash at the end", "GET /API/Releases/Builds/?buildId=6", [6]),
    Row("Basic authentication", "GET builds?buildId=6", [6], headers=basic("api:abc12345")),
    Row("the key in the query", "GET builds?buildId=6&key=abc12345", [6], headers={}),
    Row("a wrong key", "GET builds", Refused(403), headers=WRONG),
    Row("a wrong key comes first", "GET builds?buildId=x", Refused(403), headers=WRONG),
    Row(
        "a whole build",
        "GET builds?buildId=7",
        Whole(
            [
                {
                    "id": 7,
                    "number": "56.develop",
                    "status": "rejected",
                    "createdBy": "SYSTEM",
                    "createdOn": "2024-03-07T00:00:00.0000000Z",
                    "rejectedBy": "MikeJones",
                    "rejectedOn": "2024-03-08T00:00:00.0000000Z",
                    **OF_RELEASE_4,
                    "buildNumber": "56.develop",
                }
            ]
        ),
    ),
    Row(
        "a whole build of no release",
        "GET builds?buildId=8",
        Whole(
            [
                {
                    "id": 8,
                    "number": "1",
                    "status": "active",
                    "createdBy": "SYSTEM",
                    "createdOn": "2024-03-08T00:00:00.0000000Z",
                    "applicationId": 1,
                    "applicationName": "TaxCalculator",
                    "pipelineName": "Tools",
                    "buildNumber": "1",
                }
            ]
        ),
    ),
    Row(
        "a misspelt status in its own letters",
        "GET builds?status=Actve",
        "status: 'Actve' is not one of active, rejected, deployed; did you mean active?",
    ),
    Row(
        "a status of releases",
        "GET builds?status=canceled",
        "status: 'canceled' is not one of active, rejected, deployed",
    ),
    Row("a text as id", "GET builds?buildId=six", f"buildId: 'six' {NOT_INTEGER}"),
    Row(
        "two of the builds' group",
        "GET builds?buildId=6&buildNumber=2",
        "buildNumber: given together with buildId; give at most one of buildId, buildNumber",
    ),
    Row(
        "two of a group under two names",
        "GET builds?packageId=6&buildNumber=2",
        "buildNumber: given together with buildId; give at most one of buildId, buildNumber",
    ),
    Row(
        "an id under both names",
        "GET builds?packageId=6&buildId=6",
        "buildId: given twice, as '6' in the query and as '6' in the query; give it once",
    ),
    Row(
        "a near name of a filter",
        "GET builds?furthestStag=x",
        "furthestStag: unknown parameter; did you mean furthestStage?",
    ),
    Row(
        "a variable is not a filter",
        "GET builds?$v=1",
        "$v: unknown parameter; known are applicationId, applicationName, releaseId, "
        "releaseNumber, releaseName, buildId, buildNumber, pipelineName, furthestStage, status",
    ),
    # Create Build.
    Row(
        "build in a query",
        "PUT builds/create?releaseId=4",
        Whole(BUILD_9),
        then={
            "GET builds": [9, 8, 7, 6, 5, 4],
            "GET /api/releases?releaseId=4": {
                "latestBuildId": 9,
                "latestBuildNumber": "3",
                "latestPackageId": 9,
                "latestPackageNumber": "3",
                "furthestBuildId": 6,
            },
            "GET builds/deployments?buildId=9": [],
        },
    ),
    Row("package in a query", "PUT packages/create?releaseId=4&$V1=x", Whole(BUILD_9)),
    form(
        "build in a form, the key in it",
        "PUT builds/create",
        Whole(BUILD_9),
        "key=abc12345&applicationId=2&releaseNumber=1.0.1&$hello=world"
        "&$cause=http%3A%2F%2Fci%3A8080%2F",
        headers=BARE_FORM,
    ),
    in_json(
        "build in JSON, in Pascal case",
        "POST builds/create",
        Whole(BUILD_9),
        {
            "ApplicationName": "ProfitCalculator",
            "ReleaseNumber": "1.0.1",
            "PipelineName": "ignored",
            "Reason": "why not",
            "$Var": "x",
        },
    ),
    form(
        "a build number that is text",
        "POST builds/create",
        {"id": 9, "number": "57.develop", "buildNumber": "57.develop"},
        "releaseId=4&buildNumber=57.develop&%24Name=x",
    ),
    Row(
        "the number after texts",
        "POST builds/create?releaseId=4",
        {"id": 10, "number": "3"},
        before=("POST builds/create?releaseId=4&buildNumber=9.1",),
    ),
    Row(
        "the number after a higher one",
        "POST builds/create?releaseId=4",
        {"id": 11, "number": "42"},
        before=(
            "POST builds/create?releaseId=4&buildNumber=41",
            "POST builds/create?releaseId=4&buildNumber=7",
        ),
    ),
    Row(
        "the number after leading zeros",
        "POST builds/create?releaseId=4",
        {"number": "11"},
        before=("POST builds/create?releaseId=4&buildNumber=0010",),
    ),
    Row(
        "the number after one of very many digits",
        "POST builds/create?releaseId=4",
        {"id": 10, "number": "3"},
        before=(f"POST builds/create?releaseId=4&buildNumber={'9' * 5_000}",),
    ),
    Row("the first build of a release", "POST builds/create?releaseId=1", {"number": "1"}),
    Row(
        "an older name of the number",
        "PUT packages/create?releaseId=4&packageNumber=8",
        {"number": "8"},
    ),
    Row(
        "a build number that is there",
        "POST builds/create?releaseId=4&buildNumber=56.Develop",
        "buildNumber: '56.Develop' is there already",
    ),
    Row(
        "the build number of another release",
        "POST builds/create?releaseId=1&buildNumber=56.develop",
        {"number": "56.develop", "releaseId": 1},
    ),
    Row(
        "a build of no release",
        "POST builds/create?applicationId=1&pipelineName=Tools",
        Whole(
            {
                "id": 9,
                "number": "2",
                "status": "active",
                "createdBy": "API",
                "createdOn": NOW,
                "applicationId": 1,
                "applicationName": "TaxCalculator",
                "pipelineName": "Tools",
                "buildNumber": "2",
            }
        ),
    ),
    Row(
        "builds of releases count in their application",
        "POST builds/create?applicationId=2&pipelineName=Tools",
        {"number": "51", "releaseId": ABSENT},
        before=(
            "POST builds/create?applicationId=2&pipelineName=Tools",
            "POST builds/create?releaseId=4&buildNumber=50",
        ),
    ),
    Row(
        "a build of no release in no pipeline",
        "POST builds/create?applicationId=1",
        "pipelineName: is missing; without a release, a build needs a pipeline",
    ),
    Row(
        "a build in an unlisted pipeline",
        "POST builds/create?applicationId=1&pipelineName=Tool",
        "pipelineName: no pipeline is called 'Tool'; did you mean Tools?",
        scenario=PIPED,
    ),
    Row(
        "a build of nothing",
        "POST builds/create",
        "releaseId: is missing; add a release, or an application and a pipelineName",
    ),
    Row("a build of a number only", "POST builds/create?releaseNumber=1.0.1", NUMBER_ALONE),
    Row("a build of no such release", "POST builds/create?releaseId=99", NO_RELEASE_99),
    Row(
        "a build of no such number",
        "PUT builds/create?applicationId=1&releaseNumber=1.0.0",
        "releaseNumber: no release has this applicationId and releaseNumber: 4 releases; "
        "applicationId=1: 1; releaseNumber='1.0.0': 0 (1 without the filters before)",
    ),
    Row(
        "a build of two releases",
        "PUT builds/create?releaseId=4&applicationName=TaxCalculator",
        "applicationName: no release has this releaseId and applicationName: 4 releases; "
        "releaseId=4: 1; applicationName='TaxCalculator': 0 (1 without the filters before)",
    ),
    Row(
        "a build of a canceled release",
        "POST builds/create?releaseId=3",
        "releaseId: release 0.9 is canceled; restore it first",
    ),
    Row(
        "a build of a deployed release",
        "POST builds/create?applicationId=2&releaseNumber=1.0.0",
        "releaseId: release 1.0.0 is deployed",
    ),
    Row(
        "a build of a restored release",
        "POST builds/create?releaseId=3",
        {"id": 9, "number": "1", "releaseNumber": "0.9"},
        before=("POST restore?releaseId=3",),
    ),
    Row(
        "a build with a stage",
        "POST builds/create?releaseId=4&toStage=Build",
        "toStage: unknown parameter; known are reason, releaseId, releaseNumber, applicationId, "
        "applicationName, buildNumber, pipelineName",
    ),
    # Reject Build.
    Row(
        "reject",
        "POST builds/reject?buildId=6",
        DONE,
        then={
            "GET builds?buildId=6": {
                "status": "rejected",
                "rejectedBy": "API",
                "rejectedOn": NOW,
                "furthestStage": "Integration",
            }
        },
    ),
    Row(
        "reject with DELETE",
        "DELETE packages/reject?packageId=6",
        DONE,
        then={"GET builds?status=rejected": [7, 6]},
    ),
    form(
        "reject by number",
        "DELETE builds/reject",
        DONE,
        "applicationName=ProfitCalculator&releaseNumber=1.0.1&buildNumber=1",
        then={"GET builds?status=rejected": [7, 5]},
    ),
    in_json(
        "reject by number and release, with a reason",
        "POST builds/reject",
        DONE,
        {"releaseId": 4, "buildNumber": "2", "reason": "bad"},
    ),
    Row(
        "reject twice",
        "POST builds/reject?buildId=7",
        DONE,
        then={"GET builds?buildId=7": {"rejectedBy": "MikeJones"}},
    ),
    Row(
        "reject a build of no release",
        "POST builds/reject?applicationId=1&buildNumber=1",
        DONE,
        then={"GET builds?buildId=8": {"status": "rejected"}},
    ),
    Row(
        "reject one of several",
        "POST builds/reject?applicationId=1&buildNumber=1",
        "releaseId: is missing; several builds of the application have this buildNumber: "
        "add releaseNumber",
        before=("POST builds/create?releaseId=1",),
    ),
    Row("reject nothing", "POST builds/reject", NO_BUILD),
    Row("reject in a release", "POST builds/reject?releaseId=4", NO_BUILD),
    Row(
        "reject a number",
        "POST builds/reject?buildNumber=2",
        "releaseId: is missing; a buildNumber needs a release: add releaseId",
    ),
    Row("reject what is not there", "DELETE builds/reject?buildId=99", NO_BUILD_99),
    Row(
        "reject a build of another release",
        "POST builds/reject?buildId=6&releaseId=1",
        "releaseId: no build has this buildId and releaseId: 5 builds; buildId=6: 1; "
        "releaseId=1: 0 (nearest: 2)",
    ),
    Row(
        "reject a build of another number",
        "POST builds/reject?buildId=6&buildNumber=1",
        "buildNumber: no build has this buildId and buildNumber: 5 builds; buildId=6: 1; "
        "buildNumber='1': 0 (2 without the filters before)",
    ),
    Row(
        "reject a number that is not there",
        "POST builds/reject?releaseId=4&buildNumber=9",
        "buildNumber: no build has this releaseId and buildNumber: 5 builds; releaseId=4: 3; "
        "buildNumber='9': 0 (there are: '1', '2', '3', '56.develop')",
    ),
]

DEPLOYMENTS = [
    # Get Deployments.
    Row("all deployments are children", "GET builds/deployments", [21, 22, 23]),
    Row("deployments of packages", "GET packages/deployments", [21, 22, 23]),
    Row("a parent by its id", "GET builds/deployments?deploymentId=20", [20]),
    Row("a child by its id", "POST builds/deployments?deploymentId=21", [21]),
    Row("deployments of a build", "GET builds/deployments?buildId=6", [21]),
    Row("deployments of a package", "GET packages/deployments?packageId=6", [21]),
    Row("deployments of a number", "GET builds/deployments?buildNumber=1", [22]),
    form(
        "deployments in a form",
        "POST builds/deployments",
        [21],
        "key=abc12345&applicationId=2&releaseNumber=1.0.1&status=succeeded",
        headers=BARE_FORM,
    ),
    in_json(
        "deployments in JSON",
        "POST builds/deployments",
        [21, 22],
        {"pipelineStageName": "integration"},
    ),
    Row("deployments of a release", "GET builds/deployments?releaseId=2", [23]),
    Row("deployments of a release's name", "GET builds/deployments?releaseName=1.0.0", [23]),
    Row(
        "deployments of an application", "GET builds/deployments?applicationName=TaxCalculator", []
    ),
    Row("deployments of a pipeline", "GET builds/deployments?pipelineName=release", [21, 22, 23]),
    Row("deployments of an environment", "GET builds/deployments?environmentId=3", [21]),
    Row("deployments of its name", "GET builds/deployments?environmentName=SHARED", [21]),
    Row("failed deployments", "GET builds/deployments?status=Failed", [22]),
    Row("warned deployments", "GET builds/deployments?status=warned", [23]),
    Row("pending deployments", "GET builds/deployments?status=pending", Whole([])),
    Row("no deployment", "POST builds/deployments?deploymentId=99", Whole([])),
    Row("a deployment of another build", "GET builds/deployments?deploymentId=20&buildId=5", []),
    Row(
        "a whole deployment",
        "GET builds/deployments?deploymentId=21",
        Whole(
            [
                {
                    "id": 21,
                    "plan": "Deploy to Integration",
                    "status": "succeeded",
                    "started": "2024-03-06T10:00:00.0000000Z",
                    "ended": "2024-03-06T10:05:00.0000000Z",
                    "createdBy": "SYSTEM",
                    "createdOn": "2024-03-06T10:00:00.0000000Z",
                    "pipelineName": "Release",
                    "pipelineStageName": "Integration",
                    "environmentId": 3,
                    "environmentName": "Shared",
                    **PROFIT,
                    "releaseId": 4,
                    "releaseNumber": "1.0.1",
                    "releaseName": "1.0.1",
                    "buildId": 6,
                    "buildNumber": "2",
                    "packageId": 6,
                    "packageNumber": "2",
                }
            ]
        ),
    ),
    Row(
        "a status that deployments have not",
        "GET builds/deployments?status=done",
        "status: 'done' is not one of pending, executing, succeeded, warned, failed",
    ),
    Row(
        "two environments",
        "GET builds/deployments?environmentId=3&environmentName=Shared",
        "environmentName: given together with environmentId; "
        "give at most one of environmentId, environmentName",
    ),
    Row(
        "an inner name is not a filter",
        "GET builds/deployments?isChild=true",
        "isChild: unknown parameter; known are applicationId, applicationName, releaseId, "
        "releaseNumber, releaseName, buildId, buildNumber, deploymentId, pipelineName, "
        "pipelineStageName, environmentId, environmentName, status",
    ),
    # Deploy Build.
    Row(
        "deploy to the next stage",
        "POST builds/deploy?buildId=6",
        Whole(DEPLOYMENT_24),
        then={
            "GET builds/deployments?deploymentId=24": Whole([DEPLOYMENT_24]),
            "GET builds/deployments?buildId=6&status=executing": Whole(
                [CHILD_25 | {"status": "executing"}]
            ),
            "GET builds/deployments?deploymentId=25": {"status": "succeeded", "ended": NOW},
            "POST builds/deployments?deploymentId=24": {"status": "succeeded", "ended": NOW},
            "GET builds?buildId=6": {"status": "active", "furthestStage": "Testing"},
            "GET /api/releases?releaseId=4": {"furthestBuildId": 6, "status": "active"},
            "GET builds?releaseId=4&status=active": [6, 5],
        },
    ),
    Row(
        "deploy a package",
        "PUT packages/deploy?packageId=6&toStage=Testing&force=true",
        Whole(DEPLOYMENT_24),
    ),
    Row(
        "deploy to a named stage",
        "PUT builds/deploy?buildId=6&toStage=testing",
        Whole(DEPLOYMENT_24),
    ),
    Row(
        "deploy answers an array",
        "POST builds/deploy?buildId=6",
        Whole([DEPLOYMENT_24]),
        scenario=ARRAY,
    ),
    form(
        "deploy in a form",
        "PUT builds/deploy",
        Whole(DEPLOYMENT_24),
        "key=abc12345&applicationId=2&releaseNumber=1.0.1&buildNumber=2&toStage=Testing&$v=1",
        headers=BARE_FORM,
    ),
    in_json(
        "deploy in JSON",
        "POST builds/deploy",
        Whole(DEPLOYMENT_24),
        {
            "applicationName": "ProfitCalculator",
            "releaseNumber": "1.0.1",
            "buildNumber": 2,
            "force": False,
            "startTime": "2026-01-02T03:00:00Z",
            "reason": "x",
        },
    ),
    Row(
        "the ids of two deployments",
        "POST builds/deploy?buildId=5",
        {"id": 26, "buildId": 5, "pipelineStageName": "Testing"},
        before=("POST builds/deploy?buildId=6",),
        then={"GET builds/deployments?status=pending": [27, 25]},
    ),
    Row(
        "a stage that older builds are in",
        "GET builds?releaseId=4",
        [7, 6, 5],
        before=(
            "POST builds/deploy?buildId=5&toStage=Testing",
            "POST builds/deploy?buildId=6&toStage=Testing",
            "GET builds/deployments",
            "GET builds/deployments",
        ),
        then={
            "GET builds?buildId=5": {"status": "rejected", "rejectedBy": "SYSTEM"},
            "GET builds?buildId=6": {"status": "active"},
        },
    ),
    Row(
        "the last stage",
        "GET builds?buildId=6",
        {"status": "deployed", "furthestStage": "Production"},
        before=(
            "POST builds/deploy?buildId=6&toStage=Production",
            "GET builds/deployments",
            "GET builds/deployments",
        ),
        then={"GET /api/releases?releaseId=4": {"status": "deployed"}},
    ),
    Row(
        "a release that is canceled during its last deployment",
        "GET /api/releases?releaseId=4",
        {"status": "canceled", "canceledBy": "API"},
        before=(
            "POST builds/deploy?buildId=6&toStage=Production",
            "POST cancel?releaseId=4",
            "GET builds/deployments",
            "GET builds/deployments",
        ),
        then={"GET builds?buildId=6": {"status": "deployed", "rejectedOn": ABSENT}},
    ),
    Row(
        "a listed pipeline",
        "POST builds/deploy?buildId=6",
        {"pipelineStageName": "Live"},
        scenario=PIPED,
    ),
    Row(
        "deploy a build without a stage",
        "POST builds/deploy?buildId=8",
        {"pipelineStageName": "Build", "releaseId": ABSENT, "applicationId": 1},
    ),
    Row(
        "deploy a rejected build",
        "POST builds/deploy?buildId=7",
        "buildId: the build is rejected; add force: true to deploy it all the same",
    ),
    in_json(
        "deploy a rejected build by force",
        "POST builds/deploy",
        {"id": 24, "buildId": 7, "pipelineStageName": "Build"},
        {"buildId": 7, "force": True},
    ),
    form(
        "force as .NET writes it",
        "POST builds/deploy",
        {"id": 24, "buildId": 7},
        "buildId=7&force=True",
    ),
    Row(
        "force that is no flag",
        "POST builds/deploy?buildId=7&force=yes",
        "force: 'yes' is neither true nor false",
    ),
    Row(
        "deploy beyond the last stage",
        "POST builds/deploy?buildId=4",
        "buildId: the build is in its last stage, Production; name one with toStage",
    ),
    Row(
        "deploy a deployed build to a stage",
        "POST builds/deploy?buildId=4&toStage=Production",
        {"id": 24, "pipelineStageName": "Production"},
    ),
    Row(
        "deploy to no stage",
        "POST builds/deploy?buildId=6&toStage=Moon",
        f"toStage: pipeline Release has no stage 'Moon'; {NO_STAGE}",
    ),
    Row(
        "deploy to a near stage",
        "POST builds/deploy?buildId=6&toStage=Test",
        "toStage: pipeline Release has no stage 'Test'; did you mean Testing?",
    ),
    Row(
        "deploy to a stage of another pipeline",
        "POST builds/deploy?buildId=6&toStage=Testing",
        "toStage: pipeline Release has no stage 'Testing'; known are Build, Integration, Live",
        scenario=PIPED,
    ),
    Row(
        "deploy a build of a canceled release",
        "POST builds/deploy?buildId=7&force=true",
        "buildId: release 1.0.1 is canceled; restore it first",
        before=("POST cancel?releaseId=4",),
    ),
    Row("deploy nothing", "PUT builds/deploy", NO_BUILD),
    Row("deploy what is not there", "POST builds/deploy?buildId=99&force=true", NO_BUILD_99),
    Row("deploy a release", "POST builds/deploy?releaseId=4&toStage=Testing", NO_BUILD),
    Row(
        "deploy a number only",
        "POST builds/deploy?buildNumber=2",
        "releaseId: is missing; a buildNumber needs a release: add releaseId",
    ),
    Row(
        "deploy with a near name",
        "POST builds/deploy?buildId=6&stage=Testing",
        "stage: unknown parameter; did you mean toStage?",
    ),
    Row(
        "deploy with two problems",
        "POST builds/deploy?buildId=six&force=maybe",
        f"buildId: 'six' {NOT_INTEGER}\nforce: 'maybe' is neither true nor false",
    ),
]

TAX, OF_PROFIT = (
    application(1, "TaxCalculator", group="Finance"),
    application(2, PROFIT["applicationName"]),
)
ARCHIVE = application(5, "Archive", active=False, group="Attic")

OTHERS = [
    # Applications.
    Row("all applications", f"POST {LIST}", Whole([TAX, ARCHIVE, OF_PROFIT])),
    Row("all applications with GET", f"GET {LIST}", Whole([TAX, ARCHIVE, OF_PROFIT])),
    Row("HEAD of applications", f"HEAD {LIST}", DONE),
    in_json(
        "applications with the key in JSON",
        f"POST {LIST}",
        [1, 5, 2],
        {"API_Key": "abc12345"},
        headers=BARE_JSON,
    ),
    Row("no application", f"POST {LIST}", Whole([]), scenario=NOTHING),
    Row(
        "a filter of applications",
        f"GET {LIST}?applicationId=1",
        "applicationId: unknown parameter; there are none here",
    ),
    # The native calls.
    Row("native applications", f"GET {MANY}", Whole([TAX_NATIVE, PROFIT_NATIVE])),
    Row(
        "the first native application",
        f"GET {MANY}?API_Key=abc12345&Application_Count=1",
        Whole([TAX_NATIVE]),
        headers={},
    ),
    Row(
        "all native applications",
        f"GET {MANY}?key=abc12345&Application_Count=0&IncludeInactive_Indicator=N",
        Whole([TAX_NATIVE, PROFIT_NATIVE]),
        headers={},
    ),
    in_json(
        "native applications, inactive too",
        f"POST {MANY}",
        Whole([TAX_NATIVE, PROFIT_NATIVE, ARCHIVE_NATIVE]),
        {"IncludeInactive_Indicator": "Y", "Application_Count": 9},
    ),
    Row(
        "native applications below zero",
        f"GET {MANY}?Application_Count=-1",
        "Application_Count: is below 0; 0 is all",
    ),
    Row(
        "native applications, inactive perhaps",
        f"GET {MANY}?IncludeInactive_Indicator=maybe",
        "IncludeInactive_Indicator: 'maybe' is not one of y, n",
    ),
    Row(
        "native applications by id",
        f"GET {MANY}?Application_Id=1",
        "Application_Id: unknown parameter; did you mean Application_Count?",
    ),
    Row("no native application", f"POST {MANY}", Whole([]), scenario=NOTHING),
    Row(
        "a native application",
        f"GET {ONE}?API_Key=abc12345&Application_Id=2",
        Whole(PROFIT_NATIVE),
        headers={},
    ),
    in_json(
        "a native application by name",
        f"POST {ONE}",
        Whole(TAX_NATIVE),
        {"Application_Name": "taxcalculator"},
        headers=typed("application/json; charset=utf-8"),
    ),
    in_json(
        "a native application by both",
        f"POST {ONE}",
        Whole(TAX_NATIVE),
        {"Application_Name": "TaxCalculator", "Application_Id": 1},
    ),
    in_json(
        "two native applications",
        f"POST {ONE}",
        Whole(None),
        {"Application_Name": "TaxCalculator", "Application_Id": 2},
    ),
    Row("an inactive native application", f"GET {ONE}?Application_Id=5", Whole(ARCHIVE_NATIVE)),
    Row("a native application that is not there", f"GET {ONE}?Application_Id=9", Whole(None)),
    Row("a native application of no name", f"GET {ONE}", Whole(None)),
    Row(
        "a native application in a list",
        f"GET {ONE}?Application_Id=1",
        Whole({"Applications_Extended": [TAX_NATIVE]}),
        scenario=EXTENDED,
    ),
    Row(
        "none in a list",
        f"GET {ONE}?Application_Id=9",
        Whole({"Applications_Extended": []}),
        scenario=EXTENDED,
    ),
    Row(
        "a native application of a text as id",
        f"GET {ONE}?Application_Id=x",
        f"Application_Id: 'x' {NOT_INTEGER}",
    ),
    Row(
        "active releases are counted",
        f"GET {ONE}?Application_Id=2",
        Whole(PROFIT_NATIVE | {"Active_Releases_Count": 2}),
        before=("POST restore?releaseId=3",),
    ),
    # Health, and what is nowhere.
    Row(
        "health",
        "GET /health",
        Whole(
            {
                "applicationName": "BuildMaster",
                "databaseStatus": "OK",
                "databaseStatusDetails": None,
                "extensionsInstalled": {},
                "instanceName": None,
                "licenseStatus": "OK",
                "licenseStatusDetail": None,
                "versionNumber": "2024.1.0.1",
                "releaseNumber": "2024.1.0",
                "serviceStatus": "OK",
                "serviceStatusDetail": None,
            }
        ),
        headers={},
    ),
    Row("health with a wrong key", "GET /health", {"serviceStatus": "OK"}, headers=WRONG),
    Row("HEAD of health", "HEAD /health", DONE, headers={}),
    *(
        Row(
            f"nothing at {path}",
            f"GET {path}",
            Refused(404, f"BuildMaster has no endpoint at this path; did you mean {near}?\n"),
        )
        for path, near in {
            "/api/releases/build": "/api/releases/builds",
            "/api/releases/builds/creat": "/api/releases/builds/create",
            "/api/releases/cancle": "/api/releases/cancel",
            "/api/releases/packages/deployment": "/api/releases/packages/deployments",
            "/api/application/list": LIST,
            "/api/json/Application_GetApplication": "/api/json/applications_getapplication",
        }.items()
    ),
]

TABLE = [*RELEASES, *BUILDS, *DEPLOYMENTS, *OTHERS, *wrong_methods(), *without_key()]
