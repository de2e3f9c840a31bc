"""Rows are found first by float32 products, and are still those that exact scores give."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scopedtools.retrieval.vectors import VectorIndex, highest_of_each

D = 384


def near(query: np.ndarray, n: int, gap: float, seed: int) -> np.ndarray:
    """Unit vectors whose products with a query lie about as far apart as is told."""
    random = np.random.default_rng(seed)
    aside = random.normal(size=(n, D))
    aside -= np.outer(aside @ query, query)
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    cosines = 0.5 + gap * random.permutation(n)
    vectors = cosines[:, np.newaxis] * query + np.sqrt(1 - cosines**2)[:, np.newaxis] * aside
    return np.asarray(vectors, dtype=np.float32)


def unit(seed: int) -> np.ndarray:
    vector = np.random.default_rng(seed).normal(size=D).astype(np.float32)
    return vector / np.linalg.norm(vector)


@pytest.mark.parametrize("gap", [1e-8, 1e-7, 1e-6, 1e-5, 1e-4])
@pytest.mark.parametrize("share", [1.0, 0.7, 0.3])
def test_the_nearest_are_those_by_exact_scores_where_float32_cannot_tell(gap: float, share: float) -> None:
    permitted = np.random.default_rng(5).random(700) < share
    for seed in range(5):
        query = unit(seed)
        index = VectorIndex.build(near(query, 700, gap, seed), np.arange(700))
        rows = np.flatnonzero(permitted)
        exact = index.scores(query[np.newaxis], rows)[0]
        expected = rows[np.lexsort((rows, -exact))][:100]

        queries = np.stack([query, unit(99), query])
        found, _, again = index.nearest(queries, permitted, 100)

        assert sorted(found.tolist()) == sorted(expected.tolist()) == sorted(again.tolist())


def test_so_they_are_where_rows_have_several_vectors() -> None:
    query = unit(0)
    row_of = np.repeat(np.arange(300), np.tile([1, 2, 3], 100))
    index = VectorIndex.build(near(query, len(row_of), 1e-7, 1), row_of)
    permitted = np.arange(300) % 5 > 0
    rows = np.flatnonzero(permitted)
    exact = index.scores(query[np.newaxis], rows)[0]

    (found,) = index.nearest(query[np.newaxis], permitted, 80)

    assert sorted(found.tolist()) == sorted(rows[np.lexsort((rows, -exact))][:80].tolist())


@settings(deadline=None)
@given(st.data())
def test_the_highest_of_each_are_the_first_by_sorting_that_score_at_all(data: st.DataObject) -> None:
    random = np.random.default_rng(data.draw(st.integers(0, 1000)))
    shape = (data.draw(st.integers(1, 4)), data.draw(st.integers(0, 2500)))
    # Few distinct scores, so that many are equal at the edge.
    scores = random.integers(0, data.draw(st.integers(1, 300)), size=shape).astype(np.float32)
    k = data.draw(st.integers(1, 120))

    for found, mine in zip(highest_of_each(scores, k), scores, strict=True):
        expected = [row for row in np.argsort(-mine, kind="stable")[:k].tolist() if mine[row] > 0]
        assert sorted(found.tolist()) == sorted(expected)
