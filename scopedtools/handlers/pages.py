"""What a list request is answered with: a pure function of rows, client and settings, remembered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal, NamedTuple

from msgspec import Raw

from scopedtools.catalog.catalog import Catalog
from scopedtools.catalog.primitives import Kind
from scopedtools.catalog.view import View
from scopedtools.context.settings import ViewSettings
from scopedtools.exceptions import InvalidParamsError
from scopedtools.memo import Memo, MemoOf
from scopedtools.protocol import meta
from scopedtools.protocol.cursor import decode_cursor, encode_cursor
from scopedtools.protocol.prepared import Prepared
from scopedtools.protocol.results import (
    ListResult,
    PromptsResult,
    ResourcesResult,
    Result,
    TemplatesResult,
    ToolsResult,
)
from scopedtools.protocol.revisions import Revision

_REMEMBERED: Final = 4096
_REMEMBERED_BYTES: Final = 64 * 2**20
"""Most answers that are remembered, and their size; as many of the orders that they have."""

_ROW_BYTES: Final = 40
"""What a row takes in the order of a view."""

_COPIES: Final = 2
"""Rows are kept as a handler gave them, and as a part of the answer."""


class Cache(NamedTuple):
    """How long and for whom a client may keep a result."""

    ttl_ms: int
    scope: Literal["public", "private", "context"]


class Asked(NamedTuple):
    """Everything that the answer to a list request depends on.

    Attributes:
        kind: Of the rows.
        revision: That the request speaks.
        permitted: What the context may use.
        listed: What it is shown, as far as that is permitted.
        declared: Whether the client knows our extension.
        keeps: Whether the client keeps results by context, and named one.
        cursor: Where the page begins, or ``None`` for the beginning.
        held: Revision of the list that the client has, or ``None``.
        degraded: Whether what is kept of the context could not be reached, so that its list may be another.
    """

    kind: Kind
    revision: Revision
    permitted: View
    listed: View
    declared: bool
    keeps: bool
    cursor: str | None = None
    held: str | None = None
    degraded: bool = False


_UNCACHED: Final = Cache(0, "private")

_RESULTS: Final[Mapping[Kind, Callable[[Raw], ListResult]]] = {
    "tool": lambda rows: ToolsResult(tools=rows),
    "resource": lambda rows: ResourcesResult(resources=rows),
    "template": lambda rows: TemplatesResult(resource_templates=rows),
    "prompt": lambda rows: PromptsResult(prompts=rows),
}


class Pages:
    """Makes pages of lists.

    Args:
        catalog: What there is.
        rows: All rows but the search tools.
        search: The search tools, which narrowed lists begin with and full lists leave out.
        settings: Sizes and rules of views.
        cache: For full lists.
    """

    def __init__(
        self, catalog: Catalog, *, rows: View, search: View, settings: ViewSettings, cache: Cache
    ) -> None:
        self._catalog = catalog
        self._rows = rows
        self._search = search
        self._settings = settings
        self._cache = cache
        self._shown: MemoOf[View] = MemoOf(max_items=_REMEMBERED, max_bytes=_REMEMBERED_BYTES)
        self._made: Memo[Prepared] = Memo(max_items=_REMEMBERED, max_bytes=_REMEMBERED_BYTES)

    def answer(self, asked: Asked) -> Prepared | ListResult:
        """Return the answer to a request, the one that was made before wherever it asks for the same.

        Raises:
            InvalidParamsError: The cursor is of another list, or points behind the end of this one.
        """
        permitted, listed = asked.permitted, asked.listed
        if asked.cursor is not None or asked.held is not None or not permitted.lasting:
            return self.make(asked)
        # Contexts with the same rows share what they are answered.
        rows = id(listed) if listed.lasting else listed.order
        asking = (asked.kind, asked.revision.name, asked.declared, asked.keeps, asked.degraded)
        key = (rows, id(permitted), *asking)
        made = self._made.get(key)
        if made is not None:
            return made
        result = self.make(asked)
        if not self._made.admits(key):
            return result
        size_bytes = _COPIES * _size_bytes(result)
        return self._made.put(
            key, Prepared(result, asked.revision), size_bytes=size_bytes, holds=(permitted, listed)
        )

    def shown(self, asked: Asked) -> View:
        """Return the rows of the whole list, in order."""
        kind, permitted, listed = asked.kind, asked.permitted, asked.listed
        if not (listed.lasting and permitted.lasting):
            return self._allowed(permitted, listed).of(kind)
        # A whole list is asked for page by page, and its order is long to find.
        shown = self._shown.get(kind, permitted, listed)
        if shown is None:
            shown = View(self._catalog, order=self._allowed(permitted, listed).of(kind).order)
            self._shown.put(shown, kind, permitted, listed, size_bytes=_ROW_BYTES * len(shown))
        return shown

    def _allowed(self, permitted: View, listed: View) -> View:
        return listed & (self._catalog.all if permitted is self._rows else permitted | self._search)

    def page(self, asked: Asked) -> View:
        """Return the rows of the page that is asked for, in order."""
        shown = self.shown(asked)
        return View(self._catalog, order=shown.order[self._span(asked, shown)])

    def make(self, asked: Asked) -> ListResult:
        """Make the answer to a request; see `answer`."""
        shown = self.shown(asked)
        total = len(asked.permitted.of(asked.kind))
        narrowed = len(shown) != total or shown.meets(self._search)
        cache = self._cache_for(asked, narrowed=narrowed, total=total)
        if not narrowed and not asked.declared:
            return self._result(asked, shown, cache)
        view: dict[str, Any] = {"revision": shown.revision, "shown": len(shown), "total": total}
        view |= {"cacheScope": cache.scope, "ttlMs": cache.ttl_ms}
        if narrowed and asked.degraded:
            view["degraded"] = True
        if asked.held == shown.revision and asked.cursor is None:
            # Whoever asked like this knows that nothing is left out; no cache in between may keep it.
            result = _result(asked.kind, (), _UNCACHED)
            view["notModified"] = True
        else:
            result = self._result(asked, shown, cache)
        result.meta = {meta.VIEW: view}
        return result

    def _cache_for(self, asked: Asked, *, narrowed: bool, total: int) -> Cache:
        """Tell how long and for whom a client may keep a list.

        Caches of official clients ignore the context: from there one context would get the list of another,
        or a context the full list that was asked for without one. So a list that may be another in another
        context is kept only by those who said that they tell contexts apart.
        """
        ttl_ms = self._settings.list_ttl_ms
        if not narrowed and total <= self._settings.whole_rows and self._cache.ttl_ms:
            return self._cache
        return Cache(ttl_ms, "context") if ttl_ms and asked.keeps and not asked.degraded else _UNCACHED

    def _result(self, asked: Asked, shown: View, cache: Cache) -> ListResult:
        result = _result(asked.kind, self._on_page(asked, shown), cache)
        end = self._span(asked, shown).stop
        if end < len(shown):
            result.next_cursor = encode_cursor(shown.revision, end)
        return result

    def _on_page(self, asked: Asked, shown: View) -> list[bytes]:
        encoded = self._catalog.encoded(asked.revision)
        return [encoded[row] for row in shown.order[self._span(asked, shown)]]

    def _span(self, asked: Asked, shown: View) -> slice:
        """Return which part of a list a request asks for."""
        start = 0 if asked.cursor is None else decode_cursor(asked.cursor, shown.revision)
        if start and start >= len(shown):
            raise InvalidParamsError("The cursor points behind the end of the list; begin without one")
        return slice(start, start + self._settings.page_rows)


def _size_bytes(result: Result) -> int:
    fields = (getattr(result, name) for name in result.__struct_fields__)
    return sum(len(field) for field in fields if isinstance(field, Raw))


def _result(kind: Kind, rows: Iterable[bytes], cache: Cache) -> ListResult:
    result = _RESULTS[kind](Raw(b"[%b]" % b",".join(rows)))
    result.ttl_ms, result.cache_scope = cache
    return result
