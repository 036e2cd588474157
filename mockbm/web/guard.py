"""Who may call the admin API: programs on this machine and whoever has the token, and our own page.

No other web page can.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Request


@dataclass(frozen=True)
class Guard:
    """The rules of one application. A page from elsewhere that a browser shows passes none of them.

    token: what callers must send as `Authorization: Bearer TOKEN`; None lets in those that call
        from this machine, and nobody else.
    hosts: names by which callers may call this machine, beside the loopback ones.
    """

    token: str | None = None
    hosts: frozenset[str] = field(default_factory=frozenset)

    def refusal(self, request: Request, *, is_file: bool) -> tuple[int, str] | None:
        """The status and the reason with which a call is refused, or None.

        is_file: the call is for a file of the page, which holds no data: it needs no token, since
            the page itself asks for it, and a link on another site may lead there.
        """
        host = request.headers.get("Host", "")
        if not self._is_ours(host):
            why = "the admin API is not called by that name; --allowed-host adds one"
            return 403, f"Host is {host!r}: {why}" if host else f"Host is missing: {_BY_NAME}"
        proxy = next((name for name, _ in request.headers if _OF_PROXIES.fullmatch(name)), None)
        origin = request.origin
        if origin is not None and origin not in _origins(request, host, proxy):
            return 403, f"Origin is {origin!r}: web pages cannot call the admin API"
        followed = is_file and request.headers.get("Sec-Fetch-Dest") == "document"
        if request.headers.get("Sec-Fetch-Site") == "cross-site" and not followed:
            return 403, "Sec-Fetch-Site is cross-site: web pages cannot call the admin API"
        if self.token is None:
            if is_loopback(request.remote_addr or "127.0.0.1") and not proxy:
                return None
            why = "the admin API is for this machine only, unless --admin-token is set"
            return 403, f"{proxy} says that a proxy forwards this call: {why}" if proxy else why
        if is_file:
            return None
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return 401, _NEEDS_TOKEN
        is_token = hmac.compare_digest(given.strip().encode(), self.token.encode())
        return None if is_token else (401, f"the token is wrong; {_NEEDS_TOKEN}")

    def _is_ours(self, host: str) -> bool:
        """Whether a Host header names this machine. An address cannot be made to, a name can."""
        parts = _HOST.fullmatch(host)
        name = parts[1].strip("[]").lower() if parts else ""
        if name in self.hosts or name == "localhost":
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or self.token is not None


_NEEDS_TOKEN = (
    "the admin API needs its token, as Authorization: Bearer TOKEN; "
    "on the command line, --admin-token or MOCKBM_ADMIN_TOKEN"
)
_BY_NAME = "the admin API is called by a name or an address, such as localhost"
_HOST = re.compile(
    r"([\w.-]+|\[[0-9a-f.]*:[0-9a-f.:]+\])(?::[0-9]{1,5})?", re.ASCII | re.IGNORECASE
)
_OF_PROXIES = re.compile(r"forwarded|x-forwarded-.*|x-real-ip|via", re.IGNORECASE)
"""Headers that a proxy adds. A call that has one may come from anywhere."""


def _origins(request: Request, host: str, proxy: str | None) -> Iterator[str]:
    """The origins of our own page.

    A proxy may end HTTPS, with or without a header that says so. Only where this server has the
    port 80 can an HTTPS page of the same host be another server's.
    """
    yield f"{request.scheme}://{request.host}"
    if proxy or request.environ.get("SERVER_PORT") != "80":
        yield f"https://{host.removesuffix(':443')}"


def is_loopback(host: str) -> bool:
    """Whether a name or address can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, None)
    except (OSError, UnicodeError):  # the latter for a name that is too long
        return False
    return all(
        ipaddress.ip_address(str(item[4][0]).partition("%")[0]).is_loopback for item in found
    )
