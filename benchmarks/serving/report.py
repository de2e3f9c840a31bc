"""A run as tables, in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.markdown import head, row
from benchmarks.serving.results import FLOOR, Line, Results
from benchmarks.serving.systems import SYSTEMS
from benchmarks.serving.targets import targets
from benchmarks.serving.wire import MEANINGS, OPERATIONS


def write(results: Results, path: Path, plots: Sequence[str]) -> None:
    """Write the report."""
    path.write_text("\n".join(_report(results, plots)) + "\n", encoding="utf-8")


def target_table(results: Results) -> Iterator[str]:
    """Yield the lines of the table of targets."""
    yield from head(("what", "target", "measured", "met"), left=2)
    for one in targets(results):
        met = {None: "not measured", True: "yes", False: "**missed**"}[one.met]
        yield row((one.what, one.goal, one.found or "", met))


def _report(results: Results, plots: Sequence[str]) -> Iterator[str]:
    yield "# What serving costs\n"
    yield from results.machine.lines()
    if results.quick:
        yield "A quick run: short turns, few rounds. **Its figures are rough.**\n"
    yield (
        "Figures are CPU time of the server for a request, as a multiple of a bare ASGI app that returns the"
        " same bytes as ours, measured in turns beside it. `-16`: a server of the 16 rows that ours shows."
        " *Client* is the share of the time in which the client was busy: near 100 % it, not the server,"
        " bounds requests a second.\n"
    )
    yield "## Targets\n"
    yield from target_table(results)
    yield from _requests(results)
    yield from _processes(results)
    yield from (f"\n![{name}]({name})" for name in plots)
    if results.notes:
        yield "\n## Left out\n"
        yield from (f"- {' '.join(note.split())}" for note in results.notes)


def _requests(results: Results) -> Iterator[str]:
    for operation in OPERATIONS:
        lines = [line for line in results.lines if line.operation == operation]
        if lines:
            yield f"\n## {operation}: {MEANINGS[operation]}\n"
            yield from _operation(lines)


def _operation(lines: Sequence[Line]) -> Iterator[str]:
    systems = [one for one in SYSTEMS if any(line.system == one for line in lines)]
    yield from head(("revision", "rows", "at a time", "floor µs", *systems))
    for place in dict.fromkeys((line.era, line.rows, line.concurrency) for line in lines):
        cell = {line.system: line for line in lines if (line.era, line.rows, line.concurrency) == place}
        era, rows, concurrency = place
        ratios = (_figure(cell[one].ratio) if one in cell else "" for one in systems)
        yield row((era, f"{rows:,}", str(concurrency), f"{cell[FLOOR].cpu_us:.1f}", *ratios))
    yield "\nRequests a second, and p50 / p99 in ms:\n"
    yield from head(
        ("revision", "rows", "at a time", "system", "requests/s", "p50", "p99", "bytes", "client"), left=1
    )
    for line in lines:
        figures = (
            _figure(line.requests_s),
            _figure(line.p50_ms),
            _figure(line.p99_ms),
            f"{line.bytes:,}",
            f"{line.client_share:.0%}",
        )
        yield row((line.era, f"{line.rows:,}", str(line.concurrency), line.system, *figures))


def _processes(results: Results) -> Iterator[str]:
    if results.memory:
        yield "\n## Memory after the requests, MiB\n"
        yield from head(("system", "rows", "RSS", "PSS"))
        for one in results.memory:
            yield row((one.system, f"{one.rows:,}", f"{one.rss:.1f}", f"{one.pss:.1f}"))
    if results.starts:
        yield "\n## Start to first `tools/list`, seconds\n"
        yield from head(("system", "rows", "first answer", "CPU"))
        for start in results.starts:
            yield row((start.system, f"{start.rows:,}", f"{start.first_answer_s:.2f}", f"{start.cpu_s:.2f}"))
    if results.imports:
        yield "\n## Import, milliseconds above a process that imports nothing\n"
        yield from head(("imported", "wall", "CPU"))
        for found in results.imports:
            yield row((f"`{found.imported}`", f"{found.wall_ms:.0f}", f"{found.cpu_ms:.0f}"))


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 1_000 else f"{value:.3g}"
