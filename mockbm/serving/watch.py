"""Scenario files that are read again when they change. Looks, and so works on any volume."""

from __future__ import annotations

import threading
import zlib
from contextlib import suppress
from pathlib import Path

from ..core.errors import Problem, ScenarioError
from ..core.mock import Mock
from ..core.session import log
from ..files.directory import Directory, scenario_files

INTERVAL = 0.5
"""Seconds from one look to the next."""

State = tuple[tuple[object, ...], ...]
"""Of each scenario file: name, number, times in nanoseconds, size in bytes; or why none is seen."""

MAX_CONTENT = 1024 * 1024
"""Bytes of a file whose content is compared where its times are of whole seconds."""


class Watch:
    """A thread that reloads a mock when its files have changed, until it is stopped.

    Files are read once they have stayed the same from one look to the next, so that none is read
    while it is written. With any problem the mock goes on with what it had, and its health says so;
    they are read again when they change, or when another scenario becomes active.

    since: what was seen before the mock read its files: they may have changed meanwhile.
    """

    def __init__(self, mock: Mock, since: State) -> None:
        self._mock = mock
        assert isinstance(mock.catalog.source, Directory)
        self._directory = mock.catalog.source.path
        self._stopped = threading.Event()
        self._waits = False
        self._thread = threading.Thread(target=self._run, name="mockbm watch", daemon=True)
        self._seen = since
        self._read = since, self._hindered()
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(INTERVAL):
            before, self._seen = self._seen, look(self._directory)
            is_new = self._seen == before and (self._seen, self._hindered()) != self._read
            if is_new and self._reload():
                self._read = self._seen, self._hindered()

    def _hindered(self) -> str:
        """While there are problems, the active scenario: that it has no file may be the problem."""
        with suppress(ConnectionError):
            return self._mock.default.active if self._mock.catalog.problems else ""
        return ""

    def _reload(self) -> bool:
        """Read the files again. Returns: whether that is done, with problems or without."""
        try:
            with suppress(ScenarioError):  # which is logged, and in the mock's health
                self._mock.reload()
        except ConnectionError as error:
            if not self._waits:
                log.warning("the scenario files have changed, but %s", error)
            self._waits = True
            return False
        except Exception as error:  # noqa: BLE001 (the next change may be for the better)
            log.exception("the changed scenario files cannot be read")
            self._mock.catalog.problems = (Problem("", 0, 0, str(self._directory), f"{error!r}"),)
        self._waits = False
        return True


def look(directory: Path) -> State:
    """What can be seen of the scenario files; where that is nothing, why. Never fails."""
    try:
        return tuple(map(_look_at, scenario_files(directory)))
    except OSError as error:
        return ((str(directory), error.errno),)


def _look_at(path: Path) -> tuple[object, ...]:
    try:
        status = path.stat()
        content = b""
        # Where the clock of a file system is that slow, two changes may look the same.
        if status.st_ctime_ns % 10**9 == 0 and status.st_size <= MAX_CONTENT and path.is_file():
            content = path.read_bytes()
    except OSError as error:
        return path.name, error.errno
    times = status.st_mtime_ns, status.st_ctime_ns
    return path.name, status.st_ino, *times, status.st_size, zlib.crc32(content)
