"""`/__admin`: the state of the mock, shown and switched over HTTP. JSON in and out."""

from __future__ import annotations

from typing import Any, cast

from flask import Blueprint, Response, json, jsonify, request
from marshmallow import ValidationError
from marshmallow.exceptions import SCHEMA
from werkzeug.exceptions import BadRequest, HTTPException

from . import __version__
from .api import ADMIN_PREFIX, current_mock
from .document import ScenarioError
from .mock import State, UnknownScenario
from .releases import NamedSchema, Text
from .scenario import Scenario

blueprint = Blueprint("admin", __name__, url_prefix=ADMIN_PREFIX)


class SwitchSchema(NamedSchema):
    """The body of a switch."""

    name = Text(required=True)


def problem(status: int, title: str, detail: str, **more: object) -> Response:
    """An error as problem details (RFC 9457)."""
    document = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    response = jsonify(document)
    response.status_code = status
    response.content_type = "application/problem+json"
    return response


@blueprint.errorhandler(UnknownScenario)
def _unknown_scenario(error: UnknownScenario) -> Response:
    more = {"scenarios": error.known, "nearest": error.nearest}
    return problem(404, "Unknown scenario", str(error), **more)


@blueprint.errorhandler(ScenarioError)
def _bad_files(error: ScenarioError) -> Response:
    problems = [str(item) for item in error.problems]
    detail = "The scenario files have problems; the mock goes on with what it had."
    return problem(409, "Bad scenario files", detail, problems=problems)


@blueprint.errorhandler(ValidationError)
def _bad_body(error: ValidationError) -> Response:
    problems = [
        f"{'body' if name == SCHEMA else name}: {what}"
        for name, texts in error.messages_dict.items()
        for what in texts
    ]
    return problem(400, "Bad request", "; ".join(problems), problems=problems)


def refuse(error: HTTPException) -> Response:
    """Any other failure of an admin call, such as a wrong path or verb."""
    return problem(error.code or 500, error.name, error.description or error.name)


@blueprint.get("/scenarios")
def list_scenarios() -> Response:
    state = current_mock().state
    scenarios = [_summary(scenario, state) for scenario in state.scenarios.values()]
    return jsonify({"active": state.active.name, "scenarios": scenarios})


@blueprint.get("/scenarios/<name>")
def show_scenario(name: str) -> Response:
    state = current_mock().state
    scenario = state.switched(name).active
    releases = scenario.releases
    more = {
        "order": scenario.order,
        "apiKeys": scenario.api_keys,
        "releases": json.loads(releases.body(range(len(releases)))),
    }
    return jsonify(_summary(scenario, state) | more)


@blueprint.get("/scenario")
def show_active() -> Response:
    return _active(current_mock().state)


@blueprint.put("/scenario")
def switch_scenario() -> Response:
    return _active(current_mock().switch(_body(SwitchSchema())["name"]))


@blueprint.post("/reset")
def reset() -> Response:
    return _active(current_mock().reset())


@blueprint.post("/reload")
def reload() -> Response:
    current_mock().reload()
    return list_scenarios()


@blueprint.get("/health")
def health() -> Response:
    state = current_mock().state
    return jsonify(
        {
            "status": "ok",
            "version": __version__,
            "scenario": state.active.name,
            "scenarios": len(state.scenarios),
        }
    )


def _body(schema: NamedSchema) -> dict[str, Any]:
    """The JSON body of this call. Raises: HTTPException, ValidationError."""
    try:
        data = request.get_json()
    except BadRequest as error:
        raise BadRequest(f"The body is not valid JSON: {error.__cause__}") from None
    except RecursionError:
        raise BadRequest("The body is JSON nested too deep.") from None
    return cast(dict[str, Any], schema.load(data))


def _active(state: State) -> Response:
    return jsonify(_summary(state.active, state))


def _summary(scenario: Scenario, state: State) -> dict[str, Any]:
    return {
        "name": scenario.name,
        "description": scenario.description,
        "releaseCount": len(scenario.releases),
        "active": scenario is state.active,
    }
