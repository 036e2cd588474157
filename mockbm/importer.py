"""Answers of a real server becoming a scenario file, and scenarios becoming text."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

import yaml
from marshmallow import ValidationError

from .core.errors import Problem, ScenarioError, flatten, spell
from .core.fields import MAX_DEPTH, Row, write_json
from .core.scenario import ORDERS
from .endpoints.releases import RELEASE, ReleaseSchema, completed, under_newer_names
from .files.directory import UNTYPED

PERSONS = re.compile(r"(by|user|username|email|person)$", re.IGNORECASE)
"""Names of the properties that hold the name of a person."""


def imported(answers: Iterable[tuple[str, bytes]], *, anonymize: bool = False) -> dict[str, Any]:
    """The values of a scenario file that answers what a real server answered.

    answers: names of files and what they hold, JSON arrays of ReleaseInfo. A release that is in
        several of them is taken from the last.
    anonymize: call persons `Person1`, `Person2`, ... wherever they occur.
    Raises: ScenarioError for what is not such an array.
    """
    found: dict[int, Mapping[str, Any]] = {}
    names = []
    for name, content in answers:
        names.append(name.encode("utf-8", "replace").decode())
        for number, release in enumerate(_array(names[-1], content)):
            found[_id(names[-1], number, release)] = release
    given = [_without_names(release) for release in found.values()]
    releases = _anonymous(given) if anonymize else given
    files = ", ".join(PurePath(name).name for name in names)
    description = f"What a server answered, imported from {files}."
    values: dict[str, Any] = {"description": description, "releases": releases}
    loaded = [*completed(ReleaseSchema(many=True).load(releases))]
    if loaded != sorted(loaded, key=newest, reverse=True):
        values["order"] = ORDERS[1]
        values["releases"] = values.pop("releases")  # the long part comes last
    return values


def newest(release: Row) -> tuple[str, int]:
    """What orders complete releases: the newest has the greatest."""
    return release["createdOn"], release["id"]


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
    try:
        array = json.loads(content.decode("utf-8-sig"), parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError) as error:
        raise _problem(name, "file", f"is not JSON: {error}") from None
    if not isinstance(array, list):
        raise _problem(name, "file", "is not a JSON array of releases, as the endpoint answers it")
    return array


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


def _id(name: str, number: int, release: Any) -> int:
    """The id of what can be a release. Raises: ScenarioError for what cannot."""
    known = release
    if isinstance(release, dict):
        known = {key: value for key, value in release.items() if key in _KNOWN}
        if _depth(release) > MAX_DEPTH - 10:
            raise _problem(name, spell((number,)), "is nested too deep for a scenario file")
    try:
        loaded = ReleaseSchema(many=True).load([known])
    except ValidationError as error:
        messages: dict[Any, Any] = error.messages_dict
        raise ScenarioError(
            Problem("", 0, 0, f"{name}: {spell((number, *where))}", what)
            for where, what in flatten(messages[0])
        ) from None
    try:
        write_json(release)
    except UnicodeEncodeError:
        raise _problem(name, spell((number,)), "holds half of a surrogate pair") from None
    id_: int = loaded[0]["id"]
    return id_


_KNOWN = [name for name in ReleaseSchema().fields if name not in ("extra", "absent", "changes")]


def _without_names(release: Mapping[str, Any]) -> Row:
    """A release without its defaults, and with what is not known under `extra`."""
    tidy = under_newer_names(
        {name: release[name] for name in _KNOWN if release.get(name) is not None}
    )
    extra = {name: value for name, value in release.items() if name not in _KNOWN}
    if tidy.get("name") == tidy["number"]:
        del tidy["name"]
    if tidy.get("deployables") == []:
        del tidy["deployables"]
    return tidy | ({"extra": extra} if extra else {})


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


_NO_PERSON = ("", "system")
"""What stands for no person, in lower case."""


def _account(person: str) -> str:
    """The account in `CORP\\jdoe` or `jdoe@corp.example`; "" for other names, and for a number."""
    name = person.rpartition("\\")[2].partition("@")[0].strip()
    tells = name != person and name.casefold() not in _NO_PERSON and re.search(r"[^\W\d_]", name)
    return name if tells else ""


def _anonymous(releases: list[Row]) -> list[Row]:
    aliases = Aliases()
    aliases.learn(named_persons(releases))

    def replaced(value: Any, name: str = "") -> Any:
        if name in ("status", *RELEASE.dates):
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

    return [replaced(release) for release in releases]


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
