"""What each method of the protocol does: permission, view, bytes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, Protocol, cast

from msgspec import UNSET, Raw

from scopedtools.catalog.catalog import Catalog
from scopedtools.catalog.convert import text_result
from scopedtools.catalog.primitives import KINDS, Kind, Prompt, Resource, ResourceTemplate, Tool
from scopedtools.catalog.view import View
from scopedtools.context.context import Context, ContextResolver
from scopedtools.context.policy import ViewSettings
from scopedtools.exceptions import InvalidParamsError, ProtocolError
from scopedtools.protocol import meta
from scopedtools.protocol.cursor import decode_cursor, encode_cursor
from scopedtools.protocol.dispatch import Handler, log_unexpected
from scopedtools.protocol.request import Request
from scopedtools.protocol.methods import CallParams, GetPromptParams, InitializeParams, ListParams, ReadParams
from scopedtools.protocol.results import (
    CallResult,
    DiscoverResult,
    InitializeResult,
    ListResult,
    PromptResult,
    PromptsResult,
    ReadResult,
    ResourcesResult,
    Result,
    TemplatesResult,
    ToolsResult,
)
from scopedtools.protocol.revisions import REVISIONS, negotiate


class Hooks(Protocol):
    """The author's side, as the handlers see it; `ScopedServer` describes each."""

    async def permitted(self, ctx: Context, rows: View) -> View: ...
    async def listed(self, ctx: Context, permitted: View) -> View: ...


Explain = Callable[[Context, View, View], Awaitable[list[dict[str, Any]]]]
"""Takes context, permitted and listed rows; says why each listed row is in."""


class Cache(NamedTuple):
    """How long and for whom a client may keep a result."""

    ttl_ms: int
    scope: Literal["public", "private"]


_UNCACHED: Final = Cache(0, "private")
"""Official clients keep lists without regard to the context, so a narrowed one must not be kept at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What the server says of itself.

    Attributes:
        info: Name and version.
        instructions: For the model, or ``None``.
        extension: Settings of our extension.
        cache: For what is the same in every context.
    """

    info: Mapping[str, Any]
    instructions: str | None
    extension: Mapping[str, Any]
    cache: Cache


_RESULTS: Final[Mapping[Kind, Callable[[Raw], ListResult]]] = {
    "tool": lambda rows: ToolsResult(tools=rows),
    "resource": lambda rows: ResourcesResult(resources=rows),
    "template": lambda rows: TemplatesResult(resource_templates=rows),
    "prompt": lambda rows: PromptsResult(prompts=rows),
}


