import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedtools.retrieval.relations import relate
from tests.retrieval.rows import Row


def taking(name: str, *ids: str, group: str = "films", options: tuple[str, ...] = ()) -> Row:
    return Row(name, inputs=tuple((one, "") for one in ids), options=options, group=group)


def finder(*rows: Row) -> str | None:
    """Return the name of what best finds the ID that the last row takes."""
    found = relate(rows).finders[-1]
    assert len(found) < 2
    return rows[found[0][0]].name if found else None


# Groups


def test_rows_of_one_group_have_one_number_and_rows_of_none_have_none() -> None:
    rows = [Row("a", group="x"), Row("b"), Row("c", group="y"), Row("d", group="x"), Row("e")]

    assert relate(rows).groups.tolist() == [0, -1, 1, 0, -1]


def test_no_rows_have_no_relations() -> None:
    groups, required, finders = relate([])

    assert groups.shape == (0,)
    assert groups.dtype == np.int32
    assert (required, finders) == ((), ())


# What rows say that they require


def test_required_rows_are_known_by_their_place_and_names_of_none_mean_nothing() -> None:
    rows = [Row("pay", requires=("log_in", "gone", "order", "log_in")), Row("order"), Row("log_in")]

    assert relate(rows).required == ((2, 1), (), ())


def test_a_required_name_means_all_rows_that_have_it() -> None:
    rows = [Row("pay"), Row("order", requires=("pay",)), Row("pay")]

    assert relate(rows).required == ((), (0, 2), ())


@pytest.mark.parametrize(
    ("start", "expected"), [("a", "abdc"), ("b", "bd"), ("c", "cbd"), ("d", "d"), ("e", "ef"), ("f", "fe")]
)
def test_all_that_a_row_requires_is_found_once_each_right_behind_what_requires_it(
    start: str, expected: str
) -> None:
    needs = {"a": "bc", "b": "d", "c": "bd", "d": "d", "e": "f", "f": "e"}
    names = "".join(needs)
    relations = relate([Row(name, requires=tuple(needs[name])) for name in names])

    assert "".join(names[row] for row in relations.closure(names.index(start))) == expected


@given(st.lists(st.lists(st.integers(0, 7), max_size=4), min_size=1, max_size=8), st.data())
def test_what_a_row_requires_comes_to_an_end_whatever_requires_what(
    needs: list[list[int]], data: st.DataObject
) -> None:
    relations = relate([Row(str(i), requires=tuple(map(str, rows))) for i, rows in enumerate(needs)])
    start = data.draw(st.integers(0, len(needs) - 1))
    found = list(relations.closure(start))

    assert found[0] == start
    assert len(set(found)) == len(found)
    assert {need for row in found for need in relations.required[row]} <= set(found)


def test_a_long_chain_of_requirements_is_followed_to_its_end() -> None:
    rows = [Row(str(i), requires=(str(i + 1),)) for i in range(5000)]

    assert list(relate(rows).closure(0)) == list(range(5000))


# Rows that find what others take by its ID


@pytest.mark.parametrize(
    "row",
    [
        taking("credits", "movie_id"),
        taking("credits", "movieId"),
        taking("credits", "MovieID"),
        taking("credits", "movie-ids"),
        taking("credits", "other_movie_id"),
        taking("GET /movie/{movie_id}/credits"),
        taking("GET /movie/{movieId}/credits"),
        Row("42", title="GET /movie/{movie_id}/credits", group="films"),
    ],
)
def test_a_row_that_takes_an_id_is_led_to_by_the_row_that_searches_for_its_thing(row: Row) -> None:
    assert finder(Row("GET /search/movie", group="films"), Row("greet", group="films"), row) == (
        "GET /search/movie"
    )


@pytest.mark.parametrize(
    "parameter", ["id", "ids", "movie", "movie_idea", "grid", "idMovie", "movie_id_type"]
)
def test_a_parameter_that_is_no_id_of_a_thing_leads_nowhere(parameter: str) -> None:
    assert finder(taking("search_movies"), taking("credits", parameter)) is None


def test_an_id_that_need_not_be_given_leads_nowhere() -> None:
    assert finder(taking("search_movies"), taking("credits", options=("movie_id",))) is None


@pytest.mark.parametrize(
    "name",
    [
        "searchMovies",
        "find_movie",
        "list-movies",
        "movie_lookup",
        "query_movies",
        "discover_movie",
        "all_movies",
    ],
)
def test_a_thing_is_searched_for_in_many_words(name: str) -> None:
    assert finder(taking(name), taking("credits", "movie_id")) == name


