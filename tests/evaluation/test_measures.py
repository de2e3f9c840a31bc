"""Measures against values worked out by hand."""

from __future__ import annotations

import math

import pytest

from scopedtools.evaluation import measures
from scopedtools.evaluation.measures import mean

RANKED = ["a", "x", "b", "y", "c"]
NEEDED = (("a",), ("b", "B"), ("c",), ("d",))


def test_recall_is_the_share_of_needs_that_the_first_k_meet() -> None:
    assert [measures.recall(RANKED, NEEDED, k) for k in (1, 2, 3, 5, 20)] == [0.25, 0.25, 0.5, 0.75, 0.75]


def test_any_alternative_meets_a_need_and_counts_once() -> None:
    assert measures.recall(["B", "b"], NEEDED, 2) == 0.25
    assert measures.complete(["B"], [("b", "B")])


def test_a_list_is_complete_when_every_need_is_met() -> None:
    assert measures.complete(RANKED, NEEDED[:3])
    assert not measures.complete(RANKED, NEEDED)


def test_a_hit_is_a_need_met_by_the_first() -> None:
    assert measures.hit(RANKED, NEEDED)
    assert not measures.hit(RANKED[1:], NEEDED)
    assert not measures.hit([], NEEDED)


@pytest.mark.parametrize(("needed", "expected"), [((("b",),), 1 / 3), ((("z",),), 0.0), (NEEDED, 1.0)])
def test_the_reciprocal_rank_is_of_the_first_that_meets_a_need(
    needed: tuple[tuple[str, ...], ...], expected: float
) -> None:
    assert measures.reciprocal_rank(RANKED, needed) == expected


def test_the_gain_of_each_need_falls_with_the_logarithm_of_its_rank() -> None:
    gain = 1 + 1 / 2 + 1 / math.log2(6)
    best = 1 + 1 / math.log2(3) + 1 / 2 + 1 / math.log2(5)
    assert measures.ndcg(RANKED, NEEDED, 10) == pytest.approx(gain / best)
    assert measures.ndcg(["b", "B"], [("b", "B")], 10) == 1.0
    assert measures.ndcg(["x"], NEEDED, 10) == 0.0


def test_the_best_gain_is_of_as_many_needs_as_fit() -> None:
    assert measures.ndcg(["a"], [("a",), ("b",), ("c",)], 1) == 1.0


def test_an_interval_is_the_same_each_time_and_holds_the_mean() -> None:
    values = [0.0, 1.0] * 50
    first = mean(values)
    assert first == mean(values)
    assert first.value == 0.5
    assert 0.35 < first.low < 0.45
    assert 0.55 < first.high < 0.65
    assert first.n == 100


def test_turns_that_resemble_each_other_say_less_than_as_many_requests() -> None:
    values = [0.0] * 50 + [1.0] * 50
    apart, together = mean(values), mean(values, units=[str(place // 10) for place in range(100)])
    assert together.value == apart.value
    assert together.high - together.low > 2 * (apart.high - apart.low)


def test_units_of_one_value_each_change_nothing() -> None:
    values = [0.1, 0.7, 0.2, 0.9]
    assert mean(values, units=list("abcd")) == mean(values)


def test_the_mean_of_nothing_is_nothing() -> None:
    assert math.isnan(mean([]).value)
    assert mean([]).n == 0
