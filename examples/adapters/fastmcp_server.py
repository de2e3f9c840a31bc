"""A FastMCP server, with context views.

Run: python -m examples.adapters.fastmcp_server [--stdio]
"""

import sys

from fastmcp import FastMCP

from examples.adapters.functions import functions
from scopedtools.adapters.for_fastmcp import ScopedViews

mcp = FastMCP("workshop")
mcp.add_transform(ScopedViews())
for function in functions():
    mcp.tool(function)

if __name__ == "__main__":
    mcp.run("stdio" if "--stdio" in sys.argv else "http", show_banner=False)
