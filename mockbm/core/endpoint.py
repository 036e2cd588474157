"""What an endpoint is: an entry of the table of the API, and what it makes of a request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from marshmallow import Schema, ValidationError

from .errors import nearest
from .kind import Kind
from .parameters import ParameterSchema
from .request import MAX_BODY, Call, Request, read
from .table import Selection

TEXT = "text/plain; charset=utf-8"
JSON = "application/json; charset=utf-8"


@dataclass(eq=False, slots=True)
class Result:
    """What an endpoint found or did, or why a request is refused.

    ids: of the records in the answer.
    """

    body: bytes
    explanation: str
    status: int = 200
    content_type: str = JSON
    ids: Sequence[int] = ()
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, selection: Selection) -> Result:
        """An answer with the records of a selection."""
        return cls(selection.body, selection.explanation, ids=selection.ids)

    @classmethod
    def refusal(cls, status: int, text: str, *headers: tuple[str, str]) -> Result:
        """An answer that says in one line what is wrong."""
        return cls(f"{text}\n".encode(), text, status, TEXT, headers=headers)


@dataclass(frozen=True, eq=False)
class Endpoint:
    """One endpoint of the API: an entry of the table in which `answer` looks.

    path: in lower case.
    run: what the endpoint does; gets the session (see `mockbm.core.session.Session`), and the
        parameters as their schema reads them.
    parameters: their schema.
    kind: of the records that it answers; None for another kind of answer.
    summary: its name in the vendor's documentation.
    counts: whether an answer is a call that moves on a scenario which changes after so many calls.
    changes: whether it changes records.
    is_open: whether it needs no API key.
    answer: the schema of what it answers.
    others: those of other forms of it, which a scenario may ask for; None is null.
    """

    path: str
    run: Callable[[Any, Mapping[str, Any]], Result]
    parameters: ParameterSchema
    kind: Kind | None = None
    summary: str = ""
    methods: tuple[str, ...] = ("GET", "HEAD", "POST")
    counts: bool = False
    changes: bool = False
    is_open: bool = False
    answer: Schema | None = None
    others: tuple[Schema | None, ...] = ()

    def understand(self, request: Request, *, strict: bool) -> Call:
        """What a request says; nothing but its own bytes decides that."""
        call = request.call
        if call is None:
            call = request.call = self._understand(request, strict)
        return call

    def _understand(self, request: Request, strict: bool) -> Call:
        body, content_type = request.body, request.headers.get("content-type", "")
        if len(body) > MAX_BODY:
            body, content_type = b"", ""
        schema = self.parameters
        call = read(request.query, content_type, body, schema.spelling)
        values = call.values
        try:
            call.loaded = schema.read(values, strict=strict)
        except ValidationError as error:
            for name in dict.fromkeys((*values, *error.messages_dict)):
                if "body" in call.problems and name not in values:
                    continue  # it may be in the body, which cannot be read
                call.problems.setdefault(name, []).extend(error.messages_dict.get(name, ()))
            call.problems = {name: texts for name, texts in call.problems.items() if texts}
            return call
        if not strict:
            self._note_ignored(call)
        return call

    def _note_ignored(self, call: Call) -> None:
        """Say of what the real server ignores that it is ignored."""
        schema, values = self.parameters, call.values
        call.ignored = tuple(
            name
            for name in values
            if name not in schema.load_fields and not (schema.VARIABLES and name[:1] == "$")
        )
        for group in schema.GROUPS:
            given = [name for name in values if name in group]
            if len(given) > 1:
                names = " and ".join(given)
                call.notes.append(f"{names} were given; BuildMaster takes one of them")


def not_found(paths: Sequence[str], page: str) -> Callable[[Any, Mapping[str, Any]], Result]:
    """What answers a path that is not in the table, with the nearest one that is.

    page: the path of the page for people; "" where there is none.
    """

    def run(_session: Any, values: Mapping[str, Any]) -> Result:
        path = values["path"]
        near = nearest(path, paths)
        guess = f"; did you mean {near}?" if near else ""
        if path == "/" and page:
            guess = f"; for people, there is a page at {page}"
        return Result.refusal(404, f"BuildMaster has no endpoint at this path{guess}")

    return run
