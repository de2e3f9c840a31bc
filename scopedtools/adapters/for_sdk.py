"""Context views for servers of the official SDK (``mcp`` 2.3 or later), as a middleware.

::

    server = MCPServer("shop", middleware=[ScopedViews()])

    server = Server("shop", on_list_tools=..., on_call_tool=...)
    server.middleware.append(ScopedViews())

The lists of a request that names its context are narrowed to what the context needs, ``search_tools`` and
``call_tool`` lead to the rest. A request that names none gets what the server lists.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any, Final, NamedTuple, TypeAlias, Unpack

import msgspec

from scopedtools.exceptions import MissingDependencyError

try:
    from mcp.server.context import CallNext, ServerRequestContext
except ImportError as error:
    raise MissingDependencyError(
        'this adapter needs mcp 2.3 or later; run pip install "scopedtools[client]"'
    ) from error

from mcp.shared.exceptions import MCPError
from msgspec import Raw
from pydantic import BaseModel

from scopedtools.adapters.asked import Asked, encoded
from scopedtools.adapters.rows import FIELDS, LISTS, Definition
from scopedtools.adapters.search import called_through
from scopedtools.adapters.views import Options, Views
from scopedtools.assembly import SEARCH_TOOLS
from scopedtools.catalog.convert import text_result
from scopedtools.exceptions import InternalError, InvalidParamsError, ProtocolError, ToolError
from scopedtools.handlers.pages import Cache
from scopedtools.protocol.meta import SERVER_INFO
from scopedtools.protocol.request import CALL_TOOL
from scopedtools.protocol.results import Result, stamp

_PAGES: Final = 1000
"""A list of more pages is taken for one that never ends."""

_NOTHING: Final = Raw(b"{}")

_Host: TypeAlias = ServerRequestContext[Any, Any]

_Wire: TypeAlias = dict[str, Any]


class ScopedViews:
    """Shows each context what it needs of what an MCP server of the official SDK lists.

    What the server lists for a request, after middleware that stands behind this one, is what that request
    may use; so put it before middleware that filters by authorization. Headers that mirror arguments are
    checked of tools that are shown: a client cannot know those of others.

    Args:
        **options: See `scopedtools.adapters.views.Options`.
    """

    def __init__(self, **options: Unpack[Options]) -> None:
        self._views = Views(options)
        self._handlers: dict[str, Callable[[_Host, CallNext], Awaitable[Any]]] = {
            **dict.fromkeys(LISTS, self._list),
            "tools/call": self._call,
            "server/discover": self._introduce,
            "initialize": self._introduce,
        }

    async def __call__(self, ctx: _Host, call_next: CallNext) -> Any:
        """Answer a request, or let the server answer it; the middleware protocol of the SDK."""
        handler = self._handlers.get(ctx.method)
        if handler is None or ctx.request_id is None:
            return await call_next(ctx)
        try:
            return await handler(ctx, call_next)
        except ProtocolError as error:
            raise MCPError(error.code, error.message, error.data) from error

    async def _list(self, ctx: _Host, call_next: CallNext) -> Any:
        asking = self._views.asked(ctx, ctx.method, ctx.params)
        if not self._views.may_differ(asking.ctx):
            return self._unkept(asking, _wire(await call_next(ctx)))
        everything = await _everything(ctx, call_next)
        result = await self._views.listed(asking, everything.definitions, cache=everything.cache)
        if result is not None:
            return everything.stamped(result, asking)
        return self._unkept(asking, everything.only or _wire(await call_next(ctx)))

    def _unkept(self, asking: Asked, answer: _Wire) -> _Wire:
        """Return an answer of the server such that no client keeps it for another context.

        Caches of official clients take no notice of contexts, so nobody may keep a list that may be another
        list in a context.
        """
        definitions = answer.get(FIELDS[LISTS[asking.request.method.name]]) or ()
        is_part = "nextCursor" in answer or getattr(asking.request.params, "cursor", None) is not None
        if "ttlMs" in answer and (is_part or len(definitions) > self._views.settings.whole_rows):
            return answer | {"ttlMs": 0, "cacheScope": "private"}
        return answer

    async def _call(self, ctx: _Host, call_next: CallNext) -> Any:
        asking = self._views.asked(ctx, ctx.method, ctx.params)
        params = dict(ctx.params or {})
        name = params["name"]
        if name == SEARCH_TOOLS[0]:
            everything = await _everything(_listing(ctx), call_next)
            arguments = encoded(params.get("arguments") or {})
            found = await self._views.search(asking, everything.definitions, arguments)
            return everything.stamped(found, asking)
        if name == CALL_TOOL:
            try:
                name, arguments_ = called_through(params.get("arguments"))
            except ToolError as error:
                everything = await _everything(_listing(ctx), call_next)
                return everything.stamped(text_result(str(error), is_error=True), asking)
            ctx = replace(ctx, params=params | {"name": name, "arguments": arguments_})
        if self._views.settings.enforce:
            everything = await _everything(_listing(ctx), call_next)
            if not await self._views.may_call(asking, everything.definitions, name):
                raise InvalidParamsError(f"Unknown tool: {name!r}")
        result = _wire(await call_next(ctx))
        if not result.get("isError") and result.get("resultType", "complete") == "complete":
            await self._views.called(asking, name)
        return result

    async def _introduce(self, ctx: _Host, call_next: CallNext) -> Any:
        """Let the server introduce itself, with our extension."""
        answer = _wire(await call_next(ctx))
        # Earlier revisions have no field for extensions.
        field = "experimental" if ctx.method == "initialize" else "extensions"
        capabilities = dict(answer.get("capabilities") or {})
        capabilities[field] = {**(capabilities.get(field) or {}), **self._views.extensions}
        return answer | {"capabilities": capabilities}


class _Everything(NamedTuple):
    """All that a server lists for a request.

    Attributes:
        definitions: Of all pages.
        first: The first page.
        only: The same, if there is no other.
    """

    definitions: list[Definition]
    first: _Wire
    only: _Wire | None

    @property
    def cache(self) -> Cache:
        """How long and for whom clients may keep it."""
        return Cache(self.first.get("ttlMs", 0), self.first.get("cacheScope", "private"))

    def stamped(self, result: Result, asking: Asked) -> _Wire:
        """Return a result of ours as the server would write it."""
        own = self.first.get("_meta") or {}
        info = Raw(msgspec.json.encode(own[SERVER_INFO])) if SERVER_INFO in own else _NOTHING
        request, ctx = asking
        wire: _Wire = msgspec.json.decode(
            msgspec.json.encode(stamp(result, request.revision, info, ctx.echo))
        )
        return wire


async def _everything(ctx: _Host, call_next: CallNext) -> _Everything:
    field = FIELDS[LISTS[ctx.method]]
    pages = [page async for page in _pages(ctx, call_next)]
    definitions = [definition for page in pages for definition in page[field]]
    return _Everything(definitions, pages[0], pages[0] if len(pages) == 1 else None)


async def _pages(ctx: _Host, call_next: CallNext) -> AsyncIterator[_Wire]:
    params = {name: value for name, value in (ctx.params or {}).items() if name != "cursor"}
    for _ in range(_PAGES):
        page = _wire(await call_next(replace(ctx, params=params)))
        yield page
        if page.get("nextCursor") is None:
            return
        params = params | {"cursor": page["nextCursor"]}
    raise InternalError(f"{ctx.method} has more than {_PAGES} pages")


def _listing(ctx: _Host) -> _Host:
    """Return a request for the tools, made in the name of a call."""
    meta = (ctx.params or {}).get("_meta")
    return replace(ctx, method="tools/list", params={} if meta is None else {"_meta": meta})


def _wire(result: Any) -> _Wire:
    """Return a result as it goes out; a middleware may return a model."""
    if isinstance(result, BaseModel):
        return result.model_dump(by_alias=True, mode="json", exclude_none=True)
    return dict(result or {})
