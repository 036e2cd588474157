"""Sessions: the API key decides whose view a request gets."""

from __future__ import annotations

import http.client
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from conftest import STATE

from mockbm import AdminClient, MockServer, ScenarioError, UnknownName


def ask(server: MockServer, key: str | None, path: str = "/api/releases") -> requests.Response:
    headers = {} if key is None else {"X-ApiKey": key}
    return requests.get(f"{server.url}{path}", headers=headers, timeout=10)


def admin(server: MockServer, method: str, path: str, **more: Any) -> requests.Response:
    return requests.request(method, f"{server.url}/__admin{path}", timeout=10, **more)


def test_a_session_over_http(server: MockServer) -> None:
    """A session is opened, seen, switched, reset, read and ended by its links."""
    opened = admin(server, "POST", "/sessions", json={"scenario": "empty", "label": "mine"})
    session = opened.json()
    assert opened.status_code == 201
    assert opened.headers["Location"] == session["links"]["self"]
    assert (session["scenario"], session["label"], session["revision"]) == ("empty", "mine", 1)
    assert len(session["apiKey"]) >= 32
    key = session["apiKey"]
    here = session["links"]["self"].removeprefix("/__admin")
    shown = {name: value for name, value in session.items() if name != "apiKey"}
    assert admin(server, "GET", here).json() == shown
    assert admin(server, "GET", "/sessions").json() == {"sessions": [shown]}

    assert ask(server, key).json() == []
    switched = admin(server, "PUT", f"{here}/scenario", json={"name": "single"})
    assert (switched.json()["name"], switched.json()["revision"]) == ("single", 2)
    answer = ask(server, key)
    assert [release["id"] for release in answer.json()] == [1]
    assert answer.headers["X-Mockbm-Scenario"] == "single"
    assert answer.headers["X-Mockbm-Revision"] == "2"
    assert len(admin(server, "GET", f"{here}/requests").json()["requests"]) == 2
    assert admin(server, "GET", "/requests").json() == {"requests": []}

    reset = admin(server, "POST", f"{here}/reset").json()
    assert (reset["name"], reset["revision"]) == ("empty", 1)
    assert admin(server, "GET", f"{here}/requests").json() == {"requests": []}
    assert admin(server, "DELETE", here).status_code == 204
    refused = ask(server, key)
    assert (refused.status_code, refused.content) == (403, b"")
    assert "the session of this API key has ended" in refused.headers["X-Mockbm-Explain"]
    for method, path in (("GET", here), ("DELETE", here), ("GET", f"{here}/requests")):
        assert admin(server, method, path).json()["title"] == "Unknown session"


def test_sessions_and_the_default_one_leave_each_other_alone(server: MockServer) -> None:
    """A switch, reset or journal of one session is never seen in another."""
    one, two = server.open_session("single"), server.open_session()
    server.use("empty")
    assert [
        ask(server, key).headers["X-Mockbm-Scenario"] for key in (one.api_key, two.api_key)
    ] == [
        "single",
        "documented",
    ]
    two.use("every-status")
    admin(server, "POST", "/reset")
    assert (server.active, one.active, two.active) == ("documented", "single", "every-status")
    assert (len(one.requests()), len(two.requests())) == (1, 1)
    assert ask(server, "abc12345").headers["X-Mockbm-Scenario"] == "documented"


