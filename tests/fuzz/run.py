"""Coverage-guided fuzzing of the two readers of foreign bytes: scenario files and requests' bodies.

    python tests/fuzz/run.py [--seconds 60] [--seed 1] scenario
    python tests/fuzz/run.py [--seconds 60] [--seed 1] body

Needs atheris, and is no part of a run of pytest. The exit status is 0 where nothing was found;
else it is not, and the last lines say which bytes did it.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))

with atheris.instrument_imports(include=["mockbm", "yaml"]):
    from scenario_rows import body

    from mockbm import ScenarioError, create_app
    from mockbm.core.faults import FaultSchema
    from mockbm.endpoints.releases import RELEASE, ReleaseSchema
    from mockbm.files.directory import ScenarioSchema, load_scenarios, shipped_scenarios

LINE_END = re.compile(r"\r\n?|\n")
KEY = "a-key-of-its-own"
IN_HEADER = "one-that-no-body-has"
METHODS = ("POST", "GET", "HEAD", "PUT")
TYPES = (
    "application/json",
    "application/json; charset=utf-16",
    "application/json; charset=utf-8-sig",
    "application/x-www-form-urlencoded",
    "application/x-www-form-urlencoded; charset=latin-1",
    "multipart/form-data; boundary=x",
    "multipart/form-data",
    "text/plain",
    "",
)
WORDS = (
    *(*ScenarioSchema().fields, *ReleaseSchema().fields, *FaultSchema().fields, *RELEASE.filters),
    *("active", "canceled", "deployed", "2024-03-04", "now-3d", "3 calls", "null", "true", "-0"),
    *(
        "1.10",
        "NaN",
        "key",
        "API_Key",
        "\\ud83d\\ude80",
        "\\ud800",
        "\x85",
        "- ",
        "&a ",
        "*a",
        "!t ",
    ),
    *("{", "}", "[", "]", ": ", ",", '"', "'", "|\n", "<<", "&", "=", "%00", "\r\n--x\r\n"),
)
BODIES = (
    b'{"status": "active", "applicationName": "taxcalculator"}',
    b'{"API_Key": "a-key-of-its-own", "releaseId": 1, "releaseNumber": 1.10, "status": null}',
    b'{"status": "active", "status": "\\ud83d\\ude80", "a": [1e999, NaN, {"b": -0}]}',
    b"status=active&applicationId=1&key=a-key-of-its-own&releaseName=%FF%00+x",
    b'--x\r\nContent-Disposition: form-data; name="status"\r\n\r\nactive\r\n'
    b'--x\r\nContent-Disposition: form-data; name="f"; filename="n"\r\n\r\n1\r\n--x--\r\n',
    "\ufeff{}".encode("utf-16"),
)


class Scenarios:
    """Any bytes as a scenario file are served, or refused with places for its problems."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @staticmethod
    def seeds() -> list[bytes]:
        found = [path.read_bytes() for path in shipped_scenarios().glob("*.yaml")]
        example = {"id": 1, "number": 1.1, "applicationId": 1, "applicationName": "A"}
        for more in (
            {"releases": [example | {"extra": {"a": 1.5}, "deployables": [True, None, "\ud83d"]}]},
            {"extends": "documented", "remove": [1, "2"], "order": "as-written", "apiKeys": []},
            {"generate": {"releases": 3}, "faults": [{"delay": "1s"}, {"rate": "5/s"}]},
            {"releases": [example | {"changes": [{"after": "1 call", "status": "canceled"}]}]},
        ):
            found += [json.dumps(more).encode(), json.dumps(more, indent=1).encode()]
        return found

    def __call__(self, data: bytes) -> None:
        answers = [self._answer(f"t{suffix}", data) for suffix in (".yaml", ".json")]
        served = [answer for answer in answers if answer is not None]
        assert len(set(served)) < 2, "JSON and YAML say different things"

    def _answer(self, name: str, data: bytes) -> bytes | None:
        path = self._directory / name
        path.write_bytes(data)
        try:
            scenario = load_scenarios(self._directory)["t"]
        except ScenarioError as error:
            self._check(error, data)
            return None
        finally:
            path.unlink()
        if scenario.release_count > 1_000:
            return None  # that is about large instances
        answer = body(scenario)
        assert len(json.loads(answer)) <= scenario.release_count
        return answer

    @staticmethod
    def _check(error: ScenarioError, data: bytes) -> None:
        lines = LINE_END.split(data.removeprefix(b"\xef\xbb\xbf").decode(errors="replace"))
        assert error.problems
        for problem in error.problems:
            assert str(problem).isprintable(), problem
            assert 1 <= problem.line <= len(lines), problem
            assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1, problem


