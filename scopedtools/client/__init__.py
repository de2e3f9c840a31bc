"""For MCP clients: name the unit of work on every request, and keep what servers answer by it.

The shortest way, with the official client (extra ``client``)::

    from scopedtools.client import UnitOfWork, connect

    unit = UnitOfWork(intent="compare two invoices and pay the right one")
    async with connect("http://127.0.0.1:8000/mcp", unit) as client:  # an mcp.Client
        tools = await client.list_tools()

Clients of other make take a `UnitOfWork` apart into what they can send: ``headers()``, ``meta()``,
``extensions()``, or ``url(base)``.
"""

from __future__ import annotations

from scopedtools.client.cache import ContextCache
from scopedtools.client.connection import connect, in_context
from scopedtools.client.unit import UnitOfWork, add_context

__all__ = ["ContextCache", "UnitOfWork", "add_context", "connect", "in_context"]
