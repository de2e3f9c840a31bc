"""The default selector: vectors and BM25 over the same rows."""

from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np
from anyio import to_thread

from scopedtools.exceptions import (
    IndexMismatchError,
    MissingDependencyError,
    VectorsUnavailableError,
)
from scopedtools.retrieval.encoders import default_encoder
from scopedtools.retrieval.evidence import Judge, made_of, plain_requests
from scopedtools.retrieval.heard import Heard, hear
from scopedtools.retrieval.index import Index
from scopedtools.retrieval.learning import Learning
from scopedtools.retrieval.mending import Mender
from scopedtools.retrieval.queries import EncoderThread
from scopedtools.retrieval.ranking import choose, rank
from scopedtools.retrieval.saved import Plain, known_vectors
from scopedtools.retrieval.scoring import Scored, score
from scopedtools.retrieval.vector_store import VectorStore
from scopedtools.types import Describable, Encoder, Hit, Ranking, Rows, Turn

if TYPE_CHECKING:
    from scopedtools.types import Vectors

CANDIDATES: Final = 100
"""Rows that each part of a request adds by vectors and by words, at least."""

_AT_ONCE: Final = 4096
"""Parts times rows up to which a request is answered on the event loop, which takes half a millisecond.

The way to a thread and back alone takes 0.2 ms.
"""

_Answer = TypeVar("_Answer")
_Conclude = Callable[[Judge, Heard, Scored], _Answer]

_log = logging.getLogger(__name__)


