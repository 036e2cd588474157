"""What can be wrong, in words that help: the two exceptions, and the nearest name that exists."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

Path = tuple[Any, ...]
"""The keys and indices that lead to a value."""


class Names:
    """Names that exist, among which the nearest to a misspelt one is found.

    Two names are as near as the share of their pairs of letters that both have. Looked at are names
    that share the rarest pairs of the misspelt one; since one of these may come from the mistake,
    the search starts from several.
    """

    NEAR = 0.4
    STARTS = 2
    FEW = 64

    def __init__(self, names: Iterable[str]) -> None:
        self.by_folded = {name.casefold(): name for name in names}

    @cached_property
    def _by_pair(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for name in self.by_folded:
            for pair in _pairs(name):
                found.setdefault(pair, set()).add(name)
        return found

    def nearest(self, name: str) -> str | None:
        """The name most like `name`, ignoring case; None where none is near."""
        folded = name.casefold()
        if folded in self.by_folded:
            return self.by_folded[folded]
        likeness, near = max(self._likely(_pairs(folded)), default=(0.0, ""))
        if likeness >= self.NEAR:
            return self.by_folded[near]
        if len(self.by_folded) > self.FEW:
            return None
        close = difflib.get_close_matches(folded, self.by_folded, n=1)  # `nwo` has no pair of `now`
        return self.by_folded[close[0]] if close else None

    def _likely(self, pairs: set[str]) -> Iterator[tuple[float, str]]:
        """Names that share many of these pairs, and how near each is, from 0 to 1."""
        found = [self._by_pair[pair] for pair in sorted(pairs) if pair in self._by_pair]
        found.sort(key=len)
        for start in range(min(self.STARTS, len(found))):
            names = found[start]
            for others in found[start + 1 :]:
                if len(names) == 1:
                    break
                names = names & others or names
            name = min(names)
            shared = sum([name in others for others in found])
            yield 2 * shared / (len(pairs) + len(name) - 1), name


def _pairs(text: str) -> set[str]:
    return {*map(str.__add__, text, text[1:])}


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name`, ignoring case, or None where none is near."""
    return Names(known).nearest(name)


def suggest(name: str, known: Iterable[str] | Names) -> str:
    """The end of an error about an unknown name: the nearest known one, or else all of them."""
    names = known if isinstance(known, Names) else Names(known)
    near = names.nearest(name)
    if near:
        return f"did you mean {near}?"
    if not names.by_folded:
        return "there are none here"
    return f"known are {', '.join(names.by_folded.values())}"


def quoted(value: object) -> str:
    """`value` as an error message shows it: short, on one line, in quotes if it is text."""
    if not isinstance(value, str):
        if isinstance(value, Mapping):
            return "an object"
        if isinstance(value, (list, tuple)):
            return "a list"
        if isinstance(value, bool):
            return "true" if value else "false"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:60]}...{text[-17:]}"


def one_line(text: str) -> str:
    """`text` with everything escaped that is invisible or would begin a new line."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def plural(count: int, noun: str) -> str:
    """Such as `1 release` or `3 releases`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


@dataclass(frozen=True, order=True)
class Problem:
    """One thing wrong in a scenario, which `str` writes on one printable line.

    line, column: count from 1. Without a file, path is empty.
    """

    path: str
    line: int
    column: int
    where: str
    what: str

    def __str__(self) -> str:
        position = f"{self.path}:{self.line}:{self.column}: " if self.path else ""
        return one_line(f"{position}{self.where}: {self.what}")


class ScenarioError(Exception):
    """Scenarios that cannot be served; `problems` holds everything wrong with all of them."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class UnknownName(LookupError):  # noqa: N818 (it reads as what it says)
    """A name that nothing has; `known` are the existing names, `nearest` the likeliest of them.

    hint: more to say about the name.
    """

    def __init__(self, kind: str, name: str, known: Collection[str] = (), hint: str = "") -> None:
        self.kind = kind
        self.name = name
        self.known = tuple(known)
        self.nearest = nearest(str(name), self.known)
        guess = f"; did you mean {self.nearest}?" if self.nearest else ""
        there = f"{' There' if guess else '; there'} are: {', '.join(known)}" if known else ""
        super().__init__(f"no {kind} is called {name!r}{guess}{there}{hint and f'; {hint}'}")


class NameProblem(str):
    """An error message about the name of a property; others are about its value."""

    __slots__ = ()


def flatten(messages: Mapping[Any, Any], at: Path = ()) -> Iterator[tuple[Path, str]]:
    """Marshmallow's error messages, which are nested dicts that end in lists of texts, in a row."""
    for key, inner in messages.items():
        about_all = key == "_schema" and not any(isinstance(text, NameProblem) for text in inner)
        path = at if about_all else (*at, key)
        if isinstance(inner, Mapping):
            yield from flatten(inner, path)
        else:
            yield from ((path, message) for message in inner)


def without_positions(messages: Mapping[Any, Any]) -> ScenarioError:
    """The error for Marshmallow's messages about values that have no file."""
    return ScenarioError(
        Problem("", 0, 0, spell(path) or "scenario", message) for path, message in flatten(messages)
    )


def spell(path: Path) -> str:
    """A path to a value, as in `releases[0].status`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.lstrip(".")
