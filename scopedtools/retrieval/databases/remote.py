"""The vectors of a catalog in a database: it tells which are near, this process what they score."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Final, Protocol

import cachetools
import numpy as np
import numpy.typing as npt

from scopedtools.exceptions import VectorsUnavailableError
from scopedtools.retrieval.layout import Layout, Ordinals, best_of_row
from scopedtools.retrieval.vectors import DECIMALS, exact_products, members
from scopedtools.types import Rows

if TYPE_CHECKING:
    from scopedtools.types import Vectors

Scores = npt.NDArray[np.float64]

_SPARE: Final = 16
"""Vectors fetched beyond those asked for, so that the order of equal scores is ours at the edge."""

_SETS: Final = 16
"""Permitted sets whose vectors are remembered, the least recently used go first."""

_FETCHED: Final = 2048
"""Vectors fetched in one go; bounds what an answer takes of memory."""


class Allowed:
    """The numbers, in the database, of the vectors that a search may find.

    Args:
        numbers: int64, ascending, distinct.

    Attributes:
        numbers: Likewise.
    """

    def __init__(self, numbers: Ordinals) -> None:
        self.numbers = numbers

    def __len__(self) -> int:
        return len(self.numbers)

    @cached_property
    def bitmap(self) -> bytes:
        """Bit *i* of it is set where number *i* is among them, the lowest bit of a byte first."""
        bits = np.zeros(int(self.numbers[-1]) + 1, dtype=np.bool_)
        bits[self.numbers] = True
        return np.packbits(bits, bitorder="little").tobytes()


class Table(Protocol):
    """What a database does for one encoder: it holds vectors under numbers of its own."""

    def search(self, queries: Vectors, allowed: Allowed, n: int) -> tuple[list[Ordinals], bool]:
        """Find the ``n`` allowed vectors nearest to each query; there are as many.

        Returns:
            For each query numbers, best first, and whether they are surely the nearest but for rounding.

        Raises:
            VectorsUnavailableError: It does not answer, or has lost vectors.
        """
        ...

    def fetch(self, numbers: Sequence[int]) -> Vectors:
        """Return vectors in this order, float32, shape ``(len(numbers), d)``.

        Raises:
            VectorsUnavailableError: It does not answer, or has lost vectors.
        """
        ...


class RemoteVectors:
    """``RowVectors`` in a database. What was fetched lately is remembered: vectors never change.

    Args:
        table: Where they are.
        numbers: Number of each text's vector in the database; texts that are equal share one.
        row_of: Row of each text.
        dimensions: Length of a vector.
        remembered: Most vectors that are kept in this process.
    """

    def __init__(
        self, table: Table, numbers: Ordinals, row_of: Ordinals, *, dimensions: int, remembered: int
    ) -> None:
        self._table = table
        self._numbers = numbers
        self._layout = Layout(row_of)
        self._dimensions = dimensions
        self._distinct, self._which = np.unique(numbers, return_inverse=True)
        # Rows by the vectors that they have: those of distinct vector i from the i-th start on.
        self._by_vector = np.argsort(self._which, kind="stable")
        self._starts = np.append(0, np.cumsum(np.bincount(self._which, minlength=len(self._distinct))))
        self._sets: OrderedDict[bytes, Allowed] = OrderedDict()
        self._vectors: cachetools.LRUCache[int, npt.NDArray[np.float32]] = cachetools.LRUCache(remembered)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._layout)

    @property
    def waits(self) -> bool:
        """Whether a search waits for another process."""
        return True

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self._layout.rows

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return self._dimensions

    def nearest(self, queries: Vectors, permitted: npt.NDArray[np.bool_], k: int) -> list[Ordinals]:
        """Find the ``k`` permitted rows nearest to each query; see ``RowVectors``."""
        rows = np.flatnonzero(permitted)
        if len(rows) <= k:
            return [rows] * len(queries)
        allowed = self._allowed(permitted)
        n = min(k + _SPARE, len(allowed))
        while True:
            found, exact = self._table.search(queries, allowed, n)
            vectors = self._known(np.concatenate(found))
            best = []
            for query, numbers in zip(queries, found, strict=True):
                few = self._best_rows(query, numbers, vectors, permitted, k, sure=exact and n < len(allowed))
                best.append(few)
            known = [one for one in best if one is not None]
            if len(known) == len(best) or n == len(allowed):
                return known
            n = min(2 * n, len(allowed))

    def scores(self, queries: Vectors, rows: Ordinals) -> Scores:
        """Score rows exactly, here; see ``RowVectors``."""
        if not len(rows):
            return np.empty((len(queries), 0), dtype=np.float64)
        places, first = self._layout.places(rows)
        vectors = self._at(places)
        products = exact_products(queries, vectors, np.arange(len(vectors)))
        return best_of_row(products, first).round(DECIMALS)

    def best(self, queries: Vectors, within: Rows) -> Scores:
        """Return the score of the permitted row nearest to each of many queries; see ``RowVectors``."""
        best = np.zeros(len(queries), dtype=np.float64)
        permitted = members(within, self.rows)
        if permitted.any():
            found, _ = self._table.search(queries, self._allowed(permitted), 1)
            vectors = self._known(np.concatenate(found))
            nearest = np.stack([vectors[int(numbers[0])] for numbers in found])
            # One by one, as a score must not depend on what is scored beside it.
            each = np.einsum("qd,qd->q", queries.astype(np.float64), nearest.astype(np.float64))
            np.maximum(best, each.round(DECIMALS), out=best)
        return best

    def likeness(self, some: Ordinals, rows: Ordinals) -> Scores:
        """Compare rows with each other by their first vectors; see ``RowVectors``."""
        theirs, ours = (self._at(self._layout.starts[which]) for which in (some, rows))
        return exact_products(theirs, ours, np.arange(len(ours))).round(DECIMALS)

    def of(self, rows: Ordinals) -> Vectors:
        """Return all vectors of rows, in the order of the rows."""
        return self._at(self._layout.places(rows)[0])

    def _allowed(self, permitted: npt.NDArray[np.bool_]) -> Allowed:
        key = np.packbits(permitted).tobytes()
        with self._lock:
            found = self._sets.get(key)
            if found is not None:
                self._sets.move_to_end(key)
                return found
        distinct = np.zeros(len(self._distinct), dtype=np.bool_)
        distinct[self._which[permitted[self._layout.row_of]]] = True
        found = Allowed(self._distinct[distinct])
        with self._lock:
            self._sets[key] = found
            if len(self._sets) > _SETS:
                self._sets.popitem(last=False)
        return found

    def _best_rows(
        self,
        query: npt.NDArray[np.float32],
        numbers: Ordinals,
        vectors: dict[int, npt.NDArray[np.float32]],
        permitted: npt.NDArray[np.bool_],
        k: int,
        *,
        sure: bool,
    ) -> Ordinals | None:
        """Return the ``k`` best rows of the vectors that were found; ``None`` where more must be fetched."""
        near = np.stack([vectors[number] for number in numbers.tolist()])
        scores = exact_products(query[np.newaxis], near, np.arange(len(near)))[0].round(DECIMALS)
        which = np.searchsorted(self._distinct, numbers)
        counts = self._starts[which + 1] - self._starts[which]
        first = np.cumsum(counts) - counts
        texts = self._by_vector[np.repeat(self._starts[which] - first, counts) + np.arange(int(counts.sum()))]
        rows, score_of = self._layout.row_of[texts], np.repeat(scores, counts)
        order = np.lexsort((rows, -score_of))
        order = order[permitted[rows[order]]]
        _, places = np.unique(rows[order], return_index=True)
        order = order[np.sort(places)]
        if len(order) < k:
            return None
        # What float32 may be off by: the sum of d products of unit vectors, then the decimals.
        slack = self._dimensions * 2.0**-24 + 10.0**-DECIMALS
        if sure and score_of[order[k - 1]] <= scores.min() + slack:
            return None
        return rows[order[:k]]

    def _at(self, places: Ordinals) -> Vectors:
        numbers = self._numbers[places]
        known = self._known(numbers)
        if not len(numbers):
            return np.empty((0, self._dimensions), dtype=np.float32)
        return np.stack([known[number] for number in numbers.tolist()])

    def _known(self, numbers: Ordinals) -> dict[int, npt.NDArray[np.float32]]:
        """Return vectors by their numbers, those not remembered from the database."""
        wanted = set(numbers.tolist())
        with self._lock:
            known = {one: found for one in wanted if (found := self._vectors.get(one)) is not None}
        missing = sorted(wanted - known.keys())
        for start in range(0, len(missing), _FETCHED):
            some = missing[start : start + _FETCHED]
            # Copied, so that one that is remembered does not keep all of them in memory.
            fetched = dict(zip(some, map(np.copy, self._table.fetch(some)), strict=True))
            known.update(fetched)
            with self._lock:
                self._vectors.update(fetched)
        return known


def lost(what: str, *, expected: int, got: int) -> VectorsUnavailableError:
    """Return the error of a database that has fewer vectors than were kept there."""
    return VectorsUnavailableError(f"{what} must have {expected} vectors of this catalog, got {got}")
