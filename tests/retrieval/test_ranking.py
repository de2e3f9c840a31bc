import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from scopedtools.retrieval.ranking import Scored, choose


def scored(fused: list[list[float]]) -> Scored:
    matrix = np.array(fused)
    parts = tuple(f"part {i}" for i in range(len(fused)))
    return Scored(parts, np.arange(matrix.shape[1]), matrix, matrix, matrix)


def chosen(candidates: Scored, limit: int, costs: list[int], budget: int) -> list[int]:
    return [hit.row for hit in choose(candidates, limit=limit, costs=costs, budget_tokens=budget)]


def test_every_clause_gets_its_best_row_before_the_tail_of_the_whole() -> None:
    # The whole likes rows 0 to 3; the clauses' rows are 4 and 5.
    candidates = scored(
        [[0.9, 0.8, 0.7, 0.6, 0.1, 0.1], [0.1, 0.1, 0.1, 0.1, 0.5, 0.1], [0.1, 0.1, 0.1, 0.1, 0.1, 0.5]]
    )

    assert chosen(candidates, 3, [1] * 6, 6) == [0, 4, 5]


def test_rows_that_do_not_fit_the_budget_are_passed_over() -> None:
    candidates = scored([[0.9, 0.8, 0.7, 0.6]])

    assert chosen(candidates, 4, [50, 200, 40, 20], 100) == [0, 2]
    assert chosen(candidates, 4, [50, 200, 40, 20], 0) == []


def test_equal_scores_stay_in_catalog_order() -> None:
    assert chosen(scored([[0.5, 0.5, 0.9, 0.5]]), 3, [1] * 4, 4) == [2, 0, 1]


def test_a_row_that_nothing_speaks_for_is_not_chosen() -> None:
    assert chosen(scored([[0.5, 0.0]]), 2, [1, 1], 2) == [0]


def test_a_hit_says_which_clause_it_serves() -> None:
    hits = choose(scored([[0.6, 0.2], [0.1, 0.7]]), limit=2, costs=[1, 1], budget_tokens=2)

    assert [(hit.row, hit.score, hit.clause) for hit in hits] == [(1, 0.7, "part 1"), (0, 0.6, "part 0")]


@settings(deadline=None)
@given(st.data())
def test_choices_keep_to_limit_and_budget_and_are_in_order(data: st.DataObject) -> None:
    n = data.draw(st.integers(0, 12))
    score = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])
    fused = data.draw(st.lists(st.lists(score, min_size=n, max_size=n), min_size=1, max_size=4))
    costs = data.draw(st.lists(st.integers(0, 50), min_size=n, max_size=n))
    limit, budget = data.draw(st.integers(0, 12)), data.draw(st.integers(0, 200))
    hits = choose(scored(fused), limit=limit, costs=costs, budget_tokens=budget)

    assert len(hits) <= limit
    assert sum(costs[hit.row] for hit in hits) <= budget
    assert len({hit.row for hit in hits}) == len(hits)
    assert list(hits) == sorted(hits, key=lambda hit: (-hit.score, hit.row))
