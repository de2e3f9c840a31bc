"""A summary as tables for people."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from rich.markup import escape
from rich.table import Table

from scopedtools.evaluation.measures import Mean
from scopedtools.evaluation.summary import Group, Summary

_SHARES: Final = frozenset(
    (
        "view_tokens",
        "prefix_kept",
        "prefix_cached",
        "abstained_with_needs",
        "abstained_without_needs",
        "refused",
        "lost",
    )
)
"""Measures that are printed in percent."""

_MS: Final = {
    "p50": "ms p50, beside the encoder",
    "p99": "ms p99, beside the encoder",
    "wall_p50": "ms p50, with the encoder",
    "wall_p99": "ms p99, with the encoder",
}

_LABEL_WIDTH: Final = 28
_CELL_WIDTH: Final = 32
"""Characters of ``1,000.000 [1,000.000, 1,000.000]`` at most, so that groups fit beside each other."""


def tables(summary: Summary, *, width: int) -> Iterator[Table]:
    """Yield tables of all measures: means with their 95 % intervals, a column a group.

    Args:
        summary: What was measured.
        width: Characters in a line; groups that have no place in it get a table of their own.
    """
    abreast = max(1, (width - _LABEL_WIDTH) // _CELL_WIDTH)
    for kinds in (("all", "kind"), ("part",)):
        groups = [group for group in summary.groups if group.by in kinds]
        for start in range(0, len(groups), abreast):
            yield _table(groups[start : start + abreast])


def _table(groups: Sequence[Group]) -> Table:
    table = Table(box=None, header_style="bold")
    table.add_column("", no_wrap=True)
    for group in groups:
        table.add_column(_heading(group), no_wrap=True)
    table.add_row("lines", *(f"{group.lines:,}" for group in groups))
    table.add_row("lines with needs", *(f"{group.with_needs:,}" for group in groups))
    for name in groups[0].means:
        if any(group.means[name].n for group in groups):
            table.add_row(name.replace("_", " "), *(_cell(name, group.means[name]) for group in groups))
    for key, label in _MS.items():
        table.add_row(label, *(f"{group.ms[key]:.2f}" if key in group.ms else "-" for group in groups))
    return table


def _heading(group: Group) -> str:
    return "all" if group.by == "all" else escape(f"{group.by} {group.name or '(none)'}")


def _cell(name: str, mean: Mean) -> str:
    if math.isnan(mean.value):
        return "-"
    form = "{:.2%}" if name in _SHARES else "{:.3f}"
    value, low, high = map(form.format, mean[:3])
    return f"{value} [{low}, {high}] n={mean.n:,}"
