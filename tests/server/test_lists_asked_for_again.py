"""Lists that are asked for again and again: answered from what was made before, and never out of date."""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

import pytest

from scopedtools import Catalog, Context, Principal, ScopedServer, View, ViewSettings
from scopedtools.auth import StaticTokens
from scopedtools.catalog.primitives import Tool
from scopedtools.context.store import MemoryStore
from scopedtools.protocol import meta
from scopedtools.testing import Client
from tests.context.office import Words

pytestmark = pytest.mark.anyio

OFTEN = 8
"""So often that everything which may be remembered is."""

TOKENS = StaticTokens({"ann": Principal("ann"), "bob": Principal("bob")})


def tools(number: int = 60, *, note: str = "does") -> Catalog:
    return Catalog(
        Tool(
            name=f"tool_{one}",
            description=f"{note} {one}",
            input_schema={"type": "object"},
            tags=frozenset({"odd"} if one % 2 else {"even"}),
        )
        for one in range(number)
    )


class Office(ScopedServer):
    """Lets everybody use what is permitted at the moment."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(catalog=tools(), selector=Words(), **kwargs)
        self.forbidden: str | None = None

    async def permitted(self, ctx: Context, rows: View) -> View:
        if ctx.principal.name == "bob":
            return rows.tagged("even")
        return rows if self.forbidden is None else rows - rows.tagged(self.forbidden)


async def names(client: Client) -> list[str]:
    return [row["name"] for row in (await client.request("tools/list"))["tools"]]


async def often(client: Client) -> list[str]:
    first, *more = [await names(client) for _ in range(OFTEN)]
    assert more == [first] * (OFTEN - 1)
    return first


async def test_permission_that_changes_is_seen_by_the_next_list() -> None:
    office = Office()
    async with Client(office, context="a", intent="tool 1 and tool 2") as client:
        before = await often(client)
        office.forbidden = "odd"
        assert await names(client) == [name for name in before if not name.endswith(tuple("13579"))]
        office.forbidden = None
        assert await names(client) == before


async def test_a_catalog_that_is_replaced_is_seen_by_the_next_list() -> None:
    office = Office()
    async with Client(office, context="a", intent="tool 1") as client:
        before = await often(client)
        await office.update(tools(note="did"))
        after = await client.request("tools/list")
        assert [row["name"] for row in after["tools"]] == before
        assert all(row["description"].startswith("did") for row in after["tools"][2:])


async def test_two_principals_with_the_same_lines_and_words_get_their_own_lists() -> None:
    office = Office(verifier=TOKENS)
    ann = Client(office, context="a", intent="tool 1 and tool 2", token="ann")
    bob = Client(office, context="a", intent="tool 1 and tool 2", token="bob")
    async with ann, bob:
        theirs = [(await names(ann), await names(bob)) for _ in range(OFTEN)]
    assert theirs == [theirs[0]] * OFTEN
    assert "tool_1" in theirs[0][0]
    assert "tool_1" not in theirs[0][1]


async def test_a_context_that_was_lost_is_chosen_again() -> None:
    store = MemoryStore(max_contexts=1)
    office = Office(store=store)
    one = Client(office, context="a", intent="tool 1")
    other = Client(office, context="b", intent="tool 2")
    async with one, other:
        before = await often(one)
        await often(other)
        assert await often(one) == before


class Scribbling(Office):
    """Writes on whatever it is given."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seen: list[Any] = []

    async def permitted(self, ctx: Context, rows: View) -> View:
        for said in (ctx.meta, ctx.client_capabilities, ctx.meta[meta.CLIENT_CAPABILITIES]):
            assert isinstance(said, dict)
            self.seen.append(said.get("scribbled"))
            said["scribbled"] = ctx.principal.name
        return await super().permitted(ctx, rows)


async def test_what_a_hook_writes_on_a_request_no_other_request_has() -> None:
    office = Scribbling(verifier=TOKENS)
    ann = Client(office, context="a", intent="tool 1", token="ann")
    bob = Client(office, context="a", intent="tool 1", token="bob")
    async with ann, bob:
        for _ in range(OFTEN):
            await names(ann)
            await names(bob)
    assert set(office.seen) == {None}


async def test_requests_that_come_once_are_not_remembered() -> None:
    office = Office()
    async with Client(office, context="a", intent="tool 1") as client:
        await often(client)
        gc.collect()
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        for number in range(200):
            await client.request("tools/list", meta={"padding": f"{number} " * 60_000})
            await client.request("tools/list", meta={"padding": f"{number} " * 500})
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert after - before < 10 * 2**20


async def test_the_requests_of_one_client_keep_their_own_ids() -> None:
    async with Client(Office(), context="a", intent="tool 1") as client:
        for _ in range(OFTEN):  # the client refuses an answer to another request
            assert (await client.request("tools/list"))["tools"]


async def test_cursors_walk_a_whole_list_after_it_was_asked_for_often() -> None:
    office = Office(views=ViewSettings(page_rows=7))
    async with Client(office) as client:
        assert len(await often(client)) == 7
        page = await client.request("tools/list")
        found = [row["name"] for row in page["tools"]]
        while "nextCursor" in page:
            page = await client.request("tools/list", cursor=page["nextCursor"])
            found += [row["name"] for row in page["tools"]]
    assert found == [f"tool_{one}" for one in range(60)]
