"""Brings a selector to life beside the requests, once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from scopedtools.types import Describable, Selector


class Selection:
    """A selector and its preparation.

    Loading a model takes seconds, so it runs as a task: whoever needs a ranking waits for it, everybody
    else is served meanwhile.

    Args:
        make: Makes the selector; called when it is first needed.
        rows: What it ranks.
    """

    def __init__(self, make: Callable[[], Selector], rows: Sequence[Describable]) -> None:
        self._make = make
        self._rows = rows
        self._task: asyncio.Task[Selector] | None = None

    def start(self) -> None:
        """Begin to prepare, unless that has begun."""
        if self._task is None:
            self._task = asyncio.create_task(self._prepare(), name="prepare selector")

    async def ready(self) -> Selector:
        """Return the selector once it is prepared.

        Raises:
            Exception: Whatever preparation failed with.
        """
        self.start()
        assert self._task is not None  # noqa: S101 - start made it
        return await asyncio.shield(self._task)

    async def stop(self) -> None:
        """Give up a preparation that is under way."""
        task, self._task = self._task, None
        if task is not None and not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _prepare(self) -> Selector:
        selector = self._make()
        await selector.prepare(self._rows)
        return selector
