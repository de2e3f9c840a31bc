"""Plots of a run, as PNG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from benchmarks.selection.results import Cell, Results
from benchmarks.selection.tables import groups_of, systems_of

_DPI: Final = 120
_SIZE: Final = (8.0, 5.0)
_DASHES: Final = ("-", "--", "-.", ":")


class _Line(NamedTuple):
    label: str
    x: Sequence[float]
    y: Sequence[float]


class _Axes(NamedTuple):
    title: str
    x: str
    y: str
    zero: bool = False
    """Whether x begins at 0."""


def draw(results: Results, folder: Path) -> list[str]:
    """Draw what was measured; returns the names of the files, none where matplotlib is not installed."""
    try:
        import matplotlib  # noqa: PLC0415, ICN001 - an extra, and slow to import
    except ModuleNotFoundError:
        return []
    matplotlib.use("Agg")
    return [*_curves(results, folder), *_sizes(results, folder), *_lessons(results, folder)]


def _curves(results: Results, folder: Path) -> Iterator[str]:
    for group, names in groups_of(results).items():
        cells = {system: _cells(results, names, system) for system in systems_of(results)}
        run = max((len(of) for of in cells.values()), default=0)
        # A mean over fewer sets is not comparable.
        kept = {system: of for system, of in cells.items() if of and len(of) == run}
        if kept:
            yield _recall(kept, group, folder)
            yield _tokens(kept, group, folder)
            yield _latency(kept, group, folder)


def _cells(results: Results, names: Sequence[str], system: str) -> list[Cell]:
    return [cell for cell in results.cells if cell.system == system and cell.set in names]


def _recall(cells: dict[str, list[Cell]], group: str, folder: Path) -> str:
    lines = [
        _Line(system, of[0].curve.k, np.mean([cell.curve.recall for cell in of], axis=0) * 100)
        for system, of in cells.items()
    ]
    axes = _Axes(f"Recall against k, mean of {group} sets", "k", "recall@k (%)")
    return _plot(lines, axes, folder / f"recall-{group}.png")


def _tokens(cells: dict[str, list[Cell]], group: str, folder: Path) -> str:
    lines = [
        _Line(
            system,
            np.mean([cell.curve.tokens for cell in of], axis=0) * 100,
            np.mean([cell.curve.complete for cell in of], axis=0) * 100,
        )
        for system, of in cells.items()
    ]
    views = [
        _Line(
            f"{system}: view", [_mean(cells[system], "view_tokens")], [_mean(cells[system], "view_complete")]
        )
        for system in cells
        if system in ("ours", "convex")
    ]
    axes = _Axes(
        f"Accuracy against tokens, mean of {group} sets",
        "tokens shown (% of the full list)",
        "all needed shown (%)",
    )
    return _plot([*lines, *views], axes, folder / f"tokens-{group}.png")


def _latency(cells: dict[str, list[Cell]], group: str, folder: Path) -> str:
    lines = [
        _Line(system, [float(np.mean([cell.ms["p50"] for cell in of]))], [_mean(of, "recall@5")])
        for system, of in cells.items()
    ]
    axes = _Axes(
        f"Recall against latency, mean of {group} sets",
        "median ms of a search beside the encoder",
        "recall@5 (%)",
    )
    return _plot(lines, axes, folder / f"latency-{group}.png")


def _sizes(results: Results, folder: Path) -> Iterator[str]:
    for source in dict.fromkeys(point.source for point in results.needles):
        for measure in ("hit", "recall"):
            points = [point for point in results.needles if point.source == source]
            lines = [
                _Line(
                    system,
                    [point.tools for point in points if point.system == system],
                    [getattr(point, measure).value * 100 for point in points if point.system == system],
                )
                for system in dict.fromkeys(point.system for point in points)
            ]
            name = {"hit": "hit@1", "recall": "recall@5"}[measure]
            axes = _Axes(
                f"{name} against the size of the catalog, needles of {source}", "tools", f"{name} (%)"
            )
            yield _plot(lines, axes, folder / f"size-{source}-{name.replace('@', '')}.png")


def _lessons(results: Results, folder: Path) -> Iterator[str]:
    for name in dict.fromkeys(one.set for one in results.lessons):
        lessons = [one for one in results.lessons if one.set == name]
        for attribute, measure in (("hit", "hit@1"), ("recall", "recall@5")):
            lines = [
                _Line(
                    traffic,
                    [one.uses for one in lessons if one.traffic == traffic],
                    [getattr(one, attribute).value * 100 for one in lessons if one.traffic == traffic],
                )
                for traffic in dict.fromkeys(one.traffic for one in lessons)
            ]
            axes = _Axes(
                f"{measure} after calls that were learned from, {name}",
                "calls of each tool (mean)",
                f"{measure} (%)",
                zero=True,
            )
            yield _plot(lines, axes, folder / f"learning-{name}-{measure.replace('@', '')}.png")


def _mean(cells: Sequence[Cell], measure: str) -> float:
    return float(np.mean([cell.means[measure].value for cell in cells])) * 100


def _plot(lines: Sequence[_Line], labels: _Axes, path: Path) -> str:
    from matplotlib import pyplot as plt  # noqa: PLC0415 - an extra, and slow to import

    figure, axes = plt.subplots(figsize=_SIZE, dpi=_DPI)
    for place, line in enumerate(lines):
        axes.plot(line.x, line.y, label=line.label, **_look(place, line))
    _dress(axes, labels)
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)
    return path.name


def _look(place: int, line: _Line) -> dict[str, Any]:
    """Tell systems apart even where their lines lie on each other; ours stands out."""
    ours = line.label.startswith("ours")
    return {
        "color": f"C{place % 10}",
        "linestyle": _DASHES[place % len(_DASHES)],
        "linewidth": 2.2 if ours else 1.2,
        "marker": "o" if len(line.x) > 1 else "D",
        "markersize": 6 if ours else 4,
        "alpha": 0.9,
    }


def _dress(axes: Any, labels: _Axes) -> None:
    from matplotlib import ticker  # noqa: PLC0415 - an extra, and slow to import

    if labels.zero:
        axes.set_xscale("symlog", linthresh=1)
        axes.xaxis.set_major_locator(ticker.FixedLocator((0, 0.5, 1, 2, 5, 10, 20)))
    else:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    axes.xaxis.set_minor_formatter(ticker.NullFormatter())
    axes.set_title(labels.title)
    axes.set_xlabel(labels.x)
    axes.set_ylabel(labels.y)
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize=7, ncols=2)
