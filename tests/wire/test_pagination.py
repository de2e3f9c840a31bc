"""Lists in pages, and cursors that were never given, or for another list."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from scopedtools import Catalog, Context, ScopedServer, View, ViewSettings, resource
from scopedtools.catalog.primitives import Tool
from tests.wire.exchange import LEGACY, MODERN, Answer, assert_still_answers, legacy, modern

pytestmark = pytest.mark.anyio

MANY = Catalog(Tool(name=f"tool-{number}", description=f"Tool {number}.") for number in range(250))
FEW = Catalog(Tool(name=f"tool-{number}", description=f"Tool {number}.") for number in range(150))


class Shop(ScopedServer):
    @resource("shelf://all")
    async def all_shelves(self) -> str:
        """All shelves."""
        return "many"


SHOP = Shop(catalog=MANY)


async def ask(revision: str, cursor: Any = None, server: ScopedServer = SHOP, kind: str = "tools") -> Answer:
    params = {} if cursor is None else {"cursor": cursor}
    if revision == MODERN:
        return await modern(server, f"{kind}/list", params)
    return await legacy(server, revision, f"{kind}/list", params)


@pytest.mark.parametrize("revision", [MODERN, *LEGACY])
async def test_following_the_cursor_gives_every_row_once_and_in_order(revision: str) -> None:
    answer = await ask(revision)
    names, sizes = [], []
    while True:
        rows = answer.result["tools"]
        names += [row["name"] for row in rows]
        sizes.append(len(rows))
        if "nextCursor" not in answer.result:
            break
        answer = await ask(revision, answer.result["nextCursor"])
    assert names == [f"tool-{number}" for number in range(250)]
    assert sizes == [100, 100, 50]


async def test_all_pages_of_a_list_have_one_cache_scope() -> None:
    for whole_rows, scope in ((20, "private"), (1000, "public")):
        server = Shop(catalog=MANY, views=ViewSettings(whole_rows=whole_rows))
        first = await ask(MODERN, server=server)
        second = await ask(MODERN, first.result["nextCursor"], server)
        assert first.result["cacheScope"] == second.result["cacheScope"] == scope


async def test_a_page_that_ends_with_the_list_has_no_cursor() -> None:
    server = Shop(catalog=MANY, views=ViewSettings(page_rows=125))
    second = await ask(MODERN, (await ask(MODERN, server=server)).result["nextCursor"], server)
    assert len(second.result["tools"]) == 125
    assert "nextCursor" not in second.result
    assert "nextCursor" not in (await ask(MODERN, server=server, kind="resources")).result


async def test_a_cursor_can_be_used_again_and_gives_the_same_page() -> None:
    cursor = (await ask(MODERN)).result["nextCursor"]
    assert (await ask(MODERN, cursor)).body == (await ask(MODERN, cursor)).body


async def test_a_cursor_is_good_in_another_process_with_the_same_catalog() -> None:
    cursor = (await ask(MODERN)).result["nextCursor"]
    assert (await ask(MODERN, cursor, Shop(catalog=MANY))).result["tools"][0]["name"] == "tool-100"


def forged(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "0",
        "100",
        "!",
        "é",
        "a" * 100_000,
        forged("x:1"),
        forged("0123456789abcdef"),
        forged("0123456789abcdef:100"),
        forged("0123456789abcdef:-1"),
        forged("0123456789abcdef:1e3"),
        forged(":100"),
        "\x00",
    ],
)
async def test_a_cursor_that_was_never_given_is_invalid(cursor: str) -> None:
    assert (await ask(MODERN, cursor)).refusal == (400, -32602)
    assert (await ask(LEGACY[0], cursor)).refusal == (200, -32602)
    await assert_still_answers(SHOP)


async def test_a_cursor_behind_the_end_is_invalid() -> None:
    revision = base64.urlsafe_b64decode((await ask(MODERN)).result["nextCursor"]).partition(b":")[0].decode()
    for offset in (250, 251, 999_999_999_999):
        assert (await ask(MODERN, forged(f"{revision}:{offset}"))).refusal == (400, -32602)
    assert len((await ask(MODERN, forged(f"{revision}:249"))).result["tools"]) == 1


async def test_a_cursor_of_another_catalog_is_invalid() -> None:
    cursor = (await ask(MODERN)).result["nextCursor"]
    assert (await ask(MODERN, cursor, Shop(catalog=FEW))).refusal == (400, -32602)


async def test_a_cursor_of_another_kind_is_invalid() -> None:
    cursor = (await ask(MODERN)).result["nextCursor"]
    assert (await ask(MODERN, cursor, kind="resources")).refusal == (400, -32602)


class Halves(ScopedServer):
    """Shows the even rows to one context and the odd rows to every other."""

    async def listed(self, ctx: Context, permitted: View) -> View:
        start = 0 if ctx.id == "even" else 1
        return View(self.catalog, order=permitted.order[start::2])


async def test_a_cursor_of_the_view_of_another_context_is_invalid() -> None:
    server = Halves(catalog=MANY)

    async def halves(context: str, cursor: str | None = None) -> Answer:
        meta = {
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientCapabilities": {},
            "clientSessionId": context,
        }
        params: dict[str, Any] = {"_meta": meta} | ({} if cursor is None else {"cursor": cursor})
        return await modern(server, "tools/list", params)

    even, odd = await halves("even"), await halves("odd")
    cursor = even.result["nextCursor"]
    assert (await halves("even", cursor)).result["tools"][0]["name"] == "tool-200"
    assert (await halves("odd", cursor)).refusal == (400, -32602)
    assert odd.result["nextCursor"] != cursor
    assert even.result["cacheScope"] == "private"
    assert even.result["ttlMs"] == 0
    view = even.result["_meta"]["io.github.scopedtools/view"]
    assert (view["shown"], view["total"]) == (125, 250)
