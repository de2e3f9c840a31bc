"""Server-sent events: an answer in several messages.

Source: the HTML standard, section 9.2, and the Streamable HTTP pages of the specification.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, NamedTuple

from starlette.types import Send

from scopedtools.protocol.envelope import notification, question
from scopedtools.transports.questions import Questions, result_of
from scopedtools.types import Principal

HEADERS: Final = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store, no-transform"),
    (b"x-accel-buffering", b"no"),
)

_KEEPALIVE_S: Final = 15.0
_UNREAD: Final = 256
_KEPT: Final = 1024


class Event(NamedTuple):
    """A message and its place in its stream."""

    number: int
    body: bytes


class Stream:
    """The messages of one answer, in order.

    A writer puts them in, one reader at a time follows. Where the stream is kept, a client that lost its
    connection may follow again from where it was.

    Args:
        key: Names the stream in event IDs; empty where it is not kept.
    """

    def __init__(self, key: str = "") -> None:
        self.key = key
        self._events: deque[Event] = deque(maxlen=_KEPT if key else None)
        self._count = 0
        self._read = 0
        self._over = False
        self._detached = self._let_go = False
        self._changed = asyncio.Condition()

    async def put(self, body: bytes) -> None:
        """Add a message; waits for a slow reader, unless the stream is kept for one that may be away."""
        async with self._changed:
            if not self.key:
                await self._changed.wait_for(lambda: self._count - self._read < _UNREAD or self._over)
            self._events.append(Event(self._count, body))
            self._count += 1
            self._changed.notify_all()

    async def close(self) -> None:
        """Say that no more will come."""
        async with self._changed:
            self._over = True
            self._changed.notify_all()

    async def detach(self) -> None:
        """Let the reader go before the end; it is to come back."""
        async with self._changed:
            self._detached = self._let_go = True
            self._changed.notify_all()

    async def spoke(self) -> bool:
        """Wait for the first message or the end; tell whether the answer has to be a stream."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._count > 0 or self._over or self._detached)
            return self._count > 0 or self._detached

    @property
    def spoken(self) -> bool:
        """Whether the answer is a stream, so that the result belongs into it as well."""
        return self._count > 0 or self._let_go

    @property
    def count(self) -> int:
        """How many messages there were so far."""
        return self._count

    async def follow(self, start: int) -> AsyncIterator[Event | None]:
        """Yield messages from an index on, as they come, until the end; ``None`` now and then meanwhile."""
        position = start
        while True:
            event = await self._next(position)
            if isinstance(event, Event):
                position = event.number + 1
            elif event is _END:
                return
            yield event if isinstance(event, Event) else None

    async def _next(self, position: int) -> Event | object | None:
        async with self._changed:
            try:
                async with asyncio.timeout(_KEEPALIVE_S):
                    await self._changed.wait_for(
                        lambda: self._count > position or self._over or self._detached
                    )
            except TimeoutError:
                return None
            if self._count <= position or self._detached:
                self._detached = False  # the next reader is the one who came back
                return _END
            self._read = position + 1
            event = next(event for event in self._events if event.number >= position)
            if not self.key:
                self._events.popleft()
            self._changed.notify_all()
            return event


_END: Final = object()


class StreamExchange:
    """The way back to a client over HTTP: whatever a handler sends before its result makes a stream.

    Args:
        stream: Takes the messages.
        questions: Where answers to questions are awaited.
        principal: Who may answer.
    """

    def __init__(self, stream: Stream, questions: Questions, principal: Principal) -> None:
        self._stream = stream
        self._questions = questions
        self._principal = principal

    async def notify(self, method: str, params: Mapping[str, Any]) -> None:
        """Send a notification that belongs to this request."""
        await self._stream.put(notification(method, params))

    async def ask(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Ask the client and wait for its answer."""
        message_id, answer = self._questions.put(self._principal)
        await self._stream.put(question(message_id, method, params))
        return result_of(await answer, method)

    async def detach(self) -> None:
        """End the connection, not the call; the client fetches the rest with ``Last-Event-ID``."""
        if self._stream.key:
            await self._stream.detach()


async def pump(stream: Stream, send: Send, *, start: int = 0, retry_ms: int | None = None) -> None:
    """Send a stream as the body of an HTTP response, to its end.

    Args:
        stream: What to send.
        send: Of the ASGI server; the response has begun.
        start: Index of the first message.
        retry_ms: Milliseconds after which a client that loses the connection should come back.
    """
    if stream.key:
        # A client can only come back to an event that it has seen, so there is one before the first.
        lines = b"id: %b\n" % event_id(stream, start - 1)
        lines += b"retry: %d\n" % retry_ms if retry_ms is not None else b""
        await _chunk(send, lines + b"data: \n\n")
    async for event in stream.follow(start):
        if event is None:
            await _chunk(send, b": still here\n\n")
            continue
        mark = b"id: %b\n" % event_id(stream, event.number) if stream.key else b""
        await _chunk(send, b"%bevent: message\ndata: %b\n\n" % (mark, event.body))
    await send({"type": "http.response.body", "body": b""})


def event_id(stream: Stream, index: int) -> bytes:
    """Name a message for ``Last-Event-ID``."""
    return b"%b.%d" % (stream.key.encode(), index)


async def _chunk(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})
