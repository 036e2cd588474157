"""`mockbm serve`: the standalone mock."""

from __future__ import annotations

import errno
import os
import re
import shlex
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click

from ..core.errors import ScenarioError, UnknownName, one_line
from ..core.mock import ADMIN_PREFIX
from ..files.directory import shipped_scenarios
from ..serving.log import Log
from ..serving.server import MockServer
from ..serving.watch import Watch, look
from .options import (
    PortOption,
    directory_argument,
    fail,
    option,
    progress_bar,
    setting_options,
    write_file,
)


@click.command()
@directory_argument
@option("--host", default="127.0.0.1", help="Listen here.")
@option(
    "--port",
    cls=PortOption,
    type=click.IntRange(0, 65535),
    default=8080,
    help="Listen on this port; 0 takes any free one.",
)
@setting_options
@option("--watch/--no-watch", default=False, help="Read the scenario files again when they change.")
@option(
    "--log",
    type=click.Choice(["text", "json", "off"]),
    default="text",
    help="How to write a line for each request, on standard error.",
)
@option(
    "--port-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the port into this file once the mock listens.",
)
def serve(
    directory: Path | None, log: str, port_file: Path | None, watch: bool, **options: Any
) -> None:
    """Serve the scenarios of DIRECTORY until Ctrl-C or SIGTERM.

    \b
    Examples:
      mockbm serve
      mockbm serve tests/scenarios --scenario two-active --port 9000
      mockbm serve --port 0 --port-file mockbm.port

    Options win over their variables; that of DIRECTORY is MOCKBM_SCENARIOS.
    """
    _allow_many_connections()
    seen = look(directory or shipped_scenarios()) if watch else ()
    server = _started(directory, **options)
    lines = Log(log)
    server.mock.on_record = lines.record
    watching = Watch(server.mock, seen) if watch else None
    try:
        with _end_by_signal() as wait:
            if port_file:
                try:
                    write_file(port_file, f"{server.port}\n", replace=True)
                except OSError as error:
                    fail(f"cannot write the port file {port_file}: {error.strerror}")
            _greet(server, options)
            wait()
    except ConnectionError as error:  # of the store
        fail(error)
    finally:
        if watching:
            watching.stop()
        server.stop()
        lines.close()
        if port_file:
            with suppress(OSError):
                port_file.unlink()


def _greet(server: MockServer, options: dict[str, Any]) -> None:
    """Print where the mock is; nobody has to read that."""
    lines = [f"mockbm listening on {server.url} (scenario {server.active}); {_advice(server)}"]
    if options["admin_api"] and server.admin_token and not options["admin_token"]:
        lines.append(f"mockbm admin token: {server.admin_token}")
    if options["admin_api"]:
        lines.append(f"mockbm page: {server.url}{ADMIN_PREFIX}/")
    try:
        click.echo("\n".join(lines))
    except OSError:
        sys.stdout = sys.stderr  # Python flushes it at the end, which would fail once more


def _started(directory: Path | None, **options: Any) -> MockServer:
    """A mock that listens; where there can be none, the command ends with the reason."""
    try:
        with progress_bar() as progress:
            server = MockServer(directory, progress=progress, **options)
    except (ScenarioError, UnknownName, ValueError) as error:
        fail(error)
    try:
        server.start()
    except OSError as error:
        code = error.errno or 0  # below 0 where the name of the host is not known
        why = os.strerror(code) if code > 0 else error.strerror
        if code == errno.EADDRINUSE:
            why = f"{why}; --port 0 takes any free one"
        fail(f"cannot listen on {options['host']}:{options['port']}: {why}")
    return server


@contextmanager
def _end_by_signal() -> Iterator[Callable[[], object]]:
    """Take Ctrl-C, SIGTERM and SIGHUP as a wish to end. Yields: what waits for one.

    Python handles a signal when the main thread runs, and that sleeps; the system writes into the
    socket at once, whichever thread it interrupts. A second signal ends the process at once.
    """
    ours, systems = socket.socketpair()
    systems.setblocking(False)
    found = (getattr(signal, name, None) for name in ("SIGINT", "SIGTERM", "SIGHUP"))
    numbers = [number for number in found if number and signal.getsignal(number) != signal.SIG_IGN]
    with ours, systems:
        signal.set_wakeup_fd(systems.fileno())
        for number in numbers:
            signal.signal(number, lambda *_: None)
        try:
            yield lambda: ours.recv(1)
        finally:
            signal.set_wakeup_fd(-1)
            for number in numbers:
                signal.signal(number, signal.SIG_DFL)


def _allow_many_connections() -> None:
    """Let this process open as many files as it may; each connection is one."""
    try:
        import resource  # not on Windows, which has no such limit
    except ImportError:
        return
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _advice(server: MockServer) -> str:
    """A command to try, or why requests are refused."""
    try:
        key = server.api_key
    except LookupError:
        key = "none-is-accepted"
    except ConnectionError as error:  # where the shared state has a scenario that is not ours
        return f"requests are refused with a 503: {one_line(str(error))}"
    header = one_line(f"X-ApiKey: {key}")
    quoted = f'"{header}"' if re.fullmatch(r"[\w.,:@/ -]+", header) else shlex.quote(header)
    return f'try: curl -H {quoted} "{server.url}/api/releases"'
