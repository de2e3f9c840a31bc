"""OAuth scopes: what a caller lacks for the row that its request names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from scopedtools.catalog.catalog import Catalog
from scopedtools.context.context import ContextResolver
from scopedtools.handlers.calls import reference
from scopedtools.handlers.lists import Lists
from scopedtools.protocol.methods import CallParams, CompleteParams, GetPromptParams, ReadParams
from scopedtools.protocol.request import Request

_NOTHING: Final[frozenset[str]] = frozenset()


class Scopes:
    """Tells HTTP which scopes to ask for, before a request runs.

    Only that: `Lists.permitted` keeps the caller from such rows, whoever asks here or does not.

    Args:
        catalog: What there is.
        lists: Tells what a context may use.
        resolver: Tells which context is asking.
        enforce: Whether tools outside the view are unknown, as in `ViewSettings`.
    """

    def __init__(self, catalog: Catalog, *, lists: Lists, resolver: ContextResolver, enforce: bool) -> None:
        self._catalog = catalog
        self._lists = lists
        self._resolver = resolver
        self._enforce = enforce

    async def lacking(self, request: Request) -> frozenset[str]:
        """Return all scopes of what a request names, where nothing else keeps the caller from it.

        Nothing, where no scope is missing, and where the row would be unknown with all scopes too.
        """
        if not self._catalog.has_scopes:
            return _NOTHING
        rows = self._catalog.rows
        granted = request.ingress.principal.scopes
        named = tuple(self._ordinals(request))
        if all(rows[ordinal].scopes <= granted for ordinal in named):
            return _NOTHING
        allowed = await self._lists.allowed(self._resolver.resolve(request))
        needed = [rows[ordinal].scopes for ordinal in named if ordinal in allowed]
        return _NOTHING if any(scopes <= granted for scopes in needed) else next(iter(needed), _NOTHING)

    def _ordinals(self, request: Request) -> Iterator[int]:
        """Yield the rows that a request names; of several the first that is permitted counts."""
        params = request.params
        found: int | None = None
        if isinstance(params, CallParams) and not self._enforce:
            found = self._catalog.find("tool", request.tool or params.name)
        elif isinstance(params, ReadParams):
            yield from (ordinal for ordinal, _ in self._catalog.resources_at(params.uri))
        elif isinstance(params, GetPromptParams):
            found = self._catalog.find("prompt", params.name)
        elif isinstance(params, CompleteParams):
            found = self._catalog.find(*reference(params.ref))
        if found is not None:
            yield found
