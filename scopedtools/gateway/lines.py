"""Lines out of a stream of bytes, none longer than a bound."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

ENDS: Final = 512
"""Bytes that are kept of the beginning and of the end of a line that is too long."""


class TooLong(NamedTuple):
    """A line that was not kept.

    Attributes:
        head: Its first bytes.
        tail: Its last bytes.
        size: How many bytes it had.
    """

    head: bytes
    tail: bytes
    size: int


class Lines:
    """Cuts chunks into lines, without joining what is read again and again.

    Args:
        max_bytes: Longer lines are not kept.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._begin()

    def _begin(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._head = b""
        self._tail = b""

    def feed(self, chunk: bytes) -> Iterator[bytes | TooLong]:
        """Yield the lines that end in a chunk, without their ends."""
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            self._add(part)
            yield self._line()
            self._begin()
        self._add(rest)

    def _add(self, part: bytes) -> None:
        self._size += len(part)
        if len(self._head) < ENDS:
            self._head += part[: ENDS - len(self._head)]
        self._tail = (self._tail + part)[-ENDS:] if len(part) < ENDS else part[-ENDS:]
        if self._size > self._max_bytes:
            self._parts.clear()
        else:
            self._parts.append(part)

    def _line(self) -> bytes | TooLong:
        if self._size > self._max_bytes:
            return TooLong(self._head, self._tail, self._size)
        return b"".join(self._parts)
