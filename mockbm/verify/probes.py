"""What is tried at an endpoint, and the rule behind what its filters select."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any, NamedTuple
from unicodedata import combining, normalize

from ..core.fields import fold
from ..core.request import KEY_HEADER
from .asking import BASIC, FORM, JSON, KEY, MULTIPART, Masked, Pairs, Request

Ids = frozenset[int]

IDS = ("applicationId", "releaseId")
GROUPS = (("applicationId", "applicationName"), ("releaseId", "releaseNumber", "releaseName"))
TWINS = {"releaseNumber": "releaseName", "releaseName": "releaseNumber"}  # may be mixed up
NO_ID, NO_TEXT = -(2**31), "mockbm has no such value"
NUMBER = re.compile(r"(0|[1-9][0-9]*)(\.[0-9]+)?")  # a text that is a number in JSON, too

BY_QUERY, BY_GET = "a query by POST", "a JSON body by GET"
IN_JSON, IN_FORM = "a JSON body by POST", "a form by POST"
IN_TWO_PLACES = "filters in the query and in JSON"
UNKNOWN = "an unknown parameter"

OF_ANY = ("no API key", "an unknown API key", UNKNOWN)
OF_SIBLINGS = (
    *(BY_QUERY, IN_JSON, IN_FORM, "names in other case", "a status in other case", *OF_ANY),
    *("an unknown status", "an id that is not a 32-bit integer"),
)
"""What is tried at an endpoint without filters, and at other ones than Get Releases.

