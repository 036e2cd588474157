"""What several commands have in common: an argument, some options, and how they fail."""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from time import monotonic
from typing import Any, NoReturn, TypeVar

import click
from click.shell_completion import CompletionItem

from ..core.errors import one_line
from ..files.directory import SUFFIXES, scenario_files, shipped_scenarios
from ..files.document import Progress
from ..settings import Settings, option_of, variable_of

Command = TypeVar("Command", bound=Callable[..., Any])

PATIENCE = 1.0
"""Seconds of reading without a progress bar."""


def option(*names: str, **settings: Any) -> Callable[[Command], Command]:
    """An option of `mockbm`, which also has a variable; its help shows that and the default.

    names: as for `click.option`; the variable is called after the first.
    """
    variable = variable_of(names[0].partition("/")[0].removeprefix("--"))
    shows_default = settings.get("default") is not None
    own = {"envvar": variable, "show_envvar": True, "show_default": shows_default}
    return click.option(*names, **{**own, **settings})


def setting_options(command: Command) -> Command:
    """Give a command an option for each of the `Settings`."""
    for item in reversed(fields(Settings)):
        name, details = option_of(item), dict(item.metadata)
        if "help" not in details:
            continue
        settings: dict[str, Any] = {"help": details["help"], "metavar": details.get("metavar")}
        if item.type == "bool":
            names = (f"--{name}/--no-{name}", item.name)
            settings["default"] = item.default
        else:
            names = (f"--{name}", item.name)
            settings["default"] = None if item.default == () else item.default
            settings["multiple"] = item.default == ()
        if item.type == "int":
            settings["type"] = click.IntRange(1, details.get("most"))
        elif item.type == "float":
            settings["type"] = click.FloatRange(0, min_open=True)
        command = option(*names, **settings)(command)
    return command


directory_argument = click.argument(
    "directory", required=False, envvar="MOCKBM_SCENARIOS", type=click.Path(path_type=Path)
)


def environment_port() -> str | None:
    """The port of the variable MOCKBM_PORT; None where it is not set."""
    text = os.environ.get("MOCKBM_PORT")
    if text and re.match(r"\w+://", text):
        what = "as Kubernetes sets it for a Service named mockbm; it is ignored"
        click.echo(f"MOCKBM_PORT is {one_line(text)}, {what}", err=True)
        return None
    return text or None


class PortOption(click.Option):
    """The port that a mock listens on."""

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:  # noqa: ARG002
        return environment_port()


def url_at_port(_context: object, _parameter: object, url: str | None) -> str:
    """The URL of the mock; by default on this machine, at the port that `serve` takes as well."""
    if url:
        return url
    port = environment_port() or "8080"
    if not (port.isdecimal() and port.isascii() and int(port) < 65536):
        raise click.UsageError(f"MOCKBM_PORT is {port!r}, and not a number from 0 to 65535")
    return f"http://127.0.0.1:{port}"


def named_files(directory: Path | None) -> dict[str, Path]:
    """The scenario files of a directory and those that come with mockbm. Raises: OSError."""
    directories = [shipped_scenarios(), *([directory] if directory else [])]
    return {path.stem: path for found in directories for path in scenario_files(found)}


def complete_file(
    context: click.Context, _parameter: object, incomplete: str
) -> list[CompletionItem]:
    """The scenario files that a name may mean, for the shell."""
    directory = context.params.get("directory") or os.environ.get("MOCKBM_SCENARIOS")
    names: list[str] = []
    with suppress(OSError):
        names = sorted(named_files(Path(directory) if directory else None))
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _is_served(_context: object, _parameter: object, path: Path | None) -> Path | None:
    if path is not None and path.suffix.lower() not in SUFFIXES:
        what = f"a scenario file ends in {', '.join(SUFFIXES)}, or it is not served"
        raise click.BadParameter(f"{path}: {what}")
    return path


def new_scenario_option(name: str, what: str) -> Callable[[Command], Command]:
    """An option that names a scenario file to be written, which must not exist yet."""
    return option(
        name,
        type=click.Path(dir_okay=False, path_type=Path),
        callback=_is_served,
        help=f"{what} into this file, which must not be there yet: YAML where its name ends in "
        ".yaml or .yml, JSON where it ends in .json.",
    )


def write_file(path: Path, text: str, *, replace: bool = False) -> None:
    """Write a file whole or not at all, in UTF-8; no reader ever sees a part of it.

    replace: a file that is there.
    Raises: OSError.
    """
    unfinished = path.with_name(f".mockbm-{os.getpid()}")
    try:
        unfinished.write_text(text, encoding="utf-8")
        if not replace and os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        unfinished.replace(path)
    except OSError:
        with suppress(OSError):
            unfinished.unlink()
        raise


def fail(error: object, status: int = 1) -> NoReturn:
    """End the command with an error."""
    click.echo("\n".join(map(one_line, str(error).splitlines())), err=True)
    raise SystemExit(status)


@contextmanager
def progress_bar() -> Iterator[Progress | None]:
    """A bar where reading scenario files takes long, for people at a terminal.

    What it yields is called with the part that has been read, from 0 to 1; it is None elsewhere.
    """
    if not sys.stderr.isatty():
        yield None
        return
    began = monotonic()
    bar: Any = click.progressbar(length=100, label="Reading scenarios", file=sys.stderr)

    def show(part: float) -> None:
        steps = int(part * 100) - bar.pos
        if steps > 0 and monotonic() - began >= PATIENCE:
            bar.update(steps)

    try:
        yield show
    finally:
        if bar.pos:
            bar.render_finish()
