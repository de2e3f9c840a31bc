"""Results that many requests get: encoded once."""

from __future__ import annotations

from copy import deepcopy
from typing import Final

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from scopedtools.protocol.results import Result, stamp
from scopedtools.protocol.revisions import Revision

_encode: Final = msgspec.json.Encoder().encode


class Prepared:
    """A result that a handler gives to one request after the other, and that never changes.

    Attributes:
        result: The result, for those who look at it.
        revision: Of the requests that get it.
    """

    __slots__ = ("_encoded", "result", "revision")

    def __init__(self, result: Result, revision: Revision) -> None:
        self.result = result
        self.revision = revision
        self._encoded: Raw | None = None

    def copy(self) -> Result:
        """Return the result for somebody who may change it."""
        return replace(self.result, meta=deepcopy(self.result.meta))

    def encoded(self, server_info: Raw) -> Raw:
        """Return the whole result as JSON, with what the revision asks of every result.

        Args:
            server_info: Encoded name and version; the same each time.
        """
        if self._encoded is None:
            self._encoded = Raw(_encode(stamp(self.result, self.revision, server_info)))
        return self._encoded
