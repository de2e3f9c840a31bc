"""The simulated prompt cache: what it counts, and what scoped views keep of it."""

from __future__ import annotations

import pytest

from benchmarks.context.prompt_cache import Tally, common, measure, table, workflows
from benchmarks.selection import tiny
from scopedtools.evaluation.data import Ask
from scopedtools.retrieval import HashingEncoder, HybridSelector

pytestmark = pytest.mark.anyio

A, B, C = (b'{"name": "%c"}' % letter for letter in b"abc")


def test_lists_have_in_common_what_they_begin_with() -> None:
    assert common([A, B, C], [A, C, B]) == 1
    assert common([A, B], [A, B, C]) == 2
    assert common([B], [A, B]) == 0


def test_what_was_listed_earlier_is_cached_and_what_moved_is_not() -> None:
    tally, ask = Tally(), Ask("", (("a",), ("b", "c")))
    tally.add([], [A, B], ask)
    tally.add([[A, B]], [A, B, C], ask)
    tally.add([[A, B], [A, B, C]], [B, A, C], ask)
    size = len(A) / 4
    assert tally.new_per_list == [size, 3 * size]
    assert (tally.cached, tally.tokens) == (2 * size, 6 * size)
    assert tally.broken == 1
    assert tally.complete == 3


def test_units_of_work_are_as_long_as_asked_for_and_go_through_the_set() -> None:
    queries = tiny.dialogues()
    works = list(workflows(queries, contexts=3, turns=4))
    assert [len(work) for work in works] == [4, 4, 4]
    asks = [ask for query in queries for ask in query.asks]
    assert works[0] + works[1] + works[2] == tuple(asks[place % len(asks)] for place in range(12))


async def test_scoped_views_keep_their_prefix_and_lists_that_are_made_anew_do_not() -> None:
    rows = await measure(
        tiny.catalog(),
        tiny.dialogues(),
        contexts=4,
        turns=6,
        selector=HybridSelector(HashingEncoder()),
    )
    by_name = {row.system: row for row in rows}
    assert by_name["full list"].cached == by_name["view of the context"].cached == 1
    grows = by_name["view that grows"]
    assert grows.broken == by_name["view of the context"].broken == 0
    assert 0 < grows.new < by_name["ranked anew each turn"].new
    assert grows.cached > by_name["ranked anew each turn"].cached
    assert len(table(rows).splitlines()) == 2 + len(rows)


async def test_one_turn_says_nothing_about_a_cache() -> None:
    with pytest.raises(ValueError, match="turns must be >= 2, got 1"):
        await measure(tiny.catalog(), (), contexts=1, turns=1, selector=HybridSelector(HashingEncoder()))
