"""An encoder without torch: ONNX Runtime runs the model from the weights as they lie on the disk."""

from __future__ import annotations

import importlib.util
import logging
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from scopedtools.exceptions import MissingDependencyError
from scopedtools.retrieval import onnx_settings, weights
from scopedtools.retrieval.onnx_graph import bert

if TYPE_CHECKING:
    from scopedtools.types import Vectors

LIBRARIES: Final = ("onnxruntime", "tokenizers")

_TOKENS: Final = 512
"""Most tokens of a batch of several texts, padding included: more are slower and take as much more memory."""

_log = logging.getLogger(__name__)


class OnnxEncoder:
    """Runs a BERT with mean pooling in ONNX Runtime, by default all-MiniLM-L6-v2 with known weights.

    Models are found as `SentenceTransformerEncoder` finds them, and the vectors are the same up to rounding,
    so either may read what the other built. Nothing is exported or kept: the graph is made from the weights
    at each load, in about the time that checking their hash takes. The embeddings of words stay in the mapped
    file, where processes share them. Calls may overlap.

    Args:
        model: Name on the hub; without an owner, of the ``sentence-transformers`` organisation.
        path: Folder that holds the model.
        commit: Commit on the hub; the default model has a fixed one.
        int8: Multiply in 8 bits: two to three times as fast, with vectors of another revision, near those of
            the model (cosine about 0.99) but not the same. On ten sets of requests and four of dialogues no
            figure falls beyond noise (recall@5 -1.0 to +0.4, mean 0.0; 2,000 to 3,000 requests). It is not
            the default: processors round such sums differently, so replicas of several kinds might list
            differently, and indexes that were built without must be built anew.
        threads: Most threads that descriptions are encoded on; the cores of this process by default, or
            what ``OMP_NUM_THREADS`` says. Each text of a request takes one, see ``threads``.

    Raises:
        ValueError: ``threads`` is below 1.
    """

    survives_fork: Final = True
    """Its session has no thread of its own: loaded before a fork, it is shared, 100 MB for each process."""

    def __init__(
        self,
        model: str = weights.DEFAULT_MODEL,
        *,
        path: Path | str | None = None,
        commit: str | None = None,
        int8: bool = False,
        threads: int | None = None,
    ) -> None:
        if threads is not None and threads < 1:
            raise ValueError(f"threads must be at least 1, got {threads}")
        self.name = model
        self._path = None if path is None else Path(path)
        self._commit = commit
        self._int8 = int8
        self._threads = threads or _threads()
        self._lock = threading.Lock()
        self._revision = ""
        self._model: _Model | None = None

    @property
    def revision(self) -> str:
        """SHA-256 of the weights, and how they are rounded. Loads the model unless its weights are known."""
        if self.name != weights.DEFAULT_MODEL:
            self._loaded()
            return self._revision
        return self._named(weights.DEFAULT_SHA256)

    @property
    def dimensions(self) -> int:
        """Length of a vector. Loads the model."""
        return self._loaded().dimensions

    def load(self) -> None:
        """Load the model, which takes a quarter of a second. Later calls do nothing.

        Raises:
            MissingDependencyError: ONNX Runtime or tokenizers is not installed, or the model is nowhere.
            IndexMismatchError: The weights are not those of the default model.
            DefinitionError: The model is of another kind.
        """
        self._loaded()

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encode requests; float32, shape ``(len(texts), dimensions)``, unit rows.

        Those of one length together: the vector of a text does not depend on what is encoded with it.
        """
        model = self._loaded()
        tokens = model.tokenize(texts)
        vectors = np.empty((len(texts), model.dimensions), np.float32)
        for rows in self._alike([len(ids) for ids in tokens]):
            vectors[rows] = model.run([tokens[row] for row in rows])
        return vectors

    @property
    def threads(self) -> int:
        """Calls of requests at a time: all cores but one, which whoever needs no encoder is answered on.

        With two cores for two calls, warm lists beside cold ones wait half as long again (99th percentile).
        """
        return max(1, self._threads - 1)

    def alike(self, text: str) -> int | None:
        """Return the number of tokens: without padding, a batch leaves each text's vector as it is.

        ``None`` in 8 bits, where the texts of a batch share one scale.
        """
        return None if self._int8 else len(self._loaded().tokenize([text])[0])

    def _alike(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        """Yield the texts of each batch of requests: texts of one length, each by itself in 8 bits."""
        if self._int8:
            yield from ([row] for row in range(len(lengths)))
            return
        for length in dict.fromkeys(lengths):
            rows = [row for row, one in enumerate(lengths) if one == length]
            most = max(1, _TOKENS // length)
            yield from (rows[start : start + most] for start in range(0, len(rows), most))

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Encode descriptions; float32, shape ``(len(texts), dimensions)``, unit rows."""
        model = self._loaded()
        tokens = model.tokenize(texts)
        vectors = np.empty((len(texts), model.dimensions), np.float32)

        def fill(rows: Sequence[int]) -> None:
            vectors[rows] = model.run([tokens[row] for row in rows])

        # In 8 bits all texts of a batch share one scale, so the vector of each would depend on the others.
        batches = _batches([len(ids) for ids in tokens], most=1 if self._int8 else _TOKENS)
        # One session of one thread serves both: requests do not wait for threads, batches take one each.
        with ThreadPoolExecutor(self._threads, thread_name_prefix="scopedtools-onnx") as pool:
            list(pool.map(fill, batches))
        return vectors

    def _loaded(self) -> _Model:
        with self._lock:
            if self._model is None:
                _need_libraries()
                folder = weights.folder_of(self.name, self._path, self._commit)
                self._revision = self._named(weights.checked(self.name, folder))
                model = _load(folder, int8=self._int8)
                # The first run is the slowest; it should not be a request's.
                model.run(model.tokenize(["warm up"]))
                self._model = model
                _log.info("loaded %s from %s", self.name, folder)
            return self._model

    def _named(self, sha256: str) -> str:
        return f"{sha256}-int8" if self._int8 else sha256


