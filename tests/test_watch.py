"""Files that change while the mock runs, and its health."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest
from commands import releases
from test_cli import run, serving

from mockbm import AdminClient, MockServer
from mockbm.serving import watch
from mockbm.serving.watch import Watch, look

RELEASE = "releases: [{{id: {0}, number: 1, applicationId: 1, applicationName: A}}]\n"


def until(true: Callable[[], bool]) -> None:
    """Wait until something holds; fail where it does not within many times what it takes."""
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def ids(server: MockServer) -> list[int]:
    """The ids of the releases that a server answers."""
    return [release["id"] for release in releases(server.url)]


def test_files_are_reloaded_when_they_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A good change is served, a bad one is reported, and sessions stay in theirs."""
    monkeypatch.setattr(watch, "INTERVAL", 0.02)
    file = tmp_path / "a.yaml"
    file.write_text(RELEASE.format(1))
    (tmp_path / "b.yaml").write_text("releases: []\n")
    with MockServer(tmp_path) as server:
        client = AdminClient(server.url)
        session = server.open_session("b")
        watching = Watch(server.mock, look(tmp_path))

        def served() -> list[int]:
            return ids(server)

        try:
            file.write_text(RELEASE.format(22))
            until(lambda: served() == [22])
            file.write_text("release: []\n")
            until(lambda: client.health()["status"] == "degraded")
            assert served() == [22]
            assert "did you mean releases?" in client.health()["problems"][0]
            file.unlink()
            until(lambda: "has no file any more" in client.health()["problems"][0])
            file.write_text(RELEASE.format(333))
            until(lambda: served() == [333])
            assert (client.health()["status"], client.health()["problems"]) == ("ok", [])
            assert session.active == "b"
        finally:
            watching.stop()
        file.write_text(RELEASE.format(4))
        time.sleep(0.2)
        assert served() == [333]


def test_a_change_during_the_start_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that changed after it was read, and before the watch began, is reloaded."""
    monkeypatch.setattr(watch, "INTERVAL", 0.02)
    file = tmp_path / "a.yaml"
    file.write_text(RELEASE.format(1))
    seen = look(tmp_path)
    with MockServer(tmp_path) as server:
        file.write_text(RELEASE.format(22))
        watching = Watch(server.mock, seen)
        try:
            until(lambda: ids(server) == [22])
        finally:
            watching.stop()


def test_it_tries_again_when_the_state_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """While the shared state is away, a change waits, and is read when it is back."""
    monkeypatch.setattr(watch, "INTERVAL", 0.02)
    file = tmp_path / "a.yaml"
    file.write_text(RELEASE.format(1))
    with MockServer(tmp_path) as server:
        reload, tries = server.mock.reload, []

        def fails_twice() -> None:
            tries.append(1)
            if len(tries) < 3:
                raise ConnectionError("the state is away")
            reload()

        monkeypatch.setattr(server.mock, "reload", fails_twice)
        watching = Watch(server.mock, look(tmp_path))
        try:
            file.write_text(RELEASE.format(22))
            until(lambda: ids(server) == [22])
            assert caplog.text.count("the scenario files have changed, but the state is away") == 1
            assert len(tries) == 3
        finally:
            watching.stop()


def test_serve_watches_and_health_says_so(tmp_path: Path) -> None:
    """`serve --watch` reloads; `health` ends with 0 where a mock answers, and with 1 elsewhere."""
    file = tmp_path / "a.yaml"
    file.write_text(RELEASE.format(1))
    with serving(str(tmp_path), "--port", "0", "--watch", "--log", "off") as (_, line):
        url = line.split()[3]
        client = AdminClient(url)
        done = run("health", "--url", url)
        assert (done.returncode, done.stdout) == (0, "ok\n")
        assert client.health()["uptime"] > 0
        file.write_text("release: []\n")
        until(lambda: client.health()["status"] == "degraded")
        done = run("health", MOCKBM_URL=url)
        assert done.returncode == 0
        assert done.stdout.startswith("degraded\n")
        assert "did you mean releases?" in done.stdout
    done = run("health", "--url", url)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no mock answers" in done.stderr


def test_health_waits_for_a_mock_that_starts() -> None:
    """`health --wait` ends with 0 as soon as a mock answers, and with 1 when its time is over."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
    url = f"http://127.0.0.1:{port}"
    begun = time.monotonic()
    done = run("health", "--url", url, "--wait", "0.2")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"no mock answers at {url}" in done.stderr
    assert time.monotonic() - begun >= 0.2
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(run, "health", "--url", url, "--wait", "20")
        assert not wait([waiting], timeout=0.3).done
        with serving("--port", port):
            assert waiting.result().stdout == "ok\n"
