"""BM25 over the texts of rows. bm25s inside."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

_TOKEN: Final = re.compile(r"[^\W_]{2,}")


def tokens(text: str) -> list[str]:
    """Return the terms of a text: its words in lower case without the most common ones."""
    from bm25s.stopwords import STOPWORDS_EN

    return [word for word in _TOKEN.findall(text.lower()) if word not in STOPWORDS_EN]


class LexicalIndex:
    """Scores rows by the words that they share with a query. Immutable; may be used in parallel."""

    def __init__(self, model: Any, rows: int) -> None:
        self._model = model
        self.rows = rows

    @classmethod
    def build(cls, texts: Sequence[str]) -> LexicalIndex:
        """Index one text for each row, in order."""
        found = [tokens(text) for text in texts]
        vocabulary = {token: i for i, token in enumerate(sorted({token for row in found for token in row}))}
        if not vocabulary:
            return cls(None, len(texts))
        model = _bm25s().BM25(backend="numpy", csc_backend="numpy")
        ids = [[vocabulary[token] for token in row] for row in found]
        model.index((ids, vocabulary), show_progress=False)
        return cls(model, len(texts))

    def scores(self, text: str) -> npt.NDArray[np.float32]:
        """Score every row for a query; float32, shape ``(rows,)``, 0 where no word is shared."""
        found = [] if self._model is None else self._known(text)
        if not found:
            return np.zeros(self.rows, dtype=np.float32)
        scores: npt.NDArray[np.float32] = self._model.get_scores_from_ids(found)
        return scores

    def _known(self, text: str) -> list[int]:
        vocabulary = self._model.vocab_dict
        return [vocabulary[token] for token in tokens(text) if token in vocabulary]


def _bm25s() -> Any:
    import bm25s  # noqa: PLC0415 - not needed until rows are indexed

    # It sets its own logger to DEBUG when imported, and reports each step to the application's handlers.
    logging.getLogger("bm25s").setLevel(logging.WARNING)
    return bm25s
