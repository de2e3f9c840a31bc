"""Ranks scored rows, with the rows that others need, and decides whether any of them serves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from scopedtools.retrieval.index import Index
from scopedtools.retrieval.relations import Relations
from scopedtools.retrieval.scoring import Scored
from scopedtools.retrieval.vectors import members
from scopedtools.types import Hit, Rows

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

_LED: Final = 0.9
"""What a row that finds the ID that a better row takes scores of that row's score."""

_LEADERS: Final = 5
"""Best rows whose finders are lifted."""


def rank(scored: Scored, relations: Relations, within: Rows) -> Iterator[Hit]:
    """Yield the rows that score, best first, each followed by the rows that it requires.

    The rows that find the IDs that the best take are lifted next to them.

    Args:
        scored: Candidates.
        relations: Relations of all rows.
        within: Rows that may be found; what is required is only shown to those who may use it.
    """
    hits = [_hit(scored, position) for position in scored.order()]
    permitted = members(within, len(relations.required))
    seen: set[int] = set()
    for hit in _lifted(hits, relations):
        for row in relations.closure(hit.row):
            if row not in seen and permitted[row]:
                seen.add(row)
                yield hit if row == hit.row else _led(hit, row, hit.score)


def served(index: Index, scored: Scored) -> bool:
    """Tell whether the best candidate is likely to serve the request; see ``MIN_EVIDENCE``."""
    if not scored.rows.size:
        return False
    coverage = float(index.lexical.coverage(scored.parts[0])[scored.rows].max())
    if not scored.vector.any():
        return coverage >= MIN_COVERAGE
    return float(scored.vector.max()) + _COVERAGE_WEIGHT * coverage >= MIN_EVIDENCE


def choose(hits: Iterator[Hit], *, limit: int, costs: Sequence[int], budget_tokens: int) -> tuple[Hit, ...]:
    """Choose the best rows that fit into a budget; those that do not fit into what is left are passed over.

    Args:
        hits: Rows, best first.
        limit: Most rows to choose.
        costs: Tokens of each row, by ordinal.
        budget_tokens: Most tokens of the chosen rows together.
    """
    chosen: list[Hit] = []
    left = budget_tokens
    for hit in hits:
        if len(chosen) == limit:
            break
        if costs[hit.row] <= left:
            chosen.append(hit)
            left -= costs[hit.row]
    return tuple(chosen)


def _lifted(hits: Sequence[Hit], relations: Relations) -> list[Hit]:
    best = {hit.row: hit for hit in hits}
    for hit in hits[:_LEADERS]:
        for finder in relations.finders[hit.row]:
            have = best.get(finder)
            least = _LED * hit.score
            if have is None or have.score < least:
                best[finder] = _led(have or hit, finder, least)._replace(needed_by=hit.row)
    return sorted(best.values(), key=lambda hit: (-hit.score, hit.row))


def _led(hit: Hit, row: int, score: float) -> Hit:
    """Return the hit of a row that stands here for another's sake."""
    if hit.row == row:
        return hit._replace(score=score)
    return Hit(row, score, vector=0.0, lexical=0.0, clause=hit.clause, needed_by=hit.row)


def _hit(scored: Scored, position: int) -> Hit:
    part = int(np.argmax(scored.fused[:, position]))
    return Hit(
        row=int(scored.rows[position]),
        score=float(scored.total[position]),
        vector=float(scored.vector[:, position].max()),
        lexical=float(scored.lexical[part, position]),
        clause=scored.parts[part],
    )
