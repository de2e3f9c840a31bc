"""The targets for what is served, each as a ratio that one run shows, and whether they are met."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from benchmarks.serving.results import OURS, Line, Results
from benchmarks.serving.start import SAVED
from benchmarks.serving.wire import MODERN, Operation

_ROWS = 1_000
_CONCURRENCY = 8


class Target(NamedTuple):
    """A target and what was measured of it.

    Attributes:
        what: In words.
        goal: In words.
        found: What was measured; none where the run did not measure it.
        met: Whether it is met.
    """

    what: str
    goal: str
    found: str | None = None
    met: bool | None = None


def targets(results: Results) -> list[Target]:
    """Hold a run against the targets: current revision, 1,000 rows, 8 requests at a time."""
    return [
        _floor(results, "view", "warm 16-row `tools/list`, CPU by that of the floor", 1.6),
        _floor(results, "call", "trivial `tools/call`, CPU by that of the floor", 2.0),
        _peer(results, "view", "sdk-16", "warm list, SDK listing the same 16 rows", 6),
        _peer(results, "view", "fastmcp-16", "warm list, FastMCP listing the same 16 rows", 15),
        _peer(results, "view", "sdk", "warm list from 1,000 rows, SDK listing all", 500),
        _peer(results, "view", "fastmcp", "warm list from 1,000 rows, FastMCP listing all", 1_000),
        _peer(results, "search", "fastmcp-bm25", "`search_tools`, FastMCP's BM25 search", 50),
        _flat(results),
        _start(results),
    ]


def find(
    results: Results,
    operation: Operation,
    system: str,
    *,
    rows: int = _ROWS,
    era: str = MODERN,
    concurrency: int = _CONCURRENCY,
) -> Line | None:
    """Return the line of a system, if it was measured."""
    wanted = (operation, system, rows, era, concurrency)
    for line in results.lines:
        if (line.operation, line.system, line.rows, line.era, line.concurrency) == wanted:
            return line
    return None


def _floor(results: Results, operation: Operation, what: str, most: float) -> Target:
    line = find(results, operation, OURS)
    goal = f"at most {most:g} x"
    return (
        Target(what, goal) if line is None else Target(what, goal, f"{line.ratio:.2f} x", line.ratio <= most)
    )


def _peer(results: Results, operation: Operation, peer: str, what: str, least: float) -> Target:
    ours, theirs = find(results, operation, OURS), find(results, operation, peer)
    goal = f"at least {least:,.0f} x our CPU"
    if ours is None or theirs is None:
        return Target(what, goal)
    times = theirs.ratio / ours.ratio
    return Target(what, goal, f"{times:.3g} x" if times < 1_000 else f"{times:,.0f} x", times >= least)


def _flat(results: Results) -> Target:
    what, goal = "warm list as the catalog grows from 100 rows", "within 10 %"
    found = list(_by_rows(results))
    if len(found) < 2:
        return Target(what, goal)
    ratios = [line.ratio for line in found]
    spread = max(ratios) / min(ratios) - 1
    return Target(what, goal, f"{spread:.0%} up to {found[-1].rows:,} rows", spread <= 0.1)


def _by_rows(results: Results) -> Iterator[Line]:
    for size in sorted({line.rows for line in results.lines if line.rows >= 100}):
        if (line := find(results, "view", OURS, rows=size)) is not None:
            yield line


def _start(results: Results) -> Target:
    what, goal = "start to first answer, saved index of 45,000 rows, encoder that hashes", "under 2 s"
    for line in results.starts:
        if line.system == SAVED:
            return Target(what, goal, f"{line.first_answer_s:.2f} s", line.first_answer_s < 2)
    return Target(what, goal)
