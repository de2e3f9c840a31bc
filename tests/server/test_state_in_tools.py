"""What tools keep for a unit of work: values in the store, and objects in the process."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from scopedtools import Context, ContextLocal, Principal, ScopedServer, tool
from scopedtools.auth import StaticTokens
from scopedtools.context.store import MemoryStore
from scopedtools.protocol.meta import PARENT
from scopedtools.testing import Client

pytestmark = pytest.mark.anyio


class Order:
    """A form that takes its lines in the order in which they come."""

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.lines: list[str] = []


class Desk(ScopedServer):
    """Write orders."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.opened: Counter[str] = Counter()
        self.closed: list[str] = []
        self.opening = asyncio.Event()
        self.orders = ContextLocal(self.open_order)

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        async with self.orders:
            yield

    @asynccontextmanager
    async def open_order(self, ctx: Context) -> AsyncIterator[Order]:
        owner = f"{ctx.principal.name}/{ctx.id}"
        self.opened[owner] += 1
        self.opening.set()
        await asyncio.sleep(0)  # a form takes a moment to open
        yield Order(owner)
        self.closed.append(owner)

    @tool
    async def add_line(self, line: str, ctx: Context) -> list[str]:
        """Add a line to the order of this unit of work."""
        async with self.orders.use(ctx) as order:
            assert order.owner == f"{ctx.principal.name}/{ctx.id}"
            order.lines.append(line)
            return order.lines

    @tool
    async def keep(self, name: str, value: str, ctx: Context) -> None:
        """Keep a value."""
        await ctx.state.set(name, value)

    @tool
    async def first(self, name: str, value: str, ctx: Context) -> str:
        """Keep a value unless there is one."""
        kept: str = await ctx.state.setdefault(name, value)
        return kept

    @tool
    async def kept(self, name: str, ctx: Context) -> str:
        """Tell what is kept."""
        value: str = await ctx.state.get(name, "nothing")
        return value


async def text(client: Client, name: str, /, **arguments: str) -> str:
    result = await client.call_tool(name, **arguments)
    said: str = result["content"][0]["text"]
    return said


async def test_a_value_is_there_for_the_next_call_of_the_same_unit_of_work_alone() -> None:
    desk = Desk()
    async with Client(desk, context="a") as mine, Client(desk, context="b") as other:
        await mine.call_tool("keep", name="customer", value="ada")
        assert await text(mine, "kept", name="customer") == "ada"
        assert await text(other, "kept", name="customer") == "nothing"


async def test_the_same_id_of_another_principal_has_another_state_and_another_object() -> None:
    desk = Desk(verifier=StaticTokens({"t-ada": Principal("ada"), "t-bob": Principal("bob")}))
    async with (
        Client(desk, context="a", token="t-ada") as ada,
        Client(desk, context="a", token="t-bob") as bob,
    ):
        await ada.call_tool("keep", name="x", value="hers")
        assert await text(bob, "kept", name="x") == "nothing"
        await ada.call_tool("add_line", line="hers")
        lines = await bob.call_tool("add_line", line="his")
        assert lines["structuredContent"] == {"result": ["his"]}
    assert desk.opened == {"ada/a": 1, "bob/a": 1}


async def test_a_forked_context_has_a_state_and_an_object_of_its_own() -> None:
    desk = Desk()
    async with Client(desk, context="parent") as parent, Client(desk, context="child") as child:
        await parent.call_tool("keep", name="x", value="the parent's")
        await parent.call_tool("add_line", line="one")
        forked = {PARENT: "parent"}
        call = {"name": "kept", "arguments": {"name": "x"}, "meta": forked}
        assert (await child.request("tools/call", **call))["content"][0]["text"] == "nothing"
        call = {"name": "add_line", "arguments": {"line": "two"}, "meta": forked}
        assert (await child.request("tools/call", **call))["structuredContent"] == {"result": ["two"]}


async def test_a_value_stays_where_the_view_of_its_context_is_lost() -> None:
    store = MemoryStore()
    async with Client(Desk(store=store, secret=b"shared"), context="a") as client:
        await client.call_tool("keep", name="x", value="kept")
    async with Client(Desk(store=store, secret=b"shared"), context="a") as elsewhere:
        assert await text(elsewhere, "kept", name="x") == "kept"


async def test_without_a_context_the_model_is_told_what_is_needed() -> None:
    async with Client(Desk()) as client:
        for call in (client.call_tool("keep", name="x", value="1"), client.call_tool("add_line", line="1")):
            result = await call
            assert result["isError"]
            assert "needs a context: send an ID" in result["content"][0]["text"]


async def test_of_first_values_set_side_by_side_all_get_the_same() -> None:
    async with Client(Desk(), context="a") as client:
        got = await asyncio.gather(*(text(client, "first", name="x", value=str(n)) for n in range(16)))
        assert len(set(got)) == 1


class Unreachable(MemoryStore):
    async def get_value(self, key: bytes, name: str) -> bytes | None:
        raise ConnectionError("no route to the database")


async def test_where_the_store_fails_the_call_fails_and_nothing_is_made_up() -> None:
    async with Client(Desk(store=Unreachable()), context="a") as client:
        result = await client.call_tool("kept", name="x")
        assert result["isError"]
        assert "cannot be reached now" in result["content"][0]["text"]


async def test_of_100_contexts_with_16_first_calls_side_by_side_each_has_one_object() -> None:
    desk = Desk()
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(Client(desk, context=f"work-{number}")) for number in range(100)
        ]
        calls = [
            client.call_tool("add_line", line=str(line)) for line in range(16) for client in clients
        ]  # the contexts take turns
        results = await asyncio.gather(*calls)
        assert not any(result.get("isError") for result in results)
        assert set(desk.opened.values()) == {1}
        assert len(desk.opened) == 100
        for client in clients:
            last = await client.call_tool("add_line", line="last")
            lines = last["structuredContent"]["result"]
            assert sorted(lines[:-1], key=int) == [str(line) for line in range(16)]
    assert Counter(desk.closed) == desk.opened


async def test_a_call_that_is_cancelled_while_the_object_is_made_leaves_it_to_the_others() -> None:
    desk = Desk()
    async with Client(desk, context="a") as client:
        calls = [asyncio.create_task(client.call_tool("add_line", line=str(n))) for n in range(4)]
        await desk.opening.wait()
        calls[0].cancel()
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert isinstance(results[0], asyncio.CancelledError)
        assert not any(isinstance(result, BaseException) or "isError" in result for result in results[1:])
    assert desk.opened == {"anonymous/a": 1}
