"""A real Redis server for tests, which may be killed and started again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PROGRAM = shutil.which("redis-server")


class RedisServer:
    """A Redis server on a free port of 127.0.0.1.

    keeps: whether it writes everything down, so that it loses nothing when it is killed.
    """

    def __init__(self, directory: Path, *, keeps: bool) -> None:
        if PROGRAM is None:
            if os.environ.get("MOCKBM_REQUIRE_REDIS"):
                pytest.fail("there is no redis-server, and MOCKBM_REQUIRE_REDIS asks for it")
            pytest.skip("there is no redis-server on this machine")
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self._port = int(listener.getsockname()[1])
        self._directory = directory
        self._keeps = keeps
        self.url = f"redis://127.0.0.1:{self._port}"
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = {
            "port": str(self._port),
            "bind": "127.0.0.1",
            "dir": str(self._directory),
            "save": "",
            "appendonly": "yes" if self._keeps else "no",
            "appendfsync": "always",
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        self._process = subprocess.Popen([str(PROGRAM), *arguments], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while not self._answers():
            assert self._process.poll() is None, "redis-server ended, perhaps for want of its port"
            assert time.monotonic() < deadline, "redis-server does not start"
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._port), 1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(100).startswith(b"+PONG")
        except OSError:
            return False

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """It answers nothing, and refuses no connection, while the block runs."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it without a warning."""
        self._process.kill()
        self._process.wait()
