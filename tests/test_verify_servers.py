"""The command `mockbm verify`: servers that cannot be compared, keys, and the files it writes."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from click.testing import CliRunner
from drifts import (
    Answer,
    Drift,
    in_answer,
    in_each,
    in_status,
    matching,
    refusing,
)
from verifying import COUNTS, FULL, KEY, RICH, differences, keeps_secrets, serving, verified

from mockbm import MockServer
from mockbm.cli import main
from mockbm.core.errors import quoted
from mockbm.files.directory import load_scenarios


def ever_changing() -> Drift:
    numbers = itertools.count()
    return in_each(lambda r: r.update(sequence=next(numbers)))


def html(answer: Answer) -> Answer:
    return answer._replace(headers={"Content-Type": "text/html"}, body=b"<h1>Please log in</h1>")


def no_json(answer: Answer) -> Answer:
    return answer._replace(body=b"{oops " + KEY.encode())


REFUSALS: dict[str, tuple[Drift, str]] = {
    "key": (in_status(200, "403 Forbidden", body=b""), "refuses the API key: it answers 403"),
    "path": (in_status(200, "404 Not Found"), "answers 404 to GET /api/releases; is it the base"),
    "failure": (in_status(200, "500 Oops"), "answers 500 to GET"),
    "outage": (in_status(200, "503 Out"), "answers 503 Service Unavailable; try again later"),
    "rate": (in_status(200, "429 Slow"), "answers 429 Too Many Requests"),
    "outage on the way": (
        refusing(lambda environ: "pipelineName" in environ["QUERY_STRING"], "502 Gateway"),
        "answers 502 Bad Gateway",
    ),
    "page": (in_answer(html), "answers a web page, perhaps for a login"),
    "no JSON": (in_answer(no_json), "answers something that is not JSON"),
    "changes": (ever_changing(), "the releases changed while they were compared, twice"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_server_that_cannot_be_compared(name: str) -> None:
    """What is no drift but no answer either ends the command with status 2 and says why."""
    drift, why = REFUSALS[name]
    with serving(drift) as server:
        result = verified(server.url)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{server.url}{':' if name == 'changes' else ''} {why}" in result.stderr
    assert keeps_secrets(result.output)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("outage", "answers 503 Service Unavailable"),
        ("unauthorized", "refuses the API key: it answers 403"),
        ("malformed", "answers something that is not JSON"),
        ("connection-reset", "broke the connection before an answer"),
        ("slow", "takes more than 0.2 s to answer; --timeout allows more"),
        ("bad-request", "answers 400 to GET /api/releases"),
    ],
)
def test_a_scenario_that_refuses(name: str, why: str) -> None:
    """The shipped scenarios that answer no releases are told in one line, with status 2."""
    with serving(values=None, scenario=name) as server:
        result = verified(server.url, "--timeout", "0.2", key="abc12345")
    assert result.exit_code == 2
    assert re.fullmatch(rf"{server.url} {re.escape(why)}.*\n", result.output)


def test_half_an_answer_is_none() -> None:
    """A connection that breaks in the middle of an answer is no answer."""
    values = {**RICH, "faults": [{"connection": "truncate"}]}
    with serving(values=values) as server:
        result = verified(server.url)
    assert result.exit_code == 2
    assert "broke the connection in the middle of an answer" in result.stderr


@contextmanager
def dripping(begin: bytes, drop: bytes) -> Iterator[str]:
    """A server that answers a first connection in drops, without an end."""
    over = threading.Event()

    def answer() -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.recv(10_000)
            connection.sendall(begin)
            while not over.wait(0.05):
                connection.sendall(drop)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            over.set()
            thread.join()


@pytest.mark.parametrize(
    ("begin", "drop"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\n", b"X-Drop: 1\r\n", id="headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX-Drop: ", b"1", id="a header"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n[", b" ", id="body"),
    ],
)
def test_an_answer_in_drops(begin: bytes, drop: bytes) -> None:
    """--timeout is for a whole answer, however often a part of it comes."""
    began = time.monotonic()
    with dripping(begin, drop) as url:
        result = verified(url, "--timeout", "0.3")
    assert time.monotonic() - began < 3
    said = f"{url} takes more than 0.3 s to answer; --timeout allows more\n"
    assert (result.exit_code, result.output) == (2, said)


def test_a_server_that_asks_to_wait() -> None:
    """Where a server says when to come again, verify waits, and asks on."""
    respond = {"status": 429, "headers": {"Retry-After": "0"}}
    fault = {"after": 5, "times": 2, "respond": respond}
    values = {**RICH, "faults": [fault]}
    with serving(values=values) as server:
        result = verified(server.url, "--json")
        waited = server.mock.default.requests(status=429)
    assert (result.exit_code, differences(result)) == (0, [])
    assert len(waited) == 2


def test_a_redirect_does_not_get_the_key() -> None:
    """A redirect is not followed: the key goes nowhere else."""
    with serving() as elsewhere:
        moved = Answer("302 Found", {"Location": f"{elsewhere.url}/api/releases"}, b"")
        with serving(lambda _ask, _environ: moved) as server:
            result = verified(server.url)
        assert elsewhere.mock.default.requests() == []
    assert result.exit_code == 2
    assert "redirects elsewhere, perhaps to a login page; redirects are not followed" in (
        result.stderr
    )


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate that only signs itself, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    directory = tmp_path_factory.mktemp("tls")
    files = directory / "certificate.pem", directory / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=mock"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    command += ["-out", str(files[0]), "-keyout", str(files[1])]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return files


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def over_tls(app: Any, certificate: tuple[Path, Path]) -> Iterator[str]:
    """A WSGI application behind TLS."""

    def typeless(environ: dict[str, Any], start_response: Any) -> Any:
        """wsgiref gives a type to a body that came without one."""
        if environ["CONTENT_TYPE"] == "text/plain":
            environ["CONTENT_TYPE"] = ""
        return app(environ, start_response)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with make_server("127.0.0.1", 0, typeless, handler_class=_Quiet) as server:
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"https://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_certificate_of_its_own(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    """A server whose certificate nobody signed is asked only where `--ca-file` names it."""
    (tmp_path / "none.pem").write_text("none")
    with serving() as server, over_tls(server.app, certificate) as url:
        distrusted = verified(url)
        asked = server.mock.default.requests()
        trusted = verified(url, "--ca-file", certificate[0])
        unread = verified(url, "--ca-file", tmp_path / "none.pem")
    assert (distrusted.exit_code, asked) == (2, [])
    assert "has a certificate that is not trusted (self" in distrusted.stderr
    assert "--ca-file names whom to trust" in distrusted.stderr
    assert trusted.exit_code == 0, trusted.output
    assert unread.exit_code == 2
    assert unread.stderr.endswith(
        "none.pem cannot be read for certificates: it holds no certificate\n"
    )


def test_nobody_listens() -> None:
    """A server that is not there is told, with status 2."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    result = verified(f"http://127.0.0.1:{port}")
    assert (result.exit_code, result.output) == (
        2,
        f"http://127.0.0.1:{port} refuses connections\n",
    )


