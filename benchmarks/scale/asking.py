"""Requests to a server or a proxy on this machine, over connections that are kept."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec

from benchmarks.hosting import HOST
from scopedtools.protocol import meta

CONTEXT_HEADER: Final = "mcp-client-session-id"
_MODERN: Final = "2026-07-28"
_NONE: Final[Mapping[str, Any]] = MappingProxyType({})
_ids = itertools.count(1)


class LostError(Exception):
    """A connection ended before the answer."""


class Answer(NamedTuple):
    """An answer over HTTP.

    Attributes:
        status: Of HTTP.
        body: As it came.
    """

    status: int
    body: bytes

    @property
    def reply(self) -> dict[str, Any]:
        """The JSON-RPC reply."""
        reply: dict[str, Any] = msgspec.json.decode(self.body)
        return reply

    @property
    def value(self) -> Any:
        """What a tool returned: its structured result, or its text.

        Raises:
            LostError: It failed, or something else answered.
        """
        try:
            result = self.reply["result"]
            structured = result.get("structuredContent")
            return result["content"][0]["text"] if structured is None else structured["result"]
        except (KeyError, msgspec.DecodeError) as error:
            raise LostError(f"HTTP {self.status}: {self.body[:200]!r}") from error


def request(
    method: str,
    params: Mapping[str, Any] = _NONE,
    *,
    context: str | None = None,
    intent: str | None = None,
    growth: bool = False,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> bytes:
    """Write a request over HTTP.

    Args:
        method: Such as ``tools/call``.
        params: Its parameters.
        context: Context ID, in the header that proxies hash.
        intent: What the context is about.
        growth: Whether the client follows a list that grows.
        headers: More of them.
    """
    settings = {"intent": intent, "growth": growth or None}
    declared = {key: value for key, value in settings.items() if value is not None}
    if declared and context is not None:
        declared["contextId"] = context
    envelope = {
        meta.PROTOCOL_VERSION: _MODERN,
        meta.CLIENT_CAPABILITIES: {"extensions": {meta.EXTENSION: declared}} if declared else {},
        **params.get("_meta", {}),
    }
    message = {"jsonrpc": "2.0", "id": next(_ids), "method": method, "params": {**params, "_meta": envelope}}
    body = msgspec.json.encode(message)
    lines = {
        "host": HOST,
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": _MODERN,
        "mcp-method": method,
        "content-length": str(len(body)),
        **({"mcp-name": params["name"]} if "name" in params else {}),
        **({CONTEXT_HEADER: context} if context is not None else {}),
        **headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST /mcp HTTP/1.1\r\n{head}\r\n".encode() + body


def call(name: str, arguments: Mapping[str, Any] = _NONE, **options: Any) -> bytes:
    """Write the request of a call; options are those of `request`."""
    return request("tools/call", {"name": name, "arguments": dict(arguments)}, **options)


class Connection:
    """A connection with one request under way at a time; it connects anew where it was lost.

    Args:
        port: Of this machine.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, sent: bytes) -> Answer:
        """Send a request and return its answer.

        Raises:
            LostError: The connection ended before the answer.
        """
        try:
            reader, writer = await self._connected()
            writer.write(sent)
            status, headers = await _head(reader)
            body = b"".join([chunk async for chunk in _chunks(reader, headers)])
        except (OSError, asyncio.IncompleteReadError) as error:
            self.close()
            raise LostError(repr(error)) from error
        if headers.get("connection") == "close":
            self.close()
        return Answer(status, body)

    @asynccontextmanager
    async def streamed(self, sent: bytes) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """Send a request that is answered by a stream; yield its messages as they come. Closes it then."""
        reader, writer = await self._connected()
        try:
            writer.write(sent)
            status, headers = await _head(reader)
            if status != 200 or "text/event-stream" not in headers.get("content-type", ""):
                raise LostError(f"HTTP {status}, {headers.get('content-type')}")
            yield _events(_chunks(reader, headers))
        finally:
            self.close()

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None or self._streams[0].at_eof():
            self.close()
            self._streams = await asyncio.open_connection(HOST, self._port, limit=2**24)
        return self._streams


async def _head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return int(first.split()[1]), {name.lower(): value.strip().lower() for name, _, value in pairs}


async def _chunks(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> AsyncIterator[bytes]:
    if "chunked" not in headers.get("transfer-encoding", ""):
        yield await reader.readexactly(int(headers.get("content-length", "0")))
        return
    while size := int(await reader.readuntil(b"\r\n"), 16):
        yield (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)


async def _events(chunks: AsyncIterator[bytes]) -> AsyncIterator[dict[str, Any]]:
    left = b""
    async for chunk in chunks:
        *whole, left = (left + chunk.replace(b"\r\n", b"\n")).split(b"\n\n")
        for event in whole:
            data = [line[5:] for line in event.split(b"\n") if line.startswith(b"data:")]
            if data and (said := b"".join(data).strip()):
                yield msgspec.json.decode(said)
