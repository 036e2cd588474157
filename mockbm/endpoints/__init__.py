"""The endpoints of the API: one module for each kind of record.

Each module has `ENDPOINTS`, its entries of the table, and perhaps `OPTIONS`, further keys of
scenario files. A new module is found without being listed.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pkgutil import iter_modules

from ..core.endpoint import Endpoint
from ..core.kind import Kind
from ..core.scenario import scenario_schema

_MODULES = [
    import_module(f"{__name__}.{found.name}")
    for found in iter_modules(__path__)
    if not found.name.startswith("_")
]

_ENTRIES = [entry for module in _MODULES for entry in module.ENDPOINTS]
_OLDER = [  # the paths from the time when builds were called packages [F]
    replace(entry, path=entry.path.replace("/builds", "/packages"))
    for entry in _ENTRIES
    if "/builds" in entry.path
]

ENDPOINTS: tuple[Endpoint, ...] = tuple(
    sorted((*_ENTRIES, *_OLDER), key=lambda entry: (entry.path != "/api/releases", entry.path))
)
"""All entries of the table, by their paths, Get Releases first."""

KINDS: dict[str, Kind] = {entry.kind.name: entry.kind for entry in ENDPOINTS if entry.kind}
"""The kinds of record, by name."""

LISTS: dict[str, Endpoint] = {
    entry.kind.name: entry
    for entry in ENDPOINTS
    if entry.kind and entry.answer and entry.answer.many and entry not in _OLDER
}
"""The endpoint that lists the records of each kind, by the kind's name."""

ScenarioSchema = scenario_schema(
    KINDS,
    {entry.path: entry.parameters for entry in ENDPOINTS},
    {key: field for module in _MODULES for key, field in getattr(module, "OPTIONS", {}).items()},
)
"""The schema of scenario files."""
