"""Sessions of revisions before 2026-07-28, for servers that ask for them."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from cachetools import TTLCache

from scopedtools.protocol.envelope import MessageId, notification
from scopedtools.protocol.methods import CancelledParams
from scopedtools.protocol.request import Request
from scopedtools.protocol.session import Session
from scopedtools.transports.sse import Stream
from scopedtools.types import ANONYMOUS, Principal

_STREAMS: Final = 64
_BYTES: Final = 16 * 2**20
"""Streams kept in one session for clients that come back, and what they may hold together."""

_GRACE_S: Final = 5.0
"""Seconds for which a server that stops waits for the calls that it cancelled."""

_EVENT_ID: Final = re.compile(r"(?P<stream>[0-9a-z]+)\.(?P<index>-1|[0-9]{1,15})")


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
        self._running: dict[asyncio.Task[Any], MessageId | None] = {}
        self._streams: dict[str, Stream] = {}

    def stream(self) -> Stream:
        """Make the stream of an answer."""
        return Stream(secrets.token_hex(8))

    def running(self, request: Request, task: asyncio.Task[Any], stream: Stream) -> None:
        """Remember what runs for a request and where it answers.

        A message of its own may cancel it, and a client that lost the connection comes back to the stream.
        """
        self._running[task] = request.id
        task.add_done_callback(self._running.pop)
        self._streams[stream.key] = stream
        while len(self._streams) > _STREAMS or self._size_bytes() > _BYTES:
            ended = (key for key, kept in self._streams.items() if kept.over)
            del self._streams[next(ended, next(iter(self._streams)))]

    def resume(self, last_event_id: str) -> tuple[Stream, int] | None:
        """Return the stream of an event and the index after it, or ``None`` where it is forgotten."""
        named = _EVENT_ID.fullmatch(last_event_id)
        if named is None:
            return None
        stream = self.push if named["stream"] == self.push.key else self._streams.get(named["stream"])
        start = int(named["index"]) + 1
        return (stream, start) if stream is not None and stream.holds(start) else None

    def cancel(self, request: Request) -> None:
        """Obey ``notifications/cancelled``; other notifications are none of a session's business."""
        if isinstance(request.params, CancelledParams) and request.params.request_id is not None:
            for task, message_id in tuple(self._running.items()):
                if message_id == request.params.request_id:
                    task.cancel()

    def end(self) -> tuple[asyncio.Task[Any], ...]:
        """End the streams, and cancel what runs: nobody can come back for it. Returns what was cancelled."""
        self.state.close()
        self.push.close()
        running = tuple(self._running)
        for task in running:
            task.cancel()
        return running

    def _size_bytes(self) -> int:
        return sum(stream.size_bytes for stream in self._streams.values())

    async def _push(self, method: str, params: Mapping[str, Any]) -> None:
        await self.push.put(notification(method, params))


class Sessions:
    """The sessions of one process, bounded in number and idle time.

    Args:
        max_sessions: The least recently used goes first.
        max_of_principal: The same for the sessions of one principal that is not anonymous.
        idle_s: Seconds without a request or an open stream after which a session ends.
        clock: Seconds since any moment.
    """

    def __init__(
        self,
        *,
        max_sessions: int = 10_000,
        max_of_principal: int = 100,
        idle_s: float = 30 * 60,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sessions = _Ending(max_sessions, idle_s, timer=clock)
        self._max_of_principal = max_of_principal

    def new(self, principal: Principal) -> HttpSession:
        """Make a session; it begins with `keep`."""
        return HttpSession(secrets.token_urlsafe(24), principal)

    def keep(self, session: HttpSession) -> None:
        """Begin a session, or start its idle time anew."""
        if session.id not in self._sessions and session.principal != ANONYMOUS:
            name = session.principal.name
            own = [kept for kept in tuple(self._sessions.values()) if kept.principal.name == name]
            for oldest in own[: max(0, len(own) + 1 - self._max_of_principal)]:
                self.end(oldest)
        self._sessions[session.id] = session

    def get(self, session_id: str, principal: Principal) -> HttpSession | None:
        """Return a session and keep it alive, or ``None`` where there is none of this principal's."""
        session = self._sessions.get(session_id)
        # By name: a client that got a token with more scopes goes on in its session.
        if session is None or session.principal.name != principal.name:
            return None
        self.keep(session)
        return session

    def touch(self, session: HttpSession) -> None:
        """Start the idle time of a session anew, unless it has ended."""
        if session.id in self._sessions:
            self.keep(session)

    def end(self, session: HttpSession) -> None:
        """End a session."""
        self._sessions.pop(session.id, None)
        session.end()

    def end_all(self) -> set[asyncio.Task[Any]]:
        """End all sessions; returns the calls that were cancelled."""
        ended = tuple(self._sessions.values())
        self._sessions.clear()
        return {task for session in ended for task in session.end()}

    async def stop(self) -> None:
        """End all sessions, and wait for their calls, though not for ever."""
        if running := self.end_all():
            await asyncio.wait(running, timeout=_GRACE_S)


class _Ending(TTLCache[str, HttpSession]):
    """A cache that ends a session when it drops it."""

    def popitem(self) -> tuple[str, HttpSession]:
        session_id, session = super().popitem()
        session.end()
        return session_id, session

    def expire(self, time: float | None = None) -> Any:
        expired = super().expire(time)
        for _, session in expired:
            session.end()
        return expired
