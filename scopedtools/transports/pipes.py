"""Two byte streams to a client, and standard input and output as such."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, BinaryIO, Final, Self, TypeVar

_log: Final = logging.getLogger(__name__)

T = TypeVar("T")


class Pipes:
    """The other side of two byte streams, read and written in threads of their own.

    A thread reads pipes, files and terminals alike, on every platform. Tools have other threads, so that
    however many of them wait for something, the client is heard.
    """

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self._source = source
        self._sink = sink
        self._reader, self._writer = _Thread(), _Thread()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.stop()
        self._writer.stop()

    async def read_line(self, limit_bytes: int) -> bytes:
        """Return a line, the first part of a longer one, or nothing where there is no more."""
        try:
            return await self._reader.run(partial(self._source.readline, limit_bytes))
        except ConnectionError:
            return b""  # where standard input is a socket, a client that went away may end it like this

    async def write(self, body: bytes) -> None:
        """Send a message, after those that are on their way."""
        try:
            await self._writer.run(partial(self._put, body))
        except ConnectionError:
            _log.info("the client is gone, an answer was dropped")

    def _put(self, body: bytes) -> None:
        self._sink.write(body + b"\n")
        self._sink.flush()


class _Thread:
    """Runs blocking calls one after the other.

    It ends with the process even in a call that nothing can wake, such as a read from a pipe; the worker
    threads of asyncio and anyio would keep an interrupted process waiting for its client.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        Thread(target=self._work, name="stdio", daemon=True).start()

    async def run(self, call: Callable[[], T]) -> T:
        """Return what a call returns, or raise what it raises."""
        future: Future[T] = Future()
        self._calls.put((future, call))
        return await asyncio.wrap_future(future)

    def stop(self) -> None:
        """End once the calls made so far are done."""
        self._calls.put(None)

    def _work(self) -> None:
        while (item := self._calls.get()) is not None:
            future, call = item
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call())
                except Exception as error:  # noqa: BLE001 - raised where it is awaited
                    future.set_exception(error)


@contextlib.contextmanager
def claimed() -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Take standard input and output for the protocol; whatever else is printed goes to standard error."""
    # Never closed: after an interruption a thread may still be at them, and would hold up who closes them.
    sys.stdout.flush()
    source = os.fdopen(os.dup(0), "rb", closefd=False)
    sink = os.fdopen(os.dup(1), "wb", closefd=False)
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield source, sink
    finally:
        sys.stdout.flush()
        os.dup2(source.fileno(), 0)
        os.dup2(sink.fileno(), 1)
