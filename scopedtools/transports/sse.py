"""Server-sent events: an answer in several messages.

Source: the HTML standard, section 9.2, and the Streamable HTTP pages of the specification.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
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

KEEPALIVE_S: Final = 15.0
"""Seconds of silence after which a comment tells proxies and clients that a stream is alive."""

_UNREAD: Final = 256
_KEPT: Final = 1024
_BYTES: Final = 4 * 2**20


class Event(NamedTuple):
    """A message and its place in its stream."""

    number: int
    body: bytes


class Stream:
    """The messages of one answer, in order.

    A writer puts them in, one reader at a time follows. Where the stream is kept, a client that lost its
    connection may follow again from where it was; it is then the reader, and who read before is not.

    Args:
        key: Names the stream in event IDs; empty where it is not kept.

    Attributes:
        count: How many messages there were so far.
        size_bytes: Of the messages that are held.
        over: No more will come.
    """

    def __init__(self, key: str = "") -> None:
        self.key = key
        self.count = 0
        self.size_bytes = 0
        self.over = False
        self._events: deque[Event] = deque()
        self._read = 0
        self._reader = 0
        self._changed: asyncio.Event | None = None

    async def put(self, body: bytes) -> None:
        """Add a message, unless the stream is over.

        Waits for a slow reader; where the stream is kept, the reader may be away, and the oldest message
        goes instead.
        """
        while not self.key and self._is_full(_UNREAD) and not self.over:
            await self._change()
        if self.over:
            return
        self._events.append(Event(self.count, body))
        self.count += 1
        self.size_bytes += len(body)
        while self.key and self._is_full(_KEPT) and len(self._events) > 1:
            self._forget()
        self._wake()

    def close(self) -> None:
        """Say that no more will come."""
        self.over = True
        self._wake()

    async def spoke(self) -> bool:
        """Wait for the first message or the end; tell whether there was a message."""
        while not (self.count or self.over):
            await self._change()
        return self.count > 0

    def take_over(self) -> int:
        """Let the reader go; return what the next one gives to `follow`."""
        self._reader += 1
        self._wake()
        return self._reader

    def leave(self, reader: int) -> None:
        """Let a reader go, if it is still the one."""
        if reader == self._reader:
            self.take_over()

    @property
    def unread(self) -> int:
        """Index of the first message that nobody has read and that is still held."""
        return max(self._read, self._first)

    def holds(self, start: int) -> bool:
        """Tell whether all messages from an index on are held, or yet to come."""
        return self._first <= start <= self.count

    async def follow(self, start: int, *, reader: int, keepalive_s: float) -> AsyncGenerator[Event | None]:
        """Yield messages from an index on, as they come; ``None`` after some seconds without.

        Ends with the stream, or when the reader is let go.

        Args:
            start: Index of the first message.
            reader: From `take_over`; 0 for the first.
            keepalive_s: Seconds.
        """
        position = start
        while reader == self._reader:
            if self.count > position:
                event = self._take(position)
                position = event.number + 1
                yield event
            elif self.over:
                return
            elif not await self._changes_within(keepalive_s):
                yield None

    @property
    def _first(self) -> int:
        return self._events[0].number if self._events else self.count

    def _is_full(self, most: int) -> bool:
        return len(self._events) >= most or self.size_bytes >= _BYTES

    def _take(self, position: int) -> Event:
        event = self._events[max(0, position - self._first)]
        self._read = max(self._read, event.number + 1)
        if not self.key:
            self._forget()
            self._wake()
        return event

    def _forget(self) -> None:
        self.size_bytes -= len(self._events.popleft().body)

    def _wake(self) -> None:
        changed, self._changed = self._changed, None
        if changed is not None:
            changed.set()

    async def _change(self) -> None:
        if self._changed is None:  # most streams end before anybody waits
            self._changed = asyncio.Event()
        await self._changed.wait()

    async def _changes_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._change()
        except TimeoutError:
            return False
        return True


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
        try:
            await self._stream.put(question(message_id, method, params))
            return result_of(await answer, method)
        finally:
            answer.cancel()  # where it was not sent, nobody answers

    async def detach(self) -> None:
        """End the connection, not the call; the client fetches the rest with ``Last-Event-ID``."""
        if self._stream.key:
            self._stream.take_over()


async def pump(
    stream: Stream,
    send: Send,
    *,
    start: int = 0,
    reader: int = 0,
    retry_ms: int | None = None,
    keepalive_s: float = KEEPALIVE_S,
    alive: Callable[[], object] = lambda: None,
) -> None:
    """Send a stream as the body of an HTTP response, until it ends or the reader is let go.

    Args:
        stream: What to send.
        send: Of the ASGI server; the response has begun.
        start: Index of the first message.
        reader: From `Stream.take_over`; 0 for the first.
        retry_ms: Milliseconds after which a client that loses the connection should come back.
        keepalive_s: Seconds of silence after which a comment is sent.
        alive: Called with each comment: the client is still there.
    """
    with contextlib.suppress(OSError):  # some ASGI servers raise it when the client is gone
        if stream.key:
            # A client can only come back to an event that it has seen, so there is one before the first.
            lines = b"id: %b\n" % event_id(stream, start - 1)
            lines += b"retry: %d\n" % retry_ms if retry_ms is not None else b""
            await _chunk(send, lines + b"data: \n\n")
        async with contextlib.aclosing(
            stream.follow(start, reader=reader, keepalive_s=keepalive_s)
        ) as events:
            async for event in events:
                await _chunk(send, _encoded(stream, event))
                if event is None:
                    alive()
        await send({"type": "http.response.body", "body": b""})


def event_id(stream: Stream, index: int) -> bytes:
    """Name a message for ``Last-Event-ID``."""
    return b"%b.%d" % (stream.key.encode(), index)


def _encoded(stream: Stream, event: Event | None) -> bytes:
    if event is None:
        return b": still here\n\n"
    mark = b"id: %b\n" % event_id(stream, event.number) if stream.key else b""
    return b"%bevent: message\ndata: %b\n\n" % (mark, event.body)


async def _chunk(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})
