"""What all tests share. The fixture `mockbm` is the package's own."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from typing import Any

import flask
import pytest
from described import Described

from mockbm import MockServer
from mockbm.settings import Settings

pytest_plugins = ["pytester"]
collect_ignore = ["downstream"]


STATE = os.environ.get("MOCKBM_TEST_STATE")
"""A Redis server, where every mock in this process is to keep its state; memory if not set."""


def pytest_configure() -> None:
    if STATE:
        made = Settings.__init__

        def make(self: Settings, *arguments: Any, **settings: Any) -> None:
            made(self, *arguments, **{"state": f"{STATE}#{uuid.uuid4().hex}", **settings})

        Settings.__init__ = make  # type: ignore[method-assign]


@pytest.fixture
def server() -> Iterator[MockServer]:
    """A mock of this test's own, for tests that are also about the default session."""
    with MockServer() as server:
        yield server


@pytest.fixture(scope="session")
def server_of_the_run() -> Iterator[MockServer]:
    """A mock that all tests may use."""
    with MockServer(journal_size=100_000) as server:
        yield server


@pytest.fixture
def shared(server_of_the_run: MockServer) -> MockServer:
    """The mock of the whole run, with its default session as a fresh start gives it."""
    server_of_the_run.mock.default.reset()
    return server_of_the_run


@pytest.fixture(scope="session")
def described() -> Iterator[Described]:
    """Looks at every answer of every mock in this process, whether Flask gives it or the server."""
    described = Described()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mockbm.serving.server.answer", described.answer)
        with flask.request_finished.connected_to(described.listen):
            yield described


@pytest.fixture(autouse=True)
def every_answer_is_described(described: Described) -> Iterator[None]:
    """Fail a test in which a mock answers other than its OpenAPI document says."""
    described.problems.clear()
    yield
    assert described.problems == []
