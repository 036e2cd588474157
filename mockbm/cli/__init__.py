"""The `mockbm` command: a module for each kind of subcommand, imported when it is called."""

from __future__ import annotations

import os
import sys
import traceback
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from .._version import __version__

_COMMANDS = {
    "serve": "serve",
    "init": "files",
    "check": "files",
    "list": "files",
    "show": "files",
    "import": "files",
    "verify": "verify",
    "use": "remote",
    "requests": "remote",
    "reset": "remote",
    "reload": "remote",
    "health": "remote",
    "openapi": "describe",
    "schema": "describe",
}
"""Where each subcommand is. Only that one is imported, so that none waits for the others."""


class _Commands(click.Group):
    """The subcommands, in the order of `_COMMANDS`."""

    def main(self, *arguments: Any, **settings: Any) -> Any:
        # They are None where they are closed; an error is then shown where it can be.
        sys.stdout = sys.stdout or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
        sys.stderr = sys.stderr or sys.stdout
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):  # not a test's own
                # Files and pipes are UTF-8 everywhere; a terminal shows what it can.
                encoding = stream.encoding if stream.isatty() else "utf-8"
                stream.reconfigure(encoding=encoding, errors="backslashreplace")
        try:
            return super().main(*arguments, **settings)
        except OSError as error:
            *_, last = traceback.walk_tb(error.__traceback__)
            if last[0].f_code is not click.echo.__code__:
                raise
            sys.stdout = sys.stderr  # Python flushes it at the end, which would fail once more
            click.echo(f"cannot write to standard output: {error.strerror}", err=True)
            raise SystemExit(1) from None

    def list_commands(self, _: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            if context.resilient_parsing:  # while the shell completes
                return None
            near = get_close_matches(name, _COMMANDS, 1)
            guess = f"; did you mean {near[0]}?" if near else f"; there are: {', '.join(_COMMANDS)}"
            context.fail(f"no command is called {name!r}{guess}")
        module = import_module(f".{_COMMANDS[name]}", __name__)
        command: click.Command = getattr(module, name if hasattr(module, name) else f"{name}_")
        return command


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="mockbm")
def main() -> None:
    """A mock of BuildMaster's Release & Build API, answering from scenario files.

    A scenario is one YAML or JSON file: a complete, named state of the mocked instance. Without a
    DIRECTORY, the scenarios that come with mockbm are used.

    \b
    Start a mock and ask it for the active releases:
      mockbm serve
      curl -H "X-ApiKey: abc12345" "http://127.0.0.1:8080/api/releases?status=active"

    \b
    Make it an instance without releases, from another terminal:
      mockbm use empty

    \b
    Begin scenario files of your own, check them, and serve them:
      mockbm init tests/scenarios
      mockbm check tests/scenarios
      mockbm serve tests/scenarios --scenario first
    """
