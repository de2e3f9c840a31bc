"""What belongs to one catalog: it stays with the requests that began on it, and goes with them."""

from __future__ import annotations

import asyncio
import gc
import weakref

import msgspec
import pytest
from anyio.lowlevel import checkpoint

from scopedtools.protocol.envelope import decode
from scopedtools.protocol.request import Ingress
from scopedtools.protocol.revisions import LATEST
from scopedtools.protocol.understood import understand
from scopedtools.testing import Client, WireError
from tests.context.office import growing, listed
from tests.server.live_shop import Gated, Shop, Words, goods, shown
from tests.server.test_growth_is_told import CHANGED, listening, told
from tests.server.test_live_catalog import INTENT
from tests.transports.test_stdio_transport import connected
from tests.wire.exchange import ENVELOPE, message

pytestmark = pytest.mark.anyio


async def test_a_request_that_was_admitted_is_answered_by_the_catalog_of_that_time() -> None:
    shop = Shop(catalog=goods(["sell"], note="old"))
    call = message("tools/call", {"name": "sell", "arguments": {}, "_meta": ENVELOPE}, message_id=1)
    async with shop:
        said = decode(msgspec.json.encode(call))
        understood = understand("tools/call", said.params, lambda _: LATEST)
        request = shop.dispatcher.admit(said, understood, Ingress())
        await shop.update(goods(["buy"]))
        assert b"sell old" in (await shop.dispatcher.run(request)).body


async def test_a_look_at_a_list_under_way_sees_one_catalog(caplog: pytest.LogCaptureFixture) -> None:
    shop = Shop(Words())
    async with growing(shop) as client, listening(shop) as stream:
        await listed(client, "invoice")
        assert (await stream.message())["method"] == CHANGED
        shop.entered.clear()
        shop.gate.clear()
        looking = asyncio.create_task(shop.lists_changed())
        await shop.entered.wait()
        updating = asyncio.create_task(shop.update(goods(note="new")))
        async with asyncio.timeout(10):
            while "new" not in shop.catalog.rows[-1].description:
                await checkpoint()
        shop.gate.set()
        await asyncio.gather(looking, updating)
        assert await told(shop, stream) == [CHANGED]
    assert not caplog.records


async def test_a_selector_is_not_prepared_for_other_rows_while_it_ranks() -> None:
    selector = Gated()
    shop = Shop(selector)
    async with growing(shop) as client:
        await listed(client, "invoice")
        selector.gate.clear()
        selector.arrived.clear()
        searching = asyncio.create_task(client.call_tool("search_tools", query="visa", limit=1))
        await selector.arrived.wait()
        updating = asyncio.create_task(shop.update(goods(reversed([row.name for row in goods().rows]))))
        async with asyncio.timeout(10):
            while (await shop._updates.edition.selection.ready())._open:  # type: ignore[attr-defined]
                await checkpoint()
        assert (await client.call_tool("search_tools", query="visa"))["isError"]
        assert len(selector.rows) == 1
        selector.gate.set()
        found = (await searching)["structuredContent"]["tools"]
        assert [row["name"] for row in found] == ["create_visa"]
        await updating
        assert len(selector.rows) == 2


async def test_a_catalog_that_is_the_same_for_clients_and_selection_is_not_indexed_again() -> None:
    selector = Gated()
    shop = Shop(selector, catalog=goods(["sell", *(f"buy_{number}" for number in range(30))]))
    async with Client(shop, context="a", intent="buy") as client:
        await client.list_tools()
        before = shop.catalog
        await shop.update(goods(["sell", *(f"buy_{number}" for number in range(30))]))
        assert shop.catalog is not before
        assert len(selector.rows) == 1


async def test_a_catalog_that_was_replaced_goes_although_somebody_listens_since_then() -> None:
    shop = Shop()
    async with shop, connected(shop) as client, Client(shop, context="a", intent=INTENT) as other:
        await shop.update(goods(note="old"))  # the first selector is the test's
        await client.ask("initialize", {"protocolVersion": "2025-11-25"})
        listen = {"_meta": ENVELOPE, "notifications": {"toolsListChanged": True}}
        client.send("subscriptions/listen", listen, 9)
        assert (await client.read())["method"] == "notifications/subscriptions/acknowledged"
        await shown(other)
        old = weakref.ref(await shop._updates.edition.selection.ready())
        edition, catalog = weakref.ref(shop._updates.edition), weakref.ref(shop.catalog)
        await shop.update(goods(note="new"))
        assert {(await client.read())["method"] for _ in range(2)} == {"notifications/tools/list_changed"}
        assert old() is None  # at once: it holds the vectors
        gc.collect()
        assert (edition(), catalog()) == (None, None)


async def test_tools_of_the_new_catalog_check_the_headers_that_mirror_their_arguments() -> None:
    schema = {
        "type": "object",
        "properties": {"room": {"type": "string", "x-mcp-header": "Room"}},
    }
    shop = Shop(catalog=goods(["enter"]))
    headers = {"Mcp-Param-Room": "red"}
    async with Client(shop, headers=headers) as client:
        await client.call_tool("enter", room="blue")
        await shop.update(goods(["enter"], input_schema=schema))
        with pytest.raises(WireError):
            await client.call_tool("enter", room="blue")
        assert msgspec.json.encode(await client.call_tool("enter", room="red"))


async def test_catalogs_that_were_never_served_are_not_kept() -> None:
    shop = Shop()
    await shop.update(goods(note="first"))
    first = weakref.ref(shop._updates.edition.selection)
    for number in range(3):
        await shop.update(goods(note=str(number)))
    gc.collect()
    assert first() is None
