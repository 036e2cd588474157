"""`wsgi.py` under the servers that people run it with."""

from __future__ import annotations

import os
import runpy
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from test_servers import HALF_BODIES, WIRE, break_off, play

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent

SERVERS = {
    "flask": ("flask", "--app", "wsgi", "run", "--port", "{port}"),
    "gunicorn": ("gunicorn", "--threads", "8", "--bind", "127.0.0.1:{port}", "wsgi:app"),
    "factory": ("gunicorn", "--bind", "127.0.0.1:{port}", "mockbm.web.app:app_from_environment()"),
}


def start(server: str, port: int, **environment: str) -> subprocess.Popen[str]:
    """Start a WSGI server on the application of this checkout."""
    program, *arguments = (part.format(port=port) for part in SERVERS[server])
    return subprocess.Popen(
        [str(BIN / program), *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def ask(url: str, process: subprocess.Popen[str]) -> tuple[str, str | None]:
    """The answer and its scenario, once the server is up."""
    deadline = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                return response.read().decode(), response.headers["X-Mockbm-Scenario"]
        except (urllib.error.URLError, ConnectionError):  # noqa: PERF203
            if time.monotonic() > deadline or process.poll() is not None:
                raise
            time.sleep(0.05)


@pytest.mark.parametrize("server", SERVERS)
def test_serves_what_the_environment_says(server: str, tmp_path: Path) -> None:
    """The variables choose directory, scenario and strictness under every server."""
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text("releases: []\n")
    port = free_port()
    variables = {
        "MOCKBM_SCENARIOS": str(tmp_path),
        "MOCKBM_SCENARIO": "two",
        "MOCKBM_STRICT": "0",
    }
    process = start(server, port, **variables)
    try:
        url = f"http://127.0.0.1:{port}/api/releases?key=abc12345&unknown=1"
        assert ask(url, process) == ("[]", "two")
    finally:
        process.terminate()
        process.communicate(timeout=20)


BAD_VALUES = [
    ("MOCKBM_SCENARIOS", "{tmp}", "bad.yaml:1:1: release: unknown property; did you mean"),
    ("MOCKBM_SCENARIO", "emty", "no scenario is called 'emty'; did you mean empty?"),
    ("MOCKBM_SCENARIO", "connection-reset", "breaks connections, which this WSGI server does not"),
    ("MOCKBM_STRICT", "maybe", "MOCKBM_STRICT: 'maybe' is neither 1 nor 0"),
    ("MOCKBM_JOURNAL_SIZE", "many", "MOCKBM_JOURNAL_SIZE: 'many' is not a whole number above"),
    ("MOCKBM_SESSION_IDLE", "-1", "MOCKBM_SESSION_IDLE: '-1' is not a number above 0"),
    ("MOCKBM_STATE", "disk", "the state is 'disk'; it is kept in memory, or at redis://HOST:PORT"),
    ("MOCKBM_CLOCK", "noon", "the clock: 'noon' is not a date"),
]


@pytest.mark.parametrize(("variable", "value", "message"), BAD_VALUES)
def test_a_bad_value_stops_the_start(
    variable: str,
    value: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A bad value or file ends `wsgi.py` with a message and a status."""
    (tmp_path / "bad.yaml").write_text("release: []\n")
    monkeypatch.setenv(variable, value.format(tmp=tmp_path))
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / "wsgi.py"))
    assert ended.value.code == 3
    printed = capsys.readouterr().err
    assert printed.startswith("mockbm cannot start:\n")
    assert message in printed


@pytest.mark.parametrize("server", ["flask", "gunicorn"])
def test_a_server_that_cannot_start_ends(server: str) -> None:
    """The message is what a server prints, without a traceback, and it does not try on and on."""
    process = start(server, free_port(), MOCKBM_SCENARIO="emty")
    printed, _ = process.communicate(timeout=30)
    assert process.returncode not in (0, None)
    assert "mockbm cannot start:\nno scenario is called 'emty'; did you mean empty?" in printed
    assert "Traceback" not in printed


@pytest.mark.parametrize("server", ["flask", "gunicorn"])
def test_a_body_that_cannot_be_read_is_no_mistake_of_ours(server: str) -> None:
    """A body that is too large or breaks off is a 413 or a 400, and no traceback is printed."""
    port = free_port()
    process = start(server, port)
    try:
        ask(f"http://127.0.0.1:{port}/api/releases?key=abc12345", process)
        names = ("no chunk", "chunks over 1 MiB")
        for name in (*names, *(f"the admin API's {name}" for name in names)):
            expected = WIRE[name].expected.split()[0]
            assert play(port, WIRE[name].parts, f"{expected} either") == f"{expected} either"
        assert [break_off(port, request) for request in HALF_BODIES.values()] == ["400"] * 5
    finally:
        process.terminate()
        printed, _ = process.communicate(timeout=20)
    assert "Traceback" not in printed
    assert "a request has no end" in printed
