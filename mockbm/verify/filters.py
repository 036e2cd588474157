"""Each filter on its own, and two together, with values that the server's releases have."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import combinations, product
from typing import Any, NamedTuple

from ..releases import STATUSES
from ..selection import FILTERS
from .asking import Request, Sent
from .matching import (
    BEHIND,
    IGNORED,
    MISSING,
    NOTHING,
    OF_LETTERS,
    Observation,
    explained,
    other_case,
    selected,
    variants,
)
from .probes import NOBODY, NUMBER
from .sides import Ids, Sides

MAX_TEXT = 500
"""Letters of a value that is still sent."""

TOGETHER = "two filters together"

MAX_PAIRS = 3
"""Pairs of filters that are sent together, each at most twice."""

PAIRS = (
    ("status", "applicationName"),
    ("applicationId", "releaseNumber"),
    ("releaseName", "status"),
    ("status", "pipelineName"),
    ("applicationId", "status"),
    ("releaseId", "applicationName"),
    ("releaseId", "status"),
)
"""Pairs that may be sent together; taken are those which are found to work alone."""


TWINS = {"releaseNumber": "releaseName", "releaseName": "releaseNumber"}
"""Filters of which one might look at what is the other's."""

IDS = ("applicationId", "releaseId")
TEXTS = ("applicationName", "releaseNumber", "releaseName", "pipelineName")


class Look(NamedTuple):
    """One value of a filter, and what it selects."""

    request: Request
    value: Any
    mocked: Ids
    real: Ids


class Otherwise(NamedTuple):
    """How a filter selects: a kind of finding, what else makes it the same cause, and both sides.

    is_dead: whether it selects nothing sensible.
    """

    kind: str
    key: str
    server: str
    mock: str
    is_dead: bool = False


