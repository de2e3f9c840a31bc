"""A request that runs while somebody looks after its client."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, cast

from starlette.types import Receive

from scopedtools.exceptions import InternalError
from scopedtools.protocol.envelope import MessageId, Reply, failure
from scopedtools.transports.sse import Stream

_REPEATS: Final = 8
"""Messages after the whole body; some say it again, each time and at once, so that nothing else would run."""


STOPPED: Final = "the server stops"
"""Message of the cancellation of a request whose server cannot wait for it any longer."""


async def answered(running: Coroutine[Any, Any, Reply], message_id: MessageId) -> Reply:
    """Run a request; where it is cancelled since the server stops, answer that."""
    try:
        return await running
    except asyncio.CancelledError as error:
        if STOPPED not in error.args:
            raise
        if (task := asyncio.current_task()) is not None:
            task.uncancel()  # it goes on, with this answer
        # Whether it had an effect nobody knows, so that no proxy should repeat it by itself.
        return failure(message_id, InternalError("The server stops, and the request was not finished"))


async def attended(
    running: Coroutine[Any, Any, Reply],
    stream: Stream,
    *,
    receive: Receive,
    stream_out: Callable[[], Awaitable[None]],
) -> Reply | None:
    """Run a request that may send messages before its result, and is cancelled when its client goes away.

    Args:
        running: The request, not yet begun.
        stream: Takes its messages, and the reply after them.
        receive: Of the ASGI server.
        stream_out: Sends the stream, until it is over.

    Returns:
        The reply, where nothing was sent yet; ``None`` where all was, or nobody is there any longer.
    """
    attendant = _Attendant(stream, receive, stream_out)
    try:
        reply = await running
        if attendant.gone:
            return None
        if not stream.count:
            return reply
        await stream.put(reply.body)
        stream.close()
        await attendant.sent()
    except asyncio.CancelledError:
        if not attendant.leave():
            raise
    finally:
        attendant.leave()
    return None


async def disconnected(receive: Receive) -> bool:
    """Wait until a client is gone; false where that will not be told, such as by middleware that repeats."""
    try:
        for _ in range(_REPEATS):
            if (await receive())["type"] == "http.disconnect":
                return True
    except Exception:  # noqa: BLE001 - a connection that cannot be read is none
        return True
    return False


class _Attendant:
    """Watches the client, and sends what there is to send. Begins only when the request has to wait.

    Most calls are done in one step, and a task for each would cost more than they do.
    """

    def __init__(self, stream: Stream, receive: Receive, stream_out: Callable[[], Awaitable[None]]) -> None:
        self._stream = stream
        self._receive = receive
        self._stream_out = stream_out
        self._request = cast("asyncio.Task[Any]", asyncio.current_task())
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self._cancelling = self._request.cancelling()
        self._left = False
        self._begin_later: asyncio.Handle | None = asyncio.get_running_loop().call_soon(self._begin)
        self.gone = False

    def _begin(self) -> None:
        self._begin_later = None
        self._tasks = asyncio.create_task(self._send()), asyncio.create_task(self._watch())

    async def sent(self) -> None:
        """Wait until all is sent."""
        if self._begin_later is not None:
            self._begin_later.cancel()
            self._begin()
        await self._tasks[0]

    def leave(self) -> bool:
        """Stop; tell whether the request was cancelled from here, and from nowhere else."""
        if self._left:
            return False
        self._left = True
        if self._begin_later is not None:
            self._begin_later.cancel()
        for task in self._tasks:
            task.cancel()
        return self.gone and self._request.uncancel() <= self._cancelling

    async def _send(self) -> None:
        if not await self._stream.spoke():
            return
        try:
            with contextlib.suppress(OSError):  # some ASGI servers raise it when the client is gone
                await self._stream_out()
        finally:
            if not self._stream.over:
                self._lose()

    async def _watch(self) -> None:
        if await disconnected(self._receive):
            self._lose()

    def _lose(self) -> None:
        if self.gone or self._left:
            return
        self.gone = True
        self._stream.close()  # whoever goes on all the same must not wait for a reader
        self._request.cancel()
