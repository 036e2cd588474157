"""The releases that everything here is measured with, and the scenario files they stand in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

API_KEY = "abc12345"

TWO_ACTIVE = """\
description: The two active releases of the vendor's page.
releases:
  - id: 4
    number: 1.0.1
    sequence: 2
    createdBy: MikeJones
    createdOn: 2024-03-04T09:03:43.9200000Z
    applicationId: 2
    applicationName: ProfitCalculator
    pipelineName: Release
    furthestBuildId: 6
    furthestBuildNumber: 2
    latestBuildId: 6
    latestBuildNumber: 2
  - id: 1
    number: 1
    sequence: 1
    createdBy: JohnSmith
    createdOn: 2024-03-04T08:42:38.8170000Z
    applicationId: 1
    applicationName: TaxCalculator
"""
"""The scenario file whose answer every server gives."""

SELECTED = 10
"""Releases that each application of a large instance has."""


def releases(count: int) -> Iterator[dict[str, Any]]:
    """Releases of 20 properties, the newest first, `SELECTED` of each application."""
    for id_ in range(count, 0, -1):
        application = (id_ - 1) // SELECTED + 1
        day, second = divmod(id_, 86_400)
        yield {
            "id": id_,
            "number": f"1.{id_ % 50}.{id_ % 7}",
            "name": f"Release {id_}",
            "sequence": (id_ - 1) % SELECTED + 1,
            "status": "active" if id_ % 10 == 0 else "deployed",
            "createdBy": "MikeJones",
            "createdOn": f"2024-03-{day + 1:02}T{_time(second)}.0000000Z",
            "targetDate": "2024-06-01T00:00:00.0000000Z",
            "applicationId": application,
            "applicationName": f"Application {application}",
            "pipelineName": "Release",
            "furthestBuildId": 2 * id_,
            "furthestBuildNumber": "2",
            "latestBuildId": 2 * id_,
            "latestBuildNumber": "2",
            "deployables": [],
            "furthestPackageId": 2 * id_,
            "furthestPackageNumber": "2",
            "latestPackageId": 2 * id_,
            "latestPackageNumber": "2",
        }


def _time(second: int) -> str:
    return f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"


def write_yaml(path: Path, items: Iterable[dict[str, Any]]) -> None:
    """Write a scenario file as a person would, a property a line."""
    with path.open("w") as file:
        file.write("description: A large instance.\nreleases:\n")
        for item in items:
            lines = [f"    {name}: {value}\n" for name, value in item.items()]
            lines[0] = f"  - {lines[0].lstrip()}"
            file.writelines(lines)


def write_json(path: Path, items: Iterable[dict[str, Any]]) -> None:
    """Write the same scenario as JSON."""
    path.write_text(json.dumps({"description": "A large instance.", "releases": list(items)}))
