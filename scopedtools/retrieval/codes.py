"""Short codes of vectors, in lists of vectors that lie near each other: learned, made and put in a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from scopedtools.types import Vectors

ONE_LIST: Final = 1 << 17
"""Up to so many vectors are all in one list, of which a query takes 5 ns a vector."""

_SAMPLES: Final = 1024
"""Vectors that the codes are learned from. Four times as many and six times the steps gain nothing."""

_STEPS: Final = 4

_LIST: Final = 128
"""Vectors in a list on average; twice as many need twice the reading for equal recall."""

_MOST_LISTS: Final = 1 << 14
"""To compare a query with so many centres takes 1 ms."""

_SAMPLES_OF_A_LIST: Final = 16
"""Vectors for each list that the centres are learned from."""

_CENTRE_STEPS: Final = 4
_SEED: Final = 1
_BLOCK: Final = 32
"""Vectors whose codes FAISS compares at once."""

_PORTION: Final = 1 << 16
"""Vectors that are copied and coded at once."""

_MARK: Final = b"codes follow \x01\x00\x00"
"""The last 16 bytes of a file that has codes."""


_Size = TypeVar("_Size", int, npt.NDArray[np.int64])


class _Tail(msgspec.Struct, frozen=True):
    """Where in a file the codes are.

    Attributes:
        at: Where the first list begins: its codes in blocks of 32 vectors, then as many numbers of vectors.
        sizes: Vectors in each list.
        trained: Bytes before this description that hold the trained index without vectors.
    """

    at: int
    sizes: list[int]
    trained: int


def lists_for(n: int) -> int:
    """Return the number of lists that this many vectors are put in, a power of two."""
    return 1 if n <= ONE_LIST else min(_MOST_LISTS, 1 << round(np.log2(n / _LIST)))


def learn(vectors: Vectors) -> Any:
    """Learn centres of lists and codes; a FAISS index without vectors, the same for the same vectors."""
    faiss = load_faiss()
    faiss.omp_set_num_threads(1)
    n, d = vectors.shape
    lists = lists_for(n)
    centres = faiss.IndexFlatIP(d)
    if lists > 1:
        clusters = faiss.Kmeans(
            d,
            lists,
            niter=_CENTRE_STEPS,
            spherical=True,
            seed=_SEED,
            min_points_per_centroid=1,
            max_points_per_centroid=_SAMPLES_OF_A_LIST,
        )
        clusters.train(_spread(vectors, lists * _SAMPLES_OF_A_LIST))
        centres.add(clusters.centroids)
    pieces = d // 2 if d % 2 == 0 else d
    # Of FAISS' fast scans, the one that knows permitted vectors.
    trained = faiss.IndexIVFPQFastScan(centres, d, lists, pieces, 4, faiss.METRIC_INNER_PRODUCT)
    trained.by_residual = False
    trained.pq.cp.niter = _STEPS
    trained.train(_spread(vectors, _SAMPLES))
    return trained


def assign(trained: Any, vectors: Vectors) -> npt.NDArray[np.int64]:
    """Return the list of each vector: that of the nearest centre."""
    faiss = load_faiss()
    faiss.omp_set_num_threads(1)
    if trained.nlist == 1:
        return np.zeros(len(vectors), dtype=np.int64)
    centres = faiss.downcast_index(trained.quantizer)
    portions = range(0, len(vectors), _PORTION)
    found = [centres.search(vectors[start : start + _PORTION], 1)[1][:, 0] for start in portions]
    return np.concatenate(found) if found else np.empty(0, dtype=np.int64)


def coded(trained: Any, vectors: Vectors, list_of: npt.NDArray[np.int64]) -> Any:
    """Return an index with the codes of these vectors, and with what the other one has learned."""
    faiss = load_faiss()
    faiss.omp_set_num_threads(1)
    filled = faiss.deserialize_index(_without_vectors(trained))
    order = np.argsort(list_of, kind="stable").astype(np.int64)
    sizes = np.bincount(list_of, minlength=filled.nlist)
    ends = np.cumsum(sizes)
    # FAISS finds the list of each vector anew, and its blocks cannot be made by hand: the codes of all
    # lists are made as those of one, in which each list begins with a new block.
    room = _room(sizes)
    places = np.arange(len(order)) + np.repeat(np.cumsum(room) - room - (ends - sizes), sizes)
    padded = np.zeros(int(room.sum()), dtype=np.int64)
    padded[places] = order
    maker = faiss.IndexPQFastScan(filled.d, filled.pq.M, 4, faiss.METRIC_INNER_PRODUCT)
    maker.pq = filled.pq
    maker.is_trained = True
    for start in range(0, len(padded), _PORTION):
        maker.add(vectors[padded[start : start + _PORTION]])
    blocks = faiss.rev_swig_ptr(maker.codes.get(), len(padded) * filled.code_size)
    target = faiss.downcast_InvertedLists(filled.invlists)
    at = 0
    for number in np.flatnonzero(sizes).tolist():
        ids = order[ends[number] - sizes[number] : ends[number]]
        codes = blocks[at : at + int(room[number]) * filled.code_size]
        target.add_entries(number, len(ids), faiss.swig_ptr(ids), faiss.swig_ptr(codes))
        at += len(codes)
    filled.ntotal = len(order)
    return filled


def append(index: Any, path: Path) -> None:
    """Write the codes behind the vectors that are in a file already."""
    faiss = load_faiss()
    lists = faiss.downcast_InvertedLists(index.invlists)
    sizes = [lists.list_size(number) for number in range(index.nlist)]
    with path.open("ab") as file:
        file.write(bytes(-file.tell() % 64))
        at = file.tell()
        for number, size in enumerate(sizes):
            _write_list(lists, number, size, index.code_size, file)
        trained = _without_vectors(index).tobytes()
        tail = msgspec.json.encode(_Tail(at, sizes, len(trained)))
        file.write(trained + tail + len(tail).to_bytes(8, "little") + _MARK)


def mapped(path: Path) -> Any:
    """Return the codes that a file has behind its vectors, mapped into memory; ``None`` where it has none.

    Raises:
        ValueError: What stands there are no codes of this kind.
        RuntimeError: Likewise, says FAISS.
    """
    with path.open("rb") as file:
        described = _described(file)
        if described is None:
            return None
        tail, end = described
        file.seek(end - tail.trained)
        trained = np.frombuffer(file.read(tail.trained), dtype=np.uint8)
    faiss = load_faiss()
    index = faiss.deserialize_index(trained)
    # FAISS would read whatever is there, and beyond the file.
    used = sum(map(_room, tail.sizes)) * (index.code_size + 8)
    fits = 0 <= tail.at <= tail.at + used <= end - tail.trained
    if len(tail.sizes) != index.nlist or min(tail.sizes) < 0 or not fits:
        raise ValueError(f"{path} must hold codes of {index.nlist} lists, got {tail.sizes[:3]}... vectors")
    lists = _mapped_lists(path, tail, index.code_size)
    index.replace_invlists(lists, True)
    lists.this.disown()
    index.ntotal = sum(tail.sizes)
    return index


def follow(path: Path) -> bool:
    """Tell whether a file has codes behind its vectors."""
    with path.open("rb") as file:
        return _described(file) is not None


def _described(file: BinaryIO) -> tuple[_Tail, int] | None:
    """Return the description of a file's codes, and where it begins; ``None`` where there is none."""
    end = file.seek(0, os.SEEK_END) - len(_MARK) - 8
    if end < 0:
        return None
    file.seek(end)
    length, mark = int.from_bytes(file.read(8), "little"), file.read()
    if mark != _MARK:
        return None
    if length > end:
        raise ValueError(f"{file.name} must describe its codes in {end} bytes at most, got {length}")
    file.seek(end - length)
    tail = msgspec.json.decode(file.read(length), type=_Tail)
    if not 0 <= tail.trained <= end - length:
        raise ValueError(f"{file.name} must hold what was learned in front of it, got {tail.trained} bytes")
    return tail, end - length


