"""Observers see each request begin and end, once, and harm none."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from scopedtools import Context, ScopedServer, ToolError, resource, tool
from scopedtools.protocol import meta
from scopedtools.protocol.request import Request
from scopedtools.testing import Client, WireError
from scopedtools.types import Outcome
from tests.context.office import Office, Words
from tests.wire.exchange import JSON_HEADERS, http, message

pytestmark = pytest.mark.anyio

ELICITS: dict[str, Any] = {"elicitation": {}}


class Log:
    """Writes down what it sees."""

    def __init__(self, name: str = "log", into: list[str] | None = None) -> None:
        self.name = name
        self.events = into if into is not None else []
        self.seen: list[tuple[Request, Context, Outcome]] = []
        self.ended = asyncio.Event()

    async def start(self) -> None:
        self.events.append(f"{self.name} starts")

    async def stop(self) -> None:
        self.events.append(f"{self.name} stops")

    def begin(self, request: Request, ctx: Context) -> Any:
        self.events.append(f"{self.name} begins {request.method.name}")

        def ended(outcome: Outcome) -> None:
            self.events.append(f"{self.name} ends {request.method.name}")
            self.seen.append((request, ctx, outcome))
            self.ended.set()

        return ended

    @property
    def outcomes(self) -> list[tuple[str, str | None, str, int | None]]:
        return [(one.method.name, one.tool or one.target, end.status, end.code) for one, _, end in self.seen]


class Broken(Log):
    """Fails wherever it can while the server runs."""

    def begin(self, request: Request, ctx: Context) -> Any:
        if request.method.name == "tools/list":
            raise RuntimeError("at the beginning")

        def ended(_: Outcome) -> None:
            raise RuntimeError("at the end")

        return ended


class Desk(ScopedServer):
    """Answers in every way there is."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.arrived = asyncio.Event()

    @tool
    async def ask(self, ctx: Context) -> str:
        """Ask the user."""
        return (await ctx.elicit("Sure?", {"type": "object", "properties": {}})).action

    @tool
    async def refuse(self) -> str:
        """Refuse."""
        raise ToolError("no")

    @tool
    async def greet(self, name: str) -> str:
        """Greet."""
        return f"Hello {name}"

    @tool
    async def wait(self) -> str:
        """Wait for ever."""
        self.arrived.set()
        await asyncio.Event().wait()
        return ""

    @tool(task="required")
    async def detach(self) -> str:
        """Go on for long."""
        return ""

    @resource("desk://drawer")
    async def drawer(self) -> str:
        """What lies in the drawer."""
        return "a pen"


async def test_each_request_ends_once_and_says_how() -> None:
    log = Log()
    async with Client(Desk(observers=[log]), context="a", capabilities=ELICITS, tasks=True) as client:
        await client.list_tools()
        await client.call_tool("greet", name="Ada")
        await client.call_tool("greet", wrong=1)
        await client.call_tool("refuse")
        await client.call_tool("ask")
        await client.call_tool("detach")
        await client.request("resources/read", uri="desk://drawer")
        with pytest.raises(WireError):
            await client.call_tool("nowhere")
    assert log.outcomes == [
        ("tools/list", None, "ok", None),
        ("tools/call", "greet", "ok", None),
        ("tools/call", "greet", "tool_error", None),
        ("tools/call", "refuse", "tool_error", None),
        ("tools/call", "ask", "input_required", None),
        ("tools/call", "detach", "task", None),
        ("resources/read", "desk://drawer", "ok", None),
        ("tools/call", "nowhere", "error", -32602),
    ]
    assert {ctx.id for _, ctx, _ in log.seen} == {"a"}


async def test_a_list_of_a_context_says_its_revision() -> None:
    log = Log()
    async with Client(Office(Words(), observers=[log]), context="a", intent="create invoice") as client:
        page = await client.request("tools/list")
        await client.call_tool("help", what="now")
    views = [outcome.view for _, _, outcome in log.seen]
    assert views == [page["_meta"][meta.VIEW]["revision"], None]


async def test_the_tool_behind_call_tool_is_told() -> None:
    log = Log()
    async with Client(Office(Words(), observers=[log]), context="a") as client:
        await client.call_tool("call_tool", name="create_invoice", arguments={"what": "x"})
    assert [(request.target, request.tool) for request, _, _ in log.seen] == [("call_tool", "create_invoice")]


async def test_the_id_of_a_task_is_not_told_since_who_knows_it_has_the_task() -> None:
    log = Log()
    async with Client(Desk(observers=[log]), context="a", tasks=True) as client:
        task = await client.call_tool("detach")
        await client.request("tasks/get", taskId=task["taskId"])
    assert [(request.method.name, request.target) for request, _, _ in log.seen] == [
        ("tools/call", "detach"),
        ("tasks/get", None),
    ]


async def test_a_call_whose_client_goes_away_is_cancelled() -> None:
    log, desk = Log(), Desk()
    desk.observe(log)
    async with Client(desk, context="a") as client:
        calling = asyncio.create_task(client.call_tool("wait"))
        await desk.arrived.wait()
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)
        async with asyncio.timeout(5):
            await log.ended.wait()
    assert log.outcomes == [("tools/call", "wait", "cancelled", None)]


async def test_observers_see_the_end_in_reverse_and_outlive_the_lifespan() -> None:
    events: list[str] = []

    class Open(ScopedServer):
        """Says when it is open."""

        @asynccontextmanager
        async def lifespan(self) -> AsyncIterator[None]:
            events.append("opens")
            yield
            events.append("closes")

    server = Open(observers=[Log("one", events), Log("two", events)])
    async with Client(server) as client:
        await client.list_tools()
    assert events == [
        *("one starts", "two starts", "opens"),
        *("one begins tools/list", "two begins tools/list", "two ends tools/list", "one ends tools/list"),
        *("closes", "two stops", "one stops"),
    ]


async def test_an_observer_that_fails_is_logged_and_harms_no_request(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = Log()
    with caplog.at_level(logging.ERROR):
        async with Client(Desk(observers=[Broken(), log]), context="a") as client:
            assert len(await client.list_tools()) == 5
            assert (await client.call_tool("greet", name="Ada"))["content"][0]["text"] == "Hello Ada"
    assert [status for _, _, status, _ in log.outcomes] == ["ok", "ok"]
    assert len(caplog.records) == 2


async def test_an_observer_that_comes_too_late_is_refused() -> None:
    desk = Desk()
    async with desk:
        with pytest.raises(RuntimeError, match="runs already"):
            desk.observe(Log())
    desk.observe(Log())


async def test_every_message_of_a_batch_is_seen() -> None:
    log = Log()
    batch = [message("tools/list", message_id=1), message("ping", message_id=2)]
    headers = JSON_HEADERS | {"mcp-protocol-version": "2025-03-26"}
    await http(Desk(observers=[log]), msgspec.json.encode(batch), headers)
    assert sorted(name for name, *_ in log.outcomes) == ["ping", "tools/list"]
