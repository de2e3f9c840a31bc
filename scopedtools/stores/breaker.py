"""Tells whether an engine is worth a call, and finds out by itself when it answers again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

_MADE_UP: Final = 0.1
"""Part of a failure that a success makes up for. In a cluster that lost one of three nodes most calls go
well, and the others wait all the same."""

_log: Final = logging.getLogger(__name__)


class Breaker:
    """A circuit breaker: closed while calls go well, open while they are not worth the wait.

    Those of libraries try an engine again with the call of a user, who waits for it. This one does so beside
    all calls.

    Args:
        failures: Calls that fail until it opens; a call that goes well makes up for a tenth of one.
        open_s: Seconds between attempts to find out whether the engine answers again.
        probe: Tries the engine; raises where it does not answer.
        restore: Makes up for what was missed, while calls are worth it again; raises as ``probe``.
        restored: Called after that.

    Attributes:
        is_open: Whether no call is worth it now.
    """

    def __init__(
        self,
        *,
        failures: int,
        open_s: float,
        probe: Callable[[], Awaitable[None]],
        restore: Callable[[], Awaitable[None]],
        restored: Callable[[], None],
    ) -> None:
        self._most = failures
        self._open_s = open_s
        self._probe = probe
        self._restore = restore
        self._restored = restored
        self._failed = 0.0
        self._recovering: asyncio.Task[None] | None = None
        self.is_open = False

    @property
    def is_closed(self) -> bool:
        """Whether every call of late went well, and nothing is to be made up for."""
        return self._recovering is None or self._recovering.done()

    def succeeded(self) -> None:
        """Count a call that went well."""
        if self._failed:
            self._failed = max(0.0, self._failed - _MADE_UP)

    def failed(self, error: Exception) -> None:
        """Count a call that failed."""
        self._failed += 1
        if not self.is_open and self._failed >= self._most:
            self.open(error)
        if self.is_closed:
            self._recovering = asyncio.create_task(self._recover(), name="scopedtools: recovery of a store")

    def open(self, error: Exception) -> None:
        """Open now, however few calls have failed."""
        self.is_open, self._failed = True, float(self._most)
        # What an error says may hold credentials; its traceback is for those who look for it.
        _log.warning("the context store does not answer (%s); going on without it", type(error).__name__)
        _log.debug("why the context store does not answer", exc_info=error)

    async def stop(self) -> None:
        """Find out nothing any more, and begin anew as if nothing had failed."""
        task, self._recovering = self._recovering, None
        self.is_open, self._failed = False, 0.0
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _recover(self) -> None:
        while True:
            await asyncio.sleep(self._open_s)
            try:
                await self._probe()
                self._close()
                await self._restore()
            except Exception as error:  # noqa: BLE001 - whatever an engine raises
                self.failed(error)
            else:
                break
        self._failed, self._recovering = 0.0, None
        self._restored()

    def _close(self) -> None:
        if self.is_open:
            self.is_open, self._failed = False, 0.0
            _log.warning("the context store answers again")
