"""What very many contexts cost in the memory of one server, and whether any of them notices the others.

Run: python -m benchmarks.context.many_contexts [--contexts 1000000] [--out FOLDER]

Part one is a real server over ASGI, whose policy writes what is kept: each context lists once, for one of a
hundred intents over 1,000 tools. At 10^4, 10^5 and more contexts it is measured what they took, what a list
of one that is there takes, and how long a search for cycles by Python takes. What a selector chooses for an
intent is remembered, since its time is no matter here. Part two takes the store alone, full of such records:
single operations, at the bounds too, and when 100,000 contexts are over at once. An operation never waits, so
the longest one is the longest pause that it makes.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import random
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from benchmarks.machine import Machine, machine
from benchmarks.serving.rows import rows
from benchmarks.serving.warm_list import NOUNS, VERBS, request
from scopedtools import Catalog, ScopedServer
from scopedtools.catalog.primitives import Tool
from scopedtools.context.recent import ENTRY_BYTES
from scopedtools.context.store import MemoryStore
from scopedtools.retrieval import HashingEncoder, HybridSelector
from scopedtools.types import ContextRecord, Describable, Hit, Ranking, Rows, Turn

HERE: Final = Path(__file__).parent
TOOLS: Final = 1_000
INTENTS: Final = [f"{verb} the {noun}" for verb in VERBS for noun in NOUNS]
LISTS: Final = 5_000
OPERATIONS: Final = 100_000
OVER_AT_ONCE: Final = 100_000
KEY_BYTES: Final = 80
"""Memory of a key: 32 bytes, what Python adds, and what the allocator rounds up."""


class Stage(msgspec.Struct):
    """A server with so many contexts.

    Attributes:
        contexts: How many.
        bytes_each: Resident memory by which the process grew for each, the key left out.
        first_us: CPU microseconds of the request that began one, median of portions.
        list_us: CPU microseconds of a list of one that is there, median.
        list_p99_us: Wall, 99 of 100.
        cycles_ms: A whole search for cycles.
        cycles: Whole searches that Python itself made while they began.
    """

    contexts: int
    bytes_each: float
    first_us: float
    list_us: float
    list_p99_us: float
    cycles_ms: float
    cycles: int


class Operation(msgspec.Struct):
    """Operations of one kind on a full store; wall microseconds of each."""

    name: str
    a_second: float
    p50_us: float
    p99_us: float
    longest_us: float


class Results(msgspec.Struct):
    """What was measured, and on what.

    Attributes:
        counted_bytes: What the store takes a record for, the bound being in such bytes.
    """

    machine: Machine
    stages: list[Stage]
    operations: list[Operation]
    counted_bytes: float


class Remembering:
    """Selects what another selector does, and remembers it by intent."""

    def __init__(self, inner: HybridSelector) -> None:
        self._inner = inner
        self._chosen: dict[tuple[Any, ...], tuple[Hit, ...]] = {}

    async def prepare(self, rows: Sequence[Describable]) -> None:
        """Make ready."""
        await self._inner.prepare(rows)

    async def search(self, text: str, *, within: Rows, limit: int, history: Sequence[Turn] = ()) -> Ranking:
        """Rank rows."""
        return await self._inner.search(text, within=within, limit=limit, history=history)

    async def select(self, intent: str, **options: Any) -> tuple[Hit, ...]:
        """Choose rows, once for each intent."""
        key = (intent, options["within"], options["limit"])
        if key not in self._chosen:
            self._chosen[key] = await self._inner.select(intent, **options)
        return self._chosen[key]


class Watched(MemoryStore):
    """A store that shows what is written to it, a sample of it."""

    def __init__(self, *, max_contexts: int) -> None:
        super().__init__(max_contexts=max_contexts, max_records_bytes=2**40)
        self.sample: list[ContextRecord] = []

    async def add(self, key: bytes, record: ContextRecord) -> ContextRecord:
        """Keep a record."""
        if len(self.sample) < 1_000:
            self.sample.append(record)
        return await super().add(key, record)


class Asking:
    """Asks a server for lists, without sockets.

    Args:
        server: It runs.
    """

    def __init__(self, server: ScopedServer) -> None:
        self._server = server
        self._scope, self._body = request()
        self._sent: list[dict[str, Any]] = []

    async def list(self, number: int) -> bytes:
        """List in the context of a number; returns the answer."""
        intent = INTENTS[number % len(INTENTS)]
        body = self._body.replace(b'"benchmark"', b'"context-%d"' % number)
        body = body.replace(b"count the words and sort the prices", intent.encode())

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(event: Any) -> None:
            self._sent.append(event)

        self._sent.clear()
        await self._server(self._scope, receive, send)
        answer: bytes = self._sent[1]["body"]
        return answer


async def grow(most: int) -> tuple[list[Stage], list[ContextRecord]]:
    """Begin contexts on one server; returns what was measured on the way, and some records."""
    described = [
        Tool(name=one["name"], description=one["description"], input_schema=one["inputSchema"])
        for one in rows(TOOLS)
    ]
    store = Watched(max_contexts=most)
    selector = Remembering(HybridSelector(HashingEncoder()))
    server = ScopedServer(catalog=Catalog(described), selector=selector, store=store)
    stages: list[Stage] = []
    async with server:
        asking = Asking(server)
        for number in range(len(INTENTS)):
            shown = msgspec.json.decode(await asking.list(most + number))["result"]["tools"]
            if len(shown) != 18:
                raise RuntimeError(f"a view must have 18 rows, two of them search, got {len(shown)}")
        gc.collect()
        began, resident = len(store), resident_bytes()
        for size in sorted({min(10**power, most) for power in range(4, 9)}):
            with whole_searches() as cycles:
                first = [await _first(asking, part) for part in _portions(len(store) - began, size - began)]
            took = resident_bytes() - resident
            stages.append(await _stage(asking, len(store), took / (len(store) - began), first, cycles))
            print(stages[-1], flush=True)
    return stages, store.sample


def _portions(start: int, end: int) -> Iterator[range]:
    step = max(1_000, (end - start) // 100)
    return (range(first, min(first + step, end)) for first in range(start, end, step))


async def _first(asking: Asking, numbers: range) -> float:
    start = time.thread_time()
    for number in numbers:
        await asking.list(number)
    return (time.thread_time() - start) / len(numbers)


async def _stage(
    asking: Asking, contexts: int, bytes_each: float, first: Sequence[float], cycles: Sequence[float]
) -> Stage:
    there = random.Random(0).choices(range(contexts - len(INTENTS)), k=LISTS)  # noqa: S311 - no secret
    cpu = [await _first(asking, range(number, number + 1)) for number in there]
    wall = [await timed(partial(asking.list, number)) for number in there]
    start = time.perf_counter()
    gc.collect()
    return Stage(
        contexts=contexts,
        bytes_each=round(bytes_each - KEY_BYTES, 1),
        first_us=_us(statistics.median(first)),
        list_us=_us(statistics.median(cpu)),
        list_p99_us=_us(_cut(wall, 99)),
        cycles_ms=round((time.perf_counter() - start) * 1000, 1),
        cycles=len(cycles),
    )


class Clock:
    """Seconds that are set."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s + time.perf_counter() / 1e6  # no two alike


