"""The journal and the explanations: what was asked, what was decided, and why."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import requests
from flask import Flask

from mockbm import MockServer, create_app

KEY = "abc12345"
RELEASE = {"id": 1, "number": "1.10", "applicationId": 1, "applicationName": "A"}
EXPLAIN = "X-Mockbm-Explain"


def ask(server: MockServer, path: str, method: str = "GET", **more: Any) -> requests.Response:
    headers = {"X-ApiKey": KEY} | more.pop("headers", {})
    return requests.request(method, f"{server.url}{path}", headers=headers, timeout=10, **more)


def journal(server: MockServer, query: str = "") -> list[dict[str, Any]]:
    answer = requests.get(f"{server.url}/__admin/requests{query}", timeout=10)
    found: list[dict[str, Any]] = answer.json()["requests"]
    return found


def test_an_entry_tells_the_whole_request(server: MockServer) -> None:
    """An entry has what came, where it came from, what was answered and why."""
    body = {"STATUS": "active", "releaseName": None}
    ask(server, "/API/releases/?applicationId=3&key=other", "POST", json=body)
    (entry,) = journal(server)
    assert entry.pop("duration") > 0
    assert entry.pop("time").endswith("Z")
    answer = entry.pop("answer")
    assert (json.loads(answer)[0]["id"], len(answer)) == (7, entry.pop("size"))
    assert entry == {
        "number": 1,
        "method": "POST",
        "path": "/API/releases/",
        "status": 200,
        "scenario": "documented",
        "revision": 1,
        "parameters": {"applicationId": "3", "status": "active"},
        "places": {"applicationId": "query", "status": "JSON"},
        "count": 2,
        "ids": [7, 6],
        "explanation": "7 releases; applicationId=3: 4; status=active: 2",
        "ignored": [],
        "notes": [
            "releaseName is empty, so it counts as left out",
            "a further API key, in the query, is ignored",
        ],
    }


EXITS: list[tuple[str, str, dict[str, Any], int]] = [
    ("GET", "/api/releases", {}, 200),
    ("HEAD", "/api/releases", {}, 200),
    ("GET", "/api/releases?status=new", {}, 400),
    ("POST", "/api/releases", {"data": b"{", "headers": {"Content-Type": "application/json"}}, 400),
    ("GET", "/api/releases", {"headers": {"X-ApiKey": "wrong"}}, 403),
    ("GET", "/api/release", {}, 404),
    ("DELETE", "/api/releases", {}, 405),
    ("POST", "/api/releases", {"data": b" " * (1024 * 1024 + 1)}, 413),
]


def test_an_entry_has_the_answer(tmp_path: Any) -> None:
    """The body that went out, as it went out, whatever has become of the scenario since."""
    faults = "extends: documented\nfaults:\n"
    for name in ("truncate", "reset", "malformed"):
        (tmp_path / f"{name}.yaml").write_text(f"{faults}  - connection: {name}\n")
    (tmp_path / "outage.yaml").write_text(
        f"{faults}  - respond: {{status: 503, body: 'Gone: é'}}\n"
    )
    (tmp_path / "many.yaml").write_text("generate: {releases: 100}\n")
    with MockServer(tmp_path, "many") as server:
        session = server.open_session("many")
        key = session.api_key
        for _ in range(3):
            sent = ask(server, "/api/releases", headers={"X-ApiKey": key}).content
        for entry in session.requests():
            assert (entry.answer, entry.size) == (sent[:4096].decode(), len(sent))
        assert len(sent) > 40_000
        session.use_values({"releases": [RELEASE]})
        ask(server, "/api/releases?status=open", headers={"X-ApiKey": key})
        ask(server, "/api/releases", "HEAD", headers={"X-ApiKey": key})
        ask(server, "/api/releases", headers={"X-ApiKey": key})
        *_, refused, head, inline = session.requests()
        assert refused.answer == f"{refused.explanation}\n"
        assert (head.answer, head.size) == ("", 0)
        assert json.loads(inline.answer)[0]["number"] == "1.10"
        answers, explained = {}, {}
        for name in ("truncate", "reset", "malformed", "outage"):
            session.use(name)
            with suppress(requests.RequestException):
                ask(server, "/api/releases", headers={"X-ApiKey": key})
            answers[name] = session.requests()[-1].answer
            explained[name] = session.requests()[-1].explanation
    assert answers["outage"] == "Gone: é"
    assert explained["reset"] == "faults[0]: connection reset; 7 releases"
    assert answers["reset"] == ""
    assert answers["malformed"].startswith('[{"id":4,')
    whole = answers["malformed"].removesuffix("<html>") + "]"
    assert answers["truncate"] == whole[: len(whole) // 2]


def test_every_exit_is_recorded(server: MockServer) -> None:
    """Every answer outside the admin API is an entry, and has the three headers."""
    for number, (method, path, more, status) in enumerate(EXITS, 1):
        answer = ask(server, path, method, **more)
        entry = journal(server)[-1]
        assert answer.status_code == entry["status"] == status
        assert (entry["number"], entry["method"]) == (number, method)
        assert answer.headers["X-Mockbm-Scenario"] == "documented"
        assert answer.headers["X-Mockbm-Revision"] == "1"
        assert answer.headers[EXPLAIN] == entry["explanation"] != ""
    assert len(journal(server)) == len(EXITS)


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("", [1, 2, 3, 4]),
        ("?method=post", [2]),
        ("?status=400", [3]),
        ("?parameter=status", [2, 3, 4]),
        ("?parameter=status=active", [2, 4]),
        ("?count=2", [3, 4]),
        ("?parameter=status&count=1", [4]),
        ("?count=0", []),
        ("?method=PUT", []),
    ],
)
def test_the_journal_is_narrowed(server: MockServer, query: str, numbers: list[int]) -> None:
    """The journal is filtered by method, status, parameter and count, newest last."""
    ask(server, "/api/releases")
    ask(server, "/api/releases", "POST", json={"status": "active"})
    ask(server, "/api/releases?status=old")
    ask(server, "/api/releases?status=active")
    assert [entry["number"] for entry in journal(server, query)] == numbers


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("?statsu=200", "statsu: unknown property; did you mean status?"),
        ("?count=many", "count: 'many' is not an integer; write decimal digits only"),
        ("?count=-1", "count: Must be greater than or equal to 0."),
    ],
)
def test_a_wrong_question_is_refused(server: MockServer, query: str, detail: str) -> None:
    """A filter of the journal that cannot be meant is a 400 that says so."""
    refused = requests.get(f"{server.url}/__admin/requests{query}", timeout=10)
    assert (refused.status_code, refused.json()["detail"]) == (400, detail)


def test_clearing_and_the_bound() -> None:
    """The journal keeps the newest entries and forgets them on DELETE; numbers go on."""
    with MockServer(journal_size=3) as server:
        for _ in range(5):
            ask(server, "/api/releases")
        assert [entry["number"] for entry in journal(server)] == [3, 4, 5]
        cleared = requests.delete(f"{server.url}/__admin/requests", timeout=10)
        assert (cleared.status_code, journal(server)) == (204, [])
        ask(server, "/api/releases")
        assert [entry["number"] for entry in journal(server)] == [6]


def test_long_things_are_cut(server: MockServer) -> None:
    """What a client makes long is cut in the journal and the header, so memory stays flat."""
    ask(server, "/api/releases", "POST", data={"applicationName": "x" * 500_000})
    ask(server, "/api/releases", "POST", data={"y" * 500_000: "1"})
    ask(server, "/api/" + "z" * 10_000)
    assert all(len(json.dumps(entry)) < 5_000 for entry in journal(server))


KEY_IN_HEADER = {"X-ApiKey": "{key}"}
LET_IN = {"X-ApiKey": "the-key-that-lets-in"}
WHERE_A_KEY_COMES: dict[str, dict[str, Any]] = {
    "header": {"headers": KEY_IN_HEADER},
    "basic": {"headers": {"Authorization": "Basic {basic}"}},
    "query": {"query": "?key={key}"},
    "query, other name": {"query": "?API_Key={key}"},
    "form": {"data": "key={key}"},
    "multipart form": {"files": {"api_key": [None, "{key}"]}},
    "JSON": {"json": {"API_Key": "{key}"}},
    "in all places": {
        "headers": {**KEY_IN_HEADER, "Authorization": "Basic {basic}"},
        "query": "?key={key}&API_KEY={key}",
        "json": {"key": "{key}", "Api_Key": "{key}"},
    },
    "with a pin": {"headers": {"X-ApiKey": "{key}@empty"}},
    "with a bad pin": {"headers": {"X-ApiKey": "{key}@emtpy"}},
    "bearer token": {"headers": {"Authorization": "Bearer {key}"}},
    "with another user": {"headers": {"Authorization": "Basic {basic}", "X-ApiKey": "x"}},
    "header, and let in": {"headers": LET_IN, "query": "?key={key}", "json": {"API_Key": "{key}"}},
    # Under names that no parameter has, but a secret may.
    "misspelt query": {"query": "?apikey={key}"},
    "misspelt query, let in": {"headers": LET_IN, "query": "?apikey={key}"},
    "misspelt JSON": {"headers": LET_IN, "json": {"X-ApiKey": "{key}"}},
    "under a name like apikey": {"headers": LET_IN, "query": "?my_API-Keyy={key}"},
    "twice under such a name": {"headers": LET_IN, "query": "?apikey={key}&apikey={key}"},
    "in two places": {"headers": LET_IN, "query": "?token={key}", "json": {"token": "{key}"}},
    "in a list": {"headers": LET_IN, "json": {"tokens": ["{key}"], "secret": {"a": "{key}"}}},
    "in a form": {"headers": LET_IN, "data": "userPassword={key}&client-secret={key}"},
    "as an authorization": {"headers": LET_IN, "json": {"Authorization": "Bearer {key}"}},
}


LONG_KEY = "very-secret-key-" * 8


@pytest.fixture(scope="module", params=[True, False], ids=["strict", "lenient"])
def keyed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """An application with keys of its own."""
    directory = tmp_path_factory.mktemp("keyed")
    keys = f"apiKeys: [{LET_IN['X-ApiKey']}, very-secret-key, {LONG_KEY}]"
    (directory / "empty.yaml").write_text(f"{keys}\nreleases: []\n")
    return create_app(directory, strict=request.param)


@pytest.mark.parametrize("place", WHERE_A_KEY_COMES)
def test_no_key_is_ever_written(place: str, keyed: Flask, caplog: pytest.LogCaptureFixture) -> None:
    """However a key comes, as what it is, it is in no journal, log, header or error."""
    caplog.set_level(logging.DEBUG, "mockbm")
    mock, client = keyed.extensions["mockbm"], keyed.test_client()
    mock.default.reset()
    session, ended = mock.open_session(), mock.open_session()
    ended.end()
    keys = ("very-secret-key", "another-secret-key", LONG_KEY, session.api_key, ended.api_key)
    for key in keys:
        caplog.clear()
        basic = base64.b64encode(f"api:{key}".encode()).decode()
        text = json.dumps(WHERE_A_KEY_COMES[place]).replace("{key}", key)
        call = json.loads(text.replace("{basic}", basic))
        if isinstance(call.get("data"), str):
            call.setdefault("headers", {})["Content-Type"] = "application/x-www-form-urlencoded"
        url = f"http://mock/api/releases{call.pop('query', '')}"
        sent = requests.Request("POST", url, **call).prepare()
        answer = client.post(sent.path_url, headers=[*sent.headers.items()], data=sent.body)
        shown = ("/requests", "/sessions", "/health", f"/sessions/{session.id}/requests")
        written = [client.get(f"/__admin{path}").text for path in shown]
        found = "".join([answer.text, str(answer.headers), caplog.text, *written])
        assert key not in found
        assert key[:8] not in found, "a part of it is"
        assert "POST /api/releases" in caplog.text


def test_a_client_writes_no_lines_of_its_own(
    server: MockServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever stands in a path or a name, a request is one line of the log, and all of it seen."""
    caplog.set_level(logging.INFO, "mockbm")
    ask(server, "/foo%0a2026-01-01%20INFO%20%231%1b[31m%e2%80%a8")
    ask(server, "/api/releases?a%0Ab=1", "POST", json={"x\u2028\x1b": "y\n"})
    assert len(caplog.records) == 2
    assert all(record.message.isprintable() for record in caplog.records)