class Handlers:
    """Answers requests from a catalog.

    Args:
        hooks: The author's server.
        catalog: What there is.
        search: The search tools, which narrowed lists begin with and full lists leave out.
        resolver: Tells which context is asking.
        settings: Sizes and rules of views.
        about: What the server says of itself.
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
        resolver: ContextResolver,
        settings: ViewSettings,
        about: About,
        explain: Explain,
    ) -> None:
        self._hooks = hooks
        self._catalog = catalog
        self._search = search
        self.rows = catalog.all - search
        self._resolver = resolver
        self._settings = settings
        self._about = about
        self._explain = explain

    def table(self) -> dict[str, Handler]:
        """Return the handler of each method."""
        return {
            "server/discover": self._discover,
            "initialize": self._initialize,
            "ping": self._ping,
            "tools/list": self._list_tools,
            "tools/call": self._call,
            "resources/list": self._list_resources,
            "resources/templates/list": self._list_templates,
            "resources/read": self._read,
            "prompts/list": self.list_prompts,
            "prompts/get": self._get_prompt,
        }

    async def _discover(self, request: Request) -> Result:  # noqa: ARG002 - the same for everybody
        return DiscoverResult(
            supported_versions=list(REVISIONS),
            capabilities=self._capabilities() | {"extensions": {meta.EXTENSION: dict(self._about.extension)}},
            instructions=self._about.instructions or UNSET,
            ttl_ms=self._about.cache.ttl_ms,
            cache_scope=self._about.cache.scope,
        )

    async def _initialize(self, request: Request) -> Result:
        params = cast("InitializeParams", request.params)
        return InitializeResult(
            protocol_version=negotiate(params.protocol_version).name,
            capabilities=self._capabilities(),
            server_info=dict(self._about.info),
            instructions=self._about.instructions or UNSET,
        )

    async def _ping(self, request: Request) -> Result:  # noqa: ARG002 - an answer is all there is to it
        return Result()

    async def _list_tools(self, request: Request) -> Result:
        return await self._list(request, "tool")

    async def _list_resources(self, request: Request) -> Result:
        return await self._list(request, "resource")

    async def _list_templates(self, request: Request) -> Result:
        return await self._list(request, "template")

    async def list_prompts(self, request: Request) -> Result:
        return await self._list(request, "prompt")

    async def _call(self, request: Request) -> Result:
        params = cast("CallParams", request.params)
        return await self.run_tool(self._resolver.resolve(request), params.name, _object(params.arguments))

    async def _read(self, request: Request) -> Result:
        uri = cast("ReadParams", request.params).uri
        ctx = self._resolver.resolve(request)
        permitted = await self.permitted(ctx)
        for ordinal, variables in self._catalog.resources_at(uri):
            if ordinal in permitted:
                return await self._read_row(ctx, ordinal, uri, variables)
        raise InvalidParamsError(f"Resource not found: {uri!r}", data={"uri": uri})

    async def _read_row(self, ctx: Context, ordinal: int, uri: str, variables: Mapping[str, str]) -> Result:
        row = cast("Resource | ResourceTemplate", self._catalog.rows[ordinal])
        if row.read is None:
            raise InvalidParamsError(f"{uri!r} is described here and cannot be read", data={"uri": uri})
        return ReadResult(contents=await row.read(ctx, uri, variables), ttl_ms=0, cache_scope="private")

    async def _get_prompt(self, request: Request) -> Result:
        params = cast("GetPromptParams", request.params)
        ctx = self._resolver.resolve(request)
        ordinal = self._catalog.find("prompt", params.name)
        if ordinal is None or ordinal not in await self.permitted(ctx):
            raise InvalidParamsError(f"Unknown prompt: {params.name!r}")
        row = cast("Prompt", self._catalog.rows[ordinal])
        if row.get is None:
            raise InvalidParamsError(f"The prompt {params.name!r} is described here and cannot be filled in")
        messages = await row.get(ctx, params.arguments or {})
        return PromptResult(messages=messages, description=row.description or UNSET)

    async def run_tool(self, ctx: Context, name: str, arguments: bytes) -> CallResult:
        """Call a tool, listed or not.

        Args:
            ctx: The context that asks.
            name: Of the tool.
            arguments: A JSON object.

        Raises:
            InvalidParamsError: There is no such tool for this caller.
        """
        ordinal = self._catalog.find("tool", name)
        if ordinal is None or not await self._may_call(ctx, ordinal):
            raise InvalidParamsError(f"Unknown tool: {name!r}")
        tool = cast("Tool", self._catalog.rows[ordinal])
        if tool.call is None:
            return text_result(f"{name} is described in this catalog and cannot be called", is_error=True)
        try:
            return await tool.call(ctx, arguments)
        except ProtocolError:
            raise
        except Exception as error:  # noqa: BLE001 - an author's bug is a failed call, not a broken server
            return text_result(f"{name} failed, reference {log_unexpected(error)}", is_error=True)

    async def permitted(self, ctx: Context) -> View:
        """Return the rows that a context may use, without the search tools."""
        return await self._hooks.permitted(ctx, self.rows) & self.rows

    def _allowed(self, permitted: View) -> View:
        return self._catalog.all if permitted is self.rows else permitted | self._search

    async def _list(self, request: Request, kind: Kind) -> Result:
        ctx = self._resolver.resolve(request)
        permitted = await self.permitted(ctx)
        listed = await self._hooks.listed(ctx, permitted)
        shown = (listed & self._allowed(permitted)).of(kind)
        total = len(permitted.of(kind))
        narrowed = len(shown) != total or bool(shown.bits & self._search.bits)
        cache = _UNCACHED if narrowed else self._about.cache
        result = self._page(request, shown, kind)
        result.ttl_ms, result.cache_scope = cache
        if narrowed:
            view: dict[str, Any] = {"revision": shown.revision, "shown": len(shown), "total": total}
            view |= {"cacheScope": cache.scope, "ttlMs": cache.ttl_ms}
            if request.meta.get(meta.EXPLAIN) is True:
                view["rows"] = await self._explain(ctx, permitted, shown)
            result.meta = {meta.VIEW: view}
        return result

    def _page(self, request: Request, shown: View, kind: Kind) -> ListResult:
        cursor = cast("ListParams", request.params).cursor
        start = 0 if cursor is None else decode_cursor(cursor, shown.revision)
        end = start + self._settings.page_rows
        rows = shown.order[start:end]
        if start and not rows:
            raise InvalidParamsError("The cursor points behind the end of the list; begin without one")
        encoded = self._catalog.encoded(request.revision)
        result = _RESULTS[kind](Raw(b"[%b]" % b",".join([encoded[row] for row in rows])))
        if end < len(shown):
            result.next_cursor = encode_cursor(shown.revision, end)
        return result

    async def _may_call(self, ctx: Context, ordinal: int) -> bool:
        if ordinal in self._search:
            return True
        permitted = await self.permitted(ctx)
        if self._settings.enforce:
            return ordinal in permitted & await self._hooks.listed(ctx, permitted)
        return ordinal in permitted

    def _capabilities(self) -> dict[str, Any]:
        names: dict[Kind, str] = {
            "tool": "tools",
            "resource": "resources",
            "template": "resources",
            "prompt": "prompts",
        }
        return {names[kind]: {} for kind in KINDS if self.rows.of(kind)}


def _object(arguments: Any) -> bytes:
    raw = b"{}" if arguments is UNSET else bytes(arguments)
    if not raw.startswith(b"{"):
        raise InvalidParamsError(f"'arguments' must be an object, got {raw[:40].decode(errors='replace')}")
    return raw
