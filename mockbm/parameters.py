"""What a request to the endpoint says: its parameters and its API key, wherever they stand.

Parameters come in the query, a form or a JSON object; the key in those places or two headers
more [S, O]. Reading never fails: what cannot be read is kept as a problem, because a missing key
is answered before anything else.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from flask import Request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from .fields import quoted
from .keys import HIDDEN
from .selection import FILTERS

KEY_HEADER = "X-ApiKey"
KEY_USER = "api"
KEY_PARAMETERS = ("key", "api_key")
"""Names of the key as a parameter, in lower case; both are taken in every place [O, C]."""

MAX_FIELDS = 1_000
"""Parameters that a request may have."""

MAX_DEPTH = 32
"""Levels of nesting that a JSON body may have."""

_TOO_DEEP = f"not read: JSON nested more than {MAX_DEPTH} levels deep"
_TOO_MANY = f"a form of more than {MAX_FIELDS} fields"

_SECRETS = ("apikey", "authorization", "password", "secret", "token")
_CHARSETS = ("ascii", "utf-8", "utf-16", "utf-32", "iso8859-1", "cp1252")
_KNOWN = {name.lower(): name for name in FILTERS}


@dataclass(frozen=True)
class Parameter:
    """One parameter of a request.

    name: as `FILTERS` spells it, or as it came where it is unknown; names ignore case [C].
    value: the text that was sent (JSON's numbers, true and false too), or the list or dict;
        `HIDDEN` where the name says that it is a secret.
    place: "query", "form" or "JSON".
    """

    name: str
    value: Any
    place: str


@dataclass
class Received:
    """A request as understood: at most one parameter of each name, the key, and the problems."""

    parameters: dict[str, Parameter] = field(default_factory=dict)
    api_key: str | None = None
    problems: dict[str, str] = field(default_factory=dict)
    """Name of a parameter, or `body`, to what is wrong with it."""
    empty: list[str] = field(default_factory=list)
    """Names of parameters that count as not given, since they are null or empty [C]."""
    notes: list[str] = field(default_factory=list)
    """What else was passed over although it was sent."""
    failure: HTTPException | None = None
    """Why the request could not be read at all, such as a body that is too large."""

    def values(self) -> dict[str, Any]:
        """The parameters that can be filters."""
        return {name: parameter.value for name, parameter in self.parameters.items()}


class _UnreadableError(ValueError):
    """A body that cannot be read; the text says why."""


class _Object(list[tuple[str, Any]]):
    """A JSON object as its pairs, so that a name given twice is seen."""


def receive(request: Request) -> Received:
    """Read the parameters and the key of a request."""
    received = Received(api_key=_header_key(request))
    found = [Parameter(name, value, "query") for name, value in request.args.items(multi=True)]
    try:
        found += _body_parameters(request)
    except _UnreadableError as error:
        received.problems["body"] = str(error)
    except HTTPException as error:
        received.failure = error
    if len(found) > MAX_FIELDS:
        received.problems["parameters"] = f"more than {MAX_FIELDS} are too many"
        del found[MAX_FIELDS:]
    for parameter in found:
        if parameter.value is None or parameter.value == "":
            received.empty.append(parameter.name)
        elif parameter.name.lower() in KEY_PARAMETERS:
            _take_key(received, parameter)
        else:
            _take(received, parameter)
    return received


def printable(name: str) -> str:
    """The name of a parameter for a message of one line, in quotes where it could break it."""
    return name if name.isprintable() and 0 < len(name) <= 60 else quoted(name)


def _take_key(received: Received, parameter: Parameter) -> None:
    if received.api_key is None and isinstance(parameter.value, str):
        received.api_key = parameter.value
    else:
        received.notes.append(f"a further API key, in the {parameter.place}, is passed over")


def _take(received: Received, parameter: Parameter) -> None:
    name = _KNOWN.get(parameter.name.lower(), parameter.name)
    first = received.parameters.get(name)
    if first is None:
        plain = name.lower().replace("-", "").replace("_", "")
        secret = name not in FILTERS and any(word in plain for word in _SECRETS)
        value = HIDDEN if secret else parameter.value
        received.parameters[name] = Parameter(name, value, parameter.place)
    else:
        received.problems[name] = (
            f"given twice, as {_brief(first.value)} in the {first.place} and as "
            f"{_brief(parameter.value)} in the {parameter.place}; give it once"
        )


def _brief(value: Any) -> str:
    """A value as it came, so that an API key in it is still found, or only what it is."""
    if isinstance(value, str):
        short = len(value) <= 40 and value.isprintable()
        return f"'{value}'" if short else f"a text of {len(value)} letters"
    return quoted(value)


def _header_key(request: Request) -> str | None:
    try:
        basic = request.authorization
    except ValueError:  # not even Base64
        basic = None
    password = basic.password if basic and basic.username == KEY_USER else None
    return request.headers.get(KEY_HEADER) or password or None


def _body_parameters(request: Request) -> Iterator[Parameter]:
    body = request.get_data()
    text = body.removeprefix(codecs.BOM_UTF8).strip()
    start = text[:1]
    kind = request.mimetype
    if kind == "multipart/form-data" and body:
        yield from _multipart(request)
    elif not text:
        return
    elif kind == "application/x-www-form-urlencoded":
        if start in (b"{", b"["):
            raise _UnreadableError("JSON that came as a form; set Content-Type: application/json")
        form = _decode(body, "utf-8")
        try:
            pairs = parse_qsl(form, keep_blank_values=True, max_num_fields=MAX_FIELDS)
        except ValueError:
            raise _UnreadableError(_TOO_MANY) from None
        for name, value in pairs:
            yield Parameter(name, value, "form")
    elif kind == "application/json" or (not kind and start == b"{"):
        charset = request.mimetype_params.get("charset", "utf-8")
        for name, value in _json_object(_decode(body, charset)):
            yield Parameter(name, _as_sent(value), "JSON")
    else:
        raise _UnreadableError(
            f"cannot be read as {quoted(kind)}; set Content-Type: application/json"
            if kind
            else "has no Content-Type and is not a JSON object; set Content-Type: application/json"
        )


def _multipart(request: Request) -> Iterator[Parameter]:
    try:
        form = request.form
    except RequestEntityTooLarge:  # in parts: the whole body has been read by now
        raise _UnreadableError(_TOO_MANY) from None
    for name, value in form.items(multi=True):
        if name is not None:
            yield Parameter(name, value, "form")
    if None in form or None in request.files:
        raise _UnreadableError("a part of the multipart form has no name")
    for name in request.files:
        raise _UnreadableError(f"{printable(name)} came as a file; send it as a plain field")
    end = f"--{request.mimetype_params.get('boundary')}--".encode()
    if not form and request.get_data().strip() != end:  # some clients send only the end
        raise _UnreadableError("not a multipart form that can be read; look at its boundary")


def _decode(body: bytes, charset: str) -> str:
    try:
        codec = codecs.lookup(charset).name
        if codec not in _CHARSETS:
            raise LookupError
        return body.decode(codec).removeprefix("\ufeff")
    except LookupError:
        raise _UnreadableError(f"the charset {quoted(charset)} is not known; send UTF-8") from None
    except UnicodeDecodeError as error:
        raise _UnreadableError(f"not {codec}: byte 0x{body[error.start]:02x}; send UTF-8") from None


def _json_object(text: str) -> _Object:
    try:
        value = json.loads(
            text,
            object_pairs_hook=_Object,
            parse_int=str,
            parse_float=str,
            parse_constant=_refuse_constant,
        )
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise _UnreadableError(f"not valid JSON: {error.msg} at {place}") from None
    except RecursionError:
        raise _UnreadableError(_TOO_DEEP) from None
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [inner for item in level for inner in _inside(item)]
    if level:
        raise _UnreadableError(_TOO_DEEP)
    if not isinstance(value, _Object):
        raise _UnreadableError('expected a JSON object, such as {"status": "active"}')
    return value


def _inside(value: Any) -> list[Any]:
    """What a list or an object holds."""
    if isinstance(value, _Object):
        return [inner for _, inner in value]
    return value if isinstance(value, list) else []


def _refuse_constant(word: str) -> NoReturn:
    raise _UnreadableError(f"not valid JSON: {word}")


def _as_sent(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return dict(value) if isinstance(value, _Object) else value
