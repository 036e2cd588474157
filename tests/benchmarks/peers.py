"""mockbm and the servers that it is compared with: how each is set up to be as fast as it can.

Each function writes what its server needs into an empty directory. Returns: the command, or None
where the server is not installed; `install_peers.py` installs them.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from processes import installed
from workloads import APPLICATIONS, PATH, QUERIED, answers, name, releases, write_yaml

CACHE = Path(os.environ.get("MOCKBM_BENCHMARKS", Path.home() / ".cache" / "mockbm-benchmarks"))
NODE = CACHE / "node" / "node_modules"
JSON = "application/json; charset=utf-8"

Prepare = Callable[[Path, int], Sequence[str] | None]
"""Takes the directory and the port, which is 0 for mockbm."""

SERVE = (
    *(str(Path(sys.executable).with_name("mockbm")), "serve"),
    *("--port", "0", "--port-file", "port", "--log"),
)
"""`mockbm serve`, up to what its log is."""

ALL = answers(2 * APPLICATIONS)


def two(application: int = 0) -> str:
    """The answer with the two releases of an application."""
    items = [item for item in ALL if item["applicationId"] == application]
    return json.dumps(items, separators=(",", ":"))


def mockbm(log: str) -> Prepare:
    def prepare(directory: Path, _port: int) -> Sequence[str]:
        (directory / "scenarios").mkdir()
        write_yaml(directory / "scenarios" / "large.yaml", releases(2 * APPLICATIONS))
        return [*SERVE, log, "scenarios"]

    return prepare


def nginx(directory: Path, port: int) -> Sequence[str] | None:
    """nginx with one file, which is the answer to everything."""
    if not installed("nginx"):
        return None
    file = directory / "www" / PATH.lstrip("/")
    file.parent.mkdir(parents=True)
    file.write_text(two())
    folders = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"  {name}_temp_path {directory}/{name};\n" for name in folders)
    # A worker that gave up being root could not read our directory.
    user = "user root;" if os.geteuid() == 0 else ""
    (directory / "nginx.conf").write_text(
        f"daemon off;\n{user}\nworker_processes 1;\npid {directory}/nginx.pid;\n"
        f"error_log {directory}/error.log;\nevents {{}}\nhttp {{\n{temporary}"
        f'  access_log off;\n  default_type "{JSON}";\n  keepalive_requests 1000000000;\n'
        f"  open_file_cache max=10;\n  server {{\n    listen 127.0.0.1:{port};\n"
        # A static file refuses POST; this answers it with the file all the same.
        f"    root {directory}/www;\n    error_page 405 =200 $uri;\n  }}\n}}\n"
    )
    return ["nginx", "-p", str(directory), "-c", str(directory / "nginx.conf")]


def wiremock(stubs: Callable[[], list[dict[str, Any]]], *options: str) -> Prepare:
    def prepare(directory: Path, port: int) -> Sequence[str] | None:
        jars = sorted((NODE / "wiremock" / "build").glob("wiremock-standalone-*.jar"))
        if not jars or not installed("java"):
            return None
        (directory / "mappings").mkdir()
        file = directory / "mappings" / "releases.json"
        file.write_text(json.dumps({"mappings": stubs()}))
        command = ["java", "-jar", str(jars[-1]), "--port", str(port)]
        command += ["--bind-address", "127.0.0.1", "--disable-request-logging"]
        return [*command, "--disable-banner", "--disable-gzip", *options]

    return prepare


def _stub(body: str, status: int = 200, priority: int = 5, **request: Any) -> dict[str, Any]:
    response = {"status": status, "body": body, "headers": {"Content-Type": JSON}}
    request = {"method": "ANY", "urlPath": PATH, **request}
    return {"priority": priority, "request": request, "response": response}


def fixed() -> list[dict[str, Any]]:
    """One stub, which answers everything."""
    return [_stub(two())]


def filtering() -> list[dict[str, Any]]:
    """A stub for each application that requests name, once for a query and once for a body."""
    found = []
    for application in range(QUERIED):
        equal = {"equalTo": name(application), "caseInsensitive": True}
        query = {"applicationName": equal}
        body = {"matchesJsonPath": {"expression": "$.applicationName", **equal}}
        found.append(_stub(two(application), method="GET", queryParameters=query))
        found.append(_stub(two(application), method="POST", bodyPatterns=[body]))
    return found


def refusing() -> list[dict[str, Any]]:
    """The same, with stubs for a wrong key and for an unknown parameter."""
    key = {"X-ApiKey": {"matches": "wrong-.*"}}
    query = {"aplicationName": {"matches": ".*"}}
    body = {"contains": '"aplicationName"'}
    return [
        _stub("", 403, 1, headers=key),
        _stub("unknown", 400, 2, method="GET", queryParameters=query),
        _stub("unknown", 400, 2, method="POST", bodyPatterns=[body]),
        *filtering(),
    ]


def json_server(directory: Path, port: int) -> Sequence[str] | None:
    program = NODE / ".bin" / "json-server"
    if not program.exists():
        return None
    (directory / "db.json").write_text(json.dumps({"releases": ALL}))
    return [str(program), "--host", "127.0.0.1", "--port", str(port), "db.json"]
