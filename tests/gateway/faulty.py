"""How the servers that do what they should not are started."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from tests.gateway.fronted import until

FAULTY: Final = str(Path(__file__).with_name("faulty_server.py"))
ENDPOINT: Final = "tests.gateway.faulty_endpoint"
ROOT: Final = Path(__file__).parents[2]


def faulty(case: str, *arguments: str, **options: Any) -> dict[str, Any]:
    """Return the configuration of a server that misbehaves in one way."""
    return {"command": sys.executable, "args": [FAULTY, case, *arguments], "protocol": "legacy"} | options


class Endpoint:
    """A server over HTTP, in a process of its own.

    Attributes:
        process: Its ID.
        described: Its configuration.
    """

    def __init__(self, command: list[str], port: int) -> None:
        self._command = [sys.executable, *command]
        self._port = port
        self._running: subprocess.Popen[bytes] | None = None
        self.described: dict[str, Any] = {"url": f"http://127.0.0.1:{port}/mcp", "protocol": "legacy"}

    @property
    def process(self) -> int:
        """Its process."""
        assert self._running is not None
        return self._running.pid

    async def start(self) -> None:
        """Start it, and wait until it listens."""
        self._running = subprocess.Popen(self._command, cwd=ROOT)  # noqa: ASYNC220 - returns at once
        await until(self._listens)

    def end(self) -> None:
        """End it, also where it is stopped."""
        assert self._running is not None
        os.kill(self._running.pid, signal.SIGKILL)
        self._running.wait(timeout=10)

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
        except OSError:
            return False
        return True


@asynccontextmanager
async def endpoint_of(*command: str) -> AsyncIterator[Endpoint]:
    """Run a script that listens on the port that stands for ``PORT`` in its arguments."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    endpoint = Endpoint([str(port) if part == "PORT" else part for part in command], port)
    await endpoint.start()
    try:
        yield endpoint
    finally:
        endpoint.end()


@asynccontextmanager
async def faulty_over(way: str, case: str, state: Path | None = None) -> AsyncIterator[dict[str, Any]]:
    """Yield the configuration of a server that misbehaves, by ``stdio``, ``json`` or ``events``."""
    if way == "stdio":
        yield faulty(case, str(state))
        return
    async with endpoint_of("-m", ENDPOINT, case, str(state), "PORT", way) as endpoint:
        yield endpoint.described
