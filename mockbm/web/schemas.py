"""What the admin API takes and answers: the schemas that load and dump it, and describe it."""

from __future__ import annotations

from typing import Any, cast

from marshmallow import Schema, ValidationError, fields, validate
from marshmallow import validates_schema as validates

from ..core.fields import Choice, Duration, Integer, Moment, NamedSchema, Text
from ..core.journal import MAX_ANSWER
from ..core.json_schema import JsonSchema, Place, about
from ..core.scenario import ORDERS
from ..endpoints import KINDS, ScenarioSchema

MAX_APPLICATIONS = 50
"""Applications that the list has of one scenario, those with most releases."""

MAX_CHANGES = 100
"""Changes of the active scenario that are listed."""


class Unread(fields.Nested):
    """Values that are taken and answered as they are: what they are for reads or wrote them."""

    def _deserialize(self, *values: Any, **_: Any) -> Any:
        return values[0]

    def _serialize(self, *values: Any, **_: Any) -> Any:
        return values[0]


class Switch(NamedSchema):
    """The body of a switch: the name of a scenario that has a file, or the keys of a whole one."""

    alternative = ScenarioSchema
    name = Text(required=True, metadata=about("The name of the scenario."))

    def load(self, data: Any, **more: Any) -> dict[str, Any]:
        """The `name`, or as `values` the keys of a whole scenario, unread."""
        if isinstance(data, dict) and data.keys() & {"releases", "extends", "generate", "faults"}:
            return {"values": data}
        loaded: dict[str, Any] = super().load(data, **more)
        return loaded


class FaultsWanted(NamedSchema):
    faults = Unread(
        cast(fields.Nested, ScenarioSchema().fields["faults"]).nested,
        required=True,
        metadata=about("As in a scenario file, instead of those of an earlier call; [] for none."),
    )


class SessionWanted(NamedSchema):
    scenario = Text(metadata=about("Its first scenario.", left_out="that of the start"))
    label = Text(
        load_default="",
        validate=validate.Length(max=200),
        metadata=about("The name of the session in lists."),
    )


class ClockWanted(NamedSchema):
    now = Moment(metadata=about("Stop the clock at this date, which is not relative."))
    advance = Duration(metadata=about("Put the clock forward by this duration."))

    def rules(self, place: Place) -> JsonSchema:
        return {"oneOf": [place.has("now"), place.has("advance")]}

    @validates(skip_on_field_errors=True)
    def require_one(self, wanted: dict[str, str], **_: Any) -> None:
        if len(wanted) != 1:
            raise ValidationError('expected {"now": "2024-03-04T09:00:00Z"} or {"advance": "2d"}')


class RequestsWanted(NamedSchema):
    """The query that narrows a journal; see `mockbm.core.journal.narrowed`."""

    method = Text(metadata=about("Only requests of this method, in any case."))
    status = Integer(metadata=about("Only requests answered with this status."))
    parameter = Text(metadata=about("Only requests that had it: NAME, or NAME=VALUE."))
    after = Integer(metadata=about("Only requests with a higher number."))
    count = Integer(
        validate=validate.Range(min=0),
        metadata=about("At most this number of requests, the newest of those that are left."),
    )


class Body(Schema):
    """The body of an answer.

    optional: the properties that not every answer has.
    """

    optional: tuple[str, ...] = ()

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        field_obj.required = field_name not in self.optional


def _text(description: str = "", **more: Any) -> fields.String:
    return fields.String(metadata=about(description), **more)


def _texts(description: str = "", **more: Any) -> fields.List[str]:
    return fields.List(fields.String(), metadata=about(description), **more)


def _count(description: str = "", least: int = 0, **more: Any) -> fields.Integer:
    return fields.Integer(validate=validate.Range(least), metadata=about(description), **more)


def _list(schema: type[Schema], description: str = "") -> fields.Nested:
    return fields.Nested(schema, many=True, metadata=about(description))


def _links(description: str) -> fields.Dict:
    return fields.Dict(values=_text(), metadata=about(description))


class Summary(Body):
    name = _text(attribute="scenario.name")
    description = _text(attribute="scenario.description")
    releaseCount = _count(attribute="scenario.release_count")
    active = fields.Boolean()


Statuses = Body.from_dict(
    {status: _count(dump_default=0) for status in ("active", "deployed", "canceled")},
    name="Statuses",
)
Application = Body.from_dict(
    {"name": _text(), "statuses": fields.Nested(Statuses)}, name="Application"
)


class Overview(Summary):
    """A scenario in the list of all."""

    statuses = fields.Nested(Statuses)
    applicationCount = _count()
    applications = _list(Application, f"Those with most releases, {MAX_APPLICATIONS} at most.")
    apiKeys = _texts("The API keys that it accepts.", attribute="scenario.api_keys")
    faults = _texts("What it does on purpose, each fault in a sentence.")
    changes = _count("The number of changes that its releases go through.")


