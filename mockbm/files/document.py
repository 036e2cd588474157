"""One YAML or JSON file as plain values, with a position for everything that can be wrong with it.

Every scalar is text, whatever it looks like; only `null`, `~` and nothing at all are null. Keys
occur once. Aliases are followed, tags and more than one document are refused. A JSON file says
what the same text would say as YAML, and is read as YAML where anything is wrong with it.
"""

from __future__ import annotations

import codecs
import io
import json
import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from ..core import errors
from ..core.errors import NameProblem, Problem, ScenarioError, flatten, spell
from ..core.fields import MAX_DEPTH, Word

MAX_BYTES = 256 * 1024 * 1024
"""Bytes that a file may have."""

MAX_REPEATS = 100_000
"""Values that all the aliases of one file together may repeat."""

UNTYPED = frozenset({"deployables", "extra"})
"""Properties without a schema of their own: numbers, true and false inside mean what JSON means."""

_KINDS = {
    ScalarNode: "tag:yaml.org,2002:str",
    SequenceNode: "tag:yaml.org,2002:seq",
    MappingNode: "tag:yaml.org,2002:map",
}
_TAGS = frozenset(_KINDS.values())
_NULLS = frozenset(("", "~", "null"))
_WORDS = {"true": True, "false": False}
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)

_TOO_DEEP = f"nested more than {MAX_DEPTH} levels deep"
_TAB = "a tab is used to indent; YAML wants spaces"
_INDENT = "the indentation does not fit the lines above"
_ESCAPE = "no escape begins like this; in double quotes, \\\\ is the backslash itself"
_HINTS = (
    ("nested more than", _TOO_DEEP),
    ("maximum nesting depth", _TOO_DEEP),  # libyaml stops at a level of its own
    ("violates indentation", _TAB),
    ("cannot start any token", "a text that begins with {character} needs quotes"),
    ("undefined alias", "{problem}; a text that begins with * needs quotes"),
    ("alphabetic or numeric", "a text that begins with * or & needs quotes"),
    ("second occurrence", "an anchor occurs twice; give each one a name of its own"),
    ("comment or line break", "a text that begins with | or > needs quotes"),
    ("block sequence entries", "a text that begins with '- ' needs quotes"),
    ("mapping keys are not", "a text that begins with '? ' needs quotes"),
    ("mapping values", "a text that holds ': ' needs quotes, or else the indentation is wrong"),
    (
        "could not find expected ':'",
        "the line above is not `name: value`, with a space in between",
    ),
    ("expected key", f"{_INDENT}, or text goes on behind a quote or a bracket"),
    ("expected '-'", "the indentation does not fit the list above"),
    ("expected ',' or", "a bracket is opened and not closed, or a comma is missing before here"),
    ("node content", "a bracket is opened and not closed before here, or one too many is closed"),
    ("unexpected end of stream", "a quote is opened and not closed before here"),
    ("but found another document", "a second document begins; one file holds one document"),
    (
        "<document start>",
        "the file goes on after its end; one bracket too many is closed before here",
    ),
    ("escape character", _ESCAPE),
    ("decimal number", _ESCAPE),
    ("Unicode character escape", "an escape here is half of a surrogate pair, or beyond Unicode"),
)

_PLAIN = bytes([9, 10, 13, *range(32, 127)])
"""Bytes of text that is beyond suspicion."""

_LINE_END = re.compile(r"\r\n?|\n")

_LINE_ENDS = "\x85\u2028\u2029"
"""YAML 1.2 ends no line at these, PyYAML does; so other characters stand in while it reads."""

_SURROGATES = re.compile(
    r"(?<!\\)((?:\\\\)*)(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
)

Progress = Callable[[float], object]
"""Is called with the part that has been done, from 0 to 1."""


def is_json(path: Path) -> bool:
    """Whether a file is read as JSON."""
    return path.suffix.lower() == ".json"


def json_values(path: Path) -> Any:
    """What `Document` reads from a JSON file, far faster and without positions.

    Where a text is expected, it has none for `true`, `false` and `NaN`, which a `Document` has.
    Raises: ScenarioError, ValueError, RecursionError where a `Document` may have a problem.
    """
    numbers: Any = {"parse_int": _integer, "parse_float": Word.number}
    values = json.loads(_read(path), object_pairs_hook=_once, **numbers)
    if _is_too_deep(values):
        raise ValueError(_TOO_DEEP)
    return values


def _integer(text: str) -> int | Word:
    """A whole number in JSON; one that would not be written as it was stays a text, too."""
    return int(text) if len(text) < 10 and text != "-0" else Word.number(text)


