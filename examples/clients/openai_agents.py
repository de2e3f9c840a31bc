"""openai-agents: an agent whose list of tools follows what the running task works on.

Run: python examples/clients/openai_agents.py http://127.0.0.1:8000/mcp
"""

import asyncio
import sys
import uuid
from contextvars import ContextVar
from typing import Any

import httpx2
from agents import Agent, RunContextWrapper
from agents.mcp import MCPServerStreamableHttp

WORK: ContextVar[dict[str, str]] = ContextVar("WORK")
"""Headers that name what the running task works on."""


async def name_work(request: httpx2.Request) -> None:
    """Put the unit of work of the task that asks on its request."""
    request.headers.update(WORK.get({}))


def http_client(**options: Any) -> httpx2.AsyncClient:
    """Return what openai-agents sends requests with."""
    return httpx2.AsyncClient(event_hooks={"request": [name_work]}, **options)


async def work(agent: Agent, server: MCPServerStreamableHttp, intent: str) -> None:
    """Look at what a run of the agent would show its model, and call a tool that is not listed."""
    WORK.set({"Mcp-Client-Session-Id": str(uuid.uuid4()), "Mcp-Context-Intent": intent})
    names = [tool.name for tool in await agent.get_mcp_tools(RunContextWrapper(None))]
    counted = await server.call_tool("count_cash", {"coins": 3, "notes": 40})
    assert counted.structured_content == {"total": 43}
    assert "count_cash" not in names
    assert [tool.name for tool in await agent.get_mcp_tools(RunContextWrapper(None))] == names
    print(intent, *names)


async def main(url: str) -> None:
    """Do two units of work at once. For a server object each, put the headers into its parameters."""
    async with MCPServerStreamableHttp({"url": url, "httpx_client_factory": http_client}) as server:
        agent = Agent(name="Clerk", mcp_servers=[server])
        await asyncio.gather(
            work(agent, server, "Send invoices to customers and record their payments."),
            work(agent, server, "Book a flight and a hotel for a trip."),
        )
    print("openai-agents: all checks passed")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
