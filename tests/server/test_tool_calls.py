"""Where tools run, what they are given, and how a server starts and stops."""

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from scopedtools import Context, ScopedServer, prompt, resource, tool
from scopedtools.exceptions import InvalidParamsError
from scopedtools.testing import Client, WireError

pytestmark = pytest.mark.anyio

WAIT_S = 20.0
"""Only ever reached where a test fails."""


class Threads(ScopedServer):
    """Tools that tell where they run."""

    def __init__(self) -> None:
        super().__init__()
        self.meeting = threading.Barrier(4)
        self.opened = threading.Event()

    @tool
    def meet(self) -> int:
        """Wait for three others."""
        self.meeting.wait(WAIT_S)
        return threading.get_ident()

    @tool
    def wait(self) -> bool:
        """Wait until somebody opens."""
        return self.opened.wait(WAIT_S)

    @tool
    async def open(self) -> int:
        """Open."""
        self.opened.set()
        return threading.get_ident()

    @resource("thread://here")
    def here(self) -> int:
        """Where a resource is read."""
        return threading.get_ident()

    @prompt
    def ask(self) -> str:
        """Ask where it runs."""
        return str(threading.get_ident())


async def test_tools_that_are_no_coroutines_run_side_by_side_in_threads() -> None:
    async with Client(Threads()) as client:
        results = await asyncio.gather(*(client.call_tool("meet") for _ in range(4)))
    threads = {result["structuredContent"]["result"] for result in results}
    assert len(threads) == 4
    assert threading.get_ident() not in threads


async def test_a_tool_that_blocks_does_not_hold_up_others_and_coroutines_run_on_the_loop() -> None:
    async with Client(Threads()) as client:
        waiting = asyncio.ensure_future(client.call_tool("wait"))
        opened = await client.call_tool("open")
        assert opened["structuredContent"] == {"result": threading.get_ident()}
        assert (await waiting)["structuredContent"] == {"result": True}


async def test_resources_and_prompts_that_are_no_coroutines_run_in_threads() -> None:
    own = str(threading.get_ident())
    async with Client(Threads()) as client:
        read = await client.request("resources/read", uri="thread://here")
        asked = await client.request("prompts/get", name="ask")
    assert read["contents"][0]["text"] != own
    assert asked["messages"][0]["content"]["text"] != own


async def test_coroutines_run_side_by_side() -> None:
    meeting = asyncio.Barrier(3)

    class Meeting(ScopedServer):
        @tool
        async def meet(self) -> str:
            """Wait for two others."""
            await meeting.wait()
            return "met"

    async with Client(Meeting()) as client:
        results = await asyncio.gather(*(client.call_tool("meet") for _ in range(3)))
    assert [result["content"][0]["text"] for result in results] == ["met"] * 3


