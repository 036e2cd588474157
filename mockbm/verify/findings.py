"""What a verification found: differences, each cause once, and what could not be checked."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from ..core.errors import plural
from ..core.request import HIDDEN
from ..importer import Aliases, named_persons
from .asking import basic_credentials

MAX_EXAMPLES = 5  # of one finding
MIN_HIDDEN = 6  # letters of an API key that is hidden inside of texts; a shorter one may be a word

WHY = {
    "property-new": "The mock leaves it out of records that are not imported.",
    "property-missing": "A client that reads it works with the mock only.",
    "property-type": "A typed client reads one of the two and fails with the other.",
    "property-null": "A client that tests whether a property is there gets another result.",
    "property-value": "A client reads another value than from the mock.",
    "property-order": "It matters to a client that compares bytes.",
    "date-form": "A client that parses the mock's form may not read this one.",
    "status-value": "A client that compares with the documented statuses never meets it.",
    "release-hidden": "A client that sends no filters does not get every record.",
    "release-twice": "A client that counts records, or stores them by id, gets another result.",
    "order": "A client that takes the first record for the newest gets another one.",
    "order-filtered": "A client that takes the first record gets another one with a filter.",
    "matching": "The same filter selects other records.",
    "filter": "The same filter selects other records.",
    "combining": "The same filters together select other records.",
    "selection": "The same request selects other records.",
    "accepted": "A client that does this is stopped by the mock, and not by the server.",
    "refused": "A client that does this works with the mock, and not with the server.",
    "no-match": "A client that searches for what does not exist takes another way.",
    "error-status": "A client that reads the status of an error takes another way.",
    "error-body": "A client that shows or reads the text of an error finds another.",
    "content-type": "A client that reads the type of an answer takes another way.",
    "body": "A client that reads an array of records fails.",
}
"""Every kind of difference, and why it matters."""


@dataclass
class Finding:
    """One difference with one cause.

    kind: one of `WHY`. about: the properties, the filters, or what was tried.
    server, mock: what each of them does.
    seen: examples: requests, or records by their id.
    """

    kind: str
    server: str
    mock: str
    about: list[str] = field(default_factory=list)
    seen: dict[str, None] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The finding for machines."""
        both = {"server": self.server, "mock": self.mock}
        seen = {"examples": [*self.seen][:MAX_EXAMPLES], "count": len(self.seen)}
        return {"kind": self.kind, "about": self.about, **both, **seen, "why": WHY[self.kind]}

    def __str__(self) -> str:
        examples = [*self.seen]
        if len(examples) > MAX_EXAMPLES:
            examples[MAX_EXAMPLES:] = [f"and {len(examples) - MAX_EXAMPLES} more"]
        lines = [f"server: {self.server}", f"mock:   {self.mock}", f"why:    {WHY[self.kind]}"]
        lines += [f"seen:   {example}" for example in examples]
        return "\n  ".join([f"{self.kind}: {', '.join(self.about)}", *lines])


@dataclass
class Report:
    """What one verification found.

    prefix: what everything is about; "" for releases.
    requests: how many the server got. records: how many it has of each kind.
    left_out: number of checks left out, because they build on what differs.
    findings: by their kind and what else tells their causes from others.
    unchecked: what could not be checked, and why.
    """

    url: str
    prefix: str = ""
    requests: int = 0
    records: dict[str, int] = field(default_factory=dict)
    left_out: int = 0
    findings: dict[tuple[str, ...], Finding] = field(default_factory=dict)
    unchecked: dict[str, None] = field(default_factory=dict)

    def add(
        self, kind: str, about: str, server: str, mock: str, example: object, cause: str = ""
    ) -> None:
        """Add a difference. cause: what tells its cause from others of its kind."""
        finding = self.findings.setdefault((kind, cause), Finding(kind, server, mock))
        if self.prefix + about not in finding.about:
            finding.about.append(self.prefix + about)
        finding.seen[str(example)] = None

    def skip(self, what: str) -> None:
        """Add what is not checked."""
        self.unchecked[self.prefix + what] = None

    def merge(self, part: Report) -> None:
        """Add the report of one kind of record; the same difference in two kinds is one."""
        self.records |= part.records
        self.left_out += part.left_out
        self.unchecked |= part.unchecked
        for key, found in part.findings.items():
            known = self.findings.setdefault(key, found)
            if (known.server, known.mock) != (found.server, found.mock):
                self.findings[(*key, part.prefix)] = found
            elif known is not found:
                known.about += found.about
                known.seen |= found.seen

    def to_json(self) -> dict[str, Any]:
        """The report for machines."""
        differences = [item.to_json() for item in self.findings.values()]
        found = {"drift": bool(differences), "differences": differences}
        numbers = {"requests": self.requests, **self.records}
        return {"url": self.url, **numbers, **found, "notChecked": list(self.unchecked)}

    def __str__(self) -> str:
        parts = [f"{number}. {item}" for number, item in enumerate(self.findings.values(), 1)]
        if self.unchecked:
            parts.append("\n  ".join(["not checked:", *self.unchecked]))
        releases = self.records.get("releases", 0)
        missed = f"{plural(self.left_out, 'check')} left out because of that"
        missed = missed if releases else "so most was not checked"
        end = f" ({missed})" if self.left_out or not releases else ""
        found = plural(len(self.findings), "difference") if self.findings else "no difference"
        others = [plural(n, kind[:-1]) for kind, n in self.records.items() if n][releases > 0 :]
        sent = [plural(self.requests, "request"), plural(releases, "release"), *others]
        return "\n\n".join([*parts, f"{found} in {', '.join(sent)}{end}: {self.url}"])


class Privacy:
    """Takes the API key out of texts, and the names of persons unless they are to be shown."""

    def __init__(self, key: str, *, show_names: bool = False) -> None:
        forms = "|".join(map(re.escape, (key, quote(key, safe=""), basic_credentials(key))))
        is_word = len(key) < MIN_HIDDEN
        self._key = re.compile(rf"\A(?:{forms})\Z" if is_word else forms, re.IGNORECASE)
        self._show_names = show_names
        self._persons: dict[str, None] = {}
        self._aliases = Aliases(())

    def learn(self, records: list[dict[str, Any]]) -> None:
        """Take note of the persons in these records."""
        if not self._show_names:
            names = sorted(set(named_persons(records)))
            self._persons |= dict.fromkeys(n for n in names if re.search(r"[^\W\d_]", n))
            self._aliases = Aliases(self._persons)

    def __call__(self, text: str) -> str:
        """A text of the server as it may be shown."""
        text = self._aliases(self.without_key(text))
        return text if text.isprintable() else repr(text)[1:-1]

    def without_key(self, value: Any) -> Any:
        """A value without the API key in any text of it."""
        if isinstance(value, str):
            return self._key.sub(HIDDEN, value)
        if isinstance(value, list):
            return [self.without_key(item) for item in value]
        if isinstance(value, dict):
            return {self.without_key(name): self.without_key(item) for name, item in value.items()}
        return value
