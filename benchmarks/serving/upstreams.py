"""Servers that the benchmark of the gateway puts behind it.

Run: python -m benchmarks.serving.upstreams sdk [PORT]
     python -m benchmarks.serving.upstreams many COUNTS ROWS PORT
     python -m benchmarks.serving.upstreams changing ROWS PORT

``sdk`` is a server of one tool on the official SDK, over stdio without a port. ``many`` splits a catalog
among servers, once for each count, at ``/COUNT/PLACE/mcp``. ``changing`` has many tools, one of which
describes another one anew.
"""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Final

import uvicorn
from mcp.server.mcpserver import MCPServer
from starlette.applications import Starlette
from starlette.routing import Mount

from benchmarks.serving.warm_list import catalog
from scopedtools import Catalog, ScopedServer, ViewSettings, tool
from scopedtools.catalog.primitives import Tool
from scopedtools.retrieval import HybridSelector
from scopedtools.testing import HashingEncoder

NAME: Final = "tool_7"
"""The tool that is described anew."""


def sdk() -> MCPServer:
    """Make a server of one tool."""
    server = MCPServer("upstream", log_level="ERROR")

    @server.tool()
    def add(a: int, b: int) -> int:
        """Add two whole numbers."""
        return a + b

    return server


class Changing(ScopedServer):
    """Has many tools, and changes one.

    Args:
        rows: How many.
    """

    def __init__(self, rows: int) -> None:
        self._rows = tuple(row for row in catalog(rows).rows if isinstance(row, Tool))
        super().__init__(
            catalog=Catalog(self._rows),
            selector=HybridSelector(HashingEncoder(64)),
            views=ViewSettings(whole_rows=rows + 10),
        )

    @tool(pinned=True)
    async def change(self, description: str) -> float:
        """Describe one tool anew; returns when that was told, on the monotonic clock of the machine."""
        rows = (replace(row, description=description) if row.name == NAME else row for row in self._rows)
        await self.update(Catalog(rows))
        return time.monotonic()


def many(counts: Sequence[int], rows: int) -> Starlette:
    """Make an app with servers that have a part of a catalog each."""
    whole = catalog(rows).rows
    servers = {
        f"/{count}/{place}": ScopedServer(
            catalog=Catalog(whole[place * rows // count : (place + 1) * rows // count]),
            selector=HybridSelector(HashingEncoder(64)),
            views=ViewSettings(whole_rows=rows),
        )
        for count in counts
        for place in range(count)
    }

    @asynccontextmanager
    async def running(_: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for server in servers.values():
                await stack.enter_async_context(server)
            yield

    return Starlette(routes=[Mount(path, app=app) for path, app in servers.items()], lifespan=running)


def main() -> None:
    """Serve."""
    which, *rest = sys.argv[1:]
    if which == "changing":
        uvicorn.run(Changing(int(rest[0])), port=int(rest[1]), log_level="warning")
    elif which == "many":
        counts = [int(count) for count in rest[0].split(",")]
        uvicorn.run(many(counts, int(rest[1])), port=int(rest[2]), log_level="warning")
    elif rest:
        sdk().run("streamable-http", port=int(rest[0]))
    else:
        sdk().run("stdio")


if __name__ == "__main__":
    main()