Scenarios = Body.from_dict(
    {"active": _text("The name of the active scenario."), "scenarios": _list(Overview)},
    name="Scenarios",
)

State = Body.from_dict(
    {name: Unread(kind.schema(many=True)) for name, kind in KINDS.items()}, name="State"
)


class Content(Overview):
    """A scenario with its releases, as they are when it becomes active."""

    order = Choice(*ORDERS, attribute="scenario.order")
    releases = Unread(KINDS["releases"].schema(many=True))


class Run(Body):
    """What has happened in a scenario that counts or changes."""

    calls = _count("Answers with releases since it became active.")
    seconds = fields.Float(metadata=about("The time since it became active."))
    faults = fields.List(_count(), metadata=about("The number of matching requests of each."))
    changes = _count("The number of changes that have happened.")


class FaultState(Body):
    fault = _text("What it does, in a sentence.")
    met = _count("The number of matching requests.")
    over = fields.Boolean(metadata=about("Whether it applies to no further request."))


class ChangeState(Body):
    id = fields.Integer(metadata=about("The id of the release."))
    number = _text()
    applicationName = _text()
    after = _text("When it happens, such as `3 calls`.")
    sets = fields.Dict(metadata=about("What the release has then."))
    happened = fields.Boolean()


class Active(Summary):
    optional = ("run", "faults", "changes")
    revision = _count("Counts switches, reloads and set clocks.", least=1)
    run = fields.Nested(Run, metadata=about("Only where it counts or changes."))
    faults = _list(FaultState, "Only where there is a run.")
    changes = _list(ChangeState, f"Only where there is a run; the first {MAX_CHANGES}.")


class Clock(Body):
    now = _text("The clock's date and time, as in releases.")
    set = fields.Boolean(metadata=about("Whether it is stopped."))


class Entry(Body):
    """One request in a journal."""

    number = _count("Counts the requests of this journal.", least=1)
    time = _text("When it was answered, UTC.")
    method = _text()
    path = _text("The path, without the query.")
    status = _count("The status of the answer; 0 where a fault let none arrive.")
    scenario = _text()
    revision = _count(least=1)
    parameters = fields.Dict(values=_text(), metadata=about("Without API keys."))
    places = fields.Dict(values=Choice("query", "form", "JSON"))
    count = _count("The number of releases in the answer.")
    ids = fields.List(fields.Integer())
    answer = _text(f"The body of the answer: its first {MAX_ANSWER} bytes.")
    size = _count("The number of bytes in the whole body.")
    duration = fields.Float(metadata=about("In seconds."))
    explanation = _text("Why the answer is what it is.")
    ignored = _texts("Parameters that had no effect.")
    notes = _texts("What else was unusual.")


Requests = Body.from_dict({"requests": _list(Entry)}, name="Requests")


class Session(Body):
    id = _text()
    label = _text()
    scenario = _text("The name of its active scenario.")
    revision = _count(least=1)
    links = _links("The paths of its calls.")


class Opened(Session):
    apiKey = _text("The API key whose requests see this session.")


Sessions = Body.from_dict({"sessions": _list(Session)}, name="Sessions")


class Health(Body):
    """How the mock is. While its shared state does not answer, what is active is not known."""

    optional = ("scenario", "revision", "sessions")
    status = Choice("ok", "degraded", "unavailable")
    problems = _texts("Problems of changed files, while the content before them is served.")
    version = _text()
    uptime = fields.Float(metadata=about("In seconds."))
    loaded = _text("When the scenario files were read.")
    state = _text("Where sessions are stored: `memory`, or a server.")
    scenario = _text("The name of the active scenario.")
    revision = _count(least=1)
    scenarios = _count("The number of scenarios.", least=1)
    sessions = _count("The number of open sessions.")


class Index(Health):
    links = _links("The paths of the calls.")


class Problem(Body):
    """Problem details (RFC 9457)."""

    optional = ("problems", "name", "nearest", "scenarios")
    type = _text(dump_default="about:blank")
    title = _text()
    status = fields.Integer(validate=validate.Range(400, 599))
    detail = _text("What is wrong, what was expected, and the nearest thing that exists.")
    problems = _texts("Each problem by itself.")
    name = _text("The unknown name.")
    scenarios = _texts("The known names.")
    nearest = _text("The known name most like it.", allow_none=True)


class Document(Body):
    optional = ("servers",)
    openapi = _text()
    info = fields.Dict()
    tags = fields.List(fields.Dict())
    paths = fields.Dict()
    components = fields.Dict()
    servers = fields.List(fields.Dict())
