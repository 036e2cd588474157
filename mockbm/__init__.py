"""mockbm: a mock of BuildMaster's Get Releases endpoint, answering from YAML scenario files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from .client import AdminClient
    from .core.errors import ScenarioError, UnknownName
    from .core.journal import Entry
    from .fixture import MockbmFixture as MockbmFixture
    from .fixture import MockbmServer as MockbmServer
    from .serving.server import MockServer
    from .web.app import create_app

__all__ = [
    "AdminClient",
    "Entry",
    "MockServer",
    "ScenarioError",
    "UnknownName",
    "__version__",
    "create_app",
]

_MODULES = {
    "AdminClient": "client",
    "Entry": "core.journal",
    "MockServer": "serving.server",
    "MockbmFixture": "fixture",
    "MockbmServer": "fixture",
    "ScenarioError": "core.errors",
    "UnknownName": "core.errors",
    "create_app": "web.app",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: pytest loads this package in every run."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_MODULES[name]}", __name__), name)
