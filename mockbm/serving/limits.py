"""What the clients of one server may ask of it."""

from __future__ import annotations

THREADS = 8
"""Calls of the admin API, or requests whose session is in Redis, that are served at a time."""

MAX_CONNECTIONS = 10_000
"""Connections that may be open, idle ones too; more are closed at once."""

RESERVED = 40
"""Files that this process opens for other things, where it may open few."""

MAX_ACCEPTED = 8
"""Connections that are accepted in a row, before what is too many is closed."""

MAX_UPLOAD = 16 * 1024 * 1024
"""Bytes of a body that are read at all; what the application refuses is less."""

MAX_WAITING = 64
"""Requests of one connection that wait for the answer to an earlier one, before reading pauses."""

SLOW_SECONDS = 30.0
"""How long a client may take to send one request."""

IDLE_SECONDS = 120.0
"""How long a connection may stay open without a request."""

MAX_CACHED = 2_000
"""Bytes of a request that is worth being parsed only once, and number of such requests."""


def max_connections() -> int:
    """`MAX_CONNECTIONS`, or fewer where this process may not open so many files."""
    try:
        import resource  # not on Windows, which has no such limit
    except ImportError:
        return MAX_CONNECTIONS
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return max(1, min(MAX_CONNECTIONS, files - RESERVED))