@pytest.mark.parametrize(
    ("key", "status", "scenario", "explanation"),
    [
        ("abc12345@single", 200, "single", "1 release"),
        ("abc12345@documented", 200, "documented", "7 releases"),
        ("{session}@single", 200, "single", "1 release"),
        ("abc12345@singel", 403, "empty", "pinned, but no scenario is called 'singel'; did you"),
        ("{session}@singel", 403, "every-status", "no scenario is called 'singel'; did you mean"),
        ("abc12345@", 403, "empty", "the API key is pinned, but no scenario is called ''"),
        ("@single", 403, "empty", "the API key is unknown"),
        ("stranger@single", 403, "empty", "the API key is unknown"),
        ("stranger", 403, "empty", "the API key is unknown; scenario empty accepts abc12345"),
        (None, 403, "empty", "the API key is missing; scenario empty accepts abc12345"),
        ("{ended}", 403, "empty", "the session of this API key has ended: it was ended by a call"),
        ("{ended}@single", 403, "empty", "the session of this API key has ended: it was ended by"),
    ],
)
def test_what_a_key_sees(
    server: MockServer, key: str | None, status: int, scenario: str, explanation: str
) -> None:
    """A pin is for one request, whatever is active; a key that is refused says why in a header.

    A pinned key has a session of its own, and its revision; one that is refused opens none.
    """
    server.use("empty")
    session, ended = server.open_session("every-status"), server.open_session()
    ended.end()
    given = key and key.format(session=session.api_key, ended=ended.api_key)
    answer = ask(server, given)
    assert answer.status_code == status
    assert answer.headers["X-Mockbm-Scenario"] == scenario
    assert answer.headers["X-Mockbm-Revision"] == ("2" if scenario == "empty" else "1")
    assert explanation in answer.headers["X-Mockbm-Explain"]
    assert server.active == "empty"
    assert session.active == "every-status"
    opened = [item.label for item in server.mock.sessions() if item.id != session.id]
    assert opened == ([f"pinned to {scenario}"] if status == 200 else [])
    assert (answer.content == b"") == (status == 403)


def test_keys_of_scenarios(tmp_path: Any) -> None:
    """Keys count per scenario; a session's own key wherever any key does; others are not named."""
    (tmp_path / "a.yaml").write_text("apiKeys: [first-key]\nreleases: []\n")
    (tmp_path / "b.yaml").write_text("apiKeys: [second-key]\nreleases: []\n")
    (tmp_path / "none.yaml").write_text("apiKeys: []\nreleases: []\n")
    with MockServer(tmp_path) as server:
        session = server.open_session()
        table = [
            ("first-key", "a", 200, "0 releases"),
            ("second-key", "a", 403, "scenario a does not accept this API key; accepted by: b"),
            ("second-key@b", "a", 200, "0 releases"),
            ("first-key@b", "a", 403, "scenario b does not accept this API key"),
            (
                "first-key",
                "none",
                403,
                "scenario none does not accept this API key; accepted by: a",
            ),
            ("third-key", "a", 403, "the API key is unknown"),
            ("third-key", "none", 403, "is unknown; scenario none accepts no API key at all"),
            (f"{session.api_key}@b", "a", 200, "0 releases"),
            (f"{session.api_key}@none", "a", 403, "scenario none accepts no API key at all"),
        ]
        for key, active, status, explanation in table:
            server.use(active)
            answer = ask(server, key)
            assert (answer.status_code, key) == (status, key)
            assert explanation in answer.headers["X-Mockbm-Explain"]
            assert "first-key" not in answer.headers["X-Mockbm-Explain"]


def test_number_and_idle_time_are_bounded() -> None:
    """No session is lost to make room, and idle ones end; both limits can be set."""
    with MockServer(max_sessions=2) as server:
        first, _ = server.open_session(), server.open_session()
        refused = admin(server, "POST", "/sessions")
        assert refused.status_code == 429
        assert "2 sessions may be open, and no more" in refused.json()["detail"]
        assert ask(server, first.api_key).status_code == 200
        first.end()
        assert admin(server, "POST", "/sessions").status_code == 201
    with MockServer(idle_seconds=-1, max_sessions=1) as server:
        idle = server.open_session()
        answer = ask(server, idle.api_key)
        assert answer.status_code == 403
        assert "has ended: it was idle for over" in answer.headers["X-Mockbm-Explain"]
        server.open_session()
        assert admin(server, "GET", "/sessions").json() == {"sessions": []}


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        ({"scenario": "singel"}, 404, "did you mean single?"),
        ({"scenari": "single"}, 400, "scenari: unknown property; did you mean scenario?"),
        ({"label": ["x"]}, 400, "label: a list is not text"),
        ([], 400, "body: expected named properties"),
    ],
)
def test_bad_sessions_are_refused(server: MockServer, body: Any, status: int, detail: str) -> None:
    """What cannot be a session is a clear error, and opens none."""
    refused = admin(server, "POST", "/sessions", json=body)
    assert refused.status_code == refused.json()["status"] == status
    assert detail in refused.json()["detail"]
    assert admin(server, "GET", "/sessions").json() == {"sessions": []}


