"""What the admin API answers, as Marshmallow schemas: for the OpenAPI document."""

from __future__ import annotations

from typing import Any

from marshmallow import EXCLUDE, INCLUDE, Schema, fields

from .admin import MAX_APPLICATIONS, MAX_CHANGES
from .journal import MAX_ANSWER
from .releases import ReleaseSchema
from .scenario import ORDERS


def _whole(least: int = 0, **more: Any) -> fields.Integer:
    return fields.Integer(required=True, metadata={"minimum": least, **more})


def _texts(**metadata: Any) -> fields.List[str]:
    return fields.List(fields.String(), required=True, metadata=metadata)


def _text(**metadata: Any) -> fields.String:
    return fields.String(required=True, metadata=metadata)


class Answer(Schema):
    """What the admin API answers. Callers pass over properties that they do not know."""

    class Meta:
        unknown = EXCLUDE


class SummarySchema(Answer):
    """A scenario in a list."""

    name = _text()
    description = _text()
    releaseCount = _whole()
    active = fields.Boolean(required=True)


class StatusesSchema(Answer):
    """How many releases have which status."""

    active = _whole()
    deployed = _whole()
    canceled = _whole()


class ApplicationSchema(Answer):
    name = _text()
    statuses = fields.Nested(StatusesSchema, required=True)


class OverviewSchema(SummarySchema):
    """A scenario in the list of all, with what it holds."""

    statuses = fields.Nested(StatusesSchema, required=True)
    applicationCount = _whole()
    applications = fields.List(
        fields.Nested(ApplicationSchema),
        required=True,
        metadata={"description": f"Those with most releases, {MAX_APPLICATIONS} at most."},
    )
    apiKeys = _texts(description="The API keys that it accepts.")
    faults = _texts(description="What it does on purpose, each fault in a sentence.")
    changes = _whole(description="How many changes its releases go through.")


class ReleaseShownSchema(ReleaseSchema):
    """A release as it is answered: with what `completed` adds, and what a scenario has as extra."""

    class Meta:
        unknown = INCLUDE
        exclude = ("extra", "absent", "changes")

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        field_obj.required = field_obj.required or field_name in (
            *("name", "sequence", "status", "createdBy", "createdOn", "deployables"),
            *("releaseName", "releaseNumber"),
        )


class ScenariosSchema(Answer):
    active = _text(description="The name of the active scenario.")
    scenarios = fields.List(fields.Nested(OverviewSchema), required=True)


class ShownSchema(OverviewSchema):
    """A scenario with its releases, as they are when it becomes active."""

    order = fields.String(required=True, metadata={"enum": [*ORDERS]})
    releases = fields.List(fields.Nested(ReleaseShownSchema), required=True)


class RunSchema(Answer):
    """What a scenario that counts or changes has been through."""

    calls = _whole(description="Answers with releases since it became active.")
    seconds = fields.Float(required=True, metadata={"description": "Since it became active."})
    faults = fields.List(
        fields.Integer(),
        required=True,
        metadata={"description": "How many matching requests each fault has met."},
    )
    changes = _whole(description="How many changes have happened.")


class FaultShownSchema(Answer):
    fault = _text(description="What it does, in a sentence.")
    met = _whole(description="How many matching requests it has met.")
    over = fields.Boolean(
        required=True, metadata={"description": "Whether it will do nothing any more."}
    )


class ChangeShownSchema(Answer):
    id = fields.Integer(required=True, metadata={"description": "Of the release."})
    number = _text()
    applicationName = _text()
    after = _text(description="When it happens, such as `3 calls`.")
    sets = fields.Dict(required=True, metadata={"description": "What the release has then."})
    happened = fields.Boolean(required=True)


