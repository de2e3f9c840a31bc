"""Indexes of vectors side by side: exact, HNSW, IVF, scalar-quantised, RaBitQ, and what is shipped.

Run: python -m benchmarks.index [--quick] [--sizes N,N,...] [--engines NAME,...] [--out FOLDER]
     [--scratch FOLDER] [--build-only] [--made-up]

It writes index.json, index.md and plots. See the README in this folder for what is measured and how.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.index import data, plots, report
from benchmarks.index.engines import ENGINES
from benchmarks.index.measure import build, measure
from benchmarks.index.results import Built, Results, Searched
from benchmarks.machine import machine

OUT: Final = Path(__file__).parent / "results"
SIZES: Final = (1_000, 10_000, 100_000, 1_000_000)
QUICK_SIZES: Final = (1_000, 10_000)


class Cell(msgspec.Struct, frozen=True):
    """What was measured of one index at one size."""

    built: Built
    searched: list[Searched]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table of targets, and write what was measured; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    given = _parser().parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        scratch = given.scratch or Path(temporary)
        scratch.mkdir(parents=True, exist_ok=True)
        results = _run(given, scratch, arguments)
    if given.build_only:
        return 0
    given.out.mkdir(parents=True, exist_ok=True)
    results.write(given.out / "index.json")
    drawn = plots.draw(results, given.out)
    report.write(results, given.out / "index.md", drawn)
    print(*report.targets(results), sep="\n")
    print(f"index.json, index.md and {len(drawn)} plots are in {given.out}")
    return 0


def _run(given: argparse.Namespace, scratch: Path, arguments: Sequence[str]) -> Results:
    sizes = given.sizes or (QUICK_SIZES if given.quick else SIZES)
    known = None if given.made_up else data.real()
    made_up = known is None
    known = known or data.made_up()
    results = Results(machine("benchmarks.index", arguments), given.quick, len(known.descriptions), made_up)
    for size in sizes:
        made = data.make(known, size, 60 if given.quick else 300, scratch)
        for name in given.engines or ENGINES:
            if given.build_only:
                build(name, made, scratch)
                print(f"{name}: {size:,} vectors are indexed", flush=True)
                continue
            cell = _cell(name, made, scratch)
            results.built.append(cell.built)
            results.searched.extend(cell.searched)
            for line in cell.searched:
                print(report.sentence(line), flush=True)
    return results


def _cell(name: str, made: data.Data, scratch: Path) -> Cell:
    """Measure, or return what an earlier run with this folder measured."""
    path = scratch / f"cell-{name}-{len(made.vectors)}-{len(made.queries)}.json"
    if path.exists():
        return msgspec.json.decode(path.read_bytes(), type=Cell)
    cell = Cell(*measure(name, made, scratch))
    path.write_bytes(msgspec.json.encode(cell))
    return cell


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.index",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="up to 10,000 vectors and 60 queries")
    parser.add_argument("--sizes", type=_sizes, metavar="N,N", help="numbers of vectors, 100 at least")
    parser.add_argument("--engines", type=_engines, metavar="NAME,NAME", help=", ".join(ENGINES))
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the results")
    parser.add_argument("--scratch", type=Path, help="keeps vectors, indexes and figures for the next run")
    parser.add_argument("--build-only", action="store_true", help="fill the scratch folder, measure nothing")
    parser.add_argument("--made-up", action="store_true", help="vectors that need neither model nor data")
    return parser


def _sizes(text: str) -> list[int]:
    sizes = [int(one) for one in text.split(",")]
    if min(sizes) < 100:
        raise argparse.ArgumentTypeError(f"must be >= 100 each, got {text}")
    return sizes


def _engines(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [one for one in names if one not in ENGINES]:
        raise argparse.ArgumentTypeError(f"must be among {', '.join(ENGINES)}, got {unknown[0]}")
    return names


if __name__ == "__main__":
    sys.exit(main())
