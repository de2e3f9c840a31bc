"""Which vectors belong to which row."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

Ordinals = npt.NDArray[np.int64]
_Products = TypeVar("_Products", npt.NDArray[np.float32], npt.NDArray[np.float64])


class Layout:
    """Rows and the places of their vectors, which stand in the order of rows. Immutable.

    Args:
        row_of: Row of each vector; int64, shape ``(vectors,)``, ascending, without gaps from 0.

    Attributes:
        row_of: Likewise.
        starts: Place of the first vector of each row, shape ``(rows,)``.
    """

    def __init__(self, row_of: Ordinals) -> None:
        self.row_of = row_of
        self.starts: Ordinals = np.flatnonzero(np.diff(row_of, prepend=-1))
        self._counts = np.diff(self.starts, append=len(row_of))

    def __len__(self) -> int:
        return len(self.row_of)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.starts)

    def places(self, rows: Ordinals) -> tuple[Ordinals, Ordinals]:
        """Return the places of the vectors of rows, and where among these each row begins."""
        if len(self) == self.rows:
            return rows, rows
        counts = self._counts[rows]
        first = np.cumsum(counts) - counts
        return np.repeat(self.starts[rows] - first, counts) + np.arange(counts.sum()), first


def best_of_row(products: _Products, first: Ordinals) -> _Products:
    """Return the best of the products of each row's vectors, which begin at these places."""
    return products if products.shape[1] == len(first) else np.maximum.reduceat(products, first, axis=1)
