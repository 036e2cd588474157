"""A request and an answer as plain values, and what a request says, in whichever place.

Parameters are in the query, a form or a JSON object; the API key is there, or in one of two
headers [S, O]. Reading never fails: what cannot be read becomes a problem of the call, because a
missing key is answered before anything else.
"""

from __future__ import annotations

import binascii
import codecs
import json
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, NoReturn
from urllib.parse import unquote_to_bytes

from .errors import quoted
from .fields import MAX_DEPTH, Word

KEY_HEADER = "X-ApiKey"
KEY_USER = "api"
KEY_PARAMETERS = ("key", "api_key")
"""Names of the key as a parameter, in lower case; both are taken in every place [O, C]."""

HIDDEN = "***"
"""Stands in the place of a secret in everything that mockbm writes."""

MAX_BODY = 1024 * 1024
"""Bytes that the body of a request may have."""

MAX_HEADERS = 64 * 1024
"""Bytes of request line and headers, which the server refuses by itself."""

MAX_FIELDS = 1_000
"""Parameters that a request may have."""

_TOO_DEEP = f"not read: JSON nested more than {MAX_DEPTH} levels deep"
_TOO_MANY = f"a form of more than {MAX_FIELDS} fields"
_GZIP = b"\x1f\x8b"
_COMPRESSED = "compressed with gzip; Content-Encoding is not read, so send it as it is"
_USE_JSON = "set Content-Type: application/json"
_SECRETS = ("apikey", "authorization", "password", "secret", "token")
_CHARSETS = ("ascii", "utf-8", "utf-16", "utf-32", "iso8859-1", "cp1252")
_WORDS = {True: "true", False: "false"}


@dataclass(eq=False, slots=True)
class Request:
    """One HTTP request, which one mock answers.

    path: decoded. query: as it was sent. headers: their names are in lower case.
    body: at most one byte more than `MAX_BODY`, by which a longer one is recognised.
    can_break: whether the caller has the connection and can break it.
    one_of_many: whether other processes serve the same mock.
    call: what it says, once that has been read.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    can_break: bool = False
    one_of_many: bool = False
    call: Call | None = None


@dataclass(slots=True)
class Answer:
    """One HTTP answer. The caller sends no body where the request was a HEAD.

    delay: seconds by which it is to be late.
    broken: how the connection is to break: `reset`, `empty`, `truncate`, or "" for not at all.
    unsent: notes in the journal that the client was gone; may have to wait where the state is
        shared.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    delay: float = 0.0
    broken: str = ""
    unsent: Callable[[], None] | None = None


@dataclass(eq=False, slots=True)
class Call:
    """What a request says: at most one parameter of each name, the key, and the problems.

    key_place: where the key is, as of a parameter; "" where it is not among them.
    values: name of a parameter to the text that was sent (also for numbers, true and false of
        JSON), or to the list or dict; to `HIDDEN` where the name says that it is a secret. Names
        are as the endpoint spells them, or as they were sent where they are unknown; they ignore
        case [C].
    places: name of a parameter to "query", "form" or "JSON".
    problems: name of a parameter, or `body`, to what is wrong with it.
    empty: names of parameters that count as left out, since they are null or empty [C].
    notes: what else was ignored although it was sent.
    loaded: the parameters as their endpoint reads them, where there are no problems.
    ignored: names of parameters that have no effect though they were meant to.
    """

    api_key: str | None = None
    key_place: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    problems: dict[str, list[str]] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    loaded: Mapping[str, Any] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()


class UnreadableBody(ValueError):  # noqa: N818 (it reads as what it says)
    """A body that cannot be read; the text says why."""


