"""Hosts that read ``mcp.json``: what stands there names the context of all that the host does.

FastMCP's client stands in for the host.
Run: python examples/clients/static_hosts.py http://127.0.0.1:8000/mcp by-header by-url by-mcp-remote
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from fastmcp import Client


def entry(url: str, name: str) -> dict[str, Any]:
    """Return the configuration of a server, at a URL other than the one that is written there."""
    written = Path(__file__).with_name("static_hosts.json").read_text(encoding="utf-8")
    servers = json.loads(written.replace("http://127.0.0.1:8000/mcp", url))["mcpServers"]
    return {"mcpServers": {name: servers[name]}}


async def work(url: str, name: str) -> None:
    """List twice, and call a tool that is not listed."""
    async with Client(entry(url, name)) as client:
        names = [tool.name for tool in await client.list_tools()]
        counted = await client.call_tool("count_cash", {"coins": 3, "notes": 40})
        assert counted.structured_content == {"total": 43}
        assert "count_cash" not in names
        assert [tool.name for tool in await client.list_tools()] == names
        print(name, *names)


async def main(url: str, *names: str) -> None:
    """Use each of the servers as a host would."""
    await asyncio.gather(*(work(url, name) for name in names or ("by-header", "by-url")))
    print("static hosts: all checks passed")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
