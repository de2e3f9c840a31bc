"""What users notice while the store of contexts fails: nothing but tools that keep something for a context.

Run: python -m benchmarks.faults [--only TEXT] [--out FOLDER]

A real server in this process, with the store as `scopedtools serve --store` makes it, gets 200 requests a
second from 16 workers: lists of contexts that have their view (60 %), and first lists, searches by which a
view grows, calls of a tool, and calls of a tool that keeps something for its context (10 % each). Only the
last ones need the store. Meanwhile Redis is killed and started again, stands still, or loses a part of its
cluster. A worker that gets its answer late asks late; latencies are those of single requests.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from benchmarks import markdown
from benchmarks.faults.scenarios import SCENARIOS, Outcome, run
from benchmarks.machine import Machine, machine

OUT: Final = Path(__file__).parent / "results"
BOUND_MS: Final = 50
"""What p99 must stay under once the breaker is open, but for what others on the machine do."""


class Results(msgspec.Struct):
    """All that was measured, and where."""

    machine: Machine
    outcomes: list[Outcome]


def report(results: Results) -> Iterator[str]:
    """Yield the lines of the report."""
    yield "# Faults of the store of contexts\n"
    yield from results.machine.lines()
    names = (
        "part of the run",
        "s",
        "requests",
        "p50 ms",
        "p99 ms",
        "max ms",
        "own p99 ms",
        "failed",
        "state failed",
    )
    for outcome in results.outcomes:
        yield f"## {outcome.scenario}\n"
        yield from markdown.head(names)
        for one in outcome.phases:
            yield markdown.row(
                [
                    one.name,
                    f"{one.seconds:.2f}",
                    str(one.requests),
                    f"{one.p50_ms:.1f}",
                    f"{one.p99_ms:.1f}",
                    f"{one.max_ms:.1f}",
                    f"{one.own_p99_ms:.1f}",
                    str(one.failed),
                    f"{one.needing_failed} of {one.needing}",
                ]
            )
        yield (
            f"\nThe breaker opened after {outcome.opened_ms:.0f} ms. The engine answered again after"
            f" {outcome.down_s:.2f} s, and the server used it again {outcome.recovered_s:.2f} s later.\n"
        )


def broken(outcomes: Sequence[Outcome]) -> list[str]:
    """Return which promises were not kept."""
    found: list[str] = []
    for outcome in outcomes:
        failed = sum(one.failed for one in outcome.phases)
        if failed:
            found.append(f"{outcome.scenario}: {failed} requests failed that do not need the store")
        is_open = outcome.phases[2]
        if is_open.own_p99_ms >= BOUND_MS:
            found.append(f"{outcome.scenario}: p99 {is_open.own_p99_ms} ms with the breaker open")
        if outcome.phases[3].needing_failed:
            found.append(f"{outcome.scenario}: state failed after the recovery")
    return found


async def measure(only: str) -> list[Outcome]:
    """Run the scenarios whose names have a text in them."""
    outcomes: list[Outcome] = []
    for scenario in SCENARIOS:
        if only.lower() in scenario.name.lower():
            print(f"{scenario.name} …", flush=True)
            outcomes.append(await run(scenario))
    return outcomes


def main() -> None:
    """Read the command line, measure, print and write; fail where a promise was not kept."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="only scenarios with this in their names")
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args()
    names = [one.name for one in SCENARIOS]
    if not any(given.only.lower() in name.lower() for name in names):
        parser.error(f"--only {given.only} names no scenario; there are: {'; '.join(names)}")
    about = machine("benchmarks.faults", sys.argv[1:])
    results = Results(about, asyncio.run(measure(given.only)))
    said = "\n".join(report(results))
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "faults.md").write_text(said, encoding="utf-8")
    (given.out / "faults.json").write_bytes(
        msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n"
    )
    print(f"\n{said}")
    if problems := broken(results.outcomes):
        sys.exit("\n".join(problems))


if __name__ == "__main__":
    main()
