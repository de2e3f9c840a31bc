"""Clients hear of resources of upstreams that change: those who listen, and nobody else."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest
from mcp import Client as OfficialClient
from mcp import MCPError
from mcp.server.lowlevel import Server
from mcp_types import EmptyResult, ListResourcesResult, Resource, ResourceUpdatedNotification

from scopedtools import ScopedServer
from scopedtools.gateway import Gateway
from tests.gateway import watched_server
from tests.gateway.fronted import WAYS, configured, serving, until
from tests.hosting import hosted

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning"),
]

Mode = Literal["legacy", "auto"]


@asynccontextmanager
async def upstream(way: str) -> AsyncIterator[dict[str, Any]]:
    protocol = {"protocol": "legacy"} if way.endswith("legacy") else {}
    if way.startswith("stdio"):
        yield {"command": sys.executable, "args": [str(Path(watched_server.__file__))]} | protocol
        return
    async with hosted(watched_server.Watched(sessions=way.endswith("legacy"))) as (host, port):
        yield {"url": f"http://{host}:{port}/mcp"} | protocol


@asynccontextmanager
async def front(servers: dict[str, Any]) -> AsyncIterator[tuple[Gateway, str]]:
    async with (
        Gateway(configured(servers)).running() as gateway,
        serving(gateway) as server,
        hosted(server) as (host, port),
    ):
        yield gateway, f"http://{host}:{port}/mcp"


class Listening(NamedTuple):
    """A client that listens to a resource.

    Attributes:
        client: Itself.
        told: The URIs that it was told of.
        stack: Ends it.
    """

    client: OfficialClient
    told: list[str]
    stack: AsyncExitStack


@asynccontextmanager
async def listening(url: str, mode: Mode, uri: str) -> AsyncIterator[Listening]:
    told: list[str] = []

    async def hear(message: Any) -> None:  # in both eras
        if isinstance(message, ResourceUpdatedNotification):
            told.append(str(message.params.uri))

    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(OfficialClient(url, mode=mode, message_handler=hear))
        if mode == "legacy":
            await client.subscribe_resource(uri)
        else:
            stream = await stack.enter_async_context(client.listen(resource_subscriptions=[uri]))
            assert stream.honored.resource_subscriptions == [uri]
        yield Listening(client, told, stack)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_a_change_upstream_reaches_those_who_listen_to_it(way: str, mode: Mode) -> None:
    async with (
        upstream(way) as one,
        front({"up": one}) as (_, url),
        listening(url, mode, "note://today") as first,
        listening(url, mode, "note://days/monday") as second,
    ):
        for uri in ("note://today", "note://days/monday", "note://days/tuesday"):
            await first.client.call_tool("up__touch", {"uri": uri})
        await until(lambda: bool(first.told and second.told))
        assert (set(first.told), set(second.told)) == ({"note://today"}, {"note://days/monday"})


async def test_a_resource_that_is_called_otherwise_here_is_told_under_that_name() -> None:
    async with (
        upstream("http") as one,
        upstream("http-legacy") as two,
        front({"a": one, "b": two}) as (_, url),
    ):
        renamed = "x-b+note://today"
        async with listening(url, "auto", "note://today") as a, listening(url, "auto", renamed) as b:
            await a.client.call_tool("b__touch", {"uri": "note://today"})
            await until(lambda: b.told == [renamed])
            assert a.told == []
            await a.client.call_tool("a__touch", {"uri": "note://today"})
            await until(lambda: a.told == ["note://today"])
            assert b.told == [renamed]


@pytest.mark.parametrize("way", ["stdio", "stdio-legacy"])
async def test_a_server_that_was_away_has_those_who_listen_look_again(way: str) -> None:
    async with (
        upstream(way) as one,
        front({"up": one}) as (gateway, url),
        listening(url, "auto", "note://today") as listener,
    ):
        connection = gateway._upstreams["up"]._connection
        assert connection is not None
        connection.closed.set()
        await until(lambda: listener.told == ["note://today"])
        await listener.client.call_tool("up__touch", {"uri": "note://today"})
        await until(lambda: len(listener.told) == 2)


class Recorded:
    """A server on the official SDK that says which resources its client subscribes to."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

        async def listed(_ctx: Any, _params: Any) -> ListResourcesResult:
            rows = [Resource(uri=f"note://{name}", name=name) for name in ("one", "two", "three")]
            return ListResourcesResult(resources=rows)

        async def subscribe(_ctx: Any, params: Any) -> EmptyResult:
            self.asked.append(("+", str(params.uri)))
            return EmptyResult()

        async def unsubscribe(_ctx: Any, params: Any) -> EmptyResult:
            self.asked.append(("-", str(params.uri)))
            return EmptyResult()

        self.app = Server(
            "recorded",
            on_list_resources=listed,
            on_subscribe_resource=subscribe,
            on_unsubscribe_resource=unsubscribe,
        ).streamable_http_app()


