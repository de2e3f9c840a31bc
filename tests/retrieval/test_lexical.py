import logging

import numpy as np
import pytest

from scopedtools.retrieval.lexical import LexicalIndex, tokens


@pytest.mark.parametrize(
    "forms",
    [
        ["order", "orders", "ordered", "ordering"],
        ["city", "cities"],
        ["movie", "movies"],
        ["plan", "plans", "planned", "planning"],
        ["box", "boxes"],
        ["process", "processes", "processing"],
        ["call", "calls", "called", "calling"],
    ],
)
def test_forms_of_a_word_are_one_term(forms: list[str]) -> None:
    assert len({tuple(tokens(form)) for form in forms}) == 1


def test_the_commonest_words_are_no_terms() -> None:
    assert tokens("what is the weather") == ["weather"]


def test_chinese_gives_pairs_of_characters() -> None:
    assert tokens("天气预报 API") == ["天气", "气预", "预报", "api"]


def test_a_row_that_shares_rarer_words_scores_higher() -> None:
    scores = LexicalIndex.build(["get a book", "get the weather", "get a book order"]).scores(
        "weather book order"
    )

    assert scores.dtype == np.float32
    assert scores.argmax() == 2
    assert (scores > 0).all()


@pytest.mark.parametrize("query", ["", "the of", "zebra"])
def test_a_query_without_known_words_scores_nothing(query: str) -> None:
    assert LexicalIndex.build(["get a book", "weather"]).scores(query).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("texts", [[], ["", "?"]])
def test_rows_without_words_can_be_indexed(texts: list[str]) -> None:
    assert LexicalIndex.build(texts).scores("book").tolist() == [0.0] * len(texts)


def test_indexing_is_silent(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        LexicalIndex.build(["get a book", "weather"]).scores("book")

    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_coverage_is_the_share_of_a_querys_words_with_rare_words_counting_more() -> None:
    index = LexicalIndex.build(["get book", "get weather", "get book order"])
    everything, common, rare, unknown = (
        index.coverage(query).tolist() for query in ("book order", "get order", "order", "order zebra")
    )

    assert everything[2] == 1.0
    assert 0.0 < common[0] < 0.5 < common[2]
    assert rare == [0.0, 0.0, 1.0]
    assert 0.0 < unknown[2] < 1.0
    assert index.coverage("").tolist() == [0.0, 0.0, 0.0]
