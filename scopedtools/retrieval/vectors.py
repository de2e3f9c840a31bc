"""Exact inner product over unit vectors, several to a row, restricted to permitted rows. FAISS inside."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from scopedtools.types import Rows

if TYPE_CHECKING:
    from scopedtools.types import Vectors

Ordinals = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]

DECIMALS: Final = 6
"""Scores are rounded to these decimals: far above the noise of float32 sums, far below what matters."""


def members(within: Rows, n: int) -> npt.NDArray[np.bool_]:
    """Return a set of rows as booleans, shape ``(n,)``; rows beyond ``n`` are left out."""
    size = (n + 7) // 8
    bits = np.frombuffer((within & ((1 << n) - 1)).to_bytes(size, "little"), dtype=np.uint8)
    return np.unpackbits(bits, count=n, bitorder="little").view(np.bool_)


class VectorIndex:
    """Finds the rows whose best vector is nearest to a query. Immutable; searches may run in parallel.

    Args:
        index: FAISS index with inner product; vector *i* belongs to ``row_of[i]``.
        row_of: int64, shape ``(vectors,)``, ascending, without gaps from 0.
    """

    def __init__(self, index: Any, row_of: Ordinals) -> None:
        if index.ntotal != len(row_of):
            raise ValueError(
                f"row_of must have one row for each of {index.ntotal} vectors, got {len(row_of)}"
            )
        self._index = index
        self._row_of = row_of
        self._starts = np.flatnonzero(np.diff(row_of, prepend=-1))
        self._counts = np.diff(self._starts, append=len(row_of))

    @classmethod
    def build(cls, vectors: Vectors, row_of: Ordinals) -> VectorIndex:
        """Index vectors: float32, shape ``(n, d)``, unit rows; vector *i* belongs to ``row_of[i]``."""
        faiss = _faiss()
        index = faiss.IndexFlatIP(vectors.shape[1])
        index.add(np.ascontiguousarray(vectors, dtype=np.float32))
        return cls(index, row_of)

    @classmethod
    def load(cls, path: Path, row_of: Ordinals) -> VectorIndex:
        """Map a saved index into memory, so that processes share it; the file must never change."""
        faiss = _faiss()
        # IO_FLAG_MMAP has no effect on flat indexes; this one maps them.
        return cls(faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC), row_of)

    def save(self, path: Path) -> None:
        """Write the vectors to a file that does not exist yet."""
        faiss = _faiss()
        faiss.write_index(self._index, str(path))

    def __len__(self) -> int:
        return len(self._row_of)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self._starts)

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return int(self._index.d)

    @property
    def vectors(self) -> Vectors:
        """All vectors, float32, shape ``(n, d)``: a view of the index, not to be written to."""
        faiss = _faiss()
        n, d = self._index.ntotal, self._index.d
        view: Vectors = faiss.rev_swig_ptr(self._index.get_xb(), n * d).reshape(n, d)
        return view

    def search(self, query: npt.NDArray[np.float32], within: Rows, k: int) -> tuple[Ordinals, Scores]:
        """Find the ``k`` permitted rows nearest to a query.

        Args:
            query: float32, shape ``(d,)``, unit length.
            within: Rows that may be found.
            k: Most rows to find.

        Returns:
            Rows (distinct) and their scores, each of shape ``(<=k,)``, by falling score, then rising row.
        """
        permitted = members(within, self.rows)
        mask = permitted[self._row_of]
        available = int(np.count_nonzero(mask))
        fetch = min(k + 8, available)
        while fetch:
            ids, nearest = self._nearest(query, mask, fetch, everything=available == len(mask))
            rows = np.unique(self._row_of[ids])
            # Exact only once no unseen vector can reach the k-th row: rows with several vectors and rows
            # that tie at the edge both need a longer fetch.
            scores = self.scores(query[np.newaxis], rows)[0]
            order = np.lexsort((rows, -scores))[:k]
            if fetch == available or (len(rows) > k and scores[order[-1]] > nearest[-1] + 10.0**-DECIMALS):
                return rows[order], scores[order]
            fetch = min(2 * fetch, available)
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float64)

    def scores(self, queries: Vectors, rows: Ordinals) -> Scores:
        """Score rows exactly: the inner product of each query and the best vector of each row.

        Summed in float64 and rounded, so that a score does not depend on what is scored beside it.

        Args:
            queries: float32, shape ``(q, d)``, unit rows.
            rows: Which rows, shape ``(m,)``.

        Returns:
            float64, shape ``(q, m)``.
        """
        if not len(rows):
            return np.empty((len(queries), 0), dtype=np.float64)
        counts = self._counts[rows]
        first = np.cumsum(counts) - counts
        ids = np.repeat(self._starts[rows] - first, counts) + np.arange(counts.sum())
        products = _products(queries, self.vectors[ids])
        best: Scores = np.maximum.reduceat(products, first, axis=1)
        return np.round(best, DECIMALS)

    def likeness(self, some: Ordinals, rows: Ordinals) -> Scores:
        """Compare rows with each other by their first vectors; float64, shape ``(len(some), len(rows))``."""
        theirs = self.vectors[self._starts[some]]
        return np.round(_products(theirs, self.vectors[self._starts[rows]]), DECIMALS)

    def _nearest(
        self, query: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_], k: int, *, everything: bool
    ) -> tuple[Ordinals, npt.NDArray[np.float32]]:
        """Return ids and scores of the ``k`` nearest permitted vectors; there must be that many."""
        faiss = _faiss()
        # Counts for the calling thread alone. Requests run in parallel already.
        faiss.omp_set_num_threads(1)
        if everything:
            scores, ids = self._index.search(query[np.newaxis], k)
            return ids[0], scores[0]
        # The selector takes a count of bytes and borrows the buffer, which must outlive the search.
        bitmap = np.packbits(mask, bitorder="little")
        selector = faiss.IDSelectorBitmap(len(bitmap), faiss.swig_ptr(bitmap))
        scores, ids = self._index.search(query[np.newaxis], k, params=faiss.SearchParameters(sel=selector))
        return ids[0], scores[0]


def _products(some: Vectors, others: Vectors) -> Scores:
    # Not `@`: BLAS would start threads of its own, which fight over the cores under load.
    products: Scores = np.einsum("qd,md->qm", some.astype(np.float64), others.astype(np.float64))
    return products


def _faiss() -> Any:
    import faiss  # noqa: PLC0415 - a quarter of a second, paid only where there are vectors

    return faiss
