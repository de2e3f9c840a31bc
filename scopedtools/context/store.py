"""Context records in the memory of one process."""

from __future__ import annotations

import time
from collections.abc import Callable

from cachetools import TTLCache

from scopedtools.types import ContextRecord


class MemoryStore:
    """Keeps the most recently used contexts, each until it was not asked for in ``ttl_s``.

    Args:
        max_contexts: Records kept; the least recently used goes first.
        ttl_s: Seconds that a record lives after its last use.
        clock: Seconds that only grow, for tests.
    """

    def __init__(
        self,
        *,
        max_contexts: int = 1_000_000,
        ttl_s: float = 24 * 3600,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if max_contexts < 1:
            raise ValueError(f"max_contexts must be >= 1, got {max_contexts}")
        if ttl_s <= 0:
            raise ValueError(f"ttl_s must be > 0, got {ttl_s}")
        self._records: TTLCache[bytes, ContextRecord] = TTLCache(max_contexts, ttl_s, clock)

    async def get(self, key: bytes) -> ContextRecord | None:
        """Return the record and start its time to live anew, or ``None``."""
        record = self._records.get(key)
        if record is not None:
            self._records[key] = record
        return record

    async def add(self, key: bytes, record: ContextRecord) -> ContextRecord:
        """Keep a record unless there is one for the key; return the one that is kept."""
        return self._records.setdefault(key, record)

    def __len__(self) -> int:
        return len(self._records)
