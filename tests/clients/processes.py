"""Processes that tests start, and end."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest

START_S: Final = 60


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
    """
    environment = {**os.environ, **(variables or {})}
    with (
        log.open("wb") as sink,
        ended(subprocess.Popen(command, cwd=cwd, env=environment, stdout=sink, stderr=sink)) as server,
    ):
        _await_port(server, port, log)
        yield


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
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
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=10)


def _await_port(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        # Waiting for its end is the pause between two looks at the port.
        with suppress(subprocess.TimeoutExpired):
            server.wait(timeout=0.05)
            break
    pytest.fail(f"the server does not listen, exit status {server.returncode}:\n{log.read_text()}")
