"""Commands that describe mockbm to other programs: openapi, schema."""

from __future__ import annotations

import json
from typing import Any

import click


@click.command()
def openapi() -> None:
    """Print the OpenAPI document of the endpoint and the admin API.

    It is what GET /__admin/openapi.json answers where no admin token is set.
    """
    from ..web.admin import CALLS
    from ..web.app import create_app
    from ..web.openapi import describe

    _print(describe(create_app(), CALLS))


@click.command()
def schema() -> None:
    """Print the JSON Schema of a scenario file, for editors.

    \b
    Example, with the line that each scenario file of the directory then begins with:
      mockbm schema > tests/scenarios/.scenario.schema.json
      # yaml-language-server: $schema=.scenario.schema.json
    """
    from ..web.openapi import scenario_schema

    _print(scenario_schema())


def _print(document: dict[str, Any]) -> None:
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))
