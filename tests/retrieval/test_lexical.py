import logging

import bm25s
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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


WORDS = ["get", "a", "book", "order", "weather", "city", "film", "river", "wooden", "table"]


@given(
    texts=st.lists(st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join), max_size=12),
    queries=st.lists(st.lists(st.sampled_from(WORDS), max_size=5).map(" ".join), max_size=4),
)
def test_queries_score_as_bm25s_scores_them(texts: list[str], queries: list[str]) -> None:
    index = LexicalIndex.build(texts)

    matrix = index.matrix(queries)

    assert matrix.shape == (len(queries), len(texts))
    assert matrix.dtype == np.float32
    found = [tokens(text) for text in texts]
    for query, scores in zip(queries, matrix, strict=True):
        assert index.scores(query).tolist() == scores.tolist()
        if known := [word for word in tokens(query) if any(word in row for row in found)]:
            theirs = bm25s.BM25(backend="numpy")
            theirs.index(found, show_progress=False)
            assert scores.tolist() == pytest.approx(theirs.get_scores(known).tolist(), rel=1e-5)
        else:
            assert not scores.any()


def test_a_text_in_both_kinds_of_script_gives_words_and_pairs() -> None:
    assert tokens("weather in 北京市, orders") == ["weather", "北京", "京市", "order"]
