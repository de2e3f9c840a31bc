"""An encoder that keeps vectors on the disk: each text is embedded once, over all systems and runs."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from scopedtools.types import Encoder

if TYPE_CHECKING:
    from scopedtools.types import Vectors

CACHE: Final = Path(__file__).parent / ".cache" / "vectors.sqlite"

_BATCH: Final = 256
_VARIABLES: Final = 500
"""Most values in one question to the database."""

Encode = Callable[[Sequence[str]], "Vectors"]


class CachingEncoder:
    """Looks vectors up by the hash of their text, and has the missing ones made. A ``types.Encoder``.

    Kept as half floats: it changes a cosine by less than 0.0005, and every system reads the same numbers.
    Requests and documents share their vectors, as all-MiniLM-L6-v2 encodes both alike.

    Args:
        encoder: What makes the vectors; loaded when the first one is missing.
        path: The database; its folder is made.

    Attributes:
        inner: What makes the vectors.
        encoded: Texts that had to be encoded.
    """

    def __init__(self, encoder: Encoder, path: Path = CACHE) -> None:
        self.name = encoder.name
        self.revision = encoder.revision
        self.encoded = 0
        self.inner = encoder
        self._lock = threading.Lock()
        self._memory: dict[bytes, npt.NDArray[np.float16]] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path, timeout=60, check_same_thread=False)
        self._database.execute("pragma journal_mode=wal")
        self._database.execute("create table if not exists vectors (key blob primary key, vector blob)")

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return self.inner.dimensions

    def load(self) -> None:
        """Do nothing: the model is loaded when a vector is missing."""

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of requests; float32, shape ``(len(texts), dimensions)``, unit rows."""
        return self._vectors(texts, self.inner.encode_queries)

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of descriptions; float32, shape ``(len(texts), dimensions)``, unit rows."""
        return self._vectors(texts, self.inner.encode_documents)

    def warm(self, texts: Iterable[str], report: Callable[[int, int], None] | None = None) -> None:
        """Embed texts in large batches before anybody waits for them.

        Args:
            texts: What will be asked for.
            report: Told how many are done, and of how many.
        """
        with self._lock:
            wanted = {self._key(text): text for text in texts}
            self._read(wanted)
            missing = {key: text for key, text in wanted.items() if key not in self._memory}
            self._make(missing, self.inner.encode_documents, report)

    def _vectors(self, texts: Sequence[str], encode: Encode) -> Vectors:
        if not texts:
            return np.zeros((0, self.dimensions), dtype=np.float32)
        with self._lock:
            keys = [self._key(text) for text in texts]
            self._read(keys)
            missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._memory}
            self._make(missing, encode)
            found = np.stack([self._memory[key] for key in keys]).astype(np.float32)
        found /= np.linalg.norm(found, axis=1, keepdims=True)
        return found

    def _read(self, keys: Iterable[bytes]) -> None:
        wanted = [key for key in dict.fromkeys(keys) if key not in self._memory]
        for start in range(0, len(wanted), _VARIABLES):
            portion = wanted[start : start + _VARIABLES]
            marks = ",".join("?" * len(portion))
            question = f"select key, vector from vectors where key in ({marks})"  # noqa: S608 - marks alone
            for key, vector in self._database.execute(question, portion):
                self._memory[key] = np.frombuffer(vector, dtype=np.float16)

    def _make(
        self, missing: dict[bytes, str], encode: Encode, report: Callable[[int, int], None] | None = None
    ) -> None:
        for portion in _portions(missing):
            vectors = encode([text for _, text in portion]).astype(np.float16)
            made = {key: vector for (key, _), vector in zip(portion, vectors, strict=True)}
            with self._database:
                rows = ((key, vector.tobytes()) for key, vector in made.items())
                self._database.executemany("insert or replace into vectors values (?, ?)", rows)
            self._memory.update(made)
            self.encoded += len(made)
            if report is not None:
                report(sum(key in self._memory for key in missing), len(missing))

    def _key(self, text: str) -> bytes:
        # The model belongs to the key: vectors of two models in one file must never be mixed up.
        return hashlib.sha256(f"{self.name}\n{self.revision}\n{text}".encode()).digest()[:16]


def _portions(missing: dict[bytes, str]) -> Iterator[list[tuple[bytes, str]]]:
    """Cut into batches of like lengths, which need the least padding."""
    ordered = sorted(missing.items(), key=lambda item: len(item[1]))
    for start in range(0, len(ordered), _BATCH):
        yield ordered[start : start + _BATCH]
