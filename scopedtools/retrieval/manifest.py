"""What a saved index was built from, and the checks that keep a wrong one from being used."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import msgspec

from scopedtools.exceptions import IndexMismatchError

FORMAT: Final = 1
"""Fields that may be absent do not make a new one: readers that do not know them pass over them."""

_READ: Final = (FORMAT, 2)
"""Format 2 is the same: for a time, that was what folders with words said."""

NAME: Final = "manifest.json"

_LOCK: Final = ".lock"
_STAGED: Final = ".saving-index-"


class SavedFile(msgspec.Struct, frozen=True):
    """A file of an index folder.

    Attributes:
        name: Its name in the folder; holds a part of the hash, so that a new file never replaces an old one.
        sha256: Hash of its bytes.
    """

    name: str
    sha256: str


class SavedWords(msgspec.Struct, frozen=True):
    """Terms and relations of rows, and what they were made of.

    Attributes:
        file: Where they are.
        source: Hash over all of the rows that they were made of.
        code: Hash over the code that made them.
    """

    file: SavedFile
    source: str
    code: str

    def fits(self, source: str, code: str) -> bool:
        """Tell whether this code would make the same of these rows."""
        return (self.source, self.code) == (source, code)


class SavedPlain(msgspec.Struct, frozen=True):
    """What plain requests get from an index.

    Attributes:
        file: Their vectors.
        made_of: Hash over the requests, and over the code that tells what is usual.
        usual: The usual best cosine among all rows.
    """

    file: SavedFile
    made_of: str
    usual: float


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The ``manifest.json`` of an index folder.

    Attributes:
        format: Version of this layout.
        rows: Number of catalog rows.
        vectors: Number of vectors, at least one for each row.
        dimensions: Length of a vector.
        dtype: Type of a vector's numbers.
        metric: ``"ip"``, the inner product; vectors have unit length.
        factory: FAISS factory string.
        encoder: Name of the encoder.
        revision: Revision of the encoder.
        catalog: Hash over all names and texts of all rows in order.
        rows_file: For each row, in order, its name and the hashes of its texts.
        vectors_file: The FAISS index.
        versions: Library versions that built it.
        created: Time of the build, ISO 8601, UTC.
        command: Command line that built it, or ``""``.
        words: Terms and relations, or ``None`` where they are made anew at each start.
        plain: What plain requests get, or ``None`` likewise.
    """

    format: int
    rows: int
    vectors: int
    dimensions: int
    dtype: str
    metric: str
    factory: str
    encoder: str
    revision: str
    catalog: str
    rows_file: SavedFile
    vectors_file: SavedFile
    versions: dict[str, str]
    created: str
    command: str = ""
    words: SavedWords | None = None
    plain: SavedPlain | None = None

    @property
    def needed(self) -> tuple[SavedFile, ...]:
        """The files that cannot be made anew from rows and vectors."""
        return (self.rows_file, self.vectors_file)

    @property
    def files(self) -> tuple[SavedFile, ...]:
        """All files of the index."""
        more = (one.file for one in (self.words, self.plain) if one is not None)
        return (*self.needed, *more)


def read(folder: Path) -> Manifest:
    """Read the manifest of an index folder.

    Raises:
        FileNotFoundError: There is no manifest, so there is no index.
        IndexMismatchError: It is damaged, or of another format.
    """
    path = folder / NAME
    data = path.read_bytes()
    try:
        # The format first: another one may have other fields.
        found = msgspec.json.decode(data, type=dict[str, msgspec.Raw]).get("format", msgspec.Raw(b"none"))
        if bytes(found) not in [str(known).encode() for known in _READ]:
            raise IndexMismatchError(
                f"{path} must have format {FORMAT}, got {bytes(found).decode()}; rebuild the index"
            )
        return msgspec.json.decode(data, type=Manifest)
    except msgspec.DecodeError as error:
        raise IndexMismatchError(
            f"{path} must be a manifest, got a damaged one ({error}); rebuild the index"
        ) from error


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Wait until nobody else changes an index folder, and keep others waiting meanwhile.

    What a process left that died while it saved is removed. Where there are no such locks, on Windows and
    on some network drives, nobody waits.

    Raises:
        OSError: Nothing can be written there.
    """
    with (folder / _LOCK).open("ab") as file:
        locked = _lock(file.fileno())
        try:
            for left in folder.glob(f"{_STAGED}*") if locked else ():
                shutil.rmtree(left, ignore_errors=True)
            yield
        finally:
            if locked:
                _unlock(file.fileno())


def write(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest in one step. The files that it names are the index from then on."""
    data = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
    with _staged(folder) as staged:
        path = Path(staged) / NAME
        path.write_bytes(data)
        sync(path)
        path.replace(folder / NAME)
    sync(folder)


def place(folder: Path, stem: str, suffix: str, write: Callable[[Path], None]) -> SavedFile:
    """Write a file, force it to the disk, and only then give it its name in the folder."""
    with _staged(folder) as staged:
        path = Path(staged) / f"{stem}{suffix}"
        write(path)
        sync(path)
        sha256 = digest(path)
        name = f"{stem}-{sha256[:12]}{suffix}"
        path.replace(folder / name)
    sync(folder)
    return SavedFile(name, sha256)


def problems(folder: Path, files: Iterable[SavedFile]) -> list[str]:
    """Recompute the hashes of files; return one sentence for each file that is missing or changed."""
    found: list[str] = []
    for file in files:
        path = folder / file.name
        got = digest(path) if path.is_file() else "no file"
        if got != file.sha256:
            found.append(f"{path} must have SHA-256 {file.sha256}, got {got}")
    return found


def tidy(folder: Path, manifest: Manifest) -> None:
    """Remove the files of earlier indexes. Processes that have mapped them keep what they mapped."""
    current = {file.name for file in manifest.files}
    for pattern in ("rows-*.jsonl", "index-*.faiss", "words-*.safetensors", "plain-*.safetensors"):
        for path in folder.glob(pattern):
            if path.name not in current:
                path.unlink(missing_ok=True)


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Force a file, or the names in a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def versions() -> dict[str, str]:
    """Return the versions of the libraries that shape an index."""
    return {name: _version(name) for name in ("scopedtools", "faiss-cpu", "numpy")}


def _staged(folder: Path) -> tempfile.TemporaryDirectory[str]:
    # Inside the folder, which may be a file system of its own: renaming must not copy.
    return tempfile.TemporaryDirectory(prefix=_STAGED, dir=folder)


def _lock(handle: int) -> bool:
    if sys.platform == "win32":
        return False
    import fcntl  # noqa: PLC0415 - not on Windows

    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError:  # a drive that knows no locks
        return False
    return True


def _unlock(handle: int) -> None:
    if sys.platform != "win32":
        import fcntl  # noqa: PLC0415 - not on Windows

        # Closing the file would not do where a process was forked meanwhile.
        fcntl.flock(handle, fcntl.LOCK_UN)


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "unknown"
