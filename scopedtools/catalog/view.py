"""A set of catalog rows in a stable order: what a context is shown, what a caller may use."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from scopedtools.types import Rows

if TYPE_CHECKING:
    from scopedtools.catalog.catalog import Catalog
    from scopedtools.catalog.primitives import Kind, Primitive


ORDERED: Final = 10_000
"""Rows up to which a lasting set keeps its order: that takes a hundred times as much as the set."""


class View:
    """An immutable set of rows of one catalog.

    ``|``, ``&`` and ``-`` are set algebra and make new views: a union is in catalog order, the others
    keep the order of the left side. `then` appends, for lists that only grow.

    Inside it is an ``int`` whose bit *i* is row *i*, an order, or both; each is derived from the other
    when it is first asked for, so that algebra over a large catalog and a list of a few rows both stay
    cheap. What is made of the catalog's own sets alone, as permission mostly is, is made once.

    Attributes:
        catalog: Whose rows they are.
        lasting: Whether it is such a set.
    """

    __slots__ = ("_bits", "_count", "_order", "_packed", "_revision", "catalog", "lasting")

    def __init__(
        self,
        catalog: Catalog,
        bits: Rows | None = None,
        order: tuple[int, ...] | None = None,
        *,
        lasting: bool = False,
    ) -> None:
        if bits is None and order is None:
            raise TypeError("a View needs bits or an order")
        self.catalog = catalog
        self.lasting = lasting
        self._bits = bits
        self._order = order
        self._count = -1 if order is None else len(order)
        self._packed: bytes | None = None
        self._revision: str | None = None

    @property
    def bits(self) -> Rows:
        """The rows as an ``int``: bit *i* is row *i*."""
        if self._bits is None:
            self._bits = bits_of(self._order or ())
        return self._bits

    @property
    def order(self) -> tuple[int, ...]:
        """Ordinals of the rows, in the order in which they are listed."""
        if self._order is not None:
            return self._order
        order = ordinals(self._bits or 0)
        if not self.lasting or len(order) <= ORDERED:
            self._order = order
        return order

    @property
    def revision(self) -> str:
        """Digest of what is shown and in which order; equal wherever the same is shown, in every process."""
        if self._revision is None:
            digests = self.catalog.digests
            shown = b"".join([digests[row] for row in self.order])
            self._revision = hashlib.blake2b(shown, digest_size=8).hexdigest()
        return self._revision

    def tagged(self, *tags: str) -> View:
        """Return the rows that carry any of the tags."""
        return self & self.catalog.tagged(*tags)

    def named(self, *names: str) -> View:
        """Return the rows that have any of the names."""
        return self & self.catalog.named(*names)

    def of(self, kind: Kind) -> View:
        """Return the rows of one kind."""
        if self.lasting or self._order is None:
            return self.catalog.of(kind) & self
        kinds = self.catalog.kinds
        return View(self.catalog, order=tuple([row for row in self._order if kinds[row] == kind]))

    def meets(self, other: View) -> bool:
        """Tell whether there is a row in both views."""
        if self._order is None:
            return bool(self.bits & other.bits)
        if len(other) < len(self._order):
            return any(map(self._has, other.order))
        return any(map(other._has, self._order))

    def then(self, other: View) -> View:
        """Return these rows, followed by those of another view that are not among them."""
        self._require_same_catalog(other)
        have = set(self.order)
        return View(self.catalog, order=self.order + tuple([row for row in other.order if row not in have]))

    def __or__(self, other: View) -> View:
        self._require_same_catalog(other)
        return self.catalog.combined("|", self, other)

    def __and__(self, other: View) -> View:
        self._require_same_catalog(other)
        if other is self or other is self.catalog.all:
            return self
        if self.lasting or self._order is None:
            return self.catalog.combined("&", self, other)
        has = other._has
        return View(self.catalog, order=tuple([row for row in self._order if has(row)]))

    def __sub__(self, other: View) -> View:
        self._require_same_catalog(other)
        if self.lasting or self._order is None:
            return self.catalog.combined("-", self, other)
        has = other._has
        return View(self.catalog, order=tuple([row for row in self._order if not has(row)]))

    def _has(self, row: int) -> bool:
        # To look at one bit of an integer of a million, Python copies the integer.
        if self._packed is None:
            self._packed = self.bits.to_bytes((len(self.catalog) + 7) // 8, "little")
        return bool(self._packed[row >> 3] >> (row & 7) & 1)

    def _require_same_catalog(self, other: View) -> None:
        if other.catalog is not self.catalog:
            raise ValueError("views of different catalogs cannot be combined; derive both from one catalog")

    def __contains__(self, row: int | Primitive) -> bool:
        ordinal = row if isinstance(row, int) else self.catalog.find(row.kind, row.identity)
        return ordinal is not None and 0 <= ordinal < len(self.catalog) and self._has(ordinal)

    def __len__(self) -> int:
        if self._count < 0:
            self._count = self.bits.bit_count()
        return self._count

    def __bool__(self) -> bool:
        return bool(self._order) if self._order is not None else bool(self._bits)

    def __iter__(self) -> Iterator[Primitive]:
        return (self.catalog.rows[row] for row in self.order)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, View):
            return NotImplemented
        return self.catalog is other.catalog and self.order == other.order

    def __hash__(self) -> int:
        return hash((id(self.catalog), self.order))

    def __repr__(self) -> str:
        return f"<View of {len(self)} of {len(self.catalog)} rows>"


def bits_of(rows: Iterable[int]) -> Rows:
    """Return a set of rows as an ``int``."""
    # Setting one bit at a time would copy the whole integer once for each row.
    rows = tuple(rows)
    packed = bytearray(max(rows, default=-1) // 8 + 1)
    for row in rows:
        packed[row >> 3] |= 1 << (row & 7)
    return int.from_bytes(packed, "little")


def ordinals(bits: Rows) -> tuple[int, ...]:
    """Return the rows of an ``int`` in ascending order; linear in the highest row."""
    # Taking out one bit at a time would copy the whole integer once for each row.
    return tuple(row for row, bit in enumerate(reversed(bin(bits))) if bit == "1")
