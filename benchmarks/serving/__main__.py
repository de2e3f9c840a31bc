"""What serving costs, side by side with a bare app, the official SDK and FastMCP.

Run: python -m benchmarks.serving [--quick] [--only PART ...] [--rows N ...] [--concurrency N ...]
     [--systems NAME ...] [--eras REVISION ...] [--out FOLDER]

It writes serving.json, serving.md and plots. See the README in this folder for what is measured and how.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import uvloop

from benchmarks.machine import machine
from benchmarks.serving import plots, report
from benchmarks.serving.environments import versions
from benchmarks.serving.results import OURS, Results
from benchmarks.serving.run import QUICK_PLAN, Plan, measure_requests
from benchmarks.serving.start import measure_imports, measure_starts
from benchmarks.serving.systems import SYSTEMS
from benchmarks.serving.wire import ERAS, OPERATIONS

OUT: Final = Path(__file__).parent / "results"
PARTS: Final = (*OPERATIONS, "start", "import")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the targets, and write what was measured; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    given = _parser().parse_args(arguments)
    plan, parts = _plan(given), given.only or PARTS
    results = Results(machine("benchmarks.serving", arguments), quick=given.quick)
    results.machine.libraries.update(versions())
    given.out.mkdir(parents=True, exist_ok=True)
    gc.freeze()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_measure(plan, parts, results))
    results.write(given.out / "serving.json")
    drawn = plots.draw(results, given.out)
    report.write(results, given.out / "serving.md", drawn)
    print(*report.target_table(results), sep="\n")
    print(f"serving.json, serving.md and {len(drawn)} plots are in {given.out}")
    return 0


async def _measure(plan: Plan, parts: Sequence[str], results: Results) -> None:
    if plan.operations:
        await measure_requests(plan, results)
    if "start" in parts:
        await measure_starts(plan, results)
    if "import" in parts:
        await measure_imports(plan, results)


def _plan(given: argparse.Namespace) -> Plan:
    plan = QUICK_PLAN if given.quick else Plan()
    parts = given.only or PARTS
    plan = plan._replace(operations=tuple(one for one in OPERATIONS if one in parts))
    chosen = {"sizes": given.rows, "concurrency": given.concurrency, "eras": given.eras}
    if given.systems:
        chosen["systems"] = [OURS, *(one for one in SYSTEMS if one in given.systems and one != OURS)]
    return plan._replace(**{name: value for name, value in chosen.items() if value})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serving",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="a minute or two, rough figures")
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help=f"among {', '.join(PARTS)}")
    parser.add_argument("--rows", nargs="+", type=_at_least(2), metavar="N", help="sizes of the catalogs")
    parser.add_argument("--concurrency", nargs="+", type=_at_least(1), metavar="N", help="requests at a time")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, metavar="NAME", help=", ".join(SYSTEMS))
    parser.add_argument("--eras", nargs="+", choices=ERAS, metavar="REVISION", help=", ".join(ERAS))
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the results")
    return parser


def _at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if (found := int(text)) < least:
            raise argparse.ArgumentTypeError(f"must be >= {least}, got {found}")
        return found

    return number


if __name__ == "__main__":
    sys.exit(main())
