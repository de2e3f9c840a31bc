"""Processes that benchmarks and tests start, wait for, and end."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from scopedtools.exceptions import ScopedToolsError

HOST: Final = "127.0.0.1"
START_S: Final = 120
END_S: Final = 20


class HostingError(ScopedToolsError):
    """The server did not start."""


@contextmanager
def listening(
    command: Sequence[str | Path],
    port: int,
    log: Path,
    *,
    cwd: Path | None = None,
    variables: Mapping[str, str] | None = None,
) -> Iterator[None]:
    """Start a server, and wait until it listens; end it afterwards.

    Args:
        command: Starts it.
        port: Where it will listen.
        log: Takes what it writes.
        cwd: Where it runs.
        variables: Of its environment, besides those of this process.

    Raises:
        HostingError: It does not listen; the message ends with what it wrote.
    """
    environment = {**os.environ, **(variables or {})}
    with (
        log.open("wb") as sink,
        ended(subprocess.Popen(command, cwd=cwd, env=environment, stdout=sink, stderr=sink)) as server,  # noqa: S603 - ours
    ):
        _await_port(server, port, log)
        yield


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """End a process when the block is left."""
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=END_S)


async def end(process: asyncio.subprocess.Process) -> None:
    """End a process of the event loop, if it has not ended."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), END_S)
    except TimeoutError:
        process.kill()
        await process.wait()
    except asyncio.CancelledError:  # there is no time to be polite
        process.kill()
        raise


def end_of(log: Path) -> str:
    """Return what a process wrote last."""
    return log.read_text(encoding="utf-8", errors="replace")[-1000:]


def _await_port(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            return
        # Waiting for its end is the pause between two looks at the port.
        with suppress(subprocess.TimeoutExpired):
            server.wait(timeout=0.05)
            break
    raise HostingError(f"the server does not listen, exit status {server.poll()}: {end_of(log)}")
