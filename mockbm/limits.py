"""How much the clients of one server may ask of it, whichever server it is."""

from __future__ import annotations

THREADS = 8
"""Requests that are answered at the same time; more wait their turn."""

MAX_PAUSING = 1_000
"""Delayed requests that hold up nobody; with more, others begin to wait."""

MAX_CONNECTIONS = 10_000
"""Connections that may be open, idle ones too; more wait until one is closed."""

MAX_HEADERS = 64 * 1024
"""Bytes of request line and headers; more get a 431."""

MAX_UPLOAD = 16 * 1024 * 1024
"""Bytes of a body that are read at all; the application refuses smaller ones in better words."""

SLOW_SECONDS = 30.0
"""How long a client may take to send one request."""

IDLE_SECONDS = 120
"""How long a connection may stay open without a request."""

MAX_KEPT_REQUEST = 8 * 1024
"""Bytes of a request that may be answered again without being read."""
