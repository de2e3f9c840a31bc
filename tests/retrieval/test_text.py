import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedtools.retrieval.text import MAX_CLAUSE_CHARACTERS, MAX_CLAUSES, clauses, terms, texts, words
from tests.retrieval.rows import Row


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("find_books", "find books"),
        ("findBooks", "find Books"),
        ("HTTPResponse", "HTTP Response"),
        ("kubernetes/listCoreV1Pod", "kubernetes list Core V1 Pod"),
        ("get-user.IDs", "get user IDs"),
        ("md5sum", "md5 sum"),
        ("k8s_s3_3d", "k8s s3 3d"),
        ("OAuth2", "OAuth2"),
        ("find", "find"),
        ("查询天气", "查询天气"),
    ],
)
def test_a_name_is_split_into_words(name: str, expected: str) -> None:
    assert words(name) == expected


def test_the_main_text_has_name_and_description_and_leaves_out_parameters() -> None:
    row = Row("findBooks", "Find\nbooks.", inputs=(("maxPrice", "in euros"), ("title", "")))

    assert texts(row) == ("find Books: Find books.",)


@pytest.mark.parametrize("heading", ["Args:", "Arguments :", "Parameters:", "Params:", "Returns:"])
def test_the_main_text_ends_where_a_docstring_goes_on_to_its_arguments(heading: str) -> None:
    row = Row("find_books", f"Find books.\n\n{heading}\n    title: Words of the title.")

    assert texts(row) == ("find books: Find books.",)


def test_a_description_that_is_nothing_but_such_a_section_is_kept() -> None:
    assert texts(Row("count", "Returns: how many there are.")) == ("count: Returns: how many there are.",)


def test_a_row_without_a_description_is_known_by_its_parameters() -> None:
    assert texts(Row("findBooks", inputs=(("maxPrice", "in euros"), ("title", "")))) == (
        "find Books: Parameters: max Price, title",
    )
    assert texts(Row("findBooks", " \n")) == ("find Books:",)


def test_words_are_looked_for_in_parameters_and_their_descriptions_too() -> None:
    row = Row(
        "findBooks",
        "Find books. Args: none",
        title="Library",
        examples=("what has Le Guin written",),
        inputs=(("maxPrice", "in euros"), ("title", "")),
    )

    assert " ".join(terms(row).split()) == (
        "find Books (Library): Find books. Args: none max Price in euros title what has Le Guin written"
    )


def test_a_title_is_used_only_where_it_adds_words() -> None:
    assert texts(Row("find_books", "D.", title="Find books")) == ("find books: D.",)
    assert texts(Row("find_books", "D.", title="Library search")) == ("find books (Library search): D.",)


def test_each_example_is_a_text_of_its_own_and_blank_ones_are_left_out() -> None:
    assert texts(Row("a", "D.", examples=("first  one", " ", "second")))[1:] == ("first one", "second")


@pytest.mark.parametrize(
    ("intent", "expected"),
    [
        ("Book a flight to Oslo. Find a hotel there.", ("Book a flight to Oslo.", "Find a hotel there.")),
        ("find a flight, then book a hotel", ("find a flight", "book a hotel")),
        ("find a flight and finally book a hotel", ("find a flight", "book a hotel")),
        ("find a flight; book a hotel\npack my bags", ("find a flight", "book a hotel", "pack my bags")),
        ("find a flight and book a hotel", ("find a flight", "book a hotel")),
        ("salt and pepper for the table", ()),
        ("find a flight", ()),
        ("Find v2.5 of the report", ()),
        ("", ()),
    ],
)
def test_a_request_is_cut_into_clauses(intent: str, expected: tuple[str, ...]) -> None:
    assert clauses(intent) == expected


@given(st.text(alphabet=st.sampled_from("ab .;,\nthen and also"), max_size=4000))
def test_clauses_are_bounded_distinct_and_never_blank(intent: str) -> None:
    found = clauses(intent)

    assert len(found) <= MAX_CLAUSES
    assert len(found) != 1
    assert len(set(found)) == len(found)
    assert all(0 < len(clause) <= MAX_CLAUSE_CHARACTERS for clause in found)
