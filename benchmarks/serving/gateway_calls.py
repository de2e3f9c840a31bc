"""What a gateway adds to a call, beside a direct call to the same server with the same client.

The official client calls a server of the official SDK, in a process of its own: directly, through
``scopedtools serve --config``, and through FastMCP's proxy where that can be installed. All of them run at
once and are called in turns. Over stdio and over HTTP, on both sides of what is between.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import msgspec
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from benchmarks.selection.fastmcp_system import FastMCPUnavailableError, make_environment
from benchmarks.serving.processes import ROOT, cpu_s, served

ROUNDS: Final = 15
CALLS: Final = 100
WARM_UP: Final = 30

UPSTREAM: Final = (sys.executable, "-m", "benchmarks.serving.upstreams", "sdk")
GATEWAY: Final = (sys.executable, "-c", "from scopedtools.cli import main; main()", "serve", "--config")
FASTMCP: Final = str(Path(__file__).with_name("fastmcp_proxy.py"))

Transport = Literal["stdio", "http"]


class CallLine(msgspec.Struct, frozen=True):
    """Calls in one way over one transport; milliseconds.

    Attributes:
        transport: On both sides of what is between.
        through: ``direct``, ``gateway`` or ``fastmcp``.
        median_ms: Of a call.
        p95_ms: Of a call.
        added_ms: Median over rounds of the median less that of the direct calls of the round.
        cpu_ms: CPU time of the process between client and server for a call; 0 where there is none.
    """

    transport: Transport
    through: str
    median_ms: float
    p95_ms: float
    added_ms: float
    cpu_ms: float


class Way(NamedTuple):
    """A client, and the process between it and the server, if there is one."""

    name: str
    client: Client
    pid: int | None = None


async def measure_calls(
    *, rounds: int = ROUNDS, calls: int = CALLS, with_fastmcp: bool = True
) -> list[CallLine]:
    """Measure over both transports."""
    lines: list[CallLine] = []
    transports: tuple[Transport, ...] = ("stdio", "http")
    for transport in transports:
        async with AsyncExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            ways = await _open_all(transport, folder, stack, with_fastmcp=with_fastmcp)
            lines += await _compare(transport, ways, rounds, calls)
    return lines


async def _open_all(
    transport: Transport, folder: Path, stack: AsyncExitStack, *, with_fastmcp: bool
) -> list[Way]:
    if transport == "stdio":
        direct = (await _over_stdio("direct", UPSTREAM, folder, stack))._replace(pid=None)
        server: dict[str, Any] = {"command": UPSTREAM[0], "args": UPSTREAM[1:], "cwd": str(ROOT)}
    else:
        upstream = await stack.enter_async_context(served(UPSTREAM, folder / "upstream.log"))
        direct = Way("direct", await stack.enter_async_context(Client(upstream.url)))
        server = {"url": upstream.url}
    commands: dict[str, tuple[str, ...]] = {
        "gateway": (*GATEWAY, _written(folder / "mcp.json", server | {"prefix": ""}))
    }
    if with_fastmcp and (python := await _fastmcp()):
        commands["fastmcp"] = (python, FASTMCP, _written(folder / "fastmcp.json", server))
    ways = [direct]
    for name, command in commands.items():
        if transport == "stdio":
            whole = (*command, "--stdio") if name == "gateway" else command
            ways.append(await _over_stdio(name, whole, folder, stack))
        else:
            whole = (*command, "--port") if name == "gateway" else command
            process = await stack.enter_async_context(served(whole, folder / f"{name}.log"))
            ways.append(Way(name, await stack.enter_async_context(Client(process.url)), process.pid))
    return ways


def _written(path: Path, server: dict[str, Any]) -> str:
    path.write_text(json.dumps({"mcpServers": {"up": server}}), encoding="utf-8")
    return str(path)


async def _fastmcp() -> str | None:
    try:
        return str(await asyncio.to_thread(make_environment))
    except FastMCPUnavailableError as error:
        print(f"without FastMCP: {error}", flush=True)
        return None


async def _over_stdio(name: str, command: Sequence[str], folder: Path, stack: AsyncExitStack) -> Way:
    place = folder / f"{name}.pid"
    # The client does not tell which process it started: a shell writes its ID, and becomes the command.
    script = ["-c", 'echo $$ > "$0"; exec "$@"', str(place), *command]
    parameters = StdioServerParameters(command="/bin/sh", args=script, cwd=ROOT, env=dict(os.environ))
    errors = stack.enter_context((folder / f"{name}.log").open("w", encoding="utf-8"))
    client = await stack.enter_async_context(Client(stdio_client(parameters, errlog=errors)))
    return Way(name, client, int(place.read_text(encoding="utf-8")))


async def _compare(transport: Transport, ways: Sequence[Way], rounds: int, calls: int) -> list[CallLine]:
    for way in ways:
        await _call(way, WARM_UP)
    took: dict[str, list[list[float]]] = {way.name: [] for way in ways}
    before = {way.name: _cpu_s(way) for way in ways}
    for number in range(rounds):
        for way in ways if number % 2 == 0 else reversed(ways):
            took[way.name].append(await _call(way, calls))
    direct = [statistics.median(one) for one in took["direct"]]
    return [
        CallLine(
            transport=transport,
            through=way.name,
            median_ms=round(statistics.median(_all(took[way.name])), 3),
            p95_ms=round(statistics.quantiles(_all(took[way.name]), n=20)[-1], 3),
            added_ms=round(
                statistics.median(
                    statistics.median(one) - alone for one, alone in zip(took[way.name], direct, strict=True)
                ),
                3,
            ),
            cpu_ms=round((_cpu_s(way) - before[way.name]) / (rounds * calls) * 1000, 3),
        )
        for way in ways
    ]


def _cpu_s(way: Way) -> float:
    # It waits while others are called: what it takes is for these calls.
    return 0.0 if way.pid is None else cpu_s(way.pid)


def _all(rounds: Sequence[Sequence[float]]) -> list[float]:
    return [one for took in rounds for one in took]


async def _call(way: Way, times: int) -> list[float]:
    """Return how long each of several calls took, in milliseconds."""
    took: list[float] = []
    for number in range(times):
        start = time.perf_counter()
        result = await way.client.call_tool("add", {"a": number, "b": 1})
        took.append((time.perf_counter() - start) * 1000)
        if result.is_error or result.structured_content != {"result": number + 1}:
            raise RuntimeError(f"{way.name} answered {result}")
    return took
