"""`answer`: the way of every request, from its values to its line in the journal."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from marshmallow import ValidationError

from .access import Access
from .endpoint import TEXT, Endpoint, Result
from .faults import NEEDS_SOCKET, NOTHING, Verdict
from .mock import Mock
from .request import MAX_BODY, Answer, Call, Request, header_key, printable
from .session import Session
from .times import perf_counter

SCENARIO_HEADER = "X-Mockbm-Scenario"
REVISION_HEADER = "X-Mockbm-Revision"
EXPLAIN_HEADER = "X-Mockbm-Explain"

MAX_HEADER = 1_000
"""Characters of an explanation that go into its header."""

MAX_PROBLEMS = 30
"""Lines that a 400 has at most."""

ALONE = (
    "this process is one of several that share no state; give all of them the same "
    "MOCKBM_STATE=redis://HOST:PORT, or run one process with threads"
)
"""Why something is refused that one of several processes cannot know."""

FAILED = "mockbm failed; its log says how"


def answer(mock: Mock, request: Request) -> Answer:
    """Answer one request, and write it into the journal of the session whose key it has.

    Whatever is wrong with the request is an answer, too. Raises: ConnectionError where the state
    is shared with other processes, and its server does not answer.
    """
    began = perf_counter()
    endpoint = mock.endpoint(request.path)
    call = endpoint.understand(request, strict=mock.strict)
    key = header_key(request.headers) or call.api_key
    with Access(mock, key) as access:
        session, verdict = access.session, NOTHING
        result = (
            _refuse_target(endpoint, request, session)
            or (key is None and _refuse_size(request))  # the key may be in a body that is too large
            or _refuse_key("" if endpoint.is_open else access.refusal)
            or _refuse_size(request)
            or _refuse_parameters(call.problems)
            or _refuse_alone(endpoint, session, request)
        )
        if not result:
            session.advance()
            verdict = session.judge(endpoint.path, call.loaded)
            result = _respond(verdict) or _run(endpoint, session, call)
            if verdict.fault is None and endpoint.counts:
                session.count()
            elif verdict.fault and verdict.fault.connection:
                result = _spoil(result, verdict, request)
        broken = _broken(result, verdict)
        access.record(request, call, result, verdict.delay, broken, began)
        headers = (
            *((("Content-Type", result.content_type),) if result.content_type else ()),
            *result.headers,
            (SCENARIO_HEADER, session.scenario.name),
            (REVISION_HEADER, str(session.revision)),
            (EXPLAIN_HEADER, for_header(result.explanation)),
        )
    return Answer(result.status, headers, result.body, verdict.delay, broken, access.unsent)


def _refuse_target(endpoint: Endpoint, request: Request, session: Session) -> Result | None:
    """404 for an unknown path, 405 for a method that the endpoint does not take."""
    if not endpoint.path:
        return endpoint.run(session, {"path": request.path})
    if request.method in endpoint.methods:
        return None
    allowed = ", ".join(sorted(endpoint.methods))
    why = f"{request.method} is not served here; use {allowed}"
    return Result.refusal(405, why, ("Allow", allowed))


def _refuse_key(why: str) -> Result | None:
    """403 with an empty body, whatever is wrong with the key [S]."""
    return Result(b"", why, 403, "") if why else None


def _refuse_size(request: Request) -> Result | None:
    if len(request.body) <= MAX_BODY:
        return None
    return Result.refusal(413, f"the body is too large; allowed are {MAX_BODY // 1024**2} MiB")


def _run(endpoint: Endpoint, session: Session, call: Call) -> Result:
    """What the endpoint does; 400 where what a parameter names does not exist, or cannot be."""
    try:
        return endpoint.run(session, call.loaded)
    except ValidationError as error:
        return _refuse_parameters(error.messages_dict) or Result(b"", "", 400)


def _refuse_parameters(problems: Mapping[str, Sequence[str]]) -> Result | None:
    """400 with one problem a line, as text [S]."""
    if not problems:
        return None
    lines = [f"{printable(name)}: {what}" for name in problems for what in problems[name]]
    if len(lines) > MAX_PROBLEMS:
        lines[MAX_PROBLEMS:] = [f"parameters: {len(lines) - MAX_PROBLEMS} further problems"]
    text = "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace")
    return Result(text, "; ".join(lines), 400, TEXT)


def _refuse_alone(endpoint: Endpoint, session: Session, request: Request) -> Result | None:
    """409 where an answer depends on what other processes have answered."""
    if not request.one_of_many or not (endpoint.changes or session.depends_on_calls):
        return None
    if endpoint.changes:
        return Result.refusal(409, f"{endpoint.summary} changes records, but {ALONE}")
    return Result.refusal(409, f"scenario {session.scenario.name} counts or changes, but {ALONE}")


def _respond(verdict: Verdict) -> Result | None:
    """The answer that a fault gives instead of the endpoint's."""
    fault = verdict.fault
    if fault is None or fault.connection:
        return None
    why = f"faults[{verdict.number}]: {fault}"
    if fault.status is None:
        text = f"Too many requests; try again in {verdict.retry_after} s\n".encode()
        return Result(text, why, 429, TEXT, headers=(("Retry-After", str(verdict.retry_after)),))
    typed = any(name.lower() == "content-type" for name in fault.headers)
    headers = tuple(fault.headers.items())
    return Result(fault.body.encode(), why, fault.status, "" if typed else TEXT, headers=headers)


def _spoil(result: Result, verdict: Verdict, request: Request) -> Result:
    """An answer that does not arrive as it should; whoever has the socket breaks it."""
    fault = verdict.fault
    assert fault is not None
    why = f"faults[{verdict.number}]: {fault}; {result.explanation}"
    if fault.connection == "malformed":
        return replace(result, body=result.body[:-1] + b"<html>", explanation=why)
    if request.can_break:
        return replace(result, explanation=why)
    why += ": there is no connection here to break"
    return Result(f"{why}; send it over a socket\n".encode(), why, 501, TEXT)


def _broken(result: Result, verdict: Verdict) -> str:
    """How the connection is to break; "" where it is not, or cannot be broken here."""
    connection = verdict.fault.connection if verdict.fault else None
    return connection if connection in NEEDS_SOCKET and result.status != 501 else ""


def unavailable(error: ConnectionError) -> Answer:
    """503 where what the shared state would have decided is not known; not in the journal."""
    headers = (
        ("Content-Type", TEXT),
        ("Retry-After", "1"),
        (EXPLAIN_HEADER, for_header(str(error))),
    )
    return Answer(503, headers, f"{error}\n".encode())


_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def for_header(text: str) -> str:
    """`text` in printable ASCII, and not too long."""
    if not text.isascii() or not text.isprintable():
        text = _CONTROL.sub(" ", text.encode("ascii", "backslashreplace").decode())
    return text if len(text) <= MAX_HEADER else f"{text[: MAX_HEADER - 3]}..."
