"""Each filter on its own, and two together, with values that the server's releases have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

from ..releases import STATUSES
from ..selection import FILTERS, fold
from .asking import Request, Sent
from .matching import (
    IGNORED,
    MISSING,
    NOTHING,
    OF_LETTERS,
    Observation,
    explained,
    other_case,
    variants,
)
from .probes import NOBODY
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


class Look(NamedTuple):
    """One value of a filter, and what it selects."""

    request: Request
    value: Any
    mocked: Ids
    real: Ids


class Filters:
    """What the filters of a server do.

    seen: filter to values that releases have, the most telling one first; at most `sample`.
    other: filters that do something else than in the mock.
    dead: those of them that select nothing sensible.
    """

    def __init__(self, sides: Sides, sample: int) -> None:
        self._sides = sides
        self._model = sides.model
        self._skip = sides.report.skip
        self.seen = {name: self._values(name, sample) for name in FILTERS}
        self.other: set[str] = set()
        self.dead: set[str] = set()

    @property
    def planned(self) -> int:
        """How many requests `compare` sends at most."""
        return sum(len(list(self._plan(name))) for name in FILTERS) + 2 * MAX_PAIRS

    def compare(self) -> None:
        """Compare what the filters select."""
        for name in FILTERS:
            self._filter(name)
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
            self._skip("whether parameters have an effect, wherever they stand: no releases")
        return names[0], _nobody(names[0])

    def without_unsure(self, ids: Ids, names: Iterable[str]) -> frozenset[int | None]:
        """The releases of an answer about which the values of these filters are known."""
        unsure = (self._model.unsure[FILTERS[name]] for name in names)
        return frozenset(ids).difference(*unsure)

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
            for number, value in enumerate(seen):
                for topic, way in variants(value).items():
                    if number == 0 or (topic in OF_LETTERS and not value.isascii()):
                        shown = getattr(value, "shown", None)
                        text = way(str(value))
                        yield text if shown is None else Sent(text, way(shown))

    def _filter(self, name: str) -> None:
        held = self._model.values(FILTERS[name])
        if self._model.ids and not held:
            self._skip(f"filter {name}: no release tells its {FILTERS[name]}")
            self.other.add(name)
            return
        self._tell_unseen(name)
        looks = list(self._looks(name))
        way = explained(
            [Observation(look.value, self.without_unsure(look.real, (name,))) for look in looks],
            held,
        )
        if name in self.dead or way == "":
            return
        self.other.add(name)
        kind = "filter" if way in (IGNORED, NOTHING, None) else "matching"
        if kind == "filter":
            self.dead.add(name)
        mock = "the whole value counts, case does not" if kind == "matching" else "selects by it"
        for look in looks:
            both = (look.real, look.mocked)
            if len({self.without_unsure(ids, (name,)) for ids in both}) > 1:
                server = way or "selects other releases"
                self._sides.report.add(
                    (kind, way or name), [f"filter {name}"], server, mock, str(look.request)
                )

    def _looks(self, name: str) -> Iterator[Look]:
        for value in self._plan(name):
            request = Request("GET", ((name, value),))
            ids = self._sides.ask(f"filter {name}", request, may_miss=True)
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
            frozenset(
                id_
                for id_, held in self._model.values(FILTERS[name]).items()
                if held is not None and fold(held) == fold(value)
            )
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
