"""Measures over many outcomes, for all of them and for each kind and part."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import takewhile
from typing import Final, NamedTuple

import numpy as np

from scopedtools.catalog.catalog import Catalog
from scopedtools.evaluation import measures
from scopedtools.evaluation.data import Slot
from scopedtools.evaluation.measures import Mean
from scopedtools.evaluation.run import Outcome

_DEPTHS: Final = (1, 5, 10)
"""Depths at which rankings are cut, besides ``k``."""

Value = Callable[[Outcome], float | None]
"""What a measure says of a line, or ``None`` where it says nothing of such lines."""


class Group(NamedTuple):
    """Some lines and what was measured on them.

    Attributes:
        by: What they have in common: ``all``, ``kind`` or ``part``.
        name: Which kind or part, or ``all``.
        lines: How many lines.
        with_needs: How many of them need anything.
        means: Means by the name of the measure, in the order of `measured`; none over no lines.
        ms: Milliseconds of a search, by name: ``p50`` and ``p99`` beside the encoder, ``wall_p50`` and
            ``wall_p99`` with it.
    """

    by: str
    name: str
    lines: int
    with_needs: int
    means: Mapping[str, Mean]
    ms: Mapping[str, float]


class Summary(NamedTuple):
    """What was measured.

    Attributes:
        groups: All lines, then each kind and each part where there are several.
        lacking: Lines with a need that no row of the catalog meets: misses, whatever is found.
        unservable: Those among them of which the catalog meets no need at all.
    """

    groups: tuple[Group, ...]
    lacking: int
    unservable: int


def summarize(outcomes: Sequence[Outcome], *, catalog: Catalog, k: int) -> Summary:
    """Measure outcomes. ``k`` is the length of the rankings."""
    has = frozenset(row.name for row in catalog.rows)
    met = [sum(_met(outcome, has)) for outcome in outcomes]
    needs = [len(outcome.ask.needed) for outcome in outcomes]
    values = measured(catalog, k)
    return Summary(
        groups=tuple(_group(by, name, lines, values) for by, name, lines in _groups(outcomes)),
        lacking=sum(some < all_ for some, all_ in zip(met, needs, strict=True)),
        unservable=sum(not some and all_ > 0 for some, all_ in zip(met, needs, strict=True)),
    )


def measured(catalog: Catalog, k: int) -> Mapping[str, Value]:
    """Return what is measured, by name.

    ``view_tokens`` is the share of the full list's tokens. Of the tokens of a turn's list, ``prefix_kept``
    is the share of those of the turn before that stay where they were, ``prefix_cached`` the share that was
    there at the turn before. ``refused`` is the share of abstentions where the catalog has nothing that is
    needed, turns of dialogues that need nothing left out; ``lost`` is the same where it has something.
    """
    depths = sorted({depth for depth in _DEPTHS if depth < k} | {k})
    gain = min(10, k)
    return {
        "hit@1": _needing(lambda line, needed: measures.hit(line.ranked, needed)),
        **{f"recall@{depth}": _needing(partial(_recall, depth)) for depth in depths},
        f"nDCG@{gain}": _needing(lambda line, needed: measures.ndcg(line.ranked, needed, gain)),
        **{f"complete@{depth}": _needing(partial(_complete, depth)) for depth in depths if depth > 1},
        f"MRR@{k}": _needing(lambda line, needed: measures.reciprocal_rank(line.ranked, needed)),
        "view_recall": _needing(lambda line, needed: measures.recall(line.view, needed, len(line.view))),
        "view_complete": _needing(lambda line, needed: measures.complete(line.view, needed)),
        "view_rows": lambda line: len(line.view),
        **_token_measures(catalog),
        **_abstention_measures(catalog),
    }


def _token_measures(catalog: Catalog) -> Mapping[str, Value]:
    cost = {row.name: tokens for row, tokens in zip(catalog.rows, catalog.costs, strict=True)}
    full = sum(catalog.costs)

    def tokens(names: Sequence[str]) -> int:
        return sum(cost[name] for name in names)

    def kept(line: Outcome) -> float | None:
        return tokens(_kept(line)) / tokens(line.before) if line.before else None

    def cached(line: Outcome) -> float | None:
        return tokens(_kept(line)) / tokens(line.view) if line.before and line.view else None

    return {
        "view_tokens": lambda line: tokens(line.view) / full,
        "prefix_kept": kept,
        "prefix_cached": cached,
    }


def _abstention_measures(catalog: Catalog) -> Mapping[str, Value]:
    has = frozenset(row.name for row in catalog.rows)

    def where(condition: Callable[[Outcome], bool]) -> Value:
        return lambda line: line.abstained if condition(line) else None

    def servable(line: Outcome) -> bool:
        return any(_met(line, has))

    def unservable(line: Outcome) -> bool:
        # A turn that calls nothing is no request for what is missing.
        return not servable(line) and (bool(line.ask.needed) or not line.query.dialogue)

    return {
        "abstained_with_needs": where(lambda line: bool(line.ask.needed)),
        "abstained_without_needs": where(lambda line: not line.ask.needed),
        "refused": where(unservable),
        "lost": where(servable),
    }


def _needing(value: Callable[[Outcome, tuple[Slot, ...]], float]) -> Value:
    return lambda line: value(line, line.ask.needed) if line.ask.needed else None


def _recall(k: int, line: Outcome, needed: tuple[Slot, ...]) -> float:
    return measures.recall(line.ranked, needed, k)


def _complete(k: int, line: Outcome, needed: tuple[Slot, ...]) -> float:
    return measures.complete(line.ranked[:k], needed)


def _met(outcome: Outcome, has: frozenset[str]) -> Iterator[bool]:
    return (not has.isdisjoint(slot) for slot in outcome.ask.needed)


def _kept(line: Outcome) -> tuple[str, ...]:
    """Return the head of a list that a prompt cache holds since the turn before."""
    same = takewhile(lambda pair: pair[0] == pair[1], zip(line.before or (), line.view, strict=False))
    return tuple(name for name, _ in same)


def _groups(outcomes: Sequence[Outcome]) -> Iterator[tuple[str, str, Sequence[Outcome]]]:
    yield "all", "all", outcomes
    for by, of in (("kind", _kind), ("part", lambda outcome: outcome.query.part)):
        names = dict.fromkeys(map(of, outcomes))
        if len(names) > 1:
            for name in names:
                yield by, name, [outcome for outcome in outcomes if of(outcome) == name]


def _kind(outcome: Outcome) -> str:
    if outcome.query.kind:
        return outcome.query.kind
    if outcome.query.dialogue:
        return "dialogue"
    return "multi" if len(outcome.ask.needed) > 1 else "single"


def _group(by: str, name: str, lines: Sequence[Outcome], values: Mapping[str, Value]) -> Group:
    return Group(
        by=by,
        name=name,
        lines=len(lines),
        with_needs=sum(bool(line.ask.needed) for line in lines),
        means={measure: _mean(lines, value) for measure, value in values.items()},
        ms=_times([line.ms for line in lines], "") | _times([line.wall_ms for line in lines], "wall_"),
    )


def _mean(lines: Sequence[Outcome], value: Value) -> Mean:
    said = [(line.id, got) for line in lines if (got := value(line)) is not None]
    return measures.mean([got for _, got in said], units=[unit for unit, _ in said])


def _times(ms: Sequence[float], prefix: str) -> dict[str, float]:
    if not ms:
        return {}
    p50, p99 = np.percentile(ms, (50, 99))
    return {f"{prefix}p50": float(p50), f"{prefix}p99": float(p99)}
