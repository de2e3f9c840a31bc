"""Vectors beyond those that one list of codes holds."""

import gc
import hashlib
import subprocess
import sys
import weakref
from pathlib import Path

import faiss
import numpy as np
import numpy.typing as npt
import pytest

from scopedtools.retrieval.codes import ONE_LIST
from scopedtools.retrieval.vectors import EXACT, VectorIndex

N = 150_000
D = 64
ROWS = np.arange(N)

Mask = npt.NDArray[np.bool_]


TOPICS = np.random.default_rng(8).normal(size=(60, D))


def made(n: int, seed: int) -> npt.NDArray[np.float32]:
    """Vectors in heaps that lie in larger heaps, as descriptions do; the same everywhere."""
    random = np.random.default_rng(seed)
    heaps = TOPICS[random.integers(60, size=n // 25)] + 0.7 * random.normal(size=(n // 25, D))
    vectors = (heaps[random.integers(len(heaps), size=n)] + 0.5 * random.normal(size=(n, D))).astype(
        np.float32
    )
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def near(vectors: npt.NDArray[np.float32], seed: int) -> npt.NDArray[np.float32]:
    """Vectors that resemble these, as requests resemble descriptions."""
    random = np.random.default_rng(seed)
    queries = vectors + random.normal(size=vectors.shape).astype(np.float32) / (2 * D**0.5)
    unit: npt.NDArray[np.float32] = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    return unit


VECTORS = made(N, seed=0)
QUERIES = near(VECTORS[:: N // 40], seed=1)


@pytest.fixture(scope="module")
def index() -> VectorIndex:
    return VectorIndex.build(VECTORS, ROWS)


def nearest(vectors: npt.NDArray[np.float32], permitted: Mask, k: int) -> list[list[int]]:
    """Rows of the rounded scores that are highest, the lower one first of equals."""
    rows = np.flatnonzero(permitted)
    scores = np.round(QUERIES.astype(np.float64) @ vectors[rows].astype(np.float64).T, 6)
    return [rows[np.lexsort((rows, -one))[:k]].tolist() for one in scores]


def recall(index: VectorIndex, permitted: Mask, k: int) -> float:
    found = [rows.tolist() for rows in index.nearest(QUERIES, permitted, k)]
    assert all(len(set(one)) == k and permitted[one].all() for one in found)
    best = nearest(index.vectors, permitted, k)
    return float(np.mean([len({*a} & {*b}) / k for a, b in zip(found, best, strict=True)]))


def at_random(share: float) -> Mask:
    return np.random.default_rng(2).random(N) < share


@pytest.mark.parametrize(("k", "least"), [(20, 0.98), (100, 0.95)])
@pytest.mark.parametrize("share", [0.04, 0.1, 0.5, 1.0])
def test_nearly_all_of_the_nearest_permitted_rows_are_found(
    index: VectorIndex, share: float, k: int, least: float
) -> None:
    assert recall(index, at_random(share), k) >= least


def test_permitted_rows_are_found_where_the_nearest_lists_hold_none(index: VectorIndex) -> None:
    # Permitted is a tenth of the topics, all others are asked for.
    of_rows, of_queries = ((one @ TOPICS.T).argmax(axis=1) for one in (VECTORS, QUERIES))
    permitted, asked = of_rows < 6, np.flatnonzero(of_queries >= 6)

    found = index.nearest(QUERIES[asked], permitted, 20)

    assert N // 32 < np.count_nonzero(permitted) < N // 5
    best = [one for place, one in enumerate(nearest(VECTORS, permitted, 20)) if place in asked]
    shares = [len({*one.tolist()} & {*other}) / 20 for one, other in zip(found, best, strict=True)]
    # All that is permitted is about as far, so codes say less.
    assert np.mean(shares) >= 0.9


@pytest.mark.parametrize("share", [0.001, 0.01, 0.03])
def test_few_permitted_rows_are_compared_exactly(index: VectorIndex, share: float) -> None:
    permitted = at_random(share)

    found = index.nearest(QUERIES, permitted, 50)

    assert [sorted(one.tolist()) for one in found] == [sorted(one) for one in nearest(VECTORS, permitted, 50)]


def test_of_equal_scores_among_few_permitted_rows_the_lower_row_is_found() -> None:
    vectors = VECTORS.copy()
    # Equal once they are rounded, not before.
    vectors[::25] = vectors[0] + np.random.default_rng(7).normal(scale=1e-8, size=(N // 25, D))
    permitted = ROWS % 33 == 0
    assert EXACT < np.count_nonzero(permitted) <= N // 32

    (rows,) = VectorIndex.build(vectors, ROWS).nearest(vectors[:1], permitted, 60)

    assert sorted(rows.tolist()) == list(range(0, 60 * 825, 825))


def test_each_row_of_several_vectors_is_found_once(index: VectorIndex) -> None:
    row_of = ROWS // 4
    several = VectorIndex.build(VECTORS, row_of)
    permitted = np.arange(N // 4) % 2 > 0
    few = np.arange(N // 4) % 40 == 0

    for among, least in ((permitted, 0.98), (few, 1.0)):
        for query, rows in zip(QUERIES, several.nearest(QUERIES, among, 30), strict=True):
            scores = several.scores(query[np.newaxis], np.flatnonzero(among))[0]
            best = np.flatnonzero(among)[np.argsort(-scores, kind="stable")[:30]]
            assert len(set(rows.tolist())) == 30
            assert len({*rows.tolist()} & {*best.tolist()}) >= 30 * least - 2


def test_every_permitted_row_can_be_asked_for(index: VectorIndex) -> None:
    permitted = at_random(0.04)

    (rows,) = index.nearest(QUERIES[:1], permitted, N)

    assert sorted(rows.tolist()) == np.flatnonzero(permitted).tolist()


def answers(index: VectorIndex) -> list[list[int]]:
    return [
        rows.tolist() for share in (0.01, 0.1, 1.0) for rows in index.nearest(QUERIES, at_random(share), 50)
    ]


def test_a_saved_index_answers_alike_and_saves_alike(index: VectorIndex, tmp_path: Path) -> None:
    index.save(tmp_path / "one")
    loaded = VectorIndex.load(tmp_path / "one", ROWS)
    loaded.save(tmp_path / "two")

    assert answers(loaded) == answers(index)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_what_was_learned_of_other_vectors_is_saved_and_not_learned_anew(
    index: VectorIndex, tmp_path: Path
) -> None:
    vectors = np.concatenate([made(500, seed=9), VECTORS[1000:]])
    rows = np.arange(len(vectors))
    index.succeed(vectors, rows).save(tmp_path / "one")
    VectorIndex.load(tmp_path / "one", rows).save(tmp_path / "two")

    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_codes_in_one_list_are_saved_too(tmp_path: Path) -> None:
    n = 2 * EXACT
    small = VectorIndex.build(VECTORS[:n], ROWS[:n])
    small.save(tmp_path / "one")
    loaded = VectorIndex.load(tmp_path / "one", ROWS[:n])
    loaded.save(tmp_path / "two")
    everything = np.ones(n, dtype=np.bool_)

    assert [one.tolist() for one in loaded.nearest(QUERIES, everything, 30)] == [
        one.tolist() for one in small.nearest(QUERIES, everything, 30)
    ]
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert (tmp_path / "one").stat().st_size > n * D * 4 + n * (D // 4 + 8)


@pytest.mark.parametrize("n", [1000, 2 * EXACT, N])
def test_a_file_without_codes_is_read(index: VectorIndex, tmp_path: Path, n: int) -> None:
    flat = faiss.IndexFlatIP(D)
    flat.add(VECTORS[:n])
    faiss.write_index(flat, str(tmp_path / "flat"))

    loaded = VectorIndex.load(tmp_path / "flat", ROWS[:n])

    expected = index if n == N else VectorIndex.build(VECTORS[:n], ROWS[:n])
    everything = np.ones(n, dtype=np.bool_)
    for one, other in zip(
        loaded.nearest(QUERIES, everything, 30), expected.nearest(QUERIES, everything, 30), strict=True
    ):
        assert sorted(one.tolist()) == sorted(other.tolist())


def test_a_file_with_codes_is_an_index_that_faiss_reads(index: VectorIndex, tmp_path: Path) -> None:
    index.save(tmp_path / "one")

    read = faiss.read_index(str(tmp_path / "one"))

    assert (read.ntotal, read.d) == (N, D)
    assert read.search(VECTORS[5:6], 1)[1].tolist() == [[5]]


ELSEWHERE = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from test_many_vectors import ROWS, VECTORS
from scopedtools.retrieval.vectors import VectorIndex
VectorIndex.build(VECTORS, ROWS).save(Path(sys.argv[2]))
"""


def test_two_processes_make_equal_files_of_equal_vectors(index: VectorIndex, tmp_path: Path) -> None:
    index.save(tmp_path / "here")
    here, there = tmp_path / "here", tmp_path / "there"

    subprocess.run([sys.executable, "-c", ELSEWHERE, str(Path(__file__).parent), str(there)], check=True)

    assert hashlib.sha256(here.read_bytes()).digest() == hashlib.sha256(there.read_bytes()).digest()


def test_after_a_change_of_rows_new_ones_are_found_and_old_ones_are_not(index: VectorIndex) -> None:
    new = made(500, seed=9)
    vectors = np.concatenate([new, VECTORS[1000:]])
    rows = np.arange(len(vectors))
    later = index.succeed(vectors, rows)
    everything = np.ones(len(vectors), dtype=np.bool_)

    found = later.nearest(vectors[:40], everything, 20)

    assert [one[0] for one in found] == list(range(40))
    assert np.array_equal(later.vectors, vectors)
    assert recall(later, everything, 20) >= 0.98


def test_an_index_that_succeeds_one_of_the_same_vectors_is_the_same(
    index: VectorIndex, tmp_path: Path
) -> None:
    index.save(tmp_path / "one")
    index.succeed(VECTORS.copy(), ROWS).save(tmp_path / "two")

    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize("n", [1000, 2 * EXACT, ONE_LIST])
def test_an_index_that_succeeds_a_much_larger_one_is_that_of_a_new_build(index: VectorIndex, n: int) -> None:
    everything = np.ones(n, dtype=np.bool_)

    later = index.succeed(VECTORS[:n], ROWS[:n]).nearest(QUERIES, everything, 10)

    fresh = VectorIndex.build(VECTORS[:n], ROWS[:n]).nearest(QUERIES, everything, 10)
    assert [sorted(one.tolist()) for one in later] == [sorted(one.tolist()) for one in fresh]


def test_an_index_that_is_replaced_is_freed_at_once(index: VectorIndex) -> None:
    later = index.succeed(VECTORS.copy(), ROWS)
    later.nearest(QUERIES[:1], at_random(0.5), 10)
    sketch = weakref.ref(later._sketch)  # what holds the memory
    gc.disable()
    try:
        del later
        assert sketch() is None
    finally:
        gc.enable()
