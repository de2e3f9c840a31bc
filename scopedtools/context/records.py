"""What is kept of contexts: read, begun once, and changed so that nothing that was added is lost."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable
from typing import Final, NamedTuple
from weakref import WeakValueDictionary

from scopedtools.catalog.catalog import Catalog
from scopedtools.catalog.view import View
from scopedtools.context.naming import merged, placed, stored
from scopedtools.exceptions import StoreUnavailableError
from scopedtools.memo import Memo
from scopedtools.storage import ContextRecord, ContextStore

_SEEN: Final = 4096
"""Records that are remembered as this catalog sees them; contexts ask for the same one again and again."""

_TRIES: Final = 32
"""Each try that fails is one in which another process changed the same context."""

_log: Final = logging.getLogger(__name__)


class Changed(NamedTuple):
    """What a record was, and what it has become; the same where there was nothing to change."""

    before: ContextRecord
    after: ContextRecord


class Records:
    """The records of one server in a store. A store that fails costs what was kept, never an answer.

    The store names rows by `Catalog.ids`, so a view outlives its catalog, and servers with different catalogs
    share it while a new one is rolled out: each sees the rows that it has, and keeps the others' places.
    Whoever asks here gets and gives ordinals of one catalog.

    Every method raises `StoreUnavailableError` where the store does: then a view is a restriction, and none
    may be chosen in its place.

    Args:
        store: Keeps them, perhaps for several processes.
        catalog: What there is.
        choosable: Rows that no view shows unless they were chosen.
        name: Of the server; others may use the same store.
    """

    def __init__(self, store: ContextStore, catalog: Catalog, *, choosable: View, name: str) -> None:
        self._store = store
        self._catalog = catalog
        self._choosable = choosable
        self._seen: Memo[ContextRecord] = Memo(max_items=_SEEN)
        self._suffix = hashlib.blake2b(name.encode(), digest_size=16).digest()
        self._changing: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()
        self._failing: set[str] = set()

    async def get(self, key: bytes) -> ContextRecord | None:
        """Return what is kept of a context, or ``None``."""
        try:
            record = await self._store.get(key + self._suffix)
        except StoreUnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 - what was kept can be chosen again
            self._failed(error, "choosing views again")
            return None
        self._succeeded("choosing views again")
        return None if record is None else self._placed(record)

    async def add(self, key: bytes, record: ContextRecord) -> ContextRecord:
        """Keep a record unless there is one; return the one that is kept."""
        try:
            kept = await self._store.add(key + self._suffix, stored(record, self._catalog))
        except StoreUnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 - the next request chooses the same view again
            self._failed(error, "views are not kept")
            return record
        self._succeeded("views are not kept")
        return self._placed(kept)

    async def change(self, key: bytes, change: Callable[[ContextRecord], ContextRecord]) -> Changed | None:
        """Change what is kept of a context.

        Args:
            key: Of the context.
            change: Takes the record, returns what it becomes: rows and additions are only appended. Called
                again where another process was faster.

        Returns:
            What changed, or ``None`` where nothing is kept or the store fails.
        """
        # One change at a time in this process: of those that try side by side, only one can succeed.
        async with self._changing.setdefault(key, asyncio.Lock()):
            try:
                changed = await self._changed(key + self._suffix, change)
            except StoreUnavailableError:
                raise
            except Exception as error:  # noqa: BLE001 - the view is as it was, and search leads to every tool
                self._failed(error, "views stay as they are")
                return None
        self._succeeded("views stay as they are")
        return changed

    def _failed(self, error: Exception, so: str) -> None:
        # Once for each outage, not for each request.
        if so not in self._failing:
            self._failing.add(so)
            _log.error("the context store failed, %s", so, exc_info=error)

    def _succeeded(self, so: str) -> None:
        if so in self._failing:
            self._failing.discard(so)
            _log.warning("the context store answers again, after: %s", so)

    def _placed(self, record: ContextRecord) -> ContextRecord:
        seen = self._seen.get(record)
        if seen is not None:
            return seen
        here = placed(record, self._catalog, self._choosable)
        return self._seen.put(record, here) if self._seen.admits(record) else here

    async def _changed(self, key: bytes, change: Callable[[ContextRecord], ContextRecord]) -> Changed | None:
        for _ in range(_TRIES):
            kept = await self._store.get(key)
            if kept is None:
                return None
            before = self._placed(kept)
            after = change(before)
            if after == before:
                return Changed(before, after)
            if await self._store.replace(key, kept, merged(kept, before, after, self._catalog)):
                return Changed(before, after)
        _log.warning("a context was changed %d times while it was to be changed; it stays as it is", _TRIES)
        return None
