"""Calls behind ASGI servers and middleware whose channels do not behave like uvicorn's."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from anyio.lowlevel import checkpoint
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.types import ASGIApp, Message

from scopedtools import Context, ScopedServer, tool
from tests.streams.opened import LIMIT_S, modern
from tests.wire.exchange import mirrored

pytestmark = pytest.mark.anyio


class Talker(ScopedServer):
    """Reports progress."""

    def __init__(self) -> None:
        super().__init__()
        self.stopped = asyncio.Event()

    @tool
    async def quick(self, ctx: Context) -> str:
        """Report once, and be done without waiting for anything."""
        await ctx.report_progress(1)
        return "done"

    @tool
    async def endless(self, ctx: Context) -> str:
        """Report for as long as somebody reads, and longer than one that asks it to stop."""
        try:
            for step in range(1_000_000):
                await ctx.report_progress(step + 1)
        except asyncio.CancelledError:
            await ctx.report_progress(1_000_001)
        finally:
            self.stopped.set()
        return "done"

    @tool
    async def slow(self) -> str:
        """Wait a little."""
        for _ in range(50):
            await checkpoint()
        return "done"


class Channel:
    """What an ASGI server gives an app.

    Args:
        repeats: It says the body again whenever it is asked, at once.
        fails: What sending a part of the body raises.
    """

    def __init__(self, name: str, *, repeats: bool = False, fails: Exception | None = None) -> None:
        request = modern("tools/call", {"name": name, "arguments": {}}, meta={"progressToken": "p"})
        self._body = msgspec.json.encode(request)
        lines = [(key.encode(), value.encode()) for key, value in mirrored(request).items()]
        self.scope: dict[str, Any] = {
            "type": "http",
            "method": "POST",
            "path": "/mcp",
            "query_string": b"",
            "headers": lines,
        }
        self._repeats = repeats
        self._fails = fails
        self._asked = 0
        self.sent: list[Message] = []

    async def receive(self) -> Message:
        self._asked += 1
        if self._asked == 1 or self._repeats:
            return {"type": "http.request", "body": self._body, "more_body": False}
        await asyncio.Event().wait()
        raise AssertionError

    async def send(self, part: Message) -> None:
        await checkpoint()
        if self._fails is not None and part["type"] == "http.response.body":
            raise self._fails
        self.sent.append(part)

    async def run(self, app: ASGIApp) -> None:
        async with asyncio.timeout(LIMIT_S):
            await app(self.scope, self.receive, self.send)

    @property
    def body(self) -> bytes:
        return b"".join(part.get("body", b"") for part in self.sent)


async def test_a_tool_that_reports_and_is_done_at_once_is_streamed_once() -> None:
    channel = Channel("quick")
    await channel.run(Talker())
    assert [part["type"] for part in channel.sent].count("http.response.start") == 1
    assert channel.body.count(b"event: message") == 2


async def test_a_tool_that_reports_is_streamed_once_behind_middleware() -> None:
    async def passing(request: Any, call_next: Any) -> Any:
        return await call_next(request)

    channel = Channel("quick")
    await channel.run(BaseHTTPMiddleware(Talker(), dispatch=passing))
    assert channel.body.count(b"event: message") == 2


@pytest.mark.parametrize("fails", [RuntimeError("no such connection"), ConnectionResetError("gone")])
async def test_a_stream_that_cannot_be_sent_ends_its_call_even_one_that_goes_on(fails: Exception) -> None:
    talker = Talker()
    await Channel("endless", fails=fails).run(talker)
    assert talker.stopped.is_set()


async def test_a_body_that_is_said_again_and_again_does_not_hold_everybody_up() -> None:
    channel = Channel("slow", repeats=True)
    await channel.run(Talker())
    assert b"done" in channel.body


async def test_a_call_that_the_server_cancels_is_cancelled() -> None:
    talker = Talker()
    channel = Channel("endless")
    running = asyncio.create_task(channel.run(talker))
    while not channel.sent:
        await checkpoint()
    running.cancel()
    await asyncio.wait([running], timeout=LIMIT_S)
    assert talker.stopped.is_set()
