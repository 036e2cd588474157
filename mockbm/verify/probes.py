"""What is sent: a table of requests, and variants of values with the rules that these show."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple
from unicodedata import combining, normalize

from ..core.fields import fold
from ..core.request import KEY_HEADER
from .asking import BASIC, BOM, FORM, JSON, KEY, MULTIPART, Masked, Request

Ids = frozenset[int]

IDS = ("applicationId", "releaseId")
TEXTS = ("applicationName", "releaseNumber", "releaseName", "pipelineName")
TWINS = {"releaseNumber": "releaseName", "releaseName": "releaseNumber"}  # may be mixed up
NO_ID, NO_TEXT = -(2**31), "mockbm has no such value"
NUMBER = re.compile(r"(0|[1-9][0-9]*)(\.[0-9]+)?")  # a text that is a number in JSON, too

BY_QUERY, BY_GET = "a query by POST", "a JSON body by GET"
IN_JSON, IN_FORM = "a JSON body by POST", "a form by POST"
UNKNOWN = "an unknown parameter"

_PROBES = """
a query by POST = POST ? carrier
a JSON body by POST = POST json carrier
a form by POST = POST form carrier
a multipart form by POST = POST multipart carrier
a JSON body by GET = GET json carrier
a JSON body by GET without a Content-Type = GET untyped carrier
a form by GET = GET form carrier
a charset in the Content-Type = POST charset carrier
a byte-order mark before JSON = POST json BOM
HEAD = HEAD ? carrier
the path in other case = GET /API/Releases ? carrier
a slash at the end of the path = GET /api/releases/ ? carrier
names in other case = GET ? CARRIER
an empty parameter, which counts as not given = GET ? empty
null in JSON, which counts as not given = POST json null
an integer as a text in JSON = POST json applicationId-text | POST json releaseId-text
a number for a text in JSON = POST json releaseNumber# | POST json releaseName#
no API key = GET none
an unknown API key = GET unknown
the key in HTTP Basic = GET basic ? carrier
the key in a form, as key = POST none form carrier key
the key in a form, as API_Key = POST none form carrier API_Key
the key in JSON, as API_Key = POST none json carrier API_Key
the key in JSON, as key = POST none json carrier key
the key in the query, as key = GET none ? carrier key
the key in the query, as API_Key = GET none ? carrier API_Key
a status in other case = GET ? Status | GET ? STATUS
an unknown status = GET ? status=mockbm
an id that is not a 32-bit integer = GET ? ID=mockbm | GET ? ID=1.5 | GET ? ID=99999999999
an id that is not a 32-bit integer = POST json ID:true
a list for a text in JSON = POST json applicationName:[] | POST json releaseNumber:[]
an unknown parameter = GET ? mockbmUnknown=1 | POST json mockbmUnknown=1 | GET ? pipelineId=1
two filters of one group = GET ? applicationId applicationName | GET ? releaseId releaseNumber
two filters of one group = GET ? releaseId releaseName | GET ? releaseNumber releaseName
a parameter twice = GET ? first second | GET ? releaseNumber releaseNumber=mockbm
a parameter twice = POST ? first json second | POST json twice
broken JSON = POST json {"mockbm":"1"
JSON that is not an object = POST json [] | POST json "active"
JSON sent as a form = POST form {"status":"active"}
a body of another type = POST xml <status>active</status>
filters in the query and in JSON = POST ? status json id
"""
"""What is tried besides single filters, and by which requests; those first on which others build.

A word of a request is a setting, `?` for parameters in the query that follow, a path, a body, or a
parameter: `name=text`, `name:JSON`, or a name that `probes` knows. `ID` is each of `IDS`.
"""
_SETTINGS: dict[str, dict[str, Any]] = {
    "json": {"content_type": JSON},
    "charset": {"content_type": f"{JSON}; charset=utf-8"},
    "untyped": {"content_type": ""},
    "form": {"content_type": FORM},
    "multipart": {"content_type": MULTIPART},
    "xml": {"content_type": "text/xml"},
    "none": {"headers": ()},
    "unknown": {"headers": ((KEY_HEADER, "mockbm-unknown"),)},
    "basic": {"headers": (("Authorization", BASIC),)},
}


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
) -> Iterator[tuple[str, Request, list[str]]]:
    """Topics, requests that try them, and the topics on which they build.

    plain: the request for all records.
    statuses: that a record can have.
    values: of records, for each filter.
    carrier: a filter and a value that show whether a parameter had an effect.
    """
    name, value = carrier
    values = {**dict.fromkeys((*IDS, *TEXTS), ()), **values}
    missing = {**dict.fromkeys(TEXTS, NO_TEXT), **dict.fromkeys(IDS, 1), "status": statuses[0]}
    named: dict[str, Any] = {
        filter_: (filter_, found[0] if found else missing[filter_])
        for filter_, found in values.items()
        if found or filter_ in missing
    }
    named |= {f"{filter_}-text": (filter_, str(named[filter_][1])) for filter_ in IDS}
    for filter_ in TWINS:
        number = next(filter(NUMBER.fullmatch, values[filter_]), "1")
        named[f"{filter_}#"] = f'{{"{filter_}": {number}}}'
    named["id"] = named[next((filter_ for filter_ in IDS if values[filter_]), IDS[0])]
    # Not the carrier, whose value may select nothing: then nothing could be missing.
    other = "pipelineName" if name == "status" else "status"
    named |= {"empty": (other, ""), "null": (other, None)}
    two = [item for item in (*values[name], 1, 2) if not isinstance(item, Masked)]
    first, second = statuses[0 :: len(statuses) - 1] if name == "status" else (two[0], two[-1])
    named |= {"Status": ("status", statuses[0].title()), "STATUS": ("status", statuses[0].upper())}
    named |= {"carrier": carrier, "CARRIER": (name.upper(), value), "key": ("key", KEY)}
    named |= {"first": (name, first), "second": (name, second), "API_Key": ("API_Key", KEY)}
    named["twice"] = ", ".join(f'"{name}": {json.dumps(item)}' for item in (first, second))
    named["twice"] = f"{{{named['twice']}}}"
    shown = json.dumps({name: getattr(value, "shown", value)})
    named["BOM"] = Masked(BOM + json.dumps({name: value}), shown)
    before = ""
    for topic, _, texts in (line.partition(" = ") for line in _PROBES.strip().splitlines()):
        for text in texts.split(" | "):
            for id_ in IDS if "ID" in text else [""]:
                request = _request(text.replace("ID", id_), named, plain)
                is_post, has_body = request.method == "POST", request.body is not None
                is_same_place = topic.partition(", as ")[0] == before.partition(", as ")[0]
                needs = [before] if is_same_place else []
                needs += [IN_FORM] if request.content_type == FORM else []
                needs += [IN_JSON] if request.content_type[:16] == JSON and is_post else []
                needs += [BY_QUERY] if is_post else [BY_GET] if has_body else []
                yield topic, request, [need for need in needs if need != topic]
        before = topic


def _request(text: str, named: Mapping[str, Any], plain: Request) -> Request:
    method, *words = text.split()
    method = plain.method if method == "GET" else method
    settings: dict[str, Any] = {"method": method, "path": plain.path}
    place = "query"
    for word in words:
        if word in _SETTINGS:
            settings |= _SETTINGS[word]
            place = "body" if "content_type" in _SETTINGS[word] else "query"
        elif word == "?":
            place = "query"
        elif word[0] == "/":
            settings["path"] = word
        elif word[0] in '{["<':
            settings["body"] = word
        elif isinstance(named.get(word), str):
            settings["body"] = named[word]
        else:
            name, sign, value = re.split("([=:])", f"{word}=", maxsplit=1)
            pair = (name, json.loads(value[:-1]) if sign == ":" else value[:-1])
            settings[place] = (*settings.get(place, ()), named.get(word, pair))
    return Request(**settings)


VALUE, MISSING, TWIN = "value", "missing", "twin"  # kinds of values, besides variants


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
    sent: Sequence[Sent], held: Mapping[int, Any], twin: Mapping[int, Any], known: Iterable[str]
) -> Rule | None:
    """The simplest rule behind what a filter selects; None for the mock's own.

    held: the value of each release, or None. twin: the same of the filter that may be mixed up
        with this one, if any. known: rules to prefer.
    """
    if all(real == mocked for _, _, real, mocked in sent):
        return None
    if all(real == held.keys() for _, _, real, _ in sent):
        return Rule("filter", "has no effect", is_dead=True)
    if not any(real for _, _, real, _ in sent):
        return Rule("filter", "selects nothing, whatever the value", is_dead=True)
    if all(real == selected(value, twin) for _, value, real, _ in sent):
        return Rule("filter", "number and name are swapped", "each selects by its own", True)
    # More than the mock's releases show no rule: a part of one value may be the whole of another.
    shown = {kind for kind, _, real, mocked in sent if (mocked - real if mocked else real)}
    if shown == {TWIN}:
        return Rule("matching", "also selects by the {twin}", "selects by the {own} only")
    tried = {kind for kind, *_ in sent}
    for words in (*filter(_WAYS.__contains__, known), *_WAYS) if shown else ():
        must = {kind for kind in _WAYS[words] if kind[0] != "+"} & tried
        may = {kind.lstrip("+") for kind in _WAYS[words]}
        if must and must <= shown <= may:
            return Rule("matching", words, "the whole value counts, case does not")
    limit = max(len(real) for _, _, real, _ in sent)
    if all(is_cut(real, mocked, limit) for _, _, real, mocked in sent):
        server = f"answers at most {limit} of those that match"
        return Rule("filter", server, "answers all that match", limit=limit)
    return OTHERWISE


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


def variants(values: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Kinds of variants and variants of values: each kind once, and where a value shows more."""
    tried = set()
    longest = max(values, key=len, default="")
    for value in values:
        more = {"Case", "ß", "ü", "u¨"} if not value.isascii() else set()
        more |= {"more"} if value == longest else set()
        for kind, change in _VARIANTS.items():
            text = change(str(value))
            if text != value and (kind not in tried or kind in more):
                tried.add(kind)
                shown = getattr(value, "shown", None)
                yield kind, text if shown is None else Masked(text, change(shown))
