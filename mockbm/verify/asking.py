"""Requests that only read, and how a real server or a mock in this process answers them."""

from __future__ import annotations

import base64
import http.client
import json
import math
import re
import ssl
import threading
import time
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import quote, urlencode, urlsplit

from .._version import __version__
from ..core.errors import quoted
from ..core.request import HIDDEN, KEY_HEADER, KEY_USER
from ..web.guard import is_loopback

METHODS = ("GET", "HEAD", "POST")  # all that a real server gets; none changes anything there [S]
PATH = "/api/releases"
JSON, FORM = "application/json", "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=mockbm-verify"

MAX_ANSWER = 256 * 1024 * 1024  # bytes
MAX_WAIT = 10  # seconds that a Retry-After may ask for
MAX_TRIES = 3

Pairs = tuple[tuple[str, Any], ...]


class CannotVerify(Exception):  # noqa: N818 (it reads as what it says)
    """There is no answer of the server that can be compared; the text says why."""


class Masked(str):
    """A text that is sent, and `shown`, which stands for it in reports."""

    shown: str

    def __new__(cls, text: str, shown: str) -> Masked:
        masked = super().__new__(cls, text)
        masked.shown = shown
        return masked


KEY, BASIC = Masked("", HIDDEN), Masked("", HIDDEN)  # for the API key, which no request holds


@dataclass(frozen=True)
class Request:
    """One request. Its query and body are parameters; a body of text is sent unchanged.

    content_type: of the body; also decides how its parameters are written. charset: of the body.
    """

    method: str = "GET"
    path: str = PATH
    query: Pairs = ()
    body: Pairs | str | None = None
    content_type: str = ""
    charset: str = "utf-8"
    headers: Pairs = ((KEY_HEADER, KEY),)

    def filters(self, known: Iterable[str]) -> list[str]:
        """Those of these filters that are in the request."""
        text = self.body if isinstance(self.body, str) else ""
        pairs = (*self.query, *(() if text else self.body or ()))
        names = {name.lower() for name in (*dict(pairs), *re.findall(r'"(\w+)":', text))}
        return [name for name in known if name.lower() in names]

    def __str__(self) -> str:
        """The request for people: nothing is encoded, and persons have no names."""

        def show(pairs: Pairs) -> list[tuple[str, Any]]:
            return [(name, getattr(value, "shown", value)) for name, value in pairs]

        text = f"{self.method} {self.path}"
        if self.query:
            text += f"?{'&'.join(f'{name}={value}' for name, value in show(self.query))}"
        if self.body is not None:
            body = self.body if isinstance(self.body, str) else _as_json(show(self.body))
            text += f" with {body} as {self.content_type.partition('; boundary')[0] or 'no type'}"
        if self.headers != Request.headers:
            headers = [f"{name}: {value}" for name, value in show(self.headers)]
            text += f" with {', '.join(headers) or f'no {KEY_HEADER}'}"
        return text

    def encode(self, key: str) -> tuple[str, dict[str, str], bytes | None]:
        """The request with this API key: path with query, headers, body."""

        def fill(pairs: Pairs) -> list[tuple[str, Any]]:
            basic = f"Basic {basic_credentials(key)}"
            return [(n, key if v is KEY else basic if v is BASIC else v) for n, v in pairs]

        headers = dict(fill(self.headers))
        if self.content_type:
            headers["Content-Type"] = self.content_type
        query = urlencode(fill(self.query), quote_via=quote)
        path = f"{self.path}?{query}" if query else self.path
        if self.body is None or isinstance(self.body, str):
            return path, headers, self.body.encode() if self.body is not None else None
        pairs = fill(self.body)
        if self.content_type == FORM:
            text = urlencode(pairs, quote_via=quote)
        elif self.content_type == MULTIPART:
            edge = f"--{MULTIPART.partition('=')[2]}"
            part = f'{edge}\r\nContent-Disposition: form-data; name="{{}}"\r\n\r\n{{}}\r\n'
            text = "".join(part.format(*pair) for pair in pairs) + f"{edge}--\r\n"
        else:
            text = _as_json(pairs)
        return path, headers, text.encode(self.charset)


def _as_json(pairs: Iterable[tuple[str, Any]]) -> str:
    """An object, in which a name may occur twice."""
    items = (f'"{name}": {json.dumps(value, ensure_ascii=False)}' for name, value in pairs)
    return f"{{{', '.join(items)}}}"


def basic_credentials(key: str) -> str:
    """What HTTP Basic sends for an API key."""
    return base64.b64encode(f"{KEY_USER}:{key}".encode()).decode()


class Answer:
    """One answer, with its content_type in lower case and without spaces.

    records: None where the body is not an array of objects.
    oddities: what in the body is not as the standard has JSON, in words.
    """

    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status, self.body = status, body
        self.content_type = re.sub(r"\s", "", headers.get("Content-Type") or "").lower()
        self.retry_after = headers.get("Retry-After") or ""
        self.oddities: dict[str, None] = {}
        if body.startswith(b"\xef\xbb\xbf"):
            self.oddities["begins with a byte-order mark"] = None

        def constant(name: str) -> float:
            self.oddities[f"has {name} for a number"] = None
            return math.inf  # NaN is not equal to itself, and would pass for a change

        value = None
        self.is_json = True
        try:
            value = json.loads(body.decode("utf-8-sig"), parse_constant=constant)
        except (ValueError, RecursionError):
            self.is_json = False
        fits = isinstance(value, list) and all(isinstance(item, dict) for item in value)
        self.records: list[dict[str, Any]] | None = value if fits else None


