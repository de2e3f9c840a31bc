"""What the middleware for the official SDK puts on the wire."""

from __future__ import annotations

from typing import Any

import pytest
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings

from scopedtools import ViewSettings
from scopedtools.client import UnitOfWork
from scopedtools.context.store import MemoryStore
from scopedtools.protocol import meta
from scopedtools.storage import ContextRecord
from tests.adapters.sdk_host import defined, low_level
from tests.adapters.served import Endpoint, names, served, view
from tests.adapters.stock import FLIGHTS, INVOICES, TOOLS

pytestmark = pytest.mark.anyio

HEADERS = {"Mcp-Client-Session-Id": "7f3a", "Mcp-Context-Intent": INVOICES}


async def test_a_narrowed_list_says_what_it_is_and_nobody_keeps_it() -> None:
    async with served(low_level()) as endpoint:
        result = (await endpoint.ask("tools/list", headers=HEADERS))["result"]
    assert (result["cacheScope"], result["ttlMs"]) == ("private", 0)
    assert view(result) | {"shown": 0, "revision": ""} == {
        "revision": "",
        "shown": 0,
        "total": len(TOOLS),
        "cacheScope": "private",
        "ttlMs": 0,
    }
    assert view(result)["shown"] == len(result["tools"])
    assert result["resultType"] == "complete"
    assert result["_meta"][meta.SERVER_INFO]["name"] == "shop"


async def test_a_client_that_tells_contexts_apart_may_keep_its_list_and_ask_whether_it_changed() -> None:
    async with served(low_level()) as endpoint:
        unit = UnitOfWork(intent=INVOICES)
        kept = (await endpoint.ask("tools/list", unit=unit, caches=True))["result"]
        held = {meta.IF_REVISION: view(kept)["revision"]}
        again = (await endpoint.ask("tools/list", unit=unit, caches=True, own_meta=held))["result"]
    assert (kept["cacheScope"], kept["ttlMs"]) == ("context", 60_000)
    assert again["tools"] == []
    assert view(again)["notModified"] is True
    assert (again["cacheScope"], again["ttlMs"]) == ("private", 0)


async def test_a_whole_list_that_is_another_in_a_context_is_not_kept_either() -> None:
    async with served(low_level()) as endpoint:
        first = (await endpoint.ask("tools/list"))["result"]
        last = (await endpoint.ask("tools/list", {"cursor": "30"}))["result"]
    assert [*names(first), "...", *names(last)] == [*TOOLS[:15], "...", *TOOLS[30:]]
    assert [(page["cacheScope"], page["ttlMs"]) for page in (first, last)] == [("private", 0)] * 2


async def test_nor_is_it_where_it_comes_in_one_page() -> None:
    async with served(low_level(page=100)) as endpoint:
        result = (await endpoint.ask("tools/list"))["result"]
    assert names(result) == list(TOOLS)
    assert (result["cacheScope"], result["ttlMs"]) == ("private", 0)


async def test_a_narrowed_list_comes_in_pages_of_its_own() -> None:
    async with served(low_level(settings=ViewSettings(page_rows=3))) as endpoint:
        page = (await endpoint.ask("tools/list", headers=HEADERS))["result"]
        listed, revision = names(page), view(page)["revision"]
        while "nextCursor" in page:
            answer = await endpoint.ask("tools/list", {"cursor": page["nextCursor"]}, headers=HEADERS)
            page = answer["result"]
            listed += names(page)
            assert view(page)["revision"] == revision
    assert len(listed) == len(set(listed)) == view(page)["shown"] > 3


async def test_what_was_called_helps_to_choose_what_comes_next() -> None:
    store = Watched()
    async with served(low_level(store=store)) as endpoint:
        unit = UnitOfWork(intent=INVOICES)
        await endpoint.tools(unit=unit)
        await endpoint.ask("tools/call", {"name": "delete_plant"}, unit=unit)
        through = {"name": "call_tool", "arguments": {"name": "find_song"}}
        await endpoint.ask("tools/call", through, unit=unit)
    assert len(store.kept[-1].turns[-1].called) == 2


async def test_a_short_list_is_the_same_for_all_and_kept_as_its_server_says() -> None:
    few = dict(list(defined().items())[:10])
    async with served(low_level(own=few)) as endpoint:
        plain = (await endpoint.ask("tools/list"))["result"]
        in_context = (await endpoint.ask("tools/list", headers=HEADERS))["result"]
    assert names(plain) == names(in_context) == list(few)
    assert plain["ttlMs"] == in_context["ttlMs"] == 30_000


async def test_the_extension_is_declared_where_a_server_says_what_it_can() -> None:
    async with served(low_level()) as endpoint:
        discovered = (await endpoint.ask("server/discover"))["result"]
    declared = discovered["capabilities"]["extensions"][meta.EXTENSION]
    assert declared["version"] == 1
    assert "extension:contextId" in declared["carriers"]
    assert "header:Mcp-Session-Id" not in declared["carriers"]


async def test_an_explanation_says_why_each_row_is_listed() -> None:
    async with served(low_level()) as endpoint:
        result = (await endpoint.ask("tools/list", headers=HEADERS, own_meta={meta.EXPLAIN: True}))["result"]
    reasons = {row["name"]: row["reason"] for row in view(result)["rows"]}
    assert reasons["search_tools"] == "search"
    assert reasons["find_invoice"] == "intent"


