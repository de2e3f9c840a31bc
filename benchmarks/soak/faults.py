"""Clients that do what clients should not: half requests, killed connections, slow reading, garbage."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

import msgspec

from benchmarks.soak.wire import Wire, tool_call

_WAIT_S: Final = 5.0
_SLOW_S: Final = 3.0
_KILL: Final = struct.pack("ii", 1, 0)
"""Linger for no time: closing sends a reset."""

Fault = Callable[["Faults", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Faults:
    """Injects one fault after the other.

    Args:
        wire: To the server.
        pause_s: Mean seconds between two.
    """

    def __init__(self, wire: Wire, *, pause_s: float) -> None:
        self._wire = wire
        self._pause_s = pause_s
        parts = urlsplit(wire.url)
        self._host, self._port = parts.hostname or "", parts.port or 80

    async def work(self) -> None:
        """Inject one, and look whether what comes back is no server error."""
        await asyncio.sleep(random.expovariate(1 / self._pause_s))
        name = random.choice(list(FAULTS))  # noqa: S311 - no secret
        self._wire.ledger.outcomes[f"fault: {name}"] += 1
        reader, writer = await asyncio.open_connection(self._host, self._port, limit=2**16)
        try:
            async with asyncio.timeout(2 * _WAIT_S):
                await FAULTS[name](self, reader, writer)
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    def request(self, call: str, tool: str = "quick", **arguments: object) -> bytes:
        """Make a whole request."""
        message, headers = self._wire.modern_request("tools/call", tool_call(tool, call, **arguments))
        body = msgspec.json.encode(message)
        lines = [f"{name}: {value}" for name, value in headers.items()]
        head = "\r\n".join(("POST /mcp HTTP/1.1", "host: localhost", *lines, f"content-length: {len(body)}"))
        return head.encode() + b"\r\n\r\n" + body

    def begin(self, tool: str = "quick") -> str:
        """Note a call that nobody will wait for."""
        call = self._wire.ledger.begin(tool)
        self._wire.ledger.cut(call, time.monotonic())
        return call

    async def judge(self, reader: asyncio.StreamReader) -> None:
        """Read the status line of an answer, if there is one."""
        line = await asyncio.wait_for(reader.readline(), _WAIT_S)
        if line:
            status = int(line.split(b" ")[1])
            self._wire.ledger.statuses[status] += 1
            if status >= 500:
                self._wire.ledger.problem(f"a fault was answered with {line!r}")

    async def half_headers(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Go away in the middle of the headers."""
        writer.write(self.request("none")[: random.randint(1, 200)])  # noqa: S311 - no secret
        await writer.drain()

    async def half_body(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Go away in the middle of the body."""
        writer.write(self.request(self.begin())[:-10])
        await writer.drain()

    async def reset_in_body(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Kill the connection in the middle of the body."""
        writer.write(self.request(self.begin())[:-10])
        await writer.drain()
        await asyncio.sleep(0.05)
        _reset(writer)

    async def reset_in_answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Kill the connection in the middle of a long answer."""
        writer.write(self.request(self.begin("large"), "large", kibibytes=2048))
        await writer.drain()
        await self.judge(reader)
        _reset(writer)

    async def reset_in_call(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Kill the connection while a call runs."""
        writer.write(self.request(self.begin("slow"), "slow", seconds=1))
        await writer.drain()
        await asyncio.sleep(random.uniform(0, 0.3))  # noqa: S311 - no secret
        _reset(writer)

    async def slow_reader(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read a long answer a little at a time, then lose patience."""
        writer.write(self.request(self.begin("large"), "large", kibibytes=2048))
        await writer.drain()
        await self.judge(reader)
        until = time.monotonic() + _SLOW_S
        while time.monotonic() < until and await reader.read(4096):
            await asyncio.sleep(0.1)

    async def slow_writer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Send a good request a little at a time; it is answered."""
        data = self.request(self.begin())
        for start in range(0, len(data), 64):
            writer.write(data[start : start + 64])
            await writer.drain()
            await asyncio.sleep(0.05)
        await self.judge(reader)

    async def garbage(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Send what is no HTTP."""
        writer.write(random.randbytes(200) + b"\r\n\r\n")
        await writer.drain()
        await self.judge(reader)

    async def long_header(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Send a header that is too long."""
        writer.write(b"POST /mcp HTTP/1.1\r\nhost: localhost\r\nx: " + b"x" * 200_000 + b"\r\n\r\n")
        await writer.drain()
        await self.judge(reader)

    async def two_at_once(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Send two requests before reading the answer to the first."""
        writer.write(self.request(self.begin()) + self.request(self.begin()))
        await writer.drain()
        await self.judge(reader)

    async def idle(self, reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        """Connect, and say nothing."""
        await asyncio.wait_for(reader.read(1), _SLOW_S)

    async def no_json(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Send a body that is no JSON, and one that is deep."""
        body = random.choice((b"\xff" * 100, b"[" * 5000, b'{"jsonrpc":"2.0","id":1,"method":"x"'))  # noqa: S311
        head = b"POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        writer.write(head + b"content-length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        await self.judge(reader)


FAULTS: Final[Mapping[str, Fault]] = {
    "half headers": Faults.half_headers,
    "half a body": Faults.half_body,
    "reset in a body": Faults.reset_in_body,
    "reset in an answer": Faults.reset_in_answer,
    "reset in a call": Faults.reset_in_call,
    "slow reader": Faults.slow_reader,
    "slow writer": Faults.slow_writer,
    "garbage": Faults.garbage,
    "long header": Faults.long_header,
    "two requests at once": Faults.two_at_once,
    "idle": Faults.idle,
    "no JSON": Faults.no_json,
}


def _reset(writer: asyncio.StreamWriter) -> None:
    own = writer.get_extra_info("socket")
    own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _KILL)
    writer.transport.abort()
