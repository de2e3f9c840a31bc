"""Replicas of one server that share a store, each a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.hosting import END_S, HOST, START_S, end_of, free_port
from benchmarks.scale import app
from benchmarks.scale.asking import Connection, LostError, call
from scopedtools.sharing import SECRET_VARIABLE, STORE_VARIABLE

ROOT: Final = Path(__file__).parents[2]
_COMMAND: Final = Path(sys.executable).with_name("scopedtools")


class Replica:
    """A process.

    Attributes:
        port: Where it serves.
        pid: Its ID.
    """

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.port = port
        self.pid = process.pid
        self._process = process
        self._log = log

    async def ready(self) -> None:
        """Wait until it ranks rows as it always will, so that all replicas choose alike.

        Raises:
            RuntimeError: It does not start.
        """
        try:
            async with asyncio.timeout(START_S):
                while not await self._answers():
                    if self._process.poll() is not None:
                        raise RuntimeError(f"the replica ended: {end_of(self._log)}")
                    await asyncio.sleep(0.05)
        except TimeoutError as error:
            raise RuntimeError(f"the replica does not get ready: {end_of(self._log)}") from error

    async def _answers(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection(HOST, self.port)
        except OSError:
            return False
        try:
            writer.write(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            return b" 200 " in await reader.readline()
        finally:
            writer.close()

    def kill(self) -> None:
        """End it as a crash would."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(END_S)


@contextmanager
def replicated(store: str, secret: str, folder: Path, *, rows: int) -> Iterator[Replica]:
    """Start a replica; end it at last.

    Args:
        store: URL of the store that it shares.
        secret: That it shares.
        folder: Takes its log.
        rows: Of its catalog.
    """
    port = free_port()
    log = folder / f"replica-{port}.log"
    variables: Mapping[str, str] = {
        STORE_VARIABLE: store,
        SECRET_VARIABLE: secret,
        app.ROWS_VARIABLE: str(rows),
    }
    with (
        log.open("wb") as sink,
        subprocess.Popen(  # noqa: S603 - ours
            [_COMMAND, "serve", f"{app.__name__}:app", "--port", str(port)],
            cwd=ROOT,
            env={**os.environ, **variables},
            stdout=sink,
            stderr=sink,
        ) as process,
    ):
        try:
            yield Replica(process, port, log)
        finally:
            process.kill()


async def who(port: int, context: str | None = None) -> int | None:
    """Return the process that answers at a port, or ``None`` where nobody does."""
    connection = Connection(port)
    try:
        process: int = (await connection.ask(call("where", context=context))).value
    except LostError:
        return None
    finally:
        connection.close()
    return process
