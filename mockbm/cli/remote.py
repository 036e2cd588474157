"""The commands that call a mock which runs elsewhere: use, health."""

from __future__ import annotations

import time

import click

from ..client import AdminClient
from ..core.errors import ScenarioError
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
    except (OSError, ValueError, LookupError, RuntimeError, ScenarioError) as error:
        fail(error)
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
    changed ones have problems, which are printed, and where it says no more because it runs with
    --no-admin; it is 1 where no mock answers, or one whose shared state does not.

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
        except LookupError as error:
            found = {"status": "ok", "problems": [error]}
            break
        except (OSError, RuntimeError) as error:
            if not time.monotonic() < deadline:
                fail(error)
        except ValueError as error:
            fail(error)
        time.sleep(0.1)
    click.echo("\n".join(map(str, [found["status"], *found["problems"]])))
