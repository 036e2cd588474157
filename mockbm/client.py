"""A client of the admin API, for `mockbm use` and for anybody's Python.

On the standard library alone, so that it costs no import in a test run and no dependency.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from .mock import UnknownScenario


class AdminClient:
    """A running mock, reached over HTTP.

    url: the mock's base URL, such as `http://127.0.0.1:8080`.
    timeout: seconds that one call may take.
    """

    def __init__(self, url: str, timeout: float = 10) -> None:
        self.url = url.rstrip("/")
        self.timeout = timeout

    def use(self, name: str) -> None:
        """Make another scenario active.

        Raises: UnknownScenario; OSError where no mock answers; RuntimeError for another refusal.
        """
        try:
            self._call("PUT", "/scenario", {"name": name})
        except urllib.error.HTTPError as error:
            details = _details(error)
            if "scenarios" in details:
                raise UnknownScenario(name, details["scenarios"]) from None
            raise RuntimeError(f"{self.url}: {details.get('detail', error)}") from None

    def _call(self, method: str, path: str, body: object = None) -> Any:
        request = urllib.request.Request(
            f"{self.url}/__admin{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={} if body is None else {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=self.timeout) as response:
            return json.load(response)


def _details(error: urllib.error.HTTPError) -> dict[str, Any]:
    """The problem details of a refusal, or nothing where something else answered."""
    try:
        details = json.load(error)
    except ValueError:
        return {}
    return details if isinstance(details, dict) else {}
