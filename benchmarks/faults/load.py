"""Requests that come while an engine fails, and when each came and how long it took."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

import msgspec

from benchmarks.faults.desk import NEEDS_STORE, Client

WORKERS: Final = 16
EVERY_S: Final = 0.08
"""Seconds from one request of a worker to its next, if it has its answer by then: 200 a second in all."""

_BREAKER: Final = "scopedtools.stores.breaker"


class Sample(NamedTuple):
    """A request.

    Attributes:
        kind: One of `SHARES`.
        start_s: When it came, by `time.monotonic`.
        took_ms: Milliseconds until its answer.
        is_good: Whether the answer is what was asked for.
    """

    kind: str
    start_s: float
    took_ms: float
    is_good: bool


class Phase(msgspec.Struct, frozen=True):
    """Requests of a part of a run.

    Attributes:
        name: Of the part.
        seconds: How long it was.
        requests: How many came.
        p50_ms: Milliseconds that half of them took at most.
        p99_ms: Milliseconds that 99 of 100 took at most.
        max_ms: Milliseconds of the slowest.
        failed: Those that failed although they do not need the store.
        needing: Those that need the store.
        needing_failed: Those of them that failed.
    """

    name: str
    seconds: float
    requests: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    failed: int
    needing: int
    needing_failed: int


def phase(name: str, samples: Sequence[Sample], begin_s: float, end_s: float) -> Phase:
    """Sum up the requests that came from one moment to another."""
    some = [one for one in samples if begin_s <= one.start_s < end_s]
    took = sorted(one.took_ms for one in some) or [0.0]
    needing = [one for one in some if one.kind == NEEDS_STORE]
    return Phase(
        name,
        round(end_s - begin_s, 2),
        len(some),
        round(took[len(took) // 2], 1),
        round(took[len(took) * 99 // 100], 1),
        round(took[-1], 1),
        sum(not one.is_good for one in some) - sum(not one.is_good for one in needing),
        len(needing),
        sum(not one.is_good for one in needing),
    )


@asynccontextmanager
async def load(client: Client) -> AsyncIterator[list[Sample]]:
    """Ask all the time; yields the list that samples are added to."""
    samples: list[Sample] = []
    async with asyncio.TaskGroup() as group:
        over = asyncio.Event()
        for number in range(WORKERS):
            group.create_task(_work(client, samples, over, number))
        try:
            yield samples
        finally:
            over.set()


async def _work(client: Client, samples: list[Sample], over: asyncio.Event, number: int) -> None:
    moment = time.monotonic() + EVERY_S * number / WORKERS
    while not over.is_set():
        await asyncio.sleep(moment - time.monotonic())
        kind, start = client.any_kind(), time.monotonic()
        is_good = await client.ask(kind)
        end = time.monotonic()
        samples.append(Sample(kind, start, (end - start) * 1000, is_good))
        moment = max(moment + EVERY_S, end)


class Openings(logging.Handler):
    """Notes when the store is left alone, which its log says."""

    def __init__(self) -> None:
        super().__init__()
        self.moments_s: list[float] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Note the moment of a line that says so."""
        if "going on without" in record.getMessage():
            self.moments_s.append(time.monotonic())

    def first_after(self, moment_s: float) -> float | None:
        """Return the first of them from a moment on."""
        return next((one for one in self.moments_s if one >= moment_s), None)


@asynccontextmanager
async def openings() -> AsyncIterator[Openings]:
    """Watch the log."""
    log, watching = logging.getLogger(_BREAKER), Openings()
    log.addHandler(watching)
    try:
        yield watching
    finally:
        log.removeHandler(watching)


async def is_so(met: Callable[[], bool], *, within_s: float) -> float:
    """Wait until something is so; returns when it was, by `time.monotonic`."""
    async with asyncio.timeout(within_s):
        while not met():  # noqa: ASYNC110 - nobody says when
            await asyncio.sleep(0.005)
    return time.monotonic()