async def test_a_mirrored_header_is_checked_of_tools_that_the_client_was_shown() -> None:
    async with served(low_level()) as endpoint:
        assert "delete_plant" not in await endpoint.tools(headers=HEADERS)
        hidden = {"name": "delete_plant", "arguments": {"title": "ivy"}}
        called = await endpoint.ask("tools/call", hidden, headers=HEADERS)
        shown = {"name": "find_invoice", "arguments": {"title": "ivy"}}
        right = await endpoint.ask("tools/call", shown, headers=HEADERS | {"Mcp-Param-Title": "ivy"})
        wrong = await endpoint.ask("tools/call", shown, headers=HEADERS | {"Mcp-Param-Title": "oak"})
    assert called["result"]["structuredContent"] == {"result": "delete plant ivy"}
    assert right["result"]["structuredContent"] == {"result": "find invoice ivy"}
    assert wrong["error"]["code"] == -32020


async def test_pinned_tools_stand_in_every_view() -> None:
    async with served(low_level(pinned=["delete_plant"])) as endpoint:
        listed = await endpoint.tools(headers=HEADERS)
    assert listed[2] == "delete_plant"


async def test_a_tool_that_is_not_shown_is_unknown_where_the_settings_say_so() -> None:
    async with served(low_level(settings=ViewSettings(enforce=True))) as endpoint:
        hidden = await endpoint.ask("tools/call", {"name": "delete_plant"}, headers=HEADERS)
        shown = await endpoint.ask("tools/call", {"name": "find_invoice"}, headers=HEADERS)
        through = {"name": "call_tool", "arguments": {"name": "delete_plant"}}
        around = await endpoint.ask("tools/call", through, headers=HEADERS)
    assert hidden["error"]["code"] == around["error"]["code"] == -32602
    assert "result" in shown


@pytest.mark.parametrize(
    "arguments", [{}, {"name": 7}, {"name": "find_song", "arguments": []}, {"name": "search_tools"}], ids=str
)
async def test_a_wrong_call_through_call_tool_is_an_error_that_the_model_reads(
    arguments: dict[str, Any],
) -> None:
    async with served(low_level()) as endpoint:
        answer = await endpoint.ask(
            "tools/call", {"name": "call_tool", "arguments": arguments}, headers=HEADERS
        )
    assert answer["result"]["isError"] is True
    assert "call" in answer["result"]["content"][0]["text"]


async def test_a_cursor_of_another_list_is_refused() -> None:
    async with served(low_level()) as endpoint:
        answer = await endpoint.ask("tools/list", {"cursor": "15"}, headers=HEADERS)
    assert answer["error"]["code"] == -32602


async def test_two_lines_of_one_header_are_refused() -> None:
    async with served(low_level()) as endpoint:
        two = [*HEADERS.items(), ("Mcp-Client-Session-Id", "other")]
        request = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": envelope()}}
        answer = await endpoint.http.post(endpoint.url, json=request, headers=[*modern(), *two])
    assert answer.json()["error"]["code"] == -32600


async def test_half_of_a_surrogate_pair_harms_neither_lists_nor_calls() -> None:
    half = "\ud800"
    async with served(low_level()) as endpoint:
        listed = await endpoint.ask(
            "tools/list", own_meta={"clientSessionId": "a", meta.INTENT: f"{half} {INVOICES}"}
        )
        arguments = {"query": f"find an invoice {half}"}
        found = await endpoint.ask("tools/call", {"name": "search_tools", "arguments": arguments})
        arguments = {"id": half}
        called = await endpoint.ask("tools/call", {"name": "find_song", "arguments": arguments})
    assert "find_invoice" in names(listed["result"])
    assert "find_invoice" in str(found["result"]["structuredContent"])
    assert called["result"]["structuredContent"] == {"result": "find song None"}


async def test_the_same_context_of_another_user_is_another_context() -> None:
    auth = AuthSettings(issuer_url="http://127.0.0.1:1/", resource_server_url=None)  # type: ignore[arg-type]
    async with served(low_level(), auth=auth, token_verifier=Tokens()) as endpoint:
        of_ann = await listed_with(endpoint, "ann", INVOICES)
        of_bob = await listed_with(endpoint, "bob", FLIGHTS)
        again = await listed_with(endpoint, "ann", FLIGHTS)
    assert "find_invoice" in of_ann
    assert "order_flight" in of_bob
    assert again == of_ann  # chosen once, for the first intent


async def test_a_server_that_is_handed_no_context_may_show_search_alone() -> None:
    async with served(low_level(settings=ViewSettings(without_context="search"))) as endpoint:
        assert await endpoint.tools() == ["search_tools", "call_tool"]


class Watched(MemoryStore):
    """Remembers what it was told to keep."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[ContextRecord] = []

    async def replace(self, key: bytes, before: ContextRecord, after: ContextRecord) -> bool:
        self.kept.append(after)
        return await super().replace(key, before, after)


class Tokens:
    """Takes each token for the name of a user."""

    async def verify_token(self, token: str) -> AccessToken | None:
        return AccessToken(token=token, client_id="desk", scopes=[], subject=token)


async def listed_with(endpoint: Endpoint, token: str, intent: str) -> list[str]:
    headers = HEADERS | {"Authorization": f"Bearer {token}", "Mcp-Context-Intent": intent}
    return await endpoint.tools(headers=headers)


def envelope() -> dict[str, Any]:
    return {meta.PROTOCOL_VERSION: "2026-07-28", meta.CLIENT_CAPABILITIES: {}}


def modern() -> list[tuple[str, str]]:
    return [
        ("Accept", "application/json, text/event-stream"),
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", "tools/list"),
    ]
