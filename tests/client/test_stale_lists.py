"""What makes a list that is kept old, and how little it takes to know that it is the same."""

from __future__ import annotations

import asyncio
from itertools import chain
from typing import Any

import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from scopedtools import ViewSettings
from scopedtools.client import ContextCache, UnitOfWork, connect, in_context
from scopedtools.protocol import meta
from tests.client.naive import naive, tools
from tests.client.workplace import (
    LIMIT_S,
    UNIT,
    Clock,
    Mode,
    Workplace,
    both,
    conditions,
    hosted,
    listed,
    names,
    saying,
    working,
)

pytestmark = pytest.mark.anyio

OTHER = UnitOfWork(intent="find visa", id="other")


@both
async def test_a_list_whose_time_is_over_is_asked_for_by_its_revision_and_renewed(mode: Mode) -> None:
    clock = Clock()
    async with working(cache=ContextCache(clock=clock), mode=mode) as (wire, client):
        first = await client.list_tools()
        assert first.meta is not None
        view = first.meta[meta.VIEW]
        clock.now_s += view["ttlMs"] / 1000 - 1
        assert await client.list_tools() == first
        assert wire.lists() == 1
        for lists in (2, 3):
            clock.now_s += view["ttlMs"] / 1000
            assert [await client.list_tools() for _ in range(5)] == [first] * 5
            assert wire.lists() == lists
    assert conditions(wire) == [None, view["revision"], view["revision"]]


async def test_a_server_that_knows_no_revisions_is_asked_for_the_whole_list() -> None:
    clock, lists = Clock(), iter("ab")
    app = naive(tools_list=lambda *_: tools(next(lists)))
    async with hosted(app) as wire, connect(wire.url, UNIT, cache=ContextCache(clock=clock)) as client:
        assert [await listed(client) for _ in range(2)] == [["a"]] * 2
        clock.now_s += 60
        assert [await listed(client) for _ in range(2)] == [["b"]] * 2
    assert conditions(wire) == [None, None]


@both
async def test_a_search_makes_the_list_old_for_its_unit_alone(mode: Mode) -> None:
    async with working(mode=mode) as (wire, client):
        before = await listed(client)
        with OTHER.active():
            others = await listed(client)
        await client.call_tool("search_tools", {"query": "export the archive of a customer"})
        after = await listed(client)
        with OTHER.active():
            assert await listed(client) == others
        assert await listed(client) == after
        assert wire.lists() == 3
    assert after[: len(before)] == before
    assert "export_archive" in after[len(before) :]


@both
async def test_a_new_intent_makes_the_list_old(mode: Mode) -> None:
    async with working(mode=mode) as (wire, client):
        before = await listed(client)
        with UNIT.about("export the archive of a customer").active():
            await client.call_tool("whoami", {})
            after = await listed(client)
            assert await listed(client) == after
        assert wire.lists() == 2
        assert await listed(client) == after
    assert after[: len(before)] == before
    assert "export_archive" in after[len(before) :]
    assert wire.lists() == 3  # "find invoice" was said again, and the server told that nothing is new
    assert conditions(wire)[2] is not None


async def test_an_intent_that_was_said_for_one_call_makes_the_list_old() -> None:
    async with working(UnitOfWork(id="unit")) as (wire, client):
        await listed(client)
        await client.call_tool("whoami", {}, meta=saying(meta.INTENT, "export the archive of a customer"))
        await listed(client)
        assert wire.lists() == 2


async def test_news_make_the_list_old_for_those_who_listen() -> None:
    async with (
        hosted(Workplace()) as wire,
        connect(wire.url, UNIT) as client,
        connect(wire.url, UNIT) as elsewhere,
    ):
        before = await listed(client)
        with OTHER.active():
            await listed(client)
        async with client.listen(tools_list_changed=True) as news:
            await elsewhere.call_tool("search_tools", {"query": "export the archive of a customer"})
            await asyncio.wait_for(anext(news), LIMIT_S)
            wire.seen.clear()
            after = await listed(client)
            with OTHER.active():
                await listed(client)
        assert wire.lists() == 1
    assert after[: len(before)] == before != after


