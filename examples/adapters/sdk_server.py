"""A server of the official SDK, with context views.

Run: python -m examples.adapters.sdk_server [--stdio]
"""

import sys

from mcp.server.mcpserver import MCPServer

from examples.adapters.functions import functions
from scopedtools.adapters.for_sdk import ScopedViews

server = MCPServer("workshop", log_level="WARNING", middleware=[ScopedViews()])
for function in functions():
    server.add_tool(function)

if __name__ == "__main__":
    server.run("stdio" if "--stdio" in sys.argv else "streamable-http")
