"""The instance that is measured, and the requests of each workload.

A request of a workload has a number, which decides everything in it: every run sends the same ones.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

API_KEY = "abc12345"
PATH = "/api/releases"
APPLICATIONS = 1_000
"""Applications of the measured instance, each with two releases."""

QUERIED = 20
"""Applications that requests name; a peer needs no stub for any other."""

SESSIONS = 100
NAME = "ProfitCalculator"
WORDS = (
    "Account Address Archive Audit Billing Booking Budget Campaign Catalog Claims Contract "
    "Customer Delivery Discount Employee Finance Freight Identity Inventory Invoice Ledger Loyalty "
    "Mailing Payroll Pricing Product Purchase Quality Report Shipping Tax Warehouse"
)

Release = dict[str, Any]
Filters = Mapping[str, Any]


def name(application: int) -> str:
    """The name of an application: those that requests name have long ones, the others vary."""
    words = WORDS.split()
    first, last = divmod(application, len(words))
    if application < QUERIED:
        return f"{NAME} {application}"
    return words[first % len(words)] + words[last]


def releases(count: int, per_application: int = 2) -> Iterator[Release]:
    """Releases of 20 properties, newest first."""
    for id_ in range(count, 0, -1):
        application = (id_ - 1) // per_application
        minutes, second = divmod(id_, 60)
        day, minute = divmod(minutes, 1440)
        time = f"{minute // 60:02}:{minute % 60:02}:{second:02}"
        yield {
            "id": id_,
            "number": f"1.{id_ % 50}.{id_ % 7}",
            "name": f"Release {id_}",
            "sequence": (id_ - 1) % per_application + 1,
            "status": "active" if per_application == 2 or id_ % 10 == 0 else "deployed",
            "createdBy": "MikeJones",
            "createdOn": f"2024-03-{day + 1:02}T{time}.0000000Z",
            "targetDate": "2024-06-01T00:00:00.0000000Z",
            "applicationId": application,
            "applicationName": name(application),
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


def answers(count: int, per_application: int = 2) -> list[Release]:
    """The same releases as the endpoint answers them, with the older names of two properties."""
    return [
        item | {"releaseName": item["name"], "releaseNumber": item["number"]}
        for item in releases(count, per_application)
    ]


def write_yaml(path: Path, items: Iterable[Release]) -> None:
    """Write a scenario file as a person would, one property per line."""
    with path.open("w") as file:
        file.write("releases:\n")
        for item in items:
            lines = [f"    {name}: {value}\n" for name, value in item.items()]
            lines[0] = f"  - {lines[0].lstrip()}"
            file.writelines(lines)


def write_json(path: Path, items: Iterable[Release]) -> None:
    """Write the same scenario as JSON."""
    path.write_text(json.dumps({"releases": list(items)}))


class Request(NamedTuple):
    """One HTTP request of a workload."""

    method: str
    query: str = ""
    body: str = ""
    key: str = API_KEY
    path: str = PATH

    @property
    def target(self) -> str:
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def headers(self) -> dict[str, str]:
        length = {"Content-Type": "application/json", "Content-Length": str(len(self.body))}
        return {"Host": "127.0.0.1", "X-ApiKey": self.key} | (length if self.body else {})

    def as_bytes(self) -> bytes:
        """The request as it is sent over a connection."""
        headers = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        return f"{self.method} {self.target} HTTP/1.1\r\n{headers}\r\n{self.body}".encode()


def get(filters: Filters, key: str = API_KEY) -> Request:
    return Request("GET", query=urlencode(filters, quote_via=quote), key=key)


def post(filters: Filters, key: str = API_KEY) -> Request:
    return Request("POST", body=json.dumps(filters), key=key)


FIRST = post({"applicationName": name(0), "status": "active"})
"""The request that a server is ready with; it selects the releases of the first application."""


def new_filters(number: int) -> dict[str, str]:
    """Filters that select the two releases of an application, and that no other number has.

    Names ignore case, so there are 65,536 ways of spelling each.
    """
    spelling, application = divmod(number, QUERIED)
    letters = (
        letter.upper() if spelling >> place & 1 else letter.lower()
        for place, letter in enumerate(NAME)
    )
    filters = {"applicationName": f"{''.join(letters)} {application}"}
    return filters | ({"status": "active"} if number % 3 == 0 else {})


def method(number: int) -> Callable[[Filters, str], Request]:
    """GET or POST, both equally often for each application."""
    return get if (number + number // QUERIED) % 2 else post


def new(number: int, _keys: Sequence[str] = ()) -> Request:
    """A request that no other number has."""
    return method(number)(new_filters(number), API_KEY)


def exact(number: int, _keys: Sequence[str]) -> Request:
    """An application's name as it is written in the scenario, for a peer that compares case."""
    query = urlencode({"applicationName": name(number % QUERIED)}, quote_via=quote)
    return Request("GET", query, path="/releases")


def repeated(_number: int, _keys: Sequence[str]) -> Request:
    """One request over and over."""
    return FIRST


def mixed(number: int, keys: Sequence[str]) -> Request:
    """Of ten requests: four new, two repeated, a 400, a 403, two with the keys of sessions."""
    kind = "nrns4nrns3"[number % 10]
    if kind == "r":
        return FIRST
    if kind == "4":
        return method(number // 10)({"aplicationName": f"{NAME} {number}"}, API_KEY)
    if kind == "3":
        return method(number // 10)(new_filters(number), f"wrong-{number}")
    if kind == "s":
        turn, session = divmod(number // 5, SESSIONS)
        filters = {"applicationName": name(turn % QUERIED)}
        return method(turn + session)(filters, keys[session])
    return new(number)
