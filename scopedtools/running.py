"""A server that runs once, however often it is entered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from types import TracebackType


class Running:
    """Starts with the first who enters, stops with the last who leaves.

    Args:
        start: Starts; returns what stops.
    """

    def __init__(self, start: Callable[[], Awaitable[AsyncExitStack]]) -> None:
        self._start = start
        self._started = AsyncExitStack()
        self._changing = asyncio.Lock()
        self._holders = 0

    @property
    def held(self) -> bool:
        """Whether anybody holds it."""
        return self._holders > 0

    async def __aenter__(self) -> None:
        async with self._changing:
            if self._holders == 0:
                self._started = await self._start()
            self._holders += 1

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        async with self._changing:
            self._holders -= 1
            if self._holders == 0:
                await self._started.__aexit__(kind, error, trace)
