"""The indexes that are compared, each behind the same few methods."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from scopedtools.retrieval.codes import load_faiss
from scopedtools.retrieval.vectors import VectorIndex

if TYPE_CHECKING:
    from scopedtools.types import Vectors

Mask = npt.NDArray[np.bool_]
Found = npt.NDArray[np.int64]

faiss: Final = load_faiss()

OURS: Final = "shipped"
EXACT: Final = "exact"

_PORTION: Final = 1 << 16
_LIST: Final = 128
"""Vectors in a list on average, as in what is shipped."""

_SAMPLES: Final = 131_072
"""Most vectors that the centres of lists are learned from, as in what is shipped."""


class Engine(Protocol):
    """An index of vectors whose numbers are 0, 1, 2, ...

    Attributes:
        index: What was built or loaded.
        n: Number of vectors.
    """

    index: Any

    def build(self, vectors: Vectors) -> None:
        """Index vectors."""
        ...

    def search(self, queries: Vectors, permitted: Mask, k: int) -> list[Found]:
        """Return for each query the numbers of the nearest permitted vectors, in any order."""
        ...

    def add(self, vectors: Vectors) -> None:
        """Add vectors behind those that are there."""
        ...

    def remove(self, numbers: Found) -> None:
        """Remove vectors; raises RuntimeError where the index cannot."""
        ...

    def save(self, path: Path) -> None:
        """Write to one file."""
        ...

    def load(self, path: Path, *, mapped: bool) -> None:
        """Read what was saved, or map it into memory."""
        ...


class FaissEngine:
    """An index of FAISS, and for those of codes a second, exact look.

    Args:
        make: Returns an index that is not trained, for ``d`` dimensions and a number of lists.
        settings: Returns search parameters for a selector, the share permitted and the number of lists.
        second_look: Vectors compared in full for each one asked for; 0 where the first look is all.
    """

    def __init__(
        self,
        make: Callable[[int, int], Any],
        settings: Callable[[Any, float, int], Any],
        second_look: int = 0,
    ) -> None:
        self._make = make
        self._settings = settings
        self._second_look = second_look
        self.index: Any = None

    def build(self, vectors: Vectors) -> None:
        first = self._make(vectors.shape[1], max(1, len(vectors) // _LIST))
        if isinstance(first, faiss.IndexIVF):
            _bound(first)
        if not first.is_trained:
            first.train(_spread(vectors, _SAMPLES))
        if self._second_look:
            first = faiss.IndexRefineFlat(first)
        self.index = first
        self.add(vectors)

    def search(self, queries: Vectors, permitted: Mask, k: int) -> list[Found]:
        share = float(np.count_nonzero(permitted)) / len(permitted)
        bitmap = np.packbits(permitted, bitorder="little")
        among = None if share == 1 else faiss.IDSelectorBitmap(len(bitmap), faiss.swig_ptr(bitmap))
        lists = getattr(self._first(), "nlist", 0)
        parameters = self._settings(among, share, lists)
        if self._second_look:
            parameters = faiss.IndexRefineSearchParameters(
                k_factor=self._second_look, base_index_params=parameters
            )
        _, ids = self.index.search(queries, k, params=parameters)
        return list(ids)

    def add(self, vectors: Vectors) -> None:
        for start in range(0, len(vectors), _PORTION):
            self.index.add(np.ascontiguousarray(vectors[start : start + _PORTION]))

    def remove(self, numbers: Found) -> None:
        if self._second_look:
            self._first().remove_ids(numbers)
            faiss.downcast_index(self.index.refine_index).remove_ids(numbers)
        else:
            self.index.remove_ids(numbers)

    def save(self, path: Path) -> None:
        faiss.write_index(self.index, str(path))

    def load(self, path: Path, *, mapped: bool) -> None:
        self.index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC if mapped else 0)

    def _first(self) -> Any:
        return faiss.downcast_index(self.index.base_index) if self._second_look else self.index


class Shipped:
    """What this package uses: ``VectorIndex``."""

    def __init__(self) -> None:
        self.index: Any = None

    def build(self, vectors: Vectors) -> None:
        self.index = VectorIndex.build(vectors, np.arange(len(vectors)))

    def search(self, queries: Vectors, permitted: Mask, k: int) -> list[Found]:
        found: list[Found] = self.index.nearest(queries, permitted, k)
        return found

    def add(self, vectors: Vectors) -> None:
        self._succeed(np.concatenate([self.index.vectors, vectors]))

    def remove(self, numbers: Found) -> None:
        self._succeed(np.delete(self.index.vectors, numbers, axis=0))

    def save(self, path: Path) -> None:
        self.index.save(path)

    def load(self, path: Path, *, mapped: bool) -> None:  # noqa: ARG002 - it is always mapped
        # A row for each vector; how many there are is in the file.
        n = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC).ntotal
        self.index = VectorIndex.load(path, np.arange(n))

    def _succeed(self, vectors: Vectors) -> None:
        self.index = self.index.succeed(vectors, np.arange(len(vectors)))


def _bound(index: Any) -> None:
    index.cp.seed, index.cp.niter, index.cp.spherical = 1, 4, True
    index.cp.min_points_per_centroid = 1


def _flat(d: int, _: int) -> Any:
    return faiss.IndexFlatIP(d)


def _hnsw(d: int, _: int) -> Any:
    index = faiss.IndexHNSWFlat(d, 16, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = 40
    return index


def _ivf(d: int, lists: int) -> Any:
    return faiss.index_factory(d, f"IVF{lists},Flat", faiss.METRIC_INNER_PRODUCT)


def _sq8(d: int, _: int) -> Any:
    return faiss.index_factory(d, "SQ8", faiss.METRIC_INNER_PRODUCT)


def _ivf_sq8(d: int, lists: int) -> Any:
    return faiss.index_factory(d, f"IVF{lists},SQ8", faiss.METRIC_INNER_PRODUCT)


def _ivf_rabitq(d: int, lists: int) -> Any:
    return faiss.index_factory(d, f"IVF{lists},RaBitQfs", faiss.METRIC_INNER_PRODUCT)


def _plain(among: Any, _share: float, _lists: int) -> Any:
    return faiss.SearchParameters(sel=among)


def _wide(among: Any, share: float, _: int) -> Any:
    # A graph is walked through what is not permitted too.
    return faiss.SearchParametersHNSW(sel=among, efSearch=min(4_096, int(512 / share**0.5)))


def _probing(among: Any, share: float, lists: int) -> Any:
    # As in what is shipped, and more where there are fewer lists: else recall falls with the size.
    of_lists = 0.055 * (8_000 / lists) ** 0.5 * share**-0.23
    probes = min(lists, max(1, round(lists * of_lists)))
    return faiss.SearchParametersIVF(sel=among, nprobe=probes)


ENGINES: Final[dict[str, Callable[[], Engine]]] = {
    EXACT: lambda: FaissEngine(_flat, _plain),
    "hnsw": lambda: FaissEngine(_hnsw, _wide),
    "ivf": lambda: FaissEngine(_ivf, _probing),
    "sq8": lambda: FaissEngine(_sq8, _plain),
    "ivf-sq8": lambda: FaissEngine(_ivf_sq8, _probing),
    "ivf-rabitq": lambda: FaissEngine(_ivf_rabitq, _probing, second_look=10),
    OURS: Shipped,
}
"""By name, in the order of the report."""


def _spread(vectors: Vectors, n: int) -> Vectors:
    return vectors[np.linspace(0, len(vectors) - 1, min(n, len(vectors))).astype(np.int64)]
