"""What a connection that began with ``initialize`` remembers. Later revisions remember nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from scopedtools.protocol.revisions import LATEST_LEGACY, Revision

LEVELS: Final = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
"""Levels of log messages, as in RFC 5424, least severe first."""

Push = Callable[[str, Mapping[str, Any]], Awaitable[None]]


class Session:
    """One client, from ``initialize`` to the end of its connection.

    Args:
        push: Sends a notification that belongs to no request.

    Attributes:
        revision: What ``initialize`` agreed on.
        capabilities: What the client declared, or ``None`` before it did.
        level: Log messages below it are not sent.
        subscriptions: URIs of resources whose changes the client wants to hear of, each with what ends that.
    """

    def __init__(self, push: Push, *, revision: Revision = LATEST_LEGACY) -> None:
        self.push = push
        self.revision = revision
        self.capabilities: Mapping[str, Any] | None = None
        self.level = "info"
        self.subscriptions: dict[str, Callable[[], None]] = {}
        self._closed = False
        self._at_close: list[Callable[[], None]] = []

    def begin(self) -> None:
        """Forget what an earlier opening asked to hear of."""
        self.close()
        self._closed = False

    def subscribe(self, uri: str, end: Callable[[], None]) -> None:
        """Remember that the client wants to hear of a resource, and what is to be called when it does not."""
        if self._closed or uri in self.subscriptions:
            end()
        else:
            self.subscriptions[uri] = end

    def unsubscribe(self, uri: str) -> None:
        """Forget that the client wanted to hear of a resource."""
        end = self.subscriptions.pop(uri, None)
        if end is not None:
            end()

    def at_close(self, callback: Callable[[], None]) -> None:
        """Have something done when the connection has ended."""
        self._at_close.append(callback)

    def close(self) -> None:
        """Tell whoever asked that the connection has ended."""
        self._closed = True
        callbacks, self._at_close = self._at_close, []
        for callback in callbacks:
            callback()
        for uri in tuple(self.subscriptions):
            self.unsubscribe(uri)
