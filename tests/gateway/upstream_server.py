"""A small server on the official SDK: ``python upstream_server.py [stdio|http PORT]``."""

from __future__ import annotations

import os
import sys
from typing import Any

from mcp.server.mcpserver import Context, MCPServer
from mcp_types import ToolAnnotations
from pydantic import BaseModel

server = MCPServer("upstream", instructions="For tests.")


class Answer(BaseModel):
    confirm: bool


@server.tool(title="Add two numbers", annotations=ToolAnnotations(read_only_hint=True))
def add(a: int, b: int) -> int:
    """Add two whole numbers."""
    return a + b


@server.tool()
def fail(why: str) -> str:
    """Fail, saying why."""
    raise ValueError(why)


@server.tool()
def seen(ctx: Context) -> dict[str, Any]:
    """Say what came with the request."""
    headers = dict(ctx.headers or {})
    return {"headers": headers, "meta": dict(ctx.request_context.meta or {}), "pid": os.getpid()}


@server.tool()
async def slow(ctx: Context, seconds: float = 30) -> str:
    """Take a while, and say how far it is."""
    import anyio

    await ctx.report_progress(1, 2, "half")
    await anyio.sleep(seconds)
    return "done"


@server.resource("note://today", name="today", mime_type="text/plain")
def today() -> str:
    """The note of today."""
    return "rain"


@server.resource("note://{day}", name="day")
def day(day: str) -> str:
    """The note of a day."""
    return f"note of {day}"


@server.prompt()
def greet(name: str) -> str:
    """Greet somebody."""
    return f"Hello {name}"


if __name__ == "__main__":
    if sys.argv[1:2] == ["http"]:
        server.run("streamable-http", port=int(sys.argv[2]))
    else:
        server.run("stdio")
