"""The records of a server, what a mock can have in their place, and how the two differ."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from marshmallow import ValidationError

from ..core import request as core
from ..core.answer import answer
from ..core.fields import Integer, Row, Text
from ..core.mock import Mock
from ..core.scenario import ORDERS
from ..endpoints import KINDS, LISTS
from ..endpoints._records import DEFAULT_CREATED_ON
from .asking import Answer, Request

_ID = Integer()
_NONE = "mockbm-none"
_OF_APPLICATION = {"applicationId": -(2**31), "applicationName": _NONE}
_STAND_INS: dict[str, Row] = {
    "releases": {"number": _NONE, **_OF_APPLICATION},
    "builds": {"number": _NONE, **_OF_APPLICATION},
    "deployments": {"plan": _NONE, **_OF_APPLICATION},
    "applications": {"name": _NONE},
}
"""What every record of a server has [S, V], and what stands in its place where one has not."""
_NAMED = {"releaseId": "releaseNumber", "buildId": "buildNumber"}  # come together

_FORMS: dict[Any, str] = {type(None): "null", bool: "true or false", int: "an integer"}
_FORMS |= {float: "a number with decimals", str: "a text", list: "a list", dict: "an object"}
_JSON_TYPES: dict[str, type] = {"Integer": int, "Flag": bool, "JsonList": list}

Difference = tuple[str, str, str, str, str]
"""Its kind, what else tells its cause from others, the property, and what both sides have."""


def all_of(name: str) -> Request:
    """The request for all records of a kind."""
    endpoint = LISTS[name]
    # The vendor documents only POST for the list of applications.
    return Request(method="GET" if endpoint.parameters.fields else "POST", path=endpoint.path)


class Model:
    """A server's records of one kind, and a mock with the nearest ones that a scenario can hold.

    plain, first: the request for all of them, and the server's answer.
    mock: has a session for each model.
    filters: to the property that each selects by. id_filters, texts: those of numbers and of texts.
    statuses: what a record's status can be.
    found, held: id to each record as the server answered it, in its order, and as the mock has it.
    unsure: property to the ids of the records where it had to be made up.
    shared: ids of several records.
    """

    def __init__(self, name: str, first: Answer, mock: Mock) -> None:
        self.kind, self.plain, self.first = KINDS[name], all_of(name), first
        known, schema = LISTS[name].parameters.fields, self.kind.writer
        self.filters = {name: of for name, of in self.kind.filters.items() if name in known}
        self.id_filters = [name for name in self.filters if isinstance(known[name], Integer)]
        self.texts = [name for name in self.filters if isinstance(known[name], Text)]
        self.statuses: Sequence[str] = getattr(schema.fields.get("status"), "choices", ())
        self.older: Mapping[str, str] = getattr(self.kind.schema, "OLDER", {})
        self.expected = {
            name: _FORMS[_JSON_TYPES.get(type(field).__name__, str)]
            for name, field in schema.dump_fields.items()
        }
        self.expected |= dict.fromkeys(self.kind.dates, DEFAULT_CREATED_ON)
        if self.statuses:
            self.expected["status"] = f"one of {', '.join(self.statuses)}"
        self._made_up: dict[str, int] = {}
        self.found: dict[int, Row] = {}
        self.shared: set[int] = set()
        for record in first.records or ():
            id_ = self.identify(record)
            if self.found.setdefault(id_, record) != record:
                self.shared.add(id_)
        self.unsure = {name: {*self.shared} for name in self.expected if name not in self.older}
        self.unsure["id"].update(self._made_up.values())
        self._written = {id_: self._write(id_, record) for id_, record in self.found.items()}
        self._mock, self._session = mock, mock.open_session()
        written = {"releases": [], name: [*self._written.values()]}
        self._session.use_values({"order": ORDERS[1], **written})
        self.held = {record["id"]: record for record in self.ask(self.plain).records or ()}

    def ask(self, request: Request) -> Answer:
        """The mock's answer to a request."""
        target, headers, body = request.encode(self._session.api_key)
        path, _, query = target.partition("?")
        lower = {name.lower(): value for name, value in headers.items()}
        with self._mock.use(self._session.id) as session:
            session.restart()  # else deployments would go on with each answer
        found = answer(self._mock, core.Request(request.method, path, query, lower, body or b""))
        sent = b"" if request.method == "HEAD" else found.body
        return Answer(found.status, dict(found.headers), sent)

    def identify(self, record: Row) -> int:
        """The id of a record; one is made up where there is none."""
        try:
            return int(_ID.deserialize(record.get("id")))
        except ValidationError:
            text = json.dumps(record, sort_keys=True)
            return self._made_up.setdefault(text, -1_000_000 - len(self._made_up))

    def ids(self, records: Iterable[Row]) -> list[int]:
        """The ids of the records of any answer, without those that were not in the first."""
        return [id_ for id_ in map(self.identify, records) if id_ in self.found]

    def values(self, property_: str) -> dict[int, Any]:
        """The value of a property that each record has, or None, without those made up."""
        unsure = self.unsure[property_]
        return {id_: row.get(property_) for id_, row in self.held.items() if id_ not in unsure}

    def as_answer(self) -> list[Row]:
        """The records as far as a scenario can hold them."""
        return [
            self._written[id_] | {n: value for n, value in record.items() if n not in self.expected}
            for id_, record in self.found.items()
        ]

    def _write(self, id_: int, record: Row) -> Row:
        """The nearest record that a scenario can hold."""
        older = {name: older for older, name in self.older.items()}
        given = {name: record.get(name, record.get(older.get(name, name))) for name in self.unsure}
        given = {name: value for name, value in given.items() if value is not None}
        stand_ins = {"id": id_, **_STAND_INS[self.kind.name]}
        stand_ins |= {n: _NONE for of, n in _NAMED.items() if of in given and n in self.unsure}
        kept = given | {"id": id_, "status": str(given.get("status")).lower()}
        if kept["status"] not in self.statuses:
            del kept["status"]
            is_canceled = given.get("canceledBy") or given.get("canceledOn")
            if is_canceled and "canceled" in self.statuses:
                stand_ins["status"] = "canceled"  # else it could not say by whom, and when
        # What is wrong with a record may show only when something else has been left out.
        validate = self.kind.writer.validate
        while not kept.keys().isdisjoint(problems := validate(stand_ins | kept, many=False)):
            kept = {name: value for name, value in kept.items() if name not in problems}
        made_up = {"name", "status", "createdOn", *stand_ins, *given} - kept.keys()
        for name in made_up & self.unsure.keys():
            self.unsure[name].add(id_)
        return stand_ins | kept

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

    def differences(self, id_: int, real: Row, *, is_filtered: bool) -> Iterator[Difference]:
        """Where a record is not as in the mock, or with filters not as without."""
        if id_ not in self.found or id_ in self.shared:
            return
        held, first = self.held[id_], self.found[id_]
        if is_filtered and real == first:
            return
        for name, value in real.items():
            has_form = name in first and self.form(name, value) == self.form(name, first[name])
            if not is_filtered or not has_form:
                yield from self._differing(name, value, held)
            elif value != first[name]:
                what = "another value with a filter than without"
                yield "property-value", f"{name} filtered", name, what, "the same"
        if not is_filtered and [n for n in real if n in held] != [n for n in held if n in real]:
            what = "the order of properties"
            yield "property-order", "", what, "another order", "the documented order"
        for name in held:
            if name not in real:
                yield "property-missing", name, name, "leaves it out", "has it"

    def _differing(self, name: str, value: Any, held: Row) -> Iterator[Difference]:
        form, expected = self.form(name, value), self.expected.get(name, "has no such property")
        is_date = name in self.kind.dates
        if name not in self.expected:
            yield "property-new", name, name, form, expected
        elif value is None and held.get(name, ...) is None:
            return
        elif value is None and name not in held:
            yield "property-null", "", name, form, "leaves it out"
        elif form != expected and isinstance(value, str) and (is_date or name == "status"):
            yield "date-form" if is_date else "status-value", "", name, form, expected
        elif form != expected:
            is_text = is_date or name == "status"
            yield "property-type", name, name, form, _FORMS[str] if is_text else expected
        elif name not in held:
            what = f"leaves it out where the status is {held.get('status')}"
            yield "property-new", name, name, form, what
        elif value != held[name]:
            both = "a value that no scenario holds", "another"
            if name in self.older:
                both = "a value of its own", f"the value of {self.older[name]}"
            yield "property-value", name, name, *both
