"""Processes that a benchmark talks to: over HTTP on a free port, and how much CPU they take."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.hosting import HOST, START_S, end, end_of, free_port

ROOT: Final = Path(__file__).parents[2]
KEEP_ALIVE_S: Final = 600
"""Seconds for which servers keep an idle connection: longer than the turns of all others take."""

_PROCESS_CLOCK: Final = 2
"""Of the clocks that Linux keeps for a process, the one that counts what the scheduler gave it."""


class Served(NamedTuple):
    """A process that listens.

    Attributes:
        url: Its endpoint.
        pid: Its ID.
        port: Where it listens.
    """

    url: str
    pid: int
    port: int


@asynccontextmanager
async def served(
    command: Sequence[str], log: Path, *, poll_s: float = 0.1, start_s: float = START_S
) -> AsyncIterator[Served]:
    """Start a command with a free port added to it; yield it once it listens.

    Args:
        command: What is run.
        log: Where its output goes.
        poll_s: Seconds between two looks whether it listens.
        start_s: Seconds that it has to begin.

    Raises:
        RuntimeError: It ended, or does not listen in time.
    """
    port = free_port()
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command, str(port), cwd=ROOT, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        async with asyncio.timeout(start_s):
            while not await _listens(port):
                if process.returncode is not None:
                    raise RuntimeError(f"{command[0]} ended: {end_of(log)}")
                await asyncio.sleep(poll_s)
        yield Served(f"http://{HOST}:{port}/mcp", process.pid, port)
    except TimeoutError as error:
        raise RuntimeError(f"{command[0]} does not listen after {start_s} s") from error
    finally:
        await end(process)


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    writer.close()
    return True


def cpu_s(pid: int) -> float:
    """Return the CPU seconds that a process has taken so far, in all its threads.

    To the nanosecond where the system has a clock for it, as Linux does, else in ticks of the system.
    """
    try:
        return time.clock_gettime((~pid << 3) | _PROCESS_CLOCK)
    except OSError:
        return _ticks(pid) / os.sysconf("SC_CLK_TCK")


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def core_wait_s(pid: int) -> float:
    """Return the seconds for which the main thread of a process could have run, but had no core so far."""
    return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text(encoding="ascii").split()[1]) / 1e9


class Memory(NamedTuple):
    """Memory of a process, in MiB.

    Attributes:
        rss: Resident.
        pss: Of which each page is shared out among the processes that have it.
        own: Of which no file is behind it: what the process has asked for, whoever else maps its libraries.
    """

    rss: float
    pss: float
    own: float


def memory_mib(pid: int) -> Memory:
    """Return how much memory a process has now."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    kib = {name: int(value.split()[0]) for name, _, value in (line.partition(":") for line in lines[1:])}
    return Memory(*(round(kib[name] / 1024, 1) for name in ("Rss", "Pss", "Anonymous")))
