"""What is asked beside the plain filters: ways to send parameters and the key, and mistakes.

Each probe tries one thing, its topic. One that builds on others names these; where they are found
to differ, it would only tell the same again, and is left out.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, NamedTuple

from ..parameters import KEY_HEADER
from ..selection import FILTERS, GROUPS
from .asking import FORM, JSON, PARTS, PATH, Pairs, Request, Sent
from .matching import MISSING

IN_JSON = "a JSON body by POST"
IN_FORM = "a form by POST"
IN_PARTS = "a multipart form by POST"
BY_GET = "a JSON body by GET"
BY_QUERY = "a query by POST"

NUMBER = re.compile(r"(0|[1-9][0-9]*)(\.[0-9]+)?")
"""A text that is a number in JSON, too."""

NOBODY = -(2**31)
"""An id that no release has."""


class Probe(NamedTuple):
    """One request and what it tries.

    uses: the filters in it, which have to select something sensible.
    needs: topics that have to be as in the mock.
    """

    topic: str
    request: Request
    uses: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Values:
    """Values to send for each filter.

    seen: filter to values that releases have, the most telling one first.
    carrier: a filter and a value which show whether a parameter had an effect.
    """

    seen: Mapping[str, list[Any]]
    carrier: tuple[str, Any]

    def some(self, name: str) -> Any:
        """A value for a filter, of a release where there is one."""
        seen = self.seen.get(name)
        if seen:
            return seen[0]
        return "active" if name == "status" else 1 if name.endswith("Id") else MISSING


def probes(values: Values, *, key_in_query: bool) -> list[Probe]:
    """All of them, those first on which others build."""
    return [
        *_ways(values),
        *_spellings(values),
        *_keys(values, key_in_query=key_in_query),
        *_bad_values(),
        *_bad_names(values),
        *_twice(values),
        *_bad_bodies(),
    ]


def posted(topic: str, *pairs: tuple[str, Any], more: tuple[str, ...] = (), **rest: Any) -> Probe:
    """A probe with a JSON body by POST."""
    names = tuple(name for name, _ in pairs if name in FILTERS)
    return Probe(topic, Request("POST", (), pairs, JSON, **rest), names, (IN_JSON, *more))


def _ways(values: Values) -> Iterator[Probe]:
    """Where parameters stand, by which verb and under which path."""
    name, value = values.carrier
    pair: Pairs = ((name, value),)
    yield Probe(BY_QUERY, Request("POST", pair), (name,))
    for topic, kind in ((IN_JSON, JSON), (IN_FORM, FORM), (IN_PARTS, PARTS)):
        yield Probe(topic, Request("POST", (), pair, kind), (name,), (BY_QUERY,))
    yield Probe(BY_GET, Request("GET", (), pair, JSON), (name,))
    bare = Request("GET", (), pair)
    yield Probe("a JSON body by GET without a Content-Type", bare, (name,), (BY_GET,))
    yield Probe("a form by GET", Request("GET", (), pair, FORM), (name,), (IN_FORM, BY_GET))
    charset = Request("POST", (), pair, f"{JSON}; charset=utf-8")
    yield Probe("a charset beside the Content-Type", charset, (name,), (IN_JSON,))
    marked = codecs.BOM_UTF8 + json.dumps({name: value}).encode()
    mark = Request("POST", (), marked, JSON)
    yield Probe("a byte-order mark before JSON", mark, (name,), (IN_JSON,))
    yield Probe("HEAD", Request("HEAD", pair), (name,))
    yield Probe("the path in other case", Request("GET", pair, path="/API/Releases"), (name,))
    yield Probe("a slash at the end of the path", Request("GET", pair, path=f"{PATH}/"), (name,))


def _spellings(values: Values) -> Iterator[Probe]:
    """Other ways to say the same."""
    name, value = values.carrier
    other = next(item for item in ("status", "pipelineName") if item != name)
    yield Probe("names in other case", Request("GET", ((name.upper(), value),)), (name,))
    # Without the carrier, whose value may select nothing: then nothing could be missing.
    topic = "an empty parameter, which counts as not given"
    yield Probe(topic, Request("GET", ((other, ""),)), (other,))
    yield posted("null in JSON, which counts as not given", (other, None))
    for filter_ in ("applicationId", "releaseId"):
        yield posted("an integer as a text in JSON", (filter_, str(values.some(filter_))))
    for filter_ in ("releaseNumber", "releaseName"):
        number = next(filter(NUMBER.fullmatch, values.seen.get(filter_, ())), "1")
        request = Request("POST", (), f'{{"{filter_}": {number}}}'.encode(), JSON)
        yield Probe("a number for a text in JSON", request, (filter_,), (IN_JSON,))


def _keys(values: Values, *, key_in_query: bool) -> Iterator[Probe]:
    """The places of the API key, and requests without one. Only one key is tried that is wrong."""
    pair: Pairs = (values.carrier,)
    uses = (values.carrier[0],)
    yield Probe("no API key", Request(key=("none", "")))
    yield Probe("an unknown API key", Request(key=("wrong", KEY_HEADER)))
    yield Probe("the key in HTTP Basic", Request("GET", pair, key=("basic", "")), uses)
    yield from _named_keys(pair, "a form", ("key", "API_Key"), Request("POST", (), pair, FORM))
    yield from _named_keys(pair, "JSON", ("API_Key", "key"), Request("POST", (), pair, JSON))
    if key_in_query:
        yield from _named_keys(pair, "the query", ("key", "API_Key"), Request("GET", pair))


def _named_keys(
    pair: Pairs, place: str, names: tuple[str, str], request: Request
) -> Iterator[Probe]:
    """The key under its two names in one place; the second tells nothing where the first fails."""
    needs = {FORM: (IN_FORM,), JSON: (IN_JSON,)}.get(request.content_type or "", ())
    for name in names:
        topic = f"the key in {place}, as {name}"
        keyed = replace(request, key=("query" if request.body is None else "body", name))
        yield Probe(topic, keyed, (pair[0][0],), needs)
        needs = (topic,)


def _bad_values() -> Iterator[Probe]:
    for word in ("Active", "ACTIVE"):
        yield Probe("a status in other case", Request("GET", (("status", word),)), ("status",))
    unknown = Request("GET", (("status", "mockbm"),))
    yield Probe("a status that there is not", unknown, ("status",))
    topic = "an id that is no integer of 32 bits"
    for name in ("applicationId", "releaseId"):
        for text in ("mockbm", "1.5", "99999999999"):
            yield Probe(topic, Request("GET", ((name, text),)), (name,))
        yield posted(topic, (name, True))
    for name in ("applicationName", "releaseNumber"):
        yield posted("a list for a text in JSON", (name, ["mockbm"]))


def _bad_names(values: Values) -> Iterator[Probe]:
    topic = "an unknown parameter"
    yield Probe(topic, Request("GET", (("mockbmUnknown", "1"),)))
    yield posted(topic, ("mockbmUnknown", "1"))
    yield Probe(topic, Request("GET", (("pipelineId", "1"),)))  # dropped in BuildMaster 6.2 [O]
    for group in GROUPS:
        for two in combinations(group, 2):
            request = Request("GET", tuple((name, values.some(name)) for name in two))
            yield Probe("two filters of one group", request, two)


def _twice(values: Values) -> Iterator[Probe]:
    topic = "a parameter twice"
    name = values.carrier[0]
    first, second = _two(values, name)
    yield Probe(topic, Request("GET", ((name, first), (name, second))), (name,))
    # Two texts are still a text where a server joins them with a comma.
    text = ("releaseNumber", values.some("releaseNumber")), ("releaseNumber", MISSING)
    yield Probe(topic, Request("GET", text), ("releaseNumber",))
    across = Request("POST", ((name, first),), ((name, second),), JSON)
    yield Probe(topic, across, (name,), (IN_JSON, BY_QUERY))
    pairs = ", ".join(f'"{name}": {json.dumps(value)}' for value in (first, second))
    request = Request("POST", (), f"{{{pairs}}}".encode(), JSON)
    yield Probe(topic, request, (name,), (IN_JSON,))


def _two(values: Values, name: str) -> tuple[Any, Any]:
    """Two values of a filter that need no mask: an integer, or a status."""
    if name == "status":
        return "active", "deployed"
    found = [value for value in values.seen.get(name, ()) if not isinstance(value, Sent)]
    return (*found, 1, 2)[0], (*found, 1, 2)[-1]


def _bad_bodies() -> Iterator[Probe]:
    for topic, body in (
        ("broken JSON", b'{"status": "active"'),
        ("JSON that is no object", b"[]"),
        ("JSON that is no object", b'"active"'),
    ):
        yield Probe(topic, Request("POST", (), body, JSON), (), (IN_JSON,))
    as_form = Request("POST", (), b'{"status": "active"}', FORM)
    yield Probe("JSON that says it is a form", as_form, (), (IN_FORM,))
    as_xml = Request("POST", (), b"<status>active</status>", "text/xml")
    yield Probe("a body of another type", as_xml, (), (BY_QUERY,))
