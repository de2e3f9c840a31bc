"""Items of principals, of whom none takes the place of another's."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sized
from typing import Final, Generic, TypeVar

from scopedtools.context.recent import Recent, spread
from scopedtools.storage import NOBODY, OWNER_BYTES

_SHARDS: Final = 1024
"""So many that those of one principal are found among a thousand of others, of 10^6."""

_SHARD_ITEMS: Final = 8192
"""Most items of one principal in a shard: a larger table takes a while to copy when it grows."""

_BYTES_SHARE: Final = 8
"""No principal with several items has more than one part of so many of all bytes."""

_AT_ONCE: Final = 64
"""Oldest items of a principal that are looked for at once, since those of others are in between."""

_REMEMBERED: Final = 1024
"""Principals for whom that is remembered."""

_PLACES: Final = 2**13

T = TypeVar("T", bound=Sized)


class Owned(Generic[T]):
    """Keeps items as `Recent` does, by keys that begin with their owner; who has too many loses the oldest.

    Where there is no authorization, nobody knows who an item belongs to. Those have as much room of their
    own, so that however many come, no principal loses any.

    Args:
        max_items: Most items of all principals, and most of nobody.
        max_bytes: Most bytes that the items of all principals may take, about, and those of nobody.
        ttl_s: Seconds that each lives after its last use.
        clock: Seconds that only grow.
        max_per_owner: Most items of one principal.
    """

    def __init__(
        self, max_items: int, max_bytes: int, ttl_s: float, clock: Callable[[], float], *, max_per_owner: int
    ) -> None:
        parts = min(-(-max_per_owner // _SHARD_ITEMS), _SHARDS)
        self._parts = range(parts)
        self._shard = spread(_SHARDS)
        self._tally = _Tally(max_per_owner, max_bytes // _BYTES_SHARE, count=self._taken)
        # Of those who have lost some: when their oldest items were used, and the keys of those, oldest last.
        self._next: dict[bytes, list[tuple[float, bytes]]] = {}
        self._nobodys: Recent[T] = Recent(max_items, max_bytes, ttl_s, clock)
        self._owned: Recent[T] = Recent(
            max_items,
            max_bytes,
            ttl_s,
            clock,
            shards=_SHARDS,
            place=lambda key: (self._shard(key[:OWNER_BYTES]) + hash(key) % parts) % _SHARDS,
            tell=self._tally.tell,
        )

    def get(self, key: bytes) -> T | None:
        """Return an item and start its time anew, or ``None``."""
        return self._of(key).get(key)

    def __contains__(self, key: bytes) -> bool:
        return key in self._of(key)

    def fits(self, item: T) -> bool:
        """Tell whether an item is small enough to be kept at all."""
        return self._owned.fits(item)

    def put(self, key: bytes, item: T) -> None:
        """Keep an item in place of what there was; others go where there is no room."""
        items = self._of(key)
        items.put(key, item)
        if items is self._owned:
            owner = key[:OWNER_BYTES]
            while self._tally.is_exceeded(owner):
                self._drop_oldest(owner)

    def drop(self, key: bytes) -> None:
        """Forget an item, if it is there."""
        self._of(key).drop(key)

    def __len__(self) -> int:
        return len(self._owned) + len(self._nobodys)

    def _drop_oldest(self, owner: bytes) -> None:
        """Forget the item of a principal that was used longest ago; there is one."""
        if owner not in self._next and len(self._next) >= _REMEMBERED:
            self._next.clear()
        known = self._next.setdefault(owner, [])
        while known:
            used_at, key = known.pop()
            if self._owned.is_unused_since(used_at, key):
                self._owned.drop(key)
                return
        known += reversed(self._owned.oldest(self._shards(owner), owner, most=_AT_ONCE))
        self._owned.drop(known.pop()[1])

    def _of(self, key: bytes) -> Recent[T]:
        return self._nobodys if key.startswith(NOBODY) else self._owned

    def _shards(self, owner: bytes) -> list[int]:
        first = self._shard(owner)
        return [(first + part) % _SHARDS for part in self._parts]

    def _taken(self, owner: bytes) -> tuple[int, int]:
        return self._owned.taken(self._shards(owner), owner)


class _Tally:
    """Counts what each principal has, exactly only where that may be too much.

    A table of a million principals would take as much as what most of them have. So they are counted by few
    places, many together, and one alone only once all at its place have more than it may have.
    """

    def __init__(self, max_items: int, max_bytes: int, *, count: Callable[[bytes], tuple[int, int]]) -> None:
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._count = count
        self._items = array("I", [0]) * _PLACES
        self._bytes = array("Q", [0]) * _PLACES
        self._exact: dict[bytes, tuple[int, int]] = {}

    def tell(self, key: bytes, items: int, size_bytes: int) -> None:
        """Count an item that came or went."""
        owner = key[:OWNER_BYTES]
        place = hash(owner) % _PLACES
        self._items[place] += items
        self._bytes[place] += size_bytes
        exact = self._exact.get(owner)
        if exact is not None:
            now = exact[0] + items, exact[1] + size_bytes
            if now[0]:
                self._exact[owner] = now
            else:
                del self._exact[owner]

    def is_exceeded(self, owner: bytes) -> bool:
        """Tell whether a principal has too much."""
        place = hash(owner) % _PLACES
        if self._items[place] <= self._max_items and self._bytes[place] <= self._max_bytes:
            return False
        exact = self._exact.get(owner)
        if exact is None:
            exact = self._exact[owner] = self._count(owner)
        items, size_bytes = exact
        return items > self._max_items or (items > 1 and size_bytes > self._max_bytes)
