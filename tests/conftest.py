"""What all tests share. The fixture `mockbm` is the package's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mockbm import MockServer

pytest_plugins = ["pytester"]
collect_ignore = ["downstream"]


@pytest.fixture
def server() -> Iterator[MockServer]:
    """A mock of this test's own, for tests that are also about the default session."""
    with MockServer() as server:
        yield server


@pytest.fixture
def shared(mockbm_server: MockServer) -> MockServer:
    """The mock of the whole run, with its default session as a fresh start gives it."""
    mockbm_server.mock.default.reset()
    return mockbm_server
