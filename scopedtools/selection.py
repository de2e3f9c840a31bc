"""Brings a selector to life beside the requests, once."""

from __future__ import annotations

import asyncio
import hashlib
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

    @property
    def learns(self) -> bool:
        """Whether the selector is ready and learns from calls."""
        return self._learner() is not None

    def learn(self, text: str | None, row: int, *, by: str) -> None:
        """Have the selector learn beside the requests; where too much waits to be learned already, not this.

        Args:
            text: What the unit of work was about, if that is known.
            row: Ordinal of the row that was called.
            by: Name of the caller; the selector gets a digest.
        """
        learner = self._learner()
        if learner is None or not text or len(self._lessons) >= _LESSONS:
            return
        caller = hashlib.blake2b(by.encode(), digest_size=8).hexdigest()
        lesson = asyncio.create_task(_taught(learner, text, row, caller), name="learn from use")
        self._lessons.add(lesson)
        lesson.add_done_callback(self._lessons.discard)

    async def stop(self) -> None:
        """Give up a preparation that is under way; learn what waits to be learned."""
        task, self._task = self._task, None
        if task is not None and not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await asyncio.gather(*self._lessons)

    def _learner(self) -> Learner | None:
        task = self._task
        if task is None or not task.done() or task.cancelled() or task.exception() is not None:
            return None
        selector = task.result()
        return selector if isinstance(selector, Learner) and selector.learns else None

    async def _prepare(self) -> Selector:
        selector = self._make()
        await selector.prepare(self._rows)
        return selector


async def _taught(learner: Learner, text: str, row: int, by: str) -> None:
    try:
        await learner.learn(text, row, by=by)
    except Exception:  # noqa: BLE001 - a call succeeded; that nothing was learned from it is not its fault
        _log.exception("nothing learned from a call")
