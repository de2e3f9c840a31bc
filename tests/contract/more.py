"""The conformance suite's server, and what its scenarios leave out."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field

from scopedtools import Context, EmbeddedResource, ResourceLink, Text, prompt, resource, tool
from scopedtools.protocol.content import ResourceContents
from tests.conformance.server import Confirmation, Everything


class Book(BaseModel):
    """A book."""

    title: str
    copies: int | None = None


class Size(Enum):
    """A size."""

    SMALL = "small"
    LARGE = "large"


class Much(BaseModel):
    """A form with fields of every sort."""

    size: Size
    sizes: list[Size] = []
    day: dt.date
    moment: dt.time | None = None
    number: Annotated[int, Field(gt=0, lt=10, multiple_of=1)] = 5
    share: float = Field(0.5, title="Share", ge=0, le=1)
    sure: Literal["yes"] = "yes"
    note: str | None = Field(None, description="If you like", max_length=10)


META: Final = {"example.com/a": [1]}
HINTS: Final[dict[str, Any]] = {
    "audience": ["user", "assistant"],
    "priority": 0.5,
    "lastModified": "2026-01-01T00:00:00Z",
}
LINK: Final = ResourceLink(
    uri="test://static-text", name="text", title="A text", mime_type="text/plain", size=48, annotations=HINTS
)
HELD: Final = EmbeddedResource(
    resource=ResourceContents("test://marked", "text/plain", text="Marked", meta=META), meta=META
)


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
    async def link(self) -> list[Text | ResourceLink | EmbeddedResource]:
        """Point to a resource, with all that may be said of it."""
        words = Text(text="Look there: ünïcode \U0001f600 \x00", annotations=HINTS, meta=META)
        return [words, LINK, HELD]

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
    async def linking_prompt(self) -> list[Any]:
        """Point to resources."""
        return [LINK, HELD, "Read them."]

    @resource("test://marked", mime_type="text/plain")
    async def marked(self) -> ResourceContents:
        """A text with a mark."""
        return HELD.resource

    @tool
    async def ask_much(self, ctx: Context) -> str:
        """Ask for fields of every sort."""
        return str((await ctx.elicit("Everything, please", Much)).action)

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
