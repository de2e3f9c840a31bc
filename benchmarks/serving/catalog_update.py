"""What it costs to replace the catalog of a server that runs: time, texts encoded, requests held up.

Run: python -m benchmarks.serving.catalog_update [ROWS ...] [--encoder minilm|hashing] [--index] [--json PATH]

Each line is the median of several updates of one kind, while clients in other contexts list one after the
other: the whole update; texts that were encoded; the longest time for which the event loop did nothing else,
Python's own search for cycles included; the slowest list meanwhile, and a list with nothing beside it. "same"
replaces the catalog by an equal one. Where rows are added or removed, ``search_tools`` says another number,
and is encoded too. With --index the index is saved each time.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from benchmarks.serving.warm_list import NOUNS, VERBS, catalog
from scopedtools import Catalog, ScopedServer
from scopedtools.catalog.primitives import Primitive
from scopedtools.retrieval import HashingEncoder, HybridSelector
from scopedtools.retrieval.encoders import default_encoder
from scopedtools.testing import Client

if TYPE_CHECKING:
    from scopedtools.types import Encoder, Vectors

TIMES: Final = 7
CONTEXTS: Final = 4

Change = Callable[[tuple[Primitive, ...], int], Sequence[Primitive]]
"""Takes rows and a number that was not used before; returns the rows of the next catalog."""


class Line(msgspec.Struct):
    """One kind of update at one size; milliseconds, medians of all times."""

    rows: int
    change: str
    update_ms: float
    encoded: int
    pause_ms: float
    slowest_list_ms: float
    quiet_list_ms: float


class Counting:
    """Counts the texts that an encoder encodes.

    Args:
        encoder: Does the work.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.encoded = 0

    @property
    def name(self) -> str:
        """Name of the encoder."""
        return self._encoder.name

    @property
    def revision(self) -> str:
        """Revision of the encoder."""
        return self._encoder.revision

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return self._encoder.dimensions

    def load(self) -> None:
        """Load the encoder."""
        self._encoder.load()

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encode requests."""
        return self._encoder.encode_queries(texts)

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Encode descriptions, and count them."""
        self.encoded += len(texts)
        return self._encoder.encode_documents(texts)


def row(number: int) -> Primitive:
    """Make a described tool that is not in the first catalog."""
    return replace(catalog(10).rows[number % 10], name=f"tool_{number}", description=f"Do task {number}")


def one_changed(rows: tuple[Primitive, ...], new: int) -> Sequence[Primitive]:
    """Describe one tool in another way."""
    place = new % len(rows)
    return (*rows[:place], replace(rows[place], description=f"Version {new} of it"), *rows[place + 1 :])


CHANGES: Final[dict[str, Change]] = {
    "same": lambda rows, _: [replace(one) for one in rows],
    "1 changed": one_changed,
    "1 added": lambda rows, new: [row(new), *rows],
    "1 removed": lambda rows, new: [one for place, one in enumerate(rows) if place != new % len(rows)],
    "100 added": lambda rows, new: [*rows, *map(row, range(new, new + 100))],
}


async def pauses(longest: list[float]) -> None:
    """Measure, until cancelled, for how long nothing else ran; seconds."""
    while True:
        start = time.perf_counter()
        await asyncio.sleep(0.001)
        longest.append(time.perf_counter() - start - 0.001)


async def lists(client: Client, took: list[float]) -> None:
    """List, until cancelled."""
    while True:
        start = time.perf_counter()
        await client.request("tools/list")
        took.append(time.perf_counter() - start)
        await asyncio.sleep(0.002)


async def measure(rows: int, encoder: Counting, folder: Path | None) -> list[Line]:
    """Replace the catalog of one server again and again."""
    present: tuple[Primitive, ...] = catalog(rows).rows
    server = ScopedServer(catalog=Catalog(present), selector=HybridSelector(encoder, index_dir=folder))
    numbers = itertools.count(1_000_000, 1000)
    lines: list[Line] = []
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(
                Client(server, context=str(number), intent=f"{VERBS[number]} the {NOUNS[number]}")
            )
            for number in range(CONTEXTS)
        ]
        start = time.perf_counter()
        await clients[0].list_tools()
        print(f"{rows:>7,} rows: first list after {time.perf_counter() - start:.1f} s", flush=True)
        quiet = await _median_list(clients[0])
        for name, change in CHANGES.items():
            runs: list[tuple[float, int, float, float]] = []
            for _ in range(TIMES):
                present = tuple(change(present, next(numbers)))
                runs.append(await _once(server, Catalog(present), clients, encoder))
            update, encoded, pause, slowest = map(statistics.median, zip(*runs, strict=True))
            lines.append(
                Line(
                    rows,
                    name,
                    update_ms=_ms(update),
                    encoded=int(encoded),
                    pause_ms=_ms(pause),
                    slowest_list_ms=_ms(slowest),
                    quiet_list_ms=_ms(quiet),
                )
            )
            _print(lines[-1])
    return lines


async def _median_list(client: Client) -> float:
    took: list[float] = []
    for _ in range(50):
        start = time.perf_counter()
        await client.request("tools/list")
        took.append(time.perf_counter() - start)
    return statistics.median(took)


async def _once(
    server: ScopedServer, given: Catalog, clients: Sequence[Client], encoder: Counting
) -> tuple[float, int, float, float]:
    took: list[float] = []
    longest: list[float] = []
    beside: list[asyncio.Task[Any]] = [asyncio.create_task(lists(client, took)) for client in clients]
    beside.append(asyncio.create_task(pauses(longest)))
    await asyncio.sleep(0.02)
    took.clear()
    longest.clear()
    before, start = encoder.encoded, time.perf_counter()
    await server.update(given)
    update = time.perf_counter() - start
    await asyncio.sleep(0.02)
    for task in beside:
        task.cancel()
    await asyncio.gather(*beside, return_exceptions=True)
    return update, encoder.encoded - before, max(longest), max(took)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)


def _print(line: Line) -> None:
    print(
        f"{line.rows:>7,}  {line.change:<10} {line.update_ms:>9.1f} {line.encoded:>8} {line.pause_ms:>9.1f} "
        f"{line.slowest_list_ms:>12.1f} {line.quiet_list_ms:>10.2f}",
        flush=True,
    )


def main() -> None:
    """Read the command line, measure, print, and write JSON where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("rows", type=int, nargs="*", default=(1000, 5000), help="sizes of catalogs")
    parser.add_argument("--encoder", choices=("minilm", "hashing"), default="minilm")
    parser.add_argument("--index", action="store_true", help="save the index at each update")
    parser.add_argument("--json", type=Path, help="where to write the figures; they are also printed")
    arguments = parser.parse_args()
    inner: Encoder = default_encoder() if arguments.encoder == "minilm" else HashingEncoder(384)
    print("   rows  change     update ms  encoded  pause ms  slowest list  list alone")
    lines: list[Line] = []
    with tempfile.TemporaryDirectory() as folder:
        for rows in arguments.rows:
            place = Path(folder) / str(rows) if arguments.index else None
            lines += asyncio.run(measure(rows, Counting(inner), place))
    if arguments.json:
        arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(lines), indent=1) + b"\n")


if __name__ == "__main__":
    main()