def test_releases_without_a_file(server: MockServer) -> None:
    """A session takes plain values, with the schema, the defaults and the messages of a file."""
    session = AdminClient(server.url).open_session()
    session.use_values(
        {"releases": [{"id": 5, "number": "7", "applicationId": 1, "applicationName": "Shop"}]}
    )
    answer = ask(server, session.api_key)
    assert (answer.json()[0]["name"], answer.json()[0]["createdBy"]) == ("7", "SYSTEM")
    assert (session.active, answer.headers["X-Mockbm-Scenario"]) == ("inline", "inline")
    refused = admin(
        server, "PUT", "/scenario", json={"releases": [{"id": 5, "number": 7.5, "stauts": "x"}]}
    )
    assert refused.status_code == 400
    assert refused.json()["problems"] == [
        "releases[0].applicationId: is missing; add applicationId: ...",
        "releases[0].applicationName: is missing; add applicationName: ...",
        "releases[0].number: 7.5 is not text; write one text, in quotes",
        "releases[0].stauts: unknown property; did you mean status?",
    ]
    assert ask(server, session.api_key).status_code == 200


def test_a_reload_reaches_sessions(tmp_path: Any) -> None:
    """Sessions keep what they have active, with new content where the file still is there."""
    for name in ("start", "gone", "changed"):
        (tmp_path / f"{name}.yaml").write_text("releases: []\n")
    with MockServer(tmp_path, "start") as server:
        gone, changed = server.open_session("gone"), server.open_session("changed")
        inline = server.open_session()
        inline.use_values({"releases": []})
        (tmp_path / "gone.yaml").unlink()
        (tmp_path / "changed.yaml").write_text(
            "releases: [{id: 1, number: 1, applicationId: 1, applicationName: A}]\n"
        )
        assert admin(server, "POST", "/reload").status_code == 200
        assert ask(server, gone.api_key).json() == []
        assert len(ask(server, changed.api_key).json()) == 1
        assert (gone.active, changed.active, inline.active) == ("gone", "changed", "inline")
        assert ask(server, f"{gone.api_key}@gone").status_code == 403


def test_a_reload_leaves_alone_what_is_the_same(tmp_path: Any) -> None:
    """Only a scenario that says something else begins anew, wherever it is active."""
    release = "{id: 1, number: 1, applicationId: 1, applicationName: A, extra: {a: %s}}"
    base, file = tmp_path / "base.yaml", tmp_path / "counting.yaml"
    file.write_text("extends: base\nfaults: [{times: 2, respond: {status: 503}}]\n")
    base.write_text(f"releases: [{release % 1}]\n")
    with MockServer(tmp_path, "base") as server:
        counting, other = server.open_session("counting"), server.open_session("base")
        pinned = f"{other.api_key}@counting"

        def statuses(count: int) -> tuple[list[int], list[int]]:
            return tuple(  # type: ignore[return-value]
                [ask(server, key).status_code for _ in range(count)]
                for key in (counting.api_key, pinned)
            )

        def reload(text: str) -> int:
            base.write_text(text)
            assert admin(server, "POST", "/reload").status_code == 200
            return int(ask(server, other.api_key).headers["X-Mockbm-Revision"])

        assert statuses(1) == ([503], [503])
        assert reload(f"# the same\nreleases:\n- {release % 1}\n") == 1
        assert statuses(2) == ([503, 200], [503, 200])
        assert reload(f"releases: [{release % 'true'}]\n") == 2
        assert statuses(3) == ([503, 503, 200], [503, 503, 200])
        assert ask(server, pinned).json()[0]["a"] is True


