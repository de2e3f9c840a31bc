"""Lists are kept for the unit of work that was shown them, as long as they may be, and for no other."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from scopedtools import Context, View
from scopedtools.client import ContextCache, UnitOfWork, connect, in_context
from scopedtools.protocol import meta
from tests.client.naive import naive, tools
from tests.client.workplace import (
    NOUNS,
    UNIT,
    VERBS,
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

# What is saved


@both
async def test_a_list_is_asked_for_once(mode: Mode) -> None:
    async with working(mode=mode) as (wire, client):
        first = await client.list_tools()
        assert [await client.list_tools() for _ in range(10)] == [first] * 10
        assert wire.lists() == 1
    assert 3 < len(first.tools) < 20
    assert first.meta is not None
    assert first.meta[meta.VIEW]["cacheScope"] == "context"


@both
async def test_all_kinds_of_lists_are_kept(mode: Mode) -> None:
    async with working(mode=mode) as (wire, client):
        for _ in range(3):
            await client.list_tools()
            await client.list_prompts()
            await client.list_resources()
            await client.list_resource_templates()
        kinds = [asked.method for asked in wire.seen if asked.method.endswith("/list")]
    assert sorted(kinds) == ["prompts/list", "resources/list", "resources/templates/list", "tools/list"]


@both
async def test_the_lists_that_the_client_reads_by_itself_are_saved_as_well(mode: Mode) -> None:
    async with working(mode=mode) as (wire, client):
        shown = await listed(client)
        hidden = [name for verb in VERBS for noun in NOUNS if (name := f"{verb}_{noun}") not in shown]
        for name in hidden:
            await client.call_tool(name, {"what": "x"})
        assert len(wire.of("tools/call")) == len(hidden) > 20
        assert wire.lists() == 1


async def test_whoever_gets_a_list_may_change_it() -> None:
    async with working() as (_, client):
        first = await client.list_tools()
        expected = first.model_copy(deep=True)
        for result in (first, await client.list_tools()):
            result.tools[0].input_schema["properties"].clear()
            result.tools.pop()
        assert await client.list_tools() == expected


# What is kept apart


@both
async def test_many_units_that_share_a_client_and_a_cache_each_get_their_own_list(mode: Mode) -> None:
    units = [UnitOfWork(intent=f"{VERBS[n % 5]} {NOUNS[n % 8]}", id=f"unit-{n}") for n in range(40)]

    async def lists(client: Client, unit: UnitOfWork, times: int) -> list[list[str]]:
        with unit.active():
            return [await listed(client) for _ in range(times)]

    async with hosted(Workplace()) as wire:
        async with connect(wire.url, mode=mode, cache=False) as client:
            alone = [(await lists(client, unit, 1))[0] for unit in units]
        wire.seen.clear()
        async with connect(wire.url, mode=mode) as client:
            together = await asyncio.gather(*(lists(client, unit, 5) for unit in units))
            everything = await listed(client)
            again = await asyncio.gather(*(lists(client, unit, 1) for unit in units))
        assert wire.lists() == len(units) + 1
    assert together == [[one] * 5 for one in alone]
    assert again == [[one] for one in alone]
    assert len({tuple(one) for one in alone}) > 5
    assert len(everything) > 40 > max(map(len, alone))


async def test_a_list_that_a_server_calls_public_is_not_shown_to_another_unit() -> None:
    app = naive(tools_list=lambda context, _: tools(f"of_{context}"))
    async with hosted(app) as wire, connect(wire.url) as client:
        for _ in range(2):
            for name in ("a", "b"):
                with UnitOfWork(id=name).active():
                    assert await listed(client) == [f"of_{name}"]
            assert await listed(client) == ["of_None"]
        assert wire.lists() == 3


class ByContext(Workplace):
    """Lets a unit of work use what its ID begins with, few enough to be listed whole."""

    async def permitted(self, ctx: Context, rows: View) -> View:
        noun = (ctx.id or "invoice").partition("-")[0]
        return rows.named(*(f"{verb}_{noun}" for verb in VERBS))


@both
async def test_full_lists_that_the_author_varies_are_kept_apart(mode: Mode) -> None:
    async with hosted(ByContext()) as wire, connect(wire.url, mode=mode) as client:
        for _ in range(3):
            for noun in ("visa", "hotel"):
                with UnitOfWork(id=f"{noun}-1").active():
                    assert await listed(client) == [f"{verb}_{noun}" for verb in VERBS]
        assert wire.lists() == 2


async def test_the_cache_of_an_official_client_above_keeps_nothing() -> None:
    async with hosted(Workplace()) as wire:
        transport = in_context(streamable_http_client(wire.url))
        async with Client(transport) as client:
            seen = []
            for noun in ("invoice", "visa", "invoice"):
                with UnitOfWork(intent=f"find {noun}", id=noun).active():
                    seen.append(await listed(client))
            assert len(await listed(client)) > 40
        assert wire.lists() == 3
    assert seen[0] == seen[2] != seen[1]


async def test_connections_share_what_they_were_told_to_share() -> None:
    async with hosted(Workplace()) as wire:

        async def lists(partition: str | None, unit: UnitOfWork = UNIT, url: str = wire.url) -> int:
            before = wire.lists()
            async with connect(url, unit, cache=cache, partition=partition) as client:
                await client.list_tools()
            return wire.lists() - before

        cache = ContextCache()
        assert [await lists("alice"), await lists("alice")] == [1, 0]
        assert await lists("bob") == 1
        assert [await lists(None), await lists(None)] == [1, 1]
        assert await lists("alice", UnitOfWork(id="other")) == 1
        assert await lists("alice", url=f"{wire.url}?tenant=2") == 1
        assert await lists("alice", url=wire.url.replace("//", "//user:password@")) == 0


@pytest.mark.parametrize("other", ["auto", "legacy"])
async def test_revisions_do_not_share(other: Mode) -> None:
    cache = ContextCache()
    async with hosted(Workplace()) as wire:
        for mode in ("auto", other):
            async with connect(wire.url, UNIT, cache=cache, partition="alice", mode=mode) as client:
                await listed(client)
        assert wire.lists() == (1 if other == "auto" else 2)


# What is declared


@both
async def test_without_a_cache_no_scope_is_declared_and_every_list_is_asked_for(mode: Mode) -> None:
    async with working(cache=False, mode=mode) as (wire, client):
        first = await client.list_tools()
        assert await client.list_tools() == first
        assert wire.lists() == 2
    assert all("cacheScopes" not in asked.settings for asked in wire.seen)
    assert conditions(wire) == [None, None]
    assert first.meta is not None
    assert first.meta[meta.VIEW]["cacheScope"] == "private"


async def test_a_context_scope_that_nobody_asked_for_fails_no_list() -> None:
    app = naive(tools_list=lambda *_: tools("a", scope="context"))
    async with hosted(app) as wire:
        for unit, cache, lists in ((UNIT, True, 1), (UNIT, False, 2), (None, True, 2)):
            wire.seen.clear()
            async with connect(wire.url, unit, cache=cache) as client:
                assert [await listed(client) for _ in range(2)] == [["a"]] * 2
            assert wire.lists() == lists


# What a caller says


async def test_cache_modes_mean_what_they_mean_in_the_official_client() -> None:
    lists = iter("abcdefg")
    app = naive(tools_list=lambda *_: tools(next(lists)))
    async with hosted(app) as wire, connect(wire.url, UNIT) as client:
        assert await listed(client) == ["a"]
        assert names((await client.list_tools(cache_mode="bypass")).tools) == ["b"]
        assert await listed(client) == ["a"]
        assert names((await client.list_tools(cache_mode="refresh")).tools) == ["c"]
        assert await listed(client) == ["c"]
        assert names((await client.list_tools(meta=saying("own/key", 1))).tools) == ["d"]
        assert await listed(client) == ["c"]
    assert wire.lists() == 4
    assert conditions(wire) == [None] * 4


async def test_a_revision_that_the_caller_names_is_answered_to_the_caller() -> None:
    async with working() as (_, client):
        first = await client.list_tools()
        assert first.meta is not None
        held = first.meta[meta.VIEW]["revision"]
        answer = await client.list_tools(meta=saying(meta.IF_REVISION, held))
        assert (answer.tools, answer.meta and answer.meta[meta.VIEW]["notModified"]) == ([], True)
        assert await client.list_tools() == first


async def test_an_explained_list_is_kept_for_nobody() -> None:
    async with working() as (_, client):
        explained = await client.list_tools(meta=saying(meta.EXPLAIN, True))
        plain = await client.list_tools()
        assert explained.meta is not None
        assert plain.meta is not None
        assert "rows" in explained.meta[meta.VIEW]
        assert "rows" not in plain.meta[meta.VIEW]


async def test_everything_can_be_forgotten() -> None:
    cache = ContextCache()
    async with working(cache=cache) as (wire, client):
        first = await listed(client)
        cache.clear()
        assert await listed(client) == first
        assert conditions(wire) == [None, None]


# Resources


async def test_what_resources_hold_is_kept_by_context() -> None:
    def read(context: str | None, params: dict[str, Any]) -> dict[str, Any]:
        contents = [{"uri": params["uri"], "text": f"{params['uri']} for {context}"}]
        return {"resultType": "complete", "contents": contents, "ttlMs": 60_000, "cacheScope": "private"}

    async def text(client: Client, uri: str) -> str:
        (contents,) = (await client.read_resource(uri)).contents
        return str(contents.model_dump()["text"])

    async with hosted(naive(resources_read=read)) as wire, connect(wire.url) as client:
        for _ in range(3):
            for name in ("a", "b"):
                with UnitOfWork(id=name).active():
                    assert await text(client, "x:1") == f"x:1 for {name}"
                    assert await text(client, "x:2") == f"x:2 for {name}"
        assert len(wire.of("resources/read")) == 4


async def test_a_result_that_asks_back_is_not_kept() -> None:
    def read(_: str | None, params: dict[str, Any]) -> dict[str, Any]:
        caching = {"ttlMs": 60_000, "cacheScope": "private"}
        if "requestState" in params:
            return {"resultType": "complete", "contents": [{"uri": "x:1", "text": "t"}], **caching}
        return {"resultType": "input_required", "requestState": "s", **caching}

    async with hosted(naive(resources_read=read)) as wire, connect(wire.url, UNIT) as client:
        for _ in range(2):
            await client.read_resource("x:1")
        assert len(wire.of("resources/read")) == 4
