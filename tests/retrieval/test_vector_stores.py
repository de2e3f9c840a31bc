"""What is true of vectors wherever they are kept: in this process, in PostgreSQL, and in Milvus."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest

from scopedtools.retrieval.databases import open_vectors
from scopedtools.retrieval.vector_store import RowVectors, Texts, VectorStore
from scopedtools.retrieval.vectors import VectorIndex

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Kept = Callable[[Floats, npt.NDArray[np.int64]], RowVectors]

MANY = {"process": 12_000, "lists": 140_000, "postgresql": 12_000, "milvus": 12_000}
"""Vectors that are not all compared, wherever they are."""

D = 64


@pytest.fixture(
    scope="module",
    params=[
        "process",
        "lists",
        "postgresql",
        pytest.param(
            "milvus",
            marks=pytest.mark.skipif("MILVUS_URL" not in os.environ, reason="MILVUS_URL names no server"),
        ),
    ],
)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def kept(kind: str, request: pytest.FixtureRequest) -> Iterator[Kept]:
    """Keep vectors, each under a key of its own; equal ones are two texts that have the same vector."""
    if kind in ("process", "lists"):
        yield VectorIndex.build
        return
    url = os.environ["MILVUS_URL"] if kind == "milvus" else request.getfixturevalue("new_database")()
    stores: list[VectorStore] = []

    def keep(vectors: Floats, row_of: npt.NDArray[np.int64]) -> RowVectors:
        stores.append(open_vectors(url))
        revision = os.urandom(8).hex()
        texts = Texts(
            ("test", revision),
            vectors.shape[1],
            [f"{place:032x}" for place in range(len(vectors))],
            row_of,
            lambda keys: vectors[[int(key, 16) for key in keys]],
        )
        return stores[-1].keep(texts, threading.Event())

    yield keep
    for store in stores:
        store.close()


def unit(vectors: npt.NDArray[np.floating]) -> Floats:
    made: Floats = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return made


@cache
def made(n: int) -> Floats:
    """Vectors in heaps that lie in larger heaps, as descriptions do."""
    random = np.random.default_rng(0)
    topics = random.normal(size=(60, D))
    heaps = topics[random.integers(60, size=n // 25)] + 0.7 * random.normal(size=(n // 25, D))
    return unit(heaps[random.integers(len(heaps), size=n)] + 0.5 * random.normal(size=(n, D)))


def near(vectors: Floats) -> Floats:
    """Vectors that resemble these, as requests resemble descriptions."""
    return unit(vectors + np.random.default_rng(1).normal(size=vectors.shape) / (2 * D**0.5))


def scores_of(vectors: Floats, row_of: npt.NDArray[np.int64], queries: Floats) -> npt.NDArray[np.float64]:
    """Score all rows by brute force; shape ``(queries, rows)``."""
    products = np.round(queries.astype(np.float64) @ vectors.astype(np.float64).T, 6)
    best = np.full((len(queries), row_of[-1] + 1), -2.0)
    for one, mine in zip(best, products, strict=True):
        np.maximum.at(one, row_of, mine)
    return best


@pytest.fixture(scope="module")
def many(kind: str, kept: Kept) -> RowVectors:
    n = MANY[kind]
    return kept(made(n), np.arange(n))


@pytest.mark.parametrize(("share", "least"), [(0.01, 0.99), (0.1, 0.98), (0.5, 0.98), (1.0, 0.98)])
def test_however_few_rows_are_permitted_nearly_all_of_the_nearest_are_found(
    many: RowVectors, share: float, least: float
) -> None:
    n = many.rows
    queries = near(made(n)[:: n // 40])
    permitted = np.random.default_rng(2).random(n) < share
    exact = scores_of(made(n), np.arange(n), queries)

    # One by one: of several at once PostgreSQL compares more before it goes by its graph.
    found = [many.nearest(one[np.newaxis], permitted, 20)[0] for one in queries]

    recall = []
    for rows, scores in zip(found, exact, strict=True):
        assert permitted[rows].all()
        assert len(set(rows.tolist())) == 20
        best = np.lexsort((np.arange(n), np.where(permitted, -scores, np.inf)))[:20]
        recall.append(len({*rows.tolist()} & {*best.tolist()}) / 20)
    assert np.mean(recall) >= least


def test_scores_are_exact_and_those_of_every_other_place(many: RowVectors) -> None:
    n = many.rows
    queries, rows = near(made(n)[:5]), np.arange(0, n, n // 300)

    assert (
        many.scores(queries, rows).tolist()
        == VectorIndex.build(made(n)[rows], np.arange(len(rows)))
        .scores(queries, np.arange(len(rows)))
        .tolist()
    )


@pytest.mark.parametrize("seed", range(4))
def test_a_row_is_as_near_as_the_best_of_its_vectors(kept: Kept, kind: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    # Few distinct vectors, so that many rows tie.
    row_of = np.repeat(np.arange(60), random.integers(1, 5, size=60))
    vectors = made(5000)[random.integers(40, size=len(row_of))]
    queries = near(made(5000)[50:53])
    permitted = random.random(60) < 0.6
    index, exact = kept(vectors, row_of), scores_of(vectors, row_of, queries)

    for k in (1, 7, 30, 100):
        for rows, scores in zip(index.nearest(queries, permitted, k), exact, strict=True):
            best = np.lexsort((np.arange(60), np.where(permitted, -scores, np.inf)))
            assert sorted(rows.tolist()) == sorted(best[: min(k, int(permitted.sum()))].tolist())
    every = np.arange(60)
    assert index.scores(queries, every).tolist() == exact.tolist()
    within = sum(1 << int(row) for row in np.flatnonzero(permitted))
    assert index.best(queries, within).tolist() == exact[:, permitted].max(axis=1).tolist()
    assert index.best(queries, 0).tolist() == [0.0] * 3
    local = VectorIndex.build(vectors, row_of)
    assert index.likeness(every[:4], every).tolist() == local.likeness(every[:4], every).tolist()
    assert index.of(every[5:9]).tolist() == local.of(every[5:9]).tolist()


def test_nothing_permitted_finds_nothing_and_few_are_all_found(many: RowVectors) -> None:
    queries = near(made(many.rows)[:3])
    nothing = np.zeros(many.rows, dtype=np.bool_)
    few = nothing.copy()
    few[[3, 700, many.rows - 1]] = True

    assert [rows.tolist() for rows in many.nearest(queries, nothing, 5)] == [[], [], []]
    assert [sorted(rows.tolist()) for rows in many.nearest(queries, few, 5)] == [[3, 700, many.rows - 1]] * 3


def test_a_row_with_many_near_vectors_does_not_crowd_out_the_others(kept: Kept) -> None:
    # All of the first row's 500 vectors are nearer than any other.
    first = unit(made(5000)[:1] + np.random.default_rng(5).normal(scale=1e-3, size=(500, D)))
    vectors = np.concatenate([first, made(5000)[1:100]])
    index = kept(vectors, np.concatenate([np.zeros(500, dtype=np.int64), np.arange(1, 100)]))

    (rows,) = index.nearest(made(5000)[:1], np.ones(100, dtype=np.bool_), 5)

    assert 0 in rows.tolist()
    assert len(rows) == 5


def test_searches_of_many_threads_find_what_one_finds(many: RowVectors) -> None:
    permitted = np.arange(many.rows) % 2 > 0
    queries = near(made(many.rows)[:16])
    alone = [sorted(many.nearest(one[np.newaxis], permitted, 10)[0].tolist()) for one in queries]
    found: dict[int, list[int]] = {}

    def search(place: int) -> None:
        found[place] = sorted(many.nearest(queries[place : place + 1], permitted, 10)[0].tolist())

    threads = [threading.Thread(target=search, args=(place,)) for place in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [found[place] for place in range(16)] == alone
