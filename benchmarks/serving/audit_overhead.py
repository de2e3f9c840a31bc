"""What the audit trail adds to one warm, narrowed ``tools/list``.

Run: python -m benchmarks.serving.audit_overhead [ROWS] [URL]

Calls a server without the trail and one with it, in turns and without sockets, and prints CPU microseconds a
request (medians of rounds) and the ratio: of the thread that answers, and of the whole process, so with the
thread that writes the trail. A round ends when its requests are written. By default the trail is a new SQLite
file.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.serving.warm_list import catalog, request
from scopedtools import ScopedServer
from scopedtools.audit import AuditTrail
from scopedtools.context.observer import Observer
from scopedtools.retrieval import HashingEncoder, HybridSelector

ROUNDS, REQUESTS, FLUSH_MS = 15, 1000, 100


class Cost(NamedTuple):
    """CPU microseconds a request."""

    answering: float
    process: float


async def measure(server: ScopedServer, times: int) -> Cost:
    """Have a server answer a request many times."""
    scope, body = request()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(_: Any) -> None:
        """Drop it."""

    process, thread = time.process_time(), time.thread_time()
    for _ in range(times):
        await server(scope, receive, send)
    answering = time.thread_time() - thread
    await asyncio.sleep(3 * FLUSH_MS / 1000)  # written by then; sleeping takes no CPU
    return Cost(answering / times * 1e6, (time.process_time() - process) / times * 1e6)


def build(rows: int, *observers: Observer) -> ScopedServer:
    """Make a server."""
    selector = HybridSelector(HashingEncoder())
    return ScopedServer(catalog=catalog(rows), selector=selector, observers=observers)


async def main(rows: int, url: str) -> None:
    """Measure and print."""
    plain = build(rows)
    kept = build(rows, AuditTrail(url, flush_ms=FLUSH_MS))
    async with plain, kept:
        await measure(plain, 10)
        await measure(kept, 10)
        rounds = [(await measure(plain, REQUESTS), await measure(kept, REQUESTS)) for _ in range(ROUNDS)]
    for name in Cost._fields:
        without, with_trail = (
            statistics.median(getattr(one, name) for one in side) for side in zip(*rounds, strict=True)
        )
        ratio = statistics.median(getattr(b, name) / getattr(a, name) for a, b in rounds)
        print(f"{name:10} {without:6.1f} us without, {with_trail:6.1f} us with the trail, ratio {ratio:.3f}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        arguments = sys.argv[1:]
        asyncio.run(
            main(
                int(arguments[0]) if arguments else 1000,
                arguments[1] if len(arguments) > 1 else f"sqlite:///{Path(folder) / 'audit.db'}",
            )
        )
