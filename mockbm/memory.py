"""Answers that are remembered, beneath Flask: the same request of the same view gets the same.

A view of a scenario that neither counts nor changes answers as a pure function of the request. So
an answer that the blueprint made once is given again, and only the journal hears of it. Answers are
kept with their scenario, for all sessions together, and told apart by their revision: a reload
makes new scenarios, which remember nothing. A server that shows the bytes of a request gets those
of the answer, and need not even read the request.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterable
from email.utils import formatdate
from time import perf_counter, time
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from .mock import Mock
    from .session import View

REMEMBER = "mockbm.remember"
"""In the WSGI environment, left by the application: the view, and what the journal was told."""

MAX_ANSWERS = 256
MAX_BYTES = 512 * 1024
"""What one scenario remembers at most: answers, and bytes of requests and answers together."""

MAX_BODY = 4_096
"""Bytes of the body of a request that may be remembered."""

MAX_KEPT = 8 * 1024 * 1024
"""Bytes of requests and answers, as they go over the wire, that are kept at most."""

SERVER = "mockbm"
"""The header of that name, under the servers that `mockbm serve` runs."""


class Answer(NamedTuple):
    """A remembered answer, and what goes into the journal each time that it is given."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes
    entry: dict[str, Any]


class Given(NamedTuple):
    """A remembered answer, and what found it: the API key, and what decides beside the view."""

    key: str
    request: tuple[Any, ...]
    answer: Answer


class Memory:
    """A WSGI application around another one, which it asks for what it does not remember.

    conclude: writes a remembered answer into journal and log; takes view, entry and beginning.
    Any number of threads may use it.
    """

    def __init__(
        self, application: WSGIApplication, mock: Mock, conclude: Callable[[Any, Any, float], Any]
    ) -> None:
        self._application = application
        self._mock = mock
        self._conclude = conclude
        self._kept: dict[bytes, tuple[Given, bytes, bytes]] = {}
        self._kept_bytes = 0
        self._date = (0, b"")

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        given = self.recall(environ)
        if given is None:
            return self._ask(environ, start_response)
        start_response(given.answer.status, given.answer.headers)
        return [given.answer.body]

    def recall(self, environ: WSGIEnvironment) -> Given | None:
        """The remembered answer to a request; the journal hears of it."""
        begun = perf_counter()
        view, given = self._look(environ)
        if view is None or given is None:
            return None
        try:
            self._conclude(view, given.answer.entry, begun)
        except ConnectionError:  # the application says what is wrong with the state
            return None
        return given

    def find(self, environ: WSGIEnvironment) -> Given | None:
        """The remembered answer to a request, which is not given yet."""
        return self._look(environ)[1]

    def _look(self, environ: WSGIEnvironment) -> tuple[View | None, Given | None]:
        request = self._request(environ)
        if request is None:
            return None, None
        key = environ["HTTP_X_APIKEY"]
        try:
            view, answer = self._find(key, request)
        except ConnectionError:
            return None, None
        return view, Given(key, request, answer) if answer else None

    def _find(self, key: str, request: tuple[Any, ...]) -> tuple[View, Answer | None]:
        admission = self._mock.admit(key)
        return admission.view, None if admission.refusal else admission.view.recall(request)

    def again(self, request: bytes) -> bytes | None:
        """The whole answer to a request that came before, byte for byte, if it still holds."""
        begun = perf_counter()
        kept = self._kept.get(request)
        if kept is None:
            return None
        given, before_date, after_date = kept
        view, answer = self._find(given.key, given.request)
        if answer is not given.answer:
            return None
        self._conclude(view, answer.entry, begun)
        now = int(time())
        if self._date[0] != now:
            self._date = (now, formatdate(now, usegmt=True).encode())
        return before_date + self._date[1] + after_date

    def keep(self, request: bytes, given: Given, head: tuple[bytes, bytes]) -> None:
        """Have `again` answer a request, of which these are all the bytes and nothing else.

        It has to be one of HTTP/1.1 after which the connection stays open.
        head: what the server writes before the date in the head of the answer, and behind it.
        """
        before, after = head
        body = given.answer.body
        size = len(request) + len(before) + len(after) + len(body)
        if self._kept_bytes + size > MAX_KEPT:  # most of it may be of views that are gone
            self._kept, self._kept_bytes = {}, 0
        self._kept_bytes += size
        self._kept[request] = (given, before, after + body)

    def _request(self, environ: WSGIEnvironment) -> tuple[Any, ...] | None:
        """All of a request that decides its answer, beside the view; None for one not to remember.

        The body is read, and put back for the application to read again.
        """
        length = environ.get("CONTENT_LENGTH") or "0"
        if not environ.get("HTTP_X_APIKEY") or "HTTP_TRANSFER_ENCODING" in environ:
            return None
        if not length.isdecimal() or int(length) > MAX_BODY:
            return None
        body = environ["wsgi.input"].read(int(length)) if length != "0" else b""
        environ["wsgi.input"] = io.BytesIO(body)
        names = ("REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "CONTENT_TYPE")
        return (*(environ.get(name, "") for name in names), length, body)

    def _ask(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = self._request(environ)
        if request is None:
            return self._application(environ, start_response)
        said: list[Any] = []

        def listen(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            said[:] = [status, headers]
            return start_response(status, headers, *more)

        parts = self._application(environ, listen)
        if REMEMBER not in environ:
            return parts
        try:
            body = b"".join(parts)
        finally:
            getattr(parts, "close", lambda: None)()
        view, entry = environ[REMEMBER]
        view.remember(request, Answer(said[0], said[1], body, entry))
        return [body]


class Answers:
    """What one scenario remembers; the oldest make room. Any number of threads may use it."""

    def __init__(self) -> None:
        self._answers: dict[Any, tuple[Answer, int]] = {}
        self._bytes = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, request: tuple[int, tuple[Any, ...]]) -> Answer | None:
        found = self._answers.get(request)
        return found[0] if found else None

    def put(self, request: tuple[int, tuple[Any, ...]], answer: Answer) -> None:
        size = len(answer.body) + sum(map(len, request[1]))
        with self._lock:
            if size > MAX_BYTES or request in self._answers:
                return
            while len(self._answers) >= MAX_ANSWERS or self._bytes + size > MAX_BYTES:
                self._bytes -= self._answers.pop(next(iter(self._answers)))[1]
            self._bytes += size
            self._answers[request] = answer, size