def _is_too_deep(value: Any) -> bool:
    level: list[Any] = [[value]]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list))
        ]
    return any(level)  # what is in these is one level deeper


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found


class Document:
    """One YAML or JSON file, read.

    values: its content, as dicts, lists, texts and None; None for an empty file.
    problems: what is wrong with it so far. Values are complete but for these.
    Raises: ScenarioError where nothing can be read.
    """

    def __init__(self, path: Path, progress: Progress) -> None:
        self.path = path
        self.problems: list[Problem] = []
        self._seen: set[int] = set()
        self._pairs: dict[int, dict[str, tuple[Node, Node]]] = {}
        self._repeats = 0
        text = _read(path)
        stand_ins, filler = _stand_ins(text)
        for_loader = text.translate(str.maketrans(stand_ins)) if stand_ins else text
        self._root, filled = _compose(path, for_loader, filler, progress)
        self._shown = {ord(stand_in): end for end, stand_in in stand_ins.items()}
        self._shown |= {ord(filler): ""} if filled else {}
        self.values = None if self._root is None else self._value(self._root, (), typed=True)

    def add(self, messages: Mapping[Any, Any]) -> None:
        """Take over Marshmallow's error messages, each with its position."""
        for where, message in flatten(messages):
            node = self._find(where, the_name=isinstance(message, NameProblem))
            self._complain(node, where, message)

    def _complain(self, node: Node, where: errors.Path, what: str) -> None:
        place = node.start_mark.line + 1, node.start_mark.column + 1
        self.problems.append(Problem(str(self.path), *place, spell(where) or "file", what))

    def _find(self, where: errors.Path, *, the_name: bool) -> Node:
        """The node at a path of keys and indices, or the one where the path ends."""
        node: Any = self._root
        name: Any = node
        for part in where:
            if isinstance(node, SequenceNode):
                node = name = node.value[part]
            elif isinstance(node, MappingNode):
                name, node = self._pairs_of(node).get(part, (name, node))
        found: Node = name if the_name else node
        return found

    def _pairs_of(self, node: MappingNode) -> dict[str, tuple[Node, Node]]:
        """The first pair of nodes of each key, which are looked for once for each problem."""
        if id(node) not in self._pairs:
            self._pairs[id(node)] = {
                self._text(key): (key, value)
                for key, value in reversed(node.value)
                if isinstance(key, ScalarNode)
            }
        return self._pairs[id(node)]

    def _value(self, node: Node, where: errors.Path, *, typed: bool) -> Any:
        if node.tag not in _TAGS:
            self._refuse_tag(node, where)
        if isinstance(node, ScalarNode):
            return self._scalar(node, typed=typed)
        if len(where) >= MAX_DEPTH:  # by way of aliases; without them the loader stops before
            self._give_up(node, where, _TOO_DEEP)
        if id(node) in self._seen:
            self._repeats += 1 + len(node.value)
            if self._repeats > MAX_REPEATS:
                self._give_up(node, where, f"aliases repeat more than {MAX_REPEATS} values")
        self._seen.add(id(node))
        if isinstance(node, MappingNode):
            return self._mapping(node, where, typed=typed)
        items = enumerate(node.value)
        return [self._value(item, (*where, number), typed=typed) for number, item in items]

    def _refuse_tag(self, node: Node, where: errors.Path) -> None:
        what = f"the tag {node.tag} has no meaning here; a text that begins with ! needs quotes"
        self._complain(node, where, what)

    def _give_up(self, node: Node, where: errors.Path, what: str) -> NoReturn:
        self._complain(node, where, what)
        raise ScenarioError(self.problems)

    def _scalar(self, node: ScalarNode, *, typed: bool) -> Any:
        text = self._text(node)
        if node.style:  # quoted, or a block; plain is None or empty
            return text
        if text in _NULLS:
            return None
        if not typed:
            if text in _WORDS:
                return Word(text, _WORDS[text])
            if _NUMBER.fullmatch(text):
                return Word.number(text)
        elif "." in text and _NUMBER.fullmatch(text):
            return Word.number(text)  # which an integer may be, too
        return text

    def _text(self, node: ScalarNode) -> str:
        text: str = node.value
        return text.translate(self._shown) if self._shown else text

    def _mapping(self, node: MappingNode, where: errors.Path, *, typed: bool) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                what = "no list or mapping can be a key; a text that begins with { or ["
                self._complain(key, where, f"{what} needs quotes")
                continue
            name = self._text(key)
            there = (*where, name)
            if key.tag not in _TAGS:
                self._refuse_tag(key, there)
            if name in values:
                first = self._pairs_of(node)[name][0].start_mark.line + 1
                self._complain(key, there, f"occurs twice; first in line {first}")
                continue
            typed_inside = typed and name not in UNTYPED
            values[name] = self._value(value, there, typed=typed_inside)
        return values


