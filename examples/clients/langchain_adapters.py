"""langchain-mcp-adapters: tools for what the running task works on.

Run: python examples/clients/langchain_adapters.py http://127.0.0.1:8000/mcp
"""

import asyncio
import sys
import uuid
from contextvars import ContextVar
from typing import Any

import httpx
from langchain_mcp_adapters.client import MultiServerMCPClient

WORK: ContextVar[dict[str, str]] = ContextVar("WORK")
"""Headers that name what the running task works on."""


def http_client(headers: dict[str, str] | None = None, **options: Any) -> httpx.AsyncClient:
    """Return what sends the requests of a list or a call; each of them connects anew."""
    return httpx.AsyncClient(headers={**(headers or {}), **WORK.get({})}, follow_redirects=True, **options)


async def work(client: MultiServerMCPClient, intent: str) -> None:
    """List twice, and call a tool that is not listed."""
    WORK.set({"Mcp-Client-Session-Id": str(uuid.uuid4()), "Mcp-Context-Intent": intent})
    tools = {tool.name: tool for tool in await client.get_tools()}
    count = {"name": "count_cash", "arguments": {"coins": 3, "notes": 40}}
    (counted,) = await tools["call_tool"].ainvoke(count)
    assert counted["text"] == '{"total":43}'
    assert "count_cash" not in tools
    assert [tool.name for tool in await client.get_tools()] == list(tools)
    print(intent, *tools)


async def main(url: str) -> None:
    """Do two units of work at once. For a client each, write ``"headers"`` instead of the factory."""
    office = {"transport": "http", "url": url, "httpx_client_factory": http_client}
    client = MultiServerMCPClient({"office": office})
    await asyncio.gather(
        work(client, "Send invoices to customers and record their payments."),
        work(client, "Book a flight and a hotel for a trip."),
    )
    print("langchain-mcp-adapters: all checks passed")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
