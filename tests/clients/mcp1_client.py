"""Drives mcp 1.30.0.

It runs in an environment of its own, where ``mcp`` is another version than the one that is installed beside
scopedtools and that mypy sees; so everything of it is imported by name.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from importlib import import_module
from typing import Any

from tests.clients.driving import REQUEST_S, Params, Sight, Visit, all_pages, drive, wire

mcp = import_module("mcp")
mcp_http = import_module("mcp.client.streamable_http")
mcp_stdio = import_module("mcp.client.stdio")
mcp_types = import_module("mcp.types")
httpx = import_module("httpx")


async def pay(visit: Visit) -> Sight:
    answers = []
    async with (
        transport(visit) as (read, write),
        mcp.ClientSession(read, write, read_timeout_seconds=timedelta(seconds=REQUEST_S)) as session,
    ):
        opening = wire(await session.initialize())
        for method, params in visit["steps"]:
            try:
                answers.append(await take(session, method, params))
            except mcp.McpError as error:
                answers.append({"error": {"code": error.error.code, "message": error.error.message}})
    return {
        "protocolVersion": opening["protocolVersion"],
        "serverInfo": opening["serverInfo"],
        "instructions": opening.get("instructions"),
        "answers": answers,
        "heard": [],
    }


@asynccontextmanager
async def transport(visit: Visit) -> AsyncIterator[tuple[Any, Any]]:
    if visit["url"] is not None:
        async with (
            httpx.AsyncClient(headers=visit["headers"], timeout=REQUEST_S) as http,
            mcp_http.streamable_http_client(visit["url"], http_client=http) as (read, write, _),
        ):
            yield read, write
    else:
        command, *arguments = visit["command"]
        server = mcp.StdioServerParameters(command=command, args=arguments, cwd=visit["cwd"])
        async with mcp_stdio.stdio_client(server) as (read, write):
            yield read, write


async def take(session: Any, method: str, params: Params) -> Params:
    lists = {
        "tools/list": (session.list_tools, "tools"),
        "resources/list": (session.list_resources, "resources"),
        "resources/templates/list": (session.list_resource_templates, "resourceTemplates"),
        "prompts/list": (session.list_prompts, "prompts"),
    }
    meta = params.get("_meta")
    if method in lists:
        list_page, rows_in = lists[method]
        page_of = mcp_types.PaginatedRequestParams
        return await all_pages(lambda cursor: list_page(params=page_of(cursor=cursor, _meta=meta)), rows_in)
    if method == "tools/call":
        return wire(await session.call_tool(params["name"], params["arguments"], meta=meta))
    if method == "resources/read":
        return wire(await session.read_resource(params["uri"]))
    return wire(await session.get_prompt(params["name"], params["arguments"]))


if __name__ == "__main__":
    drive(pay)
