"""What several commands have in common: an argument, two options, and how they fail."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click


def option(*names: str, **settings: Any) -> Callable[[Any], Any]:
    """An option of `mockbm`: it has a variable beside it, and its help shows that and the default.

    names: as for `click.option`; the variable is called after the first.
    """
    variable = names[0].partition("/")[0].removeprefix("--").replace("-", "_").upper()
    shows_default = settings.get("default") is not None
    own = {"envvar": f"MOCKBM_{variable}", "show_envvar": True, "show_default": shows_default}
    return click.option(*names, **{**own, **settings})


directory_argument = click.argument(
    "directory", required=False, envvar="MOCKBM_SCENARIOS", type=click.Path(path_type=Path)
)
url_option = option(
    "--url",
    default="http://127.0.0.1:8080",
    help="Where the mock listens.",
)
admin_token_option = option(
    "--admin-token",
    help="The mock's admin token, where it has one.",
)


def fail(error: object) -> NoReturn:
    """End the command with an error."""
    click.echo(str(error), err=True)
    raise SystemExit(1)
