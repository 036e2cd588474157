"""The releases of a server, what a mock can have in their place, and how the two differ."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from marshmallow import ValidationError

from ..core.fields import Integer
from ..endpoints._references import DEFAULT_CREATED_ON
from ..endpoints.releases import (
    OLDER_NAMES,
    RELEASE,
    STATUSES,
    ReleaseSchema,
    completed,
)
from ..importer import imported
from .asking import Mocked

Release = Mapping[str, Any]

_INTEGER, _SCHEMA = Integer(), ReleaseSchema(many=True)
_ALL = _SCHEMA.dump_fields
_KNOWN = {name: older for older, name in OLDER_NAMES.items()}
_KNOWN = {name: _KNOWN.get(name, name) for name in _ALL if name not in OLDER_NAMES}
_ROUNDS = 5  # in which properties that do not fit are taken out before a release is given up
_STAND_INS = {"number": "mockbm-none", "applicationId": -(2**31), "applicationName": "mockbm-none"}


class Model:
    """The releases of a server, and a mock with the nearest ones that a scenario can hold.

    found, held: id to each release as the server answered it, in its order, and as the mock has it.
    unsure: property to the ids of the releases where it had to be made up.
    shared: ids of several releases. unheld: of those of which a scenario can hold nothing else.
    """

    def __init__(self, found: list[dict[str, Any]]) -> None:
        self.unsure: dict[str, set[int]] = {name: set() for name in _KNOWN}
        self.found: dict[int, dict[str, Any]] = {}
        self.shared: set[int] = set()
        self.unheld: set[int] = set()
        self._made_up: dict[str, int] = {}
        for release in found:
            id_ = _integer(release.get("id"))
            if id_ is None:
                text = json.dumps(release, sort_keys=True)
                id_ = self._made_up.setdefault(text, -1_000_000 - len(self._made_up))
            if self.found.setdefault(id_, release) != release:
                self.shared.add(id_)
        self._written = {id_: self._write(id_, release) for id_, release in self.found.items()}
        held = completed(_SCHEMA.load(list(self._written.values())))
        self.held = dict(zip(self.found, held, strict=True))
        for unsure in self.unsure.values():
            unsure |= self.shared | self.unheld
        self.unsure["id"].update(self._made_up.values())
        self.mock = Mocked.of(self._written.values())

    def identify(self, release: Release) -> int | None:
        """The id of a release of any answer; None for one that was not in the first."""
        id_ = _integer(release.get("id"))
        if id_ is None and self._made_up:
            id_ = self._made_up.get(json.dumps(release, sort_keys=True))
        return id_ if id_ in self.found else None

    def ids(self, releases: Iterable[Release]) -> list[int]:
        """The ids of the releases of any answer, without those that were not in the first."""
        return [id_ for id_ in map(self.identify, releases) if id_ is not None]

    def _write(self, id_: int, release: Release) -> dict[str, Any]:
        """The nearest release that a scenario can hold."""
        written = {name: release.get(name, release.get(older)) for name, older in _KNOWN.items()}
        status = str(written["status"]).lower()
        written |= {"id": id_, "status": status if status in STATUSES else None}
        written = {name: value for name, value in written.items() if value is not None}
        lost = {"name", "status", "createdOn", *_STAND_INS} - written.keys()
        if "status" in lost and (release.get("canceledBy") or release.get("canceledOn")):
            written["status"] = "canceled"  # else it could not say by whom, and when
        for _ in range(_ROUNDS):
            written = {**_STAND_INS, "id": id_, **written}
            try:
                _SCHEMA.load([written])
                break
            except ValidationError as error:
                problems = dict[Any, Any](error.messages_dict)[0]
            lost |= problems.keys()
            written = {name: value for name, value in written.items() if name not in problems}
        else:
            self.unheld.add(id_)
            written = {**_STAND_INS, "id": id_}
        for name in lost & self.unsure.keys():
            self.unsure[name].add(id_)
        return written

    def values(self, property_: str) -> dict[int, Any]:
        """The value of a property that each release has, or None, without those made up."""
        held = ((id_, release.get(property_)) for id_, release in self.held.items())
        return {id_: value for id_, value in held if id_ not in self.unsure[property_]}

    @property
    def unseen(self) -> list[str]:
        """The properties of today's BuildMaster that no release has."""
        seen = {name for release in self.found.values() for name in release} | {"pipelineId"}
        return [name for name in _KNOWN if name not in seen]

    def scenario(self, hide: Callable[[Any], Any], *, anonymize: bool) -> dict[str, Any]:
        """The values of a scenario file that answers what the server did, as far as one can."""
        releases = [
            self._written[id_] | {name: release[name] for name in release if name not in _ALL}
            for id_, release in self.found.items()
            if id_ not in self.unheld
        ]
        text = json.dumps(hide(releases)).encode()
        values = imported([("the server", text)], anonymize=anonymize)
        return {**values, "description": "What a server answered to mockbm verify."}

    def differences(
        self, id_: int | None, real: Release, *, is_filtered: bool
    ) -> Iterator[tuple[str, str, str, str, str]]:
        """Where a release is not as in the mock, or in an answer with filters not as without them.

        Each is a kind, what else tells its cause, the property, and what both have.
        """
        if id_ is None or id_ in self.unheld | self.shared:
            return
        held, first = self.held[id_], self.found[id_]
        if is_filtered and real == first:
            return
        for name, value in real.items():
            if not is_filtered or _form(name, value) != _form(name, first.get(name, ...)):
                yield from _differing(name, value, held)
            elif value != first[name]:
                what = "another value with a filter than without"
                yield "property-value", f"{name} filtered", name, what, "the same"
        common = [name for name in real if name in held]
        if not is_filtered and common != [name for name in _ALL if name in common]:
            what = "the order of properties"
            yield "property-order", "", what, "another order", "the documented order"
        for name in _ALL:
            if name in held and name not in real:
                yield "property-missing", name, name, "leaves it out", "has it"


