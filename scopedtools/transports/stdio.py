"""stdio: one JSON-RPC message to a line."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import AsyncIterator, Mapping
from typing import Any, BinaryIO, Final

import anyio.to_thread
from msgspec import UNSET

from scopedtools.exceptions import InvalidRequestError, MethodNotFoundError, ProtocolError
from scopedtools.protocol import meta
from scopedtools.protocol.dispatch import Dispatcher, Ingress, Request, to_protocol_error
from scopedtools.protocol.envelope import Message, Reply, decode, failure, id_of
from scopedtools.protocol.methods import InitializeParams
from scopedtools.protocol.mirrors import known_revision
from scopedtools.protocol.revisions import LATEST_LEGACY, Revision, negotiate

_log: Final = logging.getLogger(__name__)

_INGRESS: Final = Ingress()


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
        async with asyncio.TaskGroup() as tasks:
            async for line in self._lines(source, sink):
                request = self._admit(line, sink)
                if request is not None and request.id is not None:
                    tasks.create_task(self._run(request, sink))

    async def _lines(self, source: BinaryIO, sink: BinaryIO) -> AsyncIterator[bytes]:
        limit = self._max_line_bytes
        while line := await _read_line(source, limit + 1):
            if len(line) <= limit:
                if line.strip():
                    yield line
                continue
            while line and not line.endswith(b"\n"):
                line = await _read_line(source, limit)
            _write(sink, failure(UNSET, InvalidRequestError(f"The line is longer than {limit} bytes")))

    def _admit(self, line: bytes, sink: BinaryIO) -> Request | None:
        try:
            message = decode(line)
        except ProtocolError as error:
            _write(sink, failure(id_of(line), error))
            return None
        if message.method is UNSET:
            return None
        return self._admit_message(message, sink)

    def _admit_message(self, message: Message, sink: BinaryIO) -> Request | None:
        try:
            request = self._dispatcher.admit(message, self._identify, _INGRESS)
        except Exception as error:  # noqa: BLE001 - nothing a client sends may end the process
            if not (message.id is UNSET and isinstance(error, MethodNotFoundError)):
                _write(sink, failure(message.id, to_protocol_error(error)))
            return None
        if isinstance(request.params, InitializeParams):
            self._negotiated = negotiate(request.params.protocol_version)
        return request

    def _identify(self, request_meta: Mapping[str, Any]) -> Revision:
        version = request_meta.get(meta.PROTOCOL_VERSION)
        return self._negotiated if version is None else known_revision(str(version))

    async def _run(self, request: Request, sink: BinaryIO) -> None:
        _write(sink, await self._dispatcher.run(request))


async def serve_stdio(dispatcher: Dispatcher) -> None:
    """Serve the client at standard input and output.

    While it runs, `print` goes to standard error: a stray line on standard output would break the
    protocol.
    """
    sink = sys.stdout.buffer
    with contextlib.redirect_stdout(sys.stderr):
        await StdioTransport(dispatcher).serve(sys.stdin.buffer, sink)


async def _read_line(source: BinaryIO, limit_bytes: int) -> bytes:
    # A thread reads pipes, files and terminals alike, on every platform; on cancellation it is left to
    # end with the process, since nothing can wake it.
    return await anyio.to_thread.run_sync(source.readline, limit_bytes, abandon_on_cancel=True)


def _write(sink: BinaryIO, reply: Reply) -> None:
    try:
        sink.write(reply.body + b"\n")
        sink.flush()
    except BrokenPipeError:
        _log.info("the client is gone, an answer was dropped")
