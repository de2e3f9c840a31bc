"""Drives mcp 2.3.0."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import mcp_types as types
from mcp import Client, MCPError, StdioServerParameters
from mcp.client import ClientRequestContext, advertise
from mcp.client.session import IncomingMessage
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

from tests.clients.driving import (
    AWAIT_CHANGE,
    CALL_IN_VAIN,
    REQUEST_S,
    Params,
    Sight,
    Step,
    Visit,
    all_pages,
    cancelled_at_progress,
    drive,
    wire,
)


class Ears:
    """Hears what the server says on its own, and answers what it asks."""

    def __init__(self, replies: dict[str, list[Params]]) -> None:
        self.heard: list[Step] = []
        self.changed: asyncio.Queue[None] = asyncio.Queue()
        self._replies = replies

    async def progress(self, progress: float, total: float | None, message: str | None) -> None:
        self.heard.append(
            ("notifications/progress", {"progress": progress, "total": total, "message": message})
        )

    async def log(self, params: types.LoggingMessageNotificationParams) -> None:
        self.heard.append(("notifications/message", wire(params)))

    async def message(self, message: IncomingMessage) -> None:
        if isinstance(message, types.ToolListChangedNotification):
            self.change()

    def change(self) -> None:
        self.heard.append(("notifications/tools/list_changed", {}))
        self.changed.put_nowait(None)

    async def elicit(
        self, context: ClientRequestContext, params: types.ElicitRequestParams
    ) -> types.ElicitResult:
        return types.ElicitResult.model_validate(self._reply("elicitation/create", params))

    async def sample(
        self, context: ClientRequestContext, params: types.CreateMessageRequestParams
    ) -> types.CreateMessageResult:
        return types.CreateMessageResult.model_validate(self._reply("sampling/createMessage", params))

    def _reply(self, method: str, params: Any) -> Params:
        self.heard.append((method, wire(params)))
        return self._replies[method].pop(0)


async def pay(visit: Visit) -> Sight:
    ears = Ears(visit["replies"])
    modern = visit["mode"] == "auto"
    async with (
        transport(visit) as streams,
        Client(
            streams,
            mode=visit["mode"],
            extensions=[advertise(name, settings) for name, settings in visit["extensions"].items()],
            read_timeout_seconds=REQUEST_S,
            elicitation_callback=ears.elicit if "elicitation/create" in visit["replies"] else None,
            sampling_callback=ears.sample if "sampling/createMessage" in visit["replies"] else None,
            logging_callback=ears.log,
            log_level=visit["log_level"] if modern else None,
            message_handler=None if modern else ears.message,
        ) as client,
        listening(client, ears, opens=visit["listens"] and modern),
    ):
        if visit["log_level"] is not None and not modern:
            await client.set_logging_level(visit["log_level"])
        answers = [await answer(client, method, params, ears) for method, params in visit["steps"]]
        return {
            "protocolVersion": client.protocol_version,
            "serverInfo": wire(client.server_info),
            "instructions": client.instructions,
            "answers": answers,
            "heard": ears.heard,
        }


@asynccontextmanager
async def transport(visit: Visit) -> AsyncIterator[Any]:
    if visit["url"] is not None:
        async with httpx2.AsyncClient(headers=visit["headers"], timeout=REQUEST_S) as http:
            yield streamable_http_client(visit["url"], http_client=http)
    else:
        command, *arguments = visit["command"]
        yield stdio_client(StdioServerParameters(command=command, args=arguments, cwd=visit["cwd"]))


@asynccontextmanager
async def listening(client: Client, ears: Ears, *, opens: bool) -> AsyncIterator[None]:
    if not opens:
        yield
        return
    async with client.listen(tools_list_changed=True) as news:

        async def follow() -> None:
            async for _ in news:
                ears.change()

        following = asyncio.create_task(follow())
        try:
            yield
        finally:
            following.cancel()
            await asyncio.wait([following])


async def answer(client: Client, method: str, params: Params, ears: Ears) -> Params:
    try:
        return await take(client, method, params, ears)
    except MCPError as error:
        return {"error": {"code": error.code, "message": error.message}}


async def take(client: Client, method: str, params: Params, ears: Ears) -> Params:
    lists: dict[str, tuple[Callable[..., Awaitable[Any]], str]] = {
        "tools/list": (client.list_tools, "tools"),
        "resources/list": (client.list_resources, "resources"),
        "resources/templates/list": (client.list_resource_templates, "resourceTemplates"),
        "prompts/list": (client.list_prompts, "prompts"),
    }
    meta = params.get("_meta")
    if method in lists:
        list_page, rows_in = lists[method]
        return await all_pages(lambda cursor: list_page(cursor=cursor, meta=meta), rows_in)
    if method == AWAIT_CHANGE:
        await asyncio.wait_for(ears.changed.get(), REQUEST_S)
        return {}
    if method == CALL_IN_VAIN:
        return await cancelled_at_progress(
            lambda progress: client.call_tool(
                params["name"], params["arguments"], progress_callback=progress, meta=meta
            )
        )
    if method == "tools/call":
        return wire(
            await client.call_tool(
                params["name"], params["arguments"], progress_callback=ears.progress, meta=meta
            )
        )
    if method == "resources/read":
        return wire(await client.read_resource(params["uri"], meta=meta))
    return wire(await client.get_prompt(params["name"], params["arguments"], meta=meta))


if __name__ == "__main__":
    drive(pay)