def _differing(name: str, value: Any, held: Release) -> Iterator[tuple[str, str, str, str, str]]:
    form, expected = _form(name, value), _EXPECTED.get(name, "has no such property")
    if name not in _EXPECTED:
        yield "property-new", name, name, form, expected
    elif value is None and name not in held:
        yield "property-null", "", name, form, "leaves it out"
    elif form != expected and isinstance(value, str) and name in (*RELEASE.dates, "status"):
        yield "date-form" if name in RELEASE.dates else "status-value", "", name, form, expected
    elif form != expected:
        expected = _FORMS[str] if name in (*RELEASE.dates, "status") else expected
        yield "property-type", name, name, form, expected
    elif name not in held:
        what = f"leaves it out where the status is {held['status']}"
        yield "property-new", name, name, form, what
    elif value != held[name]:
        both = "a value that no scenario holds", "another"
        if name in OLDER_NAMES:
            both = "a value of its own", f"the value of {OLDER_NAMES[name]}"
        yield "property-value", name, name, *both


def _integer(value: object) -> int | None:
    try:
        return int(_INTEGER.deserialize(value)) if value is not None else None
    except ValidationError:
        return None


_FORMS = {type(None): "null", bool: "true or false", int: "an integer", str: "a text"}
_FORMS |= {type(...): "missing", float: "a number with decimals", list: "a list", dict: "an object"}
_EXPECTED = {
    name: _FORMS[int if isinstance(field, Integer) else list if name == "deployables" else str]
    for name, field in _ALL.items()
}
_EXPECTED |= dict.fromkeys(RELEASE.dates, DEFAULT_CREATED_ON)
_EXPECTED["status"] = f"one of {', '.join(STATUSES)}"


def _form(name: str, value: Any) -> str:
    """What kind of value that is, in words; those of dates and statuses as they are expected."""
    if name in RELEASE.dates and isinstance(value, str):
        if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z", value, re.ASCII):
            return DEFAULT_CREATED_ON
        # What has letters may be the name of a person.
        is_date = re.fullmatch(r"[\dTtZz :./+-]{,40}", value, re.ASCII)
        return value if is_date else "a text that is not such a date"
    if name == "status" and isinstance(value, str):
        return _EXPECTED["status"] if value in STATUSES else "none of these"
    return "a number that JSON does not have" if value == math.inf else _FORMS[type(value)]
