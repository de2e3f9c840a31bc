"""Several clients of one context and its forks: what each is shown is theirs, and goes on as it began."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scopedtools import Catalog, Context, Principal, ScopedServer, ViewSettings
from scopedtools.auth import StaticTokens
from scopedtools.catalog.primitives import Tool
from scopedtools.context.store import MemoryStore
from scopedtools.protocol import meta
from scopedtools.testing import Client
from tests.context.office import NOUNS, PIN, VERBS, Office, Words, growing, listed, of, search
from tests.server.test_shared_views import ALL_TOOLS, HIDING, Switched, begins, tools

pytestmark = pytest.mark.anyio


def of_fork(office: ScopedServer, parent: str, *, growth: bool = False) -> Client:
    own = {"contextId": "fork", "parent": parent} | ({"growth": True} if growth else {})
    return Client(office, capabilities={"extensions": {meta.EXTENSION: own}})


# Lists that go on as they began


async def test_a_row_that_others_found_joins_the_list_of_a_client_for_good_when_it_is_of_every_view() -> None:
    office = Switched()
    async with growing(office) as grower, growing(office, growth=False) as other:
        first = await tools(other, "invoice")
        await search(grower, "cancel visa", limit=1)
        grown = await tools(grower)
        assert await tools(other) == first
        few = {*of("invoice"), "cancel_visa"}
        office.hidden = frozenset(ALL_TOOLS) - few  # so few that all are listed
        assert await tools(other) == [*first, "cancel_visa"]
        office.hidden = frozenset(ALL_TOOLS) - few - {"find_hotel"}
        assert await tools(other) == [*first, "cancel_visa", "find_hotel"]
        office.hidden = frozenset()
        assert await tools(other) == [*first, "cancel_visa", "find_hotel"]
        assert await tools(grower) == [*grown, "find_hotel"]


STEPS: Final = st.one_of(
    st.tuples(st.just("permit"), st.just(0), HIDING),
    st.tuples(
        st.sampled_from(["intent", "search"]), st.integers(0, 3), st.sampled_from([*NOUNS, *VERBS, "zzz"])
    ),
)


async def follow(first: int, steps: list[tuple[str, int, Any]], whole_rows: int) -> None:
    """Take the steps; after each, look that no list of any client lost a permitted row, and none moved."""
    office = Switched(views=ViewSettings(whole_rows=whole_rows, rows={"tool": 8, "prompt": 4}))
    async with (
        growing(office) as grower,
        growing(office, growth=False) as other,
        of_fork(office, "a", growth=True) as fork_grower,
        of_fork(office, "a") as fork,
    ):
        clients = (grower, other, fork_grower, fork)
        seen: dict[tuple[int, str], list[str]] = {}
        begun = ("search", 0, "update folder") if first == len(clients) else ("intent", first, "invoice")
        for step, who, what in (begun, *steps):
            if step == "permit":
                office.hidden = what
            elif step == "search":
                await search(clients[who], what)
            else:
                await clients[who].request("tools/list", meta={meta.INTENT: what})
            for number, client in enumerate(clients):
                for kind in ("tools", "prompts"):
                    before = seen.get((number, kind), [])
                    now = [row["name"] for row in await client.list_all(kind)]
                    assert begins(now, [name for name in before if name not in office.hidden])
                    assert len(set(now)) == len(now)
                    seen[number, kind] = before + [name for name in now if name not in before]


@settings(max_examples=40, deadline=None)
@given(
    first=st.sampled_from([0, 1, 4]),
    steps=st.lists(STEPS, max_size=8),
    whole_rows=st.sampled_from([0, 5, 20]),
)
def test_whatever_the_others_do_no_row_moves_for_anybody(
    first: int, steps: list[tuple[str, int, Any]], whole_rows: int
) -> None:
    asyncio.run(follow(first, steps, whole_rows))


# First intents


async def test_a_first_intent_that_needs_nothing_is_the_first_all_the_same() -> None:
    words = Words()
    office = Office(words)
    async with Client(office, context="a", intent="invoice") as parent, of_fork(office, "a") as fork:
        await listed(parent)
        words.selected.clear()
        first = await listed(fork, "zzz")
        assert await listed(fork, "zzz") == first
        assert await listed(fork, "visa") == first
    assert [asked.text for asked in words.selected] == ["zzz"]


async def test_the_intent_of_a_fork_is_asked_for_until_its_first() -> None:
    class Asking(Office):
        asked = 0

        async def intent(self, ctx: Context) -> str | None:
            self.asked += ctx.id == "fork"
            return await super().intent(ctx)

    office = Asking()
    async with Client(office, context="a", intent="invoice") as parent, of_fork(office, "a") as fork:
        await listed(parent)
        counts = []
        for intent in (None, None, "visa", "visa", None):
            await listed(fork, intent)
            counts.append(office.asked)
    assert counts == [1, 2, 3, 3, 3]


async def test_rows_that_are_permitted_later_do_not_make_a_later_intent_the_first() -> None:
    office = Switched()
    office.hidden = frozenset({PIN})
    async with Client(office, context="a") as client:
        first = await tools(client, "zzz")
        office.hidden = frozenset()
        assert await tools(client, "zzz") == [*first, PIN]
        assert await tools(client, "visa") == [*first, PIN]


async def test_a_first_intent_in_the_words_of_a_search_before_it_seeds_the_view() -> None:
    async with growing(Office()) as client:
        await search(client, "create invoice", limit=1)
        first = await listed(client, "create invoice")
        assert first[0] == "create_invoice"
        assert set(of("invoice")) < set(first)
        assert await listed(client, "create invoice") == first


# Tokens of one principal with different scopes

SCOPED: Final = [
    Tool(name=f"{verb}_{noun}", description="", scopes=frozenset({"admin"} if verb == "cancel" else ()))
    for noun in NOUNS
    for verb in VERBS
]
TOKENS: Final = StaticTokens({"more": Principal("ada", frozenset({"admin"})), "less": Principal("ada")})


@pytest.mark.parametrize("first", ["more", "less"])
async def test_a_view_that_is_begun_side_by_side_shows_each_what_their_token_permits(first: str) -> None:
    words = Words()
    words.gate.clear()
    store = MemoryStore()
    server = ScopedServer(catalog=Catalog(SCOPED), selector=words, verifier=TOKENS, store=store)
    second = "less" if first == "more" else "more"
    told: dict[str, Any] = {"context": "a", "intent": "cancel invoice", "growth": True}
    explained = {meta.EXPLAIN: True}
    async with Client(server, token=first, **told) as one, Client(server, token=second, **told) as two:
        asked = [asyncio.create_task(one.request("tools/list", meta=explained))]
        await words.arrived.wait()
        asked.append(asyncio.create_task(two.request("tools/list", meta=explained)))
        words.gate.set()
        pages = dict(zip((first, second), await asyncio.gather(*asked), strict=True))
        assert len(store) == 1
        assert "cancel_" not in str(pages["less"]["tools"])
        assert "cancel_" not in str([row["name"] for row in pages["less"]["_meta"][meta.VIEW]["rows"]])
        assert ("cancel_invoice" in str(pages["more"]["tools"])) is (first == "more")
        held = {meta.IF_REVISION: pages["more"]["_meta"][meta.VIEW]["revision"]}
        less = two if second == "less" else one
        same = (await less.request("tools/list", meta=held))["_meta"][meta.VIEW].get("notModified", False)
        assert same is (pages["more"]["tools"] == pages["less"]["tools"])
        found = await less.call_tool("search_tools", query="cancel visa", limit=20)
        assert "cancel_" not in str(found["content"]).replace("cancel visa", "")
