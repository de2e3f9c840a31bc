"""Views that several servers share, and views whose permission changes: no row moves or goes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any, Final

import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given, settings
from hypothesis import strategies as st

from scopedtools import Context, View, ViewSettings, prompt
from scopedtools.assembly import SEARCH_TOOLS
from scopedtools.context.store import MemoryStore
from scopedtools.protocol import meta
from scopedtools.storage import ContextRecord
from scopedtools.testing import Client
from scopedtools.types import Ranking, Rows, Turn
from tests.context.office import NOUNS, PIN, VERBS, Office, Words, growing, listed, of, search

pytestmark = pytest.mark.anyio


class Far(MemoryStore):
    """A store at a distance: others come in between."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self._random = random.Random(seed)  # noqa: S311 - the same each time
        self.keys: set[bytes] = set()
        self.replaced: list[bool] = []

    async def get(self, key: bytes) -> ContextRecord | None:
        await self._wait()
        return await super().get(key)

    async def add(self, key: bytes, record: ContextRecord) -> ContextRecord:
        await self._wait()
        self.keys.add(key)
        return await super().add(key, record)

    async def replace(self, key: bytes, before: ContextRecord, after: ContextRecord) -> bool:
        await self._wait()
        self.replaced.append(await super().replace(key, before, after))
        return self.replaced[-1]

    async def _wait(self) -> None:
        for _ in range(self._random.randrange(4)):
            await checkpoint()


def replicas(store: MemoryStore, count: int = 2, **options: Any) -> list[Office]:
    return [Office(store=store, secret=b"shared", **options) for _ in range(count)]


def begins(longer: Sequence[str], shorter: Sequence[str]) -> bool:
    return list(longer[: len(shorter)]) == list(shorter)


# Several servers


@pytest.mark.parametrize("seed", range(20))
async def test_servers_that_share_a_store_lose_no_row_whatever_comes_in_between(seed: int) -> None:
    store, dice = Far(seed), random.Random(seed)  # noqa: S311 - the same each time
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(growing(office)) for office in replicas(store)]
        lists = [await asyncio.gather(*(listed(client, "invoice") for client in clients))]
        for _ in range(5):
            steps = []
            for client in clients:
                noun, verb = dice.choice(NOUNS), dice.choice(VERBS)
                steps += [
                    listed(client, f"{verb} {noun}"),
                    search(client, f"{dice.choice(VERBS)} {dice.choice(NOUNS)}", limit=1),
                    client.call_tool(f"{verb}_{noun}", what="x"),
                ]
            done = await asyncio.gather(*steps)
            lists.append([one for one in done if isinstance(one, list)][::2])
            now = await asyncio.gather(*(listed(client) for client in clients))
            assert now[0] == now[1]
            assert all(begins(now[0], one) for shown in lists for one in shown)
            lists.append(now)
    assert len(now[0]) + len([PIN]) <= 16
    assert not all(store.replaced)


async def test_each_of_many_servers_keeps_what_it_added_and_the_calls_that_it_saw() -> None:
    store = Far()
    offices = replicas(store, 6)
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(growing(office)) for office in offices]
        await listed(clients[0], "zzz")
        names = [f"cancel_{noun}" for noun in NOUNS[:6]]
        await asyncio.gather(
            *(
                search(client, name.replace("_", " "), limit=1)
                for client, name in zip(clients, names, strict=True)
            ),
            *(client.call_tool(name, what="x") for client, name in zip(clients, names, strict=True)),
        )
        lists = [await listed(client) for client in clients]
        (record,) = [await store.get(key) for key in store.keys]
    assert sorted(lists[0]) == sorted(names)
    assert lists == [lists[0]] * 6
    assert record is not None
    assert {one.cause for one in record.additions} == {"search"}
    assert len([row for turn in record.turns for row in turn.called]) == 6


@pytest.mark.parametrize("seed", range(10))
async def test_first_searches_side_by_side_begin_one_view_with_what_each_found(seed: int) -> None:
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(growing(office)) for office in replicas(Far(seed))]
        await asyncio.gather(
            search(clients[0], "cancel visa", limit=1), search(clients[1], "find hotel", limit=1)
        )
        lists = [await listed(client) for client in clients]
    assert lists[0] == lists[1]
    assert sorted(lists[0]) == ["cancel_visa", "find_hotel"]


async def test_servers_that_begin_a_view_side_by_side_end_with_one_list() -> None:
    for first, second in (("invoice", "visa"), ("invoice", "invoice"), ("zzz", "hotel")):
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(growing(office)) for office in replicas(Far(), 2)]
            shown = await asyncio.gather(listed(clients[0], first), listed(clients[1], second))
            final = [await listed(client) for client in clients]
        assert final[0] == final[1]
        assert all(begins(final[0], one) for one in shown)


async def test_a_context_that_others_change_all_the_time_is_given_up_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Busy(MemoryStore):
        async def replace(self, key: bytes, before: ContextRecord, after: ContextRecord) -> bool:
            return False

    async with growing(Office(store=Busy())) as client:
        await listed(client, "invoice")
        assert await search(client, "cancel visa", limit=1) == ["cancel_visa"]
        assert await listed(client) == of("invoice")
    assert "was changed" in caplog.text


