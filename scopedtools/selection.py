"""Brings a selector to life beside the requests, once for each catalog."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Sequence
from typing import Final, Literal, Protocol, TypeAlias, runtime_checkable

from scopedtools.exceptions import ToolError
from scopedtools.tenure import Tenure
from scopedtools.types import Describable, Learner, Selector, Successor

_LESSONS: Final = 64
"""Calls that wait to be learned from, at most."""

_log: Final = logging.getLogger(__name__)

State: TypeAlias = Literal["idle", "preparing", "ready", "failed"]
"""Of the preparation of a selector."""


@runtime_checkable
class Rereadable(Protocol):
    """What a `Selector` is besides, if it is kept somewhere where others may replace it."""

    async def reread(self, rows: Sequence[Describable]) -> Selector:
        """Return a prepared selector of rows from what is kept now, while this one goes on answering."""
        ...


@runtime_checkable
class Preloadable(Protocol):
    """What a `Selector` is besides, if it can load ahead what processes share that are forked from here."""

    def preload(self, rows: Sequence[Describable]) -> None:
        """Load what ``prepare`` would load for these rows, as far as it outlives a fork."""
        ...


class Selection:
    """A selector of one catalog, and its preparation.

    Loading a model takes seconds, so it runs as a task: whoever needs a ranking waits for it, everybody
    else is served meanwhile.

    Args:
        make: Makes the selector; called when it is first needed.
        rows: What it ranks.
        before: That of the catalog before, which goes on answering.
        anew: Read again what is kept of the one before, as others may have replaced it.
        lessons: What is being learned, of all catalogs together.
    """

    def __init__(
        self,
        make: Callable[[], Selector],
        rows: Sequence[Describable],
        *,
        before: Selection | None = None,
        anew: bool = False,
        lessons: set[asyncio.Task[None]] | None = None,
    ) -> None:
        self._make = make
        self._rows = rows
        self._before = before
        self._anew = anew
        self._task: asyncio.Task[Selector | None] | None = None
        self._waiting = 0
        self._retired = False
        self._skipped = False
        self._under_way = False
        self._made: Selector | None = None
        self._lessons: set[asyncio.Task[None]] = set() if lessons is None else lessons

    def next(self, rows: Sequence[Describable], *, anew: bool = False) -> Selection:
        """Return the selection of another catalog, which shares what it can with this one.

        Args:
            rows: Of that catalog.
            anew: Read again what is kept, instead of sharing it.
        """
        before = self if self.begun else self._before
        return Selection(self._make, rows, before=before, anew=anew, lessons=self._lessons)

    def preload(self) -> None:
        """Make the selector, and have it load what processes share that are forked from here."""
        self._made = self._make()
        if isinstance(self._made, Preloadable):
            self._made.preload(self._rows)

    def start(self) -> None:
        """Begin to prepare, unless that has begun.

        Raises:
            ToolError: It is too late for that.
        """
        gone = self._task is None or self._task.cancelled()  # with the event loop that it began in
        if self._skipped or (gone and self._retired):
            raise ToolError("The catalog was replaced, try again")
        if gone:
            self._task = asyncio.create_task(self._prepare(), name="prepare selector")

    async def ready(self) -> Selector:
        """Return the selector once it is prepared.

        Raises:
            Exception: Whatever preparation failed with.
        """
        self.start()
        assert self._task is not None  # noqa: S101 - start made it
        self._waiting += 1
        try:
            prepared = await asyncio.shield(self._task)
        finally:
            self._waiting -= 1
        assert prepared is not None  # noqa: S101 - one that somebody waits for is not skipped
        return prepared

    @property
    def begun(self) -> bool:
        """Whether it is prepared, or about to be."""
        return self._task is not None

    @property
    def answers(self) -> bool:
        """Whether it is prepared."""
        return self._prepared is not None

    @property
    def state(self) -> State:
        """How its preparation is."""
        task = self._task
        if task is None or task.cancelled():
            return "idle"
        if not task.done():
            return "preparing"
        return "ready" if task.exception() is None else "failed"

    @property
    def rereads(self) -> bool:
        """Whether preparing it for the same rows again may give another: it is kept elsewhere, or failed."""
        return self.state == "failed" or isinstance(self._prepared, Rereadable)

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

    def retire(self) -> None:
        """Begin nothing from now on: there is one of a later catalog, which may have the selector.

        Where this one still waits for the one before, and nobody for this one, it is left out: catalogs that
        come faster than selectors are prepared would queue up otherwise, each with its rows.
        """
        self._retired = True
        if self._task is not None and self._before is not None and not self._waiting and not self._under_way:
            self._skipped, self._rows = True, ()

    async def withdraw(self) -> None:
        """Give up, so that the one before answers as if there had been no other."""
        prepared = self._prepared
        await self._give_up()
        if isinstance(prepared, Tenure):
            await prepared.give_back()

    async def stop(self) -> None:
        """Give up a preparation that is under way; learn what waits to be learned."""
        await self._give_up()
        before, self._before = self._before, None
        if before is not None:
            await before.stop()
        await asyncio.gather(*self._lessons)

    async def _give_up(self) -> None:
        task, self._task = self._task, None
        if task is not None and not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @property
    def _prepared(self) -> Selector | None:
        task = self._task
        if self._skipped or task is None or not task.done() or task.cancelled():
            return None
        return None if task.exception() is not None else task.result()

    def _learner(self) -> Learner | None:
        prepared = self._prepared
        if prepared is None:
            return None
        selector = prepared.selector if isinstance(prepared, Tenure) else prepared
        # Whether it is a `Learner` takes longer to find out than a call does; most do not learn.
        learns = getattr(selector, "learns", False)
        return selector if learns and isinstance(selector, Learner) else None

    async def _prepare(self) -> Selector | None:
        earlier = await self._before.settled() if self._before is not None else None
        if self._skipped:
            self._before = None
            return earlier
        self._under_way = True
        prepared = await self._following(earlier)
        self._before = None  # it may go now
        return prepared

    async def _following(self, earlier: Selector | None) -> Selector:
        if self._anew and isinstance(earlier, Rereadable):
            return await earlier.reread(self._rows)
        if isinstance(earlier, Successor):
            return await earlier.succeed(self._rows)
        selector = self._made or self._make()
        if isinstance(earlier, Tenure) and earlier.selector is selector:
            return await earlier.hand_over(self._rows)
        await selector.prepare(self._rows)
        return selector if isinstance(selector, Successor) else Tenure(selector, self._rows)

    async def settled(self) -> Selector | None:
        """Return the selector once it is prepared, or the one before; ``None`` where there is none."""
        if self._task is not None and not self._task.cancelled():
            try:
                return await asyncio.shield(self._task)
            except Exception:  # noqa: BLE001 - who asked for it was told
                _log.debug("the selector of an earlier catalog failed", exc_info=True)
        return await self._before.settled() if self._before is not None else None


async def _taught(learner: Learner, text: str, row: int, by: str) -> None:
    try:
        await learner.learn(text, row, by=by)
    except Exception:  # noqa: BLE001 - a call succeeded; that nothing was learned from it is not its fault
        _log.exception("nothing learned from a call")
