"""An encoder that several indexes share, and that encodes no text twice."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from cachetools import LRUCache

from scopedtools.types import Encoder

if TYPE_CHECKING:
    from scopedtools.types import Vectors

_KEPT: Final = 32_768
"""Vectors that are kept; of 384 dimensions they take 48 MiB."""


class RememberingEncoder:
    """Encodes what it has not encoded before: a catalog that changes costs what is new in it.

    Several threads may use it; calls wait for each other.

    Args:
        encoder: Encodes what is new.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._kept: LRUCache[tuple[Literal["query", "document"], str], Vectors] = LRUCache(_KEPT)
        self._turn = threading.RLock()

    @property
    def name(self) -> str:
        """Name of the encoder."""
        return self._encoder.name

    @property
    def revision(self) -> str:
        """Revision of the encoder."""
        with self._turn:
            return self._encoder.revision

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        with self._turn:
            return self._encoder.dimensions

    def load(self) -> None:
        """Load the encoder. Later calls do nothing."""
        with self._turn:
            self._encoder.load()

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encode requests; float32, shape ``(len(texts), dimensions)``, unit rows."""
        return self._encoded("query", texts, self._encoder.encode_queries)

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Encode descriptions; float32, shape ``(len(texts), dimensions)``, unit rows."""
        return self._encoded("document", texts, self._encoder.encode_documents)

    def _encoded(
        self,
        role: Literal["query", "document"],
        texts: Sequence[str],
        encode: Callable[[Sequence[str]], Vectors],
    ) -> Vectors:
        with self._turn:
            known = {text: self._kept.get((role, text)) for text in texts}
            missing = [text for text, vector in known.items() if vector is None]
            if missing:
                for text, vector in zip(missing, encode(missing), strict=True):
                    known[text] = self._kept[role, text] = vector
            return np.stack([vector for text in texts if (vector := known[text]) is not None])
