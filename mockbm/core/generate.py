"""Large, plausible instances that come out the same every time."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from random import Random
from typing import Any

from marshmallow import validate

from .fields import Integer, NamedSchema, Row
from .json_schema import about
from .times import outgoing

MAX_RELEASES = 1_000_000

_FIRST = (
    *("Tax", "Profit", "Payroll", "Stock", "Order"),
    *("Claims", "Fleet", "Ledger", "Travel", "Shop"),
)
_SECOND = ("Calculator", "Service", "Portal", "Gateway", "Planner", "Monitor", "Archive", "Mailer")
_PEOPLE = ("MikeJones", "JohnSmith", "AnnBrown", "LiWei", "MariaGarcia", "SYSTEM")
_PIPELINES = ("Release", "global::Release", "global::Hotfix", "Nightly", None)
_FIRST_DAY, _LAST_DAY = (
    datetime(2018, 1, 8, 8, tzinfo=timezone.utc),
    datetime(2024, 3, 4, 8, tzinfo=timezone.utc),
)


def _count(least: int, most: int, description: str, **more: Any) -> Integer:
    limits = validate.Range(least, most, error=f"allowed is {least} to {most}")
    return Integer(validate=limits, metadata=about(description), **more)


class GenerateSchema(NamedSchema):
    """How large an instance to make, and which of the many that are so large."""

    error_messages = {"type": "expected how much, such as {releases: 1000, applications: 20}"}  # noqa: RUF012

    releases = _count(0, MAX_RELEASES, "The number of releases.", required=True)
    applications = _count(1, 10_000, "The number of applications they have.", load_default=10)
    seed = Integer(load_default=1, metadata=about("Another seed makes another such instance."))


def generated(
    releases: int, applications: int, seed: int, beside: Sequence[Row] = ()
) -> Iterator[Row]:
    """Releases with the ids 1, 2, 3, ..., oldest first, as the schema would have loaded them.

    beside: releases that are there already; ids go on after theirs, and no application is shared.

    As in life: a few applications have most of the releases, nearly all old ones are deployed and
    some canceled, the newest few of each application are active; builds and dates only go up.
    """
    random = Random(seed)
    names = _names(applications, {release["applicationName"] for release in beside})
    last_id = max((release["id"] for release in beside), default=0)
    last_application = max((release["applicationId"] for release in beside), default=0)
    owners = [min(int(random.paretovariate(0.6)) - 1, applications * 4) for _ in range(releases)]
    owners = [owner % applications for owner in owners]
    to_come = Counter(owners)
    done = [0] * applications
    build = 0
    step = (_LAST_DAY - _FIRST_DAY) / max(releases, 1)
    for id_, owner in enumerate(owners, 1):
        created = _FIRST_DAY + step * (id_ - 1) + timedelta(milliseconds=random.randrange(1000))
        done[owner] += 1
        to_come[owner] -= 1
        release = _release(random, owner, names[owner], done[owner], to_come[owner], created)
        if release["status"] != "active" or random.random() < 0.7:
            first, last = build + 1, build + random.randint(1, 9)
            build = last
            furthest = random.randint(first, last) if release["status"] != "deployed" else last
            release["furthestBuildId"] = furthest
            release["furthestBuildNumber"] = str(furthest - first + 1)
            release["latestBuildId"] = last
            release["latestBuildNumber"] = str(last - first + 1)
        release["applicationId"] += last_application
        yield {"id": last_id + id_, **release}


def _release(
    random: Random, owner: int, name: str, number: int, to_come: int, created: datetime
) -> dict[str, Any]:
    minor, patch = divmod(number - 1, 4)
    status = "deployed" if random.random() < 0.9 else "canceled"
    if to_come < 2:
        status = "active" if random.random() < 0.8 else status
    release: dict[str, Any] = {
        "number": f"{1 + minor // 10}.{minor % 10}.{patch}",
        "status": status,
        "createdBy": random.choice(_PEOPLE),
        "createdOn": outgoing(created),
        "applicationId": owner + 1,
        "applicationName": name,
    }
    if status == "canceled":
        later = created + timedelta(hours=random.randint(1, 400))
        release |= {"canceledBy": random.choice(_PEOPLE), "canceledOn": outgoing(later)}
    if random.random() < 0.3:
        release["template"] = "Standard"
    if random.random() < 0.4:
        due = created.replace(hour=0, minute=0, second=0, microsecond=0)
        release["targetDate"] = outgoing(due + timedelta(days=random.randint(3, 60)))
    pipeline = _PIPELINES[(owner + (random.random() < 0.1)) % len(_PIPELINES)]
    if pipeline is not None:
        release["pipelineName"] = pipeline
    return release


def _names(count: int, taken: Collection[str]) -> list[str]:
    pairs = [first + second for second in _SECOND for first in _FIRST]
    rounds = itertools.count(1)
    endless = (f"{pair} {number}" if number > 1 else pair for number in rounds for pair in pairs)
    return list(itertools.islice((name for name in endless if name not in taken), count))
