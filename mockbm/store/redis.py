"""Sessions in a Redis server, for several processes on one machine or many.

A session is a value, its journal a list. A unit of work is a lock, which Redis takes back from a
process that is killed; what the unit has changed is written, with its journal, in one step that
also gives the lock back. Everything ends by itself when it is not used.
"""

from __future__ import annotations

import json
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
redis.call('del', KEYS[5])
redis.call('lpush', KEYS[5], 'free')
redis.call('pexpire', KEYS[5], 10000)
if redis.call('exists', KEYS[2]) == 0 then return 1 end
if ARGV[2] ~= '' then redis.call('set', KEYS[2], ARGV[2]) end
if ARGV[5] == '1' then redis.call('del', KEYS[3]) end
for i = 6, #ARGV do redis.call('rpush', KEYS[3], ARGV[i]) end
redis.call('ltrim', KEYS[3], -tonumber(ARGV[4]), -1)
for i = 2, 4 do redis.call('pexpire', KEYS[i], ARGV[3]) end
return 1
"""
"""Write a session (if any) and its journal, and give the lock back.

Sent twice, as where Redis was too slow to say that it is done, it does the same as once.
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
        self._take = self.redis.register_script(_ACQUIRE)
        self._save = self.redis.register_script(_SAVE)
        self._mock = parts.fragment or "mockbm"
        self._journal_size = journal_size
        self._idle_seconds = idle_seconds
        self._reloads = 0
        self._loaded: dict[str, tuple[str, Session]] = {}

    @contextmanager
    def use(self, id_: str) -> Iterator[Session | None]:
        token = secrets.token_hex(8)
        raw = self._take_lock(id_, token)
        session, journal = None, RedisJournal(self, id_)
        try:
            session = self._load(id_, raw)
            if session is not None:
                session.journal = journal
            yield session
        except BaseException:
            self._loaded.pop(id_, None)  # it may be changed in part, and is not saved
            session, journal = None, RedisJournal(self, id_)
            raise
        finally:
            self._give_back(id_, token, session, journal)

    def _take_lock(self, id_: str, token: str) -> str:
        """Wait for the exclusive use of a session. Returns: what is stored of it, or ""."""
        deadline = time.monotonic() + LOCK_SECONDS + 2
        keys = [self.key("lock", id_), self.key("session", id_)]
        while True:
            with self.calling():
                found = self._take(keys, [token, int(LOCK_SECONDS * 1000)])
                if found is not None:
                    return str(found[0])
                # Who has waited longest comes next. After a second, the holder may be gone.
                self.redis.blpop(self.key("free", id_), timeout=1)
            if time.monotonic() > deadline:
                raise self.error("is in use for too long")

    def _give_back(
        self, id_: str, token: str, session: Session | None, journal: RedisJournal
    ) -> None:
        text = "" if session is None else _written(session)
        entries = [json.dumps(record.entry().to_json()) for record in journal.added]
        keys = [self.key(kind, id_) for kind in ("lock", "session", "journal", "pins", "free")]
        values: list[Any] = [token, text, self._lifetime(id_), self._journal_size]
        with self.calling():
            saved = self._save(keys, [*values, int(journal.is_cleared), *entries])
        if session is not None and not saved:
            self._loaded.pop(id_, None)
            raise self.error("took too long; another request came first")
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
        if most is not None:
            opened = [s for s in self.sessions() if s.parent is None and s.id != DEFAULT]
            if len(opened) >= most:
                return False
        key, raw = self.key("session", session.id), _written(session)
        with self.calling():
            pipe = self.redis.pipeline()
            pipe.set(key, raw, nx=True, px=self._lifetime(session.id))
            pipe.get(key)
            if session.parent is not None:
                pipe.sadd(self.key("pins", session.parent), session.id)
            elif session.id != DEFAULT:
                pipe.zadd(f"{self._mock}:sessions", {session.id: time.time()})
                why = idle_ending(self._idle_seconds)
                pipe.set(self.key("ending", session.id), why, ex=LIFETIME)
            _, stored, *_ = pipe.execute()
        return bool(stored == raw)

    def sessions(self) -> list[Session]:
        with self.calling():
            opened = [DEFAULT, *self.redis.zrange(f"{self._mock}:sessions", 0, -1)]
            ids = [*opened, *sorted(self.redis.sunion([self.key("pins", id_) for id_ in opened]))]
            found = self.redis.mget([self.key("session", id_) for id_ in ids])
            stored = dict(zip(ids, found, strict=True))
            if gone := [id_ for id_ in ids if stored[id_] is None]:
                self.redis.zrem(f"{self._mock}:sessions", *gone)
        return [self._read(id_, raw) for id_, raw in stored.items() if raw]

    def end(self, id_: str, why: str = "") -> bool:
        kinds = ("session", "journal", "pins")
        with self.calling():
            ids = [id_, *self.redis.smembers(self.key("pins", id_))]
            pipe = self.redis.pipeline()
            pipe.mget([self.key("session", ended) for ended in ids])
            pipe.delete(*(self.key(kind, ended) for kind in kinds for ended in ids))
            pipe.zrem(f"{self._mock}:sessions", id_)
            if why:
                pipe.set(self.key("ending", id_), why, ex=LIFETIME)
            stored, *_ = pipe.execute()
        for ended, raw in zip(ids, stored, strict=True):
            self._loaded.pop(ended, None)
            with suppress(ConnectionError):  # it cannot be read, and has ended all the same
                if raw:
                    self._read(ended, raw).log("ended", f"ended: {why}")
        return bool(stored[0])

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
        known, session = self._loaded.get(id_, ("", None))
        if known != raw:
            if len(self._loaded) >= 10_000:
                self._loaded.clear()
            session = self._read(id_, raw) if raw else None
        return session

    def _read(self, id_: str, raw: str) -> Session:
        """The session that is stored so. Raises: ConnectionError where it is not one."""
        with self.reading("session", id_):
            return _session(raw)

    @contextmanager
    def reading(self, kind: str, id_: str) -> Iterator[None]:
        """Read what another program, or another version of this one, may have written."""
        try:
            yield
        except (ValueError, TypeError, KeyError, AttributeError):
            what = f"has something at {self.key(kind, id_)} that cannot be read; delete it, or use"
            raise self.error(f"{what} the version of mockbm that wrote it") from None

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
            raise self.error(f"does not answer: {error}") from error

    def error(self, what: str) -> ConnectionError:
        return ConnectionError(f"the shared state at {self.name} {what}")


