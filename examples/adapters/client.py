"""Two units of work at one server get two lists, and each reaches the rest.

Run: python -m examples.adapters.client [PYTHON examples.adapters.fastmcp_server]

It starts a server, by default the one of the official SDK, over standard input and output. FastMCP may be
installed elsewhere: name the Python that has it, and this package, before the module.
"""

import asyncio
import sys

from mcp import StdioServerParameters

from scopedtools.client import UnitOfWork, connect


async def main(python: str = sys.executable, module: str = "examples.adapters.sdk_server") -> None:
    """Call the server in two contexts, and in none, and check what comes back."""
    server = StdioServerParameters(command=python, args=["-m", module, "--stdio"])
    async with connect(server) as client:
        everything = [tool.name for tool in (await client.list_tools()).tools]
        print(f"without a context: {len(everything)} tools")
        with UnitOfWork(intent="which subnets overlap, and what is their broadcast address").active():
            networks = [tool.name for tool in (await client.list_tools()).tools]
        print(f"subnets: {', '.join(networks)}")
        with UnitOfWork(intent="mix two colors and tell the contrast of both").active():
            colors = [tool.name for tool in (await client.list_tools()).tools]
            print(f"colors: {', '.join(colors)}")
            found = await client.call_tool("search_tools", {"query": "broadcast address of a subnet"})
            assert "broadcast_address" in [tool["name"] for tool in found.structured_content["tools"]]
            arguments = {"name": "broadcast_address", "arguments": {"network": "10.0.0.0/30"}}
            called = await client.call_tool("call_tool", arguments)

    assert len(everything) > 100
    assert networks[:2] == colors[:2] == ["search_tools", "call_tool"]
    assert len(networks) < 20 > len(colors)
    assert "broadcast_address" in networks
    assert "broadcast_address" not in colors
    assert "10.0.0.3" in str(called.structured_content)
    print("adapters: all checks passed")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
