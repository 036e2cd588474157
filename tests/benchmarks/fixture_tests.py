"""One test with one request, in every way that is compared. Run by `fixture_cost.py` alone."""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import httpx
import requests
from servers import PATH
from serving import two_releases

if TYPE_CHECKING:
    from pytest_httpserver import HTTPServer

    from mockbm import MockbmFixture

QUERY = {"status": "active"}
NUMBERS = ["1.0.1", "1"]
RELEASES = json.loads(two_releases())


def numbers(releases: Any) -> list[str]:
    return [release["number"] for release in releases]


def test_empty() -> None:
    pass


def test_mockbm_with_requests(mockbm: MockbmFixture) -> None:
    key = {"X-ApiKey": mockbm.api_key}
    answer = requests.get(f"{mockbm.url}{PATH}", params=QUERY, headers=key)
    assert numbers(answer.json()) == NUMBERS


def test_mockbm_with_flask_client(mockbm: MockbmFixture) -> None:
    client = mockbm.app.test_client()
    answer = client.get(PATH, query_string=QUERY, headers={"X-ApiKey": mockbm.api_key})
    assert numbers(answer.json) == NUMBERS


def test_mockbm_with_httpx(mockbm: MockbmFixture) -> None:
    transport = httpx.WSGITransport(app=mockbm.app)
    with httpx.Client(transport=transport, base_url="http://mock") as client:
        answer = client.get(PATH, params=QUERY, headers={"X-ApiKey": mockbm.api_key})
    assert numbers(answer.json()) == NUMBERS


if find_spec("pytest_httpserver"):

    def test_pytest_httpserver_with_requests(httpserver: HTTPServer) -> None:
        httpserver.expect_request(PATH, query_string=QUERY).respond_with_json(RELEASES)
        answer = requests.get(httpserver.url_for(PATH), params=QUERY, headers={"X-ApiKey": "key"})
        assert numbers(answer.json()) == NUMBERS


if find_spec("responses"):
    import responses

    @responses.activate
    def test_responses_with_requests() -> None:
        responses.get(f"http://mock{PATH}", json=RELEASES)
        answer = requests.get(f"http://mock{PATH}", params=QUERY, headers={"X-ApiKey": "key"})
        assert numbers(answer.json()) == NUMBERS
