"""Applications: the list [V], and the two native calls with which clients begin [F]."""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter
from typing import Any

from marshmallow import fields, validate

from ..core.endpoint import Endpoint, Result
from ..core.fields import Choice, Flag, Integer, NamedSchema, Row, Text, write_json
from ..core.json_schema import about
from ..core.kind import Kind, World
from ..core.parameters import ParameterSchema
from ..core.session import Session
from ._calls import NoParameters, Values, listing, rows
from ._records import RecordSchema, extra_field


class ApplicationInfoSchema(RecordSchema):
    """ApplicationInfo, in the order of the vendor's example [V]."""

    NAME = "applications"
    error_messages = {"type": "expected an application, as in `- {id: 1, name: TaxCalculator}`"}  # noqa: RUF012
    DEFAULTS = {  # noqa: RUF012
        "active": True,
        "buildNumberScheme": "Sequential",
        "releaseUsage": "Required",
        "allowIssues": False,
    }

    name = Text(required=True, metadata=about("The name."))
    active = Flag(metadata=about("Whether it is in use.", left_out="true"))
    groupName = Text(metadata=about("The name of its group."))
    buildNumberScheme = Text(metadata=about("How builds are numbered.", left_out="Sequential"))
    releaseUsage = Text(metadata=about("Whether builds need a release.", left_out="Required"))
    allowIssues = Flag(metadata=about("Whether it has issues.", left_out="false"))
    extra = extra_field()


def implied(world: World) -> list[Row]:
    """The applications that releases and builds name without their being listed."""
    listed = {application["id"] for application in world["applications"]}
    found = {
        row["applicationId"]: row["applicationName"]
        for kind in ("builds", "releases")
        for row in world[kind]
        if "applicationName" in row and row.get("applicationId") not in listed
    }
    return [{"id": id_, "name": name} for id_, name in sorted(found.items())]


APPLICATION = Kind(
    name="applications",
    noun="application",
    schema=ApplicationInfoSchema,
    filters={"applicationId": "id", "applicationName": "name"},
    complete=lambda applications, _: map(ApplicationInfoSchema.completed, applications),
    implied=implied,
)


class ManySchema(ParameterSchema):
    """The parameters of Applications_GetApplications [F]."""

    Application_Count = Integer(
        validate=validate.Range(min=0, error="is below 0; 0 is all"),
        metadata=about("The number of applications to answer at most; 0 is all."),
    )
    IncludeInactive_Indicator = Choice(
        "y", "n", any_case=True, metadata=about("Whether inactive ones are answered, too.")
    )


class OneSchema(ParameterSchema):
    """The parameters of Applications_GetApplication [F]."""

    Application_Id = Integer(metadata=about("The id of the application."))
    Application_Name = Text(metadata=about("The name of the application; case is ignored."))


class NativeSchema(NamedSchema):
    """An application as the native API answers it [F]."""

    Application_Id = Integer(required=True)
    Application_Name = Text(required=True)
    Active_Indicator = Text(required=True)
    Active_Releases_Count = Integer(required=True)
    ApplicationGroup_Id = Integer()
    ApplicationGroup_Name = Text()


class ExtendedSchema(NamedSchema):
    """What Applications_GetApplication answered until 2023 [F]."""

    Applications_Extended = fields.Nested(NativeSchema(many=True), required=True)


def _natives(session: Session, applications: Iterable[Row]) -> list[Row]:
    """Applications in the native form. The ids of groups count by name, from 1 [D]."""
    every = rows(session, "applications", {})
    groups = sorted({row["groupName"] for row in every if "groupName" in row})
    found = []
    for row in applications:
        active = {"applicationId": row["id"], "status": "active"}
        native = {
            "Application_Id": row["id"],
            "Application_Name": row["name"],
            "Active_Indicator": "Y" if row["active"] else "N",
            "Active_Releases_Count": len(session.table("releases").ids(active)),
        }
        if "groupName" in row:
            native["ApplicationGroup_Id"] = groups.index(row["groupName"]) + 1
            native["ApplicationGroup_Name"] = row["groupName"]
        found.append(native)
    return found


def get_applications(session: Session, values: Values) -> Result:
    """Applications_GetApplications: in the order of their ids, inactive ones only if wanted [F]."""
    with_inactive = values.get("IncludeInactive_Indicator") == "y"
    found = [row for row in rows(session, "applications", {}) if with_inactive or row["active"]]
    found = sorted(found, key=itemgetter("id"))[: values.get("Application_Count") or None]
    why = session.table("applications").select({}).explanation
    ids = tuple(row["id"] for row in found)
    return Result(write_json(_natives(session, found)), why, ids=ids)


def get_application(session: Session, values: Values) -> Result:
    """Applications_GetApplication: by id or name; null where there is none [D]."""
    names = {"Application_Id": "applicationId", "Application_Name": "applicationName"}
    filters = {names[name]: value for name, value in values.items()}
    found = [*rows(session, "applications", filters)][:1] if filters else []
    native = _natives(session, found)
    answer: object = native[0] if native else None
    if session.scenario.options.get("nativeAnswer") == "extended":
        answer = {"Applications_Extended": native}
    why = session.table("applications").select(filters).explanation
    return Result(write_json(answer), why, ids=tuple(row["id"] for row in found))


OPTIONS: dict[str, fields.Field[Any]] = {
    "nativeAnswer": Choice(
        "object",
        "extended",
        metadata=about(
            "What Applications_GetApplication answers: the bare object (BuildMaster 2024), or an "
            "object with a list (2023 and earlier).",
            left_out="object",
        ),
    )
}

ENDPOINTS = (
    listing("/api/applications/list", APPLICATION, NoParameters(), "List Applications"),
    Endpoint(
        "/api/json/applications_getapplications",
        get_applications,
        parameters=ManySchema(),
        summary="Applications_GetApplications",
        answer=NativeSchema(many=True),
    ),
    Endpoint(
        "/api/json/applications_getapplication",
        get_application,
        parameters=OneSchema(),
        summary="Applications_GetApplication",
        answer=NativeSchema(),
        others=(ExtendedSchema(), None),
    ),
)
