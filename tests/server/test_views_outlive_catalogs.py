"""Lists of contexts when the catalog is replaced: no row moves, and none goes but with the catalog."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from scopedtools import Catalog, ViewSettings
from scopedtools.catalog.primitives import Prompt
from scopedtools.context.store import MemoryStore
from scopedtools.protocol import meta
from scopedtools.storage import ContextRecord
from tests.context.office import growing, listed, search
from tests.server.live_shop import NAMES, Shop, Words, changed, good, goods, notes, of

pytestmark = pytest.mark.anyio


def without(*names: str) -> list[str]:
    return [name for name in NAMES if name not in names]


def replicas(**options: Any) -> tuple[Shop, Shop]:
    store = MemoryStore()
    return (
        Shop(Words(), store=store, secret=b"shared", **options),
        Shop(Words(), store=store, secret=b"shared", **options),
    )


async def test_a_list_stays_when_rows_come_and_the_catalog_is_in_another_order() -> None:
    shop = Shop(Words())
    async with growing(shop, growth=False) as client:
        before = await listed(client, "invoice hotel")
        await shop.update(goods(["paint_invoice", *reversed(NAMES), "paint_hotel"]))
        assert await listed(client, "invoice hotel") == before == [*of("invoice"), *of("hotel")]


async def test_a_row_that_goes_is_taken_out_and_returns_to_its_place() -> None:
    shop = Shop(Words())
    async with growing(shop, growth=False) as client:
        before = await listed(client, "invoice hotel")
        for gone in ("create_invoice", "find_hotel"):
            await shop.update(goods(without(gone)))
            assert await listed(client) == [name for name in before if name != gone]
        await shop.update(goods())
        assert await listed(client) == before


async def test_a_row_with_a_new_definition_keeps_its_place() -> None:
    shop = Shop(Words())
    async with growing(shop, growth=False) as client:
        before = await listed(client, "invoice hotel")
        await shop.update(changed(find_invoice="Slowly.", cancel_hotel="For free."))
        assert await listed(client) == before
        said = {name: note for name, note in (await notes(client)).items() if note}
        assert said == {"find_invoice": "Slowly.", "cancel_hotel": "For free."}


async def test_a_row_of_another_kind_with_the_name_of_one_that_went_is_another_row() -> None:
    shop = Shop(Words())
    async with growing(shop, growth=False) as client:
        before = await listed(client, "invoice")
        prompt = Prompt(name="find_invoice", description="Find.")
        await shop.update(Catalog([*goods(without("find_invoice")).rows, prompt]))
        assert await listed(client) == [name for name in before if name != "find_invoice"]


async def test_new_rows_come_by_search_and_new_intents_and_behind_what_was_there() -> None:
    shop = Shop(Words())
    async with growing(shop) as client:
        before = await listed(client, "invoice")
        await shop.update(goods(["paint_invoice", *NAMES]))
        assert await listed(client, "invoice") == before
        assert await search(client, "paint invoice", limit=1) == ["paint_invoice"]
        assert await listed(client) == [*before, "paint_invoice"]
        await shop.update(goods(["paint_visa", "paint_invoice", *NAMES]))
        assert await listed(client, "paint visa") == [*before, "paint_invoice", "paint_visa"]


async def test_pins_and_kinds_of_few_rows_are_shown_at_once_and_at_the_end() -> None:
    shop = Shop(Words())
    async with growing(shop, growth=False) as client:
        before = await listed(client, "invoice")
        pinned = good("sign", pinned=True)
        prompt = Prompt(name="greet", description="Greet.")
        await shop.update(Catalog([pinned, *goods().rows, prompt]))
        assert await listed(client) == [*before, "sign"]
        assert [row["name"] for row in await client.list_all("prompts")] == ["greet"]


async def test_what_was_said_and_called_before_still_counts() -> None:
    words = Words()
    shop = Shop(words)
    async with growing(shop) as client:
        await listed(client, "invoice")
        await client.call_tool("find_visa")
        await client.call_tool("find_flight")
        await shop.update(goods(reversed(without("find_flight"))))
        await listed(client, "hotel")
    (turn,) = words.searched[-1].history
    assert turn.text == "invoice"
    assert [shop.catalog.rows[row].name for row in turn.called] == ["find_visa"]


async def test_a_fork_begins_with_the_list_of_a_parent_of_an_earlier_catalog() -> None:
    shop = Shop(Words())
    async with growing(shop, "parent", growth=False) as client:
        before = await listed(client, "invoice")
    await shop.update(goods(reversed(NAMES)))
    async with growing(shop, "child", growth=False) as client:
        page = await client.request("tools/list", meta={meta.PARENT: "parent"})
        assert [row["name"] for row in page["tools"][3:]] == before


async def test_where_nothing_is_left_of_what_was_chosen_the_next_intent_chooses_again_once() -> None:
    words = Words()
    shop = Shop(words)
    async with growing(shop, growth=False) as client:
        await listed(client, "invoice")
        others = [f"{verb}_{noun}" for verb in ("paint", "sell") for noun in map(str, range(20))]
        await shop.update(goods([*others, "sell_invoice"]))
        words.selected.clear()
        for _ in range(3):
            assert await listed(client, "invoice") == ["sell_invoice"]
        assert len(words.selected) == 1
        await shop.update(goods(others))
        for _ in range(3):
            assert await listed(client, "visa") == []
        assert len(words.selected) == 2
        await shop.update(goods())
        assert await listed(client) == of("invoice")


async def test_it_chooses_again_although_something_was_called_first() -> None:
    shop = Shop(Words())
    async with growing(shop) as client:
        await listed(client, "invoice")
        await shop.update(goods([*(f"sell_{number}" for number in range(40)), "sell_invoice"]))
        await client.call_tool("sell_7")
        assert await listed(client, "invoice") == ["sell_invoice"]


async def test_who_saw_all_of_a_small_catalog_keeps_it_when_it_becomes_large() -> None:
    few = NAMES[50:] + NAMES[:5]
    shop = Shop(Words(), catalog=goods(few))
    async with growing(shop, growth=False) as client, growing(shop, "b", growth=False) as other:
        whole = [row["name"] for row in await client.list_tools()]
        assert whole == ["help", *few]
        await shop.update(goods())
        first = [row["name"] for row in await client.list_tools()]
        assert first == [*whole, "search_tools", "call_tool"]
        assert [row["name"] for row in await client.list_tools()] == first
        assert await listed(other, "hotel") == of("hotel")
        await shop.update(goods(NAMES[5:]))
        left = [row["name"] for row in await client.list_tools()]
        assert left == [name for name in first if name not in NAMES[:5]]


async def test_a_list_keeps_its_order_when_a_large_catalog_becomes_small() -> None:
    shop = Shop(Words())
    async with growing(shop, growth=False) as client, growing(shop, "b", growth=False) as other:
        before = await listed(client, "visa hotel")
        left = of("invoice") + of("hotel")
        await shop.update(goods(left))
        now = await listed(client)
        assert now == of("hotel") + of("invoice")
        assert [row["name"] for row in await other.list_tools()] == ["help", *left]
        await shop.update(goods())
        assert await listed(client) == [*before, *of("invoice")]


async def test_first_requests_after_an_update_side_by_side_get_one_list() -> None:
    shop = Shop(Words())
    async with growing(shop) as client:
        before = await listed(client, "invoice")
        await shop.update(goods([*reversed(NAMES), "paint_visa"]))
        lists = await asyncio.gather(*(listed(client, "paint visa") for _ in range(16)))
        assert all(one == [*before, "paint_visa"] for one in lists)


# Several servers, of which one has the new catalog already


async def test_while_a_catalog_is_rolled_out_both_servers_go_on_with_one_list() -> None:
    one, other = replicas()
    async with growing(one) as old, growing(other) as new:
        before = await listed(old, "invoice")
        await other.update(goods(["paint_visa", *reversed(without("find_invoice"))]))
        left = [name for name in before if name != "find_invoice"]
        assert await listed(new) == left
        await search(new, "paint visa", limit=1)
        assert await listed(new) == [*left, "paint_visa"]
        assert await listed(old) == before
        await search(old, "cancel hotel", limit=1)
        assert await listed(old) == [*before, "cancel_hotel"]
        assert await listed(new) == [*left, "paint_visa", "cancel_hotel"]
        await one.update(other_catalog := goods(["paint_visa", *NAMES]))
        await other.update(other_catalog)
        assert await listed(old) == await listed(new) == [*before, "paint_visa", "cancel_hotel"]


async def test_a_server_that_starts_with_another_catalog_goes_on_with_the_lists_of_the_one_before() -> None:
    one, _ = replicas()
    async with growing(one, growth=False) as client:
        before = await listed(client, "invoice")
    later = Shop(Words(), store=one._updates._ground.store, secret=b"shared", catalog=goods(reversed(NAMES)))
    async with growing(later, growth=False) as client:
        assert await listed(client) == before


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_comes_and_goes_no_list_of_two_servers_is_shuffled(seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - the same each time
    shops = replicas(views=ViewSettings(rows={"tool": 40}))
    names: list[list[str]] = [list(NAMES), list(NAMES)]
    async with growing(shops[0]) as one, growing(shops[1]) as other:
        clients = (one, other)
        order = await listed(one, "invoice")
        for step in range(25):
            which = dice.randrange(2)
            match dice.randrange(3):
                case 0:
                    present = [name for name in NAMES if dice.random() < 0.9]
                    names[which] = [f"paint_{step}", *dice.sample(present, len(present))]
                    await shops[which].update(goods(names[which], note=str(step)))
                case 1:
                    await search(clients[which], dice.choice(names[which]).replace("_", " "), limit=1)
                case _:
                    await listed(clients[which], dice.choice(names[which]).replace("_", " "))
            now = await listed(clients[which])
            left = [name for name in order if name in names[which]]
            assert now[: len(left)] == left
            assert not set(now[len(left) :]) & set(order)
            order += now[len(left) :]
    assert len(order) > 10


async def test_rows_that_went_are_not_remembered_without_end() -> None:
    kept: list[ContextRecord] = []

    class Watched(MemoryStore):
        async def replace(self, key: bytes, before: ContextRecord, after: ContextRecord) -> bool:
            kept.append(after)
            return await super().replace(key, before, after)

    shop = Shop(Words(), store=Watched(), views=ViewSettings(rows={"tool": 60}, budget_tokens=100_000))
    async with growing(shop) as client:
        await listed(client, "invoice")
        for turn in range(60):
            await shop.update(goods([*NAMES, *(f"a{n}_t{turn}" for n in range(15))]))
            await listed(client, f"t{turn}")
        assert (await listed(client))[:5] == of("invoice")
    assert 256 < max(len(record.rows) for record in kept) < 256 + 20
