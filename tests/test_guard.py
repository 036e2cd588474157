"""Who may call the admin API, in one table, and that the endpoint never asks for any of it."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from typing import NamedTuple

import pytest
import requests
from commands import BIN, free_port, require, running
from flask import Flask, Response
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

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
    "over a Unix socket": Call(200, 401, remote=""),
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
    "by a name with an underscore": Call(200, 200, "mock_1:8080", BEARER),
    "by a name with a port that is none": Call(403, 403, "localhost:x", BEARER),
    "by no name": Call(403, 403, "", BEARER),
    "by a name with a user": Call(403, 403, "localhost@evil.example", BEARER),
    "by two names": Call(403, 403, "localhost, evil.example", BEARER),
    "by a name in brackets": Call(403, 403, "[localhost]", BEARER),
    **{
        f"through a proxy that sends {name}": Call(403, 401, headers={name: "127.0.0.1"})
        for name in ("Forwarded", "X-Forwarded-For", "x-forwarded-port", "X-Real-IP", "Via")
    },
    "through a proxy, with the token": Call(
        403, 200, headers={**BEARER, "X-Forwarded-For": "192.0.2.9"}
    ),
    "from a page of ours through a proxy that ends HTTPS": Call(
        *(403, 200, "mock.test"),
        {**BEARER, "Origin": "https://mock.test", "X-Forwarded-Proto": "https"},
    ),
    "from a foreign page through a proxy": Call(
        *(403, 403, "mock.test"),
        {**BEARER, "Origin": "https://evil.example", "X-Forwarded-Host": "evil.example"},
    ),
    "from an HTTPS page of another server at this name": Call(
        403, 403, "mock.test", {**BEARER, "Origin": "https://mock.test"}
    ),
    "from a page of ours, by fetch": Call(
        200, 200, headers={**BEARER, "Sec-Fetch-Site": "same-origin"}
    ),
}


@pytest.fixture(scope="module", params=["without", "with_token"])
def application(request: pytest.FixtureRequest) -> tuple[Flask, str]:
    """An application with or without a token, and which of the two."""
    token = TOKEN if request.param == "with_token" else None
    return create_app(admin_token=token, allowed_hosts=["mock.test", "mock_1"]), request.param


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


HERE = "the admin API is for this machine only, unless --admin-token is set"
PAGES = "web pages cannot call the admin API"
REASONS = {
    "by another name": "Host is 'evil.example:8080': the admin API is not called by that name; "
    "--allowed-host adds one",
    "by no name": "Host is missing: the admin API is called by a name or an address, such as "
    "localhost",
    "from a foreign page": f"Origin is 'https://evil.example': {PAGES}",
    "from a foreign page that hides": f"Sec-Fetch-Site is cross-site: {PAGES}",
    "from another machine": HERE,
    "through a proxy that sends Via": f"Via says that a proxy forwards this call: {HERE}",
}


@pytest.mark.parametrize("name", REASONS)
def test_why_a_call_is_refused(name: str) -> None:
    """A refusal says which header or machine it is about, and what would help."""
    call = CALLS[name]
    client = create_app().test_client()
    answer = client.get(
        "/__admin/scenario",
        headers={"Host": call.host, **call.headers},
        environ_base={"REMOTE_ADDR": call.remote},
    )
    assert (answer.status_code, answer.json["detail"]) == (403, REASONS[name])


@pytest.mark.parametrize(
    ("sent", "why"), [("", ""), ("Basic x", ""), ("Bearer another", "the token is wrong; ")]
)
def test_what_a_call_without_the_token_is_told(sent: str, why: str) -> None:
    """It says how the token is sent, and whether there is a wrong one."""
    client = create_app(admin_token=TOKEN).test_client()
    answer = client.get("/__admin/scenario", headers={"Authorization": sent})
    detail = (
        f"{why}the admin API needs its token, as Authorization: Bearer TOKEN; "
        "on the command line, --admin-token or MOCKBM_ADMIN_TOKEN"
    )
    assert (answer.status_code, answer.json["detail"]) == (401, detail)


@pytest.mark.parametrize(
    ("path", "destination", "status"),
    [
        ("/__admin/", "document", 200),
        ("/__admin/", "script", 403),
        ("/__admin/", None, 403),
        ("/__admin/scenario", "document", 403),
    ],
)
def test_links_elsewhere_lead_to_the_page(path: str, destination: str | None, status: int) -> None:
    """A link of another site may lead to the page, needs no token for it, and gets nothing else."""
    headers = {"Sec-Fetch-Site": "cross-site", "Accept": "text/html"}
    if destination:
        headers["Sec-Fetch-Dest"] = destination
    client = create_app(admin_token=TOKEN).test_client()
    with client.get(path, headers=headers) as answer:
        assert answer.status_code == status


@pytest.mark.parametrize(
    ("origin", "host", "environ", "status"),
    [
        ("http://localhost", "localhost:80", {}, 200),
        ("http://localhost:80", "localhost:80", {}, 403),
        ("http://localhost:443", "localhost:443", {}, 200),
        ("http://localhost", "localhost:443", {}, 403),
        ("https://localhost", "localhost:443", {"wsgi.url_scheme": "https"}, 200),
        ("https://localhost", "localhost:443", {"SERVER_PORT": "8080"}, 200),
        ("https://localhost:80", "localhost:80", {"SERVER_PORT": "8080"}, 200),
        ("https://localhost", "localhost", {"SERVER_PORT": "80"}, 403),
        ("https://localhost", "localhost", {"SERVER_PORT": "8080"}, 200),
    ],
)
def test_the_origins_of_our_page(
    origin: str, host: str, environ: dict[str, str], status: int
) -> None:
    """An origin has no port where it is that of its scheme, and that of the call otherwise."""
    client = create_app(allowed_hosts=["localhost"]).test_client()
    answer = client.get(
        "/__admin/scenario", headers={"Host": host, "Origin": origin}, environ_overrides=environ
    )
    assert answer.status_code == status


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


def send(port: int, path: str, *headers: str) -> bytes:
    """The answer to a GET with these headers and no others."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        lines = [f"GET {path} HTTP/1.1", *headers, "Connection: close", "", ""]
        connection.sendall("\r\n".join(lines).encode())
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.fixture(scope="module", params=["MockServer", "gunicorn"])
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    """Where a server listens, with a token."""
    if request.param == "MockServer":
        with MockServer(admin_token=TOKEN) as server:
            yield server.port
        return
    require(str(BIN / "gunicorn"))
    found = free_port()
    command = (str(BIN / "gunicorn"), "--threads=4", f"--bind=127.0.0.1:{found}", "wsgi:app")
    with running(*command, url=f"http://127.0.0.1:{found}", token=TOKEN, MOCKBM_ADMIN_TOKEN=TOKEN):
        yield int(found)


