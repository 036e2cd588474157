"""Whether the code under test called an endpoint as expected; a failure shows the nearest calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher

from .core.errors import suggest
from .core.faults import endpoint_name
from .core.journal import Entry
from .endpoints import ENDPOINTS

__tracebackhide__ = True  # pytest shows no frame of this module

SHOWN = 5
"""Calls of each sort that a failure shows."""


class Calls:
    """The calls of one endpoint, and those of them that have all the parameters.

    name: of the endpoint: `releases`, or another one such as `builds/deploy`.
    Raises: TypeError for an endpoint or a parameter that does not exist.
    """

    def __init__(
        self, requests: Sequence[Entry], name: str, parameters: Mapping[str, object]
    ) -> None:
        endpoints = {endpoint_name(endpoint.path): endpoint for endpoint in ENDPOINTS}
        endpoint = endpoints.get(endpoint_name(name.lower()))
        if endpoint is None:
            raise TypeError(f"{name!r} is not an endpoint; {suggest(name, endpoints)}")
        known = endpoint.parameters.load_fields
        for parameter, value in parameters.items():
            if parameter not in known and parameter[:1] != "$":
                raise TypeError(f"{parameter!r} is not a parameter; {suggest(parameter, known)}")
            if value is None:
                raise TypeError(f"{parameter} is None; give the value that the client should send")
        self.path = endpoint.path
        self.parameters = {name: str(value) for name, value in parameters.items()}
        self.matching: list[Entry] = []
        self.others: list[Entry] = []
        for entry in requests:
            if entry.path.lower().rstrip("/").replace("/packages", "/builds") == endpoint.path:
                (self.others if self._differences(entry) else self.matching).append(entry)

    def _differences(self, entry: Entry) -> list[str]:
        sent = entry.parameters
        return [
            f"{name} is {sent[name]!r}" if name in sent else f"no {name}"
            for name, value in self.parameters.items()
            if sent.get(name) != value
        ]

    def _distance(self, entry: Entry) -> tuple[int, float]:
        """How far a call is from what was expected: number of parameters, and how unlike."""
        unlike = [
            1 - SequenceMatcher(None, entry.parameters.get(name, ""), value).ratio()
            for name, value in self.parameters.items()
        ]
        return len(self._differences(entry)), sum(unlike)

    def miss(self, wanted: str) -> str:
        """The message of a failure: what was wanted, what was called, and the nearest calls."""
        values = ", ".join(f"{name}={value!r}" for name, value in self.parameters.items())
        wanted += f" of {self.path}{' with ' if values else ''}{values}"
        lines = [f"expected {wanted}, got {len(self.matching)}"]
        lines += [f"  {entry}" for entry in self.matching[:SHOWN]]
        count = len(self.others)
        if count:
            are = "is 1 other call" if count == 1 else f"are {count} other calls"
            lines.append(f"there {are}{', of which the nearest' if count > SHOWN else ''}:")
            for entry in sorted(self.others, key=self._distance)[:SHOWN]:
                lines += [f"  {entry}", f"    but {', '.join(self._differences(entry))}"]
        elif not self.matching:
            lines.append("the endpoint was not called at all by this test's key")
        return "\n".join(lines)
