"""What published clients send, in their order and in their bytes, each flow in a fresh session."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from test_servers import Connection, connected

from mockbm import AdminClient, MockServer
from mockbm.client import RemoteSession

FORM = "Content-Type: application/x-www-form-urlencoded"
JSON = "Content-Type: application/json; charset=utf-8"
PLAIN = "Content-Type: text/plain; charset=utf-8"

ALREADY_DONE = {"succeeded", "warned"}
GOES_ON = {None, "", "pending", "executing"}


class Client:
    """A client over one connection.

    session: the world of its key. last: the status of the last answer.
    """

    def __init__(self, connection: Connection, session: RemoteSession) -> None:
        self._connection = connection
        self.session = session
        self.key = session.api_key
        self.last = 0

    def send(self, call: str, body: str = "", *headers: str, waits: bool = False) -> Any:
        """Send one request. waits: for a 100 before the body. Returns: JSON, a text, or None."""
        content = body.encode()
        fields = ["Host: 127.0.0.1", *headers, f"Content-Length: {len(content)}"]
        fields += ["Expect: 100-continue"] if waits else []
        head = "\r\n".join([f"{call} HTTP/1.1", *fields, "", ""]).encode()
        self._connection.send(head if waits else head + content)
        if waits and content:
            assert self._connection.answer().status == 100
            self._connection.send(content)
        answer = self._connection.answer()
        if waits and not content and answer.status == 100:  # though there is nothing to send
            answer = self._connection.answer()
        self.last = answer.status
        if not answer.body:
            return None
        is_json = answer.fields["content-type"].startswith("application/json")
        return json.loads(answer.body) if is_json else answer.body.decode()

    def form(self, call: str, body: str, *headers: str) -> Any:
        """A form with the key in it."""
        return self.send(call, f"key={self.key}&{body}", FORM, *headers)

    def query(self, call: str) -> Any:
        """Everything in the query, with an empty body of plain text."""
        return self.send(f"{call}&key={self.key}", "", PLAIN)

    def header_form(self, call: str, body: str) -> Any:
        """A form with the key in a header, whose body waits for a 100."""
        return self.send(call, body, FORM, f"X-ApiKey: {self.key}", waits=True)

    def header_json(self, call: str, **values: object) -> Any:
        """JSON with the key in a header."""
        return self.send(call, json.dumps(values), JSON, f"X-ApiKey: {self.key}")


@pytest.fixture
def client(shared: MockServer) -> Iterator[Client]:
    """A client with a fresh session."""
    session = AdminClient(shared.url).open_session("documented")
    with connected(urlsplit(shared.url).port or 0) as connection:
        yield Client(connection, session)
    session.end()


def use(client: Client, **options: object) -> None:
    """Make a scenario active that is the documented one with further keys."""
    client.session.use_values({"extends": "documented", **options})


def ids(records: list[dict[str, Any]]) -> list[int]:
    return [record["id"] for record in records]


# A. A CI server's plugin.

NEXT = "applicationId=2&releaseNumber=1.0.1"


def build_and_deploy(client: Client) -> int:
    """The calls of flow A until its deployment is there. Returns: its id."""
    key = client.key
    found = client.send(
        f"GET /api/json/Applications_GetApplications?API_Key={key}&Application_Count=1"
    )
    assert [each["Application_Name"] for each in found] == ["TaxCalculator"]
    one = client.send(f"GET /api/json/Applications_GetApplication?API_Key={key}&Application_Id=2")
    assert one["Application_Name"] == "ProfitCalculator"
    releases = client.form("POST /api/releases", "applicationId=2&status=active", "charset: UTF-8")
    assert releases[0]["number"] == "1.0.1"
    variables = "$hello=world&$cause=http%3A%2F%2Fci%3A8080%2F"
    build = client.form("PUT /api/releases/builds/create", f"{NEXT}&{variables}")
    assert (build["id"], build["number"], build["status"]) == (13, "3", "active")
    assert_idle(client)
    deploy = f"{NEXT}&buildNumber={build['number']}&toStage=Testing&$v=1&force=true"
    deployments = client.form("PUT /api/releases/builds/deploy", deploy)
    assert [each["status"] for each in deployments] == ["pending"]
    assert deployments[0]["pipelineStageName"] == "Testing"
    return int(deployments[0]["id"])


def assert_idle(client: Client) -> None:
    """Nothing of the release is being deployed."""
    for status in ("pending", "executing"):
        path = "POST /api/releases/builds/deployments"
        assert client.form(path, f"{NEXT}&status={status}") == []


def poll(client: Client, deployment: int, most: int = 10) -> list[str]:
    """Look at a deployment until it is over, at most so often. Returns: its statuses."""
    statuses: list[str] = []
    while len(statuses) < most and (not statuses or statuses[-1] in GOES_ON):
        (found,) = client.form(
            "POST /api/releases/builds/deployments", f"deploymentId={deployment}"
        )
        statuses.append(found["status"])
    return statuses


@pytest.mark.parametrize(
    ("settings", "statuses"),
    [
        ({}, ["pending", "executing", "succeeded"]),
        ({"result": "warned"}, ["pending", "executing", "warned"]),
        (
            {"pending": "1 call", "executing": "2 calls", "result": "failed"},
            ["pending", "executing", "executing", "failed"],
        ),
        ({"pending": "3 calls"}, [*["pending"] * 3, "executing", "succeeded"]),
        ({"result": {"Testing": "failed"}}, ["pending", "executing", "failed"]),
        ({"result": {"Production": "failed"}}, ["pending", "executing", "succeeded"]),
        ({"executing": "never"}, ["pending", *["executing"] * 9]),
        ({"pending": "never"}, ["pending"] * 10),
    ],
    ids=["default", "warned", "failed", "calls", "by stage", "other stage", "hangs", "gate"],
)
def test_plugin_of_a_ci_server(
    client: Client, settings: dict[str, object], statuses: list[str]
) -> None:
    """Flow A: look up, create a build, deploy it, and poll until the deployment is over."""
    use(client, deployAnswer="array", deployments=settings)
    deployment = build_and_deploy(client)
    assert poll(client, deployment) == statuses
    (build,) = (each for each in client.session.state()["builds"] if each["id"] == 13)
    if statuses[-1] in GOES_ON:
        waiting = client.form(
            "POST /api/releases/builds/deployments", f"{NEXT}&status={statuses[-1]}"
        )
        assert ids(waiting) == [deployment + 1]
    else:
        assert_idle(client)
    assert build.get("furthestStage") == ("Testing" if statuses[-1] in ALREADY_DONE else None)
    (created,) = client.session.requests(parameter="$hello")
    assert created.path == "/api/releases/builds/create"
    assert created.parameters["$cause"] == "http://ci:8080/"


def test_plugin_whose_deployment_follows_the_clock(client: Client) -> None:
    """Flow A, where time passes instead of calls: no number of looks changes anything."""
    use(client, deployAnswer="array", deployments={"pending": "5s", "executing": "1m"})
    client.session.set_clock("2026-01-02T03:04:05Z")
    deployment = build_and_deploy(client)
    seen = [poll(client, deployment, 3)]
    for step in ("4s", "1s", "59s", "1s"):
        client.session.advance_clock(step)
        seen.append(poll(client, deployment, 3))
    assert seen == [
        ["pending"] * 3,
        ["pending"] * 3,
        ["executing"] * 3,
        ["executing"] * 3,
        ["succeeded"],
    ]
    (found,) = client.form("POST /api/releases/builds/deployments", f"deploymentId={deployment}")
    assert found["ended"] == "2026-01-02T03:05:10.0000000Z"
    assert_idle(client)


# B. A .NET library.


def test_library_with_the_older_names(client: Client) -> None:
    """Flow B: everything in the query, and builds are packages; Deploy answers an object."""
    native = client.query(
        "GET /api/json/Applications_GetApplications?Application_Count=0&IncludeInactive_Indicator=N"
    )
    names = [each["Application_Name"] for each in native]
    assert names == ["TaxCalculator", "ProfitCalculator", "PayrollService"]
    active = "GET /api/releases?applicationName=ProfitCalculator&status=active"
    assert ids(client.query(active)) == [4]
    release = client.query(
        "PUT /api/releases/create?applicationName=ProfitCalculator&releaseNumber=2.0.1"
        "&pipelineName=Release&$V1=one%20two"
    )
    assert (release["id"], release["sequence"], release["createdBy"]) == (8, 3, "API")
    assert ids(client.query(active)) == [8, 4]
    package = client.query("PUT /api/releases/packages/create?releaseId=4&$V1=x")
    assert (package["id"], package["number"]) == (13, "3")
    deployed = client.query(
        "PUT /api/releases/packages/deploy?packageId=6&toStage=Testing&force=true"
    )
    assert (deployed["packageId"], deployed["packageNumber"]) == (6, "2")
    assert (deployed["id"], deployed["status"], deployed["plan"]) == (22, "pending", None)
    pending = client.query(
        "GET /api/releases/packages/deployments?applicationId=2&releaseNumber=1.0.1&status=pending"
    )
    assert ids(pending) == [23]
    assert client.query("DELETE /api/releases/packages/reject?packageId=6") is None
    assert client.last == 200
    rejected = client.query("GET /api/releases/packages?releaseId=4&status=rejected")
    assert ids(rejected) == [6, 5]
    assert client.session.requests()[2].parameters["$V1"] == "one two"


def test_library_that_cancels_and_restores(client: Client) -> None:
    """Flow B, and a release that is canceled and comes back; its builds stay rejected."""
    package = client.query("PUT /api/releases/packages/create?releaseId=4")
    for call, status in (("cancel", "canceled"), ("restore", "active"), ("restore", "active")):
        assert client.query(f"PUT /api/releases/{call}?releaseId=4&applicationId=2") is None
        assert client.last == 200
        (release,) = client.query("GET /api/releases?releaseId=4")
        assert release["status"] == status
        assert ("canceledBy" in release) == (status == "canceled")
        (found,) = client.query(f"GET /api/releases/packages?packageId={package['id']}")
        assert (found["status"], found["rejectedBy"]) == ("rejected", "API")
    client.query(f"PUT /api/releases/packages/deploy?packageId={package['id']}")
    assert client.last == 400
    client.query(f"PUT /api/releases/packages/deploy?packageId={package['id']}&force=true")
    assert client.last == 200


# C. A PowerShell module.


@pytest.mark.parametrize("is_extended", [False, True], ids=["2024", "2023"])
def test_powershell_module(client: Client, is_extended: bool) -> None:
    """Flow C: forms with escapes in lower case; each body waits for `100 Continue`."""
    use(client, nativeAnswer="extended" if is_extended else "object")
    for values in ({"Application_Name": "TaxCalculator"}, {"Application_Id": 1}):
        found = client.header_json("POST /api/json/Applications_GetApplication", **values)
        if is_extended:
            ((name, (found,)),) = found.items()
            assert name == "Applications_Extended"
        assert (found["Application_Id"], found["Active_Indicator"]) == (1, "Y")
    assert len(client.header_form("POST /api/releases", "")) == 7
    assert ids(client.header_form("POST /api/releases", "releaseId=4")) == [4]
    for nothing in ("releaseName=i+do+not+exist", "releaseId=-1"):
        assert client.header_form("POST /api/releases", nothing) == []
    release = client.header_form(
        "POST /api/releases/create",
        "releaseNumber=2.0.1&releaseName=&pipelineName=global%3a%3aRelease&applicationId=2",
    )
    assert (release["name"], release["pipelineName"]) == ("2.0.1", "global::Release")
    build = client.header_form(
        "POST /api/releases/builds/create", "releaseId=4&buildNumber=56.develop&%24Name=x"
    )
    assert build["number"] == build["buildNumber"] == "56.develop"
    build = client.header_form("POST /api/releases/builds/create", "releaseId=4")
    assert build["number"] == "3"
    parent = client.header_form("POST /api/releases/builds/deploy", "buildId=6&force=true")
    assert (parent["buildId"], parent["pipelineStageName"]) == (6, "Testing")
    before = client.session.state()
    client.header_form("POST /api/releases/builds/deploy", "buildId=99&force=true")
    assert client.last == 400
    assert client.session.state() == before
    path = "POST /api/releases/builds/deployments"
    assert ids(client.header_form(path, "deploymentId=20")) == [20]
    assert ids(client.header_form(path, f"deploymentId={parent['id']}")) == [parent["id"]]
    children = client.header_form(path, "buildId=6")
    assert ids(children) == [parent["id"] + 1, 21]
    assert all(child["plan"] for child in children)


# D. PowerShell scripts.


def test_scripts_that_find_what_is_there(client: Client) -> None:
    """Flow D: JSON in Pascal case; a release that is there already is found and used."""
    values = {"ApplicationName": "PayrollService", "ReleaseNumber": "3.0"}
    path = "POST /api/releases/create"
    created = client.header_json(path, **values, PipelineName="global::X")
    assert (created["pipelineName"], created["sequence"]) == ("global::X", 5)
    text = client.header_json(path, **values, PipelineName="global::X")
    assert (client.last, text) == (
        400,
        "releaseNumber: PayrollService has a release '3.0' already\n",
    )
    key = f"X-ApiKey: {client.key}"
    (found,) = client.send(
        "GET /api/releases?applicationName=PayrollService&releaseNumber=3.0", "", key
    )
    assert found == created
    for number in ("1", "2", "3"):
        build = client.header_json(
            "POST /api/releases/builds/create",
            **values,
            PipelineName="global::X",
            Reason="nightly",
            **{"$Var": "x"},
        )
        assert (build["number"], build["releaseId"]) == (number, created["id"])
    deployment = client.header_json(
        "POST /api/releases/builds/deploy",
        applicationName="PayrollService",
        releaseNumber="3.0",
        buildNumber="3",
        toStage="Testing",
        force=True,
    )
    assert (deployment["buildNumber"], deployment["pipelineStageName"]) == ("3", "Testing")
    assert poll(client, deployment["id"]) == ["pending", "executing", "succeeded"]
    state = client.session.state()
    assert state["builds"][0] == build | {"furthestStage": "Testing"}
    assert [each["status"] for each in state["builds"][:3]] == ["active"] * 3


# E. The vendor's page for a CI server.


def test_page_of_the_vendor(client: Client) -> None:
    """Flow E: the newest active release gets a build, which goes through every stage."""
    releases = client.header_json(
        "POST /api/releases", applicationName="ProfitCalculator", status="ACTIVE"
    )
    assert ids(releases) == [4]
    build = client.header_json(
        "POST /api/releases/builds/create",
        releaseNumber=releases[0]["number"],
        applicationName="ProfitCalculator",
        **{"$Branch": "main"},
    )
    stages = []
    for _ in range(4):
        deployment = client.header_json("POST /api/releases/builds/deploy", buildId=build["id"])
        assert poll(client, deployment["id"])[-1] == "succeeded"
        stages.append(deployment["pipelineStageName"])
    assert stages == ["Build", "Integration", "Testing", "Production"]
    state = client.session.state()
    release = next(each for each in state["releases"] if each["id"] == 4)
    statuses = {each["number"]: each["status"] for each in state["builds"][:3]}
    assert statuses == {"3": "deployed", "2": "rejected", "1": "rejected"}
    assert (release["status"], release["furthestBuildNumber"]) == ("deployed", "3")
    client.header_json("POST /api/releases/builds/deploy", buildId=build["id"])
    assert client.last == 400
    client.header_json("POST /api/releases/builds/create", releaseId=4)
    assert client.last == 400


def test_flows_do_not_see_each_other(client: Client, shared: MockServer) -> None:
    """What a flow changes is in its session; others, and a reset, have what the file has."""
    before = AdminClient(shared.url).state()
    build_path = "POST /api/releases/builds/create"
    client.header_json(build_path, releaseId=4)
    client.header_json("POST /api/releases/cancel", releaseId=1)
    pinned = f"X-ApiKey: {client.key}@documented"
    first = client.send(build_path, '{"releaseId": 4}', JSON, pinned)
    second = client.send(build_path, '{"releaseId": 4}', JSON, pinned)
    assert (first["number"], second["number"]) == ("3", "4")
    assert AdminClient(shared.url).state() == before
    assert len(client.session.state()["builds"]) == len(before["builds"]) + 1
    client.session.reset()
    assert client.session.state() == before