class HybridSelector:
    """Ranks rows by meaning and by words, restricted to permitted rows. A ``types.Selector``.

    Without an encoder, or where it or a database of vectors fails, words alone decide; that is logged once,
    never an error. A database is tried again beside the requests, until it answers.

    Args:
        encoder: Encodes texts; all-MiniLM-L6-v2 by default.
        index_dir: Folder where the index is kept between runs; without one it is built at each start.
        vectors: Database that keeps and searches the vectors, in place of this process and of ``index_dir``.
        dense_weight: Weight of the vectors in 0..1; the words get the rest.
        cached_queries: Most requests whose vectors are kept.
        learning: Lets it learn from the calls of its server; without, it never changes.
        abstain: Whether `Ranking.fits` may be false where rows were found; measured with the default encoder.

    Raises:
        ValueError: ``dense_weight`` is not in 0..1, or both ``index_dir`` and ``vectors`` are given.
    """

    def __init__(
        self,
        encoder: Encoder | None = None,
        *,
        index_dir: Path | str | None = None,
        vectors: VectorStore | None = None,
        dense_weight: float = 0.7,
        cached_queries: int = 1024,
        learning: Learning | None = None,
        abstain: bool = True,
    ) -> None:
        if not 0.0 <= dense_weight <= 1.0:
            raise ValueError(f"dense_weight must be in 0..1, got {dense_weight}")
        if index_dir is not None and vectors is not None:
            raise ValueError(
                "either index_dir or vectors must say where vectors are kept, got both; drop one"
            )
        self._encoder = EncoderThread(encoder or default_encoder(), cached=cached_queries)
        self._folder = None if index_dir is None else Path(index_dir)
        self._store = vectors
        self._dense_weight = dense_weight
        self._learning = learning
        self._abstain = abstain
        self._judge: Judge | None = None
        self._words: Judge | None = None
        self._mender = Mender()
        self._plain: Vectors | None = None
        self._vectors_from: Index | None = None
        self._preloaded: Index | None = None
        self._failing = False

    @property
    def index(self) -> Index | None:
        """The index that answers now: of words alone while vectors are being made, ``None`` before."""
        return None if self._judge is None else self._judge.index

    def preload(self, rows: Sequence[Describable]) -> None:
        """Map the saved index of these rows into memory, or make their words, before processes are forked.

        The encoder is loaded too, unless it would not outlive a fork, as its thread would not.
        """
        rows = rows if isinstance(rows, tuple) else tuple(rows)
        words = Index.build(rows, None)
        self._preloaded = self._saved(words) or words
        _ = self._preloaded.words  # made now, where nothing was saved
        try:
            self._encoder.preload()
        except Exception:  # noqa: BLE001 - whoever prepares is told
            _log.debug("the encoder is not shared", exc_info=True)

    async def prepare(self, rows: Sequence[Describable], *, anew: bool = True) -> None:
        """Load the saved index of these rows, or build and save it; load the encoder.

        A saved index that does not fit is replaced; its vectors are kept for the texts that have not changed.
        A server waits for this before it chooses rows, so that the same intent gets the same list from the
        first request on.

        Args:
            rows: What is ranked from now on.
            anew: Use nothing of earlier rows in memory.
        """
        if anew:
            self._plain = self._vectors_from = None
        rows = rows if isinstance(rows, tuple) else tuple(rows)
        given_up = threading.Event()
        try:
            await to_thread.run_sync(self._prepare, rows, given_up)
        finally:
            given_up.set()

    async def succeed(self, rows: Sequence[Describable]) -> HybridSelector:
        """Return a prepared selector of other rows, while this one goes on answering.

        Encoder, cached requests and what was learned are shared; texts that this one has vectors of are not
        encoded again. A saved index is replaced.
        """
        other = copy.copy(self)
        other._mender = Mender()  # noqa: SLF001 - it is one of us
        await other.prepare(rows, anew=False)
        return other

    async def reread(self, rows: Sequence[Describable]) -> HybridSelector:
        """Return a prepared selector of rows from the folder as it is now, while this one goes on answering.

        Another process may have built a new index there. Without a folder it is as `succeed`.
        """
        other = copy.copy(self)
        await other.prepare(rows, anew=self._folder is not None)
        return other

    async def search(self, text: str, *, within: Rows, limit: int, history: Sequence[Turn] = ()) -> Ranking:
        """Rank rows for one request, best first.

        Args:
            text: What is looked for; a blank one finds nothing.
            within: Rows that may be found.
            limit: Most rows.
            history: What came before it in the same unit of work, oldest first.

        Raises:
            RuntimeError: ``prepare`` has not been called.
        """

        def ranked(judge: Judge, heard: Heard, scored: Scored) -> Ranking:
            hits = tuple(islice(rank(scored, judge.index.relations, within), limit))
            fits = not self._abstain or judge.serves(heard, scored, within)
            return Ranking(hits, fits=bool(hits) and fits)

        return await self._scored(hear(text, history), within, limit, ranked) or Ranking((), fits=False)

    async def select(
        self,
        intent: str,
        *,
        within: Rows,
        limit: int,
        costs: Sequence[int],
        budget_tokens: int,
        history: Sequence[Turn] = (),
    ) -> tuple[Hit, ...]:
        """Choose the rows that a whole unit of work needs; see ``types.Selector.select``.

        Raises:
            RuntimeError: ``prepare`` has not been called.
        """

        def chosen(judge: Judge, _heard: Heard, scored: Scored) -> tuple[Hit, ...]:
            hits = rank(scored, judge.index.relations, within)
            return choose(hits, limit=limit, costs=costs, budget_tokens=budget_tokens)

        return await self._scored(hear(intent, history), within, limit, chosen) or ()

    @property
    def learns(self) -> bool:
        """Whether it was given `Learning`."""
        return self._learning is not None

    async def learn(self, text: str, row: int, *, by: str = "") -> None:
        """Remember that a row was called successfully for a request; nothing where it does not learn.

        Args:
            text: The request.
            row: Ordinal of the row; one that there is not learns nothing.
            by: Opaque name of the caller, a digest rather than an identity.
        """
        learning, judge, heard = self._learning, self._judge, hear(text)
        if learning is None or judge is None or heard is None:
            return
        vectors = await self._vectors(judge.index, heard)
        if vectors is None:
            return
        try:
            await to_thread.run_sync(partial(learning.record, judge.index, row, heard, vectors, by=by))
        except VectorsUnavailableError as error:
            self._failed(judge, error)

    async def _scored(
        self, heard: Heard | None, within: Rows, limit: int, conclude: _Conclude[_Answer]
    ) -> _Answer | None:
        """Score rows and conclude, in a worker thread if it takes long; ``None`` if nothing is looked for."""
        judge, words = self._judge, self._words
        if judge is None or words is None:
            raise RuntimeError("the selector is not ready; await prepare(rows) first")
        if heard is None or not within or limit < 1:
            return None
        vectors = await self._vectors(judge.index, heard)
        k = max(CANDIDATES, 2 * limit)
        learned = None if self._learning is None else self._learning.learned(judge.index)

        scoring = partial(score, k=k, dense_weight=self._dense_weight, learned=learned)

        def answer() -> _Answer:
            try:
                found = conclude(judge, heard, scoring(judge.index, heard, vectors, within))
            except VectorsUnavailableError as error:
                self._failed(judge, error)
                return conclude(words, heard, scoring(words.index, heard, None, within))
            self._mender.worked()
            return found

        if learned is None and _at_once(judge, heard, within):
            return answer()
        return await to_thread.run_sync(answer)

    def _failed(self, judge: Judge, error: VectorsUnavailableError) -> None:
        """Go by words alone, and without the next wait, where a database has failed too often."""
        if self._judge is not judge:
            return
        if not self._mender.failed():
            _log.info("words alone answered a request: %s", error)
            return
        self._judge = self._words
        self._mend(error)

    def _mend(self, error: VectorsUnavailableError) -> None:
        _log.error("no vectors; words alone answer until there are: %s", error)
        self._mender.mend(self._attach_again)

    def _attach_again(self) -> None:
        words = self._words
        assert words is not None  # noqa: S101 - `prepare` comes first
        self._attach(words, threading.Event())
        _log.warning("vectors answer again")

    async def _vectors(self, index: Index, heard: Heard) -> Vectors | None:
        if index.vectors is None:
            return None
        try:
            found = [await self._encoder.vectors(one.parts) for one in heard.utterances]
        except Exception:  # noqa: BLE001 - logged below
            # Whatever a model raises, a request is answered. Told once, not with every request.
            level = logging.DEBUG if self._failing else logging.ERROR
            _log.log(level, "encoder failed; words alone answer", exc_info=True)
            self._failing = True
            return None
        self._failing = False
        if len(found) == 1:
            return found[0]
        return np.concatenate(
            [vectors[: one.searched] for one, vectors in zip(heard.utterances, found, strict=True)]
        )

    def _prepare(self, rows: Sequence[Describable], given_up: threading.Event) -> None:
        words, self._preloaded = self._preloaded, None
        if words is None or not words.is_of(rows):
            words = Index.build(rows, None)
        self._judge = self._words = Judge(words)
        try:
            self._attach(self._words, given_up)
        except VectorsUnavailableError as error:
            if not given_up.is_set():
                self._mend(error)
        except MissingDependencyError as error:
            if not given_up.is_set():
                _log.warning("no vectors; words alone answer: %s", error)
        except Exception:  # noqa: BLE001 - logged with its traceback
            # A broken model: words answer, and the log says why. A server that stops meanwhile takes the
            # encoder's thread away, which is nobody's fault.
            if not given_up.is_set():
                _log.exception("no vectors; words alone answer")

    def _attach(self, words: Judge, given_up: threading.Event) -> None:
        """Answer by vectors too, from now on."""
        loading = self._encoder.loading()
        index = self._fitting(words.index)
        loading.result()
        index = index or self._built(words.index, given_up)
        if self._plain is None and self._abstain:
            self._plain = self._plain_of(index)
        if index.local is not None:
            self._vectors_from = index
        if self._learning is not None:
            self._learning.begin(index)
        judge = Judge(index, self._plain)
        if self._words is words:  # else another catalog came meanwhile
            self._judge = judge
        self._renew(index, judge.plain)

    def _fitting(self, words: Index) -> Index | None:
        if self._vectors_from is not None:  # what is in memory is newer
            return None
        encoder = self._encoder.name, self._encoder.revision
        return words if words.encoder == encoder else self._saved(words, self._encoder)

    def _saved(self, words: Index, encoder: Encoder | None = None) -> Index | None:
        if self._folder is None:
            return None
        try:
            return words.with_saved(self._folder, encoder)
        except FileNotFoundError:
            return None
        except (IndexMismatchError, OSError) as error:
            _log.warning("%s", error)
            return None

    def _plain_of(self, index: Index) -> Vectors:
        requests = plain_requests()
        if index.plain is not None and index.plain.made_of == made_of(requests):
            return index.plain.vectors
        return self._encoder.encode_queries(requests)

    def _renew(self, index: Index, plain: Plain | None) -> None:
        """Save what the next start need not make again."""
        if self._folder is None or index.vectors is None:
            return
        try:
            index.renew(self._folder, plain)
        except (IndexMismatchError, OSError) as error:
            _log.debug("nothing added to the index in %s: %s", self._folder, error)

    def _built(self, words: Index, given_up: threading.Event) -> Index:
        if self._store is not None:
            return words.with_vectors_in(self._store, self._encoder, given_up)
        before = self._vectors_from
        if before is not None:
            index = words.with_vectors(self._encoder, known=before.known(self._encoder), after=before.local)
        else:
            known = {} if self._folder is None else known_vectors(self._folder, self._encoder)
            index = words.with_vectors(self._encoder, known=known)
        if self._folder is not None and index.vectors is not None:
            self._save(index, self._folder)
        return index

    def _save(self, index: Index, folder: Path) -> None:
        try:
            index.save(folder)
        except OSError as error:
            _log.warning("index not saved in %s (%s); it is built anew at the next start", folder, error)


def _at_once(judge: Judge, heard: Heard, within: Rows) -> bool:
    """Tell whether an answer takes so little that the event loop may wait for it."""
    vectors = judge.index.vectors
    if vectors is not None and vectors.waits:
        return False
    parts = sum(one.searched for one in heard.utterances)
    return parts * len(judge.index.rows) <= _AT_ONCE and judge.knows(within)
