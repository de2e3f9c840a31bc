"""Who is told that the list of a context grew: those who listen in it, and nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import pytest

from scopedtools import Context, Principal, ScopedServer, View, prompt
from scopedtools.auth import StaticTokens
from scopedtools.context.store import MemoryStore
from scopedtools.protocol import meta
from tests.context.office import Office, growing, listed, of, search
from tests.streams.opened import LIMIT_S, Opened, modern, opened, opened_modern
from tests.wire.exchange import JSON_HEADERS, message

pytestmark = pytest.mark.anyio

CHANGED: Final = "notifications/tools/list_changed"
ALL: Final = {"toolsListChanged": True, "promptsListChanged": True, "resourcesListChanged": True}


def letter(number: int) -> Any:
    def write(self: Any) -> str:
        return ""

    write.__name__ = f"letter_{number}"
    write.__doc__ = f"Letter {number}."
    return prompt(write)


LETTERS: Final = {f"letter_{number}": letter(number) for number in range(30)}


@asynccontextmanager
async def listening(
    office: ScopedServer,
    context: str = "a",
    wanted: Mapping[str, Any] = ALL,
    *,
    token: str | None = None,
    **settings: Any,
) -> AsyncIterator[Opened]:
    """Listen in a context, as a client that follows growth unless it is told otherwise."""
    own = {"contextId": context, "growth": True, **settings}
    request = modern(
        "subscriptions/listen",
        {"notifications": dict(wanted)},
        can={"extensions": {meta.EXTENSION: own}},
    )
    headers = {"authorization": f"Bearer {token}"} if token else {}
    async with opened_modern(office, request, headers) as one:
        assert (await one.message())["method"] == "notifications/subscriptions/acknowledged"
        yield one


async def told(office: ScopedServer, stream: Opened) -> list[str]:
    """Return all that a listener is told until the server ends its streams."""
    async with asyncio.timeout(LIMIT_S):
        await office._listeners.stop()
    return [one["method"] for one in await stream.messages() if "method" in one]


async def test_listeners_of_a_context_are_told_what_a_search_added_and_others_are_not() -> None:
    office = Office()
    async with AsyncExitStack() as streams:
        client = await streams.enter_async_context(growing(office))
        await listed(client, "invoice")
        own = [await streams.enter_async_context(listening(office)) for _ in range(2)]
        other = await streams.enter_async_context(listening(office, "b"))
        nameless = await streams.enter_async_context(listening(office, "a b"))
        await search(client, "visa")
        for stream in own:
            assert (await stream.message())["method"] == CHANGED
        for stream in (*own, other, nameless):
            assert await told(office, stream) == []


async def test_a_new_intent_on_another_request_is_told_and_the_first_too() -> None:
    office = Office()
    async with growing(office) as client, listening(office) as stream:
        await listed(client, "invoice")
        assert (await stream.message())["method"] == CHANGED
        await listed(client, "cancel hotel")
        assert (await stream.message())["method"] == CHANGED
        assert await told(office, stream) == []


async def test_nothing_is_told_where_nothing_was_added() -> None:
    office = Office()
    async with growing(office) as client:
        await listed(client, "invoice")
        async with listening(office) as stream:
            await listed(client, "invoice")
            await search(client, "zzz")
            await search(client, "create invoice", limit=1)
            await listed(client, "zzz")
            await client.call_tool("cancel_visa", what="x")
            assert await told(office, stream) == []


async def test_the_same_id_of_another_principal_hears_nothing() -> None:
    tokens = StaticTokens({"a": Principal("ada"), "b": Principal("bo")})
    office = Office(verifier=tokens)
    async with growing(office, token="a") as ada, listening(office, token="b") as stream:
        await listed(ada, "invoice")
        await search(ada, "visa")
        assert await told(office, stream) == []


async def test_the_lists_of_other_contexts_are_not_even_looked_at() -> None:
    class Seen(Office):
        looked: Final[list[str | None]] = []

        async def permitted(self, ctx: Context, rows: View) -> View:
            if ctx.listens:
                self.looked.append(ctx.id)
            return rows

    office = Seen()
    async with growing(office) as client, listening(office) as stream, listening(office, "b"):
        await listed(client, "invoice")
        assert (await stream.message())["method"] == CHANGED
        assert set(office.looked) == {"a"}


async def test_a_listener_that_does_not_follow_growth_is_not_told_of_it() -> None:
    office = Office()
    async with growing(office) as client:
        await listed(client, "invoice")
        async with listening(office, growth=False) as stream:
            await search(client, "visa")
            await listed(client, "cancel hotel")
            assert await told(office, stream) == []


async def test_each_kind_that_grew_is_told_and_no_other() -> None:
    office = type("Keen", (Office,), LETTERS)()
    async with growing(office) as client:
        await listed(client, "invoice")
        async with listening(office) as stream:
            await search(client, "cancel visa")
            assert (await stream.message())["method"] == CHANGED
            await listed(client, "letter")
            assert (await stream.message())["method"] == "notifications/prompts/list_changed"
            assert await told(office, stream) == []


async def test_what_a_listener_said_when_it_began_does_not_grow_the_view_again() -> None:
    office = Office()
    async with growing(office) as client:
        await listed(client, "invoice")
        async with listening(office, intent="cancel hotel") as stream:
            assert await listed(client) == [*of("invoice"), "cancel_hotel"]
            for number in range(9):  # more than is remembered
                await search(client, f"zzz{number} create invoice", limit=1)
            before = await listed(client)
            await search(client, "find visa", limit=1)
            assert (await stream.message())["method"] == CHANGED
            await office.lists_changed()
            assert await listed(client) == [*before, "find_visa"]
            assert await told(office, stream) == []


async def test_a_listener_does_not_begin_the_view_of_a_context_that_was_forgotten() -> None:
    now_s = 0.0
    office = Office(store=MemoryStore(ttl_s=10, clock=lambda: now_s))
    async with growing(office) as client, listening(office, intent="create hotel") as stream:
        assert "create_hotel" in await listed(client)
        now_s = 11.0
        await office.lists_changed()
        assert (await stream.message())["method"] == CHANGED
        assert await listed(client, "visa") == of("visa")


async def test_a_search_is_answered_though_those_who_are_told_take_their_time() -> None:
    class Slow(Office):
        slow = False
        gate = asyncio.Event()
        looking = asyncio.Event()

        async def listed(self, ctx: Context, permitted: View) -> View:
            shown = await super().listed(ctx, permitted)
            if self.slow and ctx.listens:
                self.looking.set()
                await self.gate.wait()
            return shown

    office = Slow()
    async with growing(office) as client, listening(office, wanted={"toolsListChanged": True}) as stream:
        await listed(client, "invoice")
        assert (await stream.message())["method"] == CHANGED
        office.slow = True
        async with asyncio.timeout(LIMIT_S):
            await search(client, "find visa", limit=1)
            await office.looking.wait()
            for noun in ("hotel", "folder", "message"):
                await search(client, f"find {noun}", limit=1)
        assert len(office._listeners._looks) == 1
        office.gate.set()
        assert (await stream.message())["method"] == CHANGED
        office.slow = False
        (listener,) = office._listeners._listeners
        async with asyncio.timeout(LIMIT_S):
            await office._listeners.stop()
        assert not office._listeners._looks
        # What was added while it looked was looked at once more.
        page = await client.request("tools/list")
        assert listener.seen["tool"] == page["_meta"][meta.VIEW]["revision"]


async def test_what_is_to_be_told_is_told_before_the_server_stops() -> None:
    office = Office()
    pushed: list[str] = []
    async with office, growing(office) as client, listening(office):
        (listener,) = office._listeners._listeners
        await listed(client, "invoice")

        async def push(method: str, params: Mapping[str, Any]) -> None:
            pushed.append(method)

        listener.push = push
        await search(client, "visa")
        async with asyncio.timeout(LIMIT_S):
            await office._listeners.stop()
    assert CHANGED in pushed
    assert not office._listeners._looks
    assert not office._listeners._of_context


@pytest.mark.parametrize("revision", ["2025-11-25", "2025-06-18", "2025-03-26"])
async def test_the_stream_of_an_earlier_revisions_session_hears_of_its_context(revision: str) -> None:
    office = Office(sessions=True)
    async with office:
        told_to: dict[str, Opened] = {}
        headers: dict[str, dict[str, str]] = {}
        async with AsyncExitStack() as streams:
            for context in ("a", "b"):
                can = {"extensions": {meta.EXTENSION: {"contextId": context, "growth": True}}}
                about = {"name": "test", "version": "0"}
                opening = {"protocolVersion": revision, "capabilities": can, "clientInfo": about}
                async with opened(office, message("initialize", opening)) as one:
                    start = await one.start()
                    named = {key.decode(): value.decode() for key, value in start["headers"]}
                    await one.answer()
                headers[context] = JSON_HEADERS | {
                    "mcp-protocol-version": revision,
                    "mcp-session-id": named["mcp-session-id"],
                }
                streaming = headers[context] | {"accept": "text/event-stream"}
                told_to[context] = await streams.enter_async_context(
                    opened(office, None, streaming, method="GET")
                )
            say = message("tools/list", {"_meta": {meta.INTENT: "invoice"}})
            async with opened(office, say, headers["a"]) as one:
                await one.answer()
            assert (await told_to["a"].message())["method"] == CHANGED
            query = {"name": "search_tools", "arguments": {"query": "find visa"}}
            async with opened(office, message("tools/call", query), headers["a"]) as one:
                await one.answer()
            assert (await told_to["a"].message())["method"] == CHANGED
            await office._listeners.stop()
            office.end_streams()
            assert [one for one in await told_to["b"].messages() if "method" in one] == []
