"""Scores rows for a request: vectors and words together, over the whole request and each of its clauses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from scopedtools.retrieval.index import Index
from scopedtools.retrieval.vectors import Ordinals, members
from scopedtools.types import Hit, Rows

if TYPE_CHECKING:
    from scopedtools.types import Vectors

DECIMALS: Final = 6

MIN_EVIDENCE: Final = 0.35
"""Evidence from which a request counts as served: the best cosine and a fifth of the best coverage.

Measured with all-MiniLM-L6-v2 on up to 100 requests of each of eight sets, means of the sets, and chosen on
the same sets. Of requests whose tools are there, 7.6 % fall below (0 to 29 %). Of requests of the other seven
sets, 36 % pass at narrow catalogs (54 to 527 tools of a field or two), 58 % at all; general catalogs do serve
some of them. Of requests whose very tools were taken out, 88 % pass, since those beside them stay. So it
catches what is off the subject, not that the one right tool is missing. It holds for this encoder only.
"""

MIN_COVERAGE: Final = 0.1
"""The same for words alone, on the best coverage: 6.9 % fall below, 64 % of other sets' requests pass."""

_COVERAGE_WEIGHT: Final = 0.2

Matrix = npt.NDArray[np.float64]


class Scored(NamedTuple):
    """Candidate rows and what speaks for them.

    Attributes:
        parts: The whole request, then its clauses.
        rows: int64, shape ``(m,)``, ascending.
        vector: Cosine similarity for each part and row, shape ``(parts, m)``; zeros without vectors.
        lexical: BM25 over the best of the part, in 0..1, shape ``(parts, m)``.
        fused: Both together, in 0..1, shape ``(parts, m)``.
    """

    parts: tuple[str, ...]
    rows: Ordinals
    vector: Matrix
    lexical: Matrix
    fused: Matrix

    def order(self) -> list[int]:
        """Return the positions of those that score, by their best part: falling score, then rising row."""
        return _falling(self.fused.max(axis=0))

    def order_for(self, part: int) -> list[int]:
        """Return the positions of those that score for one part: falling score, then rising row."""
        return _falling(self.fused[part])

    def hit(self, position: int) -> Hit:
        """Return a candidate with the reason why it is one."""
        part = int(self.fused[:, position].argmax())
        return Hit(
            row=int(self.rows[position]),
            score=float(self.fused[part, position]),
            vector=float(self.vector[:, position].max()),
            lexical=float(self.lexical[part, position]),
            clause=self.parts[part],
        )


def score(
    index: Index,
    parts: tuple[str, ...],
    vectors: Vectors | None,
    within: Rows,
    *,
    k: int,
    dense_weight: float,
) -> Scored:
    """Score the permitted rows that any part of a request finds by its vector or by its words.

    Each part is scaled by its own best row: a clause that fits its tool loosely still gets it.

    Args:
        index: The rows.
        parts: The whole request, then its clauses; at least one.
        vectors: A vector for each part, or ``None`` to go by words alone.
        within: Rows that may be found.
        k: Candidates that each part adds by vectors, and by words.
        dense_weight: Weight of the vectors in 0..1; the words get the rest.
    """
    bm25 = _permitted_bm25(index, parts, within)
    best = bm25.max(axis=1, initial=0.0)
    found = [_top(scores, k) for scores in bm25]
    if vectors is None or index.vectors is None:
        rows = _union(found)
        lexical = _scaled(bm25[:, rows], best)
        return Scored(parts, rows, np.zeros_like(lexical), lexical, lexical)
    nearest = [index.vectors.search(vector, within, k)[0] for vector in vectors]
    rows = _union([*found, *nearest])
    lexical = _scaled(bm25[:, rows], best)
    # The candidates of words alone get their exact cosine too. A cosine of 0 is what unrelated texts have:
    # measured, it is as good a floor as the worst row's cosine, and needs no worst row.
    vector = index.vectors.scores(vectors, rows)
    dense = _scaled(np.maximum(vector, 0.0), vector.max(axis=1, initial=0.0))
    fused = np.round(dense_weight * dense + (1.0 - dense_weight) * lexical, DECIMALS)
    return Scored(parts, rows, vector, lexical, fused)


def served(index: Index, scored: Scored) -> bool:
    """Tell whether the best candidate is likely to serve the request; see ``MIN_EVIDENCE``."""
    if not scored.rows.size:
        return False
    coverage = float(index.lexical.coverage(scored.parts[0])[scored.rows].max())
    if not scored.vector.any():
        return coverage >= MIN_COVERAGE
    return float(scored.vector.max()) + _COVERAGE_WEIGHT * coverage >= MIN_EVIDENCE


def choose(scored: Scored, *, limit: int, costs: Sequence[int], budget_tokens: int) -> tuple[Hit, ...]:
    """Choose rows for a whole unit of work: every clause's best rows come before the tail of the rest.

    Rows that do not fit into what is left of the budget are passed over.

    Args:
        scored: Candidates for the unit of work.
        limit: Most rows to choose.
        costs: Tokens of each row, by ordinal.
        budget_tokens: Most tokens of the chosen rows together.

    Returns:
        Chosen rows by falling score, then rising row.
    """
    chosen: list[int] = []
    left = budget_tokens
    for position in _covering(scored, limit):
        if len(chosen) == limit:
            break
        cost = costs[int(scored.rows[position])]
        if cost <= left:
            chosen.append(position)
            left -= cost
    hits = (scored.hit(position) for position in chosen)
    return tuple(sorted(hits, key=lambda hit: (-hit.score, hit.row)))


def _covering(scored: Scored, limit: int) -> list[int]:
    """Order candidates so that each part's best come first, by turns, then the rest by their best part."""
    by_part = [scored.order_for(part) for part in range(len(scored.parts))]
    turns = limit // (2 * len(by_part)) + 1
    first = [order[turn] for turn in range(turns) for order in by_part if turn < len(order)]
    return list(dict.fromkeys([*first, *scored.order()]))


def _permitted_bm25(index: Index, parts: tuple[str, ...], within: Rows) -> Matrix:
    permitted = members(within, len(index.rows))
    bm25 = np.stack([index.lexical.scores(part) for part in parts]).astype(np.float64)
    bm25[:, ~permitted] = 0.0
    return bm25


def _top(scores: npt.NDArray[np.float64], k: int) -> Ordinals:
    """Return the ``k`` rows with the highest scores above 0, the lower row where scores are equal."""
    rows = np.flatnonzero(scores)
    if len(rows) > k:
        # Everything from the k-th score up: partition alone leaves equal scores in an arbitrary order.
        edge = np.partition(scores[rows], -k)[-k]
        rows = rows[scores[rows] >= edge]
        rows = rows[np.lexsort((rows, -scores[rows]))[:k]]
    return rows


def _union(found: Sequence[Ordinals]) -> Ordinals:
    return np.unique(np.concatenate(found))


def _scaled(scores: Matrix, best: npt.NDArray[np.float64]) -> Matrix:
    """Divide each part's scores by the best of the part; zeros where the best is 0."""
    safe = np.where(best > 0, best, 1.0)
    return np.round(scores / safe[:, np.newaxis], DECIMALS)


def _falling(scores: npt.NDArray[np.float64]) -> list[int]:
    # Stable, and positions rise with rows: equal scores stay in catalog order. Nothing speaks for a row at 0.
    order: list[int] = np.argsort(-scores, kind="stable")[: np.count_nonzero(scores > 0)].tolist()
    return order
