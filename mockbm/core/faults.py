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

from .errors import quoted, suggest
from .fields import Choice, Duration, Field, Integer, NamedSchema, Text, fold
from .json_schema import JsonSchema, Place, about, is_one_of, object_schema
from .parameters import ParameterSchema
from .times import duration

CONNECTIONS = ("reset", "empty", "truncate", "malformed")
"""Broken in the middle by a reset, closed without an answer, cut off after half, not JSON."""

NEEDS_SOCKET = frozenset(("reset", "empty", "truncate"))
"""Of these, what only mockbm's own server can do, which has the socket."""

MAX_DELAY = 3_600
"""Seconds that one fault may delay an answer."""

SET_BY_SERVER = ("content-length", "date", "server")
OF_CONNECTION = (
    *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection"),
    *("te", "trailer", "trailers", "transfer-encoding", "upgrade"),
)
"""Headers of one connection (hop-by-hop), for which servers fail or which they leave out."""

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""The name of a header."""


@dataclass(frozen=True)
class Fault:
    """One entry of a scenario's `faults`. Of status, connection and rate, it has at most one.

    endpoint: path of the only endpoint whose requests it sees.
    when: parameters, folded; matches a request that has all of them.
    after, times: how many matching requests pass before, and how many misbehave then.
    delay: seconds, from and to, and the seed that chooses in between.
    rate: requests that pass in so many seconds.
    """

    endpoint: str
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

    delay: seconds by which the answer is late.
    fault, number: the fault that answers, and its place in the list; None and -1 for none.
    retry_after: seconds, where a rate was exceeded.
    """

    delay: float = 0.0
    fault: Fault | None = None
    number: int = -1
    retry_after: int = 0


NOTHING = Verdict()


@dataclass
class Counts:
    """What one session has counted since its scenario became active. Plain data.

    met: how many matching requests each fault has met; empty before the first request.
    passed: of each rate, when it let requests pass, in seconds by the session's clock.
    calls: answers with releases.
    stages: how many of its changes each changing release had behind it in the last answer.
    """

    met: list[int] = field(default_factory=list)
    passed: list[list[float]] = field(default_factory=list)
    calls: int = 0
    stages: list[int] = field(default_factory=list)


def judge(
    faults: Sequence[Fault],
    counts: Counts,
    endpoint: str,
    parameters: Mapping[str, Any],
    now: float,
) -> Verdict:
    """Count one request to an endpoint, at a moment in seconds, and decide about it.

    Delays add up; the first fault that answers ends it, and later ones do not see the request.
    """
    if not counts.met:
        counts.met, counts.passed = [0] * len(faults), [[] for _ in faults]
    delay = 0.0
    for number, fault in enumerate(faults):
        if fault.endpoint != endpoint:
            continue
        if any(fold(parameters.get(name)) != value for name, value in fault.when.items()):
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
    # A moment to come is from a clock that was ahead of this one, and must not count for ever.
    passed[:] = [moment for moment in passed if now - seconds < moment <= now]
    if len(passed) < count:
        passed.append(now)
        return 0
    return max(math.ceil(passed[0] + seconds - now), 1)


class Seconds(Field[float]):
    """A duration such as `250ms` or `2s`."""

    def _deserialize(self, value: object, *_: Any, **__: Any) -> float:
        try:
            return duration(value if isinstance(value, str) else "")
        except ValueError as error:
            raise ValidationError(f"{quoted(value)} is not a duration; {error}") from None

    def json_schema(self, place: Place) -> JsonSchema:
        return Duration().json_schema(place)


class RangeSchema(NamedSchema):
    """A delay that differs from answer to answer, repeatably."""

    min = Seconds(required=True, metadata=about("The shortest delay."))
    max = Seconds(required=True, metadata=about("The longest delay, an hour at most."))
    seed = Integer(load_default=0, metadata=about("Another seed makes other delays."))


