"""Counts requests in windows of time, by the library ``limits``: in this process, or on Redis for several."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, cast

import limits
from cachetools import TLRUCache
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from scopedtools.admission.windows import ProcessStorage

if TYPE_CHECKING:
    from limits import RateLimitItem
    from limits.aio.storage.base import SlidingWindowCounterSupport

    from scopedtools.admission.shared import SharedCounters

_log: Final = logging.getLogger(__name__)

_KEYS: Final = 50_000
"""Keys that a process counts by; of more, those that were not used for the longest time begin anew."""

_REFUSED: Final = 10_000
"""Keys that are refused without a look at the counters."""

_PATIENCE_S: Final = 0.25
"""Seconds for which an answer of Redis is waited for."""

_PAUSE_S: Final = 1.0
"""Seconds between requests that find out whether Redis answers again, after it failed."""


class Windows:
    """Counts by key in a window that slides: the window before counts as far as it reaches into it.

    A rate protects and authorizes nothing: while Redis does not answer, this process counts for itself.

    Args:
        rate: Such as ``600/minute``; several are separated by semicolons.
        store: URL of Redis, or ``None`` to count in this process.
        clock: Seconds that only grow.
    """

    def __init__(
        self, rate: str, store: str | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._items = limits.parse_many(rate)
        self._own = SlidingWindowCounterRateLimiter(
            ProcessStorage(max_keys=_KEYS * len(self._items), clock=clock)
        )
        self._shared = None if store is None else _shared(store)
        self._is_failing = False
        self._paused_until = 0.0
        self._refused: TLRUCache[bytes, float] = TLRUCache(
            maxsize=_REFUSED, ttu=lambda _, until, __: until, timer=clock
        )

    async def take(self, key: bytes) -> int | None:
        """Count one more of a key; return whole seconds after which to try again if there were too many."""
        until = self._refused.get(key)
        if until is not None:
            return _whole(until - self._clock())
        name = key.hex()
        if self._shared is not None and self._is_worth_it():
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    after_s = await self._count(self._shared.counters, key, name)
            except Exception as error:  # noqa: BLE001 - the client leaks errors of its own besides those of Redis
                self._failed(error)
            else:
                self._is_failing = False
                return after_s
        return await self._count(self._own, key, name)

    async def close(self) -> None:
        """Close the connections to Redis; they are opened again when they are needed."""
        if self._shared is not None:
            await self._shared.close()

    def _is_worth_it(self) -> bool:
        """Tell whether to ask Redis. After it failed one request a second does, and nobody else waits."""
        if self._is_failing:
            now = self._clock()
            if now < self._paused_until:
                return False
            self._paused_until = now + _PAUSE_S
        return True

    def _failed(self, error: Exception) -> None:
        if not self._is_failing:
            _log.warning("requests are counted in this process: %s", type(error).__name__)
            self._is_failing, self._paused_until = True, self._clock() + _PAUSE_S

    async def _count(self, counters: SlidingWindowCounterRateLimiter, key: bytes, name: str) -> int | None:
        for item in self._items:
            if not await counters.hit(item, name):
                after_s = await _wait_s(counters, item, name)
                self._refused[key] = self._clock() + after_s
                return _whole(after_s)
        return None


async def _wait_s(counters: SlidingWindowCounterRateLimiter, item: RateLimitItem, name: str) -> float:
    """Return the seconds after which there is room for one more, if nobody else takes it."""
    storage = cast("SlidingWindowCounterSupport", counters.storage)
    span, room = item.get_expiry(), item.amount - 1
    before, before_s, now, now_s = await storage.get_sliding_window(item.key_for(name), span)
    if before and now <= room:
        return before_s - (room - now) * span / before
    # Only in the next window, and there once enough of this one lies behind.
    return max(0.0, now_s - span) + (span - room * span / now if now > room else 0.0)


def _whole(seconds: float) -> int:
    return max(1, math.ceil(seconds))


def _shared(store: str) -> SharedCounters:
    from scopedtools.admission.shared import SharedCounters  # noqa: PLC0415 - the extra ``redis`` brings it

    return SharedCounters(store, timeout_s=_PATIENCE_S)