NO_URLS = (
    *(
        "buildmaster.example",
        "ftp://h",
        "http://",
        "http://h/?a=1",
        "http://u:p@h",
        "http://h:99999",
    ),
    *("http://[::1", "http://h:x", "http://a b", "http://h/a b", f"http://{'a' * 300}.example"),
)


@pytest.mark.parametrize("url", NO_URLS, ids=lambda url: url[:20])
def test_what_is_no_url(url: str) -> None:
    """A URL that cannot be the base of a server is refused before anything is sent."""
    result = verified(url)
    assert result.exit_code == 2
    shown = "the URL" if {*"@?#"} & {*url} else quoted(url)
    what = "http:// or https://, a host, and then at most a port and a path in ASCII"
    assert result.output == f"{shown} is not the URL of a server: it is expected to be {what}\n"


@pytest.mark.parametrize("key", ["two words", "ключ"])
def test_what_is_no_key(key: str) -> None:
    """A file that holds no key is refused, without showing what it holds."""
    result = verified("http://127.0.0.1:9", key=key)
    expected = "the API key is expected to be one word of printable ASCII characters\n"
    assert (result.exit_code, result.output) == (2, expected)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_encodings_of_the_file_for_the_key(encoding: str, tmp_path: Path) -> None:
    """A file that PowerShell or an editor has written holds the same key, or what it is is said."""
    path = tmp_path / "key"
    path.write_text(f"{KEY}\r\n", encoding=encoding)
    with MockServer() as server:
        server.mock.default.use_values({"extends": "single", "apiKeys": [KEY]})
        command = ["verify", "--url", server.url, "--api-key-file", str(path)]
        result = CliRunner().invoke(main, command)
    if encoding == "utf-16-le":
        expected = f"{path} looks like UTF-16; save the file as UTF-8\n"
        assert (result.exit_code, result.output) == (2, expected)
    else:
        assert (result.exit_code, "no difference in" in result.output) == (0, True)


