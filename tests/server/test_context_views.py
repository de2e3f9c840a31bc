"""What contexts of one server with sixty tools are shown, end to end."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from scopedtools import (
    Context,
    Principal,
    ScopedServer,
    View,
    ViewSettings,
    prompt,
    resource,
    tool,
    tools_from,
)
from scopedtools.assembly import SEARCH_TOOLS
from scopedtools.auth import StaticTokens
from scopedtools.catalog.primitives import Kind
from scopedtools.context.store import MemoryStore
from scopedtools.protocol import meta
from scopedtools.protocol.cursor import encode_cursor
from scopedtools.retrieval import HybridSelector
from scopedtools.storage import ContextRecord
from scopedtools.testing import Client, HashingEncoder, WireError
from scopedtools.types import Describable, Hit, Ranking, Rows, Selector, Turn

pytestmark = pytest.mark.anyio

NOUNS: Final = {
    "money": ("invoice", "payment", "refund"),
    "travel": ("flight", "hotel", "visa"),
    "mail": ("message", "newsletter", "mailbox"),
    "files": ("folder", "document", "archive"),
}
VERBS: Final = ("create", "find", "update", "cancel", "export")
PAYING: Final = "create an invoice and export the payment"
WHOLE: Final = ViewSettings(whole_rows=60)
FLYING: Final = "find a flight, then cancel the hotel"


def doing(verb: str, noun: str) -> Callable[[str], str]:
    def run(what: str) -> str:
        return f"{verb} {noun}: {what}"

    run.__name__ = f"{verb}_{noun}"
    run.__doc__ = f"{verb.capitalize()} the {noun} of a customer."
    return run


def group(tag: str) -> Any:
    return tools_from([doing(verb, noun) for noun in NOUNS[tag] for verb in VERBS], tags={tag})


class Office(ScopedServer):
    """Sixty tools: four groups of fifteen."""

    def __init__(self, selector: Selector | None = None, **options: Any) -> None:
        super().__init__(selector=selector or HybridSelector(HashingEncoder()), **options)

    money = group("money")
    travel = group("travel")
    mail = group("mail")
    files = tools_from(
        [
            doing(verb, noun)
            for noun in NOUNS["files"]
            for verb in VERBS
            if (verb, noun) != ("find", "archive")
        ],
        tags={"files"},
    )

    @tool(pinned=True, tags={"files"})
    def find_archive(self, what: str) -> str:
        """Find the archive of a customer."""
        return what


class CountingSelector:
    """Counts what it is asked for; waits at the gate; fails as long as it is told to."""

    def __init__(self) -> None:
        self._inner = HybridSelector(HashingEncoder())
        self.selected: list[str] = []
        self.started = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.failing = False

    async def prepare(self, rows: Sequence[Describable]) -> None:
        await self._inner.prepare(rows)

    async def search(self, text: str, *, within: Rows, limit: int, history: Sequence[Turn] = ()) -> Ranking:
        return await self._inner.search(text, within=within, limit=limit, history=history)

    async def select(
        self,
        intent: str,
        *,
        within: Rows,
        limit: int,
        costs: Sequence[int],
        budget_tokens: int,
        history: Sequence[Turn] = (),
    ) -> tuple[Hit, ...]:
        self.selected.append(intent)
        self.started.set()
        await self.gate.wait()
        if self.failing:
            raise RuntimeError("no selection today")
        return await self._inner.select(
            intent, within=within, limit=limit, costs=costs, budget_tokens=budget_tokens, history=history
        )


def names(rows: list[dict[str, Any]]) -> list[str]:
    return [row["name"] for row in rows]


def asking(
    server: ScopedServer, context: str | None = None, intent: str | None = None, **more: Any
) -> Client:
    return Client(server, context=context, intent=intent, **more)


async def listed(
    server: ScopedServer, context: str | None = None, intent: str | None = None, **more: Any
) -> list[str]:
    async with asking(server, context, intent, **more) as client:
        return names(await client.list_tools())


async def wire_bytes(server: ScopedServer, context: str, intent: str | None) -> bytes:
    """Return a whole response, byte for byte."""
    settings = {"contextId": context} | ({"intent": intent} if intent else {})
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/list",
        "params": {
            "_meta": {
                meta.PROTOCOL_VERSION: "2026-07-28",
                meta.CLIENT_CAPABILITIES: {"extensions": {meta.EXTENSION: settings}},
            }
        },
    }
    headers = {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/list"}
    async with server, httpx2.AsyncClient(transport=httpx2.ASGITransport(app=server)) as http:
        response = await http.post("http://office/mcp", json=body, headers=headers)
    assert response.status_code == 200
    return bytes(response.content)


# What is listed


async def test_contexts_with_different_intents_see_different_lists_that_stay() -> None:
    office = Office()
    async with asking(office, "a", PAYING) as paying, asking(office, "b", FLYING) as flying:
        bills, flights = names(await paying.list_tools()), names(await flying.list_tools())
        assert {"create_invoice", "export_payment"} <= set(bills)
        assert {"find_flight", "cancel_hotel"} <= set(flights)
        assert bills != flights
        for _ in range(3):
            assert names(await paying.list_tools()) == bills
            assert names(await flying.list_tools()) == flights


async def test_a_narrowed_list_begins_with_search_and_pins_and_goes_on_in_catalog_order() -> None:
    office = Office()
    rows = await listed(office, "a", PAYING)
    assert rows[:3] == [*SEARCH_TOOLS, "find_archive"]
    chosen = rows[3:]
    catalog = [row.name for row in office.catalog.rows]
    assert chosen == [name for name in catalog if name in chosen]
    assert len(rows) == len(set(rows)) == len(SEARCH_TOOLS) + ViewSettings().rows["tool"]


async def test_without_an_id_the_whole_catalog_is_listed_page_by_page() -> None:
    office = Office(views=ViewSettings(page_rows=25))
    async with asking(office) as client:
        pages = [await client.request("tools/list")]
        while cursor := pages[-1].get("nextCursor"):
            pages.append(await client.request("tools/list", cursor=cursor))
        assert [len(page["tools"]) for page in pages] == [25, 25, 10]
        for page in pages:
            # An official client keeps lists without regard to the context, and might name one next.
            assert (page["ttlMs"], page["cacheScope"]) == (0, "private")
            assert meta.VIEW not in page["_meta"]
        assert names(await client.list_tools()) == [
            row.name for row in office.catalog.rows if row.name not in SEARCH_TOOLS
        ]


async def test_an_intent_without_an_id_does_not_narrow() -> None:
    assert len(await listed(Office(), None, PAYING)) == 60


async def test_an_id_without_an_intent_sees_search_and_pins_until_it_says_what_it_is_about() -> None:
    office = Office()
    assert await listed(office, "a") == [*SEARCH_TOOLS, "find_archive"]
    chosen = await listed(office, "a", PAYING)
    assert "create_invoice" in chosen
    assert await listed(office, "a") == chosen
    assert await listed(office, "a", FLYING) == chosen


@pytest.mark.parametrize("said", [None, "", "   ", "\n"])
async def test_an_intent_hook_that_says_nothing_is_not_remembered(said: str | None) -> None:
    class Hooked(Office):
        said: str | None = None

        async def intent(self, ctx: Context) -> str | None:
            return self.said

    office = Hooked()
    office.said = said
    assert await listed(office, "a") == [*SEARCH_TOOLS, "find_archive"]
    office.said = PAYING
    assert "create_invoice" in await listed(office, "a")


async def test_without_context_search_shows_search_and_pins_to_those_without_an_id() -> None:
    office = Office(views=ViewSettings(without_context="search"))
    async with asking(office) as client:
        page = await client.request("tools/list")
        assert names(page["tools"]) == [*SEARCH_TOOLS, "find_archive"]
        assert (page["ttlMs"], page["cacheScope"]) == (0, "private")
        assert (await client.call_tool("update_mailbox", what="x"))["content"][0][
            "text"
        ] == "update mailbox: x"


async def test_narrowed_lists_say_what_they_are_and_are_kept_by_nobody() -> None:
    office = Office(views=ViewSettings(page_rows=10))
    async with asking(office, "a", PAYING) as client:
        first = await client.request("tools/list")
        second = await client.request("tools/list", cursor=first["nextCursor"])
    for page in (first, second):
        view = page["_meta"][meta.VIEW]
        assert (page["ttlMs"], page["cacheScope"]) == (view["ttlMs"], view["cacheScope"]) == (0, "private")
        assert (view["shown"], view["total"]) == (18, 60)
        assert view["revision"] == first["_meta"][meta.VIEW]["revision"]
        assert "rows" not in view
    assert len(first["tools"]) + len(second["tools"]) == 18


async def test_revisions_tell_lists_apart() -> None:
    office = Office()
    revisions = []
    for context, intent in (("a", PAYING), ("b", FLYING), ("c", PAYING)):
        async with asking(office, context, intent) as client:
            revisions.append((await client.request("tools/list"))["_meta"][meta.VIEW]["revision"])
    assert revisions[0] == revisions[2] != revisions[1]


async def test_a_cursor_is_good_for_its_own_list_alone() -> None:
    office = Office(views=ViewSettings(page_rows=10))
    async with (
        asking(office, "a", PAYING) as paying,
        asking(office, "b", FLYING) as flying,
        asking(office) as full,
    ):
        cursors = [(await one.request("tools/list"))["nextCursor"] for one in (paying, flying, full)]
        for client, own in zip((paying, flying, full), cursors, strict=True):
            for cursor in {*cursors, "", "%%%", "bm90aGluZw=="} - {own}:
                with pytest.raises(WireError) as refusal:
                    await client.request("tools/list", cursor=cursor)
                assert refusal.value.wire_code == -32602
            assert (await client.request("tools/list", cursor=own))["tools"]


async def test_a_cursor_behind_the_end_is_refused() -> None:
    office = Office(views=ViewSettings(page_rows=10))
    async with asking(office, "a", PAYING) as client:
        revision = (await client.request("tools/list"))["_meta"][meta.VIEW]["revision"]
        assert len((await client.request("tools/list", cursor=encode_cursor(revision, 17)))["tools"]) == 1
        for offset in (18, 10**11):
            with pytest.raises(WireError, match="behind the end") as refusal:
                await client.request("tools/list", cursor=encode_cursor(revision, offset))
            assert refusal.value.wire_code == -32602


async def test_a_budget_bounds_what_is_chosen() -> None:
    office = Office(views=ViewSettings(budget_tokens=200))
    costs = dict(zip((row.name for row in office.catalog.rows), office.catalog.costs, strict=True))
    chosen = (await listed(office, "a", PAYING))[3:]
    assert chosen
    assert sum(costs[name] for name in chosen) <= 200


async def test_limits_hold_and_pins_count_towards_them() -> None:
    async def chosen(rows: int) -> list[str]:
        return await listed(Office(views=ViewSettings(rows={"tool": rows})), "a", PAYING)

    assert len(await chosen(5)) == 7
    assert await chosen(1) == await chosen(0) == [*SEARCH_TOOLS, "find_archive"]


async def test_a_small_catalog_is_listed_whole_without_search_tools() -> None:
    class Small(ScopedServer):
        money = group("money")

    for context, intent in ((None, None), ("a", None), ("a", PAYING)):
        async with asking(Small(), context, intent) as client:
            page = await client.request("tools/list")
        assert len(page["tools"]) == 15
        assert (page["ttlMs"], page["cacheScope"]) == (60_000, "public")
        view = page["_meta"].get(meta.VIEW)  # only for those who know what it is
        assert view is None if context is None else (view["shown"], view["total"]) == (15, 15)


async def test_a_context_that_is_shown_every_row_still_has_a_list_of_its_own() -> None:
    class Small(ScopedServer):
        money = group("money")

    small = Small(selector=HybridSelector(HashingEncoder()), views=ViewSettings(whole_rows=5))
    async with asking(small, "a", "invoice, payment and refund") as client:
        page = await client.request("tools/list")
    assert len(page["tools"]) == 17
    assert (page["ttlMs"], page["cacheScope"]) == (0, "private")


# The same for everybody who asks for the same


async def test_a_list_is_the_same_bytes_again_after_calls_elsewhere_and_from_another_instance() -> None:
    office = Office()
    first = await wire_bytes(office, "a", PAYING)
    async with asking(office, "a", PAYING) as client:
        for name in ("create_invoice", "update_mailbox"):
            await client.call_tool(name, what="x")
        await client.call_tool("search_tools", query="cancel the flight")
        await client.call_tool("call_tool", name="cancel_flight", arguments={"what": "x"})
    assert await wire_bytes(office, "a", PAYING) == first
    assert await wire_bytes(office, "a", None) == first
    assert await wire_bytes(office, "b", PAYING) == first
    assert await wire_bytes(Office(), "a", PAYING) == first


def test_a_list_is_the_same_bytes_from_another_process() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); "
        "import asyncio, test_context_views as t; "
        "sys.stdout.buffer.write(asyncio.run(t.wire_bytes(t.Office(), 'x', t.PAYING)))"
    )
    other = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        check=True,
    ).stdout
    assert other == asyncio.run(wire_bytes(Office(), "a", PAYING))


async def test_first_calls_side_by_side_choose_once_for_each_kind_and_agree() -> None:
    selector = CountingSelector()
    selector.gate.clear()
    office = type("Noticed", (Office,), of_many("prompt", 25, pinned=-1))(selector)
    async with asking(office, "a", PAYING) as client:
        calls = [
            asyncio.ensure_future(client.request(method))
            for method in ("tools/list", "prompts/list")
            for _ in range(16)
        ]
        await selector.started.wait()
        selector.gate.set()
        pages = await asyncio.gather(*calls)
    assert len({json.dumps(page) for page in pages}) == 2
    assert selector.selected == [PAYING, PAYING]


async def test_a_first_caller_who_goes_away_does_not_take_the_view_with_him() -> None:
    arrivals: list[str] = []
    second = asyncio.Event()

    class Hooked(Office):
        async def intent(self, ctx: Context) -> str | None:
            arrivals.append(ctx.id or "")
            if len(arrivals) == 2:
                second.set()
            return ctx.intent

    selector = CountingSelector()
    selector.gate.clear()
    async with asking(Hooked(selector), "a", PAYING) as client:
        gone = asyncio.ensure_future(client.request("tools/list"))
        await selector.started.wait()
        stays = asyncio.ensure_future(client.request("tools/list"))
        await second.wait()
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        selector.gate.set()
        page = await stays
    assert "create_invoice" in names(page["tools"])
    assert selector.selected == [PAYING]


# Who asks


ADA: Final = Principal("ada", frozenset({"money"}))
BO: Final = Principal("bo")


async def test_the_same_id_of_another_principal_is_another_context() -> None:
    office = Office(verifier=StaticTokens({"a-token": ADA, "b-token": BO}))
    bills = await listed(office, "same", PAYING, token="a-token")
    assert await listed(office, "same", token="b-token") == [*SEARCH_TOOLS, "find_archive"]
    flights = await listed(office, "same", FLYING, token="b-token")
    assert "create_invoice" in bills
    assert "find_flight" in flights
    assert await listed(office, "same", token="a-token") == bills


async def test_full_lists_of_a_server_with_tokens_are_private_and_may_be_kept() -> None:
    office = Office(verifier=StaticTokens({"t": ADA}), views=WHOLE)
    async with asking(office, token="t") as client:
        page = await client.request("tools/list")
    assert (page["ttlMs"], page["cacheScope"]) == (60_000, "private")


class Guarded(Office):
    """Money for those who may; nothing of the mail for anybody."""

    async def permitted(self, ctx: Context, rows: View) -> View:
        rows -= rows.tagged("mail")
        return rows if ctx.principal.has("money") else rows - rows.tagged("money")

    @resource("ledger://all", tags={"money"})
    def ledger(self) -> str:
        """The ledger."""
        return "42"

    @resource("ledger://{year}", tags={"money"})
    def year(self, year: int) -> str:
        """The ledger of a year."""
        return str(year + 0)

    @prompt(tags={"money"})
    def dun(self) -> str:
        """Ask for money."""
        return "Pay."


async def test_permission_governs_lists_search_calls_reads_and_prompts() -> None:
    guarded = Guarded(verifier=StaticTokens({"a": ADA, "b": BO}))
    async with asking(guarded, "x", PAYING, token="a") as ada, asking(guarded, "x", PAYING, token="b") as bo:
        assert "create_invoice" in names(await ada.list_tools())
        assert not [name for name in names(await bo.list_tools()) if "invoice" in name or "payment" in name]
        found = await ada.call_tool("search_tools", query="create an invoice")
        assert "create_invoice" in names(found["structuredContent"]["tools"])
        kept = await bo.call_tool("search_tools", query="create an invoice")
        assert "create_invoice" not in json.dumps(kept)
        assert (await ada.call_tool("create_invoice", what="x"))["content"][0]["text"] == "create invoice: x"
        assert not (await ada.call_tool("call_tool", name="find_refund", arguments={"what": "x"})).get(
            "isError"
        )
        for name in ("create_invoice", "find_message", "nothing"):
            with pytest.raises(WireError, match=f"Unknown tool: '{name}'") as refusal:
                await bo.call_tool(name, what="x")
            assert refusal.value.wire_code == -32602
            through = await bo.call_tool("call_tool", name=name, arguments={"what": "x"})
            assert through["isError"]
            assert f"Unknown tool: '{name}'" in through["content"][0]["text"]
        assert len(await ada.list_all("resources")) == len(await ada.list_all("prompts")) == 1
        assert await bo.list_all("resources") == await bo.list_all("prompts") == []
        assert await bo.list_all("resources/templates") == []
        for uri in ("ledger://all", "ledger://2026"):
            assert (await ada.request("resources/read", uri=uri))["contents"]
            with pytest.raises(WireError, match="Resource not found"):
                await bo.request("resources/read", uri=uri)
        assert (await ada.request("prompts/get", name="dun"))["messages"]
        with pytest.raises(WireError, match="Unknown prompt"):
            await bo.request("prompts/get", name="dun")


async def test_permission_that_is_taken_away_takes_rows_out_of_a_view_at_once_and_back() -> None:
    class Switched(Office):
        forbidden = ""

        async def permitted(self, ctx: Context, rows: View) -> View:
            return rows - rows.named(self.forbidden)

    office = Switched()
    before = await listed(office, "a", PAYING)
    office.forbidden = "create_invoice"
    assert await listed(office, "a") == [name for name in before if name != "create_invoice"]
    office.forbidden = ""
    assert await listed(office, "a") == before


async def test_full_lists_may_not_be_kept_where_hooks_decide_about_them() -> None:
    class Listed(Office):
        async def listed(self, ctx: Context, permitted: View) -> View:
            return permitted

    class Intent(Office):
        async def intent(self, ctx: Context) -> str | None:
            return PAYING

    kept = []
    for office in (one(views=WHOLE) for one in (Office, Intent, Listed, Guarded)):
        async with asking(office) as client:
            page = await client.request("tools/list")
            discovered = await client.request("server/discover")
        kept.append((page["ttlMs"], page["cacheScope"]))
        assert (discovered["ttlMs"], discovered["cacheScope"]) == kept[-1]
    assert kept == [(60_000, "public"), (60_000, "public"), (0, "private"), (0, "private")]


async def test_an_author_can_list_what_he_likes_of_what_is_permitted() -> None:
    class Listed(Guarded):
        async def listed(self, ctx: Context, permitted: View) -> View:
            own = permitted.named("find_visa").then(permitted.named("create_flight"))
            return own.then(self.catalog.named("create_invoice", "search_tools"))

    async with asking(Listed()) as client:
        page = await client.request("tools/list")
        assert names(page["tools"]) == ["find_visa", "create_flight", "search_tools"]
        assert (page["_meta"][meta.VIEW]["shown"], page["_meta"][meta.VIEW]["total"]) == (3, 30)


# Hidden and forbidden


async def test_hidden_tools_can_be_called_by_their_name_or_through_call_tool() -> None:
    async with asking(Office(), "a", PAYING) as client:
        assert "update_mailbox" not in names(await client.list_tools())
        direct = await client.call_tool("update_mailbox", what="x")
        through = await client.call_tool("call_tool", name="update_mailbox", arguments={"what": "x"})
        assert direct["content"] == through["content"] == [{"type": "text", "text": "update mailbox: x"}]
        unfit = await client.call_tool("call_tool", name="update_mailbox")
        assert unfit["isError"]
        assert "what" in unfit["content"][0]["text"]
        nested = await client.call_tool("call_tool", name="call_tool", arguments={"name": "update_mailbox"})
        assert nested["isError"]
        assert "directly" in nested["content"][0]["text"]


async def test_enforced_views_refuse_what_they_hide() -> None:
    async with asking(Office(views=ViewSettings(enforce=True)), "a", PAYING) as client:
        shown = names(await client.list_tools())
        assert (await client.call_tool("create_invoice", what="x"))["content"][0][
            "text"
        ] == "create invoice: x"
        assert "update_mailbox" not in shown
        with pytest.raises(WireError, match="Unknown tool: 'update_mailbox'") as refusal:
            await client.call_tool("update_mailbox", what="x")
        assert refusal.value.wire_code == -32602
        through = await client.call_tool("call_tool", name="update_mailbox", arguments={"what": "x"})
        assert through["isError"]
        assert not (await client.call_tool("search_tools", query="update a mailbox")).get("isError")


# Search


async def test_search_finds_hidden_tools_with_all_it_takes_to_call_them() -> None:
    async with asking(Office(), "a", PAYING) as client:
        whole = {row["name"]: row for row in await Client.list_tools(client)}
        result = await client.call_tool("search_tools", query="cancel the flight", limit=3)
        found = result["structuredContent"]["tools"]
        assert json.loads(result["content"][0]["text"]) == {"tools": found}
        assert len(found) == 3
        assert found[0]["name"] == "cancel_flight"
        assert set(found[0]) == set(whole["create_invoice"])
        assert not set(SEARCH_TOOLS) & set(names(found))


@pytest.mark.parametrize("query", ["", "   ", "zzzqqq wxyzzy"])
async def test_search_abstains_and_says_what_kinds_of_tools_there_are(query: str) -> None:
    async with asking(Office(), "a") as client:
        result = await client.call_tool("search_tools", query=query)
    text = result["content"][0]["text"]
    assert text.startswith("No tool fits")
    assert "There are 60 tools: files (15), mail (15), money (15), travel (15)." in text
    assert "structuredContent" not in result
    assert not result.get("isError")


@pytest.mark.parametrize("limit", [0, 21, -1])
async def test_search_says_what_limits_it_takes(limit: int) -> None:
    async with asking(Office(), "a") as client:
        result = await client.call_tool("search_tools", query="flight", limit=limit)
    assert result["isError"]
    assert result["content"][0]["text"] == f"limit must be 1 to 20, got {limit}"


async def test_search_tools_are_described_in_the_same_bytes_to_everybody() -> None:
    guarded = Guarded(verifier=StaticTokens({"a": ADA, "b": BO}))
    seen = set()
    for token, context, intent in (("a", "x", PAYING), ("b", "x", FLYING), ("b", "y", None)):
        async with asking(guarded, context, intent, token=token) as client:
            rows = await client.list_tools()
        assert names(rows)[:2] == list(SEARCH_TOOLS)
        seen.add(json.dumps(rows[:2]))
    assert len(seen) == 1


# Failures


class BrokenStore:
    """Fails in what it is told to fail in."""

    def __init__(self, *broken: str) -> None:
        self.broken = broken
        self._inner = MemoryStore()

    async def get(self, key: bytes) -> ContextRecord | None:
        if "get" in self.broken:
            raise ConnectionError("store is down")
        return await self._inner.get(key)

    async def add(self, key: bytes, record: ContextRecord) -> ContextRecord:
        if "add" in self.broken:
            raise ConnectionError("store is down")
        return await self._inner.add(key, record)


@pytest.mark.parametrize("broken", [("get",), ("add",), ("get", "add")])
async def test_a_store_that_fails_costs_a_new_selection_and_no_list(
    broken: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    expected = await listed(Office(), "a", PAYING)
    office = Office(store=BrokenStore(*broken))
    assert await listed(office, "a", PAYING) == expected
    assert await listed(office, "a", PAYING) == expected
    assert "store is down" in caplog.text
    async with asking(office, "a", PAYING) as client:
        assert not (await client.call_tool("update_mailbox", what="x")).get("isError")


async def test_a_selection_that_fails_opens_to_search_and_pins_and_is_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    selector = CountingSelector()
    selector.failing = True
    async with asking(Office(selector), "a", PAYING) as client:
        page = await client.request("tools/list", meta={meta.EXPLAIN: True})
        assert names(page["tools"]) == [*SEARCH_TOOLS, "find_archive"]
        assert (page["ttlMs"], page["cacheScope"]) == (0, "private")
        assert [row["reason"] for row in page["_meta"][meta.VIEW]["rows"]] == ["search", "search", "pin"]
        assert "no selection today" in caplog.text
        assert (await client.call_tool("create_invoice", what="x"))["content"][0][
            "text"
        ] == "create invoice: x"
        selector.failing = False
        assert "create_invoice" in names(await client.list_tools())
    assert len(selector.selected) == 3


async def test_a_selector_that_cannot_be_prepared_opens_to_search_and_pins() -> None:
    class Unprepared(CountingSelector):
        async def prepare(self, rows: Sequence[Describable]) -> None:
            raise OSError("no weights")

    async with asking(Office(Unprepared()), "a", PAYING) as client:
        assert names(await client.list_tools()) == [*SEARCH_TOOLS, "find_archive"]
        searched = await client.call_tool("search_tools", query="flight")
        assert searched["isError"]
        assert "no weights" not in searched["content"][0]["text"]
        assert not (await client.call_tool("update_mailbox", what="x")).get("isError")


async def test_permission_that_fails_lists_and_runs_nothing() -> None:
    class Locked(Office):
        async def permitted(self, ctx: Context, rows: View) -> View:
            raise RuntimeError("password=hunter2")

    async with asking(Locked(), "a", PAYING) as client:
        for method, params in (("tools/list", {}), ("tools/call", {"name": "find_visa", "arguments": {}})):
            with pytest.raises(WireError) as refusal:
                await client.request(method, **params)
            assert refusal.value.wire_code == -32603
            assert "hunter2" not in str(refusal.value)


# Losing a context


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


async def test_a_view_that_was_forgotten_is_chosen_again_the_same() -> None:
    selector = CountingSelector()
    office = Office(selector, store=MemoryStore(max_contexts=1))
    bills = await listed(office, "a", PAYING)
    await listed(office, "b", FLYING)
    assert await listed(office, "a", PAYING) == bills
    assert selector.selected == [PAYING, FLYING, PAYING]


async def test_a_view_lives_from_its_last_use() -> None:
    clock = Clock()
    selector = CountingSelector()
    office = Office(selector, store=MemoryStore(ttl_s=10, clock=clock))
    bills = await listed(office, "a", PAYING)
    for clock.now_s in (9.0, 18.0):
        assert await listed(office, "a", FLYING) == bills
    clock.now_s = 28.1
    assert await listed(office, "a") == [*SEARCH_TOOLS, "find_archive"]
    assert await listed(office, "a", PAYING) == bills
    assert selector.selected == [PAYING, PAYING]


async def test_servers_that_share_store_and_secret_share_contexts() -> None:
    store = MemoryStore()
    bills = await listed(Office(store=store, secret=b"s"), "a", PAYING)
    assert await listed(Office(store=store, secret=b"s"), "a", FLYING) == bills
    assert await listed(Office(store=store, secret=b"other"), "a", FLYING) != bills


async def test_servers_of_other_names_that_share_a_store_have_views_of_their_own() -> None:
    class Larger(Office):
        @tool
        def create_invoice_draft(self) -> str:
            """Create the draft of an invoice."""
            return ""

    class Smaller(Office):
        money = None

    store = MemoryStore()
    servers: tuple[type[Office], ...] = (Office, Larger, Smaller)
    for server in (*servers, *servers):
        shown = await listed(server(store=store, secret=b"s"), "a", PAYING)
        assert shown == await listed(server(), "a", PAYING)
    assert len(store) == 3


# Kinds of rows


def of_many(kind: Kind, count: int, *, pinned: int) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for number in range(count):

        def method(self: Any) -> str:
            return ""

        word = VERBS[number % len(VERBS)]
        method.__doc__ = f"The {word} notice, number {number}."
        method.__name__ = f"notice_{number}"
        if kind == "prompt":
            made[method.__name__] = prompt(pinned=number == pinned)(method)
        else:
            made[method.__name__] = resource(f"notice://{number}", pinned=number == pinned)(method)
    return made


async def test_a_kind_of_few_rows_is_the_same_list_for_everybody_pins_in_their_places() -> None:
    office = type("Noticed", (Office,), of_many("resource", 5, pinned=3))()
    lists = []
    for context, intent in ((None, None), ("a", None), ("b", PAYING)):
        async with asking(office, context, intent) as client:
            page = await client.request("resources/list")
        assert (page["ttlMs"], page["cacheScope"]) == (60_000, "public")
        lists.append(names(page["resources"]))
    assert lists == [[f"notice_{number}" for number in range(5)]] * 3


async def test_each_kind_of_many_rows_is_narrowed_to_its_own_limit() -> None:
    members = of_many("resource", 25, pinned=3) | {"templates": None}
    prompts = {f"p_{name}": value for name, value in of_many("prompt", 30, pinned=20).items()}
    selector = CountingSelector()
    office = type("Noticed", (Office,), members | prompts)(selector)
    async with asking(office, "a", "cancel the notice and create an invoice") as client:
        resources = names(await client.list_all("resources"))
        prompts_listed = await client.request("prompts/list")
        tools = names(await client.list_tools())
    assert len(resources) == 8
    assert resources[0] == "notice_3"
    assert len(prompts_listed["prompts"]) == 8
    assert prompts_listed["_meta"][meta.VIEW]["shown"] == 8
    assert prompts_listed["_meta"][meta.VIEW]["total"] == 30
    assert len(tools) == 18
    assert len(selector.selected) == 3


async def test_rows_of_a_small_kind_that_are_permitted_later_are_listed_then() -> None:
    class Switched(Office):
        forbidden = "notice_1"

        async def permitted(self, ctx: Context, rows: View) -> View:
            return rows - rows.named(self.forbidden)

    office = type("Noticed", (Switched,), of_many("resource", 3, pinned=-1))()
    async with asking(office, "a", PAYING) as client:
        assert names(await client.list_all("resources")) == ["notice_0", "notice_2"]
        office.forbidden = ""
        assert names(await client.list_all("resources")) == ["notice_0", "notice_2", "notice_1"]


# Explanations


async def test_every_row_of_a_narrowed_list_can_be_explained() -> None:
    office = type("Noticed", (Office,), of_many("prompt", 3, pinned=-1))()
    async with asking(office, "a", PAYING) as client:
        page = await client.request("tools/list", meta={meta.EXPLAIN: True})
        rows = page["_meta"][meta.VIEW]["rows"]
        plain = await client.request("tools/list")
        unasked = await client.request("tools/list", meta={meta.EXPLAIN: "yes"})
    assert page["tools"] == plain["tools"]
    assert "rows" not in plain["_meta"][meta.VIEW]
    assert "rows" not in unasked["_meta"][meta.VIEW]
    assert names(rows) == names(page["tools"])
    assert [row["reason"] for row in rows[:3]] == ["search", "search", "pin"]
    for row in rows[3:]:
        assert row["reason"] == "intent"
        assert 0 <= row["score"] <= 1
        assert 0 <= row["lexical"] <= 1
        assert row["clause"] in PAYING


async def test_rows_of_an_earlier_intent_are_explained_as_such() -> None:
    office = Office()
    await listed(office, "a", PAYING)
    async with asking(office, "a", "find the newsletter") as client:
        page = await client.request("tools/list", meta={meta.EXPLAIN: True})
    reasons = {row["name"]: row["reason"] for row in page["_meta"][meta.VIEW]["rows"]}
    assert reasons["create_invoice"] == "earlier intent"


async def test_full_lists_need_no_explanation() -> None:
    async with asking(Office()) as client:
        page = await client.request("tools/list", meta={meta.EXPLAIN: True})
    assert meta.VIEW not in page["_meta"]


# Carriers, end to end


async def test_an_id_in_a_header_in_meta_or_in_the_extension_names_the_same_context() -> None:
    office = Office()
    bills = await listed(office, "one", PAYING)
    async with Client(office, headers={"Mcp-Client-Session-Id": "one"}) as client:
        assert names(await client.list_tools()) == bills
    async with Client(office) as client:
        page = await client.request("tools/list", meta={"vscode.conversationId": "one"})
        assert names(page["tools"]) == bills
        page = await client.request("tools/list", meta={"vscode.conversationId": "a b"})
        assert len(page["tools"]) == 60


async def test_a_malformed_id_is_an_error_where_ids_are_strict() -> None:
    async with Client(Office(strict_ids=True)) as client:
        with pytest.raises(WireError, match="malformed") as refusal:
            await client.request("tools/list", meta={"clientSessionId": "a b"})
    assert (refusal.value.wire_code, refusal.value.status) == (-32600, 400)


async def test_two_header_lines_of_one_carrier_are_a_bad_request() -> None:
    office = Office()
    async with Client(office) as client:
        lines = [
            *client._header("tools/list", {}).items(),
            ("Mcp-Client-Session-Id", "a"),
            ("mcp-client-session-id", "a"),
        ]
        response = await client._http.post(client._url, content=client._body("tools/list", {}), headers=lines)
    assert response.status_code == 400
    assert response.json()["error"]["code"] == -32600


async def test_a_host_that_can_only_set_a_url_names_its_context_and_intent_there() -> None:
    office = Office()
    async with Client(office) as client:
        url = f"{client._url}?context=from-url&intent=create%20an%20invoice%20and%20export%20the%20payment"
        content, headers = client._body("tools/list", {}), client._header("tools/list", {})
        rows = (await client._http.post(url, content=content, headers=headers)).json()["result"]["tools"]
    assert names(rows) == await listed(office, "from-url")
    assert "create_invoice" in names(rows)


async def test_a_server_says_which_carriers_it_reads() -> None:
    async with Client(Office()) as client:
        discovered = await client.request("server/discover")
    settings = discovered["capabilities"]["extensions"][meta.EXTENSION]
    assert settings["carriers"][:2] == ["extension:contextId", "header:Mcp-Client-Session-Id"]
