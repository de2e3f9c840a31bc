"""Counters of one process for the library ``limits``, bounded in number."""

from __future__ import annotations

import time
from collections.abc import Callable

from cachetools import LRUCache
from limits.aio.storage import Storage
from limits.aio.storage.base import SlidingWindowCounterSupport


class _Window:
    """How often a key was counted in the present window and in the one before."""

    __slots__ = ("before", "now", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self.before = 0
        self.now = 0

    def turn(self, number: int) -> None:
        """Go on to a window."""
        if number != self.number:
            self.before = self.now if number == self.number + 1 else 0
            self.now, self.number = 0, number


class ProcessStorage(Storage, SlidingWindowCounterSupport):
    """Keeps counters in the memory of this process.

    The library's own goes through all its keys after each request, and has no bound: whoever makes up
    contexts would slow down everybody.

    Args:
        max_keys: Most counters; the least recently used goes first.
        clock: Seconds that only grow.
    """

    STORAGE_SCHEME = None

    def __init__(self, *, max_keys: int, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._windows: LRUCache[str, _Window] = LRUCache(max_keys)

    @property
    def base_exceptions(self) -> type[Exception]:
        return ValueError

    async def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        now = self._clock()
        window = self._window(key, expiry, now)
        if window.before * _left(expiry, now) / expiry + window.now + amount > limit:
            return False
        window.now += amount
        return True

    async def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        now = self._clock()
        window, left = self._window(key, expiry, now), _left(expiry, now)
        return window.before, left, window.now, left + expiry

    async def clear_sliding_window(self, key: str, expiry: int) -> None:  # noqa: ARG002 - of the base
        self._windows.pop(key, None)

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        raise NotImplementedError  # windows that do not slide are not used

    async def get(self, key: str) -> int:
        return self._windows[key].now if key in self._windows else 0

    async def get_expiry(self, key: str) -> float:
        raise NotImplementedError

    async def check(self) -> bool:
        return True

    async def reset(self) -> int | None:
        count = len(self._windows)
        self._windows.clear()
        return count

    async def clear(self, key: str) -> None:
        self._windows.pop(key, None)

    def _window(self, key: str, expiry: int, now: float) -> _Window:
        number = int(now // expiry)
        window = self._windows.get(key)
        if window is None:
            window = self._windows[key] = _Window(number)
        window.turn(number)
        return window


def _left(expiry: int, now: float) -> float:
    """Return the seconds that are left of the present window, for which the one before still counts."""
    return expiry - now % expiry
