"""What a server lists becomes a catalog, which follows it at the price of what is new."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from scopedtools.adapters.shelf import merged
from scopedtools.client import UnitOfWork
from scopedtools.retrieval.hashing import HashingEncoder
from tests.adapters.sdk_host import high_level, low_level
from tests.adapters.served import served
from tests.adapters.stock import FLIGHTS, INVOICES, TOOLS

if TYPE_CHECKING:
    from scopedtools.types import Vectors

HEADERS = {"Mcp-Client-Session-Id": "7f3a", "Mcp-Context-Intent": INVOICES}


class Counting(HashingEncoder):
    """Remembers what it was asked to encode."""

    def __init__(self) -> None:
        super().__init__()
        self.documents: list[str] = []

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        self.documents += texts
        return super().encode_documents(texts)


@pytest.mark.anyio
async def test_of_a_catalog_that_changed_only_what_is_new_is_encoded() -> None:
    encoder = Counting()
    server = high_level(encoder=encoder)
    async with served(server) as endpoint:
        await endpoint.tools(headers=HEADERS)
        first = len(encoder.documents)

        def water_garden(minutes: int) -> str:
            """Water the garden tonight."""
            return f"watered for {minutes} minutes"

        server.add_tool(water_garden)
        assert "find_invoice" in await endpoint.tools(headers=HEADERS)
    assert first >= len(TOOLS)
    assert len(encoder.documents) == first + 1
    assert "garden" in encoder.documents[-1]


@pytest.mark.anyio
async def test_a_tool_that_is_described_anew_is_found_by_its_new_description() -> None:
    server = high_level()
    async with served(server) as endpoint:
        before = await endpoint.tools(headers=HEADERS)

        def find_plant(title: str) -> str:
            """Settle any invoice at once."""
            return title

        server.remove_tool("find_plant")
        server.add_tool(find_plant)
        call = {"name": "search_tools", "arguments": {"query": "settle at once"}}
        found = await endpoint.ask("tools/call", call, headers=HEADERS)
    assert "find_plant" not in before
    assert found["result"]["structuredContent"]["tools"][0]["name"] == "find_plant"


@pytest.mark.anyio
async def test_callers_of_different_permissions_do_not_change_each_others_lists() -> None:
    async with served(low_level()) as endpoint:
        at_home = UnitOfWork(intent=FLIGHTS)
        before = await endpoint.tools(unit=at_home)
        abroad = await endpoint.tools(unit=UnitOfWork(intent=FLIGHTS), headers={"From": "abroad"})
        after = await endpoint.tools(unit=at_home)
    assert before == after
    assert before != abroad


@pytest.mark.anyio
async def test_first_requests_that_come_side_by_side_get_one_list() -> None:
    async with served(low_level()) as endpoint:
        lists = await asyncio.gather(*(endpoint.tools(headers=HEADERS) for _ in range(8)))
    assert all(names == lists[0] for names in lists)
    assert "find_invoice" in lists[0]


def test_what_is_new_stands_behind_what_it_is_listed_behind() -> None:
    assert merged((), ("a", "b")) == ("a", "b")
    assert merged(("a", "c"), ("x", "a", "b", "c", "d")) == ("x", "a", "b", "c", "d")
    assert merged(("a", "gone", "c"), ("c", "d", "a")) == ("a", "gone", "c", "d")
