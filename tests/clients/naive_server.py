"""A server that somebody might write: its lists follow the context, and it lets clients keep them.

It is all that the protocol asks for, so what goes wrong with it goes wrong with any such server.
"""

from __future__ import annotations

from typing import Any, Final

import mcp_types as types
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.lowlevel import Server
from starlette.applications import Starlette
from starlette.requests import Request

from scopedtools.protocol.meta import EXTENSION

TTL_MS: Final = 60_000

_PAGE: Final = 2
_ROWS: Final = 4


class Naive:
    """Lists tools whose names tell for which context they were listed, on two pages.

    The query of its URL says what clients may do with a list: ``?scope=private&ttl=60000``.

    Attributes:
        app: Serves it over HTTP at ``/mcp``.
        lists: How many pages it was asked for.
    """

    def __init__(self) -> None:
        self.lists = 0
        server: Server[Any] = Server("naive", on_list_tools=self._list)
        server.middleware.append(_allow_to_keep)
        self.app: Starlette = server.streamable_http_app()

    async def _list(
        self, ctx: ServerRequestContext[Any, Any], params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        self.lists += 1
        context = _context(ctx) or "nobody"
        names = [f"{context}-{number}" for number in range(_ROWS)]
        start = int(params.cursor) if params is not None and params.cursor is not None else 0
        end = start + _PAGE
        return types.ListToolsResult(
            tools=[types.Tool(name=name, input_schema={"type": "object"}) for name in names[start:end]],
            next_cursor=str(end) if end < len(names) else None,
        )


async def _allow_to_keep(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    result = await call_next(ctx)
    if ctx.method == "tools/list" and isinstance(result, dict):
        query = _http(ctx).query_params
        # Not a cache hint of the SDK, which knows `public` and `private` alone.
        return result | {"cacheScope": query["scope"], "ttlMs": int(query["ttl"])}
    return result


def _context(ctx: ServerRequestContext[Any, Any]) -> str | None:
    capabilities = ctx.session.client_capabilities
    extensions = (capabilities.extensions if capabilities is not None else None) or {}
    declared: str | None = extensions.get(EXTENSION, {}).get("contextId")
    said: Any = (ctx.meta or {}).get("clientSessionId")
    return declared or _http(ctx).headers.get("mcp-client-session-id") or said


def _http(ctx: ServerRequestContext[Any, Any]) -> Request:
    assert isinstance(ctx.request, Request)
    return ctx.request
