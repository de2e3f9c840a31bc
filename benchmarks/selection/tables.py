"""Tables in Markdown, and means over several sets."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from benchmarks import markdown
from benchmarks.selection.results import Cell, Results
from benchmarks.selection.sets import MEANS
from scopedtools.evaluation.measures import Mean


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 1) -> str:
    """Return a table whose first columns are aligned left and the others right."""
    return "\n".join([*markdown.head(head, left=left), *map(markdown.row, rows)]) + "\n"


def percent(mean: Mean | None, *, interval: bool = True) -> str:
    """Return a share in percent, with half the width of its interval."""
    if mean is None or math.isnan(mean.value):
        return "-"
    half = f" ±{50 * (mean.high - mean.low):.1f}" if interval else ""
    return f"{100 * mean.value:.1f}{half}"


def over_sets(means: Sequence[Mean]) -> Mean | None:
    """Return the mean of several sets' means, each counting alike, with its interval.

    The interval tells what drawing other requests from the same sets would change, each set's bootstrap
    interval taken as 3.92 standard errors. What other sets would give it does not tell.
    """
    known = [mean for mean in means if not math.isnan(mean.value)]
    if not known:
        return None
    value = sum(mean.value for mean in known) / len(known)
    half = math.sqrt(sum(((mean.high - mean.low) / 2) ** 2 for mean in known)) / len(known)
    return Mean(value, value - half, value + half, sum(mean.n for mean in known))


def cell_of(results: Results, name: str, system: str) -> Cell | None:
    """Return what a system did on a set, or ``None`` where it was not run."""
    found = (cell for cell in results.cells if (cell.set, cell.system) == (name, system))
    return next(found, None)


def mean_of(results: Results, sets: Sequence[str], system: str, measure: str) -> Mean | None:
    """Return the mean of a measure over sets, or ``None`` unless the system was run on all that were run."""
    run = [name for name in sets if any(facts.name == name for facts in results.sets)]
    cells = [cell_of(results, name, system) for name in run]
    known = [cell for cell in cells if cell is not None]
    if not known or len(known) < len(run):
        return None
    return over_sets([cell.means[measure] for cell in known])


def systems_of(results: Results) -> list[str]:
    """Return the systems that were run, in the order in which they were."""
    return list(dict.fromkeys(cell.system for cell in results.cells))


def groups_of(results: Results) -> dict[str, list[str]]:
    """Return the groups of sets that means are taken over, each with those of its sets that were run."""
    run = {cell.set for cell in results.cells}
    groups = {group: [name for name in names if name in run] for group, names in MEANS.items()}
    return {group: names for group, names in groups.items() if names}
