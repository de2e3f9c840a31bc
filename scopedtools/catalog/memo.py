"""What was made of immutable objects, remembered by the objects themselves."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")


class Memo(Generic[T]):
    """Remembers values by the very objects that they were made of; an equal object is another one.

    So looking up costs the same however large the objects are. It holds them, so that none of them goes and
    leaves its identity to another; what was remembered first is forgotten first.

    Args:
        max_items: Most values.
        max_bytes: Most bytes that all values may take, about.
    """

    def __init__(self, *, max_items: int, max_bytes: int = 2**62) -> None:
        self._max_items = max_items
        self._max_bytes = max_bytes
        # A plain dict finds its first entry by going through all that were there before it.
        self._entries: OrderedDict[tuple[int, ...], tuple[tuple[object, ...], T, int]] = OrderedDict()
        self._size_bytes = 0

    def get(self, *made_of: object) -> T | None:
        """Return what was made of these objects, or ``None`` where that is not known."""
        entry = self._entries.get(tuple(map(id, made_of)))
        return None if entry is None else entry[1]

    def put(self, value: T, *made_of: object, size_bytes: int = 0) -> T:
        """Remember and return what was made of these objects, unless it is larger than all may be."""
        if size_bytes > self._max_bytes:
            return value
        key = tuple(map(id, made_of))
        before = self._entries.pop(key, None)
        self._entries[key] = made_of, value, size_bytes
        self._size_bytes += size_bytes - (0 if before is None else before[2])
        while len(self._entries) > self._max_items or self._size_bytes > self._max_bytes:
            self._size_bytes -= self._entries.popitem(last=False)[1][2]
        return value
