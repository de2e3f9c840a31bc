"""The server of this package that the benchmark asks.

Run: python -m benchmarks.serving.ours TOOLS [--index FOLDER] PORT

The encoder hashes words: what a model takes for an unseen intent is no matter of serving.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import uvicorn

from benchmarks.serving.processes import KEEP_ALIVE_S
from benchmarks.serving.rows import ECHO, read
from scopedtools import Catalog, ScopedServer, ViewSettings, prompt, resource, tool
from scopedtools.catalog.primitives import Tool
from scopedtools.retrieval import HashingEncoder, HybridSelector
from scopedtools.types import Encoder

VIEW: Final = 16
"""Rows of a narrowed list, ``search_tools`` and ``call_tool`` among them."""

DIMENSIONS: Final = 384


class Ours(ScopedServer):
    """Has a catalog of tools that only describe, and one of each kind that does something.

    Args:
        tools: As `tools/list` shows them.
        index_dir: Where the index is kept between starts.
        encoder: By default one that hashes words.
    """

    def __init__(
        self,
        tools: Sequence[dict[str, Any]],
        index_dir: Path | None = None,
        *,
        encoder: Encoder | None = None,
    ) -> None:
        described = [
            Tool(name=one["name"], description=one["description"], input_schema=one["inputSchema"])
            for one in tools
            if one["name"] != ECHO
        ]
        super().__init__(
            name="ours",
            catalog=Catalog(described),
            selector=HybridSelector(encoder or HashingEncoder(DIMENSIONS), index_dir=index_dir),
            # A full list in one answer, as the others give it.
            views=ViewSettings(rows={"tool": VIEW - 2}, page_rows=len(tools) + 10),
        )

    @tool
    async def echo(self, text: str) -> str:
        """Return a text as it is."""
        return text

    @resource("note://today")
    async def today(self) -> str:
        """Return what is on today."""
        return "Nothing is on today."

    @prompt
    async def greet(self, name: str) -> str:
        """Greet somebody."""
        return f"Say hello to {name}."


def serve(app: Ours, port: int) -> None:
    """Serve until told to end."""
    uvicorn.run(app, port=port, log_level="error", access_log=False, timeout_keep_alive=KEEP_ALIVE_S)


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tools", type=Path)
    parser.add_argument("--index", type=Path)
    parser.add_argument("port", type=int)
    given = parser.parse_args()
    serve(Ours(read(given.tools), given.index), given.port)


if __name__ == "__main__":
    main()
