"""Callers of whom none can take all places, and calls that end in time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

import msgspec
import pytest

from scopedtools import Context, View
from scopedtools.deadline import DeadlineError, within
from scopedtools.protocol import meta
from tests.limits.mill import ANN, BOB, Mill, assert_refused, call
from tests.streams.opened import Opened, modern, opened, opened_modern
from tests.wire.exchange import ENVELOPE, JSON_HEADERS, ask, http, message

pytestmark = pytest.mark.anyio


async def grinding(mill: Mill, count: int, headers: Mapping[str, str]) -> list[asyncio.Task[Any]]:
    calls = [call(mill, "grind", headers) for _ in range(count)]
    async with asyncio.timeout(10):
        for _ in calls:
            await mill.started.get()
    return calls


async def test_one_principal_cannot_take_all_places() -> None:
    mill = Mill(concurrent_calls_per_principal=3)
    calls = await grinding(mill, 3, ANN)
    assert_refused(await call(mill, "weigh", ANN), 429)
    assert_refused(await ask(mill, "tools/list", headers=ANN), 429)
    assert (await call(mill, "weigh", BOB)).status == 200
    mill.gate.set()
    assert [answer.status for answer in await asyncio.gather(*calls)] == [200, 200, 200]
    assert (await call(mill, "weigh", ANN)).status == 200


async def test_a_full_process_says_so_at_once() -> None:
    mill = Mill(concurrent_calls=4, concurrent_calls_per_principal=2)
    calls = [*await grinding(mill, 2, ANN), *await grinding(mill, 2, BOB)]
    mill_of_all = Mill(authorized=False, concurrent_calls=2, concurrent_calls_per_principal=1)
    calls += await grinding(mill_of_all, 2, {})
    assert_refused(await call(mill_of_all, "weigh"), 503)
    mill.gate.set()
    mill_of_all.gate.set()
    await asyncio.gather(*calls)
    assert (await call(mill_of_all, "weigh")).status == 200


async def test_places_of_calls_that_were_cancelled_or_failed_are_free_again() -> None:
    mill = Mill(concurrent_calls_per_principal=1)
    for _ in range(3):
        (running,) = await grinding(mill, 1, ANN)
        running.cancel()
        await asyncio.wait([running])
        assert (await ask(mill, "tools/call", {"name": "none"}, ANN)).status == 400
    assert (await call(mill, "weigh", ANN)).status == 200


async def test_a_session_is_refused_before_its_answer_is_a_stream() -> None:
    mill = Mill(sessions=True, concurrent_calls_per_principal=1)
    async with mill:
        hello = {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "t", "version": "1"},
        }
        first = await http(mill, msgspec.json.encode(message("initialize", hello)), JSON_HEADERS | ANN)
        headers = JSON_HEADERS | ANN | {"mcp-session-id": first.headers["mcp-session-id"]}
        headers["mcp-protocol-version"] = "2025-11-25"
        async with opened(mill, message("tools/call", {"name": "grind"}), headers):
            await mill.started.get()
            body = msgspec.json.encode(message("tools/call", {"name": "weigh"}))
            assert_refused(await http(mill, body, headers), 429)
            mill.gate.set()


async def listening(stack: AsyncExitStack, mill: Mill, headers: Mapping[str, str]) -> Opened:
    request = modern("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
    return await stack.enter_async_context(opened_modern(mill, request, dict(headers)))


async def test_one_principal_cannot_take_all_streams() -> None:
    mill = Mill(listeners_per_principal=2, listeners=3, concurrent_calls_per_principal=1)
    async with mill, AsyncExitStack() as stack:
        for _ in range(2):
            assert await (await listening(stack, mill, ANN)).status() == 200
        third = await listening(stack, mill, ANN)
        assert (await third.status(), int(await third.header("retry-after") or 0) > 0) == (429, True)
        assert await (await listening(stack, mill, BOB)).status() == 200
        full = await listening(stack, mill, BOB)
        assert await full.status() == 503
        assert (await call(mill, "weigh", ANN)).status == 200, "who listens can still call"
        mill.end_streams()


async def test_a_stream_has_its_place_before_a_hook_is_asked_for_it() -> None:
    class Slow(Mill):
        async def permitted(self, ctx: Context, rows: View) -> View:
            self.started.put_nowait(None)
            await self.gate.wait()
            return rows

    mill = Slow(listeners_per_principal=1)
    wanted = {"notifications": {"resourceSubscriptions": ["mill://wheel"]}}
    request = modern("subscriptions/listen", wanted)
    async with asyncio.timeout(10), opened_modern(mill, request, ANN):
        await mill.started.get()
        assert_refused(await ask(mill, "subscriptions/listen", wanted, ANN), 429)


async def test_a_tool_that_takes_too_long_is_cancelled_and_the_model_is_told() -> None:
    mill = Mill(authorized=False, call_timeout_s=0.05)
    result = (await call(mill, "grind")).result
    assert result["isError"]
    assert result["content"][0]["text"] == "grind took longer than 0.05 s and was cancelled"
    assert mill.cancelled == 1
    assert (await call(mill, "weigh")).result["structuredContent"] == {"result": 1}


async def test_a_tool_that_is_called_through_another_is_cancelled_by_its_own_name() -> None:
    mill = Mill(authorized=False, call_timeout_s=0.05)
    named = {"name": "call_tool", "arguments": {"name": "grind", "arguments": {}}}
    result = (await ask(mill, "tools/call", named)).result
    assert result["isError"]
    assert "grind took longer" in result["content"][0]["text"]


async def test_a_read_that_takes_too_long_is_an_error() -> None:
    mill = Mill(authorized=False, call_timeout_s=0.05)
    answer = await ask(mill, "resources/read", {"uri": "mill://wheel"})
    assert answer.refusal == (504, 504)
    assert "retry-after" not in answer.headers


async def test_a_task_may_take_longer_than_a_call() -> None:
    mill = Mill(authorized=False, call_timeout_s=0.05)
    async with mill:
        follows = ENVELOPE | {meta.CLIENT_CAPABILITIES: {"extensions": {meta.TASKS: {}}}}
        begun = (await ask(mill, "tools/call", {"name": "grind", "_meta": follows})).result
        with pytest.raises(DeadlineError):
            await within(0.2, mill.gate.wait())
        look = {"taskId": begun["taskId"], "_meta": follows}
        assert (await ask(mill, "tasks/get", look)).result["status"] == "working"
        assert mill.cancelled == 0
        mill.gate.set()


async def test_a_deadline_cancels_what_waits_and_nothing_else() -> None:
    async def done() -> int:
        return 1

    async def late() -> int:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return 2

    async def broken(error: Exception) -> None:
        await asyncio.sleep(0)
        raise error

    async def stubborn() -> int:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return 3
        return 4

    assert await within(10, done()) == 1
    assert await within(10, late()) == 2
    assert await within(0.01, stubborn()) == 3
    with pytest.raises(DeadlineError):
        await within(0.01, asyncio.Event().wait())
    with pytest.raises(TimeoutError, match="its own"):
        await within(10, broken(TimeoutError("its own")))
    waiting = asyncio.create_task(within(10, asyncio.Event().wait()))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
