"""How a server compares a filter with a release: the simplest rule that explains what was seen."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from functools import partial
from itertools import product
from typing import Any, NamedTuple
from unicodedata import combining, normalize

from ..selection import fold

Ids = frozenset[int]
Change = Callable[[str], str]
Span = Callable[[str], Callable[[str], object]]
"""Takes a filter's text; returns what says (by being true) whether a release's text matches it."""

MISSING = "mockbm has no such value"
"""A text that no release has."""

BEHIND = "more behind"
"""The variant that tells most of the longest value, of which a part may not count."""

IGNORED = "has no effect"
NOTHING = "selects nothing, whatever the value"


class Observation(NamedTuple):
    """What one value of a filter selected."""

    sent: Any
    selected: Ids


def explained(
    observations: Collection[Observation], held: Mapping[int, Any], known: Collection[str] = ()
) -> str | None:
    """The simplest way of comparing that selects what was seen, in words.

    held: the value that each release has, or None.
    known: what explains other filters, which is taken where it explains this one, too.
    Returns: "" for the mock's own way, None where no known way selects that.
    """
    if all(item.selected == selected(item.sent, held) for item in observations):
        return ""
    if all(item.selected == held.keys() for item in observations):
        return IGNORED
    if not any(item.selected for item in observations):
        return NOTHING
    if not all(isinstance(item.sent, str) for item in observations):
        return None
    compared = _Compared(observations, held)
    longest = max(len(item.sent) for item in observations)
    if any(compared.starts_alike(length) for length in range(longest, 0, -1)):
        return _BEHIND_NOT
    for words in (*filter(_WAYS.__contains__, known), *_WAYS):
        if compared.fits(*_WAYS[words]):
            return words
    return None


def selected(sent: Any, held: Mapping[int, Any]) -> Ids:
    """The releases that the mock selects with this value, of those that hold these."""
    folded = fold(sent)
    return frozenset(
        id_ for id_, value in held.items() if value is not None and fold(value) == folded
    )


class _Compared:
    """What filters selected, beside what they would where releases are compared otherwise."""

    def __init__(self, observations: Collection[Observation], held: Mapping[int, Any]) -> None:
        self._observations = [(str(item.sent), item.selected) for item in observations]
        self._held: dict[str, set[int]] = {}
        for id_, value in held.items():
            if value is not None:
                self._held.setdefault(value, set()).add(id_)
        self._changed: dict[tuple[str, ...], dict[str, set[int]]] = {}

    def fits(self, cased: str, trimmed: str, lettered: str, spanned: str) -> bool:
        """Whether a way to compare selects what was seen."""
        span = _SPAN[spanned]

        def change(text: str) -> str:
            return _CASE[cased](_LETTERS[lettered](_TRIMMED[trimmed](text)))

        held = self._values((cased, trimmed, lettered), change)
        return all(ids == _joined(held, span(change(sent))) for sent, ids in self._observations)

    def starts_alike(self, length: int) -> bool:
        """Whether comparing that many characters, in any case, selects what was seen."""

        def change(text: str) -> str:
            return text[:length].casefold()

        held = self._values((str(length),), change)
        return all(ids == held.get(change(sent), set()) for sent, ids in self._observations)

    def _values(self, way: tuple[str, ...], change: Change) -> dict[str, set[int]]:
        """The values that releases hold, each changed, to the ids of the releases."""
        if way not in self._changed:
            found = self._changed[way] = {}
            for value, ids in self._held.items():
                found.setdefault(change(value), set()).update(ids)
        return self._changed[way]


def _joined(held: Mapping[str, set[int]], matches: Callable[[str], object]) -> set[int]:
    return set().union(*(ids for value, ids in held.items() if matches(value)))


def _one_by_one(text: str) -> str:
    """Lower case as far as letters have one each, so that ß is not ss."""
    return "".join(letter.lower() if len(letter.lower()) == 1 else letter for letter in text)


def _ascii_lower(text: str) -> str:
    return re.sub(r"[A-Z]", lambda match: match[0].lower(), text)


def _as_it_is(text: str) -> str:
    return text


def plain(text: str) -> str:
    """A text without accents."""
    apart = normalize("NFD", text)
    bare = "".join(letter for letter in apart if not combining(letter))
    return normalize("NFC", bare)


def _wildcards(any_text: str, any_letter: str) -> Span:
    """Matches with a sign for any text, one for any character, or both; "" is none."""
    meant = {any_text: ".*", any_letter: "."}

    def span(sent: str) -> Callable[[str], object]:
        pattern = "".join(meant.get(letter) or re.escape(letter) for letter in sent)
        return re.compile(pattern, re.DOTALL).fullmatch

    return span


_BEHIND_NOT = "what comes behind does not count"
"""Whether that is behind the whole value of a release, or behind so many characters."""

_CASE: dict[str, Change] = {
    "": str.casefold,
    "ß is not ss": _one_by_one,
    "case counts beyond ASCII": _ascii_lower,
    "case counts": _as_it_is,
}
_TRIMMED: dict[str, Change] = {
    "": _as_it_is,
    "spaces at the end do not count": lambda text: text.rstrip(" "),
    "spaces around do not count": lambda text: text.strip(" "),
    "zeros at the end of a number do not count": lambda text: re.sub(r"(\.0)+$", "", text),
}
_LETTERS: dict[str, Change] = {
    "": _as_it_is,
    "letters and accents are put together first": lambda text: normalize("NFC", text),
    "accents do not count": plain,
}
_SPAN: dict[str, Span] = {
    "": lambda sent: lambda value: value == sent,
    "the beginning is enough": lambda sent: lambda value: value.startswith(sent),
    "the end is enough": lambda sent: lambda value: value.endswith(sent),
    "a part is enough": lambda sent: lambda value: sent in value,
    _BEHIND_NOT: lambda sent: lambda value: sent.startswith(value),
    "what stands before :: may be left out": (
        lambda sent: lambda value: sent in (value, value.rpartition("::")[2])
    ),
    "* stands for anything": _wildcards("*", ""),
    "% stands for anything": _wildcards("%", ""),
    "? stands for any character": _wildcards("", "?"),
    "_ stands for any character": _wildcards("", "_"),
    "* stands for anything, ? for any character": _wildcards("*", "?"),
    "% stands for anything, _ for any character": _wildcards("%", "_"),
}
_WAYS = {
    "; ".join(filter(None, way)): way
    for way in sorted(
        product(_CASE, _TRIMMED, _LETTERS, _SPAN), key=lambda way: len(way) - way.count("")
    )
}
"""Every combination of ways to compare, in words, the one with the fewest differences first."""


def variants(value: str) -> dict[str, Change]:
    """Ways to send a text otherwise that tell ways of comparing apart, by what they try.

    Each is to be applied to the value, or to what is shown in its place.
    """
    ways: dict[str, Change] = {}
    if len(value) > 1:
        ways["its beginning"] = _beginning
        ways["its end"] = lambda text: text[len(text) // 2 :]
        ways["* as a wildcard"] = lambda text: f"{_beginning(text)}*"
        ways["% as a wildcard"] = lambda text: f"{_beginning(text)}%"
        ways["? as a wildcard"] = partial(_with_sign, "?")
        ways["_ as a wildcard"] = partial(_with_sign, "_")
    if len(value) > 2:
        ways["its middle"] = lambda text: text[1:-1]
    if value.partition("::")[2]:
        ways["what stands behind ::"] = lambda text: text.partition("::")[2]
    if re.fullmatch(r"[0-9.]*[0-9]", value):
        ways["a zero more"] = lambda text: f"{text}.0"
    ways[BEHIND] = lambda text: f"{text}x"
    ways["spaces before"] = lambda text: f" {text}"
    ways["spaces behind"] = lambda text: f"{text} "
    return {topic: way for topic, way in {**OF_LETTERS, **ways}.items() if way(value) != value}


def _with_sign(sign: str, text: str) -> str:
    """A text with a sign in the place of the letter in its middle."""
    middle = len(text) // 2
    return f"{text[:middle]}{sign}{text[middle + 1 :]}"


def _recomposed(text: str) -> str:
    """A text whose accents are letters of their own, or, where they are, are none."""
    apart = normalize("NFD", text)
    return apart if apart != text else normalize("NFC", text)


def _beginning(text: str) -> str:
    return text[: (len(text) + 1) // 2]


def other_case(text: str) -> str:
    """A text with capitals for small letters and the other way round, where that goes back."""
    return "".join(
        other if len(other := letter.swapcase()) == 1 and other.swapcase() == letter else letter
        for letter in text
    )


OF_LETTERS: dict[str, Change] = {
    "case": other_case,
    "case of letters that are two in the other": lambda text: (
        text.swapcase() if text.swapcase() != other_case(text) else text
    ),
    "accents": plain,
    "accents put together otherwise": _recomposed,
}
"""Ways that are of use for every value with letters beyond ASCII."""
