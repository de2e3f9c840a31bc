"""What ranks rows where an author says nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scopedtools.types import Selector

if TYPE_CHECKING:  # it brings numpy
    from scopedtools.retrieval.vector_store import VectorStore

VECTORS_VARIABLE: Final = "SCOPEDTOOLS_VECTORS"
"""Environment variable with the URL of a database of vectors, in place of an index folder."""


def default_selector(index_dir: Path | None) -> Callable[[], Selector]:
    """Return what makes the default selector; nothing heavy is imported before.

    Args:
        index_dir: Where it keeps its index, unless the environment names a database.

    Raises:
        DefinitionError: There is no such database.
        MissingDependencyError: Its client is not installed.
    """
    vectors: VectorStore | None = None
    if url := os.environ.get(VECTORS_VARIABLE, ""):
        from scopedtools.retrieval.databases import open_vectors  # noqa: PLC0415 - most servers need none

        vectors = open_vectors(url)  # a mistake in the URL is told now, not at the first request

    def make() -> Selector:
        from scopedtools.retrieval.selector import HybridSelector  # noqa: PLC0415 - brings numpy and faiss

        return HybridSelector(index_dir=index_dir if vectors is None else None, vectors=vectors)

    return make
