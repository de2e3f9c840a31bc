"""What is learned from use: the requests that rows were called for."""

from __future__ import annotations

import hashlib
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from scopedtools.exceptions import IndexMismatchError
from scopedtools.retrieval import manifest
from scopedtools.retrieval.lexical import tokens

_HEAD: Final = b"scopedtools uses 1\n"
"""Begins a file of uses; the number is the version of the layout."""

_DIGEST: Final = hashlib.sha256().digest_size

MAX_TERMS: Final = 64
"""Terms kept of one request; what comes after them says little about the row."""


class RowUses(NamedTuple):
    """The requests that one row was called for, oldest first. Immutable.

    Attributes:
        vectors: float16, shape ``(n, d)``, unit rows.
        terms: Distinct terms of each request, see ``lexical.tokens``; the request itself is not kept.
        by: Who called, as the caller of ``Uses.record`` named them.
    """

    vectors: npt.NDArray[np.float16]
    terms: tuple[tuple[str, ...], ...]
    by: tuple[str, ...]

    def only(self, kept: Iterable[int]) -> RowUses:
        """Return the uses at some positions."""
        kept = list(kept)
        return RowUses(
            self.vectors[kept], tuple(self.terms[i] for i in kept), tuple(self.by[i] for i in kept)
        )


class _Saved(msgspec.Struct):
    encoder: tuple[str, str]
    rows: list[tuple[str, bytes, tuple[tuple[str, ...], ...], tuple[str, ...]]]


class Uses:
    """Keeps the uses of rows, by name, so that they outlive changes of the catalog. Thread-safe and bounded.

    At the default bounds it takes about 25 MB. One for each tenant keeps what tenants teach apart.

    Args:
        encoder: Name and revision of what makes the vectors, as in ``Index.encoder``.
        per_row: Most uses of one row; the oldest go first.
        per_caller: Most uses of one row by one caller, so that nobody alone decides what a row is for.
        total: Most uses; the row that has not been used for longest loses its oldest.

    Raises:
        ValueError: A bound is below 1.
    """

    def __init__(
        self, encoder: tuple[str, str], *, per_row: int = 32, per_caller: int = 8, total: int = 16384
    ) -> None:
        if min(per_row, per_caller, total) < 1:
            raise ValueError(f"bounds must be >= 1, got {(per_row, per_caller, total)}")
        self.encoder = encoder
        self._per_row, self._per_caller, self._total = per_row, per_caller, total
        self._rows: OrderedDict[str, RowUses] = OrderedDict()  # the least recently used first
        self._n = 0
        self._changes = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._n

    @property
    def changes(self) -> int:
        """Number of changes so far: what was derived from the uses is stale once it has grown."""
        return self._changes

    def record(self, name: str, text: str, vector: npt.NDArray[np.float32], *, by: str = "") -> None:
        """Remember that a row was called successfully.

        Args:
            name: Name of the row.
            text: The request, or the clause of it that the row fits best.
            vector: Vector of ``text``, float32, shape ``(d,)``, unit length.
            by: Opaque name of the caller, a digest rather than an identity; ``""`` is not limited.

        Raises:
            ValueError: The vector is not finite, or not of as many numbers as the others.
        """
        terms = tuple(dict.fromkeys(tokens(text)))[:MAX_TERMS]
        added = np.asarray(vector, dtype=np.float16).reshape(1, -1)
        with self._lock:
            d = next((row.vectors.shape[1] for row in self._rows.values()), added.shape[1])
            if added.shape[1] != d or not np.isfinite(added).all():
                raise ValueError(f"vector must have {d} finite numbers, got shape {np.shape(vector)}")
            old = self._rows.get(name, RowUses(added[:0], (), ()))
            new = RowUses(np.vstack((old.vectors, added)), (*old.terms, terms), (*old.by, by))
            self._put(name, self._bounded(new))
            self._evict()
            self._changes += 1

    def forget(self, name: str | None = None, *, by: str | None = None) -> None:
        """Forget the uses of a row, of a caller, of a caller for a row, or all."""
        with self._lock:
            for found, row in list(self._rows.items()):
                if name not in (None, found):
                    continue
                kept = (i for i, who in enumerate(row.by) if by is not None and who != by)
                self._put(found, row.only(kept), renewed=False)
            self._changes += 1

    def rows(self) -> Mapping[str, RowUses]:
        """Return the uses by the name of the row, as they are now."""
        with self._lock:
            return dict(self._rows)

    def save(self, path: Path) -> None:
        """Write the uses to a file in one step, readable by its owner alone.

        Raises:
            OSError: It cannot be written; the old file is still there.
        """
        rows = [(name, row.vectors.tobytes(), row.terms, row.by) for name, row in self.rows().items()]
        data = msgspec.msgpack.encode(_Saved(self.encoder, rows))
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".saving-", dir=path.parent) as folder:
            staged = Path(folder) / path.name
            staged.touch(mode=0o600)
            staged.write_bytes(_HEAD + hashlib.sha256(data).digest() + data)
            manifest.sync(staged)
            staged.replace(path)
        manifest.sync(path.parent)

    def restore(self, path: Path) -> None:
        """Put saved uses, as far as the bounds allow, in place of those that are there.

        Raises:
            FileNotFoundError: There is no such file.
            IndexMismatchError: It is damaged, of another format, or its vectors are of another encoder.
        """
        saved = _read(path)
        if saved.encoder != self.encoder:
            raise IndexMismatchError(
                f"uses {path} must be of encoder {self.encoder}, got {saved.encoder}; remove the file"
            )
        with self._lock:
            self._rows.clear()
            self._n = 0
            for name, data, terms, by in saved.rows:
                vectors = np.frombuffer(data, dtype=np.float16).reshape(len(by), -1)
                self._put(name, self._bounded(RowUses(vectors, terms, by)))
            self._evict()
            self._changes += 1

    def _evict(self) -> None:
        while self._n > self._total:
            oldest, row = next(iter(self._rows.items()))
            self._put(oldest, row.only(range(1, len(row.by))), renewed=False)

    def _bounded(self, row: RowUses) -> RowUses:
        """Drop the oldest uses of a caller with too many, then the oldest of all."""
        left = {who: row.by.count(who) - self._per_caller for who in set(row.by) - {""}}
        kept = []
        for i, who in enumerate(row.by):
            left[who] = left.get(who, 0) - 1
            if left[who] < 0:
                kept.append(i)
        return row if len(kept) == len(row.by) <= self._per_row else row.only(kept[-self._per_row :])

    def _put(self, name: str, row: RowUses, *, renewed: bool = True) -> None:
        old = self._rows.get(name)
        self._n += len(row.by) - (len(old.by) if old else 0)
        self._rows[name] = row
        if renewed:
            self._rows.move_to_end(name)
        if not row.by:
            del self._rows[name]


def _read(path: Path) -> _Saved:
    data = path.read_bytes()
    head, data = data[: len(_HEAD) + _DIGEST], data[len(_HEAD) + _DIGEST :]
    if head != _HEAD + hashlib.sha256(data).digest():
        raise IndexMismatchError(
            f"{path} must hold uses of this version, got a damaged or other file; remove it"
        )
    return msgspec.msgpack.decode(data, type=_Saved)
