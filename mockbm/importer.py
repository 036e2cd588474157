"""Answers of a real server becoming a scenario file, and scenarios becoming text."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

import yaml
from marshmallow import ValidationError

from .core.errors import Problem, ScenarioError, flatten, plural, spell
from .core.fields import MAX_DEPTH, Row, write_json
from .core.kind import Kind
from .core.scenario import ORDERS, RELEASES
from .endpoints import KINDS, LISTS
from .endpoints._references import DEFAULT_CREATED_ON, RecordSchema
from .files.directory import UNTYPED, inline_scenario

PERSONS = re.compile(r"(by|user|username|email|person)$", re.IGNORECASE)
"""Names of the properties that hold the name of a person."""


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
    names = []
    order = ORDERS[0]
    for name, content in answers:
        names.append(name.encode("utf-8", "replace").decode())
        array = _array(names[-1], content)
        kind = _kind(names[-1], array)
        reader = _Reader(names[-1], kind.schema(many=True), prefer)
        found[kind.name] |= dict(map(reader.read, range(len(array)), array))
        if kind.dates and reader.moments != sorted(reader.moments, reverse=True):
            order = ORDERS[1]
        for what, count in reader.preferred.items():
            tell(f"{names[-1]}: {what} in {plural(count, kind.noun)}")
    records = {kind: [*rows.values()] for kind, rows in found.items() if rows or kind == RELEASES}
    files = ", ".join(PurePath(name).name for name in names)
    values: dict[str, Any] = {
        "description": f"What a server answered, imported from {files}.",
        **({"order": order} if order != ORDERS[0] else {}),
        **(_anonymous(records) if anonymize else records),
    }
    inline_scenario(values)  # which finds what is wrong with records of several files together
    return values


_IN_FILE = ("applications", "releases", "builds", "deployments")
"""The kinds of record in the order in which a file has them."""


def scenario_text(values: Mapping[str, Any], *, as_json: bool = False) -> str:
    """The values of a scenario as the text of a file, YAML or JSON, that says the same."""
    if as_json:
        return json.dumps(values, indent=1) + "\n"
    text: str = yaml.dump(
        {name: _literal(value) for name, value in values.items()},
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=100,
    )
    return text


def _array(name: str, content: bytes) -> Sequence[Any]:
    try:  # in UTF-8, UTF-16 or UTF-32, with a byte-order mark or without
        array = json.loads(content, parse_float=_finite, parse_constant=_finite)
    except UnicodeDecodeError as error:
        what = (
            f"is not {error.encoding.upper()}: byte 0x{content[error.start]:02x} at {error.start}"
        )
        raise _problem(name, "file", f"{what}; save it as UTF-8") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise _problem(name, "file", f"is not JSON: {error.msg} at {place}") from None
    except (ValueError, RecursionError) as error:
        raise _problem(name, "file", f"is not JSON: {error}") from None
    if not isinstance(array, list):
        what = "is not a JSON array of releases, builds, deployments or applications"
        raise _problem(name, "file", f"{what}, as a server answers it")
    return array


def _kind(name: str, array: Sequence[Any]) -> Kind:
    """The kind of the records of an answer: the one that has most of their properties."""
    properties = {key for record in array if isinstance(record, dict) for key in record}
    shared = {kind: len(properties & KINDS[kind].writer.dump_fields.keys()) for kind in LISTS}
    best = max(shared, key=shared.__getitem__)
    if properties and not shared[best]:
        paths = ", ".join(endpoint.path for endpoint in LISTS.values())
        raise _problem(name, "file", f"is an answer of another kind than those of {paths}")
    return KINDS[best]


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a number that JSON can write")
    return number


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, Mapping) else value
    return 1 + max(map(_depth, inner), default=0) if isinstance(value, (Mapping, list)) else 0


def _problem(name: str, where: str, what: str) -> ScenarioError:
    return ScenarioError([Problem("", 0, 0, f"{name}: {where}", what)])


class _Reader:
    """Reads the records of one answer.

    moments: what orders them: when each was created, and its id.
    preferred: what was preferred, and in how many records.
    """

    def __init__(self, name: str, schema: Any, prefer: str | None) -> None:
        self._name, self._prefer = name, prefer
        self._schema: RecordSchema = schema
        self.moments: list[tuple[str, int]] = []
        self.preferred: Counter[str] = Counter()

    def read(self, number: int, record: Any) -> tuple[int, Row]:
        """A record without its defaults, and its id. Raises: ScenarioError."""
        where = (self._schema.NAME, number)
        known, extra = record, {}
        if isinstance(record, dict):
            if _depth(record) > MAX_DEPTH - 10:
                raise _problem(self._name, spell(where), "is nested too deep for a scenario file")
            fields = self._schema.dump_fields
            known = {name: value for name, value in record.items() if name in fields}
            extra = {name: value for name, value in record.items() if name not in fields}
            self._choose(known)
        try:
            (loaded,) = self._schema.load([known])
        except ValidationError as error:
            messages: dict[Any, Any] = error.messages_dict
            raise ScenarioError(
                Problem("", 0, 0, f"{self._name}: {spell((*where, *path))}", self._help(what))
                for path, what in flatten(messages[0])
            ) from None
        try:
            write_json(record)
        except UnicodeEncodeError:
            raise _problem(self._name, spell(where), "holds half of a surrogate pair") from None
        tidy = self._schema.under_newer_names(
            {name: value for name, value in known.items() if value is not None}
        )
        if tidy.get("name") == tidy.get("number"):
            tidy.pop("name", None)
        if tidy.get("deployables") == []:
            del tidy["deployables"]
        self.moments.append((loaded.get("createdOn", DEFAULT_CREATED_ON), loaded["id"]))
        return loaded["id"], tidy | ({"extra": extra} if extra else {})

    def _choose(self, record: Row) -> None:
        """Leave out what is not preferred of two names that have different values."""
        for older, newer in self._schema.OLDER.items() if self._prefer else ():
            values = record.get(older), record.get(newer)
            if None in values or str(values[0]) == str(values[1]):
                continue
            if self._prefer == "older":
                record[newer] = values[0]
            del record[older]
            taken = older if self._prefer == "older" else newer
            self.preferred[f"{older} differs from {newer}, and {taken} is taken,"] += 1

    def _help(self, what: str) -> str:
        """An error, which for two names with different values says how they can be imported."""
        problem, contradicts, rest = what.partition(" contradicts ")
        if not contradicts:
            return what
        both = f"{problem}{contradicts}{rest.partition(';')[0]}"
        return f"{both}; --prefer newer or --prefer older takes one of the two"


class Aliases:
    """Other names for persons, to stand in any text wherever theirs do, in any case."""

    def __init__(self) -> None:
        self._aliases: dict[str, str] = {}
        self._forms: set[str] = set()
        self._persons = 0
        self._pattern: re.Pattern[str] | None = None

    def learn(self, persons: Iterable[str]) -> None:
        """Add persons: each that is new gets the next alias, `Person1`, `Person2`, ...

        The account alone, of `CORP\\jdoe` or `jdoe@corp.example`, means the same person, unless
        it is the name of another.
        """
        persons = list(dict.fromkeys(persons))
        for person in persons:
            if person.casefold() not in self._aliases:
                self._persons += 1
                self._note(person, f"Person{self._persons}")
        for person in persons:
            account = _account(person)
            if account and account.casefold() not in self._aliases:
                self._note(account, self.of(person))
        longest_first = sorted(map(re.escape, self._forms), key=len, reverse=True)
        if longest_first:
            joined = "|".join(longest_first)
            self._pattern = re.compile(rf"(?<!\w)(?:{joined})(?!\w)", re.IGNORECASE)

    def _note(self, name: str, alias: str) -> None:
        folded = name.casefold()
        self._aliases[folded] = alias
        # A letter may be two in the other case, which no pattern knows.
        others = {form for form in (name, name.upper()) if len(form) != len(folded)}
        self._forms |= {folded, *others}

    def of(self, person: str) -> str:
        """The alias of a person; `Person` for one that is not known."""
        return self._aliases.get(person.casefold(), "Person")

    def __call__(self, text: str) -> str:
        """A text with aliases in place of the persons in it."""
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda match: self.of(match[0]), text)


_NO_PERSON = ("", "system", "api")
"""What stands for no person, in lower case."""


def _account(person: str) -> str:
    """The account in `CORP\\jdoe` or `jdoe@corp.example`; "" for other names, and for a number."""
    name = person.rpartition("\\")[2].partition("@")[0].strip()
    tells = name != person and name.casefold() not in _NO_PERSON and re.search(r"[^\W\d_]", name)
    return name if tells else ""


def _anonymous(records: Mapping[str, list[Row]]) -> dict[str, list[Row]]:
    aliases = Aliases()
    aliases.learn(named_persons(records))

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
        if _is_person(value, name):
            return aliases.of(str(value))
        return aliases(value) if isinstance(value, str) else value

    return {kind: replaced(rows) for kind, rows in records.items()}


_KNOWN = {name for kind in KINDS.values() for name in kind.writer.dump_fields}
_NO_NAMES = {"status", *(name for kind in KINDS.values() for name in kind.dates)}


def _is_person(value: Any, name: str) -> bool:
    if not isinstance(value, (str, int)) or isinstance(value, bool):
        return False
    return bool(PERSONS.search(name)) and str(value).casefold() not in _NO_PERSON


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


def _plain(text: str) -> yaml.ScalarNode:
    """A node that is written as it stands, whatever PyYAML would take it for."""
    resolver: Any = yaml.resolver.Resolver()
    return yaml.ScalarNode(resolver.resolve(yaml.ScalarNode, text, (True, False)), text)


class _Quoted(str):
    """A text that is written in quotes, because plain it could be read as something else."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    """Writes what `Document` reads."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _text_node(text: str, style: str | None) -> yaml.ScalarNode:
    """A text in a style that keeps what PyYAML takes for line ends, and `Document` does not."""
    odd = not _ODD.isdisjoint(text)
    return yaml.ScalarNode("tag:yaml.org,2002:str", str(text), style='"' if odd else style)


_ODD = frozenset("\x85\u2028\u2029")
_Dumper.add_representer(str, lambda _, text: _text_node(text, None))
_Dumper.add_representer(_Quoted, lambda _, text: _text_node(text, "'"))
_Dumper.add_representer(float, lambda _, number: _plain(repr(number)))


def _literal(value: Any, *, untyped: bool = False) -> Any:
    if isinstance(value, Mapping):
        return {
            str(key): _literal(inner, untyped=untyped or key in UNTYPED)
            for key, inner in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_literal(inner, untyped=untyped) for inner in value]
    return _Quoted(value) if untyped and isinstance(value, str) else value
