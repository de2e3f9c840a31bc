"""Where the vectors of rows are kept and searched: in this process, or in a database."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from scopedtools.retrieval.layout import Ordinals
from scopedtools.types import Rows

if TYPE_CHECKING:
    from scopedtools.types import Vectors

Scores = npt.NDArray[np.float64]


class RowVectors(Protocol):
    """The vectors of one catalog's rows, several to a row. Immutable; searches may run in parallel.

    What is found is always among the permitted rows, and is nearly all of the nearest of them, however few
    they are: of the 20 nearest 98 % at least, and 99 % where one row in a hundred is permitted. Scores are
    exact and rounded to `scopedtools.retrieval.vectors.DECIMALS`, so that wherever vectors are kept the same
    rows get the same scores. ``VectorIndex`` is one, in this process.

    All methods may raise `scopedtools.exceptions.VectorsUnavailableError` where ``waits`` is true.
    """

    def __len__(self) -> int:
        """Return the number of vectors."""
        ...

    @property
    def waits(self) -> bool:
        """Whether methods wait for another process, so that an event loop must not call them."""
        ...

    @property
    def rows(self) -> int:
        """Number of rows."""
        ...

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        ...

    def nearest(self, queries: Vectors, permitted: npt.NDArray[np.bool_], k: int) -> list[Ordinals]:
        """Find the ``k`` permitted rows nearest to each query.

        Args:
            queries: float32, shape ``(q, d)``, unit rows.
            permitted: Rows that may be found, shape ``(rows,)``.
            k: Most rows to find.

        Returns:
            For each query its rows, distinct, in no order, of shape ``(<=k,)``; fewer than ``k`` only where
            no more are permitted.
        """
        ...

    def scores(self, queries: Vectors, rows: Ordinals) -> Scores:
        """Score rows: the inner product of each query and the best vector of each row, shape ``(q, m)``."""
        ...

    def best(self, queries: Vectors, within: Rows) -> Scores:
        """Return the score of the permitted row nearest to each of many queries; 0 where none is above."""
        ...

    def likeness(self, some: Ordinals, rows: Ordinals) -> Scores:
        """Compare rows with each other by their first vectors; shape ``(len(some), len(rows))``."""
        ...

    def of(self, rows: Ordinals) -> Vectors:
        """Return all vectors of rows, in the order of the rows."""
        ...


class Texts(NamedTuple):
    """The texts of a catalog, whose vectors are to be kept.

    Attributes:
        encoder: Name and revision of what makes the vectors.
        dimensions: Length of a vector.
        keys: Hash of each text, 32 hexadecimal digits; equal texts have equal keys.
        row_of: Row of each text; int64, ascending, without gaps from 0.
        encode: Returns the vectors of texts, given their keys; takes long, and need not be called twice.
    """

    encoder: tuple[str, str]
    dimensions: int
    keys: Sequence[str]
    row_of: Ordinals
    encode: Callable[[Sequence[str]], Vectors]


class VectorStore(Protocol):
    """Keeps vectors for all processes that share it. Give one to ``HybridSelector(vectors=...)``."""

    def keep(self, texts: Texts, given_up: threading.Event) -> RowVectors:
        """Have the vectors of all these texts, and return them to be searched.

        Only texts that nobody has kept before are encoded; of several processes that start together one
        encodes, the others wait for it. Vectors of other catalogs stay for as long as those are in use.

        Args:
            texts: Of one catalog.
            given_up: Set where nobody waits for the answer any more.

        Raises:
            VectorsUnavailableError: What keeps them does not answer.
        """
        ...

    def close(self) -> None:
        """Let go of connections. A later ``keep`` opens new ones."""
        ...
