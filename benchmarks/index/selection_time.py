"""What one search takes beside the encoder: rows, parts of the request, history, permitted rows.

Run: python benchmarks/index/selection_time.py [--json PATH] [--runs N] [--rows N ...]
     [--limit N]

Searches as a server does, through ``HybridSelector.search``, one after the other, each with its query vectors
cached. CPU milliseconds are of the whole process: threads that a library starts would show as more CPU than
wall time, and other load shows as more wall than CPU time.

Catalogs and requests are ToolBench's and, for 5,194 rows, real MCP tools, from ``$SCOPEDTOOLS_DATA``; where
they are missing, made-up ones of about the same lengths. Vectors are sums of a fixed random vector for each
word: what is near shares words, as with an encoder, and 45,000 rows need no model.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import random
import re
import time
import zlib
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from benchmarks.selection.sample import data_folder
from scopedtools import Catalog
from scopedtools.catalog.primitives import Tool
from scopedtools.evaluation.data import read_queries
from scopedtools.retrieval import HybridSelector
from scopedtools.retrieval.heard import hear
from scopedtools.types import Describable, Rows, Turn

if TYPE_CHECKING:
    from scopedtools.types import Vectors

DATA: Final = data_folder()
REAL: Final = 5_194
"""Tools of real MCP servers; the other sizes are ToolBench's."""

SIZES: Final = (1_000, REAL, 44_652)
TURNS: Final = 6
LIMIT: Final = 20


class Case(NamedTuple):
    """One kind of request.

    Attributes:
        parts: What it is cut into: the whole and its clauses.
        turns: Turns before it, each with a request, a reply and a call.
        permitted: Share of the rows that may be found.
    """

    parts: int
    turns: int = 0
    permitted: float = 1.0


CASES: Final = (
    *map(Case, (1, 3, 6, 9)),
    *(Case(parts, TURNS) for parts in (1, 3, 6, 9)),
    *(Case(6, permitted=share) for share in (0.5, 0.1, 0.01)),
)


class Line(msgspec.Struct):
    """Milliseconds of one case at one size, medians and 99th percentiles of all its runs."""

    rows: int
    parts: int
    turns: int
    permitted: float
    runs: int
    wall_p50: float
    wall_p99: float
    cpu_p50: float
    cpu_p99: float


