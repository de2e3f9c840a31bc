"""One process for each of several ports: each is a backend of its own for the proxy before them."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Final, NamedTuple

from scopedtools.cli.lifecycle import AT_ONCE, RELOAD, Terminal, WorkerHosting
from scopedtools.cli.target import TargetError
from scopedtools.cli.workers import Pauses, begin_forked, signals_held

_log: Final = logging.getLogger(__name__)

_MOST_PORTS: Final = 256
_PORTS: Final = range(1, 2**16)

_POLL_S: Final = 0.2
"""Seconds after which a signal is seen, at most. The end of a process is seen at once."""

_START_S: Final = 60
"""Seconds in which a process that ends by itself counts as one that did not start."""

_HEARD: Final = (signal.SIGTERM, signal.SIGINT, RELOAD)

Run = Callable[[], None]


class Place(NamedTuple):
    """A port, and what serves there until it is told to end.

    Attributes:
        port: For people.
        anew: Serves in a process that loads everything by itself; it is pickled.
        forked: Serves in a process that shares what this one has loaded; ``None`` where it cannot be forked.
    """

    port: int
    anew: Run
    forked: Run | None = None


class Ports:
    """Keeps one process running for each place until it is told to stop.

    One that dies is replaced, after pauses that double while its successors die too. Where the first one of
    a place does not start none would, so all are ended. A wish to reload is passed on; those that are started
    after it load everything anew, since this process has only what was there before. A second signal to stop
    is obeyed at once.

    Args:
        places: What to run.
    """

    def __init__(self, places: Sequence[Place]) -> None:
        self._posts = [_Post(place) for place in places]
        self._told: list[int] = []
        self._stopping = self._failed = False
        self._forking = True
        self._terminal = Terminal()

    def run(self) -> None:
        """Run until SIGTERM or SIGINT comes; then until all processes have ended.

        Raises:
            TargetError: A process did not start.
        """
        for number in _HEARD:
            if number is not None:
                signal.signal(number, lambda told, _frame: self._told.append(told))
        # Whatever is there now stays: looking for garbage in it would write to its pages and so copy them.
        gc.collect()
        gc.freeze()
        while posts := self._running():
            wait([post.process.sentinel for post in posts if post.process is not None], timeout=_POLL_S)
            while self._told:
                self._hear(self._told.pop(0))
        if self._failed:
            raise TargetError("a process did not start, so none would; see what it wrote above")

    def _running(self) -> list[_Post]:
        """Look after all processes; return the posts that there are to look after."""
        for post in self._posts:
            if post.ended() and not self._stopping:
                self._note_end(post)
            if post.process is None and not self._stopping and time.monotonic() >= post.due_s:
                post.start(forked=self._forking)
        return [post for post in self._posts if post.process is not None or not self._stopping]

    def _note_end(self, post: _Post) -> None:
        if post.did_not_start:
            _log.error("the process of port %d did not start; stopping", post.place.port)
            self._failed = True
            self._stop()
            return
        pause_s = post.rest()
        _log.warning("the process of port %d ended, and is replaced in %g s", post.place.port, pause_s)

    def _hear(self, told: int) -> None:
        if told == RELOAD and not self._terminal.is_gone:
            self._forking = False
            self._send(RELOAD)
        elif self._stopping:
            self._send(AT_ONCE)
        else:
            self._stop()

    def _stop(self) -> None:
        self._stopping = True
        self._send(signal.SIGTERM)

    def _send(self, number: int | None) -> None:
        for post in self._posts:
            process = post.process
            if number is not None and process is not None and process.pid is not None and process.is_alive():
                os.kill(process.pid, number)


class PortHosting(WorkerHosting):
    """A server on one of several ports: it reads its data again by itself, as one that is alone does."""

    def handlers(self) -> dict[int, Callable[[int, FrameType | None], None]]:
        """Return what handles signals."""
        return super().handlers() | ({} if RELOAD is None else {RELOAD: self.handle_reload})


class _Post:
    """A place, and the process that is there now."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.process: BaseProcess | None = None
        self.due_s = 0.0
        self._status: int | None = None
        self._started_s = 0.0
        self._pauses = Pauses()
        self._starts = 0

    def start(self, *, forked: bool) -> None:
        """Start a process."""
        self._starts += 1
        self._started_s = time.monotonic()
        self._pauses.begin()
        if forked and self.place.forked is not None:
            fork = multiprocessing.get_context("fork")
            self.process = fork.Process(target=_run_forked, args=(self.place.forked,))
            with signals_held():
                self.process.start()
        else:
            self.process = multiprocessing.get_context("spawn").Process(target=self.place.anew)
            self.process.start()

    def ended(self) -> bool:
        """Tell whether the process has ended since the last look."""
        if self.process is None or self.process.is_alive():
            return False
        self.process.join()
        self._status, self.process = self.process.exitcode, None
        return True

    @property
    def did_not_start(self) -> bool:
        """Whether the first process here ended by itself, with an error, before it can have served long."""
        lived_s = time.monotonic() - self._started_s
        return self._starts == 1 and (self._status or 0) > 0 and lived_s < _START_S

    def rest(self) -> float:
        """Arrange the next start; returns the seconds until then."""
        pause_s = self._pauses.rest()
        self.due_s = time.monotonic() + pause_s
        return pause_s


def _run_forked(run: Run) -> None:
    begin_forked()
    run()


def ports_of(text: str) -> tuple[int, ...]:
    """Return the ports that a text names, such as ``9101-9104`` or ``9101,9103``.

    Raises:
        TargetError: It names none, one twice, too many, or something else.
    """
    hint = f"--ports takes up to {_MOST_PORTS} ports, such as 9101-9104 or 9101,9103; got {text!r}"
    ports: list[int] = []
    for part in text.split(","):
        first, dash, last = (end.strip() for end in part.partition("-"))
        if not (first.isdecimal() and (last.isdecimal() or not dash)):
            raise TargetError(hint)
        found = range(int(first), int(last or first) + 1)
        if not found or found[0] not in _PORTS or found[-1] not in _PORTS or len(found) > _MOST_PORTS:
            raise TargetError(hint)
        ports += found
    if len(set(ports)) != len(ports) or len(ports) > _MOST_PORTS:
        raise TargetError(hint)
    return tuple(ports)


def metrics_ports(first: int | None, ports: Sequence[int]) -> list[int | None]:
    """Return where each process serves metrics: the given port for the first, the next one for the second.

    Args:
        first: As given; 0 for any port, ``None`` for nowhere.
        ports: Where they serve.

    Raises:
        TargetError: One of them is taken by a process, or there is no such port.
    """
    if not first:
        return [first] * len(ports)
    own = range(first, first + len(ports))
    if own[-1] not in _PORTS or not set(own).isdisjoint(ports):
        raise TargetError(
            f"--metrics-port {first} means {own[0]} to {own[-1]}, one for each of --ports; choose one from "
            "which as many ports are free"
        )
    return list(own)
