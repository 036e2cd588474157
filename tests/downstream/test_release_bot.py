"""The tests of a project that only installed mockbm and uses its fixture."""

import pytest
from release_bot import announcement


def test_announces_the_active_release(mockbm):
    assert mockbm.active == "nightly"
    assert announcement(mockbm.url, mockbm.api_key, "Shop") == "Shop: 2.4.0 by SYSTEM"


@pytest.mark.mockbm(scenario="quiet")
def test_says_so_when_there_is_nothing(mockbm):
    assert announcement(mockbm.url, mockbm.api_key, "Shop") == "Shop: nothing tonight"


def test_switching_while_it_runs(mockbm):
    before = announcement(mockbm.url, mockbm.api_key, "Shop")
    mockbm.use("quiet")
    after = announcement(mockbm.url, mockbm.api_key, "Shop")
    assert (before, after) == ("Shop: 2.4.0 by SYSTEM", "Shop: nothing tonight")
