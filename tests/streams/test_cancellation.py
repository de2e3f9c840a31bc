"""Calls that nobody waits for any longer: the author's coroutine hears of it, and nothing is answered."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import anyio.from_thread
import pytest

from scopedtools import Context, ScopedServer, prompt, resource, tool
from tests.streams.opened import LIMIT_S, call, modern, opened, opened_modern, text
from tests.transports.test_stdio_transport import connected
from tests.wire.exchange import JSON_HEADERS, MODERN, message

pytestmark = pytest.mark.anyio


class Office(ScopedServer):
    """Works."""

    def __init__(self) -> None:
        super().__init__()
        self.began = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.go_on = asyncio.Event()
        self.opened = threading.Event()
        self.ended = threading.Event()

    async def _work(self) -> str:
        self.began.set()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return "done"

    @tool
    async def work(self) -> str:
        """Work."""
        return await self._work()

    @tool
    async def work_aloud(self, ctx: Context) -> str:
        """Work and say so."""
        await ctx.report_progress(1)
        return await self._work()

    @tool
    async def insist(self) -> str:
        """Work on, cancelled or not."""
        try:
            return await self._work()
        except asyncio.CancelledError:
            return "finished all the same"

    @tool
    def work_in_a_thread(self, ctx: Context) -> str:
        """Work in a thread."""
        anyio.from_thread.run_sync(self.began.set)
        self.opened.wait(LIMIT_S)
        self.ended.set()
        return "done"

    @tool
    async def wait_for_what_was_cancelled(self) -> str:
        """Cancel something and wait for it."""
        waiting = asyncio.ensure_future(asyncio.Event().wait())
        waiting.cancel()
        await waiting
        return "done"

    @resource("office://desk")
    async def desk(self) -> str:
        """Read slowly."""
        return await self._work()

    @prompt
    async def memo(self) -> str:
        """Write slowly."""
        return await self._work()


async def happened(event: asyncio.Event) -> None:
    async with asyncio.timeout(LIMIT_S):
        await event.wait()


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tools/call", {"name": "work"}),
        ("tools/call", {"name": "work_aloud"}),
        ("tools/call", {"name": "call_tool", "arguments": {"name": "work"}}),
        ("resources/read", {"uri": "office://desk"}),
        ("prompts/get", {"name": "memo"}),
    ],
)
async def test_a_client_that_goes_away_cancels_what_runs_for_it(method: str, params: dict[str, Any]) -> None:
    office = Office()
    async with opened_modern(office, modern(method, params, meta={"progressToken": "p"})) as one:
        await happened(office.began)
        assert not office.cancelled.is_set()
        await one.leave()
        await happened(office.cancelled)


async def test_a_client_of_an_earlier_revision_without_a_session_cancels_in_the_same_way() -> None:
    office = Office()
    headers = JSON_HEADERS | {"mcp-protocol-version": "2025-11-25"}
    async with opened(office, message("tools/call", {"name": "work"}), headers) as one:
        await happened(office.began)
        await one.leave()
        await happened(office.cancelled)


async def test_nothing_is_sent_after_the_client_went_away() -> None:
    office = Office()
    async with opened_modern(office, modern("tools/call", {"name": "work"})) as one:
        await happened(office.began)
        await one.leave()
        assert one.sent == 0


async def test_a_thread_runs_on_without_its_client_and_harms_nobody() -> None:
    office = Office()
    async with opened_modern(office, modern("tools/call", {"name": "work_in_a_thread"})) as one:
        await happened(office.began)
        await one.leave()
    office.opened.set()
    assert await asyncio.to_thread(office.ended.wait, LIMIT_S)
    assert text(await call(office, "work_in_a_thread")) == "done"


async def test_a_call_that_is_answered_is_not_cancelled_by_the_client_that_leaves_afterwards() -> None:
    office = Office()
    async with opened_modern(office, modern("tools/call", {"name": "work"})) as one:
        await happened(office.began)
        office.go_on.set()
        assert "result" in await one.json()
        await one.leave()
    assert not office.cancelled.is_set()


async def test_a_tool_that_waits_for_what_it_cancelled_itself_is_answered() -> None:
    answer = await call(Office(), "wait_for_what_was_cancelled")
    assert answer["result"]["isError"]


async def test_over_stateless_http_a_notification_cancels_nothing() -> None:
    office = Office()
    async with opened_modern(office, modern("tools/call", {"name": "work"})) as one:
        await happened(office.began)
        gone = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
        headers = JSON_HEADERS | {"mcp-protocol-version": MODERN, "mcp-method": "notifications/cancelled"}
        async with opened(office, gone, headers) as other:
            assert await other.status() == 202
        office.go_on.set()
        assert "result" in await one.json()


@pytest.mark.parametrize("message_id", [5, "five"])
async def test_on_stdio_a_cancelled_request_is_not_answered_and_others_are(message_id: Any) -> None:
    office = Office()
    async with connected(office) as client:
        client.call("work", message_id)
        await happened(office.began)
        cancelled = b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%b}}\n'
        client.write(cancelled % b"6")
        client.write(cancelled % (b"5" if message_id == 5 else b'"five"'))
        await happened(office.cancelled)
        client.write(cancelled % b"5")
        assert (await client.ask("ping", message_id=7))["result"] == {}


async def test_on_stdio_the_id_of_a_cancelled_request_tells_text_and_number_apart() -> None:
    office = Office()
    async with connected(office) as client:
        client.call("work", "5")
        await happened(office.began)
        client.write(b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}}\n')
        assert (await client.ask("ping", message_id=7))["result"] == {}
        assert not office.cancelled.is_set()
        office.go_on.set()
        assert (await client.read())["id"] == "5"


async def test_on_stdio_two_requests_of_one_id_are_both_cancelled() -> None:
    office = Office()
    async with connected(office) as client:
        client.call("work", 1)
        client.call("work_in_a_thread", 1)
        client.call("work", 1)
        await happened(office.began)
        client.write(b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}\n')
        await happened(office.cancelled)
        assert (await client.ask("ping", message_id=2))["result"] == {}
        office.opened.set()