class Filters:
    """What the filters of a server do.

    seen: filter to values that releases have, the most telling one first; at most `sample`.
    other: filters that do something else than in the mock.
    dead: those of them that select nothing sensible.
    limit: how many releases come at most where there are filters, if that is what differs.
    """

    def __init__(self, sides: Sides, sample: int) -> None:
        self._sides = sides
        self._model = sides.model
        self._skip = sides.report.skip
        self.seen = {name: self._values(name, sample) for name in FILTERS}
        self.other: set[str] = set()
        self.dead: set[str] = set()
        self.limit: int | None = None

    @property
    def planned(self) -> int:
        """How many requests `compare` sends at most."""
        return sum(len(list(self._plan(name))) for name in FILTERS) + 2 * MAX_PAIRS

    def compare(self) -> None:
        """Compare what the filters select."""
        looks = {name: list(self._looks(name)) for name in FILTERS if self._is_told(name)}
        ways = {name: self._way(name, found) for name, found in looks.items()}
        # What a filter's values cannot show, such as case in numbers, may be as in another filter.
        known = sorted({way for way in ways.values() if way}, key=len, reverse=True)
        for name, found in looks.items():
            if name not in self.dead and ways[name] != "":
                self._differs(name, self._way(name, found, known), found)
        self._tell_alike()
        pairs = [pair for pair in PAIRS if all(map(self._works, pair))][:MAX_PAIRS]
        if not pairs:
            self._skip(f"{TOGETHER}: there are no two that select what they should")
            self._sides.failed.add(TOGETHER)
        for pair in pairs:
            self._pair(pair)

    def carrier(self) -> tuple[str, Any]:
        """A filter and a value that show whether a parameter had an effect."""
        names = [name for name in _CARRIERS if name not in self.other] or list(_CARRIERS[:1])
        for name in names:
            for value in self.seen[name]:
                ids = self._sides.mocked(Request("GET", ((name, value),))) or []
                if 0 < len(ids) < len(self._model.ids):
                    return name, value
        if not self._model.ids:
            what = "also of empty ones and of null, which count as not given"
            self._skip(f"the effect of parameters, wherever they stand, {what}: no releases")
        return names[0], _nobody(names[0])

    def without_unsure(self, ids: Ids, names: Iterable[str]) -> frozenset[int]:
        """The releases of an answer about which the values of these filters are known."""
        unsure = (self._model.unsure[FILTERS[name]] for name in names)
        return frozenset(ids).difference(*unsure)

    def agree(self, real: Ids, mocked: Ids, names: Iterable[str]) -> bool:
        """Whether both sides select the same, but for what is not known or already told."""
        one, other = (self.without_unsure(ids, names) for ids in (real, mocked))
        return one == other or (self.limit is not None and _is_cut(one, other, self.limit))

    def _works(self, name: str) -> bool:
        return name not in self.other and bool(self.seen[name])

    def _values(self, name: str, sample: int) -> list[Any]:
        held = self._model.values(FILTERS[name]).values()
        found = {value for value in held if value is not None}
        if name == "status":
            return [status for status in STATUSES if status in found]
        if name.endswith("Id"):
            return _spread(sorted(found), sample)
        privacy = self._sides.privacy
        fit = [
            text
            for text in found
            if 0 < len(text) <= MAX_TEXT and privacy.without_key(text) == text
        ]
        fit.sort(key=lambda text: (not _is_telling(text), text))
        shown = {text: privacy(text) for text in fit}
        taken = _spread(fit, sample)
        if all(map(str.isascii, taken)):
            taken += [text for text in fit if not text.isascii()][:1]
        if not any(map(NUMBER.fullmatch, taken)):
            taken += [text for text in fit if NUMBER.fullmatch(text)][:1]
        return [text if shown[text] == text else Sent(text, shown[text]) for text in taken]

    def _plan(self, name: str) -> Iterator[Any]:
        """The values that are sent for one filter; first those that releases have."""
        seen = self.seen[name]
        yield from seen
        if name == "status":
            yield from (status for status in STATUSES if status not in seen)
        elif name.endswith("Id"):
            yield from (NOBODY, -1)
        else:
            yield MISSING
            yield from _otherwise(seen)
            others = self.seen[TWINS[name]] if name in TWINS else []
            held = self._model.values(FILTERS[name])
            yield from [value for value in others if not selected(value, held)][:1]

    def _is_told(self, name: str) -> bool:
        """Whether releases tell what a filter looks at, or there are none that could."""
        if self._model.ids and not self._model.values(FILTERS[name]):
            self._skip(f"filter {name}: no release tells its {FILTERS[name]}")
            self.other.add(name)
            return False
        self._tell_unseen(name)
        return True

    def _way(self, name: str, looks: list[Look], known: Collection[str] = ()) -> str | None:
        observations = [Observation(look.value, self._sure(name, look.real)) for look in looks]
        return explained(observations, self._model.values(FILTERS[name]), known)

    def _differs(self, name: str, way: str | None, looks: list[Look]) -> None:
        """Note what a filter does otherwise than in the mock."""
        self.other.add(name)
        found = self._told(name, way, looks)
        if found.is_dead:
            self.dead.add(name)
        for look in looks:
            if self._sure(name, look.real) != self._sure(name, look.mocked):
                self._sides.report.add(
                    (found.kind, found.key),
                    [f"filter {name}"],
                    found.server,
                    found.mock,
                    str(look.request),
                )

    def _sure(self, name: str, ids: Ids) -> frozenset[int]:
        return self.without_unsure(ids, (name,))

    def _told(self, name: str, way: str | None, looks: list[Look]) -> Otherwise:
        """How a filter selects that is not as the mock's; way: as `explained` has it."""
        if way in (IGNORED, NOTHING):
            return Otherwise("filter", way, way, "selects by it", is_dead=True)
        if way is not None:
            return Otherwise("matching", way, way, "the whole value counts, case does not")
        most = max(len(self._sure(name, look.real)) for look in looks)
        sure = [(self._sure(name, look.real), self._sure(name, look.mocked)) for look in looks]
        if all(_is_cut(real, mocked, most) for real, mocked in sure):
            self.limit = most
            server = f"answers at most {most} of those that match"
            return Otherwise("filter", f"limit {most}", server, "answers all that match")
        return self._by_twin(name, looks) or Otherwise(
            "filter", name, "selects other releases", "selects by it", is_dead=True
        )

    def _by_twin(self, name: str, looks: list[Look]) -> Otherwise | None:
        """How a filter selects that looks at what is its twin's, or None."""
        if name not in TWINS:
            return None
        mine, theirs = FILTERS[name], FILTERS[TWINS[name]]
        real = [self._sure(name, look.real) for look in looks]
        own, other = (
            [selected(look.value, self._model.values(each)) for look in looks]
            for each in (mine, theirs)
        )
        if real == other:
            server = "number and name are swapped"
            return Otherwise("filter", server, server, "each selects by its own", is_dead=True)
        if real == [one | two for one, two in zip(own, other, strict=True)]:
            server = f"looks at the {theirs}, too"
            return Otherwise("matching", server, server, f"looks at the {mine} alone")
        return None

    def _looks(self, name: str) -> Iterator[Look]:
        misses: tuple[int, ...] = ()
        if self.seen[name]:  # so that a value which is there says whether the filter is known
            misses = (204, *range(400, 500))
        elif not self._model.ids:
            misses = (204, 404)
        for value in self._plan(name):
            request = Request("GET", ((name, value),))
            ids = self._sides.ask(f"filter {name}", request, misses)
            if ids is None:
                self.other.add(name)
                self.dead.add(name)
                return
            yield Look(request, value, self._sides.mocked(request) or [], ids)

    def _tell_unseen(self, name: str) -> None:
        """Note what the values of a filter cannot show."""
        seen = self.seen[name]
        if name == "status":
            missing = [status for status in STATUSES if status not in seen]
            if missing:
                self._skip(f"filter status: no release is {' or '.join(missing)}")
        elif not seen:
            self._skip(f"filter {name}: no release has a value that could be sent")
        elif not name.endswith("Id"):
            if other_case(seen[0]) == seen[0]:
                self._skip(f"filter {name}: no value has letters to show what case does")
            if len(seen[0]) < 2:
                self._skip(f"filter {name}: no value is long enough to send a part of it")

    def _tell_alike(self) -> None:
        """Note what cannot be told apart with these releases."""
        for one, other in (*combinations(IDS, 2), *combinations(TEXTS, 2)):
            mine, theirs = FILTERS[one], FILTERS[other]
            held = self._model.values(mine)
            if any(held.values()) and held == self._model.values(theirs):
                same = f"{mine} and {theirs} of each release are the same"
                self._skip(f"whether filters {one} and {other} are swapped: {same}")
        texts = [text for name in TEXTS for text in self.seen[name]]
        if texts and all(map(str.isascii, texts)):
            self._skip("case and accents of letters beyond ASCII: no value has such a letter")
        if texts and not any(NUMBER.fullmatch(text) for name in TWINS for text in self.seen[name]):
            what = "no releaseNumber or releaseName could be one"
            self._skip(f"whether a number in JSON selects as its text does: {what}")

    def _pair(self, pair: Sequence[str]) -> None:
        def told(values: Sequence[Any]) -> int:
            return len(set(self._ways(pair, values).values()))

        values = max(product(*(self.seen[name] for name in pair)), key=told)
        self._together(pair, values)
        if pair[1] != "status":
            self._together(pair, (values[0], MISSING))

    def _together(self, pair: Sequence[str], values: Sequence[Any]) -> None:
        request = Request("GET", tuple(zip(pair, values, strict=True)))
        ids = self._sides.ask(TOGETHER, request)
        ways = self._ways(pair, values)
        if ids is None or self.without_unsure(ids, pair) == ways[""]:
            return
        selected = self.without_unsure(ids, pair)
        way = next((way for way, found in ways.items() if found == selected), "otherwise")
        self._sides.failed.add(TOGETHER)
        self._sides.report.add(("combining",), [TOGETHER], way, "both have to match", str(request))

    def _ways(self, pair: Sequence[str], values: Sequence[Any]) -> dict[str, frozenset[int]]:
        """What two filters select, by how a server may combine them; "" is the mock's way."""
        one, other = (
            selected(value, self._model.values(FILTERS[name]))
            for name, value in zip(pair, values, strict=True)
        )
        return {
            "": one & other,
            "one that matches is enough": one | other,
            "only the first counts": one,
            "only the second counts": other,
        }


