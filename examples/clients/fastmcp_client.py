"""FastMCP's client: a client for each unit of work, and a list that grows with it.

Run: python examples/clients/fastmcp_client.py http://127.0.0.1:8000/mcp
"""

import asyncio
import sys
import uuid

from fastmcp import Client
from mcp.client import advertise
from mcp.client.subscriptions import listen


def client_for(url: str, intent: str, *, growth: bool = False) -> Client:
    """Return a client that names a unit of work on every request, in settings of the extension."""
    context = {"contextId": str(uuid.uuid4()), "intent": intent, "growth": growth}
    return Client(url, extensions=[advertise("io.github.scopedtools/context", context)])


async def shown(client: Client) -> list[str]:
    """Return the names of the tools in the list."""
    return [tool.name for tool in await client.list_tools()]


async def work(url: str, intent: str) -> None:
    """List twice, and call a tool that is not listed."""
    async with client_for(url, intent) as client:
        names = await shown(client)
        counted = await client.call_tool("count_cash", {"coins": 3, "notes": 40})
        assert counted.structured_content == {"total": 43}
        assert "count_cash" not in names
        assert await shown(client) == names
        print(intent, *names)


async def grow(url: str, intent: str, search: str) -> None:
    """Hear that a search made the list longer."""
    async with client_for(url, intent, growth=True) as client:
        names = await shown(client)
        async with listen(client.session, tools_list_changed=True) as news:
            await client.call_tool("search_tools", {"query": search})
            await asyncio.wait_for(anext(aiter(news)), timeout=10)
        grown = await shown(client)
        assert grown[: len(names)] == names != grown
        print("Grew by:", *grown[len(names) :])


async def main(url: str) -> None:
    """Do two units of work at once, then one whose list grows."""
    await asyncio.gather(
        work(url, "Send invoices to customers and record their payments."),
        work(url, "Book a flight and a hotel for a trip."),
    )
    await grow(url, "Book a flight and a hotel for a trip.", search="send an invoice")
    print("fastmcp: all checks passed")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