class ActiveSchema(SummarySchema):
    """The active scenario."""

    revision = _whole(1, description="Counts switches, reloads and set clocks.")
    run = fields.Nested(RunSchema, metadata={"description": "Only where it counts or changes."})
    faults = fields.List(
        fields.Nested(FaultShownSchema), metadata={"description": "Only where there is a run."}
    )
    changes = fields.List(
        fields.Nested(ChangeShownSchema),
        metadata={"description": f"Only where there is a run; the first {MAX_CHANGES}."},
    )


class ClockShownSchema(Answer):
    now = _text(description="What the clock shows, as dates in releases.")
    set = fields.Boolean(
        required=True, metadata={"description": "Whether it stands still, as it was set to."}
    )


class EntrySchema(Answer):
    """One request in a journal."""

    number = _whole(1, description="Counts the requests of this journal.")
    time = _text(description="When it was answered, UTC.")
    method = _text()
    path = _text(description="Without the query.")
    status = _whole(description="That of the answer; 0 where a fault let none arrive.")
    scenario = _text()
    revision = _whole(1)
    parameters = fields.Dict(
        values=fields.String(), required=True, metadata={"description": "Without API keys."}
    )
    places = fields.Dict(
        values=fields.String(metadata={"enum": ["query", "form", "JSON"]}), required=True
    )
    count = _whole(description="How many releases the answer had.")
    ids = fields.List(fields.Integer(), required=True)
    answer = _text(description=f"The body that was answered; the first {MAX_ANSWER} bytes.")
    size = _whole(description="How many bytes the whole body had.")
    duration = fields.Float(required=True, metadata={"description": "In seconds."})
    explanation = _text(description="Why the answer is what it is.")
    ignored = _texts(description="Parameters that had no effect.")
    notes = _texts(description="What else was odd.")


class RequestsShownSchema(Answer):
    requests = fields.List(fields.Nested(EntrySchema), required=True)


class LinksSchema(Answer):
    self = _text()
    scenario = _text()
    reset = _text()
    requests = _text()
    clock = _text()


class SessionShownSchema(Answer):
    """A session; its API key is told once, to whoever opened it."""

    id = _text()
    label = _text()
    scenario = _text(description="The name of its active scenario.")
    revision = _whole(1)
    links = fields.Nested(LinksSchema, required=True)


class OpenedSchema(SessionShownSchema):
    """A session that has just been opened."""

    apiKey = _text(description="The API key whose requests see this session.")


class SessionsSchema(Answer):
    sessions = fields.List(fields.Nested(SessionShownSchema), required=True)


class HealthSchema(Answer):
    """How the mock is. What is active, it does not know while its shared state does not answer."""

    status = _text(enum=["ok", "degraded", "unavailable"])
    problems = _texts(description="Of changed files, while what was there before is served on.")
    version = _text()
    uptime = fields.Float(required=True, metadata={"description": "In seconds."})
    loaded = _text(description="When the scenario files were read.")
    state = _text(description="Where sessions are kept: `memory`, or a server.")
    scenario = fields.String(metadata={"description": "The name of the active scenario."})
    revision = fields.Integer(metadata={"minimum": 1})
    scenarios = _whole(1, description="How many there are.")
    sessions = fields.Integer(metadata={"minimum": 0, "description": "How many are open."})


class IndexSchema(HealthSchema):
    links = fields.Dict(
        values=fields.String(), required=True, metadata={"description": "Where the calls are."}
    )


class ProblemSchema(Answer):
    """Problem details (RFC 9457)."""

    type = _text()
    title = _text()
    status = _whole(400, maximum=599)
    detail = _text(description="What came, what was expected, and what is near.")
    problems = fields.List(fields.String(), metadata={"description": "Each problem on its own."})
    name = fields.String(metadata={"description": "The name that nothing has."})
    nearest = fields.String(allow_none=True, metadata={"description": "The likeliest name."})
    scenarios = fields.List(fields.String(), metadata={"description": "The names there are."})


class DocumentSchema(Answer):
    openapi = _text()
    info = fields.Dict(required=True)
    tags = fields.List(fields.Dict())
    paths = fields.Dict(required=True)
    components = fields.Dict()
