"""Tools for files and folders in the workbench folder, and for paths as text."""

import itertools
import posixpath
import shutil
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import Field

from examples.workbench.sandbox import (
    MAX_BYTES,
    SandboxPath,
    clear_errors,
    existing_file,
    existing_folder,
    read_text,
    resolve,
    root,
    shown,
    walk,
    write_bytes,
)

Content = Annotated[str, Field(max_length=MAX_BYTES)]
PathText = Annotated[str, Field(min_length=1, max_length=1_000)]
Limit = Annotated[int, Field(ge=1, le=1_000)]


@dataclass(frozen=True)
class Entry:
    path: str
    kind: Literal["file", "folder", "other"]
    bytes: int
    modified: str


@dataclass(frozen=True)
class Written:
    path: str
    bytes: int


@dataclass(frozen=True)
class FoundLine:
    path: str
    line: int
    text: str


@dataclass(frozen=True)
class Usage:
    files: int
    folders: int
    bytes: int
    bytes_by_suffix: dict[str, int]


@dataclass(frozen=True)
class PathParts:
    parent: str
    name: str
    stem: str
    suffix: str
    parts: list[str]
    is_absolute: bool


def _entry(target: Path) -> Entry:
    status = target.lstat()
    kind: Literal["file", "folder", "other"] = "other"
    if not target.is_symlink():
        kind = "file" if target.is_file() else "folder" if target.is_dir() else "other"
    modified = datetime.fromtimestamp(int(status.st_mtime), UTC).isoformat()
    return Entry(shown(target), kind, status.st_size if kind == "file" else 0, modified)


def _written(target: Path) -> Written:
    return Written(shown(target), target.stat().st_size)


def _free(path: str) -> Path:
    """Return the target of a copy or move, which must not exist, with the folders above it made."""
    target = resolve(path)
    with clear_errors(path):
        if target.exists():
            raise ValueError(f"target must not exist, got {path!r}: delete it first or choose another name")
        target.parent.mkdir(parents=True, exist_ok=True)
    return target


def file_list(folder: SandboxPath = ".", limit: Limit = 200) -> list[Entry]:
    """List the files and folders in a folder of the workbench, with size and time of change.

    Args:
        folder: The folder, relative to the workbench folder; `.` is the workbench folder itself.
        limit: The most entries to return.
    """
    target = existing_folder(folder)
    with clear_errors(folder):
        children = sorted(itertools.islice(target.iterdir(), 10_000)) if target.exists() else []
        return [_entry(child) for child in children[:limit]]


def file_read(
    path: SandboxPath,
    first_line: Annotated[int, Field(ge=1)] = 1,
    lines: Annotated[int, Field(ge=1, le=100_000)] = 100_000,
) -> str:
    """Read a text file of the workbench folder, all of it or some of its lines.

    Args:
        path: The file, relative to the workbench folder, UTF-8 and at most 1 MB.
        first_line: The line to begin with, counted from 1.
        lines: The most lines to return.
    """
    kept = read_text(path).splitlines(keepends=True)[first_line - 1 : first_line - 1 + lines]
    return "".join(kept)


def file_write(path: SandboxPath, text: Content, *, overwrite: bool = False) -> Written:
    """Write a text file in the workbench folder, and the folders above it where they are missing.

    Args:
        path: The file, relative to the workbench folder.
        text: What to write, at most 1 MB.
        overwrite: Whether to replace a file that exists.
    """
    return _written(write_bytes(path, text.encode(), replace=overwrite))


def file_append(path: SandboxPath, text: Content) -> Written:
    """Append text to a file in the workbench folder, which is created if it does not exist.

    Args:
        path: The file, relative to the workbench folder, at most 1 MB in the end.
        text: What to add at the end.
    """
    with clear_errors(path):
        present = existing_file(path).stat().st_size if resolve(path).exists() else 0
    if present + len(text.encode()) > MAX_BYTES:
        raise ValueError(f"{path!r} must stay within {MAX_BYTES:,} bytes, it has {present:,} already")
    if not present:
        return _written(write_bytes(path, text.encode()))
    with clear_errors(path), resolve(path).open("ab") as stream:
        stream.write(text.encode())
    return _written(resolve(path))


