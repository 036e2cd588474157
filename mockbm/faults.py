"""What a scenario does to an answer on purpose: delay, status, rate limit, broken connection."""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from marshmallow import ValidationError, fields, post_load
from marshmallow import validates_schema as validates

from .fields import Choice, Integer, NamedSchema, Text, quoted
from .selection import FilterSchema, fold
from .times import duration

CONNECTIONS = ("reset", "empty", "truncate", "malformed")
"""Broken in the middle by a reset, closed without an answer, cut off after half, not JSON."""

NEEDS_SOCKET = frozenset(("reset", "empty", "truncate"))
"""Of these, what only a server can do that hands its sockets over."""

MAX_DELAY = 3_600
"""Seconds that one fault may delay an answer."""

_NOT_OURS = ("connection", "content-length", "date", "keep-alive", "server", "transfer-encoding")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(frozen=True)
class Fault:
    """One entry of a scenario's `faults`. Of status, connection and rate, at most one is there.

    when: filters, folded; matches a request that sent all of them.
    after, times: how many matching requests pass before, and how many misbehave then.
    delay: seconds, from and to, and the seed that chooses in between.
    rate: requests that pass in so many seconds.
    """

    when: Mapping[str, Any] = field(default_factory=dict)
    after: int = 0
    times: int | None = None
    delay: tuple[float, float, int] | None = None
    status: int | None = None
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    connection: str | None = None
    rate: tuple[int, float] | None = None

    def __str__(self) -> str:
        if self.rate is not None:
            return f"more than {self.rate[0]} requests in {self.rate[1]:g} seconds"
        if self.connection is not None:
            return f"connection {self.connection}"
        return f"status {self.status}"

    def is_over(self, met: int) -> bool:
        """Whether it lets every request pass that comes after so many matching ones."""
        return self.times is not None and met >= self.after + self.times

    @property
    def sentence(self) -> str:
        """All of it, such as `delay 0.25 s and status 503, for status=deployed, 2 times`."""
        does = [str(self)] if self.rate or self.connection or self.status is not None else []
        if self.delay is not None:
            least, most, _ = self.delay
            spread = f"{least:g}" if least == most else f"{least:g} to {most:g}"
            does.insert(0, f"delay {spread} s")
        only = [f"for {name}={value}" for name, value in self.when.items()]
        if self.after:
            only.append(f"after {self.after} request{'s' * (self.after != 1)}")
        if self.times is not None:
            only.append("once" if self.times == 1 else f"{self.times} times")
        return ", ".join([" and ".join(does), *only])


@dataclass(frozen=True)
class Verdict:
    """What the faults decided for one request.

    delay: seconds to wait first.
    fault, number: the fault that answers, and its place in the list; None and -1 for none.
    retry_after: seconds, where a rate was exceeded.
    """

    delay: float = 0.0
    fault: Fault | None = None
    number: int = -1
    retry_after: int = 0