class Delay(Field[tuple[float, float, int]]):
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
            raise ValidationError("is over an hour, longer than any client waits")
        return least, most, seed

    def json_schema(self, place: Place) -> JsonSchema:
        return {"anyOf": [Duration().json_schema(place), object_schema(RangeSchema(), place)]}


class Rate(Field[tuple[int, float]]):
    """Requests in a time, such as `5/s`, `100/m` or `1000/h`."""

    form = re.compile(r"([1-9][0-9]{0,3})/([smh])")

    def _deserialize(self, value: object, *_: Any, **__: Any) -> tuple[int, float]:
        match = self.form.fullmatch(value if isinstance(value, str) else "")
        if match is None:
            raise ValidationError(f"{quoted(value)} is not a rate; write 5/s, 100/m or 1000/h")
        return int(match[1]), duration(f"1{match[2]}")

    def json_schema(self, place: Place) -> JsonSchema:
        return place.form(self.form.pattern, write="write 5/s, 100/m or 1000/h")


class Headers(Field[dict[str, str]]):
    """Names and values of an answer's headers, without those that the server sets."""

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
        if name.lower() in SET_BY_SERVER or name.lower().startswith("x-mockbm-"):
            raise ValidationError("is set by the server itself; leave it out")
        if name.lower() in OF_CONNECTION:
            raise ValidationError("is about the connection, which is the server's; leave it out")
        text: str = Text(required=True).deserialize(value)
        if not text.isprintable() or not text.isascii():
            raise ValidationError(f"{quoted(text)} is not plain ASCII on one line")
        return text

    def json_schema(self, place: Place) -> JsonSchema:
        taken = map(_in_any_case, (*SET_BY_SERVER, *OF_CONNECTION, "x-mockbm-"))
        theirs = f"{'|'.join(taken)}.*"
        names = {"pattern": f"^{TOKEN.pattern}$", "not": {"pattern": f"^(?:{theirs})$"}}
        value = Text(required=True).json_schema(place) | {"pattern": "^[ -~]+$"}
        return {"type": "object", "propertyNames": names, "additionalProperties": value}


def _in_any_case(text: str) -> str:
    """A regular expression for a text in capitals or not; JSON Schema has no flag for that."""
    return "".join(f"[{x.lower()}{x.upper()}]" if x.isalpha() else x for x in text)


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
        metadata=about("The status of the answer."),
    )
    body = Text(load_default="", metadata=about("Its body, as text."))
    headers = Headers(load_default=dict, metadata=about("Its headers, but for the server's own."))

    def rules(self, _place: Place) -> JsonSchema:
        has_no_body = is_one_of("status", *WITHOUT_BODY, *map(str, WITHOUT_BODY))
        return {"if": has_no_body, "then": {"properties": {"body": {"enum": ["", None]}}}}

    @validates()
    def check(self, answer: dict[str, Any], **_: Any) -> None:
        status = answer["status"]
        if status in WITHOUT_BODY and answer["body"]:
            raise ValidationError({"body": [f"an answer with status {status} has no body"]})


