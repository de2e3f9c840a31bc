"""The one folder that the workbench's tools may touch.

`WORKBENCH_DIR` names it (default: `workbench-files` under the current directory). Every path that a
caller sends goes through `resolve`, and every error names the path as the caller wrote it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Annotated

from pydantic import Field

MAX_BYTES = 1_000_000
MAX_ENTRIES = 10_000

SandboxPath = Annotated[str, Field(min_length=1, max_length=255)]


def root() -> Path:
    """Return the sandbox folder, which need not exist yet."""
    return Path(os.environ.get("WORKBENCH_DIR") or "workbench-files").resolve()


def resolve(path: str) -> Path:
    """Return the absolute path of a caller's relative `path`, or refuse it.

    Raises:
        ValueError: The path is absolute, or leaves the sandbox by `..` or by a symbolic link.
    """
    if PurePosixPath(path).is_absolute() or PureWindowsPath(path).anchor:
        raise ValueError(
            f"path must be relative to the workbench folder, got {path!r}: drop the leading part"
        )
    if any(len(part.encode()) > 255 for part in path.split("/")):
        raise ValueError(f"a name in a path must have at most 255 bytes, got {path!r}")
    base = root()
    try:
        target = (base / path).resolve()
    except RuntimeError as error:  # a loop of links, before Python 3.13
        raise ValueError(f"path must lead to a file or folder, got a loop of links at {path!r}") from error
    if not target.is_relative_to(base):
        raise ValueError(f"path must stay inside the workbench folder, got {path!r}: use a path below it")
    return target


def shown(target: Path) -> str:
    """Return an absolute path below the sandbox as callers write it, with `/` between the parts."""
    return target.relative_to(root()).as_posix().encode("utf-8", "replace").decode()


@contextmanager
def clear_errors(path: str) -> Iterator[None]:
    """Turn the operating system's errors into a `ValueError` that shows only the caller's `path`."""
    try:
        yield
    except OSError as error:
        raise ValueError(f"{path!r} cannot be used: {error.strerror or 'it is not as expected'}") from error


def existing_file(path: str) -> Path:
    """Return the absolute path of a regular file, or say what `path` is instead."""
    target = resolve(path)
    with clear_errors(path):
        if not target.is_file():
            found = "a folder" if target.is_dir() else "nothing"
            raise ValueError(f"path must name an existing file, got {found} at {path!r}")
    return target


def existing_folder(path: str) -> Path:
    """Return the absolute path of a folder, or say what `path` is instead."""
    target = resolve(path)
    with clear_errors(path):
        if not target.is_dir() and target != root():
            found = "a file" if target.exists() else "nothing"
            raise ValueError(f"path must name an existing folder, got {found} at {path!r}")
    return target


def read_bytes(path: str, limit: int = MAX_BYTES) -> bytes:
    """Read a whole file of at most `limit` bytes."""
    target = existing_file(path)
    with clear_errors(path), target.open("rb") as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"{path!r} must be at most {limit:,} bytes, and it is larger")
    return data


def read_text(path: str) -> str:
    """Read a whole UTF-8 file, without a byte order mark, of at most `MAX_BYTES` bytes."""
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path!r} must be UTF-8 text, and byte {error.start} is not") from error


def write_bytes(path: str, data: bytes, *, limit: int = MAX_BYTES, replace: bool = True) -> Path:
    """Write a whole file of at most `limit` bytes, and the folders above it where they are missing."""
    if len(data) > limit:
        raise ValueError(f"a file must be at most {limit:,} bytes, got {len(data):,} for {path!r}")
    target = resolve(path)
    with clear_errors(path):
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb" if replace else "xb") as stream:
            stream.write(data)
    return target


def walk(folder: Path) -> Iterator[Path]:
    """Give what lies below a folder in sorted order, links unfollowed, at most `MAX_ENTRIES` of it."""
    given = 0
    for parent, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted([*folders, *files]):
            given += 1
            if given > MAX_ENTRIES:
                return
            yield Path(parent, name)
