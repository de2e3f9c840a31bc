import asyncio
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scopedtools.retrieval import HashingEncoder, HybridSelector
from scopedtools.retrieval.ranking import choose, rank
from scopedtools.retrieval.relations import relate
from scopedtools.retrieval.scoring import Scored
from scopedtools.retrieval.text import MAX_CLAUSES
from scopedtools.types import Hit
from tests.retrieval.rows import Row


def scored(total: Sequence[float]) -> Scored:
    row = np.array([total], dtype=np.float64)
    return Scored(("all of it",), np.arange(len(total)), row, row, row, row[0])


def ranked(total: Sequence[float], rows: Sequence[Row] = (), within: int = -1) -> list[Hit]:
    rows = rows or [Row(f"row {i}") for i in range(len(total))]
    permitted = (1 << len(rows)) - 1 if within < 0 else within
    return list(rank(scored(total), relate(rows), permitted))


def chosen(total: Sequence[float], limit: int, costs: Sequence[int], budget: int) -> list[int]:
    hits = choose(iter(ranked(total)), limit=limit, costs=costs, budget_tokens=budget)
    return [hit.row for hit in hits]


def test_rows_that_do_not_fit_the_budget_are_passed_over() -> None:
    assert chosen([0.9, 0.8, 0.7, 0.6], 4, [50, 200, 40, 20], 100) == [0, 2]
    assert chosen([0.9, 0.8, 0.7, 0.6], 4, [50, 200, 40, 20], 0) == []


def test_equal_scores_stay_in_catalog_order() -> None:
    assert chosen([0.5, 0.5, 0.9, 0.5], 3, [1] * 4, 4) == [2, 0, 1]


def test_a_row_that_nothing_speaks_for_is_not_chosen() -> None:
    assert chosen([0.5, 0.0], 2, [1, 1], 2) == [0]


def test_a_hit_says_which_clause_it_serves() -> None:
    fused = np.array([[0.6, 0.2], [0.1, 0.7]])
    candidates = Scored(("first", "second"), np.arange(2), fused / 2, fused / 4, fused, np.array([0.6, 0.7]))
    hits = list(rank(candidates, relate([Row("a"), Row("b")]), 0b11))

    assert hits == [Hit(1, 0.7, 0.35, 0.175, "second"), Hit(0, 0.6, 0.3, 0.15, "first")]


@settings(deadline=None)
@given(st.data())
def test_choices_keep_to_limit_and_budget_and_are_in_order(data: st.DataObject) -> None:
    n = data.draw(st.integers(0, 12))
    total = data.draw(st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), min_size=n, max_size=n))
    costs = data.draw(st.lists(st.integers(0, 50), min_size=n, max_size=n))
    limit, budget = data.draw(st.integers(0, 12)), data.draw(st.integers(0, 200))
    hits = choose(iter(ranked(total)), limit=limit, costs=costs, budget_tokens=budget)

    assert len(hits) <= limit
    assert sum(costs[hit.row] for hit in hits) <= budget
    assert len({hit.row for hit in hits}) == len(hits)
    assert list(hits) == sorted(hits, key=lambda hit: (-hit.score, hit.row))


# Rows that others require

BANK = (
    Row("transfer", requires=("open_vault", "weigh")),
    Row("open_vault", requires=("find_key",)),
    Row("weigh"),
    Row("find_key"),
    Row("greet"),
)


def test_a_row_is_followed_by_all_that_it_requires_and_they_by_theirs() -> None:
    hits = ranked([0.9, 0.0, 0.0, 0.0, 0.5], BANK)

    assert [(hit.row, hit.needed_by) for hit in hits] == [(0, None), (1, 0), (3, 0), (2, 0), (4, None)]


def test_a_required_row_stands_where_the_row_stands_that_requires_it() -> None:
    (_, vault, *_) = ranked([0.9, 0.0, 0.0, 0.0, 0.5], BANK)

    assert vault == Hit(1, 0.9, 0.0, 0.0, "all of it", needed_by=0)


def test_a_required_row_that_is_better_itself_keeps_its_own_place() -> None:
    hits = ranked([0.4, 0.0, 0.8, 0.0, 0.6], BANK)

    assert [(hit.row, hit.score) for hit in hits] == [(2, 0.8), (4, 0.6), (0, 0.4), (1, 0.4), (3, 0.4)]
    assert hits[0].needed_by is None


def test_a_required_row_keeps_what_speaks_for_itself() -> None:
    (_, vault, *_) = ranked([0.9, 0.4, 0.0, 0.0, 0.0], BANK)

    assert vault == Hit(1, 0.9, 0.4, 0.4, "all of it", needed_by=0)


def test_what_two_rows_require_is_listed_once() -> None:
    rows = (Row("a", requires=("key",)), Row("b", requires=("key",)), Row("key"))

    assert [hit.row for hit in ranked([0.9, 0.8, 0.0], rows)] == [0, 2, 1]


def test_rows_that_require_each_other_are_each_listed_once() -> None:
    rows = (Row("a", requires=("b",)), Row("b", requires=("c",)), Row("c", requires=("a", "c")))

    assert [hit.row for hit in ranked([0.0, 0.7, 0.0], rows)] == [1, 2, 0]