def test_an_empty_file_for_the_key(tmp_path: Path) -> None:
    """Where the file of the key is empty, the message says which file that is."""
    (tmp_path / "key").write_text("\n")
    command = ["verify", "--url", "http://127.0.0.1:9", "--api-key-file", str(tmp_path / "key")]
    result = CliRunner().invoke(main, command)
    expected = f"{tmp_path / 'key'} is empty; it is expected to hold the API key\n"
    assert (result.exit_code, result.output) == (2, expected)
    assert verified("http://127.0.0.1:9", key="").output.startswith("the standard input is empty")


def test_a_server_that_tells_the_key() -> None:
    """A key that the server tells in its answers and errors is in no output and no scenario."""
    drift = in_each(lambda r: r.update(name=f"n {KEY} n", releaseName=f"n {KEY} n", status=KEY))
    with serving(drift) as server:
        told = [verified(server.url).output, verified(server.url, "--json").output]
    with serving(in_status(400, "400 Bad", headers={"Content-Type": f"text/{KEY}"})) as server:
        told.append(verified(server.url).output)
    assert keeps_secrets(*told)


def written(
    directory: Path, url: str, *arguments: object, name: str = "ours.yaml"
) -> dict[int, Any]:
    """The releases of a scenario that was written, by id."""
    result = verified(url, "--scenario-out", directory / name, *arguments)
    assert result.exit_code in (0, 1), result.output
    releases = load_scenarios(directory)["ours"].tables["releases"]
    return {item["id"]: item for item in json.loads(releases.select({}).body)}


def test_what_was_seen_becomes_a_scenario(tmp_path: Path) -> None:
    """`--scenario-out` writes a scenario that answers as the server did, without persons."""
    with serving(in_each(lambda r: r.update(risk=KEY)), FULL) as server:
        masked = written(tmp_path, server.url)
        text = (tmp_path / "ours.yaml").read_text()
        scenario = load_scenarios(tmp_path)["ours"]
        (tmp_path / "ours.yaml").unlink()
        named = written(tmp_path, server.url, "--show-names")
    assert keeps_secrets(text)
    assert [row["id"] for row in scenario.records("builds")] == [7, 6, 5]
    assert [row["id"] for row in scenario.records("deployments")] == [23, 21]
    assert list(named) == [4, 6, 3, 5]
    assert named[4] == masked[4] | {
        "createdBy": "JohnSmith",
        "name": "(JohnSmith) Hotfix",
        "releaseName": "(JohnSmith) Hotfix",
    }
    assert masked[4]["risk"] == "***"


def test_a_scenario_of_what_no_scenario_holds(tmp_path: Path) -> None:
    """What a scenario cannot hold is left out of it, and the rest is there."""
    drift = in_each(lambda r: r.update(status="archived") if r["id"] == 4 else r.pop("number"))
    with serving(drift) as server:
        found = written(tmp_path, server.url)
    assert [found[4]["status"], found[6]["number"]] == ["active", "2.1-Beta"]


@pytest.mark.parametrize("name", ["ours.yaml", "ours.yml", "ours.json", "ours.JSON"])
def test_the_name_of_a_file_says_what_it_holds(name: str, tmp_path: Path) -> None:
    """A scenario is JSON in a .json file and else YAML, and says the same."""
    with serving() as server:
        found = written(tmp_path, server.url, "--show-names", name=name)
    assert [found[id_]["name"] for id_ in (4, 6)] == ["(JohnSmith) Hotfix", "Night shift"]
    assert (tmp_path / name).read_text().startswith("{") == (".json" in name.lower())


