"""What one process goes on with while an engine does not answer: records as it knew them last."""

from __future__ import annotations

import math
import time
from typing import Final, NamedTuple

import msgspec

from scopedtools.context.owned import Owned
from scopedtools.storage import ContextRecord

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(ContextRecord).decode


_SHARE: Final = 8
"""No principal has more than one part of so many of all copies."""

_CHANGES: Final = 3
"""Changes, for each copy that there may be, from which on those without a copy are looked for."""


_MARK_BYTES: Final = 4
"""Copies begin with the number of outages that were over when they were made."""


class Change(NamedTuple):
    """A record that was changed here alone.

    Attributes:
        base: What the engine kept when it was last heard of, encoded; ``b""`` where nothing is known.
        tries: How often bringing it to the engine has failed.
    """

    base: bytes
    tries: int = 0


class Copies:
    """Copies of records, those used last, and which of them are to be brought to the engine.

    However many contexts one principal makes up while there is no engine, those of the others stay.

    Args:
        max_items: Most copies of records of principals, and most of those of nobody.
        max_bytes: Most bytes that these may take, about, and those.
    """

    def __init__(self, *, max_items: int, max_bytes: int) -> None:
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._kept: Owned[bytes] = Owned(
            max_items, max_bytes, math.inf, time.monotonic, max_per_owner=max(1, max_items // _SHARE)
        )
        self._bases_bytes = 0
        self._outages = 0
        self._mark = bytes(_MARK_BYTES)
        self.changes: dict[bytes, Change] = {}

    def get(self, key: bytes) -> ContextRecord | None:
        """Return the copy of a record, or ``None``."""
        kept = self._kept.get(key)
        return None if kept is None else _decode(kept[_MARK_BYTES:])

    def end_outage(self) -> None:
        """Take note that the engine answers again, perhaps without what it had."""
        self._outages += 1
        self._mark = self._outages.to_bytes(_MARK_BYTES, "big")

    def of_before(self, key: bytes) -> ContextRecord | None:
        """Return the copy of a record of which the engine was not heard since an outage, or ``None``."""
        kept = self._kept.get(key)
        return None if kept is None or kept.startswith(self._mark) else _decode(kept[_MARK_BYTES:])

    def see(self, key: bytes, record: ContextRecord | None) -> None:
        """Take note of what the engine keeps."""
        if record is None:
            self._kept.drop(key)
        else:
            self._put(key, record)

    def add(self, key: bytes, record: ContextRecord) -> ContextRecord:
        """Keep a record here unless there is one; return the one that is kept."""
        kept = self.get(key)
        if kept is not None:
            return kept
        self._put(key, record)
        self.put_change(key, Change(b""))
        return record

    def replace(self, key: bytes, before: ContextRecord, after: ContextRecord) -> bool:
        """Keep ``after`` here where ``before`` is; tell whether it was."""
        kept = self._kept.get(key)
        base = _encode(before)
        if kept is None or kept[_MARK_BYTES:] != base:
            return False
        self._put(key, after)
        if key not in self.changes:
            self.put_change(key, Change(base))
        return True

    def put_change(self, key: bytes, change: Change) -> None:
        """Note that a record is to be brought to the engine, which needs its copy."""
        self.drop_change(key)
        self.changes[key] = change
        self._bases_bytes += len(change.base)
        if self._has_too_many_changes():
            for lost in [one for one in self.changes if one not in self._kept]:
                self.drop_change(lost)
        while self._has_too_many_changes():  # though what they are about is smaller now than it was
            self.drop_change(next(iter(self.changes)))

    def drop_change(self, key: bytes) -> Change | None:
        """Forget that a record is to be brought to the engine; return what was noted of it."""
        change = self.changes.pop(key, None)
        if change is not None:
            self._bases_bytes -= len(change.base)
        return change

    def _put(self, key: bytes, record: ContextRecord) -> None:
        self._kept.put(key, self._mark + _encode(record))

    def _has_too_many_changes(self) -> bool:
        return (
            len(self.changes) > _CHANGES * self._max_items or self._bases_bytes > _CHANGES * self._max_bytes
        )


def brought(change: Change, kept: ContextRecord, local: ContextRecord) -> ContextRecord:
    """Return what the engine is to keep of a record that was changed here while it did not answer.

    Args:
        change: What is known of the change.
        kept: What the engine keeps now.
        local: What the record has become here.
    """
    if _encode(kept) == change.base:
        return local
    # Another process was faster: what it shows stays where it is.
    there = frozenset(kept.rows)
    rows = tuple([row for row in dict.fromkeys(local.rows) if row not in there])
    additions = tuple([one for one in local.additions if one.row not in there])
    return kept._replace(
        rows=kept.rows + rows,
        turns=kept.turns or local.turns,
        additions=kept.additions + additions,
        seeded=kept.seeded or local.seeded,
    )
