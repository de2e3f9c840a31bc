"""Records as bytes, for engines that keep bytes."""

from __future__ import annotations

from typing import Final

import msgspec

from scopedtools.storage import ContextRecord

LAYOUT: Final = 1
"""Of the bytes. Part of keys: what another layout wrote is not there, so its views are chosen again."""

encoded: Final = msgspec.msgpack.Encoder().encode
"""Takes a record, returns bytes; the same for equal records, so that they can be compared in the engine."""

decoded: Final = msgspec.msgpack.Decoder(ContextRecord).decode
"""Takes the bytes of a record, returns the record; raises `msgspec.DecodeError`."""
