"""Why an answer has the records that it has: what each filter did, and what one may have meant."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .errors import Names, plural, quoted

MAX_LISTED = 8
"""Values that are listed where none is near."""

Step = tuple[str, Any, int, int]
"""What one filter did to a selection: its name and value, the number of records that match it and
those before it, and of those that match it alone."""


def explain(
    count: int,
    noun: str,
    properties: Mapping[str, str],
    steps: Sequence[Step],
    known: Callable[[str], Sequence[Names]],
) -> str:
    """Why a selection is what it is, filter by filter.

    Such as `7 releases; status=active: 4; applicationName='TaxCalc': 0 (nearest: 'TaxCalculator')`.

    count, noun: of all records.
    properties: name of a filter to the property that it compares.
    known: gets the values that a filter can find, as they are spelt.
    """
    parts = [plural(count, noun)]
    for name, value, left, in_all in steps:
        shown = value if name == "status" else quoted(value)
        part = f"{name}={shown}: {left}"
        if not in_all:
            names = [each for each in known(name) if each.by_folded]
            if names:
                part += _guess(value, names)
            elif count:
                part += f" (no {noun} has a {properties[name]})"
        elif not left and len(parts) > 1:
            part += f" ({in_all} without the filters before)"
        parts.append(part)
    return "; ".join(parts)


def _guess(value: Any, known: Sequence[Names]) -> str:
    """What a filter that selects nothing may have meant, among the values that there are."""
    if isinstance(value, int):
        numbers = (int(text) for names in known for text in names.by_folded)
        return f" (nearest: {min(numbers, key=lambda number: abs(number - value))})"
    near = next(filter(None, (names.nearest(value) for names in known)), None)
    if near is not None:
        return f" (nearest: {quoted(near)})"
    if sum(len(names.by_folded) for names in known) > MAX_LISTED:
        return ""
    spelt = {spelt for names in known for spelt in names.by_folded.values()}
    return f" (there are: {', '.join(map(quoted, sorted(spelt)))})"