def shouting(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return (await function(*args, **kwargs)).upper()

    return wrapper


async def test_a_tool_may_be_wrapped_by_another_decorator() -> None:
    class Shop(ScopedServer):
        @tool
        @shouting
        async def greet(self, name: str, ctx: Context) -> str:
            """Greet."""
            return f"hello {name} in {ctx.id}"

    async with Client(Shop(), context="c1") as client:
        (row,) = await client.list_tools()
        said = await client.call_tool("greet", name="ada")
    assert list(row["inputSchema"]["properties"]) == ["name"]
    assert said["content"][0]["text"] == "HELLO ADA IN C1"


def counted(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


async def test_a_coroutine_behind_a_decorator_that_is_none_is_awaited_all_the_same() -> None:
    class Shop(ScopedServer):
        @tool
        @counted
        async def where(self) -> int:
            """Say where it runs."""
            await asyncio.sleep(0)
            return threading.get_ident()

    async with Client(Shop()) as client:
        assert (await client.call_tool("where"))["structuredContent"] == {"result": threading.get_ident()}


@pytest.mark.parametrize("error", [SystemExit(2), StopIteration(), RecursionError("deep"), MemoryError()])
async def test_nothing_that_a_tool_raises_ends_the_server(error: BaseException) -> None:
    class Shop(ScopedServer):
        @tool
        def end(self) -> str:
            """End in a thread."""
            raise error

        @tool
        async def end_here(self) -> str:
            """End on the loop."""
            raise error

        @resource("shop://end")
        def read(self) -> str:
            """End while reading."""
            raise error

    async with Client(Shop()) as client:
        for name in ("end", "end_here"):
            result = await client.call_tool(name)
            assert result["isError"]
            assert result["content"][0]["text"].startswith(f"{name} failed, reference ")
        with pytest.raises(WireError) as refusal:
            await client.request("resources/read", uri="shop://end")
        assert refusal.value.wire_code == -32603


async def test_state_is_that_of_the_instance() -> None:
    class Counter(ScopedServer):
        def __init__(self, count: int) -> None:
            super().__init__(name=f"counter-{count}")
            self.count = count

        @tool
        async def add(self) -> int:
            """Add one."""
            self.count += 1
            return self.count

    async with Client(Counter(1)) as one, Client(Counter(10)) as ten:
        seen = [(await client.call_tool("add"))["structuredContent"]["result"] for client in (one, ten, one)]
    assert seen == [2, 11, 3]


async def test_large_numbers_survive_a_call_through_call_tool() -> None:
    class Numbers(ScopedServer):
        @tool
        async def same(self, number: int) -> int:
            """Return it."""
            return number

    async with Client(Numbers()) as client:
        for number in (2**53 + 1, 2**63, -(2**64)):
            direct = await client.call_tool("same", number=number)
            through = await client.call_tool("call_tool", name="same", arguments={"number": number})
            assert direct["structuredContent"] == through["structuredContent"] == {"result": number}


async def test_a_tool_may_answer_with_a_protocol_error() -> None:
    class Shop(ScopedServer):
        @tool
        async def refuse(self) -> str:
            """Refuse."""
            raise InvalidParamsError("not like that", data={"hint": 1})

    async with Client(Shop()) as client:
        with pytest.raises(WireError, match="not like that") as refusal:
            await client.call_tool("refuse")
    assert (refusal.value.wire_code, refusal.value.data) == (-32602, {"hint": 1})


@pytest.mark.parametrize("arguments", [[], "text", 3, None])
async def test_arguments_that_are_no_object_are_refused(arguments: Any) -> None:
    async with Client(Threads()) as client:
        with pytest.raises(WireError) as refusal:
            await client.request("tools/call", name="open", arguments=arguments)
    assert refusal.value.wire_code == -32602


async def test_a_call_without_arguments_has_none() -> None:
    async with Client(Threads()) as client:
        assert not (await client.request("tools/call", name="open")).get("isError")


class Held(ScopedServer):
    """Notes when it starts and stops."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[str] = []
        self.failing = False

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        if self.failing:
            raise OSError("no database")
        self.events.append("start")
        yield
        self.events.append("stop")

    @tool
    async def state(self) -> str:
        """Say whether the server runs."""
        return self.events[-1]


async def test_a_server_runs_from_its_first_client_to_its_last() -> None:
    held = Held()
    first, second = Client(held), Client(held)
    await first.__aenter__()
    await second.__aenter__()
    await first.__aexit__(None, None, None)
    assert (await second.call_tool("state"))["content"][0]["text"] == "start"
    await second.__aexit__(None, None, None)
    assert held.events == ["start", "stop"]
    async with Client(held) as again:
        assert (await again.call_tool("state"))["content"][0]["text"] == "start"
    assert held.events == ["start", "stop"] * 2


async def test_a_server_whose_start_fails_can_be_started_again() -> None:
    held = Held()
    held.failing = True
    with pytest.raises(OSError, match="no database"):
        await Client(held).__aenter__()
    held.failing = False
    async with Client(held):
        pass
    assert held.events == ["start", "stop"]
