"""Ranks scored rows, with the rows that others need."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    position = dict(zip(rows, order, strict=True))
    seen: set[int] = set()
    for place in _lifted(rows, scored.total[order].tolist(), relations, permitted):
        for row in relations.closure(place.row):
            if row not in seen and permitted[row]:
                seen.add(row)
                needed_by = place.needed_by if row == place.row else place.row
                yield _hit(scored, position, place._replace(row=row, needed_by=needed_by))


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
    standing = {row: score for row, score in zip(rows, scores, strict=True) if row in lifted}
    lifted = {row: place for row, place in lifted.items() if place.score > standing.get(row, 0.0)}
    # Made as they are asked for: a search shows twenty of a thousand candidates.
    rest = (_Place(score, row) for row, score in zip(rows, scores, strict=True) if row not in lifted)
    return heapq.merge(rest, sorted(lifted.values(), key=_rank), key=_rank)


def _rank(place: _Place) -> tuple[float, int]:
    return -place.score, place.row


def _hit(scored: Scored, position: Mapping[int, int], place: _Place) -> Hit:
    """Say why a row stands where it does; of one that is no candidate, only for whose sake."""
    at = position.get(place.row)
    if at is None:
        leader = position.get(place.needed_by) if place.needed_by is not None else None
        clause = scored.parts[_part(scored, leader) if leader is not None else 0]
        return Hit(place.row, place.score, 0.0, 0.0, clause, place.needed_by)
    part = _part(scored, at)
    return Hit(
        row=place.row,
        score=place.score,
        vector=float(scored.vector[:, at].max()),
        lexical=float(scored.lexical[part, at]),
        clause=scored.parts[part],
        needed_by=place.needed_by,
    )


def _part(scored: Scored, position: int) -> int:
    """Return the part that a row fits best; a clause says more than the whole where both fit as well."""
    fused = scored.fused[:, position]
    clause = 1 + int(np.argmax(fused[1:])) if len(fused) > 1 else 0
    return clause if fused[clause] >= fused[0] else 0
