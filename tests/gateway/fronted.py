"""Gateways in front of the small server, in each way in which it can be reached."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

from scopedtools import ScopedServer
from scopedtools.gateway import Gateway, GatewayConfig
from scopedtools.testing import Client
from tests.gateway import upstream_server
from tests.hosting import hosted

UPSTREAM: Final = str(Path(upstream_server.__file__))
WAYS: Final = ("stdio", "stdio-legacy", "http", "http-legacy")
LIMIT_S: Final = 20.0


def stdio(**options: Any) -> dict[str, Any]:
    """Return the configuration of the small server as a process."""
    return {"command": sys.executable, "args": [UPSTREAM]} | options


@asynccontextmanager
async def described(way: str, **options: Any) -> AsyncIterator[dict[str, Any]]:
    """Yield the configuration of the small server, reached in some way."""
    protocol = {"protocol": "legacy"} if way.endswith("legacy") else {}
    if way.startswith("stdio"):
        yield stdio(**protocol, **options)
        return
    async with hosted(upstream_server.made().streamable_http_app()) as (host, port):
        yield {"type": "http", "url": f"http://{host}:{port}/mcp"} | protocol | options


def configured(servers: dict[str, Any], **options: Any) -> GatewayConfig:
    """Return a configuration of some servers."""
    return GatewayConfig.of({"mcpServers": servers, "gateway": options}, variables={})


@asynccontextmanager
async def fronted(way: str, **options: Any) -> AsyncIterator[tuple[Gateway, ScopedServer]]:
    """Yield a gateway in front of the small server, and a server with its rows."""
    async with (
        described(way, **options) as described_server,
        Gateway(configured({"up": described_server})).running() as gateway,
        serving(gateway) as server,
    ):
        yield gateway, server


@asynccontextmanager
async def serving(gateway: Gateway) -> AsyncIterator[ScopedServer]:
    """Yield a running server with the rows that a gateway has now."""
    server = ScopedServer(catalog=gateway.catalog, sessions=True)
    async with server:
        yield server


@asynccontextmanager
async def asking(*clients: Client) -> AsyncIterator[tuple[Client, ...]]:
    """Enter several clients."""
    async with AsyncExitStack() as stack:
        yield tuple([await stack.enter_async_context(client) for client in clients])


async def until(true: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(LIMIT_S):
        while not true():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.02)


def text(result: dict[str, Any]) -> str:
    """Return the text of a result."""
    return "".join(block["text"] for block in result["content"])
