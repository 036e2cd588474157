"""The commands that call a mock which runs elsewhere: use, health."""

from __future__ import annotations

import click

from ..client import AdminClient
from ..mock import UnknownName
from .options import admin_token_option, fail, url_option


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
@url_option
@admin_token_option
def health(url: str, admin_token: str | None) -> None:
    """Ask a running mock whether it is well, for the health check of a container.

    The exit status is 0 where it answers, also while it goes on with older files because the
    changed ones have problems, which are printed; it is 1 where no mock answers, or one whose
    shared state does not.
    """
    try:
        found = AdminClient(url, admin_token, timeout=5).health()
    except (OSError, RuntimeError, ValueError, LookupError) as error:
        fail(f"no mock answers at {url}: {getattr(error, 'reason', error)}")
    click.echo("\n".join([f"{found.get('status')}", *found.get("problems", ())]))
