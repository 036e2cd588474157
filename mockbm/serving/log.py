"""The log: a line for each request on standard error, written promptly, which delays no answer."""

from __future__ import annotations

import json
import logging
import os
import select
import stat
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from typing import Any

from ..core.journal import Record, utc
from ..core.session import Session
from ..core.session import log as messages

MAX_WAITING = 10_000
"""Lines that wait for a reader who does not read; the oldest make room for new ones."""

MAX_LINE = 4_096
"""Bytes of a line."""

ATOMIC = getattr(select, "PIPE_BUF", 512)
"""So many bytes can be written without waiting where any can."""

PATIENCE = 0.5
"""Seconds that a slow reader has in the end."""


class Log(logging.Handler):
    """Writes what happens to standard error; also what is logged as `mockbm`, such as reloads.

    form: "text", "json" or "off".

    A line is one write. Where the reader of a pipe is slow, a thread writes the lines that wait;
    where there is no reader any more, or no standard error, nothing is written.
    """

    def __init__(self, form: str) -> None:
        super().__init__()
        self._form = form
        self._waiting: deque[bytes] = deque(maxlen=MAX_WAITING)
        self._writer: threading.Thread | None = None
        self._starting = threading.Lock()
        self._second = (0, "")
        self._fd = -1
        self._poll: select.poll | None = None
        if form != "off" and sys.__stderr__ is not None:
            with suppress(OSError, ValueError):
                self._fd = sys.stderr.fileno()
                if not stat.S_ISREG(os.fstat(self._fd).st_mode) and hasattr(select, "poll"):
                    self._poll = select.poll()
                    self._poll.register(self._fd, select.POLLOUT)
        self._before = messages.propagate, messages.level
        messages.propagate = False
        messages.addHandler(self)
        messages.setLevel(logging.INFO if self._fd >= 0 else logging.CRITICAL + 1)

    def record(self, record: Record, session: Session) -> None:
        """Write the line of a request."""
        if self._fd < 0:
            return
        level = "WARNING" if record.status == 403 else "INFO"
        if self._form == "json":
            entry = record.entry().to_json()
            del entry["answer"]  # which is long, and is in the journal
            of = {"session": session.id, "label": session.label}
            self._write_json({"level": level, **of, **entry})
        else:
            self._write(f"{self._time(record.at)} {level} {session.name} {record.line()}")

    def emit(self, record: logging.LogRecord) -> None:
        """Write a message that was logged."""
        if self._form == "json":
            fields = getattr(record, "fields", {})
            entry = {"level": record.levelname, "time": utc(record.created), **fields}
            self._write_json({**entry, "message": record.getMessage()})
        else:
            self._write(f"{self._time(record.created)} {record.levelname} {record.getMessage()}")

    def close(self) -> None:
        """Write what waits, as far as the reader takes it soon."""
        writer = self._writer
        if writer is not None:
            writer.join(PATIENCE)
        messages.removeHandler(self)
        messages.propagate, level = self._before
        messages.setLevel(level)
        super().close()

    def _time(self, moment: float) -> str:
        second = int(moment)
        if self._second[0] != second:
            self._second = (second, time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second)))
        return f"{self._second[1]},{int((moment - second) * 1000):03d}"

    def _write_json(self, entry: dict[str, Any]) -> None:
        """Write an object, with shorter texts and no lists where it is too long for a line."""
        line = json.dumps(entry)
        for most in (300, 50):
            if len(line) >= MAX_LINE:
                plain = {k: v for k, v in entry.items() if not isinstance(v, (dict, list, tuple))}
                cut = {k: v[:most] if isinstance(v, str) else v for k, v in plain.items()}
                line = json.dumps({**cut, "cut": True})
        self._write(line)

    def _write(self, line: str) -> None:
        data = f"{line}\n".encode("utf-8", "backslashreplace")
        if len(data) > MAX_LINE:
            data = data[: MAX_LINE - 1] + b"\n"
        at_once = self._poll is None or (len(data) <= ATOMIC and self._poll.poll(0))
        if self._writer is None and at_once:
            self._write_now(data)
            return
        with self._starting:
            self._waiting.append(data)
            if self._writer is None:
                self._writer = threading.Thread(target=self._write_waiting, daemon=True)
                self._writer.start()

    def _write_now(self, data: bytes) -> None:
        try:
            while (written := os.write(self._fd, data)) < len(data):
                data = data[written:]
        except OSError:
            self._fd = -1

    def _write_waiting(self) -> None:
        """Write the lines that wait, and wait for the reader instead of the server's thread."""
        while True:
            with self._starting:
                if not self._waiting or self._fd < 0:
                    self._writer = None
                    return
                data = self._waiting.popleft()
            self._write_now(data)
