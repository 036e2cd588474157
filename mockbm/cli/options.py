"""What several commands have in common: an argument, some options, and how they fail."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click

from ..loading import SUFFIXES


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


def _is_served(_context: object, _parameter: object, path: Path | None) -> Path | None:
    if path is not None and path.suffix.lower() not in SUFFIXES:
        what = f"a scenario file ends in {', '.join(SUFFIXES)}, or it is not served"
        raise click.BadParameter(f"{path}: {what}")
    return path


def new_scenario_option(name: str, what: str) -> Callable[[Any], Any]:
    """An option that names a scenario file to be written, which must not be there yet."""
    return option(
        name,
        type=click.Path(dir_okay=False, path_type=Path),
        callback=_is_served,
        help=f"{what} into this file, which must not be there yet: YAML where its name ends in "
        ".yaml or .yml, JSON where it ends in .json.",
    )


def fail(error: object) -> NoReturn:
    """End the command with an error."""
    click.echo(str(error), err=True)
    raise SystemExit(1)
