from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scopedtools.retrieval.vectors import VectorIndex, members


def made(n: int, d: int = 8, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def brute_force(
    vectors: np.ndarray, row_of: list[int], query: np.ndarray, within: int, k: int
) -> list[tuple[int, float]]:
    best: dict[int, float] = {}
    for row, vector in zip(row_of, vectors, strict=True):
        if within >> row & 1:
            score = round(float(vector.astype(np.float64) @ query.astype(np.float64)), 6)
            best[row] = max(best.get(row, -2.0), score)
    return sorted(best.items(), key=lambda item: (-item[1], item[0]))[:k]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_restricted_search_equals_brute_force(data: st.DataObject) -> None:
    counts = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=30))
    row_of = [row for row, count in enumerate(counts) for _ in range(count)]
    # Few distinct vectors, so that many rows tie.
    pool = made(data.draw(st.integers(1, 8)))
    vectors = pool[
        data.draw(st.lists(st.integers(0, len(pool) - 1), min_size=len(row_of), max_size=len(row_of)))
    ]
    within = data.draw(st.integers(0, (1 << len(counts)) - 1))
    k = data.draw(st.integers(1, 40))
    query = made(1, seed=1)[0]

    rows, scores = VectorIndex.build(vectors, np.array(row_of)).search(query, within, k)

    assert list(zip(rows.tolist(), scores.tolist(), strict=True)) == brute_force(
        vectors, row_of, query, within, k
    )


def test_a_row_with_many_near_vectors_does_not_crowd_out_the_others() -> None:
    near, far = made(2)
    index = VectorIndex.build(np.stack([near] * 500 + [far]), np.array([0] * 500 + [1]))

    rows, _ = index.search(near, 0b11, 2)

    assert rows.tolist() == [0, 1]


def test_nothing_permitted_finds_nothing() -> None:
    rows, scores = VectorIndex.build(made(4), np.arange(4)).search(made(1)[0], 0, 3)

    assert len(rows) == len(scores) == 0


def test_permitted_rows_beyond_the_index_are_left_out() -> None:
    rows, _ = VectorIndex.build(made(4), np.arange(4)).search(made(1)[0], (1 << 100) - 1, 10)

    assert sorted(rows.tolist()) == [0, 1, 2, 3]


def test_a_score_does_not_depend_on_what_is_scored_beside_it() -> None:
    index = VectorIndex.build(made(300, 384), np.arange(300))
    queries = made(7, 384, seed=2)
    together = index.scores(queries, np.arange(300))

    for row in range(0, 300, 17):
        assert index.scores(queries[3:4], np.array([row]))[0, 0] == together[3, row]


def test_a_loaded_index_answers_as_the_saved_one(tmp_path: Path) -> None:
    index = VectorIndex.build(made(50), np.arange(50))
    index.save(tmp_path / "index.faiss")
    loaded = VectorIndex.load(tmp_path / "index.faiss", np.arange(50))

    for query in made(5, seed=3):
        assert [a.tolist() for a in loaded.search(query, (1 << 50) - 1, 7)] == [
            a.tolist() for a in index.search(query, (1 << 50) - 1, 7)
        ]


def test_each_vector_needs_a_row() -> None:
    with pytest.raises(ValueError, match="one row for each of 3 vectors, got 2"):
        VectorIndex.build(made(3), np.arange(2))


@given(st.integers(0, (1 << 70) - 1), st.integers(0, 64))
def test_members_are_the_bits_of_the_set(within: int, n: int) -> None:
    assert members(within, n).tolist() == [bool(within >> i & 1) for i in range(n)]
