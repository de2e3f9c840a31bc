"""Drives FastMCP's client 4.1.6.

It runs in an environment of its own, so everything of FastMCP is imported by name.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from tests.clients.driving import REQUEST_S, Params, Sight, Visit, all_pages, drive, wire

fastmcp = import_module("fastmcp")
transports = import_module("fastmcp.client.transports")
mcp = import_module("mcp")
mcp_client = import_module("mcp.client")
mcp_types = import_module("mcp_types")


async def pay(visit: Visit) -> Sight:
    answers = []
    extensions = [mcp_client.advertise(name, settings) for name, settings in visit["extensions"].items()]
    async with fastmcp.Client(
        transport(visit), mode=visit["mode"], extensions=extensions, timeout=REQUEST_S
    ) as client:
        for method, params in visit["steps"]:
            try:
                answers.append(await take(client, method, params))
            except mcp.MCPError as error:
                answers.append({"error": {"code": error.code, "message": error.message}})
        return {
            "protocolVersion": client.protocol_version,
            "serverInfo": wire(client.server_info),
            "instructions": client.instructions,
            "answers": answers,
            "heard": [],
        }


def transport(visit: Visit) -> Any:
    if visit["url"] is not None:
        return transports.StreamableHttpTransport(visit["url"], headers=visit["headers"])
    command, *arguments = visit["command"]
    return transports.StdioTransport(command, arguments, cwd=visit["cwd"], keep_alive=False)


async def take(client: Any, method: str, params: Params) -> Params:
    lists = {
        "tools/list": (client.list_tools_mcp, client.session.list_tools, "tools"),
        "resources/list": (client.list_resources_mcp, client.session.list_resources, "resources"),
        "resources/templates/list": (
            client.list_resource_templates_mcp,
            client.session.list_resource_templates,
            "resourceTemplates",
        ),
        "prompts/list": (client.list_prompts_mcp, client.session.list_prompts, "prompts"),
    }
    meta = params.get("_meta")
    if method in lists:
        list_page, list_page_with_params, rows_in = lists[method]
        if meta is None:
            return await all_pages(lambda cursor: list_page(cursor=cursor), rows_in)
        # Lists of FastMCP's own take no `_meta`; those of the session that it holds do.
        page_of = mcp_types.PaginatedRequestParams
        return await all_pages(
            lambda cursor: list_page_with_params(params=page_of(cursor=cursor, _meta=meta)), rows_in
        )
    if method == "tools/call":
        return wire(await client.call_tool_mcp(params["name"], params["arguments"], meta=meta))
    if method == "resources/read":
        return wire(await client.read_resource_mcp(params["uri"], meta=meta))
    return wire(await client.get_prompt_mcp(params["name"], params["arguments"], meta=meta))


if __name__ == "__main__":
    drive(pay)
