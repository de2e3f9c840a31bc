"""What goes wrong between a gateway and the servers behind it."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from scopedtools.exceptions import ProtocolError, ScopedToolsError


class ConfigError(ScopedToolsError, ValueError):
    """The configuration of a gateway is wrong."""


class UpstreamError(ScopedToolsError):
    """An upstream could not be reached, or gave no answer that can be used. Clients read the message."""


class DownError(UpstreamError):
    """The upstream does not run, cannot be reached or does not answer."""


class RefusedError(UpstreamError):
    """The upstream answered with a JSON-RPC error.

    Attributes:
        code: JSON-RPC code of the answer.
        data: Its details, or ``None``.
    """

    def __init__(self, message: str, *, code: int, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.data = data

    def to_client(self) -> ProtocolError | None:
        """Return the error as our client gets it; ``None`` for what concerns our connection alone."""
        if self.code in _OURS:
            return None
        return _of_code(self.code)(str(self), data=self.data)


_OURS: Final = frozenset({-32700, -32600, -32601, -32603, -32000, -32001, *range(-32029, -32019)})
"""Codes that speak of the hop between gateway and upstream: its client would look for the fault in itself."""


@cache
def _of_code(code: int) -> type[ProtocolError]:
    return type("ForwardedError", (ProtocolError,), {"code": code, "__doc__": "An upstream's own error."})
