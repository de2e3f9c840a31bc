"""Progress and log messages: in the stream of their request, before its result, for who asked for them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from scopedtools import Context, ScopedServer, tool
from scopedtools.transports.http import HttpTransport
from tests.streams.opened import LIMIT_S, call, modern, opened, opened_modern
from tests.transports.test_stdio_transport import connected
from tests.wire.exchange import JSON_HEADERS, LEGACY, message

pytestmark = pytest.mark.anyio

LOG_LEVEL = "io.modelcontextprotocol/logLevel"


class Kitchen(ScopedServer):
    """Cooks."""

    def __init__(self) -> None:
        super().__init__()
        self.served = asyncio.Event()
        self.late: asyncio.Task[None] | None = None

    @tool
    async def cook(self, ctx: Context) -> str:
        """Cook in two steps."""
        await ctx.report_progress(1, 2, "chopped")
        await ctx.log("debug", "a detail")
        await ctx.log("warning", {"hot": True}, logger="stove")
        await ctx.report_progress(2, 2)
        return "soup"

    @tool
    async def simmer(self, ctx: Context) -> str:
        """Cook until somebody serves."""
        await ctx.report_progress(1)
        await self.served.wait()
        return "stew"

    @tool
    async def stall(self, ctx: Context) -> str:
        """Report what does not grow, then what does."""
        for progress in (1.0, 1.0, 0.5, 2.0):
            await ctx.report_progress(progress)
        return "done"

    @tool
    async def shout(self, level: str, ctx: Context) -> str:
        """Log at a level."""
        await ctx.log(level, "ho")  # type: ignore[arg-type] # what a wrong level does
        return "done"

    @tool
    async def dawdle(self, ctx: Context) -> str:
        """Log after the result."""

        async def later() -> None:
            await self.served.wait()
            await ctx.log("error", "too late")

        self.late = asyncio.create_task(later())
        return "done"


def cook(**meta: Any) -> dict[str, Any]:
    return modern("tools/call", {"name": "cook"}, meta=meta)


async def test_without_anything_asked_for_the_answer_is_plain_json() -> None:
    async with opened_modern(Kitchen(), cook()) as one:
        assert (await one.json())["result"]["content"][0]["text"] == "soup"


@pytest.mark.parametrize("token", ["p", 7, 0, ""])
async def test_progress_comes_before_the_result_under_the_token_of_its_request(token: Any) -> None:
    async with opened_modern(Kitchen(), cook(progressToken=token)) as one:
        *progress, result = await one.messages()
        assert await one.header("cache-control") == "no-store, no-transform"
        assert await one.header("x-accel-buffering") == "no"
    assert [sent["method"] for sent in progress] == ["notifications/progress"] * 2
    assert progress[0]["params"] == {"progressToken": token, "progress": 1, "total": 2, "message": "chopped"}
    assert progress[1]["params"] == {"progressToken": token, "progress": 2, "total": 2}
    assert result["id"] == 1
    assert result["result"]["content"][0]["text"] == "soup"


async def test_progress_is_sent_while_the_tool_still_works() -> None:
    kitchen = Kitchen()
    request = modern("tools/call", {"name": "simmer"}, meta={"progressToken": "p"})
    async with opened_modern(kitchen, request) as one:
        assert (await one.message())["method"] == "notifications/progress"
        kitchen.served.set()
        assert (await one.message())["result"]["content"][0]["text"] == "stew"
        assert await one.next() is None


async def test_progress_that_does_not_grow_is_not_sent() -> None:
    request = modern("tools/call", {"name": "stall"}, meta={"progressToken": "p"})
    async with opened_modern(Kitchen(), request) as one:
        *progress, _ = await one.messages()
    assert [sent["params"]["progress"] for sent in progress] == [1, 2]


@pytest.mark.parametrize(
    ("level", "logged"),
    [("debug", ["debug", "warning"]), ("info", ["warning"]), ("warning", ["warning"]), ("error", [])],
)
async def test_only_log_messages_of_the_level_that_a_request_names_are_sent(
    level: str, logged: list[str]
) -> None:
    async with opened_modern(Kitchen(), cook(**{LOG_LEVEL: level})) as one:
        if not logged:
            assert "result" in await one.json()
            return
        *sent, _ = await one.messages()
    assert [one["method"] for one in sent] == ["notifications/message"] * len(logged)
    assert [one["params"]["level"] for one in sent] == logged
    assert sent[-1]["params"] == {"level": "warning", "data": {"hot": True}, "logger": "stove"}


@pytest.mark.parametrize("level", ["loud", 5, None, "DEBUG"])
async def test_a_level_that_does_not_exist_is_like_none(level: Any) -> None:
    async with opened_modern(Kitchen(), cook(**{LOG_LEVEL: level})) as one:
        assert "result" in await one.json()


async def test_a_tool_that_logs_at_a_level_that_does_not_exist_hears_of_it() -> None:
    assert (await call(Kitchen(), "shout", {"level": "loud"}))["result"]["isError"]


async def test_two_requests_at_once_have_their_notifications_apart() -> None:
    kitchen = Kitchen()
    first = modern("tools/call", {"name": "simmer"}, meta={"progressToken": "a"}, message_id=1)
    second = modern("tools/call", {"name": "simmer"}, meta={"progressToken": "b"}, message_id=2)
    async with opened_modern(kitchen, first) as one, opened_modern(kitchen, second) as two:
        assert (await one.message())["params"]["progressToken"] == "a"
        assert (await two.message())["params"]["progressToken"] == "b"
        kitchen.served.set()
        assert [sent["id"] for sent in await one.messages()] == [1]
        assert [sent["id"] for sent in await two.messages()] == [2]


async def test_what_is_said_after_the_result_goes_nowhere() -> None:
    kitchen = Kitchen()
    request = modern("tools/call", {"name": "dawdle"}, meta={LOG_LEVEL: "debug"})
    async with opened_modern(kitchen, request) as one:
        assert "result" in await one.json()
        kitchen.served.set()
        assert kitchen.late is not None
        await asyncio.wait_for(kitchen.late, LIMIT_S)


@pytest.mark.parametrize("revision", LEGACY)
async def test_without_a_session_an_earlier_revision_hears_what_is_info_or_worse(revision: str) -> None:
    headers = JSON_HEADERS | {"mcp-protocol-version": revision}
    request = message("tools/call", {"name": "cook", "_meta": {"progressToken": "p"}})
    async with opened(Kitchen(), request, headers) as one:
        sent = await one.messages()
    assert [one.get("method", "result") for one in sent] == [
        "notifications/progress",
        "notifications/message",
        "notifications/progress",
        "result",
    ]


async def test_on_stdio_notifications_come_before_the_result() -> None:
    async with connected(Kitchen()) as client:
        client.send("tools/call", {"name": "cook", "_meta": {"progressToken": "p"}})
        kinds = [(await client.read()).get("method", "result") for _ in range(4)]
        assert kinds == [
            "notifications/progress",
            "notifications/message",
            "notifications/progress",
            "result",
        ]


async def test_on_stdio_the_level_that_was_set_last_counts() -> None:
    async with connected(Kitchen()) as client:
        assert (await client.ask("logging/setLevel", {"level": "error"}))["result"] == {}
        assert "result" in await client.ask("tools/call", {"name": "cook"})
        await client.ask("logging/setLevel", {"level": "debug"})
        client.send("tools/call", {"name": "cook"})
        levels = [(await client.read())["params"]["level"] for _ in range(2)]
        assert levels == ["debug", "warning"]
        assert "result" in await client.read()
        assert (await client.ask("logging/setLevel", {"level": "loud"}))["error"]["code"] == -32602


async def test_a_stream_that_is_silent_says_that_it_is_alive() -> None:
    kitchen = Kitchen()
    endpoint = HttpTransport(kitchen.dispatcher, keepalive_s=0)
    request = modern("tools/call", {"name": "simmer"}, meta={"progressToken": "p"})
    async with opened_modern(endpoint, request) as one:
        assert (await one.message())["method"] == "notifications/progress"
        for _ in range(3):
            event = await one.next()
            assert event is not None
            assert event.comment
        kitchen.served.set()
        assert "result" in await one.message()