class Bodies:
    """Any bytes as a body get an answer that the contract knows, with a journal that agrees."""

    def __init__(self, directory: Path) -> None:
        logging.getLogger("mockbm").setLevel(logging.CRITICAL)
        (directory / "t.yaml").write_text(f"extends: documented\napiKeys: [{KEY}, {IN_HEADER}]\n")
        self._app = create_app(directory, journal_size=10)
        self._app.config["PROPAGATE_EXCEPTIONS"] = True
        self._session = self._app.extensions["mockbm"].default

    @staticmethod
    def seeds() -> list[bytes]:
        kinds = range(len(TYPES))
        return [
            bytes([kind, method]) + body for kind in kinds for method in (0, 1) for body in BODIES
        ]

    def __call__(self, data: bytes) -> None:
        kind, method, body = data[:1], data[1:2], data[2:]
        environ = {
            "REQUEST_METHOD": METHODS[(method or b"\0")[0] % len(METHODS)],
            "PATH_INFO": "/api/releases",
            "QUERY_STRING": "",
            "CONTENT_TYPE": TYPES[(kind or b"\0")[0] % len(TYPES)],
            "CONTENT_LENGTH": str(len(body)),
            "SERVER_NAME": "mock",
            "SERVER_PORT": "80",
            "wsgi.url_scheme": "http",
        }
        if (kind or b"\0")[0] < 128:  # else the key has to be in the body
            environ["HTTP_X_APIKEY"] = IN_HEADER
        first, second = self._ask(environ, body), self._ask(environ, body)
        assert first == second, "the same request gets another answer"

    def _ask(self, environ: dict[str, Any], body: bytes) -> tuple[int, str, bytes]:
        said: list[Any] = []
        call = {**environ, "wsgi.input": io.BytesIO(body), "wsgi.errors": sys.stderr}
        parts = self._app(call, lambda *answer: said.extend(answer))
        text = b"".join(parts)
        status, headers = int(said[0][:3]), dict(said[1])
        entry = self._session.requests()[-1]
        assert status in (200, 400, 403, 405, 413), status
        assert entry.status == status
        assert entry.explanation
        assert headers["X-Mockbm-Explain"].isprintable()
        assert IN_HEADER not in json.dumps(entry.to_json(), ensure_ascii=False)
        assert not {"key", "api_key"} & {name.lower() for name in entry.parameters}
        if status == 200 and environ["REQUEST_METHOD"] != "HEAD":
            assert len(json.loads(text)) == entry.count
        if status == 400 and environ["REQUEST_METHOD"] != "HEAD":
            assert text.decode().endswith("\n")
        return status, headers["X-Mockbm-Explain"], text


def _escaped(match: re.Match[str]) -> str:
    return "".join(f"\\x{byte:02x}" for byte in match[0].encode())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=60, help="how long; default 60")
    parser.add_argument("--seed", type=int, default=0, help="repeat a run; default by chance")
    parser.add_argument("target", choices=["scenario", "body"])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        corpus, place = Path(directory, "corpus"), Path(directory, "scenarios")
        corpus.mkdir()
        place.mkdir()
        target = (Scenarios if arguments.target == "scenario" else Bodies)(place)
        for number, seed in enumerate(target.seeds()):
            (corpus / str(number)).write_bytes(seed)
        words = Path(directory, "words")
        spelt = (re.sub(r'[^ -!#-\[\]-~]|[\\"]', _escaped, word) for word in WORDS)
        words.write_text("".join(f'"{word}"\n' for word in spelt))
        limits = [
            f"-dict={words}",
            f"-max_total_time={arguments.seconds}",
            f"-seed={arguments.seed}",
            "-max_len=4096",
            "-timeout=20",
        ]
        atheris.Setup(
            [sys.argv[0], *limits, f"-artifact_prefix={tempfile.gettempdir()}/", str(corpus)],
            target,
        )
        atheris.Fuzz()


if __name__ == "__main__":
    main()
