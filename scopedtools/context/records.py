"""What is kept of contexts: read, begun once, and changed so that nothing that was added is lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, NamedTuple
from weakref import WeakValueDictionary

from scopedtools.types import ContextRecord, ContextStore

_TRIES: Final = 32
"""Each try that fails is one in which another process changed the same context."""

_log: Final = logging.getLogger(__name__)


class Changed(NamedTuple):
    """What a record was, and what it has become; the same where there was nothing to change."""

    before: ContextRecord
    after: ContextRecord


class Records:
    """The records of one catalog in a store. A store that fails costs what was kept, never an answer.

    Args:
        store: Keeps them, perhaps for several processes.
        version: Of the catalog.
    """

    def __init__(self, store: ContextStore, version: str) -> None:
        self._store = store
        # A record is of one catalog: while a new one is rolled out, servers of both share the store.
        self._suffix = bytes.fromhex(version)
        self._changing: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()

    async def get(self, key: bytes) -> ContextRecord | None:
        """Return what is kept of a context, or ``None``."""
        try:
            return await self._store.get(key + self._suffix)
        except Exception:  # noqa: BLE001 - what was kept can be chosen again
            _log.exception("the context store failed, choosing a view again")
            return None

    async def add(self, key: bytes, record: ContextRecord) -> ContextRecord:
        """Keep a record unless there is one; return the one that is kept."""
        try:
            return await self._store.add(key + self._suffix, record)
        except Exception:  # noqa: BLE001 - the next request chooses the same view again
            _log.exception("the context store failed, a view is not kept")
            return record

    async def change(self, key: bytes, change: Callable[[ContextRecord], ContextRecord]) -> Changed | None:
        """Change what is kept of a context.

        Args:
            key: Of the context.
            change: Takes the record, returns what it becomes. Called again where another process was faster.

        Returns:
            What changed, or ``None`` where nothing is kept or the store fails.
        """
        # One change at a time in this process: of those that try side by side, only one can succeed.
        async with self._changing.setdefault(key, asyncio.Lock()):
            try:
                return await self._changed(key + self._suffix, change)
            except Exception:  # noqa: BLE001 - the view is as it was, and search leads to every tool
                _log.exception("the context store failed, a view stays as it is")
                return None

    async def _changed(self, key: bytes, change: Callable[[ContextRecord], ContextRecord]) -> Changed | None:
        for _ in range(_TRIES):
            before = await self._store.get(key)
            if before is None:
                return None
            after = change(before)
            if after == before or await self._store.replace(key, before, after):
                return Changed(before, after)
        _log.warning("a context was changed %d times while it was to be changed; it stays as it is", _TRIES)
        return None
