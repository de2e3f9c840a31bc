"""Catalogs from JSON-lines files."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar

import msgspec

from scopedtools.catalog.primitives import StoredTool, Tool
from scopedtools.exceptions import CatalogError, ScopedToolsError

_Row = TypeVar("_Row")


class _Line(msgspec.Struct):
    name: str
    description: str = ""
    id: str | None = None
    server: str | None = None
    depends_on: tuple[str, ...] | None = None
    input_schema: dict[str, Any] | None = None


_line: Final = msgspec.json.Decoder(_Line)


def read_tools(path: Path) -> Iterator[Tool]:
    """Read one tool a line; see `Catalog.from_jsonl`."""
    # Servers have many tools each, which may as well share their names.
    of_server = cache(_of_server)
    return read_lines(
        path, partial(_tool, of_server=of_server), name_of=lambda tool: tool.name, error=CatalogError
    )


def read_lines(
    path: Path,
    parse: Callable[[bytes], _Row],
    *,
    name_of: Callable[[_Row], str],
    error: type[ScopedToolsError],
) -> Iterator[_Row]:
    """Read what the lines of a file hold, blank ones left out.

    Args:
        path: JSON lines, gzipped if the name ends in ``.gz``.
        parse: Reads a line; raises ``msgspec.DecodeError`` where it is wrong.
        name_of: What a line goes by in the file.
        error: Raised, with the path and the line, where the file cannot be read, a line is wrong or a name
            comes twice.
    """
    try:
        with _opened(path) as file:
            first: dict[str, int] = {}
            for number, line in enumerate(file, start=1):
                if line.strip():
                    row = _parsed(parse, line, f"{path}, line {number}", error)
                    name = name_of(row)
                    if first.setdefault(name, number) != number:
                        raise error(f"{path}, line {number}: {name!r} is also in line {first[name]}")
                    yield row
    except (OSError, EOFError, zlib.error) as failure:
        raise error(f"cannot read {path}: {failure}") from failure


def _opened(path: Path) -> BinaryIO:
    if path.suffix != ".gz":
        return path.open("rb")
    # Cuts lines three times as fast as the other does by itself.
    return io.BufferedReader(gzip.open(path), 1 << 18)


def _parsed(parse: Callable[[bytes], _Row], line: bytes, where: str, error: type[ScopedToolsError]) -> _Row:
    try:
        return parse(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as failure:
        raise error(f"{where}: {failure}") from failure


def _of_server(server: str | None) -> tuple[str, frozenset[str]]:
    return server or "", frozenset({server} if server else ())


def _tool(line: bytes, *, of_server: Callable[[str | None], tuple[str, frozenset[str]]]) -> Tool:
    row = _line.decode(line)
    name = row.id or row.name
    group, tags = of_server(row.server)
    return StoredTool(
        name=name,
        title=row.name if row.name != name else None,
        description=row.description,
        tags=tags,
        group=group,
        requires=row.depends_on or (),
        input_schema={"type": "object"} | (row.input_schema or {}),
    )
