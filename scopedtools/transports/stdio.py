"""stdio: one JSON-RPC message to a line."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, BinaryIO, Final, Self, TypeVar

from msgspec import UNSET

from scopedtools.exceptions import InvalidParamsError, InvalidRequestError, ProtocolError
from scopedtools.protocol import meta
from scopedtools.protocol.dispatch import Dispatcher, Ingress, Request, to_protocol_error
from scopedtools.protocol.envelope import Message, Reply, decode, failure, id_of
from scopedtools.protocol.methods import InitializeParams
from scopedtools.protocol.mirrors import known_revision
from scopedtools.protocol.revisions import LATEST_LEGACY, Revision, negotiate

_log: Final = logging.getLogger(__name__)

_INGRESS: Final = Ingress()

T = TypeVar("T")


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
        self._negotiated: Revision = LATEST_LEGACY

    async def serve(self, source: BinaryIO, sink: BinaryIO) -> None:
        """Answer messages until the client closes its side; then finish what is running.

        Args:
            source: Lines from the client.
            sink: Takes lines for the client.
        """
        with _Client(source, sink) as client:
            async with asyncio.TaskGroup() as tasks:
                async for line in self._lines(client):
                    request = await self._admit(line, client)
                    if request is not None and request.id is not None:
                        tasks.create_task(self._run(request, client))

    async def _lines(self, client: _Client) -> AsyncIterator[bytes]:
        limit = self._max_line_bytes
        while line := await client.read_line(limit + 1):
            if len(line) <= limit:
                if line.strip():
                    yield line
                continue
            while line and not line.endswith(b"\n"):
                line = await client.read_line(limit)
            too_long = InvalidRequestError(f"The line is longer than {limit} bytes")
            await client.write(failure(UNSET, too_long))

    async def _admit(self, line: bytes, client: _Client) -> Request | None:
        try:
            message = decode(line)
        except ProtocolError as error:
            await client.write(failure(id_of(line), error))
            return None
        if message.method is UNSET:
            return None
        return await self._admit_message(message, client)

    async def _admit_message(self, message: Message, client: _Client) -> Request | None:
        try:
            request = self._dispatcher.admit(message, self._identify, _INGRESS)
        except Exception as error:  # noqa: BLE001 - nothing a client sends may end the process
            if message.id is UNSET:
                _log.info("ignoring a notification: %s", error)  # JSON-RPC forbids to answer one
            else:
                await client.write(failure(message.id, to_protocol_error(error)))
            return None
        if isinstance(request.params, InitializeParams):
            self._negotiated = negotiate(request.params.protocol_version)
        return request

    def _identify(self, request_meta: Mapping[str, Any]) -> Revision:
        version = request_meta.get(meta.PROTOCOL_VERSION)
        if version is None:
            return self._negotiated
        if not isinstance(version, str):
            raise InvalidParamsError(f"{meta.PROTOCOL_VERSION!r} must be text, got {version!r}")
        return known_revision(version)

    async def _run(self, request: Request, client: _Client) -> None:
        await client.write(await self._dispatcher.run(request))


class _Client:
    """The other side of two byte streams, read and written in threads of their own.

    A thread reads pipes, files and terminals alike, on every platform. Tools have other threads, so that
    however many of them wait for something, the client is heard.
    """

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self._source = source
        self._sink = sink
        self._reader, self._writer = _Thread(), _Thread()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.stop()
        self._writer.stop()

    async def read_line(self, limit_bytes: int) -> bytes:
        """Return a line, the first part of a longer one, or nothing where there is no more."""
        try:
            return await self._reader.run(partial(self._source.readline, limit_bytes))
        except ConnectionError:
            return b""  # where standard input is a socket, a client that went away may end it like this

    async def write(self, reply: Reply) -> None:
        """Send an answer, after those that are on their way."""
        try:
            await self._writer.run(partial(self._put, reply.body))
        except ConnectionError:
            _log.info("the client is gone, an answer was dropped")

    def _put(self, body: bytes) -> None:
        self._sink.write(body + b"\n")
        self._sink.flush()


class _Thread:
    """Runs blocking calls one after the other.

    It ends with the process even in a call that nothing can wake, such as a read from a pipe; the worker
    threads of asyncio and anyio would keep an interrupted process waiting for its client.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        Thread(target=self._work, name="stdio", daemon=True).start()

    async def run(self, call: Callable[[], T]) -> T:
        """Return what a call returns, or raise what it raises."""
        future: Future[T] = Future()
        self._calls.put((future, call))
        return await asyncio.wrap_future(future)

    def stop(self) -> None:
        """End once the calls made so far are done."""
        self._calls.put(None)

    def _work(self) -> None:
        while (item := self._calls.get()) is not None:
            future, call = item
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call())
                except Exception as error:  # noqa: BLE001 - raised where it is awaited
                    future.set_exception(error)


async def serve_stdio(dispatcher: Dispatcher, lifespan: AbstractAsyncContextManager[Any]) -> None:
    """Serve the client at standard input and output.

    While it runs, nothing else reads or writes there: a stray line on standard output would break the
    protocol. What tools, and programs that they start, print goes to standard error.

    Args:
        dispatcher: Answers messages.
        lifespan: Held meanwhile.
    """
    with _claimed() as (source, sink):
        async with lifespan:
            await StdioTransport(dispatcher).serve(source, sink)


@contextlib.contextmanager
def _claimed() -> Iterator[tuple[BinaryIO, BinaryIO]]:
    # Never closed: after an interruption a thread may still be at them, and would hold up who closes them.
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
