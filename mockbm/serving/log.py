"""The log: a line for each request on standard error, written soon, which delays no answer."""

from __future__ import annotations

import json
import logging
import os
import select
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from functools import lru_cache
from typing import Any

from ..core.journal import Record, utc
from ..core.session import Session
from ..core.session import log as messages

MAX_WAITING = 10_000
"""Lines that wait for a reader who does not read; the oldest make room for new ones."""

MAX_LINE = 4_096
"""Bytes of a line."""

ATOMIC = getattr(select, "PIPE_BUF", 512)
"""So many bytes are written into a pipe whole or not at all."""

PATIENCE = 0.5
"""Seconds that a slow reader has in the end."""

PAUSE = 0.005
"""Seconds between two writes: under load, many lines are one, which costs answers the least."""


class Log(logging.Handler):
    """Writes what happens to standard error; also what is logged as `mockbm`, such as reloads.

    form: "text", "json" or "off".

    A thread writes, and waits for a reader who is slow. Where there is no reader any more, or no
    standard error, nothing is written.
    """

    def __init__(self, form: str) -> None:
        super().__init__()
        self._form = form
        self._waiting: deque[bytes] = deque(maxlen=MAX_WAITING)
        self._has_more = threading.Event()
        self._is_closed = False
        self._fd = -1
        if form != "off" and sys.__stderr__ is not None:
            with suppress(OSError, ValueError):
                self._fd = sys.stderr.fileno()
        self._writer = threading.Thread(target=self._run, name="mockbm log", daemon=True)
        self._writer.start()
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
            self._write(f"{_time(record.at)} {level} {session.name} {record.line()}")

    def emit(self, record: logging.LogRecord) -> None:
        """Write a message that was logged."""
        if self._form == "json":
            fields = getattr(record, "fields", {})
            entry = {"level": record.levelname, "time": utc(record.created), **fields}
            self._write_json({**entry, "message": record.getMessage()})
        else:
            self._write(f"{_time(record.created)} {record.levelname} {record.getMessage()}")

    def close(self) -> None:
        """Write what waits, as far as the reader takes it soon."""
        self._is_closed = True
        self._has_more.set()
        self._writer.join(PATIENCE)
        messages.removeHandler(self)
        messages.propagate, level = self._before
        messages.setLevel(level)
        super().close()

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
        self._waiting.append(data)
        if not self._has_more.is_set():
            self._has_more.set()

    def _run(self) -> None:
        """Write the lines that wait, as many at once as are written whole or not at all."""
        while self._waiting or not self._is_closed:
            self._has_more.wait()
            self._has_more.clear()
            lines = b""
            while self._waiting:
                line = self._waiting.popleft()
                if len(lines) + len(line) > ATOMIC:
                    self._write_now(lines)
                    lines = b""
                lines += line
            self._write_now(lines)
            time.sleep(PAUSE)

    def _write_now(self, data: bytes) -> None:
        try:
            while self._fd >= 0 and data:
                data = data[os.write(self._fd, data) :]
        except OSError:
            self._fd = -1


def _time(moment: float) -> str:
    return f"{_second(int(moment))},{int(moment % 1 * 1000):03d}"


@lru_cache(maxsize=1)
def _second(second: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
