"""A client of the admin API: for the pytest fixture, for `mockbm use` and for any Python program.

On the standard library alone, so that it brings no dependency and is not disturbed by a test that
replaces an HTTP library.
"""

from __future__ import annotations

import http.client
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from .core.errors import Problem, ScenarioError, UnknownName
from .core.journal import Entry
from .web.guard import is_loopback


class RemoteSession:
    """One session of a running mock, over HTTP; the same calls as `mockbm.core.mock.LocalSession`.

    Every call raises OSError where no mock answers, UnknownName for a scenario or session that is
    not there, ScenarioError for values that are not a scenario or one that the mock cannot play,
    ValueError for another value that cannot be meant, LookupError where the mock has no admin API,
    RuntimeError for another refusal. Raises: ValueError for a URL that cannot be that of a mock.
    """

    def __init__(
        self, url: str, path: str, api_key: str, token: str | None, timeout: float
    ) -> None:
        self.url = url.rstrip("/")
        self.api_key = api_key
        self.token = token
        self.timeout = timeout
        self._path = path
        # A proxy is for other machines, and not for a mock on this one.
        proxies = urllib.request.ProxyHandler({} if is_loopback(_host(url)) else None)
        self._open = urllib.request.build_opener(proxies).open

    @property
    def active(self) -> str:
        """The name of the active scenario."""
        return str(self._call("GET", "/scenario")["name"])

    def use(self, name: str) -> None:
        """Make another scenario active."""
        answer = self._call("PUT", "/scenario", {"name": name})
        if not isinstance(answer, dict) or answer.get("name") != name:
            raise RuntimeError(f"{self.url} is not mockbm: its answer is about something else")

    def use_values(self, values: Any) -> None:
        """Make a scenario active that is written as plain values, as in a scenario file."""
        # A null counts as left out, and distinguishes a scenario from the name of one.
        whole = {"releases": None, **values} if isinstance(values, dict) else values
        self._call("PUT", "/scenario", whole)

    def use_faults(self, faults: Any) -> None:
        """Let requests meet faults before those of the active scenario, which goes on."""
        self._call("PUT", "/faults", {"faults": faults})

    def reset(self) -> None:
        """Go back to what a fresh start has."""
        self._call("POST", "/reset")

    @property
    def now(self) -> str:
        """What this session's clock shows, as dates go out."""
        return str(self._call("GET", "/clock")["now"])

    def set_clock(self, text: str) -> None:
        """Stop the clock at a moment, and let the active scenario begin again there."""
        self._put_clock("now", text)

    def advance_clock(self, text: str) -> None:
        """Put the clock forward by a duration such as `2d`."""
        self._put_clock("advance", text)

    def _put_clock(self, name: str, text: str) -> None:
        try:
            self._call("PUT", "/clock", {name: text})
        except ValueError as error:
            raise ValueError(str(error).removeprefix(f"{name}: ")) from None

    def release_clock(self) -> None:
        """Let the clock show the machine's time, and let the active scenario begin again."""
        self._call("DELETE", "/clock")

    def state(self) -> dict[str, list[dict[str, Any]]]:
        """The records that the session sees now: kind to records, in the order of the answers."""
        return dict(self._call("GET", "/state"))

    def requests(self, **filters: Any) -> list[Entry]:
        """The journal, oldest first. Filters: method, status, parameter, after, count."""
        query = urllib.parse.urlencode(filters)
        found = self._call("GET", f"/requests?{query}")["requests"]
        return [Entry.from_json(item) for item in found]

    def clear_requests(self) -> None:
        """Empty the journal."""
        self._call("DELETE", "/requests")

    def end(self) -> None:
        """End the session: its key is refused from now on."""
        self._call("DELETE", "")

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            f"{self.url}/__admin{self._path}{path}",
            method=method,
            data=None if body is None else json.dumps(body, default=str).encode(),
            headers={} if body is None else {"Content-Type": "application/json"},
        )
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        try:
            with self._open(request, timeout=self.timeout) as response:
                return json.loads(response.read() or b"null")
        except urllib.error.HTTPError as error:
            raise _refusal(self.url, error) from None
        except OSError as error:
            reason = getattr(error, "reason", error)
            why = getattr(reason, "strerror", None) or reason
            raise OSError(f"no mock answers at {self.url}: {why}") from None
        except http.client.HTTPException as error:
            raise RuntimeError(f"{self.url} does not speak HTTP: {error!r}") from None
        except (ValueError, RecursionError):
            raise RuntimeError(f"{self.url} is not mockbm: its answer is not JSON") from None


