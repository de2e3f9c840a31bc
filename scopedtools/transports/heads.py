"""What the header lines of a request say, read once for all requests that have the same lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from scopedtools.exceptions import InvalidRequestError
from scopedtools.memo import Memo
from scopedtools.protocol.mirrors import joined
from scopedtools.transports.answers import Headers, Refusal, require_media_types
from scopedtools.transports.hosts import HostPolicy

_REMEMBERED: Final = 1024
"""Heads that are kept. A client sends the same one with nearly every request."""

_LONG: Final = 8192
"""Bytes of lines from which they are read anew each time."""

_TOKEN: Final = b"authorization"


class Head:
    """The header lines of a request, and what follows from them alone. Equal only to itself.

    Attributes:
        lines: As they came, without a token that is checked.
        headers: Values by name in lower case.
        remembered: Whether the next request with the same lines gets this very head.
    """

    __slots__ = ("_refused", "_unfit", "headers", "lines", "remembered")

    def __init__(self, lines: Headers, hosts: HostPolicy, address: str) -> None:
        self.lines = lines
        self.remembered = False
        self.headers: Mapping[str, str] = joined(lines)
        refused = hosts.refuses({"server": (address,)}, self.headers)
        self._refused = Refusal(refused[0], InvalidRequestError(refused[1])) if refused else None
        self._unfit = _unfit(self.headers)

    def require_served(self) -> None:
        """Refuse whoever is not served here.

        Raises:
            Refusal: By host or origin.
        """
        if self._refused is not None:
            raise self._refused.anew()

    def require_fit(self) -> None:
        """Refuse headers that no message can come with.

        Raises:
            Refusal: By media types, or two lengths.
        """
        if self._unfit is not None:
            raise self._unfit.anew()


class Heads:
    """Reads the header lines of requests.

    Args:
        hosts: Decides who may call by host and origin.
        checks_tokens: Whether tokens are checked; then they end here, and handlers do not see them.
    """

    def __init__(self, hosts: HostPolicy, *, checks_tokens: bool) -> None:
        self._hosts = hosts
        self._checks_tokens = checks_tokens
        self._known: Memo[Head] = Memo(max_items=_REMEMBERED)

    def read(self, scope: Mapping[str, Any]) -> Head:
        """Return the head of an ASGI request."""
        lines = scope["headers"]
        if self._checks_tokens:
            lines = [line for line in lines if line[0] != _TOKEN]
        # Some servers give lists, which cannot be looked up.
        lines, address = tuple(map(tuple, lines)), (scope.get("server") or ("",))[0]
        known = self._known.get((lines, address))
        if known is not None:
            return known
        head = Head(lines, self._hosts, address)
        if self._known.admits((lines, address)) and _size_bytes(lines) <= _LONG:
            head.remembered = True
            self._known.put((lines, address), head)
        return head


def token_of(scope: Mapping[str, Any]) -> str | None:
    """Return the value of ``Authorization``, or ``None``; of several lines all, which no scheme knows."""
    return joined([line for line in scope["headers"] if line[0] == _TOKEN]).get(_TOKEN.decode())


def _size_bytes(lines: Headers) -> int:
    return sum(len(name) + len(value) for name, value in lines)


def _unfit(headers: Mapping[str, str]) -> Refusal | None:
    if "content-length" in headers and "transfer-encoding" in headers:
        # Proxies and servers differ on which one counts, and so on where the next request begins.
        told = "Send Content-Length or Transfer-Encoding, got both"
        return Refusal(400, InvalidRequestError(told), ((b"connection", b"close"),))
    try:
        require_media_types(headers)
    except Refusal as refusal:
        return refusal.with_traceback(None)
    return None
