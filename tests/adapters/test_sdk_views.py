"""Servers of the official SDK show each context what it needs, over their own transports."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Literal

import mcp
import pytest
from mcp.client import Transport
from mcp.client.stdio import StdioServerParameters

from scopedtools import ViewSettings
from scopedtools.adapters.for_sdk import ScopedViews
from scopedtools.client import UnitOfWork, connect
from scopedtools.context.store import MemoryStore
from scopedtools.protocol.meta import INTENT
from scopedtools.retrieval.hashing import HashingEncoder
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


async def test_a_tool_that_is_added_meanwhile_is_found_and_joins_lists_at_their_ends() -> None:
    server = high_level()
    async with served(server) as endpoint, connect(endpoint.url, cache=False) as client:

        async def listed() -> list[str]:
            return [tool.name for tool in (await client.list_tools()).tools]

        with UnitOfWork(intent="water the garden tonight").active():
            before = await listed()
            server.add_tool(water_garden)
            same = await listed()
            found = await client.call_tool("search_tools", {"query": "water the garden"})
            grown = await listed()
        with UnitOfWork(intent="water the garden tonight").active():
            new = await listed()
        with UnitOfWork(intent=INVOICES).active():
            other = await listed()
    assert same == before
    assert found.structured_content["tools"][0]["name"] == "water_garden"
    assert grown[: len(before)] == before
    assert "water_garden" in grown[len(before) :]
    assert "water_garden" in new
    assert "water_garden" not in other


async def test_a_tool_that_is_taken_away_meanwhile_is_neither_listed_nor_found() -> None:
    server = high_level()
    server.add_tool(water_garden)
    async with served(server) as endpoint, connect(endpoint.url, cache=False) as client:
        with UnitOfWork(intent="water the garden tonight", growth=False).active():
            before = [tool.name for tool in (await client.list_tools()).tools]
            server.remove_tool("water_garden")
            after = [tool.name for tool in (await client.list_tools()).tools]
            gone = await client.call_tool("search_tools", {"query": "water the garden"})
            called = await client.call_tool("call_tool", {"name": "water_garden"})
    assert "water_garden" in before
    assert after == [name for name in before if name != "water_garden"]
    assert "water_garden" not in str(gone)
    assert called.is_error


async def test_each_kind_of_lists_hears_what_a_context_says() -> None:
    async with served(high_level()) as endpoint, connect(endpoint.url) as client:
        unit = UnitOfWork(intent="ask about a song")
        with unit.active():
            await client.list_tools()
            first = [one.name for one in (await client.list_prompts()).prompts]
        with unit.about("ask about a subnet").active():
            await client.list_tools()
            later = [one.name for one in (await client.list_prompts()).prompts]
    assert any("song" in name for name in first)
    assert not any("subnet" in name for name in first)
    assert later[: len(first)] == first
    assert any("subnet" in name for name in later)


def test_an_option_that_there_is_not_is_refused() -> None:
    with pytest.raises(TypeError, match=r"takes settings, .*; got views"):
        ScopedViews(views=ViewSettings(enforce=True))  # type: ignore[call-arg]


async def test_a_list_outlives_its_server_in_a_store_that_does() -> None:
    store = MemoryStore()
    unit = UnitOfWork(intent=INVOICES)
    lists = []
    for number in range(2):
        server = high_level(store=store, secret=b"s" * 32)
        if number:
            server.add_tool(water_garden)
        async with served(server) as endpoint, connect(endpoint.url) as client:
            with (unit if not number else unit.about(FLIGHTS)).active():
                lists.append([tool.name for tool in (await client.list_tools()).tools])
    assert "find_invoice" in lists[0]
    assert lists[1][: len(lists[0])] == lists[0]
    assert "order_flight" in lists[1]


def test_a_server_that_stopped_while_it_prepared_may_run_again() -> None:
    encoder = Held()
    server = high_level(encoder=encoder)

    async def visit(meta: dict[str, Any]) -> list[str]:
        async with mcp.Client(server) as client:
            return [tool.name for tool in (await client.list_tools(meta=meta)).tools]  # type: ignore[arg-type]

    assert asyncio.run(visit({"clientSessionId": "a"})) == ["search_tools", "call_tool"]
    encoder.release.set()
    listed = asyncio.run(visit({"clientSessionId": "b", INTENT: INVOICES}))
    assert "find_invoice" in listed


class Held(HashingEncoder):
    """Is not loaded before it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.release = threading.Event()

    def load(self) -> None:
        assert self.release.wait(60)
        super().load()


def water_garden(minutes: int) -> str:
    """Water the garden tonight."""
    return f"watered for {minutes} minutes"


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
