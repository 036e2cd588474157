"""A progress bar where reading the scenario files takes long, for those who look at a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import click

from ..document import Progress

PATIENCE = 1.0
"""Seconds without a bar."""


@contextmanager
def progress_bar() -> Iterator[Progress | None]:
    """What to tell how much has been read, from 0 to 1; None where nobody looks."""
    if not sys.stderr.isatty():
        yield None
        return
    began = monotonic()
    bar: Any = None

    def show(part: float) -> None:
        nonlocal bar
        if bar is None and monotonic() - began >= PATIENCE:
            bar = click.progressbar(length=100, label="Reading scenarios", file=sys.stderr)
        percent = int(part * 100)
        if bar is not None and percent > bar.pos:
            bar.update(percent - bar.pos)

    try:
        yield show
    finally:
        if bar is not None:
            bar.render_finish()
