"""How a server compares a filter with a release: the simplest rule that explains what was seen."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import product
from typing import Any, NamedTuple

from ..selection import fold

Ids = frozenset["int | None"]
Matches = Callable[[str, str], bool]
"""Whether a filter's text matches a release's."""

MISSING = "mockbm has no such value"
"""A text that no release has."""

IGNORED = "has no effect"
NOTHING = "selects nothing, whatever the value"


class Observation(NamedTuple):
    """What one value of a filter selected."""

    sent: Any
    selected: Ids


class Rule(NamedTuple):
    """A way to compare. differs: how it is another one than the mock's, in words."""

    differs: tuple[str, ...]
    matches: Matches


def explained(observations: Collection[Observation], held: Mapping[int, Any]) -> str | None:
    """The simplest way of comparing that selects what was seen, in words.

    held: the value that each release has, or None.
    Returns: "" for the mock's own way, None where no known way selects that.
    """
    if _fits(observations, held, lambda sent, value: fold(sent) == fold(value)):
        return ""
    if all(item.selected == held.keys() for item in observations):
        return IGNORED
    if not any(item.selected for item in observations):
        return NOTHING
    texts = all(isinstance(item.sent, str) for item in observations)
    for rule in _rules() if texts else ():
        if _fits(observations, held, rule.matches):
            return "; ".join(rule.differs)
    return None


def _fits(
    observations: Collection[Observation], held: Mapping[int, Any], matches: Callable[..., bool]
) -> bool:
    by_value: dict[Any, set[int]] = {}
    for id_, value in held.items():
        if value is not None:
            by_value.setdefault(value, set()).add(id_)
    return all(
        item.selected
        == {id_ for value, ids in by_value.items() if matches(item.sent, value) for id_ in ids}
        for item in observations
    )


def _rules() -> Iterator[Rule]:
    """Every combination of ways to compare, the one with the fewest differences first."""
    for cased, spaced, accented, spanned in sorted(
        product(_CASE, _SPACES, _ACCENTS, _SPAN), key=lambda ways: sum(bool(way) for way in ways)
    ):
        differs = tuple(way for way in (cased, spaced, accented, spanned) if way)
        yield Rule(
            differs, _rule(_CASE[cased], _SPACES[spaced], _ACCENTS[accented], _SPAN[spanned])
        )


def _rule(
    cased: Callable[[str], str],
    spaced: Callable[[str], str],
    accented: Callable[[str], str],
    spanned: Matches,
) -> Matches:
    def matches(sent: str, value: str) -> bool:
        return spanned(*(cased(accented(spaced(text))) for text in (sent, value)))

    return matches


def _one_by_one(text: str) -> str:
    """Lower case as far as letters have one each, so that ß is not ss."""
    return "".join(letter.lower() if len(letter.lower()) == 1 else letter for letter in text)


def _ascii_lower(text: str) -> str:
    return re.sub(r"[A-Z]", lambda match: match[0].lower(), text)


def _as_it_is(text: str) -> str:
    return text


def plain(text: str) -> str:
    """A text without accents."""
    apart = unicodedata.normalize("NFD", text)
    bare = "".join(letter for letter in apart if not unicodedata.combining(letter))
    return unicodedata.normalize("NFC", bare)


def _wildcard(sign: str) -> Matches:
    def matches(sent: str, value: str) -> bool:
        pattern = ".*".join(map(re.escape, sent.split(sign)))
        return re.fullmatch(pattern, value, re.DOTALL) is not None

    return matches


_CASE = {
    "": str.casefold,
    "ß is not ss": _one_by_one,
    "case counts beyond ASCII": _ascii_lower,
    "case counts": _as_it_is,
}
_SPACES = {
    "": _as_it_is,
    "spaces at the end do not count": lambda text: text.rstrip(" "),
    "spaces around do not count": lambda text: text.strip(" "),
}
_ACCENTS = {"": _as_it_is, "accents do not count": plain}
_SPAN: dict[str, Matches] = {
    "": lambda sent, value: sent == value,
    "the beginning is enough": lambda sent, value: value.startswith(sent),
    "the end is enough": lambda sent, value: value.endswith(sent),
    "a part is enough": lambda sent, value: sent in value,
    "* stands for anything": _wildcard("*"),
    "% stands for anything": _wildcard("%"),
}


def variants(value: str) -> dict[str, Callable[[str], str]]:
    """Ways to send a text otherwise that tell ways of comparing apart, by what they try.

    Each is to be applied to the value, or to what is shown in its place.
    """
    ways: dict[str, Callable[[str], str]] = {}
    if other_case(value) != value:
        ways["case"] = other_case
    if value.swapcase() != other_case(value):
        ways["case of letters that are two in the other"] = str.swapcase
    if len(value) > 1:
        ways["its beginning"] = _beginning
        ways["its end"] = lambda text: text[len(text) // 2 :]
        ways["* as a wildcard"] = lambda text: f"{_beginning(text)}*"
        ways["% as a wildcard"] = lambda text: f"{_beginning(text)}%"
    if len(value) > 2:
        ways["its middle"] = lambda text: text[1:-1]
    if plain(value) != value:
        ways["accents"] = plain
    ways["spaces before"] = lambda text: f" {text}"
    ways["spaces behind"] = lambda text: f"{text} "
    return ways


OF_LETTERS = ("case", "case of letters that are two in the other", "accents")
"""Those variants that are of use for every value with letters beyond ASCII."""


def _beginning(text: str) -> str:
    return text[: (len(text) + 1) // 2]


def other_case(text: str) -> str:
    """A text with capitals for small letters and the other way round, where that goes back."""
    return "".join(
        other if len(other := letter.swapcase()) == 1 and other.swapcase() == letter else letter
        for letter in text
    )
