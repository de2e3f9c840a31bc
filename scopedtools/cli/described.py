"""Tools that a file describes, beside a server's own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

from anyio import to_thread

from scopedtools.catalog.catalog import Catalog
from scopedtools.mounts import Changed


class CatalogFile:
    """The tools of a JSON-lines file, as a `scopedtools.mounts.Source` that can be read again.

    Args:
        path: See `Catalog.from_jsonl`.

    Attributes:
        catalog: What it had when it was read last.

    Raises:
        CatalogError: It cannot be read.
    """

    is_bound_to_process = False
    may_change = False

    def __init__(self, path: str) -> None:
        self._path = path
        self._changed: Changed | None = None
        self.catalog = Catalog.from_jsonl(path)

    @asynccontextmanager
    async def running(self, changed: Changed) -> AsyncIterator[None]:
        """Be told whom to tell."""
        self._changed = changed
        yield

    async def read_again(self) -> Callable[[], Awaitable[None]]:
        """Read the file again; see `scopedtools.mounts.Reloadable`.

        Raises:
            CatalogError: It cannot be read.
        """
        return partial(self._become, await to_thread.run_sync(Catalog.from_jsonl, self._path))

    async def _become(self, catalog: Catalog) -> None:
        if self._changed is not None and catalog.version != self.catalog.version:
            await self._changed(catalog)
        self.catalog = catalog
