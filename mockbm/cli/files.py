"""Commands about scenario files: init, check, list, show, import."""

from __future__ import annotations

import json
import os
import shlex
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import click
import yaml

from ..core.errors import Problem, ScenarioError, UnknownName, one_line, plural
from ..endpoints import KINDS
from ..files.directory import load_scenarios, scenario_files, shipped_scenarios
from ..files.document import is_json
from ..importer import imported, scenario_text
from .options import (
    complete_file,
    directory_argument,
    fail,
    named_files,
    new_scenario_option,
    option,
    progress_bar,
    write_file,
)

SCHEMA = ".scenario.schema.json"
"""The file of the schema, as the first line of a scenario names it."""

FIRST = f"""\
# yaml-language-server: $schema={SCHEMA}
description: One active release, and an older one that is deployed.
releases:
  - id: 2
    number: 1.1.0
    applicationId: 1
    applicationName: Shop
  - id: 1
    number: 1.0.0
    status: deployed
    applicationId: 1
    applicationName: Shop
"""

NEXT = """\
{directory}/first.yaml: a scenario to change, or to copy under another name
{directory}/{schema}: its schema, with which editors complete and check

Next, on the command line:
  mockbm check {quoted}
  mockbm serve {quoted} --watch
Or for the fixture, in the pytest configuration:
  mockbm_scenarios = {directory}"""


@click.command()
@click.argument(
    "directory", default="tests/scenarios", type=click.Path(file_okay=False, path_type=Path)
)
def init(directory: Path) -> None:
    """Begin a directory of scenario files, by default tests/scenarios.

    It gets a first scenario, and the JSON Schema with which editors complete and check. A directory
    that has scenario files is left as it is.
    """
    from ..web.openapi import scenario_schema

    try:
        directory.mkdir(parents=True, exist_ok=True)
        there = scenario_files(directory)
        if there:
            fail(f"{there[0]} is there already; nothing is written")
        schema = json.dumps(scenario_schema(), indent=2, ensure_ascii=False)
        write_file(directory / SCHEMA, f"{schema}\n", replace=True)
        write_file(directory / "first.yaml", FIRST)
    except OSError as error:
        fail(f"cannot write into {directory}: {error.strerror}")
    quoted = shlex.quote(str(directory))
    click.echo(NEXT.format(directory=directory, quoted=quoted, schema=SCHEMA))


@click.command()
@click.argument("paths", nargs=-1, metavar="[DIRECTORY|FILE]...", type=click.Path(path_type=Path))
def check(paths: tuple[Path, ...]) -> None:
    """Check the scenario files of a DIRECTORY, or single ones, and print every problem.

    Each is one line, `path:line:column: where: what is wrong`. The exit status is 1 where there
    is a problem, else 0. Hidden files are skipped.
    """
    paths = paths or (Path(os.environ.get("MOCKBM_SCENARIOS") or shipped_scenarios()),)
    groups: dict[Path, list[Path] | None] = {}  # None for all files of a directory
    for path in paths:
        if not path.is_file():
            groups[path] = None
        elif not path.name.startswith("."):
            group = groups.setdefault(path.parent, [])
            if group is not None:
                group.append(path)
    problems: list[Problem] = []
    fine = []
    for directory, files in groups.items():
        try:
            with progress_bar() as progress:
                count = len(load_scenarios(directory, progress, files))
        except ScenarioError as error:
            problems += error.problems
            continue
        if files is None:
            fine.append(f"{directory}: {plural(count, 'scenario')}, no problems")
        else:
            fine += [f"{path}: no problems" for path in files]
    for line in problems or fine:
        click.echo(str(line))
    raise SystemExit(1 if problems else 0)


