"""RAG-MCP's stress test: one right tool among ever more others, real MCP tools being the hay.

After Gan and Sun, arXiv 2505.03275, who put one web-search server among up to 11,099 others and let a model
solve 20 tasks with it. Here the needles are many tools of two sets, each asked for by a request that needs
it; what is measured is whether the selector puts it first, or among the first five, before any model.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from benchmarks.selection.results import Needle
from benchmarks.selection.sets import Bench, enlarged
from benchmarks.selection.systems import System
from scopedtools.catalog.catalog import Catalog
from scopedtools.catalog.view import bits_of
from scopedtools.evaluation.measures import mean
from scopedtools.types import Encoder, Selector

SIZES: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 3500, 5195)

_SEEDS: Final = (1, 2, 3)
_MOST: Final = 60
"""Needles of a set."""


class Task(NamedTuple):
    """A request and one of the tools that it needs.

    Attributes:
        text: What is asked.
        needle: Ordinal of the tool.
        kin: Ordinals of all that the request needs, which are no hay for it.
    """

    text: str
    needle: int
    kin: frozenset[int]


async def points(
    bench: Bench, hay: Catalog, system: System, encoder: Encoder, *, sizes: Sequence[int] = SIZES
) -> list[Needle]:
    """Run the test for one system with the needles of one set.

    All tools are indexed once and each search is restricted to the needle and the hay around it, as a server
    restricts searches to what its caller may use.
    """
    around = bench._replace(catalog=enlarged(bench.catalog, hay))
    selector = system.make(around, encoder)
    await selector.prepare(around.catalog.rows)
    tasks = _tasks(around)
    straws = _straws(around.catalog, hay)
    found: list[Needle] = []
    for size in _possible(sizes, straws, tasks):
        places = [
            await _place(selector, task, _heap(straws, task, size, seed))
            for seed in (_SEEDS if size <= len(straws) else _SEEDS[:1])
            for task in tasks
        ]
        hits, recalls = [place == 1 for place in places], [place is not None for place in places]
        # The same request comes with each seed: one unit.
        units = [str(number % len(tasks)) for number in range(len(places))]
        found.append(
            Needle(
                source=bench.spec.name,
                system=system.name,
                tools=size,
                hit=mean(hits, units=units),
                recall=mean(recalls, units=units),
            )
        )
    return found


def _tasks(bench: Bench) -> list[Task]:
    tasks = list(dict.fromkeys(_all_tasks(bench)))
    if len(tasks) <= _MOST:
        return tasks
    return random.Random(_SEEDS[0]).sample(tasks, _MOST)  # noqa: S311 - repeated, not secret


def _all_tasks(bench: Bench) -> Iterator[Task]:
    ordinal = {row.name: place for place, row in enumerate(bench.catalog.rows)}
    for query in bench.queries:
        for ask in query.asks:
            kin = frozenset(ordinal[name] for slot in ask.needed for name in slot if name in ordinal)
            for slot in ask.needed:
                if slot[0] in ordinal:
                    yield Task(ask.text, ordinal[slot[0]], kin)


def _straws(catalog: Catalog, hay: Catalog) -> list[int]:
    wanted = {row.name for row in hay.rows}
    return [place for place, row in enumerate(catalog.rows) if row.name in wanted]


def _possible(sizes: Sequence[int], straws: Sequence[int], tasks: Sequence[Task]) -> list[int]:
    """Return the sizes that there is hay enough for, whichever tools a request needs."""
    most = len(straws) - max((len(task.kin & set(straws)) for task in tasks), default=0) + 1
    return [size for size in sizes if size <= most] if tasks else []


def _heap(straws: Sequence[int], task: Task, size: int, seed: int) -> list[int]:
    """Return what is searched: the needle, and hay that grows with the size and stays otherwise the same."""
    draw = random.Random(f"{seed} {task.needle} {task.text}")  # noqa: S311 - repeated, not secret
    free = [straw for straw in straws if straw not in task.kin]
    return [task.needle, *draw.sample(free, size - 1)]


async def _place(selector: Selector, task: Task, heap: Sequence[int]) -> int | None:
    """Return the place of the needle among the first five, or ``None``."""
    ranking = await selector.search(task.text, within=bits_of(heap), limit=5)
    places = (place for place, hit in enumerate(ranking.hits, start=1) if hit.row == task.needle)
    return next(places, None)