async def test_news_of_a_session_make_all_its_lists_old() -> None:
    heard = asyncio.Event()

    async def on_message(_: Any) -> None:
        heard.set()

    server = Workplace(sessions=True)
    async with hosted(server) as wire:
        async with (
            connect(wire.url, UNIT, mode="legacy", message_handler=on_message) as client,
            connect(wire.url, UNIT, mode="legacy") as elsewhere,
        ):
            before = await listed(client)
            assert await listed(elsewhere) == before
            await elsewhere.call_tool("search_tools", {"query": "export the archive of a customer"})
            await asyncio.wait_for(heard.wait(), LIMIT_S)
            after = await listed(client)
        assert wire.lists() == 3
    assert after[: len(before)] == before != after


async def test_an_answer_that_something_overtook_is_used_but_not_kept() -> None:
    async with working() as (wire, client):
        gate = wire.gates["tools/list"] = asyncio.Event()
        overtaken = asyncio.create_task(listed(client))
        await asyncio.wait_for(wire.arrived.wait(), LIMIT_S)
        await client.call_tool("search_tools", {"query": "export the archive of a customer"})
        gate.set()
        before = await overtaken
        after = await listed(client)
        assert await listed(client) == after
        assert wire.lists() == 2
    assert "export_archive" in set(after) - set(before)


@pytest.mark.parametrize("own", [False, True])
async def test_a_tool_whose_schema_the_client_has_wrong_is_looked_up_anew(*, own: bool) -> None:
    refusals = iter([True, False])

    def call(*_: Any) -> dict[str, Any]:
        if next(refusals):
            return {"code": -32020, "message": "Mcp-Param-X is missing"}
        return {"resultType": "complete", "content": []}

    app = naive(tools_list=lambda *_: tools("a"), tools_call=call)
    async with hosted(app) as wire:
        transport = in_context(streamable_http_client(wire.url), UNIT)
        async with Client(transport) if own else connect(wire.url, UNIT) as client:
            await listed(client)
            await client.call_tool("a", {})
    assert [asked.method for asked in wire.seen[1:]] == ["tools/list", "tools/call"] * 2


# Pages


async def test_pages_are_kept_and_renewed_together_and_a_list_that_grew_begins_anew() -> None:
    async def pages(client: Client) -> list[list[str]]:
        found, cursor = [], None
        while True:
            page = await client.list_tools(cursor=cursor)
            found.append(names(page.tools))
            if (cursor := page.next_cursor) is None:
                return found

    clock = Clock()
    cache = ContextCache(clock=clock)
    async with working(views=ViewSettings(page_rows=3), cache=cache) as (wire, client):
        first = await pages(client)
        assert len(first) > 2
        assert await pages(client) == first
        assert wire.lists() == len(first)
        clock.now_s += 60
        assert await pages(client) == first
        assert wire.lists() == len(first) + 1
        page = await client.list_tools()
        await client.call_tool("search_tools", {"query": "export the archive of a customer"})
        with pytest.raises(MCPError, match="cursor"):
            await client.list_tools(cursor=page.next_cursor)
        wire.seen.clear()
        grown = await pages(client)
        assert await pages(client) == grown
        assert wire.lists() == len(grown)
        assert conditions(wire) == [None] * len(grown)
        assert len(cache) == len(grown)
    before, after = list(chain(*first)), list(chain(*grown))
    assert after[: len(before)] == before
    assert "export_archive" in after


async def test_pages_of_lists_that_followed_each_other_are_not_mixed() -> None:
    clock = Clock()

    def page(_: str | None, params: dict[str, Any]) -> dict[str, Any]:
        if "cursor" in params:
            return tools(f"second_{clock.now_s:.0f}", ttl_ms=60_000)
        return tools(f"first_{clock.now_s:.0f}", ttl_ms=1000, nextCursor="2")

    async def pages(client: Client) -> list[str]:
        first = await client.list_tools()
        second = await client.list_tools(cursor=first.next_cursor)
        return names([*first.tools, *second.tools])

    cache = ContextCache(clock=clock)
    async with hosted(naive(tools_list=page)) as wire, connect(wire.url, UNIT, cache=cache) as client:
        assert await pages(client) == ["first_1000", "second_1000"]
        clock.now_s += 2
        assert await pages(client) == ["first_1002", "second_1002"]
        assert wire.lists() == 4
