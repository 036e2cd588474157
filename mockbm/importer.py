"""Answers of a real server becoming a scenario file, and scenarios becoming text."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

import yaml
from marshmallow import ValidationError

from .core.errors import Problem, ScenarioError, flatten, plural, spell
from .core.fields import MAX_DEPTH, Row
from .core.kind import Kind
from .core.scenario import ORDERS, RELEASES
from .endpoints import KINDS, LISTS
from .endpoints._records import DEFAULT_CREATED_ON
from .files.directory import inline_scenario

_IN_FILE = ("applications", "releases", "builds", "deployments")
"""The kinds of record in the order in which a file has them."""

_PERSONS = re.compile(r"(by|user|username|email|person)$", re.IGNORECASE)
"""Names of the properties that hold the name of a person."""

_NO_PERSON = ("", "system", "api")
"""What stands for no person, in lower case."""

_KNOWN = {name for kind in KINDS.values() for name in kind.writer.dump_fields}
_NO_NAMES = {"status", *(name for kind in KINDS.values() for name in kind.dates)}


def imported(
    answers: Iterable[tuple[str, bytes]],
    *,
    anonymize: bool = False,
    prefer: str | None = None,
    tell: Callable[[str], object] = lambda _: None,
) -> dict[str, Any]:
    """The values of a scenario file that answers what a real server answered.

    answers: names of files and what they hold: JSON arrays of releases, builds, deployments or
        applications, as the endpoints that list them answer. A record that is in several of them is
        taken from the last.
    anonymize: call persons `Person1`, `Person2`, ... wherever they occur.
    prefer: `newer` or `older`: which counts of two names of a property that have different values;
        by default, such a difference is an error.
    tell: is called with what was preferred.
    Raises: ScenarioError for what is not such an array, and records that contradict one another.
    """
    found: dict[str, dict[int, Row]] = {name: {} for name in _IN_FILE}
    names: list[str] = []
    order = ORDERS[0]
    for path, content in answers:
        name = path.encode("utf-8", "replace").decode()
        names.append(name)
        preferred: Counter[str] = Counter()
        try:
            array = _array(content)
            kind = _kind(array)
            read = [_read(kind, at, record, prefer, preferred) for at, record in enumerate(array)]
        except ValidationError as error:
            messages: dict[Any, Any] = error.messages_dict
            raise ScenarioError(
                Problem("", 0, 0, f"{name}: {spell(where)}", _CONTRADICTS.sub(_PREFER, what))
                for where, what in flatten(messages)
            ) from None
        found[kind.name] |= {id_: row for (_, id_), row in read}
        moments = [moment for moment, _ in read]
        if kind.dates and moments != sorted(moments, reverse=True):
            order = ORDERS[1]
        for what, count in preferred.items():
            tell(f"{name}: {what} in {plural(count, kind.noun)}")
    records = {kind: [*rows.values()] for kind, rows in found.items() if rows or kind == RELEASES}
    files = ", ".join(PurePath(name).name for name in names)
    values: dict[str, Any] = {
        "description": f"What a server answered, imported from {files}.",
        **({"order": order} if order != ORDERS[0] else {}),
        **(_anonymous(records) if anonymize else records),
    }
    inline_scenario(values)  # which finds what is wrong with records of several files together
    return values


_CONTRADICTS = re.compile("( contradicts [^;]*);.*")
_PREFER = r"\1; --prefer newer or --prefer older takes one of the two"


def _array(content: bytes) -> Sequence[Any]:
    try:  # in UTF-8, UTF-16 or UTF-32, with a byte-order mark or without
        array = json.loads(content)
    except UnicodeDecodeError as error:
        byte = f"byte 0x{content[error.start]:02x} at {error.start}"
        what = f"is not {error.encoding.upper()}: {byte}; save it as UTF-8"
    except json.JSONDecodeError as error:
        what = f"is not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
    except RecursionError as error:
        what = f"is not JSON: {error}"
    else:
        if isinstance(array, list):
            return array
        what = "is not a JSON array of releases, builds, deployments or applications"
        what += ", as a server answers it"
    raise ValidationError({"file": [what]})


def _kind(array: Sequence[Any]) -> Kind:
    """The kind of the records of an answer: the one that has most of their properties."""
    properties = {key for record in array if isinstance(record, dict) for key in record}
    shared = {kind: len(properties & KINDS[kind].writer.dump_fields.keys()) for kind in LISTS}
    best = max(shared, key=shared.__getitem__)
    if properties and not shared[best]:
        paths = ", ".join(endpoint.path for endpoint in LISTS.values())
        what = f"is an answer of another kind than those of {paths}"
        raise ValidationError({"file": [what]})
    return KINDS[best]


def _read(
    kind: Kind, number: int, record: Any, prefer: str | None, preferred: Counter[str]
) -> tuple[tuple[str, int], Row]:
    """When a record was created and its id, and the record without its defaults."""
    schema: Any = kind.writer
    row, extra = record, {}
    if isinstance(record, dict):
        row = {name: value for name, value in record.items() if name in schema.dump_fields}
        unknown = {name: value for name, value in record.items() if name not in row}
        extra = {"extra": unknown} if unknown else {}
        _choose(schema.OLDER if prefer else {}, row, prefer, preferred)
    try:
        loaded = schema.load({**row, **extra} if extra else row, many=False)
    except ValidationError as error:
        raise ValidationError({kind.name: {number: error.messages}}) from None
    row = {name: value for name, value in row.items() if value is not None}
    row = schema.under_newer_names(row) | extra
    if row.get("name") == row.get("number"):
        row.pop("name", None)
    if row.get("deployables") == []:
        del row["deployables"]
    if _depth(row) + 2 > MAX_DEPTH:  # in a file, it is in a list in a mapping
        what = "is nested too deep for a scenario file"
        raise ValidationError({kind.name: {number: [what]}})
    return (loaded.get("createdOn", DEFAULT_CREATED_ON), loaded["id"]), row


def _choose(
    older_names: Mapping[str, str], row: Row, prefer: str | None, preferred: Counter[str]
) -> None:
    """Leave out what is not preferred of two names that have different values."""
    for older, newer in older_names.items():
        values = row.get(older), row.get(newer)
        if None in values or str(values[0]) == str(values[1]):
            continue
        if prefer == "older":
            row[newer] = values[0]
        del row[older]
        taken = older if prefer == "older" else newer
        preferred[f"{older} differs from {newer}, and {taken} is taken,"] += 1


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value
    return 1 + max(map(_depth, inner), default=0) if isinstance(value, (dict, list)) else 0


class Aliases:
    """Other names for persons, to stand in any text wherever theirs do, in any case.

    persons: each gets the next of `Person1`, `Person2`, ... The account alone, of `CORP\\jdoe` or
        `jdoe@corp.example`, means the same person, unless it is the name of another.
    """

    def __init__(self, persons: Iterable[str]) -> None:
        self._aliases: dict[str, str] = {}
        persons = list(persons)
        for person in persons:
            self._aliases.setdefault(person.casefold(), f"Person{len(self._aliases) + 1}")
        accounts = {account: person for person in persons if (account := _account(person))}
        for account, person in accounts.items():
            self._aliases.setdefault(account.casefold(), self._aliases[person.casefold()])
        forms = set(self._aliases)
        for name in (*persons, *accounts):  # a letter may be two in the other case
            forms.update(form for form in (name, name.upper()) if len(form) != len(name.casefold()))
        longest_first = sorted(map(re.escape, forms), key=len, reverse=True)
        any_of_them = "|".join(longest_first) or "(?!)"
        self._pattern = re.compile(rf"(?<!\w)(?:{any_of_them})(?!\w)", re.IGNORECASE)

    def __call__(self, text: str) -> str:
        """A text with aliases in place of the persons in it."""
        # A pattern that ignores case takes some letters for others, which no alias has.
        return self._pattern.sub(lambda at: self._aliases.get(at[0].casefold(), "Person"), text)


def _account(person: str) -> str:
    """The account in `CORP\\jdoe` or `jdoe@corp.example`; "" for other names, and for a number."""
    name = person.rpartition("\\")[2].partition("@")[0].strip()
    tells = name != person and name.casefold() not in _NO_PERSON and re.search(r"[^\W\d_]", name)
    return name if tells else ""


def named_persons(value: Any, name: str = "") -> Iterator[str]:
    """The names of persons anywhere in `value`, which stands under a property of that name."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from named_persons(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from named_persons(inner, name)
    elif _is_person(value, name):
        yield str(value)


