"""What each HTTP client makes of each fault, over a real socket, on each server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import httpx
import pytest
import requests
import urllib3
from test_cli import serving
from test_faults import UNAVAILABLE, ask, opened
from urllib3.exceptions import ProtocolError, ReadTimeoutError

from mockbm import MockServer
from mockbm.core.faults import CONNECTIONS


def with_requests(url: str, key: str, timeout: float) -> int:
    answer = ask(url, key, timeout=timeout)
    if answer.ok:
        answer.json()
    return answer.status_code


def with_httpx(url: str, key: str, timeout: float) -> int:
    with httpx.Client(trust_env=False, verify=False, timeout=timeout) as client:
        answer = client.get(f"{url}/api/releases", headers={"X-ApiKey": key})
    if answer.is_success:
        answer.json()
    return answer.status_code


def with_urllib3(url: str, key: str, timeout: float) -> int:
    with urllib3.PoolManager(retries=False, timeout=timeout) as pool:
        answer = pool.request("GET", f"{url}/api/releases", headers={"X-ApiKey": key})
    if answer.status == 200:
        answer.json()
    return answer.status


CLIENTS: dict[str, Callable[[str, str, float], int]] = {
    "requests": with_requests,
    "httpx": with_httpx,
    "urllib3": with_urllib3,
}


class Seen(NamedTuple):
    """A fault, and the status or the exception that each client sees."""

    fault: dict[str, Any]
    requests: int | type[Exception]
    httpx: int | type[Exception]
    urllib3: int | type[Exception]
    says: str = ""
    passing: int = 0
    timeout: float = 20


RESET, EMPTY, TRUNCATE, MALFORMED = ({"connection": kind} for kind in CONNECTIONS)
RESET_BY = "reset by peer|10054"
NO_ANSWER = "without (sending a )?response"
CUT_OFF = "IncompleteRead|incomplete|peer closed connection"
NO_JSON = "Expecting ',' delimiter"

E = requests.exceptions
SLOW = ReadTimeoutError
BROKEN = httpx.RemoteProtocolError
JSON = json.JSONDecodeError
SEEN = {
    "503": Seen(UNAVAILABLE, 503, 503, 503),
    "400": Seen({"respond": {"status": 400, "body": "no"}}, 400, 400, 400),
    "403": Seen({"respond": {"status": 403}}, 403, 403, 403),
    "rate": Seen({"rate": "2/h"}, 429, 429, 429, passing=2),
    "delay": Seen({"delay": "30s"}, E.ReadTimeout, httpx.ReadTimeout, SLOW, "timed out", 0, 0.3),
    "reset": Seen(RESET, E.ConnectionError, httpx.ReadError, ProtocolError, RESET_BY),
    "empty": Seen(EMPTY, E.ConnectionError, BROKEN, ProtocolError, NO_ANSWER),
    "truncate": Seen(TRUNCATE, E.ChunkedEncodingError, BROKEN, ProtocolError, CUT_OFF),
    "malformed": Seen(MALFORMED, E.JSONDecodeError, JSON, JSON, NO_JSON),
}


@pytest.fixture(scope="module", params=["MockServer", "mockbm serve"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A mock that listens: in this process, and in one of its own."""
    if request.param == "MockServer":
        with MockServer() as server:
            yield server.url
    else:
        with serving("--port", "0", "--log", "off") as (_, line):
            yield line.split()[3]


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("fault", SEEN)
def test_what_a_client_sees(url: str, fault: str, client: str) -> None:
    """Each fault is, for each client and each server, the very thing that a real one would be."""
    row = SEEN[fault]
    expected: int | type[Exception] = getattr(row, client)
    session = opened(url, row.fault)
    for _ in range(row.passing):
        assert CLIENTS[client](url, session.api_key, row.timeout) == 200
    if isinstance(expected, int):
        assert CLIENTS[client](url, session.api_key, row.timeout) == expected
    else:
        with pytest.raises(expected, match=row.says) as caught:
            CLIENTS[client](url, session.api_key, row.timeout)
        assert caught.type is expected
    session.use("documented")
    assert CLIENTS[client](url, session.api_key, 20) == 200
