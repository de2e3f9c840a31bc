"""What a folder holds of an index: its vectors by text, and what was derived from rows and vectors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from scopedtools.exceptions import IndexMismatchError
from scopedtools.retrieval import arrays
from scopedtools.retrieval import manifest as manifests
from scopedtools.retrieval.manifest import Manifest, SavedPlain, SavedWords
from scopedtools.retrieval.vectors import stored_vectors
from scopedtools.retrieval.words import Words, code
from scopedtools.types import Encoder

if TYPE_CHECKING:
    from scopedtools.types import Vectors

Known = Mapping[str, npt.NDArray[np.float32]]
"""Vectors by the hash of their text."""

_Derived = TypeVar("_Derived", SavedWords, SavedPlain)

_UNREADABLE: Final = (KeyError, ValueError, RuntimeError, msgspec.DecodeError)
"""What FAISS and arrays raise of a file that is not theirs."""


class Plain(NamedTuple):
    """What requests on everything and nothing in particular get from an index.

    Attributes:
        made_of: Hash over the requests, and over the code that tells what is usual; ``""`` where that cannot
            be told, and nothing is saved.
        vectors: Their vectors, float32, shape ``(requests, d)``.
        usual: The usual best cosine among all rows.
    """

    made_of: str
    vectors: Vectors
    usual: float


def verify(folder: Path) -> list[str]:
    """Recompute the hashes of a saved index; return one sentence for each problem, none where all is well.

    Raises:
        FileNotFoundError: The folder holds no index.
        IndexMismatchError: The manifest is damaged, or of another format.
    """
    manifest = manifests.read(folder)
    return manifests.problems(folder, manifest.files)


def known_vectors(folder: Path, encoder: Encoder) -> Known:
    """Return the vectors of a saved index, of whatever rows; none unless they are sound and of this encoder.

    What else the folder holds may be missing or damaged.
    """
    try:
        manifest = manifests.read(folder)
        if (manifest.encoder, manifest.revision) != (encoder.name, encoder.revision):
            return {}
        with readable(folder):
            if manifests.problems(folder, manifest.needed):
                return {}
            lines = (folder / manifest.rows_file.name).read_bytes().splitlines()
            hashes = [key for line in lines for key in msgspec.json.decode(line)["texts"]]
            return dict(zip(hashes, stored_vectors(folder / manifest.vectors_file.name), strict=True))
    except (OSError, IndexMismatchError):
        return {}


@contextmanager
def readable(folder: Path) -> Iterator[None]:
    """Tell of files that cannot be read, whatever their readers raise.

    Raises:
        IndexMismatchError: One of them is of another version or kind.
    """
    try:
        yield
    except _UNREADABLE as error:
        raise IndexMismatchError(
            f"index {folder} must have files of this version, got one that cannot be read ({error}); "
            "rebuild the index"
        ) from error


def sound(folder: Path, saved: _Derived | None) -> _Derived | None:
    """Return what is derived if its file is what the manifest says, else ``None``: it is made anew."""
    return None if saved is None or manifests.problems(folder, [saved.file]) else saved


def fitting_words(manifest: Manifest, source: str) -> SavedWords | None:
    """Return the saved words if this code would make the same of these rows."""
    words = manifest.words
    return words if words is not None and words.fits(source, code()) else None


def save_words(folder: Path, words: Words, source: str) -> SavedWords | None:
    """Save words; ``None``, and nothing saved, where nobody could tell later whether they are stale."""
    if not (made_by := code()):
        return None
    file = manifests.place(folder, "words", ".safetensors", words.save)
    return SavedWords(file=file, source=source, code=made_by)


def save_plain(folder: Path, plain: Plain) -> SavedPlain:
    """Save what plain requests get."""
    file = manifests.place(
        folder, "plain", ".safetensors", lambda path: arrays.save(path, {"vectors": plain.vectors})
    )
    return SavedPlain(file, plain.made_of, plain.usual)


def load_plain(folder: Path, saved: SavedPlain | None) -> Plain | None:
    """Map what plain requests get into memory.

    Raises:
        ValueError: The file holds something else.
        KeyError: Likewise.
    """
    if saved is None:
        return None
    return Plain(saved.made_of, arrays.load(folder / saved.file.name)["vectors"], saved.usual)
