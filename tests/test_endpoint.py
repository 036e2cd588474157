"""`/api/releases`, in every way that leads there: the table of requests, and what is answered."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from clients import CLIENTS, Answer, Client, with_requests
from commands import BIN, free_port, running
from endpoint_table import JSON, KEY, TABLE, Row

from mockbm import MockServer, create_app

Send = Callable[[str, str, Mapping[str, str], "bytes | None"], Any]
"""Takes method, target, headers and body; gives status, headers and body."""

TYPES = {200: "application/json; charset=utf-8", 400: "text/plain; charset=utf-8"}

PAGE = """
[
  {
    "id": 4,
    "number": "1.0.1",
    "name": "1.0.1",
    "sequence": 2,
    "status": "active",
    "createdBy": "MikeJones",
    "createdOn": "2024-03-04T09:03:43.9200000Z",
    "applicationId": 2,
    "applicationName": "ProfitCalculator",
    "pipelineName": "Release",
    "furthestBuildId": 6,
    "furthestBuildNumber": "2",
    "latestBuildId": 6,
    "latestBuildNumber": "2",
    "deployables": [],
    "furthestPackageId": 6,
    "furthestPackageNumber": "2",
    "latestPackageId": 6,
    "latestPackageNumber": "2",
    "releaseName": "1.0.1",
    "releaseNumber": "1.0.1"
  },
  {
    "id": 1,
    "number": "1",
    "name": "1",
    "sequence": 1,
    "status": "active",
    "createdBy": "JohnSmith",
    "createdOn": "2024-03-04T08:42:38.8170000Z",
    "applicationId": 1,
    "applicationName": "TaxCalculator",
    "deployables": [],
    "releaseName": "1",
    "releaseNumber": "1"
  }
]
"""
"""The two releases that the vendor's page shows for {"status": "active"}."""

WHOLE = {
    "id": 12,
    "number": "3.10",
    "name": "Autumn",
    "sequence": 7,
    "template": "Standard",
    "status": "canceled",
    "createdBy": "AnnBrown",
    "createdOn": "2019-09-01T06:05:04.0300201Z",
    "canceledBy": "JohnSmith",
    "canceledOn": "2019-09-02T00:00:00.0000000Z",
    "targetDate": "2019-10-01T12:30:00.0000000Z",
    "applicationId": 5,
    "applicationName": "Intranet",
    "pipelineId": 3,
    "pipelineName": "global::Release",
    "furthestBuildId": 21,
    "furthestBuildNumber": "1",
    "latestBuildId": 22,
    "latestBuildNumber": "2",
    "deployables": [],
    "furthestPackageId": 21,
    "furthestPackageNumber": "1",
    "latestPackageId": 22,
    "latestPackageNumber": "2",
    "releaseName": "Autumn",
    "releaseNumber": "3.10",
}
"""A release with every property there is, in the order of the response."""


COMPARED = ("content-type", "content-length", "allow")
"""Headers that are the same in every way, with those that begin with `X-Mockbm-`."""


def take(
    method: str, target: str, headers: Mapping[str, str], body: bytes | None, send: Send
) -> Answer:
    """An answer with the headers that are compared."""
    status, fields, content = send(method, target, headers, body)
    found = {name.lower(): value for name, value in fields}
    kept = {n: v for n, v in found.items() if n in COMPARED or n.startswith("x-mockbm-")}
    return Answer(status, kept, content)


