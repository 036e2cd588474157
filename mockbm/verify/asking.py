"""Asking the same of a real server and of a mock: requests that only read, and their answers.

A request says what it means; what goes over the wire is made of it and the API key at the last
moment, so that no description of a request can hold a key.
"""

from __future__ import annotations

import base64
import codecs
import http.client
import io
import json
import math
import re
import secrets
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import __version__
from ..guard import is_loopback
from ..parameters import KEY_HEADER, KEY_USER

if TYPE_CHECKING:
    from flask import Flask

PATH = "/api/releases"
METHODS = ("GET", "HEAD", "POST")
"""What a real server is ever asked with. None of them changes anything there [S]."""

MAX_ANSWER = 256 * 1024 * 1024
"""Bytes of one answer that are read at most."""

MAX_WAIT = 10
"""Seconds that a server may ask us to wait (Retry-After)."""

MAX_WAITS = 3
"""How often in a row it may ask for that."""

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
EDGE = "mockbm-verify-edge"
PARTS = f"multipart/form-data; boundary={EDGE}"

Pairs = tuple[tuple[str, Any], ...]


class CannotVerify(Exception):  # noqa: N818 (it reads as what it says)
    """The server could not be asked, or what it answers cannot be compared; the text says why."""


class Sent(str):
    """A text that is sent, and the one that is shown in its place."""

    shown: str

    def __new__(cls, text: str, shown: str) -> Sent:
        made = super().__new__(cls, text)
        made.shown = shown
        return made


@dataclass(frozen=True)
class Request:
    """One request to the endpoint, without any API key.

    query, body: the parameters; a body of bytes is sent as it stands, and None is no body.
    content_type: that of the body; also says how parameters are written.
    key: where the API key goes, and under which name: header, basic, query, body; "none" for
        nowhere, "wrong" for a key in the header that no server knows.
    """

    method: str = "GET"
    query: Pairs = ()
    body: Pairs | bytes | None = None
    content_type: str | None = None
    key: tuple[str, str] = ("header", KEY_HEADER)
    path: str = PATH

    def __str__(self) -> str:
        """The request for people: nothing is encoded, and persons are not named."""
        query = "&".join(f"{name}={_shown(value)}" for name, value in self.query)
        parts = [f"{self.method} {self.path}{'?' if query else ''}{query}"]
        if isinstance(self.body, bytes):
            parts.append(f"with {self.body.decode('utf-8', 'backslashreplace').lstrip(chr(65279))}")
        elif self.body is not None:
            told = ", ".join(f"{name}: {_shown(value)}" for name, value in self.body)
            parts.append(f"with {{{told}}}")
        if self.body is not None:
            parts.append(f"as {(self.content_type or 'no type').partition('; boundary')[0]}")
        place, name = self.key
        if place in ("none", "wrong"):
            parts.append("without a key" if place == "none" else "with a key that nobody has")
        elif place != "header":
            parts.append(f"with the key in {_PLACES[place]}{f' as {name}' if name else ''}")
        return " ".join(parts)

    def on_the_wire(self, key: str) -> tuple[str, dict[str, str], bytes | None]:
        """The path with the query, the headers, and the body."""
        place, name = self.key
        pairs = ((name, key),)
        headers = {"Content-Type": self.content_type} if self.content_type else {}
        if place in ("header", "wrong"):
            headers[KEY_HEADER] = key if place == "header" else secrets.token_hex(16)
        elif place == "basic":
            word = base64.b64encode(f"{KEY_USER}:{key}".encode()).decode()
            headers["Authorization"] = f"Basic {word}"
        query = _encoded((*self.query, *pairs) if place == "query" else self.query)
        path = f"{self.path}?{query}" if query else self.path
        if self.body is None or isinstance(self.body, bytes):
            return path, headers, self.body
        return path, headers, self._written((*self.body, *pairs) if place == "body" else self.body)

    def _written(self, pairs: Pairs) -> bytes:
        if self.content_type == PARTS:
            part = '--{}\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
            parts = [part.format(EDGE, name, value) for name, value in pairs]
            return "".join([*parts, f"--{EDGE}--\r\n"]).encode()
        if self.content_type == FORM:
            return _encoded(pairs).encode()
        return json.dumps(dict(pairs), ensure_ascii=False).encode()


_PLACES = {"basic": "HTTP Basic", "query": "the query", "body": "the body"}


def _shown(value: Any) -> str:
    if isinstance(value, Sent):
        return repr(value.shown)
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _encoded(pairs: Pairs) -> str:
    return urllib.parse.urlencode(pairs, quote_via=urllib.parse.quote, safe="")


