"""Requests while the catalog of a server is replaced: each sees the old one or the new one, in whole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from anyio.lowlevel import checkpoint

from scopedtools import Catalog, ScopedServer, ViewSettings
from scopedtools.catalog.convert import text_result
from scopedtools.exceptions import DefinitionError
from scopedtools.protocol import meta
from scopedtools.protocol.results import CallResult
from scopedtools.retrieval import HybridSelector
from scopedtools.testing import Client, WireError
from tests.hosting import hosted
from tests.retrieval.rows import CountingEncoder
from tests.server.live_shop import NAMES, Gated, Shop, Words, changed, good, goods, notes, shown
from tests.transports.test_stdio_transport import connected
from tests.wire.exchange import ENVELOPE

pytestmark = pytest.mark.anyio

INTENT = "create invoice and cancel hotel"


def said(result: dict[str, Any]) -> str:
    return str(result["content"][0]["text"])


Ask = Callable[[Client], Coroutine[Any, Any, set[str]]]


async def listing(client: Client) -> set[str]:
    return set((await notes(client)).values())


async def searching(client: Client) -> set[str]:
    result = await client.call_tool("search_tools", query="create invoice", limit=10)
    return {row["description"].partition(". ")[2] for row in result["structuredContent"]["tools"]}


async def calling(client: Client) -> set[str]:
    return {said(await client.call_tool("create_invoice")).removeprefix("create_invoice ")}


async def calling_through(client: Client) -> set[str]:
    result = await client.call_tool("call_tool", name="create_invoice", arguments={})
    return {said(result).removeprefix("create_invoice ")}


ASKING = [listing, searching, calling, calling_through]


@pytest.mark.parametrize("ask", ASKING)
async def test_a_request_under_way_finishes_on_the_catalog_that_it_began_with(
    ask: Ask,
) -> None:
    shop = Shop(catalog=goods(note="old"))
    async with Client(shop, context="a", intent=INTENT) as client:
        shop.gate.clear()
        under_way = asyncio.create_task(ask(client))
        await shop.entered.wait()
        await shop.update(goods(note="new"))
        after = asyncio.create_task(ask(client))
        shop.gate.set()
        assert await under_way == {"old"}
        assert await after == {"new"}


async def test_under_a_stream_of_updates_no_request_fails_or_sees_two_catalogs() -> None:
    shop = Shop(catalog=goods(note="0"))
    last: dict[str, int] = {}
    done = asyncio.Event()

    async def keep(context: str, ask: Ask, *, growth: bool) -> int:
        times = 0
        async with Client(shop, context=context, intent=INTENT, growth=growth) as client:
            while not done.is_set() or not times:
                (seen,) = await ask(client)
                assert int(seen) >= last.get(context, 0)
                last[context] = int(seen)
                times += 1
                await checkpoint()  # a request in this process need not wait for anything
        return times

    async with shop:
        asking = [
            asyncio.create_task(keep(f"{ask.__name__} {growth}".replace(" ", "-"), ask, growth=growth))
            for ask in ASKING
            for growth in (False, True)
        ]
        for number in range(1, 25):
            await shop.update(goods(note=str(number)))
        done.set()
        assert min(await asyncio.gather(*asking)) > 1


async def test_over_http_a_list_is_of_one_catalog_while_many_are_put() -> None:
    shop = Shop(catalog=goods(note="0"))
    async with hosted(shop) as (host, port), Client(f"http://{host}:{port}/mcp", context="a") as client:
        updating = asyncio.create_task(_updates(shop, 12))
        while not updating.done():
            await asyncio.gather(*(calling(client) for _ in range(4)))
            assert len(await searching(client)) == 1
        await updating
        assert await calling(client) == {"12"}


async def _updates(shop: Shop, count: int) -> None:
    for number in range(1, count + 1):
        await shop.update(goods(note=str(number)))


async def test_over_stdio_the_client_is_told_and_gets_the_new_rows() -> None:
    shop = Shop(catalog=goods(note="old"))
    async with shop, connected(shop) as client:
        await client.ask("initialize", {"protocolVersion": "2025-11-25"})
        await shop.update(goods(["find_book"], note="new"))
        assert (await client.read())["method"] == "notifications/tools/list_changed"
        listed = await client.ask("tools/list", {})
        assert [row["name"] for row in listed["result"]["tools"]] == ["help", "find_book"]
        called = await client.ask("tools/call", {"name": "find_book", "arguments": {}, "_meta": ENVELOPE})
        assert said(called["result"]) == "find_book new"
        gone = await client.ask("tools/call", {"name": "find_visa", "arguments": {}, "_meta": ENVELOPE})
        assert gone["error"]["code"] == -32602


async def test_rows_of_the_class_stay_and_given_rows_are_replaced() -> None:
    shop = Shop()
    async with Client(shop) as client:
        await shop.update(goods(["find_book"]))
        assert [row["name"] for row in await client.list_tools()] == ["help", "find_book"]
        assert said(await client.call_tool("help")) == "helped"
        assert [row.name for row in shop.catalog.rows] == ["search_tools", "call_tool", "help", "find_book"]


async def test_an_update_encodes_nothing_but_what_is_new() -> None:
    encoder = CountingEncoder()
    shop = Shop(HybridSelector(encoder))
    async with Client(shop, context="a", intent=INTENT) as client:
        await shown(client)
        assert len(encoder.documents) == len(shop.catalog)
        encoder.documents.clear()
        await shop.update(changed(["paint_visa", *reversed(NAMES)], find_invoice="Slowly."))
        new = ["find invoice: Find the invoice. Slowly.", "paint visa: Paint the visa."]
        assert sorted(encoder.documents) == new
        encoder.documents.clear()
        await shop.update(goods(["paint_visa", *NAMES[5:]]))
        await shop.update(goods(["paint_visa", *NAMES[5:]]))
        assert encoder.documents == []


async def test_search_tools_say_what_kinds_there_are_now() -> None:
    class Open(ScopedServer):
        """Everybody may use everything."""

    server = Open(catalog=goods(tags=frozenset({"old"})), selector=Words())
    async with Client(server, context="a") as client:
        await server.update(goods(tags=frozenset({"new"})))
        search = (await client.list_tools())[0]
        assert search["description"].endswith("There are 60 tools: new (60).")


async def test_a_call_that_takes_long_finishes_although_its_tool_is_gone() -> None:
    gate, entered = asyncio.Event(), asyncio.Event()

    async def wait(_ctx: Any, _arguments: bytes) -> CallResult:
        entered.set()
        await gate.wait()
        return text_result("waited")

    shop = Shop(catalog=Catalog([*goods().rows, good("wait", call=wait)]))
    async with Client(shop, context="a", growth=True) as client:
        waiting = asyncio.create_task(client.call_tool("wait"))
        await entered.wait()
        await shop.update(goods())
        with pytest.raises(WireError, match="Unknown tool"):
            await client.call_tool("wait")
        gate.set()
        assert said(await waiting) == "waited"


async def test_a_task_under_way_is_there_to_be_asked_for_and_finishes() -> None:
    begun = asyncio.Event()
    gate = asyncio.Event()

    async def bake(ctx: Any, _arguments: bytes) -> CallResult:
        await ctx.detach()
        begun.set()
        await gate.wait()
        return text_result("bread")

    kitchen = ScopedServer(catalog=Catalog([good("bake", call=bake, task="optional")]))
    async with Client(kitchen, tasks=True) as client:
        task = (await client.call_tool("bake"))["taskId"]
        await begun.wait()
        await kitchen.update(goods(["boil"]))
        assert (await client.request("tasks/get", taskId=task))["status"] == "working"
        gate.set()
        async with asyncio.timeout(10):
            while (ended := await client.request("tasks/get", taskId=task))["status"] == "working":
                await checkpoint()
        assert said(ended["result"]) == "bread"


async def test_a_cursor_of_another_list_is_refused_and_one_of_the_same_is_not() -> None:
    shop = Shop(views=ViewSettings(page_rows=20))
    async with Client(shop) as client:
        first = await client.request("tools/list")
        await shop.update(goods(tags=frozenset({"tagged"})))  # nothing that clients see
        second = await client.request("tools/list", cursor=first["nextCursor"])
        assert [row["name"] for row in second["tools"]] == list(NAMES[19:39])
        await shop.update(changed(find_visa="Slowly."))
        with pytest.raises(WireError) as refused:
            await client.request("tools/list", cursor=first["nextCursor"])
        assert refused.value.wire_code == -32602


async def test_who_holds_a_list_that_stayed_the_same_need_not_fetch_it_again() -> None:
    shop = Shop()
    async with Client(shop, context="a", intent=INTENT) as client:
        held = (await client.request("tools/list"))["_meta"][meta.VIEW]["revision"]
        seen = await shown(client)
        await shop.update(changed(**dict.fromkeys(set(NAMES) - set(seen), "Slowly.")))
        again = await client.request("tools/list", meta={meta.IF_REVISION: held})
        assert again["_meta"][meta.VIEW]["notModified"] is True
        await shop.update(changed(**{seen[0]: "Slowly."}))
        other = await client.request("tools/list", meta={meta.IF_REVISION: held})
        assert "notModified" not in other["_meta"][meta.VIEW]


# Updates that wait for each other, fail, or come too late


async def test_updates_side_by_side_are_made_one_after_the_other_and_the_last_one_stays() -> None:
    shop = Shop()
    async with Client(shop, context="a", intent=INTENT) as client:
        await shown(client)
        await asyncio.gather(*(shop.update(goods(note=str(number))) for number in range(8)))
        assert await listing(client) == {"7"}
        assert await searching(client) == {"7"}


async def test_an_update_with_two_rows_of_one_name_changes_nothing() -> None:
    shop = Shop()
    async with Client(shop, context="a", intent=INTENT) as client:
        before = await client.request("tools/list")
        catalog = shop.catalog
        with pytest.raises(DefinitionError, match="help"):
            await shop.update(goods(["help"]))
        assert shop.catalog is catalog
        assert (await client.request("tools/list"))["tools"] == before["tools"]
        await shop.update(changed(create_invoice="Slowly."))
        assert (await notes(client))["create_invoice"] == "Slowly."


async def test_where_a_selector_cannot_be_prepared_nothing_changes_and_it_ranks_the_old_rows() -> None:
    selector = Gated()
    shop = Shop(selector)
    async with Client(shop, context="a", intent="invoice") as client:
        before = await shown(client)
        selector.refuses.add(len(shop.catalog) + 1)
        with pytest.raises(RuntimeError, match="cannot be prepared"):
            await shop.update(goods(["sell_invoice", *NAMES]))
        assert await shown(client) == before
        found = await client.call_tool("search_tools", query="create visa", limit=1)
        assert [row["name"] for row in found["structuredContent"]["tools"]] == ["create_visa"]
        await shop.update(goods(["sell_visa", *reversed(NAMES)][:50]))
        found = await client.call_tool("search_tools", query="sell visa", limit=1)
        assert [row["name"] for row in found["structuredContent"]["tools"]] == ["sell_visa"]


async def test_an_update_that_is_given_up_changes_nothing() -> None:
    selector = Gated()
    shop = Shop(selector)
    async with Client(shop, context="a", intent="invoice") as client:
        before = await shown(client)
        selector.preparing.clear()
        selector.prepared.clear()
        updating = asyncio.create_task(shop.update(goods(["sell_visa", *reversed(NAMES)])))
        await selector.preparing.wait()
        updating.cancel()
        selector.prepared.set()
        with pytest.raises(asyncio.CancelledError):
            await updating
        assert await shown(client) == before
        found = await client.call_tool("search_tools", query="create visa", limit=1)
        assert [row["name"] for row in found["structuredContent"]["tools"]] == ["create_visa"]


async def test_while_a_selector_of_one_catalog_is_prepared_anew_lists_do_without_it() -> None:
    selector = Gated()
    shop = Shop(selector)
    async with Client(shop, context="a", intent="invoice") as client, Client(shop, context="b") as other:
        before = await shown(client)
        selector.preparing.clear()
        selector.prepared.clear()
        updating = asyncio.create_task(shop.update(goods(reversed(NAMES))))
        await selector.preparing.wait()
        assert await shown(client) == before
        page = await other.request("tools/list", meta={meta.INTENT: "visa"})
        assert [row["name"] for row in page["tools"]] == ["search_tools", "call_tool", "help"]
        refused = await other.call_tool("search_tools", query="visa")
        assert refused["isError"]
        assert said(refused) == "The catalog is being replaced, try again"
        selector.prepared.set()
        await updating
        page = await other.request("tools/list", meta={meta.INTENT: "visa"})
        assert {row["name"] for row in page["tools"][3:]} == {name for name in NAMES if "visa" in name}


async def test_a_server_that_stops_gives_up_an_update_and_starts_again() -> None:
    selector = Gated()
    shop = Shop(selector)
    async with Client(shop, context="a", intent="invoice") as client:
        before = await shown(client)
        selector.preparing.clear()
        selector.prepared.clear()
        updating = asyncio.create_task(shop.update(goods(note="new")))
        await selector.preparing.wait()
        asyncio.get_running_loop().call_soon(selector.prepared.set)
    with pytest.raises(RuntimeError, match="stopped"):
        await updating
    async with Client(shop, context="b", intent="invoice") as client:
        assert await shown(client) == before


async def test_a_catalog_that_came_before_the_server_started_is_served() -> None:
    shop = Shop()
    for number in range(3):
        await shop.update(goods(note=str(number)))
    for _ in range(2):
        async with Client(shop, context="a", intent=INTENT) as client:
            assert await listing(client) == {"2"}
            assert await searching(client) == {"2"}


async def test_a_catalog_that_comes_while_the_first_is_prepared_does_not_wait_for_it() -> None:
    selector = Gated()
    selector.prepared.clear()
    shop = Shop(selector)
    async with Client(shop, context="a", intent="invoice") as client:
        await selector.preparing.wait()
        await shop.update(goods(note="new"))
        assert await calling(client) == {"new"}
        selector.prepared.set()
        assert await listing(client) == {"new"}


@pytest.mark.parametrize("waits", [True, False])
async def test_of_catalogs_that_come_before_one_is_prepared_only_those_that_somebody_waits_for_are(
    *, waits: bool
) -> None:
    selector = Gated()
    selector.prepared.clear()
    shop = Shop(selector)
    async with Client(shop, context="a", intent="invoice") as client:
        await selector.preparing.wait()
        first = len(shop.catalog)
        await shop.update(goods(NAMES[:40]))
        waiting = asyncio.create_task(client.call_tool("search_tools", query="create invoice"))
        for _ in range(20):
            await checkpoint()
        if not waits:
            waiting.cancel()
            await asyncio.wait([waiting])
        for count in range(41, 50):
            await shop.update(goods(NAMES[:count]))
        selector.prepared.set()
        await listing(client)
        between = [len(shop.catalog) - 9] if waits else []
        assert selector.rows == [first, *between, len(shop.catalog)]
        if waits:
            assert not (await waiting).get("isError")
