"""Why each row is in the list of a context, or out of it."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from scopedtools import Context, Principal, View, ViewSettings, prompt
from scopedtools.context.explain import Reason
from scopedtools.context.store import MemoryStore
from scopedtools.protocol import meta
from scopedtools.retrieval import HybridSelector
from scopedtools.storage import ContextRecord
from scopedtools.testing import Client, HashingEncoder
from tests.context.office import PIN, Office, Words, growing, listed, of, search

pytestmark = pytest.mark.anyio

TEXT: Final = "cancel the hotel since the airline does not go there any more and nobody wants to take a train"


@prompt
def greet(self: Any) -> str:
    """Greet."""
    return ""


class Keen(Office):
    """Forbids what it is told to forbid; has a kind of few rows."""

    forbidden: tuple[str, ...] = ()
    greet = greet

    async def permitted(self, ctx: Context, rows: View) -> View:
        return rows - rows.named(*self.forbidden)


class Counting(MemoryStore):
    """Counts what is written."""

    written = 0

    async def add(self, key: bytes, record: ContextRecord) -> ContextRecord:
        self.written += 1
        return await super().add(key, record)

    async def replace(self, key: bytes, before: ContextRecord, after: ContextRecord) -> bool:
        self.written += 1
        return await super().replace(key, before, after)


def reasons(explained: list[Reason]) -> dict[str, str]:
    return {one.name: one.reason for one in explained}


def names(explained: list[Reason], *, shown: bool) -> list[str]:
    return [one.name for one in explained if one.shown == shown and one.kind == "tool"]


async def test_rows_that_are_in_stand_as_they_are_listed_each_with_its_reason() -> None:
    office = Keen()
    async with growing(office) as client:
        await listed(client, "invoice")
        await listed(client, TEXT)
        await search(client, "find visa", limit=1)
        rows = [row["name"] for row in await client.list_tools()]
        explained = await office.explain("a", intent="invoice", growth=True)
    assert names(explained, shown=True) == rows
    told = reasons(explained)
    assert (told["search_tools"], told["call_tool"], told[PIN]) == ("search", "search", "pin")
    assert {told[name] for name in of("invoice")} == {"intent"}
    assert (told["cancel_hotel"], told["find_visa"]) == ("grown by intent", "grown by search")
    assert told["greet"] == "few of its kind"
    texts = {one.name: one.text for one in explained if one.text}
    assert texts["find_visa"] == "find visa"
    assert TEXT.startswith(texts["cancel_hotel"].removesuffix("…"))
    assert len(texts["cancel_hotel"]) == 80


async def test_rows_that_are_out_say_whether_score_room_or_permission_keeps_them_out() -> None:
    office = Keen(views=ViewSettings(rows={"tool": 4}))
    office.forbidden = ("cancel_invoice", "cancel_visa")
    async with growing(office, growth=False) as client:
        shown = await listed(client, "invoice")
        explained = await office.explain("a", intent="invoice")
    assert shown == ["create_invoice", "find_invoice", "update_invoice"]
    out = {one.name: one for one in explained if not one.shown}
    assert len(out) == 61 - len([PIN, *shown])
    assert out["cancel_invoice"].reason == out["cancel_visa"].reason == "not permitted"
    assert out["cancel_visa"].score is None
    assert (out["export_invoice"].reason, out["export_invoice"].rank) == ("score", 4)
    assert out["export_invoice"].score == 1.0
    assert (out["find_visa"].reason, out["find_visa"].rank) == ("score", None)
    assert next(one.name for one in explained if not one.shown) == "export_invoice"


async def test_what_would_fit_a_later_intent_has_no_room_in_a_full_view() -> None:
    office = Office()
    async with growing(office, growth=False) as client:
        await listed(client, "invoice payment refund")
        explained = await office.explain("a", intent="cancel visa")
    told = {one.name: one for one in explained}
    assert (told["cancel_visa"].reason, told["cancel_visa"].rank) == ("no room", 1)
    assert told["create_invoice"].reason == "earlier intent"
    assert told["cancel_invoice"].reason == "intent"
    assert told["cancel_invoice"].rank is not None


async def test_what_costs_more_than_the_budget_has_no_room() -> None:
    office = Office(views=ViewSettings(budget_tokens=1))
    explained = await office.explain("a", intent="visa")
    assert {reasons(explained)[name] for name in of("visa")} == {"no room"}


async def test_a_context_that_was_never_listed_is_explained_as_it_would_be_and_nothing_begins() -> None:
    store, words = Counting(), Words()
    office = Office(words, store=store)
    explained = await office.explain("a", intent="visa")
    assert store.written == len(store) == 0
    async with growing(office, growth=False) as client:
        assert names(explained, shown=True)[3:] == await listed(client, "visa")
    written = store.written
    await office.explain("a", intent="invoice", growth=True)
    assert store.written == written


async def test_without_an_intent_nothing_else_is_known() -> None:
    explained = await Office().explain("a")
    assert names(explained, shown=True) == ["search_tools", "call_tool", PIN]
    assert {one.reason for one in explained if not one.shown} == {"no intent"}


async def test_where_selection_fails_rows_are_out_unranked() -> None:
    words = Words()
    words.failing = True
    explained = await Office(words).explain("a", intent="visa")
    assert {one.reason for one in explained if not one.shown} == {"not ranked"}


async def test_rows_of_a_parent_and_rows_that_were_permitted_later_say_so() -> None:
    office = Keen()
    office.forbidden = (PIN, "greet")
    own = {"contextId": "c", "parent": "a"}
    async with growing(office, growth=False) as parent:
        await parent.list_tools()
        await parent.request("tools/list", meta={meta.INTENT: "invoice"})
    async with Client(office, capabilities={"extensions": {meta.EXTENSION: own}}) as child:
        await child.request("tools/list", meta={meta.INTENT: "visa"})
        office.forbidden = ()
        rows = [row["name"] for row in await child.list_tools()]
        told = reasons(await office.explain("c", intent="visa"))
        preview = reasons(await office.explain("d", intent="visa", parent="a"))
    assert rows[-1] == PIN
    for explained in (told, preview):
        assert {explained[name] for name in of("invoice")} == {"parent"}
        assert {explained[name] for name in of("visa")} == {"intent"}
        assert explained[PIN] == "pin"
    assert (told["greet"], preview["greet"]) == ("permitted later", "few of its kind")


async def test_the_context_of_a_principal_is_explained_with_what_that_principal_may_use() -> None:
    class Guarded(Office):
        async def permitted(self, ctx: Context, rows: View) -> View:
            return rows if ctx.principal.has("money") else rows - rows.named(*of("invoice"))

    office = Guarded()
    ada = Principal("ada", frozenset({"money"}))
    mine = reasons(await office.explain("a", intent="invoice", principal=ada))
    theirs = reasons(await office.explain("a", intent="invoice"))
    assert {mine[name] for name in of("invoice")} == {"intent"}
    assert {theirs[name] for name in of("invoice")} == {"not permitted"}


@pytest.mark.parametrize("context_id", ["", "a b", "x" * 257, "ä"])
async def test_a_malformed_id_is_refused(context_id: str) -> None:
    with pytest.raises(ValueError, match="1 to 256 visible ASCII characters"):
        await Office().explain(context_id)


async def test_a_small_catalog_is_in_as_a_whole() -> None:
    explained = await Office(views=ViewSettings(whole_rows=61)).explain("a", intent="visa")
    assert {one.reason for one in explained if one.name != PIN} == {"few of its kind"}
    assert all(one.shown for one in explained)


async def test_clients_are_told_of_listed_rows_alone() -> None:
    office = Keen(HybridSelector(HashingEncoder()))
    office.forbidden = tuple(of("visa"))
    async with growing(office) as client:
        await listed(client, "create an invoice")
        await search(client, "find the hotel")
        said = {meta.INTENT: "create a visa", meta.EXPLAIN: True}
        page = await client.request("tools/list", meta=said)
    rows = page["_meta"][meta.VIEW]["rows"]
    assert [one["name"] for one in rows] == [one["name"] for one in page["tools"]]
    assert not [name for name in of("visa") if name in json.dumps(rows)]
    for one in rows:
        assert set(one) <= {"name", "reason", "score", "vector", "lexical", "clause", "text"}
