"""FastMCP's BM25 search transform, asked over standard input and output; run by a Python that has fastmcp.

The first line in is ``{"tools": [{"name", "description", "parameters"}], "limit"}``. Every other is
``{"query"}``, which is answered with a line ``{"names", "cpu_ms", "wall_ms"}``: what the search tool of a
server returned to a client in this process, and what the call cost.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from typing import Any

# By name: the environment that this project is checked in does not have it.
fastmcp = import_module("fastmcp")
search = import_module("fastmcp.server.transforms.search")
tools = import_module("fastmcp.tools.base")


async def main(lines: Iterator[str]) -> None:
    """Answer every line until there is none."""
    catalog = json.loads(next(lines))
    async with fastmcp.Client(_server(catalog["tools"], catalog["limit"])) as client:
        # The transform makes its index at the first search, whatever that asks for.
        await client.call_tool("search_tools", {"query": "warm up"})
        for line in lines:
            print(json.dumps(await _answer(client, json.loads(line)["query"])), flush=True)


def _server(rows: list[dict[str, Any]], limit: int) -> Any:
    server = fastmcp.FastMCP("side by side")
    for row in rows:
        server.add_tool(tools.Tool(**row))
    server.add_transform(search.BM25SearchTransform(max_results=limit))
    return server


async def _answer(client: Any, query: str) -> dict[str, Any]:
    cpu, wall = time.process_time(), time.perf_counter()
    result = await client.call_tool("search_tools", {"query": query})
    cpu_ms, wall_ms = (time.process_time() - cpu) * 1e3, (time.perf_counter() - wall) * 1e3
    names = [row["name"] for row in result.structured_content["result"]]
    return {"names": names, "cpu_ms": cpu_ms, "wall_ms": wall_ms}


if __name__ == "__main__":
    asyncio.run(main(iter(sys.stdin.readline, "")))
