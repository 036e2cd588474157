"""The command line, run as its users run it."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from unittest.mock import patch

import click
import pytest
from werkzeug.serving import make_server

from mockbm import AdminClient, MockServer, ScenarioError, __version__, create_app
from mockbm.cli import main

MOCKBM = str(Path(sys.executable).parent / "mockbm")


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `mockbm` to its end, in this process; what it does not handle fails the test."""
    output, errors = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in "12")
    with (
        patch.dict(os.environ, environment),
        redirect_stdout(output),
        redirect_stderr(errors),
        pytest.raises(SystemExit) as ended,
    ):
        main.main([*arguments], "mockbm")
    written = [stream.buffer.getvalue().decode() for stream in (output, errors)]  # type: ignore[attr-defined]
    return subprocess.CompletedProcess(arguments, int(ended.value.code or 0), *written)


def run_process(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `mockbm` to its end, as its users do."""
    return subprocess.run(
        [MOCKBM, *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, **environment},
    )


@contextmanager
def serving(*arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running `mockbm serve` and the line that it printed."""
    process = subprocess.Popen(
        [MOCKBM, "serve", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline()
    finally:
        process.kill()
        process.communicate()


def get(url: str, key: str = "abc12345") -> object:
    """The JSON that a GET answers, by default with the documented key."""
    request = urllib.request.Request(url, headers={"X-ApiKey": key})
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_answers_and_ends_at_once(number: signal.Signals, tmp_path: Path) -> None:
    """`serve` says where it listens, answers there, and a signal ends it with status 0."""
    port_file = tmp_path / "port"
    with serving("--port", "0", "--port-file", str(port_file)) as (process, line):
        match = re.fullmatch(
            r"mockbm listening on (http://127\.0\.0\.1:(\d+)) "
            r"\(scenario documented\); try: "
            r'curl -H "X-ApiKey: abc12345" "\1/api/releases"\n',
            line,
        )
        assert match, line
        assert port_file.read_text() == f"{match[2]}\n"
        releases = get(f"{match[1]}/api/releases?status=active")
        assert isinstance(releases, list)
        assert [release["id"] for release in releases][:2] == [4, 1]
        begun = time.monotonic()
        process.send_signal(number)
        assert process.wait(10) == 0
        assert time.monotonic() - begun < 2
        assert process.stderr is not None
        logged = process.stderr.read()
    assert re.fullmatch(
        r"\S+ \S+ INFO default #1 GET /api/releases status='active' -> 200 \[documented\] "
        r"7 releases; status=active: 4\n",
        logged,
    )


def test_flags_win_over_their_variables(tmp_path: Path) -> None:
    """Every flag has a MOCKBM_* twin, and the flag wins."""
    (tmp_path / "mine.yaml").write_text("releases: []\n")
    port_file = tmp_path / "port"
    variables = {
        "MOCKBM_SCENARIOS": str(tmp_path),
        "MOCKBM_SCENARIO": "mine",
        "MOCKBM_PORT": "0",
        "MOCKBM_PORT_FILE": str(port_file),
        "MOCKBM_HOST": "127.0.0.2",
        "MOCKBM_STRICT": "0",
    }
    with serving(**variables) as (_, line):
        url = f"http://127.0.0.2:{port_file.read_text().strip()}"
        assert f"listening on {url} (scenario mine" in line
        assert get(f"{url}/api/releases?nonsense=1") == []
    shipped = str(Path(__file__).parents[1] / "scenarios")
    flags = (shipped, "--scenario", "single", "--host", "127.0.0.1", "--strict")
    with serving(*flags, **variables) as (_, line):
        assert "listening on http://127.0.0.1:" in line
        assert "(scenario single" in line
        with pytest.raises(urllib.error.HTTPError, match="400"):
            get(f"http://127.0.0.1:{port_file.read_text().strip()}/api/releases?nonsense=1")


def test_serve_off_loopback_prints_a_token_once() -> None:
    """Off loopback, the admin token that was made is the second line, and `use` takes it."""
    with serving("--host", "0.0.0.0", "--port", "0") as (process, line):
        assert process.stdout is not None
        token = process.stdout.readline().removeprefix("mockbm admin token: ").strip()
        assert process.stdout.readline() == f"mockbm page: {line.split()[3]}/__admin/\n"
        url = line.split()[3].replace("0.0.0.0", "127.0.0.1")
        assert "needs its token" in run("use", "empty", "--url", url).stderr
        assert run("use", "empty", "--url", url, "--admin-token", token).returncode == 0
    with serving("--no-admin", "--port", "0") as (_, line):
        assert run("use", "empty", "--url", line.split()[3]).returncode == 1


def test_serve_refuses_a_taken_port() -> None:
    """A port in use is one clear line and status 1, soon."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run("serve", "--port", port)
    assert done.returncode == 1
    why = "Address already in use; --port 0 takes any free one"
    assert done.stderr == f"cannot listen on 127.0.0.1:{port}: {why}\n"


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (
            ("serve", "--scenario", "singel"),
            1,
            "did you mean single?",
        ),
        (("serve", "{bad}"), 1, "bad.yaml:1:1: release: unknown property; did you mean releases?"),
        (("serve", "{bad}/none"), 1, "none: No such file or directory"),
        (("serve", "--port", "70000"), 2, "70000 is not in the range"),
        (("serve", "--host", "no.such.host.invalid", "--port", "0"), 1, "cannot listen on no.such"),
        (("list", "{bad}"), 1, "bad.yaml:1:1: release: unknown property; did you mean releases?"),
        (
            ("use", "empty", "--url", "http://127.0.0.1:9"),
            1,
            "no mock answers at http://127.0.0.1:9",
        ),
        (("use", "empty", "--url", "nonsense"), 1, "'nonsense' is not the URL of a mock, such as"),
        (("use", "empty", "--url", "file:///etc/passwd"), 1, "is not the URL of a mock, such as"),
        *(
            (("health", "--url", url), 1, "is not the URL of a mock, such as http://127.0.0.1:8080")
            for url in ("http://[::1", "http://127.0.0.1:abc", "http://a b", "http://127.0.0.1/ä")
        ),
        (("health", "--wait", "nan", "--url", "http://127.0.0.1:9"), 1, "9: Connection refused"),
        (("serve", "--admin-token", "ü€"), 1, "the admin token: only letters, digits and signs"),
        (("serve", "--journal-size", "9" * 30), 2, "is not in the range 1<=x<="),
        (
            ("import", "{bad}/bad.yaml", "--output", "{bad}/new.txt"),
            2,
            "new.txt: a scenario file ends",
        ),
    ],
)
def test_errors_are_clear(
    arguments: tuple[str, ...], status: int, message: str, tmp_path: Path
) -> None:
    """Whatever is wrong is said in a line on stderr, never in a traceback, with its status."""
    (tmp_path / "bad.yaml").write_text("release: []\n")
    done = run(*(argument.format(bad=tmp_path) for argument in arguments))
    assert done.returncode == status, done
    assert message in done.stderr


def test_errors_of_a_process(tmp_path: Path) -> None:
    """It is the same in a process of its own, also where the mock listens already."""
    port_file = tmp_path / "no" / "port"
    done = run_process("serve", "--port", "0", "--port-file", str(port_file))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"cannot write the port file {port_file}: No such file or directory\n"
    done = run_process("serve", "--port", "70000")
    assert (done.returncode, "70000 is not in the range" in done.stderr) == (2, True)
    assert "Traceback" not in done.stderr


def test_use_switches_a_running_mock() -> None:
    """`use` switches the mock at a URL, given by flag or variable, and refuses unknown names."""
    with MockServer() as server:
        done = run("use", "empty", MOCKBM_URL=server.url)
        assert (done.returncode, done.stdout) == (0, f"empty is now active at {server.url}\n")
        assert server.active == "empty"
        done = run("use", "singel", "--url", server.url)
        assert done.returncode == 1
        assert "did you mean single?" in done.stderr
        assert server.active == "empty"


def log_of_everything(form: str, directory: Path) -> list[str]:
    """The log of all that can happen to sessions."""
    (directory / "a.yaml").write_text("releases: []\n")
    (directory / "b.yaml").write_text("releases: []\n")
    with serving(str(directory), "--port", "0", "--log", form) as (process, line):
        url = line.split()[3]
        client = AdminClient(url)
        client.use("b")
        client.set_clock("2024-03-04T09:00:00Z")
        session = client.open_session("b", label="night\nly")
        get(f"{url}/api/releases", session.api_key)
        session.advance_clock("2d")
        session.release_clock()
        session.end()
        get(f"{url}/api/releases", "abc12345")
        get(f"{url}/api/releases", "abc12345@a")
        get(f"{url}/api/releases", client.open_session().api_key)
        client.reset()
        client.reload()
        (directory / "b.yaml").write_text("release: []\n")
        with pytest.raises(ScenarioError):
            client.reload()
        process.terminate()
        process.wait(10)
        assert process.stderr is not None
        return process.stderr.read().splitlines()


def test_the_log_says_what_happens_to_sessions(tmp_path: Path) -> None:
    """Each line has its session, by label or short id; what happens to a session has a line."""
    logged = "\n".join(log_of_everything("text", tmp_path))
    time_of_line = r"(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} "
    names = {time_of_line: "", r"\b[0-9a-f]{8}\b": "ID", r"20\d\d-\S+Z": "NOW", f"{tmp_path}/": ""}
    for found, name in names.items():
        logged = re.sub(found, name, logged)
    assert logged.splitlines() == [
        "INFO default: b is active now",
        "INFO default: the clock is stopped at NOW",
        "INFO night\\nly: opened in b",
        "INFO night\\nly #1 GET /api/releases -> 200 [b] 0 releases",
        "INFO night\\nly: the clock is advanced to NOW",
        "INFO night\\nly: the clock is released, at NOW",
        "INFO night\\nly: ended: it was ended by a call",
        "INFO default #1 GET /api/releases -> 200 [b] 0 releases",
        "INFO pinned to a: opened by its first request",
        "INFO pinned to a #1 GET /api/releases -> 200 [a] 0 releases",
        "INFO ID: opened in a",
        "INFO ID #1 GET /api/releases -> 200 [a] 0 releases",
        "INFO default: reset to a",
        "INFO the scenario files are reloaded: 2 scenarios",
        "WARNING the scenario files have problems; what was read before stays in use:",
        "b.yaml:1:1: release: unknown property; did you mean releases?",
        "b.yaml:1:1: releases: is missing; add releases: ..., or [] for none",
    ]


def test_the_log_has_the_same_as_fields(tmp_path: Path) -> None:
    """With `--log json`, each line is an object that a program can use."""
    logged = [json.loads(line) for line in log_of_everything("json", tmp_path)]
    assert all(re.fullmatch(r"20\d\d-\S+Z", entry["time"]) for entry in logged)
    assert [entry["level"] for entry in logged] == ["INFO"] * 14 + ["WARNING"]
    about = ("event", "session", "label", "scenario", "now", "scenarios")
    fields = [{name: entry[name] for name in about if name in entry} for entry in logged]
    nightly, pinned, other = fields[2]["session"], fields[8]["session"], fields[10]["session"]
    assert len({nightly, pinned, other}) == 3
    at_default = {"session": "default", "label": ""}
    in_nightly = {"session": nightly, "label": "night\nly"}
    in_pinned = {"session": pinned, "label": "pinned to a", "scenario": "a"}
    in_other = {"session": other, "label": "", "scenario": "a"}
    now = "2024-03-04T09:00:00.0000000Z"
    assert fields == [
        {"event": "switch", **at_default, "scenario": "b"},
        {"event": "clock", **at_default, "now": now},
        {"event": "opened", **in_nightly, "scenario": "b"},
        {**in_nightly, "scenario": "b"},
        {"event": "clock", **in_nightly, "now": fields[4]["now"]},
        {"event": "clock", **in_nightly, "now": fields[5]["now"]},
        {"event": "ended", **in_nightly},
        {**at_default, "scenario": "b"},
        {"event": "opened", **in_pinned},
        in_pinned,
        {"event": "opened", **in_other},
        in_other,
        {"event": "reset", **at_default, "scenario": "a"},
        {"event": "reload", "scenarios": 2},
        {"event": "reload"},
    ]
    assert (logged[3]["number"], logged[3]["status"], logged[3]["revision"]) == (1, 200, 1)
    assert logged[6]["message"] == "night\\nly: ended: it was ended by a call"
    assert len(logged[-1]["problems"]) == 2


def test_long_lines_of_the_log_are_whole_objects() -> None:
    """An entry that is too long for a line is cut in its texts, and is JSON still."""
    query = "&".join(f"{'p' * 250}{number}={'v' * 280}" for number in range(20))
    with serving("--port", "0", "--no-strict", "--log", "json") as (process, line):
        get(f"{line.split()[3]}/api/releases?{query}")
        process.terminate()
        process.wait(10)
        assert process.stderr is not None
        (logged,) = process.stderr.read().splitlines()
    entry = json.loads(logged)
    assert (entry["session"], entry["status"], entry["count"], entry["cut"]) == (
        *("default", 200, 7),
        True,
    )


def test_idle_sessions_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A session that ends since nothing has used it has a line, too."""
    caplog.set_level("INFO", "mockbm")
    with MockServer(idle_seconds=0.001, state="memory") as server:
        server.open_session(label="mine")
        time.sleep(0.01)
        assert AdminClient(server.url).health()["sessions"] == 0
    assert caplog.messages[-1] == "mine: ended: it was idle for over 0.001 seconds"


def test_requests_prints_the_journal() -> None:
    """`requests` prints what a running mock got, and with --follow what it gets from then on."""
    with MockServer() as server:
        get(f"{server.url}/api/releases?status=active")
        get(f"{server.url}/api/releases?status=deployed")
        done = run("requests", MOCKBM_URL=server.url)
        assert (done.returncode, done.stderr) == (0, "")
        first, second = done.stdout.splitlines()
        assert re.fullmatch(
            r"20\d\d-\S+Z #1 GET /api/releases status='active' -> 200 \[documented\] "
            r"7 releases; status=active: 4",
            first,
        )
        command = [MOCKBM, "requests", "--follow", "--url", server.url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert [process.stdout.readline() for _ in "12"] == [f"{first}\n", f"{second}\n"]
            get(f"{server.url}/api/releases?releaseNumber=5")
            assert " #3 GET /api/releases releaseNumber='5' -> 200" in process.stdout.readline()
            server.mock.default.reset()
            get(f"{server.url}/api/releases?releaseNumber=6")
            assert " #1 GET /api/releases releaseNumber='6' -> 200" in process.stdout.readline()
            process.send_signal(signal.SIGINT)
            assert (process.wait(10), process.stdout.read()) == (0, "")


def test_reset_and_reload(tmp_path: Path) -> None:
    """`reset` takes a mock back to its start, `reload` lets it read its files again."""
    (tmp_path / "a.yaml").write_text("releases: []\n")
    with MockServer(tmp_path) as server:
        url = ("--url", server.url)
        (tmp_path / "b.yaml").write_text("releases: []\n")
        done = run("use", "b", *url)
        assert (done.returncode, done.stderr) == (
            1,
            "no scenario is called 'b'; there are: a; "
            "b.yaml is new since the files were read; reload them\n",
        )
        done = run("reload", *url)
        assert (done.returncode, done.stdout) == (0, f"2 scenarios reloaded at {server.url}\n")
        assert run("use", "b", *url).returncode == 0
        done = run("reset", *url)
        assert done.stdout == f"a is now active at {server.url}, as after a start\n"
        assert (done.returncode, server.active) == (0, "a")
        (tmp_path / "b.yaml").write_text("release: []\nextends: a\n")
        done = run("reload", *url)
        problem = f"{tmp_path}/b.yaml:1:1: release: unknown property; did you mean releases?"
        assert (done.returncode, done.stdout, done.stderr) == (1, "", f"{problem}\n")
        assert run("use", "c", *url).stderr == (
            "no scenario is called 'c'; there are: a, b; "
            f"changed files are not served, since {problem}\n"
        )


def test_a_shipped_scenario_beside_ones_own(tmp_path: Path) -> None:
    """Where one's own directory replaces the shipped scenarios, the message says so."""
    (tmp_path / "mine.yaml").write_text("releases: []\n")
    expected = (
        "no scenario is called 'documented'; there are: mine; documented comes with mockbm, "
        f"whose scenarios those of {tmp_path} replace; a file there may say `extends: documented`\n"
    )
    assert run("serve", str(tmp_path), "--scenario", "documented").stderr == expected
    with MockServer(tmp_path) as server:
        assert run("use", "documented", "--url", server.url).stderr == expected


def test_clients_take_the_port_of_serve() -> None:
    """Without a URL, commands call this machine at MOCKBM_PORT; a URL wins."""
    with MockServer() as server:
        port = {"MOCKBM_PORT": str(server.port)}
        assert run("health", **port).stdout == "ok\n"
        assert run("use", "empty", **port).stdout == f"empty is now active at {server.url}\n"
        done = run("health", MOCKBM_PORT="9", MOCKBM_URL=server.url)
        assert (done.returncode, done.stdout) == (0, "ok\n")


@pytest.mark.parametrize("value", ["tcp://10.0.0.1:8080", "udp://[fd00::1]:53"])
def test_ports_of_kubernetes_are_ignored(value: str) -> None:
    """What Kubernetes sets for a Service named mockbm is no port, and is said to be ignored."""
    ignored = (
        f"MOCKBM_PORT is {value}, as Kubernetes sets it for a Service named mockbm; it is ignored"
    )
    done = run("serve", "--scenario", "singel", MOCKBM_PORT=value)
    assert (done.returncode, done.stderr.splitlines()[0]) == (1, ignored)
    assert "did you mean single?" in done.stderr
    done = run("health", MOCKBM_PORT=value, MOCKBM_URL="http://127.0.0.1:9")
    assert done.stderr == "no mock answers at http://127.0.0.1:9: Connection refused\n"
    for port in ("abc", "70000", "²"):
        done = run("health", MOCKBM_PORT=port)
        expected = f"MOCKBM_PORT is {port!r}, and not a number from 0 to 65535\n"
        assert (done.returncode, done.stderr.endswith(f"Error: {expected}")) == (2, True)
    done = run("serve", MOCKBM_PORT="tcp")
    assert (done.returncode, "'tcp' is not a valid integer range" in done.stderr) == (2, True)


def test_the_curl_line_can_be_pasted(tmp_path: Path) -> None:
    """A key is quoted for a shell where it has to be."""
    (tmp_path / "a.yaml").write_text("releases: []\napiKeys: ['$HOME \"`x`\\ it''s!']\n")
    with serving(str(tmp_path), "--port", "0") as (_, line):
        command = shlex.split(line.partition("try: ")[2])
        assert command[:3] == ["curl", "-H", "X-ApiKey: $HOME \"`x`\\ it's!"]
        assert get(command[3], command[2].partition(": ")[2]) == []


CLOSED = {
    "an output that is full": "> /dev/full",
    "no standard error": "2>&-",
    "no output": ">&-",
    "nothing at all": "<&- >&- 2>&-",
    "a reader of the first line": "| head -1",
    "a reader of errors that has gone": "2> >(true)",
}


@pytest.mark.skipif(sys.platform == "win32", reason="there is no bash")
@pytest.mark.parametrize("name", CLOSED)
def test_serve_goes_on_without_its_streams(name: str, tmp_path: Path) -> None:
    """Without standard error or output, or with a reader that has gone, `serve` does its work."""
    pid, port_file, status = tmp_path / "pid", tmp_path / "port", tmp_path / "status"
    serve = f"{MOCKBM} serve --port 0 --port-file {port_file} & echo $! > {pid}"
    command = f"({serve}; wait $!; echo $? > {status}) {CLOSED[name]}"
    shell = subprocess.Popen(["bash", "-c", command], start_new_session=True)
    try:
        url = f"http://127.0.0.1:{wait_for(port_file)}"
        for _ in range(3):
            assert isinstance(get(f"{url}/api/releases"), list)
        os.kill(int(pid.read_text()), signal.SIGTERM)
        assert wait_for(status) == "0"
        assert not port_file.exists()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()


def wait_for(path: Path) -> str:
    """What a file holds, once it is there."""
    deadline = time.monotonic() + 20
    while not (path.exists() and path.read_text().strip()):
        assert time.monotonic() < deadline, f"there is no {path}"
        time.sleep(0.02)
    return path.read_text().strip()


@pytest.mark.parametrize(
    ("arguments", "status", "last"),
    [
        ("serve none", 1, "none: No such file or directory"),
        ("serve --log x", 2, "'x' is not one of 'text', 'json', 'off'."),
    ],
)
def test_errors_without_standard_error(arguments: str, status: int, last: str) -> None:
    """Where there is no standard error, the reason of a failure is on standard output."""
    command = ["bash", "-c", f"{MOCKBM} {arguments} 2>&-"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (status, "")
    assert done.stdout.endswith(f"{last}\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", ["list", "schema", "--help"])
def test_output_that_is_full(command: str, unbuffered: str) -> None:
    """Where standard output takes nothing more, a command ends with one line and status 1."""
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [MOCKBM, *command.split()], stdout=full, stderr=-1, text=True, env=environment
        )
    expected = "cannot write to standard output: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, expected)


def test_mockbm_is_a_module_to_run() -> None:
    """`python -m mockbm` is the same command."""
    command = [sys.executable, "-m", "mockbm", "use", "--help"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, run("use", "--help").stdout)


@pytest.mark.parametrize("form", ["json", "off"])
def test_the_log_takes_other_forms(form: str) -> None:
    """The log is JSON, an entry a line, or nothing, and never has a key in it."""
    with serving("--port", "0", "--log", form, "--journal-size", "1") as (process, line):
        url = line.split()[3]
        assert isinstance(get(f"{url}/api/releases?status=active"), list)
        process.terminate()
        process.wait(10)
        assert process.stderr is not None
        logged = process.stderr.read()
    if form == "off":
        assert logged == ""
    else:
        entry = json.loads(logged)
        assert (entry["level"], entry["status"], entry["ids"]) == ("INFO", 200, [4, 1, 7, 6])
    assert "abc12345" not in logged


def test_use_tells_what_this_server_cannot_do() -> None:
    """A scenario that a mock under another WSGI server cannot play is refused in one line."""
    server = make_server("127.0.0.1", 0, create_app())
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        done = run("use", "connection-reset", "--url", f"http://127.0.0.1:{server.port}")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert done.returncode == 1
    assert done.stderr.startswith("connection-reset: breaks connections, which this WSGI server")
    assert len(done.stderr.splitlines()) == 1


def test_health_without_an_admin_api() -> None:
    """A mock that answers is well, also where it tells no more; its token is asked for by name."""
    with MockServer(admin_api=False) as server:
        done = run("health", "--url", server.url)
        assert (done.returncode, done.stdout) == (
            0,
            f"ok\nthe mock at {server.url} has no admin API: it runs with --no-admin\n",
        )
    with MockServer(admin_token="let-me-in") as server:
        done = run("health", "--url", server.url)
        assert done.returncode == 1
        needs = (
            "the admin API needs its token, as Authorization: Bearer TOKEN; "
            "on the command line, --admin-token or MOCKBM_ADMIN_TOKEN\n"
        )
        assert done.stderr == f"{server.url}: {needs}"
        done = run("requests", "--admin-token", "wrong", "--url", server.url)
        expected = f"{server.url}: the token is wrong; {needs}"
        assert (done.returncode, done.stderr) == (1, expected)
        assert run("health", "--url", server.url, MOCKBM_ADMIN_TOKEN="let-me-in").stdout == "ok\n"


NO_HEALTH = [
    *("[]", "{}", "null", "<html>", "[" * 99_999),
    *('{"status": 5, "problems": []}', '{"status": "ok", "problems": 5}'),
    '{"status": "unavailable", "problems": 5}',
]


@contextmanager
def answering(*answers: bytes) -> Iterator[str]:
    """The URL of something that answers one connection after the other, each with some bytes."""
    with socket.create_server(("127.0.0.1", 0)) as other:

        def serve() -> None:
            for answer in answers:
                connection, _ = other.accept()
                with connection:
                    connection.recv(1000)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{other.getsockname()[1]}"
        thread.join()


@pytest.mark.parametrize("status", ["200 OK", "500 Oh"])
@pytest.mark.parametrize("body", NO_HEALTH)
def test_health_of_something_else(body: str, status: str) -> None:
    """What does not answer with its health is no mock."""
    more = 0 if status == "200 OK" else 9  # than it sends
    answer = f"HTTP/1.1 {status}\r\nContent-Length: {len(body) + more}\r\n\r\n{body}".encode()
    with answering(answer) as url:
        done = run("health", "--url", url)
    assert done.returncode == 1
    assert "is not mockbm: " in done.stderr


def test_use_knows_what_is_no_mock() -> None:
    """Something else at the URL is said to be no mock, and a proxy does not come in between."""
    answers = (b"SSH-2.0-other\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    with answering(*answers) as url:
        for message in ("does not speak HTTP", "is not mockbm"):
            done = run("use", "empty", "--url", url)
            assert (done.returncode, message in done.stderr) == (1, True), done
    with MockServer() as server:
        assert (
            run("use", "empty", "--url", server.url, http_proxy="http://127.0.0.1:9").returncode
            == 0
        )


def test_check_prints_every_problem(tmp_path: Path) -> None:
    """`check` prints the problems of all files, as its result, and its status is 1."""
    (tmp_path / "a.yaml").write_text("release: []\n")
    (tmp_path / "b.yaml").write_text("")
    done = run("check", str(tmp_path))
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.replace(f"{tmp_path}/", "").splitlines() == [
        "a.yaml:1:1: release: unknown property; did you mean releases?",
        "a.yaml:1:1: releases: is missing; add releases: ..., or [] for none",
        "b.yaml:1:1: file: is empty; the smallest scenario is `releases: []`",
    ]


def test_check_and_list() -> None:
    """`check` and `list` look at the shipped scenarios where no directory is given."""
    assert re.search(r": \d\d scenarios, no problems\n$", run("check").stdout)
    assert re.search(r"^documented +7  The instance of", run("list").stdout, re.MULTILINE)


def test_version_and_help() -> None:
    """`--version` tells the version, and every `--help` has an example or says what happens."""
    assert run_process("--version").stdout == f"mockbm, version {__version__}\n"
    for command in ("", *main.list_commands(click.Context(main))):
        done = run(*filter(None, (command, "--help")))
        assert done.returncode == 0
        assert done.stdout.startswith("Usage: mockbm")
    assert "mockbm serve --port 0 --port-file mockbm.port" in run("serve", "--help").stdout