async def operate(sample: Sequence[ContextRecord], most: int) -> tuple[list[Operation], float]:
    """Measure a store that is filled to its bounds; returns that, and what it counts a record for."""
    chosen = random.Random(1)  # noqa: S311 - no secret
    keys = [os.urandom(32) for _ in range(most)]
    store = MemoryStore(max_contexts=most, max_records_bytes=2**40)
    found = [await _timed("add", (partial(store.add, key, chosen.choice(sample)) for key in keys))]
    some = chosen.choices(keys, k=min(OPERATIONS, most))
    found.append(await _timed("get", (partial(store.get, key) for key in some)))
    some = list(dict.fromkeys(some))
    before = [await store.get(key) for key in some]
    found.append(await _timed("replace", (_replacing(store, *one) for one in zip(some, before, strict=True))))
    new = [os.urandom(32) for _ in range(OPERATIONS)]
    found.append(
        await _timed("add, full by number", (partial(store.add, key, chosen.choice(sample)) for key in new))
    )
    counted = _counted(sample)
    del store
    store = MemoryStore(max_contexts=2 * most, max_records_bytes=int(most * counted))
    for key in keys:
        await store.add(key, chosen.choice(sample))
    found.append(
        await _timed("add, full by bytes", (partial(store.add, key, chosen.choice(sample)) for key in new))
    )
    del store
    return [*found, await _over(keys, sample)], counted


