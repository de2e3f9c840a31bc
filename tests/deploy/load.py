"""Clients that go on calling through proxies while processes come and go."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from benchmarks.scale.asking import Connection, LostError, call
from benchmarks.scale.proxies import Kind

CLIENTS: Final = 4
"""Clients of each proxy; each calls again as soon as it has its answer."""


@dataclass(frozen=True, slots=True)
class Called:
    """A call.

    Attributes:
        number: That it entered; no two calls have the same.
        context: Of the call.
        sent_s: When it was sent.
        error: What came instead of its answer, or ``None``.
    """

    number: int
    context: str
    sent_s: float
    error: str | None


@dataclass(slots=True)
class Load:
    """What clients saw, proxy by proxy."""

    calls: dict[Kind, list[Called]] = field(default_factory=dict)

    def errors(self, kind: Kind) -> list[Called]:
        return [one for one in self.calls[kind] if one.error is not None]

    def answered(self, kind: Kind) -> list[int]:
        return [one.number for one in self.calls[kind] if one.error is None]


@asynccontextmanager
async def calling(
    proxies: Mapping[Kind, int], contexts: Sequence[str], numbers: itertools.count[int]
) -> AsyncIterator[Load]:
    """Call through all proxies for as long as this is held, and to the last answer."""
    load = Load({kind: [] for kind in proxies})
    over = asyncio.Event()
    clients = [
        asyncio.create_task(_client(port, load.calls[kind], itertools.cycle(contexts), numbers, over))
        for kind, port in proxies.items()
        for _ in range(CLIENTS)
    ]
    try:
        yield load
    finally:
        over.set()
        await asyncio.gather(*clients)


async def _client(
    port: int,
    calls: list[Called],
    contexts: itertools.cycle[str],
    numbers: itertools.count[int],
    over: asyncio.Event,
) -> None:
    connection = Connection(port)
    while not over.is_set():
        context, number, sent_s, error = next(contexts), next(numbers), time.monotonic(), None
        try:
            answer = await connection.ask(call("enter", {"number": number}, context=context))
            assert answer.value == number
        except LostError as lost:
            error = str(lost)
            await asyncio.sleep(0.01)  # as any client waits a little before it tries again
        calls.append(Called(number, context, sent_s, error))
    connection.close()
