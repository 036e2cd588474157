"""Who may call the admin API, in one table, and that the endpoint never asks for any of it."""

from __future__ import annotations

import http.client
from typing import NamedTuple

import pytest
from flask import Flask

from mockbm import AdminClient, MockServer, create_app

TOKEN = "a-token-for-tests"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


class Call(NamedTuple):
    """One call, and the status that it gets without a token in the settings, and with one."""

    without: int
    with_token: int
    host: str = "127.0.0.1:8080"
    headers: dict[str, str] = {}  # noqa: RUF012 (never changed)
    remote: str = "127.0.0.1"


CALLS = {
    "a program here": Call(200, 401),
    "with the token": Call(200, 200, headers=BEARER),
    "with the token, in small letters": Call(
        200, 200, headers={"Authorization": f"bearer  {TOKEN}"}
    ),
    "with another token": Call(200, 401, headers={"Authorization": "Bearer another"}),
    "with a token of odd letters": Call(200, 401, headers={"Authorization": "Bearer \xe9"}),
    "with the token as a password": Call(200, 401, headers={"Authorization": f"Basic {TOKEN}"}),
    "by the name localhost": Call(200, 200, "localhost:8080", BEARER),
    "in capitals": Call(200, 200, "LOCALHOST", BEARER),
    "by IPv6": Call(200, 200, "[::1]:8080", BEARER, "::1"),
    "by another loopback address": Call(200, 200, "127.1.2.3", BEARER),
    "by an allowed name": Call(200, 200, "mock.test:8080", BEARER),
    "by another name": Call(403, 403, "evil.example:8080", BEARER),
    "by a name that begins like ours": Call(403, 403, "localhost.evil.example", BEARER),
    "by an address of this machine": Call(403, 200, "192.0.2.7:8080", BEARER),
    "from another machine": Call(403, 401, remote="192.0.2.9"),
    "from another machine, with the token": Call(403, 200, headers=BEARER, remote="192.0.2.9"),
    "from a page of ours": Call(
        200, 200, headers={**BEARER, "Origin": "http://127.0.0.1:8080", "Sec-Fetch-Site": "none"}
    ),
    "from a foreign page": Call(403, 403, headers={**BEARER, "Origin": "https://evil.example"}),
    "from a page on another port": Call(
        403, 403, headers={**BEARER, "Origin": "http://127.0.0.1:3000"}
    ),
    "from a page without an origin": Call(403, 403, headers={**BEARER, "Origin": "null"}),
    "from a foreign page that hides": Call(
        403, 403, headers={**BEARER, "Sec-Fetch-Site": "cross-site"}
    ),
    "from a page of ours, by fetch": Call(
        200, 200, headers={**BEARER, "Sec-Fetch-Site": "same-origin"}
    ),
}


@pytest.fixture(scope="module", params=["without", "with_token"])
def application(request: pytest.FixtureRequest) -> tuple[Flask, str]:
    """An application with or without a token, and which of the two."""
    token = TOKEN if request.param == "with_token" else None
    return create_app(admin_token=token, allowed_hosts=["mock.test"]), request.param


@pytest.mark.parametrize("verb", ["GET", "PUT", "POST", "DELETE"])
@pytest.mark.parametrize("name", CALLS)
def test_who_is_let_in(application: tuple[Flask, str], name: str, verb: str) -> None:
    """Each kind of call is let in or refused, whatever its verb, and a refusal changes nothing."""
    app, which = application
    call = CALLS[name]
    expected: int = getattr(call, which)
    client = app.test_client()
    mock = app.extensions["mockbm"]
    mock.default.reset()
    paths = {"GET": "scenario", "PUT": "scenario", "POST": "reset", "DELETE": "requests"}
    answer = client.open(
        f"/__admin/{paths[verb]}",
        method=verb,
        json={"name": "empty"} if verb == "PUT" else None,
        headers={"Host": call.host, **call.headers},
        environ_base={"REMOTE_ADDR": call.remote},
    )
    assert answer.status_code == (204 if verb == "DELETE" and expected == 200 else expected)
    assert mock.default.active == ("empty" if verb == "PUT" and expected == 200 else "documented")
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert ("WWW-Authenticate" in answer.headers) == (expected == 401)
    if expected != 200:
        assert answer.json["status"] == expected
        assert TOKEN not in answer.get_data(as_text=True)


@pytest.mark.parametrize("name", CALLS)
def test_the_endpoint_asks_for_none_of_it(application: tuple[Flask, str], name: str) -> None:
    """Whoever is refused by the admin API still gets releases, for an API key."""
    app, _ = application
    call = CALLS[name]
    headers = {"Host": call.host, **call.headers, "X-ApiKey": "abc12345"}
    answer = app.test_client().get(
        "/api/releases", headers=headers, environ_base={"REMOTE_ADDR": call.remote}
    )
    assert answer.status_code == 200


def test_off_loopback_there_is_always_a_token() -> None:
    """A mock that others can reach makes itself a token, and its admin API asks for it."""
    with MockServer(host="0.0.0.0") as server:
        url = f"http://127.0.0.1:{server.port}"
        with pytest.raises(RuntimeError, match="needs its token"):
            AdminClient(url).use("empty")
        assert server.active == "documented"
        assert server.admin_token is not None
        AdminClient(url, server.admin_token).use("empty")
        assert server.active == "empty"
    with MockServer(host="0.0.0.0", admin_token=TOKEN) as server:
        assert server.admin_token == TOKEN
    with MockServer(host="localhost") as server:
        assert server.admin_token is None


def test_an_empty_token_is_none() -> None:
    """An empty token, as of a variable that is not set, lets nobody in who sends an empty one."""
    with MockServer(host="0.0.0.0", admin_token="") as server:
        assert server.admin_token
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.request("GET", "/__admin/scenario", headers={"Authorization": "Bearer "})
        assert connection.getresponse().status == 401
        connection.close()
    client = create_app(admin_token="").test_client()
    assert client.get("/__admin/scenario").status_code == 200
    elsewhere = {"REMOTE_ADDR": "192.0.2.1"}
    assert client.get("/__admin/scenario", environ_base=elsewhere).status_code == 403


def test_without_an_admin_api() -> None:
    """Without it, its paths are like any other that mockbm does not serve."""
    client = create_app(admin_api=False).test_client()
    answer = client.get("/__admin/scenario")
    assert answer.status_code == 404
    assert answer.headers["X-Mockbm-Explain"].startswith("BuildMaster has no endpoint at this path")
