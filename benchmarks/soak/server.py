"""The server that is driven: 500 rows, every kind of call, and a tool that tells what the process holds.

Run: scopedtools serve benchmarks.soak.server:app
"""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import BaseModel, Field

from benchmarks.serving.rows import rows
from benchmarks.soak.results import POOLED
from scopedtools import (
    Catalog,
    Context,
    ContextLocal,
    ScopedServer,
    ToolError,
    ViewSettings,
    prompt,
    resource,
    tool,
)
from scopedtools.catalog.primitives import Tool
from scopedtools.context.store import MemoryStore
from scopedtools.retrieval import HashingEncoder, HybridSelector
from scopedtools.sharing import STORE_VARIABLE
from scopedtools.tasks import TaskSettings

ROWS: Final = 500
CONTEXTS: Final = 500
"""Contexts that are kept: few enough that all of them are there before memory is measured."""

TTL_S: Final = 20.0
"""Seconds for which tasks and objects of contexts are kept."""

NEWS: Final = "note://today"

CallId = Annotated[str, Field(description="What the client counts this call by.")]


class Amount(BaseModel):
    """What the user is asked for."""

    copies: int


class SoakServer(ScopedServer):
    """Does little, in many ways.

    Attributes:
        executed: How many times each call was carried out since the client last asked.
    """

    def __init__(self) -> None:
        self.executed: Counter[str] = Counter()
        self.notes = ContextLocal(self._open_notes, ttl_s=TTL_S, max_objects=500)
        self._editions = 0
        super().__init__(
            name="soak",
            catalog=_catalog(0),
            selector=HybridSelector(HashingEncoder(128)),
            views=ViewSettings(rows={"tool": 20}, growth="negotiated"),
            store=None if os.environ.get(STORE_VARIABLE) else MemoryStore(max_contexts=CONTEXTS),
            tasks=TaskSettings(ttl_s=TTL_S, poll_interval_ms=50),
            sessions=True,
        )

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        async with self.notes:
            yield

    @asynccontextmanager
    async def _open_notes(self, _: Context) -> AsyncIterator[list[str]]:
        notes: list[str] = []
        yield notes
        notes.clear()

    @tool(pinned=True)
    async def quick(self, call: CallId, text: str = "") -> str:
        """Return a text as it is."""
        self.executed[call] += 1
        return text

    @tool(pinned=True)
    async def slow(self, call: CallId, seconds: float = 0.1) -> str:
        """Wait for a while."""
        await asyncio.sleep(min(seconds, 60))
        self.executed[call] += 1
        return "done"

    @tool
    async def counting(self, call: CallId, ctx: Context, steps: int = 3) -> int:
        """Count, and tell how far it is."""
        for step in range(min(steps, 50)):
            await ctx.report_progress(step + 1, steps, f"step {step + 1}")
            await asyncio.sleep(0.01)
        self.executed[call] += 1
        return steps

    @tool
    async def order(self, call: CallId, ctx: Context) -> str:
        """Ask the user how many, then order as many."""
        answer = await ctx.elicit("How many copies?", Amount)
        self.executed[call] += 1
        return f"{answer.action} {answer.data.copies if answer.data else 0}"

    @tool
    async def remember(self, call: CallId, value: str, ctx: Context) -> str | None:
        """Keep a value for the context; return the one before."""
        before: str | None = await ctx.state.get("kept")
        await ctx.state.set("kept", value)
        self.executed[call] += 1
        return before

    @tool
    async def note(self, call: CallId, text: str, ctx: Context) -> int:
        """Add a note to those of the context; return how many there are."""
        async with self.notes.use(ctx) as notes:
            notes.append(text)
            self.executed[call] += 1
            return len(notes)

    @tool(task="optional", detached=False)
    async def report(self, call: CallId, ctx: Context) -> str:
        """Write a report, as a task where the client can follow one."""
        await ctx.detach()
        await ctx.report_progress(1, 2, "half")
        await asyncio.sleep(0.05)
        self.executed[call] += 1
        return "the report"

    @tool
    async def failing(self, call: CallId) -> str:
        """Fail, as tools do."""
        self.executed[call] += 1
        raise ToolError("this one always fails")

    @tool
    def blocking(self, call: CallId, text: str = "") -> str:
        """Do the same in a worker thread."""
        self.executed[call] += 1
        return text

    @tool
    async def large(self, call: CallId, kibibytes: int = 256) -> str:
        """Return a long text."""
        self.executed[call] += 1
        return "x" * (1024 * min(kibibytes, 2048))

    @resource(NEWS)
    async def today(self) -> str:
        """What is on today."""
        return "Nothing is on today."

    @prompt
    async def greet(self, name: str = "you") -> str:
        """Greet somebody."""
        return f"Say hello to {name}."

    @tool
    async def replace_catalog(self) -> int:
        """Replace a tenth of the rows by others, while requests go on."""
        self._editions += 1
        await self.update(_catalog(self._editions % 10))
        await self.resource_updated(NEWS)
        return self._editions

    @tool(name="drain")
    async def forget_executed(self) -> dict[str, int]:
        """Return how many times each call was carried out since the last time, and forget it."""
        drained = dict(self.executed)
        self.executed.clear()
        return drained

    @tool
    async def holdings(self, *, objects: bool = False) -> dict[str, Any]:
        """Return what the process holds: tasks, open files, threads, listeners, sessions.

        Args:
            objects: Also how many objects there are of the commonest types.
        """
        if objects:
            gc.collect()
        return {
            "tasks": Counter(_name(task) for task in asyncio.all_tasks()),
            "files": _open_files(),
            "threads": threading.active_count(),
            "listeners": len(self._listeners._listeners),  # noqa: SLF001 - nothing public counts them
            "streams": self._listeners._places._taken,  # noqa: SLF001 - likewise
            "sessions": 0 if self._sessions is None else len(self._sessions._sessions),  # noqa: SLF001 - likewise
            "running tasks": len(self._tasks._running),  # noqa: SLF001 - likewise
            "notes": len(self.notes),
            "objects": _objects() if objects else {},
        }


def _catalog(edition: int) -> Catalog:
    return Catalog(
        Tool(name=one["name"], description=one["description"], input_schema=one["inputSchema"])
        for number, one in enumerate(rows(ROWS + 1)[:-1])
        if number % 10 != edition
    )


def _name(task: asyncio.Task[Any]) -> str:
    return str(getattr(task.get_coro(), "__qualname__", "?"))


def _open_files() -> Counter[str]:
    kinds: Counter[str] = Counter()
    pooled = _pooled()
    for one in Path("/proc/self/fd").iterdir():
        try:
            target = str(one.readlink())
        except OSError:
            continue  # that of looking itself
        kind = target.partition(":")[0] if ":" in target else "file"
        kinds[POOLED if target in pooled else kind] += 1
    return kinds


def _pooled() -> frozenset[str]:
    """Return the sockets that lead to the store: a pool keeps those that many at once once needed."""
    port = urlsplit(os.environ.get(STORE_VARIABLE, "")).port
    if port is None:
        return frozenset()
    lines = (line.split() for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:])
    return frozenset(f"socket:[{line[9]}]" for line in lines if line[2].endswith(f":{port:04X}"))


def _objects() -> dict[str, int]:
    counted = Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.get_objects())
    return dict(counted.most_common(40))


app = SoakServer()
