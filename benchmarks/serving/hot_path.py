"""Where the time of a request goes: the real server under load, sampled.

Run: python -m benchmarks.serving.hot_path [OPERATION ...] [--rows N] [--requests N] [--top N]

Prints, for each function, the microseconds of a request in which it was on the stack, and in which it ran
itself. Shares of a few percent are rough.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import uvloop

from benchmarks.serving.load import connected
from benchmarks.serving.processes import Served, cpu_s, served
from benchmarks.serving.rows import rows, write
from benchmarks.serving.sampling import Samples
from benchmarks.serving.systems import System, result
from benchmarks.serving.wire import MODERN, OPERATIONS, Operation, template

_CONNECTIONS: Final = 8
_POLL_S: Final = 0.05
_WRITTEN_S: Final = 20


class Profile(NamedTuple):
    """Where the time of one kind of request goes.

    Attributes:
        cpu_us: CPU microseconds of the server for a request, sampling included.
        samples: What was seen.
    """

    cpu_us: float
    samples: Samples

    def microseconds(self, counts: Mapping[str, int]) -> dict[str, float]:
        """Return counts of samples as microseconds of a request, greatest first."""
        each = self.cpu_us / max(self.samples.taken, 1)
        return {name: count * each for name, count in sorted(counts.items(), key=lambda one: -one[1])}


async def profile(operation: Operation, *, size: int = 1_000, requests: int = 60_000) -> Profile:
    """Sample our server while it answers requests of one kind."""
    with tempfile.TemporaryDirectory() as created:
        folder = Path(created)
        tools, found = write(rows(size), folder / "tools.jsonl"), folder / "samples.json"
        command = (sys.executable, "-m", "benchmarks.serving.sampling", str(found), str(tools))
        async with served(command, folder / "ours.log") as process:
            cpu_us = await _load(process, operation, requests, found)
        return Profile(cpu_us, msgspec.json.decode(found.read_bytes(), type=Samples))


async def _load(process: Served, operation: Operation, requests: int, found: Path) -> float:
    numbers = itertools.count(1)
    await result(System("ours", process, {}), template("view", MODERN), numbers)
    asked = template(operation, MODERN)
    async with connected(process.port, numbers, _CONNECTIONS) as client:
        await client.run(asked, max(requests // 10, _CONNECTIONS))
        os.kill(process.pid, signal.SIGUSR1)
        before = cpu_s(process.pid)
        await client.run(asked, requests)
        took = cpu_s(process.pid) - before
        os.kill(process.pid, signal.SIGUSR2)
        async with asyncio.timeout(_WRITTEN_S):
            while not await asyncio.to_thread(found.exists):
                await client.run(asked, 1)  # a signal is looked at when there is something to do
                await asyncio.sleep(_POLL_S)
    return took / requests * 1e6


def show(operation: Operation, found: Profile, top: int) -> None:
    """Print what takes most."""
    print(f"\n{operation}: {found.cpu_us:.1f} us a request, {found.samples.taken} samples")
    for title, counts in (("on the stack", found.samples.within), ("itself", found.samples.itself)):
        print(f"  us, {title}:")
        for name, took in itertools.islice(found.microseconds(counts).items(), top):
            print(f"  {took:8.1f} {took / found.cpu_us:6.1%}  {name}")


def main() -> None:
    """Profile and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("operations", nargs="*", metavar="OPERATION", help=f"among {', '.join(OPERATIONS)}")
    parser.add_argument("--rows", type=int, default=1_000)
    parser.add_argument("--requests", type=int, default=60_000)
    parser.add_argument("--top", type=int, default=60, help="functions that are printed")
    given = parser.parse_args()
    if unknown := set(given.operations) - set(OPERATIONS):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(OPERATIONS)}")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for operation in given.operations or ("view", "call"):
            found = runner.run(profile(operation, size=given.rows, requests=given.requests))
            show(operation, found, given.top)


if __name__ == "__main__":
    main()
