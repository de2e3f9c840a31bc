"""Plots of a run, as PNG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.serving.results import FLOOR, OURS, Line, Results
from benchmarks.serving.systems import SAME_VIEW, SYSTEMS
from benchmarks.serving.wire import MODERN, OPERATIONS, Operation

_DPI: Final = 120
_SIZE: Final = (8.0, 5.0)
_USUAL: Final = 8
"""Requests at a time, in plots of something else."""


def draw(results: Results, folder: Path) -> list[str]:
    """Draw what was measured; returns the names of the files, none where matplotlib is not installed."""
    try:
        import matplotlib  # noqa: PLC0415, ICN001 - an extra, and slow to import
    except ModuleNotFoundError:
        return []
    matplotlib.use("Agg")
    lines = [line for line in results.lines if line.era == MODERN]
    return [*_by_rows(lines, folder), *_by_concurrency(lines, folder), *_bars(lines, folder)]


def _by_rows(lines: Sequence[Line], folder: Path) -> Iterator[str]:
    for operation in ("view", "full", "call", "search"):
        kept = [line for line in lines if line.operation == operation and line.concurrency == _USUAL]
        if len({line.rows for line in kept}) > 1:
            title = f"{operation}: CPU of the server for a request"
            yield _plot(kept, "rows", "cpu_us", (title, "rows of the catalog", "µs"), folder)


def _by_concurrency(lines: Sequence[Line], folder: Path) -> Iterator[str]:
    for operation in ("view", "call"):
        kept = [line for line in lines if line.operation == operation and line.rows == _reference(lines)]
        if len({line.concurrency for line in kept}) > 1:
            title = f"{operation}: requests a second, {_reference(lines):,} rows"
            yield _plot(
                kept, "concurrency", "requests_s", (title, "requests at a time", "requests/s"), folder
            )


def _bars(lines: Sequence[Line], folder: Path) -> Iterator[str]:
    kept = [line for line in lines if line.rows == _reference(lines) and line.concurrency == _USUAL]
    if not kept:
        return
    from matplotlib import pyplot as plt  # noqa: PLC0415 - an extra, and slow to import

    figure, axes = plt.subplots(figsize=_SIZE, dpi=_DPI)
    systems = _systems(kept)
    operations = [one for one in OPERATIONS if any(line.operation == one for line in kept)]
    for place, system in enumerate(systems):
        mine: dict[Operation, float] = {line.operation: line.ratio for line in kept if line.system == system}
        at = [operations.index(one) + (place - len(systems) / 2) * 0.1 for one in mine]
        axes.bar(at, list(mine.values()), width=0.1, label=system, color=_colour(system))
    axes.axhline(1, color="black", linewidth=0.8)
    labels = ("CPU for a request, by that of a bare ASGI app", "", "times the floor")
    axes.set_xticks(range(len(operations)), operations)
    _finish(figure, axes, labels)
    figure.savefig(folder / "ratios.png")
    plt.close(figure)
    yield "ratios.png"


def _plot(lines: Sequence[Line], x: str, y: str, labels: tuple[str, str, str], folder: Path) -> str:
    from matplotlib import pyplot as plt  # noqa: PLC0415 - an extra, and slow to import

    figure, axes = plt.subplots(figsize=_SIZE, dpi=_DPI)
    for system in (FLOOR, *_systems(lines)):
        mine = sorted((line for line in lines if line.system == system), key=lambda line: getattr(line, x))
        at, values = [getattr(line, x) for line in mine], [getattr(line, y) for line in mine]
        wide = 2.4 if system == OURS else 1.2
        axes.plot(at, values, marker="o", linewidth=wide, label=system, color=_colour(system))
    axes.set_xscale("log")
    _finish(figure, axes, labels)
    name = f"{lines[0].operation}-{x}.png"
    figure.savefig(folder / name)
    plt.close(figure)
    return name


def _systems(lines: Sequence[Line]) -> list[str]:
    return [
        one for one in dict.fromkeys(line.system for line in lines) if one != FLOOR and one not in SAME_VIEW
    ]


def _colour(system: str) -> str:
    return "black" if system == FLOOR else f"C{SYSTEMS.index(system)}"


def _reference(lines: Sequence[Line]) -> int:
    sizes = {line.rows for line in lines}
    return 1_000 if 1_000 in sizes else max(sizes, default=0)


def _finish(figure: Any, axes: Any, labels: tuple[str, str, str]) -> None:
    title, x, y = labels
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_yscale("log")
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize=7, ncols=2)
    figure.tight_layout()