class WordsEncoder:
    """Adds up a fixed random vector for each word."""

    name = "words"
    revision = "1"
    dimensions = 384

    def load(self) -> None:
        """Do nothing: there is no model."""

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encode requests; float32, shape ``(len(texts), 384)``, unit rows."""
        vectors = np.stack([self._sum(text) for text in texts])
        unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit

    encode_documents = encode_queries

    def _sum(self, text: str) -> npt.NDArray[np.float32]:
        # All texts have one word in common: none is without any, and all are a little alike, as with a model.
        words = {"", *re.findall(r"\w{3,}", text.lower())}
        total: npt.NDArray[np.float32] = np.stack([_word(word) for word in sorted(words)]).sum(axis=0)
        return total


@cache
def _word(word: str) -> npt.NDArray[np.float32]:
    return np.random.default_rng(zlib.crc32(word.encode())).normal(size=384).astype(np.float32)


def catalog(size: int) -> tuple[Describable, ...]:
    """Return this many rows, real ones where they are there."""
    path = DATA / ("toucan-mcp" if size == REAL else "toolbench") / "tools.jsonl.gz"
    if path.exists() and len(rows := Catalog.from_jsonl(path).rows) >= size:
        return tuple(rows[:size])
    chance = random.Random(1)  # noqa: S311 - no secret
    return tuple(_made_up(chance, number) for number in range(size))


def sentences() -> list[str]:
    """Return the sentences of all requests, in order."""
    path = DATA / "toolbench" / "queries.jsonl"
    if path.exists():
        texts = [ask.text for query in read_queries(path) for ask in query.asks]
    else:
        chance = random.Random(2)  # noqa: S311 - no secret
        texts = [f"{_words(chance, 12).capitalize()}. Also {_words(chance, 14)}." for _ in range(400)]
    return [one for text in texts for one in re.split(r"(?<=[.?!])\s+", text) if len(one.split()) > 3]


def _made_up(chance: random.Random, number: int) -> Tool:
    inputs = {_words(chance, 1): {"type": "string", "description": _words(chance, 5)} for _ in range(3)}
    return Tool(
        name=f"tool_{number}",
        description=_words(chance, 14),
        input_schema={"type": "object", "properties": inputs},
    )


def _words(chance: random.Random, n: int) -> str:
    # Zipf's law without its first 50 words, which an index leaves out: the commonest is in every tenth row.
    return " ".join(f"word{int(50 * 400 ** chance.random())}" for _ in range(n))


def requests(case: Case, said: Sequence[str], n: int) -> Iterator[tuple[str, tuple[Turn, ...]]]:
    """Yield up to ``n`` requests of this kind, made of consecutive sentences."""
    found = 0
    for start in range(len(said)):
        for count in range(1, 12):
            text = " ".join(said[start : start + count])
            heard = hear(text)
            if heard is not None and len(heard.texts) == case.parts:
                yield text, _history(said, start, case.turns)
                found += 1
                break
        if found == n:
            return


def _history(said: Sequence[str], start: int, turns: int) -> tuple[Turn, ...]:
    # Two sentences a request and one a reply; calls are of rows that lie apart.
    around = [said[(start + 20 + offset) % len(said)] for offset in range(3 * turns)]
    return tuple(
        Turn(f"{around[3 * i]} {around[3 * i + 1]}", around[3 * i + 2], ((37 * start + 101 * i) % 1000,))
        for i in range(turns)
    )


async def measure(
    selector: HybridSelector, case: Case, rows: int, runs: int, said: Sequence[str], *, limit: int = LIMIT
) -> Line:
    """Time one case, each request twice over and after a first run that fills the caches."""
    asked = list(requests(case, said, runs // 2))
    within = _within(rows, case.permitted)
    took = [[await _took(selector, within, *one, limit) for one in asked] for _ in range(3)]
    wall, cpu = np.array(took[1:]).reshape(-1, 2).T * 1000
    return Line(
        rows,
        *case,
        len(wall),
        *(round(float(np.percentile(times, at)), 3) for times in (wall, cpu) for at in (50, 99)),
    )


async def _took(
    selector: HybridSelector, within: Rows, text: str, history: tuple[Turn, ...], limit: int
) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    await selector.search(text, within=within, limit=limit, history=history)
    return time.perf_counter() - wall, time.process_time() - cpu


def _within(rows: int, share: float) -> Rows:
    chosen = np.random.default_rng(3).random(rows) < share
    return int.from_bytes(np.packbits(chosen, bitorder="little").tobytes(), "little")


def facts() -> dict[str, str]:
    """Describe what this runs on."""
    cpuinfo = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*:\s*(.+)", cpuinfo.read_text("utf-8")) if cpuinfo.exists() else []
    return {
        "processor": f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores",
        "load": " ".join(f"{load:.1f}" for load in os.getloadavg()),
        "python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "faiss-cpu", "bm25s", "scopedtools")},
        "data": str(DATA) if DATA.exists() else "made up",
    }


async def run(sizes: Sequence[int], runs: int, *, limit: int = LIMIT) -> list[Line]:
    """Measure all cases at all sizes, printing each as it comes."""
    said = sentences()
    print(f"{'rows':>7} {'parts':>5} {'turns':>5} {'may see':>7}   wall p50    p99   cpu p50    p99  ms")
    lines: list[Line] = []
    for size in sizes:
        selector = HybridSelector(WordsEncoder())
        await selector.prepare(catalog(size))
        for case in CASES:
            line = await measure(selector, case, size, runs, said, limit=limit)
            lines.append(line)
            print(
                f"{size:>7,} {case.parts:>5} {case.turns:>5} {case.permitted:>7.0%}   {line.wall_p50:>8.2f} "
                f"{line.wall_p99:>6.2f}  {line.cpu_p50:>8.2f} {line.cpu_p99:>6.2f}",
                flush=True,
            )
    return lines


def main() -> None:
    """Read the command line, measure, print, and write JSON where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", type=Path, help="where to write the figures; they are also printed")
    parser.add_argument("--runs", type=int, default=200, help="searches for each line of the table")
    parser.add_argument("--rows", type=int, nargs="+", default=SIZES, help="sizes of catalogs")
    parser.add_argument("--limit", type=int, default=LIMIT, help="most rows that a search returns")
    arguments = parser.parse_args()
    report = {
        "machine": facts(),
        "lines": asyncio.run(run(arguments.rows, arguments.runs, limit=arguments.limit)),
    }
    encoded = msgspec.json.encode(report)
    print(encoded.decode())
    if arguments.json:
        arguments.json.write_bytes(msgspec.json.format(encoded, indent=1) + b"\n")


if __name__ == "__main__":
    main()
