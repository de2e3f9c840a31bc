"""New contexts, each of an intent that nobody had before: encode it, search, list.

Run: python -m benchmarks.serving.cold [--rows N] [--requests N] [--rounds N] [--concurrency N ...]
     [--json PATH] [SYSTEM ...]

Rows are ToolBench's tools, intents the requests of several sets in turn, from ``$SCOPEDTOOLS_DATA``, or
made-up ones of about the same lengths. Every request is `tools/list` in a context of its own, none is sent
twice to a server. Systems get the same intents in turns, forth and back; figures are medians over the rounds,
percentiles those of all requests. Beside them, in this process on one thread, the encoder alone: of the
intent, and of all that ours encodes of it, the whole and its clauses. At last, what becomes of warm lists
beside cold ones: seven connections that list a warm view, an eighth that begins new contexts, one in a
hundred requests.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import uvloop

from benchmarks.index.selection_time import catalog, facts, sentences
from benchmarks.selection.sample import data_folder
from benchmarks.serving.cold_servers import KINDS, VECTORS
from benchmarks.serving.load import Client, connected
from benchmarks.serving.processes import Served, cpu_s, served
from benchmarks.serving.rows import write
from benchmarks.serving.wire import MODERN, Template, post
from scopedtools.evaluation.data import read_queries
from scopedtools.protocol import meta
from scopedtools.retrieval import OnnxEncoder
from scopedtools.retrieval.heard import hear
from scopedtools.types import Encoder

SETS: Final = ("metatool", "toolbench", "bfcl", "seal-tools")
_WARM_UP: Final = 16
_WARM_CONNECTIONS: Final = 7
_SHARE: Final = 100
"""Of so many requests beside cold ones, one is cold."""


class Line(msgspec.Struct):
    """What one system took for a first request.

    Attributes:
        system: Its name; of the bare encoder what it encoded.
        concurrency: Requests under way at a time.
        requests: How many there were, over all rounds.
        requests_s: Requests a second.
        cpu_ms: CPU of the process for a request, all threads.
        p50_ms: From the request to the answer, and 99th percentile.
    """

    system: str
    concurrency: int
    requests: int
    requests_s: float
    cpu_ms: float
    p50_ms: float
    p99_ms: float


class _Each(Template):
    """Different requests, one for each number."""

    def numbered(self, number: int) -> bytes:
        return self.parts[number % len(self.parts)]


def intents() -> list[str]:
    """Return distinct requests, those of all sets in turn."""
    folders = [data_folder() / name / "queries.jsonl" for name in SETS]
    said = [[query.asks[0].text for query in read_queries(path)] for path in folders if path.exists()]
    found = itertools.chain.from_iterable(zip(*said, strict=False)) if said else sentences()
    return list(dict.fromkeys(found))


def tools(size: int) -> list[dict[str, Any]]:
    """Return so many tools as `tools/list` shows them."""
    return [
        {
            "name": f"{row.name}-{number}"[-64:],
            "description": row.description,
            "inputSchema": {
                "type": "object",
                "properties": {
                    one.name: {"type": "string", "description": one.description} for one in row.parameters()
                },
            },
        }
        for number, row in enumerate(catalog(size))
    ]


def first(number: int, intent: str) -> bytes:
    """Return the first request of a context."""
    settings = {meta.EXTENSION: {"contextId": f"cold-{number}", "intent": intent}}
    envelope = {
        meta.PROTOCOL_VERSION: MODERN,
        meta.CLIENT_INFO: {"name": "benchmark", "version": "1"},
        meta.CLIENT_CAPABILITIES: {"extensions": settings},
    }
    message = {"jsonrpc": "2.0", "id": number, "method": "tools/list", "params": {"_meta": envelope}}
    # Its own number; that of the template may stand in an intent by chance.
    return post("/mcp", message, {"mcp-protocol-version": MODERN, "mcp-method": "tools/list"}).numbered(0)


class _Side:
    """A system and what was measured of it at one concurrency."""

    def __init__(self, name: str, process: Served) -> None:
        self.name = name
        self.process = process
        self.latencies_ms: list[float] = []
        self.requests_s: list[float] = []
        self.cpu_ms: list[float] = []

    async def turn(self, client: Client, asked: _Each, times: int) -> None:
        """Ask a number of first requests."""
        cpu = cpu_s(self.process.pid)
        taken = await client.run(asked, times)
        self.cpu_ms.append((cpu_s(self.process.pid) - cpu) / times * 1000)
        self.requests_s.append(times / taken.wall_s)
        self.latencies_ms += taken.latencies_ms

    def line(self, concurrency: int) -> Line:
        """Sum up, and forget."""
        found = _line(self.name, concurrency, self.latencies_ms, self.requests_s, self.cpu_ms)
        self.latencies_ms, self.requests_s, self.cpu_ms = [], [], []
        return found


def _line(
    name: str, concurrency: int, latencies_ms: Sequence[float], requests_s: list[float], cpu_ms: list[float]
) -> Line:
    p50, p99 = np.percentile(latencies_ms, (50, 99)).round(3).tolist()
    middle = round(statistics.median(requests_s), 2), round(statistics.median(cpu_ms), 3)
    return Line(name, concurrency, len(latencies_ms), *middle, p50, p99)


def bare(encoder: Encoder, said: Sequence[str], rounds: int) -> Iterator[Line]:
    """Measure the encoder alone: of each intent, and of all that is encoded of it."""
    parts = {text: heard.texts for text in said if (heard := hear(text)) is not None}
    for name, texts in (("intent", {text: (text,) for text in said}), ("intent and clauses", parts)):
        took = [_took(encoder, one) for _ in range(rounds) for one in texts.values()]
        wall, cpu = zip(*took, strict=True)
        yield _line(f"bare encoder, {name}", 1, wall, [1000 / statistics.mean(wall)], [statistics.mean(cpu)])


def _took(encoder: Encoder, texts: tuple[str, ...]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    encoder.encode_queries(texts)
    return (time.perf_counter() - wall) * 1000, (time.process_time() - cpu) * 1000


async def measure(given: argparse.Namespace) -> list[Line]:
    """Measure all systems."""
    said = intents()
    requests = [first(number, intent) for number, intent in enumerate(said)]
    encoder = OnnxEncoder(threads=1)
    lines: list[Line] = []
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        described = tools(given.rows)
        catalog_file = write(described, folder / "tools.jsonl")
        documents = encoder.encode_documents([f"{one['name']}: {one['description']}" for one in described])
        np.save(folder / VECTORS, documents)
        sides = []
        for number, name in enumerate(given.systems or KINDS):
            command = (sys.executable, "-m", "benchmarks.serving.cold_servers", name, str(catalog_file))
            process = await stack.enter_async_context(served(command, folder / f"{number}.log"))
            sides.append(_Side(name, process))
            # Until it has encoded its tools; those that come later find them on the disk.
            async with connected(process.port, itertools.count()) as client:
                await client.run(_Each(tuple(requests)), _WARM_UP)
        begin = _WARM_UP
        for concurrency in given.concurrency:
            needed = given.rounds * given.requests
            if begin + needed > len(requests):
                raise SystemExit(f"{len(requests)} intents are too few; ask for fewer --requests or --rounds")
            if concurrency == 1:
                lines += _say(*bare(encoder, said[begin : begin + given.requests], given.rounds))
            await _rounds(sides, requests, begin, concurrency, given)
            lines += _say(*(side.line(concurrency) for side in sides))
            begin += needed
        for side in sides:
            lines += _say(*await _mixed(side, requests[begin:], given))
    return lines


async def _rounds(
    sides: Sequence[_Side], requests: Sequence[bytes], begin: int, concurrency: int, given: argparse.Namespace
) -> None:
    for number in range(given.rounds):
        start = begin + number * given.requests
        for side in sides if number % 2 == 0 else reversed(sides):
            async with connected(side.process.port, itertools.count(start), concurrency) as client:
                await side.turn(client, _Each(tuple(requests)), given.requests)


async def _mixed(side: _Side, requests: Sequence[bytes], given: argparse.Namespace) -> list[Line]:
    """Measure warm lists alone, then beside cold ones."""
    warm = _Each(tuple(requests[:1]))
    found = []
    async with (
        connected(side.process.port, itertools.count(), _WARM_CONNECTIONS) as lists,
        connected(side.process.port, itertools.count(1)) as begins,
    ):
        await lists.run(warm, 100)
        for name, cold in (("warm lists alone", 0), ("warm lists beside cold ones", given.requests // 4)):
            cpu, each = cpu_s(side.process.pid), _SHARE if cold else given.requests * 25 // _SHARE
            latencies: list[float] = []
            start = time.perf_counter()
            for _ in range(cold or _SHARE):
                run = asyncio.ensure_future(lists.run(warm, each))
                if cold:
                    await begins.run(_Each(tuple(requests)), 1)
                latencies += (await run).latencies_ms
            wall, cpu = time.perf_counter() - start, cpu_s(side.process.pid) - cpu
            rate, each_cpu = [len(latencies) / wall], [cpu / len(latencies) * 1000]
            found.append(_line(f"{side.name}, {name}", _WARM_CONNECTIONS, latencies, rate, each_cpu))
    return found


def _say(*lines: Line) -> tuple[Line, ...]:
    for one in lines:
        print(
            f"{one.system:44} {one.concurrency:>3} at a time  {one.requests_s:>8.1f} /s"
            f"  CPU {one.cpu_ms:>7.2f} ms  p50 {one.p50_ms:>7.2f}  p99 {one.p99_ms:>7.2f} ms",
            flush=True,
        )
    return lines


def main() -> None:
    """Read the command line, measure, print, and write JSON where asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("systems", nargs="*", metavar="SYSTEM", help=f"some of {'; '.join(KINDS)}; all")
    parser.add_argument("--rows", type=int, default=1_000, help="tools of the catalog")
    parser.add_argument("--requests", type=int, default=60, help="of each turn")
    parser.add_argument("--rounds", type=int, default=4, help="turns of each system")
    parser.add_argument("--concurrency", type=int, nargs="+", default=(1, 8, 32), metavar="N")
    parser.add_argument("--json", type=Path, help="where to write the figures; they are also printed")
    given = parser.parse_args()
    if unknown := set(given.systems) - set(KINDS):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        lines = runner.run(measure(given))
    if given.json:
        report = msgspec.json.encode({"machine": facts(), "lines": lines})
        given.json.write_bytes(msgspec.json.format(report, indent=1) + b"\n")


if __name__ == "__main__":
    main()
