"""Run a mock under mixed load for minutes and find out whether anything goes wrong or is left over.

    python tests/benchmarks/soak.py --minutes 10 [-- OPTIONS of mockbm serve]

Threads read in every way, switch, use sessions, pinned keys and faults, reload good and bad files,
and break connections. Each answer is compared with what this file computes from the releases. At
the end there must be no wrong answer, no session, thread or file descriptor more than before, and
memory must not have grown. The exit status is 1 where something was wrong.
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
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from peers import SERVE
from processes import Server, serving
from report import progress
from workloads import API_KEY, FIRST, PATH, Filters, Release, answers, name

TIMEOUT = 20
"""Seconds that one answer may take."""

SETTLING = 10
"""Seconds after which nothing of broken connections may be left."""

GROWTH = 1.1
"""By how much the last third of the run may have more memory than the second."""

THREADS = 3
"""Threads that a server may keep for each client."""

KNOWN = {"none": [], "ten": answers(10), "forty": answers(40), "thousand": answers(1_000)}
"""Scenarios and what they answer. The file of another one, `versioned`, changes all the time."""

FAULTY: dict[str, tuple[dict[str, Any], list[str]]] = {
    "delayed": ({"delay": "50ms"}, ["releases"] * 3),
    "flaky": ({"times": 2, "respond": {"status": 503}}, ["503", "503", "releases"]),
}
for how in ("reset", "empty", "truncate", "malformed"):
    FAULTY[how] = ({"connection": how}, [how] * 3)
"""Scenarios with the releases of `ten` and a fault, and what becomes of three requests."""

PROPERTIES = {"releaseId": "id", "releaseNumber": "number"}
"""Filters that are not named as the property they select by."""


def selected(items: Sequence[Release], filters: Filters) -> list[Release]:
    """What the endpoint has to answer: a scan that shares nothing with mockbm."""
    wanted = {PROPERTIES.get(key, key): str(value).casefold() for key, value in filters.items()}
    return [
        item
        for item in items
        if all(str(item[key]).casefold() == text for key, text in wanted.items())
    ]


def some_filters() -> dict[str, Any]:
    """Filters that select many, few or none, some of them often the same."""
    choices: list[dict[str, Any]] = [
        {},
        {"status": "active"},
        {"applicationName": name(2).upper()},
        {"applicationId": 1, "status": "deployed"},
        {"releaseId": random.randrange(1, 1_200)},
        {"releaseNumber": f"1.{random.randrange(50)}.{random.randrange(7)}"},
        {"pipelineName": "Release", "applicationName": "nowhere"},
    ]
    return random.choice(choices)


def version(number: int) -> list[Release]:
    """The releases of one version of the file that changes."""
    label = f"version {number}"
    return [item | {"name": label, "releaseName": label} for item in answers(20)]


def write(directory: Path, scenario: str, items: Sequence[Release], *faults: Any) -> None:
    """Write a scenario file; JSON is YAML."""
    whole = {"releases": items} | ({"faults": faults} if faults else {})
    (directory / f"{scenario}.yaml").write_text(json.dumps(whole))


def require(truth: bool, what: object) -> None:
    """Raises: AssertionError unless it is true."""
    if not truth:
        raise AssertionError(what)


class Client:
    """One connection to the mock, reopened where it breaks."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)

    def send(
        self, method: str, target: str, headers: Mapping[str, str], body: str = ""
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """One request. Raises: OSError, HTTPException for a connection that breaks."""
        try:
            self._connection.request(method, target, body, dict(headers))
            response = self._connection.getresponse()
            return response.status, response.headers, response.read()
        except BaseException:
            self.close()
            raise

    def releases(self, key: str, filters: Filters) -> tuple[int, str, Any]:
        """Get releases in one of the three ways. Returns: status, scenario and what came."""
        form, headers = urlencode(filters), {"X-ApiKey": key}
        kinds = {form: "application/x-www-form-urlencoded", json.dumps(filters): "application/json"}
        body = random.choice(["", *kinds])
        if body:
            headers["Content-Type"] = kinds[body]
        method, target = ("POST", PATH) if body else ("GET", f"{PATH}?{form}")
        status, answered, content = self.send(method, target, headers, body)
        found = json.loads(content) if status == 200 else content
        return status, answered.get("X-Mockbm-Scenario", ""), found

    def admin(self, method: str, path: str, values: Any = None) -> Any:
        """One call of the admin API. Returns: its JSON, or the status where it fails."""
        headers = {"Content-Type": "application/json"}
        status, _, body = self.send(method, f"/__admin{path}", headers, json.dumps(values or {}))
        return status if status >= 400 else json.loads(body or b"null")

    def close(self) -> None:
        self._connection.close()


class Soak:
    """One run: the mock's port, the directory of its files, and what has been seen so far."""

    def __init__(self, port: int, directory: Path) -> None:
        self.port = port
        self.directory = directory
        self.stopping = threading.Event()
        self.done: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.written = self.loaded = 0
        """The newest version of the changing file: on disk, and loaded for certain."""

    def workers(self) -> list[threading.Thread]:
        """Threads that each repeat one thing, with a client of their own."""
        acts: list[Callable[[Client], None]] = [self.read_versioned, self.be_refused, self.switch]
        acts += [self.break_a_session, self.use_a_session, self.use_a_session, self.reload]
        acts += [self.read, self.read, self.read, self.vanish, self.vanish]
        return [
            threading.Thread(target=self._repeat, args=(act,), name=act.__name__) for act in acts
        ]

    def _repeat(self, act: Callable[[Client], None]) -> None:
        client = Client(self.port)
        while not self.stopping.is_set():
            self._once(act, client)
        client.close()

    def _once(self, act: Callable[[Client], None], client: Client) -> None:
        try:
            act(client)
            self.done[act.__name__] += 1
        except Exception as error:  # noqa: BLE001 (whatever it is, it is a finding)
            lines = traceback.format_exception_only(error)
            self.wrong.append(f"{act.__name__}: {''.join(lines).strip()[:500]}")

    def read(self, client: Client) -> None:
        """With the shared key, or a pinned one: a scenario's releases, whole and unmixed."""
        pinned, filters = random.choice(["", "", *KNOWN]), some_filters()
        key = f"{API_KEY}@{pinned}" if pinned else API_KEY
        status, scenario, found = client.releases(key, filters)
        require(status == 200 and pinned in ("", scenario), f"{status} from {scenario} for {key}")
        require(found == selected(KNOWN[scenario], filters), f"{scenario}, {filters}")

    def read_versioned(self, client: Client) -> None:
        """One version of the changing file, whole, and none from before the last reload."""
        least = self.loaded
        found = client.releases(f"{API_KEY}@versioned", {})[2]
        number = int(found[0]["name"].split()[1])
        require(least <= number <= self.written, f"{number} is not {least} to {self.written}")
        require(found == version(number), f"version {number} is mixed with another")

    def be_refused(self, client: Client) -> None:
        """Wrong keys, parameters, paths and bodies."""
        status, _, body = client.releases("wrong", {})
        require((status, body) == (403, b""), f"{status} {body!r} for a wrong key")
        status, _, body = client.releases(API_KEY, {"aplicationName": "x"})
        require(status == 400 and b"applicationName" in body, body)
        headers = {"X-ApiKey": API_KEY, "Content-Type": "application/json"}
        require(client.send("GET", "/api/release", headers)[0] == 404, "no 404 for a wrong path")
        require(client.send("POST", PATH, headers, '{"status": ')[0] == 400, "no 400 for half JSON")

    def switch(self, client: Client) -> None:
        """The shared scenario; once in a while back to the start."""
        scenario = random.choice(list(KNOWN))
        found = client.admin("PUT", "/scenario", {"name": scenario})
        require(found["name"] == scenario, found)
        if random.random() < 0.05:
            require(client.admin("POST", "/reset")["revision"] == 1, "no first revision")
        time.sleep(0.01)

    def use_a_session(self, client: Client) -> None:
        """Open, switch, set releases, read the journal, end: no other client notices."""
        with self._session(client, "ten") as (path, key):
            count = random.randrange(1, 20)
            for _ in range(count):
                scenario, filters = random.choice(list(KNOWN)), some_filters()
                client.admin("PUT", f"{path}/scenario", {"name": scenario})
                found = client.releases(key, filters)
                wanted = (200, scenario, selected(KNOWN[scenario], filters))
                require(found == wanted, f"a session in {scenario}, {filters}: {found}")
            own = {"id": 7, "number": "7", "applicationId": 1, "applicationName": key[:5]}
            client.admin("PUT", f"{path}/scenario", {"releases": [own]})
            _, _, body = client.releases(key, {"applicationName": key[:5].upper()})
            require([item["id"] for item in body] == [7], f"the releases of a session: {body}")
            journal = client.admin("GET", f"{path}/requests")["requests"]
            require(len(journal) == count + 1, f"{len(journal)} of {count + 1} in a journal")

    def break_a_session(self, client: Client) -> None:
        """A session in each scenario with a fault: three requests meet what it says."""
        scenario = random.choice(list(FAULTY))
        with self._session(client, scenario) as (_, key):
            begun = time.monotonic()
            found = [self._outcome(key) for _ in range(3)]
            require(found == FAULTY[scenario][1], f"{scenario}: {found}")
            least = 0.15 if scenario == "delayed" else 0
            require(time.monotonic() - begun >= least, "a delay was too short")

    def _outcome(self, key: str) -> str:
        """What became of one request, in a word."""
        client = Client(self.port)
        try:
            status, _, found = client.releases(key, {})
        except http.client.RemoteDisconnected:
            return "empty"
        except ConnectionResetError:
            return "reset"
        except http.client.IncompleteRead:
            return "truncate"
        except ValueError:
            return "malformed"
        finally:
            client.close()
        if status != 200:
            return str(status)
        return "releases" if found == KNOWN["ten"] else "other releases"

    def reload(self, client: Client) -> None:
        """A new version of a file; then a broken one, which must change nothing."""
        self.written += 1
        write(self.directory, "versioned", version(self.written))
        require(isinstance(client.admin("POST", "/reload"), dict), "a reload fails")
        self.loaded = self.written
        (self.directory / "versioned.yaml").write_text("releases:\n  - {id: none}\n")
        require(client.admin("POST", "/reload") == 409, "no 409 for a broken file")
        health = client.admin("GET", "/health")["status"]
        require(health == "degraded", f"after a broken file: {health}")
        write(self.directory, "versioned", version(self.written))
        self.stopping.wait(0.2)

    def vanish(self, _: Client) -> None:
        """A client that is killed: before, within or after its request."""
        whole = FIRST._replace(key=f"{API_KEY}@thousand").as_bytes()
        sent = random.choice((b"", whole[:25], whole[:-1], whole, whole * 3, b"\0nonsense\r\n\r\n"))
        with socket.create_connection(("127.0.0.1", self.port), TIMEOUT) as connection:
            if random.random() < 0.5:  # a reset instead of an orderly end
                linger = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            connection.sendall(sent)
            if random.random() < 0.3 and sent.startswith(whole):
                connection.recv(100)
        time.sleep(0.005)

    @contextmanager
    def _session(self, client: Client, scenario: str) -> Iterator[tuple[str, str]]:
        """A session in a scenario: its path and its key, which is refused afterwards."""
        opened = client.admin("POST", "/sessions", {"scenario": scenario})
        path, key = f"/sessions/{opened['id']}", opened["apiKey"]
        try:
            yield path, key
        finally:
            ended = client.admin("DELETE", path)
        require(ended is None, f"{ended} for the end of a session")
        status, _, body = client.releases(key, {})
        require((status, body) == (403, b""), f"{status} for the key of an ended session")


def weigh(server: Server) -> dict[str, float]:
    """Threads, file descriptors and megabytes of the mock."""
    of = Path(f"/proc/{server.process.pid}")
    threads, files = (len(list((of / name).iterdir())) for name in ("task", "fd"))
    return {"threads": threads, "files": files, "MB": server.resident()}


def soak(run: Soak, server: Server, seconds: float) -> list[str]:
    """Load the mock for some seconds. Returns: what was wrong."""
    before, series, workers = weigh(server), [], run.workers()
    until = time.monotonic() + seconds
    for worker in workers:
        worker.start()
    while time.monotonic() < until and server.process.poll() is None:
        time.sleep(max(0.5, seconds / 60))
        with suppress(OSError):
            series.append(weigh(server))
        progress(f"{until - time.monotonic():.0f} s to go, {len(run.wrong)} findings")
    run.stopping.set()
    for worker in workers:
        worker.join(3 * TIMEOUT)
    findings = run.wrong + [f"{one.name} does not end" for one in workers if one.is_alive()]
    if server.process.poll() is not None:
        return [*findings, f"the mock ended with {server.process.poll()}"]
    client = Client(server.port)
    client.admin("POST", "/reset")
    sessions = client.admin("GET", "/sessions")["sessions"]
    client.close()
    findings += [f"session left: {session}" for session in sessions]
    allowed = {"threads": THREADS * len(workers), "files": before["files"]}
    until = time.monotonic() + SETTLING
    while left := [one for one, most in allowed.items() if weigh(server)[one] > most]:
        if time.monotonic() > until:
            findings += [f"more {one} than {allowed[one]:.0f} are left" for one in left]
            break
        time.sleep(0.2)
    print(f"\ndone: {dict(run.done)}\nbefore: {before}\nafter: {weigh(server)}")
    memory = [row["MB"] for row in series]
    print(f"MB: {' '.join(f'{number:.0f}' for number in memory)}")
    third = len(memory) // 3
    if third < 3 or sum(memory[-third:]) > GROWTH * sum(memory[third : 2 * third]):
        findings.append("memory grew, or the run was too short to tell")
    return findings


def main() -> None:
    parser = argparse.ArgumentParser(prog="soak.py", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("options", nargs="*", help="of mockbm serve, after --")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary) / "scenarios"
        directory.mkdir()
        for scenario, items in {**KNOWN, "versioned": version(0)}.items():
            write(directory, scenario, items)
        for scenario, (fault, _) in FAULTY.items():
            write(directory, scenario, KNOWN["ten"], fault)
        command = [*SERVE, "off", "--scenario", "ten", *options.options, "scenarios"]
        with serving(command, Path(temporary)) as server:
            server.first_answer(FIRST)
            time.sleep(1)  # the first answer may come before the last steps of the start
            findings = soak(Soak(server.port, directory), server, options.minutes * 60)
        printed = (Path(temporary) / "output").read_text().splitlines()
    findings += [line for line in printed if not line.startswith("mockbm ")]
    for finding in findings[:40]:
        print(f"WRONG: {finding}")
    print(f"{len(findings)} findings" if findings else "nothing wrong")
    sys.exit(bool(findings))


if __name__ == "__main__":
    main()
