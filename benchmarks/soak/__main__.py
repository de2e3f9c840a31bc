"""A server under a mixed load for half an hour: ``python -m benchmarks.soak [--minutes 30]``.

Every call has to be answered and carried out once, nothing may be left over at the end, and memory has to
stay as it is. The exit status tells whether that was so.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import sys
import time
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks.machine import machine
from benchmarks.serving.processes import memory_mib, served
from benchmarks.soak.ledger import Ledger
from benchmarks.soak.load import Load, new_client
from benchmarks.soak.report import report
from benchmarks.soak.results import Results, leaks
from benchmarks.soak.server import TTL_S
from benchmarks.soak.wire import Wire
from scopedtools.sharing import SECRET_VARIABLE, STORE_VARIABLE

RESULTS: Final = Path(__file__).with_name("results")
_WARM_UP: Final = 0.3
_LEAST_WARM_UP_S: Final = 300.0
"""Seconds until caches that have bounds are full; of a shorter run half."""

_PRIME_S: Final = 10.0
_UNITS: Final = 5_000
"""Units of work that come before all others: more than anything remembers that is kept by context."""

_REST_S: Final = TTL_S + 30
_LOOK_S: Final = 0.5


async def soak(arguments: argparse.Namespace, folder: Path) -> Results:
    """Run the server and its users."""
    command = [str(Path(sys.executable).with_name("scopedtools")), "serve", "benchmarks.soak.server:app"]
    seconds = arguments.minutes * 60
    async with served([*command, "--port"], folder / "server.log") as server, new_client() as client:
        # What is imported, started and cached once is there before it is counted what is held.
        first = Load(Wire(client, server.url, primed := Ledger()), primed, rate=arguments.rate)
        await first.fill(_UNITS)
        await first.run(server.pid, min(_PRIME_S, seconds))
        watcher = Wire(client, server.url, Ledger())
        before = await rested(watcher, None)
        mib = [memory_mib(server.pid).own]
        ledger = Ledger()
        load = Load(Wire(client, server.url, ledger), ledger, rate=arguments.rate)
        await load.forget()
        samples = await load.run(server.pid, seconds)
        after = await rested(watcher, before)
        mib.append(memory_mib(server.pid).own)
        await load.drain()
        ledger.finish()
    return Results(
        machine=machine("benchmarks.soak", sys.argv[1:]),
        seconds=seconds,
        warm_up_s=min(max(seconds * _WARM_UP, _LEAST_WARM_UP_S), seconds / 2),
        samples=samples,
        requests=dict(ledger.requests),
        statuses=dict(ledger.statuses),
        outcomes=dict(ledger.outcomes),
        problems=ledger.problems,
        problem_count=ledger.problem_count,
        before=before,
        after=after,
        at_rest_mib=mib,
    )


async def rested(wire: Wire, before: dict[str, Any] | None) -> dict[str, Any]:
    """Wait until the server holds no more than before, though not for ever; return what it holds."""
    deadline = time.monotonic() + _REST_S
    while time.monotonic() < deadline:
        held = await _holdings(wire, objects=False)
        if before is not None and not list(leaks(before, held)):
            break
        if before is None and not any(
            held[kind] for kind in ("sessions", "notes", "running tasks", "streams")
        ):
            break
        await asyncio.sleep(_LOOK_S)
    return await _holdings(wire, objects=True)


async def _holdings(wire: Wire, *, objects: bool) -> dict[str, Any]:
    params = {"name": "holdings", "arguments": {"objects": objects}}
    held: dict[str, Any] = (await wire.modern("tools/call", params))["structuredContent"]
    return held


def main() -> int:
    """Run a soak, write what came of it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=float, default=80, help="requests a second, about")
    parser.add_argument("--store", help="URL of the store of contexts, such as redis://localhost")
    arguments = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    if arguments.store:
        os.environ |= {STORE_VARIABLE: arguments.store, SECRET_VARIABLE: secrets.token_hex(32)}
    results = asyncio.run(soak(arguments, RESULTS))
    (RESULTS / "soak.json").write_bytes(msgspec.json.format(msgspec.json.encode(results)))
    text = report(results, RESULTS)
    (RESULTS / "soak.md").write_text(text, encoding="utf-8")
    print(text)
    return 1 if list(results.misses()) else 0


if __name__ == "__main__":
    sys.exit(main())
