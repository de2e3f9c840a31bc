"""What very many contexts cost in the memory of one server, and whether any of them notices the others.

Run: python -m benchmarks.context.many_contexts [--contexts 1000000] [--out FOLDER]

Part one is a real server over ASGI, whose policy writes what is kept: each context lists once, for one of a
hundred intents over 1,000 tools. Beyond 100,000 its records are kept again under other keys, but for the last
ones. At 10^4, 10^5 and more contexts it is measured what they took, what a list of one that is there takes,
and how long a search for cycles by Python takes. What a selector chooses for an intent is remembered, since
its time is no matter here. Part two takes the store alone, full of such records: single operations, at the
bounds too, and when 100,000 contexts are over at once. An operation never waits, so the longest one is the
longest pause that it makes.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import os
import random
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
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
from scopedtools.storage import ContextRecord
from scopedtools.types import Describable, Hit, Ranking, Rows, Turn

HERE: Final = Path(__file__).parent
TOOLS: Final = 1_000
INTENTS: Final = [f"{verb} the {noun}" for verb in VERBS for noun in NOUNS]
SERVED: Final = 100_000
LAST: Final = 5_000
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
        list_p99_us: The same, 99 of 100 take no longer.
        cycles_ms: CPU milliseconds of a whole search for cycles.
    """

    contexts: int
    bytes_each: float
    first_us: float
    list_us: float
    list_p99_us: float
    cycles_ms: float


class Operation(msgspec.Struct):
    """Operations of one kind on a full store; CPU microseconds of each."""

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

    async def repeat(self, contexts: int) -> None:
        """Keep records of the sample under other keys until there are so many contexts."""
        while len(self) < contexts:
            await super().add(os.urandom(32), self.sample[len(self) % len(self.sample)])


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
        for intent in range(len(INTENTS)):
            shown = msgspec.json.decode(await asking.list(intent))["result"]["tools"]
            if len(shown) != 18:
                raise RuntimeError(f"a view must have 18 rows, two of them search, got {len(shown)}")
        gc.collect()
        began, resident, number = len(store), resident_bytes(), len(INTENTS)
        for size in sorted({min(10**power, most) for power in range(4, 9)}):
            if size > SERVED:
                await store.repeat(size - LAST)
            portions: list[float] = []
            while len(store) < size:
                some = range(number, number + min(1_000, size - len(store)))
                portions.append(await _listed_s(asking, some))
                number = some.stop
            took = (resident_bytes() - resident) / (len(store) - began)
            stages.append(await _stage(asking, len(store), took, portions, number))
            print(stages[-1], flush=True)
    return stages, store.sample


async def _listed_s(asking: Asking, numbers: Sequence[int]) -> float:
    start = time.thread_time()
    for number in numbers:
        await asking.list(number)
    return (time.thread_time() - start) / len(numbers)


async def _stage(
    asking: Asking, contexts: int, bytes_each: float, first: Sequence[float], asked: int
) -> Stage:
    there = random.Random(0).choices(range(asked), k=LISTS)  # noqa: S311 - no secret
    took = [await timed(partial(asking.list, number)) for number in there]
    start = time.thread_time()
    gc.collect()
    return Stage(
        contexts=contexts,
        bytes_each=round(bytes_each - KEY_BYTES, 1),
        first_us=_us(statistics.median(first)),
        list_us=_us(statistics.median(took)),
        list_p99_us=_us(_cut(took, 99)),
        cycles_ms=round((time.thread_time() - start) * 1000, 1),
    )


async def operate(sample: Sequence[ContextRecord], most: int) -> tuple[list[Operation], float]:
    """Measure a store that is filled to its bounds; returns that, and what it counts a record for."""
    counted = statistics.mean(len(msgspec.msgpack.encode(one)) for one in sample) + ENTRY_BYTES
    keys = [os.urandom(32) for _ in range(most)]
    by_number = MemoryStore(max_contexts=most, max_records_bytes=2**40)
    found = [await _timed("add", _additions(by_number, keys, sample))]
    some = random.Random(1).sample(keys, min(OPERATIONS, most))  # noqa: S311 - no secret
    found.append(await _timed("get", (partial(by_number.get, key) for key in some)))
    before = [await by_number.get(key) for key in some]
    found.append(await _timed("replace", map(_replacing, itertools.repeat(by_number), some, before)))
    new = [os.urandom(32) for _ in range(OPERATIONS)]
    found.append(await _timed("add, full by number", _additions(by_number, new, sample)))
    del by_number
    by_bytes = MemoryStore(max_contexts=2 * most, max_records_bytes=int(most * counted))
    for call in _additions(by_bytes, keys, sample):
        await call()
    found.append(await _timed("add, full by bytes", _additions(by_bytes, new, sample)))
    del by_bytes
    return [*found, await _over(keys, sample)], counted


async def _over(keys: Sequence[bytes], sample: Sequence[ContextRecord]) -> Operation:
    now_s = 0.0
    store = MemoryStore(ttl_s=100, clock=lambda: now_s)
    for call in _additions(store, keys[:OVER_AT_ONCE], sample):
        await call()
    now_s = 120.0
    new = [os.urandom(32) for _ in range(OVER_AT_ONCE // 4)]
    return await _timed("add, 100,000 are over", _additions(store, new, sample))


def _additions(store: MemoryStore, keys: Sequence[bytes], sample: Sequence[ContextRecord]) -> Iterator[_Call]:
    return (
        partial(store.add, key, record) for key, record in zip(keys, itertools.cycle(sample), strict=False)
    )


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
    """Return how many CPU seconds a call takes: others on the machine do not count."""
    start = time.thread_time()
    await call()
    return time.thread_time() - start


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
