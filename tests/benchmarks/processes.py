"""Servers as processes of their own: started, asked, loaded, weighed and ended."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

CONNECTIONS = 8
PATIENCE = 30.0
"""Seconds that a server has for its first answer."""

_REPORT = """
done = function(summary, latency)
  local errors = summary.errors
  local broken = errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format(
    'RESULT {"rate": %f, "p99": %f, "refused": %d, "broken": %d}\\n',
    summary.requests / summary.duration * 1e6, latency:percentile(99) / 1000,
    errors.status, broken))
end
"""


class Request(NamedTuple):
    """One HTTP request, as it is sent to a server again and again."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: str = ""


class Load(NamedTuple):
    """What a server did under load."""

    rate: float
    """Requests a second."""
    p99: float
    """Milliseconds within which 99 of 100 answers came."""
    failed: int
    """Answers that were no success, and connections that broke."""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def running(
    command: Sequence[str], directory: Path, environ: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process with a group of its own, which is ended as a whole with the block."""
    with (directory / "output").open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env={**os.environ, **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None or _group(process.pid):
            try:
                os.killpg(process.pid, number)
            except ProcessLookupError:
                break
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def first_answer(process: subprocess.Popen[bytes], port: int, request: Request) -> bytes:
    """Wait for the first success. Returns: its body. Raises: RuntimeError where none comes."""
    until = time.monotonic() + PATIENCE
    status, body = 0, b""
    while time.monotonic() < until and process.poll() is None:
        with suppress(OSError, http.client.HTTPException):
            status, body = ask(port, request)
        if status == 200:
            return body
        time.sleep(0.001)
    raise RuntimeError(f"no answer from {process.args!r}; the last one: {status} {body[:300]!r}")


def ask(port: int, request: Request) -> tuple[int, bytes]:
    """One request over a new connection. Returns: the status and body of its answer.

    Raises: OSError, HTTPException where no answer comes.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request(request.method, request.target, request.body, dict(request.headers))
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def load(port: int, request: Request, seconds: float, directory: Path) -> Load:
    """Ask with wrk, over kept connections, as fast as it goes."""
    lines = [f"wrk.method = {json.dumps(request.method)}", f"wrk.body = {json.dumps(request.body)}"]
    lines += [f"wrk.headers[{json.dumps(k)}] = {json.dumps(v)}" for k, v in request.headers.items()]
    script = directory / "load.lua"
    script.write_text("\n".join([*lines, _REPORT]))
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s", "-s", str(script)]
    command.append(f"http://127.0.0.1:{port}{request.target}")
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    found: dict[str, Any] = json.loads(line[7:])
    return Load(found["rate"], found["p99"], found["refused"] + found["broken"])


def resident(group: int) -> float:
    """Megabytes that a process and all it has started have in memory."""
    pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in _group(group)]
    return sum(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6


def _group(group: int) -> list[int]:
    """The processes of a group that are not over."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # one that has just ended
            state, _parent, its_group = path.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state != "Z":
                found.append(int(path.parent.name))
    return found


def installed(program: str) -> bool:
    """Whether a program is on the path."""
    return shutil.which(program) is not None
