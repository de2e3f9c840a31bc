"""stdio: one JSON-RPC message to a line."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import anyio
import anyio.to_thread
from msgspec import UNSET

from scopedtools.exceptions import InvalidParamsError, InvalidRequestError, ProtocolError
from scopedtools.protocol import meta
from scopedtools.protocol.dispatch import Dispatcher, to_protocol_error
from scopedtools.protocol.envelope import (
    Message,
    MessageId,
    decode,
    failure,
    id_of,
    notification,
    question,
)
from scopedtools.protocol.exchange import Questions, result_of
from scopedtools.protocol.methods import CancelledParams, ListenParams
from scopedtools.protocol.mirrors import known_revision
from scopedtools.protocol.request import Ingress, Request
from scopedtools.protocol.revisions import Revision
from scopedtools.protocol.session import Session
from scopedtools.types import ANONYMOUS

_log: Final = logging.getLogger(__name__)


class StdioTransport:
    """Serves one client over two byte streams.

    Requests run side by side. Each may speak a revision of its own; one that names none speaks what
    ``initialize`` agreed on.

    Args:
        dispatcher: Answers messages.
        max_line_bytes: Longer lines are refused.
    """

    def __init__(self, dispatcher: Dispatcher, *, max_line_bytes: int = 4 * 2**20) -> None:
        self._dispatcher = dispatcher
        self._max_line_bytes = max_line_bytes
        # Threads of their own: those of tools may all be taken by tools that wait for something.
        self._reading = anyio.CapacityLimiter(1)
        self._writing = anyio.CapacityLimiter(1)

    async def serve(self, source: BinaryIO, sink: BinaryIO) -> None:
        """Answer messages until the client closes its side; then finish what is running.

        Args:
            source: Lines from the client.
            sink: Takes lines for the client.
        """
        client = _Client(lambda line: self._write(sink, line))
        async with asyncio.TaskGroup() as tasks:
            async for line in self._lines(source, client):
                request = await self._admit(line, client)
                if request is not None and request.id is not None:
                    client.running(request, tasks.create_task(self._run(request, client)))
            client.leave()

    async def _lines(self, source: BinaryIO, client: _Client) -> AsyncIterator[bytes]:
        limit = self._max_line_bytes
        while line := await self._read_line(source, limit + 1):
            if len(line) <= limit:
                if line.strip():
                    yield line
                continue
            while line and not line.endswith(b"\n"):
                line = await self._read_line(source, limit)
            too_long = InvalidRequestError(f"The line is longer than {limit} bytes")
            await client.write(failure(UNSET, too_long).body)

    async def _admit(self, line: bytes, client: _Client) -> Request | None:
        try:
            message = decode(line)
        except ProtocolError as error:
            await client.write(failure(id_of(line), error).body)
            return None
        if message.method is UNSET:
            client.questions.answer(message, ANONYMOUS)
            return None
        return await self._admit_message(message, client)

    async def _admit_message(self, message: Message, client: _Client) -> Request | None:
        try:
            request = self._dispatcher.admit(message, client.identify, client.ingress)
        except Exception as error:  # noqa: BLE001 - nothing a client sends may end the process
            if message.id is UNSET:
                _log.info("ignoring a notification: %s", error)  # JSON-RPC forbids to answer one
            else:
                await client.write(failure(message.id, to_protocol_error(error)).body)
            return None
        if isinstance(request.params, CancelledParams):
            client.cancel(request.params)
        return request

    async def _run(self, request: Request, client: _Client) -> None:
        # A call that was cancelled is not answered.
        reply = await self._dispatcher.run(request)
        await client.write(reply.body)

    async def _read_line(self, source: BinaryIO, limit_bytes: int) -> bytes:
        # A thread reads pipes, files and terminals alike, on every platform; on cancellation it is left
        # to end with the process, since nothing can wake it.
        try:
            return await anyio.to_thread.run_sync(
                source.readline, limit_bytes, abandon_on_cancel=True, limiter=self._reading
            )
        except ConnectionError:
            return b""  # where standard input is a socket, a client that went away may end it like this

    async def _write(self, sink: BinaryIO, line: bytes) -> None:
        # In a thread: a client that is slow to read must not hold up what is running.
        await anyio.to_thread.run_sync(_write_line, sink, line, abandon_on_cancel=True, limiter=self._writing)


class _Client:
    """The one client: the way back to it, what it agreed on, what runs for it.

    Args:
        write: Sends one message.
    """

    def __init__(self, write: Callable[[bytes], Awaitable[None]]) -> None:
        self.write = write
        self.questions = Questions()
        self.session = Session(self.notify)
        self.ingress = Ingress(exchange=self, session=self.session)
        self._running: dict[MessageId, asyncio.Task[None]] = {}
        self._listening: set[asyncio.Task[None]] = set()

    async def notify(self, method: str, params: Mapping[str, Any]) -> None:
        await self.write(notification(method, params))

    async def ask(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        message_id, answer = self.questions.put(ANONYMOUS)
        await self.write(question(message_id, method, params))
        return result_of(await answer, method)

    async def detach(self) -> None:
        """Do nothing: a pipe cannot be let go and taken up again."""

    def identify(self, request_meta: Mapping[str, Any]) -> Revision:
        version = request_meta.get(meta.PROTOCOL_VERSION)
        if version is None:
            return self.session.revision
        if not isinstance(version, str):
            raise InvalidParamsError(f"{meta.PROTOCOL_VERSION!r} must be text, got {version!r}")
        return known_revision(version)

    def running(self, request: Request, task: asyncio.Task[None]) -> None:
        message_id = cast("MessageId", request.id)
        self._running[message_id] = task
        task.add_done_callback(lambda _: self._running.pop(message_id, None))
        if isinstance(request.params, ListenParams):
            self._listening.add(task)
            task.add_done_callback(self._listening.discard)

    def cancel(self, params: CancelledParams) -> None:
        task = self._running.get(params.request_id) if params.request_id is not None else None
        if task is not None:
            task.cancel()

    def leave(self) -> None:
        """End what would wait for the client for ever; what is being computed is finished."""
        self.session.close()
        self.questions.give_up()
        for task in tuple(self._listening):
            task.cancel()


async def serve_stdio(dispatcher: Dispatcher) -> None:
    """Serve the client at standard input and output.

    While it runs, nothing else reads or writes there: a stray line on standard output would break the
    protocol. What tools, and programs that they start, print goes to standard error.
    """
    with _claimed() as (source, sink):
        await StdioTransport(dispatcher).serve(source, sink)


@contextlib.contextmanager
def _claimed() -> Iterator[tuple[BinaryIO, BinaryIO]]:
    # Never closed: after an interruption a thread may still be at them, and would hold up whoever does.
    sys.stdout.flush()
    source = os.fdopen(os.dup(0), "rb", closefd=False)
    sink = os.fdopen(os.dup(1), "wb", closefd=False)
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield source, sink
    finally:
        sys.stdout.flush()
        os.dup2(source.fileno(), 0)
        os.dup2(sink.fileno(), 1)


def _write_line(sink: BinaryIO, line: bytes) -> None:
    try:
        sink.write(line + b"\n")
        sink.flush()
    except ConnectionError:
        _log.info("the client is gone, an answer was dropped")
