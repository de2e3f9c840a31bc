"""The context of a client travels on; credentials do not."""

from __future__ import annotations

from typing import Any

import pytest

from scopedtools import Context, ScopedServer, tool
from scopedtools.gateway import Gateway
from scopedtools.testing import Client
from scopedtools.types import Principal
from tests.gateway.fronted import WAYS, asking, configured, fronted, serving
from tests.hosting import hosted

pytestmark = pytest.mark.anyio

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def seen(client: Client, **params: Any) -> dict[str, Any]:
    result = await client.request("tools/call", name="up__seen", arguments={}, **params)
    said: dict[str, Any] = result["structuredContent"]
    return said


@pytest.mark.parametrize("way", WAYS)
async def test_the_name_of_the_context_and_the_trace_go_on(way: str) -> None:
    async with fronted(way) as (_, server), Client(server, context="trip-1") as client:
        said = await seen(client, meta={"traceparent": TRACE, "example.com/own": "x"})
        assert said["meta"]["clientSessionId"] == "trip-1"
        assert said["meta"]["traceparent"] == TRACE
        assert "example.com/own" not in said["meta"]
        if way.startswith("http"):
            assert said["headers"]["mcp-client-session-id"] == "trip-1"


async def test_the_carriers_have_the_names_that_are_configured() -> None:
    forward = {"context_header": "X-Conversation", "context_meta": "com.example/chat"}
    async with fronted("http", forward=forward) as (_, server), Client(server, context="trip-1") as client:
        said = await seen(client)
        assert said["headers"]["x-conversation"] == said["meta"]["com.example/chat"] == "trip-1"
        assert "clientSessionId" not in said["meta"]
        assert "mcp-client-session-id" not in said["headers"]


async def test_no_context_goes_on_where_that_is_configured() -> None:
    async with (
        fronted("http", forward={"context": "never"}) as (_, server),
        Client(server, context="trip-1") as client,
    ):
        assert "trip-1" not in str(await seen(client))


SECRETS = {"authorization": "Bearer s3cret", "cookie": "a=s3cret", "x-api-key": "s3cret", "x-tenant": "blue"}


async def test_headers_of_the_client_stay_here_unless_they_are_named() -> None:
    async with fronted("http") as (_, server), Client(server, headers=SECRETS) as client:
        said = str(await seen(client))
        assert "s3cret" not in said
        assert "blue" not in said
    async with (
        fronted("http", forward={"headers": ["x-tenant"]}) as (_, server),
        Client(server, headers=SECRETS) as client,
    ):
        said = str(await seen(client))
        assert "s3cret" not in said
        assert "blue" in said


async def test_headers_of_the_configuration_go_to_the_server() -> None:
    async with (
        fronted("http", headers={"Authorization": "Bearer own"}) as (_, server),
        Client(server, headers=SECRETS) as client,
    ):
        assert (await seen(client))["headers"]["authorization"] == "Bearer own"


async def test_an_upstream_that_knows_the_extension_gets_the_intent_too() -> None:
    class Scoped(ScopedServer):
        """Says what it is told."""

        @tool
        async def told(self, ctx: Context) -> dict[str, Any]:
            """Say what came."""
            return {"id": ctx.id, "intent": ctx.intent}

    async with hosted(Scoped()) as (host, port):
        config = configured({"up": {"url": f"http://{host}:{port}/mcp"}})
        async with (
            Gateway(config).running() as gateway,
            serving(gateway) as server,
            Client(server, context="trip-1", intent="book a flight") as client,
        ):
            said = (await client.call_tool("up__told"))["structuredContent"]
    assert (said["id"], said["intent"]) == ("trip-1", "book a flight")


class Tokens:
    async def verify(self, token: str) -> Principal | None:
        return Principal(token)


async def test_two_principals_with_one_id_are_two_contexts_upstream() -> None:
    async with fronted("http") as (gateway, _):
        server = ScopedServer(catalog=gateway.catalog, verifier=Tokens())
        clients = (Client(server, context="trip-1", token=name) for name in ("ann", "bob"))
        async with asking(*clients) as (ann, bob):
            names = {(await seen(one))["meta"]["clientSessionId"] for one in (ann, bob, ann)}
    assert len(names) == 2
    assert "trip-1" not in names


async def test_a_legacy_server_that_keeps_sessions_has_one_for_each_context() -> None:
    async with fronted("http-legacy") as (_, server):
        clients = (Client(server, context=name) for name in ("one", "two", "one"))
        async with asking(*clients) as all_clients:
            sessions = [(await seen(one))["headers"]["mcp-session-id"] for one in all_clients]
    assert sessions[0] == sessions[2] != sessions[1]


async def test_the_sessions_of_contexts_are_bounded() -> None:
    async with fronted("http-legacy", max_contexts=1) as (_, server):
        clients = (Client(server, context=name) for name in ("one", "two"))
        async with asking(*clients) as (one, two):
            first = (await seen(one))["headers"]["mcp-session-id"]
            await seen(two)
            assert (await seen(one))["headers"]["mcp-session-id"] != first


@pytest.mark.parametrize("per_context", [False, True])
async def test_a_process_is_shared_unless_each_context_is_to_have_its_own(*, per_context: bool) -> None:
    async with fronted("stdio", per_context=per_context) as (_, server):
        clients = (Client(server, context=name) for name in ("one", "two"))
        async with asking(*clients) as (one, two):
            processes = {(await seen(client))["pid"] for client in (one, two, one)}
    assert len(processes) == (2 if per_context else 1)
