"""Records of contexts, their values, and tasks, in the memory of one process."""

from __future__ import annotations

import heapq
import time
from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from scopedtools.context.owned import Owned
from scopedtools.storage import ContextRecord, TaskRecord

_VALUES_BYTES: Final = 230
_VALUE_BYTES: Final = 180
"""What the values of a context, and each of them, take besides names and contents, measured."""

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(ContextRecord).decode


class MemoryStore:
    """Keeps the most recently used contexts, and their values, each until it was not asked for in ``ttl_s``.

    Contexts without authorization have as much room of their own, so that however many there are, those of
    principals stay. No principal with several contexts has more than an eighth of the bytes.

    Args:
        max_contexts: Most records, and most contexts with values; the least recently used goes first.
        max_contexts_per_principal: The same of one principal, whose own least recently used goes first.
        max_records_bytes: Most bytes that all records may take, about.
        max_values: Most values of one context; there is no room for more.
        max_values_bytes: Most bytes that the values of all contexts may take, about. Those of the least
            recently used contexts go first.
        ttl_s: Seconds that a record, or the values of a context, live after their last use.
        clock: Seconds that only grow, for tests.
    """

    def __init__(
        self,
        *,
        max_contexts: int = 1_000_000,
        max_contexts_per_principal: int = 10_000,
        max_records_bytes: int = 512 * 2**20,
        max_values: int = 64,
        max_values_bytes: int = 256 * 2**20,
        ttl_s: float = 24 * 3600,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        for name, limit in (
            ("max_contexts", max_contexts),
            ("max_contexts_per_principal", max_contexts_per_principal),
            ("max_records_bytes", max_records_bytes),
            ("max_values", max_values),
            ("max_values_bytes", max_values_bytes),
        ):
            if limit < 1:
                raise ValueError(f"{name} must be >= 1, got {limit}")
        if not ttl_s > 0:
            raise ValueError(f"ttl_s must be > 0, got {ttl_s}")
        self._max_values = max_values
        self._clock = clock
        # Encoded: a quarter of the memory, a size that is known, and nothing for the garbage collector.
        share = max_contexts_per_principal
        self._records: Owned[bytes] = Owned(
            max_contexts, max_records_bytes, ttl_s, clock, max_per_owner=share
        )
        self._values: Owned[_Values] = Owned(
            max_contexts, max_values_bytes, ttl_s, clock, max_per_owner=share
        )

    async def get(self, key: bytes) -> ContextRecord | None:
        """Return the record and start its time to live anew, or ``None``."""
        kept = self._records.get(key)
        return None if kept is None else _decode(kept)

    async def add(self, key: bytes, record: ContextRecord) -> ContextRecord:
        """Keep a record unless there is one for the key; return the one that is kept."""
        kept = self._records.get(key)
        if kept is not None:
            return _decode(kept)
        self._records.put(key, _encode(record))
        return record

    async def replace(self, key: bytes, before: ContextRecord, after: ContextRecord) -> bool:
        """Keep ``after`` where ``before`` is kept now; false, and nothing changes, where it is not."""
        if self._records.get(key) != _encode(before):
            return False
        self._records.put(key, _encode(after))
        return True

    async def get_value(self, key: bytes, name: str) -> bytes | None:
        """Return a value of a context, or ``None``; starts the time to live of its values anew."""
        return self._live(key).content(name)

    async def put_value(self, key: bytes, name: str, value: bytes, *, ttl_s: float | None = None) -> bool:
        """Keep a value; false where the context has no room for another.

        Args:
            key: Of the context.
            name: Of the value.
            value: What to keep.
            ttl_s: Seconds after which this value goes; by default it lives as long as the context.
        """
        ends_at = None if ttl_s is None else self._clock() + ttl_s
        values = self._live(key).having(name, _Value(value, ends_at))
        if len(values.by_name) > self._max_values or not self._values.fits(values):
            return False
        self._values.put(key, values)
        return True

    async def add_value(
        self, key: bytes, name: str, value: bytes, *, ttl_s: float | None = None
    ) -> bytes | None:
        """Keep a value unless there is one of that name; return the kept one, or ``None`` for no room."""
        kept = self._live(key).content(name)
        if kept is not None:
            return kept
        return value if await self.put_value(key, name, value, ttl_s=ttl_s) else None

    async def delete_value(self, key: bytes, name: str) -> None:
        """Forget a value, if it is there."""
        values = self._live(key)
        if name not in values.by_name:
            return
        if rest := values.without(name):
            self._values.put(key, rest)
        else:
            self._values.drop(key)

    async def value_names(self, key: bytes) -> list[str]:
        """Return the names of the values of a context, sorted."""
        return sorted(self._live(key).by_name)

    def __len__(self) -> int:
        return len(self._records)

    def _live(self, key: bytes) -> _Values:
        values = self._values.get(key)
        return _NONE if values is None else values.at(self._clock())


class _Value(NamedTuple):
    content: bytes
    ends_at: float | None


class _Values:
    """The values of one context. Its length is in bytes."""

    __slots__ = ("_size_bytes", "by_name")

    def __init__(self, by_name: dict[str, _Value]) -> None:
        self.by_name = by_name
        self._size_bytes = _VALUES_BYTES + sum(
            len(name.encode("utf-8", "replace")) + len(value.content) + _VALUE_BYTES
            for name, value in by_name.items()
        )

    def content(self, name: str) -> bytes | None:
        value = self.by_name.get(name)
        return None if value is None else value.content

    def at(self, now_s: float) -> _Values:
        """Return those whose own time is not over."""
        if all(value.ends_at is None or now_s < value.ends_at for value in self.by_name.values()):
            return self
        return _Values(
            {name: one for name, one in self.by_name.items() if one.ends_at is None or now_s < one.ends_at}
        )

    def having(self, name: str, value: _Value) -> _Values:
        return _Values(self.by_name | {name: value})

    def without(self, name: str) -> _Values:
        return _Values({other: value for other, value in self.by_name.items() if other != name})

    def __len__(self) -> int:
        return self._size_bytes


_NONE: Final = _Values({})


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
