"""Small servers that take whatever comes: every kind of row, every way to turn to a client."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import Annotated, Any, Final

from pydantic import BaseModel, Field

from scopedtools import Context, ScopedServer, ToolError, prompt, resource, tool
from scopedtools.auth import StaticTokens
from scopedtools.context.settings import ViewSettings
from scopedtools.retrieval.hashing import HashingEncoder
from scopedtools.retrieval.selector import HybridSelector
from scopedtools.types import Principal

TOKEN: Final = "tok.en-of-alice"
"""A bearer token that is known at ``/closed``."""


class Answer(BaseModel):
    """What a user fills in."""

    title: str
    copies: int = 1


class Shop(ScopedServer):
    """Sells books."""

    @tool
    async def find(self, title: str, limit: int | None = None, *, ctx: Context) -> dict[str, Any]:
        """Find books."""
        if limit == 0:
            raise ToolError("none at all")
        return {"title": title, "context": ctx.id}

    @tool
    async def shelve(
        self, room: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Room"})], *, books: list[Answer]
    ) -> int:
        """Put books on a shelf."""
        return len(books) + len(room)

    @tool
    async def order(self, title: str, ctx: Context) -> str:
        """Order a book."""
        answered = await ctx.elicit("How many?", Answer)
        return f"{title} {answered.action} {answered.data}"

    @tool
    async def count(self, steps: int, ctx: Context) -> int:
        """Count."""
        for step in range(min(steps, 3)):
            await ctx.report_progress(step + 1, steps, "counting")
            await ctx.log("info", {"step": step})
        return steps

    @tool
    async def keep(self, name: str, value: Any, ctx: Context) -> Any:
        """Keep a value for the context."""
        await ctx.state.set(name, value)
        return await ctx.state.get(name)

    @resource("shelf://{room}/{+path}")
    async def shelf(self, room: str, path: str) -> list[str]:
        """A shelf."""
        return [room, path]

    @resource("shelf://all")
    async def all_shelves(self) -> str:
        """All shelves."""
        return "all"

    @prompt
    async def recommend(self, taste: str = "any") -> str:
        """Recommend a book."""
        return taste


@cache
def servers() -> dict[bytes, ScopedServer]:
    """Return the servers by their paths: open, with sessions, one that wants tokens, one that narrows lists."""
    verifier = StaticTokens({TOKEN: Principal("alice", frozenset({"read"}))})
    narrow = ViewSettings(whole_rows=0, rows={"tool": 3}, page_rows=2, growth="always")
    return {
        b"/mcp": Shop(secret=b"f" * 32),
        b"/sessions": Shop(secret=b"f" * 32, sessions=True, path="/sessions"),
        b"/closed": Shop(secret=b"f" * 32, verifier=verifier, strict_ids=True, path="/closed"),
        b"/narrow": Shop(
            secret=b"f" * 32, views=narrow, selector=HybridSelector(HashingEncoder(64)), path="/narrow"
        ),
    }


async def running(server: ScopedServer) -> None:
    """Start a server, unless it runs; it goes on for as long as the event loop."""
    holder = _holders().get(server)
    if holder is None:
        up = asyncio.Event()
        _holders()[server] = asyncio.create_task(_hold(server, up))
        await up.wait()


async def _hold(server: ScopedServer, up: asyncio.Event) -> None:
    async with server:
        up.set()
        await asyncio.Event().wait()


@cache
def _holders() -> dict[ScopedServer, asyncio.Task[None]]:
    return {}
