"""The page at `/__admin/` without a browser: who gets it, and what the admin API tells it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from test_guard import BEARER, CALLS, TOKEN

from mockbm import AdminClient, MockServer, create_app

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"}
FILES = {
    "": "text/html",
    "page/page.css": "text/css",
    "page/page.js": "text/javascript",
    "page/icon.svg": "image/svg+xml",
}


def get(server: MockServer, path: str, **more: Any) -> requests.Response:
    """One GET below /__admin, without following redirects."""
    url = f"{server.url}/__admin{path}"
    return requests.get(url, timeout=10, allow_redirects=False, **more)


@pytest.mark.parametrize(
    ("accept", "is_page"),
    [
        (BROWSER["Accept"], True),
        ("text/html", True),
        ("text/html;q=0.9, application/json;q=0.1", True),
        ("application/json", False),
        ("application/json, text/html;q=0.9", False),
        ("application/json, text/html", False),
        ("*/*", False),
        ("text/plain", False),
        ("", False),
        (None, False),
    ],
)
def test_browsers_get_the_page_and_others_json(
    shared: MockServer, accept: str | None, is_page: bool
) -> None:
    """Whoever likes HTML best gets the page, everybody else the same address as JSON."""
    answer = get(shared, "/", headers={"Accept": accept})
    kind = "text/html; charset=utf-8" if is_page else "application/json"
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, kind)
    assert "Accept" in answer.headers["Vary"]
    assert ("<title>mockbm</title>" in answer.text) == is_page


def test_the_overview_leads_to_every_call(shared: MockServer) -> None:
    """The JSON has what health has, and links that all lead somewhere."""
    told = get(shared, "").json()
    assert told["status"] == "ok"
    assert told["scenario"] == "documented"
    found = {
        name: requests.get(shared.url + path, timeout=10) for name, path in told["links"].items()
    }
    assert {name: answer.status_code for name, answer in found.items()} == {
        name: 405 if name in ("faults", "reset", "reload") else 200 for name in told["links"]
    }


def test_the_address_without_its_slash_leads_to_the_page(shared: MockServer) -> None:
    """A browser is sent on, so that the page finds its files."""
    answer = get(shared, "", headers=BROWSER)
    assert (answer.status_code, answer.headers["Location"]) == (308, "/__admin/")


@pytest.mark.parametrize("path", FILES)
def test_files_are_locked_in(shared: MockServer, path: str) -> None:
    """Each file may load nothing from elsewhere, is framed by nobody, and is asked for anew."""
    answer = get(shared, f"/{path}", headers=BROWSER)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].partition(";")[0] == FILES[path]
    policy = answer.headers["Content-Security-Policy"].split("; ")
    assert policy == [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-cache"
    again = get(shared, f"/{path}", headers={**BROWSER, "If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_files_name_no_other_place(shared: MockServer) -> None:
    """No file of the page has an address of another machine, a script of its own or a style."""
    texts = [get(shared, f"/{path}", headers=BROWSER).text for path in FILES]
    addresses = {address for text in texts for address in re.findall(r"https?://[^\s\"']+", text)}
    assert addresses == {"http://www.w3.org/2000/svg"}  # the name of a format, which nobody fetches
    assert re.findall(r"<script(?! type=\"module\" src=)|<style| style=| on[a-z]+=", texts[0]) == []
    assert (
        re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", texts[2]) == []
    )


@pytest.mark.parametrize("name", ["screenshot.png", "index.html", "../admin.py", "nothing.js"])
def test_nothing_else_is_served(shared: MockServer, name: str) -> None:
    """What is not a file of the page is a 404 as everywhere in the admin API."""
    answer = get(shared, f"/page/{name}", headers=BROWSER)
    assert (answer.status_code, answer.json()["status"]) == (404, 404)


@pytest.fixture(scope="module", params=["without", "with_token"])
def application(request: pytest.FixtureRequest) -> tuple[Flask, str]:
    """An application with or without a token, and which of the two."""
    token = TOKEN if request.param == "with_token" else None
    return create_app(admin_token=token, allowed_hosts=["mock.test", "mock_1"]), request.param


def status(app: Flask, path: str, remote: str = "127.0.0.1", **headers: str) -> int:
    """The status of one GET."""
    environ = {"REMOTE_ADDR": remote}
    with app.test_client().get(path, headers=headers, environ_base=environ) as answer:
        return answer.status_code


@pytest.mark.parametrize("path", FILES)
@pytest.mark.parametrize("name", CALLS)
def test_who_gets_the_files(application: tuple[Flask, str], name: str, path: str) -> None:
    """The files ask for no token, which the page itself does; all other rules are those of data."""
    app, which = application
    call = CALLS[name]
    expected = getattr(call, which)
    headers = {**BROWSER, "Host": call.host, **call.headers}
    found = status(app, f"/__admin/{path}", call.remote, **headers)
    assert found == (200 if expected == 401 else expected)
    assert status(app, "/__admin/", call.remote, **{**headers, "Accept": "*/*"}) == expected


@pytest.mark.parametrize(
    ("destination", "expected"), [("document", 200), ("iframe", 403), ("script", 403), ("", 403)]
)
def test_a_link_on_another_site_leads_to_the_page(
    application: tuple[Flask, str], destination: str, expected: int
) -> None:
    """Following a link is fine, as the page shows nothing by itself; data stay out of reach."""
    app, _ = application
    foreign = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": destination, **BEARER}
    assert status(app, "/__admin/", **foreign, **BROWSER) == expected
    assert status(app, "/__admin/", **foreign) == 403
    assert status(app, "/__admin/health", **foreign, **BROWSER) == 403


def test_without_an_admin_api_there_is_no_page() -> None:
    """Its addresses are then like any other that mockbm does not serve."""
    app = create_app(admin_api=False)
    for path in FILES:
        assert status(app, f"/__admin/{path}", **BROWSER) == 404


def test_the_page_leaves_no_traces(server: MockServer, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the journal nor the log hears of the page."""
    caplog.set_level("INFO", logger="mockbm")
    for path in ("", *(f"/{path}" for path in FILES), "/page/nothing.js"):
        assert "X-Mockbm-Scenario" not in get(server, path, headers=BROWSER).headers
    assert server.mock.default.requests() == []
    assert caplog.records == []


