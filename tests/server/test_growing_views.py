"""Views that grow with what is said, found and called, where the client follows lists that do."""

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final, Literal

import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given, settings
from hypothesis import strategies as st

from scopedtools import Context, Principal, View, ViewSettings, prompt
from scopedtools.assembly import SEARCH_TOOLS
from scopedtools.auth import StaticTokens
from scopedtools.catalog.catalog import Catalog
from scopedtools.context.store import MemoryStore
from scopedtools.protocol import meta
from scopedtools.retrieval import HybridSelector
from scopedtools.storage import ContextRecord
from scopedtools.testing import Client, HashingEncoder
from scopedtools.types import Describable, Turn
from tests.context.office import NOUNS, PIN, VERBS, Asked, Office, Words, growing, listed, of, search

pytestmark = pytest.mark.anyio


class WatchedStore:
    """Remembers what was kept; fails in what it is told to fail in; waits before it replaces."""

    def __init__(self, *broken: str) -> None:
        self.broken = set(broken)
        self.kept: list[ContextRecord] = []
        self._inner = MemoryStore()

    async def get(self, key: bytes) -> ContextRecord | None:
        self._fail("get")
        return await self._inner.get(key)

    async def add(self, key: bytes, record: ContextRecord) -> ContextRecord:
        self._fail("add")
        self.kept.append(record)
        return await self._inner.add(key, record)

    async def replace(self, key: bytes, before: ContextRecord, after: ContextRecord) -> bool:
        self._fail("replace")
        await checkpoint()  # as any store that is not in this process
        self.kept.append(after)
        return await self._inner.replace(key, before, after)

    def _fail(self, what: str) -> None:
        if what in self.broken:
            raise ConnectionError(f"cannot {what}")


def row(office: Office, name: str) -> int:
    found = office.catalog.find("tool", name)
    assert found is not None
    return found


# Growing


async def test_a_view_that_grows_begins_with_half_of_the_rows() -> None:
    async with growing(Office()) as client:
        assert len(await listed(client, " ".join(NOUNS))) + len([PIN]) == 8


async def test_a_new_intent_adds_rows_behind_those_that_were_listed() -> None:
    async with growing(Office()) as client:
        first = await listed(client, "invoice")
        assert first == of("invoice")
        second = await listed(client, "cancel hotel")
        assert second == [*first, "cancel_hotel"]
        third = await listed(client, "visa")
        assert third == [*second, "create_visa", "find_visa", "update_visa"]


async def test_an_intent_that_is_repeated_adds_nothing_and_is_not_searched_again() -> None:
    words = Words()
    async with growing(Office(words)) as client:
        await listed(client, "invoice")
        grown = await listed(client, "visa")
        for intent in ("visa", "invoice", "visa", None, "  ", "invoice"):
            assert await listed(client, intent) == grown
    assert [asked.text for asked in words.searched] == ["visa"]


async def test_an_intent_that_is_repeated_after_a_search_is_still_the_same() -> None:
    words = Words()
    async with growing(Office(words)) as client:
        await listed(client, "invoice")
        await search(client, "cancel visa", limit=1)
        assert await listed(client, "invoice") == [*of("invoice"), "cancel_visa"]
    assert [asked.text for asked in words.searched] == ["cancel visa"]


async def test_what_a_search_finds_is_listed_behind_the_rest() -> None:
    async with growing(Office()) as client:
        first = await listed(client, "invoice")
        assert await search(client, "visa") == of("visa")
        grown = await listed(client, "invoice")
        assert grown == [*first, "create_visa", "find_visa", "update_visa", "cancel_visa"]
        assert await search(client, "zzz") == []
        assert await listed(client, "invoice") == grown


async def test_a_search_that_found_nothing_is_not_remembered() -> None:
    words = Words()
    async with growing(Office(words)) as client:
        await listed(client, "invoice")
        assert await search(client, "zzz") == []
        await listed(client, "visa")
    assert words.searched[-1] == Asked("visa", (Turn("invoice"),))


async def test_a_search_before_anything_is_known_of_a_context_begins_its_view() -> None:
    async with growing(Office()) as client:
        assert await listed(client) == []
        assert await search(client, "visa") == of("visa")
        assert await listed(client) == of("visa")
        assert await listed(client, "invoice") == [*of("visa"), *of("invoice")]
        assert await listed(client, "cancel hotel") == [*of("visa"), *of("invoice"), "cancel_hotel"]


