"""Learning curves: what a selector gains from the calls of those who came before.

Half of a set's requests are made, each followed by the calls that it needs; the other half is searched for.
More and more calls are learned, over several splits, through `HybridSelector.learn`: it lags behind as much
as it does in a server.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Final, NamedTuple

from benchmarks.selection.results import Lesson
from benchmarks.selection.sets import Bench
from scopedtools.evaluation import measures
from scopedtools.evaluation.data import Query
from scopedtools.retrieval import HybridSelector, Learning
from scopedtools.types import Encoder

LEVELS: Final = (0, 1, 2, 5, 10, 20)
"""Calls of each tool that were learned: exactly so many, at most, or on average, as the traffic goes."""

_SPLITS: Final = 5
_DEPTH: Final = 10
_WRONG: Final = 0.2
_UNUSED: Final = 0.3


class _Use(NamedTuple):
    text: str
    tool: str


class _Answer(NamedTuple):
    """What one search gave."""

    id: str
    needed: frozenset[str]
    hit: bool
    recall: float
    ndcg: float
    fits: bool


class _Lesson(NamedTuple):
    """What is learned up to one level, and what that makes of the searches."""

    traffic: str
    level: int
    uses: float
    answers: list[_Answer]


class _Course(NamedTuple):
    """One split.

    Attributes:
        uses: Of the requests that are learned from, in no order.
        asked: Requests that are searched for.
        tools: All that the requests of the set need, so that uses can be told by tool.
        unused: Tools that nobody calls where some are never used.
    """

    uses: Sequence[_Use]
    asked: Sequence[Query]
    tools: Sequence[str]
    unused: frozenset[str]


_Draw = Callable[[_Course, random.Random], list[list[_Use]]]
"""Returns what is learned from each level to the next."""


def _even(course: _Course, draw: random.Random) -> list[list[_Use]]:
    by_tool: dict[str, list[_Use]] = defaultdict(list)
    for use in course.uses:
        by_tool[use.tool].append(use)
    portions = [
        [use for uses in by_tool.values() for use in uses[low:high]] for low, high in pairwise(LEVELS)
    ]
    for portion in portions:
        draw.shuffle(portion)
    return portions


def _natural(course: _Course, _: random.Random) -> list[list[_Use]]:
    n = len(course.tools)
    return [list(course.uses[low * n : high * n]) for low, high in pairwise(LEVELS)]


def _wrong(course: _Course, draw: random.Random) -> list[list[_Use]]:
    def perhaps(use: _Use) -> _Use:
        return use._replace(tool=draw.choice(course.tools)) if draw.random() < _WRONG else use

    return [[perhaps(use) for use in portion] for portion in _even(course, draw)]


def _partial(course: _Course, draw: random.Random) -> list[list[_Use]]:
    left = [use for use in course.uses if use.tool not in course.unused]
    tools = [tool for tool in course.tools if tool not in course.unused]
    return _natural(course._replace(uses=left, tools=tools), draw)


TRAFFIC: Final[Mapping[str, _Draw]] = MappingProxyType(
    {"even": _even, "natural": _natural, "wrong": _wrong, "partial": _partial}
)
"""How calls fall on tools: evenly, as far as there are so many; as the set has them; evenly, a fifth of them
of a wrong tool; as the set has them, with a share of the tools never called."""

UNUSED: Final = "partial: never called"
"""The searches of the partial traffic that need none but the tools that are never called."""


async def lessons(bench: Bench, encoder: Encoder, *, sample: int, splits: int = _SPLITS) -> list[Lesson]:
    """Measure the learning curves of a set of single requests.

    Args:
        bench: The set with all its requests.
        encoder: Of the selector.
        sample: Most requests that are searched for in a split, 0 for all.
        splits: How often the requests are split.
    """
    found: dict[tuple[str, int], list[_Lesson]] = defaultdict(list)
    for seed in range(splits):
        async for lesson in _lessons(bench, encoder, _course(bench, seed, sample), seed):
            found[lesson.traffic, lesson.level].append(lesson)
    order = [*TRAFFIC, UNUSED]
    return [
        _told(bench.spec.name, found[at]) for at in sorted(found, key=lambda at: (order.index(at[0]), at[1]))
    ]


async def _lessons(bench: Bench, encoder: Encoder, course: _Course, seed: int) -> AsyncIterator[_Lesson]:
    before = await _answers(await _prepared(bench, encoder), bench, course.asked)
    for traffic, portions in TRAFFIC.items():
        selector = await _prepared(bench, encoder)
        draw = random.Random(f"{seed} {traffic}")  # noqa: S311 - repeated, not secret
        ordinal = {row.name: place for place, row in enumerate(bench.catalog.rows)}
        learned, answers = 0, before
        for level, portion in zip(LEVELS, ([], *portions(course, draw)), strict=True):
            for use in portion:
                await selector.learn(use.text, ordinal[use.tool])
            if portion:
                learned += len(portion)
                answers = await _answers(selector, bench, course.asked)
            uses = learned / len(course.tools)
            yield _Lesson(traffic, level, uses, answers)
            if traffic == "partial":
                yield _Lesson(UNUSED, level, uses, [one for one in answers if one.needed <= course.unused])


def _course(bench: Bench, seed: int, sample: int) -> _Course:
    draw = random.Random(seed)  # noqa: S311 - repeated, not secret
    queries = [query for query in bench.queries if query.asks[0].needed]
    draw.shuffle(queries)
    half = len(queries) // 2
    names = {row.name for row in bench.catalog.rows}
    tools = sorted({tool for query in queries for tool in _called(query) if tool in names})
    return _Course(
        uses=[
            _Use(query.asks[0].text, tool)
            for query in queries[:half]
            for tool in _called(query)
            if tool in names
        ],
        asked=queries[half:][: sample or None],
        tools=tools,
        unused=frozenset(draw.sample(tools, round(_UNUSED * len(tools)))),
    )


def _called(query: Query) -> Iterable[str]:
    ask = query.asks[0]
    return dict.fromkeys(ask.called or (slot[0] for slot in ask.needed))


async def _prepared(bench: Bench, encoder: Encoder) -> HybridSelector:
    selector = HybridSelector(encoder, learning=Learning())
    await selector.prepare(bench.catalog.rows)
    return selector


async def _answers(selector: HybridSelector, bench: Bench, queries: Sequence[Query]) -> list[_Answer]:
    everything = bench.catalog.all.bits
    answers = []
    for query in queries:
        ask = query.asks[0]
        ranking = await selector.search(ask.text, within=everything, limit=_DEPTH)
        ranked = [bench.catalog.rows[hit.row].name for hit in ranking.hits]
        answers.append(
            _Answer(
                query.id,
                frozenset(name for slot in ask.needed for name in slot),
                measures.hit(ranked, ask.needed),
                measures.recall(ranked, ask.needed, 5),
                measures.ndcg(ranked, ask.needed, 10),
                ranking.fits,
            )
        )
    return answers


def _told(name: str, splits: Sequence[_Lesson]) -> Lesson:
    answers = [answer for split in splits for answer in split.answers]
    # A request may be searched for in several splits: one unit.
    units = [answer.id for answer in answers]
    return Lesson(
        set=name,
        traffic=splits[0].traffic,
        level=splits[0].level,
        uses=sum(split.uses for split in splits) / len(splits),
        hit=measures.mean([answer.hit for answer in answers], units=units),
        recall=measures.mean([answer.recall for answer in answers], units=units),
        ndcg=measures.mean([answer.ndcg for answer in answers], units=units),
        fits=measures.mean([answer.fits for answer in answers], units=units),
    )
