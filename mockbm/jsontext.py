"""JSON text, read in two ways: at once as plain values, or as YAML's nodes, which have positions.

Both say what YAML says of the same text: a number is the text that was written, unless its property
has no schema. So a file has the same values as JSON and as YAML.
"""

from __future__ import annotations

import json
import re
from bisect import bisect
from collections.abc import Collection, Iterator
from json import JSONDecodeError
from typing import Any, NoReturn

from yaml import Mark
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.resolver import BaseResolver

_TOKEN = re.compile(r'[{}\[\],:]|"[^"\\]*(?:\\.[^"\\]*)*"|[^ \t\r\n{}\[\],:"]+')
_CONSTANT = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|(-?Infinity|NaN)')
LINE_END = re.compile(r"\r\n?|\n")
_SPACE = " \t\r\n"
_WORD = re.compile(r"[\w.+-]{1,40}")

_HINTS = (
    ("Unterminated string", "a quote is opened and not closed"),
    ("Invalid control character", "a text ends in the line where it began; write \\n or \\t in it"),
    ("Invalid \\", "no escape begins like this; \\\\ is the backslash itself"),
    ("Extra data", "the file goes on after its end; one bracket too many is closed before here"),
    ("Expecting ',' delimiter", "a comma is missing before here, or a bracket is not closed"),
    ("Expecting ':' delimiter", "a colon is missing before here"),
    ("Expecting property name", "the name of a property, in double quotes, is missing here"),
    ("Expecting value", "a value is missing here"),
)


class _Number(str):
    """A number as it was written, which is as good as a text to every schema."""

    __slots__ = ()


def number(text: str) -> int | float | str:
    """A number that JSON would write just so; else the text, of which a number would lose some."""
    if len(text) > 1_000:
        return text
    found = float(text) if set(text) & set(".eE") else int(text)
    return found if repr(found) == text else text


def values(text: str, untyped: Collection[str], most: int) -> Any:
    """The values of a JSON text that has nothing wrong with it, without their positions.

    untyped: keys inside whose values plain numbers, true and false are not text.
    most: levels of nesting that there may be.
    Raises: ValueError, RecursionError for anything else; `compose` says what and where.
    """
    found = json.loads(
        text,
        object_pairs_hook=_once,
        parse_int=_Number,
        parse_float=_Number,
        parse_constant=_no_constant,
    )
    return found if type(found) is str else _as_yaml(found, untyped, most, typed=True)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _as_yaml(value: Any, untyped: Collection[str], levels: int, *, typed: bool) -> Any:
    """A value as YAML has it; objects and lists are changed in place."""
    kind = type(value)
    if kind is _Number:
        return value if typed else number(str(value))
    if kind is bool and typed:
        return "true" if value else "false"
    if levels < 1 or (levels == 1 and value and kind in (dict, list)):
        raise ValueError("nested too deep")
    if kind is dict:
        for name, inner in value.items():
            if type(inner) is not str:
                typed_inside = typed and name not in untyped
                value[name] = _as_yaml(inner, untyped, levels - 1, typed=typed_inside)
    elif kind is list:
        for place, inner in enumerate(value):
            if type(inner) is not str:
                value[place] = _as_yaml(inner, untyped, levels - 1, typed=typed)
    return value


def compose(text: str, most: int) -> Node:
    """The nodes of a JSON text, as YAML's loader would have made them.

    Raises: JSONDecodeError for what is no JSON, or has more levels of nesting than `most`.
    """
    _require_json(text)
    return _Composer(text, most).root()


class _Composer:
    """Makes nodes of a text that is known to be JSON, as far down as it may be nested."""

    def __init__(self, text: str, most: int) -> None:
        self._text = text
        self._most = most
        self._lines = [0, *(match.end() for match in LINE_END.finditer(text))]
        self._tokens: Iterator[re.Match[str]] = _TOKEN.finditer(text)

    def root(self) -> Node:
        return self._node(next(self._tokens), 1, 0)

    def _node(self, token: re.Match[str], depth: int, parent: int) -> Node:
        if depth > self._most:
            what = f"nested more than {self._most} levels deep"
            raise JSONDecodeError(what, self._text, parent)
        mark = self._mark(token.start())
        text = token[0]
        if text == "{":
            return MappingNode(BaseResolver.DEFAULT_MAPPING_TAG, self._pairs(token, depth), mark)
        if text == "[":
            items = [self._node(item, depth + 1, token.start()) for item in self._items("]")]
            return SequenceNode(BaseResolver.DEFAULT_SEQUENCE_TAG, items, mark)
        style = None
        if text[0] == '"':
            text, style = json.loads(text) if "\\" in text else text[1:-1], '"'
        return ScalarNode(BaseResolver.DEFAULT_SCALAR_TAG, text, mark, style=style)

    def _pairs(self, opening: re.Match[str], depth: int) -> list[tuple[Node, Node]]:
        pairs = []
        for token in self._items("}"):
            key = self._node(token, depth + 1, opening.start())
            next(self._tokens)  # the colon
            pairs.append((key, self._node(next(self._tokens), depth + 1, opening.start())))
        return pairs

    def _items(self, end: str) -> Iterator[re.Match[str]]:
        """The first token of each item, up to the closing bracket; who asks reads the rest."""
        while (token := next(self._tokens))[0] != end:
            if token[0] != ",":
                yield token

    def _mark(self, at: int) -> Mark:
        line = bisect(self._lines, at) - 1
        return Mark("", at, line, at - self._lines[line], None, 0)


def place(text: str, at: int) -> tuple[int, int]:
    """Line and column of a position, counted from 1."""
    before = text[:at]
    ends = [match.end() for match in LINE_END.finditer(before)]
    return len(ends) + 1, at - (ends[-1] if ends else 0) + 1


def _require_json(text: str) -> None:
    """Raises: JSONDecodeError in our words."""
    try:
        json.loads(text, parse_int=str, parse_float=str, parse_constant=_no_constant)
    except RecursionError:
        pass  # the composer does not go so deep, and says where it stops
    except JSONDecodeError as error:
        what, at = _explain(text, error)
        raise JSONDecodeError(what, text, at) from None
    except ValueError:
        found = next(match for match in _CONSTANT.finditer(text) if match[1])
        what = f"{found[1]} is no value; put texts into double quotes"
        raise JSONDecodeError(what, text, found.start()) from None


def _explain(text: str, error: JSONDecodeError) -> tuple[str, int]:
    """What is wrong and where, whichever version of Python says so."""
    at = error.pos
    if not error.msg.startswith(("Unterminated", "Invalid")):
        at += len(text[at:]) - len(text[at:].lstrip(_SPACE))
        comma = len(text[:at].rstrip(_SPACE)) - 1
        if text[at : at + 1] == "," and text[at + 1 :].lstrip(_SPACE)[:1] in ("]", "}"):
            comma = at
        if text[comma : comma + 1] == "," and text[comma + 1 :].lstrip(_SPACE)[:1] in ("]", "}"):
            return "nothing comes after this comma; leave it out", comma
        if at >= len(text):
            return "a bracket or a quote is opened and not closed before here", at
        if text[at] in "/#":
            return "JSON has no comments", at
        if text[at] == "'":
            return "put names and texts into double quotes", at
        word = _WORD.match(text, at)
        if word and error.msg.startswith("Expecting value"):
            return f"{word[0]} is no value; put texts into double quotes", at
    for sign, hint in _HINTS:
        if sign in error.msg:
            return hint, at
    return f"not valid JSON: {error.msg}", at
