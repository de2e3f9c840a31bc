"""Ranks scored rows, with the rows that others need."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from scopedtools.retrieval.relations import Relations
from scopedtools.retrieval.scoring import Scored
from scopedtools.retrieval.vectors import members
from scopedtools.types import Hit, Rows

_LED: Final = 0.9
"""What a row that finds the ID that a better row takes scores of that row's score."""

_LEADERS: Final = 5
"""Best rows whose finders are lifted."""


class _Place(NamedTuple):
    """Where a row stands, and for whose sake.

    Attributes:
        score: Its score.
        row: Its ordinal.
        needed_by: The row that it stands here for, or ``None`` where it stands here by itself.
    """

    score: float
    row: int
    needed_by: int | None = None


class _Reasons:
    """Says why rows stand where they do. What it says of all candidates at once costs as much as of one."""

    def __init__(self, scored: Scored) -> None:
        self._scored = scored
        self._cosines = scored.vector.max(axis=0)
        self._parts = _parts(scored.fused)

    def hit(self, place: _Place) -> Hit:
        """Return a hit; of a row that is no candidate it says only for whose sake it is one."""
        at = self._position(place.row)
        if at is None:
            leader = None if place.needed_by is None else self._position(place.needed_by)
            clause = self._scored.parts[0 if leader is None else self._parts[leader]]
            return Hit(place.row, place.score, 0.0, 0.0, clause, place.needed_by)
        part = self._parts[at]
        return Hit(
            place.row,
            place.score,
            float(self._cosines[at]),
            float(self._scored.lexical[part, at]),
            self._scored.parts[part],
            place.needed_by,
        )

    def _position(self, row: int) -> int | None:
        rows = self._scored.rows
        at = int(rows.searchsorted(row))
        return at if at < len(rows) and rows[at] == row and self._scored.total[at] > 0 else None


def rank(scored: Scored, relations: Relations, within: Rows) -> Iterator[Hit]:
    """Yield the rows that score, best first, each followed by the rows that it requires.

    The rows that find the IDs that the best take are lifted next to them.

    Args:
        scored: Candidates.
        relations: Relations of all rows.
        within: Rows that may be found; what is required is only shown to those who may use it.
    """
    permitted = members(within, len(relations.required))
    order = scored.order()
    rows: list[int] = scored.rows[order].tolist()
    places = _lifted(rows, scored.total[order].tolist(), relations, permitted)
    reasons = _Reasons(scored)
    seen: set[int] = set()
    for place in places:
        needed = relations.closure(place.row) if relations.required[place.row] else (place.row,)
        for row in needed:
            if row not in seen and permitted[row]:
                seen.add(row)
                required = place if row == place.row else _Place(place.score, row, place.row)
                yield reasons.hit(required)


def choose(hits: Iterator[Hit], *, limit: int, costs: Sequence[int], budget_tokens: int) -> tuple[Hit, ...]:
    """Choose the best rows that fit into a budget; those that do not fit into what is left are passed over.

    At the edge a row may come without what it requires: search leads there.

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


def _lifted(
    rows: Sequence[int], scores: Sequence[float], relations: Relations, permitted: npt.NDArray[np.bool_]
) -> Iterable[_Place]:
    """Lift the finders of the best rows, each unless it stands higher by itself."""
    lifted: dict[int, _Place] = {}
    for leader, score in zip(rows[:_LEADERS], scores, strict=False):
        for finders in relations.finders[leader]:
            finder = next((row for row in finders if permitted[row]), None)
            if finder is not None:
                # Leaders come by falling score: the first lifts highest.
                lifted.setdefault(finder, _Place(_LED * score, finder, leader))
    if not lifted:
        return map(_Place, scores, rows)
    standing = {row: score for row, score in zip(rows, scores, strict=True) if row in lifted}
    lifted = {row: place for row, place in lifted.items() if place.score > standing.get(row, 0.0)}
    # Made as they are asked for: a search shows twenty of a thousand candidates.
    rest = (_Place(score, row) for row, score in zip(rows, scores, strict=True) if row not in lifted)
    return heapq.merge(rest, sorted(lifted.values(), key=_rank), key=_rank)


def _rank(place: _Place) -> tuple[float, int]:
    return -place.score, place.row


def _parts(fused: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """Return the part that each row fits best; a clause says more than the whole where both fit as well.

    Args:
        fused: Scores of the parts, the whole first; float64, shape ``(parts, m)``.
    """
    if len(fused) == 1:
        return np.zeros(fused.shape[1], dtype=np.intp)
    clauses = fused[1:]
    return np.where(clauses.max(axis=0) >= fused[0], 1 + clauses.argmax(axis=0), 0)
