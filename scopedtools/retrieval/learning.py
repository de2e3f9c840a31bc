"""Learning from use: what rows were called for, kept and derived anew as it grows."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

import numpy as np

from scopedtools.exceptions import IndexMismatchError
from scopedtools.retrieval.heard import Heard
from scopedtools.retrieval.index import Index
from scopedtools.retrieval.learned import Learned
from scopedtools.retrieval.uses import Uses

if TYPE_CHECKING:
    from scopedtools.types import Vectors

_GROWTH: Final = 0.05
"""Derived anew after as many changes as this share of the uses: rarely where there is much to derive from."""

_log: Final = logging.getLogger(__name__)


class Learning:
    """Lets a selector learn from successful calls: rows come to fit the requests that they were called for.

    Give it to `HybridSelector`. Everybody's calls teach everybody; one caller teaches a row at most
    ``per_caller`` requests. What is kept of a request is its vector and its terms. New contexts are shown
    what earlier calls speak for; replicas list the same only as far as they learned the same. One selector
    can have it at a time. Of what it was told last, a twentieth at most is not in the file yet.

    Args:
        path: File where it is kept between runs; readable by its owner alone.
        per_row: Most requests kept of one row; the oldest go first.
        per_caller: Most requests of one row by one caller.
        total: Most requests; rows that have not been called for longest lose theirs first.

    Raises:
        ValueError: A bound is below 1.
    """

    def __init__(
        self,
        path: Path | str | None = None,
        *,
        per_row: int = 32,
        per_caller: int = 8,
        total: int = 16384,
    ) -> None:
        self._path = None if path is None else Path(path)
        self._bounds = {"per_row": per_row, "per_caller": per_caller, "total": total}
        self._uses = Uses(("", ""), per_row=per_row, per_caller=per_caller, total=total)
        self._learned: WeakKeyDictionary[Index, Learned | None] = WeakKeyDictionary()
        self._due = 0.0
        self._deriving = threading.Lock()

    def learned(self, index: Index) -> Learned | None:
        """Return what is known of the rows of an index; ``None`` of one that it does not learn about."""
        # While a catalog is replaced, both answer; places of one must not be taken for those of the other.
        return self._learned.get(index)

    def begin(self, index: Index) -> None:
        """Start to learn about the rows of an index, with what was kept of an earlier run."""
        if index.encoder != self._uses.encoder:
            self._uses = Uses(index.encoder, **self._bounds)
            self._restore()
        with self._deriving:
            self._derive(index)

    def record(self, index: Index, row: int, heard: Heard, vectors: Vectors, *, by: str = "") -> None:
        """Remember that a row was called successfully for what was said now.

        Of a request with several clauses it remembers the one that the row fits best: the others were for
        other rows.

        Args:
            index: The rows.
            row: The row; one that there is not learns nothing.
            heard: The request.
            vectors: A vector for each of its texts.
            by: Opaque name of the caller, a digest rather than an identity.
        """
        if index.vectors is None or not 0 <= row < len(index.rows):
            return
        clauses = 1 if len(heard.texts) > 1 else 0
        fits = index.vectors.scores(vectors[clauses:], np.array([row]))[:, 0]
        best = clauses + int(np.argmax(fits))
        self._uses.record(index.rows[row].name, heard.texts[best], vectors[best], by=by)
        # While one thread derives, others go on: it takes seconds at most, and threads that wait for it would
        # be missing where requests are answered.
        if self._uses.changes >= self._due and self._deriving.acquire(blocking=False):
            try:
                self._derive(index)
                self._save()
            finally:
                self._deriving.release()

    def forget(self, name: str | None = None, *, by: str | None = None) -> None:
        """Forget a row's requests, a caller's, or all, in the file too; takes as long as deriving anew does.

        What an earlier run left in the file is there to be forgotten once the selector is prepared.
        """
        with self._deriving:
            self._uses.forget(name, by=by)
            for index in list(self._learned):
                self._derive(index)
            if self._learned:
                self._save()

    def _derive(self, index: Index) -> None:
        changes = self._uses.changes
        self._learned[index] = Learned.build(self._uses, index)
        self._due = changes + max(1.0, _GROWTH * len(self._uses))

    def _restore(self) -> None:
        if self._path is None:
            return
        try:
            self._uses.restore(self._path)
        except FileNotFoundError:
            return
        except (IndexMismatchError, OSError) as error:
            _log.warning("%s; learning begins anew", error)

    def _save(self) -> None:
        if self._path is None:
            return
        try:
            self._uses.save(self._path)
        except OSError as error:
            _log.warning("what was learned is not saved in %s: %s", self._path, error)
