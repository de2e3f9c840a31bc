"""What is kept is bounded, belongs to whoever asked, and goes when it is old."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCMessage, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse

from scopedtools.client import ContextCache, UnitOfWork, in_context
from scopedtools.client.cache import Owner, Place
from scopedtools.protocol import meta

pytestmark = pytest.mark.anyio

FIRST = Place.of("2026-07-28", "tools/list", {})


def owner(context: str | None = "a") -> Owner:
    return Owner("server", "alice", context)


def keep(cache: ContextCache, who: Owner, place: Place = FIRST, ttl_s: float = 60, **result: Any) -> None:
    ticket = cache.begin(who, place, None, conditional=True)
    cache.settle(ticket, result, ttl_s=ttl_s)


def test_what_was_unused_for_longest_goes_first() -> None:
    cache = ContextCache(max_bytes=10_000)
    for name in "abcd":
        keep(cache, owner(name), tools="x" * 1500)
    assert cache.fresh(owner("b"), FIRST) is not None
    keep(cache, owner("e"), tools="x" * 1500)
    assert [name for name in "abcde" if cache.fresh(owner(name), FIRST)] == ["b", "d", "e"]
    assert cache.bytes_kept <= 10_000


def test_an_answer_that_is_larger_than_everything_is_not_kept() -> None:
    cache = ContextCache(max_bytes=5000)
    keep(cache, owner("a"), tools="x" * 100)
    keep(cache, owner("b"), tools="x" * 5000)
    assert cache.fresh(owner("b"), FIRST) is None
    assert cache.fresh(owner("a"), FIRST) is not None


def test_a_cache_of_no_size_keeps_nothing() -> None:
    cache = ContextCache(max_bytes=0)
    keep(cache, owner(), tools=[])
    assert (len(cache), cache.bytes_kept) == (0, 0)


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(ValueError, match="max_bytes must be >= 0, got -1"):
        ContextCache(max_bytes=-1)


CONTEXTS = st.sampled_from(["a", "b", None])
PLACES = st.builds(
    Place.of,
    st.just("2026-07-28"),
    st.sampled_from(["tools/list", "prompts/list", "resources/read"]),
    st.sampled_from([{}, {"cursor": "1"}, {"uri": "x:1"}]),
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["begin", "settle", "abandon", "expire", "forget", "resource", "describe", "clear"]),
        CONTEXTS,
        PLACES,
        st.integers(0, 2000),
    ),
    max_size=60,
)


@given(STEPS)
def test_whatever_happens_answers_go_to_those_who_asked_and_the_bound_holds(  # noqa: C901 - a step each
    steps: Any,
) -> None:
    cache = ContextCache(max_bytes=8000)
    tickets = []
    for what, context, place, number in steps:
        who = owner(context)
        if what == "begin":
            tickets.append(cache.begin(who, place, None, conditional=True))
        elif what in ("settle", "abandon") and tickets:
            ticket = tickets.pop(number % len(tickets))
            said = {"of": [*ticket.owner, *ticket.place], "fill": "x" * number}
            if number % 3 == 0:
                said["_meta"] = {meta.VIEW: {"revision": f"r{number % 2}", "notModified": number % 2 == 0}}
            if what == "settle":
                result = cache.settle(ticket, dict(said), ttl_s=number % 2)
                assert result["of"] == said["of"]
            else:
                cache.abandon(ticket)
        elif what == "expire":
            cache.expire(who, [place.method])
        elif what == "forget":
            cache.forget_list(who, place.method)
        elif what == "resource":
            cache.forget_resource("server", "alice", "x:1")
        elif what == "describe":
            cache.describe(who, UnitOfWork(id="a", intent=str(number)))
        elif what == "clear":
            cache.clear()
        assert cache.bytes_kept <= 8000
        kept = cache.fresh(who, place)
        assert kept is None or kept["of"] == [*who, *place]
    cache.clear()
    for ticket in tickets:
        cache.abandon(ticket)
    assert (len(cache), cache.bytes_kept, cache._lists, cache._open) == (0, 0, {}, {})


# Message by message


class Scripted(NamedTuple):
    """Both ends of a client that is driven by hand."""

    read: Any
    write: Any
    to_client: Any
    at_server: Any

    async def ask(self, method: str, **params: Any) -> JSONRPCRequest:
        """Send a request; return it as it reached the server."""
        await self.write.send(
            SessionMessage(JSONRPCRequest(jsonrpc="2.0", id=len(method), method=method, params=params))
        )
        sent: JSONRPCRequest = (await self.at_server.receive()).message
        return sent

    async def answer(self, sent: JSONRPCRequest, **result: Any) -> Any:
        """Answer a request; return what the client gets."""
        return await self.tell(JSONRPCResponse(jsonrpc="2.0", id=sent.id, result=result))

    async def tell(self, message: JSONRPCMessage) -> Any:
        await self.to_client.send(SessionMessage(message))
        return (await self.read.receive()).message


@asynccontextmanager
async def scripted(cache: ContextCache) -> AsyncIterator[Scripted]:
    to_client, from_server = anyio.create_memory_object_stream[Any](10)
    to_server, at_server = anyio.create_memory_object_stream[Any](10)

    @asynccontextmanager
    async def transport() -> AsyncIterator[tuple[Any, Any]]:
        yield from_server, to_server

    with anyio.fail_after(10), to_client, from_server, to_server, at_server:
        async with in_context(transport(), UnitOfWork(id="a"), cache=cache) as (read, write):
            yield Scripted(read, write, to_client, at_server)


READ = {"contents": [{"uri": "x:1", "text": "t"}], "ttlMs": 60_000, "cacheScope": "private"}


async def test_a_resource_that_changed_is_read_again() -> None:
    cache = ContextCache()
    async with scripted(cache) as by_hand:
        await by_hand.answer(await by_hand.ask("resources/read", uri="x:1"), **READ)
        await by_hand.answer(await by_hand.ask("resources/read", uri="x:2"), **READ)
        assert len(cache) == 2
        updated = "notifications/resources/updated"
        await by_hand.tell(JSONRPCNotification(jsonrpc="2.0", method=updated, params={"uri": "x:1"}))
        sent = await by_hand.ask("resources/read", uri="x:1")
        await by_hand.tell(JSONRPCNotification(jsonrpc="2.0", method=updated, params={"uri": "x:1"}))
        await by_hand.answer(sent, **READ)
        assert (await by_hand.ask("resources/read", uri="x:1")).method == "resources/read"


async def test_requests_that_end_in_any_way_are_not_remembered() -> None:
    cache = ContextCache()
    async with scripted(cache) as by_hand:
        sent = await by_hand.ask("tools/list")
        cancelled = JSONRPCNotification(
            jsonrpc="2.0", method="notifications/cancelled", params={"requestId": sent.id}
        )
        await by_hand.write.send(SessionMessage(cancelled))
        assert (await by_hand.at_server.receive()).message == cancelled
        assert not cache._open
        late = await by_hand.answer(sent, tools=[], ttlMs=60_000, cacheScope="context")
        assert late.result["cacheScope"] == "private"
        await by_hand.ask("tools/list")
        assert len(cache._open) == 1
    assert (len(cache), cache._open) == (0, {})


async def test_a_transport_that_fails_tells_the_client() -> None:
    async with scripted(ContextCache()) as by_hand:
        error = ConnectionError("broken")
        await by_hand.to_client.send(error)
        assert await by_hand.read.receive() is error
        by_hand.to_client.close()
        with pytest.raises(anyio.EndOfStream):
            await by_hand.read.receive()
