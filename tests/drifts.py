"""Ways in which a server may have drifted from the mock: each changes what a mockbm answers."""

from __future__ import annotations

import io
import json
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

Environ = dict[str, Any]
App = Callable[..., Iterable[bytes]]


class Answer(NamedTuple):
    status: str
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> int:
        return int(self.status[:3])


Ask = Callable[[Environ], Answer]
Drift = Callable[[Ask, Environ], Answer]
"""Takes what asks the real mock, and a request; returns what the drifted server answers."""


def drifted(app: App, drift: Drift, path: str = "/api/releases") -> App:
    """A WSGI application that answers under a path as the drift has it."""

    def ask(environ: Environ) -> Answer:
        begun: list[Any] = []
        environ = with_body(environ, body_of(environ))  # from its start
        body = b"".join(app(environ, lambda *started: begun.extend(started)))
        return Answer(begun[0], dict(begun[1]), body)

    def application(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        drifts = environ["PATH_INFO"].lower().rstrip("/") == path
        environ = with_whole_body(environ)
        answer = drift(ask, environ) if drifts else ask(environ)
        headers = answer.headers
        if environ["REQUEST_METHOD"] != "HEAD":
            headers = {**answer.headers, "Content-Length": str(len(answer.body))}
        start_response(answer.status, list(headers.items()))
        return [answer.body]

    return application


def with_whole_body(environ: Environ) -> Environ:
    size = int(environ.get("CONTENT_LENGTH") or 0)
    return with_body(environ, environ["wsgi.input"].read(size))


def with_body(environ: Environ, body: bytes) -> Environ:
    return {**environ, "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}


def body_of(environ: Environ) -> bytes:
    stream: io.BytesIO = environ["wsgi.input"]
    return stream.getvalue()


def query_of(environ: Environ) -> list[tuple[str, str]]:
    return parse_qsl(environ["QUERY_STRING"], keep_blank_values=True)


def with_query(environ: Environ, query: Iterable[tuple[str, str]]) -> Environ:
    return {**environ, "QUERY_STRING": urlencode(list(query))}


def in_releases(change: Callable[[list[Any]], Any]) -> Drift:
    """Changes the array of releases."""

    def drift(ask: Ask, environ: Environ) -> Answer:
        answer = ask(environ)
        if answer.code != 200 or not answer.body:
            return answer
        return answer._replace(body=json.dumps(change(json.loads(answer.body))).encode())

    return drift


def in_each(change: Callable[[dict[str, Any]], Any]) -> Drift:
    """Changes each release."""

    def all_of_them(releases: list[Any]) -> list[Any]:
        for release in releases:
            change(release)
        return releases

    return in_releases(all_of_them)


def in_answer(change: Callable[[Answer], Answer]) -> Drift:
    return lambda ask, environ: change(ask(environ))


def in_request(change: Callable[[Environ], Environ]) -> Drift:
    return lambda ask, environ: ask(change(environ))


def refusing(when: Callable[[Environ], object], status: str = "400 Bad Request") -> Drift:
    """Refuses some requests, if their key is right."""

    def drift(ask: Ask, environ: Environ) -> Answer:
        answer = ask(environ)
        if answer.code != 403 and when(environ):
            return Answer(status, {"Content-Type": "text/plain; charset=utf-8"}, b"No.\n")
        return answer

    return drift


def in_status(status: int, other: str, **changes: Any) -> Drift:
    """Answers with another status where the mock answers with this one."""

    def change(answer: Answer) -> Answer:
        return answer._replace(status=other, **changes) if answer.code == status else answer

    return in_answer(change)


TEXTS = {
    "applicationName": "applicationName",
    "releaseNumber": "number",
    "releaseName": "name",
    "pipelineName": "pipelineName",
}


def matching(matches: Callable[[str, str], bool], names: Mapping[str, str] = TEXTS) -> Drift:
    """Compares filters in the query otherwise."""

    def drift(ask: Ask, environ: Environ) -> Answer:
        query = query_of(environ)
        mine = {name: value for name, value in query if name in names}
        answer = ask(environ)
        if answer.code != 200 or not mine or environ["REQUEST_METHOD"] == "HEAD":
            return answer
        rest = [pair for pair in query if pair[0] not in names or not pair[1]]
        every = ask(with_query(environ, rest))
        found = [
            release
            for release in json.loads(every.body)
            if all(
                not value or (names[name] in release and matches(value, str(release[names[name]])))
                for name, value in mine.items()
            )
        ]
        return every._replace(body=json.dumps(found).encode())

    return drift


def query_without(environ: Environ, *names: str) -> Environ:
    return with_query(environ, [pair for pair in query_of(environ) if pair[0] not in names])


def without(*names: str) -> Drift:
    """Passes over some filters in the query."""

    def drift(ask: Ask, environ: Environ) -> Answer:
        answer = ask(environ)
        return ask(query_without(environ, *names)) if answer.code in (200, 400) else answer

    return drift


def any_is_enough(ask: Ask, environ: Environ) -> Answer:
    """Two filters in the query select what matches one of them."""
    answer = ask(environ)
    query = [pair for pair in query_of(environ) if pair[1] and pair[0] not in ("key", "API_Key")]
    if answer.code != 200 or len(query) < 2:
        return answer
    found = {}
    for pair in query:
        for release in json.loads(ask(with_query(environ, [pair])).body):
            found[release["id"]] = release
    every = json.loads(ask(with_query(environ, [])).body)
    body = [release for release in every if release["id"] in found]
    return answer._replace(body=json.dumps(body).encode())


def is_plain(environ: Environ) -> bool:
    """Whether a request has no parameters."""
    return not environ["QUERY_STRING"] and not body_of(environ)


def two_without_filter(ask: Ask, environ: Environ) -> Answer:
    """Answers two releases at most, but for filters."""
    return in_releases(lambda r: r[:2] if is_plain(environ) else r)(ask, environ)


def active_by_default(ask: Ask, environ: Environ) -> Answer:
    """Answers what is active, unless it is asked for something."""
    if not is_plain(environ):
        return ask(environ)
    return ask(with_query(environ, [("status", "active")]))


def number_by_name(ask: Ask, environ: Environ) -> Answer:
    """A releaseName in the query also finds a number."""
    query = query_of(environ)
    other = [("releaseNumber" if name == "releaseName" else name, value) for name, value in query]
    answers = [ask(with_query(environ, each)) for each in (query, other)]
    if other == query or any(answer.code != 200 or not answer.body for answer in answers):
        return ask(environ)
    either = {release["id"] for answer in answers for release in json.loads(answer.body)}
    without = ask(query_without(environ, "releaseName"))
    found = [release for release in json.loads(without.body) if release["id"] in either]
    return without._replace(body=json.dumps(found).encode())


def swapped(environ: Environ) -> Environ:
    """Takes the name for the number and the number for the name, in the query."""
    names = {"releaseName": "releaseNumber", "releaseNumber": "releaseName"}
    return with_query(environ, [(names.get(name, name), v) for name, v in query_of(environ)])


def joined(ask: Ask, environ: Environ) -> Answer:
    """Takes the values of one name in the query for one, with a comma between, as ASP.NET does."""
    values: dict[str, list[str]] = {}
    for name, value in query_of(environ):
        values.setdefault(name, []).append(value)
    return ask(with_query(environ, [(name, ",".join(found)) for name, found in values.items()]))


def last_of_a_name(ask: Ask, environ: Environ) -> Answer:
    """Takes the last of parameters of one name, in the query, in JSON, or in both."""
    query = dict(query_of(environ))
    body = body_of(environ)
    try:
        told = json.loads(body)
    except ValueError:
        told = None
    if isinstance(told, dict) and "json" in environ.get("CONTENT_TYPE", ""):
        query = {name: value for name, value in query.items() if name not in told}
        if len(re.findall(rb'"(\w+)":', body)) > len(told):
            environ = with_body(environ, json.dumps(told).encode())
    return ask(with_query(environ, query.items()))


def is_json(environ: Environ) -> bool:
    return "json" in environ.get("CONTENT_TYPE", "")


def is_post(environ: Environ) -> bool:
    return bool(environ["REQUEST_METHOD"] == "POST")


def is_json_post(environ: Environ) -> bool:
    return is_post(environ) and is_json(environ)


def is_form(environ: Environ) -> bool:
    return "urlencoded" in environ.get("CONTENT_TYPE", "")


def is_get_with_body(environ: Environ) -> bool:
    return environ["REQUEST_METHOD"] == "GET" and bool(body_of(environ))


def json_post_emptied(environ: Environ) -> Environ:
    return with_body(environ, b"") if is_json_post(environ) else environ


def broken_is_500(answer: Answer) -> Answer:
    if b"not valid JSON" not in answer.body:
        return answer
    return Answer("500 Error", {"Content-Type": "text/html"}, b"<h1>Error</h1>")


def bad_ids_ignored(ask: Ask, environ: Environ) -> Answer:
    """An id that is none counts as not given."""
    answer = ask(environ)
    if answer.code != 400 or (
        b"32 bits" not in answer.body and b"not an integer" not in answer.body
    ):
        return answer
    rest = [pair for pair in query_of(environ) if not pair[0].endswith("Id")]
    return ask(with_body(with_query(environ, rest), b""))


def unknown_status_is_nothing(ask: Ask, environ: Environ) -> Answer:
    answer = ask(environ)
    if answer.code == 400 and "status=mockbm" in environ["QUERY_STRING"]:
        return Answer("200 OK", {"Content-Type": "application/json; charset=utf-8"}, b"[]")
    return answer


def status_as_written(ask: Ask, environ: Environ) -> Answer:
    """Refuses a status that is not in lower case, as if it were another word."""
    spelt = [
        (name, "other" if name == "status" and value != value.lower() else value)
        for name, value in query_of(environ)
    ]
    return ask(with_query(environ, spelt) if len(spelt) == 1 else environ)


def first_of(names: Collection[str]) -> Drift:
    """Of two filters that are these, the first counts."""

    def drift(ask: Ask, environ: Environ) -> Answer:
        answer = ask(environ)
        query = query_of(environ)
        if answer.code == 400 and len(query) == 2 and {name for name, _ in query} == {*names}:
            return ask(with_query(environ, query[:1]))
        return answer

    return drift


def nothing_where(when: Callable[[Environ], object]) -> Drift:
    """Selects nothing in some requests."""

    def drift(ask: Ask, environ: Environ) -> Answer:
        answer = ask(environ)
        return answer._replace(body=b"[]") if answer.code == 200 and when(environ) else answer

    return drift


def first_of_a_group(ask: Ask, environ: Environ) -> Answer:
    """Of two filters of one group, the first counts."""
    answer = ask(environ)
    if answer.code == 400 and b"given together" in answer.body:
        return ask(with_query(environ, query_of(environ)[:1]))
    return answer


def unknown_ignored(ask: Ask, environ: Environ) -> Answer:
    answer = ask(environ)
    if answer.code == 400 and re.search(rb"(?i)mockbmUnknown|pipelineId", answer.body):
        return ask(with_body(with_query(environ, []), b""))
    return answer


def nulls(release: dict[str, Any]) -> None:
    for name in ("template", "targetDate", "canceledBy", "canceledOn", "pipelineName"):
        release.setdefault(name, None)


def renamed(release: dict[str, Any]) -> None:
    for name in list(release):
        release["createdAt" if name == "createdOn" else name] = release.pop(name)


def backwards(release: dict[str, Any]) -> None:
    for name in reversed(list(release)):
        release[name] = release.pop(name)


def dates(form: Callable[[str], object]) -> Drift:
    def change(release: dict[str, Any]) -> None:
        for name in release.keys() & {"createdOn", "canceledOn", "targetDate"}:
            release[name] = form(release[name])

    return in_each(change)


def nothing_is_404(ask: Ask, environ: Environ) -> Answer:
    answer = ask(environ)
    if answer.code == 200 and answer.body == b"[]":
        return Answer("404 Not Found", {"Content-Type": "text/plain"}, b"no such release\n")
    return answer


def nothing_is_404_to_head(ask: Ask, environ: Environ) -> Answer:
    """Answers HEAD as it answers GET, with a 404 where nothing matches."""
    if environ["REQUEST_METHOD"] != "HEAD":
        return nothing_is_404(ask, environ)
    return nothing_is_404(ask, {**environ, "REQUEST_METHOD": "GET"})._replace(body=b"")


def in_array(change: Callable[[bytes], bytes]) -> Drift:
    """Changes the bytes of the array of releases."""

    def changed(answer: Answer) -> Answer:
        has_array = answer.code == 200 and answer.body
        return answer._replace(body=change(answer.body)) if has_array else answer

    return in_answer(changed)


def filtered(change: Callable[[list[Any]], Any]) -> Drift:
    """Changes the array of releases where there is something in the query."""
    changed = in_releases(change)

    def drift(ask: Ask, environ: Environ) -> Answer:
        return changed(ask, environ) if environ["QUERY_STRING"] else ask(environ)

    return drift


def ascii_lower(text: str) -> str:
    return re.sub("[A-Z]", lambda match: match[0].lower(), text)


def with_u(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold().replace("ü", "u")


def composed(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


def unzeroed(text: str) -> str:
    return re.sub(r"(\.0)+$", "", text).casefold()


def like(any_text: str, any_letter: str) -> Callable[[str, str], bool]:
    """Matches with a sign for any text and one for any character, as far as there is one."""
    meant = {any_text: ".*", any_letter: "."}

    def matches(sent: str, value: str) -> bool:
        pattern = "".join(meant.get(letter) or re.escape(letter) for letter in sent)
        return re.fullmatch(pattern, value, re.IGNORECASE | re.DOTALL) is not None

    return matches
