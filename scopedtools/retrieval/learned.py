"""What the uses of rows add to their scores. Immutable; searches may run in parallel."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from scopedtools.retrieval.index import Index
from scopedtools.retrieval.layout import Ordinals
from scopedtools.retrieval.lexical import tokens
from scopedtools.retrieval.uses import RowUses, Uses
from scopedtools.retrieval.vector_store import RowVectors
from scopedtools.retrieval.vectors import DECIMALS, VectorIndex

if TYPE_CHECKING:
    from scopedtools.types import Vectors

Matrix = npt.NDArray[np.float64]

HALF_LIFE: Final = 64
"""Later uses of a row after which a use counts half."""

_PULL: Final = 8.0
"""How far uses pull a row's vector; reached by half at as many uses."""

_SHRINK: Final = 0.2
"""Part of the identity in the covariance of uses; more lets used rows win over rows that were never used."""

_ROUND: Final = 0.4
"""Uses for each dimension that the covariance is taken to be round for: few uses do not tell its shape."""

_WORDS: Final = 1.0
"""What the words of uses add to BM25, the words that fewer rows' uses have counting more."""

_WORDS_AT: Final = 8.0
"""Uses of a row at which half of that is added."""

_SATURATION: Final = (1.0, 0.1)
"""Uses with a word at which it adds half: a number, and a share of all uses of the row."""

_VOTE: Final = 0.6
"""Most that the nearest uses add to a fused score; a row with 20 uses gets up to 0.2."""

_VOTE_AT: Final = 12.0
_VOTERS: Final = 20
_TEMPERATURE: Final = 0.05
_NEAR: Final = (0.4, 0.8)
"""Cosines of the nearest use from which votes count, and from which they count in full."""


class _Used(NamedTuple):
    row: int
    weight: float  # of all its uses, which count less with age
    mean: npt.NDArray[np.float32]
    uses: RowUses


class Learned:
    """What uses add to the scores of the rows of one index.

    Three things, in the order in which scoring calls them: words of the uses (``add_words``), the row's
    vector pulled to where its uses are (``nearest``, ``cosine``), and votes of the nearest uses (``votes``).
    """

    def __init__(self, used: Sequence[_Used], vectors: VectorIndex | None) -> None:
        self.rows: Ordinals = np.array([one.row for one in used], dtype=np.int64)
        self._words = _postings(used)
        self._vectors = vectors
        self._near = {one.row: one.uses.vectors.astype(np.float32) for one in used}
        self._trust = {one.row: _VOTE * (one.weight / (one.weight + _VOTE_AT)) ** 2 for one in used}

    @classmethod
    def build(cls, uses: Uses, index: Index) -> Learned | None:
        """Derive what the uses teach about the rows of an index; ``None`` where they teach nothing.

        Takes about 10 ms and 50 microseconds a use; call it beside the requests, not on their path.
        """
        found = uses.rows()
        used = [_used(i, found[row.name]) for i, row in enumerate(index.rows) if row.name in found]
        if not used:
            return None
        fitting = index.vectors if index.encoder == uses.encoder else None
        return cls(used, None if fitting is None else _pulled(used, index, fitting))

    def add_words(self, parts: Sequence[str], bm25: npt.NDArray[np.float32]) -> None:
        """Add to the BM25 scores of the parts of a request, float32, shape ``(parts, rows)``, in place."""
        for scores, part in zip(bm25, parts, strict=True):
            for term in dict.fromkeys(tokens(part)):
                if term in self._words:
                    rows, gains = self._words[term]
                    scores[rows] += gains

    def nearest(self, queries: Vectors, permitted: npt.NDArray[np.bool_], k: int) -> list[Ordinals]:
        """Return, for each query, the ``k`` permitted rows whose pulled vectors are nearest, in no order."""
        if self._vectors is None:
            return []
        return [self.rows[found] for found in self._vectors.nearest(queries, permitted[self.rows], k)]

    def cosine(self, vectors: Vectors, rows: Ordinals, cosine: Matrix) -> Matrix:
        """Return the cosines of the candidates, those of used rows by their pulled vectors.

        Args:
            vectors: float32, shape ``(parts, d)``, unit rows.
            rows: Candidates, ascending, shape ``(m,)``.
            cosine: Their cosines without what was learned, shape ``(parts, m)``.
        """
        if self._vectors is None:
            return cosine
        mine, at, _ = np.intersect1d(rows, self.rows, assume_unique=True, return_indices=True)
        new = cosine.copy()
        new[:, at] = self._vectors.scores(vectors, np.searchsorted(self.rows, mine))
        return new

    def votes(self, vectors: Vectors, rows: Ordinals, fused: Matrix, parts: int) -> Matrix:
        """Return the fused scores with the votes of the uses nearest to each of the first parts.

        Args:
            vectors: float32, shape ``(all parts, d)``, unit rows.
            rows: Candidates, ascending, shape ``(m,)``.
            fused: Their scores, shape ``(all parts, m)``; those returned may be above 1.
            parts: How many parts the uses vote on: those of the request itself.
        """
        if self._vectors is None:
            return fused
        voted = [self._voted(v, rows, f) for v, f in zip(vectors[:parts], fused[:parts], strict=True)]
        return np.vstack((*voted, fused[parts:]))

    def _voted(self, vector: npt.NDArray[np.float32], rows: Ordinals, fused: Matrix) -> Matrix:
        best = np.argsort(-fused, kind="stable")[:_VOTERS]
        voters = [position for position in best.tolist() if int(rows[position]) in self._near]
        if not voters:
            return fused
        uses = [self._near[int(rows[position])] for position in voters]
        near = np.einsum("ud,d->u", np.concatenate(uses), vector).round(DECIMALS)
        owner = np.repeat(np.arange(len(voters)), [len(one) for one in uses])
        votes = np.exp((near - near.max()) / _TEMPERATURE)
        share = np.bincount(owner, votes, len(voters)) / votes.sum()
        low, high = _NEAR
        share *= np.clip((near.max() - low) / (high - low), 0.0, 1.0)
        new = fused.copy()
        new[voters] += share * [self._trust[int(rows[position])] for position in voters]
        return np.round(new, DECIMALS)


