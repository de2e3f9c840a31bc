"""Items by the time of their last use, each for a time, together within bounds, and without pauses."""

from __future__ import annotations

import heapq
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sized
from itertools import islice
from typing import Final, Generic, TypeVar

ENTRY_BYTES: Final = 270
"""What an item takes besides its content, of 10^6: a key of 32 bytes, a time, two places in tables."""

_BITS: Final = sys.hash_info.width - 1

_EXPIRED_AT_ONCE: Final = 8
"""Most items whose time is over that one operation drops: many may end at the same moment."""

T = TypeVar("T", bound=Sized)

Place = Callable[[bytes], int]
"""Takes a key, returns the number of the shard that it belongs to."""


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


def spread(shards: int) -> Place:
    """Return what spreads keys over so many shards, a power of two."""
    # The upper bits of a hash tell the shard: the tables in it go by the lower ones.
    shift, mask = _BITS - shards.bit_length() + 1, shards - 1
    return lambda key: hash(key) >> shift & mask


def _untold(_key: bytes, _items: int, _size_bytes: int) -> None:
    """Tell nobody."""


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
        shards: How many parts there are.
        place: Tells the part that a key belongs to; by default they are spread evenly.
        tell: Told of each item that comes or goes: its key, 1 or -1, and bytes likewise.
    """

    def __init__(
        self,
        max_items: int,
        max_bytes: int,
        ttl_s: float,
        clock: Callable[[], float],
        *,
        shards: int = 256,
        place: Place | None = None,
        tell: Callable[[bytes, int, int], None] = _untold,
    ) -> None:
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._ttl_s = ttl_s
        self._clock = clock
        self._place = place or spread(shards)
        self._tell = tell
        self._shards: list[_Shard[T] | None] = [None] * shards
        # For each shard with items a time when its oldest was used, or an earlier one, and its number.
        self._oldest: list[tuple[float, int]] = []
        self._last_use = -math.inf
        self._count = 0
        self._size_bytes = 0

    def get(self, key: bytes) -> T | None:
        """Return an item and start its time anew, or ``None``."""
        now = self._clock()
        self._expire(now)
        shard = self._shards[self._place(key)]
        if shard is None:
            return None
        used_at = shard.used_at.get(key)
        if used_at is None or used_at + self._ttl_s <= now:
            return None
        self._use(shard, key, now)
        return shard.items[key]

    def __contains__(self, key: bytes) -> bool:
        """Tell whether an item is there, which is no use of it."""
        shard = self._shards[self._place(key)]
        return shard is not None and key in shard.items

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
        number = self._place(key)
        shard = self._shards[number]
        if shard is None:
            shard = self._shards[number] = _Shard[T]()
        shard.items[key] = item
        self._use(shard, key, now)
        self._counted(key, 1, item)
        if not shard.queued:
            shard.queued = True
            heapq.heappush(self._oldest, (shard.used_at[key], number))
        while self._count > self._max_items or self._size_bytes > self._max_bytes:
            self.drop(self._first()[1])

    def drop(self, key: bytes) -> None:
        """Forget an item, if it is there."""
        shard = self._shards[self._place(key)]
        item = shard.items.pop(key, None) if shard is not None else None
        if shard is None or item is None:
            return
        del shard.used_at[key]
        self._counted(key, -1, item)

    def oldest(self, shards: Iterable[int], prefix: bytes, *, most: int) -> list[tuple[float, bytes]]:
        """Return when those items were used last, and their keys, that were used longest ago; oldest first.

        Args:
            shards: Where to look.
            prefix: What their keys begin with.
            most: How many to return.
        """
        firsts: list[tuple[float, bytes]] = []
        for shard in self._made(shards):
            of_prefix = (used for used in shard.used_at.items() if used[0].startswith(prefix))
            firsts += [(used_at, key) for key, used_at in islice(of_prefix, most)]
        return sorted(firsts)[:most]

    def is_unused_since(self, used_at: float, key: bytes) -> bool:
        """Tell whether an item is still there, and was not used after a time that `oldest` returned."""
        shard = self._shards[self._place(key)]
        return shard is not None and shard.used_at.get(key) == used_at

    def taken(self, shards: Iterable[int], prefix: bytes) -> tuple[int, int]:
        """Return how many items there are in some shards whose keys begin alike, and how many bytes."""
        sizes = [
            len(item)
            for shard in self._made(shards)
            for key, item in shard.items.items()
            if key.startswith(prefix)
        ]
        return len(sizes), sum(sizes) + ENTRY_BYTES * len(sizes)

    def __len__(self) -> int:
        """Return how many are kept; among them may be some whose time is over."""
        return self._count

    def _made(self, numbers: Iterable[int]) -> Iterator[_Shard[T]]:
        return (shard for number in numbers if (shard := self._shards[number]) is not None)

    def _counted(self, key: bytes, items: int, item: T) -> None:
        size_bytes = items * (len(item) + ENTRY_BYTES)
        self._count += items
        self._size_bytes += size_bytes
        self._tell(key, items, size_bytes)

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
            (shard,) = self._made([number])
            key = next(iter(shard.used_at), None)
            if key is None:
                heapq.heappop(self._oldest)
                shard.queued = False
            elif (used_at := shard.used_at[key]) != supposed:
                heapq.heapreplace(self._oldest, (used_at, number))
            else:
                return used_at, key