@pytest.mark.parametrize(
    ("name", "parameter"),
    [
        ("list_users", "list_id"),
        ("search_people", "search_id"),
        ("find_books", "find_id"),
        ("query_sales", "query_id"),
    ],
)
def test_a_row_does_not_find_a_thing_that_is_called_as_it_searches(name: str, parameter: str) -> None:
    assert finder(taking(name), taking("rerun", parameter)) is None


def test_a_thing_that_is_called_as_it_is_searched_for_is_found_by_what_says_both() -> None:
    rows = taking("list_users"), taking("find_list"), taking("rename", "list_id")

    assert finder(*rows) == "find_list"


@pytest.mark.parametrize(
    "name", ["delete_movie_list", "POST /list/add_movie", "updateMovieList", "send_movie_list"]
)
def test_a_row_that_changes_a_list_does_not_find_what_is_in_it(name: str) -> None:
    assert finder(taking(name), taking("credits", "movie_id")) is None


def test_a_row_that_says_that_it_searches_finds_whatever_else_it_says() -> None:
    assert finder(taking("post_search_movies"), taking("credits", "movie_id")) == "post_search_movies"


def test_a_title_for_people_does_not_hide_what_a_row_finds() -> None:
    rows = Row("search_movies", title="Kinosuche", group="films"), taking("credits", "movie_id")

    assert finder(*rows) == "search_movies"


def test_the_name_of_a_server_says_nothing_about_what_its_rows_find() -> None:
    rows = (
        Row("movie_search/log_in", title="log_in", group="films"),
        Row("movie_search/credits", title="credits", inputs=(("movie_id", ""),), group="films"),
    )

    assert finder(*rows) is None


def test_plurals_and_endings_of_a_thing_do_not_matter() -> None:
    assert finder(taking("list_categories"), taking("rename", "category_id")) == "list_categories"
    assert finder(taking("find_boxes"), taking("move", "boxIds")) == "find_boxes"


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ("search_movies", "search_movies_by_year"),  # fewer words
        ("search_popular_movies", "get_movie"),  # a search before anything that only gets
    ],
)
def test_of_several_the_one_that_most_plainly_searches_is_taken(better: str, worse: str) -> None:
    taker = taking("credits", "movie_id")

    assert finder(taking(better), taking(worse), taker) == better
    assert finder(taking(worse), taking(better), taker) == better


def test_of_equally_plain_ones_the_first_is_taken() -> None:
    assert finder(taking("find_movie"), taking("search_movies"), taking("get", "movie_id")) == "find_movie"


def test_a_row_that_takes_the_id_itself_does_not_find_it() -> None:
    assert finder(taking("get_movie", "movie_id"), taking("credits", "movie_id")) is None
    assert finder(
        taking("find_movie", "movie_id"), taking("search_all_movies"), taking("get", "movie_id")
    ) == ("search_all_movies")


def test_a_row_that_may_take_the_id_can_find_it() -> None:
    assert finder(taking("find_movie", options=("movie_id",)), taking("get", "movie_id")) == "find_movie"


def test_a_row_of_another_group_finds_nothing_for_this_one() -> None:
    for group in ("books", ""):
        assert finder(taking("search_movies", group=group), taking("credits", "movie_id")) is None


def test_rows_without_a_group_find_for_each_other() -> None:
    assert (
        finder(taking("search_movies", group=""), taking("credits", "movie_id", group="")) == "search_movies"
    )


def test_there_may_be_no_row_that_finds_an_id() -> None:
    assert finder(taking("credits", "movie_id")) is None
    assert finder(taking("search_people"), taking("movie"), taking("credits", "movie_id")) is None


def test_each_id_has_its_own_finder() -> None:
    rows = [
        taking("search_person"),
        taking("search_movie"),
        taking("roles", "movie_id", "person_id", "movieId"),
        taking("/person/{person_id}/in/{movie_id}"),
    ]

    assert relate(rows).finders == ((), (), ((1,), (0,)), ((1,), (0,)))


def test_of_those_that_find_a_thing_the_best_few_are_kept_best_first() -> None:
    rows = [taking(f"search_{'very_' * i}popular_movies") for i in range(5)]

    assert relate([*rows, taking("credits", "movie_id")]).finders[-1] == ((0, 1, 2),)
