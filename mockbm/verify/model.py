"""The records of a server, what a mock can have in their place, and how the two differ."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from marshmallow import ValidationError

from ..core.fields import Choice, Integer, Row, Text
from ..core.kind import Kind
from ..endpoints import KINDS, LISTS
from ..endpoints._references import DEFAULT_CREATED_ON
from ..importer import imported
from .asking import Mocked, Request

_INTEGER = Integer()
_ROUNDS = 5  # in which properties that do not fit are taken out before a record is given up
_OF_APPLICATION = {"applicationId": -(2**31), "applicationName": "mockbm-none"}
_STAND_INS: dict[str, Row] = {
    "releases": {"number": "mockbm-none", **_OF_APPLICATION},
    "builds": {"number": "mockbm-none", **_OF_APPLICATION},
    "deployments": {"plan": "mockbm-none", **_OF_APPLICATION},
    "applications": {"name": "mockbm-none"},
}
"""What every record of a server has [S, V], and what stands in its place where one has not."""
_NAMED = {"releaseId": "releaseNumber", "buildId": "buildNumber"}  # come together


class Listed:
    """An endpoint that lists records, and what both sides can be asked there.

    plain: the request for all records.
    filters, ids, texts: filter to the property that it selects by; those of numbers and of texts.
    statuses: what a record's status can be.
    """

    def __init__(self, name: str) -> None:
        endpoint = LISTS[name]
        self.kind: Kind = KINDS[name]
        # The vendor documents only POST for the list of applications.
        method = "GET" if endpoint.parameters.fields else "POST"
        self.plain = Request(method=method, path=endpoint.path)
        known, fields = endpoint.parameters.fields, self.kind.writer.fields
        self.filters = {name: of for name, of in self.kind.filters.items() if name in known}
        self.ids = [name for name in self.filters if isinstance(known[name], Integer)]
        self.texts = [name for name in self.filters if isinstance(known[name], Text)]
        status = fields.get("status")
        self.statuses: Sequence[str] = status.choices if isinstance(status, Choice) else ()
        self.properties = self.kind.writer.dump_fields
        self.older: Mapping[str, str] = getattr(self.kind.schema, "OLDER", {})
        self.expected = {
            name: _FORMS[_JSON_TYPES.get(type(field).__name__, str)]
            for name, field in self.properties.items()
        }
        self.expected |= dict.fromkeys(self.kind.dates, DEFAULT_CREATED_ON)
        if self.statuses:
            self.expected["status"] = f"one of {', '.join(self.statuses)}"

    def form(self, name: str, value: Any) -> str:
        """What kind of value that is, in words; of dates and statuses as they are expected."""
        if name in self.kind.dates and isinstance(value, str):
            if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z", value, re.ASCII):
                return DEFAULT_CREATED_ON
            # What has letters may be the name of a person.
            is_date = re.fullmatch(r"[\dTtZz :./+-]{,40}", value, re.ASCII)
            return value if is_date else "a text that is not such a date"
        if name == "status" and isinstance(value, str):
            return self.expected["status"] if value in self.statuses else "none of these"
        return "a number that JSON does not have" if value == math.inf else _FORMS[type(value)]


class Model:
    """The records of a server, and a mock with the nearest ones that a scenario can hold.

    found, held: id to each record as the server answered it, in its order, and as the mock has it.
    unsure: property to the ids of the records where it had to be made up.
    shared: ids of several records. unheld: of those of which a scenario can hold nothing else.
    """

    def __init__(self, listed: Listed, found: list[Row]) -> None:
        self.listed, self.kind = listed, listed.kind
        self._schema = self.kind.writer
        older = {name: older for older, name in listed.older.items()}
        self._known = {n: older.get(n, n) for n in listed.properties if n not in listed.older}
        self.unsure: dict[str, set[int]] = {name: set() for name in self._known}
        self.found: dict[int, Row] = {}
        self.shared: set[int] = set()
        self.unheld: set[int] = set()
        self._made_up: dict[str, int] = {}
        for record in found:
            id_ = _integer(record.get("id"))
            if id_ is None:
                text = json.dumps(record, sort_keys=True)
                id_ = self._made_up.setdefault(text, -1_000_000 - len(self._made_up))
            if self.found.setdefault(id_, record) != record:
                self.shared.add(id_)
        self._written = {id_: self._write(id_, record) for id_, record in self.found.items()}
        held = self.kind.complete(self._schema.load(list(self._written.values())), {})
        self.held = dict(zip(self.found, held, strict=True))
        for unsure in self.unsure.values():
            unsure |= self.shared | self.unheld
        self.unsure["id"].update(self._made_up.values())
        self.mock = Mocked.of({self.kind.name: [*self._written.values()]})

    def identify(self, record: Row) -> int | None:
        """The id of a record of any answer; None for one that was not in the first."""
        id_ = _integer(record.get("id"))
        if id_ is None and self._made_up:
            id_ = self._made_up.get(json.dumps(record, sort_keys=True))
        return id_ if id_ in self.found else None

    def ids(self, records: Iterable[Row]) -> list[int]:
        """The ids of the records of any answer, without those that were not in the first."""
        return [id_ for id_ in map(self.identify, records) if id_ is not None]

    def _write(self, id_: int, record: Row) -> Row:
        """The nearest record that a scenario can hold."""
        stand_ins = _STAND_INS[self.kind.name]
        stand_ins |= {number: "mockbm-none" for of, number in _NAMED.items() if of in record}
        stand_ins = {name: value for name, value in stand_ins.items() if name in self._known}
        written = {name: record.get(name, record.get(older)) for name, older in self._known.items()}
        status = str(written.get("status")).lower()
        written |= {"id": id_, "status": status if status in self.listed.statuses else None}
        written = {name: value for name, value in written.items() if value is not None}
        lost = ({"name", "status", "createdOn"} & self._known.keys() | stand_ins.keys()) - {
            *written
        }
        is_canceled = bool(record.get("canceledBy") or record.get("canceledOn"))
        if "status" in lost and is_canceled and "canceled" in self.listed.statuses:
            written["status"] = "canceled"  # else it could not say by whom, and when
        for _ in range(_ROUNDS):
            written = {**stand_ins, "id": id_, **written}
            try:
                self._schema.load([written])
                break
            except ValidationError as error:
                problems = dict[Any, Any](error.messages_dict)[0]
            lost |= problems.keys()
            written = {name: value for name, value in written.items() if name not in problems}
        else:
            self.unheld.add(id_)
            written = {**stand_ins, "id": id_}
        for name in lost & self.unsure.keys():
            self.unsure[name].add(id_)
        return written

    def values(self, property_: str) -> dict[int, Any]:
        """The value of a property that each record has, or None, without those made up."""
        held = ((id_, record.get(property_)) for id_, record in self.held.items())
        return {id_: value for id_, value in held if id_ not in self.unsure[property_]}

    @property
    def unseen(self) -> list[str]:
        """The properties of today's BuildMaster that no record has."""
        seen = {name for record in self.found.values() for name in record} | {"pipelineId"}
        return [name for name in self._known if name not in seen]

    def as_answer(self) -> list[Row]:
        """The records as far as a scenario can hold them."""
        return [
            self._written[id_] | {n: record[n] for n in record if n not in self.listed.properties}
            for id_, record in self.found.items()
            if id_ not in self.unheld
        ]

    def differences(
        self, id_: int | None, real: Row, *, is_filtered: bool
    ) -> Iterator[tuple[str, str, str, str, str]]:
        """Where a record is not as in the mock, or in an answer with filters not as without them.

        Each is a kind, what else tells its cause, the property, and what both have.
        """
        if id_ is None or id_ in self.unheld | self.shared:
            return
        held, first, form = self.held[id_], self.found[id_], self.listed.form
        if is_filtered and real == first:
            return
        for name, value in real.items():
            if not is_filtered or form(name, value) != form(name, first.get(name, ...)):
                yield from self._differing(name, value, held)
            elif value != first[name]:
                what = "another value with a filter than without"
                yield "property-value", f"{name} filtered", name, what, "the same"
        common = [name for name in real if name in held]
        if not is_filtered and common != [
            name for name in self.listed.properties if name in common
        ]:
            what = "the order of properties"
            yield "property-order", "", what, "another order", "the documented order"
        for name in self.listed.properties:
            if name in held and name not in real:
                yield "property-missing", name, name, "leaves it out", "has it"

    def _differing(
        self, name: str, value: Any, held: Row
    ) -> Iterator[tuple[str, str, str, str, str]]:
        dates, expected = self.kind.dates, self.listed.expected.get(name, "has no such property")
        form = self.listed.form(name, value)
        if name not in self.listed.expected:
            yield "property-new", name, name, form, expected
        elif value is None and held.get(name, ...) is None:
            return
        elif value is None and name not in held:
            yield "property-null", "", name, form, "leaves it out"
        elif form != expected and isinstance(value, str) and name in (*dates, "status"):
            yield "date-form" if name in dates else "status-value", "", name, form, expected
        elif form != expected:
            expected = _FORMS[str] if name in (*dates, "status") else expected
            yield "property-type", name, name, form, expected
        elif name not in held:
            what = f"leaves it out where the status is {held.get('status')}"
            yield "property-new", name, name, form, what
        elif value != held[name]:
            both = "a value that no scenario holds", "another"
            if name in self.listed.older:
                both = "a value of its own", f"the value of {self.listed.older[name]}"
            yield "property-value", name, name, *both


def scenario(
    models: Iterable[Model], hide: Callable[[Any], Any], *, anonymize: bool
) -> dict[str, Any]:
    """The values of a scenario file that answers what the server did, as far as one can."""
    answers = (json.dumps(hide(model.as_answer())).encode() for model in models)
    values = imported((("the server", answer) for answer in answers), anonymize=anonymize)
    return {**values, "description": "What a server answered to mockbm verify."}


def _integer(value: object) -> int | None:
    try:
        return int(_INTEGER.deserialize(value)) if value is not None else None
    except ValidationError:
        return None


_FORMS = {type(None): "null", bool: "true or false", int: "an integer", str: "a text"}
_FORMS |= {type(...): "missing", float: "a number with decimals", list: "a list", dict: "an object"}
_JSON_TYPES: dict[str, type] = {"Integer": int, "Flag": bool, "JsonList": list}
