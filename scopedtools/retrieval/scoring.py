"""Scores rows for what was heard: vectors and words together, the whole and its clauses, now and before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from scopedtools.retrieval.heard import Heard, Utterance
from scopedtools.retrieval.index import Index
from scopedtools.retrieval.layout import Ordinals
from scopedtools.retrieval.learned import Learned
from scopedtools.retrieval.vectors import DECIMALS, highest_of_each, members
from scopedtools.types import Rows

if TYPE_CHECKING:
    from scopedtools.types import Vectors

_WHOLE_WEIGHT: Final = 0.2
"""What the whole request counts beside its best part."""

_MEAN_WEIGHT: Final = 0.4
"""What the mean of all that was said counts beside the best of it."""

_GROUP_WEIGHT: Final = 0.2
_LIKENESS_WEIGHT: Final = 0.2
_AGAIN: Final = 0.5
"""How alike a row counts to itself: a row that was called is not the one to call next."""

_MOST_OF_GROUP: Final = 200

Matrix = npt.NDArray[np.float64]


class Scored(NamedTuple):
    """Candidate rows and what speaks for them.

    Attributes:
        parts: What was looked for: the request, its clauses, then what came before.
        rows: int64, shape ``(m,)``, ascending.
        vector: Cosine similarity for each part and row, shape ``(parts, m)``; zeros without vectors.
        lexical: BM25 over the best of the part, in 0..1, shape ``(parts, m)``.
        fused: Both together and weighted, in 0..1, shape ``(parts, m)``.
        total: The score of each row, in 0..1, shape ``(m,)``.
    """

    parts: tuple[str, ...]
    rows: Ordinals
    vector: Matrix
    lexical: Matrix
    fused: Matrix
    total: npt.NDArray[np.float64]

    def order(self) -> list[int]:
        """Return the positions of the rows that score: falling score, then rising row."""
        # Stable, and positions rise with rows: equal scores stay in catalog order.
        found = (-self.total).argsort(kind="stable")[: np.count_nonzero(self.total > 0)]
        order: list[int] = found.tolist()
        return order


def score(
    index: Index,
    heard: Heard,
    vectors: Vectors | None,
    within: Rows,
    *,
    k: int,
    dense_weight: float,
    learned: Learned | None = None,
) -> Scored:
    """Score the permitted rows that anything heard finds by its vector or by its words.

    Within an utterance each part is scaled by its own best row: a clause that fits its tool loosely still
    gets it. Utterances are scaled against each other by how well their best rows fit: "yes, please" finds
    nothing, and what was said before decides.

    Args:
        index: The rows.
        heard: What is looked for.
        vectors: A vector for each of ``heard.texts``, or ``None`` to go by words alone.
        within: Rows that may be found.
        k: Candidates that each part adds by vectors, and by words.
        dense_weight: Weight of the vectors in 0..1; the words get the rest.
        learned: What the uses of rows teach, or ``None``.
    """
    if heard.called:
        # Of a larger catalog, or of one that is no more.
        known = {row: weight for row, weight in heard.called.items() if 0 <= row < len(index.rows)}
        heard = heard._replace(called=known)
    permitted = members(within, len(index.rows))
    texts, spans = heard.texts, heard.spans
    bm25 = index.lexical.matrix(texts)
    if learned is not None:
        learned.add_words(texts, bm25)
    if not permitted.all():
        bm25 *= permitted
    rows = _candidates(index, heard, vectors, bm25, permitted=permitted, k=k, learned=learned)
    most = bm25.max(axis=1, initial=0.0).astype(np.float64)
    lexical = _scaled(bm25.take(rows, axis=1).astype(np.float64), most)
    words = _weighted(lexical, most, spans, heard.utterances)
    if vectors is None or index.vectors is None:
        cosines, fused = np.zeros_like(words), words
    else:
        # Unrelated texts have a cosine of 0: as good a floor as the worst row's, which is not known here.
        cosines = index.vectors.scores(vectors, rows)
        if learned is not None:
            cosines = learned.cosine(vectors, rows, cosines)
        best = cosines.max(axis=1, initial=0.0)
        meaning = _weighted(_scaled(np.maximum(cosines, 0.0), best), best, spans, heard.utterances)
        fused = dense_weight * meaning + (1.0 - dense_weight) * words
        if learned is not None:
            fused = learned.votes(vectors, rows, fused, heard.utterances[0].searched)
    total = _total(fused, spans, heard.utterances)
    if heard.called:
        total = _with_calls(index, rows, total, heard.called)
    return Scored(texts, rows, cosines, lexical, fused.round(DECIMALS), total.round(DECIMALS))


def _candidates(
    index: Index,
    heard: Heard,
    vectors: Vectors | None,
    bm25: npt.NDArray[np.float32],
    *,
    permitted: npt.NDArray[np.bool_],
    k: int,
    learned: Learned | None,
) -> Ordinals:
    """Return the rows that any part of what is said now finds, or all that came before it together."""
    now = heard.utterances[0].searched
    weights = np.array([one.weight for one in heard.utterances[1:]], dtype=np.float32)
    found = highest_of_each(bm25[:now], k)
    if len(weights):
        # Not `@`: BLAS would start threads of its own, which fight over the cores under load.
        found += highest_of_each(np.einsum("p,pn->n", weights, bm25[now:])[np.newaxis], k)
    if vectors is not None and index.vectors is not None:
        queries = vectors[:now]
        if len(weights):
            queries = np.vstack([queries, _unit(weights @ vectors[now:])])
        found += index.vectors.nearest(queries, permitted, k)
        if learned is not None:
            found += learned.nearest(queries, permitted, k)
    if heard.called:
        found.append(_of_groups(index, heard.called, permitted))
    # Marked, not sorted: parts find many rows in common.
    either = np.zeros(len(permitted), dtype=np.bool_)
    for rows in found:
        either[rows] = True
    return either.nonzero()[0]


def _of_groups(index: Index, called: Mapping[int, float], permitted: npt.NDArray[np.bool_]) -> Ordinals:
    groups = index.relations.groups
    mine = np.unique(groups[list(called)])
    rows = np.flatnonzero(np.isin(groups, mine[mine >= 0]) & permitted)
    return rows[:_MOST_OF_GROUP]


def _weighted(
    scaled: Matrix,
    best: npt.NDArray[np.float64],
    spans: Sequence[tuple[int, int]],
    utterances: Sequence[Utterance],
) -> Matrix:
    """Scale each utterance's parts by how well its best row fits, against the best of all utterances."""
    if len(utterances) == 1:
        return scaled
    strengths = [one.weight * best[a:b].max() for one, (a, b) in zip(utterances, spans, strict=True)]
    strongest = max(strengths) or 1.0
    factors = [strength / strongest for strength in strengths]
    each = np.repeat(factors, [b - a for a, b in spans])
    weighted: Matrix = scaled * each[:, np.newaxis]
    return weighted


