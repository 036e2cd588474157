"""What a mock makes of a server's releases: the nearest scenario that it can hold, served here.

Whatever a scenario cannot hold is put right or left out, so that everything else can still be
compared; the comparison of the properties then tells it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, cast

from marshmallow import ValidationError

from ..app import create_app
from ..fields import Integer
from ..importing import imported
from ..mock import Mock
from ..releases import (
    DATES,
    DEFAULT_CREATED_ON,
    OLDER_NAMES,
    STATUSES,
    Release,
    ReleaseSchema,
    completed,
    load_releases,
)
from ..scenario import DEFAULT_API_KEY, ORDERS
from ..selection import FILTERS, Releases
from .asking import Mocked, Request
from .findings import Privacy, Report

_SCHEMA = ReleaseSchema(many=True)
_KNOWN = [name for name in _SCHEMA.dump_fields if name not in OLDER_NAMES]
_ROUNDS = 5
"""How often properties are taken out that do not go together, before a release is given up."""

_STAND_INS = {"number": "mockbm-none", "applicationId": -(2**31), "applicationName": "mockbm-none"}
"""What a scenario has to say where the server says nothing."""


class Model:
    """The releases of a server, and a mock in this process that has them, too.

    found: as the server answered them.
    ids: of the releases, in the server's order, each once.
    held: id to what the mock's scenario has instead, as loaded and completed.
    unsure: property to the ids of the releases where it had to be made up.
    shared: ids that several releases have that are not the same.
    unheld: ids of releases of which a scenario can hold nothing but that.
    """

    def __init__(self, found: list[dict[str, Any]]) -> None:
        checked = (*FILTERS.values(), "createdOn")
        self.unsure: dict[str, set[int]] = {name: set() for name in checked}
        self._made_up: dict[str, int] = {}
        self.found: dict[int, dict[str, Any]] = {}
        self.shared: set[int] = set()
        self.unheld: set[int] = set()
        for release in found:
            if self.found.setdefault(self._id(release), release) != release:
                self.shared.add(self._id(release))
        for unsure in self.unsure.values():
            unsure |= self.shared
        self.ids = tuple(self.found)
        given = [self._given(id_, release) for id_, release in self.found.items()]
        self.held = dict(zip(self.ids, completed(self._put_right(given)), strict=True))
        self._given_releases = given
        app = create_app(None, "empty", admin_api=False)
        values = {"order": ORDERS[1], "releases": self._given_releases}
        cast(Mock, app.extensions["mockbm"]).default.use_values(values)
        self.mock = Mocked(app, DEFAULT_API_KEY)
        served = self.mock.ask(Request()).releases() or []
        self.served = dict(zip(self.ids, served, strict=True))

    def _id(self, release: Mapping[str, Any]) -> int:
        """The id of a release of the first answer; one is made up where there is none."""
        id_ = _whole(release.get("id"))
        if id_ is None:
            text = json.dumps(release, sort_keys=True)
            id_ = self._made_up.setdefault(text, -1_000_000 - len(self._made_up))
            self.unsure["id"].add(id_)
        return id_

    def identify(self, release: Mapping[str, Any]) -> int | None:
        """The id of a release of any answer; None for one that was not in the first."""
        id_ = release.get("id")
        if type(id_) is int and id_ in self.found:  # most are
            return id_
        id_ = _whole(id_)
        if id_ is None:
            return self._made_up.get(json.dumps(release, sort_keys=True))
        return id_ if id_ in self.found else None

    def _given(self, id_: int, release: Mapping[str, Any]) -> dict[str, Any]:
        """A release as a scenario file would give it, with nothing that it cannot know."""
        given = {name: release[name] for name in _KNOWN if release.get(name) is not None}
        for older, name in OLDER_NAMES.items():
            if name not in given and release.get(older) is not None:
                given[name] = release[older]
        given["id"] = id_
        status = str(given.pop("status", "")).lower()
        if status in STATUSES:
            given["status"] = status
        is_canceled = bool(release.get("canceledBy") or release.get("canceledOn"))
        for name in DATES:
            if not isinstance(given.get(name), str) or given[name].startswith("now"):
                given.pop(name, None)
        for name in ("name", "status", "createdOn", *_STAND_INS):
            if name not in given:
                self._make_up(given, name)
        if "status" not in given and is_canceled:
            given["status"] = "canceled"  # else there were no place for who did it, and when
        return given

    def _make_up(self, given: dict[str, Any], name: str) -> None:
        given.pop(name, None)
        if name in self.unsure:
            self.unsure[name].add(given["id"])
        if name in _STAND_INS:
            given[name] = _STAND_INS[name]

    def _put_right(self, releases: list[dict[str, Any]]) -> list[Release]:
        """Take out the values that no scenario can hold. Returns: the releases as loaded."""
        problems: Mapping[Any, Any] = {}
        for _ in range(_ROUNDS):
            try:
                return load_releases(releases)
            except ValidationError as error:
                problems = cast(Mapping[Any, Any], error.messages_dict)
            for at, named in problems.items():
                for name in named:
                    self._make_up(releases[at], str(name))
        for at in problems:  # as a last resort
            releases[at] = {"id": releases[at]["id"], **_STAND_INS}
            self.unheld.add(releases[at]["id"])
        for unsure in self.unsure.values():
            unsure |= self.unheld
        return load_releases(releases)

    def values(self, property_: str) -> dict[int, Any]:
        """The value of one property that each release has, or None, without those made up."""
        return {
            id_: release.get(property_)
            for id_, release in self.held.items()
            if id_ not in self.unsure[property_]
        }

    def unseen(self) -> list[str]:
        """The properties of today's BuildMaster that no release has."""
        seen = {name for release in self.found.values() for name in release}
        return [name for name in _KNOWN if name not in seen and name != "pipelineId"]

    def newest_first(self) -> tuple[int, ...]:
        """The ids in the mock's own order."""
        return Releases(self.held.values()).ids

    def scenario(self, privacy: Privacy, *, anonymize: bool) -> dict[str, Any]:
        """The values of a scenario file that answers what was seen, as far as one can."""
        releases = [
            given | {name: value for name, value in found.items() if name not in _ALL}
            for given, found in zip(self._given_releases, self.found.values(), strict=True)
            if given["id"] not in self.unheld
        ]
        text = json.dumps(privacy.without_key(releases)).encode()
        values = imported([("the server", text)], anonymize=anonymize)
        description = "What a server answered to mockbm verify."
        return {**values, "description": description}