class Answer(NamedTuple):
    """What came back; content_type in lower case and without spaces."""

    status: int
    content_type: str
    body: bytes
    retry_after: str

    def json(self) -> Any:
        """The body as JSON. Raises: ValueError."""
        try:
            # NaN is not equal to itself, and would look like a change.
            return json.loads(self.body.decode("utf-8-sig"), parse_constant=lambda _: math.inf)
        except RecursionError:
            raise ValueError("nested too deep") from None

    def oddities(self) -> list[str]:
        """What the body has that `json` reads and the standard does not allow, in words."""
        found = []
        if self.body.startswith(codecs.BOM_UTF8):
            found.append("begins with a byte-order mark")
        constants: list[str] = []
        if b"NaN" in self.body or b"Infinity" in self.body:  # else there is no need to look
            json.loads(self.body.decode("utf-8-sig"), parse_constant=constants.append)
        found += [f"has {name} for a number" for name in dict.fromkeys(constants)]
        return found

    def releases(self) -> list[dict[str, Any]] | None:
        """The releases of the body, or None where it is no array of objects."""
        try:
            found = self.json()
        except ValueError:
            return None
        fits = isinstance(found, list) and all(isinstance(item, dict) for item in found)
        return found if fits else None


def _answer(status: int, headers: Any, body: bytes) -> Answer:
    kind = re.sub(r"\s", "", headers.get("Content-Type") or "").lower()
    return Answer(status, kind, body, headers.get("Retry-After") or "")


class Server:
    """A real server. It is asked with `METHODS` only, and never follows a redirect.

    url: its base URL; `/api/releases` is added where it is not there yet.
    timeout: seconds that one answer may take.
    ca_file: certificates of authorities to trust, for a server whose own is not publicly signed.
    Raises: CannotVerify for a URL or a key that cannot be one.
    """

    def __init__(
        self, url: str, key: str, *, timeout: float = 30, ca_file: Path | None = None
    ) -> None:
        parts, host = _split(url)
        if not re.fullmatch(r"[!-~]+", key):
            what = "one word of printable ASCII characters"
            raise CannotVerify(f"the API key is expected to be {what}")
        prefix = parts.path.rstrip("/")
        if prefix.lower().endswith(PATH):
            prefix = prefix[: -len(PATH)]
        self.url = f"{parts.scheme}://{parts.netloc}{prefix}"
        self.timeout = timeout
        self.sent = 0
        self._key = key
        # A proxy is for other machines.
        proxies = urllib.request.ProxyHandler({} if is_loopback(host) else None)
        handlers = [proxies, _InTime(), _Literally()]
        if parts.scheme == "https" or ca_file is not None:
            handlers.append(_SafelyInTime(_trust(ca_file)))
        self._open = urllib.request.build_opener(*handlers).open

    def ask(self, request: Request) -> Answer:
        """Send one request; one that is told to wait a little waits and asks again.

        Raises: CannotVerify where no answer comes, or one that says that it is no use to go on.
        """
        for _ in range(MAX_WAITS):
            answer = self._ask_once(request)
            wait = answer.retry_after
            if answer.status not in (429, 503) or not re.fullmatch(r"[0-9]{1,6}", wait):
                break
            if int(wait) > MAX_WAIT:
                break
            time.sleep(int(wait))
        if answer.status in (429, 502, 503, 504):
            raise CannotVerify(f"{self.url} answers {_named(answer.status)}; try again later")
        return answer

    def _ask_once(self, request: Request) -> Answer:
        if request.method not in METHODS:
            raise AssertionError(f"{request.method} is never sent to a real server")
        path, headers, body = request.on_the_wire(self._key)
        wired = urllib.request.Request(f"{self.url}{path}", body, headers, method=request.method)
        wired.add_header("User-Agent", f"mockbm/{__version__} verify")
        self.sent += 1
        try:
            try:
                response = self._open(wired, timeout=self.timeout)
            except urllib.error.HTTPError as error:
                response = error
            with response:
                body = b"".join(self._pieces(response))
                return _answer(response.status, response.headers, body)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise CannotVerify(f"{self.url} {self._why(error)}") from None

    def _pieces(self, response: Any) -> Iterator[bytes]:
        size = 0
        while piece := response.read1(1 << 16):
            size += len(piece)
            if size > MAX_ANSWER:
                raise CannotVerify(f"{self.url} answers more than {MAX_ANSWER >> 20} MiB")
            yield piece
        if getattr(response, "length", 0):
            raise http.client.IncompleteRead(b"", response.length)

    def _why(self, error: Exception) -> str:
        """What went wrong, in words that have no API key in them."""
        reason = getattr(error, "reason", error)
        if isinstance(reason, TimeoutError):
            return f"takes more than {self.timeout:g} s to answer; --timeout allows more"
        if isinstance(reason, ssl.SSLCertVerificationError):
            why = reason.verify_message
            return f"has a certificate that is not trusted ({why}); --ca-file names whom to trust"
        if isinstance(reason, ssl.SSLError):
            return f"does not speak TLS as expected ({reason.reason})"
        if isinstance(reason, http.client.IncompleteRead):
            return "broke the connection in the middle of an answer"
        if isinstance(reason, (http.client.RemoteDisconnected, ConnectionError)):
            refused = isinstance(reason, ConnectionRefusedError)
            return "refuses connections" if refused else "broke the connection before an answer"
        if isinstance(reason, OSError):
            return f"cannot be reached: {reason.strerror or type(reason).__name__}"
        return f"does not speak HTTP as expected ({type(reason).__name__})"


