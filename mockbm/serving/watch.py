"""Scenario files that are read again when they change. Looks, and so works on any volume."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path

from ..core.errors import ScenarioError
from ..core.mock import Mock, log
from ..files.directory import Directory, scenario_files

INTERVAL = 0.5
"""Seconds from one look to the next."""

State = tuple[tuple[str, int, int, int], ...]
"""Of each scenario file: name, number, time of the last change in nanoseconds, size in bytes."""


class Watch:
    """A thread that reloads a mock when its files have changed, until it is stopped.

    Files are read once they have stayed the same from one look to the next, so that none is read
    while it is written. With any problem the mock goes on with what it had, and its health says so.

    since: what was seen before the mock read its files: they may have changed meanwhile.
    """

    def __init__(self, mock: Mock, since: State) -> None:
        self._mock = mock
        assert isinstance(mock.source, Directory)
        self._directory = mock.source.path
        self._stopped = threading.Event()
        self._waits = False
        self._thread = threading.Thread(target=self._run, name="mockbm watch", daemon=True)
        self._read = self._seen = since
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(INTERVAL):
            before, self._seen = self._seen, look(self._directory)
            if self._seen == before != self._read and self._reload():
                self._read = self._seen

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
        self._waits = False
        return True


def look(directory: Path) -> State:
    """What can be seen of the scenario files without reading them; nothing where there are none."""
    found = []
    try:
        for path in scenario_files(directory):
            status = path.stat()
            found.append((path.name, status.st_ino, status.st_mtime_ns, status.st_size))
    except OSError:  # a file that is being replaced; the next look will tell
        return ()
    return tuple(found)
