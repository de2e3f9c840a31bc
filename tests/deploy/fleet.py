"""Real processes of one server on ports of their own, and the proxies of ``examples/deploy`` before them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from benchmarks.hosting import HOST, free_port
from benchmarks.scale import app
from benchmarks.scale.asking import Answer, Connection, LostError, call
from benchmarks.scale.proxies import KINDS, Kind, Program, proxied
from tests.engines import engine, environment

BIN: Final = Path(sys.executable).parent
ROOT: Final = Path(__file__).parents[2]
LIMIT_S: Final = 60
SIZE: Final = 4
DRAIN_S: Final = 4.0


class Fleet:
    """Processes behind proxies.

    Attributes:
        ports: Of the processes.
        proxies: Port of each proxy.
    """

    def __init__(self, parent: subprocess.Popen[bytes], ports: Sequence[int], ledger: Path) -> None:
        self.ports = ports
        self.proxies: Mapping[Kind, int] = {}
        self._parent = parent
        self._ledger = ledger

    def processes(self) -> dict[int, int]:
        """Return the process of each port."""
        return {port: asyncio.run(where(port)) for port in self.ports}

    @contextmanager
    def unreplaced(self) -> Iterator[None]:
        """Freeze what would replace a process that ends."""
        self._parent.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._parent.send_signal(signal.SIGCONT)

    def entered(self) -> list[int]:
        """Return the numbers that calls of ``enter`` wrote down, each as often as it ran."""
        return [int(line) for line in self._ledger.read_text().splitlines()]


@contextmanager
def running(folder: Path) -> Iterator[Fleet]:
    """Start processes and all proxies."""
    ports = [free_port() for _ in range(SIZE)]
    ledger = folder / "ledger"
    ledger.touch()
    variables = {app.LEDGER_VARIABLE: str(ledger), app.SESSIONS_VARIABLE: "1"}
    command = [
        *(str(BIN / "scopedtools"), "serve", f"{app.__name__}:app", "--ports", ",".join(map(str, ports))),
        *("--drain-s", str(DRAIN_S)),
    ]
    with ExitStack() as held:
        log = held.enter_context((folder / "log").open("wb"))
        parent = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | variables, stdout=log, stderr=log, process_group=0
        )
        held.callback(_end, parent)
        fleet = Fleet(parent, ports, ledger)
        eventually(lambda: len(set(fleet.processes().values())) == SIZE, folder / "log")
        fleet.proxies = {
            kind: held.enter_context(proxied(kind, program(kind), ports, folder / kind)) for kind in KINDS
        }
        for port in fleet.proxies.values():
            await_all(port, SIZE)
        yield fleet


def _end(parent: subprocess.Popen[bytes]) -> None:
    os.killpg(parent.pid, signal.SIGKILL)
    parent.wait()


def program(kind: Kind) -> Program:
    """Return what runs a proxy: Envoy is a Python package, the others are of Debian."""
    if kind == "envoy":
        return Program(BIN / "envoy")
    return Program(engine(kind), {"LD_LIBRARY_PATH": environment()["LD_LIBRARY_PATH"]})


def eventually(holds: Callable[[], object], log: Path | None = None) -> None:
    """Wait until something holds; what is lost meanwhile does not count."""
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        try:
            if holds():
                return
        except (LostError, KeyError):
            pass  # not there yet, or refused still
        time.sleep(0.05)
    raise AssertionError("never, in a long time" if log is None else log.read_text()[-3000:])


async def refused(port: int) -> None:
    """Wait until nobody listens at a port."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            try:
                _, writer = await asyncio.open_connection(HOST, port)
            except ConnectionRefusedError:
                return
            writer.close()
            await asyncio.sleep(0.1)


def await_all(port: int, count: int) -> None:
    """Wait until a proxy sends requests to so many processes, and its own threads agree which go where."""
    contexts = [str(number) for number in range(16 * count)]

    def settled() -> bool:
        found = [asyncio.run(placed(port, contexts)) for _ in range(3)]
        return len(set(found[0].values())) == count and found[0] == found[1] == found[2]

    eventually(settled)


async def where(port: int, context: str | None = None) -> int:
    """Return the process that answers at a port."""
    connection = Connection(port)
    try:
        process: int = (await connection.ask(call("where", context=context))).value
        return process
    finally:
        connection.close()


async def each(port: int, requests: Sequence[bytes], *, side_by_side: int = 16) -> list[Answer]:
    """Return the answers to some requests, in their order, asked over as many connections."""
    connections = [Connection(port) for _ in range(side_by_side)]
    answers: list[Answer] = []
    try:
        for start in range(0, len(requests), side_by_side):
            some = zip(connections, requests[start : start + side_by_side], strict=False)
            answers += await asyncio.gather(*[connection.ask(sent) for connection, sent in some])
    finally:
        for connection in connections:
            connection.close()
    return answers


async def placed(port: int, contexts: Sequence[str]) -> dict[str, int]:
    """Return the process that answers for each context."""
    answers = await each(port, [call("where", context=context) for context in contexts])
    return {context: answer.value for context, answer in zip(contexts, answers, strict=True)}
