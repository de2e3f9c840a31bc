"""What others rank with: MiniLM, BM25 and their fusions, as the literature has them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

import bm25s
import numpy as np
import numpy.typing as npt

from scopedtools.retrieval.ranking import choose
from scopedtools.retrieval.text import words
from scopedtools.retrieval.vectors import members
from scopedtools.types import Describable, Encoder, Hit, Ranking, Rows, Turn

if TYPE_CHECKING:
    from scopedtools.types import Vectors

Scores = npt.NDArray[np.float64]

Said = Sequence[tuple[str, float]]
"""Texts with their weights: the request at 1, then what came before it."""

TextOf = Callable[[Describable], str]

RRF_K: Final = 60
RRF_DEPTH: Final = 100

logging.getLogger("bm25s").setLevel(logging.WARNING)  # it sets itself to DEBUG when imported


class Scorer(Protocol):
    """Scores every row of a catalog."""

    def prepare(self, rows: Sequence[Describable]) -> None:
        """Index the rows."""
        ...

    def scores(self, said: Said) -> Scores:
        """Score every row; float64, shape ``(rows,)``, nothing speaks for a row at 0."""
        ...


class Scored:
    """Ranks by a score alone. A ``types.Selector`` that never abstains.

    Args:
        scorer: What scores.
        decay: Weight of the turn before, of the one before that its square, and so on; 0 for the last alone.
        replies: Whether what the assistant answered counts like what it was asked.
        most: Most rows that it ever returns.
    """

    def __init__(
        self, scorer: Scorer, *, decay: float = 0.0, replies: bool = False, most: int | None = None
    ) -> None:
        self._scorer = scorer
        self._decay = decay
        self._replies = replies
        self._most = most
        self._rows = 0

    async def prepare(self, rows: Sequence[Describable]) -> None:
        self._rows = len(rows)
        self._scorer.prepare(rows)

    async def search(self, text: str, *, within: Rows, limit: int, history: Sequence[Turn] = ()) -> Ranking:
        scores = self._scorer.scores(self._said(text, history))
        limit = limit if self._most is None else min(limit, self._most)
        best = top(np.where(members(within, self._rows), scores, 0.0), limit)
        return Ranking(tuple(Hit(int(row), float(scores[row]), 0.0, 0.0, text) for row in best), fits=True)

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
        ranking = await self.search(intent, within=within, limit=4 * limit, history=history)
        return choose(iter(ranking.hits), limit=limit, costs=costs, budget_tokens=budget_tokens)

    def _said(self, text: str, history: Sequence[Turn]) -> Said:
        said = [(text, 1.0)]
        for age, turn in enumerate(reversed(history) if self._decay else (), start=1):
            said.append((turn.text, self._decay**age))
            if self._replies and turn.reply:
                said.append((turn.reply, self._decay**age))
        return said


class Dense:
    """Cosine of the request with each row, exact: what a flat FAISS index computes."""

    def __init__(self, encoder: Encoder, text_of: TextOf) -> None:
        self._encoder = encoder
        self._text_of = text_of
        self._vectors: Vectors = np.zeros((0, 0), dtype=np.float32)

    def prepare(self, rows: Sequence[Describable]) -> None:
        self._vectors = self._encoder.encode_documents([self._text_of(row) for row in rows])

    def scores(self, said: Said) -> Scores:
        vectors = self._encoder.encode_queries([text for text, _ in said])
        query = np.asarray([weight for _, weight in said], dtype=np.float32) @ vectors
        return np.asarray(self._vectors @ (query / np.linalg.norm(query)), dtype=np.float64)


class Words:
    """BM25 of bm25s as it comes: Lucene's variant, k1 1.5, b 0.75, English stop words, no stemming."""

    def __init__(self, text_of: TextOf) -> None:
        self._text_of = text_of
        self._model: Any = None
        self._rows = 0

    def prepare(self, rows: Sequence[Describable]) -> None:
        self._rows = len(rows)
        self._model = bm25s.BM25(backend="numpy", csc_backend="numpy")
        self._model.index(_tokens([self._text_of(row) for row in rows]), show_progress=False)

    def scores(self, said: Said) -> Scores:
        total = np.zeros(self._rows, dtype=np.float64)
        for text, weight in said:
            known = [token for token in _tokens([text])[0] if token in self._model.vocab_dict]
            if known:
                total += weight * self._model.get_scores(known)
        return total


class Convex:
    """A weighted sum of both, each scaled to 0..1 over the catalog for each request."""

    def __init__(self, dense: Scorer, lexical: Scorer, weight: float = 0.7) -> None:
        self._dense = dense
        self._lexical = lexical
        self._weight = weight

    def prepare(self, rows: Sequence[Describable]) -> None:
        self._dense.prepare(rows)
        self._lexical.prepare(rows)

    def scores(self, said: Said) -> Scores:
        dense, lexical = scaled(self._dense.scores(said)), scaled(self._lexical.scores(said))
        return self._weight * dense + (1.0 - self._weight) * lexical


class Reciprocal:
    """Reciprocal rank fusion (Cormack et al., 2009): 1 over 60 and the rank, over the first 100 of each."""

    def __init__(self, *scorers: Scorer) -> None:
        self._scorers = scorers

    def prepare(self, rows: Sequence[Describable]) -> None:
        for scorer in self._scorers:
            scorer.prepare(rows)

    def scores(self, said: Said) -> Scores:
        given = np.stack([_reciprocal(scorer.scores(said)) for scorer in self._scorers])
        fused: Scores = given.sum(axis=0)
        return fused


def described(row: Describable, *, servers: bool) -> str:
    """Return the text of the measured baseline: server, name split into words, description, parameters."""
    # A row of a set is named by its ID, which says the server once more; its title is the tool's own name.
    text = f"{words(row.title or row.name)}: {row.description}"
    if servers and row.group:
        text = f"{words(row.group)} {text}"
    parameters = ", ".join(words(parameter.name) for parameter in row.parameters())
    text = " ".join(text.split())
    return f"{text} Parameters: {parameters}" if parameters else text


def top(scores: Scores, k: int) -> npt.NDArray[np.int64]:
    """Return at most ``k`` rows that score above 0, by falling score, then rising row."""
    rows = np.flatnonzero(scores > 0)
    if len(rows) > k:
        # Everything from the k-th score up: partition alone leaves equal scores in an arbitrary order.
        rows = rows[scores[rows] >= np.partition(scores[rows], -k)[-k]]
    return rows[np.lexsort((rows, -scores[rows]))][:k]


def scaled(scores: Scores) -> Scores:
    """Scale to 0..1 by the least and the greatest; zeros where all are equal."""
    least, greatest = scores.min(initial=np.inf), scores.max(initial=-np.inf)
    if greatest <= least:
        return np.zeros_like(scores)
    return np.asarray((scores - least) / (greatest - least))


def _reciprocal(scores: Scores) -> Scores:
    given = np.zeros_like(scores)
    best = top(scores, RRF_DEPTH)
    given[best] = 1.0 / (RRF_K + np.arange(1, len(best) + 1))
    return given


def _tokens(texts: list[str]) -> Any:
    return bm25s.tokenize(texts, stopwords="en", return_ids=False, show_progress=False)
