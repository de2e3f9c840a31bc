"""Tools that compress and decompress text, and work with archives in the sandbox.

Nothing is decompressed beyond 10 MB (1 MB for text that is returned), whatever its headers say.
"""

import base64
import bz2
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

from pydantic import Field

from examples.workbench.sandbox import (
    SandboxPath,
    clear_errors,
    existing_file,
    read_bytes,
    resolve,
    shown,
    write_bytes,
)

Algorithm = Literal["gzip", "zlib", "bz2", "lzma"]
Level = Annotated[int, Field(ge=1, le=9)]
Member = Annotated[str, Field(min_length=1, max_length=255)]

_MAX_TEXT = 1_000_000
_MAX_FILE = 10_000_000
_MAX_MEMBERS = 1_000


@dataclass(frozen=True)
class Compressed:
    data: str
    original_bytes: int
    compressed_bytes: int


@dataclass(frozen=True)
class Ratio:
    algorithm: str
    bytes: int
    ratio: float


@dataclass(frozen=True)
class ZipMember:
    name: str
    bytes: int
    compressed_bytes: int
    modified: str


@dataclass(frozen=True)
class WrittenFile:
    path: str
    bytes: int


def _compress(data: bytes, algorithm: Algorithm, level: int) -> bytes:
    match algorithm:
        case "bz2":
            return bz2.compress(data, level)
        case "lzma":
            return lzma.compress(data, preset=min(level, 6))
    packer = zlib.compressobj(level, wbits=31 if algorithm == "gzip" else 15)
    return packer.compress(data) + packer.flush()


class _Unpacker(Protocol):
    """What the decompressors of zlib, bz2 and lzma have in common."""

    @property
    def eof(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def _unpacker(algorithm: Algorithm) -> _Unpacker:
    match algorithm:
        case "bz2":
            return bz2.BZ2Decompressor()
        case "lzma":
            return lzma.LZMADecompressor(memlimit=100_000_000)
    return zlib.decompressobj(wbits=31 if algorithm == "gzip" else 15)


def _decompress(data: bytes, algorithm: Algorithm, limit: int) -> bytes:
    """Return the first stream in `data`, and never produce more than `limit` bytes of it."""
    try:
        unpacker = _unpacker(algorithm)
        plain = unpacker.decompress(data, limit + 1)
    except (zlib.error, lzma.LZMAError, OSError, EOFError, MemoryError) as error:
        raise ValueError(f"data must be {algorithm} data, and it is not: {error}") from error
    if len(plain) > limit:
        raise ValueError(f"data must decompress to at most {limit:,} bytes, and it is larger")
    if not unpacker.eof:
        raise ValueError(f"{algorithm} data must be complete, and its end is missing")
    return plain


@contextmanager
def _archive(path: str) -> Iterator[zipfile.ZipFile]:
    """Open a zip file of the sandbox; what is wrong with it becomes a `ValueError`."""
    target = existing_file(path)
    try:
        with clear_errors(path), zipfile.ZipFile(target) as archive:
            if len(archive.namelist()) > _MAX_MEMBERS:
                raise ValueError(f"an archive must have at most {_MAX_MEMBERS:,} members")
            yield archive
    except (
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        EOFError,
        RuntimeError,
        NotImplementedError,
    ) as error:
        raise ValueError(f"{path!r} must be a readable zip file: {error}") from error


def _member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """Read one member, and never more than `limit` bytes: sizes in a zip file's headers can lie."""
    if name not in archive.namelist():
        raise ValueError(f"member must be one of the archive's names, got {name!r}: list them first")
    with archive.open(name) as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"member {name!r} must be at most {limit:,} bytes, and it is larger")
    return data


def compress_text(
    text: Annotated[str, Field(max_length=200_000)], algorithm: Algorithm = "gzip", level: Level = 6
) -> Compressed:
    """Compress a text with gzip, zlib, bz2 or lzma, and return the result in Base64.

    Args:
        text: The text to compress.
        algorithm: How to compress.
        level: From 1, fast, to 9, small.
    """
    data = text.encode()
    packed = _compress(data, algorithm, level)
    return Compressed(base64.b64encode(packed).decode(), len(data), len(packed))


