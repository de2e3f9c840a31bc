"""Calls that an upstream answers with a task come to a result, as other calls do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from mcp import Client as OfficialClient
from mcp_types import ElicitResult

from scopedtools import Context, ScopedServer, ToolError, tool
from scopedtools.gateway import Gateway
from scopedtools.tasks import TaskSettings
from scopedtools.testing import Client
from tests.gateway.faulty import faulty
from tests.gateway.fronted import LIMIT_S, configured, serving, text, until
from tests.gateway.real_servers import node_server
from tests.hosting import hosted

pytestmark = pytest.mark.anyio


class Kitchen(ScopedServer):
    """Takes its time."""

    def __init__(self) -> None:
        super().__init__(tasks=TaskSettings(poll_interval_ms=20))
        self.gate = asyncio.Event()
        self.cancelled = asyncio.Event()

    @tool(task="required")
    async def roast(self, ctx: Context) -> dict[str, int]:
        """Roast for hours."""
        await ctx.report_progress(1, 2, "half done")
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return {"minutes": 90}

    @tool(task="optional")
    async def burn(self) -> str:
        """Fail."""
        raise ToolError("the oven is cold")

    @tool(task="optional")
    async def fill(self, ctx: Context) -> str:
        """Ask twice."""
        first = await ctx.elicit("Which filling?", {"type": "object", "properties": {}})
        second = await ctx.elicit("Sure?", {"type": "object", "properties": {}})
        return f"{first.data} {second.action}"


@asynccontextmanager
async def kitchen(**options: Any) -> AsyncIterator[tuple[Kitchen, str, ScopedServer]]:
    upstream = Kitchen()
    async with hosted(upstream) as (host, port):
        config = configured({"up": {"url": f"http://{host}:{port}/mcp"} | options})
        async with (
            Gateway(config).running() as gateway,
            serving(gateway) as server,
            hosted(server) as (own_host, own_port),
        ):
            yield upstream, f"http://{own_host}:{own_port}/mcp", server


async def test_a_tool_that_must_run_as_a_task_answers_a_plain_call_with_its_result_and_its_progress() -> None:
    told: list[tuple[float, float | None, str | None]] = []

    async with kitchen() as (upstream, url, _), OfficialClient(url) as client:

        async def hear(progress: float, total: float | None, message: str | None) -> None:
            told.append((progress, total, message))
            upstream.gate.set()

        result = await client.call_tool("up__roast", {}, progress_callback=hear)
        assert result.structured_content == {"minutes": 90}
    assert [message for _, _, message in told] == ["half done"]


async def test_a_call_of_a_task_that_is_given_up_cancels_it_upstream() -> None:
    async with kitchen() as (upstream, url, _):
        began = asyncio.Event()

        async def hear(progress: float, total: float | None, message: str | None) -> None:
            assert (progress, total, message) == (1, None, "half done")
            began.set()

        async with OfficialClient(url) as client:
            call = asyncio.create_task(client.call_tool("up__roast", {}, progress_callback=hear))
            async with asyncio.timeout(10):
                await began.wait()
                call.cancel()
                await upstream.cancelled.wait()


async def test_a_task_lasts_longer_than_one_answer_may_take() -> None:
    async with kitchen(timeout_ms=300) as (upstream, _, server), Client(server) as client:
        call = asyncio.create_task(client.call_tool("up__roast"))
        done, _ = await asyncio.wait({call}, timeout=1)
        assert not done
        upstream.gate.set()
        assert (await call)["structuredContent"] == {"minutes": 90}


async def test_a_task_that_fails_is_a_failed_call() -> None:
    async with kitchen() as (_, _, server), Client(server) as client:
        result = await client.call_tool("up__burn")
        assert (result["isError"], text(result)) == (True, "the oven is cold")


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_what_a_task_asks_reaches_the_client(mode: Any) -> None:
    asked: list[str] = []

    async def elicit(context: Any, params: Any) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action="accept", content={"with": "jam"})

    async with (
        kitchen() as (_, url, _),
        OfficialClient(url, mode=mode, elicitation_callback=elicit) as client,
    ):
        result = await client.call_tool("up__fill", {})
        assert result.content[0].text == "{'with': 'jam'} accept"  # type: ignore[union-attr]
    assert asked == ["Which filling?", "Sure?"]


async def test_a_task_of_2025_is_followed_too_and_clients_do_not_see_that_it_is_one() -> None:
    config = configured({"bad": faulty("tasks")})
    async with (
        Gateway(config).running() as gateway,
        serving(gateway) as server,
        hosted(server) as (host, port),
    ):
        told: list[Any] = []

        async def hear(progress: float, total: float | None, message: str | None) -> None:
            told.append((progress, total, message))

        async with OfficialClient(f"http://{host}:{port}/mcp") as client:
            (one, *_) = (await client.list_tools()).tools
            assert getattr(one, "execution", None) is None
            result = await client.call_tool("bad__fine", {}, progress_callback=hear)
            assert result.content[0].text == "fine as a task"  # type: ignore[union-attr]
            assert told == [(1, 2, "by token")]
            call = asyncio.create_task(client.call_tool("bad__other", {}, progress_callback=hear))
            await until(lambda: told[1:] == [(1, None, "for ever")])
            call.cancel()

            async with asyncio.timeout(LIMIT_S):
                while "1 cancelled" not in str((await client.call_tool("bad__count", {})).content):
                    pass


@pytest.mark.slow
@pytest.mark.node
async def test_a_task_of_the_reference_server_asks_and_answers() -> None:
    async def elicit(context: Any, params: Any) -> ElicitResult:
        return ElicitResult(action="accept", content={"interpretation": "the snake"})

    async with (
        Gateway(configured({"up": node_server("everything")})).running() as gateway,
        serving(gateway) as server,
        hosted(server) as (host, port),
        OfficialClient(f"http://{host}:{port}/mcp", elicitation_callback=elicit) as client,
    ):
        arguments = {"topic": "python", "ambiguous": True}
        result = await client.call_tool("up__simulate-research-query", arguments)
        assert "the snake" in result.content[0].text  # type: ignore[union-attr]