def _host(url: str) -> str:
    """The name or address in the URL of a mock. Raises: ValueError for what cannot be one."""
    try:
        parts = urllib.parse.urlsplit(url)
        _ = parts.port  # which may not be a number
        if parts.scheme in ("http", "https") and parts.hostname and re.fullmatch(r"[!-~]+", url):
            return parts.hostname
    except ValueError:
        pass
    raise ValueError(f"{url!r} is not the URL of a mock, such as http://127.0.0.1:8080")


class AdminClient(RemoteSession):
    """A running mock, over HTTP: its default session, and what concerns all of it.

    url: the mock's base URL, such as `http://127.0.0.1:8080`.
    token: the mock's admin token, where it has one.
    timeout: seconds that one call may take.
    """

    def __init__(self, url: str, token: str | None = None, timeout: float = 10) -> None:
        super().__init__(url, "", "", token, timeout)

    def health(self) -> dict[str, Any]:
        """Status, version and what is active. Raises: OSError where its state is unavailable."""
        match self._call("GET", "/health"):
            case {"status": str(), "problems": list()} as health:
                return dict(health)
        raise RuntimeError(f"{self.url} is not mockbm: its answer says nothing of its health")

    def scenarios(self) -> list[dict[str, Any]]:
        """Every scenario: name, description, active, and what it holds and does."""
        return list(self._call("GET", "/scenarios")["scenarios"])

    def scenario(self, name: str) -> dict[str, Any]:
        """One scenario, with its releases as the endpoint answers them."""
        return dict(self._call("GET", f"/scenarios/{urllib.parse.quote(name, safe='')}"))

    def reload(self) -> None:
        """Read the scenario files again. Raises: ScenarioError, and nothing has changed."""
        self._call("POST", "/reload")

    def open_session(self, scenario: str | None = None, label: str = "") -> RemoteSession:
        """A private session with an API key of its own."""
        body = {"label": label} | ({} if scenario is None else {"scenario": scenario})
        opened = self._call("POST", "/sessions", body)
        path = f"/sessions/{opened['id']}"
        return RemoteSession(self.url, path, opened["apiKey"], self.token, self.timeout)


def _refusal(url: str, error: urllib.error.HTTPError) -> Exception:
    """What a refused call raises here: the error that the same call raises within the mock."""
    try:
        details: Any = json.loads(error.read())
    except (ValueError, RecursionError, OSError, http.client.HTTPException):
        details = None
    match details:
        case {"status": "unavailable", "problems": [*problems]}:
            lines = "\n".join(map(str, problems))
            return ConnectionError(f"the mock at {url} is unavailable: {lines}")
        case {"title": "Unknown scenario" | "Unknown session" as kind, "name": name, "detail": why}:
            unknown = UnknownName(kind[8:], name, details.get("scenarios", ()))
            unknown.args = (why,)  # which may have a hint
            return unknown
        case {"title": "Bad scenario" | "Bad scenario files", "problems": [*lines]}:
            return ScenarioError(Problem("", 0, 0, *line.partition(": ")[::2]) for line in lines)
        case {"title": _, "detail": detail} if error.code == 400:
            return ValueError(detail)
        case {"title": _, "detail": detail}:
            return RuntimeError(f"{url}: {detail}")
    is_base = not urllib.parse.urlsplit(url).path
    if error.code == 404 and is_base and "X-Mockbm-Explain" in error.headers:
        return LookupError(f"the mock at {url} has no admin API: it runs with --no-admin")
    return RuntimeError(f"{url} is not mockbm: it answered {error.code} {error.reason}")
