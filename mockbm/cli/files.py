"""Commands about scenario files: check, list, import."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import click

from ..core.errors import ScenarioError
from ..files.directory import load_scenarios, shipped_scenarios
from ..files.document import is_json
from ..importer import imported, scenario_text
from .options import directory_argument, fail, new_scenario_option, option, progress_bar


@click.command()
@directory_argument
def check(directory: Path | None) -> None:
    """Check the scenario files of DIRECTORY and print every problem.

    Each is one line, `path:line:column: where: what is wrong`. The exit status is 1 where there
    is a problem, else 0.
    """
    directory = directory or shipped_scenarios()
    try:
        with progress_bar() as progress:
            scenarios = load_scenarios(directory, progress)
    except ScenarioError as error:
        click.echo(str(error))
        raise SystemExit(1) from None
    click.echo(f"{directory}: {len(scenarios)} scenarios, no problems")


@click.command("list")
@directory_argument
def list_(directory: Path | None) -> None:
    """List the scenarios of DIRECTORY: name, number of releases, description."""
    try:
        with progress_bar() as progress:
            scenarios = load_scenarios(directory or shipped_scenarios(), progress)
    except ScenarioError as error:
        fail(error)
    width = max(len(name) for name in scenarios)
    for scenario in scenarios.values():
        count = scenario.release_count
        description = " ".join(scenario.description.split())
        click.echo(f"{scenario.name:<{width}}  {count:>6}  {description}".rstrip())


@click.command("import")
@click.argument("files", nargs=-1, required=True, type=click.File("rb"), metavar="FILE...")
@option(
    "--anonymize",
    is_flag=True,
    help="Call persons Person1, Person2, ...",
)
@new_scenario_option("--output", "Write the scenario")
def import_(files: tuple[BinaryIO, ...], anonymize: bool, output: Path | None) -> None:
    """Make a scenario file of what a real server answered.

    Each FILE holds an answer of Get Releases, a JSON array; - is the standard input. Properties
    that mockbm does not know are kept, and served as they were.

    \b
    Example:
      curl -s -H "X-ApiKey: $KEY" https://buildmaster.example/api/releases > all.json
      mockbm import all.json --anonymize --output scenarios/ours.yaml
    """
    try:
        values = imported(((file.name, file.read()) for file in files), anonymize=anonymize)
    except ScenarioError as error:
        fail(error)
    text = scenario_text(values, as_json=output is not None and is_json(output))
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        with output.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        fail(f"cannot write {output}: {error.strerror}")
    count = len(values["releases"])
    click.echo(f"{output}: {count} release{'s' * (count != 1)}")
