"""Which hosts and origins may reach the endpoint: against DNS rebinding and foreign web pages.

Source: the security pages of the specification; a page in a browser can make requests to servers on the
user's own machine, and through a name of its own that resolves to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

HOSTS_VARIABLE: Final = "SCOPEDTOOLS_ALLOWED_HOSTS"
"""Environment variable with ``allowed_hosts``, separated by commas, where they are not given."""

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class HostPolicy:
    """Decides by the headers ``Host`` and ``Origin``.

    Args:
        hosts: Names under which the server is reached, with or without ports, which do not count, or ``*``
            for any. By default any, except that a server which listens on a loopback address is reached only
            by a loopback name.
        origins: Origins of web pages that may call, such as ``https://app.example.com``, or ``*``. A page
            of the same host may always, and on a loopback address one of any loopback name.
    """

    def __init__(self, *, hosts: Iterable[str] | None = None, origins: Iterable[str] = ()) -> None:
        self._hosts = None if hosts is None else frozenset(_name_of(host) for host in hosts)
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)

    def refuses(self, scope: Mapping[str, Any], headers: Mapping[str, str]) -> tuple[int, str] | None:
        """Return the HTTP status and reason of a refusal, or ``None``.

        Args:
            scope: Of the ASGI request.
            headers: Header values by name in lower case.
        """
        host = _host_of(f"//{headers.get('host', '')}")
        local = _is_loopback((scope.get("server") or ("",))[0])
        # Browsers always name a host; who names none is not led here by a page.
        if "host" in headers and not self._serves(host, local=local):
            return 421, f"Host {host!r} is not served here; see allowed_hosts"
        origin = headers.get("origin")
        if origin is None or origin.lower() in self._origins or "*" in self._origins:
            return None
        calling = _host_of(origin)
        if calling and (calling == host or (local and calling in _LOOPBACK and host in _LOOPBACK)):
            return None
        return 403, f"Origin {origin!r} may not call; see allowed_origins"

    def _serves(self, host: str | None, *, local: bool) -> bool:
        if self._hosts is None:
            return not local or host in _LOOPBACK
        return host in self._hosts or "*" in self._hosts


def operated_hosts(environment: Mapping[str, str]) -> tuple[str, ...] | None:
    """Return the names that whoever runs the server says it is reached under, or ``None``."""
    names = tuple([name for part in environment.get(HOSTS_VARIABLE, "").split(",") if (name := part.strip())])
    return names or None


def _is_loopback(address: str) -> bool:
    # Of the socket, so an address or a path. A socket for IPv6 may take connections of IPv4 as well.
    return address in _LOOPBACK or address.removeprefix("::ffff:").startswith("127.")


def _name_of(host: str) -> str:
    # An address of IPv6 may stand without brackets.
    return host.lower() if host.count(":") > 1 and "[" not in host else _host_of(f"//{host}") or host


def _host_of(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
