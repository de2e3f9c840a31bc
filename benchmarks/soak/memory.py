"""What the server's process takes, over time, and whether it grows."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from benchmarks.serving.processes import cpu_s, memory_mib

_BLOCKS: Final = 12
"""Samples are averaged over this many spans: those that follow each other say nearly the same, and an
interval that counts each for itself would be far too narrow."""

_T: Final = {1: 12.71, 2: 4.30, 3: 3.18, 4: 2.78, 5: 2.57, 6: 2.45, 7: 2.36, 8: 2.31, 9: 2.26, 10: 2.23}
"""Student's 97.5 % points, by degrees of freedom."""


class Sample(msgspec.Struct, frozen=True):
    """The process at one moment.

    Attributes:
        at_s: Seconds since the load began.
        own_mib: Memory without files behind it, so that it does not matter who else maps the libraries.
        rss_mib: Resident memory.
        cpu_s: CPU seconds so far.
        requests: Requests so far.
        files: Open files.
    """

    at_s: float
    own_mib: float
    rss_mib: float
    cpu_s: float
    requests: int
    files: int


class Slope(NamedTuple):
    """How fast something grows, by least squares.

    Attributes:
        per_hour: Units an hour.
        low: Lower end of the 95 % interval.
        high: Upper end.
    """

    per_hour: float
    low: float
    high: float


def sample(pid: int, *, at_s: float, requests: int) -> Sample:
    """Look at a process now."""
    memory = memory_mib(pid)
    files = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    return Sample(round(at_s, 1), memory.own, memory.rss, round(cpu_s(pid), 3), requests, files)


def slope(at_s: Sequence[float], values: Sequence[float]) -> Slope:
    """Fit a line through values over time.

    Args:
        at_s: Seconds, growing.
        values: As many; at least three.

    Returns:
        The slope, with an interval from the means of a dozen spans of time.
    """
    xs, ys = _blocks([at / 3600 for at in at_s]), _blocks(values)
    line = statistics.linear_regression(xs, ys)
    mean = statistics.fmean(xs)
    spread = sum((x - mean) ** 2 for x in xs)
    left = sum((y - line.intercept - line.slope * x) ** 2 for x, y in zip(xs, ys, strict=True))
    error = (left / max(1, len(xs) - 2) / spread) ** 0.5
    reach = _T[len(xs) - 2] * error
    return Slope(line.slope, line.slope - reach, line.slope + reach)


def cpu_ms_per_request(samples: Sequence[Sample]) -> list[float]:
    """Return the CPU milliseconds that a request took, between each two samples a minute apart or so."""
    step = max(1, len(samples) // _BLOCKS)
    marks = samples[::step]
    return [
        1000 * (after.cpu_s - before.cpu_s) / (after.requests - before.requests)
        for before, after in pairwise(marks)
        if after.requests > before.requests
    ]


def _blocks(values: Sequence[float]) -> list[float]:
    count = min(_BLOCKS, len(values))
    edges = [round(len(values) * place / count) for place in range(count + 1)]
    return [statistics.fmean(values[start:end]) for start, end in pairwise(edges)]
