"""Servers of the official SDK show each context what it needs, over their own transports."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Literal

import mcp
import pytest
from mcp.client import Transport
from mcp.client.stdio import StdioServerParameters

from scopedtools.client import UnitOfWork, connect
from tests.adapters.sdk_host import KINDS, Kind, high_level, low_level, made
from tests.adapters.served import served
from tests.adapters.stock import FLIGHTS, INVOICES, TOOLS

pytestmark = pytest.mark.anyio

ROOT: Final = Path(__file__).parent.parent.parent

Way = Literal["http", "stdio"]
Target = str | StdioServerParameters | Transport


@asynccontextmanager
async def reached(kind: Kind, way: Way) -> AsyncIterator[str | StdioServerParameters]:
    """Start a server, or say how a client starts it."""
    if way == "http":
        async with served(made(kind)) as endpoint:
            yield endpoint.url
    else:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        yield StdioServerParameters(
            command=sys.executable, args=["-m", "tests.adapters.sdk_host", kind], cwd=ROOT, env=environment
        )


@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize("way", ["http", "stdio"])
@pytest.mark.parametrize("kind", KINDS)
async def test_two_contexts_get_two_lists_and_reach_what_is_hidden(kind: Kind, way: Way, mode: str) -> None:
    async with reached(kind, way) as target, connect(target, mode=mode) as client:
        with UnitOfWork(intent=INVOICES).active():
            invoices = [tool.name for tool in (await client.list_tools()).tools]
        with UnitOfWork(intent=FLIGHTS).active():
            flights = [tool.name for tool in (await client.list_tools()).tools]
            found = await client.call_tool("search_tools", {"query": "compare one song with another"})
            called = await client.call_tool(
                "call_tool", {"name": "compare_song", "arguments": {"title": "So What"}}
            )
            directly = await client.call_tool("delete_plant", {"title": "ivy"})

    assert invoices[:2] == flights[:2] == ["search_tools", "call_tool"]
    assert {"find_invoice", "compare_invoice"} < set(invoices)
    assert {"order_flight", "delete_flight"} < set(flights)
    assert len(invoices) < len(TOOLS) / 2
    assert "compare_song" not in flights
    assert found.structured_content["tools"][0]["name"] == "compare_song"
    assert called.structured_content == {"result": "compare song So What"}
    assert directly.structured_content == {"result": "delete plant ivy"}


@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize("kind", KINDS)
async def test_without_a_context_a_server_lists_what_it_always_did(kind: Kind, mode: str) -> None:
    lists = []
    for whole in (True, False):
        async with (
            served(made(kind, whole=whole)) as endpoint,
            mcp.Client(endpoint.url, mode=mode) as client,
        ):
            listed = await client.list_tools()
            rows = [tool.model_dump() for tool in listed.tools]
            while listed.next_cursor is not None:
                listed = await client.list_tools(cursor=listed.next_cursor)
                rows += [tool.model_dump() for tool in listed.tools]
            lists.append(rows)
    assert lists[0] == lists[1]
    assert [row["name"] for row in lists[1]] == list(TOOLS)


async def test_a_tool_that_is_added_or_taken_away_meanwhile_is_seen() -> None:
    server = high_level()
    async with served(server) as endpoint, connect(endpoint.url, cache=False) as client:
        with UnitOfWork(intent="water the garden tonight", growth=False).active():
            before = [tool.name for tool in (await client.list_tools()).tools]

            def water_garden(minutes: int) -> str:
                """Water the garden tonight."""
                return f"watered for {minutes} minutes"

            server.add_tool(water_garden)
            after = [tool.name for tool in (await client.list_tools()).tools]
            found = await client.call_tool("search_tools", {"query": "water the garden"})
            server.remove_tool("water_garden")
            at_last = [tool.name for tool in (await client.list_tools()).tools]
            gone = await client.call_tool("search_tools", {"query": "water the garden"})
    assert "water_garden" not in before
    assert "water_garden" in after
    assert found.structured_content["tools"][0]["name"] == "water_garden"
    assert at_last == [name for name in after if name != "water_garden"]
    assert "water_garden" not in str(gone)


async def test_resources_and_prompts_are_narrowed_too() -> None:
    async with served(high_level()) as endpoint, connect(endpoint.url) as client:
        whole = await client.list_resources()
        with UnitOfWork(intent="what is there to know about the subnet").active():
            resources = [one.name for one in (await client.list_resources()).resources]
            prompts = [one.name for one in (await client.list_prompts()).prompts]
            read = await client.read_resource("shop://about/plant_9")
    assert len(whole.resources) == 30
    assert len(resources) <= 8
    assert any("subnet" in name for name in resources)
    assert len(prompts) <= 8
    assert any("subnet" in name for name in prompts)
    assert read.contents[0].text == "all about the plant_9"  # type: ignore[union-attr]


async def test_what_the_server_does_not_list_for_a_caller_is_neither_shown_nor_found() -> None:
    async with served(low_level()) as endpoint:
        at_home = await endpoint.tools(unit=UnitOfWork(intent=FLIGHTS))
        unit = UnitOfWork(intent=FLIGHTS)
        details: dict[str, Any] = {"unit": unit, "headers": {"From": "abroad"}}
        abroad = await endpoint.tools(**details)
        query = {"name": "search_tools", "arguments": {"query": "order a flight"}}
        found = await endpoint.ask("tools/call", query, **details)
    assert not any(name.startswith("order_") for name in abroad)
    assert "order_flight" not in str(found)
    assert "order_flight" in at_home


async def test_a_list_grows_at_its_end_for_clients_that_follow() -> None:
    async with served(high_level()) as endpoint, connect(endpoint.url) as client:
        unit = UnitOfWork(intent=INVOICES)
        with unit.active():
            first = [tool.name for tool in (await client.list_tools()).tools]
            await client.call_tool("search_tools", {"query": "find a song"})
            later = [tool.name for tool in (await client.list_tools()).tools]
        with unit.fork().active():
            forked = [tool.name for tool in (await client.list_tools()).tools]
    assert later[: len(first)] == first
    assert "find_song" in later[len(first) :]
    assert forked == later
