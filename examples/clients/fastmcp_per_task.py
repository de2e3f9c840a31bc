"""FastMCP's client, one for all tasks: each task names a unit of work of its own, whose list grows with it.

Run: python examples/clients/fastmcp_per_task.py http://127.0.0.1:8000/mcp
"""

import asyncio
import sys
import uuid
from contextvars import ContextVar
from typing import Any

import httpx2
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from mcp.client import advertise
from mcp.client.subscriptions import listen

WORK: ContextVar[dict[str, str]] = ContextVar("WORK")
"""Headers that name what the running task works on."""


async def name_work(request: httpx2.Request) -> None:
    """Put the unit of work of the task that asks on its request."""
    request.headers.update(WORK.get({}))


def http_client(**options: Any) -> httpx2.AsyncClient:
    """Return what FastMCP sends requests with."""
    return httpx2.AsyncClient(event_hooks={"request": [name_work]}, **options)


async def work(client: Client, intent: str, search: str) -> None:
    """List twice, call a tool that is not listed, and hear that a search made the list longer."""
    WORK.set({"Mcp-Client-Session-Id": str(uuid.uuid4()), "Mcp-Context-Intent": intent})
    names = [tool.name for tool in await client.list_tools()]
    counted = await client.call_tool("count_cash", {"coins": 3, "notes": 40})
    assert counted.structured_content == {"total": 43}
    assert "count_cash" not in names
    assert [tool.name for tool in await client.list_tools()] == names
    print(intent, *names)

    async with listen(client.session, tools_list_changed=True) as news:
        await client.call_tool("search_tools", {"query": search})
        await asyncio.wait_for(anext(aiter(news)), timeout=10)
    grown = [tool.name for tool in await client.list_tools()]
    assert grown[: len(names)] == names != grown
    print("Grew by:", *grown[len(names) :])


async def main(url: str) -> None:
    """Do two units of work at once."""
    transport = StreamableHttpTransport(url, httpx_client_factory=http_client)
    # What the client declares goes for all tasks, so it holds no ID.
    growth = advertise("io.github.scopedtools/context", {"growth": True})
    async with Client(transport, extensions=[growth]) as client:
        await asyncio.gather(
            work(client, "Send invoices to customers and record their payments.", "book a flight"),
            work(client, "Book a flight and a hotel for a trip.", "send an invoice"),
        )
    print("fastmcp, one client: all checks passed")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