@pytest.mark.parametrize("name", ["ours", "ours.txt", ".yaml"])
def test_a_file_that_could_be_no_scenario(name: str, tmp_path: Path) -> None:
    """A file that no mock would read as a scenario is not written, and the server not asked."""
    with serving() as server:
        result = verified(server.url, "--scenario-out", tmp_path / name)
        assert server.mock.default.requests() == []
    said = "a scenario file ends in .yaml, .yml, .json, or it is not served"
    assert f"{tmp_path / name}: {said}" in result.stderr
    assert (result.exit_code, list(tmp_path.iterdir())) == (2, [])


def test_a_scenario_of_statuses_that_are_none(tmp_path: Path) -> None:
    """Who canceled a release and when stays, however the server spells its status."""
    drift = in_each(lambda r: r["status"] == "canceled" and r.update(status="cancelled"))
    with serving(drift) as server:
        found = written(tmp_path, server.url, "--show-names")
    assert (found[3]["status"], found[3]["number"]) == ("canceled", "1.0-alpha")
    assert (found[3]["canceledBy"], found[3]["canceledOn"][:10]) == ("JohnSmith", "2024-03-05")


def test_a_release_with_much_that_no_scenario_holds(tmp_path: Path) -> None:
    """All that a scenario can hold is written, also where a second thing is wrong with the rest."""
    odd: dict[str, Any] = {"canceledBy": "x", "template": {}, "createdOn": "soon", "risk": 1}
    with serving(in_each(lambda r: r["id"] == 4 and r.update(odd))) as server:
        result = verified(server.url, "--json", "--show-names")
        found = written(tmp_path, server.url, "--show-names")
    assert differences(result) == [
        *("date-form: createdOn", "property-new: canceledBy", "property-new: risk"),
        "property-type: template",
    ]
    assert (found[4]["number"], found[4]["name"]) == ("2.0-Beta", "(JohnSmith) Hotfix")
    assert (found[4]["risk"], "canceledBy" in found[4]) == (1, False)


def test_an_existing_file_is_kept(tmp_path: Path) -> None:
    """A file that is there already is not written over, and the server is not even asked."""
    kept = tmp_path / "ours.yaml"
    kept.write_text("mine")
    with serving() as server:
        result = verified(server.url, "--scenario-out", kept)
        assert server.mock.default.requests() == []
    assert (result.exit_code, kept.read_text()) == (2, "mine")
    assert result.stderr == f"{kept} is there already; --scenario-out writes a new file\n"


def test_persons_are_shown_where_that_is_asked() -> None:
    """Only `--show-names` has the names of persons in the report."""
    drift = matching(str.__eq__, {"releaseName": "name"})
    with serving(drift) as server:
        masked = verified(server.url).stdout
        named = verified(server.url, "--show-names").stdout
    assert "(pERSON1) hOTFIX" in masked
    assert "(jOHNsMITH) hOTFIX" in named


def test_the_report_for_people() -> None:
    """A difference says what each of the two does, why it matters and where it was seen."""
    with serving(in_each(lambda r: r.update(risk=1)), FULL) as server:
        told = verified(server.url, "--key-in-query").stdout
    assert (
        re.sub(r"\d+ requests", "N requests", told)
        == f"""\
1. property-new: risk
  server: an integer
  mock:   has no such property
  why:    The mock leaves it out of records that are not imported.
  seen:   release 4
  seen:   release 6
  seen:   release 3
  seen:   release 5

1 difference in N requests, {COUNTS}: {server.url}
"""
    )


def test_with_files_in_a_process_of_its_own(tmp_path: Path) -> None:
    """The key comes from a file, settings from variables, and the URL may have the whole path."""
    key_file = tmp_path / "key"
    key_file.write_text(f"{KEY}\r\n")
    command = [sys.executable, "-c", "from mockbm.cli import main; main()", "verify"]
    with serving(values=FULL) as server:
        variables = {"MOCKBM_VERIFY_URL": f"{server.url}/api/releases"}
        variables["MOCKBM_API_KEY_FILE"] = str(key_file)
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, env={**os.environ, **variables}
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f" requests, {COUNTS}: {server.url}\n")
    assert "403" not in done.stderr.replace(server.url, "")  # its port may have it
