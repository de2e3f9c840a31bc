import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scopedtools.retrieval.vectors import EXACT, VectorIndex, highest, members


def made(n: int, d: int = 8, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def clustered(n: int, d: int = 384, seed: int = 0) -> np.ndarray:
    """Vectors that lie in heaps, as descriptions do."""
    random = np.random.default_rng(seed)
    heaps = random.normal(size=(n // 50, d))
    vectors = (heaps[random.integers(len(heaps), size=n)] + random.normal(size=(n, d))).astype(np.float32)
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


LARGE = EXACT + 4000


@pytest.fixture(scope="module")
def large() -> VectorIndex:
    return VectorIndex.build(clustered(LARGE), np.arange(LARGE))


@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.9, 1.0])
def test_among_many_vectors_nearly_all_of_the_nearest_permitted_rows_are_found(
    large: VectorIndex, share: float
) -> None:
    permitted = np.random.default_rng(5).random(LARGE) < share
    # Each query lies in one of the heaps.
    queries = (large.vectors[::300] + made(1, 384) / 100).astype(np.float32)
    rows = np.flatnonzero(permitted)
    near = [set(rows[np.argsort(-scores)[:50]].tolist()) for scores in queries @ large.vectors[rows].T]

    found = large.nearest(queries, permitted, 50)

    assert all(permitted[one].all() and len(set(one.tolist())) == min(50, len(rows)) for one in found)
    recall = [len(best.intersection(one.tolist())) / len(best) for best, one in zip(near, found, strict=True)]
    assert np.mean(recall) > 0.995


def test_few_permitted_rows_among_many_are_compared_exactly(large: VectorIndex) -> None:
    within = sum(1 << row for row in range(0, LARGE, 9))
    query = made(1, 384, seed=4)[0]

    rows, scores = large.search(query, within, 30)

    assert list(zip(rows.tolist(), scores.tolist(), strict=True)) == brute_force(
        large.vectors, list(range(LARGE)), query, within, 30
    )


def test_queries_find_the_same_together_as_alone(large: VectorIndex) -> None:
    everything = np.ones(LARGE, dtype=np.bool_)
    queries = made(9, 384, seed=6)

    together = large.nearest(queries, everything, 100)

    for query, rows in zip(queries, together, strict=True):
        assert sorted(large.nearest(query[np.newaxis], everything, 100)[0].tolist()) == sorted(rows.tolist())


def test_equal_vectors_give_equal_answers_whenever_they_are_indexed(large: VectorIndex) -> None:
    again = VectorIndex.build(large.vectors.copy(), np.arange(LARGE))
    query, everything = made(1, 384, seed=7)[0], (1 << LARGE) - 1

    assert [a.tolist() for a in again.search(query, everything, 100)] == [
        a.tolist() for a in large.search(query, everything, 100)
    ]


@pytest.mark.parametrize("dimensions", [7, 8])
def test_more_rows_than_are_permitted_can_be_asked_for_among_many(dimensions: int) -> None:
    index = VectorIndex.build(made(LARGE, dimensions), np.arange(LARGE))
    permitted = np.arange(LARGE) % 8 > 0

    (rows,) = index.nearest(made(1, dimensions, seed=1), permitted, LARGE)

    assert sorted(rows.tolist()) == np.flatnonzero(permitted).tolist()


def test_among_many_rows_with_several_vectors_each_is_found_once(large: VectorIndex) -> None:
    # Four equal vectors a row: the 100 nearest vectors are 25 rows.
    index = VectorIndex.build(np.repeat(large.vectors, 4, axis=0), np.repeat(np.arange(LARGE), 4))

    rows, scores = index.search(large.vectors[3], (1 << LARGE) - 1, 100)

    assert len(set(rows.tolist())) == 100
    assert (rows[0], scores[0]) == (3, 1.0)


def test_an_index_of_many_vectors_answers_alike_once_loaded(large: VectorIndex, tmp_path: Path) -> None:
    large.save(tmp_path / "index.faiss")
    loaded = VectorIndex.load(tmp_path / "index.faiss", np.arange(LARGE))
    query, everything = made(1, 384, seed=8)[0], (1 << LARGE) - 1

    assert [a.tolist() for a in loaded.search(query, everything, 20)] == [
        a.tolist() for a in large.search(query, everything, 20)
    ]


@settings(deadline=None)
@given(st.data())
def test_the_highest_are_the_first_of_those_that_sorting_puts_first(data: st.DataObject) -> None:
    random = np.random.default_rng(data.draw(st.integers(0, 1000)))
    # Few distinct scores, so that many are equal at the edge.
    scores = random.integers(0, data.draw(st.integers(1, 500)), size=data.draw(st.integers(0, 3000)))
    k = data.draw(st.integers(1, 120))

    found = highest(scores.astype(np.float32), k)

    assert sorted(found.tolist()) == sorted(np.argsort(-scores, kind="stable")[:k].tolist())


SOLE = """
import time
import numpy as np
from scopedtools.retrieval.vectors import EXACT, VectorIndex

vectors = np.random.default_rng(0).normal(size=(2 * EXACT, 384)).astype(np.float32)
rows = np.arange(2 * EXACT)
index = VectorIndex.build(vectors, rows)
process, thread = time.process_time(), time.thread_time()
for _ in range(10):
    index.nearest(vectors[:10], rows >= 0, 100)
    index.nearest(vectors[:10], rows < EXACT, 100)
    index.scores(vectors[:1], rows[::4])
    index.likeness(rows[:6], rows[::4])
print(time.process_time() - process, time.thread_time() - thread)
"""


def test_a_search_starts_no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    # Whoever runs a server sets none of these; threads of BLAS would spin on every core.
    for library in ("OMP", "OPENBLAS", "MKL"):
        monkeypatch.delenv(f"{library}_NUM_THREADS", raising=False)

    done = subprocess.run([sys.executable, "-c", SOLE], capture_output=True, text=True, check=True)

    process, thread = map(float, done.stdout.split())
    assert process < 1.1 * thread
    assert done.stderr == ""
