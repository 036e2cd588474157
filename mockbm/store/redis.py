"""Sessions in a Redis server, for several processes on one machine or many.

A session is a value, its journal a list. A unit of work is a lock, which Redis takes back from a
process that is killed; what the unit has changed is written, with its journal, in one step that
also gives the lock back. Everything ends by itself when it is not used.
"""

from __future__ import annotations

import json
import random
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from zlib import crc32

try:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ImportError:
    raise ValueError("a state in Redis needs the extra `redis` of mockbm") from None

from ..core.faults import Counts
from ..core.journal import Entry, Record
from ..core.session import DEFAULT, Session
from ..core.times import Clock
from .memory import idle_ending

LIFETIME = 30 * 24 * 3600
"""Seconds after which everything that is not used ends, the default session too."""

PATIENCE = 2.0
"""Seconds that a call waits for Redis before it gives up."""

LOCK_SECONDS = 3.0
"""How long a unit of work may take. A request waits that long, and a little, for an earlier one."""

_ACQUIRE = """
local holder = redis.call('get', KEYS[1])
if holder and holder ~= ARGV[1] and string.sub(holder, 1, 5) ~= 'saved' then return false end
redis.call('set', KEYS[1], ARGV[1], 'PX', ARGV[2])
return {redis.call('get', KEYS[2]) or ''}
"""
"""Take the lock and read the session. Sent twice, as after a lost connection, it does the same."""

_SAVE = """
local holder = redis.call('get', KEYS[1])
if holder == 'saved' .. ARGV[1] then return 1 end
if holder ~= ARGV[1] then return 0 end
redis.call('set', KEYS[1], 'saved' .. ARGV[1], 'PX', 10000)
if redis.call('exists', KEYS[2]) == 0 then return 1 end
if ARGV[2] ~= '' then redis.call('set', KEYS[2], ARGV[2]) end
if ARGV[5] == '1' then redis.call('del', KEYS[3]) end
for i = 6, #ARGV do redis.call('rpush', KEYS[3], ARGV[i]) end
redis.call('ltrim', KEYS[3], -tonumber(ARGV[4]), -1)
for i = 2, 4 do redis.call('pexpire', KEYS[i], ARGV[3]) end
return 1
"""
"""Write a session (unless it is as it was) and its journal, and give the lock back.

Sent twice, as where Redis was too slow to say that it is done, it does the same as once.
"""

_ADD = """
local stored = redis.call('get', KEYS[1])
if stored then return stored == ARGV[1] and 1 or 0 end
if ARGV[2] ~= '' then
  local open = 0
  for _, id in ipairs(redis.call('zrange', KEYS[2], 0, -1)) do
    if redis.call('exists', ARGV[5] .. id) == 1 then open = open + 1
    else redis.call('zrem', KEYS[2], id) end
  end
  if open >= tonumber(ARGV[2]) then return 0 end
end
redis.call('set', KEYS[1], ARGV[1], 'PX', ARGV[3])
if ARGV[6] ~= '' then redis.call('zadd', KEYS[2], ARGV[6], ARGV[4]) end
return 1
"""


