"""What lists and searches behind a gateway cost: with more upstreams, and after one tool changed upstream."""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import msgspec
from mcp import Client as OfficialClient

from benchmarks.serving.catalog_update import Counting, pauses
from benchmarks.serving.fronting import fronting
from benchmarks.serving.processes import served
from benchmarks.serving.upstreams import NAME
from benchmarks.serving.warm_list import request
from scopedtools import ScopedServer
from scopedtools.retrieval import HashingEncoder, HybridSelector
from scopedtools.testing import Client
from scopedtools.types import Encoder

UPSTREAMS: Final = (1, 2, 4, 8, 16)
TOTAL: Final = 480
ROUNDS: Final = 9
REQUESTS: Final = 500

ROWS: Final = 5000
TIMES: Final = 7
POLL_S: Final = 0.005
FOUND_S: Final = 120
_MANY: Final = (sys.executable, "-m", "benchmarks.serving.upstreams", "many")
_CHANGING: Final = (sys.executable, "-m", "benchmarks.serving.upstreams", "changing")


class ListLine(msgspec.Struct, frozen=True):
    """Warm, narrowed lists with some number of upstreams, the same tools and the same view.

    Attributes:
        upstreams: How many.
        tools: Of all of them.
        shown: In the view.
        bytes: Of the answer.
        list_us: CPU microseconds a request, median of rounds.
    """

    upstreams: int
    tools: int
    shown: int
    bytes: int
    list_us: float


class UpdateLine(msgspec.Struct, frozen=True):
    """One tool that an upstream describes anew; medians.

    Attributes:
        tools: Of the upstream.
        found_ms: From when the upstream has told, until a search through the gateway finds the new words.
        encoded: Texts that were encoded for it.
        pause_ms: Longest time for which the event loop of the gateway did nothing else.
    """

    tools: int
    found_ms: float
    encoded: int
    pause_ms: float


async def measure_lists(
    counts: Sequence[int] = UPSTREAMS, *, total: int = TOTAL, rounds: int = ROUNDS, requests: int = REQUESTS
) -> list[ListLine]:
    """List the same tools behind different numbers of upstreams, in turns."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        command = (*_MANY, ",".join(map(str, counts)), str(total))
        many = await stack.enter_async_context(served(command, folder / "many.log"))
        root = many.url.removesuffix("/mcp")
        servers: list[ScopedServer] = []
        for count in counts:
            upstreams = {f"up{place}": {"url": f"{root}/{count}/{place}/mcp"} for place in range(count)}
            server = fronting(upstreams, name="front", selector=HybridSelector(HashingEncoder()))
            await stack.enter_async_context(server)
            servers.append(server)
        answers = [(await _list(server, 50))[1] for server in servers]
        took = [[(await _list(server, requests))[0] for server in servers] for _ in range(rounds)]
    return [
        ListLine(
            upstreams=count,
            tools=total,
            shown=len(msgspec.json.decode(answer)["result"]["tools"]),
            bytes=len(answer),
            list_us=round(statistics.median(column), 1),
        )
        for count, answer, column in zip(counts, answers, zip(*took, strict=True), strict=True)
    ]


async def _list(server: ScopedServer, times: int) -> tuple[float, bytes]:
    """Return CPU microseconds a list, without sockets, and the answer."""
    scope, body = request()
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(event: Any) -> None:
        sent.append(event)

    start = time.process_time()
    for _ in range(times):
        sent.clear()
        await server(scope, receive, send)
    return (time.process_time() - start) / times * 1e6, bytes(sent[1]["body"])


async def measure_update(encoder: Encoder, *, rows: int = ROWS, times: int = TIMES) -> UpdateLine:
    """Have an upstream describe one tool anew, again and again, and search for the new words."""
    counting = Counting(encoder)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream = await stack.enter_async_context(served((*_CHANGING, str(rows)), folder / "changing.log"))
        server = fronting({"up": {"url": upstream.url}}, name="front", selector=HybridSelector(counting))
        direct = await stack.enter_async_context(OfficialClient(upstream.url))
        front = await stack.enter_async_context(Client(server))
        await _find(front, "batch 7")
        runs = [await _once(number, direct, front, counting) for number in range(times)]
    found, encoded, pause = map(statistics.median, zip(*runs, strict=True))
    return UpdateLine(rows, _ms(found), int(encoded), _ms(pause))


async def _once(
    number: int, direct: OfficialClient, front: Client, encoder: Counting
) -> tuple[float, int, float]:
    longest: list[float] = []
    word = f"zebra{number}"
    before = encoder.encoded
    beside = asyncio.create_task(pauses(longest))
    try:
        result = await direct.call_tool("change", {"description": f"Feed the {word}"})
        told = float((result.structured_content or {})["result"])
        async with asyncio.timeout(FOUND_S):
            while word not in await _find(front, word):  # noqa: ASYNC110 - a search has no event
                await asyncio.sleep(POLL_S)
        found = time.monotonic() - told  # one clock for all processes of a machine
    finally:
        beside.cancel()
        await asyncio.wait({beside})
    return found, encoder.encoded - before, max(longest)


async def _find(client: Client, query: str) -> str:
    """Return the text of what a search finds, where it finds the tool that changes."""
    result = await client.call_tool("search_tools", query=query)
    found = "".join(block.get("text", "") for block in result["content"])
    return found if NAME in found else ""


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
