"""The commands that call a mock which runs elsewhere: use, health."""

from __future__ import annotations

import time

import click

from ..client import AdminClient
from ..mock import UnknownName
from .options import admin_token_option, fail, option, url_option


@click.command()
@click.argument("name")
@url_option
@admin_token_option
def use(name: str, url: str, admin_token: str | None) -> None:
    """Make the scenario NAME active in a running mock.

    \b
    Examples:
      mockbm use empty
      mockbm use documented --url http://mock.test:9000
    """
    try:
        AdminClient(url, admin_token).use(name)
    except (UnknownName, RuntimeError) as error:
        fail(error)
    except (OSError, ValueError) as error:
        fail(f"no mock answers at {url}: {getattr(error, 'reason', error)}")
    click.echo(f"{name} is now active at {url}")


@click.command()
@option(
    "--wait",
    type=click.FloatRange(0, 3600),
    default=0,
    metavar="SECONDS",
    help="Ask again for so long while none answers, as after a start in the background.",
)
@url_option
@admin_token_option
def health(wait: float, url: str, admin_token: str | None) -> None:
    """Ask a running mock whether it is well, for the health check of a container.

    The exit status is 0 where it answers, also while it goes on with older files because the
    changed ones have problems, which are printed; it is 1 where no mock answers, or one whose
    shared state does not.

    \b
    Examples:
      mockbm health --url http://mock.test:9000
      mockbm serve & mockbm health --wait 30
    """
    deadline = time.monotonic() + wait
    while True:
        try:
            found = AdminClient(url, admin_token, timeout=5).health()
            break
        except (OSError, RuntimeError, ValueError, LookupError) as error:
            may_come = isinstance(error, (OSError, RuntimeError))
            if not may_come or time.monotonic() >= deadline:
                fail(f"no mock answers at {url}: {getattr(error, 'reason', error)}")
        time.sleep(0.1)
    click.echo("\n".join([f"{found.get('status')}", *found.get("problems", ())]))