def _used(row: int, uses: RowUses) -> _Used:
    weights = _weights(len(uses.by))
    mean = (weights / weights.sum()) @ uses.vectors.astype(np.float32)
    return _Used(row, float(weights.sum()), mean.astype(np.float32), uses)


def _weights(n: int) -> npt.NDArray[np.float32]:
    return np.exp2(-np.arange(n)[::-1] / HALF_LIFE).astype(np.float32)


def _pulled(used: Sequence[_Used], index: Index, vectors: RowVectors) -> VectorIndex:
    """Pull all vectors of each used row, its description's and its examples', to where its uses are."""
    counts = np.array([len(row.texts) for row in index.rows])
    rows = np.array([one.row for one in used], dtype=np.int64)
    weight = np.array([one.weight for one in used], dtype=np.float32)[:, np.newaxis]
    pulls = _PULL * weight / (weight + _PULL) * _directions(used)
    row_of = np.repeat(np.arange(len(used)), counts[rows])
    pulled = vectors.of(rows) + pulls[row_of]
    pulled /= np.maximum(np.linalg.norm(pulled, axis=1, keepdims=True), 1e-6)
    return VectorIndex.build(pulled, row_of)


def _directions(used: Sequence[_Used]) -> npt.NDArray[np.float32]:
    """Tell what sets each row's uses apart from all others'; float32, shape ``(used, d)``."""
    # Centred and whitened: what all requests have in common would pull used rows towards every request, past
    # the rows that were never used.
    means = np.stack([one.mean for one in used])
    centre = means.mean(axis=0)
    all_uses = np.concatenate([one.uses.vectors for one in used]).astype(np.float32) - centre
    covariance = (all_uses.T @ all_uses).astype(np.float64)
    d = len(covariance)
    covariance *= d / max(float(np.trace(covariance)), 1e-6)
    prior = _ROUND * d / (_ROUND * d + len(all_uses))
    covariance = (1.0 - prior) * covariance + prior * np.eye(d)
    whiten = np.linalg.inv(covariance + _SHRINK * np.eye(d)) * (1.0 + _SHRINK)
    directions: npt.NDArray[np.float32] = ((means - centre) @ whiten).astype(np.float32)
    return directions


def _postings(used: Sequence[_Used]) -> dict[str, tuple[Ordinals, npt.NDArray[np.float32]]]:
    """Return, for each term of the uses, the rows whose uses have it and what it adds to their BM25."""
    gains: dict[str, dict[int, float]] = defaultdict(dict)
    for one in used:
        weights = _weights(len(one.uses.by)).tolist()
        counts: dict[str, float] = defaultdict(float)
        for weight, terms in zip(weights, one.uses.terms, strict=True):
            for term in terms:
                counts[term] += weight
        trust = _WORDS * one.weight / (one.weight + _WORDS_AT)
        flat, steep = _SATURATION
        for term, n in counts.items():
            gains[term][one.row] = trust * n / (n + flat + steep * one.weight)
    rarity = {
        term: math.log1p((len(used) - len(rows) + 0.5) / (len(rows) + 0.5)) for term, rows in gains.items()
    }
    return {
        term: (
            np.array(list(rows)),
            np.array(list(rows.values()), dtype=np.float32) * np.float32(rarity[term]),
        )
        for term, rows in gains.items()
    }
