"""Streams of notifications at 2026-07-28: acknowledged first, of what was asked for, to whom it concerns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import msgspec
import pytest

from scopedtools import Context, ScopedServer, View, prompt, resource, tool
from scopedtools.protocol import meta
from tests.streams.opened import LIMIT_S, Opened, modern, opened_modern
from tests.transports.test_stdio_transport import connected
from tests.wire.exchange import ENVELOPE

pytestmark = pytest.mark.anyio

SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"
TOOLS = {"toolsListChanged": True}
ALL = {"toolsListChanged": True, "promptsListChanged": True, "resourcesListChanged": True}


class Museum(ScopedServer):
    """Shows things."""

    def __init__(self) -> None:
        super().__init__()
        self.closed: set[str | None] = set()
        self.broken: set[str | None] = set()
        self.prompts_closed = False

    @tool
    async def visit(self) -> str:
        """Visit."""
        return "seen"

    @tool(tags={"tour"})
    async def tour(self) -> str:
        """Take a tour."""
        return "seen all"

    @tool
    async def close_for_everybody(self) -> str:
        """Close the tour."""
        self.closed = {"a", "b", None}
        await self.lists_changed()
        return "closed"

    @resource("museum://vase")
    async def vase(self) -> str:
        """A vase."""
        return "blue"

    @resource("museum://rooms/{room}")
    async def room(self, room: str) -> str:
        """A room."""
        return room

    @resource("museum://cellar")
    async def cellar(self) -> str:
        """What nobody may see."""
        return "dark"

    @prompt(tags={"tour"})
    async def guide(self) -> str:
        """Guide."""
        return "this way"

    @prompt
    async def hint(self) -> str:
        """Give a hint."""
        return "look up"

    async def permitted(self, ctx: Context, rows: View) -> View:
        if ctx.id in self.broken:
            raise RuntimeError("a hook of the author's fails")
        rows -= rows.named("cellar")
        if ctx.id in self.closed:
            rows -= rows.tagged("tour").of("tool")
        return rows - rows.tagged("tour").of("prompt") if self.prompts_closed else rows


def listen(wanted: Mapping[str, Any], message_id: Any = 1, context: str | None = None) -> dict[str, Any]:
    extensions = {"extensions": {meta.EXTENSION: {"contextId": context}}} if context else {}
    return modern(
        "subscriptions/listen", {"notifications": dict(wanted)}, message_id=message_id, can=extensions
    )


@asynccontextmanager
async def listening(
    museum: ScopedServer, wanted: Mapping[str, Any], message_id: Any = 1, context: str | None = None
) -> AsyncIterator[tuple[Opened, dict[str, Any]]]:
    """Open a stream; yield it with what was acknowledged."""
    async with opened_modern(museum, listen(wanted, message_id, context)) as one:
        first = await one.message()
        assert first["method"] == "notifications/subscriptions/acknowledged"
        assert first["params"]["_meta"] == {SUBSCRIPTION: message_id}
        yield one, first["params"]["notifications"]


async def test_what_is_honoured_is_acknowledged_first() -> None:
    wanted = {**ALL, "resourceSubscriptions": ["museum://vase"]}
    async with listening(Museum(), wanted) as (_, honoured):
        assert honoured == wanted


async def test_a_stream_may_ask_for_nothing_and_is_acknowledged_all_the_same() -> None:
    async with listening(Museum(), {}) as (_, honoured):
        assert honoured == {}


async def test_what_the_server_does_not_have_is_not_honoured() -> None:
    class Small(ScopedServer):
        """Has tools alone."""

        @tool
        async def work(self) -> str:
            """Work."""
            return "done"

    async with listening(Small(), {**ALL, "resourceSubscriptions": ["museum://vase"]}) as (_, honoured):
        assert honoured == {"toolsListChanged": True}


async def test_resources_that_nobody_may_read_or_that_are_none_are_not_honoured() -> None:
    uris = ["museum://cellar", "museum://none/at/all", "museum://rooms/1", "museum://vase", "museum://vase"]
    async with listening(Museum(), {"resourceSubscriptions": uris}) as (_, honoured):
        assert honoured == {"resourceSubscriptions": ["museum://rooms/1", "museum://vase"]}


@pytest.mark.parametrize("wanted", [None, 5, {"toolsListChanged": "yes"}, {"resourceSubscriptions": "x"}])
async def test_a_filter_of_the_wrong_shape_is_refused(wanted: Any) -> None:
    request = modern("subscriptions/listen", {"notifications": wanted})
    async with opened_modern(Museum(), request) as one:
        assert await one.status() == 400
        assert (await one.json())["error"]["code"] == -32602


async def test_only_kinds_that_were_asked_for_are_told() -> None:
    museum = Museum()
    async with listening(museum, {"promptsListChanged": True}) as (stream, _):
        museum.closed = {None}
        await museum.lists_changed()
        await museum.resource_updated("museum://vase")
        museum.prompts_closed = True
        await museum.lists_changed()
        told = await stream.message()
    assert told["method"] == "notifications/prompts/list_changed"
    assert told["params"] == {"_meta": {SUBSCRIPTION: 1}}


async def test_only_listeners_whose_own_list_is_another_are_told() -> None:
    museum = Museum()
    async with (
        listening(museum, TOOLS, "one", "a") as (a, _),
        listening(museum, TOOLS, "two", "b") as (b, _),
    ):
        museum.closed = {"a"}
        await museum.lists_changed()
        told = await a.message()
        assert told["method"] == "notifications/tools/list_changed"
        assert told["params"]["_meta"] == {SUBSCRIPTION: "one"}
        await museum.lists_changed()
        museum.closed = {"a", "b"}
        await museum.lists_changed()
        assert (await b.message())["params"]["_meta"] == {SUBSCRIPTION: "two"}
        museum.end_streams()
        assert [last["id"] for last in await a.messages()] == ["one"]
        assert [last["id"] for last in await b.messages()] == ["two"]


async def test_nobody_is_told_where_nothing_changed() -> None:
    museum = Museum()
    async with listening(museum, ALL) as (stream, _):
        await museum.lists_changed()
        museum.closed = {"somebody else"}
        await museum.lists_changed()
        museum.end_streams()
        assert [last.get("method") for last in await stream.messages()] == [None]


async def test_subscribers_of_a_resource_are_told_of_it_alone() -> None:
    museum = Museum()
    async with listening(museum, {"resourceSubscriptions": ["museum://vase"]}) as (stream, _):
        await museum.resource_updated("museum://rooms/1")
        await museum.resource_updated("museum://vase")
        told = await stream.message()
        assert told["method"] == "notifications/resources/updated"
        assert told["params"] == {"uri": "museum://vase", "_meta": {SUBSCRIPTION: 1}}


async def test_the_server_that_stops_ends_its_streams_each_with_a_result() -> None:
    museum = Museum()
    async with AsyncExitStack() as streams:
        async with museum:
            several = [
                await streams.enter_async_context(listening(museum, ALL, number)) for number in range(3)
            ]
        for number, (stream, _) in enumerate(several):
            result = await stream.message()
            assert result["id"] == number
            assert result["result"]["resultType"] == "complete"
            assert result["result"]["_meta"][SUBSCRIPTION] == number
            assert await stream.next() is None
    assert not museum._listeners._listeners


async def test_a_client_that_goes_away_is_no_listener_any_longer() -> None:
    museum = Museum()
    async with listening(museum, ALL) as (stream, _), listening(museum, ALL, 2) as (other, _):
        assert len(museum._listeners._listeners) == 2
        await stream.leave()
        sent = stream.sent
        assert len(museum._listeners._listeners) == 1
        museum.closed = {None}
        await museum.lists_changed()
        assert (await other.message())["method"] == "notifications/tools/list_changed"
        assert stream.sent == sent


async def test_a_client_that_does_not_read_holds_up_nobody_and_hears_each_thing_once() -> None:
    museum = Museum()
    uris = [f"museum://rooms/{number}" for number in range(300)]
    async with (
        listening(museum, {"resourceSubscriptions": uris}, 1) as (slow, _),
        listening(museum, {"resourceSubscriptions": uris}, 2) as (quick, _),
    ):
        slow.reading.clear()
        async with asyncio.timeout(LIMIT_S):
            for _ in range(10):
                for uri in uris:
                    await museum.resource_updated(uri)
        assert (await quick.message())["params"]["uri"] == uris[0]
        slow.reading.set()
        museum.end_streams()
        told = [one["params"]["uri"] for one in await slow.messages() if "method" in one]
        assert len(told) < 3 * len(uris)


async def test_a_listener_whose_hook_fails_does_not_keep_the_others_from_hearing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    museum = Museum()
    async with AsyncExitStack() as streams:
        several = {
            name: (await streams.enter_async_context(listening(museum, ALL, name, name)))[0]
            for name in ("a", "b", "c")
        }
        museum.broken, museum.closed = {"b"}, {"a", "b", "c"}
        await museum.lists_changed()
        for name in ("a", "c"):
            assert (await several[name].message())["method"] == "notifications/tools/list_changed"
    assert "cannot tell" in caplog.text


async def test_a_change_that_could_not_be_told_since_a_hook_failed_is_told_at_the_next_look() -> None:
    class Shaky(Museum):
        looks_until_failure = 0

        async def permitted(self, ctx: Context, rows: View) -> View:
            self.looks_until_failure -= 1
            if self.looks_until_failure == 0:
                raise RuntimeError("a hook of the author's fails")
            return rows - rows.named("vase") if self.closed else rows

    museum = Shaky()
    async with listening(museum, {"resourcesListChanged": True}) as (stream, _):
        museum.closed, museum.looks_until_failure = {None}, 2  # resources are seen, templates are not
        await museum.lists_changed()
        await museum.lists_changed()
        museum.end_streams()
        told = [one.get("method") for one in await stream.messages()]
    assert told == ["notifications/resources/list_changed", None]


async def test_a_tool_changes_lists_while_it_runs() -> None:
    museum = Museum()
    async with listening(museum, ALL) as (stream, _):
        request = modern("tools/call", {"name": "close_for_everybody"})
        async with opened_modern(museum, request) as one:
            assert "result" in await one.json()
        assert (await stream.message())["method"] == "notifications/tools/list_changed"


async def test_looks_at_the_lists_do_not_overtake_each_other() -> None:
    museum = Museum()
    async with listening(museum, TOOLS) as (stream, _):
        museum.closed = {None}
        await asyncio.gather(*(museum.lists_changed() for _ in range(5)))
        museum.end_streams()
        told = [one.get("method") for one in await stream.messages()]
    assert told == ["notifications/tools/list_changed", None]


async def test_on_stdio_streams_run_beside_requests_until_they_are_cancelled() -> None:
    museum = Museum()
    async with connected(museum) as client:
        for number in (1, 2):
            params = {"_meta": ENVELOPE, "notifications": {"toolsListChanged": True}}
            client.send("subscriptions/listen", params, number)
            assert (await client.read())["params"]["_meta"] == {SUBSCRIPTION: number}
        museum.closed = {None}
        await museum.lists_changed()
        told = [(await client.read())["params"]["_meta"][SUBSCRIPTION] for _ in range(2)]
        assert sorted(told) == [1, 2]
        client.write(b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}\n')
        assert "result" in await client.ask("tools/list", {"_meta": ENVELOPE}, 3)
        museum.closed = set()
        await museum.lists_changed()
        assert (await client.read())["params"]["_meta"] == {SUBSCRIPTION: 2}
        museum.end_streams()
        last = await client.read()
        assert (last["id"], last["result"]["resultType"]) == (2, "complete")


async def test_on_stdio_an_earlier_revision_subscribes_and_hears_of_its_lists() -> None:
    museum = Museum()
    async with connected(museum) as client:
        opened = await client.ask("initialize", {"protocolVersion": "2025-11-25"})
        assert opened["result"]["capabilities"]["tools"] == {"listChanged": True}
        assert opened["result"]["capabilities"]["resources"] == {"listChanged": True, "subscribe": True}
        await client.ask("resources/subscribe", {"uri": "museum://vase"})
        await museum.resource_updated("museum://rooms/1")
        await museum.resource_updated("museum://vase")
        told = await client.read()
        assert told == {
            "jsonrpc": "2.0",
            "method": "notifications/resources/updated",
            "params": {"uri": "museum://vase"},
        }
        await client.ask("resources/unsubscribe", {"uri": "museum://vase"})
        await museum.resource_updated("museum://vase")
        museum.closed = {None}
        await museum.lists_changed()
        assert (await client.read())["method"] == "notifications/tools/list_changed"


async def test_on_stdio_a_client_that_opens_twice_is_told_once() -> None:
    museum = Museum()
    async with connected(museum) as client:
        for _ in range(2):
            await client.ask("initialize", {"protocolVersion": "2025-11-25"})
            await client.ask("resources/subscribe", {"uri": "museum://vase"})
        assert len(museum._listeners._listeners) == 1
        museum.closed = {None}
        await museum.lists_changed()
        assert (await client.read())["method"] == "notifications/tools/list_changed"
        assert (await client.ask("ping"))["result"] == {}


async def test_on_stdio_the_client_that_leaves_is_no_listener_any_longer() -> None:
    museum = Museum()
    async with connected(museum) as client:
        await client.ask("initialize", {"protocolVersion": "2025-11-25"})
        client.send("subscriptions/listen", {"_meta": ENVELOPE, "notifications": ALL}, 9)
        assert (await client.read())["method"] == "notifications/subscriptions/acknowledged"
        assert len(museum._listeners._listeners) == 2
    assert not museum._listeners._listeners


async def test_on_stdio_a_batch_has_no_streams() -> None:
    async with connected(Museum()) as client:
        await client.ask("initialize", {"protocolVersion": "2025-03-26"})
        client.write(msgspec.json.encode([listen(ALL, 5)]) + b"\n")
        (reply,) = msgspec.json.decode(await client._replies.readline())
        assert (reply["id"], reply["error"]["code"]) == (5, -32600)


async def test_a_connection_has_a_bounded_number_of_subscriptions() -> None:
    async with connected(Museum()) as client:
        await client.ask("initialize", {"protocolVersion": "2025-11-25"})
        for number in range(1000):
            client.send("resources/subscribe", {"uri": f"museum://rooms/{number}"}, number)
        for _ in range(1000):
            assert "result" in await client.read()
        refused = await client.ask("resources/subscribe", {"uri": "museum://vase"}, 1001)
        assert refused["error"]["code"] == -32602
        again = await client.ask("resources/subscribe", {"uri": "museum://rooms/5"}, 1002)
        assert again["result"] == {}
