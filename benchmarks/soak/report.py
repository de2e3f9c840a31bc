"""A soak as Markdown, with a plot of memory over time."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.markdown import head, row
from benchmarks.soak.memory import cpu_ms_per_request
from benchmarks.soak.results import MOST_MIB_AN_HOUR, Results

_PLOT: Final = "soak-memory.png"
_TOLD: Final = 20


def report(results: Results, folder: Path) -> str:
    """Return the report; draws its plot into a folder."""
    return "\n".join([*_lines(results), *_plotted(results, folder), ""])


def _lines(results: Results) -> Iterator[str]:
    misses = list(results.misses())
    yield "# Soak\n"
    yield from results.machine.lines()
    minutes, total = results.seconds / 60, sum(results.requests.values())
    yield f"{total:,} requests in {minutes:.1f} minutes, {total / results.seconds:.0f} a second.\n"
    yield "**" + ("Nothing was missed." if not misses else "; ".join(misses)) + "**\n"
    yield from head(("what", "figure"))
    warm = results.warm
    grows = results.memory()
    yield row(
        ("own memory, MiB, median of the first quarter after the warm-up", f"{_quarter(results, 0):.1f}")
    )
    yield row(("the same of the last quarter", f"{_quarter(results, -1):.1f}"))
    yield row(
        (
            f"growth, MiB an hour (95 % interval; a miss from {MOST_MIB_AN_HOUR:.0f} on)",
            f"{grows.per_hour:+.1f} ({grows.low:+.1f} to {grows.high:+.1f})",
        )
    )
    cpu = cpu_ms_per_request(warm)
    yield row(("CPU of a request, ms, by spans of the run", " ".join(f"{one:.2f}" for one in cpu)))
    spent = (warm[-1].cpu_s - warm[0].cpu_s) / (warm[-1].at_s - warm[0].at_s)
    yield row(("share of a core", f"{spent:.0%}"))
    yield row(("open files, at most", str(max(one.files for one in warm))))
    yield row(("memory at rest, MiB, before and after", " ".join(map(str, results.at_rest_mib))))
    yield row(("problems", str(results.problem_count)))
    yield ""
    yield from head(("request", "count"))
    yield from (row((name, f"{count:,}")) for name, count in sorted(results.requests.items()))
    yield ""
    yield from head(("HTTP status", "count"))
    yield from (row((str(status), f"{count:,}")) for status, count in sorted(results.statuses.items()))
    yield ""
    yield from head(("calls and events", "count"))
    yield from (row((name, f"{count:,}")) for name, count in sorted(results.outcomes.items()))
    yield ""
    yield from head(("held at rest", "before", "after"))
    for kind, held in results.after.items():
        if kind != "objects":
            yield row((kind, str(results.before[kind]), str(held)))
    yield ""
    yield from (f"- {problem}" for problem in results.problems[:_TOLD])


def _quarter(results: Results, place: int) -> float:
    warm = results.warm
    size = max(1, len(warm) // 4)
    chosen = warm[:size] if place == 0 else warm[-size:]
    return statistics.median(one.own_mib for one in chosen)


def _plotted(results: Results, folder: Path) -> Iterator[str]:
    try:
        import matplotlib  # noqa: PLC0415, ICN001 - an extra, and slow to import
    except ModuleNotFoundError:
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - likewise

    figure, axes = plt.subplots(figsize=(8, 4), dpi=120)
    at = [one.at_s / 60 for one in results.samples]
    axes.plot(at, [one.own_mib for one in results.samples], label="own")
    axes.plot(at, [one.rss_mib for one in results.samples], label="RSS", alpha=0.5)
    axes.axvline(results.warm_up_s / 60, color="grey", linestyle="--", linewidth=0.8, label="warm-up ends")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("minutes")
    axes.set_ylabel("MiB")
    axes.set_title("Memory of the server under a mixed load")
    axes.legend()
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(folder / _PLOT)
    plt.close(figure)
    yield f"\n![memory over time]({_PLOT})"
