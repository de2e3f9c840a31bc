"""A loopback proxy that puts one header into every request: the suite has no option for that."""

from __future__ import annotations

import asyncio
from contextlib import closing
from types import TracebackType
from typing import Self

HOST = "127.0.0.1"


class HeaderProxy:
    """Passes on whatever comes, byte by byte as it comes, so that event streams stay streams.

    Each connection carries one request, which spares the proxy from finding where a body ends.

    Attributes:
        port: Where it listens, while it is entered.
        requests: How many it has passed on.
    """

    def __init__(self, target_port: int, name: str, value: str) -> None:
        self.port = 0
        self.requests = 0
        self._target_port = target_port
        self._lines = [b"Connection: close", f"{name}: {value}".encode("ascii")]
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, HOST)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        for connection in self._open:
            connection.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(self._connection(reader, writer))
        self._open.add(connection)
        connection.add_done_callback(self._open.discard)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            try:
                head = await reader.readuntil(b"\r\n\r\n")
                back, forth = await asyncio.open_connection(HOST, self._target_port)
            except (asyncio.IncompleteReadError, OSError):
                return  # opened for later and not used, or there is no server any longer
            with closing(forth):
                forth.write(self._with_header(head))
                self.requests += 1
                # Whoever goes first takes the other along: a client that leaves cancels its request.
                ways = {asyncio.create_task(_pass(reader, forth)), asyncio.create_task(_pass(back, writer))}
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()

    def _with_header(self, head: bytes) -> bytes:
        request, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
        kept = [line for line in lines if line.partition(b":")[0].lower() != b"connection"]
        return b"\r\n".join([request, *kept, *self._lines, b"", b""])


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
    except OSError:
        pass  # one side is gone, which ends the connection as well as an orderly end does
