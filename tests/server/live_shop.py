"""A server whose catalog the tests replace, and what they ask of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Final

from scopedtools import Catalog, Context, ScopedServer, View, tool
from scopedtools.assembly import SEARCH_TOOLS
from scopedtools.catalog.convert import text_result
from scopedtools.catalog.primitives import CallTool, Tool
from scopedtools.protocol.results import CallResult
from scopedtools.retrieval import HybridSelector
from scopedtools.testing import Client, HashingEncoder
from scopedtools.types import Describable, Selector
from tests.context.office import NOUNS, PIN, VERBS, Words, of

__all__ = ["NOUNS", "PIN", "VERBS", "Gated", "Shop", "Words", "goods", "of", "shown"]

NAMES: Final = tuple(name for noun in NOUNS for name in of(noun))
"""Of the sixty tools that a shop begins with."""


def good(name: str, note: str = "", *, call: CallTool | None = None, **fields: Any) -> Tool:
    """Make a tool that answers with a note."""

    async def noted(_ctx: Any, _arguments: bytes) -> CallResult:
        return text_result(f"{name} {note}")

    if call is None:
        call = noted
    said = " the ".join(name.split("_")).capitalize()
    return Tool(name=name, description=f"{said}. {note}".strip(), call=call, **fields)


def goods(names: Iterable[str] = NAMES, note: str = "", **fields: Any) -> Catalog:
    """Make a catalog of tools that answer with a note."""
    return Catalog(good(name, note, **fields) for name in names)


def changed(names: Iterable[str] = NAMES, **notes: str) -> Catalog:
    """Make a catalog in which some tools say something else."""
    return Catalog(good(name, notes.get(name, "")) for name in names)


class Gated(Words):
    """Knows one catalog at a time; its preparation waits or fails where the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.preparing = asyncio.Event()
        self.prepared = asyncio.Event()
        self.prepared.set()
        self.rows: list[int] = []
        self.refuses: set[int] = set()

    async def prepare(self, rows: Sequence[Describable]) -> None:
        self.rows.append(len(rows))
        self.preparing.set()
        await self.prepared.wait()
        await super().prepare(rows)
        if len(rows) in self.refuses:
            raise RuntimeError("cannot be prepared")


class Shop(ScopedServer):
    """Sixty tools that may be replaced, and one of its own that is always shown."""

    def __init__(
        self, selector: Selector | None = None, *, catalog: Catalog | None = None, **options: Any
    ) -> None:
        own = selector or HybridSelector(HashingEncoder(64))
        super().__init__(selector=own, catalog=goods() if catalog is None else catalog, **options)
        self.entered = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    @tool(pinned=True)
    async def help(self) -> str:
        """Help."""
        return "helped"

    async def permitted(self, ctx: Context, rows: View) -> View:
        self.entered.set()
        await self.gate.wait()
        return rows


async def shown(client: Client) -> list[str]:
    """Return what is listed behind search tools and pins."""
    names = [row["name"] for row in await client.list_tools()]
    assert names[:3] == [*SEARCH_TOOLS, PIN]
    assert len(set(names)) == len(names)
    return names[3:]


async def notes(client: Client) -> dict[str, str]:
    """Return what is said of each row that is listed behind search tools and pins."""
    return {row["name"]: row["description"].partition(". ")[2] for row in (await client.list_tools())[3:]}
