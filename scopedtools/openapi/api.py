"""An API as a catalog of tools."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

from anyio import to_thread

from scopedtools.assembly import SEARCH_TOOLS
from scopedtools.catalog.catalog import Catalog
from scopedtools.catalog.convert import text_result
from scopedtools.catalog.hidden import hides
from scopedtools.catalog.primitives import CallTool, Tool
from scopedtools.exceptions import CatalogError, ToolError
from scopedtools.mounts import Changed
from scopedtools.openapi.arguments import Arguments, read_arguments
from scopedtools.openapi.document import Document
from scopedtools.openapi.operations import Operation, own_servers, paths, read_operation, same_server
from scopedtools.openapi.outputs import Output, Results, read_output
from scopedtools.openapi.redaction import is_secret
from scopedtools.openapi.security import Carried, Pair, Security
from scopedtools.openapi.sending import Answer, Outgoing, Sender
from scopedtools.openapi.urls import below, checked_base
from scopedtools.openapi.words import joined, plain, title, tool_names
from scopedtools.protocol.results import CallResult

CONTEXT_HEADER: Final = "Mcp-Client-Session-Id"

_AGENT: Final = "scopedtools"

_log: Final = logging.getLogger(__name__)


class OpenApi:
    """The operations of an API as tools.

    ::

        server.mount(OpenApi.load("crm.yaml", base_url="https://crm.example.com/v1"), prefix="crm")

    Args:
        document: The description.
        base_url: Where the API is. Requests go to no other origin, whatever the description says.
        credentials: By the name of a security scheme: a key, a token, or a `Pair` of user and password, or
            of client ID and client secret.
        token_urls: Where OAuth 2 tokens are fetched, by the name of a security scheme; needed where that is
            not at the origin of ``base_url``.
        headers: Sent with every request, over what the description says. Those that are named like keys or
            tokens are credentials as well.
        servers: Where the servers are that operations name for themselves, by the URL in the description.
            Operations of a server that is not here are left out.
        forward_context: Tell the API which unit of work calls, in the header ``Mcp-Client-Session-Id``.
        timeout_s: Seconds that a call may take.
        max_response_bytes: A larger answer is left out.

    Attributes:
        catalog: A tool for each operation.
        title: What the API is called.
        description: What it is, or ``""``.
        left_out: Why an operation is no tool, by method and path.

    Raises:
        DefinitionError: A setting is wrong.
    """

    def __init__(
        self,
        document: Document,
        *,
        base_url: str,
        credentials: Mapping[str, str | Pair] | None = None,
        token_urls: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        servers: Mapping[str, str] | None = None,
        forward_context: bool = False,
        timeout_s: float = 30,
        max_response_bytes: int = 2**20,
    ) -> None:
        self.title = plain(document.title, 80)
        self.description = plain(document.root.child("info").text("description"), 2000)
        self._base_url = checked_base("base_url", base_url)
        self._servers = {name: checked_base("servers", url) for name, url in (servers or {}).items()}
        self._headers = dict(headers or {})
        self._forward_context = forward_context
        self._security = Security(
            document,
            credentials=credentials or {},
            token_urls=token_urls or {},
            base_url=self._base_url,
        )
        self._sender = Sender(timeout_s=timeout_s, max_response_bytes=max_response_bytes)
        self._load: Callable[[], Self] | None = None
        self._changed: Changed | None = None
        self.left_out: dict[str, str] = {}
        self.catalog = Catalog(self._tools(document))
        if self.left_out:
            key, reason = next(iter(self.left_out.items()))
            _log.warning(
                "%d operations of %s are no tools, the first is %s: %s",
                len(self.left_out),
                self.title,
                key,
                reason,
            )

    @classmethod
    def load(cls, source: str | Path | Mapping[str, Any], **settings: Any) -> Self:
        """Read a description and make its operations tools.

        Args:
            source: A file or an ``http(s)`` URL, JSON or YAML; or what such a file holds.
            settings: What the class takes.

        Raises:
            CatalogError: The description cannot be read.
            DefinitionError: A setting is wrong.
        """
        api = cls(Document.load(source), **settings)
        if isinstance(source, str | Path):
            api._load = partial(cls.load, source, **settings)
        return api

    @property
    def may_change(self) -> bool:
        """False: the description was read."""
        return False

    @property
    def is_bound_to_process(self) -> bool:
        """False: requests know nothing of each other."""
        return False

    @asynccontextmanager
    async def running(self, changed: Changed | None = None) -> AsyncIterator[None]:
        """Hold the HTTP client; a server does so where this is mounted.

        Args:
            changed: Told the operations where the description was read again and has others.
        """
        self._changed = changed
        async with self._sender.running:
            yield

    async def read_again(self) -> Callable[[], Awaitable[None]]:
        """Read the description again; see `scopedtools.mounts.Reloadable`.

        Raises:
            CatalogError: It cannot be read, or has no operations that can be tools.
        """
        read = self if self._load is None else await to_thread.run_sync(self._load)
        if not len(read.catalog):
            raise CatalogError(
                f"the description of {self.title} has no operations any more that can be tools"
            )
        # One HTTP client, also for calls that are under way.
        read._sender = self._sender  # noqa: SLF001 - another of this class
        return partial(self._become, read)

    async def _become(self, read: Self) -> None:
        if self._changed is not None and read.catalog.version != self.catalog.version:
            await self._changed(read.catalog)
        self.catalog, self.left_out = read.catalog, read.left_out

    def __repr__(self) -> str:
        return f"<OpenApi {self.title!r}, {len(self.catalog)} tools>"

    def _tools(self, document: Document) -> list[Tool]:
        found = [(method, path, item) for method, path, item in paths(document)]
        self._own_servers = own_servers(document, found)
        wanted = [
            (item.child(method).text("operationId"), f"{method.upper()} {path}")
            for method, path, item in found
        ]
        names = tool_names(wanted, taken=SEARCH_TOOLS)
        tools: list[Tool] = []
        for (method, path, item), name in zip(found, names, strict=True):
            try:
                operation = self._open(read_operation(document, method, path, item))
                arguments = read_arguments(operation, document.dialect)
                output = read_output(operation, document.dialect)
                base = self._base_of(operation)
                _require_visible(arguments.schema, output.schema)
            except (CatalogError, RecursionError) as error:
                self.left_out[f"{method.upper()} {path}"] = plain(str(error), 300)
                continue
            tools.append(self._tool(name, operation, arguments, output, base))
        return tools

    def _open(self, operation: Operation) -> Operation:
        """Take out what clients have no say in: keys and the operator's own headers."""
        own = {name.lower() for name in self._headers}
        kept = (
            one
            for one in operation.parameters
            if not self._security.owns(one.place, one.name)
            and not (one.place == "header" and one.name.lower() in own)
        )
        return replace(operation, parameters=tuple(kept))

    def _base_of(self, operation: Operation) -> str:
        if operation.server is None:
            return self._base_url
        if operation.server in self._servers:
            return self._servers[operation.server]
        if same_server(operation.server) in self._own_servers:
            return self._base_url
        url = below(self._base_url, operation.server)
        if url is not None:
            return url
        raise CatalogError(f"it is at {operation.server[:200]!r}, and 'servers' does not say where that is")

    def _tool(
        self, name: str, operation: Operation, arguments: Arguments, output: Output, base_url: str
    ) -> Tool:
        about = operation.about
        deprecated = about.mapping.get("deprecated") is True
        tags = frozenset(
            plain(tag.value, 80) for tag in about.child("tags").elements() if isinstance(tag.value, str)
        )
        said = joined(about.text("summary"), about.text("description")) or operation.key
        return Tool(
            name=name,
            title=title(about.text("summary")),
            description=f"Deprecated. {said}" if deprecated else said,
            tags=tags | ({"deprecated"} if deprecated else frozenset()),
            group=self.title,
            input_schema=arguments.schema,
            output_schema=output.schema,
            annotations=_annotations(operation.method),
            call=self._caller(operation, arguments, output, base_url),
        )

    def _caller(self, operation: Operation, arguments: Arguments, output: Output, base_url: str) -> CallTool:
        results = Results(output)

        async def call(ctx: Any, raw: bytes) -> CallResult:
            try:
                values = arguments.read(raw)
                outgoing = arguments.outgoing(operation, base_url, values)
                answer = await self._sent(operation, self._headed(outgoing, output, ctx))
            except ToolError as error:
                return text_result(str(error), is_error=True)
            return results.result(answer)

        return call

    def _headed(self, outgoing: Outgoing, output: Output, ctx: Any) -> Outgoing:
        headers = {"User-Agent": _AGENT, "Accept": output.accept, "Accept-Encoding": "gzip, deflate"}
        if self._forward_context and ctx.id is not None:
            headers[CONTEXT_HEADER] = ctx.id
        return replace(outgoing, headers={**headers, **outgoing.headers})

    async def _sent(self, operation: Operation, outgoing: Outgoing) -> Answer:
        answer = await self._sender.send(outgoing, await self._carried(operation))
        if answer.status == 401 and self._security.forget_tokens(operation):
            # Not carried out, so that even what changes something may be sent again.
            answer = await self._sender.send(outgoing, await self._carried(operation))
        return answer

    async def _carried(self, operation: Operation) -> Carried:
        carried = await self._security.carried(operation, self._sender.fetch_token)
        named_so = tuple(value for name, value in self._headers.items() if is_secret(name))
        return carried._replace(
            headers={**carried.headers, **self._headers}, secrets=carried.secrets + named_so
        )


def _require_visible(*schemas: Any) -> None:
    if any(map(hides, schemas)):
        raise CatalogError("its schemas have names or values with characters that cannot be seen")


def _annotations(method: str) -> dict[str, Any]:
    if method in ("GET", "HEAD", "OPTIONS", "QUERY", "TRACE"):
        return {"readOnlyHint": True}
    if method == "DELETE":
        return {"destructiveHint": True, "idempotentHint": True}
    return {"idempotentHint": True} if method == "PUT" else {}