async def test_a_search_side_by_side_with_the_first_intent_loses_nothing() -> None:
    async with growing(Office()) as client:
        await asyncio.gather(
            listed(client, "invoice"),
            search(client, "cancel visa", limit=1),
            search(client, "find hotel", limit=1),
        )
        assert set(await listed(client)) == {*of("invoice"), "cancel_visa", "find_hotel"}


async def test_a_search_in_a_short_list_begins_nothing() -> None:
    store = WatchedStore()
    office = Office(store=store, views=ViewSettings(whole_rows=61))
    async with growing(office) as client:
        await search(client, "visa")
        assert len(await client.list_tools()) == 61
    assert store.kept == []


async def test_a_view_that_grows_begins_with_half_of_the_tokens() -> None:
    office = Office()
    costs = office.catalog.costs
    views = ViewSettings(budget_tokens=6 * costs[row(office, "create_invoice")])
    async with growing(Office(views=views)) as client:
        assert len(await listed(client, "invoice payment")) == 3
        assert len(await listed(client, "visa")) == 6


async def test_calls_are_told_to_the_selector_and_count_for_what_comes_next() -> None:
    async def after(*names: str) -> list[str]:
        words = Words()
        office = Office(words)
        async with growing(office) as client:
            await listed(client, "invoice")
            for name in names:
                await client.call_tool(name, what="x")
            grown = await listed(client, "find")
        assert words.searched[-1].history == (
            Turn("invoice", called=tuple(row(office, name) for name in names)),
        )
        return grown[5:]

    assert await after() == ["find_payment", "find_refund", "find_flight", "find_hotel"]
    assert await after("cancel_visa", "update_folder") == [
        *("find_payment", "find_refund", "find_visa", "find_folder")
    ]


async def test_calls_through_call_tool_count_and_failed_ones_and_searches_do_not() -> None:
    words = Words()
    office = Office(words)
    async with growing(office) as client:
        await listed(client, "invoice")
        await client.call_tool("call_tool", name="cancel_visa", arguments={"what": "x"})
        assert (await client.call_tool("help", what="fail"))["isError"]
        assert (await client.call_tool("cancel_hotel"))["isError"]
        await search(client, "flight")
        await client.call_tool("help", what="x")
        await listed(client, "hotel", reply="Anything else?")
    assert [asked.history for asked in words.searched] == [
        (Turn("invoice", called=(row(office, "cancel_visa"),)),),
        (
            Turn("invoice", called=(row(office, "cancel_visa"),)),
            Turn("flight", "Anything else?", called=(row(office, PIN),)),
        ),
    ]


async def test_a_full_view_stays_and_is_not_searched_for_new_intents() -> None:
    words = Words()
    async with growing(Office(words)) as client:
        await listed(client, "invoice")
        for noun in NOUNS:
            full = await listed(client, noun)
        assert len(full) + len([PIN]) == 16
        searches = len(words.searched)
        for intent in ("export create", "find update"):
            assert await listed(client, intent) == full
        assert len(words.searched) == searches
        assert await search(client, "cancel archive", limit=1) == ["cancel_archive"]
        assert words.searched[-1].history[-1] == Turn("find update")
        assert await listed(client) == full


