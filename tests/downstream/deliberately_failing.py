"""A test that fails, to show what its report says. Not collected: its name is no test file's."""

from release_bot import announcement

from mockbm import MockbmFixture


def test_announces_the_shop(mockbm: MockbmFixture) -> None:
    announcement(mockbm.url, mockbm.api_key, "Shop")
    assert announcement(mockbm.url, mockbm.api_key, "Shopp") == "Shopp: 2.4.0 by SYSTEM"