class _Model(NamedTuple):
    """What runs: tokenizer, embeddings and session; all of them may be used by several threads at once."""

    tokenizer: Any
    words: npt.NDArray[np.float32]
    positions: npt.NDArray[np.float32]
    session: Any

    @property
    def dimensions(self) -> int:
        return int(self.words.shape[1])

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        # One by one: batches start a thread on each core, and forking is trouble after that.
        return [self.tokenizer.encode(text).ids for text in texts]

    def run(self, tokens: Sequence[Sequence[int]]) -> Vectors:
        longest = max(map(len, tokens))
        ids = np.zeros((len(tokens), longest), np.int32)
        mask = np.zeros_like(ids)
        for row, of_text in enumerate(tokens):
            ids[row, : len(of_text)] = of_text
            mask[row, : len(of_text)] = 1
        inputs = {
            "embeddings": self.words[ids] + self.positions[:longest],
            "mask": mask,
            "counted": mask[:, None].astype(np.float32),
        }
        vectors: Vectors = self.session.run(None, inputs)[0][:, 0]
        return vectors


def _load(folder: Path, *, int8: bool) -> _Model:
    # Imported in the encoder's thread.
    import onnxruntime  # noqa: PLC0415
    from tokenizers import Tokenizer  # noqa: PLC0415

    settings = onnx_settings.read(folder)
    file = folder / "model.safetensors"
    graph = bert(weights.read(file), settings.shape, int8=int8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in graph.weights.values()]
    options.add_external_initializers(list(graph.weights), values)
    session = onnxruntime.InferenceSession(graph.model, options, providers=["CPUExecutionProvider"])

    # Mapped anew: the pages of all that the session has copied are let go with the other mapping.
    tensors = weights.read(file)
    positions = tensors["embeddings.position_embeddings.weight"]
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(settings.tokens)
    return _Model(
        tokenizer,
        tensors["embeddings.word_embeddings.weight"],
        # All tokens are of the first type, so its vector may as well be part of each position's.
        positions + tensors["embeddings.token_type_embeddings.weight"][0],
        session,
    )


def _batches(lengths: Sequence[int], *, most: int) -> Iterator[list[int]]:
    """Yield the rows of each batch: texts of about one length together, the longest first.

    Args:
        lengths: Tokens of each text.
        most: Tokens of a batch, unless one text has more.
    """
    batch: list[int] = []
    for row in sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True):
        if batch and (len(batch) + 1) * lengths[batch[0]] > most:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _need_libraries() -> None:
    if missing := [name for name in LIBRARIES if importlib.util.find_spec(name) is None]:
        raise MissingDependencyError(
            f'{" and ".join(missing)} must be installed; run pip install "scopedtools[embeddings]"'
        )


def _threads() -> int:
    said = os.environ.get("OMP_NUM_THREADS", "")
    if said.isdecimal() and int(said) > 0:
        return int(said)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
