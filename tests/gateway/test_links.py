"""What results of upstreams link to can be read by those who got the link, from the server that gave it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from mcp.server.lowlevel import Server
from mcp_types import (
    CallToolResult,
    EmbeddedResource,
    ListResourcesResult,
    ListToolsResult,
    ReadResourceResult,
    Resource,
    ResourceLink,
    TextResourceContents,
    Tool,
)

from scopedtools import Context, ScopedServer
from scopedtools.catalog.view import View
from scopedtools.gateway import Gateway
from scopedtools.handlers.links import Links
from scopedtools.testing import Client, WireError
from tests.gateway.fronted import asking, configured
from tests.hosting import hosted

pytestmark = pytest.mark.anyio


def linking(name: str, *listed: str) -> Any:
    """Make a server with some resources, a tool that links to what it is told, and all there is to read."""

    async def tools(_ctx: Any, _params: Any) -> ListToolsResult:
        return ListToolsResult(tools=[Tool(name="find", input_schema={"type": "object"})])

    async def resources(_ctx: Any, _params: Any) -> ListResourcesResult:
        return ListResourcesResult(resources=[Resource(uri=uri, name=uri[7:]) for uri in listed])

    async def find(_ctx: Any, params: Any) -> CallToolResult:
        uri = params.arguments["uri"]
        held = TextResourceContents(uri=uri, text="held")
        return CallToolResult(
            content=[ResourceLink(uri=uri, name="it"), EmbeddedResource(resource=held, type="resource")]
        )

    async def read(_ctx: Any, params: Any) -> ReadResourceResult:
        text = f"{params.uri} of {name}"
        return ReadResourceResult(contents=[TextResourceContents(uri=params.uri, text=text)])

    server = Server(
        name, on_list_tools=tools, on_list_resources=resources, on_call_tool=find, on_read_resource=read
    )
    return server.streamable_http_app()


class Front(ScopedServer):
    """Lets nobody but those who say so use the server ``b``."""

    closed = False

    async def permitted(self, ctx: Context, rows: View) -> View:
        return rows.tagged("a") if self.closed else rows


@asynccontextmanager
async def front(**options: Any) -> AsyncIterator[Front]:
    async with AsyncExitStack() as stack:
        servers = {}
        for name, listed in (("a", ["note://x", "note://a"]), ("b", ["note://x", "note://secret"])):
            host, port = await stack.enter_async_context(hosted(linking(name, *listed)))
            servers[name] = {"url": f"http://{host}:{port}/mcp"} | options.get(name, {})
        gateway = await stack.enter_async_context(Gateway(configured(servers)).running())
        server = Front(catalog=gateway.catalog)
        await stack.enter_async_context(server)
        yield server


async def found(client: Client, server: str, uri: str) -> str:
    link, embedded = (await client.call_tool(f"{server}__find", uri=uri))["content"]
    assert link["uri"] == embedded["resource"]["uri"]
    return str(link["uri"])


async def read(client: Client, uri: str) -> tuple[str, str]:
    (contents,) = (await client.request("resources/read", uri=uri))["contents"]
    return contents["uri"], contents["text"]


async def refused(client: Client, uri: str) -> None:
    with pytest.raises(WireError, match="Resource not found"):
        await client.request("resources/read", uri=uri)


async def test_a_link_is_read_by_the_context_that_got_it_from_the_server_that_gave_it() -> None:
    async with front() as server:
        clients = (Client(server, context=name) for name in ("one", "two"))
        async with asking(*clients) as (one, two):
            await refused(one, "note://new")
            assert await found(one, "b", "note://new") == "note://new"
            assert await read(one, "note://new") == ("note://new", "note://new of b")
            await refused(two, "note://new")


async def test_a_link_to_a_resource_has_the_uri_that_the_resource_has_here() -> None:
    async with front() as server, Client(server, context="one") as client:
        assert await found(client, "b", "note://x") == "x-b+note://x"
        assert await read(client, "x-b+note://x") == ("x-b+note://x", "note://x of b")
        assert await found(client, "a", "note://x") == "note://x"
        assert await read(client, "note://x") == ("note://x", "note://x of a")


async def test_a_link_to_what_another_server_has_does_not_lead_there() -> None:
    async with front() as server, Client(server, context="one") as client:
        uri = await found(client, "b", "note://a")
        assert uri == "x-b+note://a"
        assert (await read(client, uri))[1] == "note://a of b"


async def test_a_link_that_two_servers_gave_is_nobodys() -> None:
    async with front() as server, Client(server, context="one") as client:
        assert await found(client, "a", "note://new") == await found(client, "b", "note://new")
        await refused(client, "note://new")


async def test_a_link_opens_nothing_that_is_held_back() -> None:
    async with front(b={"deny": ["secret"]}) as server, Client(server, context="one") as client:
        await refused(client, await found(client, "b", "note://secret"))
    async with front() as server, Client(server, context="one") as client:
        assert await found(client, "b", "note://new") == "note://new"
        server.closed = True
        await refused(client, "note://new")


async def test_what_is_remembered_has_an_end() -> None:
    memory = Links(max_contexts=2, max_links=2)
    contexts: list[Any] = [type("Context", (), {"key": name.encode()})() for name in "abc"]
    for ctx in contexts:
        for number in range(3):
            memory.remember(ctx, "tool", [{"type": "resource_link", "uri": f"note://{number}"}])
    held = [[bool(memory.givers(ctx, f"note://{number}")) for number in range(3)] for ctx in contexts]
    assert held == [[False] * 3, [False, True, True], [False, True, True]]
