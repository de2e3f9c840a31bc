"""A store whose engine stands still, breaks and comes back when a test says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Final, Self

from scopedtools.context.store import MemoryStore
from scopedtools.storage import ContextRecord
from scopedtools.stores import GuardedStore

KEY: Final = b"o" * 16 + b"context"
OTHER: Final = b"p" * 16 + b"context"
DOWN: Final = AttributeError("'NoneType' object has no attribute 'writelines'")


def record(*rows: int) -> ContextRecord:
    return ContextRecord("v", rows)


class Engine(MemoryStore):
    """Keeps what outlives outages; counts the calls that reach it.

    Attributes:
        problem: What calls raise.
        stands_still: Whether calls wait instead.
        after: Whether a call is done before it fails, as where only its answer is lost.
        calls: How many came.
        events: What became of the store itself.
    """

    def __init__(self) -> None:
        super().__init__()
        self.problem: Exception | None = None
        self.stands_still = False
        self.after = False
        self.calls = 0
        self.events: list[str] = []
        self.heard: list[Callable[[bytes | None], None]] = []

    async def __aenter__(self) -> Self:
        await self._reach()
        self.events.append("entered")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.events.append("left")

    async def get(self, key: bytes) -> ContextRecord | None:
        await self._reach()
        return await super().get(key)

    async def add(self, key: bytes, record: ContextRecord) -> ContextRecord:
        if self.after:
            await super().add(key, record)
        await self._reach()
        return await super().add(key, record)

    async def replace(self, key: bytes, before: ContextRecord, after: ContextRecord) -> bool:
        if self.after:
            await super().replace(key, before, after)
        await self._reach()
        return await super().replace(key, before, after)

    async def get_value(self, key: bytes, name: str) -> bytes | None:
        await self._reach()
        return await super().get_value(key, name)

    async def put_value(self, key: bytes, name: str, value: bytes, *, ttl_s: float | None = None) -> bool:
        await self._reach()
        return await super().put_value(key, name, value, ttl_s=ttl_s)

    async def publish(self, message: bytes) -> None:
        await self._reach()
        for heard in self.heard:
            heard(message or None)

    @asynccontextmanager
    async def listening(self, heard: Callable[[bytes | None], None]) -> AsyncIterator[None]:
        self.heard.append(heard)
        yield
        self.heard.remove(heard)

    async def kept(self, key: bytes = KEY) -> ContextRecord | None:
        """Return what the engine has, however it feels."""
        return await super().get(key)

    async def change(self, before: ContextRecord, after: ContextRecord, key: bytes = KEY) -> None:
        """Change a record as another process would."""
        assert await super().replace(key, before, after)

    async def _reach(self) -> None:
        self.calls += 1
        if self.stands_still:
            await asyncio.Event().wait()
        if self.problem is not None:
            raise self.problem


async def until(met: Callable[[], Any]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(10):
        while not met():  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.005)


@asynccontextmanager
async def guarded(**options: Any) -> AsyncIterator[tuple[GuardedStore, Engine]]:
    engine = Engine()
    async with GuardedStore(engine, **{"timeout_s": 0.05, "open_s": 0.05, **options}) as store:
        yield store, engine


async def fail(store: GuardedStore, engine: Engine, times: int = 3) -> None:
    """Let an engine fail so often that it is left alone."""
    engine.problem = DOWN
    for _ in range(times):
        await store.get(b"unknown")


async def back(store: GuardedStore, engine: Engine) -> None:
    """Let an engine answer again, and wait until everything goes to it."""
    engine.problem, engine.stands_still = None, False
    await until(lambda: not store.is_degraded)
