"""What was made before, for those who ask for the same again and again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

T = TypeVar("T")

_ALL: Final = 2**62


class Memo(Generic[T]):
    """Remembers values by key; the first remembered goes first. Threads may share it.

    What is worth it was made before (`admits`): to remember costs more than to make most of what is
    remembered, and where more contexts come by turns than there is room for, each would push out another and
    find nothing.

    Args:
        max_items: Most values.
        max_bytes: Most bytes that all values may take, about.
    """

    def __init__(self, *, max_items: int, max_bytes: int = _ALL) -> None:
        self._max_items = max_items
        self._max_bytes = max_bytes
        # A plain dict finds its first entry by going through all that were there before it.
        self._entries: OrderedDict[Hashable, tuple[T, int, object]] = OrderedDict()
        self._size_bytes = 0
        self._lock = threading.Lock()
        # Hashes of keys that were made once; the next one at the same place takes it.
        self._made_once = [-1] * max_items  # which is no hash

    def get(self, key: Hashable) -> T | None:
        """Return the value of a key, or ``None`` where it is not remembered."""
        entry = self._entries.get(key)
        return None if entry is None else entry[0]

    def admits(self, key: Hashable) -> bool:
        """Tell whether a value that was made now was made before, a little while ago."""
        made = hash(key)
        place = made % self._max_items
        if self._made_once[place] == made:
            return True
        self._made_once[place] = made
        return False

    def put(self, key: Hashable, value: T, *, size_bytes: int = 0, holds: object = None) -> T:
        """Remember and return a value, unless it is larger than all may be.

        Args:
            key: Of the value.
            value: What was made.
            size_bytes: What it takes, about.
            holds: Kept as long as the value.
        """
        if size_bytes > self._max_bytes:
            return value
        with self._lock:
            before = self._entries.pop(key, None)
            self._entries[key] = value, size_bytes, holds
            self._size_bytes += size_bytes - (0 if before is None else before[1])
            while len(self._entries) > self._max_items or self._size_bytes > self._max_bytes:
                self._size_bytes -= self._entries.popitem(last=False)[1][1]
        return value


class MemoOf(Generic[T]):
    """Remembers what was made of immutable objects, by the very objects; an equal object is another one.

    So looking up costs the same however large the objects are. It is for objects that last: it holds them, so
    that none of them goes and leaves its identity to another.

    Args:
        max_items: Most values.
        max_bytes: Most bytes that all values may take, about.
    """

    def __init__(self, *, max_items: int, max_bytes: int = _ALL) -> None:
        self._memo: Memo[T] = Memo(max_items=max_items, max_bytes=max_bytes)

    def get(self, *made_of: object) -> T | None:
        """Return what was made of these objects, or ``None`` where that is not remembered."""
        return self._memo.get(tuple(map(id, made_of)))

    def put(self, value: T, *made_of: object, size_bytes: int = 0) -> T:
        """Remember and return what was made of these objects; see `Memo.put`."""
        return self._memo.put(tuple(map(id, made_of)), value, size_bytes=size_bytes, holds=made_of)
