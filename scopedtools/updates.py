"""From one edition of a server to the next, while requests go on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from anyio import to_thread

from scopedtools.catalog.catalog import Catalog
from scopedtools.edition import Edition, Ground


class Updates:
    """Makes editions, one after the other.

    Args:
        ground: What they stand on.
        edition: The one that answers first.
        put: Lets an edition answer requests from now on.

    Attributes:
        edition: The one that answers now.
    """

    def __init__(self, ground: Ground, edition: Edition, *, put: Callable[[Edition], None]) -> None:
        self._ground = ground
        self._put = put
        self._changing = asyncio.Lock()
        self._coming: Edition | None = None
        self._running = False
        self.edition = edition

    def start(self) -> None:
        """Prepare what ranks rows, where lists are narrowed; from now on updates do so too."""
        self._running = True
        if self.edition.policy.may_narrow:
            self.edition.selection.start()

    async def stop(self) -> None:
        """Give up what is being prepared."""
        self._running = False
        if self._coming is not None:
            await self._coming.selection.withdraw()
        await self.edition.selection.stop()

    async def update(self, given: Catalog) -> None:
        """Replace the rows that the server was given; see `ScopedServer.update`."""
        async with self._changing:
            before = self.edition
            # Thousands of rows take a while to encode, and requests go on.
            after = await to_thread.run_sync(partial(_made, self._ground, given, before))
            shared = after.selection is before.selection
            if self._running and not shared and (after.policy.may_narrow or before.selection.begun):
                await self._prepare(before, after)
            self.edition = after
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


def _made(ground: Ground, given: Catalog, before: Edition) -> Edition:
    edition = Edition(ground, given, before=before)
    # What requests would have to wait for otherwise.
    catalog = edition.catalog
    _ = catalog.all.revision, catalog.costs, catalog.by_id, catalog.tags
    return edition
