"""mockbm and its peers, each set up to give the same two releases as fast as it can.

A peer gives one fixed answer and need not look at the filter, which is to its advantage. What is
not installed is left out; `install_peers.py` installs what npm and PyPI have.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from answers import API_KEY, TWO_ACTIVE
from processes import Request, free_port, installed

CACHE = Path(os.environ.get("MOCKBM_BENCHMARKS", Path.home() / ".cache" / "mockbm-benchmarks"))
"""Where `install_peers.py` has put the peers."""

PATH = "/api/releases"
FILTER = '{"status": "active"}'
POST = Request("POST", PATH, {"X-ApiKey": API_KEY, "Content-Type": "application/json"}, FILTER)
JSON = "application/json; charset=utf-8"
MOCKBM = str(Path(sys.executable).with_name("mockbm"))


class Started(NamedTuple):
    """How a server is started, and what it is asked."""

    command: Sequence[str]
    request: Request = POST
    environ: Mapping[str, str] = {}


class Server(NamedTuple):
    """One row of the table.

    prepare: writes what the server needs into an empty directory; takes it, the port and the
        answer as text. Returns: how to start it, or None where it is not installed.
    kind: mockbm, node, java, python or c; what a goal compares it with.
    """

    name: str
    prepare: Callable[[Path, int, str], Started | None]
    kind: str


def mockbm(server: str, *options: str) -> Callable[[Path, int, str], Started | None]:
    """`mockbm serve` on one of its servers, with these options."""

    def prepare(directory: Path, port: int, _answer: str) -> Started | None:
        if find_spec(server) is None:
            return None
        scenarios = directory / "scenarios"
        scenarios.mkdir()
        (scenarios / "two-active.yaml").write_text(TWO_ACTIVE)
        command = [MOCKBM, "serve", "scenarios", "--port", str(port), "--server", server, *options]
        return Started(command)

    return prepare


def nginx(directory: Path, port: int, answer: str) -> Started | None:
    if not installed("nginx"):
        return None
    file = directory / "www" / PATH.lstrip("/")
    file.parent.mkdir(parents=True)
    file.write_text(answer)
    folders = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"  {name}_temp_path {directory}/{name};\n" for name in folders)
    # As root, it would give up being root, and may not look into our directory then.
    user = "user root;" if os.geteuid() == 0 else ""
    (directory / "nginx.conf").write_text(
        f"daemon off;\n{user}\nworker_processes 1;\npid {directory}/nginx.pid;\n"
        f"error_log {directory}/error.log;\nevents {{}}\nhttp {{\n{temporary}"
        f'  access_log off;\n  default_type "{JSON}";\n  keepalive_requests 1000000000;\n'
        f"  open_file_cache max=10;\n  server {{\n    listen 127.0.0.1:{port};\n"
        f"    root {directory}/www;\n"
        # A static file refuses POST; this answers it with the file all the same.
        "    error_page 405 =200 $uri;\n  }\n}\n"
    )
    return Started(["nginx", "-p", str(directory), "-c", str(directory / "nginx.conf")])


def wiremock(*options: str) -> Callable[[Path, int, str], Started | None]:
    def prepare(directory: Path, port: int, answer: str) -> Started | None:
        jar = _jar("wiremock", "build/wiremock-standalone-*.jar")
        if jar is None:
            return None
        (directory / "mappings").mkdir()
        response = {"status": 200, "body": answer, "headers": {"Content-Type": JSON}}
        stub = {"request": {"method": "POST", "urlPath": PATH}, "response": response}
        (directory / "mappings" / "releases.json").write_text(json.dumps(stub))
        command = ["java", "-jar", str(jar), "--port", str(port), "--bind-address", "127.0.0.1"]
        command += ["--disable-request-logging", "--disable-banner", "--disable-gzip", *options]
        return Started(command)

    return prepare


def mockserver(directory: Path, port: int, answer: str) -> Started | None:
    jar = _jar("mockserver-node", "mockserver-netty-*-jar-with-dependencies.jar")
    if jar is None:
        return None
    response = {"statusCode": 200, "headers": {"Content-Type": [JSON]}, "body": answer}
    expectation = {"httpRequest": {"method": "POST", "path": PATH}, "httpResponse": response}
    start = directory / "expectations.json"
    start.write_text(json.dumps([expectation]))
    options = [f"-Dmockserver.initializationJsonPath={start}", "-Dmockserver.disableSystemOut=true"]
    command = ["java", *options, "-jar", str(jar), "-serverPort", str(port), "-logLevel", "ERROR"]
    return Started(command)


def mountebank(directory: Path, port: int, answer: str) -> Started | None:
    program = _program("mb")
    if program is None:
        return None
    # Without this header, it ends the connection with each answer.
    headers = {"Content-Type": JSON, "Connection": "keep-alive"}
    stub = {"responses": [{"is": {"statusCode": 200, "headers": headers, "body": answer}}]}
    imposter = {"protocol": "http", "port": port, "host": "127.0.0.1", "stubs": [stub]}
    (directory / "imposters.json").write_text(json.dumps({"imposters": [imposter]}))
    command = [program, "start", "--configfile", "imposters.json", "--noParse", "--nologfile"]
    command += ["--loglevel", "error", "--localOnly", "--port", str(free_port())]
    return Started(command)


def json_server(directory: Path, port: int, answer: str) -> Started | None:
    """json-server takes a POST for a new release, so it is asked with GET."""
    program = _program("json-server")
    if program is None:
        return None
    (directory / "db.json").write_text(json.dumps({"releases": json.loads(answer)}))
    command = [program, "--host", "127.0.0.1", "--port", str(port), "db.json"]
    return Started(command, Request("GET", "/releases?status=active", {}))


def prism(directory: Path, port: int, answer: str) -> Started | None:
    program = _program("prism")
    if program is None:
        return None
    content = {"application/json": {"schema": {"type": "array"}, "example": json.loads(answer)}}
    filters = {"content": {"application/json": {"schema": {"type": "object"}}}}
    responses = {"200": {"description": "the releases", "content": content}}
    operation = {"requestBody": filters, "responses": responses}
    about = {"title": "Get Releases", "version": "1"}
    document = {"openapi": "3.0.3", "info": about, "paths": {PATH: {"post": operation}}}
    (directory / "openapi.json").write_text(json.dumps(document))
    return Started([program, "mock", "-p", str(port), "-v", "silent", "openapi.json"])


def mockoon(directory: Path, port: int, answer: str) -> Started | None:
    program = _program("mockoon-cli")
    if program is None:
        return None
    response: dict[str, Any] = {
        "uuid": "00000000-0000-4000-8000-000000000001",
        "statusCode": 200,
        "headers": [{"key": "Content-Type", "value": JSON}],
        "bodyType": "INLINE",
        "body": answer,
        "disableTemplating": True,
        "default": True,
    }
    route = {
        "uuid": "00000000-0000-4000-8000-000000000002",
        "type": "http",
        "method": "post",
        "endpoint": PATH.lstrip("/"),
        "responses": [response],
    }
    environment = {
        "uuid": "00000000-0000-4000-8000-000000000003",
        "lastMigration": 33,
        "name": "releases",
        "port": port,
        "hostname": "127.0.0.1",
        "routes": [route],
        "rootChildren": [{"type": "route", "uuid": route["uuid"]}],
    }
    (directory / "environment.json").write_text(json.dumps(environment))
    command = [program, "start", "-d", "environment.json", "--repair", "--disable-log-to-file"]
    return Started([*command, "--disable-admin-api", "--max-transaction-logs", "1"])


def pytest_httpserver(directory: Path, port: int, answer: str) -> Started | None:
    if find_spec("pytest_httpserver") is None:
        return None
    script = directory / "serve.py"
    script.write_text(
        "import logging, signal\nfrom pytest_httpserver import HTTPServer\n"
        "logging.getLogger('werkzeug').setLevel(logging.ERROR)\n"
        f"server = HTTPServer(port={port})\n"
        f"expected = server.expect_request({PATH!r}, method='POST')\n"
        f"expected.respond_with_data({answer!r}, content_type={JSON!r})\n"
        "server.start()\nsignal.pause()\n"
    )
    return Started([sys.executable, str(script)])


def _jar(package: str, pattern: str) -> Path | None:
    found = sorted((CACHE / "node" / "node_modules" / package).glob(pattern))
    return found[-1] if found and installed("java") else None


def _program(name: str) -> str | None:
    path = CACHE / "node" / "node_modules" / ".bin" / name
    return str(path) if path.exists() else None


NGINX = "nginx, a file"
DEFAULT = "mockbm"
FAST = "mockbm[fast]"
WIREMOCK = "WireMock"
WIREMOCK_WITHOUT = "WireMock, no journal"
PYTEST_HTTPSERVER = "pytest-httpserver"

SERVERS = (
    Server(NGINX, nginx, "c"),
    Server(DEFAULT, mockbm("waitress", "--log", "off"), "mockbm"),
    Server("mockbm, with its log", mockbm("waitress"), "mockbm"),
    Server("mockbm, no memory", mockbm("waitress", "--log", "off", "--no-remember"), "mockbm"),
    Server(FAST, mockbm("uvicorn", "--log", "off"), "mockbm"),
    Server("mockbm[fast], with its log", mockbm("uvicorn"), "mockbm"),
    Server("mockbm[fast], no memory", mockbm("uvicorn", "--log", "off", "--no-remember"), "mockbm"),
    Server(WIREMOCK_WITHOUT, wiremock("--no-request-journal"), "java"),
    Server(WIREMOCK, wiremock(), "java"),
    Server("MockServer", mockserver, "java"),
    Server("mountebank", mountebank, "node"),
    Server("json-server, GET", json_server, "node"),
    Server("Prism", prism, "node"),
    Server("Mockoon", mockoon, "node"),
    Server(PYTEST_HTTPSERVER, pytest_httpserver, "python"),
)
