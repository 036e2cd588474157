"""Switching and reloading while other clients read: every answer is all of one state."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from itertools import cycle, islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from conftest import STATE

from mockbm import MockServer

IDS = {
    "documented": [4, 3, 2, 1, 7, 6, 5],
    "empty": [],
    "every-status": [3, 2, 1],
    "legacy-6.1": [2, 1],
    "many-applications": [8, 7, 6, 5, 4, 3, 2, 1],
    "single": [1],
}
READERS = 8
SWITCHES, RELOADS = (200, 50) if STATE else (600, 60)
"""Fewer with a shared state, which is slower."""
TIMEOUT = 30
"""Seconds after which a thread that does not end is an error."""


@pytest.fixture(autouse=True)
def _many_thread_switches() -> Iterator[None]:
    """Python goes from thread to thread a hundred times as often, so that races show."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(interval / 100)
    yield
    sys.setswitchinterval(interval)


class Connection:
    """One connection that is kept alive: a server that closes it fails the test."""

    def __init__(self, url: str) -> None:
        self._http = HTTPConnection(urlsplit(url).netloc, timeout=10)
        self._http.connect()
        self._socket = self._http.sock

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def ask(self, method: str, path: str, body: object = None) -> tuple[Mapping[str, str], Any]:
        """The headers and the JSON of a good answer."""
        data = None if body is None else json.dumps(body)
        headers = {"X-ApiKey": "abc12345", "Content-Type": "application/json"}
        self._http.request(method, path, data, headers)
        response = self._http.getresponse()
        content = response.read()
        assert response.status == 200, content
        assert self._http.sock is self._socket, "the connection was not kept alive"
        return response.headers, json.loads(content)


def while_reading(
    url: str, check: Callable[[Mapping[str, str], Any], object], write: Callable[[Connection], None]
) -> set[object]:
    """Run `write` once while readers ask and `check` every answer; what the checks returned."""
    reading = threading.Barrier(READERS + 1, timeout=TIMEOUT)
    written = threading.Event()

    def read() -> set[object]:
        seen = set()
        with Connection(url) as connection:
            reading.wait()
            while not written.wait(0.003):
                seen.add(check(*connection.ask("GET", "/api/releases")))
        return seen

    with ThreadPoolExecutor(READERS) as pool:
        readers = [pool.submit(read) for _ in range(READERS)]
        try:
            with Connection(url) as connection:
                reading.wait()
                write(connection)
        finally:
            written.set()
        return set().union(*(reader.result(TIMEOUT) for reader in readers))


def test_every_answer_is_all_of_the_scenario_that_it_names(shared: MockServer) -> None:
    """Under many switches, a body always holds the scenario of its header."""

    def check(headers: Mapping[str, str], releases: Any) -> str:
        name = headers["X-Mockbm-Scenario"]
        assert [release["id"] for release in releases] == IDS[name]
        return name

    def switch(connection: Connection) -> None:
        for name in islice(cycle(IDS), SWITCHES):
            _, answer = connection.ask("PUT", "/__admin/scenario", {"name": name})
            assert (answer["name"], answer["active"]) == (name, True)
            assert answer["releaseCount"] == len(IDS[name])

    assert while_reading(shared.url, check, switch) == set(IDS)
    assert shared.active == list(IDS)[(SWITCHES - 1) % len(IDS)]


def test_a_switch_holds_from_its_own_answer_on(shared: MockServer) -> None:
    """Who has been told of a switch never reads the scenario from before it."""
    with Connection(shared.url) as switcher, Connection(shared.url) as reader:
        for name in islice(cycle(IDS), 100):
            switcher.ask("PUT", "/__admin/scenario", {"name": name})
            headers, releases = reader.ask("GET", "/api/releases")
            assert headers["X-Mockbm-Scenario"] == name
            assert [release["id"] for release in releases] == IDS[name]


def generation(number: int) -> str:
    """A scenario file whose every release says which writing of the file it is from."""
    count = number % 7 + 1
    releases = [
        {"id": id_, "number": number, "applicationId": 1, "applicationName": f"{number} of {count}"}
        for id_ in range(1, count + 1)
    ]
    return json.dumps({"description": f"Writing {number}.", "releases": releases})


def test_a_reload_never_mixes_two_contents_of_a_file(tmp_path: Path) -> None:
    """Under reloads of a file that changes, a body is always all of one of its contents."""
    file, draft = tmp_path / "changing.yaml", tmp_path / "draft"
    file.write_text(generation(0))

    def check(_: Mapping[str, str], releases: Any) -> str:
        (number,) = {release["number"] for release in releases}
        expected = json.loads(generation(int(number)))["releases"]
        assert sorted(release["id"] for release in releases) == [one["id"] for one in expected]
        assert {one["applicationName"] for one in releases} == {expected[0]["applicationName"]}
        return number

    def rewrite(connection: Connection) -> None:
        for number in range(1, RELOADS + 1):
            draft.write_text(generation(number))
            os.replace(draft, file)
            _, listed = connection.ask("POST", "/__admin/reload", {})
            assert listed["scenarios"][0]["description"] == f"Writing {number}."
            _, releases = connection.ask("GET", "/api/releases")
            assert {release["number"] for release in releases} == {str(number)}

    with MockServer(tmp_path) as server:
        seen = while_reading(server.url, check, rewrite)
    assert len(seen) > 10, "the readers saw next to none of the reloads"
