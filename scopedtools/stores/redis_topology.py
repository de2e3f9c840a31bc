"""Which server of a cluster has which keys."""

from __future__ import annotations

import binascii
from bisect import bisect
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeAlias

_SLOTS: Final = 16_384

Address: TypeAlias = tuple[str, int]
"""Host and port."""


class _Range(NamedTuple):
    first: int
    last: int
    primary: Address


class Topology:
    """What is known of a cluster, from one of its servers.

    Args:
        seeds: Servers to ask first.

    Attributes:
        is_current: Whether nothing has happened that a change of the cluster would explain.
        suspect: The server that failed last, which is asked after all others.
    """

    def __init__(self, seeds: Sequence[Address]) -> None:
        self._seeds = tuple(seeds)
        self._ranges: tuple[_Range, ...] = ()
        self._servers: frozenset[Address] = frozenset()
        self.is_current = False
        self.suspect: Address | None = None

    @property
    def servers(self) -> frozenset[Address]:
        """All servers, replicas too; empty until something is known."""
        return self._servers

    def to_ask(self) -> list[Address]:
        """Return servers that may know the cluster, the most promising first."""
        known = dict.fromkeys([*self._servers, *self._seeds])
        return sorted(known, key=lambda address: address == self.suspect)

    def learn(self, answer: Sequence[Any], asked: Address) -> None:
        """Take over what a server says.

        Args:
            answer: To ``CLUSTER SLOTS``.
            asked: The server; one that does not know its own host says nothing or ``?``.
        """
        ranges: list[_Range] = []
        servers: set[Address] = set()
        for first, last, *nodes in answer:
            addresses = [_address(node, asked) for node in nodes]
            servers.update(addresses)
            ranges.append(_Range(first, last, addresses[0]))
        self._ranges, self._servers = tuple(sorted(ranges)), frozenset(servers)
        self.is_current = True

    def primary_of(self, key: bytes) -> Address | None:
        """Return the server that has a key, or ``None`` where nobody does, as far as is known."""
        slot = slot_of(key)
        place = bisect(self._ranges, slot, key=lambda one: one.first) - 1
        if place < 0 or slot > self._ranges[place].last:
            return None
        return self._ranges[place].primary


def slot_of(key: bytes) -> int:
    """Return the slot of a key, which is that of what stands in its first braces, if anything does."""
    _, brace, rest = key.partition(b"{")
    tag, closing, _ = rest.partition(b"}")
    return binascii.crc_hqx(tag if brace and closing and tag else key, 0) % _SLOTS


def _address(node: Sequence[Any], asked: Address) -> Address:
    host = node[0].decode() if node[0] else ""
    return (asked[0] if host in {"", "?"} else host, node[1])
