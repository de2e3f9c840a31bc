"""Plots of a run, as PNG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from benchmarks.index.engines import ENGINES, OURS
from benchmarks.index.results import Results, Searched

_DPI: Final = 120
_SIZE: Final = (8.0, 5.0)


def draw(results: Results, folder: Path) -> list[str]:
    """Draw what was measured; returns the names of the files, none where matplotlib is not installed."""
    try:
        import matplotlib  # noqa: PLC0415, ICN001 - an extra, and slow to import
    except ModuleNotFoundError:
        return []
    matplotlib.use("Agg")
    return [*_by_rows(results.searched, folder), *_frontier(results.searched, folder)]


def _by_rows(lines: Sequence[Searched], folder: Path) -> Iterator[str]:
    if len({line.rows for line in lines}) < 2:
        return
    from matplotlib import pyplot as plt  # noqa: PLC0415 - an extra, and slow to import

    figure, axes = plt.subplots(figsize=_SIZE, dpi=_DPI)
    for name in ENGINES:
        mine = [line for line in lines if line.engine == name and line.permitted == 0.1]
        axes.plot(
            [line.rows for line in mine],
            [line.p99_ms for line in mine],
            marker="o",
            linewidth=2.4 if name == OURS else 1.2,
            label=name,
        )
    axes.set(
        xscale="log", yscale="log", xlabel="vectors", ylabel="ms", title="p99 of a query, CPU, 10 % permitted"
    )
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(folder / "p99-rows.png")
    plt.close(figure)
    yield "p99-rows.png"


def _frontier(lines: Sequence[Searched], folder: Path) -> Iterator[str]:
    from matplotlib import pyplot as plt  # noqa: PLC0415 - an extra, and slow to import

    for rows in sorted({line.rows for line in lines}):
        figure, axes = plt.subplots(figsize=_SIZE, dpi=_DPI)
        for name in ENGINES:
            mine = [line for line in lines if (line.engine, line.rows) == (name, rows)]
            axes.scatter([line.p99_ms for line in mine], [line.recall_20 for line in mine], label=name)
            for line in mine:
                axes.annotate(f"{line.permitted:.0%}", (line.p99_ms, line.recall_20), fontsize=6)
        axes.set(
            xscale="log", xlabel="p99 of a query, CPU, ms", ylabel="recall@20", title=f"{rows:,} vectors"
        )
        axes.grid(visible=True, alpha=0.3)
        axes.legend(fontsize=7)
        figure.tight_layout()
        name = f"recall-{rows}.png"
        figure.savefig(folder / name)
        plt.close(figure)
        yield name