@click.command("list")
@directory_argument
@click.option("--json", "as_json", is_flag=True, help="Print an array of objects.")
def list_(directory: Path | None, as_json: bool) -> None:
    """List the scenarios of DIRECTORY: name, number of releases, description."""
    try:
        with progress_bar() as progress:
            scenarios = load_scenarios(directory or shipped_scenarios(), progress)
    except ScenarioError as error:
        fail(error)
    if as_json:
        about = [
            {"name": x.name, "description": x.description, "releaseCount": x.release_count}
            for x in scenarios.values()
        ]
        click.echo(json.dumps(about, indent=2))
        return
    width = max(len(name) for name in scenarios)
    for scenario in scenarios.values():
        count = scenario.release_count
        description = one_line(" ".join(scenario.description.split()))
        click.echo(f"{scenario.name:<{width}}  {count:>6}  {description}".rstrip())


@click.command()
@click.argument("name", shell_complete=complete_file)
@directory_argument
def show(name: str, directory: Path | None) -> None:
    """Print the scenario NAME of DIRECTORY, or one that comes with mockbm, as YAML.

    A YAML file is printed as it was written, a JSON file in the style of YAML.

    \b
    Example, which makes a scenario of your own from one of mockbm's:
      mockbm show release-train > tests/scenarios/our-train.yaml
    """
    try:
        files = named_files(directory)
        if name not in files:
            fail(UnknownName("scenario", name, sorted(files)))
        text = files[name].read_text(encoding="utf-8-sig")
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")
    except UnicodeDecodeError as error:
        fail(f"{files[name]}: is not UTF-8: {error.reason}")
    click.echo(_as_yaml(text) if is_json(files[name]) else text, nl=False)


def _as_yaml(text: str) -> str:
    """JSON in the style of YAML, with each value as it was written; other text unchanged."""
    try:
        root: Any = yaml.compose(text)
    except (yaml.YAMLError, RecursionError):
        return text
    nodes = [root] if root else []
    for node in nodes:
        if isinstance(node, yaml.MappingNode):
            nodes += chain(*node.value)
        elif isinstance(node, yaml.SequenceNode):
            nodes += node.value
        elif node.value.isprintable():
            node.style = None
        node.flow_style = False
    return str(yaml.serialize(root, allow_unicode=True, width=100)) if nodes else text


@click.command("import")
@click.argument("files", nargs=-1, required=True, type=click.File("rb"), metavar="FILE...")
@option(
    "--anonymize",
    is_flag=True,
    help="Call persons Person1, Person2, ...",
)
@option(
    "--prefer",
    type=click.Choice(["newer", "older"]),
    help="Which to take where a property has two names and different values, such as "
    "furthestBuildId and the older furthestPackageId. By default, that is an error.",
)
@new_scenario_option("--output", "Write the scenario")
def import_(
    files: tuple[BinaryIO, ...], anonymize: bool, prefer: str | None, output: Path | None
) -> None:
    """Make a scenario file of what a real server answered.

    Each FILE holds an answer of one of these, a JSON array; - is the standard input:
    /api/releases, /api/releases/builds, /api/releases/builds/deployments (also under their older
    names, packages), /api/applications/list. Which one is seen from the properties. Those that
    mockbm does not know are stored, too, and served as they were.

    \b
    Example:
      curl -s -H "X-ApiKey: $KEY" https://buildmaster.example/api/releases > releases.json
      curl -s -H "X-ApiKey: $KEY" https://buildmaster.example/api/releases/builds > builds.json
      mockbm import releases.json builds.json --anonymize --output scenarios/ours.yaml
    """
    tell = partial(click.echo, err=True)
    answers = ((file.name, file.read()) for file in files)
    try:
        values = imported(answers, anonymize=anonymize, prefer=prefer, tell=tell)
    except ScenarioError as error:
        fail(error)
    text = scenario_text(values, as_json=output is not None and is_json(output))
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        write_file(output, text)
    except OSError as error:
        fail(f"cannot write {output}: {error.strerror}")
    counts = [
        plural(len(values[name]), kind.noun) for name, kind in KINDS.items() if name in values
    ]
    click.echo(f"{output}: {', '.join(counts)}")
