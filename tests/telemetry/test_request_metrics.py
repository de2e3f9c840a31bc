"""What is measured, with labels of which there are few."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from opentelemetry.sdk.metrics.export import HistogramDataPoint, NumberDataPoint

from scopedtools import ScopedServer
from scopedtools.catalog.catalog import Catalog
from scopedtools.catalog.primitives import Tool
from scopedtools.protocol import meta
from scopedtools.retrieval import HybridSelector
from scopedtools.telemetry import Telemetry
from scopedtools.testing import Client, HashingEncoder, WireError
from tests.telemetry.seen import TOKENS, Seen, Shop

pytestmark = pytest.mark.anyio

DURATION = "mcp.server.operation.duration"
PAGES = "scopedtools.list.pages"


def labels(seen: Seen, metric: str = DURATION) -> list[Mapping[str, Any]]:
    return [dict(point.attributes or {}) for point in seen.points(metric)]


async def test_durations_are_measured_in_the_buckets_of_the_conventions() -> None:
    seen = Seen()
    async with Client(Shop(seen, verifier=TOKENS), context="chat-1234", token="a") as client:
        await client.call_tool("sell", item="tea")
        await client.call_tool("sell", item="milk")
    (point,) = seen.points(DURATION)
    assert isinstance(point, HistogramDataPoint)
    assert point.explicit_bounds == (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)
    assert point.count == 2
    assert 0 < point.sum < 60
    assert point.attributes == {
        "mcp.method.name": "tools/call",
        "gen_ai.tool.name": "sell",
        "gen_ai.operation.name": "execute_tool",
        "scopedtools.outcome": "ok",
    }


async def test_names_that_came_to_nothing_share_one_label() -> None:
    seen = Seen()
    async with Client(Shop(seen)) as client:
        for number in range(20):
            with pytest.raises(WireError):
                await client.call_tool(f"made-up-{number}")
            with pytest.raises(WireError):
                await client.request("prompts/get", name=f"made-up-{number}")
            with pytest.raises(WireError):
                await client.request("resources/read", uri=f"made-up://{number}")
    wrong = {"error.type": "-32602", "rpc.response.status_code": "-32602", "scopedtools.outcome": "error"}
    assert labels(seen) == [
        {
            "mcp.method.name": "tools/call",
            "gen_ai.tool.name": "_OTHER",
            "gen_ai.operation.name": "execute_tool",
            **wrong,
        },
        {"mcp.method.name": "prompts/get", "gen_ai.prompt.name": "_OTHER", **wrong},
        {"mcp.method.name": "resources/read", **wrong},
    ]


async def test_through_call_tool_only_the_outer_name_is_a_label() -> None:
    seen = Seen()
    async with Client(Shop(seen)) as client:
        for number in range(5):
            await client.call_tool("call_tool", name=f"made-up-{number}")
        await client.call_tool("call_tool", name="sell", arguments={"item": "tea"})
    assert {one["gen_ai.tool.name"] for one in labels(seen)} == {"call_tool"}
    assert [one.get("error.type") for one in labels(seen)] == ["tool_error", None]


async def test_no_context_and_no_principal_is_a_label() -> None:
    seen = Seen()
    shop = Shop(seen, verifier=TOKENS)
    async with shop:
        for number in range(10):
            async with Client(shop, context=f"chat-{number:04}", token="ab"[number % 2]) as client:
                await client.list_tools()
                await client.call_tool("sell", item=str(number))
    assert len(labels(seen)) == 2
    assert len(labels(seen, PAGES)) == 1


async def test_a_cancelled_call_is_told_apart_and_names_no_tool() -> None:
    seen = Seen()
    shop = Shop(seen)
    async with Client(shop) as client, asyncio.timeout(20):
        calling = asyncio.create_task(client.call_tool("order"))
        await shop.began.wait()
        calling.cancel()
        await asyncio.wait([calling])
    (one,) = labels(seen)
    assert (one["scopedtools.outcome"], one["gen_ai.tool.name"]) == ("cancelled", "_OTHER")
    assert "error.type" not in one


async def test_pages_of_lists_are_counted_by_how_much_they_show() -> None:
    seen = Seen()
    server = ScopedServer(
        catalog=Catalog(
            Tool(name=f"tool_{number}", description=f"Do {number}.", input_schema={"type": "object"})
            for number in range(40)
        ),
        selector=HybridSelector(HashingEncoder()),
        observers=[seen.telemetry],
    )
    async with server:
        async with Client(server) as whole:
            await whole.list_tools()
        async with Client(server, context="chat-1234", intent="do 7") as narrow:
            page = await narrow.request("tools/list")
            held = page["_meta"][meta.VIEW]["revision"]
            await narrow.request("tools/list", meta={meta.IF_REVISION: held})
    counted = {
        (point.attributes or {})["scopedtools.list.page"]: point.value
        for point in seen.points(PAGES)
        if isinstance(point, NumberDataPoint)
    }
    assert counted == {"full": 1, "narrowed": 1, "not_modified": 1}


async def test_two_servers_may_share_an_observer_or_providers() -> None:
    seen = Seen()
    other = Telemetry(tracer_provider=seen.tracer_provider, meter_provider=seen.meter_provider)
    for observer in (seen.telemetry, seen.telemetry, other):
        async with Client(Shop(observers=[observer])) as client:
            await client.call_tool("sell", item="tea")
    (point,) = seen.points(DURATION)
    assert isinstance(point, HistogramDataPoint)
    assert point.count == 3