def test_an_entry_is_small_whatever_comes(server: MockServer) -> None:
    """A request of very many or very long names leaves a small entry, and a 400 of few lines."""
    names = {f"{number}{'x' * 400}": "1" for number in range(900)}
    answer = ask(server, "/api/releases", "POST", json=names)
    assert answer.status_code == 400
    assert len(answer.text.splitlines()) == 31
    (entry,) = journal(server)
    assert len(entry["parameters"]) == 30
    assert entry["notes"] == ["870 further ones are not recorded"]
    assert len(json.dumps(entry)) < 30_000
    ask(server, "/api/releases", "POST", json=dict.fromkeys(map(str, range(1_100)), 1))
    assert "more than 1000 are too many" in journal(server)[-1]["explanation"]


def test_ordinary_words_stay_readable(tmp_path: Any) -> None:
    """A scenario key that is an ordinary word does not hide that word in our own sentences."""
    (tmp_path / "odd.yaml").write_text("apiKeys: [act, key-of-the-test]\nreleases: []\n")
    with MockServer(tmp_path) as server:
        headers = {"X-ApiKey": "key-of-the-test"}
        answer = ask(server, "/api/releases?status=active", headers=headers)
        assert answer.headers[EXPLAIN] == "0 releases; status=active: 0"


EXPLANATIONS = [
    ("", "7 releases"),
    (
        "?status=active&applicationName=TaxCalc",
        "7 releases; status=active: 4; applicationName='TaxCalc': 0 (nearest: 'TaxCalculator')",
    ),
    (
        "?applicationName=taxcalculator&status=canceled",
        "7 releases; "
        "applicationName='taxcalculator': 1; status=canceled: 0 (1 without the filters before)",
    ),
    ("?applicationId=33", "7 releases; applicationId=33: 0 (nearest: 3)"),
    ("?releaseId=40", "7 releases; releaseId=40: 0 (nearest: 7)"),
    ("?releaseId=99", "7 releases; releaseId=99: 0 (nearest: 7)"),
    (
        "?releaseNumber=zzz",
        "7 releases; releaseNumber='zzz': 0 (there are: '1', '1.0.0', "
        "'1.0.0-rc', '1.0.1', '2.0', '2.1')",
    ),
    ("?aplicationName=x", "aplicationName: unknown parameter; did you mean applicationName?"),
    (
        "?status=activ",
        "status: 'activ' is not one of active, canceled, deployed; did you mean active?",
    ),
    (
        "?releaseName=\u00fc\U0001f680",
        "7 releases; releaseName='\\xfc\\U0001f680': 0 (there are: "
        "'1', '1.0.0', '1.0.1', 'First', 'Spring', 'Trial', 'Winter')",
    ),
    (
        "?a%0d%0ab=1",
        "'a\\r\\nb': unknown parameter; known are applicationId, applicationName, "
        "releaseId, releaseNumber, releaseName, pipelineName, status",
    ),
]


