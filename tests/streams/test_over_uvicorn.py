"""Streams over a real ASGI server and real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from scopedtools import Context, ScopedServer, tool
from tests.hosting import hosted
from tests.streams.opened import LIMIT_S, modern
from tests.wire.exchange import JSON_HEADERS, message, mirrored

pytestmark = pytest.mark.anyio


class Station(ScopedServer):
    """Sends."""

    def __init__(self) -> None:
        super().__init__(sessions=True)
        self.began = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.sent = 0

    @tool
    async def work(self) -> str:
        """Work."""
        self.began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return "done"

    @tool
    async def send_much(self, ctx: Context) -> str:
        """Send more than sockets hold."""
        for number in range(100):
            await ctx.report_progress(number + 1, message="x" * 2**20)
            self.sent = number + 1
        return "done"


class Connection:
    """A client with a socket of its own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, request: Any, headers: Mapping[str, str], method: str = "POST") -> None:
        body = b"" if request is None else msgspec.json.encode(request)
        lines = [f"{method} /mcp HTTP/1.1", "host: localhost", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + body)

    async def until(self, mark: bytes) -> bytes:
        """Read up to a mark."""
        async with asyncio.timeout(LIMIT_S):
            return await self.reader.readuntil(mark)

    async def rest(self) -> bytes:
        async with asyncio.timeout(2 * LIMIT_S):
            return await self.reader.read()


@asynccontextmanager
async def connected(address: tuple[str, int]) -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_connection(*address, limit=2**22)
    try:
        yield Connection(reader, writer)
    finally:
        writer.transport.abort()


def calling(name: str, **meta: Any) -> tuple[dict[str, Any], dict[str, str]]:
    request = modern("tools/call", {"name": name}, meta=meta)
    return request, mirrored(request)


async def test_a_client_that_closes_its_socket_cancels_its_call() -> None:
    station = Station()
    async with hosted(station) as address:
        async with connected(address) as client:
            client.send(*calling("work"))
            async with asyncio.timeout(LIMIT_S):
                await station.began.wait()
        async with asyncio.timeout(LIMIT_S):
            await station.cancelled.wait()


async def test_a_client_that_does_not_read_makes_the_tool_wait() -> None:
    station = Station()
    async with hosted(station) as address, connected(address) as client:
        client.send(*calling("send_much", progressToken="p"))
        head = await client.until(b"\r\n\r\n")
        assert b"text/event-stream" in head
        client.reader._transport.pause_reading()  # type: ignore[attr-defined]
        before = -1
        async with asyncio.timeout(LIMIT_S):
            while before != station.sent:
                before = station.sent
                async with connected(address) as other:  # the loop turns around real sockets meanwhile
                    other.send(message("initialize", {"protocolVersion": "2025-11-25"}), JSON_HEADERS)
                    await other.until(b"\r\n\r\n")
        assert station.sent < 90
        client.reader._transport.resume_reading()  # type: ignore[attr-defined]
        async with asyncio.timeout(LIMIT_S):
            while b'"result"' not in await client.reader.read(2**20):
                pass
        assert station.sent == 100


async def test_listeners_go_with_their_sockets() -> None:
    station = Station()
    async with hosted(station) as address:
        async with connected(address) as client:
            request = modern("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
            client.send(request, mirrored(request))
            await client.until(b"acknowledged")
            assert len(station._listeners._listeners) == 1
        async with asyncio.timeout(LIMIT_S):
            while station._listeners._listeners:  # noqa: ASYNC110 - nobody but the server hears of it
                await asyncio.sleep(0)


async def test_streams_end_when_the_server_is_told_to_stop_each_with_its_result() -> None:
    station = Station()
    async with hosted(station) as address, connected(address) as one, connected(address) as two:
        request = modern("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
        one.send(request, mirrored(request) | {"connection": "close"})
        await one.until(b"acknowledged")
        two.send(message("initialize", {"protocolVersion": "2025-11-25"}), JSON_HEADERS)
        head = await two.until(b"\r\n\r\n")
        session_id = head.lower().partition(b"mcp-session-id: ")[2].partition(b"\r\n")[0]
        assert session_id
        named = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"mcp-session-id"))
        session = named.partition(b": ")[2].decode()
        await two.until(b"}}")
        async with connected(address) as stream:
            stream.send(None, JSON_HEADERS | {"mcp-session-id": session, "connection": "close"}, "GET")
            await stream.until(b"data: \n\n")
            station.end_streams()
            assert b'"resultType":"complete"' in await one.rest()
            assert b"event: message" not in await stream.rest()


async def test_a_session_outlives_the_socket_of_its_stream() -> None:
    station = Station()
    async with hosted(station) as address:
        async with connected(address) as client:
            client.send(message("initialize", {"protocolVersion": "2025-11-25"}), JSON_HEADERS)
            head = await client.until(b"\r\n\r\n")
        named = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"mcp-session-id"))
        headers = JSON_HEADERS | {"mcp-session-id": named.partition(b": ")[2].decode()}
        assert station._sessions is not None
        (session,) = station._sessions._sessions.values()
        async with connected(address) as stream:
            stream.send(None, headers, "GET")
            await stream.until(b"data: \n\n")
            reader = session.push._reader
        async with asyncio.timeout(LIMIT_S):
            while session.push._reader == reader:  # noqa: ASYNC110 - likewise
                await asyncio.sleep(0)
        async with connected(address) as client:
            client.send(message("tools/call", {"name": "work"}), headers)
            await client.until(b"data: \n\n")
            async with asyncio.timeout(LIMIT_S):
                await station.began.wait()
        assert not station.cancelled.is_set()
        async with connected(address) as client:
            client.send(None, headers, "DELETE")
            assert b"204" in await client.until(b"\r\n\r\n")
        async with asyncio.timeout(LIMIT_S):
            await station.cancelled.wait()