class RedisJournal:
    """The newest requests of one session during a unit of work, at whose end they are written.

    added: requests that are to be written. is_cleared: whether those before them are to go.
    """

    def __init__(self, store: RedisStore, id_: str) -> None:
        self._store = store
        self._id = id_
        self.added: list[Record] = []
        self.is_cleared = False
        self.add = self.added.append

    def update(self, record: Record) -> None:
        """Write a request anew that was added and has changed, if it is still there."""
        new = record.entry()
        for place, entry in enumerate(self.entries()):
            if (entry.number, entry.time) == (new.number, new.time):
                key, text = self._store.key("journal", self._id), json.dumps(new.to_json())
                with self._store.calling():
                    self._store.redis.lset(key, place, text)

    def clear(self) -> None:
        """Remove all entries."""
        self.added.clear()
        self.is_cleared = True

    def entries(self) -> list[Entry]:
        """The entries, oldest first."""
        with self._store.calling():
            found = self._store.redis.lrange(self._store.key("journal", self._id), 0, -1)
        with self._store.reading("journal", self._id):
            return [Entry.from_json(json.loads(text)) for text in found]


_STORED = tuple(item.name for item in fields(Session) if item.init)


def _written(session: Session) -> str:
    """A session as a text, which begins with a digest of the rest."""
    clock = session.clock
    values = {name: getattr(session, name) for name in _STORED} | {
        "clock": [clock.set_to and clock.set_to.isoformat(), clock.ahead.total_seconds()],
        "began": session.began.isoformat(),
        "counts": asdict(session.counts),
    }
    text = json.dumps(values, default=str)
    return f"{crc32(text.encode()):08x} {text}"


def _session(raw: str) -> Session:
    """The session that was written so; what a newer mock has added is ignored.

    Fails in many ways where something else was written.
    """
    digest, _, text = raw.partition(" ")
    if int(digest, 16) != crc32(text.encode()):
        raise ValueError("changed by other means")
    values = json.loads(text)
    set_to, ahead = values["clock"]
    values["clock"] = Clock(set_to and datetime.fromisoformat(set_to))
    values["clock"].ahead = timedelta(seconds=ahead)
    values["began"] = datetime.fromisoformat(values["began"])
    values["counts"] = Counts(**values["counts"])
    for kind, rows in values["written"].items():
        values["written"][kind] = {int(id_): row for id_, row in rows.items()}
    return Session(**{name: values[name] for name in _STORED})
