"""Inner products of unit vectors, several to a row, restricted to permitted rows. FAISS inside."""

from __future__ import annotations

from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from scopedtools.retrieval import codes
from scopedtools.retrieval.codes import load_faiss, vectors_of
from scopedtools.retrieval.layout import Layout, Ordinals, best_of_row
from scopedtools.retrieval.matching import found_in
from scopedtools.retrieval.sketch import Sketch
from scopedtools.types import Rows

if TYPE_CHECKING:
    from scopedtools.types import Vectors

Scores = npt.NDArray[np.float64]

DECIMALS: Final = 6
"""Scores are rounded to these decimals: far above the noise of float32 sums, far below what matters."""

EXACT: Final = 4096
"""Among up to so many permitted vectors all are compared, in 2 ms for ten queries; see ``Sketch`` beyond."""

_SPARE: Final = 8
"""Vectors fetched beyond those asked for, so that the order of equal scores is ours at the edge."""

_PRODUCT: Final = 1 << 18
"""Multiplications in one product from which OpenBLAS starts threads."""

_ROWS: Final = 128
"""Vectors in one product at most: memory for more comes from the system each time, page by page."""

_GROUPED: Final = 16
"""Scores for each one wanted from which the best of groups are looked at first."""

_PORTION: Final = 4096
"""Vectors that are compared with many queries at once; bounds what that takes of memory."""


_SETS: Final = 16
"""Sets of rows that are kept as booleans, the least recently used go first."""


@lru_cache(maxsize=_SETS)
def members(within: Rows, n: int) -> npt.NDArray[np.bool_]:
    """Return a set of rows as booleans, shape ``(n,)``, read-only; rows beyond ``n`` are left out."""
    size = (n + 7) // 8
    bits = np.frombuffer((within & ((1 << n) - 1)).to_bytes(size, "little"), dtype=np.uint8)
    found = np.unpackbits(bits, count=n, bitorder="little").view(np.bool_)
    found.setflags(write=False)
    return found


