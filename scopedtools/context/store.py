"""Records of contexts and of tasks in the memory of one process."""

from __future__ import annotations

import heapq
import time
from collections import Counter
from collections.abc import Callable

from cachetools import TTLCache

from scopedtools.types import ContextRecord, TaskRecord


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

    async def put(self, key: bytes, record: ContextRecord) -> None:
        """Keep a record in place of the one that there is."""
        self._records[key] = record

    def __len__(self) -> int:
        return len(self._records)


class MemoryTaskStore:
    """Keeps tasks, running and ended, until their time to live is over. None has to go earlier for another.

    Args:
        max_tasks: Most tasks.
        max_per_owner: Most tasks of one principal; without authorization everybody is the same one.
        clock: Seconds that only grow, for tests.
    """

    def __init__(
        self,
        *,
        max_tasks: int = 10_000,
        max_per_owner: int = 1_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        for name, value in (("max_tasks", max_tasks), ("max_per_owner", max_per_owner)):
            if value < 1:
                raise ValueError(f"{name} must be >= 1, got {value}")
        self._max_tasks = max_tasks
        self._max_per_owner = max_per_owner
        self._clock = clock
        self._records: dict[bytes, TaskRecord] = {}
        self._ends: list[tuple[float, bytes]] = []
        self._owned: Counter[bytes] = Counter()

    async def add(self, key: bytes, record: TaskRecord) -> bool:
        """Keep the record of a new task; false where there is no room for another of its owner."""
        self._expire()
        if len(self._records) >= self._max_tasks or self._owned[record.owner] >= self._max_per_owner:
            return False
        heapq.heappush(self._ends, (self._clock() + record.ttl_ms / 1000, key))
        self._records[key] = record
        self._owned[record.owner] += 1
        return True

    async def get(self, key: bytes) -> TaskRecord | None:
        """Return the record, or ``None`` where there is none or its time to live is over."""
        self._expire()
        return self._records.get(key)

    async def put(self, key: bytes, record: TaskRecord) -> None:
        """Replace the record, if it is still there."""
        self._expire()
        if key in self._records:
            self._records[key] = record

    def __len__(self) -> int:
        self._expire()
        return len(self._records)

    def _expire(self) -> None:
        now = self._clock()
        while self._ends and self._ends[0][0] <= now:
            owner = self._records.pop(heapq.heappop(self._ends)[1]).owner
            self._owned[owner] -= 1
            if not self._owned[owner]:
                del self._owned[owner]
