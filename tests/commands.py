"""Commands of the documentation, run as a reader runs them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mockbm import AdminClient

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent


def require(program: str) -> None:
    """Skip a test whose tool is not installed."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")


def environment(**variables: str) -> dict[str, str]:
    """The environment of a recipe, in which the programs of this Python come first."""
    inherited = {name: text for name, text in os.environ.items() if not name.startswith("MOCKBM_")}
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    return {**inherited, "PATH": path, "PYTHONDONTWRITEBYTECODE": "1", **variables}


def run(*command: str, directory: Path, **variables: str) -> str:
    """The output of a command. Fails where its status is not 0."""
    done = subprocess.run(
        command,
        cwd=directory,
        env=environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])


@contextmanager
def running(*command: str, url: str, token: str = "", **variables: str) -> Iterator[AdminClient]:
    """A mock that a command starts, in a group of processes of its own, once it answers."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment(**variables),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    client = AdminClient(url, token)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                client.health()
                break
            except OSError:
                assert process.poll() is None, f"{command} has ended"
                assert time.monotonic() < deadline, f"{command} does not answer"
                time.sleep(0.05)
        yield client
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def releases(url: str, key: str = "abc12345") -> list[dict[str, Any]]:
    request = urllib.request.Request(f"{url}/api/releases", headers={"X-ApiKey": key})
    with urllib.request.urlopen(request, timeout=10) as answer:
        found: list[dict[str, Any]] = json.load(answer)
        return found