class VectorIndex:
    """Finds the rows whose best vector is nearest to a query. Immutable; searches may run in parallel.

    Args:
        index: FAISS index with inner product; vector *i* belongs to ``row_of[i]``.
        row_of: int64, shape ``(vectors,)``, ascending, without gaps from 0.
        sketch: Of the same vectors; learned where there is none and there are more than ``EXACT``.
    """

    def __init__(self, index: Any, row_of: Ordinals, sketch: Sketch | None = None) -> None:
        if index.ntotal != len(row_of):
            raise ValueError(
                f"row_of must have one row for each of {index.ntotal} vectors, got {len(row_of)}"
            )
        self._index = index
        self._layout = Layout(row_of)
        if sketch is None and len(row_of) > EXACT:
            sketch = Sketch.learn(index)
        self._sketch = sketch

    @classmethod
    def build(cls, vectors: Vectors, row_of: Ordinals) -> VectorIndex:
        """Index vectors: float32, shape ``(n, d)``, unit rows; vector *i* belongs to ``row_of[i]``."""
        return cls(_flat(vectors), row_of)

    def succeed(self, vectors: Vectors, row_of: Ordinals) -> VectorIndex:
        """Index other vectors, many of them the same, for less work where ``build`` takes long.

        Beyond ``codes.ONE_LIST`` vectors, what was learned from these is used again. Which of the last rows
        are missed may then differ from a new index; scores never do.

        Args:
            vectors: As for ``build``.
            row_of: As for ``build``.
        """
        index = _flat(vectors)
        sketch = None
        if self._sketch is not None and self._sketch.narrow and index.d == self.dimensions:
            sketch = self._sketch.succeed(index, found_in(self.vectors, vectors))
        return VectorIndex(index, row_of, sketch)

    @classmethod
    def load(cls, path: Path, row_of: Ordinals) -> VectorIndex:
        """Map a saved index into memory, so that processes share it; the file must never change."""
        faiss = load_faiss()
        # IO_FLAG_MMAP has no effect on flat indexes; this one maps them.
        index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        return cls(index, row_of, Sketch.load(index, path))

    def save(self, path: Path) -> None:
        """Write the vectors, and the codes of many, to a file that does not exist yet.

        It is FAISS's own file of a flat index; codes stand behind what FAISS reads.
        """
        faiss = load_faiss()
        faiss.write_index(self._index, str(path))
        if self._sketch is not None:
            self._sketch.save(path)

    def codes_saved(self, path: Path) -> bool:
        """Tell whether a file of these vectors has their codes, or lacks none that take long to make."""
        return self._sketch is None or not self._sketch.narrow or codes.follow(path)

    def __len__(self) -> int:
        return len(self._layout)

    @property
    def waits(self) -> bool:
        """Whether a search waits for another process."""
        return False

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self._layout.rows

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return int(self._index.d)

    @cached_property
    def vectors(self) -> Vectors:
        """All vectors, float32, shape ``(n, d)``: a view of the index, not to be written to."""
        return vectors_of(self._index)

    def search(self, query: npt.NDArray[np.float32], within: Rows, k: int) -> tuple[Ordinals, Scores]:
        """Find the ``k`` permitted rows nearest to a query; see ``nearest``.

        Args:
            query: float32, shape ``(d,)``, unit length.
            within: Rows that may be found.
            k: Most rows to find.

        Returns:
            Rows (distinct) and their scores, each of shape ``(<=k,)``, by falling score, then rising row.
        """
        (rows,) = self.nearest(query[np.newaxis], members(within, self.rows), k)
        scores = self.scores(query[np.newaxis], rows)[0]
        order = np.lexsort((rows, -scores))
        return rows[order], scores[order]

    def nearest(self, queries: Vectors, permitted: npt.NDArray[np.bool_], k: int) -> list[Ordinals]:
        """Find the ``k`` permitted rows nearest to each query, all queries at once.

        Exact among up to ``EXACT`` permitted vectors, and up to a 32nd of more than ``codes.ONE_LIST``, and
        of equal scores the lower row. Beyond, codes say which vectors are compared, and a few of the last
        rows may be missed; see ``Sketch``.

        Args:
            queries: float32, shape ``(q, d)``, unit rows.
            permitted: Rows that may be found, shape ``(rows,)``.
            k: Most rows to find.

        Returns:
            For each query its rows, distinct, in no order, of shape ``(<=k,)``.
        """
        if self._sketch is None:
            return self._nearest_of_few(queries, permitted, k)
        mask = permitted if self.rows == len(self) else permitted[self._layout.row_of]
        available = int(np.count_nonzero(mask))
        if available <= max(EXACT, self._sketch.narrow):
            return self._nearest_of_few(queries, permitted, k)
        fetch = min(k + _SPARE, available)
        while True:
            ids, products = self._sketch.search(queries, mask, fetch)
            found = [self._rows_of(*one, k) for one in zip(ids, products, strict=True)]
            # Where rows have several vectors, as many vectors are fewer rows.
            if fetch == available or all(len(rows) == k for rows in found):
                return found
            fetch = min(2 * fetch, available)

    def _nearest_of_few(self, queries: Vectors, permitted: npt.NDArray[np.bool_], k: int) -> list[Ordinals]:
        """Find what ``nearest`` finds by comparing with all permitted vectors, in float32 first.

        Only rows so near to the edge that rounding might have put them on its other side are compared in
        float64. So the rows are those that exact scores would give, in a fifth of the time.
        """
        rows = np.flatnonzero(permitted)
        if len(rows) <= k:
            return [rows] * len(queries)
        # Twice what float32 may be off by: the sum of d products of unit vectors, then the decimals.
        slack = np.float32(2 * (self.dimensions * 2.0**-24 + 10.0**-DECIMALS))
        rough = self._rough(queries, rows)
        edges = np.partition(rough, len(rows) - k, axis=1)[:, len(rows) - k, np.newaxis]
        reach = rough >= edges - slack
        found = []
        for i, more in enumerate(np.count_nonzero(reach, axis=1) > k):
            which = reach[i].nonzero()[0]
            if more:
                near = which[rough[i, which] <= edges[i] + slack]
                sure = which[rough[i, which] > edges[i] + slack]
                (scores,) = self.scores(queries[i : i + 1], rows[near])
                which = np.concatenate((sure, near[highest(scores, k - len(sure))]))
            found.append(rows[which])
        return found

    def _rough(self, queries: Vectors, rows: Ordinals) -> npt.NDArray[np.float32]:
        """Score rows in float32; shape ``(len(queries), len(rows))``."""
        if len(self) <= EXACT and 2 * len(rows) > self.rows:
            # Taking out a few is cheaper afterwards: vectors are 1,500 bytes each, products four.
            products = best_of_row(_rough_products(queries, self.vectors), self._layout.starts)
            return products if len(rows) == self.rows else products.take(rows, axis=1)
        ids, first = self._layout.places(rows)
        return best_of_row(_rough_products(queries, self.vectors, ids), first)

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
        ids, first = self._layout.places(rows)
        products = exact_products(queries, self.vectors, ids)
        return best_of_row(products, first).round(DECIMALS)

    def best(self, queries: Vectors, within: Rows) -> Scores:
        """Return the score of the permitted row nearest to each of many queries.

        Args:
            queries: float32, shape ``(q, d)``, unit rows.
            within: Rows that may be found.

        Returns:
            float64, shape ``(q,)``; 0 where no row scores more.
        """
        ids = np.flatnonzero(members(within, self.rows)[self._layout.row_of])
        best = np.zeros(len(queries), dtype=np.float64)
        for start in range(0, len(ids), _PORTION):
            # `@`, although BLAS may start threads: seven times faster, and not done for every request.
            products = queries @ self.vectors[ids[start : start + _PORTION]].T
            np.maximum(best, products.max(axis=1), out=best)
        return np.round(best, DECIMALS)

    def likeness(self, some: Ordinals, rows: Ordinals) -> Scores:
        """Compare rows with each other by their first vectors; float64, shape ``(len(some), len(rows))``."""
        theirs = self.vectors[self._layout.starts[some]]
        return np.round(exact_products(theirs, self.vectors, self._layout.starts[rows]), DECIMALS)

    def of(self, rows: Ordinals) -> Vectors:
        """Return all vectors of rows, in the order of the rows; copied."""
        return self.vectors[self._layout.places(rows)[0]]

    def _rows_of(self, ids: Ordinals, products: npt.NDArray[np.float32], k: int) -> Ordinals:
        """Return the ``k`` best rows of the vectors that were found."""
        rows = self._layout.row_of[ids]
        rows = rows[np.lexsort((rows, -np.round(products, DECIMALS)))]
        if self.rows < len(self):
            _, first = np.unique(rows, return_index=True)
            rows = rows[np.sort(first)]
        return rows[:k]


