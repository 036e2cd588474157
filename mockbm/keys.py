"""API keys: those of sessions, pinned ones, and how they are kept out of all that is written."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable, Iterable

HIDDEN = "***"
"""Stands where a secret stood, in everything that mockbm writes."""

SHORT_KEY = 6
"""Letters from which on a key is no ordinary word."""

PIN = "@"
"""Stands between an API key and the scenario that it is pinned to."""

_BYTES = 24
"""Random bytes in the API key of a session; three of them are four letters."""

_OF_SESSIONS = re.compile(rf"(?<![\w-])[A-Za-z0-9_-]{{{_BYTES * 4 // 3}}}(?![\w-])")


def new_key() -> str:
    """A fresh API key for a session, which nobody can guess."""
    return secrets.token_urlsafe(_BYTES)


def session_id(api_key: str) -> str:
    """The id of the session that has this key. The key cannot be told from it."""
    return hashlib.sha256(api_key.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def without_keys(text: str, keys: Iterable[str], is_session: Callable[[str], bool]) -> str:
    """`text`, which a client sent, without any API key in it.

    keys: hidden as parts of a text only where they are long enough not to be ordinary words.
    is_session: whether there is, or was, a session of an id.
    """
    for key in keys:
        if text == key or (len(key) >= SHORT_KEY and key in text):
            text = text.replace(key, HIDDEN)
    for word in _OF_SESSIONS.findall(text):
        if is_session(session_id(word)):
            text = text.replace(word, HIDDEN)
    return text
