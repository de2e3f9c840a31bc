"""Context views for FastMCP servers (``fastmcp`` 4.1 or later), as a transform.

::

    mcp = FastMCP("shop")
    mcp.add_transform(ScopedViews())

The lists of a request that names its context are narrowed to what the context needs, ``search_tools`` and
``call_tool`` lead to the rest. A request that names none gets the whole list.

Add it to the outermost server: what stands around a server that is mounted is unknown there.

A transform can only say what is listed. For all of the extension, with revisions, the cache scope and
conditional lists, use the middleware of `scopedtools.adapters.for_sdk` on the server that FastMCP holds::

    mcp._mcp_server.middleware.append(ScopedViews())  # an attribute that FastMCP may rename
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias, Unpack

import msgspec

from scopedtools.exceptions import MissingDependencyError

try:
    from fastmcp.apps.config import is_model_visible
except ImportError as error:
    raise MissingDependencyError(
        'this adapter needs FastMCP 4.1 or later; run pip install "fastmcp>=4.1"'
    ) from error

from fastmcp.exceptions import ToolError as HostToolError
from fastmcp.server.dependencies import get_context
from fastmcp.server.transforms.catalog import CatalogTransform
from fastmcp.tools.base import Tool, ToolResult
from fastmcp.utilities.versions import dedupe_with_versions
from mcp.shared.exceptions import MCPError
from msgspec import UNSET
from pydantic import BaseModel, PrivateAttr

from scopedtools.adapters.asked import Asked, encoded
from scopedtools.adapters.rows import Definition
from scopedtools.adapters.search import called_through, search_rows
from scopedtools.adapters.views import Options, Views
from scopedtools.assembly import SEARCH_TOOLS
from scopedtools.catalog.primitives import Kind, Primitive
from scopedtools.exceptions import DefinitionError, ProtocolError, ToolError
from scopedtools.protocol.content import Text

_log: Final = logging.getLogger(__name__)

Run: TypeAlias = Callable[[dict[str, Any]], Awaitable[Any]]


class ScopedViews(CatalogTransform):  # type: ignore[misc] # FastMCP is not there where types are checked
    """Shows each context what it needs of what a FastMCP server lists.

    What FastMCP would list for a request, after its authorization and visibility, is what that request may
    use.

    Args:
        **options: See `scopedtools.adapters.views.Options`.

    Raises:
        DefinitionError: The settings say ``enforce``, which takes more than a transform is asked.
    """

    def __init__(self, **options: Unpack[Options]) -> None:
        super().__init__()
        self._views = Views(options)
        if self._views.settings.enforce:
            raise DefinitionError(
                "a FastMCP transform cannot make tools unknown that are not shown; leave enforce out, or use "
                "the middleware of scopedtools.adapters.for_sdk"
            )
        self._warned = False
        self._definitions = {kind: _Definitions(write) for kind, write in _WRITERS.items()}
        answers: Sequence[Run] = (self._search, self._call)
        self._tools: Mapping[str, Tool] = {
            row.name: _SearchTool.of(row, answer) for row, answer in zip(search_rows(), answers, strict=True)
        }

    # What FastMCP calls

    async def transform_tools(self, tools: Sequence[Any]) -> Sequence[Any]:
        """Return the tools that the context is shown."""
        if (asking := self._listing("tools/list")) is None:
            return tools
        permitted = await self.get_tool_catalog(get_context(), run_middleware=False)
        shown = await self._shown(asking, "tool", permitted)
        # What the model must not see goes to hosts all the same: they show it to their users.
        return tools if shown is None else [*shown, *(tool for tool in tools if not is_model_visible(tool))]

    async def transform_resources(self, resources: Sequence[Any]) -> Sequence[Any]:
        """Return the resources that the context is shown."""
        if (asking := self._listing("resources/list")) is None:
            return resources
        permitted = await self.get_resource_catalog(get_context(), run_middleware=False)
        shown = await self._shown(asking, "resource", permitted)
        return resources if shown is None else shown

    async def transform_resource_templates(self, templates: Sequence[Any]) -> Sequence[Any]:
        """Return the resource templates that the context is shown."""
        if (asking := self._listing("resources/templates/list")) is None:
            return templates
        permitted = await self.get_resource_template_catalog(get_context(), run_middleware=False)
        shown = await self._shown(asking, "template", permitted)
        return templates if shown is None else shown

    async def transform_prompts(self, prompts: Sequence[Any]) -> Sequence[Any]:
        """Return the prompts that the context is shown."""
        if (asking := self._listing("prompts/list")) is None:
            return prompts
        permitted = await self.get_prompt_catalog(get_context(), run_middleware=False)
        shown = await self._shown(asking, "prompt", permitted)
        return prompts if shown is None else shown

    async def get_tool(self, name: str, call_next: Any, *, version: Any = None) -> Any:
        """Return a search tool, or the tool of the server."""
        return self._tools.get(name) or await call_next(name, version=version)

    # Lists

    def _listing(self, method: str) -> Asked | None:
        """Understand a list request; ``None`` where it gets what FastMCP would list."""
        host = _request()
        if host is None:
            return None
        try:
            asking = self._understood(host, method, {})
        except ProtocolError as error:
            raise MCPError(error.code, error.message, error.data) from error
        return asking if self._views.may_differ(asking.ctx) else None

    async def _shown(self, asking: Asked, kind: Kind, permitted: Sequence[Any]) -> list[Any] | None:
        """Return the components that a context is shown, or ``None`` for all."""
        permitted = dedupe_with_versions(permitted, _NAMES[kind])
        definitions = self._definitions[kind].of(permitted)
        shown = await self._views.shown(asking, kind, definitions)
        if shown is None:
            return None
        self._warn_of_caches()
        known: dict[str, Any] = dict(self._tools) if kind == "tool" else {}
        for component in permitted:
            known.setdefault(_NAMES[kind](component), component)
        return [known[name] for name in shown]

    def _warn_of_caches(self) -> None:
        # Nothing that FastMCP lets a transform do reaches the result around the list.
        if not self._warned and (cause := _list_cache(get_context().fastmcp)) is not None:
            self._warned = True
            _log.warning(
                "%s keeps lists without regard to contexts, so that one is shown the list of another; "
                "leave it out, or use the middleware of scopedtools.adapters.for_sdk",
                cause,
            )

    # Search tools

    async def _search(self, arguments: dict[str, Any]) -> ToolResult:
        ctx = get_context()
        asking = self._calling(SEARCH_TOOLS[0], arguments)
        definitions = self._definitions["tool"].of(await self.get_tool_catalog(ctx))
        found = await self._views.search(asking, definitions, encoded(arguments))
        text = "\n".join(block.text for block in found.content if isinstance(block, Text))
        structured = found.structured_content
        return ToolResult(
            content=text,
            structured_content=None if structured is UNSET else msgspec.json.decode(structured),
            is_error=found.is_error,
        )

    async def _call(self, arguments: dict[str, Any]) -> Any:
        server = get_context().fastmcp
        try:
            name, inner = called_through(arguments)
        except ToolError as error:
            return ToolResult(content=str(error), is_error=True)
        # The name comes from the model, and no host stands between: only what models may see.
        asking = self._calling(name, inner)
        tool = await server.get_tool(name)
        if tool is None or not is_model_visible(tool):
            return ToolResult(content=f"Unknown tool: {name!r}; find tools with search_tools", is_error=True)
        result = await server.call_tool(name, inner)
        if not getattr(result, "is_error", False):
            await self._views.called(asking, name)
        return result

    def _calling(self, name: str, arguments: Mapping[str, Any]) -> Asked:
        host = _request()
        if host is None:
            raise HostToolError("the search tools answer clients; a server lists its tools by itself")
        try:
            return self._understood(host, "tools/call", {"name": name, "arguments": arguments})
        except ProtocolError as error:
            raise HostToolError(error.message) from error  # the one that FastMCP lets a tool say

    def _understood(self, host: Any, method: str, params: Mapping[str, Any]) -> Asked:
        return self._views.asked(host, method, {**params, "_meta": dict(host.meta or {})})


class _SearchTool(Tool):  # type: ignore[misc] # as above
    """A tool that the views bring with them."""

    _answer: Run = PrivateAttr()

    @classmethod
    def of(cls, row: Primitive, answer: Run) -> _SearchTool:
        """Make the tool of a row."""
        wire = row.wire()
        made = cls(
            name=wire["name"],
            description=wire["description"],
            parameters=wire["inputSchema"],
            annotations=wire.get("annotations"),
        )
        made._answer = answer
        return made

    async def run(self, arguments: dict[str, Any]) -> Any:
        return await self._answer(arguments)


class _Definitions:
    """Writes components as clients get them, each once for as long as it is listed.

    Args:
        write: Makes a model of the wire.
    """

    def __init__(self, write: Callable[[Any], BaseModel]) -> None:
        self._write = write
        self._written: dict[int, tuple[Any, Definition]] = {}

    def of(self, components: Sequence[Any]) -> list[Definition]:
        """Return the definitions of components."""
        known, self._written = self._written, {}
        for component in components:
            # The component is kept with its definition, so that no other one can get its address.
            held = known.get(id(component)) or (component, self._definition(component))
            self._written[id(component)] = held
        return [self._written[id(component)][1] for component in components]

    def _definition(self, component: Any) -> Definition:
        return self._write(component).model_dump(mode="json", by_alias=True, exclude_none=True)


def _request() -> Any:
    """Return the request that FastMCP answers, or ``None`` where it looks at its components by itself."""
    try:
        return get_context().request_context
    except RuntimeError:
        return None


def _list_cache(server: Any) -> str | None:
    """Return what keeps lists of a server, of its clients' caches and those in front of its transforms."""
    if getattr(getattr(server, "_mcp_server", None), "cache_hints", None):
        return "cache_ttl"
    # By name: its module needs packages that a slim FastMCP does not bring.
    names = [type(one).__name__ for one in getattr(server, "middleware", ())]
    return next((name for name in names if name == "ResponseCachingMiddleware"), None)


_NAMES: Final[Mapping[Kind, Callable[[Any], str]]] = {
    "tool": lambda tool: str(tool.name),
    "resource": lambda resource: str(resource.uri),
    "template": lambda template: str(template.uri_template),
    "prompt": lambda prompt: str(prompt.name),
}
"""What clients call a component by."""

_WRITERS: Final[Mapping[Kind, Callable[[Any], BaseModel]]] = {
    "tool": lambda tool: tool.to_mcp_tool(name=tool.name),
    "resource": lambda resource: resource.to_mcp_resource(uri=str(resource.uri)),
    "template": lambda template: template.to_mcp_template(uri_template=template.uri_template),
    "prompt": lambda prompt: prompt.to_mcp_prompt(name=prompt.name),
}