def _stand_ins(text: str) -> tuple[dict[str, Any], str]:
    """For each line end that PyYAML must not see, a character that the text does not have.

    And one more, which fills up what becomes shorter, so that positions stay as they are.
    """
    ends = [end for end in _LINE_ENDS if end in text]
    unused = [chr(code) for code in range(0xFDD0, 0xFDF0) if chr(code) not in text]
    return dict(zip(ends, unused, strict=False)), unused[-1] if unused else ""


def _read(path: Path) -> str:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe could keep us waiting for ever
            raise _unreadable(path, "is not a file, but a directory, pipe or device")
        if status.st_size > MAX_BYTES:
            most = f"{MAX_BYTES // 1024**2} MiB"
            what = f"is larger than {most}; split it, or let `generate` make the releases"
            raise _unreadable(path, what)
        raw = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, f"cannot be read: {error.strerror}") from None
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in raw[:2]:
        raise _unreadable(path, "looks like UTF-16; save the file as UTF-8")
    raw = raw.removeprefix(codecs.BOM_UTF8)
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        what = f"not UTF-8: byte 0x{raw[error.start]:02x}; save the file as UTF-8"
        raise _unreadable(path, what, raw[: error.start].decode()) from None
    odd = raw.translate(None, _PLAIN) and yaml.reader.Reader.NON_PRINTABLE.search(text)
    if odd:
        what = f"the control character {odd.group()!r} is not allowed; in quotes, write it escaped"
        raise _unreadable(path, what, text[: odd.start()])
    return text


def _unreadable(path: Path, what: str, before: str = "") -> ScenarioError:
    lines = _LINE_END.split(before)
    line, column = len(lines), len(lines[-1]) + 1
    return ScenarioError([Problem(str(path), line, column, "file", what)])


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """PyYAML's loader, in C where there is one; it only composes nodes, and not too deep."""

    depth = 0

    def resolve(self, kind: type[Node], _value: object, _implicit: object) -> str:
        """The tag of a node that has none: every scalar is text, whatever it looks like."""
        return _KINDS[kind]

    def descend_resolver(self, parent: Node, _index: object) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem=_TOO_DEEP, problem_mark=parent.start_mark)

    def ascend_resolver(self) -> None:
        self.depth -= 1


class _Source(io.StringIO):
    """A text that the loader reads piece by piece, which reports the progress."""

    def __init__(self, text: str, progress: Progress) -> None:
        super().__init__(text)
        self._progress, self._whole = progress, len(text) or 1

    def read(self, size: int | None = None, /) -> str:
        piece = super().read(size)
        self._progress(self.tell() / self._whole)
        return piece


def _compose(path: Path, text: str, filler: str, progress: Progress) -> tuple[Node | None, bool]:
    """The nodes of a text, and whether the filler is in them."""
    try:
        return _Loader(_Source(text, progress)).get_single_node(), False
    except yaml.MarkedYAMLError as error:
        if "invalid Unicode character escape" in (error.problem or ""):
            joined = _SURROGATES.sub(lambda match: _join_surrogates(match, filler), text)
            if joined != text:
                return _compose(path, joined, filler, progress)[0], True
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line, mark.column) if mark else (0, 0)
        lines = _LINE_END.split(text)
        if line >= len(lines):  # PyYAML's end of a text is behind a line end, which may be missing
            line, column = len(lines) - 1, len(lines[-1])
        what = _explain(lines, line, column, error.problem or "cannot be read")
        raise ScenarioError([Problem(str(path), line + 1, column + 1, "YAML", what)]) from None
    except (ValueError, OverflowError) as error:  # from PyYAML's loader in Python, for \UFFFFFFFF
        raise _unreadable(path, f"not valid YAML: {error}") from None


def _join_surrogates(match: re.Match[str], filler: str) -> str:
    """Two escapes of one letter beyond 16 bits, as JSON writes it, which YAML does not know."""
    letter: str = json.loads(f'"{match[2]}"')
    return match[1] + (letter.ljust(len(match[2]), filler) if filler else letter)


def _explain(lines: list[str], line: int, column: int, problem: str) -> str:
    """PyYAML's terse message, in words for a reader who has never read YAML's grammar."""
    character = lines[line][column : column + 1] if line < len(lines) else ""
    if character == "\t":
        problem = "violates indentation"
    for sign, hint in _HINTS:
        if sign in problem:
            return hint.format(problem=problem, character=character)
    return f"not valid YAML: {problem}"
