"""Lists: permission, view, page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, Final, Protocol, cast

from scopedtools.catalog.catalog import Catalog
from scopedtools.catalog.primitives import Kind, Primitive
from scopedtools.catalog.view import View
from scopedtools.context.context import Context
from scopedtools.context.settings import ViewSettings
from scopedtools.handlers.pages import Asked, Cache, Pages
from scopedtools.protocol import meta
from scopedtools.protocol.gate import Handler
from scopedtools.protocol.methods import ListParams
from scopedtools.protocol.prepared import Prepared
from scopedtools.protocol.request import Request
from scopedtools.protocol.results import Result
from scopedtools.protocol.revisions import LATEST
from scopedtools.storage import Degradable


class Hooks(Protocol):
    """The author's side, as lists see it; `ScopedServer` describes each."""

    async def permitted(self, ctx: Context, rows: View) -> View: ...
    async def listed(self, ctx: Context, permitted: View) -> View: ...


Explain = Callable[[Context, View, View], Awaitable[list[dict[str, Any]]]]
"""Takes context, permitted rows and those of a page; says why each of these is listed."""


class _Steady:
    is_degraded = False


_STEADY: Final = _Steady()


class Lists:
    """Answers list requests from a catalog.

    Args:
        hooks: The author's server.
        catalog: What there is.
        search: The search tools, which narrowed lists begin with and full lists leave out.
        settings: Sizes and rules of views.
        cache: For full lists.
        explain: Says why rows are in a list.
        store: Keeps what contexts were shown; lists say so where it goes on without its engine.

    Attributes:
        rows: All rows but the search tools.
    """

    def __init__(
        self,
        hooks: Hooks,
        catalog: Catalog,
        *,
        search: View,
        settings: ViewSettings,
        cache: Cache,
        explain: Explain,
        store: object = None,
    ) -> None:
        self._hooks = hooks
        self._catalog = catalog
        self._search = search
        self.rows = catalog.all - search
        self._enforce = settings.enforce
        self._pages = Pages(catalog, rows=self.rows, search=search, settings=settings, cache=cache)
        self._explain = explain
        self._store: Degradable = store if isinstance(store, Degradable) else _STEADY

    def table(self) -> dict[str, Handler]:
        """Return the handler of each method."""
        return {
            "tools/list": partial(self._list, kind="tool"),
            "resources/list": partial(self._list, kind="resource"),
            "resources/templates/list": partial(self._list, kind="template"),
            "prompts/list": partial(self._list, kind="prompt"),
        }

    async def permitted(self, ctx: Context) -> View:
        """Return the rows that a context may use, without the search tools."""
        allowed = await self.allowed(ctx)
        if not self._catalog.has_scopes:
            return allowed
        locked = self._catalog.locked(ctx.has_scopes)
        return allowed - locked if locked else allowed

    async def allowed(self, ctx: Context) -> View:
        """Return the rows that the author lets a context use, whatever scopes they need."""
        allowed = await self._hooks.permitted(ctx, self.rows)
        return allowed if allowed is self.rows else allowed & self.rows

    async def may_call(self, ctx: Context, ordinal: int) -> bool:
        """Tell whether a context may call a tool."""
        if ordinal in self._search:
            return True
        permitted = await self.permitted(ctx)
        if self._enforce:
            return ordinal in permitted & await self._hooks.listed(ctx, permitted)
        return ordinal in permitted

    async def readable(self, ctx: Context, uris: Iterable[str]) -> dict[str, Primitive]:
        """Return those of the URIs at which there is something that a context may read, with what is read."""
        permitted = await self.permitted(ctx)
        rows: dict[str, Primitive] = {}
        for uri in uris:
            for ordinal, _ in self._catalog.resources_at(uri):
                if ordinal in permitted:
                    rows.setdefault(uri, self._catalog.rows[ordinal])
        return rows

    async def revision(self, ctx: Context, kind: Kind) -> str:
        """Return the revision of the list that a context would get now."""
        permitted = await self.permitted(ctx)
        asked = Asked(kind, LATEST, permitted, await self._hooks.listed(ctx, permitted), ctx.declared, False)
        return self._pages.shown(asked).revision

    async def _list(self, request: Request, ctx: Context, kind: Kind) -> Prepared | Result:
        permitted = await self.permitted(ctx)
        listed = await self._hooks.listed(ctx, permitted)
        held = request.meta.get(meta.IF_REVISION)
        asked = Asked(
            kind,
            request.revision,
            permitted,
            listed,
            ctx.declared,
            ctx.key is not None and ctx.caches,
            cast("ListParams", request.params).cursor,
            held if isinstance(held, str) else None,
            ctx.key is not None and self._store.is_degraded,
        )
        if request.meta.get(meta.EXPLAIN) is True:
            return await self._explained(ctx, asked)
        return self._pages.answer(asked)

    async def _explained(self, ctx: Context, asked: Asked) -> Result:
        """Answer a request, and say why each row is there."""
        result = self._pages.make(asked)
        if result.meta:
            # A page at a time, as the rows themselves: of a large list it would be more than the list.
            page = self._pages.page(asked)
            result.meta[meta.VIEW]["rows"] = await self._explain(ctx, asked.permitted, page)
        return result