_ALL = frozenset(_SCHEMA.dump_fields)


def _whole(value: object) -> int | None:
    try:
        return int(Integer().deserialize(value)) if value is not None else None
    except ValidationError:
        return None


class Properties:
    """Compares releases as a server answers them with what the mock serves in their place.

    Those that no scenario holds, and several that share an id, cannot be compared.
    """

    def __init__(self, model: Model, report: Report, privacy: Privacy) -> None:
        self._model = model
        self._report = report
        self._privacy = privacy
        self._statuses: set[str] = set()

    def compare(self, releases: Iterable[Mapping[str, Any]], example: str = "") -> None:
        """Look at the releases of one answer. example: the request, where it has a filter."""
        for real in releases:
            id_ = self._model.identify(real)
            if id_ is None or id_ in self._model.unheld or id_ in self._model.shared:
                continue
            first = self._model.found[id_]
            if example and real == first:
                continue
            mocked = self._model.served[id_]
            if example:
                where = f"release {id_} in {example}"
                self._names(self._changed(real, first, where), mocked, where)
            else:
                where = f"release {id_}"
                self._names(real, mocked, where)
                self._order(real, mocked, where)
            for name in [name for name in mocked if name not in real]:
                self._add("property-missing", name, name, "leaves it out", "has it", where)

    def _names(self, real: Mapping[str, Any], mocked: Mapping[str, Any], where: str) -> None:
        for name, value in real.items():
            if name in mocked:
                self._value(name, value, mocked[name], where)
            elif value is None and name in _ALL:
                self._add("property-null", "", name, "null", "leaves it out", where)
            elif name in _ALL and _kind(value) != _kind_of(name):
                self._add("property-type", name, name, _kind(value), _kind_of(name), where)
            elif name == "targetDate":
                self._add("date-form", "", name, _date(value), DEFAULT_CREATED_ON, where)
            else:
                what = f"leaves it out where the status is {mocked['status']}"
                what = what if name in _ALL else "has no such property"
                self._add("property-new", name, name, _kind(value), what, where)

    def _order(self, real: Mapping[str, Any], mocked: Mapping[str, Any], where: str) -> None:
        common = [name for name in real if name in mocked]
        if common != [name for name in mocked if name in real]:
            server, mock = "another order", "the documented order"
            self._add("property-order", "", "the order of properties", server, mock, where)

    def _value(self, name: str, value: Any, mocked: Any, where: str) -> None:
        if name in DATES and isinstance(value, str):
            if value != mocked:
                self._add("date-form", "", name, _date(value), mocked[:30], where)
        elif _kind(value) != _kind(mocked):
            self._add("property-type", name, name, _kind(value), _kind(mocked), where)
        elif name == "status" and value != mocked:
            self._status(value, where)
        elif value != mocked and name in OLDER_NAMES:
            what = f"the value of {OLDER_NAMES[name]}"
            self._add("property-value", name, name, "a value of its own", what, where)
        elif value != mocked:
            server = "a value that no scenario holds"
            self._add("property-value", name, name, server, "another", where)

    def _status(self, value: str, where: str) -> None:
        """Tell each status that is none once, however many releases have it."""
        if value not in self._statuses:
            self._statuses.add(value)
            example = f"{self._privacy(value)[:40]!r}, as of {where}"
            mock = f"one of {', '.join(STATUSES)}"
            self._add("status-value", "", "status", "none of these", mock, example)

    def _changed(
        self, real: Mapping[str, Any], first: Mapping[str, Any], where: str
    ) -> dict[str, Any]:
        """What a release has in a filtered answer that is new or of another type there."""
        left = {}
        for name, value in real.items():
            if name not in first or _kind(value) != _kind(first[name]):
                left[name] = value
            elif value != first[name]:
                server = "another value with a filter than without"
                self._add("property-value", f"{name} filtered", name, server, "the same", where)
        return left

    def _add(self, kind: str, key: str, name: str, server: str, mock: str, where: str) -> None:
        self._report.add((kind, key), [self._privacy(name)], server, mock, where)


_KINDS = {
    type(None): "null",
    bool: "true or false",
    int: "an integer",
    float: "a number with decimals",
    str: "a text",
    list: "a list",
    dict: "an object",
}


def _kind(value: Any) -> str:
    return "no number that JSON has" if value == math.inf else _KINDS[type(value)]


def _kind_of(name: str) -> str:
    field = _SCHEMA.dump_fields[name]
    return _KINDS[int if isinstance(field, Integer) else list if name == "deployables" else str]


def _date(text: str) -> str:
    """A date as it came, unless it is something else: that might name a person."""
    if (
        len(text) > 40
        or not text.isprintable()
        or any(letter.isalpha() and letter not in "TtZz" for letter in text)
    ):
        return "a text that is no such date"
    return text
