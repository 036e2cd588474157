"""mockbm: a mock of BuildMaster's Get Releases endpoint, answering from YAML scenario files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .app import create_app
    from .client import AdminClient
    from .document import ScenarioError
    from .journal import Entry
    from .mock import UnknownName
    from .pytest_plugin import MockbmFixture as MockbmFixture
    from .server import MockServer

__version__ = "0.1.0"
__all__ = [
    "AdminClient",
    "Entry",
    "MockServer",
    "ScenarioError",
    "UnknownName",
    "create_app",
]

_ROOMS = {
    "AdminClient": "client",
    "Entry": "journal",
    "MockServer": "server",
    "MockbmFixture": "pytest_plugin",
    "ScenarioError": "document",
    "UnknownName": "mock",
    "create_app": "app",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: pytest loads this package in every run."""
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_ROOMS[name]}", __name__), name)
