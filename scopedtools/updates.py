"""From one edition of a server to the next, while requests go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from anyio import to_thread

from scopedtools.catalog.catalog import Catalog
from scopedtools.edition import Edition, Ground
from scopedtools.health import Ranking
from scopedtools.mounts import Composition, Reloadable, Source, held


class Updates:
    """Makes editions, one after the other.

    Args:
        ground: What they stand on.
        given: Rows that the author gave.
        put: Lets an edition answer requests from now on.

    Attributes:
        edition: The one that answers now.
    """

    def __init__(self, ground: Ground, given: Catalog, *, put: Callable[[Edition], None]) -> None:
        self._ground = ground
        self._put = put
        self._composition = Composition(ground.own, given.rows)
        self._changing = asyncio.Lock()
        self._coming: Edition | None = None
        self._running = False
        self._rereads = False
        self.edition = Edition(ground, self._composition.rows)

    @property
    def is_bound_to_process(self) -> bool:
        """Whether what is mounted is; see `Source`."""
        return any(one.source.is_bound_to_process for one in self._composition.mounted)

    def mount(self, source: Source, prefix: str) -> None:
        """Add the rows of a source, before the server starts; see `ScopedServer.mount`."""
        composition = self._composition.mounting(source, prefix)
        self.edition = Edition(self._ground, composition.rows)
        self._composition = composition
        self._put(self.edition)

    def begin(self) -> None:
        """Prepare what ranks rows beside the rest of the start, unless sources say first what they have."""
        if not self._composition.mounted:
            self._start_selection()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Hold what is mounted, and prepare what ranks rows where lists are narrowed."""
        sources = [
            one.source.running(partial(self._source_changed, place))
            for place, one in enumerate(self._composition.mounted)
        ]
        async with held(sources):
            # After they said what they have: one preparation for all of them.
            self._running = True
            self._start_selection()
            yield

    def _start_selection(self) -> None:
        """Prepare what ranks rows, where lists are narrowed, unless that has begun."""
        if self.edition.policy.may_narrow:
            self.edition.selection.start()

    async def stop(self) -> None:
        """Give up what is being prepared."""
        self._running = False
        if self._coming is not None:
            await self._coming.selection.withdraw()
        await self.edition.selection.stop()

    @property
    def ranking(self) -> Ranking:
        """How what ranks rows is, as far as lists wait for it."""
        state = self.edition.selection.state
        if state == "ready":
            return "ready"
        if state == "failed":
            return "failed"
        return "preparing" if self.edition.policy.may_narrow else "not needed"

    async def reload(self) -> None:
        """Read again what sources were made of, and the saved index; see `ScopedServer.reload`."""
        sources = [one.source for one in self._composition.mounted]
        # All are read before the first takes effect: where one cannot be, nothing changes.
        effects = [await one.read_again() for one in sources if isinstance(one, Reloadable)]
        before = self.edition
        self._rereads = True
        try:
            for take_effect in effects:
                await take_effect()
            if self.edition is before:
                await self._change(lambda composition: composition)
        finally:
            self._rereads = False

    async def update(self, given: Catalog) -> None:
        """Replace the rows that the server was given; see `ScopedServer.update`."""
        await self._change(lambda composition: composition.giving(given))

    async def _source_changed(self, place: int, catalog: Catalog) -> None:
        await self._change(lambda composition: composition.changing(place, catalog))

    async def _change(self, change: Callable[[Composition], Composition]) -> None:
        async with self._changing:
            before = self.edition
            # Thousands of rows take a while to encode, and requests go on.
            composition, after = await to_thread.run_sync(
                partial(_changed, self._ground, self._composition, change, before, anew=self._rereads)
            )
            shared = after.selection is before.selection
            if self._running and not shared and (after.policy.may_narrow or before.selection.begun):
                await self._prepare(before, after)
            self._composition, self.edition = composition, after
            self._put(after)
            if not shared:
                before.selection.retire()
        await self._ground.listeners.lists_changed()

    async def _prepare(self, before: Edition, after: Edition) -> None:
        answers = before.selection.answers
        after.selection.start()
        if not answers:
            return  # nothing could answer meanwhile: whoever needs a ranking waits, as when a server starts
        self._coming = after
        try:
            await after.selection.ready()
        except BaseException as error:
            await after.selection.withdraw()
            if isinstance(error, asyncio.CancelledError) and not self._running:
                raise RuntimeError("the server stopped before the new catalog was ready") from error
            raise
        finally:
            self._coming = None


def _changed(
    ground: Ground,
    composition: Composition,
    change: Callable[[Composition], Composition],
    before: Edition,
    *,
    anew: bool,
) -> tuple[Composition, Edition]:
    changed = change(composition)
    edition = Edition(ground, changed.rows, before=before, anew=anew)
    edition.catalog.preload()
    return changed, edition