All endpoints read requests in the same way, so that a server is not asked everything again.
"""


def probes(
    plain: Request,
    statuses: Sequence[str],
    values: Mapping[str, Sequence[Any]],
    carrier: tuple[str, Any],
) -> dict[str, list[Request]]:
    """What is tried besides single filters, and by which requests; first that on which more builds.

    plain: the request for all records.
    statuses: that a record can have.
    values: of records, for each filter.
    carrier: a filter and a value that show whether a parameter had an effect.
    """
    name, value = carrier

    def query(*pairs: tuple[str, Any], **more: Any) -> Request:
        return replace(plain, query=pairs, **more)

    def body(content_type: str, *pairs: tuple[str, Any], **more: Any) -> Request:
        return text(content_type, pairs, **more)

    def text(content_type: str, body: Pairs | str, **more: Any) -> Request:
        return replace(plain, **{"method": "POST", **more}, body=body, content_type=content_type)

    def some(*names: str) -> Pairs:
        """A parameter of each name, with a value of a record where there is one."""
        missing = {"status": statuses[0], **dict.fromkeys(IDS, 1)}
        return tuple((n, [*values.get(n, ()), missing.get(n, NO_TEXT)][0]) for n in names)

    def number(filter_: str) -> str:
        found = filter(NUMBER.fullmatch, values.get(filter_, ()))
        return f'{{"{filter_}": {next(found, "1")}}}'

    id_ = next((filter_ for filter_ in IDS if values.get(filter_)), IDS[0])
    # Not the carrier, whose value may select nothing: then nothing could be missing.
    other = "pipelineName" if name == "status" else "status"
    two = (statuses[0], statuses[-1]) if name == "status" else ([*values.get(name, ()), 1][0], 2)
    first, second = ((name, item) for item in two)
    unknown = ("mockbmUnknown", "1")
    keyless: Any = {"headers": ()}
    return {
        BY_QUERY: [query(carrier, method="POST")],
        IN_JSON: [body(JSON, carrier)],
        IN_FORM: [body(FORM, carrier)],
        "a multipart form by POST": [body(MULTIPART, carrier)],
        BY_GET: [body(JSON, carrier, method="GET")],
        "a JSON body by GET without a Content-Type": [body("", carrier, method="GET")],
        "a form by GET": [body(FORM, carrier, method="GET")],
        "a charset in the Content-Type": [body(f"{JSON}; charset=utf-8", carrier)],
        "a byte-order mark before JSON": [body(JSON, carrier, charset="utf-8-sig")],
        "HEAD": [query(carrier, method="HEAD")],
        "the path in other case": [query(carrier, path="/API/Releases")],
        "a slash at the end of the path": [query(carrier, path="/api/releases/")],
        "names in other case": [query((name.upper(), value))],
        "an empty parameter, which counts as not given": [query((other, ""))],
        "null in JSON, which counts as not given": [body(JSON, (other, None))],
        "an integer as a text in JSON": [body(JSON, (n, str(item))) for n, item in some(*IDS)],
        "a number for a text in JSON": [text(JSON, number(filter_)) for filter_ in TWINS],
        "no API key": [query(**keyless)],
        "an unknown API key": [query(headers=((KEY_HEADER, "mockbm-unknown"),))],
        "the key in HTTP Basic": [query(carrier, headers=(("Authorization", BASIC),))],
        "the key in a form, as key": [body(FORM, carrier, ("key", KEY), **keyless)],
        "the key in a form, as API_Key": [body(FORM, carrier, ("API_Key", KEY), **keyless)],
        "the key in JSON, as key": [body(JSON, carrier, ("key", KEY), **keyless)],
        "the key in JSON, as API_Key": [body(JSON, carrier, ("API_Key", KEY), **keyless)],
        "the key in the query, as key": [query(carrier, ("key", KEY), **keyless)],
        "the key in the query, as API_Key": [query(carrier, ("API_Key", KEY), **keyless)],
        "a status in other case": [
            query(("status", change(statuses[0]))) for change in (str.title, str.upper)
        ],
        "an unknown status": [query(("status", "mockbm"))],
        "an id that is not a 32-bit integer": [
            *(query((of, bad)) for bad in ("mockbm", "1.5", "99999999999") for of in IDS),
            *(body(JSON, (of, True)) for of in IDS),
        ],
        "a list for a text in JSON": [
            body(JSON, (filter_, [])) for filter_ in ("applicationName", "releaseNumber")
        ],
        UNKNOWN: [query(unknown), body(JSON, unknown), query(("pipelineId", "1"))],
        "two filters of one group": [
            query(*some(*both)) for group in GROUPS for both in combinations(group, 2)
        ],
        "a parameter twice": [
            query(first, second),
            query(*some("releaseNumber"), ("releaseNumber", "mockbm")),
            body(JSON, second, query=(first,)),
            body(JSON, first, second),
        ],
        "broken JSON": [text(JSON, '{"mockbm":"1"')],
        "JSON that is not an object": [text(JSON, "[]"), text(JSON, '"active"')],
        "JSON sent as a form": [text(FORM, '{"status":"active"}')],
        "a body of another type": [text("text/xml", "<status>active</status>")],
        IN_TWO_PLACES: [body(JSON, *some(id_), query=some("status"))],
    }


def needs_of(topic: str, request: Request) -> list[str]:
    """The topics on which a request of this one builds, which show what is wrong by themselves."""
    is_post, content_type = request.method == "POST", request.content_type
    needs = {
        f"{topic.removesuffix('API_Key')}key": topic.endswith("API_Key"),
        IN_FORM: content_type == FORM,
        IN_JSON: is_post and content_type.startswith(JSON),
        BY_QUERY: is_post,
        BY_GET: not is_post and request.body is not None,
    }
    return [need for need, is_needed in needs.items() if is_needed and need != topic]


VALUE, TWIN = "value", "twin"  # kinds of values, besides variants


class Sent(NamedTuple):
    """A value that was sent for a filter, of which kind, and what both sides selected."""

    kind: str
    value: Any
    real: Ids
    mocked: Ids


class Rule(NamedTuple):
    """What a filter does otherwise than in the mock, in words.

    kind: of the finding. is_dead: whether the filter selects nothing sensible.
    limit: number of releases at which an answer is cut off; 0 is none.
    """

    kind: str
    server: str
    mock: str = "selects by it"
    is_dead: bool = False
    limit: int = 0


OTHERWISE = Rule("filter", "selects other releases", is_dead=True)


def selected(value: Any, held: Mapping[int, Any]) -> Ids:
    """The releases that the mock selects by a value. held: the value of each, or None."""
    key = fold(value)
    return frozenset(id_ for id_, own in held.items() if own is not None and fold(own) == key)


def is_cut(real: Ids, mocked: Ids, limit: int) -> bool:
    """Whether an answer is the mock's without what is beyond a limit."""
    return real <= mocked and len(real) == min(limit or len(mocked), len(mocked))


def explain(
    sent: Mapping[str, Sequence[Sent]], held: Mapping[str, Mapping[int, Any]]
) -> dict[str, Rule]:
    """The simplest rule behind what each filter selects that is not as in the mock.

    sent: for each filter. held: the value of each release, or None; for each filter.
    """
    found = {
        name: _rules(name, tried, held)
        for name, tried in sent.items()
        if any(each.real != each.mocked for each in tried)
    }
    # What a filter's values cannot show, such as case in numbers, may be as in another filter.
    simplest = dict.fromkeys(rules[0] for rules in found.values())
    best = sorted(simplest, key=lambda rule: -sum(rule in rules for rules in found.values()))
    return {name: next(rule for rule in best if rule in rules) for name, rules in found.items()}