class Counters:
    """How often each fault has been met in one run of a scenario. Not safe without a lock."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._faults = faults
        self._met = [0] * len(faults)
        self._random = [Random(fault.delay[2]) if fault.delay else None for fault in faults]
        self._passed: list[deque[float]] = [deque() for _ in faults]

    def judge(self, filters: Mapping[str, Any], now: float) -> Verdict:
        """Count one request, at a moment in seconds, and decide about it.

        Delays add up; the first fault that answers ends it, and later ones do not see the request.
        """
        delay = 0.0
        for number, fault in enumerate(self._faults):
            if any(fold(filters.get(name)) != value for name, value in fault.when.items()):
                continue
            met = self._met[number]
            self._met[number] = met + 1
            if met < fault.after or fault.is_over(met):
                continue
            retry_after = self._wait(number, fault, now)
            if fault.rate is not None and not retry_after:
                continue
            random = self._random[number]
            if fault.delay is not None and random is not None:
                delay += random.uniform(fault.delay[0], fault.delay[1])
            if fault.status is not None or fault.connection is not None or retry_after:
                return Verdict(delay, fault, number, retry_after)
        return Verdict(delay)

    def _wait(self, number: int, fault: Fault, now: float) -> int:
        """Whole seconds until a rate lets the next request pass; 0 where it passes now."""
        if fault.rate is None:
            return 0
        count, seconds = fault.rate
        passed = self._passed[number]
        while passed and passed[0] <= now - seconds:
            passed.popleft()
        if len(passed) < count:
            passed.append(now)
            return 0
        return max(math.ceil(passed[0] + seconds - now), 1)

    def seen(self) -> list[int]:
        """How many matching requests each fault has met."""
        return list(self._met)


class Seconds(fields.Field[float]):
    """A duration such as `250ms` or `2s`."""

    def _deserialize(self, value: object, *_: Any, **__: Any) -> float:
        try:
            return duration(value if isinstance(value, str) else "")
        except ValueError as error:
            raise ValidationError(f"{quoted(value)} is not a duration; {error}") from None


class RangeSchema(NamedSchema):
    """A delay that differs from answer to answer, repeatably."""

    min = Seconds(required=True)
    max = Seconds(required=True)
    seed = Integer(load_default=0)


class Delay(fields.Field[tuple[float, float, int]]):
    """A duration, or `{min: ..., max: ..., seed: ...}`."""

    def _deserialize(self, value: object, *_: Any, **__: Any) -> tuple[float, float, int]:
        if isinstance(value, Mapping):
            loaded = RangeSchema().load(value)
            least, most, seed = loaded["min"], loaded["max"], loaded["seed"]
        else:
            least = most = Seconds().deserialize(value)
            seed = 0
        if least > most:
            raise ValidationError("min is more than max")
        if most > MAX_DELAY:
            raise ValidationError("is over an hour, which no client waits for")
        return least, most, seed


class Rate(fields.Field[tuple[int, float]]):
    """Requests in a time, such as `5/s`, `100/m` or `1000/h`."""

    def _deserialize(self, value: object, *_: Any, **__: Any) -> tuple[int, float]:
        match = re.fullmatch(r"([1-9][0-9]{0,3})/([smh])", value if isinstance(value, str) else "")
        if match is None:
            raise ValidationError(f"{quoted(value)} is not a rate; write 5/s, 100/m or 1000/h")
        return int(match[1]), duration(f"1{match[2]}")


class Headers(fields.Field[dict[str, str]]):
    """Names and values of an answer's headers, without those that are the server's business."""

    def _deserialize(self, value: object, *_: Any, **__: Any) -> dict[str, str]:
        if not isinstance(value, Mapping):
            raise ValidationError("expected names and values, such as {Retry-After: 1}")
        headers, problems = {}, {}
        for name, text in value.items():
            try:
                headers[name] = self._value(str(name), text)
            except ValidationError as error:  # noqa: PERF203 (the point is to go on)
                problems[name] = error.messages
        if problems:
            raise ValidationError(problems)
        return headers

    def _value(self, name: str, value: object) -> str:
        if not _TOKEN.fullmatch(name):
            raise ValidationError("cannot name a header; use letters, digits and '-'")
        if name.lower() in _NOT_OURS or name.lower().startswith("x-mockbm-"):
            raise ValidationError("is set by the server itself; leave it out")
        text: str = Text(required=True).deserialize(value)
        if not text.isprintable() or not text.isascii():
            raise ValidationError(f"{quoted(text)} is not plain ASCII on one line")
        return text


class RespondSchema(NamedSchema):
    """The answer that a fault gives."""

    error_messages = {"type": "expected an answer, such as {status: 503}"}  # noqa: RUF012

    status = Integer(required=True)
    body = Text(load_default="")
    headers = Headers(load_default=dict)

    @validates()
    def check(self, answer: dict[str, Any], **_: Any) -> None:
        status = answer["status"]
        if not 200 <= status <= 599:
            what = f"{status} is no status of an answer; allowed is 200 to 599"
            raise ValidationError({"status": [what]})
        if status in (204, 304) and answer["body"]:
            raise ValidationError({"body": [f"an answer with status {status} has no body"]})


class FaultSchema(NamedSchema):
    """One entry of a scenario's `faults`."""

    error_messages = {"type": "expected a fault, such as `- respond: {status: 503}`"}  # noqa: RUF012

    when = fields.Nested(FilterSchema, load_default=dict)
    after = Integer(load_default=0)
    times = Integer()
    delay = Delay()
    respond = fields.Nested(RespondSchema)
    connection = Choice(*CONNECTIONS)
    rate = Rate()

    @validates(pass_original=True, skip_on_field_errors=False)
    def check(self, fault: dict[str, Any], original: Any, **_: Any) -> None:
        if not isinstance(original, Mapping):
            return
        kinds = ("delay", "respond", "connection", "rate")
        given = [name for name in kinds if original.get(name) is not None]
        answers = [name for name in given if name != "delay"]
        if not given and original.keys() <= self.fields.keys():
            raise ValidationError("does nothing; give delay, respond, connection or rate")
        if len(answers) > 1:
            raise ValidationError(f"gives {' and '.join(answers)}; one fault answers in one way")
        if fault.get("after", 0) < 0:
            raise ValidationError({"after": ["is below 0"]})
        if fault.get("times", 1) < 1:
            raise ValidationError({"times": ["is below 1; leave the fault out instead"]})

    @post_load
    def make(self, fault: dict[str, Any], **_: Any) -> Fault:
        answer = fault.pop("respond", {})
        fault["when"] = {name: fold(value) for name, value in fault["when"].items()}
        return Fault(**fault, **answer)
