"""What another worker costs in memory and brings in requests, and how long a large catalog takes to start.

Run: python -m benchmarks.serving.workers [--rows 45000,1000000] [--folder FOLDER] [--out FILE]

Hosts catalogs of `benchmarks.serving.large` by ``scopedtools serve``: by one process, by workers that share
what they can, and by workers that each load all of it. A worker is added to two by SIGTTIN; what the whole
family of processes takes more (proportional set size) is what it costs.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import random
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Literal

import msgspec

from benchmarks.machine import Machine, machine
from benchmarks.serving.large import APART, FOLDER, make
from benchmarks.serving.load import connected
from benchmarks.serving.processes import Served, cpu_s, memory_mib, served
from benchmarks.serving.wire import MODERN, Template, post, template
from scopedtools.protocol import meta

How = Literal["one process", "shared", "apart"]

_REQUESTS: Final = 1_000
_ROUNDS: Final = 3
_CONNECTIONS: Final = 16
_START_S: Final = 400
_TRIES: Final = 600
_WORDS: Final = (
    "weather",
    "city",
    "flight",
    "price",
    "stock",
    "movie",
    "recipe",
    "email",
    "translate",
    "hotel",
)


class Line(msgspec.Struct, frozen=True):
    """What one way to host one catalog takes.

    Attributes:
        rows: Of the catalog.
        how: By one process, by workers that share memory, or by workers apart.
        start_s: From the start of the command to the first list of a new context with an intent, median.
        start_cpu_s: CPU seconds of all processes until then, median.
        pss_mib: Of all processes together, with two workers.
        extra_idle_mib: What a third worker adds, after its first answers.
        extra_used_mib: The same, after each has answered several hundred requests.
        lists_s: Warm lists a second by one worker more and more: one, two.
    """

    rows: int
    how: How
    start_s: float
    start_cpu_s: float
    pss_mib: float
    extra_idle_mib: float | None
    extra_used_mib: float | None
    lists_s: float


class Report(msgspec.Struct, frozen=True):
    """What the command found."""

    machine: Machine
    lines: list[Line]


def _children(pid: int) -> list[int]:
    found = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split())
    # multiprocessing has one more of its own, where workers are not forked.
    return [one for one in found if b"resource_tracker" not in Path(f"/proc/{one}/cmdline").read_bytes()]


def _pss(pid: int) -> float:
    return sum(memory_mib(one).pss for one in (pid, *_children(pid)))


@asynccontextmanager
async def _hosted(folder: Path, how: How, logs: Path) -> AsyncIterator[Served]:
    os.environ[FOLDER] = str(folder)
    os.environ.pop(APART, None)
    if how == "apart":
        os.environ[APART] = "1"
    run = "from scopedtools.cli import main; main()"
    workers = "1" if how == "one process" else "2"
    command = (sys.executable, "-c", run, "serve", "benchmarks.serving.large_app:app", "--workers", workers)
    async with served((*command, "--port"), logs / "serve.log", poll_s=0.01, start_s=_START_S) as process:
        yield process


def _first(intent: str) -> Template:
    """Write a list request of a new context with an intent."""
    settings = {meta.EXTENSION: {"contextId": f"new-{secrets.token_hex(8)}", "intent": intent}}
    envelope = {
        meta.PROTOCOL_VERSION: MODERN,
        meta.CLIENT_INFO: {"name": "benchmark", "version": "1"},
        meta.CLIENT_CAPABILITIES: {"extensions": settings},
    }
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": envelope}}
    return post("/mcp", message, {"mcp-protocol-version": MODERN, "mcp-method": "tools/list"})


async def _ask(port: int, templates: Sequence[Template], connections: int = 1) -> None:
    """Ask in turns over new connections, which one worker or the other takes."""
    numbers = itertools.count(1)

    async def some(mine: Sequence[Template]) -> None:
        async with connected(port, numbers) as client:
            for one in mine:
                answer = await client.ask(one)
                if answer.status != 200:
                    raise RuntimeError(f"status {answer.status}: {answer.body[:300]!r}")

    await asyncio.gather(*(some(templates[place::connections]) for place in range(connections)))


def _mixed(requests: int) -> list[Template]:
    """Write warm lists of one context, with 4 % searches and 1 % lists of new contexts among them."""
    numbers = random.Random(0)  # noqa: S311 - the same each time
    mixed = []
    for place in range(requests):
        of_hundred = place % 100
        if of_hundred == 0:
            mixed.append(_first(" ".join(numbers.sample(_WORDS, 4))))
        else:
            mixed.append(template("search" if of_hundred % 25 == 0 or of_hundred == 99 else "view", MODERN))
    return mixed


async def _answered(process: Served, since: float) -> tuple[float, float]:
    """Return seconds, and CPU seconds of all processes, until a new context has its list."""
    await _ask(process.port, [_first("find the weather in a city")])
    took = time.perf_counter() - since
    return took, sum(map(cpu_s, (process.pid, *_children(process.pid))))


async def _third(process: Served) -> None:
    """Add a worker; returns once there are three and each has answered."""
    os.kill(process.pid, signal.SIGTTIN)
    for _ in range(_TRIES):
        if len(_children(process.pid)) >= 3:
            break
        await asyncio.sleep(0.1)
    before = {one: cpu_s(one) for one in _children(process.pid)}
    for _ in range(_TRIES):
        await _ask(process.port, [_first("find the weather in a city") for _ in range(48)], 48)
        if all(cpu_s(one) - at > 0.3 for one, at in before.items()):
            return
    raise RuntimeError("a worker that was added does not answer")


async def _measure(rows: int, how: How, folder: Path, logs: Path, times: int) -> Line:
    starts: list[tuple[float, float]] = []
    for _ in range(times - 1):
        since = time.perf_counter()
        async with _hosted(folder, how, logs) as process:
            starts.append(await _answered(process, since))
    idle = used = None
    since = time.perf_counter()
    async with _hosted(folder, how, logs) as process:
        starts.append(await _answered(process, since))
        await _ask(process.port, [_first("find the weather in a city") for _ in range(200)], _CONNECTIONS)
        two_idle = _pss(process.pid)
        await _ask(process.port, _mixed(2 * _REQUESTS), _CONNECTIONS)
        two_used = _pss(process.pid)
        lists_s = await _throughput(process.port)
        if how != "one process":
            await _third(process)
            idle = round(_pss(process.pid) - two_used, 1)
            await _ask(process.port, _mixed(3 * _REQUESTS), 3 * _CONNECTIONS)
            used = round(_pss(process.pid) - two_used, 1)
    start_s, start_cpu_s = (sorted(column)[len(column) // 2] for column in zip(*starts, strict=True))
    return Line(rows, how, round(start_s, 2), round(start_cpu_s, 2), round(two_idle, 1), idle, used, lists_s)


async def _throughput(port: int) -> float:
    async with connected(port, itertools.count(1), _CONNECTIONS) as client:
        taken = [await client.run(template("view", MODERN), 5 * _REQUESTS) for _ in range(_ROUNDS)]
    return round(5 * _REQUESTS / sorted(one.wall_s for one in taken)[_ROUNDS // 2], 1)


def _table(lines: Sequence[Line]) -> str:
    rows = [
        "| rows | hosted by | start s | CPU s | all PSS MiB | third worker idle MiB | used MiB | lists/s |",
        "|---:|---|---:|---:|---:|---:|---:|---:|",
    ]
    for one in lines:
        shown = ["" if value is None else str(value) for value in msgspec.structs.astuple(one)]
        rows.append(f"| {' | '.join(shown)} |")
    return "\n".join(rows)


async def _main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="45000,1000000")
    parser.add_argument("--folder", type=Path, help="where catalogs are made, and kept")
    parser.add_argument("--how", default="one process,shared,apart")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        lines = []
        for rows in map(int, given.rows.split(",")):
            folder = make(rows, (given.folder or Path(temporary)) / str(rows))
            for how in given.how.split(","):
                lines.append(await _measure(rows, how, folder, Path(temporary), given.times))
                print(_table(lines[-1:]))
    print(_table(lines))
    if given.out is not None:
        report = Report(machine("benchmarks.serving.workers", arguments), lines)
        given.out.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1:]))
