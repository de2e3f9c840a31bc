"""uvicorn's HTTP/1.1, with headers that are bounded in size and time.

uvicorn waits for ever for headers that do not end, and with httptools keeps however many come.
"""

from __future__ import annotations

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_HEAD_BYTES: Final = 64 * 1024
"""Most bytes of a request line and headers."""

_HEAD_S: Final = 20.0
"""Seconds within which they must have come, from the connection or their first byte on."""


class BoundedHttp(HttpToolsProtocol):
    """Closes connections whose headers are too long, or do not come."""

    _head_bytes = 0
    _in_head = True
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if not self._in_head:
            return
        if self._head_bytes > _HEAD_BYTES:
            self.send_400_response("The headers are too long.")
        elif self._timer is None:
            self._watch()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True

    def on_headers_complete(self) -> None:
        # Several requests may be in what came, so what there was before is not of the next.
        self._in_head, self._head_bytes = False, 0
        self._unwatch()
        super().on_headers_complete()

    def _watch(self) -> None:
        self._timer = self.loop.call_later(_HEAD_S, self._give_up)

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        if self._in_head and not self.transport.is_closing():
            self.transport.close()