@pytest.mark.parametrize(("query", "explanation"), EXPLANATIONS)
def test_answers_explain_themselves(server: MockServer, query: str, explanation: str) -> None:
    """A selection is told filter by filter, a refusal by what was wrong, in plain ASCII."""
    assert ask(server, f"/api/releases{query}").headers[EXPLAIN] == explanation


@pytest.mark.parametrize(
    ("path", "explanation"),
    [
        (
            "/api/release",
            "BuildMaster has no endpoint at this path; did you mean /api/releases?",
        ),
        (
            "/api/builds",
            "BuildMaster has no endpoint at this path; did you mean /api/",
        ),
        (
            "/",
            "BuildMaster has no endpoint at this path; for people, there is a page at /__admin/",
        ),
    ],
)
def test_other_paths_say_what_is_served(server: MockServer, path: str, explanation: str) -> None:
    """A path that mockbm does not serve is a 404 that names the one it does."""
    answer = ask(server, path)
    assert answer.status_code == 404
    assert answer.headers[EXPLAIN].startswith(explanation)
    assert journal(server)[-1]["explanation"] == answer.headers[EXPLAIN]


VALUES = {
    "applicationId": "3",
    "applicationName": "ProfitCalculator",
    "releaseId": "7",
    "releaseNumber": "1.0.0-rc",
    "releaseName": "Spring",
    "pipelineName": "global::Hotfix",
    "status": "canceled",
}


