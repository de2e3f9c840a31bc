"""Brings a selector to life beside the requests, once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from scopedtools.types import Describable, Learner, Selector

_LESSONS: Final = 64
"""Calls that wait to be learned from, at most."""

_log: Final = logging.getLogger(__name__)


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
        self._lessons: set[asyncio.Task[None]] = set()

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

    def learner(self) -> Learner | None:
        """Return the selector if it is ready and learns."""
        task = self._task
        if task is None or not task.done() or task.cancelled() or task.exception() is not None:
            return None
        selector = task.result()
        return selector if isinstance(selector, Learner) and selector.learns else None

    def learn(self, learner: Learner, text: str, row: int, *, by: str) -> None:
        """Have it learn beside the requests; where too much waits to be learned already, not this."""
        if len(self._lessons) < _LESSONS:
            lesson = asyncio.create_task(_taught(learner, text, row, by), name="learn from use")
            self._lessons.add(lesson)
            lesson.add_done_callback(self._lessons.discard)

    async def stop(self) -> None:
        """Give up a preparation that is under way; learn what waits to be learned."""
        task, self._task = self._task, None
        if task is not None and not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await asyncio.gather(*self._lessons)

    async def _prepare(self) -> Selector:
        selector = self._make()
        await selector.prepare(self._rows)
        return selector


async def _taught(learner: Learner, text: str, row: int, by: str) -> None:
    try:
        await learner.learn(text, row, by=by)
    except Exception:  # noqa: BLE001 - a call succeeded; that nothing was learned from it is not its fault
        _log.exception("nothing learned from a call")
