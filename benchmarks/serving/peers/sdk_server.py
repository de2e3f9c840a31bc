"""Servers on the official SDK, as it is fastest; run by a Python that has mcp and uvicorn.

Run: python sdk_server.py lowlevel|mcpserver TOOLS PORT

Tools are made once, the low-level server has the callback that spares it listing them at each call, and
answers are plain JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import mcp_types as types
import uvicorn
from mcp.server.lowlevel import Server
from mcp.server.mcpserver import MCPServer
from pydantic import Field


def lowlevel(rows: list[dict[str, Any]]) -> Any:
    """Make an app on the low-level server."""
    tools = types.ListToolsResult(tools=[types.Tool.model_validate(row) for row in rows])
    schemas = {row["name"]: row["inputSchema"] for row in rows}

    async def list_tools(_: Any, __: Any) -> types.ListToolsResult:
        return tools

    async def call_tool(_: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        text = (params.arguments or {})["text"]
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=text)], structured_content={"result": text}
        )

    async def read(_: Any, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        text = types.TextResourceContents(uri=params.uri, text="Nothing is on today.", mime_type="text/plain")
        return types.ReadResourceResult(contents=[text])

    async def get_prompt(_: Any, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        said = types.TextContent(type="text", text=f"Say hello to {(params.arguments or {})['name']}.")
        return types.GetPromptResult(messages=[types.PromptMessage(role="user", content=said)])

    server: Any = Server(
        "lowlevel",
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_read_resource=read,
        on_get_prompt=get_prompt,
        get_tool_input_schema=schemas.get,
    )
    return server.streamable_http_app(json_response=True)


async def described(
    value: Annotated[str, Field(description="The value to work on, as text in the usual notation.")],
    unit: Annotated[str, Field(description="Unit that the value is in and the result will be in.")],
    limit: Annotated[int, Field(description="Most results that are returned.")] = 10,
    exact: Annotated[bool, Field(description="Whether near matches are left out.")] = False,  # noqa: FBT002
) -> str:
    """Stand for every tool that is only listed."""
    return f"{value} {unit} {limit} {exact}"


def mcpserver(rows: list[dict[str, Any]]) -> Any:
    """Make an app on the high-level server."""
    server = MCPServer("mcpserver", log_level="ERROR")
    for row in rows:
        if row["name"] != "echo":
            server.add_tool(
                described, name=row["name"], description=row["description"], structured_output=False
            )

    @server.tool()
    async def echo(text: str) -> str:
        """Return a text as it is."""
        return text

    @server.resource("note://today")
    async def today() -> str:
        """Return what is on today."""
        return "Nothing is on today."

    @server.prompt()
    async def greet(name: str) -> str:
        """Greet somebody."""
        return f"Say hello to {name}."

    return server.streamable_http_app(json_response=True)


if __name__ == "__main__":
    kind, tools, port = sys.argv[1:]
    catalog = [json.loads(line) for line in Path(tools).read_text(encoding="utf-8").splitlines()]
    made = {"lowlevel": lowlevel, "mcpserver": mcpserver}[kind](catalog)
    uvicorn.run(made, port=int(port), log_level="error", access_log=False, timeout_keep_alive=600)
