"""Let a mock run under mixed load, and find out whether anything goes wrong or is left behind.

    python tests/benchmarks/soak.py --minutes 10 [-- OPTIONS of mockbm serve]

Starts `mockbm serve` on scenario files of its own and asks it from many threads at a time: readers
of every kind, switches, sessions, pinned keys, faults, good and bad reloads, and clients that
vanish. Every answer is compared with what this file knows of the scenarios by itself. At the end
there must be no wrong answer, no session, thread or file descriptor more than before, and memory
must have been flat. Prints what was seen; the exit status is 1 where something was wrong.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import socket
import struct
import sys
import tempfile
import threading
import time
import traceback
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from answers import API_KEY, releases
from processes import first_answer, free_port, resident, running
from servers import MOCKBM, PATH, POST

Release = dict[str, Any]

FILTERS = {
    "applicationId": "applicationId",
    "applicationName": "applicationName",
    "releaseId": "id",
    "releaseNumber": "number",
    "pipelineName": "pipelineName",
    "status": "status",
}
"""Each filter and the property that it selects by."""

TIMEOUT = 20
"""Seconds that one answer may take; more is a wrong answer."""

SETTLING = 10.0
"""Seconds in which what killed clients left must be gone."""

GROWTH = 1.1
"""How much more memory or threads there may be in the last third of the run than in the second."""

POOL = 3
"""Threads for each client that a server may keep for later."""

VERSIONED = "versioned"
"""The scenario whose file is written anew all the time."""


def known(count: int) -> list[Release]:
    """Releases as they are answered, the older names of some properties included."""
    return [
        item | {"releaseName": item["name"], "releaseNumber": item["number"]}
        for item in releases(count)
    ]


KNOWN: dict[str, list[Release]] = {
    "none": [],
    "ten": known(10),
    "forty": known(40),
    "thousand": known(1_000),
}
"""What the scenarios that do not change answer."""

FAULTY: dict[str, list[dict[str, Any]]] = {
    "reset": [{"connection": "reset"}],
    "empty": [{"connection": "empty"}],
    "truncate": [{"connection": "truncate"}],
    "malformed": [{"connection": "malformed"}],
    "delayed": [{"delay": "50ms"}],
    "flaky": [{"times": 2, "respond": {"status": 503, "body": "later"}}],
}
"""Scenarios with the releases of `ten` and these faults."""


def selected(items: Sequence[Release], filters: Mapping[str, Any]) -> list[Release]:
    """What the endpoint has to answer: a plain scan, which shares nothing with mockbm."""
    wanted = {FILTERS[name]: str(value).casefold() for name, value in filters.items()}
    return [
        item
        for item in items
        if all(str(item.get(name, "")).casefold() == text for name, text in wanted.items())
    ]


def version(number: int) -> list[Release]:
    """The releases of `VERSIONED` in one version of its file."""
    name = f"version {number}"
    return [item | {"name": name, "releaseName": name} for item in known(20)]


class Wrong(Exception):  # noqa: N818 (it reads as what it says)
    """An answer that is not what it has to be."""


class Client:
    """One kept connection to the mock."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)

    def ask(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """One request. Raises: OSError, HTTPException for a connection that breaks."""
        try:
            self._connection.request(method, target, body, dict(headers))
            response = self._connection.getresponse()
            return response.status, response.headers, response.read()
        except BaseException:
            self._connection.close()
            raise

    def releases(
        self, key: str, filters: Mapping[str, Any], how: str = "GET"
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """Ask for releases in one of the ways in which filters may come."""
        headers = {"X-ApiKey": key}
        if how == "GET":
            return self.ask("GET", f"{PATH}?{urllib.parse.urlencode(filters)}", headers)
        if how == "form":
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            return self.ask("POST", PATH, headers, urllib.parse.urlencode(filters).encode())
        headers["Content-Type"] = "application/json"
        return self.ask("POST", PATH, headers, json.dumps(filters).encode())

    def admin(self, method: str, path: str, values: Any = None) -> tuple[int, Any]:
        """One call of the admin API. Returns: the status, and the answer's JSON."""
        headers = {} if values is None else {"Content-Type": "application/json"}
        body = None if values is None else json.dumps(values).encode()
        status, _, answer = self.ask(method, f"/__admin{path}", headers, body)
        return status, json.loads(answer) if answer else None

    def close(self) -> None:
        self._connection.close()


def require(truth: bool, what: str) -> None:
    """Raises: Wrong unless it is true."""
    if not truth:
        raise Wrong(what)


class Soak:
    """One run: the mock's port, the directory of its files, and what has been seen so far."""

    def __init__(self, port: int, directory: Path) -> None:
        self.port = port
        self.directory = directory
        self.stopping = threading.Event()
        self.done: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.written = 0
        """The newest version of `VERSIONED` that is in its file."""
        self.loaded = 0
        """The newest version that a reload has taken for certain."""

    def workers(self) -> list[threading.Thread]:
        """Threads that each do one thing again and again, with a client of their own."""
        acts: list[tuple[Callable[[Client], None], int]] = [
            (self.read, 3),
            (self.read_pinned, 1),
            (self.read_versioned, 1),
            (self.be_refused, 1),
            (self.switch, 1),
            (self.use_a_session, 2),
            (self.break_a_session, 1),
            (self.reload, 1),
            (self.vanish, 2),
        ]
        return [
            threading.Thread(target=self._repeat, args=(act, number), name=act.__name__)
            for act, count in acts
            for number in range(count)
        ]

    def _repeat(self, act: Callable[[Client], None], number: int) -> None:
        random.seed(f"{act.__name__}{number}")
        client = Client(self.port)
        while not self.stopping.is_set():
            self._once(act, client)
        client.close()

    def _once(self, act: Callable[[Client], None], client: Client) -> None:
        try:
            act(client)
            self.done[act.__name__] += 1
        except Exception as error:  # noqa: BLE001 (whatever it is, it is a finding)
            self.wrong.append(f"{act.__name__}: {_told(error)}")

    def read(self, client: Client) -> None:
        """With the shared key: the scenario that the answer names, whole and unmixed."""
        filters, how = some_filters(), random.choice(("GET", "form", "JSON"))
        status, headers, body = client.releases(API_KEY, filters, how)
        scenario = headers["X-Mockbm-Scenario"]
        require(status == 200, f"{status} for {filters} in {scenario}: {body[:200]!r}")
        require_equal(body, KNOWN[scenario], filters, f"{how} in {scenario}")

    def read_pinned(self, client: Client) -> None:
        """With a pinned key: that scenario, whatever is active."""
        scenario, filters = random.choice(list(KNOWN)), some_filters()
        status, headers, body = client.releases(f"{API_KEY}@{scenario}", filters)
        require(status == 200, f"{status} for a key pinned to {scenario}")
        require(headers["X-Mockbm-Scenario"] == scenario, f"not pinned to {scenario}")
        require_equal(body, KNOWN[scenario], filters, f"pinned to {scenario}")

    def read_versioned(self, client: Client) -> None:
        """One version of a changing file, whole, and none from before the last reload."""
        least = self.loaded
        _, _, body = client.releases(f"{API_KEY}@{VERSIONED}", {})
        found = {item["name"] for item in json.loads(body)}
        require(len(found) == 1, f"an answer mixes {found}")
        number = int(found.pop().split()[1])
        require(least <= number <= self.written, f"{number} is not {least} to {self.written}")
        require_equal(body, version(number), {}, f"version {number}")

    def be_refused(self, client: Client) -> None:
        """Bad keys, parameters, paths and bodies."""
        status, _, body = client.releases("wrong", {})
        require((status, body) == (403, b""), f"{status} {body!r} for a wrong key")
        status, _, body = client.releases(API_KEY, {"aplicationName": "x"})
        require(status == 400 and b"applicationName" in body, f"{status} for a misspelt name")
        status, _, _ = client.ask("GET", "/api/release", {"X-ApiKey": API_KEY})
        require(status == 404, f"{status} for a wrong path")
        json_ = {"X-ApiKey": API_KEY, "Content-Type": "application/json"}
        status, _, _ = client.ask("POST", PATH, json_, b'{"status": ')
        require(status == 400, f"{status} for half of a JSON body")

    def switch(self, client: Client) -> None:
        """The shared scenario; once in a while back to the start."""
        scenario = random.choice(list(KNOWN))
        status, found = client.admin("PUT", "/scenario", {"name": scenario})
        require(status == 200 and found["name"] == scenario, f"{status} for a switch")
        if random.random() < 0.05:
            status, found = client.admin("POST", "/reset")
            require(status == 200 and found["revision"] == 1, f"{status} for a reset: {found}")
        time.sleep(0.01)

    def use_a_session(self, client: Client) -> None:
        """Open, switch, give releases, read the journal, end: no one else is noticed."""
        with self._session(client, random.choice(list(KNOWN))) as (path, key):
            asked = 0
            for _ in range(random.randrange(1, 8)):
                scenario = random.choice(list(KNOWN))
                client.admin("PUT", f"{path}/scenario", {"name": scenario})
                for _ in range(3):
                    filters = some_filters()
                    status, headers, body = client.releases(key, filters)
                    asked += 1
                    require(status == 200, f"{status} in a session")
                    require(headers["X-Mockbm-Scenario"] == scenario, "a session did not switch")
                    require_equal(body, KNOWN[scenario], filters, f"a session in {scenario}")
            own = [{"id": 7, "number": "7", "applicationId": 1, "applicationName": key[:5]}]
            status, _ = client.admin("PUT", f"{path}/scenario", {"releases": own})
            require(status == 200, f"{status} for releases of a session's own")
            _, _, body = client.releases(key, {"applicationName": key[:5].upper()})
            require([item["id"] for item in json.loads(body)] == [7], "a session's own releases")
            _, journal = client.admin("GET", f"{path}/requests")
            count = len(journal["requests"])
            require(count == asked + 1, f"a session asked {asked + 1} times and has {count}")

    def break_a_session(self, client: Client) -> None:
        """A session in each scenario with faults: each does what it says, in order."""
        scenario = random.choice(list(FAULTY))
        with self._session(client, scenario) as (_, key):
            begun = time.monotonic()
            answers = [self._outcome(key) for _ in range(3)]
            least = 0.15 if scenario == "delayed" else 0
            require(time.monotonic() - begun >= least, "a delay was too short")
        expected = {
            "reset": ["reset"] * 3,
            "empty": ["empty"] * 3,
            "truncate": ["truncated"] * 3,
            "malformed": ["malformed"] * 3,
            "delayed": ["releases"] * 3,
            "flaky": ["503", "503", "releases"],
        }[scenario]
        require(answers == expected, f"{scenario}: {answers}")

    def _outcome(self, key: str) -> str:
        """What became of one request, in a word."""
        client = Client(self.port)
        try:
            status, _, body = client.releases(key, {})
        except http.client.RemoteDisconnected:
            return "empty"
        except ConnectionResetError:
            return "reset"
        except http.client.IncompleteRead:
            return "truncated"
        finally:
            client.close()
        if status != 200:
            return str(status)
        try:
            return "releases" if json.loads(body) == KNOWN["ten"] else "other releases"
        except ValueError:
            return "malformed"

    def reload(self, client: Client) -> None:
        """A new version of a file; then a broken one, which must change nothing."""
        self.written += 1
        write_scenario(self.directory, VERSIONED, version(self.written))
        status, found = client.admin("POST", "/reload")
        require(status == 200, f"{status} for a reload: {found}")
        self.loaded = self.written
        file = self.directory / f"{VERSIONED}.yaml"
        file.write_text("releases:\n  - {id: none}\n")
        status, found = client.admin("POST", "/reload")
        require(status == 409 and found["problems"], f"{status} for a broken file")
        _, health = client.admin("GET", "/health")
        require(health["status"] == "degraded", f"after a broken file: {health}")
        write_scenario(self.directory, VERSIONED, version(self.written))
        self.stopping.wait(0.2)

    def vanish(self, _: Client) -> None:
        """A client that is killed: before, within or after its request."""
        whole = (
            f"POST {PATH} HTTP/1.1\r\nHost: mock\r\nX-ApiKey: {API_KEY}@thousand\r\n"
            "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
        ).encode()
        sent = random.choice((b"", whole[:25], whole[:-1], whole, whole * 3, b"\0nonsense\r\n\r\n"))
        with socket.create_connection(("127.0.0.1", self.port), TIMEOUT) as connection:
            if random.random() < 0.5:  # a reset instead of the usual farewell
                linger = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            connection.sendall(sent)
            if random.random() < 0.3 and sent.startswith(whole):
                connection.recv(100)
        time.sleep(0.005)

    @contextmanager
    def _session(self, client: Client, scenario: str) -> Iterator[tuple[str, str]]:
        """A session in a scenario: its path and its key, which is refused afterwards."""
        status, opened = client.admin("POST", "/sessions", {"scenario": scenario})
        require(status == 201, f"{status} for a session")
        path, key = f"/sessions/{opened['id']}", opened["apiKey"]
        try:
            yield path, key
        finally:
            status, _ = client.admin("DELETE", path)
        require(status == 204, f"{status} for the end of a session")
        status, _, body = client.releases(key, {})
        require((status, body) == (403, b""), f"{status} for the key of an ended session")


def _told(error: Exception) -> str:
    if isinstance(error, Wrong):
        return str(error)
    return "".join(traceback.format_exception_only(error)).strip()


def some_filters() -> dict[str, Any]:
    """Filters that select many, few or none; and again and again the same."""
    choices: list[dict[str, Any]] = [
        {},
        {"status": "active"},
        {"applicationName": "application 2"},
        {"applicationId": 1, "status": "deployed"},
        {"releaseId": random.randrange(1, 1_200)},
        {"releaseNumber": f"1.{random.randrange(50)}.{random.randrange(7)}"},
        {"pipelineName": "Release", "applicationName": "nowhere"},
    ]
    return random.choice(choices)


def require_equal(
    body: bytes, items: Sequence[Release], filters: Mapping[str, Any], where: str
) -> None:
    """Raises: Wrong unless the body has exactly the releases that these filters select."""
    found, expected = json.loads(body), selected(items, filters)
    if found != expected:
        raise Wrong(f"{where}, {filters}: {len(found)} releases where {len(expected)} belong")


def write_scenario(
    directory: Path, name: str, items: Sequence[Release], faults: Sequence[Any] = ()
) -> None:
    """Write a scenario file. JSON is YAML."""
    whole = {"releases": items} | ({"faults": faults} if faults else {})
    (directory / f"{name}.yaml").write_text(json.dumps(whole))


def weighed(pid: int) -> dict[str, float]:
    """Threads, file descriptors and megabytes of a process."""
    return {
        "threads": len(list(Path(f"/proc/{pid}/task").iterdir())),
        "files": len(list(Path(f"/proc/{pid}/fd").iterdir())),
        "MB": resident(pid),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="soak.py", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("options", nargs="*", help="of mockbm serve, after --")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary) / "scenarios"
        directory.mkdir()
        for name, items in KNOWN.items():
            write_scenario(directory, name, items)
        for name, faults in FAULTY.items():
            write_scenario(directory, name, KNOWN["ten"], faults)
        write_scenario(directory, VERSIONED, version(0))
        port = free_port()
        command = [MOCKBM, "serve", str(directory), "--scenario", "ten", "--port", str(port)]
        with running([*command, "--log", "off", *given.options], Path(temporary)) as process:
            first_answer(process, port, POST)
            time.sleep(1)  # the first answer may come before the last steps of the start
            findings = soak(Soak(port, directory), process.pid, given.minutes * 60)
            if process.poll() is not None:
                findings.append(f"the mock ended: {process.poll()}")
        printed = (Path(temporary) / "output").read_text().splitlines()
        begun = ("mockbm listening on ", "mockbm page: ")
        findings += [line for line in printed if not line.startswith(begun)]
    for finding in findings[:40]:
        print(f"WRONG: {finding}")
    print(f"{len(findings)} findings" if findings else "nothing wrong")
    sys.exit(bool(findings))


def soak(run: Soak, pid: int, seconds: float) -> list[str]:
    """Load the mock for some seconds. Returns: what was wrong."""
    before, series = weighed(pid), []
    workers = run.workers()
    begun = time.monotonic()
    for worker in workers:
        worker.start()
    while time.monotonic() < begun + seconds and Path(f"/proc/{pid}/fd").exists():
        time.sleep(max(0.5, seconds / 60))
        with suppress(OSError):
            series.append(weighed(pid))
    run.stopping.set()
    for worker in workers:
        worker.join(3 * TIMEOUT)
    findings = list(run.wrong)
    findings += [f"{worker.name} does not end" for worker in workers if worker.is_alive()]
    print(f"{seconds / 60:g} minutes; done: {_shown(run.done)}")
    print(f"before: {_shown(before)}")
    for name in ("MB", "threads", "files"):
        print(f"{name}: {' '.join(f'{row[name]:.0f}' for row in series)}")
    with suppress(OSError):
        findings += left_behind(run, pid, {**before, "threads": POOL * len(workers)})
    for name in ("MB", "threads"):
        findings += grown(name, [row[name] for row in series])
    return findings


def left_behind(run: Soak, pid: int, allowed: Mapping[str, float]) -> list[str]:
    """Sessions that are there after the load, and threads and file descriptors beyond these."""
    client = Client(run.port)
    client.admin("POST", "/reset")
    _, found = client.admin("GET", "/sessions")
    client.close()
    until = time.monotonic() + SETTLING
    while time.monotonic() < until:
        after = weighed(pid)
        left = [name for name in ("threads", "files") if after[name] > allowed[name]]
        if not left:
            break
        time.sleep(0.2)
    print(f"after: {_shown(after)}, sessions {len(found['sessions'])}")
    findings = [f"{name}: {after[name]:.0f}, where {allowed[name]:.0f} may be" for name in left]
    return findings + [f"session left: {item}" for item in found["sessions"]]


def _shown(weight: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.0f}" for name, value in weight.items())


def grown(name: str, series: Sequence[float]) -> list[str]:
    """Whether something went on growing after the first third of the run."""
    third = len(series) // 3
    if third < 3:
        return [f"the run was too short to tell whether {name} grows"]
    middle, last = (sum(part) / third for part in (series[third : 2 * third], series[-third:]))
    return [f"{name} grew from {middle:.1f} to {last:.1f}"] if last > middle * GROWTH else []


if __name__ == "__main__":
    main()
