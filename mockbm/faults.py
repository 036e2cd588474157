"""What a scenario does to an answer on purpose: delay, status, rate limit, broken connection."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from marshmallow import ValidationError, fields, post_load, validate
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

NOT_OURS = ("connection", "content-length", "date", "keep-alive", "server", "transfer-encoding")
"""Headers that are the server's own business."""

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""The name of a header."""


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

    @property
    def counts(self) -> bool:
        """Whether what it does depends on the requests before."""
        varies = self.delay is not None and self.delay[0] != self.delay[1]
        return bool(self.after or self.times is not None or self.rate is not None or varies)

    def __str__(self) -> str:
        if self.rate is not None:
            count, seconds = self.rate
            time = "a second" if seconds == 1 else f"{seconds:g} seconds"
            return f"more than {count} request{'s' * (count != 1)} in {time}"
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


@dataclass
class Counts:
    """What one session has counted of a scenario since that became active there. Plain data.

    met: how many matching requests each fault has met; empty before the first request.
    passed: of each rate, when those requests came that it let pass, in seconds.
    calls: answers with releases.
    stages: how many of its changes each release had behind it in the last answer.
    """

    met: list[int] = field(default_factory=list)
    passed: list[list[float]] = field(default_factory=list)
    calls: int = 0
    stages: list[int] = field(default_factory=list)

    def fit(self, faults: int) -> None:
        """Begin to count so many faults, unless that has begun.

        In the moment of a reload, these may be the counts of as many as there were before.
        """
        if len(self.met) != faults:
            self.met, self.passed = [0] * faults, [[] for _ in range(faults)]


def judge(
    faults: Sequence[Fault], counts: Counts, filters: Mapping[str, Any], now: float
) -> Verdict:
    """Count one request, at a moment in seconds, and decide about it.

    Delays add up; the first fault that answers ends it, and later ones do not see the request.
    """
    counts.fit(len(faults))
    delay = 0.0
    for number, fault in enumerate(faults):
        if any(fold(filters.get(name)) != value for name, value in fault.when.items()):
            continue
        met = counts.met[number]
        counts.met[number] = met + 1
        if met < fault.after or fault.is_over(met):
            continue
        retry_after = _wait(fault.rate, counts.passed[number], now) if fault.rate else 0
        if fault.rate is not None and not retry_after:
            continue
        if fault.delay is not None:
            least, most, seed = fault.delay
            delay += least if least == most else Random(f"{seed}, {met}").uniform(least, most)
        if fault.status is not None or fault.connection is not None or retry_after:
            return Verdict(delay, fault, number, retry_after)
    return Verdict(delay)


def _wait(rate: tuple[int, float], passed: list[float], now: float) -> int:
    """Whole seconds until a rate lets the next request pass; 0 where it passes now."""
    count, seconds = rate
    while passed and passed[0] <= now - seconds:
        del passed[0]
    if len(passed) < count:
        passed.append(now)
        return 0
    return max(math.ceil(passed[0] + seconds - now), 1)


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

    form = re.compile(r"([1-9][0-9]{0,3})/([smh])")

    def _deserialize(self, value: object, *_: Any, **__: Any) -> tuple[int, float]:
        match = self.form.fullmatch(value if isinstance(value, str) else "")
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
        if not TOKEN.fullmatch(name):
            raise ValidationError("cannot name a header; use letters, digits and '-'")
        if name.lower() in NOT_OURS or name.lower().startswith("x-mockbm-"):
            raise ValidationError("is set by the server itself; leave it out")
        text: str = Text(required=True).deserialize(value)
        if not text.isprintable() or not text.isascii():
            raise ValidationError(f"{quoted(text)} is not plain ASCII on one line")
        return text


WITHOUT_BODY = (204, 304)
"""Statuses of answers that have no body."""


class RespondSchema(NamedSchema):
    """The answer that a fault gives."""

    error_messages = {"type": "expected an answer, such as {status: 503}"}  # noqa: RUF012

    status = Integer(
        required=True,
        validate=validate.Range(
            200, 599, error="{input} is no status of an answer; allowed is 200 to 599"
        ),
    )
    body = Text(load_default="")
    headers = Headers(load_default=dict)

    @validates()
    def check(self, answer: dict[str, Any], **_: Any) -> None:
        status = answer["status"]
        if status in WITHOUT_BODY and answer["body"]:
            raise ValidationError({"body": [f"an answer with status {status} has no body"]})


class FaultSchema(NamedSchema):
    """One entry of a scenario's `faults`."""

    error_messages = {"type": "expected a fault, such as `- respond: {status: 503}`"}  # noqa: RUF012

    when = fields.Nested(FilterSchema, load_default=dict)
    after = Integer(load_default=0, validate=validate.Range(min=0, error="is below 0"))
    times = Integer(validate=validate.Range(min=1, error="is below 1; leave the fault out instead"))
    delay = Delay()
    respond = fields.Nested(RespondSchema)
    connection = Choice(*CONNECTIONS)
    rate = Rate()

    @validates(pass_original=True, skip_on_field_errors=False)
    def check(self, _fault: dict[str, Any], original: Any, **_: Any) -> None:
        if not isinstance(original, Mapping):
            return
        kinds = ("delay", "respond", "connection", "rate")
        given = [name for name in kinds if original.get(name) is not None]
        answers = [name for name in given if name != "delay"]
        if not given and original.keys() <= self.fields.keys():
            raise ValidationError("does nothing; give delay, respond, connection or rate")
        if len(answers) > 1:
            raise ValidationError(f"gives {' and '.join(answers)}; one fault answers in one way")

    @post_load
    def make(self, fault: dict[str, Any], **_: Any) -> Fault:
        answer = fault.pop("respond", {})
        fault["when"] = {name: fold(value) for name, value in fault["when"].items()}
        return Fault(**fault, **answer)