async def test_rows_that_are_left_by_a_budget_alone_are_taken_by_what_fits_and_pins_take_none_of_it() -> None:
    office = Office()
    costs = office.catalog.costs
    one = costs[row(office, "create_invoice")]
    office = Office(views=ViewSettings(budget_tokens=7 * one + one // 2, growth="always"))
    async with growing(office) as client:
        await listed(client, "invoice")
        await listed(client, "visa")
        shown = await listed(client, "hotel flight")
    assert len(shown) == 7
    assert sum(costs[row(office, name)] for name in shown) <= 7.5 * one


def letter(number: int) -> Any:
    def write(self: Any) -> str:
        return ""

    write.__name__ = f"{VERBS[number % 5]}_letter_{number}"
    write.__doc__ = f"Letter {number}."
    return prompt(write)


async def test_each_kind_grows_up_to_its_own_limit() -> None:
    letters = [letter(number) for number in range(30)]
    office = type("Keen", (Office,), {one.__name__: one for one in letters})()
    async with growing(office) as client:

        async def prompts() -> list[str]:
            return [one["name"] for one in await client.list_all("prompts")]

        await listed(client, "cancel")
        first = await prompts()
        assert first == [f"cancel_letter_{number}" for number in (3, 8, 13, 18)]
        await listed(client, "find letter")
        grown = await prompts()
        assert grown[:4] == first
        assert grown[4:] == ["find_letter_1", "find_letter_6"]
        for intent in ("update letter", "export letter", "create letter", "letter"):
            await listed(client, intent)
        assert (await prompts())[:6] == grown
        assert len(await prompts()) == 8


# Whose views grow


async def test_a_client_that_did_not_negotiate_growth_keeps_its_first_list() -> None:
    store, words = WatchedStore(), Words()
    async with growing(Office(words, store=store), growth=False) as client:
        first = await listed(client, " ".join(NOUNS))
        assert len(first) + len([PIN]) == 16
        for noun in NOUNS:
            assert await listed(client, noun, reply="Done.") == first
            await search(client, f"cancel {noun}")
            await client.call_tool(f"cancel_{noun}", what="x")
        assert await listed(client) == first
    assert [(record.turns, record.additions) for record in store.kept] == [((), ())]
    assert {asked.history for asked in words.searched} == {()}


@pytest.mark.parametrize(
    ("growth", "client_growth"), [("never", True), ("never", False), ("negotiated", False)]
)
async def test_nothing_grows_where_the_author_or_the_client_does_not_want_it(
    growth: Literal["negotiated", "never"], *, client_growth: bool
) -> None:
    store = WatchedStore()
    office = Office(store=store, views=ViewSettings(growth=growth))
    async with growing(office, growth=client_growth) as client:
        first = await listed(client, "invoice payment refund visa")
        assert len(first) + len([PIN]) == 16
        await search(client, "hotel")
        assert await listed(client, "flight") == first
    assert [(record.turns, record.additions) for record in store.kept] == [((), ())]


@pytest.mark.parametrize("client_growth", [True, False])
async def test_an_author_can_have_views_grow_for_everybody(*, client_growth: bool) -> None:
    office = Office(views=ViewSettings(growth="always"))
    async with growing(office, growth=client_growth) as client:
        assert await listed(client, "invoice") == of("invoice")
        await search(client, "cancel visa", limit=1)
        assert await listed(client, "find hotel") == [*of("invoice"), "cancel_visa", "find_hotel"]


async def test_without_an_id_nothing_grows_and_nothing_is_kept() -> None:
    store = WatchedStore()
    office = Office(store=store, views=ViewSettings(growth="always", without_context="search"))
    async with Client(office, growth=True) as client:
        assert await listed(client, "invoice") == []
        await search(client, "visa")
        await client.call_tool("cancel_visa", what="x")
        assert await listed(client, "visa") == []
    assert store.kept == []


async def test_the_intent_hook_is_asked_once_for_each_list_of_a_view_that_grows() -> None:
    class Hooked(Office):
        asked = 0

        async def intent(self, ctx: Context) -> str | None:
            self.asked += 1
            return ctx.intent

    office = Hooked()
    async with growing(office, "a") as follower, growing(office, "b", growth=False) as other:
        for lists, intent in enumerate(("invoice", "invoice", "visa"), start=1):
            await listed(follower, intent)
            assert office.asked == lists
        for intent in ("invoice", "invoice", "visa"):
            await listed(other, intent)
    assert office.asked == 4


# Permission


class Switched(Office):
    """Forbids what it is told to forbid."""

    forbidden: tuple[str, ...] = ()

    async def permitted(self, ctx: Context, rows: View) -> View:
        return rows - rows.named(*self.forbidden)


async def test_rows_that_may_not_be_used_any_more_are_hidden_and_come_back_in_their_places() -> None:
    office = Switched()
    async with growing(office) as client:
        await listed(client, "invoice")
        before = await listed(client, "visa")
        office.forbidden = ("find_invoice", "find_visa")
        hidden = [name for name in before if name not in office.forbidden]
        assert await listed(client) == hidden
        grown = await listed(client, "cancel hotel")
        assert grown == [*hidden, "cancel_hotel"]
        office.forbidden = ()
        assert await listed(client) == [*before, "cancel_hotel"]


async def test_rows_that_may_not_be_used_are_neither_added_nor_found() -> None:
    office = Switched()
    office.forbidden = ("create_visa", "find_visa")
    async with growing(office) as client:
        await listed(client, "invoice")
        assert await search(client, "visa") == ["update_visa", "cancel_visa", "export_visa"]
        shown = await listed(client, "visa again")
        assert shown == [*of("invoice"), "update_visa", "cancel_visa", "export_visa"]


async def test_another_principal_sees_nothing_of_what_the_same_id_was_told() -> None:
    words = Words()
    tokens = StaticTokens({"a": Principal("ada"), "b": Principal("bo")})
    office = Office(words, verifier=tokens)
    async with growing(office, token="a") as ada, growing(office, token="b") as bo:
        await listed(ada, "invoice")
        await ada.call_tool("cancel_invoice", what="x")
        grown = await listed(ada, "cancel hotel")
        assert await listed(bo) == []
        await search(bo, "archive")
        assert await listed(bo, "visa") == [*of("archive"), *of("visa")]
        assert await listed(bo, "find folder") == [*of("archive"), *of("visa"), "find_folder"]
        assert await listed(ada) == grown
    assert [asked.history for asked in words.searched[-2:]] == [(), (Turn("archive"), Turn("visa"))]


# At the same time


async def test_new_intents_side_by_side_lose_nothing_and_each_list_is_the_beginning_of_the_last() -> None:
    store = WatchedStore()
    office = Office(store=store)
    async with growing(office) as client:
        first = await listed(client, "invoice")
        intents = ["cancel hotel", "find visa", "export folder", "update mailbox", "create flight"]
        lists = await asyncio.gather(*(listed(client, intent) for intent in intents))
        final = await listed(client)
    for shown in (first, *lists):
        assert final[: len(shown)] == shown
    assert set(final) == {*first, *(intent.replace(" ", "_") for intent in intents)}
    assert [turn.text for turn in store.kept[-1].turns] == ["invoice", *intents]


async def test_intents_searches_and_calls_side_by_side_lose_nothing() -> None:
    store = WatchedStore()
    office = Office(store=store)
    async with growing(office) as client:
        await listed(client, "invoice")
        await asyncio.gather(
            listed(client, "cancel hotel"),
            search(client, "find visa", limit=1),
            client.call_tool("export_folder", what="x"),
            search(client, "update mailbox", limit=1),
            client.call_tool("create_flight", what="x"),
        )
        final = await listed(client)
    assert set(final) == {*of("invoice"), "cancel_hotel", "find_visa", "update_mailbox"}
    turns = store.kept[-1].turns
    assert {turn.text for turn in turns} == {"invoice", "cancel hotel", "find visa", "update mailbox"}
    called = {one for turn in turns for one in turn.called}
    assert called == {office.catalog.ids[row(office, name)] for name in ("export_folder", "create_flight")}


async def test_one_new_intent_on_many_requests_is_searched_once() -> None:
    class Counting(Office):
        arrived = 0
        all_arrived = asyncio.Event()

        async def intent(self, ctx: Context) -> str | None:
            self.arrived += 1
            if self.arrived == 17:
                self.all_arrived.set()
            return ctx.intent

    words = Words()
    office = Counting(words)
    async with growing(office) as client:
        await listed(client, "invoice")
        words.gate.clear()
        lists = asyncio.gather(*(listed(client, "cancel hotel") for _ in range(16)))
        await office.all_arrived.wait()
        words.gate.set()
        assert await lists == [[*of("invoice"), "cancel_hotel"]] * 16
    assert [asked.text for asked in words.searched] == ["cancel hotel"]


async def test_first_intents_side_by_side_seed_one_view_that_grows_by_the_others() -> None:
    words = Words()
    async with growing(Office(words)) as client:
        lists = await asyncio.gather(*(listed(client, f"cancel {noun}") for noun in ("hotel", "visa")))
        final = await listed(client)
    assert [asked.text for asked in words.selected] == ["cancel hotel"]
    assert [asked.text for asked in words.searched] == ["cancel visa"]
    assert [final[: len(shown)] for shown in lists] == lists
    assert "cancel_visa" in lists[1]


async def test_contexts_do_not_wait_for_each_other_and_a_client_that_leaves_holds_up_nobody() -> None:
    words = Words()
    office = Office(words)
    async with growing(office, "a") as gone, growing(office, "a") as stays, growing(office, "b") as other:
        for client in (gone, other):
            await listed(client, "invoice")
        words.gate.clear()
        words.arrived.clear()
        leaving = asyncio.ensure_future(listed(gone, "cancel hotel"))
        await words.arrived.wait()
        waiting = asyncio.ensure_future(listed(stays, "cancel visa"))
        assert await listed(other) == of("invoice")
        await other.call_tool("cancel_visa", what="x")
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        words.gate.set()
        assert await waiting == [*of("invoice"), "cancel_visa"]


async def test_calls_do_not_wait_for_a_selector_that_is_not_ready() -> None:
    class Slow(Words):
        async def prepare(self, rows: Sequence[Describable]) -> None:
            self.arrived.set()
            await self.gate.wait()
            await super().prepare(rows)

    store, words = MemoryStore(), Slow()
    async with growing(Office(store=store, secret=b"s")) as client:
        await listed(client, "invoice")
    words.gate.clear()
    async with growing(Office(words, store=store, secret=b"s")) as client:
        waiting = asyncio.ensure_future(listed(client, "cancel hotel"))
        await words.arrived.wait()
        async with asyncio.timeout(10):
            await client.call_tool("help", what="x")
            assert await listed(client) == await listed(client, "invoice") == of("invoice")
        assert not waiting.done()
        words.gate.set()
        assert await waiting == [*of("invoice"), "cancel_hotel"]


async def test_no_lock_is_left_behind() -> None:
    office = Office()
    async with growing(office, "a") as one, growing(office, "b") as two:
        await asyncio.gather(*(listed(client, noun) for client in (one, two) for noun in NOUNS))
        await asyncio.gather(*(search(client, noun) for client in (one, two) for noun in NOUNS))
    policy = office._updates.edition.policy
    assert len(policy._saying) == len(policy._records._changing) == 0


# Failures


@pytest.mark.parametrize("broken", [("get",), ("add",), ("replace",), ("get", "add", "replace")])
async def test_a_store_that_fails_breaks_no_list_search_or_call(
    broken: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    office = Office(store=WatchedStore(*broken))
    async with growing(office) as client:
        assert await listed(client, "invoice") == of("invoice")
        assert await search(client, "cancel hotel", limit=1) == ["cancel_hotel"]
        assert not (await client.call_tool("cancel_visa", what="x")).get("isError")
        assert await listed(client, "visa")
    assert f"cannot {broken[0]}" in caplog.text


async def test_what_could_not_be_kept_is_not_listed_and_comes_when_the_store_is_back() -> None:
    store = WatchedStore()
    async with growing(Office(store=store)) as client:
        await listed(client, "invoice")
        store.broken = {"replace"}
        assert await listed(client, "cancel hotel") == of("invoice")
        store.broken = set()
        assert await listed(client, "cancel hotel") == [*of("invoice"), "cancel_hotel"]


async def test_a_store_that_comes_back_has_what_it_had() -> None:
    store = WatchedStore()
    async with growing(Office(store=store)) as client:
        await listed(client, "invoice")
        grown = await listed(client, "cancel hotel")
        store.broken = {"get"}
        await listed(client, "find visa")
        await search(client, "find folder", limit=1)
        store.broken = set()
        assert await listed(client) == grown


async def test_a_search_that_fails_leaves_the_list_as_it_was_and_is_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    words = Words()
    async with growing(Office(words)) as client:
        await listed(client, "invoice")
        words.failing = True
        assert await listed(client, "cancel hotel") == of("invoice")
        assert "no selection today" in caplog.text
        words.failing = False
        assert await listed(client, "cancel hotel") == [*of("invoice"), "cancel_hotel"]


async def test_a_context_that_was_forgotten_begins_anew() -> None:
    store = MemoryStore(max_contexts=1)
    office = Office(store=store)
    async with growing(office, "a") as client, growing(office, "b") as other:
        await listed(client, "invoice")
        await listed(client, "cancel hotel")
        await listed(other, "visa")
        await client.call_tool("cancel_visa", what="x")
        await search(client, "cancel folder", limit=1)
        assert await listed(client) == ["cancel_folder"]
        assert await listed(client, "hotel") == ["cancel_folder", *of("hotel")]


# What is kept


async def test_what_is_kept_of_a_context_is_bounded() -> None:
    store = WatchedStore()
    async with growing(Office(store=store)) as client:
        for number in range(12):
            await listed(client, f"{number} invoice " + "x" * 10_000, reply="y" * 10_000)
            for _ in range(20):
                await client.call_tool("cancel_visa", what="x")
    last = store.kept[-1]
    assert [turn.text[: turn.text.index(" ")] for turn in last.turns] == [str(n) for n in range(4, 12)]
    assert {len(turn.text) for turn in last.turns} == {400}
    assert {len(turn.reply) for turn in last.turns} == {400, 0}
    assert {len(turn.called) for turn in last.turns} == {16}
    assert len(last.rows) <= 16 + len(SEARCH_TOOLS)
    assert all(len(one.text) <= 80 for one in last.additions)


async def test_a_client_that_does_not_follow_growth_keeps_its_list_while_others_of_its_context_grow_it() -> (
    None
):
    words = Words()
    office = Office(words)
    async with growing(office) as follower, growing(office, growth=False) as other:
        seed = await listed(follower, "invoice")
        grown = await listed(follower, "cancel hotel")
        assert await listed(other, "visa") == seed
        await search(other, "visa")
        await search(follower, "find folder", limit=1)
        assert await listed(other) == seed
        assert await listed(follower) == [*grown, "find_folder"]
    assert Asked("visa", ()) in words.searched


async def test_a_first_intent_of_a_client_that_does_not_follow_growth_fills_a_view_that_a_search_began() -> (
    None
):
    async with growing(office := Office()) as follower, growing(office, growth=False) as other:
        await search(follower, "cancel visa", limit=1)
        assert await listed(other) == []
        seed = await listed(other, "invoice payment refund")
        assert len(seed) + len([PIN, "cancel_visa"]) == 16
        assert await listed(follower) == ["cancel_visa", *seed]
        assert await listed(follower, "find hotel") == ["cancel_visa", *seed]
        assert await listed(other, "folder") == seed


async def test_a_full_view_of_a_client_that_did_not_follow_growth_is_followed_as_it_is() -> None:
    words = Words()
    office = Office(words)
    async with growing(office, growth=False) as other, growing(office) as follower:
        full = await listed(other, "invoice payment refund visa")
        assert await listed(follower, "cancel hotel") == full
        await search(follower, "find folder", limit=1)
        assert await listed(follower) == full
    assert words.searched[-1].history == (Turn("cancel hotel"),)


# Any sequence

STEPS: Final = st.one_of(
    st.tuples(
        st.just("intent"),
        st.lists(st.sampled_from([*NOUNS, *VERBS, "zzz"]), min_size=1, max_size=4).map(" ".join),
    ),
    st.tuples(st.just("search"), st.sampled_from([*NOUNS, *VERBS, "zzz", "find visa"])),
    st.tuples(st.just("call"), st.sampled_from([name for noun in NOUNS[:3] for name in of(noun)])),
)


async def followed(office: Office, steps: Sequence[tuple[str, str]]) -> list[bytes]:
    """Take the steps in one context and return the names after each."""
    lists = []
    async with growing(office) as client:
        for step, text in steps:
            if step == "search":
                await search(client, text, limit=7)
            elif step == "call":
                await client.call_tool(text, what="x")
            lists.append(" ".join(await listed(client, text if step == "intent" else None)).encode())
    return lists


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(STEPS, min_size=1, max_size=12),
    rows=st.integers(1, 16),
    budget_share=st.integers(1, 16),
)
def test_whatever_is_said_found_and_called_a_list_goes_on_as_it_began(
    steps: list[tuple[str, str]], rows: int, budget_share: int
) -> None:
    catalog: Catalog = Office().catalog
    largest = max(catalog.costs)
    views = ViewSettings(rows={"tool": rows}, budget_tokens=largest * budget_share)
    lists = asyncio.run(followed(Office(views=views), steps))
    assert lists == asyncio.run(followed(Office(views=views), steps))
    before: list[str] = []
    for names in lists:
        shown = names.decode().split()
        assert shown[: len(before)] == before
        assert len(shown) + len([PIN]) <= max(1, rows)
        costs = [catalog.costs[found] for name in shown if (found := catalog.find("tool", name)) is not None]
        assert sum(costs) <= largest * budget_share
        assert not set(shown) & {*SEARCH_TOOLS, PIN}
        before = shown


async def test_what_a_grown_view_shows_can_be_explained() -> None:
    async with growing(Office()) as client:
        await listed(client, "invoice")
        await search(client, "cancel hotel", limit=1)
        told = {meta.INTENT: "find visa", meta.EXPLAIN: True}
        page = await client.request("tools/list", meta=told)
    reasons = {one["name"]: one["reason"] for one in page["_meta"][meta.VIEW]["rows"]}
    assert reasons["find_visa"] == "grown by intent"
    assert reasons["cancel_hotel"] == "grown by search"
    assert reasons["create_invoice"] == "earlier intent"


async def test_views_grow_with_the_default_selector() -> None:
    office = Office(HybridSelector(HashingEncoder()))
    async with growing(office) as client:
        lists = [await listed(client, "create an invoice and export the payment")]
        lists.append(await listed(client, "find a hotel"))
        await search(client, "cancel the visa")
        lists.append(await listed(client))
    for before, after in pairwise(lists):
        assert after[: len(before)] == before
    assert "find_hotel" in lists[1]
    assert "cancel_visa" in lists[2]