class RedisStore:
    """The sessions of several processes; see `mockbm.core.session.Store`.

    url: as the package `redis` reads it, such as `redis://:PASSWORD@HOST:6379/0`. Behind a `#`, the
        name of the mock, for several in one database.
    journal_size, idle_seconds: as for `MemoryStore`; all processes should have the same.
    Every call raises ConnectionError where Redis does not answer, or what it holds cannot be read.
    Raises: ValueError for a URL that cannot be read.
    """

    shared = True

    def __init__(self, url: str, journal_size: int, idle_seconds: float) -> None:
        parts = urlsplit(url)
        try:
            self.redis: Any = redis.Redis.from_url(
                urlunsplit(parts._replace(fragment="")),
                decode_responses=True,
                encoding_errors="replace",
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
        self._journal_size = journal_size
        self._idle_seconds = idle_seconds
        self._reloads = 0
        self._loaded: dict[str, tuple[str, Session]] = {}

    @contextmanager
    def use(self, id_: str) -> Iterator[Session | None]:
        token = secrets.token_hex(8)
        raw = self._take_lock(id_, token)
        session = None
        try:
            session = self._load(id_, raw)
            yield session
        except BaseException:
            self._loaded.pop(id_, None)  # it may be changed in part, and is not saved
            session = None
            raise
        finally:
            self._give_back(id_, token, raw, session)

    def _take_lock(self, id_: str, token: str) -> str:
        """Wait for the exclusive use of a session. Returns: what is stored of it, or ""."""
        deadline, wait = time.monotonic() + LOCK_SECONDS + 1, 0.0005
        keys = [self.key("lock", id_), self.key("session", id_)]
        while True:
            with self.calling():
                found = self.redis.eval(_ACQUIRE, 2, *keys, token, int(LOCK_SECONDS * 1000))
            if found is not None:
                return str(found[0])
            if time.monotonic() > deadline:
                raise ConnectionError(f"the shared state at {self.name} is in use for too long")
            time.sleep(wait * (1 + random.random()))
            wait = min(wait * 1.5, 0.01)

    def _give_back(self, id_: str, token: str, raw: str, session: Session | None) -> None:
        text, entries, is_cleared = "", list[str](), False
        if session is not None:
            journal = session.journal
            assert isinstance(journal, RedisJournal)
            entries, is_cleared = journal.take()
            text = _written(session)
        kinds = ("lock", "session", "journal", "pins")
        with self.calling():
            values: list[Any] = [token, "" if text == raw else text, self._lifetime(id_)]
            values += [self._journal_size, int(is_cleared), *entries]
            saved = self.redis.eval(_SAVE, 4, *(self.key(kind, id_) for kind in kinds), *values)
        if session is not None and not saved:
            self._loaded.pop(id_, None)
            raise ConnectionError(
                f"the shared state at {self.name} took too long; another request came first"
            )
        if session is not None:
            self._loaded[id_] = (text, session)

    def find(self, *ids: str) -> list[bool]:
        with self.calling():
            pipe = self.redis.pipeline(transaction=False)
            pipe.get(f"{self._mock}:reloads")
            for id_ in ids:
                pipe.exists(self.key("session", id_))
            reloads, *found = pipe.execute()
            self._reloads = int(reloads or 0)
        return [*map(bool, found)]

    def add(self, session: Session, most: int | None = None) -> bool:
        is_opened = session.parent is None and session.id != DEFAULT
        with self.calling():
            keys = [self.key("session", session.id), f"{self._mock}:sessions"]
            values: list[Any] = [
                _written(session),
                "" if most is None else most,
                self._lifetime(session.id),
            ]
            values += [session.id, self.key("session", ""), time.time() if is_opened else ""]
            added = self.redis.eval(_ADD, 2, *keys, *values)
            if added and session.parent is not None:
                self.redis.sadd(self.key("pins", session.parent), session.id)
            elif added and is_opened:
                why = idle_ending(self._idle_seconds)
                self.redis.set(self.key("ending", session.id), why, ex=LIFETIME)
        return bool(added)

    def sessions(self) -> list[Session]:
        with self.calling():
            opened = [DEFAULT, *self.redis.zrange(f"{self._mock}:sessions", 0, -1)]
            pipe = self.redis.pipeline(transaction=False)
            for id_ in opened:
                pipe.smembers(self.key("pins", id_))
            ids = [*opened, *(pin for found in pipe.execute() for pin in sorted(found))]
            for id_ in ids:
                pipe.get(self.key("session", id_))
            stored = pipe.execute()
        return [self._read(id_, raw) for id_, raw in zip(ids, stored, strict=True) if raw]

    def end(self, id_: str, why: str = "") -> bool:
        with self.calling():
            ids = [id_, *self.redis.smembers(self.key("pins", id_))]
            pipe = self.redis.pipeline()
            for ended in ids:
                pipe.get(self.key("session", ended))
                pipe.delete(self.key("session", ended))
                pipe.delete(self.key("journal", ended), self.key("pins", ended))
                self._loaded.pop(ended, None)
            pipe.zrem(f"{self._mock}:sessions", id_)
            if why:
                pipe.set(self.key("ending", id_), why, ex=LIFETIME)
            found = pipe.execute()
        for ended, raw in zip(ids, found[: 3 * len(ids) : 3], strict=True):
            with suppress(ConnectionError):  # it cannot be read, and has ended all the same
                if raw:
                    self._read(ended, raw).log("ended", f"ended: {why}")
        return bool(found[1])

    def ended(self, id_: str) -> str | None:
        with self.calling():
            why = self.redis.get(self.key("ending", id_))
        return None if why is None else str(why)

    def reloads(self) -> int:
        return self._reloads

    def add_reload(self) -> int:
        with self.calling():
            self._reloads = int(self.redis.incr(f"{self._mock}:reloads"))
        return self._reloads

    def _load(self, id_: str, raw: str) -> Session | None:
        """The session that is stored so; the same object for as long as the same is stored."""
        if not raw:
            self._loaded.pop(id_, None)
            return None
        known = self._loaded.get(id_)
        if known is not None and known[0] == raw:
            return known[1]
        if len(self._loaded) >= 10_000:
            self._loaded.clear()
        session = self._read(id_, raw)
        session.journal = RedisJournal(self, id_)
        return session

    def _read(self, id_: str, raw: str) -> Session:
        """The session that is stored so. Raises: ConnectionError where it is not one."""
        try:
            return _session(raw)
        except _NOT_OURS:
            raise self.unreadable("session", id_) from None

    def unreadable(self, kind: str, id_: str) -> ConnectionError:
        """The error for what another program, or another version of this one, has written."""
        key = self.key(kind, id_)
        text = f"the shared state at {self.name} has something at {key} that cannot be read"
        return ConnectionError(f"{text}; delete it, or use the version of mockbm that wrote it")

    def _lifetime(self, id_: str) -> int:
        """Milliseconds after which a session ends that is not used."""
        seconds = LIFETIME if id_ == DEFAULT else min(self._idle_seconds, LIFETIME)
        return max(int(seconds * 1000), 1)

    def key(self, kind: str, id_: str) -> str:
        """The key of something that belongs to a session."""
        return f"{self._mock}:{kind}:{id_}"

    @contextmanager
    def calling(self) -> Iterator[None]:
        """A call of Redis, whose errors are ConnectionErrors."""
        try:
            yield
        except (redis.RedisError, ValueError) as error:  # a ValueError where a number is none
            text = f"the shared state at {self.name} does not answer: {error}"
            raise ConnectionError(text) from error


class RedisJournal:
    """The newest requests of one session; what is added is written when the unit of work ends."""

    def __init__(self, store: RedisStore, id_: str) -> None:
        self._store = store
        self._id = id_
        self._added: list[Record] = []
        self._is_cleared = False
        self.add = self._added.append

    def update(self, record: Record) -> None:
        """Write a request anew that was added and has changed, if it is still there."""
        key, entry = self._store.key("journal", self._id), record.entry()
        with self._store.calling():
            newest = self._store.redis.lindex(key, -1)
            place = record.number - json.loads(newest or "{}").get("number", 0) - 1
            stored = self._store.redis.lindex(key, place) if newest and place < 0 else None
            if stored and json.loads(stored)["time"] == entry.time:
                self._store.redis.lset(key, place, json.dumps(entry.to_json()))

    def clear(self) -> None:
        """Remove all entries."""
        self._added.clear()
        self._is_cleared = True

    def take(self) -> tuple[list[str], bool]:
        """What is to be written, and whether all entries before it are to be removed."""
        found = [json.dumps(record.entry().to_json()) for record in self._added], self._is_cleared
        self._added.clear()
        self._is_cleared = False
        return found

    def entries(self) -> list[Entry]:
        """The entries, oldest first."""
        with self._store.calling():
            found = self._store.redis.lrange(self._store.key("journal", self._id), 0, -1)
        try:
            return [Entry.from_json(json.loads(text)) for text in found]
        except _NOT_OURS:
            raise self._store.unreadable("journal", self._id) from None


_NOT_OURS = (ValueError, TypeError, KeyError, AttributeError)
"""What happens when something is read that this mock has not written."""

_STORED = tuple(item.name for item in fields(Session) if item.init)


def _written(session: Session) -> str:
    clock = session.clock
    set_to = None if clock.set_to is None else clock.set_to.isoformat()
    plain = {name: getattr(session, name) for name in _STORED}
    plain |= {
        "clock": [set_to, clock.ahead.total_seconds()],
        "began": session.began.isoformat(),
        "counts": asdict(session.counts),
    }
    text = json.dumps(plain, default=str)
    return f"{crc32(text.encode()):08x} {text}"


def _session(raw: str) -> Session:
    """The session that was written so; what a newer mock has added is ignored.

    Raises: one of `_NOT_OURS`.
    """
    digest, _, text = raw.partition(" ")
    if int(digest, 16) != crc32(text.encode()):
        raise ValueError("changed by other means")
    plain = {key: value for key, value in json.loads(text).items() if key in _STORED}
    set_to, ahead = plain["clock"]
    clock = Clock(None if set_to is None else datetime.fromisoformat(set_to))
    clock.ahead = timedelta(seconds=ahead)
    plain |= {
        "clock": clock,
        "began": datetime.fromisoformat(plain["began"]),
        "counts": Counts(**plain["counts"]),
        "written": {
            kind: {int(id_): row for id_, row in rows.items()}
            for kind, rows in plain["written"].items()
        },
    }
    return Session(**plain)
