"""Sessions of revisions before 2026-07-28, for servers that ask for them."""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

from cachetools import TTLCache

from scopedtools.protocol.envelope import MessageId, notification
from scopedtools.protocol.methods import CancelledParams
from scopedtools.protocol.request import Request
from scopedtools.protocol.session import Session
from scopedtools.transports.sse import Stream
from scopedtools.types import Principal

_STREAMS: Final = 64
"""Streams kept in one session for clients that come back; the oldest go first."""


class HttpSession:
    """A session and its streams.

    Attributes:
        id: What the client sends in ``Mcp-Session-Id``.
        principal: Whose session it is; nobody else can use it.
        state: What the protocol remembers.
        push: Messages that belong to no request, for the GET stream.
    """

    def __init__(self, session_id: str, principal: Principal) -> None:
        self.id = session_id
        self.principal = principal
        self.push = Stream("push")
        self.state = Session(self._push)
        self._running: dict[MessageId, asyncio.Task[Any]] = {}
        self._streams: OrderedDict[str, Stream] = OrderedDict({"push": self.push})

    def stream(self) -> Stream:
        """Make the stream of an answer; it is kept for a while after its end."""
        stream = Stream(secrets.token_hex(8))
        self._streams[stream.key] = stream
        while len(self._streams) > _STREAMS:
            oldest = next(key for key in self._streams if key != "push")
            del self._streams[oldest]
        return stream

    def resume(self, last_event_id: str) -> tuple[Stream, int] | None:
        """Return the stream of an event and the index after it, or ``None`` where it is forgotten."""
        key, _, index = last_event_id.rpartition(".")
        stream = self._streams.get(key)
        if stream is None or not index.removeprefix("-").isdecimal():
            return None
        return stream, int(index) + 1

    def running(self, request: Request, task: asyncio.Task[Any]) -> None:
        """Remember what runs for a request, so that it can be cancelled by a message of its own."""
        message_id = request.id
        if message_id is not None:
            self._running[message_id] = task
            task.add_done_callback(lambda _: self._running.pop(message_id, None))

    def cancel(self, request: Request) -> None:
        """Obey ``notifications/cancelled``; other notifications are none of a session's business."""
        if isinstance(request.params, CancelledParams) and request.params.request_id is not None:
            task = self._running.get(request.params.request_id)
            if task is not None:
                task.cancel()

    async def _push(self, method: str, params: Mapping[str, Any]) -> None:
        await self.push.put(notification(method, params))


class Sessions:
    """The sessions of one process, bounded in number and idle time.

    Args:
        max_sessions: The least recently used goes first.
        idle_s: Seconds without a request after which a session ends.
    """

    def __init__(self, *, max_sessions: int = 10_000, idle_s: float = 30 * 60) -> None:
        self._sessions: _Closing = _Closing(max_sessions, idle_s)

    def open(self, principal: Principal) -> HttpSession:
        """Begin a session."""
        session = HttpSession(secrets.token_urlsafe(24), principal)
        self._sessions[session.id] = session
        return session

    def get(self, session_id: str, principal: Principal) -> HttpSession | None:
        """Return a session and keep it alive, or ``None`` where there is none of this principal's."""
        session = self._sessions.get(session_id)
        # By name: a client that got a token with more scopes goes on in its session.
        if session is None or session.principal.name != principal.name:
            return None
        self._sessions[session_id] = session
        return session

    async def end(self, session: HttpSession) -> None:
        """End a session and its GET stream."""
        self._sessions.pop(session.id, None)
        session.state.close()
        await session.push.close()


class _Closing(TTLCache[str, HttpSession]):
    """A cache that tells a session when it is dropped."""

    def popitem(self) -> tuple[str, HttpSession]:
        session_id, session = super().popitem()
        session.state.close()
        return session_id, session

    def expire(self, time: float | None = None) -> Any:
        expired = super().expire(time)
        for _, session in expired:
            session.state.close()
        return expired
