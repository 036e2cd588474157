"""What a part of the benchmark found, and how it is printed."""

from __future__ import annotations

import operator
import sys
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import NamedTuple


class Goal(NamedTuple):
    """A ratio, or a figure with its unit, and the limit that it must keep to."""

    what: str
    sign: str
    """`<`, `<=` or `>`."""
    limit: float
    measured: float | None
    """None where something that is needed for it is not installed."""
    unit: str = ""

    def cells(self) -> Sequence[str]:
        """As a row of the table of goals."""
        words = {"<": "under", "<=": "at most", ">": "over"}
        goal = f"{words[self.sign]} {figure(self.limit)}{self.unit}"
        if self.measured is None:
            return self.what, goal, "-", "not measured"
        compare = {"<": operator.lt, "<=": operator.le, ">": operator.gt}
        met = compare[self.sign](self.measured, self.limit)
        return self.what, goal, f"{figure(self.measured)}{self.unit}", "yes" if met else "NO"


class Report(NamedTuple):
    """The figures of one part, as rows of cells below a header, and its goals."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    goals: Sequence[Goal]


def print_reports(reports: Iterable[Report]) -> None:
    """All goals as one table, then the figures of each part."""
    goals = [goal.cells() for report in reports for goal in report.goals]
    _print("GOALS", ("what", "goal", "measured", "met"), goals)
    for report in reports:
        _print(report.title, report.header, report.rows)


def _print(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table; a row of a single cell does not widen its column."""
    print(f"\n{title}")
    wide = [row for row in (header, *rows) if len(row) > 1]
    widths = [max(len(cell) for cell in column) for column in zip_longest(*wide, fillvalue="")]
    for name, *cells in (header, *rows):
        shown = [f"{cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=False)]
        print("  ".join([f"{name:<{widths[0]}}", *shown]).rstrip())


def figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def progress(what: str) -> None:
    """Show what is being measured, on one line of a terminal."""
    print(f"\r\x1b[K{what}", end="", file=sys.stderr, flush=True)
