"""mockbm: a mock of BuildMaster's Get Releases endpoint, answering from YAML scenario files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .app import create_app
    from .document import ScenarioError
    from .mock import UnknownScenario
    from .server import MockServer

__version__ = "0.1.0"
__all__ = ["MockServer", "ScenarioError", "UnknownScenario", "create_app"]

_ROOMS = {
    "MockServer": "server",
    "ScenarioError": "document",
    "UnknownScenario": "mock",
    "create_app": "app",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: pytest loads this package in every run."""
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_ROOMS[name]}", __name__), name)
