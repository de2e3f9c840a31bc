"""Context views for servers that are written with another framework; each has a module of its own.

`scopedtools.adapters.for_sdk` for the official SDK, `scopedtools.adapters.for_fastmcp` for FastMCP. The
server stays as it is: its tools, its transports, its authorization.
"""
