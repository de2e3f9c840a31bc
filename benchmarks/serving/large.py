"""Catalogs of up to millions of rows with an index: real tools first, then copies that differ a little.

Run: python -m benchmarks.serving.large ROWS FOLDER

The real tools are the 44,652 of ToolBench; their vectors are taken from ``indexes/toolbench``, which
``scopedtools index build indexes/toolbench`` makes in a few minutes. A copy has another name and another
server, and its vector is that of the tool with some noise.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from benchmarks.serving.processes import ROOT
from scopedtools import Catalog, ScopedServer, ViewSettings
from scopedtools.catalog.primitives import Tool
from scopedtools.retrieval import Index, Recipe, known_vectors
from scopedtools.retrieval.vectors import VectorIndex
from scopedtools.types import Describable

if TYPE_CHECKING:
    from scopedtools.types import Vectors

FOLDER: Final = "BENCHMARK_LARGE"
"""Environment variable that tells a server the folder that `make` has filled."""

APART: Final = "BENCHMARK_APART"
"""Environment variable that, where it is set, has each worker load all of it by itself."""

REAL: Final = 44_652
CATALOG: Final = "tools.jsonl"
INDEX: Final = "index"

_RECIPE: Final = ROOT / "indexes" / "toolbench"
_NOISE: Final = 0.02
_PORTION: Final = 10_000


def server(folder: Path) -> ScopedServer:
    """Make the server of a folder that `make` has filled."""
    return ScopedServer(
        name="large",
        catalog=Catalog.from_jsonl(folder / CATALOG),
        index_dir=folder / INDEX,
        # Several workers cannot grow the views of each other.
        views=ViewSettings(growth="never"),
    )


def make(rows: int, folder: Path) -> Path:
    """Make a catalog of that many rows and its index, unless the folder has them; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / CATALOG).exists():
        with (folder / CATALOG).open("wb") as file:
            file.writelines(msgspec.json.encode(one) + b"\n" for one in islice(_tools(), rows))
    if not (folder / INDEX).exists():
        _indexed(server(folder).catalog.rows).save(folder / INDEX)
    return folder


def _tools() -> Iterator[dict[str, Any]]:
    path = Recipe.read(_RECIPE / "recipe.toml").catalog
    real = [
        {
            "id": tool.name,
            "name": tool.title or tool.name,
            "server": tool.group,
            "description": tool.description,
            "input_schema": tool.input_schema,
        }
        for tool in Catalog.from_jsonl(path).rows
        if isinstance(tool, Tool)
    ]
    yield from real
    copy = 0
    while True:
        copy += 1
        for tool in real:
            changed = {key: f"{tool[key]} no. {copy}" for key in ("id", "name", "server")}
            yield {**tool, **changed}


def _indexed(rows: Sequence[Describable]) -> Index:
    encoder = Recipe.read(_RECIPE / "recipe.toml").encoder.make()
    known = known_vectors(_RECIPE, encoder)
    if not known:
        raise SystemExit(f"{_RECIPE} must hold an index; run scopedtools index build {_RECIPE}")
    index = Index(rows)
    own = sum(1 for row in rows if not row.group)  # the search tools, which come first
    texts = [one.texts[0] for one in islice(index.rows, own)]
    real = np.stack([known[one.hashes[0]] for one in islice(index.rows, own, own + REAL)])
    vectors = np.concatenate([encoder.encode_documents(texts), _perturbed(real, len(rows) - own)])
    made_by = encoder.name, encoder.revision
    return Index(
        rows, words=index.words, vectors=VectorIndex.build(vectors, index.words.row_of), encoder=made_by
    )


def _perturbed(real: Vectors, rows: int) -> Vectors:
    made = np.empty((rows, real.shape[1]), np.float32)
    numbers = np.random.default_rng(0)
    for start in range(0, rows, _PORTION):
        end = min(start + _PORTION, rows)
        made[start:end] = real[np.arange(start, end) % len(real)]
        first = min(max(start, len(real)), end)
        made[first:end] += _NOISE * numbers.standard_normal((end - first, real.shape[1]), np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return made


if __name__ == "__main__":
    make(int(sys.argv[1]), Path(sys.argv[2]))