def header_key(headers: Mapping[str, str]) -> str | None:
    """The API key in the headers: X-ApiKey [S], or the password of the Basic user `api` [C]."""
    key = headers.get("x-apikey")
    if key:
        return key
    scheme, _, word = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, _, password = b64decode(word.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return password or None if user == KEY_USER else None


def read(query: str, content_type: str, body: bytes, names: Mapping[str, str]) -> Call:
    """What a query and a body say.

    names: the parameters of the endpoint, each in lower case to its spelling.
    """
    call = Call()
    if query:
        _take(call, _pairs(query), "query", names)
    try:
        pairs, place = _body_pairs(content_type, body) if body else ((), "")
        _take(call, pairs, place, names)
    except UnreadableBody as error:
        call.problems["body"] = [str(error)]
    return call


def _take(
    call: Call, pairs: Iterable[tuple[str, Any]], place: str, names: Mapping[str, str]
) -> None:
    """Add the parameters from one place to those of a call."""
    values = call.values
    for name, value in pairs:
        if value is None or value == "":
            call.empty.append(name)
            continue
        folded = name.lower()
        spelt = names.get(folded)
        if spelt is None:
            if folded in KEY_PARAMETERS:
                _take_key(call, value, place)
                continue
            spelt = name
            if any(word in folded.replace("-", "").replace("_", "") for word in _SECRETS):
                value = HIDDEN
        if spelt in values:
            call.problems[spelt] = [
                f"given twice, as {_brief(values[spelt])} in the {call.places[spelt]} and as "
                f"{_brief(value)} in the {place}; give it once"
            ]
        elif len(values) < MAX_FIELDS:
            values[spelt], call.places[spelt] = value, place
        else:
            call.problems["parameters"] = [f"more than {MAX_FIELDS} are too many"]
            return


def _take_key(call: Call, value: Any, place: str) -> None:
    if call.api_key is None and isinstance(value, str):
        call.api_key, call.key_place = value, place
    else:
        call.notes.append(f"a further API key, in the {place}, is ignored")


def printable(name: str) -> str:
    """The name of a parameter for a message of one line, in quotes where it could break it."""
    return name if name.isprintable() and 0 < len(name) <= 60 else quoted(name)


def _brief(value: Any) -> str:
    """A value for a message about two: as it was sent, or only its kind where it is long."""
    if isinstance(value, str):
        short = len(value) <= 40 and value.isprintable()
        return f"'{value}'" if short else f"a text of {len(value)} letters"
    return quoted(value)


def _pairs(text: str) -> list[tuple[str, str]]:
    """The names and values of a query or a form, in their order."""
    split = (part.partition("=") for part in text.split("&") if part)
    return [(_unquoted(name), _unquoted(value)) for name, _, value in split]


def _unquoted(text: str) -> str:
    text = text.replace("+", " ")
    return unquote_to_bytes(text).decode("utf-8", "replace") if "%" in text else text


def _body_pairs(content_type: str, body: bytes) -> tuple[Iterable[tuple[str, Any]], str]:
    """The names and values that are in a body, and what it is: "form" or "JSON"."""
    if body[:2] == _GZIP:
        raise UnreadableBody(_COMPRESSED)
    kind, _, rest = content_type.partition(";")
    kind = kind.strip().lower()
    if kind == "multipart/form-data":
        return _multipart(content_type, body), "form"
    start = body.removeprefix(codecs.BOM_UTF8).lstrip()[:1]
    if not start:
        return (), ""
    if kind == "application/x-www-form-urlencoded":
        if start in (b"{", b"["):
            raise UnreadableBody(f"JSON that was sent as a form; {_USE_JSON}")
        form = _decoded(body, "utf-8")
        if form.count("&") >= MAX_FIELDS:
            raise UnreadableBody(_TOO_MANY)
        return _pairs(form), "form"
    if _is_json(kind) or (not kind and start == b"{"):
        charset = _options(rest).get("charset", "utf-8") if rest else "utf-8"
        return _json_pairs(_decoded(body, charset)), "JSON"
    raise UnreadableBody(
        f"cannot be read as {quoted(kind)}; {_USE_JSON}"
        if kind
        else f"has no Content-Type and is not a JSON object; {_USE_JSON}"
    )


def _is_json(kind: str) -> bool:
    """Whether a media type is JSON's, such as `text/json` or `application/problem+json` [D]."""
    return kind in ("application/json", "text/json") or (
        kind.startswith("application/") and kind.endswith("+json")
    )


def _options(text: str) -> dict[str, str]:
    """The options of a Content-Type, such as `charset` and `boundary`."""
    from werkzeug.http import parse_options_header  # which most requests do without

    return parse_options_header(f"x/x;{text}")[1]


def _multipart(content_type: str, body: bytes) -> Iterable[tuple[str, str]]:
    """The fields of a multipart form, read by werkzeug's parser, which knows no framework."""
    from werkzeug.exceptions import RequestEntityTooLarge
    from werkzeug.formparser import MultiPartParser

    boundary = _options(content_type.partition(";")[2]).get("boundary", "").encode()
    if body.strip() == b"--" + boundary + b"--":  # some clients send only the end
        return ()
    try:
        parser = MultiPartParser(lambda *_, **__: BytesIO(), max_form_parts=MAX_FIELDS)
        fields, files = parser.parse(BytesIO(body), boundary, len(body))
    except RequestEntityTooLarge:
        raise UnreadableBody(_TOO_MANY) from None
    except ValueError:
        text = "not a multipart form that can be read; look at its boundary"
        raise UnreadableBody(text) from None
    if None in (*fields, *files):
        raise UnreadableBody("a part of the multipart form has no name")
    for name in files:
        what = f"{printable(name)} was sent as a file; send it as a plain field"
        raise UnreadableBody(what)
    return fields.items(multi=True)


def _decoded(body: bytes, charset: str) -> str:
    if body.isascii() and charset == "utf-8":
        return body.decode("ascii")
    try:
        codec = codecs.lookup(charset).name
        if codec not in _CHARSETS:
            raise LookupError
        return body.decode(codec).removeprefix("\ufeff")
    except (LookupError, ValueError) as error:
        if isinstance(error, UnicodeDecodeError):
            what = f"not {codec}: byte 0x{body[error.start]:02x}; send UTF-8"
            raise UnreadableBody(what) from None
        raise UnreadableBody(f"the charset {quoted(charset)} is not known; send UTF-8") from None


class _Object(list[tuple[str, Any]]):
    """A JSON object as its pairs, so that a name that occurs twice is seen."""


def read_json(body: bytes) -> Any:
    """The values of a JSON text in UTF-8. Raises: UnreadableBody."""
    if body[:2] == _GZIP:
        raise UnreadableBody(_COMPRESSED)
    return _parsed(_decoded(body, "utf-8"), json.JSONDecoder(parse_constant=_refuse_constant))


def _parsed(text: str, decoder: json.JSONDecoder) -> Any:
    try:
        return decoder.decode(text.strip(" \t\r\n"))
    except json.JSONDecodeError as error:
        start = len(text) - len(text.lstrip(" \t\r\n"))
        moved = json.JSONDecodeError(error.msg, text, error.pos + start)
        place = f"line {moved.lineno}, column {moved.colno}"
        raise UnreadableBody(f"not valid JSON: {error.msg} at {place}") from None
    except RecursionError:
        raise UnreadableBody(_TOO_DEEP) from None


def _json_pairs(text: str) -> list[tuple[str, Any]]:
    """The names and values of a JSON object; numbers, true and false are the text that was sent."""
    found = _parsed(text, _DECODER)
    if not isinstance(found, _Object):
        _require_shallow(found)
        raise UnreadableBody('expected a JSON object, such as {"status": "active"}')
    return [(name, _scalar(value)) for name, value in found]


def _scalar(value: Any) -> Any:
    if type(value) is str:
        return value
    if isinstance(value, bool):
        return _WORDS[value]
    _require_shallow([value])
    return dict(value) if isinstance(value, _Object) else value


def _require_shallow(value: Any) -> None:
    """Raises: UnreadableBody for a value that is nested too deep."""
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [inner for item in level for inner in _inside(item)]
    if level:
        raise UnreadableBody(_TOO_DEEP)


def _inside(value: Any) -> list[Any]:
    """What a list or an object holds."""
    if isinstance(value, _Object):
        return [inner for _, inner in value]
    return value if isinstance(value, list) else []


def _refuse_constant(word: str) -> NoReturn:
    raise UnreadableBody(f"not valid JSON: {word}")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_Object,
    parse_int=str,
    parse_float=Word.number,
    parse_constant=_refuse_constant,
)