def _is_person(value: Any, name: str) -> bool:
    if not isinstance(value, (str, int)) or isinstance(value, bool):
        return False
    return bool(_PERSONS.search(name)) and str(value).casefold() not in _NO_PERSON


def _anonymous(records: Mapping[str, list[Row]]) -> dict[str, list[Row]]:
    aliases = Aliases(named_persons(records))

    def replaced(value: Any, name: str = "") -> Any:
        if name in _NO_NAMES:
            return value
        if isinstance(value, Mapping):
            return {
                key if key in _KNOWN else aliases(key): replaced(inner, key)
                for key, inner in value.items()
            }
        if isinstance(value, list):
            return [replaced(inner, name) for inner in value]
        is_text = isinstance(value, str) or _is_person(value, name)
        return aliases(str(value)) if is_text else value

    return {kind: replaced(rows) for kind, rows in records.items()}


def scenario_text(values: Mapping[str, Any], *, as_json: bool = False) -> str:
    """The values of a scenario as the text of a file, YAML or JSON, that says the same."""
    if as_json:
        return json.dumps(values, indent=1) + "\n"
    text: str = yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    return text


class _Dumper(yaml.SafeDumper):
    """Writes what `Document` reads."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True

    def represent_text(self, text: str) -> yaml.ScalarNode:
        # In quotes, these stay what they are; PyYAML takes them for line ends.
        has_line_end = not {"\x85", "\u2028", "\u2029"}.isdisjoint(text)
        return self.represent_scalar(
            "tag:yaml.org,2002:str", text, style='"' if has_line_end else None
        )

    def represent_number(self, number: float) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:float", repr(number))


_Dumper.add_representer(str, _Dumper.represent_text)
_Dumper.add_representer(float, _Dumper.represent_number)
_Dumper.add_implicit_resolver(  # numbers of JSON, which PyYAML takes for texts if they have no "."
    "tag:yaml.org,2002:float",
    re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?\Z"),
    list("-0123456789"),
)
