"""A program as a user of mockbm might have it: it asks BuildMaster what to announce."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request


def announcement(server: str, api_key: str, application: str) -> str:
    """One line about the newest active release of an application."""
    query = urllib.parse.urlencode({"applicationName": application, "status": "active"})
    request = urllib.request.Request(
        f"{server}/api/releases?{query}", headers={"X-ApiKey": api_key}
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        releases = json.load(response)
    if not releases:
        return f"{application}: nothing tonight"
    return f"{application}: {releases[0]['number']} by {releases[0]['createdBy']}"
