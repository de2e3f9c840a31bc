"""What a selector is told, and what is measured of its answers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from scopedtools import ViewSettings
from scopedtools.catalog.catalog import Catalog
from scopedtools.catalog.primitives import Tool
from scopedtools.evaluation.data import Ask, Query
from scopedtools.evaluation.run import Outcome, run
from scopedtools.evaluation.summary import summarize
from scopedtools.types import Describable, Hit, Ranking, Rows, Turn

NAMES = tuple("abcdefgh")
CATALOG = Catalog(Tool(name=name, description=name * 100, input_schema={"type": "object"}) for name in NAMES)
FULL = sum(CATALOG.costs)


class Scripted:
    """Finds the rows whose names are letters of the text, and keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, tuple[Turn, ...]]] = []

    async def prepare(self, rows: Sequence[Describable]) -> None:
        """Need nothing."""

    async def search(self, text: str, *, within: Rows, limit: int, history: Sequence[Turn] = ()) -> Ranking:
        self.told.append((text, tuple(history)))
        return Ranking(self._hits(text, within)[:limit], fits=bool(text))

    async def select(
        self,
        intent: str,
        *,
        within: Rows,
        limit: int,
        costs: Sequence[int],
        budget_tokens: int,
        history: Sequence[Turn] = (),
    ) -> tuple[Hit, ...]:
        self.told.append((intent, tuple(history)))
        return self._hits(intent, within)[:limit]

    def _hits(self, text: str, within: Rows) -> tuple[Hit, ...]:
        rows = [NAMES.index(letter) for letter in text if letter in NAMES]
        return tuple(Hit(row, 1.0, 1.0, 1.0, text) for row in rows if within >> row & 1)


TALK = Query(
    "talk",
    (
        Ask("ba", (("a",),), ("a", "gone"), "done"),
        Ask("", ()),
        Ask("cd", (("c",), ("h",)), ("c", "h")),
    ),
    dialogue=True,
)


async def outcomes(*queries: Query, selector: Scripted | None = None) -> list[Outcome]:
    settings = ViewSettings(rows={"tool": 4}, whole_rows=0)
    found = run(CATALOG, queries, selector=selector or Scripted(), settings=settings, k=3)
    return [outcome async for outcome in found]


@pytest.mark.anyio
async def test_a_turn_is_told_of_those_before_it_and_nothing_of_its_own_answer() -> None:
    selector = Scripted()
    await outcomes(TALK, selector=selector)
    first = Turn("ba", "done", (0,))
    assert list(dict.fromkeys(selector.told)) == [
        ("ba", ()),
        ("", (first,)),
        ("cd", (first, Turn(""))),
    ]


@pytest.mark.anyio
async def test_a_request_is_told_of_nothing() -> None:
    selector = Scripted()
    await outcomes(Query("1", (Ask("a", ()),)), Query("2", (Ask("b", ()),)), selector=selector)
    assert {history for _, history in selector.told} == {()}


@pytest.mark.anyio
async def test_views_are_seeded_anew_for_a_query_and_grown_within_it() -> None:
    *talk, single = await outcomes(TALK, Query("1", (Ask("h", (("h",),)),)))
    assert [line.view for line in talk] == [("a", "b"), ("a", "b"), ("a", "b", "c")]
    assert [line.before for line in talk] == [None, ("a", "b"), ("a", "b")]
    assert (single.view, single.before) == (("h",), None)


@pytest.mark.anyio
async def test_what_was_found_is_kept_beside_the_abstention() -> None:
    first, blank, _ = await outcomes(TALK)
    assert (first.ranked, first.abstained) == (("b", "a"), False)
    assert (blank.ranked, blank.abstained) == ((), True)
    assert 0.0 < first.ms < first.wall_ms + 1000


@pytest.mark.anyio
async def test_a_dialogue_is_measured_turn_by_turn() -> None:
    summary = summarize(await outcomes(TALK), catalog=CATALOG, k=3)
    (group,) = summary.groups
    means = {name: mean.value for name, mean in group.means.items()}
    assert (group.lines, group.with_needs) == (3, 2)
    assert means["hit@1"] == 0.5  # b before a; c
    assert means["recall@1"] == 0.25
    assert means["recall@3"] == means["view_recall"] == 0.75
    assert means["complete@3"] == means["view_complete"] == 0.5
    assert means["MRR@3"] == 0.75
    assert means["view_rows"] == pytest.approx(7 / 3)
    assert means["view_tokens"] == pytest.approx(7 / 3 * CATALOG.costs[0] / FULL)
    assert means["prefix_kept"] == 1.0
    assert means["prefix_cached"] == pytest.approx(5 / 6)  # all of 2 of 2, and 2 of 3
    assert (means["abstained_with_needs"], means["abstained_without_needs"]) == (0.0, 1.0)
    assert (means["lost"], group.means["refused"].n) == (0.0, 0)
    assert (summary.lacking, summary.unservable) == (0, 0)


def single(name: str, *needed: str, kind: str = "", part: str = "") -> Query:
    return Query(name, (Ask("x", tuple((row,) for row in needed)),), kind=kind, part=part)


def line(query: Query, *, abstained: bool, view: str = "", before: str | None = None) -> Outcome:
    return Outcome(
        query, 0, ("a",), tuple(view), None if before is None else tuple(before), abstained, 1.0, 2.0
    )


def test_refusals_count_where_nothing_serves_and_losses_where_something_does() -> None:
    lines = [
        line(single("none"), abstained=True),
        line(single("gone", "x"), abstained=False),
        line(single("half", "x", "a"), abstained=True),
        line(Query("other", (Ask("x", (("x", "a"),)),)), abstained=False),
        line(Query("chat", (Ask("x", ()),), dialogue=True), abstained=True),
    ]
    summary = summarize(lines, catalog=CATALOG, k=1)
    means = summary.groups[0].means
    assert (means["refused"].value, means["refused"].n) == (0.5, 2)
    assert (means["lost"].value, means["lost"].n) == (0.5, 2)
    assert means["abstained_without_needs"].n == 2
    assert (summary.lacking, summary.unservable) == (2, 1)


def test_a_list_that_is_reordered_loses_its_cached_prefix() -> None:
    query = Query("1", (Ask("x", ()),), dialogue=True)
    lines = [
        line(query, abstained=False, view="abd", before="abc"),
        line(query, abstained=False, view="cab", before="abc"),
    ]
    means = summarize(lines, catalog=CATALOG, k=1).groups[0].means
    assert means["prefix_kept"].value == pytest.approx(1 / 3)
    assert means["prefix_cached"].value == pytest.approx(1 / 3)


def test_lines_are_told_apart_by_kind_and_part() -> None:
    lines = [
        line(single("1", "a", part="p"), abstained=False),
        line(single("2", "a", "b", part="p"), abstained=False),
        line(single("3", "b", kind="odd", part="q"), abstained=False),
    ]
    groups = summarize(lines, catalog=CATALOG, k=1).groups
    assert [(group.by, group.name, group.lines, group.means["hit@1"].value) for group in groups] == [
        ("all", "all", 3, pytest.approx(2 / 3)),
        ("kind", "single", 1, 1.0),
        ("kind", "multi", 1, 1.0),
        ("kind", "odd", 1, 0.0),
        ("part", "p", 2, 1.0),
        ("part", "q", 1, 0.0),
    ]
