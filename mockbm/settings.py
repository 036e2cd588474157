"""What a mock can be set up with: for Python, the variables `MOCKBM_*` and the command line."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .core.journal import DEFAULT_SIZE, MAX_SIZE
from .core.mock import Mock
from .core.session import Store
from .endpoints import ENDPOINTS
from .files.directory import Directory
from .store.memory import MemoryStore

if TYPE_CHECKING:
    from .files.document import Progress


def _setting(default: Any, help_: str, **more: Any) -> Any:
    return field(default=default, metadata={"help": help_, **more})


@dataclass
class Settings:
    """The settings of one mock; `help` in the metadata of each field says what it is.

    Raises: ValueError for a value that cannot be meant.
    """

    scenarios: Path | str | None = None
    scenario: str | None = _setting(None, "The scenario active at the start.")
    strict: bool = _setting(True, "Refuse unknown parameters, as BuildMaster does, or ignore them.")
    journal_size: int = _setting(
        DEFAULT_SIZE, "Number of requests that the journal of each session holds.", most=MAX_SIZE
    )
    max_sessions: int = _setting(1_000, "Number of sessions that may be open at a time.")
    idle_seconds: float = _setting(
        3_600.0, "Seconds without a request after which a session ends.", option="session-idle"
    )
    clock: str | None = _setting(
        None,
        "Let every session's clock stand at this moment at first, for answers that are the same "
        "on any day.",
        metavar="DATE",
    )
    state: str = _setting(
        "memory",
        "Keep what is active, sessions and journals at redis://HOST:PORT, together with other "
        "mocks that do. Needs the extra 'redis'.",
        metavar="URL",
    )
    admin_api: bool = _setting(True, "Whether there is an admin API at all.", option="admin")
    admin_token: str | None = _setting(
        None,
        "What callers of the admin API must send as 'Authorization: Bearer TOKEN'. Without it, "
        "they must call from this machine; off loopback, a token is made and printed.",
    )
    allowed_hosts: Iterable[str] = _setting(
        (),
        "A further name by which the admin API may be called, such as that of a container.",
        option="allowed-host",
        metavar="NAME",
    )
    trust_proxy: bool = _setting(
        False,
        "Believe what a proxy in front says in X-Forwarded-Proto, -Host and -Prefix, for links and "
        "for the page.",
    )

    def __post_init__(self) -> None:
        if math.isnan(self.idle_seconds):
            raise ValueError("idle_seconds is not a number")
        if not 0 < self.journal_size <= MAX_SIZE:
            raise ValueError(f"journal_size is {self.journal_size}; allowed is 1 to {MAX_SIZE}")
        if self.admin_token and not re.fullmatch(r"[!-~]+", self.admin_token):
            what = "only letters, digits and signs of ASCII, without blanks"
            raise ValueError(f"the admin token: {what}")

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """The settings that the variables `MOCKBM_*` say; an empty one counts as not set.

        Raises: ValueError for a value that is not allowed.
        """
        found = {}
        for item in fields(cls):
            variable = variable_of(option_of(item))
            if environ.get(variable):
                found[item.name] = _read(variable, environ[variable], str(item.type), item.default)
        return cls(**found)

    def mock(self, *, breaks_connections: bool = False, progress: Progress | None = None) -> Mock:
        """A mock with these settings.

        breaks_connections, progress: as for `Mock` and `Directory`.
        Raises: ScenarioError for files with problems, UnknownName, ValueError.
        """
        return Mock(
            Directory(self.scenarios, progress),
            self._store(),
            ENDPOINTS,
            scenario=self.scenario,
            strict=self.strict,
            max_sessions=self.max_sessions,
            clock=self.clock,
            breaks_connections=breaks_connections,
            page=self.admin_api,
        )

    def _store(self) -> Store:
        if self.state == "memory":
            return MemoryStore(self.journal_size, self.idle_seconds)
        if self.state.startswith(("redis://", "rediss://", "unix://")):
            from .store.redis import RedisStore

            return RedisStore(self.state, self.journal_size, self.idle_seconds)
        what = "it is kept in memory, or at redis://HOST:PORT"
        raise ValueError(f"the state is {self.state!r}; {what}")


def option_of(item: Any) -> str:
    """The name of a setting on the command line, without its hyphens at the beginning."""
    return str(item.metadata.get("option", item.name.replace("_", "-")))


def variable_of(option: str) -> str:
    """The environment variable of an option."""
    return f"MOCKBM_{option.replace('-', '_').upper()}"


def _read(variable: str, text: str, kind: str, default: Any) -> Any:
    """The value of a setting from the text of its variable."""
    if kind == "bool":
        if text.lower() not in ("1", "true", "yes", "on", "0", "false", "no", "off"):
            raise ValueError(f"{variable}: {text!r} is neither 1 nor 0")
        return text.lower() in ("1", "true", "yes", "on")
    if kind.startswith("Iterable"):
        return text.split()
    number: Callable[[str], float] | None = {"int": int, "float": float}.get(kind)
    if number is None:
        return text
    try:
        value = number(text)
        if not 0 < value < math.inf:
            raise ValueError
    except ValueError:
        what = "a whole number" if isinstance(default, int) else "a number"
        raise ValueError(f"{variable}: {text!r} is not {what} above 0") from None
    return value
