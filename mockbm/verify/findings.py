"""What is found: differences, each cause once, and what could not be checked."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import quote

from ..importing import Aliases, named_persons
from ..keys import HIDDEN, SHORT_KEY
from ..parameters import KEY_USER

MAX_EXAMPLES = 5
"""Examples that a finding keeps; `count` says how many there were."""

WHY = {
    "property-new": "The mock leaves it out of releases that are not imported.",
    "property-missing": "A client that reads it works against the mock alone.",
    "property-type": "A typed client reads one of the two and fails at the other.",
    "property-null": "A client that asks whether a property is there is told otherwise.",
    "property-value": "A client reads another value than from the mock.",
    "property-order": "It matters to whoever compares bytes.",
    "date-form": "A client that parses the mock's form may not read this one.",
    "status-value": "A client that compares with the documented statuses never meets it.",
    "release-hidden": "A client that asks without filters does not get every release.",
    "release-twice": "A client that counts, or keeps releases by id, is told otherwise.",
    "order": "A client that takes the first release for the newest gets another one.",
    "order-filtered": "A client that takes the first release gets another one with a filter.",
    "matching": "The same filter selects other releases.",
    "filter": "The same filter selects other releases.",
    "combining": "The same filters together select other releases.",
    "selection": "The same request selects other releases.",
    "accepted": "A client that does this is stopped by the mock, and not by the server.",
    "refused": "A client that does this works against the mock, and not against the server.",
    "no-match": "A client that looks for something that is not there takes another way.",
    "error-status": "A client that looks at the status of an error takes another way.",
    "error-body": "A client that shows or reads the text of an error finds another.",
    "content-type": "A client that looks at the type of an answer reads it otherwise.",
    "body": "A client that reads an array of releases fails.",
}
"""Every kind of difference, and why it matters."""


@dataclass
class Finding:
    """One difference with one cause.

    kind: one of `WHY`.
    about: the properties, the filters, or what was tried.
    server, mock: what each of them does.
    examples: requests, or releases by their id.
    """

    kind: str
    about: list[str]
    server: str
    mock: str
    examples: list[str] = field(default_factory=list)
    count: int = 0

    def __str__(self) -> str:
        more = self.count - len(self.examples)
        examples = [*self.examples, *([f"and {more} more"] if more else [])]
        return "\n".join(
            [
                f"{self.kind}: {', '.join(self.about)}",
                f"  server: {self.server}",
                f"  mock:   {self.mock}",
                f"  why:    {WHY[self.kind]}",
                *(f"  seen:   {example}" for example in examples),
            ]
        )


@dataclass
class Report:
    """What one verification found.

    url: the server's. requests: how many were sent. releases: how many it has.
    unchecked: what could not be looked at, and why.
    left_out: how many things were not tried, since they build on what differs.
    """

    url: str
    requests: int = 0
    releases: int = 0
    left_out: int = 0
    findings: dict[tuple[str, ...], Finding] = field(default_factory=dict)
    unchecked: dict[str, None] = field(default_factory=dict)
    _noted: set[tuple[tuple[str, ...], str]] = field(default_factory=set)

    def add(
        self, key: tuple[str, ...], about: Iterable[str], server: str, mock: str, example: str
    ) -> None:
        """Note a difference. key: its kind and whatever else makes it the same cause."""
        finding = self.findings.setdefault(key, Finding(key[0], [], server, mock))
        finding.about += [item for item in about if item not in finding.about]
        if (key, example) in self._noted:
            return
        self._noted.add((key, example))
        finding.count += 1
        if len(finding.examples) < MAX_EXAMPLES:
            finding.examples.append(example)

    def is_about(self, item: str) -> bool:
        """Whether a difference is about this."""
        return any(item in finding.about for finding in self.findings.values())

    def skip(self, what: str) -> None:
        """Note what is not checked."""
        self.unchecked[what] = None

    def __str__(self) -> str:
        found = [f"{number}. {item}" for number, item in enumerate(self.findings.values(), 1)]
        if self.unchecked:
            found.append("\n".join(["not checked:", *(f"  {item}" for item in self.unchecked)]))
        differences = _counted(len(self.findings), "difference") if self.findings else _NONE
        asked = f"{_counted(self.requests, 'request')}, {_counted(self.releases, 'release')}"
        return "\n\n".join([*found, f"{differences} in {asked}{self._missed()}: {self.url}"])

    def _missed(self) -> str:
        """How much could not be checked, in words for the last line."""
        if not self.releases:
            return " (so most was not checked)"
        if not self.left_out:
            return ""
        return f" ({_counted(self.left_out, 'check')} left out because of that)"

    def to_json(self) -> dict[str, Any]:
        """The report for machines."""
        found = [{**asdict(item), "why": WHY[item.kind]} for item in self.findings.values()]
        return {
            "url": self.url,
            "requests": self.requests,
            "releases": self.releases,
            "drift": bool(found),
            "differences": found,
            "notChecked": list(self.unchecked),
        }


_NONE = "no difference"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


class Privacy:
    """Takes API keys, and the names of persons unless they are asked for, out of texts."""

    def __init__(self, key: str, *, show_names: bool = False) -> None:
        user_and_key = base64.b64encode(f"{KEY_USER}:{key}".encode()).decode()
        forms = (key, quote(key, safe=""), user_and_key)
        self._key = key
        self._forms = re.compile("|".join(map(re.escape, forms)), re.IGNORECASE)
        self._show_names = show_names
        self._aliases = Aliases()

    def learn(self, releases: list[dict[str, Any]]) -> None:
        """Take note of the persons in these releases."""
        if not self._show_names:
            names = set(named_persons(releases))
            self._aliases.learn(sorted(name for name in names if re.search(r"[^\W\d_]", name)))

    def __call__(self, text: str) -> str:
        """`text`, which came from the server, as it may be shown."""
        text = self._aliases(self.without_key(text))
        return text if text.isprintable() else repr(text)[1:-1]

    def without_key(self, value: Any) -> Any:
        """A value without the API key in any text of it."""
        if isinstance(value, str):
            if len(self._key) >= SHORT_KEY:
                return self._forms.sub(HIDDEN, value)
            return HIDDEN if value == self._key else value
        if isinstance(value, list):
            return [self.without_key(item) for item in value]
        if isinstance(value, dict):
            return {self.without_key(name): self.without_key(item) for name, item in value.items()}
        return value
