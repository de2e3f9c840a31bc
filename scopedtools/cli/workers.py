"""Processes that share a port and, where they can be forked, the memory of one catalog and its index."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import socket
from typing import Any, Final

from uvicorn import Config
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import SIGNALS, Process

_log: Final = logging.getLogger(__name__)

_START_S: Final = 60
"""Seconds that a worker may take to load a catalog of a million rows by itself."""

_OPEN: Final = Path("/proc/self/fd")

_STOPPING: Final = frozenset(number for number, name in SIGNALS.items() if name in ("INT", "TERM", "BREAK"))

MakeApp = Callable[[], Any]


def open_files() -> frozenset[str]:
    """Return what this process holds that a fork must not share: files and connections, by number."""
    # Those of looking itself are closed by then, and have a number that is free before and after.
    return frozenset(one.name for one in _OPEN.iterdir() if one.exists()) if _OPEN.is_dir() else frozenset()


def why_not_forked(before: frozenset[str]) -> str | None:
    """Say why workers cannot be forked from this process, or return ``None`` where they can.

    Args:
        before: Its `open_files` before the author's module was imported.
    """
    # On macOS, too, there is fork, but its own libraries do not survive one.
    if sys.platform != "linux":
        return f"cannot be forked safely on {sys.platform}"
    if threading.active_count() > 1:
        return "has threads since the server was imported"
    if open_files() - before:
        return "holds files or connections that were opened when the server was imported"
    return None


@contextmanager
def signals_held() -> Iterator[None]:
    """Hold signals back while a process is forked, which lets them through when it begins.

    One that came before it has handlers of its own would be lost, and whoever sent it would wait forever.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def begin_forked() -> None:
    """Leave behind what a forked process must not share with the one that it came from."""
    # Handlers there write signals down in a list that nobody reads here.
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    # As Python's own generator does by itself: processes must not draw the same numbers.
    if (generator := sys.modules.get("numpy.random")) is not None:
        generator.seed()


class Workers(Multiprocess):
    """uvicorn's supervisor, with workers that can be forked from this process and share its memory then.

    SIGHUP replaces them by workers that are started anew and so have the code and the catalog as they are by
    then; those share the mapped index alone.

    Args:
        config: Of the workers; its app is for those that are started anew. It configures logs when it is
            made: make it before the author's module is imported, which may have logs of its own.
        sockets: What they listen on.
        make: Makes the app in a forked worker; ``None`` to start all workers anew.
    """

    def __init__(self, config: Config, sockets: list[socket], make: MakeApp | None) -> None:
        super().__init__(config, sockets)
        self.should_exit = _Exit(self.signal_queue)
        self._make = make

    def init_processes(self) -> None:
        # Whatever is there now stays: looking for garbage in it would write to its pages and so copy them.
        gc.collect()
        gc.freeze()
        self.processes += [self._started() for _ in range(self.processes_num)]

    def restart_all(self) -> None:
        before = tuple(self.processes)
        # By default one that has not started in 5 s is given up, and all stays as it was.
        usual, self.config.timeout_worker_healthcheck = self.config.timeout_worker_healthcheck, _START_S
        try:
            super().restart_all()
        finally:
            self.config.timeout_worker_healthcheck = usual
            # Where new code did not start, that from before goes on, and is forked as before.
            if tuple(self.processes) != before:
                self._make = None

    def keep_subprocess_alive(self) -> None:
        for place, process in enumerate(self.processes):
            if self.should_exit.is_set():
                return
            if process.is_alive(timeout=self.config.timeout_worker_healthcheck):
                continue
            process.kill()
            process.join()
            if process.exitcode == STARTUP_FAILURE:
                _log.error("worker %s did not start, so none would; stopping", process.pid)
                self.should_exit.set()
                return
            _log.warning("worker %s died and is replaced", process.pid)
            self.processes[place] = self._started()

    def handle_ttin(self) -> None:
        self.processes_num += 1
        self.processes.append(self._started())

    def _started(self) -> Process:
        make = self._make
        new = Process(self.config, self.sockets)
        if make is not None:
            new = _Forked(self.config, self.sockets, make)
        new.start()
        return new


class _Exit(threading.Event):
    """Is set, too, while a signal to stop waits to be handled, so that a restart does not go on meanwhile."""

    def __init__(self, waiting: list[int]) -> None:
        super().__init__()
        self._waiting = waiting

    def is_set(self) -> bool:
        return super().is_set() or not _STOPPING.isdisjoint(self._waiting)


class _Forked(Process):
    def __init__(self, config: Config, sockets: list[socket], make: MakeApp) -> None:
        super().__init__(config, sockets)
        self._make = make
        fork = multiprocessing.get_context("fork")
        self.process = fork.Process(target=self._run, args=(sockets,))  # type: ignore[assignment]

    def start(self) -> None:
        with signals_held():
            super().start()

    def _run(self, sockets: list[socket]) -> None:
        begin_forked()
        self.config.app = self._make
        self.target(sockets)
