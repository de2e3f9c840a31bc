"""An encoder without a model, for tests and for machines without one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from scopedtools.types import Vectors

_WORD: Final = re.compile(r"[^\W_]+")
_GRAM: Final = 4
"""Characters in a gram; grams let ``book`` and ``books`` meet."""


class HashingEncoder:
    """Hashes words and their character grams into a vector; equal texts give equal vectors everywhere.

    It knows spelling, not meaning. Deterministic across processes, platforms and Python's hash seed.

    Args:
        dimensions: Length of a vector, at least 1.

    Raises:
        ValueError: ``dimensions`` is below 1.
    """

    def __init__(self, dimensions: int = 256) -> None:
        if dimensions < 1:
            raise ValueError(f"dimensions must be >= 1, got {dimensions}")
        self.dimensions = dimensions
        self.name = "hashing"
        self.revision = f"1-{dimensions}"

    def load(self) -> None:
        """Do nothing: there is no model."""

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encode requests; float32, shape ``(len(texts), dimensions)``, unit rows."""
        return self._encode(texts)

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Encode descriptions; float32, shape ``(len(texts), dimensions)``, unit rows."""
        return self._encode(texts)

    def _encode(self, texts: Sequence[str]) -> Vectors:
        import numpy as np  # noqa: PLC0415 - importing this module costs nothing

        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            for feature, weight in _features(text):
                bucket, sign = divmod(_digest(feature), 2)
                vector[bucket % self.dimensions] += weight if sign else -weight
            # A text without words, or whose features cancel, still gets a unit vector: a fixed one.
            if not vector.any():
                vector[0] = 1.0
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors


def _features(text: str) -> Iterator[tuple[str, float]]:
    for word in _WORD.findall(text.lower()):
        yield word, 1.0
        marked = f"<{word}>"
        for start in range(max(0, len(marked) - _GRAM + 1)):
            yield f"#{marked[start : start + _GRAM]}", 0.5


def _digest(feature: str) -> int:
    return int.from_bytes(blake2b(feature.encode(), digest_size=8).digest(), "little")
