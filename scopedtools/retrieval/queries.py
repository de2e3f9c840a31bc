"""The threads that an encoder runs on: the vectors of requests, cached, and of documents."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import cachetools
import numpy as np

from scopedtools.retrieval.apart import Apart, Separable, checked
from scopedtools.types import Encoder

if TYPE_CHECKING:
    from scopedtools.types import Vectors


class EncoderThread:
    """Runs an encoder on a thread of its own, so that calls neither overlap nor hold up the event loop.

    It is an ``Encoder`` itself, whose calls wait their turn; a long build passes its texts in small portions,
    and requests go in between. The texts of a request are encoded together, and never with those of another
    request: the padding of a mixed batch changes the last bits of a vector, and a request must get the same
    vectors in every process, whatever else arrives at the time. Equal requests share one run and are cached.

    An encoder that is ``Separable`` gets as many threads as it says, and encodes each text by itself or with
    texts of other requests that are alike; see ``Apart``.

    Args:
        encoder: What to run.
        cached: Most requests whose vectors are kept, the least recently used go first; as many texts of
            requests where each is encoded by itself.
    """

    def __init__(self, encoder: Encoder, *, cached: int = 1024) -> None:
        self._encoder = encoder
        threads = encoder.threads if isinstance(encoder, Separable) else 1
        self._thread = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="scopedtools-encoder")
        self._apart = Apart(encoder, self._thread, cached=cached) if isinstance(encoder, Separable) else None
        self._cached: cachetools.LRUCache[tuple[str, ...], Vectors] = cachetools.LRUCache(cached)
        self._under_way: dict[tuple[str, ...], Future[Vectors]] = {}
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """Name of the encoder."""
        return self._encoder.name

    @property
    def revision(self) -> str:
        """Revision of the encoder."""
        return self._thread.submit(lambda: self._encoder.revision).result()

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return self._thread.submit(lambda: self._encoder.dimensions).result()

    def preload(self) -> None:
        """Load the encoder in the calling thread, if it is one that processes can be forked with."""
        if getattr(self._encoder, "survives_fork", False):
            self._encoder.load()

    def load(self) -> None:
        """Load the encoder and wait for it."""
        self.loading().result()

    def loading(self) -> Future[None]:
        """Begin to load the encoder; whatever is asked of it meanwhile waits for that."""
        return self._thread.submit(self._encoder.load)

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encode requests and wait for them; float32, shape ``(len(texts), dimensions)``, unit rows."""
        return self._thread.submit(self._encoder.encode_queries, texts).result()

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Encode descriptions and wait for them; float32, shape ``(len(texts), dimensions)``, unit rows."""
        return checked(self._thread.submit(self._encoder.encode_documents, texts).result(), len(texts))

    async def vectors(self, texts: tuple[str, ...]) -> Vectors:
        """Return the vectors of one request's texts; float32, shape ``(len(texts), dimensions)``, read-only.

        Raises:
            Exception: Whatever the encoder raised. Nothing is cached then; the next call tries again.
        """
        if self._apart is not None:
            return await _each(self._apart, texts)
        with self._lock:
            known: Vectors | None = self._cached.get(texts)
            if known is not None:
                return known
            run = self._run(texts)
        # Others may wait for the same run: a waiter that is cancelled must not cancel it.
        return await asyncio.shield(asyncio.wrap_future(run))

    def _run(self, texts: tuple[str, ...]) -> Future[Vectors]:
        run = self._under_way.get(texts)
        if run is None:
            run = self._under_way[texts] = self._thread.submit(self._encode, texts)
        return run

    def _encode(self, texts: tuple[str, ...]) -> Vectors:
        try:
            vectors = checked(self._encoder.encode_queries(texts), len(texts))
            with self._lock:
                self._cached[texts] = vectors
            return vectors
        finally:
            with self._lock:
                self._under_way.pop(texts, None)


async def _each(apart: Apart, texts: tuple[str, ...]) -> Vectors:
    found = apart.kept(texts)
    if found is None:
        # All of them are under way before the first is waited for.
        runs = [apart.vector(text) for text in texts]
        found = [await asyncio.shield(asyncio.wrap_future(run)) for run in runs]
    vectors = np.stack(found)
    vectors.setflags(write=False)
    return vectors