def _rules(
    name: str, sent: Sequence[Sent], held: Mapping[str, Mapping[int, Any]]
) -> Sequence[Rule]:
    """The rules that may be behind what a filter selects, the simplest first."""
    if all(each.real == held[name].keys() for each in sent):
        return [Rule("filter", "has no effect", is_dead=True)]
    if not any(each.real for each in sent):
        return [Rule("filter", "selects nothing, whatever the value", is_dead=True)]
    twin = TWINS.get(name, "")
    if all(each.real == selected(each.value, held.get(twin, {})) for each in sent):
        return [Rule("filter", "number and name are swapped", "each selects by its own", True)]
    # More than the mock's releases show no rule: a part of one value may be the whole of another.
    shown = {kind for kind, _, real, mocked in sent if (mocked - real if mocked else real)}
    if shown == {TWIN}:
        own, other = (each.removeprefix("release").lower() for each in (name, twin))
        return [Rule("matching", f"also selects by the {other}", f"selects by the {own} only")]
    tried = {each.kind for each in sent}
    ways = []
    for words, kinds in _WAYS.items() if shown else ():
        must = {kind for kind in kinds if kind[0] != "+"} & tried
        may = {kind.lstrip("+") for kind in kinds}
        if must and must <= shown <= may:
            ways.append(Rule("matching", words, "the whole value counts, case does not"))
    limit = max(len(each.real) for each in sent)
    if not ways and all(is_cut(each.real, each.mocked, limit) for each in sent):
        server = f"answers at most {limit} of those that match"
        return [Rule("filter", server, "answers all that match", limit=limit)]
    return ways or [OTHERWISE]


def other_case(text: str) -> str:
    """A text with capitals for small letters and the other way round, where that goes back."""
    pairs = ((letter, letter.swapcase()) for letter in text)
    return "".join(b if len(b) == 1 and b.swapcase() == a else a for a, b in pairs)


def _without_accents(text: str) -> str:
    letters = (letter for letter in normalize("NFD", text) if not combining(letter))
    return normalize("NFC", "".join(letters))


def _in_middle(sign: str, text: str) -> str:
    return f"{text[: len(text) // 2]}{sign}{text[len(text) // 2 + 1 :]}"


_VARIANTS: dict[str, Callable[[str], str]] = {
    "case": lambda text: other_case(text) if text.isascii() else text,
    "Case": lambda text: text if text.isascii() else other_case(text),
    "ß": str.swapcase,
    "ü": _without_accents,
    "u¨": lambda text: normalize("NFD" if normalize("NFD", text) != text else "NFC", text),
    "beginning": lambda text: text[: (len(text) + 1) // 2],
    "end": lambda text: text[len(text) // 2 :],
    "middle": lambda text: text[1:-1] or text,
    "::": lambda text: text.partition("::")[2] or text,
    "*": lambda text: f"{text[: (len(text) + 1) // 2]}*",
    "%": lambda text: f"{text[: (len(text) + 1) // 2]}%",
    "?": lambda text: _in_middle("?", text),
    "_": lambda text: _in_middle("_", text),
    ".0": lambda text: f"{text}.0" if re.fullmatch(r"[0-9.]*[0-9]", text) else text,
    "more": "{}x".format,
    "before": " {}".format,
    "behind": "{} ".format,
}
"""Kinds of variants of a value. Some change only some texts."""

_RULES = {
    "ß is not ss": "ß",
    "case counts beyond ASCII": "Case ß",
    "case counts": "case Case ß",
    "spaces at the end do not count": "behind",
    "spaces around do not count": "before behind",
    "zeros at the end of a number do not count": ".0 +beginning",
    "letters and accents are put together first": "u¨",
    "accents do not count": "ü u¨",
    "the beginning is enough": "beginning +.0 +twin",
    "the end is enough": "end :: +twin",
    "a part is enough": "beginning end middle :: +.0 +twin",
    "what comes behind does not count": "more +.0 +behind +beginning +* +% +? +_ +ü +u¨ +twin",
    "what stands before :: may be left out": "::",
    "* stands for anything": "*",
    "% stands for anything": "%",
    "? stands for any character": "?",
    "_ stands for any character": "_",
    "* stands for anything, ? for any character": "* ?",
    "% stands for anything, _ for any character": "% _",
}
"""What a server may do, and the kinds of variants that show it; those with a + only may do so."""

_WAYS = {
    "; ".join(rules): {kind for rule in rules for kind in _RULES[rule].split()}
    for number in (1, 2, 3)
    for rules in combinations(_RULES, number)
}
"""Rules and combinations of them, the simplest first."""


def variants(values: Sequence[Masked]) -> Iterator[tuple[str, Masked]]:
    """Kinds of variants and variants of values: each kind once, and where a value shows more."""
    tried = set()
    longest = max(values, key=len, default="")
    for value in values:
        more = {"Case", "ß", "ü", "u¨"} if not value.isascii() else set()
        more |= {"more"} if value == longest else set()
        for kind, change in _VARIANTS.items():
            text = change(value)
            if text != value and (kind not in tried or kind in more):
                tried.add(kind)
                yield kind, Masked(text, change(value.shown))
