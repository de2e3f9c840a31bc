"""Processes that share a port and, where they can be forked, the memory of one catalog and its index."""

from __future__ import annotations

import gc
import logging
import math
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import socket
from typing import Final, TypeAlias, cast

from uvicorn import Config
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import SIGNALS, Process

from scopedtools.cli.hosting import worker
from scopedtools.cli.lifecycle import AT_ONCE, RETIRE, Patience, Terminal, WorkerHosting
from scopedtools.cli.target import TargetError
from scopedtools.server import ScopedServer

_log: Final = logging.getLogger(__name__)

_START_S: Final = 60
"""Seconds that a worker may take to load a catalog of a million rows by itself."""

_LOOK_S: Final = 0.1
"""Seconds after which a supervisor that stops looks whether it is told to again."""

_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 30.0

_OPEN: Final = Path("/proc/self/fd")

_STOPPING: Final = frozenset(number for number, name in SIGNALS.items() if name in ("INT", "TERM", "BREAK"))

MakeApp: TypeAlias = Callable[[], ScopedServer]


class Pauses:
    """Seconds between the end of a process and the start of the next: they double while those end too."""

    def __init__(self) -> None:
        self._started_s = 0.0
        self._pause_s = 0.0

    def begin(self) -> None:
        """Take note that a process was started."""
        self._started_s = time.monotonic()

    def rest(self) -> float:
        """Return the seconds to wait for now that a process has ended: none for the first."""
        if time.monotonic() - self._started_s >= _LONGEST_PAUSE_S:
            self._pause_s = 0.0
        pause_s = self._pause_s
        self._pause_s = min(max(2 * pause_s, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
        return pause_s


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
    then; those share the mapped index alone. A worker goes only when another is there, and answers first
    whoever is connected to it. One that dies is replaced, after pauses that double while its successors die
    too. Where the first do not start none would, so all are ended. A second signal to stop is obeyed at once.

    Args:
        config: Of the workers; its app is for those that are started anew. It configures logs when it is
            made: make it before the author's module is imported, which may have logs of its own.
        sockets: What they listen on.
        make: Makes the app in a forked worker; ``None`` to start all workers anew.
        patience: How long workers take to stop.
    """

    def __init__(
        self, config: Config, sockets: list[socket], make: MakeApp | None, patience: Patience
    ) -> None:
        super().__init__(config, sockets)
        self.should_exit = _Exit(self.signal_queue)
        self._make = make
        self._patience = patience
        self._retired: list[Process] = []
        self._terminal = Terminal()
        self._served = self._failed = False
        self._pauses = Pauses()
        self._due_s: dict[Process, float] = {}

    def run(self) -> None:
        """Run until SIGTERM or SIGINT comes; then until all workers have ended.

        Raises:
            TargetError: A worker did not start.
        """
        super().run()
        if self._failed:
            raise TargetError("a worker did not start, so none would; see what it wrote above")

    def init_processes(self) -> None:
        # Whatever is there now stays: looking for garbage in it would write to its pages and so copy them.
        gc.collect()
        gc.freeze()
        self.processes += [self._started() for _ in range(self.processes_num)]

    def restart_all(self) -> None:
        for place, old in enumerate(tuple(self.processes)):
            new = self._started(anew=True)
            if not new.wait_until_ready(_START_S, self.should_exit):
                new.kill()
                new.join()
                if not self.should_exit.is_set():
                    _log.error("worker %s did not start; aborting the restart, %s stays", new.pid, old.pid)
                # Where new code did not start, that from before goes on, and is forked as before.
                return
            self._make = None
            self._due_s.pop(old, None)
            self.processes[place] = new
            self._retire(old)

    def keep_subprocess_alive(self) -> None:
        self._retired = [one for one in self._retired if one.process.is_alive()]
        limit_s = self.config.timeout_worker_healthcheck
        for place, process in enumerate(self.processes):
            if self.should_exit.is_set():
                return
            if process not in self._due_s:
                if process.is_alive(timeout=limit_s):
                    self._served = self._served or process.is_ready(timeout=limit_s)
                    continue
                self._note_end(process)
            if time.monotonic() >= self._due_s[process] and not self.should_exit.is_set():
                del self._due_s[process]
                self.processes[place] = self._started()

    def _note_end(self, process: Process) -> None:
        process.kill()
        process.join()
        self._due_s[process] = math.inf
        # Where one has served, it is not the code: such as a database that is away for a while.
        if process.exitcode == STARTUP_FAILURE and not self._served:
            _log.error("worker %s did not start; stopping", process.pid)
            self._failed = True
            self.should_exit.set()
            return
        pause_s = self._pauses.rest()
        self._due_s[process] = time.monotonic() + pause_s
        _log.warning("worker %s died and is replaced in %g s", process.pid, pause_s)

    def terminate_all(self) -> None:
        for process in (*self.processes, *self._retired):
            _signal(process, signal.SIGTERM)
        # Or connections would wait here, where nobody takes them, once no worker does.
        for one in self.sockets:
            one.close()

    def join_all(self) -> None:
        self._forget_stops()
        for process in (*self.processes, *self._retired):
            while process.process.is_alive():
                process.process.join(_LOOK_S)
                if not _STOPPING.isdisjoint(self.signal_queue):
                    self._stop_at_once()

    def handle_hup(self) -> None:
        if self._terminal.is_gone:
            self.handle_term()
        else:
            super().handle_hup()

    def handle_ttin(self) -> None:
        self.processes_num += 1
        self.processes.append(self._started())

    def handle_ttou(self) -> None:
        if self.processes_num > 1:
            self.processes_num -= 1
            old = self.processes.pop()
            self._due_s.pop(old, None)
            self._retire(old)

    def _retire(self, process: Process) -> None:
        """Have a worker answer whoever is connected to it, and end, while others are there for the rest."""
        if RETIRE is not None:
            _signal(process, RETIRE)
        self._retired.append(process)

    def _stop_at_once(self) -> None:
        self._forget_stops()
        for process in (*self.processes, *self._retired):
            if AT_ONCE is not None:
                _signal(process, AT_ONCE)

    def _forget_stops(self) -> None:
        self.signal_queue[:] = [number for number in self.signal_queue if number not in _STOPPING]

    def _started(self, *, anew: bool = False) -> Process:
        new = _Worker(self.config, self.sockets, self._patience)
        if self._make is not None and not anew:
            new = _Forked(self.config, self.sockets, self._patience, self._make)
        new.start()
        self._pauses.begin()
        return new


def _signal(process: Process, number: int) -> None:
    if process.pid is not None and process.exitcode is None:
        os.kill(process.pid, number)


class _Exit(threading.Event):
    """Is set, too, while a signal to stop waits to be handled, so that a restart does not go on meanwhile."""

    def __init__(self, waiting: list[int]) -> None:
        super().__init__()
        self._waiting = waiting

    def is_set(self) -> bool:
        return super().is_set() or not _STOPPING.isdisjoint(self._waiting)


class _Worker(Process):
    """A process that is started anew, and loads all by itself."""

    def __init__(self, config: Config, sockets: list[socket], patience: Patience) -> None:
        super().__init__(config, sockets)
        self._patience = patience

    @property
    def server(self) -> WorkerHosting:
        if self._server is None:
            self._server = WorkerHosting(self.config, self._app, self._patience)
        return cast("WorkerHosting", self._server)

    def target(self, sockets: list[socket] | None = None) -> None:
        _ = self.server  # now: the thread that answers the supervisor would make one of its own
        super().target(sockets)

    def _app(self) -> ScopedServer:
        return worker()


class _Forked(_Worker):
    """A process that shares what this one loaded."""

    def __init__(self, config: Config, sockets: list[socket], patience: Patience, make: MakeApp) -> None:
        super().__init__(config, sockets, patience)
        self._make = make
        fork = multiprocessing.get_context("fork")
        self.process = fork.Process(target=self._run, args=(sockets,))  # type: ignore[assignment]

    def start(self) -> None:
        with signals_held():
            super().start()

    def _run(self, sockets: list[socket]) -> None:
        begin_forked()
        self.target(sockets)

    def _app(self) -> ScopedServer:
        return self._make()