def test_the_client_raises_what_the_mock_does(server: MockServer) -> None:
    """`AdminClient` tells, switches and resets a mock, and turns refusals into Python's errors."""
    client = AdminClient(server.url)
    assert client.health()["status"] == "ok"
    assert "single" in [scenario["name"] for scenario in client.scenarios()]
    assert client.scenario("single")["releases"][0]["id"] == 1
    client.use("single")
    assert (client.active, server.active) == ("single", "single")
    ask(server, "abc12345")
    assert client.requests(count=1)[0].ids == (1,)
    client.clear_requests()
    assert client.requests() == []
    client.reload()
    client.reset()
    assert server.active == "documented"
    with pytest.raises(UnknownName, match="did you mean single"):
        client.use("singel")
    session = client.open_session("single", "x")
    session.end()
    with pytest.raises(UnknownName, match="session"):
        session.use("single")
    with pytest.raises(RuntimeError, match="is not mockbm: it answered 404"):
        AdminClient(f"{server.url}/somewhere").health()
    with pytest.raises(OSError, match="refused"):
        AdminClient("http://127.0.0.1:9").health()


def test_nothing_crosses_sessions_under_load(server: MockServer) -> None:
    """16 threads, 200 sessions, 25 requests each: every answer and entry is its own session's.

    With a shared state, which is slower, there are 10 requests each.
    """
    count = 10 if STATE else 25
    sessions = [server.open_session(label=str(number)) for number in range(200)]
    for number, session in enumerate(sessions):
        release = {"id": number + 1, "number": "1", "applicationId": 1, "applicationName": "A"}
        session.use_values({"releases": [release]})
    local = threading.local()
    connections = []

    def call(turn: int) -> tuple[int, list[int]]:
        if not hasattr(local, "connection"):
            local.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
            connections.append(local.connection)
        number = turn % len(sessions)
        path = f"/api/releases?releaseNumber={1 + turn // len(sessions)}"
        local.connection.request("GET", path, headers={"X-ApiKey": sessions[number].api_key})
        answer = json.loads(local.connection.getresponse().read())
        return number, [release["id"] for release in answer]

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(call, range(200 * count)))
    for connection in connections:
        connection.close()
    for turn, (number, ids) in enumerate(answers):
        assert ids == ([number + 1] if turn < 200 else [])
    for number, session in enumerate(sessions):
        entries = session.requests()
        assert [entry.number for entry in entries] == list(range(1, count + 1))
        asked = sorted(int(entry.parameters["releaseNumber"]) for entry in entries)
        assert asked == list(range(1, count + 1))
        assert {entry.ids for entry in entries} == {(number + 1,), ()}
    assert server.mock.default.requests() == []


def test_values_are_the_sessions_own(server: MockServer) -> None:
    """What a scenario was made of may change afterwards; the scenario does not."""
    session = server.open_session()
    release = {"id": 1, "number": "1.0", "applicationId": 1, "applicationName": "A"}
    session.use_values({"releases": [release]})
    release["number"] = "2.0"
    answer = requests.get(f"{server.url}/api/releases?key={session.api_key}", timeout=10)
    assert answer.json()[0]["number"] == "1.0"


def test_a_pinned_key_is_its_sessions_own(tmp_path: Any) -> None:
    """A pinned key takes its session's clock, ends with it, and takes no other one's room."""
    (tmp_path / "told.yaml").write_text(
        "releases: [{id: 1, number: 1, applicationId: 1, applicationName: A, createdOn: now-1d}]\n"
    )
    with MockServer(tmp_path, max_sessions=1) as other:
        for _ in range(3):
            session = other.open_session()
            key = f"{session.api_key}@told"
            session.set_clock("2024-03-01T00:00:00Z")
            assert ask(other, key).json()[0]["createdOn"] == "2024-02-29T00:00:00.0000000Z"
            session.set_clock("2025-03-01T00:00:00Z")
            assert ask(other, key).json()[0]["createdOn"] == "2025-02-28T00:00:00.0000000Z"
            assert len(session.requests()) == 2
            session.end()
            assert ask(other, key).status_code == 403


