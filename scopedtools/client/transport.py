"""A transport of the official client with our traffic in between."""

from __future__ import annotations

import contextvars
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeAlias

import anyio
import httpx2
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp import StdioServerParameters
from mcp.client import Transport
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCResponse

from scopedtools.client.traffic import Traffic
from scopedtools.client.unit import UnitOfWork, add_context

Target: TypeAlias = Transport | StdioServerParameters | str
"""What clients connect to: a URL, a program to start, or any transport."""

_TIMEOUT = httpx2.Timeout(30, read=300)
"""Seconds, as the official transport waits; reading a stream takes longer than answering."""


class _Delivery(NamedTuple):
    """A message for the client, with the context variables of whoever it answers."""

    sender: contextvars.Context | None
    item: SessionMessage | Exception


class _Incoming:
    """What the client reads: from the server, or from what is kept.

    Attributes:
        last_context: Context variables of whoever the last message answers, so that what the client does
            about it, such as sampling, belongs to the same unit.
    """

    def __init__(self, deliveries: MemoryObjectReceiveStream[_Delivery]) -> None:
        self._deliveries = deliveries
        self.last_context: contextvars.Context | None = None

    async def receive(self) -> SessionMessage | Exception:
        self.last_context, item = await self._deliveries.receive()
        return item

    async def aclose(self) -> None:
        self._deliveries.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class _Outgoing:
    """What the client writes to."""

    def __init__(self, traffic: Traffic, inner: Any, deliveries: MemoryObjectSendStream[_Delivery]) -> None:
        self._traffic = traffic
        self._inner = inner
        self._deliveries = deliveries

    async def send(self, item: SessionMessage, /) -> None:
        sent = self._traffic.outgoing(item)
        if isinstance(sent, JSONRPCResponse):
            await self._deliveries.send(_Delivery(contextvars.copy_context(), SessionMessage(sent)))
            return
        # The transport works in other tasks, which see what is active here.
        with _active(self._traffic.unit):
            await self._inner.send(sent)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


@asynccontextmanager
async def named(transport: Transport, traffic: Traffic) -> AsyncIterator[tuple[_Incoming, _Outgoing]]:
    """Run traffic between a transport and whoever reads and writes what this yields."""
    send, receive = anyio.create_memory_object_stream[_Delivery]()

    async def deliver(read: Any) -> None:
        async with read, send:
            try:
                async for item in read:
                    sender = getattr(read, "last_context", None)
                    await send.send(_Delivery(sender, traffic.incoming(item)))
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                return  # the client, or the transport, is done

    async with (
        _Leaving(transport, traffic) as (read, write),
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(deliver, read)
        try:
            with send, receive:
                yield _Incoming(receive), _Outgoing(traffic, write, send)
        finally:
            traffic.close()
            tasks.cancel_scope.cancel()


class _Leaving:
    """A transport that ends in the name of the unit: over HTTP it may send a last request."""

    def __init__(self, transport: Transport, traffic: Traffic) -> None:
        self._transport = transport
        self._traffic = traffic

    async def __aenter__(self) -> tuple[Any, Any]:
        return await self._transport.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        with _active(self._traffic.unit):
            return await self._transport.__aexit__(kind, error, trace)


def to(target: Target, *, http_client: httpx2.AsyncClient | None) -> Transport:
    """Return a transport to a target.

    Raises:
        TypeError: It is something else.
        ValueError: ``http_client`` came with something that is not a URL.
    """
    if isinstance(target, str):
        return _http(target, http_client)
    if http_client is not None:
        raise ValueError(f"http_client is for a URL, got {type(target).__name__} to connect to; leave it out")
    if isinstance(target, StdioServerParameters):
        return stdio_client(target)
    if not hasattr(target, "__aenter__"):
        raise TypeError(
            f"target must be a URL, StdioServerParameters or a transport, got {type(target).__name__}"
        )
    return target


@asynccontextmanager
async def _http(url: str, given: httpx2.AsyncClient | None) -> AsyncIterator[tuple[Any, Any]]:
    own = httpx2.AsyncClient(timeout=_TIMEOUT) if given is None else nullcontext(given)
    async with own as http_client:
        # Sessions of earlier revisions have requests without a message: for their stream and for their end.
        hooks = http_client.event_hooks["request"]
        if add_context not in hooks:
            hooks.append(add_context)
        async with streamable_http_client(url, http_client=http_client) as streams:
            yield streams


def _active(unit: UnitOfWork | None) -> AbstractContextManager[Any]:
    return nullcontext() if unit is None else unit.active()