def file_replace_text(
    path: SandboxPath,
    old: Annotated[str, Field(min_length=1, max_length=10_000)],
    new: Annotated[str, Field(max_length=10_000)],
) -> Written:
    """Replace a passage in a text file of the workbench folder; it must occur exactly once.

    Args:
        path: The file, relative to the workbench folder.
        old: The passage as it is in the file.
        new: What to put in its place.
    """
    text = read_text(path)
    if text.count(old) != 1:
        raise ValueError(
            f"old must occur exactly once in {path!r}, it occurs {text.count(old)} times: quote more of it"
        )
    return _written(write_bytes(path, text.replace(old, new).encode()))


def file_delete(path: SandboxPath) -> str:
    """Delete a file in the workbench folder.

    Args:
        path: The file, relative to the workbench folder.
    """
    target = existing_file(path)
    with clear_errors(path):
        target.unlink()
    return f"Deleted {shown(target)}."


def file_copy(path: SandboxPath, target_path: SandboxPath) -> Written:
    """Copy a file in the workbench folder.

    Args:
        path: The file to copy, relative to the workbench folder.
        target_path: The copy; it must not exist.
    """
    source, target = existing_file(path), _free(target_path)
    with clear_errors(path):
        return _written(Path(shutil.copyfile(source, target)))


def file_move(path: SandboxPath, target_path: SandboxPath) -> Entry:
    """Move or rename a file or folder in the workbench folder.

    Args:
        path: What to move, relative to the workbench folder.
        target_path: Where to; it must not exist.
    """
    source = resolve(path)
    with clear_errors(path):
        if not source.exists() or resolve(target_path).is_relative_to(source):
            raise ValueError(f"path must exist and not hold the target, got {path!r} to {target_path!r}")
        target = _free(target_path)
        return _entry(source.rename(target))


def file_info(path: SandboxPath) -> Entry:
    """Get the kind, size and time of change of a file or folder in the workbench folder.

    Args:
        path: The file or folder, relative to the workbench folder.
    """
    target = resolve(path)
    with clear_errors(path):
        return _entry(target)


def file_find(
    pattern: Annotated[str, Field(min_length=1, max_length=200)],
    folder: SandboxPath = ".",
    limit: Limit = 200,
) -> list[str]:
    """Find files in the workbench folder by a name pattern with wildcards, such as `*.csv`.

    Args:
        pattern: The pattern for the path below the folder: `*` stands for anything, also across folders.
        folder: Where to look, relative to the workbench folder.
        limit: The most files to return.
    """
    base = existing_folder(folder)
    files = (path for path in walk(base) if path.is_file() and not path.is_symlink())
    found = (shown(path) for path in files if fnmatchcase(path.relative_to(base).as_posix(), pattern))
    return list(itertools.islice(found, limit))


def file_search_text(
    text: Annotated[str, Field(min_length=1, max_length=200)],
    pattern: Annotated[str, Field(min_length=1, max_length=200)] = "*",
    limit: Limit = 100,
) -> list[FoundLine]:
    """Search the text files of the workbench folder for a word or phrase, and list the lines that have it.

    Args:
        text: What to look for; upper and lower case are the same.
        pattern: Only files whose path matches, such as `*.md`.
        limit: The most lines to return.
    """
    found: list[FoundLine] = []
    for path in file_find(pattern, limit=1_000):
        try:
            lines = read_text(path).splitlines()
        except ValueError:  # too large, or no text: nothing to search
            continue
        hits = (
            FoundLine(path, i, line[:500])
            for i, line in enumerate(lines, 1)
            if text.casefold() in line.casefold()
        )
        found += itertools.islice(hits, limit - len(found))
        if len(found) == limit:
            break
    return found


