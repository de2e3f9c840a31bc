"""A run as tables, in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.index.engines import ENGINES, OURS
from benchmarks.index.results import Results, Searched
from benchmarks.markdown import head, row

_MOST_MS = 5.0
_LEAST_RECALL = 0.98


def write(results: Results, path: Path, plots: Sequence[str]) -> None:
    """Write the report."""
    path.write_text("\n".join(_report(results, plots)) + "\n", encoding="utf-8")


def sentence(line: Searched) -> str:
    """Return one measurement as a line of text."""
    return (
        f"{line.engine:>10} {line.rows:>9,} {line.permitted:>4.0%}"
        f"  p50 {line.p50_ms:8.3f} p99 {line.p99_ms:8.3f} ms, recall@20 {line.recall_20:.3f}"
        f"  ten {line.ten_ms:8.2f} ms, recall@100 {line.recall_100:.3f}"
    )


def targets(results: Results) -> Iterator[str]:
    """Yield the lines of the table of targets."""
    yield from head(
        ("what is shipped", "p99, CPU", "by the clock", "recall@20", "under 5 ms CPU, at least 0.98")
    )
    for line in results.searched:
        if line.engine == OURS and line.rows >= 100_000:
            met = line.p99_ms < _MOST_MS and line.recall_20 >= _LEAST_RECALL
            what = f"{line.rows:,} vectors, {line.permitted:.0%} permitted"
            times = f"{line.p99_ms:.2f} ms", f"{line.wall_p99_ms:.2f} ms"
            yield row((what, *times, f"{line.recall_20:.3f}", "met" if met else "**missed**"))


def _report(results: Results, plots: Sequence[str]) -> Iterator[str]:
    yield "# Indexes of vectors\n"
    yield from results.machine.lines()
    if results.quick:
        yield "A quick run: few queries. **Its figures are rough.**\n"
    kind = "made-up" if results.made_up else "real"
    yield (
        f"Up to {results.real:,} vectors are of {kind} descriptions, the rest perturbed copies. CPU times are"
        " of one thread: one query for its 20 nearest, and ten queries at once for their 100 nearest.\n"
    )
    yield "## Targets\n"
    yield from targets(results)
    for rows in dict.fromkeys(line.rows for line in results.searched):
        yield f"\n## {rows:,} vectors\n"
        yield from _searches([line for line in results.searched if line.rows == rows])
        yield ""
        yield from _builds(results, rows)
    yield from (f"\n![{name}]({name})" for name in plots)


def _searches(lines: Sequence[Searched]) -> Iterator[str]:
    shares = sorted({line.permitted for line in lines})
    yield "CPU p50 / p99 in ms, recall@20; ten at once in ms, recall@100:\n"
    yield from head(("index", *(f"{share:.0%} permitted" for share in shares)))
    for name in ENGINES:
        mine = {line.permitted: line for line in lines if line.engine == name}
        if mine:
            yield row((name, *(_cell(mine[share]) for share in shares)))


def _cell(line: Searched) -> str:
    alone = f"{line.p50_ms:.3g} / {line.p99_ms:.3g}, {line.recall_20:.3f}"
    return f"{alone}; {line.ten_ms:.3g}, {line.recall_100:.3f}"


def _builds(results: Results, rows: int) -> Iterator[str]:
    yield from head(
        ("index", "bytes a row", "build CPU s", "add 1 %", "remove 1 %", "save s", "load s", "map, search s")
    )
    for one in results.built:
        if one.rows == rows:
            removed = "cannot" if one.remove_s is None else f"{one.remove_s:.3g}"
            figures = (f"{value:.3g}" for value in (one.build_s, one.add_s))
            files = (f"{value:.3g}" for value in (one.save_s, one.load_s, one.map_s))
            yield row((one.engine, f"{one.bytes_per_row:,.0f}", *figures, removed, *files))
