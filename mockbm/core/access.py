"""Which session an API key means, and what is written into its journal.

A session's own key means that session, any other accepted key the default session, and
`KEY@scenario` a session of that key which always has that scenario.
"""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager
from itertools import compress
from typing import Any

from .endpoint import Result
from .errors import ScenarioError, UnknownName
from .journal import MAX_ANSWER, MAX_IDS, Record
from .mock import LOST, Mock
from .request import Call, Request, header_key
from .scenario import DEFAULT_API_KEY, Scenario
from .session import DEFAULT, Session, session_id
from .times import perf_counter

PIN = "@"
"""Stands between an API key and the scenario that it is pinned to."""

UNSENT = "not sent: the client was gone"
"""The note of an answer that is in the journal and did not go out."""


class Access:
    """A unit of work with the session that an API key means, and whether the key is refused.

    A session's own key is accepted in every scenario that accepts any key at all.

    refusal: why the key is refused; "" where it is not.
    parent: the session whose key a pinned key is made of.
    recorded: what was written into journals: the id of each session, and the record.
    """

    __slots__ = ("_key", "_units", "mock", "parent", "recorded", "refusal", "session")
    session: Session

    def __init__(self, mock: Mock, key: str | None) -> None:
        self.mock = mock
        self.refusal = ""
        self.parent: Session | None = None
        self.recorded: tuple[tuple[str, Record], ...] = ()
        self._key = key
        self._units: list[AbstractContextManager[Session | None]] = []

    def __enter__(self) -> Access:
        try:
            self._find(self._key or "")
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, *error: Any) -> None:
        try:
            if self._units:
                self._units.pop().__exit__(*error)
        except BaseException:
            error = sys.exc_info()
            raise
        finally:
            if self._units:  # that of the parent
                self._units.pop().__exit__(*error)

    def _use(self, id_: str) -> Session | None:
        """Begin a unit of work with a session of this id, if there is one."""
        unit = self.mock.store.use(id_)
        session = unit.__enter__()
        if session is None:
            unit.__exit__(None, None, None)
        else:
            self._units.append(unit)
            self.mock.sync(session)
        return session

    def _find(self, key: str) -> None:
        mock, own = self.mock, session_id(key)
        base, is_pinned, name = key.rpartition(PIN)
        ids = (own, session_id(base)) if is_pinned else (own,)
        for id_ in (*compress(ids, mock.find(*ids)), DEFAULT):
            session = self._use(id_)
            if session is None:
                continue  # it has ended at this moment
            self.session = session
            if id_ == own:
                self.refusal = _refusal(session, session.scenario, key)
            elif id_ == DEFAULT and key in session.scenario.api_keys:
                pass
            elif is_pinned and (id_ != DEFAULT or base in mock.catalog.api_keys):
                self._find_pinned(session, key, base, name)
            else:
                self.refusal = self._why_refused(session, own)
            return
        raise ConnectionError(LOST)

    def _find_pinned(self, parent: Session, key: str, base: str, name: str) -> None:
        """Take the session of a key that always has one scenario.

        It is opened when it is first needed, and begins again when its parent does.
        """
        mock = self.mock
        try:
            scenario = mock.catalog.get(name)
            self.refusal = _refusal(parent, scenario, base)
            if not self.refusal:
                mock.catalog.require_playable(scenario)
        except UnknownName as error:
            self.refusal = f"the API key is pinned, but {error}"
        except ScenarioError as error:
            self.refusal = str(error)
        if self.refusal:
            return
        id_ = session_id(f"pinned {key}")
        mock.store.find(id_)
        for _ in range(2):
            pin = self._use(id_)
            if pin is not None:
                if pin.generation != parent.generation:
                    pin.reset(scenario, parent.clock)
                    pin.generation = parent.generation
                pin.clock = parent.clock
                self.session, self.parent = pin, parent
                return
            scenario.prepare()
            fresh = mock.fresh(id_, f"pinned to {scenario.name}", scenario, parent)
            if mock.store.add(fresh):
                fresh.log("opened", "opened by its first request", scenario=scenario.name)
        self.refusal = "the session of this API key has ended"

    def _why_refused(self, default: Session, id_: str) -> str:
        key, store, catalog = self._key, self.mock.store, self.mock.catalog
        scenario = default.scenario
        if key is None:
            why = "the API key is missing"
        elif ended := store.ended(id_) or store.ended(session_id(key.rpartition(PIN)[0])):
            why = f"the session of this API key has ended: {ended}"
        elif key in catalog.api_keys:
            others = [item.name for item in catalog.scenarios.values() if key in item.api_keys]
            why = f"scenario {scenario.name} does not accept this API key; accepted by: "
            why += ", ".join(others)
        else:
            why = "the API key is unknown"
        if scenario.api_keys == (DEFAULT_API_KEY,):
            return f"{why}; scenario {scenario.name} accepts {DEFAULT_API_KEY}"
        return why if scenario.api_keys else f"{why}; {_refusal(default, scenario, key or '')}"

    def record(
        self,
        request: Request,
        call: Call,
        result: Result,
        delay: float,
        broken: str,
        began: float,
    ) -> None:
        """Write the request into the journal, and into the parent's, and log it."""
        arrives = broken in ("", "truncate")
        body = result.body if arrives and request.method != "HEAD" else b""
        size = len(body) // 2 if broken else len(body)
        notes = (f"delayed by {delay * 1000:.0f} ms",) if delay else ()
        if call.key_place and header_key(request.headers):
            notes = (f"a further API key, in the {call.key_place}, is ignored", *notes)
        session = self.session
        for journaling in (session, self.parent) if self.parent else (session,):
            journaling.number += 1
            record = Record(
                journaling.number,
                time.time(),
                perf_counter() - began + delay,
                request.method,
                request.path,
                result.status if arrives else 0,
                session.scenario.name,
                session.revision,
                call,
                len(result.ids),
                result.ids[:MAX_IDS],
                body[: min(size, MAX_ANSWER)],
                size,
                result.explanation,
                notes,
            )
            journaling.journal.add(record)
            self.recorded = (*self.recorded, (journaling.id, record))
        self.mock.on_record(self.recorded[0][1], session)  # with its number in this session

    def unsent(self) -> None:
        """Note in the journal, and log, that the client was gone before the answer was sent."""
        for id_, record in self.recorded:
            record.notes = (*record.notes, UNSENT)
            with self.mock.store.use(id_) as session:
                if session is not None:
                    session.journal.update(record)
                    text = f"#{record.number} is {UNSENT}"
                    session.log("unsent", text, number=record.number)


def _refusal(session: Session, scenario: Scenario, key: str) -> str:
    """Why a scenario refuses a key whose session is known; "" where it does not."""
    accepted = scenario.api_keys
    if key in accepted or (accepted and session.id != DEFAULT):
        return ""
    what = "does not accept this API key" if accepted else "accepts no API key at all"
    return f"scenario {scenario.name} {what}"
