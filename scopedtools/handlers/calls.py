"""Calls, reads, prompts and completions: what runs an author's code."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Protocol, cast

import msgspec
from msgspec import UNSET

from scopedtools.catalog.catalog import MAX_URI_CHARACTERS, Catalog
from scopedtools.catalog.convert import text_result
from scopedtools.catalog.primitives import Prompt, Resource, ResourceTemplate, Tool
from scopedtools.context.context import Context
from scopedtools.exceptions import InvalidParamsError, ProtocolError
from scopedtools.handlers.links import Links
from scopedtools.handlers.lists import Lists
from scopedtools.handlers.tasks import Tasks
from scopedtools.protocol.content import ResourceContents
from scopedtools.protocol.dispatch import log_unexpected
from scopedtools.protocol.gate import Handler
from scopedtools.protocol.methods import CallParams, CompleteParams, GetPromptParams, ReadParams
from scopedtools.protocol.mirrors import MARK, check_parameters, joined, mirrored_parameters
from scopedtools.protocol.request import Request, tasks_required
from scopedtools.protocol.results import (
    CallResult,
    CompleteResult,
    Completion,
    PromptResult,
    ReadResult,
    Result,
)

_COMPLETIONS: Final = 100
"""Most values in one completion, by the specification."""


class Completes(Protocol):
    """The author's side, as completion sees it; `ScopedServer` describes it."""

    async def complete(
        self, ctx: Context, ref: str, argument: str, value: str, filled: Mapping[str, str]
    ) -> Sequence[str]: ...