class When(Field[tuple[str, dict[str, Any]]]):
    """Which requests a fault sees: parameters of an endpoint, Get Releases unless it says another.

    endpoints: path of each endpoint to the schema of its parameters, that of Get Releases first.
    """

    def __init__(self, endpoints: Mapping[str, ParameterSchema], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # Of what a request must have, a fault may see all that have it.
        self.endpoints = {path: type(each)(partial=True) for path, each in endpoints.items()}
        self.usual = next(iter(endpoints))

    def _deserialize(self, value: object, *_: Any, **__: Any) -> tuple[str, dict[str, Any]]:
        if not isinstance(value, Mapping):
            raise ValidationError("expected parameters, such as {status: active}")
        parameters = dict(value)
        endpoint = self._path(parameters.pop("endpoint", None))
        schema = self.endpoints[endpoint]
        filled = {
            name: value
            for name, value in parameters.items()
            if value is not None or name not in schema.load_fields
        }
        loaded = schema.read(filled, strict=True)
        return endpoint, {name: fold(value) for name, value in loaded.items()}

    def json_schema(self, place: Place) -> JsonSchema:
        names = ", ".join(map(endpoint_name, self.endpoints))
        endpoint = Text().json_schema(place) | {"description": f"One of {names}."}
        return {
            "type": "object",
            "properties": {"endpoint": endpoint},
            "if": {"not": {"required": ["endpoint"]}},
            "then": object_schema(self.endpoints[self.usual], place),
        }

    def _path(self, name: object) -> str:
        """The path of an endpoint that is written as a part of it, such as `builds/deploy`."""
        if name is None:
            return self.usual
        names = {endpoint_name(path): path for path in self.endpoints}
        found = names.get(endpoint_name(str(name).lower()))
        if found is None:
            what = f"no endpoint is called {quoted(name)}; {suggest(str(name), names)}"
            raise ValidationError({"endpoint": [what]})
        return found


def endpoint_name(path: str) -> str:
    """The short name of an endpoint: its path without what all paths begin with."""
    short = path.strip("/").removeprefix("api/")
    return short.removeprefix("releases/")


class FaultSchema(NamedSchema):
    """One entry of a scenario's `faults`; `fault_schema` adds `when`."""

    error_messages = {"type": "expected a fault, such as `- respond: {status: 503}`"}  # noqa: RUF012

    answers = ("respond", "connection", "rate")
    """Ways to answer, of which one fault has one at most."""

    after = Integer(
        load_default=0,
        validate=validate.Range(min=0, error="is below 0"),
        metadata=about("The number of matching requests before it begins."),
    )
    times = Integer(
        validate=validate.Range(min=1, error="is below 1; leave the fault out instead"),
        metadata=about(
            "The number of requests that it applies to then.", left_out="all that follow"
        ),
    )
    delay = Delay(metadata=about("How long to wait: 250ms, or {min: 100ms, max: 2s, seed: 7}."))
    respond = fields.Nested(RespondSchema, metadata=about("The answer, instead of the releases."))
    connection = Choice(
        *CONNECTIONS,
        metadata=about(
            "How the connection breaks: reset before an answer, closed without one (empty), cut "
            "off after half of the body (truncate), or JSON that is not valid (malformed)."
        ),
    )
    rate = Rate(metadata=about("How many requests pass, such as 5/s; more get 429."))

    def rules(self, place: Place) -> JsonSchema:
        anything = {"anyOf": [place.has(name) for name in ("delay", *self.answers)]}
        return {"allOf": [anything, place.has_one_at_most(self.answers)]}

    @validates(pass_original=True, skip_on_field_errors=False)
    def check(self, _fault: dict[str, Any], original: Any, **_: Any) -> None:
        if not isinstance(original, Mapping):
            return
        kinds = ("delay", *self.answers)
        given = [name for name in kinds if original.get(name) is not None]
        answers = [name for name in given if name != "delay"]
        if not given and original.keys() <= self.fields.keys():
            raise ValidationError("does nothing; give delay, respond, connection or rate")
        if len(answers) > 1:
            raise ValidationError(f"gives {' and '.join(answers)}; one fault answers in one way")

    @post_load
    def make(self, fault: dict[str, Any], **_: Any) -> Fault:
        answer = fault.pop("respond", {})
        field: Any = self.fields["when"]
        endpoint, when = fault.pop("when", (field.usual, {}))
        return Fault(endpoint=endpoint, when=when, **fault, **answer)


_WHEN = "Parameters as a client sends them."


def fault_schema(endpoints: Mapping[str, ParameterSchema]) -> type[FaultSchema]:
    """The schema of faults of requests to these endpoints; see `When`."""
    return type(
        "FaultSchema",
        (FaultSchema,),
        {"when": When(endpoints, metadata=about(_WHEN, left_out="every request"))},
    )
