"""Servers as processes of their own: start, query, load, weigh and end them."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, TypeVar

from workloads import Request

T = TypeVar("T")
CONNECTIONS = 8
PATIENCE = 60.0
"""Seconds that a server has for its first answer."""

# The requests stand in a file, each ended by a zero byte, so that wrk does next to nothing itself.
_SCRIPT = """
local requests, at = {}, 0
function init(arguments)
  local file = io.open(arguments[1], "rb")
  for request in file:read("*a"):gmatch("[^%z]+") do requests[#requests + 1] = request end
  file:close()
end
function request()
  at = at % #requests + 1
  return requests[at]
end
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"rate": %f, "p99": %f, "refused": %f, "broken": %d}\\n',
    summary.requests / summary.duration * 1e6, latency:percentile(99) / 1000,
    errors.status / summary.requests, errors.connect + errors.read + errors.write + errors.timeout))
end
"""


class Load(NamedTuple):
    """What a server did under load."""

    rate: float
    """Requests per second."""
    p99: float
    """Milliseconds within which 99 of 100 answers came."""
    refused: float
    """Share of the answers with a status of 400 or more."""
    broken: int
    """Connections that failed, and answers that did not come in time."""


class Server(NamedTuple):
    """A server that runs: the process that was started, and the port of 127.0.0.1."""

    process: subprocess.Popen[bytes]
    port: int

    def send(self, request: Request) -> tuple[int, bytes]:
        """Send one request over a new connection.

        Returns: the status and body of the answer.
        Raises: OSError, HTTPException where none comes.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(request.method, request.target, request.body, request.headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def first_answer(self, request: Request) -> bytes:
        """Wait for the first success. Returns: its body. Raises: RuntimeError if none comes."""

        def attempt() -> bytes | None:
            with suppress(OSError, http.client.HTTPException):
                status, body = self.send(request)
                return body if status == 200 else None
            return None

        return _wait(self.process, attempt)

    def load(self, requests: Iterable[Request], seconds: float, directory: Path) -> Load:
        """Send requests with wrk over a few connections, as fast as they are answered."""
        script, file = directory / "load.lua", directory / "requests"
        script.write_text(_SCRIPT)
        with file.open("wb") as opened:
            opened.writelines(request.as_bytes() + b"\0" for request in requests)
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s"]
        command += ["-s", str(script), f"http://127.0.0.1:{self.port}", "--", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
        return Load(**json.loads(line.removeprefix("RESULT ")))

    def open_session(self) -> str:
        """Open a session of mockbm. Returns: its API key."""
        status, body = self.send(Request("POST", body="{}", path="/__admin/sessions"))
        if status != 201:
            raise RuntimeError(f"no session: {status} {body[:300]!r}")
        return str(json.loads(body)["apiKey"])

    def resident(self) -> float:
        """Megabytes that the process and all that it has started have in memory."""
        pages = [
            int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            for pid in _group(self.process.pid)
        ]
        return sum(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6

    def peak(self) -> float:
        """The most megabytes that the process has had in memory."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        line = next(line for line in lines if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def serving(command: Sequence[str], directory: Path, port: int = 0) -> Iterator[Server]:
    """A server in a process group of its own, which is ended as a whole with the block.

    Without a port, the server writes it into the file `port` of the directory. What it prints
    goes into the file `output`.
    """
    with (directory / "output").open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        file = directory / "port"
        port = port or _wait(process, lambda: int(file.read_text()) if file.exists() else None)
        yield Server(process, port)
    except RuntimeError as error:
        printed = (directory / "output").read_text(errors="replace")[-1_000:]
        raise RuntimeError(f"{error}; it printed: {printed}") from error
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):  # what the process has started, too
            with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(process.pid, number)
                process.wait(5)


def _wait(process: subprocess.Popen[bytes], attempt: Callable[[], T | None]) -> T:
    """The first result of `attempt` that is not None."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        result = attempt()
        if result is not None:
            return result
        time.sleep(0.001)
    raise RuntimeError(f"{process.args!r} does not answer")


def _group(group: int) -> list[int]:
    """The processes of a group that have not ended."""
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
