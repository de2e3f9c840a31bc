"""Items by the time of their last use, each for a time, together within bounds, and without pauses."""

from __future__ import annotations

import heapq
import math
import sys
from collections.abc import Callable, Sized
from typing import Final, Generic, TypeVar

ENTRY_BYTES: Final = 270
"""What an item takes besides its content, of 10^6: a key of 32 bytes, a time, two places in tables."""

_SHARDS: Final = 256
_SHIFT: Final = sys.hash_info.width - 8
"""The upper bits of a hash tell the shard: the tables in it go by the lower ones."""

_EXPIRED_AT_ONCE: Final = 8
"""Most items whose time is over that one operation drops: many may end at the same moment."""

T = TypeVar("T", bound=Sized)


class _Shard(Generic[T]):
    """A part of the items.

    Attributes:
        items: By key.
        used_at: Times of last use, oldest first; no two are alike, so they are an order of all items.
        queued: Whether its oldest item is looked at when one has to go.
    """

    __slots__ = ("items", "queued", "used_at")

    def __init__(self) -> None:
        self.items: dict[bytes, T] = {}
        self.used_at: dict[bytes, float] = {}
        self.queued = False


class Recent(Generic[T]):
    """Keeps immutable items until they were not asked for in a time; beyond the bounds the oldest goes first.

    Of a million items no operation takes noticeably longer than of ten. One table of them all would be copied
    whole whenever it grows, and an `OrderedDict` is gone through at each search of Python for cycles, 60 ms
    each; plain dicts of bytes and numbers are not. So there are many small ones, and a heap of their oldest.

    Args:
        max_items: Most items.
        max_bytes: Most bytes that all may take, about.
        ttl_s: Seconds that each lives after its last use.
        clock: Seconds that only grow.
    """

    def __init__(self, max_items: int, max_bytes: int, ttl_s: float, clock: Callable[[], float]) -> None:
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._ttl_s = ttl_s
        self._clock = clock
        self._shards = tuple(_Shard[T]() for _ in range(_SHARDS))
        # For each shard with items a time when its oldest was used, or an earlier one, and its number.
        self._oldest: list[tuple[float, int]] = []
        self._last_use = -math.inf
        self._count = 0
        self._size_bytes = 0

    def get(self, key: bytes) -> T | None:
        """Return an item and start its time anew, or ``None``."""
        now = self._clock()
        self._expire(now)
        shard = self._shards[_number(key)]
        used_at = shard.used_at.get(key)
        if used_at is None or used_at + self._ttl_s <= now:
            return None
        self._use(shard, key, now)
        return shard.items[key]

    def fits(self, item: T) -> bool:
        """Tell whether an item is small enough to be kept at all."""
        return len(item) + ENTRY_BYTES <= self._max_bytes

    def put(self, key: bytes, item: T) -> None:
        """Keep an item in place of what there was; others go where there is no room."""
        self.drop(key)
        if not self.fits(item):
            return
        now = self._clock()
        self._expire(now)
        number = _number(key)
        shard = self._shards[number]
        shard.items[key] = item
        self._use(shard, key, now)
        self._count += 1
        self._size_bytes += len(item) + ENTRY_BYTES
        if not shard.queued:
            shard.queued = True
            heapq.heappush(self._oldest, (shard.used_at[key], number))
        while self._count > self._max_items or self._size_bytes > self._max_bytes:
            self.drop(self._first()[1])

    def drop(self, key: bytes) -> None:
        """Forget an item, if it is there."""
        shard = self._shards[_number(key)]
        item = shard.items.pop(key, None)
        if item is None:
            return
        del shard.used_at[key]
        self._count -= 1
        self._size_bytes -= len(item) + ENTRY_BYTES

    def __len__(self) -> int:
        """Return how many are kept; among them may be some whose time is over."""
        return self._count

    def _use(self, shard: _Shard[T], key: bytes, now: float) -> None:
        shard.used_at.pop(key, None)
        self._last_use = now if now > self._last_use else math.nextafter(self._last_use, math.inf)
        shard.used_at[key] = self._last_use

    def _expire(self, now: float) -> None:
        for _ in range(_EXPIRED_AT_ONCE):
            if not self._count or self._oldest[0][0] + self._ttl_s > now:
                return
            used_at, key = self._first()
            if used_at + self._ttl_s <= now:
                self.drop(key)

    def _first(self) -> tuple[float, bytes]:
        """Return when the oldest item was used, and its key; there is one."""
        while True:
            supposed, number = self._oldest[0]
            shard = self._shards[number]
            key = next(iter(shard.used_at), None)
            if key is None:
                heapq.heappop(self._oldest)
                shard.queued = False
            elif (used_at := shard.used_at[key]) != supposed:
                heapq.heapreplace(self._oldest, (used_at, number))
            else:
                return used_at, key


def _number(key: bytes) -> int:
    return hash(key) >> _SHIFT & (_SHARDS - 1)
