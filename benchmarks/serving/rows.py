"""Catalogs that every system serves alike: rows of about 760 bytes, in a file that all of them read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks.serving.warm_list import NOUNS, VERBS

ECHO: Final = "echo"
"""The tool that is called. It stands last in every catalog."""

INTENT: Final = "count the words and sort the prices"
SIZES: Final = (10, 100, 1_000, 10_000)

_PARAMETERS: Final = {
    "value": {"type": "string", "description": "The value to work on, as text in the usual notation."},
    "unit": {"type": "string", "description": "Unit that the value is in and the result will be in."},
    "limit": {"type": "integer", "description": "Most results that are returned.", "default": 10},
    "exact": {"type": "boolean", "description": "Whether near matches are left out.", "default": False},
}
_SCHEMA: Final = {"type": "object", "properties": _PARAMETERS, "required": ["value", "unit"]}
_ECHO: Final = {
    "name": ECHO,
    "description": "Return a text as it is.",
    "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
}


def rows(count: int) -> list[dict[str, Any]]:
    """Make the tools of a catalog as `tools/list` shows them, `ECHO` among them."""
    return [*map(_row, range(count - 1)), _ECHO]


def _row(number: int) -> dict[str, Any]:
    verb, noun = VERBS[number % 10], NOUNS[number // 10 % 10]
    about = (
        f"{verb.capitalize()} the {noun} of batch {number}. Takes one value and its unit, looks at every"
        f" entry of the batch in turn, and returns the {noun} found with where each of them stands."
    )
    return {"name": f"{verb}_{noun}_{number}", "description": about, "inputSchema": _SCHEMA}


def write(tools: Iterable[Mapping[str, Any]], path: Path) -> Path:
    """Write tools, a line each; returns the path."""
    path.write_bytes(b"".join(msgspec.json.encode(tool) + b"\n" for tool in tools))
    return path


def read(path: Path) -> list[dict[str, Any]]:
    """Read what `write` wrote."""
    return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]
