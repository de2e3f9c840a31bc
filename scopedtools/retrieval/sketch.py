"""A first look at many vectors by short codes, then a second at the best of them. FAISS inside."""

from __future__ import annotations

from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from scopedtools.retrieval import codes
from scopedtools.retrieval.codes import load_faiss

if TYPE_CHECKING:
    from scopedtools.types import Vectors

_SECOND_LOOK: Final = 4
"""Vectors compared in full for each one that is asked for; 3 lose 0.2 points of recall, 6 gain 0.1."""

_SECOND_LOOK_MORE: Final = 200
"""As many in addition where there are lists: of more vectors more are nearly as near."""

_COVERED: Final = 0.055
_COVERED_OF_FEW: Final = -0.23
"""Of 8,192 lists the nearest with an 18th of the vectors are read, with more where few are permitted."""

_NARROW: Final = 32
"""Where there are lists, up to one of so many vectors is compared in full: as fast, and exact."""

_SETS: Final = 16
"""Sets of permitted vectors whose shares of the lists are kept."""


class Sketch:
    """Finds the vectors nearest to queries without reading all vectors. Immutable; may be used in parallel.

    Each vector has a code of 2 bits a dimension, 1/16 of its size. Up to ``codes.ONE_LIST`` vectors all codes
    are read: of 44,652 vectors of 384 dimensions 4.3 MB, ten queries in 2.3 ms on one thread instead of 48.
    Of the 100 nearest to real requests 99.8 % are found, as many where a tenth, half or nine tenths of the
    vectors are permitted. More vectors are in lists, of which those nearest to a query are read: of a million
    98 % of the 20 nearest are found, in 2 to 4 ms a query; ``benchmarks/NOTES.md`` has the figures.

    Args:
        exact: FAISS flat index with inner product; must not change.
        index: The codes of its vectors.
    """

    def __init__(self, exact: Any, index: Any) -> None:
        self._exact = exact
        self._index = index
        self._list_of = np.zeros(0, dtype=np.uint32)
        if index.nlist > 1:
            self._centres = load_faiss().downcast_index(index.quantizer)
            self._list_of = np.empty(exact.ntotal, dtype=np.uint32)
            for number, ids in enumerate(codes.numbers(index)):
                self._list_of[ids] = number
            # Not of a method: this would be part of itself, and outlive its use by gigabytes.
            count = partial(_count, self._list_of, index.nlist)
            self._sizes = count(None)
            self._permitted = lru_cache(maxsize=_SETS)(count)

    @classmethod
    def learn(cls, exact: Any) -> Sketch:
        """Learn and make codes; the same vectors give the same codes in every process."""
        vectors = codes.vectors_of(exact)
        trained = codes.learn(vectors)
        return cls(exact, codes.coded(trained, vectors, codes.assign(trained, vectors)))

    @classmethod
    def load(cls, exact: Any, path: Path) -> Sketch | None:
        """Map codes that a file holds behind the vectors; ``None`` where it has none.

        Raises:
            ValueError: They are of other vectors, or no codes.
        """
        index = codes.mapped(path)
        if index is None:
            return None
        if (index.ntotal, index.d) != (exact.ntotal, exact.d):
            raise ValueError(
                f"{path} must have codes of its {exact.ntotal} vectors of {exact.d} dimensions, "
                f"got those of {index.ntotal} of {index.d}"
            )
        return cls(exact, index)

    def save(self, path: Path) -> None:
        """Write the codes behind the vectors that are in a file already."""
        codes.append(self._index, path)

    def succeed(self, exact: Any, earlier: npt.NDArray[np.int64]) -> Sketch | None:
        """Make codes of other vectors by what was learned from these, a tenth of the work.

        Args:
            exact: The other vectors.
            earlier: Number of the equal vector here for each of them, -1 where there is none.

        Returns:
            ``None`` where so many vectors should have another number of lists, or more than half are new.
        """
        new = np.flatnonzero(earlier < 0)
        fits = codes.lists_for(exact.ntotal) == self._index.nlist > 1
        if not fits or 2 * len(new) > exact.ntotal:
            return None
        vectors = codes.vectors_of(exact)
        list_of = self._list_of[earlier].astype(np.int64)
        list_of[new] = codes.assign(self._index, vectors[new])
        return Sketch(exact, codes.coded(self._index, vectors, list_of))

    @property
    def narrow(self) -> int:
        """Among up to so many permitted vectors comparing all is as fast as a search; 0 without lists."""
        return 0 if self._index.nlist == 1 else len(self._list_of) // _NARROW

    def search(
        self, queries: Vectors, mask: npt.NDArray[np.bool_], k: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Find the ``k`` permitted vectors nearest to each query; there must be that many.

        Args:
            queries: float32, shape ``(q, d)``.
            mask: Vectors that may be found, shape ``(n,)``.
            k: Vectors to find.

        Returns:
            Numbers of vectors and their inner products, both of shape ``(q, k)``, best first.
        """
        faiss = load_faiss()
        # Counts for the calling thread alone. Requests run in parallel already.
        faiss.omp_set_num_threads(1)
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        bitmap = None if mask.all() else np.packbits(mask, bitorder="little")
        available = int(np.count_nonzero(mask))
        if self._index.nlist == 1:
            depth = min(_SECOND_LOOK * k, available)
            lists, nearness = np.zeros((len(queries), 1), dtype=np.int64), np.zeros((len(queries), 1), "f")
        else:
            depth = min(_SECOND_LOOK * k + _SECOND_LOOK_MORE, available)
            lists, nearness = self._lists(queries, bitmap, available, depth)
        found = self._first_look(queries, lists, nearness, bitmap, depth)
        return self._second_look(queries, found, k)

    def _lists(
        self, queries: Vectors, bitmap: npt.NDArray[np.uint8] | None, available: int, depth: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Choose the lists to read: the nearest with permitted vectors, until they hold enough of these.

        And until they hold enough vectors in all: where permitted vectors lie together, their lists are few.

        Returns:
            For each query numbers of lists, -1 beyond the last, and how near their centres are.
        """
        counts = self._permitted(None if bitmap is None else bitmap.tobytes())
        share = available / len(self._list_of)
        # Coarser lists divide what is near and what is not less well.
        covered = _COVERED * max(1.0, (8192 / self._index.nlist) ** 0.5) * share**_COVERED_OF_FEW
        enough, enough_read = max(depth, int(available * min(1.0, covered))), covered * len(self._list_of)
        most = int(np.count_nonzero(counts))
        # To tell FAISS which lists count doubles the time: not done for a few that hold nothing.
        among = _selector(None if 2 * most > len(counts) else np.packbits(counts > 0, bitorder="little"))
        most = len(counts) if among[0] is None else most
        n = min(most, 16 + 3 * most * enough // (2 * available))
        parameters = load_faiss().SearchParameters(sel=among[0])
        while True:
            nearness, lists = self._centres.search(queries, n, params=parameters)
            held, read = counts[lists].cumsum(axis=1), self._sizes[lists].cumsum(axis=1)
            reached = (held >= enough) & (read >= enough_read)
            if n == most or reached[:, -1].all():
                break
            n = min(2 * n, most)
        # The list that reaches both is read, those after it are not.
        lists[:, 1:][reached[:, :-1]] = -1
        lists[counts[lists] == 0] = -1
        n = int(np.flatnonzero((lists >= 0).any(axis=0))[-1]) + 1
        return np.ascontiguousarray(lists[:, :n]), np.ascontiguousarray(nearness[:, :n])

    def _first_look(
        self,
        queries: Vectors,
        lists: npt.NDArray[np.int64],
        nearness: npt.NDArray[np.float32],
        bitmap: npt.NDArray[np.uint8] | None,
        depth: int,
    ) -> npt.NDArray[np.int64]:
        faiss = load_faiss()
        among, _ = _selector(bitmap)
        found = np.empty((len(queries), depth), dtype=np.int64)
        products = np.empty((len(queries), depth), dtype=np.float32)
        parameters = faiss.SearchParametersIVF(sel=among, nprobe=lists.shape[1])
        given = map(faiss.swig_ptr, (queries, lists, nearness, products, found))
        pointers = list(given)
        self._index.search_preassigned_c(len(queries), pointers[0], depth, *pointers[1:], False, parameters)
        return found

    def _second_look(
        self, queries: Vectors, found: npt.NDArray[np.int64], k: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        faiss = load_faiss()
        products = np.empty(found.shape, dtype=np.float32)
        self._exact.compute_distance_subset(
            len(queries),
            faiss.swig_ptr(queries),
            found.shape[1],
            faiss.swig_ptr(products),
            faiss.swig_ptr(found),
        )
        order = np.argsort(-products, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(found, order, axis=1), np.take_along_axis(products, order, axis=1)


def _count(list_of: npt.NDArray[np.uint32], lists: int, bitmap: bytes | None) -> npt.NDArray[np.int64]:
    """Count the permitted vectors of each list."""
    if bitmap is not None:
        bits = np.unpackbits(np.frombuffer(bitmap, np.uint8), count=len(list_of), bitorder="little")
        list_of = list_of[bits.view(np.bool_)]
    return np.bincount(list_of, minlength=lists)


def _selector(bitmap: npt.NDArray[np.uint8] | None) -> tuple[Any, npt.NDArray[np.uint8] | None]:
    """Return a FAISS selector, and the buffer that it borrows, which must outlive it."""
    if bitmap is None:
        return None, None
    faiss = load_faiss()
    # It takes a count of bytes.
    return faiss.IDSelectorBitmap(len(bitmap), faiss.swig_ptr(bitmap)), bitmap