def _counted(sample: Sequence[ContextRecord]) -> float:
    return statistics.mean(len(msgspec.msgpack.encode(one)) for one in sample) + ENTRY_BYTES


async def _over(keys: Sequence[bytes], sample: Sequence[ContextRecord]) -> Operation:
    clock = Clock()
    store = MemoryStore(ttl_s=100, clock=clock)
    for key in keys[:OVER_AT_ONCE]:
        await store.add(key, sample[0])
    clock.now_s = 50
    for key in keys[OVER_AT_ONCE : 2 * OVER_AT_ONCE]:
        await store.add(key, sample[0])
    clock.now_s = 120
    new = [os.urandom(32) for _ in range(OVER_AT_ONCE // 4)]
    return await _timed("add, 100,000 are over", (partial(store.add, key, sample[0]) for key in new))


_Call = Callable[[], Awaitable[Any]]


def _replacing(store: MemoryStore, key: bytes, before: ContextRecord | None) -> _Call:
    if before is None:
        raise RuntimeError("a record that was just written is not there")
    return partial(store.replace, key, before, before._replace(rows=before.rows[::-1]))


async def _timed(name: str, calls: Iterator[_Call]) -> Operation:
    took = [await timed(call) for call in calls]
    one = Operation(
        name, round(len(took) / sum(took)), *map(_us, (_cut(took, 50), _cut(took, 99), max(took)))
    )
    print(one, flush=True)
    return one


async def timed(call: _Call) -> float:
    """Return how many seconds a call takes, wall."""
    start = time.perf_counter()
    await call()
    return time.perf_counter() - start


@contextmanager
def whole_searches() -> Iterator[list[float]]:
    """Collect the starts of whole searches for cycles."""
    seen: list[float] = []

    def look(phase: str, about: dict[str, int]) -> None:
        if phase == "start" and about["generation"] == 2:
            seen.append(time.perf_counter())

    gc.callbacks.append(look)
    try:
        yield seen
    finally:
        gc.callbacks.remove(look)


def resident_bytes() -> int:
    """Return the resident memory of this process."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _cut(values: Sequence[float], percent: int) -> float:
    return sorted(values)[len(values) * percent // 100]


def _us(seconds: float) -> float:
    return round(seconds * 1e6, 1)


def table(rows: Sequence[msgspec.Struct]) -> str:
    """Return structs as a Markdown table."""
    names = rows[0].__struct_fields__
    lines = ["| " + " | ".join(name.replace("_", " ") for name in names) + " |", "|---" * len(names) + "|"]
    lines += ["| " + " | ".join(_cell(getattr(row, name)) for name in names) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: object) -> str:
    return f"{value:,.0f}" if isinstance(value, int | float) and value >= 1_000 else str(value)


class Given(NamedTuple):
    """What was asked for."""

    contexts: int
    out: Path


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--contexts", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path, default=HERE / "results")
    options = parser.parse_args()
    given = Given(options.contexts, options.out)
    about = machine("benchmarks.context.many_contexts", sys.argv[1:])
    stages, sample = asyncio.run(grow(given.contexts))
    operations, counted = asyncio.run(operate(sample, given.contexts))
    results = Results(about, stages, operations, round(counted, 1))
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "many_contexts.json").write_bytes(
        msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n"
    )
    report = f"{table(stages)}\n\n{table(operations)}\n"
    (given.out / "many_contexts.md").write_text(report, encoding="utf-8")
    print(f"\n{report}")


if __name__ == "__main__":
    main()
