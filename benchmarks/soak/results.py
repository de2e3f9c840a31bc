"""What a soak found, and whether it is good enough."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any, Final

import msgspec

from benchmarks.machine import Machine
from benchmarks.soak.memory import Sample, Slope, cpu_ms_per_request, slope

MOST_MIB_AN_HOUR: Final = 8.0
"""Growth of memory above which a soak is a miss: less is what the interval of half an hour cannot tell from
none."""

JUDGED_S: Final = 600.0
"""Seconds after the warm-up from which on growth is judged; before, it is caches that become full."""

MOST_CPU_GROWTH: Final = 0.5
"""By which part a request may take more CPU in the last third after the warm-up than in the first."""

POOLED: Final = "connection to the store"

_MOST_POOLED: Final = 64 + 1
"""Connections that a pool may keep for later, and one that hears messages."""

_MORE_THREADS: Final = 16
"""Threads that pools may have begun."""


class Results(msgspec.Struct, frozen=True):
    """One soak.

    Attributes:
        machine: What it ran on.
        seconds: How long the load lasted.
        warm_up_s: Seconds that do not count for slopes.
        samples: What the process took.
        requests: By method.
        statuses: HTTP statuses.
        outcomes: Of calls, and what was heard and injected.
        problems: What was not as it should be; at most a few hundred are told.
        problem_count: How many there were.
        before: What the process held before the load.
        after: The same when the load was over.
        at_rest_mib: Own memory at both moments.
    """

    machine: Machine
    seconds: float
    warm_up_s: float
    samples: list[Sample]
    requests: dict[str, int]
    statuses: dict[int, int]
    outcomes: dict[str, int]
    problems: list[str]
    problem_count: int
    before: dict[str, Any]
    after: dict[str, Any]
    at_rest_mib: list[float]

    @property
    def warm(self) -> list[Sample]:
        """Samples after the warm-up."""
        return [one for one in self.samples if one.at_s >= self.warm_up_s]

    def memory(self) -> Slope:
        """Return how fast memory grows, in MiB an hour."""
        return slope([one.at_s for one in self.warm], [one.own_mib for one in self.warm])

    def misses(self) -> Iterator[str]:
        """Yield what is not good enough."""
        if self.problem_count:
            yield f"{self.problem_count} answers or calls were not as they should be"
        yield from leaks(self.before, self.after)
        if self.seconds - self.warm_up_s < JUDGED_S:
            return
        grows = self.memory()
        if grows.low > MOST_MIB_AN_HOUR:
            yield f"memory grows by {grows.per_hour:.1f} MiB an hour ({grows.low:.1f} to {grows.high:.1f})"
        cpu = cpu_ms_per_request(self.warm)
        third = len(cpu) // 3
        if third:
            early, late = median(cpu[:third]), median(cpu[-third:])
            if late > early * (1 + MOST_CPU_GROWTH):
                yield f"a request took {early:.2f} ms of CPU, and {late:.2f} ms at the end"


def leaks(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a process holds more of than before the load."""
    for kind in ("tasks", "files"):
        for name, count in after[kind].items():
            if count > max(before[kind].get(name, 0), _MOST_POOLED if name == POOLED else 0):
                yield f"{kind}: {count} of {name}, {before[kind].get(name, 0)} before"
    for kind in ("listeners", "streams", "sessions", "running tasks", "notes"):
        if after[kind] > before[kind]:
            yield f"{after[kind]} {kind}, {before[kind]} before"
    if after["threads"] > before["threads"] + _MORE_THREADS:
        yield f"{after['threads']} threads, {before['threads']} before"
