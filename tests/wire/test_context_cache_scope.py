"""What each client is told about keeping a list: by context, by authorization, or not at all."""

from __future__ import annotations

from typing import Any, Final

import pytest

from scopedtools import Context, ScopedServer, View, ViewSettings
from scopedtools.protocol import meta
from scopedtools.testing import Client
from tests.context.office import Office, Words
from tests.wire.exchange import LEGACY, legacy

pytestmark = pytest.mark.anyio

KNOWN: Final[dict[str, Any]] = {"cacheScopes": ["context"]}
BILLING: Final = "create invoice, find payment"


class Changing(Office):
    """An office that lets every context use something else."""

    async def permitted(self, ctx: Context, rows: View) -> View:
        return rows.named("create_invoice") if ctx.id == "clerk" else rows.named("find_flight")


def settings(context: str | None = "a", intent: str | None = BILLING, **more: Any) -> dict[str, Any]:
    said = {"contextId": context, "intent": intent} | more
    return {"extensions": {meta.EXTENSION: {key: value for key, value in said.items() if value is not None}}}


def scoped(page: dict[str, Any]) -> tuple[str, int]:
    return page["cacheScope"], page["ttlMs"]


@pytest.fixture
def office() -> Office:
    return Office(selector=Words(), views=ViewSettings(page_rows=3, list_ttl_ms=5_000))


async def test_a_client_that_knows_the_scope_may_keep_each_page_for_its_context(office: Office) -> None:
    async with Client(office, capabilities=settings(**KNOWN)) as client:
        page = await client.request("tools/list")
        pages = [page]
        while "nextCursor" in page:
            page = await client.request("tools/list", cursor=page["nextCursor"])
            pages.append(page)
    assert len(pages) > 1
    assert [scoped(page) for page in pages] == [("context", 5_000)] * len(pages)
    assert {page["_meta"][meta.VIEW]["revision"] for page in pages} == {
        pages[0]["_meta"][meta.VIEW]["revision"]
    }
    assert pages[0]["_meta"][meta.VIEW]["cacheScope"] == "context"


@pytest.mark.parametrize(
    "known",
    [
        {},
        {"cacheScopes": []},
        {"cacheScopes": ["private"]},
        {"cacheScopes": "context"},
        {"cacheScopes": None},
    ],
)
async def test_nobody_else_is_sent_a_scope_that_the_core_does_not_know(
    office: Office, known: dict[str, Any]
) -> None:
    for declared in (settings(**known), settings(growth=True, **known)):
        async with Client(office, capabilities=declared) as client:
            assert scoped(await client.request("tools/list")) == ("private", 0)


async def test_a_header_alone_gets_a_list_that_is_not_kept(office: Office) -> None:
    headers = {"mcp-client-session-id": "a", "mcp-context-intent": BILLING}
    async with Client(office, headers=headers) as client:
        assert scoped(await client.request("tools/list")) == ("private", 0)


async def test_a_client_that_names_no_context_cannot_keep_anything_by_context(office: Office) -> None:
    async with Client(office, capabilities=settings(None, **KNOWN)) as client:
        assert scoped(await client.request("tools/list")) == ("private", 0)


async def test_a_list_that_permission_may_narrow_is_kept_by_context_or_not_at_all() -> None:
    # One row each: listed whole, and not the same in every context.
    office = Changing(selector=Words())
    async with (
        Client(office, capabilities=settings("clerk", **KNOWN)) as knowing,
        Client(office, context="clerk") as other,
    ):
        kept, unkept = await knowing.request("tools/list"), await other.request("tools/list")
    assert (
        [row["name"] for row in kept["tools"]]
        == [row["name"] for row in unkept["tools"]]
        == ["create_invoice"]
    )
    assert scoped(kept) == ("context", 60_000)
    assert scoped(unkept) == ("private", 0)


