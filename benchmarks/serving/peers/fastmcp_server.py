"""Servers on FastMCP; run by a Python that has fastmcp and uvicorn.

Run: python fastmcp_server.py plain|bm25 TOOLS PORT

``bm25`` has the search transform with its own settings. Answers are plain JSON.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import uvicorn

# By name: the environment that this project is checked in does not have it.
fastmcp = import_module("fastmcp")
search = import_module("fastmcp.server.transforms.search")
tools = import_module("fastmcp.tools.base")


def build(kind: str, rows: list[dict[str, Any]]) -> Any:
    """Make an app."""
    server = fastmcp.FastMCP(kind)
    for row in rows:
        if row["name"] != "echo":
            one = {"name": row["name"], "description": row["description"], "parameters": row["inputSchema"]}
            server.add_tool(tools.Tool(**one))
    server.tool(echo)
    server.resource("note://today")(today)
    server.prompt(greet)
    if kind == "bm25":
        server.add_transform(search.BM25SearchTransform())
    return server.http_app(path="/mcp", json_response=True)


async def echo(text: str) -> str:
    """Return a text as it is."""
    return text


async def today() -> str:
    """Return what is on today."""
    return "Nothing is on today."


async def greet(name: str) -> str:
    """Greet somebody."""
    return f"Say hello to {name}."


if __name__ == "__main__":
    which, catalog, port = sys.argv[1:]
    described = [json.loads(line) for line in Path(catalog).read_text(encoding="utf-8").splitlines()]
    uvicorn.run(
        build(which, described), port=int(port), log_level="error", access_log=False, timeout_keep_alive=600
    )
