"""Vectors of real descriptions and requests, and of perturbed copies where more are wanted."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.index.selection_time import WordsEncoder, catalog, sentences
from benchmarks.selection.sample import data_folder
from benchmarks.selection.sets import GROUPS, HAY, SPECS, found, read_catalog
from benchmarks.selection.vectors import CachingEncoder
from scopedtools.evaluation.data import read_queries
from scopedtools.retrieval import default_encoder
from scopedtools.retrieval.text import texts

if TYPE_CHECKING:
    from scopedtools.types import Encoder, Vectors

SHARES: Final = (0.01, 0.1, 0.5, 1.0)
"""Shares of the rows that are permitted, drawn at random."""

DEPTH: Final = 100
"""Nearest rows that are known for each query."""

LIKENESS: Final = 0.85
"""Cosine of a copy and its description: that of the median description and its nearest neighbour."""

_EACH: Final = 200
"""Most requests of a set."""

_MADE_UP: Final = 2_000
_PORTION: Final = 1 << 15

Truth = dict[float, npt.NDArray[np.int64]]
"""For each share the nearest permitted rows, best first, shape ``(queries, DEPTH)``."""


class Data(NamedTuple):
    """What is searched and what is searched for.

    Attributes:
        vectors: float32, shape ``(n, d)``, unit rows; may be mapped from a file.
        queries: float32, shape ``(q, d)``, unit rows.
        truth: What an exact search finds.
        real: Vectors that are of real descriptions.
    """

    vectors: Vectors
    queries: Vectors
    truth: Truth
    real: int

    def permitted(self, share: float) -> npt.NDArray[np.bool_]:
        """Return the rows that may be found."""
        return _permitted(len(self.vectors), share)


class Source(NamedTuple):
    """Vectors of real texts; distinct descriptions, and requests in random order."""

    descriptions: Vectors
    requests: Vectors


def made_up() -> Source:
    """Return vectors of made-up descriptions and requests, sums of those of their words; needs no model."""
    words = WordsEncoder()
    described = [text for row in catalog(_MADE_UP) for text in texts(row)]
    return Source(words.encode_documents(described), words.encode_queries(sentences()[:_EACH]))


def real(encoder: Encoder | None = None) -> Source | None:
    """Encode ToolBench's and real MCP tools, and requests of all sets; ``None`` where they are not there."""
    data = data_folder()
    if not (data / "toolbench").is_dir():
        return None
    described = [texts(row)[0] for folder in ("toolbench", HAY) for row in read_catalog(data, folder).rows]
    chance = random.Random(1)  # noqa: S311 - no secret
    asked: list[str] = []
    for name in GROUPS["single"]:
        queries = read_queries(found(data, SPECS[name].folder, "queries"))
        said = [ask.text for query in queries for ask in query.asks]
        asked += chance.sample(said, min(_EACH, len(said)))
    chance.shuffle(asked)
    caching = CachingEncoder(encoder or default_encoder())
    distinct = [*dict.fromkeys(described)], [*dict.fromkeys(asked)]
    caching.warm([*distinct[0], *distinct[1]])
    return Source(caching.encode_documents(distinct[0]), caching.encode_queries(distinct[1]))


def make(known: Source, size: int, queries: int, scratch: Path) -> Data:
    """Return this many vectors and what is nearest; kept in a folder for the next time.

    The first vectors are real. Each further one is a real one turned towards a random direction, drawn evenly
    among those at a right angle to it, until their cosine is ``LIKENESS``.
    """
    asked = known.requests[:queries]
    path, answers = scratch / f"vectors-{size}.npy", scratch / f"truth-{size}-{len(asked)}.npz"
    if not path.exists():
        shape = (size, known.descriptions.shape[1])
        file = np.lib.format.open_memmap(path, "w+", np.float32, shape)
        at = 0
        for part in _copies(known.descriptions, size):
            file[at : at + len(part)] = part
            at += len(part)
        file.flush()
        del file
    vectors: Vectors = np.load(path, mmap_mode="r")
    if not answers.exists():
        found = _truth(vectors, asked)
        np.savez(answers, *(found[share] for share in SHARES))
    stored = np.load(answers)
    truth = {share: stored[f"arr_{place}"] for place, share in enumerate(SHARES)}
    return Data(vectors, asked, truth, min(size, len(known.descriptions)))


def _copies(real: Vectors, size: int) -> Iterator[Vectors]:
    yield real[:size]
    at, turn = len(real), 0
    while at < size:
        some = real[: size - at]
        aside = np.random.default_rng([1, turn]).standard_normal(some.shape, dtype=np.float32)
        aside -= np.einsum("nd,nd->n", aside, some)[:, np.newaxis] * some
        aside /= np.linalg.norm(aside, axis=1, keepdims=True)
        yield np.float32(LIKENESS) * some + np.float32((1 - LIKENESS**2) ** 0.5) * aside
        at, turn = at + len(some), turn + 1


def _permitted(n: int, share: float) -> npt.NDArray[np.bool_]:
    return np.random.default_rng(3).random(n) < share


def _truth(vectors: Vectors, queries: Vectors) -> Truth:
    best = {share: (np.empty((len(queries), 0)), np.empty((len(queries), 0), np.int64)) for share in SHARES}
    masks = {share: _permitted(len(vectors), share) for share in SHARES}
    for start in range(0, len(vectors), _PORTION):
        scores = queries @ vectors[start : start + _PORTION].T
        for share, mask in masks.items():
            ids = np.flatnonzero(mask[start : start + _PORTION])
            known, numbers = best[share]
            every = np.hstack([known, scores[:, ids]])
            wider = np.hstack([numbers, np.broadcast_to(ids + start, (len(queries), len(ids)))])
            if every.shape[1] > DEPTH:
                near = np.argpartition(-every, DEPTH, axis=1)[:, :DEPTH]
                every, wider = np.take_along_axis(every, near, 1), np.take_along_axis(wider, near, 1)
            order = np.argsort(-every, axis=1, kind="stable")
            best[share] = np.take_along_axis(every, order, 1), np.take_along_axis(wider, order, 1)
    return {share: numbers for share, (_, numbers) in best.items()}
