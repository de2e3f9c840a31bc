"""Records as bytes, for engines that keep bytes."""

from __future__ import annotations

import logging
from typing import Final

import msgspec

from scopedtools.storage import ContextRecord

LAYOUT: Final = 1
"""Of the bytes. Part of keys: what another layout wrote is not there, so its views are chosen again."""

encoded: Final = msgspec.msgpack.Encoder().encode
"""Takes a record, returns bytes; the same for equal records, so that they can be compared in the engine."""

_decode: Final = msgspec.msgpack.Decoder(ContextRecord).decode

_log: Final = logging.getLogger(__name__)


def decoded(kept: bytes) -> ContextRecord | None:
    """Return the record that was kept as these bytes, or ``None`` where they are none.

    That is no failure of an engine, which would be left alone for it: the view is chosen again.
    """
    try:
        return _decode(kept)
    except msgspec.DecodeError as error:
        _log.warning("what is kept of a context is no record: %s", error)
        return None


def name_bytes(name: str) -> bytes:
    """Return the name of a value as engines keep it. It comes from JSON, which may hold half a pair."""
    return name.encode("utf-8", "surrogatepass")


def name_of(kept: bytes) -> str:
    """Return the name of a value that an engine keeps."""
    return kept.decode("utf-8", "surrogatepass")