def _mapped_lists(path: Path, tail: _Tail, code_size: int) -> Any:
    faiss = load_faiss()
    lists = faiss.OnDiskInvertedLists()
    lists.nlist, lists.code_size = len(tail.sizes), code_size
    lists.read_only = True
    lists.filename = str(path)
    lists.totsize = path.stat().st_size
    places = faiss.OnDiskOneListVector()
    at = tail.at
    for size in tail.sizes:
        place = faiss.OnDiskOneList()
        place.size, place.capacity, place.offset = size, _room(size), at
        places.push_back(place)
        at += _room(size) * (code_size + 8)
    lists.lists = places
    lists.do_mmap()
    return lists


def numbers(index: Any) -> list[npt.NDArray[np.int64]]:
    """Return the vectors of each list."""
    faiss = load_faiss()
    lists = faiss.downcast_InvertedLists(index.invlists)
    sizes = (lists.list_size(number) for number in range(index.nlist))
    return [
        faiss.rev_swig_ptr(lists.get_ids(number), size).copy() if size else np.empty(0, dtype=np.int64)
        for number, size in enumerate(sizes)
    ]


def _write_list(lists: Any, number: int, size: int, code_size: int, file: BinaryIO) -> None:
    if not size:
        return
    faiss = load_faiss()
    room = _room(size)
    file.write(faiss.rev_swig_ptr(lists.get_codes(number), room * code_size).tobytes())
    ids = np.full(room, -1, dtype=np.int64)
    ids[:size] = faiss.rev_swig_ptr(lists.get_ids(number), size)
    file.write(ids.tobytes())


def _without_vectors(index: Any) -> npt.NDArray[np.uint8]:
    """Return what an index has learned, as FAISS writes it; read back, it owns its centres."""
    faiss = load_faiss()
    pieces, lists = index.pq.M, index.nlist
    bare = faiss.IndexIVFPQFastScan(index.quantizer, index.d, lists, pieces, 4, faiss.METRIC_INNER_PRODUCT)
    bare.by_residual = False
    bare.pq = index.pq
    bare.is_trained = True
    written: npt.NDArray[np.uint8] = faiss.serialize_index(bare)
    return written


def _room(size: _Size) -> _Size:
    """Return how many vectors the blocks of a list have room for, or those of each list."""
    return -(-size // _BLOCK) * _BLOCK


def _spread(vectors: Vectors, n: int) -> Vectors:
    n = min(n, len(vectors))
    return vectors[np.linspace(0, len(vectors) - 1, n).astype(np.int64)]


def vectors_of(exact: Any) -> Vectors:
    """Return the vectors of a flat index, float32, shape ``(n, d)``: a view, not to be written to."""
    n, d = exact.ntotal, exact.d
    view: Vectors = load_faiss().rev_swig_ptr(exact.get_xb(), n * d).reshape(n, d)
    return view


def load_faiss() -> Any:
    """Import FAISS, which takes a quarter of a second: paid only where there are vectors."""
    import faiss  # noqa: PLC0415 - see above

    return faiss
