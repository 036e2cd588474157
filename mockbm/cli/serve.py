"""`mockbm serve`: the standalone mock."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from ..document import ScenarioError
from ..journal import DEFAULT_SIZE, MAX_SIZE, Entry
from ..loading import shipped_scenarios
from ..mock import IDLE_SECONDS, MAX_SESSIONS, UnknownName
from ..server import MockServer, fast_is_installed
from ..watch import Watch, look
from .options import directory_argument, fail, option
from .progress import progress_bar


@click.command()
@directory_argument
@option(
    "--host",
    default="127.0.0.1",
    help="Listen here.",
)
@option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    help="Listen on this port; 0 takes any free one.",
)
@option(
    "--server",
    "choice",
    type=click.Choice(["auto", "waitress", "uvicorn"]),
    default="auto",
    help="What listens; auto is uvicorn where the extra `fast` is installed, else waitress.",
)
@option(
    "--scenario",
    help="The scenario active at the start.",
)
@option(
    "--strict/--no-strict",
    default=True,
    help="Refuse unknown parameters, as BuildMaster does, or ignore them.",
)
@option(
    "--journal-size",
    type=click.IntRange(1, MAX_SIZE),
    default=DEFAULT_SIZE,
    help="Requests that the journal of each session keeps.",
)
@option(
    "--max-sessions",
    type=click.IntRange(1),
    default=MAX_SESSIONS,
    help="Sessions that there may be at a time.",
)
@option(
    "--session-idle",
    "idle_seconds",
    type=click.FloatRange(0, min_open=True),
    default=IDLE_SECONDS,
    help="Seconds without a request after which a session ends.",
)
@option(
    "--clock",
    metavar="DATE",
    help="Let every session's clock stand at this moment at first, for answers that are the same "
    "on any day.",
)
@option(
    "--state",
    metavar="URL",
    default="memory",
    help="Keep what is active, sessions and journals at redis://HOST:PORT, together with other "
    "mocks that do. Needs the extra 'redis'.",
)
@option(
    "--remember/--no-remember",
    default=True,
    help="Give an answer that was made once again, instead of making it again.",
)
@option(
    "--admin/--no-admin",
    "admin_api",
    default=True,
    help="Whether there is an admin API at all.",
)
@option(
    "--admin-token",
    help="What callers of the admin API must send as 'Authorization: Bearer TOKEN'. Without it, "
    "they must call from this machine; off loopback, a token is made and printed.",
)
@option(
    "--allowed-host",
    "allowed_hosts",
    multiple=True,
    metavar="NAME",
    help="A further name by which the admin API may be called, such as that of a container.",
)
@option(
    "--watch/--no-watch",
    default=False,
    help="Read the scenario files again when they change.",
)
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
    directory: Path | None,
    choice: str,
    log: str,
    port_file: Path | None,
    watch: bool,
    **options: Any,
) -> None:
    """Serve the scenarios of DIRECTORY until Ctrl-C or SIGTERM.

    \b
    Examples:
      mockbm serve
      mockbm serve tests/scenarios --scenario two-active --port 9000
      mockbm serve --port 0 --port-file mockbm.port

    Options win over their variables; that of DIRECTORY is MOCKBM_SCENARIOS.
    """
    _log_requests(log)
    _allow_many_connections()
    fast = choice == "uvicorn" or (choice == "auto" and fast_is_installed())
    if fast and not fast_is_installed():
        fail("--server uvicorn: it is not installed; the extra `fast` of mockbm brings it")
    seen = look(directory or shipped_scenarios()) if watch else ()
    server = _started(directory, fast=fast, **options)
    wait = _end_by_signal()
    watching = Watch(server.mock, seen) if watch else None
    try:
        if port_file:
            _write_port(port_file, server.port)
        click.echo(
            f"mockbm listening on {server.url} (scenario {server.active}"
            f"{', server uvicorn' if fast else ''}); try: "
            f'curl -H "X-ApiKey: {_some_key(server)}" {server.url}/api/releases'
        )
        if options["admin_api"] and server.admin_token and not options["admin_token"]:
            click.echo(f"mockbm admin token: {server.admin_token}")
        if options["admin_api"]:
            click.echo(f"mockbm page: {server.url}/__admin/")
        wait()
    except ConnectionError as error:  # of the state
        fail(error)
    finally:
        if watching:
            watching.stop()
        server.stop()
        if port_file:
            with suppress(OSError):
                port_file.unlink()


def _started(directory: Path | None, **options: Any) -> MockServer:
    """A mock that listens; where there can be none, the command ends with the reason."""
    try:
        with progress_bar() as progress:
            server = MockServer(directory, progress=progress, **options)
        server.start()
    except (ScenarioError, UnknownName, ValueError) as error:
        fail(error)
    except OSError as error:
        code = error.errno or 0  # below 0 where the name of the host is not known
        why = os.strerror(code) if code > 0 else error.strerror
        why = f"{why}".partition(" (while")[0]  # Python repeats the address
        fail(f"cannot listen on {options['host']}:{options['port']}: {why}")
    return server


def _write_port(path: Path, port: int) -> None:
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        unfinished.write_text(f"{port}\n")
        unfinished.replace(path)  # so that nobody reads half of it
    except OSError as error:
        fail(f"cannot write the port file {path}: {error.strerror}")


class _JsonLines(logging.Formatter):
    """A request as one line of JSON: its entry in the journal, without the answer."""

    def format(self, record: logging.LogRecord) -> str:
        entry = record.args[0] if isinstance(record.args, tuple) and record.args else None
        if isinstance(entry, Entry):
            told = entry.to_json()
            del told["answer"]  # which is long, and kept in the journal
            return json.dumps({"level": record.levelname, **told})
        return json.dumps({"level": record.levelname, "message": record.getMessage()})


def _log_requests(form: str) -> None:
    logger = logging.getLogger("mockbm")
    logger.propagate = False
    handler: logging.Handler = logging.NullHandler() if form == "off" else logging.StreamHandler()
    text = logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    handler.setFormatter(_JsonLines() if form == "json" else text)
    logger.addHandler(handler)
    logger.setLevel(logging.CRITICAL + 1 if form == "off" else logging.INFO)


def _end_by_signal() -> Callable[[], object]:
    """Take Ctrl-C and SIGTERM as a wish to end. Returns: what waits for one.

    Python tells the main thread of a signal when that thread runs, and it sleeps; the system
    writes into the socket at once, whichever thread it interrupts.
    """
    ours, systems = socket.socketpair()
    systems.setblocking(False)
    signal.set_wakeup_fd(systems.fileno())
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    kept = systems  # closed, it could not be written into
    return lambda: (ours.recv(1), kept)


def _allow_many_connections() -> None:
    """Let this process open as many files as it may; each connection is one."""
    try:
        import resource  # not on Windows, which has no such limit
    except ImportError:
        return
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _some_key(server: MockServer) -> str:
    try:
        return server.api_key
    except LookupError:
        return "none-is-accepted"
