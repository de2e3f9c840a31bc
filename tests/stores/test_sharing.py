"""Servers that share a Redis: growth on one reaches who listens on another, and so does all other news."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import pytest

from scopedtools import Context, ScopedServer, View, resource
from scopedtools.exceptions import DefinitionError
from scopedtools.protocol import meta
from scopedtools.stores import GuardedStore, open_store
from scopedtools.testing import Client, WireError
from tests.context.office import Office, growing, listed, of, search
from tests.stores.failing import Engine, until
from tests.stores.running import RedisServer, redis_server
from tests.streams.opened import LIMIT_S, Opened, modern, opened_modern

pytestmark = pytest.mark.anyio

SECRET: Final = b"the same in every process"
CHANGED: Final = "notifications/tools/list_changed"


class Desk(Office):
    """An office with a notice."""

    closed = False

    def __init__(self, *, store: GuardedStore, **options: Any) -> None:
        super().__init__(store=store, **options)
        self.store = store

    @resource("notice://door")
    def door(self) -> str:
        """The notice on the door."""
        return ""

    async def permitted(self, ctx: Context, rows: View) -> View:
        return rows - rows.named(*of("invoice")) if self.closed else rows


@asynccontextmanager
async def listening(server: ScopedServer, context: str = "a", **wanted: Any) -> AsyncIterator[Opened]:
    can = {"extensions": {meta.EXTENSION: {"contextId": context, "growth": True}}}
    wishes: Mapping[str, Any] = wanted or {"toolsListChanged": True}
    request = modern("subscriptions/listen", {"notifications": dict(wishes)}, can=can)
    async with opened_modern(server, request) as one:
        assert (await one.message())["method"] == "notifications/subscriptions/acknowledged"
        yield one


def opened(url: str) -> GuardedStore:
    store = open_store(url)
    assert isinstance(store, GuardedStore)
    return store


def desks(url: str) -> tuple[Desk, Desk]:
    return Desk(store=opened(url), secret=SECRET), Desk(store=opened(url), secret=SECRET)


@pytest.fixture(scope="module")
async def redis() -> AsyncIterator[RedisServer]:
    async with redis_server() as server:
        yield server


async def test_growth_on_one_server_reaches_at_once_who_listens_on_another(redis: RedisServer) -> None:
    one, other = desks(redis.url)
    async with (
        growing(one, "grows") as client,
        growing(other, "grows") as there,
        listening(other, "grows") as stream,
        listening(other, "b") as stranger,
    ):
        await listed(client, "invoice")
        assert (await stream.message())["method"] == CHANGED
        took: list[float] = []
        for noun in ("visa", "hotel"):
            started = time.perf_counter()
            await search(client, noun)
            assert (await stream.message())["method"] == CHANGED
            took.append(time.perf_counter() - started)
        assert min(took) < 0.05
        assert await listed(there) == await listed(client)
        await other.lists_changed()
        other.end_streams()
        assert [message.get("method") for message in await stranger.messages()] == [None]


async def test_lists_and_resources_that_changed_are_told_on_every_server(redis: RedisServer) -> None:
    one, other = desks(redis.url)
    async with growing(one, "told") as client, other:
        await listed(client, "invoice")
        wishes = {"toolsListChanged": True, "resourceSubscriptions": ["notice://door"]}
        async with listening(other, "told", **wishes) as stream:
            one.closed = other.closed = True
            await one.lists_changed()
            assert (await stream.message())["method"] == CHANGED
            await one.resource_updated("notice://door")
            assert (await stream.message())["params"]["uri"] == "notice://door"


async def test_news_beyond_those_that_may_wait_are_told_as_a_change_of_all_lists(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scopedtools.sharing._WAITING", 0)
    one, other = desks(redis.url)
    async with growing(one, "crowded") as client, other:
        await listed(client, "invoice")
        async with listening(other, "crowded") as stream:
            one.closed = other.closed = True
            await one.lists_changed()
            assert (await stream.message())["method"] == CHANGED


async def test_a_server_of_another_name_hears_nothing_and_nobody_hears_himself(redis: RedisServer) -> None:
    class Looking(Desk):
        looked = 0

        async def permitted(self, ctx: Context, rows: View) -> View:
            self.looked += ctx.listens
            return rows

    one, stranger, twin = (
        Looking(store=opened(redis.url), secret=SECRET, name=name) for name in ("one", "stranger", "one")
    )
    async with one, stranger, twin, AsyncExitStack() as streams:
        for server in (one, stranger, twin):
            await streams.enter_async_context(listening(server, "names"))
            server.looked = 0
        for _ in range(10):
            await one.lists_changed()
            await until(lambda: twin.looked >= one.looked)
        assert (one.looked, stranger.looked, twin.looked) == (10, 0, 10)


async def test_an_outage_costs_no_request_and_no_growth_and_is_said_while_it_lasts() -> None:
    async with redis_server() as redis:
        one, other = desks(f"{redis.url}?open_s=0.1")
        async with growing(one) as client, growing(other) as there, listening(other) as stream:
            seeded = await listed(client, "invoice")
            assert (await stream.message())["method"] == CHANGED
            redis.kill()
            found = await search(client, "visa")
            page = await client.request("tools/list")
            shown = [row["name"] for row in page["tools"]][3:]
            assert shown[: len(seeded)] == seeded
            assert set(found) & set(shown)
            assert page["_meta"][meta.VIEW]["degraded"] is True
            assert (page["ttlMs"], page["cacheScope"]) == (0, "private")
            assert not (await client.call_tool("help", what="x")).get("isError")
            await redis.start()
            async with asyncio.timeout(LIMIT_S):
                while await listed(there) != shown:  # noqa: ASYNC110 - what another process is told
                    await asyncio.sleep(0.02)
                while (await stream.message())["method"] != CHANGED:
                    pass
                while one.store.is_degraded:  # noqa: ASYNC110 - nobody else is told
                    await asyncio.sleep(0.02)
            page = await client.request("tools/list")
            assert "degraded" not in page["_meta"][meta.VIEW]
            assert [row["name"] for row in page["tools"]][3:] == shown


async def test_growth_while_one_server_alone_has_no_engine_is_told_to_the_others_once_it_has() -> None:
    here, there = Engine(), Engine()
    there._records, there.heard = here._records, here.heard
    one, other = (Desk(store=GuardedStore(link, open_s=0.02), secret=SECRET) for link in (here, there))
    async with growing(one) as client, growing(other) as also, listening(other) as stream:
        await listed(client, "invoice")
        assert (await stream.message())["method"] == CHANGED
        here.problem = ConnectionError()
        await search(client, "visa")
        grown = await listed(client)
        here.problem = None
        assert (await stream.message())["method"] == CHANGED
        assert await listed(also) == grown


@pytest.mark.parametrize("keeps", [False, True], ids=["keeps nothing", "keeps by context"])
async def test_lists_that_were_made_without_the_engine_are_not_taken_for_others(*, keeps: bool) -> None:
    engine = Engine()
    store = GuardedStore(engine, open_s=0.05)
    settings = {"contextId": "a", "intent": "invoice"} | ({"cacheScopes": ["context"]} if keeps else {})
    office = Office(store=store, secret=SECRET)
    async with Client(office, capabilities={"extensions": {meta.EXTENSION: settings}}) as client:
        healthy = [await client.request("tools/list") for _ in range(4)]
        engine.problem = ConnectionError()
        degraded = [await client.request("tools/list") for _ in range(4)]
        engine.problem = None
        await until(lambda: not store.is_degraded)
        again = [await client.request("tools/list") for _ in range(4)]
    assert all(page == healthy[0] for page in (*healthy, *again))
    assert (healthy[0]["cacheScope"], healthy[0]["ttlMs"] > 0) == (("context" if keeps else "private"), keeps)
    assert "degraded" not in healthy[0]["_meta"][meta.VIEW]
    for page in degraded:
        assert (page["cacheScope"], page["ttlMs"]) == ("private", 0)
        assert page["_meta"][meta.VIEW]["degraded"] is True
        assert page["tools"] == healthy[0]["tools"]


async def test_views_that_are_a_restriction_are_refused_and_calls_that_need_none_are_not() -> None:
    engine = Engine()
    store = GuardedStore(engine, when_unavailable="refuse", open_s=0.05)
    async with growing(Office(store=store, secret=SECRET)) as client:
        await listed(client, "invoice")
        engine.problem = ConnectionError()
        with pytest.raises(WireError) as refusal:
            await client.request("tools/list")
        assert (refusal.value.status, refusal.value.wire_code, refusal.value.data) == (
            503,
            503,
            {"retryAfter": 1},
        )
        assert (await client.call_tool("help", what="x"))["content"][0]["text"] == "x"
        engine.problem = None
        await until(lambda: not store.is_degraded)
        assert await listed(client) == of("invoice")


async def test_a_shared_store_without_a_shared_secret_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SCOPEDTOOLS_SECRET", raising=False)
    store = open_store("redis://localhost:1")
    with pytest.raises(DefinitionError, match="SCOPEDTOOLS_SECRET"):
        Office(store=store)
    monkeypatch.setenv("SCOPEDTOOLS_SECRET", "x")
    assert not Office(store=store).grows_in_process
    monkeypatch.setenv("SCOPEDTOOLS_STORE", "redis://localhost:1/0?ttl_s=never")
    with pytest.raises(DefinitionError, match="ttl_s"):
        Office()
    monkeypatch.setenv("SCOPEDTOOLS_STORE", "redis://localhost:1/0?ttl_s=5")
    assert not Office().grows_in_process
    monkeypatch.delenv("SCOPEDTOOLS_STORE")
    assert Office().grows_in_process
