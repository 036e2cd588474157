"""`/api/releases`, as BuildMaster answers it: a straight run of guards, then the releases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from flask import Blueprint, Flask, Response, current_app, g, request
from flask.blueprints import BlueprintSetupState
from marshmallow import ValidationError
from werkzeug.routing import BaseConverter, Map

from .mock import Mock, State
from .parameters import receive
from .releases import FilterSchema

SCENARIO_HEADER = "X-Mockbm-Scenario"
ADMIN_PREFIX = "/__admin"

blueprint = Blueprint("api", __name__)


def current_mock() -> Mock:
    """The mock behind the application that handles this request."""
    return cast(Mock, current_app.extensions["mockbm"])


class AnyCase(BaseConverter):
    """One fixed word of a path, in capitals or not, as on the vendor's web stack [C, D]."""

    def __init__(self, url_map: Map, word: str) -> None:
        super().__init__(url_map)
        self.regex = f"(?i:{word})"


@blueprint.record
def _add_converter(setup: BlueprintSetupState) -> None:
    cast(Flask, setup.app).url_map.converters["anycase"] = AnyCase


@blueprint.before_app_request
def _take_state() -> None:
    g.state = current_mock().state


@blueprint.after_app_request
def _name_scenario(response: Response) -> Response:
    if not request.path.startswith(ADMIN_PREFIX):
        response.headers[SCENARIO_HEADER] = g.state.active.name
    return response


@blueprint.route("/<anycase(api):_api>/<anycase(releases):_releases>", methods=["GET", "POST"])
def get_releases(**_: str) -> Response:
    """Answer with the releases that match the request's filters [S]."""
    state: State = g.state
    received = receive(request)
    if received.api_key not in state.active.api_keys:
        return _refuse_key()
    if received.problems:
        return _refuse(received.problems)
    try:
        filters = FilterSchema(strict=current_mock().strict).load(received.values())
    except ValidationError as error:
        messages = error.messages_dict
        return _refuse({name: messages[name][0] for name in received.values() if name in messages})
    releases = state.active.releases
    body = releases.body(releases.select(filters))
    return Response(body, content_type="application/json; charset=utf-8")


def _refuse_key() -> Response:
    """403 with an empty body, whatever is wrong with the key [S]."""
    response = Response(status=403)
    del response.headers["Content-Type"]
    return response


def _refuse(problems: Mapping[str, str]) -> Response:
    """400 with one problem a line, as text [S]."""
    text = "".join(f"{name}: {what}\n" for name, what in problems.items())
    return Response(
        text.encode("utf-8", "backslashreplace"), 400, content_type="text/plain; charset=utf-8"
    )