_CARRIERS = (
    *("releaseId", "applicationId", "status", "applicationName", "releaseNumber"),
    *("releaseName", "pipelineName"),
)


def _is_cut(real: frozenset[int], mocked: frozenset[int], most: int) -> bool:
    """Whether the one is the other, without what is more than `most`."""
    return real <= mocked and len(real) == min(most, len(mocked))


def _otherwise(values: Sequence[str]) -> Iterator[str]:
    """Variants of the values: each kind once, and those for which another value tells more."""
    tried = set()
    longest = max(values, key=len, default="")
    for value in values:
        for topic, way in variants(value).items():
            tells_more = topic == BEHIND and value == longest
            if topic in OF_LETTERS:
                tells_more = not value.isascii()
            if topic not in tried or tells_more:
                tried.add(topic)
                shown = getattr(value, "shown", None)
                text = way(str(value))
                yield text if shown is None else Sent(text, way(shown))


def _nobody(name: str) -> Any:
    """A value of a filter that nothing, or almost nothing, has."""
    return "canceled" if name == "status" else NOBODY if name.endswith("Id") else MISSING


def _is_telling(text: str) -> bool:
    """Whether variants of a text tell ways of comparing apart."""
    return len(text) > 3 and text.strip() == text and other_case(text) != text


def _spread(values: list[Any], sample: int) -> list[Any]:
    """The first value, and others from all over the list."""
    if len(values) <= sample:
        return values
    return [values[number * len(values) // sample] for number in range(sample)]
