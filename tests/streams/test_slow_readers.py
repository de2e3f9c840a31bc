"""Readers that are slow or away: writers wait, or the oldest messages go; memory is bounded either way."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from scopedtools import Context, ScopedServer, tool
from scopedtools.transports.sse import Stream, pump
from tests.streams.opened import LIMIT_S, modern, opened_modern

pytestmark = pytest.mark.anyio


class Press(ScopedServer):
    """Prints."""

    def __init__(self) -> None:
        super().__init__()
        self.printed = 0
        self.stopped = asyncio.Event()

    @tool
    async def print_all(self, pages: int, ctx: Context, words: str = "") -> str:
        """Print pages, one after the other."""
        try:
            for page in range(pages):
                await ctx.report_progress(page + 1, message=words or None)
                self.printed = page + 1
        finally:
            self.stopped.set()
        return "printed"


def printing(pages: int, words: str = "") -> dict[str, Any]:
    arguments = {"pages": pages, "words": words}
    return modern("tools/call", {"name": "print_all", "arguments": arguments}, meta={"progressToken": "p"})


async def settled(press: Press) -> int:
    """Let the press run until it waits."""
    before = -1
    while before != press.printed:
        before = press.printed
        for _ in range(20):
            await asyncio.sleep(0)
    return before


async def test_a_tool_waits_for_a_client_that_does_not_read_and_goes_on_with_it() -> None:
    press = Press()
    async with opened_modern(press, printing(2000)) as one:
        one.reading.clear()
        assert await settled(press) <= 257
        one.reading.set()
        *pages, result = await one.messages()
    assert [page["params"]["progress"] for page in pages] == list(range(1, 2001))
    assert "result" in result


async def test_large_messages_wait_earlier() -> None:
    press = Press()
    async with opened_modern(press, printing(100, "x" * 2**20)) as one:
        one.reading.clear()
        assert await settled(press) <= 6
        one.reading.set()
        assert len(await one.messages()) == 101


async def test_a_client_that_does_not_read_and_goes_away_cancels_the_tool() -> None:
    press = Press()
    async with opened_modern(press, printing(2000)) as one:
        one.reading.clear()
        await settled(press)
        one.left.set()
        async with asyncio.timeout(LIMIT_S):
            await press.stopped.wait()
    assert press.printed < 2000


async def test_a_connection_that_breaks_while_it_is_written_to_cancels_the_tool_quietly() -> None:
    press = Press()
    async with opened_modern(press, printing(2000)) as one:
        await one.start()
        one.broken = True
        async with asyncio.timeout(LIMIT_S):
            await press.stopped.wait()
        await one.end()


async def test_a_kept_stream_forgets_its_oldest_messages_and_its_writer_never_waits() -> None:
    stream = Stream("kept")
    async with asyncio.timeout(LIMIT_S):
        for number in range(3000):
            await stream.put(b"%d" % number)
    assert not stream.holds(0)
    assert stream.holds(3000 - 1000)
    assert stream.holds(3000)
    assert not stream.holds(3001)


async def test_a_kept_stream_holds_a_bounded_number_of_bytes_and_always_the_last_message() -> None:
    stream = Stream("kept")
    for _ in range(20):
        await stream.put(b"x" * 2**20)
    assert stream.size_bytes <= 5 * 2**20
    await stream.put(b"y" * 10 * 2**20)
    assert stream.holds(20)
    assert stream.size_bytes == 10 * 2**20


async def test_what_is_put_after_the_end_is_dropped() -> None:
    for key in ("", "kept"):
        stream = Stream(key)
        stream.close()
        for _ in range(1000):
            await stream.put(b"x" * 2**16)
        assert (stream.count, stream.size_bytes) == (0, 0)


async def test_a_reader_who_starts_behind_what_is_kept_gets_what_there_is() -> None:
    stream = Stream("kept")
    for number in range(3000):
        await stream.put(b"%d" % number)
    stream.close()
    sent: list[bytes] = []

    async def send(part: Any) -> None:
        sent.append(part["body"])

    await pump(stream, send)
    assert b"data: 2999\n" in sent[-2]
    assert len(sent) < 1100