def directory_create(folder: SandboxPath) -> str:
    """Create a folder in the workbench folder, with the folders above it.

    Args:
        folder: The folder, relative to the workbench folder.
    """
    target = resolve(folder)
    with clear_errors(folder):
        target.mkdir(parents=True, exist_ok=True)
    return f"{shown(target)} exists."


def directory_remove(folder: SandboxPath) -> str:
    """Remove an empty folder from the workbench folder.

    Args:
        folder: The folder, relative to the workbench folder.
    """
    target = existing_folder(folder)
    if target == root():
        raise ValueError("folder must lie below the workbench folder, which itself stays")
    with clear_errors(folder):
        target.rmdir()
    return f"Removed {shown(target)}."


def directory_tree(folder: SandboxPath = ".", depth: Annotated[int, Field(ge=1, le=20)] = 5) -> str:
    """Draw the tree of files and folders in a folder of the workbench as indented text.

    Args:
        folder: The folder, relative to the workbench folder.
        depth: How many levels to show.
    """
    base = existing_folder(folder)
    inside = sorted(path for path in walk(base) if len(path.relative_to(base).parts) <= depth)
    lines = [
        "  " * (len(path.relative_to(base).parts) - 1)
        + shown(path).rsplit("/", 1)[-1]
        + ("/" if path.is_dir() else "")
        for path in inside[:1_000]
    ]
    return "\n".join([*lines, f"… {len(inside) - 1_000} more"] if len(inside) > 1_000 else lines)


def disk_usage(folder: SandboxPath = ".") -> Usage:
    """Measure how many files and bytes a folder of the workbench holds, by kind of file.

    Args:
        folder: The folder, relative to the workbench folder.
    """
    sizes: Counter[str] = Counter()
    files = folders = 0
    with clear_errors(folder):
        for path in walk(existing_folder(folder)):
            entry = _entry(path)
            files, folders = files + (entry.kind == "file"), folders + (entry.kind == "folder")
            if entry.kind == "file":
                sizes[PurePosixPath(entry.path).suffix.lower()] += entry.bytes
    return Usage(files, folders, sizes.total(), dict(sizes.most_common(100)))


def path_join(parts: Annotated[list[PathText], Field(min_length=1, max_length=100)]) -> str:
    """Join parts of a path with `/` and tidy up `.` and `..`; no file is touched.

    Args:
        parts: The parts in order; an absolute part starts anew.
    """
    return posixpath.normpath(posixpath.join(*parts))


def path_parts(path: PathText) -> PathParts:
    """Take a path apart into parent folder, name, stem and suffix; no file is touched.

    Args:
        path: The path, with `/` between its parts.
    """
    pure = PurePosixPath(path)
    return PathParts(
        str(pure.parent), pure.name, pure.stem, pure.suffix, list(pure.parts), pure.is_absolute()
    )


def path_relative(path: PathText, start: PathText) -> str:
    """Express a path relative to a folder, with `..` where needed; no file is touched.

    Args:
        path: The path to express.
        start: The folder to start from; both must be absolute, or neither.
    """
    if posixpath.isabs(path) != posixpath.isabs(start):
        raise ValueError(f"path and start must both be absolute or both relative, got {path!r} and {start!r}")
    return posixpath.relpath(posixpath.join("/", path), posixpath.join("/", start))


def path_change_suffix(
    path: PathText, suffix: Annotated[str, Field(pattern=r"^(\.[^./\\\x00]{1,50})?$")]
) -> str:
    """Change the suffix (extension) of a file name in a path; no file is touched.

    Args:
        path: The path.
        suffix: The new suffix with its dot, such as `.md`; empty removes it.
    """
    return str(PurePosixPath(path).with_suffix(suffix))
