"""Sessions that contexts have upstream: they end, and calls wait in them."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import pytest
from mcp import Client as OfficialClient
from mcp_types import ElicitResult

from scopedtools.testing import Client
from tests.gateway.fronted import fronted, text, until
from tests.gateway.test_faults import alive
from tests.hosting import hosted

pytestmark = pytest.mark.anyio

ASKS: dict[str, Any] = {"elicitation": {}}


async def process_of(client: Client) -> int:
    return int((await client.call_tool("up__seen"))["structuredContent"]["pid"])


async def test_a_context_whose_session_ended_gets_another() -> None:
    async with fronted("stdio", per_context=True) as (gateway, server), Client(server, context="a") as client:
        first = await process_of(client)
        os.kill(first, signal.SIGKILL)
        held = gateway._upstreams["up"]._sessions._held
        await until(
            lambda: not alive(first) and all(one.made.result().closed.is_set() for one in held.values())
        )
        second = await process_of(client)
        assert second != first
        assert await process_of(client) == second
        assert len(held) == 1


async def test_a_call_that_waits_for_an_answer_does_not_hold_up_the_stop() -> None:
    async with asyncio.timeout(20):
        async with (
            fronted("http-legacy") as (_, server),
            Client(server, context="a", capabilities=ASKS) as one,
        ):
            assert (await one.call_tool("up__wipe"))["resultType"] == "input_required"


async def test_a_call_that_waits_for_an_answer_is_not_taken_over_by_another_client() -> None:
    asked: list[str] = []

    async def decline(context: Any, params: Any) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action="accept", content={"confirm": False})

    async with (
        fronted("http-legacy") as (_, server),
        Client(server, capabilities=ASKS) as first,
        hosted(server) as (host, port),
        OfficialClient(f"http://{host}:{port}/mcp", mode="legacy", elicitation_callback=decline) as second,
    ):
        waits = await first.call_tool("up__wipe")
        other = await second.call_tool("up__wipe")
        assert other.content[0].text == "accept False"  # type: ignore[union-attr]
        result = await first.request(
            "tools/call",
            name="up__wipe",
            arguments={},
            requestState=waits["requestState"],
            inputResponses={
                key: {"action": "accept", "content": {"confirm": True}} for key in waits["inputRequests"]
            },
        )
        assert text(result) == "accept True"
    assert asked == ["Really?"]


async def test_names_of_headers_that_go_on_may_be_written_in_any_case() -> None:
    async with (
        fronted("http", forward={"headers": ["X-Tenant"]}) as (_, server),
        Client(server, headers={"x-tenant": "blue"}) as client,
    ):
        assert (await client.call_tool("up__seen"))["structuredContent"]["headers"]["x-tenant"] == "blue"