@pytest.mark.parametrize("revision", LEGACY)
async def test_where_there_are_no_cache_fields_the_view_tells_the_scope(
    office: Office, revision: str
) -> None:
    declared = {meta.CLIENT_CAPABILITIES: settings(**KNOWN)}
    page = (await legacy(office, revision, "tools/list", {"_meta": declared})).result
    assert not {"ttlMs", "cacheScope"} & set(page)
    view = page["_meta"][meta.VIEW]
    assert (view["cacheScope"], view["ttlMs"]) == ("context", 5_000)


async def test_who_holds_the_list_gets_a_short_answer(office: Office) -> None:
    async with Client(office, capabilities=settings(**KNOWN)) as client:
        page = await client.request("tools/list")
        view = page["_meta"][meta.VIEW]
        again = await client.request("tools/list", meta={meta.IF_REVISION: view["revision"]})
    assert again["tools"] == []
    assert "nextCursor" not in again
    assert scoped(again) == ("private", 0)
    assert again["_meta"][meta.VIEW] == view | {"notModified": True}


@pytest.mark.parametrize("held", ["0000000000000000", "", 7, None, ["x"], "a" * 10_000])
async def test_who_holds_another_list_gets_the_list(office: Office, held: Any) -> None:
    async with Client(office, capabilities=settings()) as client:
        page = await client.request("tools/list")
        again = await client.request("tools/list", meta={meta.IF_REVISION: held})
    assert again == page
    assert "notModified" not in again["_meta"][meta.VIEW]


async def test_what_one_context_holds_is_no_condition_for_another(office: Office) -> None:
    async with Client(office, capabilities=settings()) as one:
        held = (await one.request("tools/list"))["_meta"][meta.VIEW]["revision"]
    async with Client(office, capabilities=settings("b", "find flight")) as other:
        page = await other.request("tools/list", meta={meta.IF_REVISION: held})
    assert page["tools"]
    assert page["_meta"][meta.VIEW]["revision"] != held


async def test_a_list_that_grew_is_another_one(office: Office) -> None:
    async with Client(office, capabilities=settings(intent=None, growth=True)) as client:
        page = await client.request("tools/list", meta={meta.INTENT: BILLING})
        held = page["_meta"][meta.VIEW]["revision"]
        asked = {meta.IF_REVISION: held, meta.INTENT: "cancel the flight"}
        grown = await client.request("tools/list", meta=asked)
    assert grown["_meta"][meta.VIEW]["shown"] > page["_meta"][meta.VIEW]["shown"]
    assert grown["tools"] == page["tools"][:3]


async def test_a_page_in_the_middle_is_sent_whatever_the_client_holds(office: Office) -> None:
    async with Client(office, capabilities=settings()) as client:
        page = await client.request("tools/list")
        held = page["_meta"][meta.VIEW]["revision"]
        second = await client.request("tools/list", cursor=page["nextCursor"], meta={meta.IF_REVISION: held})
    assert second["tools"]


async def test_a_full_list_has_a_revision_for_those_who_know_what_it_is() -> None:
    class Small(ScopedServer):
        """Nothing to narrow."""

    async with Client(Small(), capabilities={"extensions": {meta.EXTENSION: {}}}) as client:
        page = await client.request("tools/list")
        held = page["_meta"][meta.VIEW]["revision"]
        again = await client.request("tools/list", meta={meta.IF_REVISION: held})
    assert scoped(page) == ("public", 60_000)
    assert again["_meta"][meta.VIEW]["notModified"] is True


async def test_the_server_says_which_scopes_it_uses_and_what_depends_on_the_context(office: Office) -> None:
    async with Client(office) as client:
        offer = (await client.request("server/discover"))["capabilities"]["extensions"][meta.EXTENSION]
    assert offer["cacheScopes"] == ["context"]
    assert offer["growth"] == "negotiated"
    assert set(offer["affects"]) == {
        "tools/list",
        "resources/list",
        "resources/templates/list",
        "prompts/list",
    }
    assert offer["carriers"][0] == "extension:contextId"