@pytest.mark.parametrize(
    ("headers", "status", "text"),
    [
        ((), 403, b"Host is missing: the admin API is called by a name or an address, such as"),
        (("Host:",), 403, b"Host is missing: the admin API is called by a name or an address"),
        (("Host: localhost:{port}",), 200, b'"name": "documented"'),
        (("Host: localhost:{port}", "Origin: https://localhost:{port}"), 200, b'"documented"'),
        (("Host: localhost:{port}", "Origin: https://localhost:1"), 403, b"web pages cannot call"),
        (("Host: mock_1",), 403, b"Host is 'mock_1': the admin API is not called by that name"),
    ],
)
def test_hosts_and_origins_under_every_server(
    port: int, headers: tuple[str, ...], status: int, text: bytes
) -> None:
    """A call without a host is refused alike; a tunnel that ends HTTPS need not say a word."""
    sent = [header.format(port=port) for header in headers]
    answer = send(port, "/__admin/scenario", f"Authorization: Bearer {TOKEN}", *sent)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert text in answer


PREFIXED = {"X-Forwarded-Prefix": "/mock", "X-Forwarded-Proto": "https"}


@pytest.mark.parametrize("way", ["trusted", "not trusted", "mounted"])
def test_under_a_prefix(way: str) -> None:
    """Redirects, locations and links have the prefix of a WSGI server, or of a trusted proxy."""
    app = create_app(admin_token=TOKEN, trust_proxy=way == "trusted")
    client = Client(DispatcherMiddleware(app, {"/mock": app}), Response)
    before, prefix = ("/mock", "/mock") if way == "mounted" else ("", "/mock" * (way == "trusted"))
    headers = BEARER if way == "mounted" else {**BEARER, **PREFIXED}
    index = client.get(f"{before}/__admin/", headers=headers).json
    assert index["links"]["openapi"] == f"{prefix}/__admin/openapi.json"
    assert {path.rpartition("/")[0] for path in index["links"].values()} == {f"{prefix}/__admin"}
    opened = client.post(f"{before}/__admin/sessions", headers=headers)
    here = f"{prefix}/__admin/sessions/{opened.json['id']}"
    assert opened.headers["Location"] == opened.json["links"]["self"] == here
    assert opened.json["links"]["clock"] == f"{here}/clock"
    page = client.get(f"{before}/__admin", headers={**headers, "Accept": "text/html"})
    assert (page.status_code, page.headers["Location"]) == (308, f"{prefix}/__admin/")
    document = client.get(f"{before}/__admin/openapi.json", headers=headers).json
    assert document.get("servers") == ([{"url": prefix}] if prefix else None)


@pytest.mark.parametrize(("trusted", "status"), [(True, 200), (False, 403)])
def test_the_name_that_a_proxy_was_called_by(trusted: bool, status: int) -> None:
    """A trusted proxy says by which name it was called; anybody else could say anything."""
    with MockServer(admin_token=TOKEN, allowed_hosts=["mock.test"], trust_proxy=trusted) as server:
        names = {"X-Forwarded-Host": "mock.test", "Origin": "https://mock.test"}
        url = f"{server.url}/__admin/reset"
        headers = {**BEARER, **PREFIXED, **names}
        assert requests.post(url, headers=headers, timeout=10).status_code == status
        evil = {**headers, "X-Forwarded-Host": "evil.test", "Origin": "https://evil.test"}
        assert requests.post(url, headers=evil, timeout=10).status_code == 403


def test_without_an_admin_api() -> None:
    """Without it, its paths are like any other that mockbm does not serve."""
    client = create_app(admin_api=False).test_client()
    answer = client.get("/__admin/scenario")
    assert answer.status_code == 404
    assert answer.headers["X-Mockbm-Explain"].startswith("BuildMaster has no endpoint at this path")