class Careless(Words):
    """Finds what it was told to leave out."""

    async def search(self, text: str, *, within: Rows, limit: int, history: Sequence[Turn] = ()) -> Ranking:
        return await super().search(text, within=-1, limit=limit, history=history)


async def test_a_search_adds_nothing_that_its_caller_may_not_use_at_that_time() -> None:
    class Guarded(Office):
        open_to_all = False

        async def permitted(self, ctx: Context, rows: View) -> View:
            return rows if self.open_to_all else rows - rows.named(*of("visa"))

    guarded = Guarded(Careless())
    async with growing(guarded) as client:
        await listed(client, "invoice")
        await search(client, "cancel visa")
        await listed(client, "find visa")
        guarded.open_to_all = True
        assert not set(of("visa")) & set(await listed(client))


# Permission that comes and goes


def letter(number: int) -> Any:
    def write(self: Any) -> str:
        return ""

    write.__name__ = f"{VERBS[number % 5]}_letter_{number}"
    write.__doc__ = f"Letter {number}."
    return prompt(write)


LETTERS: Final = {f"letter_{number}": letter(number) for number in range(12)}


class Switched(type("Keen", (Office,), LETTERS)):  # type: ignore[misc]
    """Permits what it is told to permit."""

    hidden: frozenset[str] = frozenset()

    async def permitted(self, ctx: Context, rows: View) -> View:
        return rows - rows.named(*self.hidden)


async def tools(client: Client, intent: str | None = None) -> list[str]:
    said = {} if intent is None else {meta.INTENT: intent}
    return [row["name"] for row in (await client.request("tools/list", meta=said))["tools"]]


ALL_TOOLS: Final = [name for noun in NOUNS for name in of(noun)]


@pytest.mark.parametrize("growth", [True, False])
async def test_a_list_that_becomes_short_goes_on_as_it_began_and_so_does_one_that_becomes_long(
    *, growth: bool
) -> None:
    office = Switched()
    async with growing(office, growth=growth) as client:
        first = await tools(client, "invoice")
        assert first[:2] == list(SEARCH_TOOLS)
        office.hidden = frozenset(ALL_TOOLS[15:])
        short = await tools(client)
        assert begins(short, first)
        assert set(short) == {*SEARCH_TOOLS, PIN, *ALL_TOOLS[:15]}
        office.hidden = frozenset()
        assert await tools(client) == short


@pytest.mark.parametrize("growth", [True, False])
async def test_a_short_list_that_becomes_long_goes_on_as_it_began(*, growth: bool) -> None:
    office = Switched()
    office.hidden = frozenset(ALL_TOOLS[15:])
    async with growing(office, growth=growth) as client:
        short = await tools(client, "invoice")
        assert short == [*ALL_TOOLS[:15], PIN]
        office.hidden = frozenset()
        long = await tools(client)
        assert begins(long, short)
        assert long[len(short) :] == list(SEARCH_TOOLS)


HIDING: Final = st.one_of(
    st.just(frozenset[str]()),
    st.integers(10, 60).map(lambda number: frozenset(ALL_TOOLS[number:])),
    st.integers(1, 50).map(lambda number: frozenset(ALL_TOOLS[:number])),
    st.sets(st.sampled_from([*ALL_TOOLS, PIN, *LETTERS]), max_size=12).map(frozenset),
    st.sets(st.sampled_from([*LETTERS]), max_size=12).map(frozenset),
)
STEPS: Final = st.one_of(
    st.tuples(st.just("permit"), HIDING),
    st.tuples(st.just("intent"), st.sampled_from([*NOUNS, *VERBS, "zzz"])),
    st.tuples(st.just("search"), st.sampled_from([*NOUNS, *VERBS, "zzz", "find visa"])),
    st.tuples(st.just("other"), st.sampled_from([*NOUNS, *VERBS])),
)


async def follow(steps: Sequence[tuple[str, Any]], whole_rows: int, *, growth: bool) -> None:
    """Take the steps; after each, look that no list lost a row that is permitted, and none moved."""
    office = Switched(views=ViewSettings(whole_rows=whole_rows, rows={"tool": 8, "prompt": 4}))
    async with growing(office, growth=growth) as client, growing(office, growth=not growth) as other:
        before: dict[str, list[str]] = {"tools": [], "prompts": []}
        await client.request("tools/list", meta={meta.INTENT: "create invoice"})
        for step, what in [("look", ""), *steps]:
            if step == "permit":
                office.hidden = what
            elif step == "search":
                await search(client, what)
            elif step == "intent":
                await client.request("tools/list", meta={meta.INTENT: what})
            elif step == "other":
                await other.request("tools/list", meta={meta.INTENT: what})
                await search(other, f"find {what}")
            for kind, seen in before.items():
                now = [row["name"] for row in await client.list_all(kind)]
                stayed = [name for name in seen if name not in office.hidden]
                assert [name for name in now if name in seen] == stayed
                # What is new stands behind all that is known, hidden or not.
                assert begins(now, stayed)
                before[kind] = seen + [name for name in now if name not in seen]


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(STEPS, max_size=10), whole_rows=st.sampled_from([0, 5, 20]), growth=st.booleans())
def test_whatever_is_permitted_and_taken_away_no_row_moves(
    steps: list[tuple[str, Any]], whole_rows: int, *, growth: bool
) -> None:
    asyncio.run(follow(steps, whole_rows, growth=growth))