SHOP = """
description: Four releases at first.
apiKeys: [one, two]
faults:
  - {when: {status: deployed}, after: 1, times: 2, delay: 1ms, respond: {status: 503}}
  - delay: {min: 1ms, max: 2ms}
  - {times: 1, connection: malformed}
  - rate: 1000/m
releases:
  - {id: 1, number: a, applicationId: 1, applicationName: Shop, status: deployed}
  - {id: 2, number: b, applicationId: 1, applicationName: Shop}
  - {id: 3, number: c, applicationId: 2, applicationName: Till, status: canceled}
  - id: 4
    number: d
    applicationId: 1
    applicationName: Shop
    changes: [{after: 1 call, status: deployed}, {after: 2d, name: done, template: Hotfix}]
  - id: 5
    number: e
    applicationId: 3
    applicationName: Later
    absent: true
    changes: [{after: 3 calls, absent: false}]
"""


@pytest.fixture
def shop(tmp_path: Path) -> MockServer:
    """A mock of one scenario with everything, not started yet."""
    (tmp_path / "shop.yaml").write_text(SHOP)
    return MockServer(tmp_path)


def test_the_list_tells_what_scenarios_hold(shop: MockServer) -> None:
    """Releases by status and by application, and what the scenario does to answers."""
    with shop as server:
        (listed,) = get(server, "/scenarios").json()["scenarios"]
        shown = get(server, "/scenarios/shop").json()
    assert listed == {
        "name": "shop",
        "description": "Four releases at first.",
        "releaseCount": 5,
        "active": True,
        "statuses": {"active": 2, "canceled": 1, "deployed": 1},
        "applicationCount": 2,
        "applications": [
            {"name": "Shop", "statuses": {"active": 2, "canceled": 0, "deployed": 1}},
            {"name": "Till", "statuses": {"active": 0, "canceled": 1, "deployed": 0}},
        ],
        "apiKeys": ["one", "two"],
        "faults": [
            "delay 0.001 s and status 503, for status=deployed, after 1 request, 2 times",
            "delay 0.001 to 0.002 s",
            "connection malformed, once",
            "more than 1000 requests in 60 seconds",
        ],
        "changes": 3,
    }
    assert {name: shown[name] for name in listed} == listed


def test_the_active_scenario_tells_its_counters(shop: MockServer) -> None:
    """Faults say how many requests they have met, changes whether they have happened."""
    with shop as server:
        path, headers = f"{server.url}/api/releases", {"X-ApiKey": "two"}
        for _ in range(4):
            requests.get(path, params={"status": "deployed"}, headers=headers, timeout=10)
        shown = get(server, "/scenario").json()
    assert [(fault["met"], fault["over"]) for fault in shown["faults"]] == [
        (4, True),
        (2, False),
        (2, True),
        (1, False),
    ]
    assert [item["fault"] for item in shown["faults"]][2] == "connection malformed, once"
    assert shown["changes"] == [
        {
            "id": 4,
            "number": "d",
            "applicationName": "Shop",
            "after": "1 call",
            "sets": {"status": "deployed"},
            "happened": True,
        },
        {
            "id": 4,
            "number": "d",
            "applicationName": "Shop",
            "after": "172800 seconds",
            "sets": {"name": "done", "template": "Hotfix"},
            "happened": False,
        },
        {
            "id": 5,
            "number": "e",
            "applicationName": "Later",
            "after": "3 calls",
            "sets": {"absent": False},
            "happened": False,
        },
    ]


def test_a_scenario_that_does_nothing_tells_no_counters(shared: MockServer) -> None:
    """Nothing is said of faults and changes where there are none."""
    assert get(shared, "/scenario").json().keys().isdisjoint({"run", "faults", "changes"})


def test_the_journal_after_a_number(server: MockServer) -> None:
    """`after` leaves the newer entries, of which `count` then takes the newest."""
    for _ in range(5):
        requests.get(f"{server.url}/api/releases", timeout=10)
    client = AdminClient(server.url)
    for query, numbers in (
        ({"after": 3}, [4, 5]),
        ({"after": 0, "count": 2}, [4, 5]),
        ({"after": 1, "count": 9}, [2, 3, 4, 5]),
        ({"after": 5}, []),
        ({"after": -1}, [1, 2, 3, 4, 5]),
    ):
        assert [entry.number for entry in client.requests(**query)] == numbers
    assert get(server, "/requests?after=x").status_code == 400


def test_health_tells_when_the_files_were_read(shop: MockServer) -> None:
    """A reload changes it, so that a page knows when to look at the scenarios again."""
    with shop as server:
        first = get(server, "/health").json()["loaded"]
        assert get(server, "/health").json()["loaded"] == first
        AdminClient(server.url).reload()
        assert get(server, "/health").json()["loaded"] > first