async def test_the_server_is_asked_once_while_anybody_listens_and_told_when_nobody_does() -> None:
    recorded = Recorded()
    async with hosted(recorded.app) as (host, port):
        config = {"url": f"http://{host}:{port}/mcp", "protocol": "legacy"}
        async with front({"up": config}) as (_, url):
            async with listening(url, "legacy", "note://one") as old, listening(url, "auto", "note://one"):
                async with listening(url, "auto", "note://two"):
                    assert recorded.asked == [("+", "note://one"), ("+", "note://two")]
                await until(lambda: recorded.asked[2:] == [("-", "note://two")])
                await old.client.unsubscribe_resource("note://one")
                assert len(recorded.asked) == 3  # the other one still listens
            await until(lambda: recorded.asked[3:] == [("-", "note://one")])


async def test_a_session_that_ends_ends_its_subscriptions() -> None:
    recorded = Recorded()
    async with hosted(recorded.app) as (host, port):
        config = {"url": f"http://{host}:{port}/mcp", "protocol": "legacy"}
        async with front({"up": config}) as (_, url):
            async with listening(url, "legacy", "note://one"):
                pass
            await until(lambda: recorded.asked == [("+", "note://one"), ("-", "note://one")])


async def test_there_is_an_end_to_what_is_subscribed_upstream() -> None:
    recorded = Recorded()
    async with hosted(recorded.app) as (host, port):
        limits = {"max_subscriptions": 1}
        config = {"url": f"http://{host}:{port}/mcp", "protocol": "legacy", "limits": limits}
        async with front({"up": config}) as (_, url), listening(url, "legacy", "note://one") as listener:
            with pytest.raises(MCPError, match="'up' has 1 subscriptions already"):
                await listener.client.subscribe_resource("note://two")
            async with OfficialClient(url) as client:
                wanted = ["note://one", "note://two"]
                async with client.listen(resource_subscriptions=wanted) as stream:
                    assert stream.honored.resource_subscriptions == ["note://one"]


async def test_a_server_that_does_not_answer_holds_nobody_up_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("scopedtools.gateway.interest._WAIT_S", 0.2)
    never = asyncio.Event()

    async def listed(_ctx: Any, _params: Any) -> ListResourcesResult:
        return ListResourcesResult(resources=[Resource(uri="note://one", name="one")])

    async def subscribe(_ctx: Any, _params: Any) -> EmptyResult:
        await never.wait()
        return EmptyResult()

    slow = Server("slow", on_list_resources=listed, on_subscribe_resource=subscribe)
    async with hosted(slow.streamable_http_app()) as (host, port):
        config = {"url": f"http://{host}:{port}/mcp", "protocol": "legacy"}
        async with front({"up": config}) as (_, url), listening(url, "auto", "note://one") as listener:
            assert listener.told == []
            never.set()  # it may have changed while nobody told us
            await until(lambda: listener.told == ["note://one"])


async def test_own_resources_are_told_as_before() -> None:
    server: ScopedServer = watched_server.Watched()
    async with (
        hosted(server) as (host, port),
        listening(f"http://{host}:{port}/mcp", "auto", "note://today") as listener,
    ):
        await server.resource_updated("note://today")
        await until(lambda: listener.told == ["note://today"])