def decompress_text(data: Annotated[str, Field(max_length=500_000)], algorithm: Algorithm = "gzip") -> str:
    """Decompress gzip, zlib, bz2 or lzma data in Base64 to text of at most 1 MB.

    Args:
        data: The compressed data in Base64.
        algorithm: How it was compressed.
    """
    try:
        return _decompress(
            base64.b64decode("".join(data.split()), validate=True), algorithm, _MAX_TEXT
        ).decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"data must decompress to UTF-8 text, and byte {error.start} is not") from error


def compare_compression(
    text: Annotated[str, Field(min_length=1, max_length=200_000)], level: Level = 6
) -> list[Ratio]:
    """Compare how small gzip, zlib, bz2 and lzma make a text, the smallest first.

    Args:
        text: The text to try.
        level: From 1, fast, to 9, small.
    """
    data = text.encode()
    algorithms: tuple[Algorithm, ...] = ("gzip", "zlib", "bz2", "lzma")
    sizes = sorted((len(_compress(data, algorithm, level)), algorithm) for algorithm in algorithms)
    return [Ratio(algorithm, size, round(size / len(data), 4)) for size, algorithm in sizes]


def gzip_file(path: SandboxPath, target_path: SandboxPath) -> WrittenFile:
    """Compress a file in the workbench folder with gzip into another file.

    Args:
        path: The file to compress, relative to the workbench folder, at most 10 MB.
        target_path: The file to write, such as `notes.txt.gz`; it must not exist.
    """
    packed = _compress(read_bytes(path, _MAX_FILE), "gzip", 6)
    return WrittenFile(
        shown(write_bytes(target_path, packed, limit=2 * _MAX_FILE, replace=False)), len(packed)
    )


def gunzip_file(path: SandboxPath, target_path: SandboxPath) -> WrittenFile:
    """Decompress a gzip file in the workbench folder into another file of at most 10 MB.

    Args:
        path: The gzip file, relative to the workbench folder.
        target_path: The file to write; it must not exist.
    """
    plain = _decompress(read_bytes(path, _MAX_FILE), "gzip", _MAX_FILE)
    return WrittenFile(shown(write_bytes(target_path, plain, limit=_MAX_FILE, replace=False)), len(plain))


def zip_create(
    path: SandboxPath, files: Annotated[list[SandboxPath], Field(min_length=1, max_length=100)]
) -> list[ZipMember]:
    """Create a zip archive from files in the workbench folder.

    Args:
        path: The archive to write, relative to the workbench folder; it must not exist.
        files: The files to put into it, 10 MB in all.
    """
    contents: dict[str, bytes] = {}
    for file in files:
        contents[shown(existing_file(file))] = read_bytes(file, _MAX_FILE - sum(map(len, contents.values())))
    write_bytes(path, b"", replace=False)
    with clear_errors(path), zipfile.ZipFile(resolve(path), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    return zip_list(path)


def zip_list(path: SandboxPath) -> list[ZipMember]:
    """List the files in a zip archive of the workbench folder, with their sizes.

    Args:
        path: The archive, relative to the workbench folder.
    """
    with _archive(path) as archive:
        return [
            ZipMember(
                i.filename,
                i.file_size,
                i.compress_size,
                "{}-{:02}-{:02}T{:02}:{:02}:{:02}".format(*i.date_time),
            )
            for i in archive.infolist()
        ]


def zip_read_text(path: SandboxPath, member: Member) -> str:
    """Read one text file inside a zip archive of the workbench folder, at most 1 MB.

    Args:
        path: The archive, relative to the workbench folder.
        member: The name of the file inside the archive.
    """
    try:
        with _archive(path) as archive:
            return _member(archive, member, _MAX_TEXT).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"member {member!r} must be UTF-8 text, and byte {error.start} is not") from error


def zip_extract(path: SandboxPath, folder: SandboxPath) -> list[WrittenFile]:
    """Extract all files of a zip archive into a folder of the workbench, 10 MB in all.

    Args:
        path: The archive, relative to the workbench folder.
        folder: Where to put the files; those that exist are not replaced.
    """
    contents: dict[str, bytes] = {}
    with _archive(path) as archive:
        for info in archive.infolist():
            if not info.is_dir():
                left = _MAX_FILE - sum(map(len, contents.values()))
                contents[f"{folder}/{info.filename}"] = _member(archive, info.filename, left)
    for name in contents:
        if not resolve(name).is_relative_to(resolve(folder)):
            raise ValueError(f"members must stay inside the folder, got {name!r}: nothing was written")
    return [
        WrittenFile(shown(write_bytes(name, data, limit=_MAX_FILE, replace=False)), len(data))
        for name, data in contents.items()
    ]
