"""Calls, reads, prompts and completions that an upstream answers; results go out as they came in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeGuard, cast

import msgspec
from mcp.shared.inbound import mcp_param_headers, x_mcp_header_map
from msgspec import UNSET, Raw, UnsetType

from scopedtools.catalog.convert import text_result
from scopedtools.catalog.primitives import Kind, Updated
from scopedtools.catalog.templates import UriTemplate
from scopedtools.context.context import Context
from scopedtools.exceptions import InternalError, InvalidParamsError
from scopedtools.gateway.errors import RefusedError, UpstreamError
from scopedtools.gateway.following import asked_for, offers_tasks
from scopedtools.gateway.names import scheme_of
from scopedtools.gateway.passing import More
from scopedtools.gateway.rows import matching_template
from scopedtools.gateway.upstream import Upstream
from scopedtools.protocol import meta
from scopedtools.protocol.results import CallResult, PromptResult, ReadResult

_RELATED_TASK: Final = "io.modelcontextprotocol/related-task"
_OF_A_HOP: Final = frozenset({meta.SERVER_INFO, meta.SUBSCRIPTION_ID, _RELATED_TASK})


class Calls:
    """Passes requests on to one upstream.

    Args:
        upstream: Which.
        public_uri: Takes a URI of the upstream; returns what it is here.
    """

    def __init__(self, upstream: Upstream, *, public_uri: Callable[[str], str]) -> None:
        self._upstream = upstream
        self._public_uri = public_uri

    async def call_tool(self, ctx: Context, definition: Mapping[str, Any], arguments: bytes) -> CallResult:
        """Call a tool; that there is no answer is a result, which the model reads."""
        values = _decoded(arguments)
        params = {"name": definition["name"], "arguments": values}
        marked = x_mcp_header_map(definition["inputSchema"])
        try:
            result = await self._upstream.send(
                ctx,
                "tools/call",
                params,
                more=lambda connection: More(
                    headers=mcp_param_headers(marked, values) if connection.is_modern and marked else {},
                    params=asked_for(connection, definition),
                    tasks=offers_tasks(connection),
                ),
            )
        except RefusedError as error:
            if (problem := error.to_client(ctx.client_capabilities)) is not None:
                raise problem from error
            return text_result(f"The server {self._name!r} refused the call: {error}", is_error=True)
        except UpstreamError as error:
            return text_result(str(error), is_error=True)
        return self._call_result(result)

    def _call_result(self, result: Mapping[str, Any]) -> CallResult:
        content = result.get("content", [])
        if result.get("resultType", "complete") != "complete" or not _are_objects(content):
            return text_result(f"The server {self._name!r} sent no result of a call", is_error=True)
        structured: Raw | UnsetType = UNSET
        if "structuredContent" in result:
            structured = Raw(msgspec.json.encode(result["structuredContent"]))
        return CallResult(
            content=[self._linked(block) for block in content],
            structured_content=structured,
            is_error=result.get("isError") is True,
            meta=_meta(result),
        )

    async def read(self, ctx: Context, uri: str) -> ReadResult:
        """Read a resource."""
        result = await self._answer(ctx, self._upstream.send(ctx, "resources/read", {"uri": uri}))
        contents = result.get("contents")
        if not _are_objects(contents):
            raise InternalError(f"The server {self._name!r} sent no contents")
        # The upstream's promise of how long it is fresh is one to the gateway, whose headers may be others.
        return ReadResult(
            contents=[self._named(one) for one in contents],
            ttl_ms=0,
            cache_scope="private",
            meta=_meta(result),
        )

    async def read_link(self, ctx: Context, uri: str) -> ReadResult:
        """Read what a result of the upstream linked to and no row that the client may read stands for.

        Raises:
            InvalidParamsError: It is one of the upstream's rows, and is held back from this client.
        """
        original = uri.removeprefix(f"{scheme_of(self._name)}+")
        if self._has_row(original):
            raise InvalidParamsError(f"Resource not found: {uri[:200]!r}", data={"uri": uri})
        return await self.read(ctx, original)

    def _has_row(self, uri: str) -> bool:
        has = self._upstream.definitions
        if any(one["uri"] == uri for one in has["resource"]):
            return True
        templates = (matching_template(one["uriTemplate"]) for one in has["template"])
        return any(UriTemplate(one).match(uri) is not None for one in templates if one is not None)

    def _named(self, holder: Any) -> Any:
        """Return an object with the URI that it has here."""
        uri = holder.get("uri")
        return {**holder, "uri": self._public_uri(uri)} if isinstance(uri, str) else holder

    def _linked(self, block: Any) -> Any:
        """Return a block of content with the URIs that resources have here."""
        if block.get("type") == "resource_link":
            return self._named(block)
        held = block.get("resource")
        return {**block, "resource": self._named(held)} if isinstance(held, dict) else block

    def _linked_in(self, message: Any) -> Any:
        content = message.get("content")
        return {**message, "content": self._linked(content)} if isinstance(content, dict) else message

    async def watch(self, uri: str, updated: Updated) -> Callable[[], None]:
        """Begin to tell of the changes of a resource; returns what ends it."""
        return await self._upstream.interest.watch(uri, updated)

    async def get_prompt(self, ctx: Context, name: str, arguments: Mapping[str, str]) -> PromptResult:
        """Fill in a prompt."""
        params = {"name": name, "arguments": dict(arguments)}
        result = await self._answer(ctx, self._upstream.send(ctx, "prompts/get", params))
        messages, description = result.get("messages"), result.get("description")
        if not _are_objects(messages):
            raise InternalError(f"The server {self._name!r} sent no messages")
        return PromptResult(
            messages=[self._linked_in(message) for message in messages],
            description=description if isinstance(description, str) else UNSET,
            meta=_meta(result),
        )

    async def complete(
        self,
        ctx: Context,
        ref: tuple[Kind, str],
        argument: str,
        value: str,
        filled: Mapping[str, str],
    ) -> Sequence[str]:
        """Return what an argument may be; nothing where the server cannot say."""
        kind, name = ref
        reference = (
            {"type": "ref/prompt", "name": name}
            if kind == "prompt"
            else {"type": "ref/resource", "uri": name}
        )
        params: dict[str, Any] = {"ref": reference, "argument": {"name": argument, "value": value}}
        if filled:
            params["context"] = {"arguments": dict(filled)}
        try:
            result = await self._upstream.send(ctx, "completion/complete", params)
        except UpstreamError:
            return []
        completion = result.get("completion")
        values = completion.get("values") if isinstance(completion, dict) else None
        return [one for one in values if isinstance(one, str)] if isinstance(values, list) else []

    @property
    def _name(self) -> str:
        return self._upstream.config.name

    async def _answer(self, ctx: Context, sent: Awaitable[dict[str, Any]]) -> dict[str, Any]:
        try:
            return await sent
        except RefusedError as error:
            raise error.to_client(ctx.client_capabilities) or InternalError(
                f"The server {self._name!r} refused the request: {error}"
            ) from error
        except UpstreamError as error:
            raise InternalError(str(error)) from error


def _decoded(arguments: bytes) -> dict[str, Any]:
    try:
        values = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidParamsError(f"'arguments' cannot be read: {error}") from error
    return cast("dict[str, Any]", values)


def _are_objects(value: Any) -> TypeGuard[list[dict[str, Any]]]:
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


def _meta(result: Mapping[str, Any]) -> dict[str, Any] | UnsetType:
    said = result.get("_meta")
    if not isinstance(said, dict):
        return UNSET
    return {key: value for key, value in said.items() if key not in _OF_A_HOP} or UNSET
