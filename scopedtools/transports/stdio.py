"""stdio: one JSON-RPC message to a line."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, BinaryIO, Final, cast

from msgspec import UNSET

from scopedtools.exceptions import InvalidParamsError, InvalidRequestError, ProtocolError
from scopedtools.limits import Limits
from scopedtools.protocol import meta
from scopedtools.protocol.batch import is_batch, run_batch
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
from scopedtools.protocol.methods import CancelledParams, ListenParams
from scopedtools.protocol.mirrors import known_revision
from scopedtools.protocol.request import Ingress, Request
from scopedtools.protocol.revisions import Revision
from scopedtools.protocol.session import Session
from scopedtools.protocol.understood import understand
from scopedtools.transports.pipes import Pipes, claimed
from scopedtools.transports.questions import Questions, result_of
from scopedtools.types import ANONYMOUS

_log: Final = logging.getLogger(__name__)


class StdioTransport:
    """Serves one client over two byte streams.

    Requests run side by side. Each may speak a revision of its own; one that names none speaks what
    ``initialize`` agreed on.

    Args:
        dispatcher: Answers messages.
        limits: Of size and depth of lines.
    """

    def __init__(self, dispatcher: Dispatcher, *, limits: Limits | None = None) -> None:
        self._dispatcher = dispatcher
        self._limits = limits or Limits()

    async def serve(self, source: BinaryIO, sink: BinaryIO) -> None:
        """Answer messages until the client closes its side; then finish what is running.

        Args:
            source: Lines from the client.
            sink: Takes lines for the client.
        """
        with Pipes(source, sink) as pipes:
            client = _Client(pipes.write)
            async with asyncio.TaskGroup() as tasks:
                async for line in self._lines(pipes):
                    if is_batch(line) and client.session.revision.batches:
                        # Beside the lines that follow: its messages may wait for one of them.
                        tasks.create_task(self._batch(line, client))
                        continue
                    request = await self._admit(line, client)
                    if request is not None and request.id is not None:
                        client.running(request, tasks.create_task(self._run(request, client)))
                client.leave()

    async def _lines(self, pipes: Pipes) -> AsyncIterator[bytes]:
        limit = self._limits.max_body_bytes
        while line := await pipes.read_line(limit + 1):
            if len(line) <= limit:
                if line.strip():
                    yield line
                continue
            while line and not line.endswith(b"\n"):
                line = await pipes.read_line(limit)
            too_long = InvalidRequestError(f"The line is longer than {limit} bytes")
            await pipes.write(failure(UNSET, too_long).body)

    async def _admit(self, line: bytes, client: _Client) -> Request | None:
        try:
            message = decode(line, max_depth=self._limits.max_json_depth)
        except ProtocolError as error:
            await client.write(failure(id_of(line), error).body)
            return None
        if message.method is UNSET:
            client.questions.answer(message, ANONYMOUS)
            return None
        return await self._admit_message(message, client)

    async def _batch(self, line: bytes, client: _Client) -> None:
        try:
            replies = await run_batch(
                line,
                self._dispatcher,
                identify=client.identify,
                ingress=client.ingress,
                answered=lambda message: client.questions.answer(message, ANONYMOUS),
                max_depth=self._limits.max_json_depth,
            )
        except ProtocolError as error:
            replies = failure(UNSET, error).body
        if replies is not None:
            await client.write(replies)

    async def _admit_message(self, message: Message, client: _Client) -> Request | None:
        try:
            understood = understand(cast("str", message.method), message.params, client.identify)
            request = self._dispatcher.admit(message, understood, client.ingress)
            await self._dispatcher.gate.admit(request)
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


class _Client:
    """The one client: the way back to it, what it agreed on, what runs for it.

    Args:
        write: Sends one message.
    """

    def __init__(self, write: Callable[[bytes], Awaitable[None]]) -> None:
        self.write = write
        self.questions = Questions()
        self.session = Session(self.notify)
        self.ingress = Ingress(exchange=self, session=self.session, unscoped=True)
        self._running: dict[asyncio.Task[None], MessageId] = {}
        self._listening: set[asyncio.Task[None]] = set()

    async def notify(self, method: str, params: Mapping[str, Any]) -> None:
        await self.write(notification(method, params))

    async def ask(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        message_id, answer = self.questions.put(ANONYMOUS)
        try:
            await self.write(question(message_id, method, params))
            return result_of(await answer, method)
        finally:
            answer.cancel()  # where it was not sent, nobody answers

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
        self._running[task] = cast("MessageId", request.id)
        task.add_done_callback(self._running.pop)
        if isinstance(request.params, ListenParams):
            self._listening.add(task)
            task.add_done_callback(self._listening.discard)

    def cancel(self, params: CancelledParams) -> None:
        for task, message_id in tuple(self._running.items()):
            if message_id == params.request_id:
                task.cancel()

    def leave(self) -> None:
        """End what would wait for the client for ever; what is being computed is finished."""
        self.session.close()
        self.questions.give_up()
        for task in tuple(self._listening):
            task.cancel()


async def serve_stdio(
    dispatcher: Dispatcher, lifespan: AbstractAsyncContextManager[Any], *, limits: Limits | None = None
) -> None:
    """Serve the client at standard input and output.

    While it runs, nothing else reads or writes there: a stray line on standard output would break the
    protocol. What tools, and programs that they start, print goes to standard error.

    Args:
        dispatcher: Answers messages.
        lifespan: Held meanwhile.
        limits: Of size and depth of lines.
    """
    with claimed() as (source, sink):
        async with lifespan:
            await StdioTransport(dispatcher, limits=limits).serve(source, sink)