def _split(url: str) -> tuple[urllib.parse.SplitResult, str]:
    """A URL in parts, and its host. Raises: CannotVerify for one that is not the base of a server.

    A message has no part of the URL, which may hold a password.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        host, _ = parts.hostname or "", parts.port
        wired = host.encode("idna").decode()
    except ValueError:
        raise CannotVerify("the URL is expected to have a valid host and port") from None
    if not re.fullmatch(r"[!-~]*", parts.path + wired):
        raise CannotVerify("the URL is expected to have no spaces, and a path in ASCII") from None
    if parts.scheme not in ("http", "https") or not host:
        raise CannotVerify("the URL is expected to begin with http:// or https:// and a host")
    if parts.username or parts.query or parts.fragment:
        raise CannotVerify("the URL is expected to end before a user, a query or a fragment")
    return parts, host


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except OSError as error:
        holds_none = isinstance(error, ssl.SSLError) or not error.strerror
        why = "it holds no certificate" if holds_none else error.strerror
        raise CannotVerify(f"{ca_file} cannot be read for certificates: {why}") from None


def _named(status: int) -> str:
    return f"{status} {http.client.responses.get(status, '')}".rstrip()


class _InTime(urllib.request.HTTPHandler):
    """Gives up on an answer when the time for it is over, also where it still comes in drops."""

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_until(request, http.client.HTTPConnection), request)


class _SafelyInTime(urllib.request.HTTPSHandler):
    """The same over TLS."""

    def __init__(self, trusted: ssl.SSLContext) -> None:
        super().__init__(context=trusted)
        self._trusted = trusted

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        connection = partial(http.client.HTTPSConnection, context=self._trusted)
        return self.do_open(_until(request, connection), request)


def _until(request: urllib.request.Request, connection: Callable[..., Any]) -> Any:
    """Makes connections whose answers have to be there within the time of the request."""
    ends = time.monotonic() + float(request.timeout or 0)

    def connect(*arguments: Any, **options: Any) -> Any:
        made = connection(*arguments, **options)
        made.response_class = partial(_Response, ends)
        return made

    return connect


class _Response(http.client.HTTPResponse):
    """An answer that has to be there until a moment."""

    def __init__(self, ends: float, connected: socket.socket, *rest: Any, **options: Any) -> None:
        super().__init__(connected, *rest, **options)
        raw: Any = self.fp.detach()
        self.fp = io.BufferedReader(_Timely(raw, connected, ends))


class _Timely(io.RawIOBase):
    """What comes from a socket until a moment. Raises: TimeoutError for what is read later."""

    def __init__(self, raw: io.RawIOBase, connected: socket.socket, ends: float) -> None:
        self._raw = raw
        self._connected = connected
        self._ends = ends

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connected.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Literally(urllib.request.HTTPRedirectHandler):
    """Sends a request as it is: nothing is added, and no redirect takes the key elsewhere."""

    handler_order = 900  # after the handler that adds a Content-Type to a body without one

    def http_request(self, request: urllib.request.Request) -> urllib.request.Request:
        request.unredirected_hdrs.pop("Content-type", None)
        return request

    https_request = http_request

    def redirect_request(self, *_: Any) -> None:
        return None


class Mocked:
    """A mock in this process, asked without a socket."""

    def __init__(self, app: Flask, key: str) -> None:
        self._client = app.test_client()
        self._key = key
        self._last: tuple[Request, Answer] | None = None

    def ask(self, request: Request) -> Answer:
        """Send one request; the one before is not sent again, since nothing changes."""
        if self._last is None or self._last[0] != request:
            self._last = (request, self._ask_once(request))
        return self._last[1]

    def _ask_once(self, request: Request) -> Answer:
        path, headers, body = request.on_the_wire(self._key)
        response = self._client.open(path, method=request.method, headers=headers, data=body)
        return _answer(response.status_code, response.headers, response.data)
