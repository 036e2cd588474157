"""One HTTP request through four clients, each as it is and with as little of its own as possible.

No client follows a proxy or a configuration file of the machine, and none sends a Content-Type
that the request does not have.
"""

from __future__ import annotations

import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from email import message_from_bytes
from typing import NamedTuple

import httpx
import pytest
import requests

TIMEOUT = 10
"""Seconds that one request may take."""


class Answer(NamedTuple):
    """What came back; the names of the headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


Client = Callable[[str, str, Mapping[str, str], "bytes | None"], Answer]
"""Takes the method, the URL, the headers and the body."""


def _answer(status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    return Answer(status, {name.lower(): value for name, value in headers.items()}, body)


def with_requests(method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
    with requests.Session() as session:
        session.trust_env = False
        answer = session.request(method, url, headers=headers, data=body, timeout=TIMEOUT)
        return _answer(answer.status_code, answer.headers, answer.content)


def with_httpx(method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
    with httpx.Client(trust_env=False, verify=False, timeout=TIMEOUT) as client:
        answer = client.request(method, url, headers=headers, content=body)
        return _answer(answer.status_code, answer.headers, answer.content)


class _BareBody(urllib.request.BaseHandler):
    """Takes back the Content-Type that urllib adds to a body without one."""

    handler_order = 900  # after HTTPHandler, which adds it

    def http_request(self, request: urllib.request.Request) -> urllib.request.Request:
        request.unredirected_hdrs.pop("Content-type", None)
        return request


def with_urllib(method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _BareBody)
    request = urllib.request.Request(url, body, dict(headers), method=method)
    try:
        answer = opener.open(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        return _answer(answer.status, answer.headers, answer.read())


def with_curl(method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
    command = ["curl", "-q", "--silent", "--show-error", "--include", "--raw", "--http1.1"]
    command += ["--noproxy", "*", "--path-as-is", "--globoff", "--max-time", str(TIMEOUT)]
    command += ["--head"] if method == "HEAD" else ["--request", method]
    if body is not None:
        # Only what the request has: curl would say that the body is a form, or wait for a 100.
        command += ["--data-binary", "@-", "--header", "Expect:"]
        if "Content-Type" not in headers:
            command += ["--header", "Content-Type:"]
    for name, value in headers.items():
        command += ["--header", f"{name}: {value}" if value else f"{name};"]
    done = subprocess.run([*command, url], input=body or b"", capture_output=True, timeout=TIMEOUT)
    assert done.returncode == 0, done.stderr.decode()
    head, _, rest = done.stdout.partition(b"\r\n\r\n")
    status_line, _, fields = head.partition(b"\r\n")
    message = message_from_bytes(fields)
    return _answer(int(status_line.split()[1]), dict(message.items()), rest)


CLIENTS = [
    pytest.param(with_requests, id="requests"),
    pytest.param(with_httpx, id="httpx"),
    pytest.param(with_urllib, id="urllib"),
    pytest.param(
        with_curl,
        id="curl",
        marks=pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed"),
    ),
]