def mutations(text: str) -> Iterator[str]:
    """`text` with one letter more, less or other, at its beginning, middle and end."""
    for place in (0, len(text) // 2, len(text) - 1):
        yield f"{text[:place]}{'9' if text.isdigit() else 'q'}{text[place:]}"
        if len(text) > 1:
            yield text[:place] + text[place + 1 :]
            yield f"{text[:place]}q{text[place + 1 :]}"


@pytest.mark.parametrize("name", VALUES)
def test_a_slip_of_one_letter_is_named(server: MockServer, name: str) -> None:
    """One wrong letter in a value or a name: the explanation has the filter and the right one."""
    for wrong in mutations(VALUES[name]):
        said = ask(server, "/api/releases", params={name: wrong}).headers[EXPLAIN]
        assert name in said
        assert VALUES[name] in said, (wrong, said)
    for wrong in mutations(name):
        said = ask(server, "/api/releases", params={wrong: VALUES[name]}).headers[EXPLAIN]
        assert f"{wrong}: unknown parameter; did you mean {name}?" in said


def test_the_log_has_a_line_a_request(server: MockServer, caplog: pytest.LogCaptureFixture) -> None:
    """Each request is one line of the log at INFO, a refused key one at WARNING."""
    caplog.set_level(logging.INFO, "mockbm")
    ask(server, "/api/releases?status=active")
    ask(server, "/api/releases", headers={"X-ApiKey": f"{KEY}@emtpy"})
    first, second = caplog.records
    assert (first.levelname, second.levelname) == ("INFO", "WARNING")
    assert first.message == (
        "default #1 GET /api/releases status='active' -> 200 [documented] "
        "7 releases; status=active: 4"
    )
    assert "no scenario is called 'emtpy'; did you mean empty?" in second.message


def test_the_log_says_what_happens_to_a_session(
    server: MockServer, caplog: pytest.LogCaptureFixture
) -> None:
    """What changes a session is one line of the log for people, and fields for programs."""
    caplog.set_level(logging.INFO, "mockbm")
    session = server.mock.default
    session.use("single")
    session.use_faults([{"delay": "1ms"}])
    session.set_clock("2024-03-04")
    session.advance_clock("36h")
    session.reset()
    first, then = "2024-03-04T00:00:00.0000000Z", "2024-03-05T12:00:00.0000000Z"
    whose = {"session": "default", "label": ""}
    expected = [
        ("single is active now", {"event": "switch", "scenario": "single"}),
        ("1 fault added", {"event": "faults"}),
        (f"the clock is stopped at {first}", {"event": "clock", "now": first}),
        (f"the clock is advanced to {then}", {"event": "clock", "now": then}),
        ("reset to documented", {"event": "reset", "scenario": "documented"}),
    ]
    assert [(line.message, line.fields) for line in caplog.records] == [  # type: ignore[attr-defined]
        (f"default: {text}", {**whose, **fields}) for text, fields in expected
    ]
    session.release_clock()
    assert caplog.messages[-1].startswith("default: the clock is released, at 2")


def test_ignored_parameters_are_flagged() -> None:
    """Without strictness, an unknown parameter has no effect, and the journal says so."""
    with MockServer(strict=False) as server:
        ask(server, "/api/releases?stauts=active&releaseId=4")
        (entry,) = journal(server)
        assert (entry["ignored"], entry["ids"]) == (["stauts"], [4])
        ask(server, "/api/releases?$stauts=active")
        assert journal(server)[-1]["ignored"] == ["$stauts"]
        create = "/api/releases/builds/create?releaseNumber=1.0.1&applicationId=2&$x=1&y=1"
        assert ask(server, create, "POST").status_code == 200
        assert journal(server)[-1]["ignored"] == ["y"]
        ask(server, "/api/releases?releaseId=4&applicationId=2&releaseNumber=1.0.1")
        assert journal(server)[-1]["ids"] == [4]
        assert journal(server)[-1]["notes"] == [
            "releaseId and releaseNumber were given; BuildMaster takes one of them"
        ]
