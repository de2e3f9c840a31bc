"""From the start of a hosted server to its end: it starts, serves, reads its data again, drains, stops."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import multiprocessing
import os
import selectors
import signal
import socket
import sys
import threading
from collections.abc import Callable, Generator
from types import FrameType
from typing import Final, NamedTuple

import uvicorn
from uvicorn.config import STARTUP_FAILURE

from scopedtools.exceptions import ScopedToolsError
from scopedtools.server import ScopedServer
from scopedtools.transports.attending import STOPPED

_log: Final = logging.getLogger(__name__)

_LAST_WORDS_S: Final = 2.0
"""Seconds that calls which were cancelled have to say so."""

_LAST_REQUESTS_S: Final = 0.5
"""Seconds in which requests come that were on their way when the server stopped to listen after a drain."""

_ACCEPTS: Final = 100
"""Steps of the loop in which connections that wait are taken before it stops to listen."""

_IDLE_S: Final = 6.0
"""Seconds after which a connection is idle for certain: uvicorn closes those that are for 5."""

_CLOSE: Final = (b"connection", b"close")

RELOAD: Final = getattr(signal, "SIGHUP", None)
RETIRE: Final = getattr(signal, "SIGUSR1", None)
AT_ONCE: Final = getattr(signal, "SIGQUIT", None)
"""Signals that there are not on Windows. The last two are between a supervisor and its workers."""


class Patience(NamedTuple):
    """How long a server takes to stop.

    Attributes:
        drain_s: Seconds for which it serves as before, while `/readyz` says that it is about to stop.
        grace_s: Seconds that calls have to finish after that.
    """

    drain_s: float = 0.0
    grace_s: float = 10.0

    @property
    def longest_s(self) -> int:
        """Seconds after the drain until connections are closed whatever they are for."""
        return math.ceil(self.grace_s + _LAST_WORDS_S)


class Terminal:
    """The terminal that a process was started from, if any."""

    def __init__(self) -> None:
        self._had = _has_terminal()

    @property
    def is_gone(self) -> bool:
        """Whether it was closed: then a hangup is one, and no wish to reload."""
        return self._had and not _has_terminal()


class Hosting(uvicorn.Server):
    """Holds a server while it is served, and ends both in order.

    It holds the server itself: where uvicorn does, a start cannot be broken off.

    Args:
        config: Its app is replaced by the server.
        make: Makes the server, in the process that serves it.
        patience: How long it takes to stop.
    """

    def __init__(self, config: uvicorn.Config, make: Callable[[], ScopedServer], patience: Patience) -> None:
        super().__init__(config)
        self._make = make
        self._patience = patience
        self._terminal = Terminal()
        self._up, self._leave = asyncio.Event(), asyncio.Event()
        self._holding: asyncio.Task[None] | None = None
        self._reloading: asyncio.Task[None] | None = None
        self._reload_again = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop_at_s: float | None = None
        self._closed = False

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until told to stop."""
        self._server = self._make()
        self.config.app, self.config.factory, self.config.lifespan = self._server, False, "off"
        super().run(sockets)

    # Signals, whose handlers run between two steps of anything, and do not wake the loop

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Handle signals for as long as this is held."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        with super().capture_signals(), contextlib.ExitStack() as handled:
            for number, handle in self.handlers().items():
                handled.callback(signal.signal, number, signal.signal(number, handle))
            yield

    def handlers(self) -> dict[int, Callable[[int, FrameType | None], None]]:
        """Return what handles signals besides those that stop it."""
        return {} if RELOAD is None else {RELOAD: self.handle_reload}

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop; at once where that began before."""
        del frame
        self._server.drain()
        if self._up.is_set() and self._stop_at_s is None and not self.should_exit:
            self._call(self._begin_to_drain)
            self._stop_at_s = math.inf
        else:
            self.stop_at_once(sig)

    def stop_at_once(self, sig: int) -> None:
        """Wait for nothing any more."""
        self._captured_signals.append(sig)
        self.should_exit = self.force_exit = True
        if not self._up.is_set() or self._leave.is_set():
            self._call(self._break_off)

    def handle_reload(self, sig: int, frame: FrameType | None) -> None:
        """Read the data again, or stop where the terminal was closed."""
        if self._terminal.is_gone:
            self.handle_exit(sig, frame)
        else:
            self._call(self._reload_soon)

    def _call(self, what: Callable[[], object]) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(what)

    def _break_off(self) -> None:
        if self._holding is not None:
            self._holding.cancel()

    # Starting

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the server, then listen."""
        if self.should_exit:
            return
        self._loop = asyncio.get_running_loop()
        _log.info("%s %s is starting", self._server.name, self._server.version, extra=self._told("start"))
        self._holding = asyncio.create_task(self._hold())
        up = asyncio.create_task(self._up.wait())
        await asyncio.wait([up, self._holding], return_when=asyncio.FIRST_COMPLETED)
        up.cancel()
        try:
            if self._up.is_set():
                await super().startup(sockets=sockets)
        finally:
            if not self.started:
                await self._end()
        if self.started:
            self._tell_started(sockets)

    async def _hold(self) -> None:
        async with self._server:
            self._up.set()
            await self._leave.wait()

    def _tell_started(self, sockets: list[socket.socket] | None) -> None:
        listening = sockets or [one for server in self.servers for one in server.sockets]
        addresses = [_address(one) for one in listening]
        _log.info(
            "%s serves %d rows at %s",
            self._server.name,
            len(self._server.catalog.rows),
            ", ".join(addresses),
            extra=self._told("ready") | {"addresses": addresses},
        )

    def _told(self, event: str) -> dict[str, object]:
        """Return what a line in JSON says besides."""
        catalog = self._server.catalog
        return {
            "event": event,
            "server": self._server.name,
            "server_version": self._server.version,
            "catalog_version": catalog.version,
            "rows": len(catalog.rows),
        }

    # Reading data again

    def _reload_soon(self) -> None:
        self._reload_again = True
        if self._up.is_set() and (self._reloading is None or self._reloading.done()):
            self._reloading = asyncio.create_task(self._reload(), name="reload")

    async def _reload(self) -> None:
        while self._reload_again:
            self._reload_again = False
            try:
                await self._server.reload()
            except ScopedToolsError as error:
                _log.error("not reloaded, all stays as it was: %s", error, extra=self._told("reload failed"))
            except Exception:  # noqa: BLE001 - an author's hook; what was served is served still
                _log.exception("not reloaded, all stays as it was", extra=self._told("reload failed"))
            else:
                rows = len(self._server.catalog.rows)
                _log.info("reloaded, %d rows", rows, extra=self._told("reload"))

    # Stopping

    def _begin_to_drain(self) -> None:
        drain_s = self._patience.drain_s
        self._stop_at_s = self._now_s() + drain_s
        if drain_s:
            _log.info("serving for %g s more, not ready any longer", drain_s, extra=self._told("drain"))
        self._close_after_answers()

    def _close_after_answers(self) -> None:
        """Have clients open a connection for their next request: elsewhere, if all goes well."""
        self.config.encoded_headers = [*self.config.encoded_headers, _CLOSE]
        self.server_state.default_headers = [*self.server_state.default_headers, _CLOSE]

    async def on_tick(self, counter: int) -> bool:
        """Tell whether it is time to stop, ten times a second."""
        if self._stop_at_s is not None and self._now_s() >= self._stop_at_s:
            if self._patience.drain_s and not self._closed:
                await self._close()
                self._stop_at_s = self._now_s() + _LAST_REQUESTS_S
            else:
                self.should_exit = True
        return await super().on_tick(counter)

    async def _close(self) -> None:
        """Take no more connections, but those that were made already: a proxy may have sent a call on one."""
        self._closed = True
        with selectors.DefaultSelector() as waiting:
            for listening in (one for server in self.servers for one in server.sockets):
                waiting.register(listening.fileno(), selectors.EVENT_READ)
            for _ in range(_ACCEPTS):
                if not waiting.select(0):
                    break
                await asyncio.sleep(0)
        for server in self.servers:
            server.close()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End listeners, let calls finish, cancel those that do not, then leave the server."""
        _log.info("stopping", extra=self._told("stop"))
        # They would wait for it, and it for them.
        self._server.end_streams()
        cutting_off = asyncio.create_task(self._cut_off(), name="cut off calls")
        await super().shutdown(sockets=sockets)
        cutting_off.cancel()
        self._cancel_calls()
        if self.server_state.tasks:
            await asyncio.wait(set(self.server_state.tasks), timeout=_LAST_WORDS_S)
        await self._end()
        _log.info("stopped", extra=self._told("stopped"))

    async def _cut_off(self) -> None:
        await asyncio.sleep(self._patience.grace_s)
        self._cancel_calls()

    def _cancel_calls(self) -> None:
        tasks = self.server_state.tasks
        if tasks:
            _log.warning("requests that did not finish in time are cancelled: %d", len(tasks))
        for task in tuple(tasks):
            task.cancel(STOPPED)

    async def _end(self) -> None:
        if self._reloading is not None:
            self._reloading.cancel()
        if self._holding is None:
            return
        self._leave.set()
        await asyncio.wait([self._holding], timeout=_LAST_WORDS_S if self.force_exit else None)
        if not self._holding.done():
            self._holding.cancel()
            await asyncio.wait([self._holding])
        if not self._holding.cancelled():
            self._holding.result()  # or why it did not start or end

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time()


class WorkerHosting(Hosting):
    """The same in a process that a supervisor watches, which alone says when to stop."""

    _leaving = False

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until told to stop; where that cannot begin, exit as the supervisor expects."""
        try:
            super().run(sockets)
        except Exception:
            if self.started:
                raise
            _log.exception("this worker cannot start")
            sys.exit(STARTUP_FAILURE)

    def handlers(self) -> dict[int, Callable[[int, FrameType | None], None]]:
        """Return what handles signals: those that a terminal sends to all reach the supervisor too."""
        handlers: dict[int, Callable[[int, FrameType | None], None]] = {signal.SIGINT: _ignore}
        if RELOAD is not None and RETIRE is not None and AT_ONCE is not None:
            handlers |= {RELOAD: _ignore, RETIRE: self.handle_retirement, AT_ONCE: self.handle_at_once}
        return handlers

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop; that may be said twice, such as by systemd to all and by the supervisor."""
        if self._stop_at_s is None or not self._up.is_set():
            super().handle_exit(sig, frame)

    def handle_at_once(self, sig: int, frame: FrameType | None) -> None:
        """Wait for nothing any more."""
        del frame
        self.stop_at_once(sig)

    def handle_retirement(self, sig: int, frame: FrameType | None) -> None:
        """Take no more connections, answer those that there are, then stop: another worker is there."""
        del sig, frame
        self._call(self._retire)

    def _retire(self) -> None:
        for server in self.servers:
            server.close()
        self._close_after_answers()
        self._server.end_streams()
        self._stop_at_s = self._now_s() + _IDLE_S
        self._leaving = True

    async def on_tick(self, counter: int) -> bool:
        """Tell whether it is time to stop; a worker that retires does when its last client is gone.

        One whose supervisor was killed does too: nobody would end it, and it would hold the port for ever.
        """
        if self._stop_at_s is None and _is_orphan():
            _log.error("the process that watches over this one is gone; stopping", extra=self._told("orphan"))
            self.handle_exit(signal.SIGTERM, None)
        if self._leaving and not self.server_state.connections:
            self.should_exit = True
        return await super().on_tick(counter)


def _is_orphan() -> bool:
    parent = multiprocessing.parent_process()
    return parent is not None and parent.pid != os.getppid()


def _ignore(_: int, __: FrameType | None) -> None:
    pass


def _address(listening: socket.socket) -> str:
    name = listening.getsockname()
    if not isinstance(name, tuple):
        return str(name)
    host, port = name[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | getattr(os, "O_NOCTTY", 0)))
    except OSError:
        return False
    return True
