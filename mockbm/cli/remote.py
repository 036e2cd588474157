"""The commands that call a mock which runs elsewhere: use, requests, reset, reload, health."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from typing import Any

import click
from click.shell_completion import CompletionItem

from ..client import AdminClient
from ..core.errors import ScenarioError, one_line, plural
from ..core.journal import Entry
from .options import complete_file, fail, option, url_at_port

INTERVAL = 0.5
"""Seconds from one look at the journal to the next."""


def _calls_a_mock(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say which mock it calls, as its `client`."""
    default = "http://127.0.0.1 with MOCKBM_PORT or 8080"

    @option("--url", callback=url_at_port, show_default=default, help="Where the mock listens.")
    @option("--admin-token", help="The mock's admin token, where it has one.")
    @wraps(command)
    def call(url: str, admin_token: str | None, **arguments: Any) -> None:
        with _calling():
            client = AdminClient(url, admin_token)
        command(client, **arguments)

    return call


@contextmanager
def _calling() -> Iterator[None]:
    """A call of the mock, whose errors end the command."""
    try:
        yield
    except (OSError, ValueError, LookupError, RuntimeError, ScenarioError) as error:
        fail(error)


def _complete(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The scenarios of the mock that a name may mean, or of files where none answers."""
    with suppress(Exception):
        client = AdminClient(context.params["url"], context.params["admin_token"], timeout=5)
        names = [item["name"] for item in client.scenarios()]
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]
    return complete_file(context, parameter, incomplete)


@click.command()
@click.argument("name", shell_complete=_complete)
@_calls_a_mock
def use(client: AdminClient, name: str) -> None:
    """Make the scenario NAME active in a running mock.

    \b
    Examples:
      mockbm use empty
      mockbm use documented --url http://mock.test:9000
    """
    with _calling():
        client.use(name)
    click.echo(f"{name} is now active at {client.url}")


@click.command()
@click.option("--follow", "-f", is_flag=True, help="Go on with new requests until Ctrl-C.")
@_calls_a_mock
def requests(client: AdminClient, follow: bool) -> None:
    """Print the requests that a running mock got, each with its answer and the reason.

    It is the journal of the default session, oldest first.
    """
    with suppress(KeyboardInterrupt):
        last = 0
        while True:
            with _calling():
                entries = _entries_after(client, last)
            for entry in entries:
                click.echo(f"{one_line(entry.time)} {entry}")
                last = entry.number
            if not follow:
                return
            time.sleep(INTERVAL)


def _entries_after(client: AdminClient, last: int) -> list[Entry]:
    """The entries after that number; all of them where a reset has begun to count again."""
    newest = client.requests(count=1)
    if newest and newest[0].number == last:
        return []
    return client.requests(after=last if newest and newest[0].number > last else 0)


@click.command()
@_calls_a_mock
def reset(client: AdminClient) -> None:
    """Take a running mock back to its start: scenario, counters, clock, and an empty journal.

    Sessions with an API key of their own are left as they are.
    """
    with _calling():
        client.reset()
        active = client.active
    click.echo(f"{one_line(active)} is now active at {client.url}, as after a start")


@click.command()
@_calls_a_mock
def reload(client: AdminClient) -> None:
    """Let a running mock read its scenario files again.

    Where one has a problem, all problems are printed, and the mock goes on with what it had.
    """
    with _calling():
        client.reload()
        count = len(client.scenarios())
    click.echo(f"{plural(count, 'scenario')} reloaded at {client.url}")


@click.command()
@option(
    "--wait",
    type=click.FloatRange(0, 3600),
    default=0,
    metavar="SECONDS",
    help="Ask again for so long while none answers, as after a start in the background.",
)
@_calls_a_mock
def health(client: AdminClient, wait: float) -> None:
    """Ask a running mock whether it is well, for the health check of a container.

    The exit status is 0 where it answers, also while it goes on with older files because the
    changed ones have problems, which are printed, and where it says no more because it runs with
    --no-admin; it is 1 where no mock answers, or one whose shared state does not.

    \b
    Examples:
      mockbm health --url http://mock.test:9000
      mockbm serve & mockbm health --wait 30
    """
    deadline = time.monotonic() + wait
    client.timeout = 5
    while True:
        try:
            found = client.health()
            break
        except LookupError as error:
            found = {"status": "ok", "problems": [error]}
            break
        except (OSError, RuntimeError, ValueError) as error:
            if not time.monotonic() < deadline:
                fail(error)
        time.sleep(0.1)
    click.echo("\n".join(one_line(str(text)) for text in [found["status"], *found["problems"]]))
