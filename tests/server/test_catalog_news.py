"""Who is told that a catalog was replaced: those whose own list is another, and nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from scopedtools import Catalog, Context, Principal, View
from scopedtools.auth import StaticTokens
from scopedtools.catalog.primitives import Prompt
from scopedtools.exceptions import DefinitionError
from scopedtools.testing import Client, WireError
from scopedtools.types import Selector
from tests.context.office import growing, listed
from tests.server.live_shop import NAMES, Gated, Shop, Words, changed, good, goods, of
from tests.server.test_growth_is_told import CHANGED, listening, told
from tests.streams.opened import Opened

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def two(selector: Selector | None = None) -> AsyncIterator[tuple[Shop, Opened, Opened]]:
    """Listen in two contexts, one about invoices and one about hotels."""
    shop = Shop(selector or Words())
    async with AsyncExitStack() as stack:
        streams = []
        for context, intent in (("a", "invoice"), ("b", "hotel")):
            client = await stack.enter_async_context(growing(shop, context))
            await listed(client, intent)
            streams.append(await stack.enter_async_context(listening(shop, context)))
        yield shop, streams[0], streams[1]


async def test_only_those_who_are_shown_a_row_hear_that_it_changed() -> None:
    async with two() as (shop, invoices, hotels):
        await shop.update(changed(find_invoice="Slowly."))
        assert await told(shop, invoices) == [CHANGED]
        assert await told(shop, hotels) == []


async def test_only_those_who_are_shown_a_row_hear_that_it_went() -> None:
    async with two() as (shop, invoices, hotels):
        await shop.update(goods(name for name in NAMES if name != "cancel_hotel"))
        assert await told(shop, invoices) == []
        assert await told(shop, hotels) == [CHANGED]


async def test_rows_that_nobody_is_shown_and_their_order_are_no_news() -> None:
    async with two() as (shop, invoices, hotels):
        await shop.update(goods(["paint_visa", *reversed(NAMES)]))
        await shop.update(goods([name for name in NAMES if "visa" not in name], tags=frozenset({"x"})))
        assert await told(shop, invoices) == await told(shop, hotels) == []


async def test_each_list_is_told_by_itself() -> None:
    async with two() as (shop, invoices, hotels):
        await shop.update(Catalog([*goods().rows, Prompt(name="greet", description="Greet.")]))
        assert await told(shop, invoices) == await told(shop, hotels) == []
    async with two() as (shop, _, _):
        await shop.update(Catalog([*goods().rows, Prompt(name="greet", description="Greet.")]))
        async with listening(shop, "c") as late:
            await shop.update(Catalog([*goods().rows, Prompt(name="greet", description="Greet all.")]))
            assert await told(shop, late) == ["notifications/prompts/list_changed"]


async def test_who_is_told_gets_the_new_list_at_once() -> None:
    async with two() as (shop, invoices, _), growing(shop) as client:
        await shop.update(goods(name for name in NAMES if name != "find_invoice"))
        assert (await invoices.message())["method"] == CHANGED
        assert await listed(client) == [name for name in of("invoice") if name != "find_invoice"]


async def test_an_update_that_fails_is_no_news() -> None:
    selector = Gated()
    async with two(selector) as (shop, invoices, hotels):
        with pytest.raises(DefinitionError):
            await shop.update(Catalog([good("help")]))
        selector.refuses.add(len(shop.catalog) - 5)
        with pytest.raises(RuntimeError, match="cannot be prepared"):
            await shop.update(goods(NAMES[5:]))
        assert await told(shop, invoices) == await told(shop, hotels) == []


async def test_permission_is_asked_for_the_rows_that_there_are_now() -> None:
    class Guarded(Shop):
        async def permitted(self, ctx: Context, rows: View) -> View:
            return rows if ctx.principal.name == "ada" else rows - rows.tagged("secret")

    tokens = StaticTokens({"a": Principal("ada"), "b": Principal("bo")})
    shop = Guarded(Words(), verifier=tokens)
    async with AsyncExitStack() as stack:
        for token in "ab":
            await listed(await stack.enter_async_context(growing(shop, token=token)), "invoice")
        ada, bo = [await stack.enter_async_context(listening(shop, token=token)) for token in "ab"]
        hidden = [good(name, tags=frozenset({"secret"} if name == "find_invoice" else ())) for name in NAMES]
        await shop.update(Catalog(hidden))
        assert (await told(shop, ada), await told(shop, bo)) == ([], [CHANGED])
        client = await stack.enter_async_context(Client(shop, context="a", token="b"))
        with pytest.raises(WireError, match="Unknown tool"):
            await client.call_tool("find_invoice")


async def test_scopes_of_the_new_rows_are_asked_for() -> None:
    shop = Shop(Words(), verifier=StaticTokens({"b": Principal("bo")}))
    async with Client(shop, context="a", token="b") as client:
        await client.call_tool("find_invoice")
        await shop.update(goods(scopes=frozenset({"sell"})))
        with pytest.raises(WireError) as refused:
            await client.call_tool("find_invoice")
        assert refused.value.status == 403
        await shop.update(goods())
        await client.call_tool("find_invoice")


async def test_a_search_that_comes_too_late_for_the_selector_says_so_and_takes_it_from_nobody() -> None:
    selector = Gated()
    shop = Shop(selector, catalog=goods(NAMES[:5]))
    async with Client(shop, context="a") as client:
        shop.gate.clear()
        late = asyncio.create_task(client.call_tool("search_tools", query="invoice"))
        await shop.entered.wait()
        await shop.update(goods())
        shop.gate.set()
        said = (await late)["content"][0]["text"]
        assert said == "The catalog was replaced, try again"
        found = await client.call_tool("search_tools", query="export archive", limit=1)
        assert [row["name"] for row in found["structuredContent"]["tools"]] == ["export_archive"]
        assert selector.rows == [len(shop.catalog)]
