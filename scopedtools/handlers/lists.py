"""Lists: permission, view, bytes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final, Literal, NamedTuple, Protocol, cast

from msgspec import Raw

from scopedtools.catalog.catalog import Catalog
from scopedtools.catalog.primitives import Kind, Primitive
from scopedtools.catalog.view import View
from scopedtools.context.context import Context
from scopedtools.context.settings import ViewSettings
from scopedtools.exceptions import InvalidParamsError
from scopedtools.protocol import meta
from scopedtools.protocol.cursor import decode_cursor, encode_cursor
from scopedtools.protocol.dispatch import Handler
from scopedtools.protocol.methods import ListParams
from scopedtools.protocol.request import Request
from scopedtools.protocol.results import (
    ListResult,
    PromptsResult,
    ResourcesResult,
    Result,
    TemplatesResult,
    ToolsResult,
)


class Hooks(Protocol):
    """The author's side, as lists see it; `ScopedServer` describes each."""

    async def permitted(self, ctx: Context, rows: View) -> View: ...
    async def listed(self, ctx: Context, permitted: View) -> View: ...


Explain = Callable[[Context, View, View], Awaitable[list[dict[str, Any]]]]
"""Takes context, permitted rows and those of a page; says why each of these is listed."""


class Cache(NamedTuple):
    """How long and for whom a client may keep a result."""

    ttl_ms: int
    scope: Literal["public", "private", "context"]


_UNCACHED: Final = Cache(0, "private")

_RESULTS: Final[Mapping[Kind, Callable[[Raw], ListResult]]] = {
    "tool": lambda rows: ToolsResult(tools=rows),
    "resource": lambda rows: ResourcesResult(resources=rows),
    "template": lambda rows: TemplatesResult(resource_templates=rows),
    "prompt": lambda rows: PromptsResult(prompts=rows),
}


class Lists:
    """Answers list requests from a catalog.

    Args:
        hooks: The author's server.
        catalog: What there is.
        search: The search tools, which narrowed lists begin with and full lists leave out.
        settings: Sizes and rules of views.
        cache: For full lists.
        explain: Says why rows are in a list.

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
    ) -> None:
        self._hooks = hooks
        self._catalog = catalog
        self._search = search
        self.rows = catalog.all - search
        self._settings = settings
        self._cache = cache
        self._explain = explain

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
        return await self._hooks.permitted(ctx, self.rows) & self.rows

    async def may_call(self, ctx: Context, ordinal: int) -> bool:
        """Tell whether a context may call a tool."""
        if ordinal in self._search:
            return True
        permitted = await self.permitted(ctx)
        if self._settings.enforce:
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
        return (await self._shown(ctx, permitted, kind)).revision

    async def _shown(self, ctx: Context, permitted: View, kind: Kind) -> View:
        listed = await self._hooks.listed(ctx, permitted)
        allowed = self._catalog.all if permitted is self.rows else permitted | self._search
        return (listed & allowed).of(kind)

    async def _list(self, request: Request, ctx: Context, kind: Kind) -> Result:
        permitted = await self.permitted(ctx)
        shown = await self._shown(ctx, permitted, kind)
        total = len(permitted.of(kind))
        narrowed = len(shown) != total or bool(shown.bits & self._search.bits)
        cache = self._cache_for(ctx, narrowed=narrowed, total=total)
        if not narrowed and not ctx.declared:
            return self._page(request, shown, kind, cache)
        view: dict[str, Any] = {"revision": shown.revision, "shown": len(shown), "total": total}
        view |= {"cacheScope": cache.scope, "ttlMs": cache.ttl_ms}
        if _holds(request, shown):
            # Whoever asked like this knows that nothing is left out; no cache in between may keep it.
            result = _result(kind, (), _UNCACHED)
            view["notModified"] = True
        else:
            result = self._page(request, shown, kind, cache)
        if request.meta.get(meta.EXPLAIN) is True:
            # A page at a time, as the rows themselves: of a large list it would be more than the list.
            page = View(self._catalog, order=shown.order[self._span(request, shown)])
            view["rows"] = await self._explain(ctx, permitted, page)
        result.meta = {meta.VIEW: view}
        return result

    def _cache_for(self, ctx: Context, *, narrowed: bool, total: int) -> Cache:
        """Tell how long and for whom a client may keep a list.

        Caches of official clients ignore the context: from there one context would get the list of another,
        or a context the full list that was asked for without one. So a list that may be another in another
        context is kept only by those who said that they tell contexts apart.
        """
        ttl_ms = self._settings.list_ttl_ms
        if not narrowed and total <= self._settings.whole_rows and self._cache.ttl_ms:
            return self._cache
        return Cache(ttl_ms, "context") if ttl_ms and ctx.caches and ctx.key is not None else _UNCACHED

    def _page(self, request: Request, shown: View, kind: Kind, cache: Cache) -> ListResult:
        span = self._span(request, shown)
        encoded = self._catalog.encoded(request.revision)
        result = _result(kind, [encoded[row] for row in shown.order[span]], cache)
        if span.stop < len(shown):
            result.next_cursor = encode_cursor(shown.revision, span.stop)
        return result

    def _span(self, request: Request, shown: View) -> slice:
        """Return which part of a list a request asks for."""
        cursor = cast("ListParams", request.params).cursor
        start = 0 if cursor is None else decode_cursor(cursor, shown.revision)
        if start and start >= len(shown):
            raise InvalidParamsError("The cursor points behind the end of the list; begin without one")
        return slice(start, start + self._settings.page_rows)


def _holds(request: Request, shown: View) -> bool:
    """Tell whether the client asks from the beginning, and said that it has this very list."""
    held = request.meta.get(meta.IF_REVISION)
    return held is not None and cast("ListParams", request.params).cursor is None and held == shown.revision


def _result(kind: Kind, rows: Iterable[bytes], cache: Cache) -> ListResult:
    result = _RESULTS[kind](Raw(b"[%b]" % b",".join(rows)))
    result.ttl_ms, result.cache_scope = cache
    return result
