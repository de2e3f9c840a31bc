"""The specification of the extension, sections 6 to 12: growth, caches, conditions, earlier revisions."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, Final

import msgspec
import pytest
from mcp_types.methods import validate_server_result

from scopedtools import Context, ScopedServer, View, ViewSettings, prompt, resource
from scopedtools.auth import StaticTokens
from scopedtools.context.hosts import CARRIERS
from scopedtools.limits import Limits
from scopedtools.protocol import meta
from scopedtools.types import Principal
from tests.context.office import Office, of
from tests.streams.opened import modern as request_of
from tests.streams.opened import opened, opened_modern
from tests.transports.test_stdio_transport import connected
from tests.wire.exchange import JSON_HEADERS, LEGACY, Answer, http, legacy, message
from tests.wire.saying import KNOWN, LISTS, ask, declared, listed, names_of, view_of

pytestmark = pytest.mark.anyio

CHANGED: Final = "notifications/tools/list_changed"


def method(*, room: bool = False) -> Any:
    def fixed(self: Any) -> str:
        return ""

    def found(self: Any, room: str) -> str:
        return room

    made = found if room else fixed
    made.__doc__ = "Find the invoice."
    return made


def many(count: int) -> dict[str, Any]:
    """Return members of a class with so many rows of every kind but tools."""
    made: dict[str, Any] = {}
    for number in range(count):
        made[f"letter_{number}"] = prompt(name=f"find_letter_{number}")(method())
        made[f"note_{number}"] = resource(f"note://{number}", name=f"find_note_{number}")(method())
        made[f"shelf_{number}"] = resource(f"shelf{number}://{{room}}", name=f"find_shelf_{number}")(
            method(room=True)
        )
    return made


class Full(type("Many", (Office,), many(25))):  # type: ignore[misc]
    """Has many rows of every kind, of which it permits what it is told to."""

    hidden: tuple[str, ...] = ()

    async def permitted(self, ctx: Context, rows: View) -> View:
        return rows - rows.named(*self.hidden)


class Small(type("One", (ScopedServer,), many(1))):  # type: ignore[misc]
    """Has a row of each kind but tools, the same for everybody."""


class Chosen(Small):
    """Has few rows, and a hook that might choose others."""

    async def listed(self, ctx: Context, permitted: View) -> View:
        return permitted


# 6. Growth


async def test_where_lists_grow_for_everybody_everybody_hears_of_it() -> None:
    office = Office(views=ViewSettings(growth="always"))
    async with office:
        await ask(office, settings={"contextId": "a", "intent": "invoice"})
        wanted = {"notifications": {"toolsListChanged": True}}
        listen = request_of("subscriptions/listen", wanted, can=declared({"contextId": "a"}))
        async with opened_modern(office, listen) as stream:
            assert (await stream.message())["method"] == "notifications/subscriptions/acknowledged"
            await ask(office, settings={"contextId": "a", "intent": "cancel hotel"})
            assert (await stream.message())["method"] == CHANGED


async def test_a_stream_more_than_the_server_bears_is_refused_and_one_that_ended_makes_room() -> None:
    office = Office(limits=Limits(listeners=2))
    listen = request_of("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
    async with office:
        async with AsyncExitStack() as streams:
            for _ in range(2):
                stream = await streams.enter_async_context(opened_modern(office, listen))
                await stream.message()
            async with opened_modern(office, listen) as refused:
                assert (await refused.status(), (await refused.json())["error"]["code"]) == (503, 503)
        async with opened_modern(office, listen) as stream:
            assert "error" not in await stream.message()


# 7. The context cache scope

WHO: Final[Mapping[str, Any]] = {
    "declared and named": {"contextId": "a", "intent": "invoice", **KNOWN},
    "declared": KNOWN,
    "named": {"contextId": "a", "intent": "invoice"},
    "neither": None,
}
TOKENS: Final = StaticTokens({"t": Principal("ada")})


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("method", LISTS)
@pytest.mark.parametrize(
    ("app", "options", "same_for_all"),
    [(Full, {}, None), (Chosen, {}, None), (Small, {}, "public"), (Small, {"verifier": TOKENS}, "private")],
)
async def test_each_client_is_told_the_scope_of_the_table_on_every_page(
    app: Any, options: dict[str, Any], same_for_all: str | None, method: str, who: str
) -> None:
    if who in ("declared", "neither"):  # they get the full list, in several pages
        options = options | {"views": ViewSettings(page_rows=9)}
    server = app(**options)
    params: dict[str, Any] = {"settings": WHO[who], "headers": [("authorization", "Bearer t")]}
    pages = [(await ask(server, method, **params)).result]
    while "nextCursor" in pages[-1]:
        pages.append((await ask(server, method, cursor=pages[-1]["nextCursor"], **params)).result)
    scopes = {(page["cacheScope"], page["ttlMs"]) for page in pages}
    if same_for_all is not None:
        assert scopes == {(same_for_all, 60_000)}
    elif who == "declared and named":
        assert scopes == {("context", 60_000)}
    else:
        assert scopes == {("private", 0)}
    for page in pages:
        if view := view_of(page):
            assert (view["cacheScope"], view["ttlMs"]) == (page["cacheScope"], page["ttlMs"])


async def test_answers_vary_by_every_header_that_may_tell_the_context() -> None:
    expected = {"authorization", "baggage", "mcp-context-intent", "mcp-context-parent"}
    expected |= {one.key.lower() for one in CARRIERS if one.place == "header"}
    office = Office()
    for answer in (await ask(office, settings={"contextId": "a"}), await ask(office, cursor="none")):
        assert answer.headers["cache-control"] == "private, no-store"
        assert {name.strip().lower() for name in answer.headers["vary"].split(",")} == expected


async def test_event_streams_are_not_stored() -> None:
    listen = request_of("subscriptions/listen", {"notifications": {}})
    async with (office := Office()), opened_modern(office, listen) as stream:
        assert "no-store" in (await stream.header("cache-control") or "")


# 8. Conditional lists


@pytest.mark.parametrize("settings", [{"contextId": "a", "intent": "find invoice", **KNOWN}, {}])
@pytest.mark.parametrize("method", LISTS)
async def test_a_condition_is_on_the_whole_list_of_each_kind(method: str, settings: dict[str, Any]) -> None:
    server = Full(views=ViewSettings(page_rows=3))
    first = (await ask(server, method, settings=settings)).result
    assert "nextCursor" in first
    view = view_of(first)
    same = (await ask(server, method, settings=settings, said={meta.IF_REVISION: view["revision"]})).result
    assert (same[LISTS[method]], same["cacheScope"], same["ttlMs"]) == ([], "private", 0)
    assert "nextCursor" not in same
    assert view_of(same) == view | {"notModified": True}
    second = (await ask(server, method, settings=settings, cursor=first["nextCursor"])).result
    server.hidden = (names_of(second)[0],)
    changed = await ask(server, method, settings=settings, said={meta.IF_REVISION: view["revision"]})
    assert names_of(changed.result) == names_of(first)
    assert "notModified" not in view_of(changed.result)


async def test_the_revision_of_one_kind_is_no_condition_for_another() -> None:
    held = view_of((await ask(server := Full(), "prompts/list", settings={})).result)["revision"]
    for method in set(LISTS) - {"prompts/list"}:
        assert await listed(server, method, settings={}, said={meta.IF_REVISION: held})


# 9. Explanations


@pytest.mark.parametrize("settings", [{"contextId": "a", "intent": "find invoice"}, {}])
@pytest.mark.parametrize("method", LISTS)
async def test_each_page_explains_its_own_rows(method: str, settings: dict[str, Any]) -> None:
    server = Full(views=ViewSettings(page_rows=3))
    told: dict[str, Any] = {"settings": settings, "said": {meta.EXPLAIN: True}}
    page = (await ask(server, method, **told)).result
    pages = [page]
    while "nextCursor" in page:
        page = (await ask(server, method, cursor=page["nextCursor"], **told)).result
        pages.append(page)
    assert len(pages) > 1
    for page in pages:
        assert [row["name"] for row in view_of(page)["rows"]] == names_of(page)
    held = {meta.IF_REVISION: view_of(page)["revision"], meta.EXPLAIN: True}
    same = (await ask(server, method, settings=settings, said=held)).result
    assert view_of(same)["rows"] == view_of(pages[0])["rows"]


async def test_an_explanation_forgets_rows_that_may_not_be_used_any_more() -> None:
    server = Full()
    settings = {"contextId": "a", "growth": True}
    for intent in ("invoice", "cancel hotel"):
        await ask(server, settings=settings, said={meta.INTENT: intent})
    server.hidden = ("find_invoice", "cancel_hotel")
    child = {"contextId": "c", "parent": "a", "growth": True}
    for own in (settings, child):
        answer = await ask(server, settings=own, said={meta.INTENT: "cancel hotel", meta.EXPLAIN: True})
        assert view_of(answer.result)["rows"]
        assert not [name for name in server.hidden if name.encode() in answer.body]


# 10. Clients that know nothing of it, and earlier revisions


async def test_an_id_and_nothing_else_narrows_does_not_grow_and_is_not_kept() -> None:
    office, headers = Office(), [("X-Kagent-Session-Id", "a")]
    assert len(await listed(office, headers=headers)) == 3
    first = await listed(office, headers=[*headers, ("Mcp-Context-Intent", "invoice")])
    assert first[3:] == of("invoice")
    result = (await ask(office, headers=[*headers, ("Mcp-Context-Intent", "visa")])).result
    assert (names_of(result), result["cacheScope"], result["ttlMs"]) == (first, "private", 0)


@pytest.mark.parametrize("revision", LEGACY)
@pytest.mark.parametrize("field", ["extensions", "experimental"])
@pytest.mark.parametrize("over", ["stdio", "http"])
async def test_a_session_declares_once_what_others_declare_on_every_request(
    over: str, field: str, revision: str
) -> None:
    office = Office(sessions=True)
    settings = {"contextId": "c", "parent": "p", "growth": True, **KNOWN}
    opening = {
        "protocolVersion": revision,
        "capabilities": {field: {meta.EXTENSION: settings}},
        "clientInfo": {"name": "t", "version": "0"},
    }
    lists = [{}, {meta.INTENT: "cancel hotel"}, {meta.PARENT: "other", "clientSessionId": "other"}]
    results: list[dict[str, Any]] = []
    async with office, AsyncExitStack() as stack:
        await ask(office, settings={"contextId": "p", "intent": "invoice"})
        if over == "stdio":
            pipes = await stack.enter_async_context(connected(office))
            await pipes.ask("initialize", opening)
        else:
            answer = await http(office, msgspec.json.encode(message("initialize", opening)))
            session = {"mcp-session-id": answer.headers["mcp-session-id"], "mcp-protocol-version": revision}

        async def list_tools(said: dict[str, Any]) -> dict[str, Any]:
            asked = message("tools/list", {"_meta": said})
            if over == "stdio":
                pipes.write(msgspec.json.encode(asked) + b"\n")
                while "id" not in (reply := await pipes.read()):
                    assert reply["method"] == CHANGED
                return dict(reply["result"])
            async with opened(office, asked, JSON_HEADERS | session) as one:
                return dict((await one.answer())["result"])

        results = [await list_tools(said) for said in lists]
        results.append(await list_tools({meta.IF_REVISION: view_of(results[-1])["revision"]}))
    for result in results:
        validate_server_result("tools/list", revision, result)
        assert not {"cacheScope", "ttlMs"} & set(result)
        assert (view_of(result)["cacheScope"], view_of(result)["ttlMs"]) == ("context", 60_000)
    first, grown, named, same = results
    assert names_of(first)[3:] == of("invoice")
    # The list has begun, so what a request says of a parent, or of another carrier, changes nothing.
    assert names_of(grown) == names_of(named) == [*names_of(first), *names_of(grown)[8:]]
    assert "cancel_hotel" in names_of(grown)
    assert (same["tools"], view_of(same)["notModified"]) == ([], True)


@pytest.mark.parametrize("revision", LEGACY)
async def test_without_a_session_each_request_names_its_context(revision: str) -> None:
    office = Office()

    async def list_tools(context: str, said: Mapping[str, Any]) -> Answer:
        return await legacy(office, revision, "tools/list", {"_meta": {"clientSessionId": context, **said}})

    await list_tools("p", {meta.INTENT: "invoice"})
    child = (await list_tools("c", {meta.PARENT: "p", meta.INTENT: "visa"})).result
    assert names_of(child)[3:] == [*of("invoice"), *of("visa")]
    held = {meta.IF_REVISION: view_of(child)["revision"]}
    assert view_of((await list_tools("c", held)).result)["notModified"] is True
    assert names_of((await list_tools("p", held)).result)[3:] == of("invoice")
