"""Servers of the official SDK that gain context views. As a program: one of them over stdio."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Final, Literal, Unpack

import anyio
import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.server.mcpserver import MCPServer
from mcp.server.stdio import stdio_server

from scopedtools.adapters.for_sdk import ScopedViews
from scopedtools.adapters.views import Options
from scopedtools.retrieval.hashing import HashingEncoder
from tests.adapters.stock import THINGS, asker, functions, reader

Kind = Literal["high-level", "low-level"]

KINDS: Final[tuple[Kind, ...]] = ("high-level", "low-level")

PAGE: Final = 15


def views(**options: Unpack[Options]) -> ScopedViews:
    options.setdefault("encoder", HashingEncoder())
    return ScopedViews(**options)


def high_level(*, whole: bool = False, **options: Unpack[Options]) -> MCPServer:
    """Make a server that derives everything from functions; a whole one has no views."""
    server = MCPServer("shop", middleware=[] if whole else [views(**options)])
    for function in functions():
        server.add_tool(function)
    for number in range(30):
        thing = f"{THINGS[number % len(THINGS)]}_{number}"
        server.resource(f"shop://about/{thing}")(reader(thing))
        server.prompt()(asker(number))
    return server


def low_level(
    *,
    whole: bool = False,
    own: Mapping[str, types.Tool] | None = None,
    page: int = PAGE,
    **options: Unpack[Options],
) -> Server[Any]:
    """Make a server that writes its lists itself, in pages. A caller from abroad is not listed orders."""
    tools = dict(own if own is not None else defined())

    async def list_tools(ctx: Any, params: Any) -> types.ListToolsResult:
        start = int(params.cursor) if params is not None and params.cursor is not None else 0
        mine = [tool for tool in tools.values() if not (_abroad(ctx) and tool.name.startswith("order_"))]
        end = start + page
        return types.ListToolsResult(
            tools=mine[start:end], next_cursor=str(end) if end < len(mine) else None, ttl_ms=30_000
        )

    async def call_tool(ctx: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        text = f"{params.name.replace('_', ' ')} {(params.arguments or {}).get('title')}"
        return types.CallToolResult(
            content=[types.TextContent(text=text)], structured_content={"result": text}
        )

    server: Server[Any] = Server("shop", on_list_tools=list_tools, on_call_tool=call_tool)
    if not whole:
        server.middleware.append(views(**options))
    return server


def defined() -> dict[str, types.Tool]:
    """Return the tools of the low-level server."""
    schema = {
        "type": "object",
        "properties": {"title": {"type": "string", "x-mcp-header": "Title"}},
        "required": ["title"],
    }
    return {
        function.__name__: types.Tool(
            name=function.__name__, description=function.__doc__, input_schema=schema
        )
        for function in functions()
    }


def made(kind: Kind, *, whole: bool = False) -> MCPServer | Server[Any]:
    return high_level(whole=whole) if kind == "high-level" else low_level(whole=whole)


def _abroad(ctx: Any) -> bool:
    return ctx.request is not None and ctx.request.headers.get("from") == "abroad"


async def serve(kind: Kind) -> None:
    """Serve one client over stdio."""
    server = made(kind)
    if isinstance(server, MCPServer):
        await server.run_stdio_async()
    else:
        async with stdio_server() as (read, write):
            await server.run(read, write, server.create_initialization_options())


if __name__ == "__main__":
    anyio.run(serve, next(kind for kind in KINDS if kind == sys.argv[1]))
