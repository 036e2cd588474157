"""Files that change while the mock runs, and its health."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn, cast

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


@contextmanager
def watched(directory: Path, scenario: str) -> Iterator[tuple[MockServer, AdminClient]]:
    """A mock whose files are watched closely."""
    with (
        pytest.MonkeyPatch.context() as patch,
        MockServer(directory, scenario) as server,
    ):
        patch.setattr(watch, "INTERVAL", 0.02)
        watching = Watch(server.mock, look(directory))
        try:
            yield server, AdminClient(server.url)
        finally:
            watching.stop()


def break_by_link(file: Path, _patch: pytest.MonkeyPatch) -> None:
    """Put a link in the place of a file whose target no file can have as its name."""
    file.unlink()
    file.symlink_to("x" * 300)


def break_by_loop(file: Path, _patch: pytest.MonkeyPatch) -> None:
    file.unlink()
    file.symlink_to(file.name)


def break_by_permission(_file: Path, patch: pytest.MonkeyPatch) -> None:
    """Take the directory's permission away, as root never sees it."""
    patch.setattr(Path, "iterdir", fail_with(PermissionError(errno.EACCES, "Permission denied")))


def break_by_stale_handle(file: Path, patch: pytest.MonkeyPatch) -> None:
    """Let a file fail as on a network file system whose server has restarted."""
    stat = Path.stat

    def fail(path: Path, **how: bool) -> os.stat_result:
        if path == file:
            raise OSError(errno.ESTALE, "Stale file handle")
        return stat(path, **how)

    patch.setattr(Path, "stat", fail)


def break_by_a_mistake_of_ours(file: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setattr("mockbm.files.directory.load_scenarios", fail_with(KeyError("oh")))
    file.write_text(RELEASE.format(22))


def fail_with(error: Exception) -> Callable[..., NoReturn]:
    def fail(*_: object, **__: object) -> NoReturn:
        raise error

    return fail


BREAKS = {
    break_by_link: "a.yaml:1:1: file: cannot be read: File name too long",
    break_by_loop: "a.yaml:1:1: file: cannot be read: Too many levels of symbolic links",
    break_by_permission: ": Permission denied",
    break_by_stale_handle: "a.yaml:1:1: file: cannot be read: Stale file handle",
    break_by_a_mistake_of_ours: ": KeyError('oh')",
}


@pytest.mark.parametrize("break_", BREAKS)
def test_it_goes_on_whatever_it_finds(
    tmp_path: Path, break_: Callable[[Path, pytest.MonkeyPatch], None]
) -> None:
    """Whatever is wrong with files or directory, health says it, and the next change is read."""
    file = tmp_path / "a.yaml"
    file.write_text(RELEASE.format(1))
    with watched(tmp_path, "a") as (server, client):
        for id_ in (333, 4444):
            with pytest.MonkeyPatch.context() as patch:
                break_(file, patch)
                until(lambda: client.health()["status"] == "degraded")
                assert client.health()["problems"][0].endswith(BREAKS[break_])
            file.unlink(missing_ok=True)
            file.write_text(RELEASE.format(id_))
            until(lambda id_=id_: ids(server) == [id_])  # type: ignore[misc]
            assert client.health()["status"] == "ok"


def test_a_switch_ends_a_problem(tmp_path: Path) -> None:
    """The active scenario's file must not go; once another scenario is active, it may have."""
    for name in ("aaa", "bbb"):
        (tmp_path / f"{name}.yaml").write_text("releases: []\n")
    with watched(tmp_path, "aaa") as (server, client):
        server.use("bbb")
        (tmp_path / "bbb.yaml").unlink()
        until(lambda: client.health()["status"] == "degraded")
        assert "bbb: has no file any more, but is active" in client.health()["problems"][0]
        server.use("aaa")
        until(lambda: client.health()["status"] == "ok")
        assert list(server.mock.catalog.scenarios) == ["aaa"]


def test_a_broken_file_is_named_where_it_hides_another(tmp_path: Path) -> None:
    """Nothing new is served next to a broken file, and who asks for it is told why."""
    (tmp_path / "old.yaml").write_text("releases: []\n")
    with watched(tmp_path, "old") as (server, client):
        (tmp_path / "bad.yaml").write_text("release: []\n")
        (tmp_path / "new.yaml").write_text("releases: []\n")
        until(lambda: client.health()["status"] == "degraded")
        done = run("use", "new", "--url", server.url)
        assert (done.returncode, done.stderr) == (
            1,
            "no scenario is called 'new'; there are: old; changed files are not served, since "
            f"{tmp_path}/bad.yaml:1:1: release: unknown property; did you mean releases?\n",
        )
        (tmp_path / "bad.yaml").unlink()
        until(lambda: client.health()["status"] == "ok")
        assert run("use", "new", "--url", server.url).returncode == 0


@pytest.mark.parametrize("slow", [False, True], ids=["touched", "clock of seconds"])
def test_a_change_that_is_hard_to_see(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow: bool
) -> None:
    """A file is read again though its number, its size and the time of its change are as before."""
    file = tmp_path / "a.yaml"
    file.write_text(RELEASE.format(1))
    stat = Path.stat

    def slow_clock(path: Path, **how: bool) -> os.stat_result:
        """What a file system says whose clock has not moved on."""
        found = stat(path, **how)
        values = {name: getattr(found, name) for name in dir(found) if name.startswith("st_")}
        return cast(os.stat_result, SimpleNamespace(**values | {"st_ctime_ns": 10**9}))

    if slow:
        monkeypatch.setattr(Path, "stat", slow_clock)
    with watched(tmp_path, "a") as (server, _):
        before = file.stat()
        for id_ in (2, 3):
            file.write_text(RELEASE.format(id_))
            os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
            after = file.stat()
            assert (after.st_ino, after.st_size) == (before.st_ino, before.st_size)
            assert after.st_mtime_ns == before.st_mtime_ns
            until(lambda id_=id_: ids(server) == [id_])  # type: ignore[misc]


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