class Server:
    """A real server. It gets `METHODS` only, and no redirect of it is followed.

    url: its base URL, with or without `/api/releases`.
    timeout: seconds that one whole answer may take.
    ca_file: certificates of authorities to trust, for a server whose own is not publicly signed.
    sent: number of requests that it got.
    Raises: CannotVerify for a URL, a key or a file that cannot be one.
    """

    def __init__(
        self, url: str, key: str, *, timeout: float = 30, ca_file: Path | None = None
    ) -> None:
        self.url, host = _split(url)
        self.timeout, self.sent, self._key = timeout, 0, key
        if not re.fullmatch(r"[!-~]+", key):
            what = "one word of printable ASCII characters"
            raise CannotVerify(f"the API key is expected to be {what}")
        # Without urllib's handlers of redirects and errors, every answer is returned as it is.
        self._opener = urllib.request.OpenerDirector()
        self._opener.add_handler(urllib.request.ProxyHandler({} if is_loopback(host) else None))
        self._opener.add_handler(urllib.request.HTTPHandler())
        if self.url.startswith("https:") or ca_file is not None:
            try:
                context = ssl.create_default_context(cafile=ca_file)
            except OSError as error:
                is_read = isinstance(error, ssl.SSLError)
                why = "it holds no certificate" if is_read else error.strerror
                raise CannotVerify(f"{ca_file} cannot be read for certificates: {why}") from None
            self._opener.add_handler(urllib.request.HTTPSHandler(context=context))

    def ask(self, request: Request) -> Answer:
        """The server's answer to a request; waits as long as a Retry-After says, if that is short.

        Raises: CannotVerify where no answer comes, or one that says that more requests are no use.
        """
        for _ in range(MAX_TRIES):
            answer = self._send(request)
            wait = answer.retry_after if answer.status in (429, 503) else ""
            if not re.fullmatch(r"[0-9]{1,6}", wait) or int(wait) > MAX_WAIT:
                break
            time.sleep(int(wait))
        if answer.status in (429, 502, 503, 504):
            status = f"{answer.status} {http.client.responses[answer.status]}"
            raise CannotVerify(f"{self.url} answers {status}; try again later")
        return answer

    def _send(self, request: Request) -> Answer:
        if request.method not in METHODS:
            raise AssertionError(f"{request.method} is never sent to a real server")
        path, headers, body = request.encode(self._key)
        headers["User-Agent"] = f"mockbm/{__version__} verify"
        wired = _Wired(self.url + path, body, headers, method=request.method)
        outcome: list[Any] = [TimeoutError()]

        def receive() -> None:
            try:
                with self._opener.open(wired, timeout=self.timeout) as response:
                    body = response.read(MAX_ANSWER + 1)
                    if len(body) > MAX_ANSWER:
                        raise OverflowError
                    if response.length:
                        raise http.client.IncompleteRead(body)  # read itself may not notice
                    outcome[0] = Answer(response.status, response.headers, body)
            except (OSError, OverflowError, ValueError, http.client.HTTPException) as error:
                outcome[0] = error

        self.sent += 1
        # The timeout of a socket is for each piece of an answer, of which there may be any number.
        # This one is for all of it; a thread that still waits then is left behind.
        thread = threading.Thread(target=receive, daemon=True)
        thread.start()
        thread.join(self.timeout)
        found = outcome[0]
        if isinstance(found, Answer):
            return found
        if isinstance(found, URLError):
            found = found.reason  # which says more
        what = getattr(found, "strerror", "") or type(found).__name__
        why = next(text for kind, text in _REASONS if isinstance(found, kind))
        raise CannotVerify(f"{self.url} {why.format(self.timeout, what=what, error=found)}")


_NOT_TRUSTED = "has a certificate that is not trusted ({error.verify_message})"
_REASONS = (
    (OverflowError, f"answers more than {MAX_ANSWER >> 20} MiB"),
    (TimeoutError, "takes more than {:g} s to answer; --timeout allows more"),
    (ssl.SSLCertVerificationError, f"{_NOT_TRUSTED}; --ca-file names whom to trust"),
    (ssl.SSLError, "does not speak TLS as expected ({error.reason})"),
    (http.client.IncompleteRead, "broke the connection in the middle of an answer"),
    (ConnectionRefusedError, "refuses connections"),
    (ConnectionError, "broke the connection before an answer"),
    (OSError, "cannot be reached: {what}"),
    (object, "does not speak HTTP as expected ({what})"),
)
"""Why there is no answer, in words that have no API key in them."""


class _Wired(urllib.request.Request):
    def has_header(self, header_name: str) -> bool:
        """Whether there is a header; urllib would add a Content-Type to a body without one."""
        return header_name == "Content-type" or super().has_header(header_name)


def _split(url: str) -> tuple[str, str]:
    """The base URL in this one, and its host. Raises: CannotVerify for what cannot be one."""
    try:
        parts = urlsplit(url)
        host, _ = (parts.hostname or "").encode("idna").decode(), parts.port
        rest = parts.username or parts.query or parts.fragment
        fits = parts.scheme in ("http", "https") and host and not rest
    except ValueError:
        fits = False
    if not fits or not re.fullmatch(r"[!-~]+", host + parts.path):
        shown = "the URL" if re.search("[@?#]", url) else quoted(url)  # it may hold a password
        what = "http:// or https://, a host, and then at most a port and a path in ASCII"
        raise CannotVerify(f"{shown} is not the URL of a server: it is expected to be {what}")
    prefix = re.sub(f"{PATH}$", "", parts.path.rstrip("/"), flags=re.IGNORECASE)
    return f"{parts.scheme}://{parts.netloc}{prefix}", host
