"""The clients, by name, version and mode."""

from __future__ import annotations

from typing import Any, Final

import pytest

ALL: Final = (
    "mcp-2.3.0-auto",
    "mcp-2.3.0-legacy",
    "mcp-1.30.0-legacy",
    "fastmcp-4.1.6-auto",
    "fastmcp-4.1.6-legacy",
    "npm-2.4.0-auto",
    "npm-2.4.0-legacy",
    "npm-1.32.2-legacy",
)

TALKING: Final = tuple(name for name in ALL if name.startswith(("mcp-2", "npm")))
"""Those that are driven so that they answer questions and listen."""


def marked(names: tuple[str, ...]) -> list[Any]:
    """Return names as parameters, marked with what they need."""
    return [pytest.param(name, marks=[pytest.mark.node] if "npm" in name else []) for name in names]
