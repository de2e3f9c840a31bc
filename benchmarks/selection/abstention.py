"""Leave-one-out: does a system know that what it has cannot serve a request?

Every request is searched for twice: among all tools, and among all but those that it needs, as a caller who
may not use them would search. What stays may still serve some requests: catalogs hold near copies, and sets
name one right answer. So a perfect system would not refuse all.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from benchmarks.selection.results import Abstention
from benchmarks.selection.sets import Bench
from benchmarks.selection.systems import System
from scopedtools.catalog.catalog import Catalog
from scopedtools.evaluation.data import Ask
from scopedtools.evaluation.measures import mean
from scopedtools.types import Encoder, Selector

_LIMIT: Final = 5


class _Judged(NamedTuple):
    refused: bool
    lost: bool


async def abstention(bench: Bench, system: System, encoder: Encoder) -> Abstention:
    """Measure one system on one set of single requests."""
    selector = system.make(bench, encoder)
    await selector.prepare(bench.catalog.rows)
    judged = [
        await _judged(selector, bench.catalog, ask)
        for query in bench.queries
        for ask in query.asks
        if ask.needed
    ]
    return Abstention(
        set=bench.spec.name,
        system=system.name,
        refused=mean([one.refused for one in judged]),
        lost=mean([one.lost for one in judged]),
    )


async def _judged(selector: Selector, catalog: Catalog, ask: Ask) -> _Judged:
    everything = catalog.all
    needed = catalog.named(*(name for slot in ask.needed for name in slot))
    without = await selector.search(ask.text, within=(everything - needed).bits, limit=_LIMIT)
    with_all = await selector.search(ask.text, within=everything.bits, limit=_LIMIT)
    return _Judged(refused=not without.fits, lost=not with_all.fits)
