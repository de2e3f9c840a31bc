"""The server behind the proxies: a catalog of tools that only describe, and a few that tell where they ran.

Settings come from the environment: ``SCALE_ROWS``, rows of the catalog; ``SCALE_LEDGER``, a file that gets a
line for each call of ``enter``; ``SCALE_SESSIONS``, to keep sessions of earlier revisions.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from benchmarks.serving.rows import rows
from scopedtools import Catalog, Context, ContextLocal, ScopedServer, ViewSettings, tool
from scopedtools.catalog.primitives import Tool
from scopedtools.retrieval import HashingEncoder, HybridSelector

ROWS_VARIABLE: Final = "SCALE_ROWS"
LEDGER_VARIABLE: Final = "SCALE_LEDGER"
SESSIONS_VARIABLE: Final = "SCALE_SESSIONS"


class Desk(ScopedServer):
    """Says which process answers, and with which object of the context."""

    def __init__(self, size: int, *, ledger: Path | None = None, sessions: bool = False) -> None:
        super().__init__(
            name="desk",
            catalog=Catalog(
                Tool(name=one["name"], description=one["description"], input_schema=one["inputSchema"])
                for one in rows(size)
            ),
            selector=HybridSelector(HashingEncoder()),
            views=ViewSettings(rows={"tool": 16}, growth="negotiated"),
            sessions=sessions,
        )
        self._ledger = ledger
        self._forms = ContextLocal(self._form, max_objects=100_000)
        self._released: dict[str, asyncio.Event] = {}

    @asynccontextmanager
    async def _form(self, ctx: Context) -> AsyncIterator[str]:  # noqa: ARG002 - a factory is given it
        await asyncio.sleep(0.002)  # as one that opens a connection, so that first calls do meet
        yield secrets.token_hex(8)

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Hold the objects of contexts."""
        async with self._forms:
            yield

    @tool
    async def where(self) -> int:
        """Return the process that answers."""
        return os.getpid()

    @tool
    async def form(self, ctx: Context) -> str:
        """Return the object of this context: another name, another object."""
        async with self._forms.use(ctx) as name:
            return name

    @tool
    async def enter(self, number: int) -> int:
        """Write a number into the ledger: one line for each time that this runs."""
        if self._ledger is not None:
            with self._ledger.open("a") as ledger:
                ledger.write(f"{number}\n")
        return number

    @tool
    async def hold(self, ctx: Context) -> int:
        """Report progress, then wait until the same context says ``release``."""
        released = self._released.setdefault(ctx.id or "", asyncio.Event())
        await ctx.report_progress(1, 2, "begun")
        await released.wait()
        return os.getpid()

    @tool
    async def release(self, ctx: Context) -> int:
        """End ``hold``."""
        self._released.setdefault(ctx.id or "", asyncio.Event()).set()
        return os.getpid()


def _made() -> Desk:
    ledger = os.environ.get(LEDGER_VARIABLE)
    return Desk(
        int(os.environ.get(ROWS_VARIABLE, "1")),
        ledger=None if ledger is None else Path(ledger),
        sessions=SESSIONS_VARIABLE in os.environ,
    )


app = _made()
