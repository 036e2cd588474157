"""`/health`: how the mocked instance is [V]. It needs no API key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import fields

from ..core.endpoint import Endpoint, Result
from ..core.fields import NamedSchema, Text, write_json
from ..core.session import Session
from ._references import NoParameters

HEALTH: dict[str, Any] = {
    "applicationName": "BuildMaster",
    "databaseStatus": "OK",
    "databaseStatusDetails": None,
    "extensionsInstalled": {},
    "instanceName": None,
    "licenseStatus": "OK",
    "licenseStatusDetail": None,
    "versionNumber": "2024.1.0.1",
    "releaseNumber": "2024.1.0",
    "serviceStatus": "OK",
    "serviceStatusDetail": None,
}
"""What a healthy instance answers; nulls are written [V]."""


class BuildMasterHealthSchema(NamedSchema):
    """BuildMasterHealth."""

    applicationName = Text(required=True)
    databaseStatus = Text(required=True)
    databaseStatusDetails = fields.String(allow_none=True)
    extensionsInstalled = fields.Dict()
    instanceName = fields.String(allow_none=True)
    licenseStatus = Text(required=True)
    licenseStatusDetail = fields.String(allow_none=True)
    versionNumber = Text(required=True)
    releaseNumber = Text(required=True)
    serviceStatus = Text(required=True)
    serviceStatusDetail = fields.String(allow_none=True)


def get_health(_session: Session, _values: Mapping[str, Any]) -> Result:
    """Health [V]."""
    return Result(write_json(BuildMasterHealthSchema().dump(HEALTH)), "the instance is healthy")


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
