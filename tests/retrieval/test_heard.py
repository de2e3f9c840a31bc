import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopedtools.retrieval.heard import MAX_CHARACTERS, MEMORY_TURNS, Heard, hear
from scopedtools.types import Turn

TWO = "find a flight to Oslo; book a hotel there"
CLAUSES = ("find a flight to Oslo", "book a hotel there")


def heard(text: str, *history: Turn) -> Heard:
    found = hear(text, history)
    assert found is not None
    return found


def weights(found: Heard) -> list[tuple[str, float]]:
    return [(one.parts[0], round(one.weight, 6)) for one in found.utterances]


def test_a_request_is_looked_for_whole_and_in_its_clauses() -> None:
    assert heard(TWO).texts == (TWO, *CLAUSES)
    assert heard(TWO).called == {}
    assert heard("find a flight").texts == ("find a flight",)


def test_blanks_between_words_do_not_matter() -> None:
    assert heard("  find\ta \r\n flight ").texts == ("find a flight",)


@pytest.mark.parametrize("blank", ["", " ", "\n\t \u3000"])
def test_nothing_is_looked_for_where_there_is_nothing_but_blanks(blank: str) -> None:
    assert hear(blank) is None
    assert hear(blank, [Turn(blank, blank), Turn("", called=(3,))]) is None


def test_what_was_said_before_is_looked_for_whole_and_its_clauses_are_not() -> None:
    found = heard("yes, please", Turn(TWO, "There is one at eight; shall I book it?"))

    assert found.texts == ("yes, please", "There is one at eight; shall I book it?", TWO)


def test_what_was_asked_before_is_encoded_as_it_was_then() -> None:
    then = heard(TWO).utterances[0]
    now = heard("yes, please", Turn(TWO)).utterances[1]

    assert then.parts == now.parts
    assert (then.searched, now.searched) == (3, 1)


def test_newer_counts_more_than_older_and_an_answer_less_than_what_was_asked() -> None:
    found = heard("now", Turn("oldest", "first answer"), Turn("older", "second answer"))

    assert weights(found) == [
        ("now", 1.0),
        ("second answer", 0.6),
        ("older", 0.7),
        ("first answer", 0.42),
        ("oldest", 0.49),
    ]


def test_only_the_last_turns_are_remembered() -> None:
    turns = [Turn(f"turn {i}", called=(i,)) for i in range(MEMORY_TURNS + 3)]
    found = heard("now", *turns)

    assert [text for text in found.texts if text != "now"] == [f"turn {i}" for i in range(8, 2, -1)]
    assert list(found.called) == [8, 7, 6, 5, 4, 3]


def test_blank_turns_and_answers_are_left_out_and_still_make_others_older() -> None:
    found = heard("now", Turn("before", " "), Turn(" "))

    assert weights(found) == [("now", 1.0), ("before", 0.49)]


def test_where_nothing_is_said_now_nothing_is_looked_for() -> None:
    assert hear(" ", [Turn(TWO, "eight o'clock?")]) is None


def test_a_call_counts_less_with_every_turn_and_its_last_time_counts() -> None:
    found = heard("now", Turn("a", called=(1, 2)), Turn("b", called=(3,)), Turn("c", called=(2, 2, 4)))

    assert {row: round(weight, 6) for row, weight in found.called.items()} == {
        2: 1.0,
        4: 1.0,
        3: 0.8,
        1: 0.64,
    }


def test_a_turn_that_only_called_counts_as_what_it_called() -> None:
    found = heard("now", Turn("", called=(7,)))

    assert (found.texts, found.called) == (("now",), {7: 1.0})


def test_only_the_beginning_of_a_long_text_is_read() -> None:
    long = "word " * MAX_CHARACTERS
    found = heard(long, Turn(long, long))

    assert all(len(text) <= MAX_CHARACTERS for text in found.texts)


@given(
    st.text("ab ;\n", max_size=60),
    st.lists(
        st.builds(
            Turn,
            st.text("ab ;\n", max_size=60),
            st.text("ab ;\n", max_size=20),
            st.lists(st.integers(0, 9), max_size=3).map(tuple),
        ),
        max_size=9,
    ),
)
def test_what_is_heard_is_bounded_and_what_is_said_now_comes_first(text: str, history: list[Turn]) -> None:
    found = hear(text, history)
    if found is None:
        assert not text.strip()
        return

    assert len(found.utterances) <= 1 + 2 * MEMORY_TURNS
    assert all(part.strip() for one in found.utterances for part in one.parts)
    assert all(0 < one.weight <= 1 for one in found.utterances)
    assert all(0 < weight <= 1 for weight in found.called.values())
    if text.strip():
        assert found.texts[0] == " ".join(text.split())
    assert hear(text, history[-MEMORY_TURNS:]) == found
