"""How long servers take to their first answer, and packages to be imported."""

from __future__ import annotations

import asyncio
import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.serving.environments import PeerUnavailableError, python_of
from benchmarks.serving.processes import ROOT, cpu_s, served
from benchmarks.serving.results import OURS, ImportLine, Results, StartLine
from benchmarks.serving.rows import rows, write
from benchmarks.serving.run import Plan
from benchmarks.serving.systems import PEERS, System, command, result
from benchmarks.serving.wire import MODERN, template

SAVED: Final = "ours, saved index"
_LISTEN_POLL_S: Final = 0.005
_IMPORTS: Final = {
    "import scopedtools": ("", "import scopedtools"),
    "scopedtools.ScopedServer": ("", "from scopedtools import ScopedServer"),
    "mcp.server.lowlevel.Server": ("mcp", "from mcp.server.lowlevel import Server"),
    "mcp.server.mcpserver.MCPServer": ("mcp", "from mcp.server.mcpserver import MCPServer"),
    "fastmcp.FastMCP": ("fastmcp", "from fastmcp import FastMCP"),
}


class _Took(NamedTuple):
    wall_s: float
    cpu_s: float


async def measure_starts(plan: Plan, results: Results) -> None:
    """Start every system a few times, in turns."""
    names = [name for name in (OURS, *PEERS) if name in plan.systems]
    with tempfile.TemporaryDirectory() as created:
        folder = Path(created)
        for size in plan.starts:
            tools = write(rows(size), folder / f"{size}.jsonl")
            commands: dict[str, tuple[str, ...]] = {}
            for name in names:
                try:
                    commands[name] = command(name, tools)
                except PeerUnavailableError as error:
                    results.notes.append(f"start of {name}: {error}")
            await _start_all(commands, size, plan.times, results)
        if plan.saved:
            tools = write(rows(plan.saved), folder / "saved.jsonl")
            saved = (*command(OURS, tools), "--index", str(folder / "index"))
            await _first_answer(saved, folder)  # makes the index
            await _start_all({SAVED: saved}, plan.saved, plan.times, results)


async def _start_all(commands: dict[str, tuple[str, ...]], size: int, times: int, results: Results) -> None:
    with tempfile.TemporaryDirectory() as folder:
        rounds = [
            {name: await _first_answer(one, Path(folder)) for name, one in commands.items()}
            for _ in range(times)
        ]
    for name in commands:
        wall, cpu = (statistics.median(column) for column in zip(*(one[name] for one in rounds), strict=True))
        results.starts.append(StartLine(name, size, round(wall, 3), round(cpu, 3)))


async def _first_answer(command: Sequence[str], folder: Path) -> _Took:
    start = time.perf_counter()
    async with AsyncExitStack() as stack:
        process = await stack.enter_async_context(
            served(command, folder / "start.log", poll_s=_LISTEN_POLL_S)
        )
        await result(System("", process, {}), template("view", MODERN), itertools.count(1))
        return _Took(time.perf_counter() - start, cpu_s(process.pid))


async def measure_imports(plan: Plan, results: Results) -> None:
    """Import every package in new processes, in turns with one that imports nothing."""
    pythons = {"": sys.executable}
    for package in ("mcp", "fastmcp"):
        try:
            pythons[package] = str(await asyncio.to_thread(python_of, package))
        except PeerUnavailableError as error:
            results.notes.append(f"import of {package}: {error}")
    for name, (package, code) in _IMPORTS.items():
        if package in pythons:
            took = [_above_nothing(pythons[package], code) for _ in range(plan.times + 1)][
                1:
            ]  # the first may read files
            wall, cpu = (statistics.median(column) for column in zip(*took, strict=True))
            results.imports.append(ImportLine(name, round(wall * 1000, 1), round(cpu * 1000, 1)))


def _above_nothing(python: str, code: str) -> _Took:
    whole, nothing = _process(python, code), _process(python, "pass")
    return _Took(whole.wall_s - nothing.wall_s, whole.cpu_s - nothing.cpu_s)


def _process(python: str, code: str) -> _Took:
    start = time.perf_counter()
    pid = os.posix_spawn(python, [python, "-c", f"import os; os.chdir({str(ROOT)!r}); {code}"], os.environ)
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise RuntimeError(f"{python} -c {code!r} ended with status {status}")
    return _Took(time.perf_counter() - start, usage.ru_utime + usage.ru_stime)
