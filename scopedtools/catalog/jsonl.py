"""Catalogs from JSON-lines files."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from scopedtools.catalog.primitives import Tool
from scopedtools.exceptions import CatalogError


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
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            first: dict[str, int] = {}
            for number, line in enumerate(file, start=1):
                if line.strip():
                    tool = _tool(path, number, line)
                    if first.setdefault(tool.name, number) != number:
                        raise CatalogError(
                            f"{path}, line {number}: {tool.name!r} is also in line {first[tool.name]}"
                        )
                    yield tool
    except (OSError, EOFError, zlib.error) as error:
        raise CatalogError(f"cannot read {path}: {error}") from error


def _tool(path: Path, number: int, line: bytes) -> Tool:
    try:
        row = _line.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CatalogError(f"{path}, line {number}: {error}") from error
    name = row.id or row.name
    return Tool(
        name=name,
        title=row.name if row.name != name else None,
        description=row.description,
        tags=frozenset({row.server} if row.server else ()),
        group=row.server or "",
        requires=row.depends_on or (),
        input_schema={"type": "object"} | (row.input_schema or {}),
    )