def test_a_required_row_that_is_not_permitted_is_left_out_and_what_it_requires_is_not() -> None:
    assert [hit.row for hit in ranked([0.9, 0.0, 0.0, 0.0, 0.0], BANK, within=0b11101)] == [0, 3, 2]


def test_required_rows_count_towards_limit_and_budget() -> None:
    hits = ranked([0.9, 0.0, 0.0, 0.0, 0.5], BANK)

    assert [hit.row for hit in choose(iter(hits), limit=2, costs=[1] * 5, budget_tokens=9)] == [0, 1]
    assert [hit.row for hit in choose(iter(hits), limit=9, costs=[1, 9, 1, 1, 1], budget_tokens=3)] == [
        0,
        3,
        2,
    ]


# Rows that find the IDs that others take

CINEMA = (
    Row("credits", inputs=(("movie_id", ""),), group="films"),
    Row("search_movie", group="films"),
    Row("posters", group="films"),
    Row("greet", group="films"),
)


def test_a_row_that_finds_an_id_comes_right_behind_the_best_row_that_takes_it() -> None:
    hits = ranked([0.8, 0.0, 0.75, 0.7], CINEMA)

    assert [hit.row for hit in hits] == [0, 2, 1, 3]
    assert hits[2].score == pytest.approx(0.72)
    assert (hits[2].needed_by, hits[2].vector, hits[2].clause) == (0, 0.0, "all of it")


def test_a_row_that_finds_an_id_keeps_what_speaks_for_itself() -> None:
    lifted = next(hit for hit in ranked([0.8, 0.3, 0.0, 0.0], CINEMA) if hit.row == 1)

    assert lifted.score == pytest.approx(0.72)
    assert (lifted.vector, lifted.lexical, lifted.needed_by) == (0.3, 0.3, 0)


def test_a_row_that_finds_an_id_and_is_better_itself_is_not_moved() -> None:
    best = ranked([0.8, 0.9, 0.0, 0.0], CINEMA)[0]

    assert best == Hit(1, 0.9, 0.9, 0.9, "all of it")


def test_a_row_that_finds_an_id_is_not_shown_to_those_who_may_not_use_it() -> None:
    assert [hit.row for hit in ranked([0.8, 0.0, 0.75, 0.7], CINEMA, within=0b1101)] == [0, 2, 3]


def test_where_the_best_row_that_finds_an_id_is_not_permitted_the_next_comes() -> None:
    rows = (*CINEMA, Row("search_movies_by_year", group="films"))

    assert [hit.row for hit in ranked([0.8, 0.0, 0.0, 0.0, 0.0], rows)] == [0, 1]
    assert [hit.row for hit in ranked([0.8, 0.0, 0.0, 0.0, 0.0], rows, within=0b11101)] == [0, 4]


def test_what_a_row_requires_that_is_not_shown_is_not_shown_for_its_sake() -> None:
    rows = (
        Row("search_movies", group="films", requires=("log_in",)),
        Row("log_in", group="films"),
        Row("credits", inputs=(("movie_id", ""),), group="films"),
    )

    assert [hit.row for hit in ranked([0.0, 0.0, 0.9], rows)] == [2, 0, 1]
    assert [hit.row for hit in ranked([0.0, 0.0, 0.9], rows, within=0b110)] == [2]


def test_only_the_best_rows_lift_others() -> None:
    rows = (*(Row(f"row_{i}", group="films") for i in range(5)), *CINEMA)

    assert 6 not in [hit.row for hit in ranked([0.9, 0.9, 0.9, 0.9, 0.9, 0.8, 0.0, 0.0, 0.0], rows)]


# Requests for several things

SUBJECTS: Mapping[str, str] = {
    "find_books": "find books by title, author, year, publisher, language or shelf",
    "reserve_hotel": "reserve a hotel room",
    "forecast_weather": "forecast the weather tomorrow",
    "send_email": "send an email message",
    "convert_currency": "convert dollars into another currency",
    "play_music": "play some jazz music",
    "plan_route": "plan the fastest driving route",
    "order_pizza": "order a large pizza",
}
# Of the longest clause, which decides what the whole finds.
CROWD = tuple(
    Row(f"{word}_{more}", f"{more} of books by author, year or publisher".capitalize())
    for word in ("books", "library")
    for more in ("history", "statistics", "settings", "archive")
)
MANY = (*CROWD, *(Row(name, f"{clause}.".capitalize()) for name, clause in SUBJECTS.items()))


@cache
def selecting(dense_weight: float) -> HybridSelector:
    made = HybridSelector(HashingEncoder(), dense_weight=dense_weight)
    asyncio.run(made.prepare(MANY))
    return made


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(list(SUBJECTS)), min_size=2, max_size=MAX_CLAUSES, unique=True),
    st.sampled_from([0.0, 0.7, 1.0]),
)
def test_every_clause_gets_its_best_row_before_the_tail_of_the_others(
    asked: list[str], dense_weight: float
) -> None:
    choosing = selecting(dense_weight).select(
        "; ".join(SUBJECTS[name] for name in asked),
        within=(1 << len(MANY)) - 1,
        limit=len(asked),
        costs=[1] * len(MANY),
        budget_tokens=len(asked),
    )

    assert {MANY[hit.row].name for hit in asyncio.run(choosing)} == set(asked)
