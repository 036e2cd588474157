"""`mockbm verify`: does a real server still answer like the mock?"""

from __future__ import annotations

import codecs
import json
import logging
from pathlib import Path
from typing import Any, BinaryIO

import click

from ..core.errors import ScenarioError
from ..files.document import is_json
from ..importer import imported, scenario_text
from ..verify import CannotVerify, Privacy, Server
from ..verify import verify as compare
from .options import fail, new_scenario_option, option, write_file

MAX_KEY = 10_000
"""Bytes of the key's file that are read."""

NOT_COMPARED = 2
"""The exit status where the server could not be compared."""


@click.command()
@option(
    "--url",
    envvar="MOCKBM_VERIFY_URL",
    required=True,
    help="The base URL of the server, such as https://buildmaster.example.",
)
@option(
    "--api-key-file",
    required=True,
    type=click.File("rb"),
    help="The file that holds the API key; - is the standard input.",
)
@option(
    "--sample",
    type=click.IntRange(1, 100),
    default=3,
    help="Number of values of each filter that are sent.",
)
@option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=30,
    help="Seconds that one answer may take.",
)
@option(
    "--ca-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Certificates to trust (PEM), for a server with one of its own.",
)
@option(
    "--key-in-query",
    is_flag=True,
    help="Try the API key in the URL, too, where the server and proxies may log it.",
)
@option(
    "--show-names", is_flag=True, help="Show the names of persons, instead of Person1, Person2, ..."
)
@new_scenario_option("--scenario-out", "Write what the server has as a scenario")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def verify(
    url: str,
    api_key_file: BinaryIO,
    sample: int,
    key_in_query: bool,
    show_names: bool,
    scenario_out: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Compare a real server with the mock, and report where they differ.

    The server is only read: it gets some 300 GET, HEAD and POST requests to the endpoints
    that list releases, builds, deployments and applications, a few of them without an API key
    or with a wrong one.

    \b
    Example:
      mockbm verify --url https://buildmaster.example --api-key-file key.txt

    The exit status is 0 where nothing differs, 1 where something does, and 2 where the server
    could not be compared.
    """
    logging.getLogger("mockbm").addHandler(logging.NullHandler())  # the mock's own requests
    if scenario_out is not None and scenario_out.exists():
        fail(f"{scenario_out} is there already; --scenario-out writes a new file", NOT_COMPARED)
    key = _read_key(api_key_file)
    privacy = Privacy(key, show_names=show_names)

    def tell(kind: str, most: int) -> None:
        what = f"asking {url} for {kind} at most {most} times, with GET, HEAD and POST only"
        click.echo(privacy.without_key(what), err=True)

    try:
        server = Server(url, key, **options)
        report, models = compare(
            server, privacy, sample=sample, key_in_query=key_in_query, tell=tell
        )
    except CannotVerify as error:
        fail(privacy.without_key(str(error)), NOT_COMPARED)
    click.echo(json.dumps(report.to_json(), indent=2) if as_json else str(report))
    if scenario_out is not None and models:
        answers = [json.dumps(privacy.without_key(model.as_answer())).encode() for model in models]
        try:
            values = imported(
                (("the server", answer) for answer in answers), anonymize=not show_names
            )
            values["description"] = "What a server answered to mockbm verify."
            write_file(scenario_out, scenario_text(values, as_json=is_json(scenario_out)))
        except ScenarioError as error:
            fail(privacy(f"no scenario can hold what the server answered: {error}"), NOT_COMPARED)
        except OSError as error:
            fail(f"cannot write {scenario_out}: {error.strerror}", NOT_COMPARED)
    raise SystemExit(1 if report.findings else 0)


def _read_key(file: BinaryIO) -> str:
    """The API key in a file. PowerShell writes UTF-16, some editors a byte-order mark."""
    name = getattr(file, "name", "<stdin>").replace("<stdin>", "the standard input")
    raw = file.read(MAX_KEY)
    is_wide = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    key = raw.decode("utf-16" if is_wide else "utf-8-sig", "replace").strip()
    if "\0" in key:
        fail(f"{name} looks like UTF-16; save the file as UTF-8", NOT_COMPARED)
    if not key:
        fail(f"{name} is empty; it is expected to hold the API key", NOT_COMPARED)
    return key
