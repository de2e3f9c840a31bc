"""A small server on the official SDK: ``python upstream_server.py [stdio|http PORT]``."""

from __future__ import annotations

import os
import sys
from typing import Any

import anyio
from mcp.server.mcpserver import Context, MCPServer
from mcp_types import Completion, SamplingMessage, TextContent, ToolAnnotations
from pydantic import BaseModel


class Answer(BaseModel):
    confirm: bool


def made() -> MCPServer:  # noqa: C901 - a list of small functions
    """Make the server."""
    server = MCPServer("upstream", instructions="For tests.")

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
        await ctx.report_progress(1, 2, "half")
        await anyio.sleep(seconds)
        return "done"

    @server.tool()
    async def wipe(ctx: Context) -> str:
        """Ask first, then act."""
        answer = await ctx.elicit("Really?", Answer)
        return f"{answer.action} {answer.data.confirm if answer.action == 'accept' else None}"

    @server.tool()
    async def think(ctx: Context) -> str:
        """Have the client's model write something."""
        message = SamplingMessage(role="user", content=TextContent(type="text", text="Say hi"))
        result = await ctx.session.create_message([message], max_tokens=7, related_request_id=ctx.request_id)
        return f"{result.model}: {result.content}"

    @server.tool()
    async def chat(ctx: Context) -> str:
        """Write to the log of the client."""
        await ctx.session.send_log_message("warning", "careful", related_request_id=ctx.request_id)
        return "said"

    @server.tool()
    async def grow(ctx: Context) -> str:
        """Have one more tool from now on."""
        server.add_tool(add, name=f"add_{len(await server.list_tools())}")
        if ctx.request_context.protocol_version < "2026":
            await ctx.session.send_tool_list_changed()
        else:
            await ctx.notify_tools_changed()
        return "grown"

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

    @server.completion()  # type: ignore[no-untyped-call, untyped-decorator]
    async def complete(ref: Any, argument: Any, context: Any) -> Completion:
        return Completion(values=[one for one in ("Ann", "Bob", "Alan") if one.startswith(argument.value)])

    return server


if __name__ == "__main__":
    if sys.argv[1:2] == ["http"]:
        made().run("streamable-http", port=int(sys.argv[2]))
    else:
        made().run("stdio")
