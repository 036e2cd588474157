"""`/health`: how the mocked instance is [V]. It needs no API key."""

from __future__ import annotations

from marshmallow import fields

from ..core.endpoint import Endpoint, Result
from ..core.fields import NamedSchema, Text, write_json
from ..core.session import Session
from ._calls import NoParameters, Values


class BuildMasterHealthSchema(NamedSchema):
    """BuildMasterHealth, with what a healthy instance answers; nulls are written [V]."""

    applicationName = Text(required=True, dump_default="BuildMaster")
    databaseStatus = Text(required=True, dump_default="OK")
    databaseStatusDetails = fields.String(allow_none=True, dump_default=None)
    extensionsInstalled = fields.Dict(dump_default={})
    instanceName = fields.String(allow_none=True, dump_default=None)
    licenseStatus = Text(required=True, dump_default="OK")
    licenseStatusDetail = fields.String(allow_none=True, dump_default=None)
    versionNumber = Text(required=True, dump_default="2024.1.0.1")
    releaseNumber = Text(required=True, dump_default="2024.1.0")
    serviceStatus = Text(required=True, dump_default="OK")
    serviceStatusDetail = fields.String(allow_none=True, dump_default=None)


def get_health(_session: Session, _values: Values) -> Result:
    """Health [V]."""
    return Result(write_json(BuildMasterHealthSchema().dump({})), "the instance is healthy")


ENDPOINTS = (
    Endpoint(
        "/health",
        get_health,
        parameters=NoParameters(),
        summary="Health",
        methods=("GET", "HEAD"),
        is_open=True,
        answer=BuildMasterHealthSchema(),
    ),
)
