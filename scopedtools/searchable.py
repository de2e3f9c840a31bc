"""The tools that lead to all others."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from scopedtools.assembly import SEARCH_TOOLS
from scopedtools.catalog.declare import tool
from scopedtools.context.context import Context
from scopedtools.edition import Edition
from scopedtools.exceptions import InvalidParamsError, ToolError
from scopedtools.hooks import Hooks
from scopedtools.protocol.results import CallResult
from scopedtools.updates import Updates


class Searchable(Hooks):
    """What stands in every narrowed list. Authors may override these tools, or set them to ``None``."""

    _updates: Updates

    @tool(read_only=True)
    async def search_tools(self, query: str, limit: int = 5, *, ctx: Context) -> CallResult:
        """Find tools that are not in your list. Says what each does and takes, enough to call it.

        Call what you find by its name, or with call_tool if your client knows only listed names.

        Args:
            query: What you want to do, in plain words.
            limit: Most tools to return, 1 to 20.
            ctx: Who asks.
        """
        return await self._edition(ctx).search(ctx, query, limit)

    @tool(task="optional", detached=False)
    async def call_tool(
        self, name: str, arguments: dict[str, Any] | None = None, *, ctx: Context
    ) -> CallResult:
        """Call a tool that search_tools found, whether or not it is in your list.

        Args:
            name: Of the tool.
            arguments: What it takes, as its inputSchema says.
            ctx: Who asks.
        """
        if name in SEARCH_TOOLS:
            raise ToolError(f"call {name} directly")
        try:
            return await self._edition(ctx).calls.run_tool(ctx, name, msgspec.json.encode(arguments or {}))
        except InvalidParamsError as error:
            raise ToolError(f"{error}; find tools with search_tools") from error

    def _edition(self, ctx: Context) -> Edition:
        """Return what answers the request of a context."""
        return cast("Edition", ctx.edition or self._updates.edition)
