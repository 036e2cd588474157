"""What several commands have in common: an argument, two options, and how they fail."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import click

directory_argument = click.argument(
    "directory", required=False, envvar="MOCKBM_SCENARIOS", type=click.Path(path_type=Path)
)
url_option = click.option(
    "--url",
    envvar="MOCKBM_URL",
    show_envvar=True,
    default="http://127.0.0.1:8080",
    show_default=True,
    help="Where the mock listens.",
)
admin_token_option = click.option(
    "--admin-token",
    envvar="MOCKBM_ADMIN_TOKEN",
    show_envvar=True,
    help="The mock's admin token, where it has one.",
)


def fail(error: object) -> NoReturn:
    """End the command with an error."""
    click.echo(str(error), err=True)
    raise SystemExit(1)
