"""Tests with the pytest fixture `mockbm`: they need mockbm, pytest and httpx, and nothing running.

Copy it as `test_releases.py`.
"""

from collections.abc import Callable, Iterator

import httpx
import pytest

from mockbm import MockbmFixture


def numbers(client: httpx.Client, api_key: str, **filters: str) -> list[str]:
    """The release numbers that the code under test would get."""
    answer = client.get("/api/releases", params=filters, headers={"X-ApiKey": api_key})
    answer.raise_for_status()
    return [release["number"] for release in answer.json()]


def test_over_a_socket(mockbm: MockbmFixture) -> None:
    mockbm.use("single")
    with httpx.Client(base_url=mockbm.url) as client:
        assert numbers(client, mockbm.api_key) == ["1.0.0"]


def test_without_a_socket(mockbm: MockbmFixture) -> None:
    mockbm.releases([mockbm.release(number="2.0"), mockbm.release(number="2.1")])
    transport = httpx.WSGITransport(app=mockbm.app)
    with httpx.Client(transport=transport, base_url="http://mock") as client:
        assert numbers(client, mockbm.api_key, releaseNumber="2.1") == ["2.1"]
    mockbm.assert_called(times=1, releaseNumber="2.1")


@pytest.mark.mockbm(scenario="release-appears")
def test_polling(mockbm: MockbmFixture) -> None:
    """A client that polls gets the new release with its third request."""
    with httpx.Client(base_url=mockbm.url) as client:
        found = [len(numbers(client, mockbm.api_key)) for _ in range(3)]
    assert found == [1, 1, 2]


@pytest.mark.mockbm(scenario="flaky")
def test_a_retry(mockbm: MockbmFixture) -> None:
    """Two answers are a 503, the third one is a 200."""
    headers = {"X-ApiKey": mockbm.api_key}
    answers = [httpx.get(f"{mockbm.url}/api/releases", headers=headers) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503, 503, 200]


def test_a_fault_in_between(mockbm: MockbmFixture) -> None:
    """What the client has done before stays as it is."""
    mockbm.faults([{"times": 1, "respond": {"status": 503}}])
    headers = {"X-ApiKey": mockbm.api_key}
    answers = [httpx.get(f"{mockbm.url}/api/releases", headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [503, 200]


@pytest.mark.mockbm(scenario=["empty", "single", "documented"])
def test_each(mockbm: MockbmFixture) -> None:
    """It runs once for each of these scenarios; "*" means all."""
    with httpx.Client(base_url=mockbm.url) as client:
        assert len(numbers(client, mockbm.api_key)) == len(mockbm.state["releases"])


@pytest.fixture(scope="module")
def shop(mockbm_session_factory: Callable[..., MockbmFixture]) -> Iterator[MockbmFixture]:
    """One session for all tests of this module."""
    with mockbm_session_factory("single") as mockbm:
        yield mockbm


def test_shared(shop: MockbmFixture) -> None:
    with httpx.Client(base_url=shop.url) as client:
        assert numbers(client, shop.api_key) == ["1.0.0"]
