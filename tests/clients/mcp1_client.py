"""Drives mcp 1.30.0: reads a visit as JSON from standard input, prints what the client saw.

It runs in an environment of its own, where ``mcp`` is another version than the one that is installed beside
scopedtools and that mypy sees; so everything of it is imported by name.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from importlib import import_module
from typing import Any

mcp = import_module("mcp")
mcp_http = import_module("mcp.client.streamable_http")
mcp_stdio = import_module("mcp.client.stdio")
mcp_types = import_module("mcp.types")
httpx = import_module("httpx")

TIMEOUT_S = 20

Params = dict[str, Any]


@asynccontextmanager
async def streams(visit: dict[str, Any]) -> AsyncIterator[tuple[Any, Any]]:
    if visit["url"] is not None:
        async with (
            httpx.AsyncClient(headers=visit["headers"], timeout=TIMEOUT_S) as http,
            mcp_http.streamable_http_client(visit["url"], http_client=http) as (read, write, _),
        ):
            yield read, write
    else:
        command, *arguments = visit["command"]
        server = mcp.StdioServerParameters(command=command, args=arguments, cwd=visit["cwd"])
        async with mcp_stdio.stdio_client(server) as (read, write):
            yield read, write


async def pages(list_page: Callable[..., Awaitable[Any]], field: str, params: Params) -> dict[str, Any]:
    rows: list[Any] = []
    cursor = None
    while True:
        page = dump(
            await list_page(params=mcp_types.PaginatedRequestParams(cursor=cursor, _meta=params.get("_meta")))
        )
        rows += page[field]
        cursor = page.get("nextCursor")
        if cursor is None:
            return page | {field: rows}


async def answer(session: Any, method: str, params: Params) -> dict[str, Any]:
    lists = {
        "tools/list": (session.list_tools, "tools"),
        "resources/list": (session.list_resources, "resources"),
        "resources/templates/list": (session.list_resource_templates, "resourceTemplates"),
        "prompts/list": (session.list_prompts, "prompts"),
    }
    if method in lists:
        return await pages(*lists[method], params)
    if method == "tools/call":
        return dump(await session.call_tool(params["name"], params["arguments"], meta=params.get("_meta")))
    if method == "resources/read":
        return dump(await session.read_resource(params["uri"]))
    return dump(await session.get_prompt(params["name"], params["arguments"]))


def dump(result: Any) -> dict[str, Any]:
    wire: dict[str, Any] = result.model_dump(mode="json", by_alias=True, exclude_none=True)
    return wire


async def main() -> None:
    visit = json.load(sys.stdin)
    answers = []
    async with (
        streams(visit) as (read, write),
        mcp.ClientSession(read, write, read_timeout_seconds=timedelta(seconds=TIMEOUT_S)) as session,
    ):
        opening = dump(await session.initialize())
        for method, params in visit["steps"]:
            try:
                answers.append(await answer(session, method, params))
            except mcp.McpError as error:
                answers.append({"error": {"code": error.error.code, "message": error.error.message}})
    seen = {
        "protocolVersion": opening["protocolVersion"],
        "serverInfo": opening["serverInfo"],
        "instructions": opening.get("instructions"),
        "answers": answers,
    }
    sys.stdout.write(json.dumps(seen))


if __name__ == "__main__":
    asyncio.run(main())
