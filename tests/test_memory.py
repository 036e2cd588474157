"""Remembered answers: the same as those that are made, and given only while they hold."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from endpoint_table import TABLE, Row
from flask import Flask

from mockbm import MockServer, UnknownName, create_app, memory

KEY = {"X-ApiKey": "abc12345"}


@pytest.fixture(scope="module")
def apps() -> tuple[Flask, Flask]:
    """One application that remembers, and one that does not."""
    return create_app(), create_app(remember=False)


def ask(app: Flask, row: Row) -> tuple[Any, ...]:
    """All of an answer, and all that the journal has of it but when it was and how long it took."""
    mock = app.extensions["mockbm"]
    if mock.default.active != row.scenario:
        mock.default.use(row.scenario)
    answer = app.test_client().open(
        row.path, method=row.method, query_string=row.query, data=row.body, headers=row.headers
    )
    entry = mock.default.requests()[-1].to_json()
    del entry["time"], entry["duration"], entry["number"], entry["revision"]
    headers = sorted(item for item in answer.headers if item[0] != "X-Mockbm-Revision")
    return answer.status, headers, answer.data, entry


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.id)
def test_remembered_answers_are_the_same(apps: tuple[Flask, Flask], row: Row) -> None:
    """Made, remembered, or never remembered: answer, headers and journal are equal."""
    remembering, forgetting = apps
    made = ask(forgetting, row)
    assert [ask(remembering, row) for _ in range(3)] == [made] * 3


def work(call: Callable[[], object]) -> int:
    """How many functions a call calls: the same on every run, however busy the machine."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        call()
    finally:
        sys.setprofile(None)
    return calls


def get(app: Flask, key: str = "abc12345", query: str = "status=active") -> Any:
    return app.test_client().get("/api/releases", query_string=query, headers={"X-ApiKey": key})


def test_a_remembered_answer_is_little_work() -> None:
    """A remembered answer passes Flask by; the client's own work is left out of the count."""
    app = create_app()
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/api/releases",
        "QUERY_STRING": "status=active",
        "HTTP_X_APIKEY": "abc12345",
        "SERVER_NAME": "mock",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": None,
    }

    def call() -> None:
        list(app.wsgi_app({**environ}, lambda *_: lambda _: None))

    made, remembered = work(call), work(call)
    assert remembered < 70 < 400 < made


def test_a_switch_forgets() -> None:
    """After a switch, a reset, a reload or a set clock, no answer is one from before."""
    app = create_app()
    mock = app.extensions["mockbm"]
    acts: list[Callable[[], object]] = [
        lambda: mock.default.use("empty"),
        mock.default.reset,
        mock.reload,
        lambda: mock.default.set_clock("2024-03-04"),
        lambda: mock.default.advance_clock("2d"),
        lambda: mock.default.use_values({"releases": []}),
    ]
    for act in acts:
        get(app), get(app)
        act()
        answer = get(app)
        view = mock.default.view
        assert answer.headers["X-Mockbm-Revision"] == str(view.revision)
        assert answer.headers["X-Mockbm-Scenario"] == view.scenario.name
        assert (answer.data == b"[]") == (len(view.releases()) == 0)


def test_what_counts_or_is_pinned_is_not_remembered() -> None:
    """Scenarios with counters, pinned keys and refused keys are answered anew each time."""
    app = create_app()
    flaky = [get(app, "abc12345@flaky").status_code for _ in range(3)]
    assert flaky == [503, 503, 200]
    steps = [len(get(app, "abc12345@release-appears", "").json) for _ in range(3)]
    assert steps == [1, 1, 2]
    assert get(app, "abc12345@empty").json == []
    assert len(get(app).json) == 4
    mock = app.extensions["mockbm"]
    session = mock.open_session()
    assert [get(app, session.api_key).status_code for _ in range(2)] == [200, 200]
    assert len(session.requests()) == 2
    session.end()
    assert get(app, session.api_key).status_code == 403
    with pytest.raises(UnknownName):
        session.requests()


def test_a_new_key_is_hidden_in_what_is_remembered(tmp_path: Path) -> None:
    """A word that becomes a key with a reload is hidden from then on, in old answers too."""
    (tmp_path / "a.yaml").write_text("releases: []\n")
    other = tmp_path / "b.yaml"
    other.write_text("releases: []\n")
    with MockServer(tmp_path) as server:

        def explained() -> str:
            url = f"{server.url}/api/releases?applicationName=new-secret-key"
            return str(requests.get(url, headers=KEY, timeout=10).headers["X-Mockbm-Explain"])

        for _ in range(4):
            assert "new-secret-key" in explained()
        other.write_text("apiKeys: [new-secret-key]\nreleases: []\n")
        server.mock.reload()
        for _ in range(4):
            assert "'***'" in explained()


def test_it_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scenario remembers so many answers and so many bytes, and no long request."""
    monkeypatch.setattr(memory, "MAX_ANSWERS", 3)
    app = create_app()
    view = app.extensions["mockbm"].default.view
    for number in range(5):
        get(app, query=f"releaseId={number}")
    assert len(view.scenario.answers) == 3
    app.extensions["mockbm"].default.use("large")
    get(app, query="")
    assert len(app.extensions["mockbm"].default.view.scenario.answers) == 0
    body = b"{" + b" " * memory.MAX_BODY + b"}"
    app.extensions["mockbm"].default.use("single")
    answer = app.test_client().post(
        "/api/releases", data=body, headers={**KEY, "Content-Type": "application/json"}
    )
    assert answer.status_code == 200
    assert len(app.extensions["mockbm"].default.view.scenario.answers) == 0
