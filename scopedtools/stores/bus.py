"""What a process hears and says through an engine, both of which go on after the engine was away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, TypeAlias

_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 1.0

_log: Final = logging.getLogger(__name__)

Heard: TypeAlias = Callable[[bytes | None], None]

Subscribe: TypeAlias = Callable[[], AbstractAsyncContextManager[AsyncIterator[bytes | None]]]
"""Subscribes when it is entered, and yields messages until the connection is lost."""


class Publication:
    """Publishes messages; once that works again, tells first that some were missed.

    Args:
        send: Sends one message. An empty one says that others may have been missed.
    """

    def __init__(self, send: Callable[[bytes], Awaitable[Any]]) -> None:
        self._send = send
        self._has_gap = False

    async def publish(self, message: bytes) -> None:
        """Send a message; never raises."""
        had_gap, self._has_gap = self._has_gap, True  # also where this is cancelled
        try:
            if had_gap and message:
                await self._send(b"")
            await self._send(message)
        except Exception as error:  # noqa: BLE001 - drivers raise more than their own errors
            if not had_gap:
                _log.warning("other processes do not hear of changes now: %r", error)
        else:
            self._has_gap = False


class Subscription:
    """One subscription of a process, which all who listen in it share, and which is renewed when it is lost.

    Each hears each message, and ``None`` each time that some may have been missed.

    Args:
        subscribe: Makes one subscription.
        patience_s: Seconds that those who begin to listen wait until they hear what is published from then
            on. After them they listen anyway, and are told that they may have missed something.
    """

    def __init__(self, subscribe: Subscribe, *, patience_s: float) -> None:
        self._subscribe = subscribe
        self._patience_s = patience_s
        self._listeners: list[Heard] = []
        self._task: asyncio.Task[None] | None = None
        self._is_up = asyncio.Event()
        self._has_gap = False
        self._is_reported = False

    @asynccontextmanager
    async def listening(self, heard: Heard) -> AsyncIterator[None]:
        """Call ``heard`` for as long as this is held."""
        self._listeners.append(heard)
        try:
            await self._begin()
            yield
        finally:
            self._listeners.remove(heard)
            if not self._listeners:
                await self.end()

    async def end(self) -> None:
        """End the subscription. Who still listens hears nothing until another one begins to."""
        task, self._task = self._task, None
        while task is not None and not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=_LONGEST_PAUSE_S)  # drivers may lose a cancellation

    async def _begin(self) -> None:
        if self._task is None:
            self._is_up = asyncio.Event()
            self._has_gap = False
            self._task = asyncio.create_task(self._stay_subscribed(), name="scopedtools: subscription")
        try:
            async with asyncio.timeout(self._patience_s):
                await self._is_up.wait()
        except TimeoutError:
            self._has_gap = True

    async def _stay_subscribed(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                async with self._subscribe() as messages:
                    pause_s = _FIRST_PAUSE_S
                    self._came_up()
                    async for message in messages:
                        self._tell(message)
                self._went_down(None)
            except Exception as error:  # noqa: BLE001 - whatever a driver raises, it is tried again
                self._went_down(error)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _came_up(self) -> None:
        if self._is_reported:
            _log.warning("messages of other processes arrive again")
        self._is_reported = False
        self._is_up.set()
        if self._has_gap:
            self._has_gap = False
            self._tell(None)

    def _went_down(self, error: Exception | None) -> None:
        self._is_up.clear()
        self._has_gap = True
        if not self._is_reported:
            self._is_reported = True
            _log.warning("messages of other processes do not arrive now: %s", error or "the connection ended")

    def _tell(self, message: bytes | None) -> None:
        for heard in tuple(self._listeners):
            try:
                heard(message)
            except Exception:  # noqa: BLE001 - the others hear it all the same
                _log.exception("a listener failed")