def _total(
    fused: Matrix, spans: Sequence[tuple[int, int]], utterances: Sequence[Utterance]
) -> npt.NDArray[np.float64]:
    said = list(_by_utterance(fused, spans))
    total = said[0]
    if len(said) > 1:
        each = np.stack(said)
        mean = each.sum(axis=0) / sum(one.weight for one in utterances)
        total = (1 - _MEAN_WEIGHT) * each.max(axis=0) + _MEAN_WEIGHT * mean
    # Over 1 is what uses vote for, and where an older turn fits better than what is said now, the mean.
    most = float(total.max(initial=0.0))
    return total / most if most > 1.0 else total


def _by_utterance(fused: Matrix, spans: Sequence[tuple[int, int]]) -> Iterator[npt.NDArray[np.float64]]:
    for a, b in spans:
        yield _WHOLE_WEIGHT * fused[a] + (1 - _WHOLE_WEIGHT) * fused[a:b].max(axis=0)


def _with_calls(
    index: Index, rows: Ordinals, total: npt.NDArray[np.float64], called: Mapping[int, float]
) -> npt.NDArray[np.float64]:
    """Add what calls speak for: the rest of their groups, and rows that are like those called."""
    weights = np.array(list(called.values()))
    ordinals = np.array(list(called), dtype=np.int64)
    groups = index.relations.groups
    same = (groups[rows] == groups[ordinals][:, np.newaxis]) & (groups[rows] >= 0)
    total = total + _GROUP_WEIGHT * (weights[:, np.newaxis] * same).max(axis=0)
    if index.vectors is not None:
        like = np.maximum(index.vectors.likeness(ordinals, rows), 0.0)
        like[ordinals[:, np.newaxis] == rows] *= _AGAIN
        total = total + _LIKENESS_WEIGHT * (weights[:, np.newaxis] * like).max(axis=0)
    return total / (1 + _GROUP_WEIGHT + _LIKENESS_WEIGHT)


def _unit(vector: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    length = float(np.linalg.norm(vector))
    return vector / np.float32(length) if length else vector


def _scaled(scores: Matrix, best: npt.NDArray[np.float64]) -> Matrix:
    """Divide each part's scores by the best of the part; zeros where the best is 0."""
    safe = np.where(best > 0, best, 1.0)
    scaled: Matrix = (scores / safe[:, np.newaxis]).round(DECIMALS)
    return scaled
