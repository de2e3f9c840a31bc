"""Encodes the texts of many requests side by side, for encoders that may be used so."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

import cachetools
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from scopedtools.types import Vectors

_TOGETHER: Final = 8
"""Most texts of one call. Of 12 tokens each they take half the time that each takes by itself."""

Vector = npt.NDArray[np.float32]


@runtime_checkable
class Separable(Protocol):
    """An encoder whose calls may overlap, and that knows which texts leave each other's vectors alone."""

    @property
    def threads(self) -> int:
        """Most calls at a time."""
        ...

    def alike(self, text: str) -> int | None:
        """Return a number that texts share whose vectors are the same to the last bit when encoded together.

        ``None`` of a text that must be encoded by itself.
        """
        ...

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encode texts that are alike; float32, shape ``(len(texts), dimensions)``, unit rows."""
        ...


class Run:
    """A text that waits to be encoded, or is.

    Attributes:
        text: The text.
        vector: Its vector, read-only, once it is there.
        alike: What texts share that may be encoded with it.
    """

    __slots__ = ("alike", "text", "vector")

    def __init__(self, text: str) -> None:
        self.text = text
        self.vector: Future[Vector] = Future()
        self.alike: int | None = None


class Apart:
    """Encodes each text once, whichever requests it is part of, the oldest first and those alike with it.

    Args:
        encoder: What encodes.
        pool: Where; at least as many threads as are to be busy.
        cached: Most texts whose vectors are kept, the least recently used go first.
    """

    def __init__(self, encoder: Separable, pool: Executor, *, cached: int) -> None:
        self._encoder = encoder
        self._pool = pool
        self._cached: cachetools.LRUCache[str, Vector] = cachetools.LRUCache(cached)
        self._under_way: dict[str, Run] = {}
        self._waiting: dict[str, Run] = {}
        self._lock = threading.Lock()

    def vector(self, text: str) -> Future[Vector]:
        """Return the vector of a text, now or later; float32, shape ``(dimensions,)``, read-only.

        The future is everybody's who asked for this text: to be waited for, not to be cancelled.
        """
        with self._lock:
            known = self._cached.get(text)
            if known is not None:
                done: Future[Vector] = Future()
                done.set_result(known)
                return done
            run = self._under_way.get(text)
            if run is None:
                run = Run(text)
                # A pool that has been shut down refuses: nobody must wait for this run then.
                self._pool.submit(self._encode_next)
                self._under_way[text] = self._waiting[text] = run
            return run.vector

    def kept(self, texts: Sequence[str]) -> list[Vector] | None:
        """Return the vectors of texts if all of them are kept, else ``None``."""
        with self._lock:
            found = [self._cached.get(text) for text in texts]
        known = [vector for vector in found if vector is not None]
        return known if len(known) == len(found) else None

    def _encode_next(self) -> None:
        # As often as there are texts; those whose texts went with others' find nothing to do.
        with self._lock:
            waiting = tuple(self._waiting.values())
        try:
            for run in waiting:
                if run.alike is None:
                    run.alike = self._encoder.alike(run.text)
        except Exception:  # noqa: BLE001, S110 - encoding raises it again, to those who wait
            pass
        taken = self._take()
        if taken:
            self._finish(taken)

    def _take(self) -> list[Run]:
        with self._lock:
            waiting = list(self._waiting.values())
            if not waiting:
                return []
            first = waiting[0]
            alike = [run for run in waiting[1:] if run.alike is not None and run.alike == first.alike]
            taken = [first, *alike[: _TOGETHER - 1]]
            for run in taken:
                del self._waiting[run.text]
            return taken

    def _finish(self, taken: Sequence[Run]) -> None:
        try:
            vectors = checked(self._encoder.encode_queries([run.text for run in taken]), len(taken))
        except BaseException as error:  # noqa: BLE001 - for those who wait
            self._let_go(taken)
            for run in taken:
                run.vector.set_exception(error)
            return
        with self._lock:
            for run, vector in zip(taken, vectors, strict=True):
                self._cached[run.text] = vector
        self._let_go(taken)
        for run, vector in zip(taken, vectors, strict=True):
            run.vector.set_result(vector)

    def _let_go(self, taken: Sequence[Run]) -> None:
        with self._lock:
            for run in taken:
                del self._under_way[run.text]


def checked(vectors: Vectors, n: int) -> Vectors:
    """Return the vectors that an encoder made, read-only.

    Raises:
        ValueError: They are not ``n``, or not finite.
    """
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    if vectors.ndim != 2 or len(vectors) != n or not np.isfinite(vectors).all():
        raise ValueError(f"an encoder must return {n} finite vectors, got shape {vectors.shape}")
    vectors.setflags(write=False)
    return vectors
