"""Durations, relative dates such as `now-3d`, and the clock that says what now is."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta, timezone
from functools import partial

UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
"""Units of a duration, in seconds."""

MAX_DURATION = 36_525 * 86_400
"""Seconds, a hundred years: far enough for any test, and no date overflows."""

FIRST, LAST = (datetime(year, 1, 1, tzinfo=timezone.utc) for year in (1900, 9800))
"""What a clock can be set to."""

DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(ms|s|m|h|d|w)")
"""How a duration is written."""

# As partial objects, since tools that freeze time for a test replace functions that they find in
# modules; and read when this module is imported, which the pytest plugin does before any test.
monotonic, perf_counter = partial(time.monotonic), partial(time.perf_counter)
_START = (time.time(), monotonic())

_RELATIVE = re.compile(r"now(?:([+-])([0-9.]+[a-z]+))?")


def duration(text: str) -> float:
    """The seconds of a duration such as `250ms`, `1.5s`, `10m`, `2h`, `3d` or `2w`.

    Raises: ValueError, whose text says how to write one.
    """
    match = DURATION.fullmatch(text)
    if match is None:
        raise ValueError("write a number and one of ms, s, m, h, d, w, such as 250ms or 2d")
    seconds = float(match[1]) * UNITS[match[2]]
    if seconds > MAX_DURATION:
        raise ValueError("allowed are a hundred years at most")
    return seconds


def is_relative(text: str) -> bool:
    """Whether a date is relative, as `now-3d` is. Raises: ValueError for a bad duration."""
    match = _RELATIVE.fullmatch(text)
    if match is not None and match[2] is not None:
        duration(match[2])
    return match is not None


def resolve(text: str, now: datetime) -> str:
    """The moment that a relative date means, in the form that goes out [S]."""
    match = _RELATIVE.fullmatch(text)
    assert match is not None
    seconds = duration(match[2]) if match[2] else 0.0
    return outgoing(now + timedelta(seconds=-seconds if match[1] == "-" else seconds))


def outgoing(moment: datetime) -> str:
    """A moment in the form that goes out: UTC, seven decimals, `Z` [S]."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}0Z"


class Clock:
    """What a session takes for now: the machine's time, or a set time that does not go on.

    set_to: a moment between `FIRST` and `LAST`; None for the machine's time.
    """

    def __init__(self, set_to: datetime | None = None) -> None:
        self.set_to = set_to
        self.ahead = timedelta()

    def now(self) -> datetime:
        """The moment it shows, UTC."""
        if self.set_to is not None:
            return self.set_to
        # Counted on from the start, so that it never goes back, where the machine's clock does.
        wall, start = _START
        return datetime.fromtimestamp(wall + monotonic() - start, timezone.utc) + self.ahead

    def advanced(self, seconds: float) -> Clock:
        """A clock that shows `seconds` later. Raises: ValueError beyond `LAST`."""
        step = timedelta(seconds=seconds)
        if self.now() + step > LAST:
            raise ValueError(f"a clock can show at most {outgoing(LAST)}")
        later = Clock(None if self.set_to is None else self.set_to + step)
        later.ahead = self.ahead + step
        return later


def moment(text: str) -> datetime:
    """The moment of a date in the form that goes out, to the microsecond: a seventh digit is lost.

    Raises: ValueError where no clock goes.
    """
    found = datetime.fromisoformat(text[:26]).replace(tzinfo=timezone.utc)
    if not FIRST <= found <= LAST:
        raise ValueError(f"a clock shows moments from {outgoing(FIRST)} to {outgoing(LAST)}")
    return found
