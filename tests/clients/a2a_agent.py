"""An A2A agent whose tools are an MCP server's, and a client that talks to it: python a2a_agent.py URL ID...

Sends one message in each context, all at once and then once more; an empty ID leaves the choice to the agent.
Prints as JSON, for each message, the context that was sent, that the agent answered in, that the MCP server
saw, and that its result repeated; or the error that the MCP server answered with.

It runs in an environment of its own, so everything of A2A is imported by name.
"""

from __future__ import annotations

import asyncio
import json
import sys
from importlib import import_module
from typing import Any, Final, cast

from mcp import Client, MCPError
from starlette.applications import Starlette

httpx = import_module("httpx")
a2a = import_module("a2a.types")
a2a_client = import_module("a2a.client")
execution = import_module("a2a.server.agent_execution")
handlers = import_module("a2a.server.request_handlers.default_request_handler_v2")
helpers = import_module("a2a.helpers.proto_helpers")
routes = import_module("a2a.server.routes")
tasks = import_module("a2a.server.tasks")

AGENT: Final = "http://agent.example/"


class Agent(execution.AgentExecutor):  # type: ignore[misc, name-defined]
    """Calls the tool ``where`` in the context of the message."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def execute(self, context: Any, event_queue: Any) -> None:
        said = json.dumps(await self._call(context.context_id))
        await event_queue.enqueue_event(
            helpers.new_text_message(said, context_id=context.context_id, role=a2a.Role.ROLE_AGENT)
        )

    async def cancel(self, context: Any, event_queue: Any) -> None:
        raise NotImplementedError

    async def _call(self, context_id: str) -> dict[str, Any]:
        async with Client(self._url) as server:
            try:
                result = await server.call_tool("where", {}, meta=cast("Any", {"contextId": context_id}))
            except MCPError as error:
                return {"error": [error.code, error.message]}
        seen, carrier = (result.structured_content or {})["result"]
        return {"seen": seen, "carrier": carrier, "repeated": (result.meta or {}).get("contextId")}


def card() -> Any:
    return a2a.AgentCard(
        name="agent",
        description="Asks an MCP server.",
        version="1",
        capabilities=a2a.AgentCapabilities(streaming=False),
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
        skills=[a2a.AgentSkill(id="where", name="where", description="Says where it is.", tags=["where"])],
        supported_interfaces=[
            a2a.AgentInterface(url=AGENT, protocol_binding="JSONRPC", protocol_version="1.0")
        ],
    )


async def tell(client: Any, context_id: str) -> dict[str, Any]:
    """Send one message; return what became of its context."""
    message = helpers.new_text_message("where?", context_id=context_id or None, role=a2a.Role.ROLE_USER)
    events = [event async for event in client.send_message(a2a.SendMessageRequest(message=message))]
    answer = events[-1].message
    return {
        "sent": context_id,
        "answered": answer.context_id,
        **json.loads(helpers.get_message_text(answer)),
    }


async def main(url: str, ids: list[str]) -> None:
    handler = handlers.DefaultRequestHandlerV2(Agent(url), tasks.InMemoryTaskStore(), card())
    app = Starlette(routes=routes.create_jsonrpc_routes(handler, "/"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), timeout=30) as http:
        settings = a2a_client.ClientConfig(streaming=False, httpx_client=http)
        client = a2a_client.ClientFactory(settings).create(card())
        told = [await asyncio.gather(*(tell(client, one) for one in ids)) for _ in range(2)]
    print(json.dumps([one for turn in told for one in turn]))  # noqa: T201 - the answer


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2:]))
