"""What goes wrong between a gateway and the servers behind it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from scopedtools.exceptions import MissingCapabilityError, ProtocolError, ScopedToolsError


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

    def to_client(self, declared: Mapping[str, Any] | None) -> ProtocolError | None:
        """Return the error as our client gets it; ``None`` for what concerns our connection alone.

        Args:
            declared: What the client declared that it can do. What it did not is its own to declare.
        """
        if self.code == MissingCapabilityError.code and not _covers(declared or {}, self._required):
            return MissingCapabilityError(str(self), data=self.data)
        if self.code in _OURS:
            return None
        return _of_code(self.code)(str(self), data=self.data)

    @property
    def _required(self) -> Mapping[str, Any]:
        required = self.data.get("requiredCapabilities") if isinstance(self.data, dict) else None
        return required if isinstance(required, dict) else {}


def _covers(declared: Any, required: Any) -> bool:
    if not isinstance(required, dict):
        return True
    given = declared if isinstance(declared, dict) else {}
    return all(name in given and _covers(given[name], one) for name, one in required.items())


_OURS: Final = frozenset({-32700, -32600, -32601, -32603, -32000, -32001, *range(-32029, -32019)})
"""Codes that speak of the hop between gateway and upstream: its client would look for the fault in itself."""


@cache
def _of_code(code: int) -> type[ProtocolError]:
    return type("ForwardedError", (ProtocolError,), {"code": code, "__doc__": "An upstream's own error."})
