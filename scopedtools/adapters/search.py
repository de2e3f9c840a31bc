"""The search tools of a server that has none: defined as in `ScopedServer`, over what a caller is listed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, cast

from scopedtools.adapters.shelf import Generation
from scopedtools.assembly import SEARCH_TOOLS, search_result
from scopedtools.catalog.bind import Declared, read_declarations
from scopedtools.catalog.primitives import Primitive, Tool
from scopedtools.catalog.view import View
from scopedtools.context.context import Context
from scopedtools.exceptions import ToolError
from scopedtools.protocol.results import CallResult
from scopedtools.server import ScopedServer

_LIMIT: Final = 20

_DECLARED: Final = {one.name: one for one in read_declarations(ScopedServer, inject=Context)}


def search_rows() -> tuple[Primitive, ...]:
    """Return the rows of the search tools, which cannot be called by themselves."""
    return tuple(replace(_bound(_DECLARED[name]), call=None) for name in SEARCH_TOOLS)


class SearchDesk:
    """Searches for one request.

    Args:
        generation: What there is.
        permitted: What the caller may use.
    """

    def __init__(self, generation: Generation, permitted: View) -> None:
        self._generation = generation
        self._permitted = permitted

    async def answer(self, ctx: Context, arguments: bytes) -> CallResult:
        """Answer a call of ``search_tools``; arguments that are wrong are an error that the model reads."""
        search = _bound(replace(_DECLARED[SEARCH_TOOLS[0]], function=SearchDesk.search), self)
        assert search.call is not None  # noqa: S101 - bound above
        return await search.call(ctx, arguments)

    async def search(self, query: str, limit: int = 5, *, ctx: Context) -> CallResult:
        """Find tools; see `ScopedServer.search_tools`."""
        if not 1 <= limit <= _LIMIT:
            raise ToolError(f"limit must be 1 to {_LIMIT}, got {limit}")
        catalog, policy = self._generation.catalog, self._generation.policy
        selector = await self._generation.selection.ready()
        history = await policy.history(ctx)
        within = self._permitted.bits
        ranking = await selector.search(query, within=within, limit=limit, history=history)
        if ranking.fits:
            await policy.searched(ctx, query, ranking.hits, self._permitted)
        return search_result(catalog, ranking, query=query, within=self._permitted)


def called_through(arguments: Any) -> tuple[str, dict[str, Any]]:
    """Return name and arguments of the tool that a call of ``call_tool`` is for.

    Raises:
        ToolError: There is none; the message says what to do.
    """
    asked = arguments if isinstance(arguments, dict) else {}
    name, inner = asked.get("name"), asked.get("arguments")
    if not isinstance(name, str) or not isinstance(inner, dict | None):
        raise ToolError("call_tool takes the name of a tool, a text, and its arguments, an object")
    if name in SEARCH_TOOLS:
        raise ToolError(f"call {name} directly")
    return name, inner or {}


def _bound(declared: Declared, owner: object = None) -> Tool:
    return cast("Tool", declared.bind(owner))
