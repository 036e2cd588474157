"""The state of several processes, on one machine or many, in a Redis server.

A session is a hash: where it stands, its counts, and the number of its newest request; its journal
is a list, its pins are a set. Nothing is ever locked, so a process that is killed holds up nobody:
a change is made on what was read, and made again where somebody else was faster (WATCH and EXEC).
Everything ends by itself when it is not used: a session when it has been idle for too long, the
rest after `KEPT`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

try:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ImportError:
    raise ValueError("a state in Redis needs the extra `redis` of mockbm") from None

from .faults import Counts
from .journal import Entry, Journal, Told
from .state import DEFAULT, Result, Standing, idle_ending
from .times import Clock

KEPT = 30 * 24 * 3600
"""Seconds after which whatever nobody uses ends, the default session too."""

PATIENCE = 2.0
"""Seconds that a call waits for Redis before it gives up."""

STANDING, COUNTS, NUMBER = "standing", "counts", "number"


class RedisState:
    """A `State` in Redis; every call raises ConnectionError where that cannot be reached.

    url: as the package `redis` reads it, such as `redis://:PASSWORD@HOST:6379/0`. Behind a `#`, the
        name of the mock, for several in one database.
    journal_size, idle_seconds: as for `MemoryState`; all processes should have the same.
    Raises: ValueError for a URL that is none.
    """

    shared = True

    def __init__(self, url: str, journal_size: int, idle_seconds: float) -> None:
        parts = urlsplit(url)
        try:
            self._redis: Any = redis.Redis.from_url(
                urlunsplit(parts._replace(fragment="")),
                decode_responses=True,
                socket_timeout=PATIENCE,
                socket_connect_timeout=PATIENCE,
                retry=Retry(NoBackoff(), 1),  # a connection from before Redis was restarted
            )
        except (ValueError, TypeError):  # whose text may have the password in it
            raise ValueError(
                "the URL of the state cannot be read; write redis://:PASSWORD@HOST:PORT/0"
            ) from None
        self.name = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        self._mock = parts.fragment or "mockbm"
        self._sessions = f"{self._mock}:sessions"
        self._reload_count = f"{self._mock}:reloads"
        self._journal_size = journal_size
        self._idle_seconds = idle_seconds
        self._reloads = 0
        self._read: dict[str, tuple[str, Standing]] = {}

    def look(self, *ids: str, used: bool = False) -> list[Standing | None]:
        with self._transaction() as pipe:
            pipe.get(self._reload_count)
            for id_ in ids:
                pipe.hget(self._key("session", id_), STANDING)
            if used:
                for id_ in ids:
                    self._put_off(pipe, id_)
            reloads, *found = pipe.execute()[: len(ids) + 1]
        self._reloads = int(reloads or 0)
        return [self._standing(id_, data) for id_, data in zip(ids, found, strict=True)]

    def standings(self) -> list[Standing]:
        with self._asking():
            opened = [DEFAULT, *self._redis.zrange(self._sessions, 0, -1)]
            with self._transaction() as pipe:
                for id_ in opened:
                    pipe.smembers(self._key("pins", id_))
                pins = [pin for found in pipe.execute() for pin in sorted(found)]
        return [standing for standing in self.look(*opened, *pins) if standing is not None]

    def open(self, standing: Standing, most: int | None = None) -> Standing | None:
        key = self._key("session", standing.id)
        while True:
            with self._asking(), self._redis.pipeline() as pipe:
                pipe.watch(key, self._sessions)
                there = self._standing(standing.id, pipe.hget(key, STANDING))
                if there is not None:
                    return there
                if most is not None and self._opened(pipe) >= most:
                    return None
                pipe.multi()
                pipe.hset(key, STANDING, _written(standing))
                if standing.parent is not None:
                    pipe.sadd(self._key("pins", standing.parent), standing.id)
                elif standing.id != DEFAULT:
                    pipe.zadd(self._sessions, {standing.id: time.time()})
                    pipe.set(
                        self._key("ending", standing.id),
                        idle_ending(self._idle_seconds),
                        ex=KEPT,
                    )
                self._put_off(pipe, standing.id)
                if _executed(pipe):
                    return standing

    def change(self, id_: str, act: Callable[[Standing], Standing]) -> Standing | None:
        while True:
            with self._asking(), self._redis.pipeline() as pipe:
                pipe.watch(self._key("session", id_))
                standing = self._standing(id_, pipe.hget(self._key("session", id_), STANDING))
                if standing is None:
                    return None
                changed = act(standing)
                written = _written(changed)
                pipe.multi()
                pipe.hset(self._key("session", id_), STANDING, written)
                if _executed(pipe):
                    return self._standing(id_, written)

    def end(self, id_: str, why: str = "") -> bool:
        with self._asking():
            pins = self._redis.smembers(self._key("pins", id_))
            with self._transaction() as pipe:
                pipe.delete(self._key("session", id_))
                for ended in (id_, *pins):
                    pipe.delete(
                        self._key("session", ended),
                        self._key("journal", ended),
                        self._key("pins", ended),
                    )
                    self._read.pop(ended, None)
                pipe.zrem(self._sessions, id_)
                if why:
                    pipe.set(self._key("ending", id_), why, ex=KEPT)
                return bool(pipe.execute()[0])

    def ended(self, id_: str) -> str | None:
        with self._asking():
            why = self._redis.get(self._key("ending", id_))
        return None if why is None else str(why)

    def count(self, id_: str, epoch: int, act: Callable[[Counts], Result]) -> Result:
        key = self._key("session", id_)
        while True:
            with self._asking(), self._redis.pipeline() as pipe:
                pipe.watch(key)
                there, data = pipe.hmget(key, STANDING, COUNTS)
                counted, counts = _counts(data)
                if there is None or counted > epoch:
                    return act(Counts())
                if counted < epoch:
                    counts = Counts()
                result = act(counts)
                pipe.multi()
                pipe.hset(key, COUNTS, json.dumps([epoch, asdict(counts)]))
                if _executed(pipe):
                    return result

    def journal(self, id_: str) -> Journal:
        return RedisJournal(self, id_)

    def reloads(self) -> int:
        return self._reloads

    def add_reload(self) -> int:
        with self._asking():
            self._reloads = int(self._redis.incr(self._reload_count))
        return self._reloads

    def record(self, id_: str, told: Told) -> int:
        """Add an entry to a journal. Returns: its number."""
        with self._transaction() as pipe:
            pipe.hincrby(self._key("session", id_), NUMBER, 1)
            pipe.rpush(self._key("journal", id_), json.dumps(told.fields()))
            pipe.ltrim(self._key("journal", id_), -self._journal_size, -1)
            self._put_off(pipe, id_)
            return int(pipe.execute()[0])

    def entries(self, id_: str) -> list[Entry]:
        """The entries of a journal, oldest first."""
        with self._transaction() as pipe:
            pipe.hget(self._key("session", id_), NUMBER)
            pipe.lrange(self._key("journal", id_), 0, -1)
            newest, found = pipe.execute()
        first = int(newest or 0) - len(found) + 1
        return [
            Entry.from_json({"number": number, **json.loads(data)})
            for number, data in enumerate(found, first)
        ]

    def clear(self, id_: str, *, numbers: bool) -> None:
        """Empty a journal; perhaps let its numbers begin anew."""
        with self._transaction() as pipe:
            pipe.delete(self._key("journal", id_))
            if numbers:
                pipe.hdel(self._key("session", id_), NUMBER)
            pipe.execute()

    def _key(self, kind: str, id_: str) -> str:
        return f"{self._mock}:{kind}:{id_}"

    def _put_off(self, pipe: Any, id_: str) -> None:
        seconds = KEPT if id_ == DEFAULT else min(self._idle_seconds, KEPT)
        for key in (self._key("session", id_), self._key("journal", id_), self._key("pins", id_)):
            pipe.pexpire(key, int(seconds * 1000))

    def _opened(self, pipe: Any) -> int:
        """How many sessions there are; those that have ended by themselves are forgotten."""
        opened = pipe.zrange(self._sessions, 0, -1)
        over = [id_ for id_ in opened if not pipe.hexists(self._key("session", id_), STANDING)]
        if over:
            self._redis.zrem(self._sessions, *over)
        return len(opened) - len(over)

    def _standing(self, id_: str, data: str | None) -> Standing | None:
        """What was written; the same object for as long as the same is written."""
        if data is None:
            self._read.pop(id_, None)
            return None
        known = self._read.get(id_)
        if known is not None and known[0] == data:
            return known[1]
        standing = _read(data)
        if len(self._read) >= 10_000:
            self._read.clear()
        self._read[id_] = (data, standing)
        return standing

    @contextmanager
    def _transaction(self) -> Iterator[Any]:
        with self._asking(), self._redis.pipeline() as pipe:
            yield pipe

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except redis.RedisError as error:
            text = f"the shared state at {self.name} does not answer: {error}"
            raise ConnectionError(text) from error


class RedisJournal:
    """A journal in Redis."""

    def __init__(self, state: RedisState, id_: str) -> None:
        self._state = state
        self._id = id_

    def record(self, told: Told) -> int:
        return self._state.record(self._id, told)

    def clear(self) -> None:
        self._state.clear(self._id, numbers=False)

    def restart(self) -> None:
        self._state.clear(self._id, numbers=True)

    def all(self) -> list[Entry]:
        return self._state.entries(self._id)


def _executed(pipe: Any) -> bool:
    """Whether the changes were made; they were not where somebody else was faster."""
    try:
        pipe.execute()
    except redis.WatchError:
        return False
    return True


def _written(standing: Standing) -> str:
    clock = standing.clock
    set_to = None if clock.set_to is None else clock.set_to.isoformat()
    plain = {name: getattr(standing, name) for name in Standing.__dataclass_fields__}
    plain |= {"clock": [set_to, clock.ahead.total_seconds()], "began": standing.began.isoformat()}
    return json.dumps(plain, default=str)


def _read(data: str) -> Standing:
    plain = json.loads(data)
    set_to, ahead = plain["clock"]
    clock = Clock(None if set_to is None else datetime.fromisoformat(set_to))
    clock.ahead = timedelta(seconds=ahead)
    return Standing(**(plain | {"clock": clock, "began": datetime.fromisoformat(plain["began"])}))


def _counts(data: str | None) -> tuple[int, Counts]:
    if data is None:
        return 0, Counts()
    counted, plain = json.loads(data)
    return counted, Counts(**plain)
