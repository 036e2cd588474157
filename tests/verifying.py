"""What the tests of `mockbm verify` share: a mock that drifted, and a run that compares it."""

from __future__ import annotations

import io
import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from threading import Thread
from typing import Any, cast
from unittest.mock import patch
from urllib.response import addinfourl

from click.testing import CliRunner, Result
from drifts import Drift, drifted
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.test import create_environ, run_wsgi_app

from mockbm import MockServer
from mockbm.cli import main

KEY = "Very+secret/key=9"
RICH: dict[str, Any] = {
    "apiKeys": [KEY],
    "releases": [
        {
            "id": 4,
            "number": "2.0-Beta",
            "name": "(JohnSmith) Hotfix",
            "createdBy": "JohnSmith",
            "createdOn": "2024-03-04T09:03:43.92",
            "targetDate": "2024-04-01",
            "applicationId": 2,
            "applicationName": "Profit Calculator",
            "pipelineName": "global::Release Übung",
            "furthestBuildId": 6,
            "furthestBuildNumber": "2",
            "latestBuildId": 6,
            "latestBuildNumber": "2",
        },
        {
            "id": 6,
            "number": "2.1-Beta",
            "name": "Night shift",
            "status": "deployed",
            "createdOn": "2024-03-03",
            "applicationId": 2,
            "applicationName": "Profit Calculator",
            "pipelineName": "global::Release Übung",
        },
        {
            "id": 3,
            "number": "1.0-alpha",
            "status": "canceled",
            "createdBy": "Mary Major",
            "createdOn": "2024-03-02",
            "canceledBy": "JohnSmith",
            "canceledOn": "2024-03-05T12:00",
            "applicationId": 1,
            "applicationName": "Tax of Mary Major",
            "pipelineName": "Nightly",
        },
        {
            "id": 5,
            "number": "1.10",
            "status": "deployed",
            "createdOn": "2024-03-01",
            "applicationId": 1,
            "applicationName": "Tax of Mary Major",
            "template": "Standard",
        },
    ],
}
FULL: dict[str, Any] = {
    **RICH,
    "builds": [
        {
            "id": 7,
            "number": "1",
            "status": "deployed",
            "createdBy": "JohnSmith",
            "createdOn": "2024-03-06",
            "releaseId": 5,
            "pipelineName": "Nightly",
            "furthestStage": "Production",
        },
        {
            "id": 6,
            "number": "2",
            "createdOn": "2024-03-05",
            "releaseId": 4,
            "furthestStage": "Integration",
        },
        {
            "id": 5,
            "number": "1-beta",
            "status": "rejected",
            "createdOn": "2024-03-04",
            "rejectedBy": "Mary Major",
            "rejectedOn": "2024-03-05",
            "releaseId": 4,
        },
    ],
    "deployments": [
        {
            "id": 23,
            "plan": "Deploy to Production",
            "status": "failed",
            "createdOn": "2024-03-06",
            "buildId": 7,
            "pipelineStageName": "Production",
        },
        {
            "id": 21,
            "plan": "Deploy to Integration",
            "createdBy": "JohnSmith",
            "createdOn": "2024-03-05",
            "ended": "2024-03-05T01:00",
            "buildId": 6,
            "pipelineStageName": "Integration",
            "environmentId": 3,
            "environmentName": "Shared",
        },
    ],
    "applications": [
        {"id": 1, "name": "Tax of Mary Major", "groupName": "Finance"},
        {"id": 2, "name": "Profit Calculator", "active": False},
    ],
}


@contextmanager
def serving(
    drift: Drift | None = None, values: Any = RICH, scenario: str = "empty"
) -> Iterator[MockServer]:
    """A mock with these releases, or of a scenario, that has drifted."""
    server = MockServer(scenario=scenario)
    if values is not None:
        server.mock.default.use_values(values)
    if drift is None:
        with server:
            yield server
        return
    # A drift is WSGI middleware, which only a WSGI server has in its way.
    app = drifted(server.app.wsgi_app, drift)
    listener = make_server("127.0.0.1", 0, app, request_handler=_Quiet)
    server.port = listener.server_port
    thread = Thread(target=listener.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()


@contextmanager
def answering(
    drift: Drift | None = None, values: Any = RICH, scenario: str = "empty"
) -> Iterator[MockServer]:
    """The same without a socket: urllib, by which verify asks, calls the mock itself."""
    server = MockServer(scenario=scenario, port=80)
    if values is not None:
        server.mock.default.use_values(values)
    app = server.app.wsgi_app
    drifting = drifted(app, drift) if drift else app

    def http_open(_handler: object, request: urllib.request.Request) -> addinfourl:
        headers, data = dict(request.header_items()), cast(bytes, request.data)
        asked = create_environ(
            request.selector, method=request.get_method(), headers=headers, data=data
        )
        parts, status, found = run_wsgi_app(drifting, asked, buffered=True)
        answer = addinfourl(
            io.BytesIO(b"".join(parts)), cast(Message, found), server.url, int(status[:3])
        )
        answer.length = 0  # nothing is missing
        return answer

    with patch.object(urllib.request.HTTPHandler, "http_open", http_open):
        yield server


class _Quiet(WSGIRequestHandler):
    """Logs no requests."""

    def log(self, *_: Any) -> None:
        pass


def verified(url: str, *arguments: object, key: str = KEY, **environment: str) -> Result:
    """Run `mockbm verify` with the key on its standard input."""
    command = ["verify", "--url", url, "--api-key-file", "-", *map(str, arguments)]
    return CliRunner().invoke(main, command, input=f"{key}\n", env=environment)


def differences(result: Result) -> list[str]:
    """The kinds of differences of a JSON report, and what each is about."""
    found = json.loads(result.stdout)["differences"]
    return sorted(f"{item['kind']}: {', '.join(item['about'])}" for item in found)


COUNTS = "4 releases, 3 builds, 2 deployments, 2 applications"
"""What a report says of the records of `FULL`."""


def keeps_secrets(*texts: str) -> bool:
    """Whether no text holds the key or the name of a person, in any case."""
    secrets = (KEY, "Very%2Bsecret", "johns", "smith", "major")
    return not any(secret.lower() in text.lower() for secret in secrets for text in texts)
