"""What one warm, narrowed ``tools/list`` costs, and where the time goes.

Run: python benchmarks/serving/warm_list.py [ROWS]

Calls the ASGI app without sockets, in turns with a bare app that returns the same bytes, and prints CPU
microseconds a request (medians of rounds) and a profile. The profile shows that nothing is embedded, and that
no tool is encoded or described, on this path.
"""

from __future__ import annotations

import asyncio
import cProfile
import pstats
import statistics
import sys
import time
from typing import Any

import msgspec

from scopedtools import Catalog, ScopedServer
from scopedtools.catalog.primitives import Tool
from scopedtools.protocol import meta
from scopedtools.protocol.revisions import LATEST
from scopedtools.retrieval import HashingEncoder, HybridSelector

ROUNDS, REQUESTS = 9, 1000
VERBS = ("count", "sort", "merge", "filter", "parse", "format", "measure", "compare", "split", "join")
NOUNS = ("rows", "dates", "words", "files", "prices", "routes", "colours", "tokens", "sets", "names")
VALUE = {"type": "string", "description": "The value to work on, as text in the usual notation."}


def catalog(rows: int) -> Catalog:
    """Make a catalog of described tools."""
    return Catalog(
        Tool(
            name=f"tool_{number}",
            description=f"{VERBS[number % 10]} the {NOUNS[number // 10 % 10]} of batch {number}",
            input_schema={"type": "object", "properties": {"value": VALUE}, "required": ["value"]},
        )
        for number in range(rows)
    )


def request() -> tuple[dict[str, Any], bytes]:
    """Make the ASGI scope and the body of a list request in one context."""
    settings = {"contextId": "benchmark", "intent": "count the words and sort the prices"}
    envelope = {
        meta.PROTOCOL_VERSION: LATEST.name,
        meta.CLIENT_CAPABILITIES: {"extensions": {meta.EXTENSION: settings}},
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": envelope}}
    headers = {
        "host": "127.0.0.1:8000",
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": LATEST.name,
        "mcp-method": "tools/list",
    }
    lines = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/mcp",
        "root_path": "",
        "headers": lines,
        "query_string": b"",
    }
    return scope, msgspec.json.encode(body)


async def main(rows: int) -> None:
    """Measure and print."""
    server = ScopedServer(catalog=catalog(rows), selector=HybridSelector(HashingEncoder()))
    scope, body = request()
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(event: Any) -> None:
        sent.append(event)

    async def call(app: Any, times: int) -> float:
        start = time.process_time()
        for _ in range(times):
            sent.clear()
            await app(scope, receive, send)
        return (time.process_time() - start) / times * 1e6

    async with server:
        await call(server, 1)
        answer = sent[1]["body"]

        async def bare(_: Any, receive: Any, send: Any) -> None:
            await receive()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": answer})

        costs = [(await call(bare, REQUESTS), await call(server, REQUESTS)) for _ in range(ROUNDS)]
        floor, ours = (statistics.median(column) for column in zip(*costs, strict=True))
        shown = len(msgspec.json.decode(answer)["result"]["tools"])
        print(f"{rows} rows, {shown} shown, {len(answer)} bytes")
        print(f"{ours:.1f} us CPU a request, a bare callable {floor:.1f} us")
        profile = cProfile.Profile()
        profile.enable()
        await call(server, REQUESTS)
        profile.disable()
        pstats.Stats(profile).sort_stats("tottime").print_stats(20)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000))
