"""The conformance suite's server, and what its scenarios leave out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel

from scopedtools import Context, ResourceLink, Text, prompt, resource, tool
from tests.conformance.server import Confirmation, Everything


class Book(BaseModel):
    """A book."""

    title: str
    copies: int | None = None


class More(Everything):
    """Everything that the protocol has."""

    @tool(title="Find a book", read_only=True, open_world=False)
    async def find_book(self, title: str, limit: int = 1) -> Book:
        """Find a book."""
        return Book(title=title, copies=limit)

    @tool
    async def count_books(self) -> list[int]:
        """Count books."""
        return [1, 2, 3]

    @tool
    async def link(self) -> list[Text | ResourceLink]:
        """Point to a resource, with all that may be said of it."""
        hints = {"audience": ["user"], "priority": 0.5}
        page = ResourceLink(uri="test://static-text", name="text", mime_type="text/plain", size=48)
        page.annotations = hints
        return [Text(text="Look there: ünïcode \U0001f600 \x00", meta={"example.com/a": [1]}), page]

    @tool
    async def nothing(self) -> None:
        """Return nothing."""

    @tool
    async def crash(self) -> str:
        """Have a bug."""
        raise RuntimeError("a secret")

    @tool
    async def wait(self, ctx: Context) -> str:
        """Wait for ever."""
        await ctx.report_progress(0, 1)
        await never()
        return "never"

    @resource("test://asking", title="Asks first", mime_type="text/plain")
    async def asking(self, ctx: Context) -> str:
        """Ask before it can be read."""
        return (await ctx.elicit("May they read it?", Confirmation)).action

    @prompt(title="Recommend")
    async def recommend(self, taste: Literal["crime", "comics", "poetry"] = "crime") -> str:
        """Recommend a book."""
        return taste

    @prompt
    async def crashing_prompt(self) -> str:
        """Have a bug."""
        raise RuntimeError("a secret")

    async def complete(
        self, ctx: Context, ref: str, argument: str, value: str, filled: Mapping[str, str]
    ) -> Sequence[str]:
        if argument == "id":
            return [f"{value}{number}" for number in range(250)]
        return await super().complete(ctx, ref, argument, value, filled)


async def never() -> Any:
    """Wait for ever."""
    await asyncio.Event().wait()
