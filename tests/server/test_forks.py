"""Contexts that were forked from others begin with what those were shown."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

from scopedtools import Context, Principal, View, ViewSettings
from scopedtools.auth import StaticTokens
from scopedtools.context.store import MemoryStore
from scopedtools.protocol import meta
from scopedtools.storage import ContextRecord
from scopedtools.testing import Client
from tests.context.office import NOUNS, PIN, Office, Words, growing, listed, of, search

pytestmark = pytest.mark.anyio


def named(
    office: Office, context: str, parent: str | None = None, *, growth: bool = False, **more: Any
) -> Client:
    """Make a client of a context that was forked from another."""
    settings = {"contextId": context} | ({"parent": parent} if parent else {})
    own = {meta.EXTENSION: settings | ({"growth": True} if growth else {})}
    return Client(office, capabilities={"extensions": own}, **more)


async def shown(
    office: Office, context: str, parent: str | None = None, intent: str | None = None, **more: Any
) -> list[str]:
    async with named(office, context, parent, **more) as client:
        return await listed(client, intent)


async def test_a_fork_begins_with_its_parents_list_in_its_parents_order_then_comes_its_own() -> None:
    async with growing(office := Office(), "p") as parent:
        await listed(parent, "visa")
        theirs = await listed(parent, "cancel archive")
        theirs = await listed(parent, "create invoice")
    assert theirs == [*of("visa"), "cancel_archive", "create_invoice"]
    assert await shown(office, "c", "p", "hotel", growth=True) == [*theirs, *of("hotel")[:4]]


async def test_a_fork_has_room_for_half_of_the_rows_beyond_a_full_parent() -> None:
    office = Office()
    theirs = await shown(office, "p", None, "invoice payment refund")
    assert len(theirs) + len([PIN]) == 16
    everything = " ".join(NOUNS)
    child = await shown(office, "c", "p", everything)
    assert child[: len(theirs)] == theirs
    assert len(child) + len([PIN]) == 24
    grandchild = await shown(office, "g", "c", everything)
    assert grandchild[: len(child)] == child
    assert len(grandchild) + len([PIN]) == 32
    assert await shown(office, "gg", "g", everything) == grandchild


async def test_a_fork_that_grows_takes_half_of_its_room_and_grows_into_the_rest() -> None:
    office = Office()
    theirs = await shown(office, "p", None, "invoice payment refund")
    async with named(office, "c", "p", growth=True) as client:
        seed = await listed(client, "visa")
        assert seed == [*theirs, *of("visa")[:4]]
        for noun in NOUNS:
            grown = await listed(client, f"cancel {noun}")
        assert grown[: len(seed)] == seed
        assert len(grown) + len([PIN]) == 24
        await search(client, "export archive")
        assert await listed(client) == grown


async def test_the_budget_of_a_fork_is_half_more_too() -> None:
    budget_tokens = 200
    office = Office(views=ViewSettings(budget_tokens=budget_tokens))
    rows = zip(office.catalog.rows, office.catalog.costs, strict=True)
    costs = {row.name: cost for row, cost in rows}
    everything = " ".join(NOUNS)
    theirs = await shown(office, "p", None, everything)
    inherited = sum(costs[name] for name in theirs)
    child = await shown(office, "c", "p", everything)
    own = sum(costs[name] for name in child[len(theirs) :])
    assert child[: len(theirs)] == theirs
    assert budget_tokens - min(costs.values()) < inherited <= budget_tokens
    assert budget_tokens / 2 - min(costs.values()) < own <= budget_tokens / 2


async def test_a_fork_without_an_intent_has_its_parents_list_until_it_says_one() -> None:
    office = Office()
    theirs = await shown(office, "p", None, "invoice")
    for growth in (True, False):
        context = f"c{growth}"
        assert await shown(office, context, "p", growth=growth) == theirs
        assert await shown(office, context, growth=growth) == theirs
        assert await shown(office, context, "p", "visa", growth=growth) == [*theirs, *of("visa")]
        assert await shown(office, context, "p", growth=growth) == [*theirs, *of("visa")]


async def test_neither_grows_with_the_other() -> None:
    office = Office()
    async with growing(office, "p") as parent, named(office, "c", "p", growth=True) as child:
        theirs = await listed(parent, "invoice")
        own = await listed(child)
        assert own == theirs
        await search(child, "cancel visa", limit=1)
        assert await listed(parent) == theirs
        await search(parent, "find hotel", limit=1)
        assert await listed(child) == [*theirs, "cancel_visa"]
        assert await listed(parent) == [*theirs, "find_hotel"]


async def test_a_search_may_be_the_first_that_a_fork_does() -> None:
    office = Office()
    async with growing(office, "p") as parent, named(office, "c", "p", growth=True) as child:
        theirs = await listed(parent, "invoice")
        await search(child, "cancel visa", limit=1)
        assert await listed(child) == [*theirs, "cancel_visa"]


async def test_a_fork_of_a_client_that_does_not_follow_growth_begins_with_what_such_a_client_saw() -> None:
    office = Office()
    async with growing(office, "p") as parent:
        seed = await listed(parent, "invoice")
        await listed(parent, "cancel hotel")
    assert await shown(office, "c", "p") == seed


@pytest.mark.parametrize("parent", ["unknown", "c", "a b", "x" * 300])
async def test_a_parent_that_is_unknown_malformed_or_oneself_is_none(parent: str) -> None:
    assert await shown(Office(), "c", parent, "visa") == of("visa")
    assert await shown(Office(), "c", parent) == []


async def test_a_parent_that_was_forgotten_is_none() -> None:
    office = Office(store=MemoryStore(max_contexts=1))
    await shown(office, "p", None, "invoice")
    await shown(office, "other", None, "folder")
    assert await shown(office, "c", "p", "visa") == of("visa")


async def test_contexts_that_say_that_each_is_the_others_fork_are_what_they_began_as() -> None:
    office = Office()
    first = await shown(office, "a", "b", "invoice")
    second = await shown(office, "b", "a", "visa")
    assert (first, second) == (of("invoice"), [*of("invoice"), *of("visa")])
    assert await shown(office, "a", "b", "hotel") == first
    assert await shown(office, "b", "a", "hotel") == second


async def test_a_parent_is_of_the_same_principal() -> None:
    office = Office(verifier=StaticTokens({"a": Principal("ada"), "b": Principal("bo")}))
    theirs = await shown(office, "p", None, "invoice", token="a")
    assert await shown(office, "c", "p", "visa", token="b") == of("visa")
    assert await shown(office, "c", "p", "visa", token="a") == [*theirs, *of("visa")]


async def test_rows_of_the_parent_that_the_fork_may_not_use_are_hidden_and_come_in_their_places() -> None:
    class Guarded(Office):
        open_to_all = False

        async def permitted(self, ctx: Context, rows: View) -> View:
            return rows if self.open_to_all or ctx.id == "p" else rows - rows.named("find_invoice")

    office = Guarded()
    theirs = await shown(office, "p", None, "invoice")
    hidden = [name for name in theirs if name != "find_invoice"]
    assert await shown(office, "c", "p", "visa") == [*hidden, *of("visa")]
    office.open_to_all = True
    assert await shown(office, "c", "p") == [*theirs, *of("visa")]


@pytest.mark.parametrize("growth", [True, False])
async def test_first_calls_of_a_fork_side_by_side_agree(*, growth: bool) -> None:
    words = Words()
    office = Office(words)
    theirs = await shown(office, "p", None, "invoice")
    words.gate.clear()
    words.selected.clear()
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(named(office, "c", "p", growth=growth)) for _ in range(16)]
        lists = asyncio.gather(*(listed(client, "visa") for client in clients))
        await words.arrived.wait()
        words.gate.set()
        assert await lists == [[*theirs, *of("visa")]] * 16
    assert [asked.text for asked in words.selected] == ["visa"]


async def test_a_selection_that_fails_leaves_a_fork_its_parents_list_and_is_tried_again() -> None:
    words = Words()
    office = Office(words)
    theirs = await shown(office, "p", None, "invoice")
    words.failing = True
    assert await shown(office, "c", "p", "visa") == theirs
    words.failing = False
    assert await shown(office, "c", "p", "visa") == [*theirs, *of("visa")]
    words.selected.clear()
    assert await shown(office, "c", "p", "visa") == [*theirs, *of("visa")]
    assert words.selected == []


async def test_why_rows_of_a_fork_are_there_is_kept_and_nothing_of_what_was_said() -> None:
    kept: list[ContextRecord] = []

    class Watched(MemoryStore):
        async def add(self, key: bytes, record: ContextRecord) -> ContextRecord:
            kept.append(record)
            return await super().add(key, record)

    office = Office(store=Watched())
    await shown(office, "p", None, "invoice")
    await shown(office, "c", "p", "visa")
    parent, child = kept
    assert parent.additions == ()
    rows, places = office.catalog.rows, office.catalog.by_id
    names = {rows[places[one.row]].name: (one.cause, one.text) for one in child.additions}
    assert names == dict.fromkeys(of("invoice"), ("parent", ""))
    assert parent.turns == child.turns == ()