def test_values_extend_what_the_mock_has(tmp_path: Any) -> None:
    """A scenario without a file builds on those of the mock's own directory."""
    (tmp_path / "own.yaml").write_text(
        "releases: [{id: 1, number: 1, applicationId: 1, applicationName: A}]\n"
    )
    with MockServer(tmp_path) as server:
        session = AdminClient(server.url).open_session()
        session.use_values({"extends": "own", "remove": [1]})
        assert ask(server, session.api_key).json() == []


def test_an_empty_name_is_no_scenario(server: MockServer) -> None:
    """An empty name is unknown, and not the default."""
    assert admin(server, "POST", "/sessions", json={"scenario": ""}).status_code == 404


def test_faults_of_a_session(tmp_path: Any) -> None:
    """They are met before those of the active scenario, which goes on, until another is active."""
    file = tmp_path / "only.yaml"
    own = "faults: [{times: 3, respond: {status: 500}}]"
    file.write_text(f"releases: []\n{own}\n")
    later = {"after": 1, "times": 2, "respond": {"status": 502}}
    with MockServer(tmp_path) as server:
        session = AdminClient(server.url).open_session()

        def statuses(count: int) -> list[int]:
            return [ask(server, session.api_key).status_code for _ in range(count)]

        assert statuses(1) == [500]
        session.use_faults([later])
        assert statuses(3) == [500, 502, 502]
        session.use_faults([{"times": 1, "respond": {"status": 503}}, later])
        assert statuses(5) == [503, 500, 502, 502, 200]
        for wrong in ([{"respnd": {}}], 5):
            with pytest.raises(ScenarioError, match=r"^faults"):
                session.use_faults(wrong)
        session.use_faults([{"respond": {"status": 503}}])
        assert [statuses(2), ask(server, "abc12345").status_code] == [[503, 503], 500]
        file.write_text(f"releases: []\n{own}\ndescription: New.\n")
        server.mock.reload()
        assert statuses(1) == [503]
        session.use_faults([])
        assert statuses(4) == [500, 500, 500, 200]
        session.use_faults([{"respond": {"status": 503}}])
        session.set_clock("2024-03-04")
        assert statuses(1) == [503]
        session.use("only")
        assert statuses(1) == [500]
        session.use_faults([{"respond": {"status": 503}}])
        session.reset()
        assert statuses(4) == [500, 500, 500, 200]


def test_faults_over_http(server: MockServer) -> None:
    """A call sets them for the default session, and answers with what is active and their state."""
    fault = {"times": 2, "respond": {"status": 503}}
    answer = admin(server, "PUT", "/faults", json={"faults": [fault]})
    assert (answer.status_code, answer.json()["name"]) == (200, "documented")
    assert ask(server, server.api_key).status_code == 503
    shown = admin(server, "GET", "/scenario").json()
    assert shown["faults"] == [{"fault": "status 503, 2 times", "met": 1, "over": False}]
    listed = admin(server, "GET", "/scenarios").json()["scenarios"]
    assert [item["name"] for item in listed if item["active"]] == ["documented"]
    for body, detail in (
        ({}, "faults: is missing; add faults: ..."),
        ({"faults": None}, "faults: is missing; add faults: ..."),
        ({"faults": [], "x": 1}, "x: unknown property; known are faults"),
        ({"faults": {}}, "faults: expected a list of faults, such as - respond: {status: 503}"),
        ({"faults": [{}]}, "faults[0]: does nothing; give delay, respond, connection or rate"),
    ):
        refused = admin(server, "PUT", "/faults", json=body)
        assert (refused.status_code, refused.json()["detail"]) == (400, detail)
    assert [ask(server, server.api_key).status_code for _ in range(2)] == [503, 200]