class Calls:
    """Answers requests that run an author's code.

    Args:
        hooks: The author's server.
        catalog: What there is.
        lists: Tells what a context may use.
        called: Told about each tool that was called without an error.
        tasks: Runs calls that may become tasks, or ``None`` where none may.
        links: Remembers what tools linked to.
    """

    def __init__(
        self,
        hooks: Completes,
        catalog: Catalog,
        *,
        lists: Lists,
        called: Callable[[Context, int], Awaitable[None]],
        tasks: Tasks | None,
        links: Links,
    ) -> None:
        self._hooks = hooks
        self._catalog = catalog
        self._lists = lists
        self._called = called
        self._tasks = tasks
        self._links = links
        self._mirrored = {
            row.name: mirrored
            for row in catalog.rows
            # Going through the schemas of all rows would be half of what it takes to make a server.
            if isinstance(row, Tool)
            and row.mentions(MARK)
            and (mirrored := mirrored_parameters(row.input_schema, where=row.name))
        }

    def table(self) -> dict[str, Handler]:
        """Return the handler of each method."""
        return {
            "tools/call": self._call,
            "resources/read": self._read,
            "prompts/get": self._get_prompt,
            "completion/complete": self._complete,
        }

    async def _call(self, request: Request, ctx: Context) -> Result:
        params = cast("CallParams", request.params)
        arguments = _object(params.arguments)
        if params.name in self._mirrored:
            await self._check_mirrored(request, ctx, params.name, arguments)
        if self._tasks is None or not request.follows_tasks or not self._may_be_task(params.name):
            return await self.run_tool(ctx, params.name, arguments)
        return await self._tasks.follow(
            request, lambda task: self.run_tool(ctx.during(task), params.name, arguments)
        )

    async def _check_mirrored(self, request: Request, ctx: Context, name: str, arguments: bytes) -> None:
        """Compare headers with the arguments that they mirror, of a tool that the caller may know of."""
        mirrored = self._mirrored[name]
        ordinal = self._catalog.find("tool", name)
        if ordinal is None or not request.revision.stateless or not request.ingress.headers:
            return
        if await self._lists.may_call(ctx, ordinal):
            check_parameters(mirrored, _values(arguments), joined(request.ingress.headers))

    def _may_be_task(self, name: str) -> bool:
        ordinal = self._catalog.find("tool", name)
        return ordinal is not None and cast("Tool", self._catalog.rows[ordinal]).task != "never"

    async def _read(self, request: Request, ctx: Context) -> Result:
        uri = cast("ReadParams", request.params).uri
        permitted = await self._lists.permitted(ctx)
        for ordinal, variables in self._catalog.resources_at(uri):
            if ordinal in permitted:
                return await self._read_row(ctx, ordinal, uri, variables)
        if (giver := await self._giver(ctx, uri)) is not None and giver.read_link is not None:
            return _read_result(await giver.read_link(ctx, uri))
        raise InvalidParamsError(f"Resource not found: {uri[:200]!r}", data={"uri": uri[:MAX_URI_CHARACTERS]})

    async def _read_row(self, ctx: Context, ordinal: int, uri: str, variables: Mapping[str, str]) -> Result:
        row = cast("Resource | ResourceTemplate", self._catalog.rows[ordinal])
        if row.read is None:
            raise InvalidParamsError(f"{uri!r} is described here and cannot be read", data={"uri": uri})
        return _read_result(await row.read(ctx, uri, variables))

    async def _giver(self, ctx: Context, uri: str) -> Tool | None:
        """Return a tool that gave this context a link and may be called, if all such are of one group."""
        givers: list[Tool] = []
        for name in self._links.givers(ctx, uri):
            ordinal = self._catalog.find("tool", name)
            if ordinal is not None and await self._lists.may_call(ctx, ordinal):
                givers.append(cast("Tool", self._catalog.rows[ordinal]))
        return givers[0] if len({giver.group for giver in givers}) == 1 else None

    async def _get_prompt(self, request: Request, ctx: Context) -> Result:
        params = cast("GetPromptParams", request.params)
        ordinal = self._catalog.find("prompt", params.name)
        if ordinal is None or ordinal not in await self._lists.permitted(ctx):
            raise InvalidParamsError(f"Unknown prompt: {params.name!r}")
        row = cast("Prompt", self._catalog.rows[ordinal])
        if row.get is None:
            raise InvalidParamsError(f"The prompt {params.name!r} is described here and cannot be filled in")
        messages = await row.get(ctx, params.arguments or {})
        if isinstance(messages, PromptResult):
            return messages
        return PromptResult(messages=messages, description=row.description or UNSET)

    async def run_tool(self, ctx: Context, name: str, arguments: bytes) -> CallResult:
        """Call a tool, listed or not.

        Args:
            ctx: The context that asks.
            name: Of the tool.
            arguments: A JSON object.

        Raises:
            InvalidParamsError: There is no such tool for this caller.
            MissingCapabilityError: It runs as a task, which the client cannot follow.
        """
        ordinal = self._catalog.find("tool", name)
        if ordinal is None or not await self._lists.may_call(ctx, ordinal):
            raise InvalidParamsError(f"Unknown tool: {name!r}")
        tool = cast("Tool", self._catalog.rows[ordinal])
        if tool.call is None:
            return text_result(f"{name} is described in this catalog and cannot be called", is_error=True)
        if tool.task == "required" and not ctx.follows_tasks:
            raise tasks_required()
        try:
            result = await tool.call(ctx, arguments)
        except ProtocolError:
            raise
        except Exception as error:  # noqa: BLE001 - an author's bug is a failed call, not a broken server
            return text_result(f"{name} failed, reference {log_unexpected(error)}", is_error=True)
        if not result.is_error:
            await self._called(ctx, ordinal)
            if tool.read_link is not None:
                self._links.remember(ctx, name, cast("list[dict[str, Any]]", result.content))
        return result

    async def _complete(self, request: Request, ctx: Context) -> Result:
        params = cast("CompleteParams", request.params)
        kind, ref = reference(params.ref)
        ordinal = self._catalog.find(kind, ref)
        if ordinal is None or ordinal not in await self._lists.permitted(ctx):
            raise InvalidParamsError(f"Nothing to complete for {ref!r}")
        argument, filled = params.argument, params.context.arguments
        values = await self._hooks.complete(ctx, ref, argument.name, argument.value, filled)
        first = list(values[:_COMPLETIONS])
        return CompleteResult(completion=Completion(first, len(values), len(values) > len(first)))


def _read_result(contents: list[ResourceContents] | ReadResult) -> ReadResult:
    if isinstance(contents, ReadResult):
        return contents
    return ReadResult(contents=contents, ttl_ms=0, cache_scope="private")


def reference(ref: Mapping[str, Any]) -> tuple[Any, str]:
    """Return kind and identity of the row that a completion is for."""
    kind, field = {"ref/prompt": ("prompt", "name"), "ref/resource": ("template", "uri")}.get(
        str(ref.get("type")), (None, "")
    )
    value = ref.get(field)
    if kind is None or not isinstance(value, str):
        raise InvalidParamsError(
            f"'ref' must be a ref/prompt with a name or a ref/resource with a uri, got {ref!r}"
        )
    return kind, value


def _object(arguments: Any) -> bytes:
    raw = b"{}" if arguments is UNSET else bytes(arguments)
    if not raw.startswith(b"{"):
        raise InvalidParamsError(f"'arguments' must be an object, got {raw[:40].decode(errors='replace')}")
    return raw


def _values(arguments: bytes) -> Any:
    # Taken out of the message as they stood there, they may hold text that is none.
    try:
        return msgspec.json.decode(arguments)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidParamsError(f"'arguments' cannot be read: {error}") from error
