"""How many values a message holds, before it is parsed: many small ones cost far more than their bytes."""

from __future__ import annotations

import re
from typing import Final

_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_MARKS: Final = (b",", b"[", b"{")


class Values:
    """Counts the values of JSON that comes in chunks.

    Args:
        events: Each message is an event of a stream, and is counted for itself.

    Attributes:
        count: Of the message that is coming.
        most: Of the largest so far.
    """

    def __init__(self, *, events: bool = False) -> None:
        self.count = 0
        self.most = 0
        self._events = events
        self._open = b""  # the beginning of a string whose end has not come
        self._held = b""
        self._is_line_empty = True

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes."""
        data = self._held + chunk
        self._held = b"\r" if data.endswith(b"\r") else b""  # half a line end, perhaps
        data = data.removesuffix(b"\r").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        first, *lines = data.split(b"\n")
        self._take(first)
        for line in lines:
            if self._is_line_empty and self._events:
                self.count = 0
            # No string goes on in another line, so that none that is not JSON opens one for what is.
            self._open, self._is_line_empty = b"", True
            self._take(line)

    def _take(self, part: bytes) -> None:
        if not part:
            return
        self._is_line_empty = False
        rest = _STRING.sub(b"", self._open + part)
        rest, quote, inside = rest.partition(b'"')
        slashes = len(inside) - len(inside.rstrip(b"\\"))
        self._open = quote + b"\\" * (slashes % 2)
        self.count += sum(map(rest.count, _MARKS))
        self.most = max(self.most, self.count)


def has_more_values(message: bytes, limit: int) -> bool:
    """Tell whether a message has more values than it may."""
    if sum(map(message.count, _MARKS)) <= limit:
        return False
    values = Values()
    values.feed(message)
    return values.most > limit
