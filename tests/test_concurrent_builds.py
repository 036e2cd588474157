"""Clients that create builds of one release at once: none is lost, and no number is used twice."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from threading import Barrier
from typing import Any
from urllib.parse import urlsplit

import pytest
from commands import BIN, free_port, running
from redis_server import RedisServer

from mockbm import AdminClient, MockServer
from mockbm.client import RemoteSession

CLIENTS = 8
EACH = 50
"""Builds that each client creates."""


def create(url: str, key: str, barrier: Barrier, **values: str) -> list[tuple[int, Any]]:
    """What one client gets for its builds, each over a connection of its own."""
    found = []
    body = json.dumps({"releaseId": 4, **values})
    headers = {"X-ApiKey": key, "Content-Type": "application/json"}
    barrier.wait(20)
    for _ in range(EACH):
        connection = HTTPConnection(urlsplit(url).netloc, timeout=30)
        connection.request("POST", "/api/releases/builds/create", body, headers)
        answer = connection.getresponse()
        content = answer.read()
        found.append((answer.status, json.loads(content) if answer.status == 200 else content))
        connection.close()
    return found


def at_once(url: str, key: str, **values: str) -> list[tuple[int, Any]]:
    """What all clients get."""
    barrier = Barrier(CLIENTS)
    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(create, url, key, barrier, **values) for _ in range(CLIENTS)]
        return [answer for client in clients for answer in client.result()]


def check(url: str, session: RemoteSession) -> None:
    """Fail unless every build has an id and a number of its own, and is in the list."""
    before = session.state()["builds"]
    answers = at_once(url, session.api_key)
    assert {status for status, _ in answers} == {200}
    builds = [build for _, build in answers]
    last = max(int(build["number"]) for build in before if build["releaseId"] == 4)
    numbers = sorted(int(build["number"]) for build in builds)
    assert numbers == [*range(last + 1, last + 1 + CLIENTS * EACH)]
    ids = sorted(build["id"] for build in builds)
    assert ids == [*range(ids[0], ids[0] + CLIENTS * EACH)]
    state = session.state()
    listed = {build["id"]: build for build in state["builds"]}
    assert {build["id"]: build for build in [*before, *builds]} == listed
    release = next(row for row in state["releases"] if row["id"] == 4)
    assert (release["latestBuildId"], release["latestBuildNumber"]) == (ids[-1], str(numbers[-1]))
    entries = session.requests(status=200)
    assert [entry.number for entry in entries] == [*range(1, CLIENTS * EACH + 1)]


def check_one_number(url: str, session: RemoteSession) -> None:
    """Fail unless exactly one client gets a number that all of them want."""
    answers = at_once(url, session.api_key, buildNumber="777")
    statuses = sorted(status for status, _ in answers)
    assert statuses == [200, *[400] * (CLIENTS * EACH - 1)]
    texts = {content for status, content in answers if status == 400}
    assert texts == {b"buildNumber: '777' is there already\n"}
    numbers = [build["number"] for build in session.state()["builds"]]
    assert numbers.count("777") == 1


def test_in_one_process() -> None:
    """One server with threads: 400 builds have 400 numbers, and one number is one client's."""
    with MockServer() as server:
        admin = AdminClient(server.url)
        check(server.url, admin.open_session("documented"))
        check_one_number(server.url, admin.open_session("documented"))


@pytest.mark.skipif(sys.platform == "win32", reason="gunicorn does not run here")
def test_in_four_processes_with_redis(tmp_path: Path) -> None:
    """Four workers that share their state in Redis do the same."""
    redis = RedisServer(tmp_path, keeps=False)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = (str(BIN / "gunicorn"), "--workers=4", f"--bind=127.0.0.1:{port}", "wsgi:app")
    try:
        with running(*command, url=url, MOCKBM_STATE=redis.url) as admin:
            check(url, admin.open_session("documented"))
            check_one_number(url, admin.open_session("documented"))
    finally:
        redis.kill()