def stored_vectors(path: Path) -> Vectors:
    """Return the vectors of a saved index, copied: a mapping must not outlive its file."""
    faiss = load_faiss()
    index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
    return vectors_of(index).copy()


def highest(scores: npt.NDArray[np.floating], k: int) -> Ordinals:
    """Return the positions of the ``k`` highest scores in no order; of equal ones the lower position."""
    if len(scores) <= k:
        return np.arange(len(scores))
    groups = _GROUPED // 2 * k
    size = len(scores) // groups
    if size < 2:
        return _first_highest(scores, k)
    # At least k scores reach the k-th of the best of each group. Ten times as fast as one partition of all,
    # which scores that are mostly equal slow down.
    best = scores[: size * groups].reshape(size, groups).max(axis=0)
    near = np.flatnonzero(scores >= np.partition(best, -k)[-k])
    return near[_first_highest(scores[near], k)]


def highest_of_each(scores: npt.NDArray[np.floating], k: int) -> list[Ordinals]:
    """Return for each of several queries what ``highest`` returns, but of scores above 0 alone.

    Args:
        scores: Shape ``(queries, n)``, none below 0.
        k: Most positions for each query.
    """
    n = scores.shape[1]
    if n <= k:
        return [mine.nonzero()[0] for mine in scores]
    if n >= _GROUPED * k:
        found = (highest(mine, k) for mine in scores)
        return [rows[mine[rows] > 0] for rows, mine in zip(found, scores, strict=True)]
    edges = np.partition(scores, n - k, axis=1)[:, n - k]
    return [
        mine.nonzero()[0] if edge == 0 else _reaching(mine, edge, k)
        for mine, edge in zip(scores, edges, strict=True)
    ]


def _reaching(scores: npt.NDArray[np.floating], edge: np.floating, k: int) -> Ordinals:
    rows = (scores >= edge).nonzero()[0]
    if len(rows) == k:
        return rows
    above = scores[rows] > edge
    return np.concatenate([rows[above], rows[~above][: k - np.count_nonzero(above)]])


def _rough_products(some: Vectors, vectors: Vectors, ids: Ordinals | None = None) -> npt.NDArray[np.float32]:
    """Multiply some vectors with all of others, or with those of these numbers, in float32."""
    n, d = len(vectors) if ids is None else len(ids), vectors.shape[1]
    # See `exact_products`.
    left = np.zeros((max(2, len(some)), d), np.float32)
    left[: len(some)] = some
    step = min(_ROWS, max(1, _PRODUCT // left.size))
    products = np.empty((len(left), n), np.float32)
    # A stack of products is one call.
    stacked = n - n % step if ids is None else 0
    if stacked:
        stack = vectors[:stacked].reshape(-1, step, d).transpose(0, 2, 1)
        out = products[:, :stacked].reshape(len(left), -1, step).transpose(1, 0, 2)
        np.matmul(left, stack, out=out)
    for start in range(stacked, n, step):
        some_ids = slice(start, start + step)
        products[:, some_ids] = left @ vectors[some_ids if ids is None else ids[some_ids]].T
    return products[: len(some)]


def _first_highest(scores: npt.NDArray[np.floating], k: int) -> Ordinals:
    return _reaching(scores, np.partition(scores, len(scores) - k)[len(scores) - k], k)


def _flat(vectors: Vectors) -> Any:
    faiss = load_faiss()
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(np.ascontiguousarray(vectors, dtype=np.float32))
    return index


def exact_products(some: Vectors, vectors: Vectors, ids: Ordinals) -> Scores:
    """Multiply some vectors with those of these numbers, in float64; shape ``(len(some), len(ids))``.

    In small products: large ones make OpenBLAS start threads, which fight over the cores under load. Small
    ones also stay in the cache, and take a third of the time of ``einsum``, which never starts any.
    """
    # Two at least: with a single vector numpy calls gemv, which starts threads far earlier.
    left = np.zeros((max(2, len(some)), some.shape[1]))
    left[: len(some)] = some
    step = min(_ROWS, max(1, _PRODUCT // left.size))
    products = np.empty((len(left), len(ids)))
    for start in range(0, len(ids), step):
        portion = vectors[ids[start : start + step]].astype(np.float64)
        products[:, start : start + step] = left @ portion.T
    return products[: len(some)]
