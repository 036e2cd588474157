"""The tests of a project that only installed mockbm and uses its fixture."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from urllib.error import HTTPError, URLError

import httpx
import pytest
from release_bot import announcement

from mockbm import MockbmFixture, MockbmServer


def test_the_page_is_there(mockbm: MockbmFixture) -> None:
    """The package has the files of the page, and leaves out its picture."""
    assert "mockbm" in httpx.get(f"{mockbm.url}/__admin/", headers={"Accept": "text/html"}).text
    files = ("page.css", "page.js", "icon.svg", "screenshot.png")
    found = [httpx.get(f"{mockbm.url}/__admin/page/{name}").status_code for name in files]
    assert found == [200, 200, 200, 404]


def test_announces_the_active_release(mockbm: MockbmFixture) -> None:
    assert mockbm.active == "nightly"
    assert announcement(mockbm.url, mockbm.api_key, "Shop") == "Shop: 2.4.0 by SYSTEM"
    mockbm.assert_called(times=1, status="active", applicationName="Shop")


@pytest.mark.mockbm(scenario="quiet")
def test_says_so_when_there_is_nothing(mockbm: MockbmFixture) -> None:
    assert announcement(mockbm.url, mockbm.api_key, "Shop") == "Shop: nothing tonight"


def test_switching_while_it_runs(mockbm: MockbmFixture) -> None:
    before = announcement(mockbm.url, mockbm.api_key, "Shop")
    mockbm.use("quiet")
    after = announcement(mockbm.url, mockbm.api_key, "Shop")
    assert (before, after) == ("Shop: 2.4.0 by SYSTEM", "Shop: nothing tonight")


def test_releases_without_a_file(mockbm: MockbmFixture) -> None:
    mockbm.releases([mockbm.release(number="9.9", createdBy="AnnBrown", applicationName="Shop")])
    assert announcement(mockbm.url, mockbm.api_key, "Shop") == "Shop: 9.9 by AnnBrown"


def test_without_a_socket(mockbm: MockbmFixture) -> None:
    with httpx.Client(
        transport=httpx.WSGITransport(app=mockbm.app), base_url="http://mock"
    ) as client:
        answer = client.get("/api/releases", headers={"X-ApiKey": mockbm.api_key})
    assert [release["id"] for release in answer.json()] == [12, 11]
    assert mockbm.requests[0].ids == (12, 11)


@pytest.fixture(scope="module")
def shop(mockbm_session_factory: Callable[..., MockbmFixture]) -> Iterator[MockbmFixture]:
    with mockbm_session_factory("quiet") as mockbm:
        yield mockbm


def test_a_session_of_the_module(shop: MockbmFixture, mockbm: MockbmFixture) -> None:
    assert announcement(shop.url, shop.api_key, "Shop") == "Shop: nothing tonight"
    assert (len(shop.requests), mockbm.requests) == (1, ())


@pytest.mark.mockbm(scenario="*")
def test_every_scenario(mockbm: MockbmFixture) -> None:
    assert announcement(mockbm.url, mockbm.api_key, "Shop").startswith("Shop: ")


def test_a_night_that_changes(mockbm: MockbmFixture) -> None:
    mockbm.clock.set("2024-05-02")
    change = {"after": "2h", "status": "deployed"}
    mockbm.use(
        {
            "extends": "quiet",
            "releases": [{**mockbm.release(applicationName="Shop"), "changes": [change]}],
        }
    )
    mockbm.faults([{"times": 1, "respond": {"status": 503}}])
    with pytest.raises(HTTPError):
        announcement(mockbm.url, mockbm.api_key, "Shop")
    assert announcement(mockbm.url, mockbm.api_key, "Shop") != "Shop: nothing tonight"
    mockbm.clock.advance(timedelta(hours=2))
    assert announcement(mockbm.url, mockbm.api_key, "Shop") == "Shop: nothing tonight"
    mockbm.reset()
    assert announcement(mockbm.url, mockbm.api_key, "Shop") == "Shop: 2.4.0 by SYSTEM"


def test_an_outage(mockbm: MockbmFixture, mockbm_server: MockbmServer) -> None:
    mockbm_server.stop()
    with pytest.raises(URLError):
        announcement(mockbm.url, mockbm.api_key, "Shop")