def through_flask() -> Iterator[Send]:
    """Ask Flask's test client, without a socket."""
    client = create_app().test_client()

    def send(method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Any:
        path, _, query = target.partition("?")
        answer = client.open(path, method=method, query_string=query, headers=headers, data=body)
        return answer.status_code, [*answer.headers], answer.data

    yield send


def over_a_socket(url: str) -> Iterator[Send]:
    """Ask a server over one connection, with no header but those of the request."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=20)
    connection.connect()
    socket = connection.sock

    def send(method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Any:
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        content = answer.read()
        assert connection.sock is socket, "the connection does not stay open"
        return answer.status, answer.getheaders(), content

    yield send
    connection.close()


def through_mock_server() -> Iterator[Send]:
    with MockServer() as server:
        yield from over_a_socket(server.url)


def through_gunicorn() -> Iterator[Send]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    options = ("--threads=2", "--keep-alive=20", "--limit-request-line=0")
    with running(str(BIN / "gunicorn"), *options, f"--bind=127.0.0.1:{port}", "wsgi:app", url=url):
        yield from over_a_socket(url)


WAYS = {"Flask": through_flask, "MockServer": through_mock_server, "gunicorn": through_gunicorn}
if importlib.util.find_spec("gunicorn") is None:  # which Windows does not have
    del WAYS["gunicorn"]


class Played(NamedTuple):
    """What the whole table got in one way: the answers, by row, and the entries of the journal."""

    answers: dict[str, Answer]
    entries: list[dict[str, Any]]


def play_row(row: Row, send: Send) -> Answer:
    """Send a row in its scenario."""
    send("PUT", "/__admin/scenario", JSON, json.dumps({"name": row.scenario}).encode())
    target = row.path + (f"?{row.query}" if row.query else "")
    return take(row.method, target, row.headers, row.body, send)


def play(send: Send) -> Played:
    """Send all rows to one mock."""
    send("DELETE", "/__admin/requests", {}, None)
    answers = {row.id: play_row(row, send) for row in TABLE}
    _, _, journal = send("GET", "/__admin/requests", {}, None)
    entries = json.loads(journal)["requests"]
    return Played(answers, [{**entry, "time": "", "duration": 0} for entry in entries])


@pytest.fixture(scope="module")
def flask() -> Iterator[Send]:
    """One mock for the rows that are sent one by one."""
    yield from through_flask()


@pytest.fixture(scope="module")
def played() -> dict[str, Played]:
    """The whole table in every way."""
    found = {}
    for name, way in WAYS.items():
        with contextmanager(way)() as send:
            found[name] = play(send)
    return found


def check(row: Row, answer: Answer) -> None:
    """Fail unless an answer is what the table promises."""
    assert answer.status == row.status, answer.body
    assert answer.headers["x-mockbm-scenario"] == row.scenario
    if row.status in TYPES:
        assert answer.headers["content-type"] == TYPES[row.status]
    if row.status == 405:
        assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}
    if row.status == 403:
        assert "content-type" not in answer.headers
    if row.status == 403 or row.method == "HEAD":
        assert answer.body == b""
    elif row.status == 400:
        lines = answer.body.decode().splitlines()
        assert lines, "a 400 says what is wrong"
        assert all(": " in line for line in lines), "every line names a parameter"
    if isinstance(row.expected, list):
        assert [release["id"] for release in json.loads(answer.body)] == row.expected
    elif isinstance(row.expected, str):
        text = answer.body.decode()
        assert row.expected in text
        assert text == row.expected or not row.expected.endswith("\n")


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.id)
def test_answer(row: Row, flask: Send) -> None:
    """Each request gets the answer that the table promises."""
    check(row, play_row(row, flask))


def test_every_way_answers_the_same(played: dict[str, Played]) -> None:
    """All ways give the same bytes."""
    for name in played:
        for row, answer in played[name].answers.items():
            assert answer == played["Flask"].answers[row], (name, row)


def test_the_journal_is_the_same(played: dict[str, Played]) -> None:
    """All ways leave the same entries, but for times and durations."""
    expected = played["Flask"].entries
    assert [entry["status"] for entry in expected] == [row.status for row in TABLE]
    for name in played:
        for entry, of_flask in zip(played[name].entries, expected, strict=True):
            assert entry == of_flask, name


SENT_DIFFERENTLY = (
    *("no filter", "global pipeline", "signs of a query", "very many leading zeros"),
    *("an Arabic digit in the query", "an unknown name of two lines", "all empty"),
    *("POST with a query", "JSON in a POST", "JSON in a GET", "JSON without a type, GET"),
    *("an empty body that says it is JSON", "JSON in Latin-1", "JSON that is not UTF-8"),
    *("a form in a GET", "an empty form", "a multipart form", "a form without a type"),
    *("key with Basic", "an empty header", "no key in a POST", "a wrong key and a great body"),
    *("path in capitals", "two slashes inside", "two slashes at the end"),
    *("HEAD", "HEAD of a bad request", "OPTIONS", "PUT", "DELETE"),
)
"""Rows in which clients have a way of their own: of the target, the body, the headers, the verb."""


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("name", SENT_DIFFERENTLY)
def test_answer_to_a_client(name: str, client: Client, shared: MockServer) -> None:
    """Every HTTP client gets the answer that the table promises."""
    (row,) = (row for row in TABLE if row.id == name)
    shared.use(row.scenario)
    target = f"{shared.url}{row.path}" + (f"?{row.query}" if row.query else "")
    check(row, client(row.method, target, row.headers, row.body))


@pytest.mark.parametrize("query", ["?status=active", "?status=x", ""])
def test_head_follows_get(query: str, shared: MockServer) -> None:
    """A HEAD gets the status, type and length that a GET gets."""
    headers = KEY if query else {}
    got, head = (
        with_requests(method, f"{shared.url}/api/releases{query}", headers, None)
        for method in ("GET", "HEAD")
    )
    assert head.status == got.status
    for name in ("content-type", "content-length"):
        assert head.headers.get(name) == got.headers.get(name)
    assert int(head.headers["content-length"]) == len(got.body)


def pairs(text: str | bytes) -> Any:
    """JSON with each object as a tuple of its pairs, so that the order of properties counts."""
    return json.loads(text, object_pairs_hook=tuple)


def test_the_page_of_the_vendor(shared: MockServer) -> None:
    """The curl line of the vendor's page gets the releases of that page, in every detail."""
    url = f"{shared.url}/api/releases"
    answer = with_requests("POST", url, JSON, b'{"status": "active"}')
    assert pairs(answer.body)[:2] == pairs(PAGE)


def ask(directory: Path, content: object, target: str = "", strict: bool = True) -> tuple[int, Any]:
    """The status and the body of one GET from a mock of one scenario file."""
    (directory / "mine.yaml").write_text(json.dumps(content), encoding="utf-8")
    client = create_app(directory, strict=strict).test_client()
    answer = client.get(f"/api/releases{target}", headers=KEY)
    return answer.status_code, pairs(answer.data) if answer.status_code == 200 else answer.text


def test_order_of_all_properties(tmp_path: Path) -> None:
    """A release goes out with its properties in one order, however the file has them."""
    backwards = dict(reversed(WHOLE.items()))
    assert ask(tmp_path, {"releases": [backwards]}) == (200, [tuple(WHOLE.items())])


def test_what_is_left_out_stays_out(tmp_path: Path) -> None:
    """A null goes out as no property at all, and the properties with a default have it."""
    nulls = dict.fromkeys(WHOLE, None)
    smallest = {"id": 1, "number": "2", "applicationId": 3, "applicationName": "Intranet"}
    _, (release,) = ask(tmp_path, {"releases": [nulls | smallest]})
    names = "id number name sequence status createdBy createdOn applicationId applicationName"
    assert [name for name, _ in release] == [
        *names.split(),
        *("deployables", "releaseName", "releaseNumber"),
    ]
    values = dict(release)
    assert (values["name"], values["createdBy"]) == ("2", "SYSTEM")


CREATED = {
    5: "2024-03-04T09:00:00.0000001Z",
    1: "2024-03-04T09:00:00.0000002Z",
    7: "2024-03-04T09:00:00Z",
    9: "2024-03-04T10:00:00+01:00",
    8: "2024-03-04",
    2: "2024-03-04T09:00:00.1Z",
}
"""Releases and their dates; 7 and 9 are of the same moment."""


@pytest.mark.parametrize(
    ("order", "ids"),
    [
        ({}, [2, 1, 5, 9, 7, 8]),
        ({"order": "newest-first"}, [2, 1, 5, 9, 7, 8]),
        ({"order": "as-written"}, [5, 1, 7, 9, 8, 2]),
    ],
    ids=["by default", "newest-first", "as-written"],
)
def test_order_of_releases(order: dict[str, str], ids: list[int], tmp_path: Path) -> None:
    """The newest comes first, of two of one moment the higher id; or all come as written."""
    common = {"number": "1", "applicationId": 1, "applicationName": "Intranet"}
    releases = [{"id": id_, **common, "createdOn": date} for id_, date in CREATED.items()]
    _, answer = ask(tmp_path, {**order, "releases": releases}, "?applicationName=intranet")
    assert [dict(release)["id"] for release in answer] == ids


@pytest.mark.parametrize(
    ("keys", "statuses"),
    [(["abc12345"], [200, 403]), (["one", "abc12345"], [200, 403]), (["other"], [403, 200])],
)
def test_keys_of_a_scenario(keys: list[str], statuses: list[int], tmp_path: Path) -> None:
    """The keys that a scenario lists are the ones that it accepts."""
    (tmp_path / "mine.yaml").write_text(json.dumps({"apiKeys": keys, "releases": []}))
    client = create_app(tmp_path).test_client()
    tried = [client.get("/api/releases", headers={"X-ApiKey": k}) for k in ("abc12345", "other")]
    assert [answer.status_code for answer in tried] == statuses


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("colour=red&status=canceled", [3]),
        ("pipelineId=3&status=canceled", [3]),
        ("applicationId=2&applicationName=profitcalculator", [4, 2]),
        ("applicationId=2&applicationName=TaxCalculator", []),
        ("releaseId=5&releaseNumber=1.0.0&releaseName=First", [5]),
        ("releaseNumber=1.0.0&releaseName=First", [5]),
        ("status=active&status=active", 400),
        ("status=Activ", 400),
        ("applicationId=2.0&colour=red", 400),
    ],
)
def test_without_strictness(query: str, expected: list[int] | int) -> None:
    """A lenient mock passes over unknown names, ANDs a group, and refuses the rest as ever."""
    with MockServer(strict=False) as server:
        answer = with_requests("GET", f"{server.url}/api/releases?{query}", KEY, None)
    if isinstance(expected, int):
        assert answer.status == expected
    else:
        assert answer.status == 200, answer.body
        assert [release["id"] for release in json.loads(answer.body)] == expected
