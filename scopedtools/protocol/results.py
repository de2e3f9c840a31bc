"""Shapes of results. Handlers fill them in; `stamp` adds what a revision asks of every result."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

from msgspec import UNSET, Raw, Struct, UnsetType, convert, field
from msgspec.structs import replace

from scopedtools.protocol import meta
from scopedtools.protocol.content import (
    Content,
    EmbeddedResource,
    PromptMessage,
    ResourceContents,
    ResourceLink,
    Text,
)
from scopedtools.protocol.revisions import Revision
from scopedtools.storage import TaskStatus


class Result(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """Any result."""

    result_type: Literal["complete", "input_required", "task"] | UnsetType = UNSET
    meta: dict[str, Any] | UnsetType = field(name="_meta", default=UNSET)


class Cacheable(Result, kw_only=True):
    """A result that says how long, and for whom, it may be kept.

    Attributes:
        ttl_ms: Milliseconds for which it is fresh; 0 is stale at once.
        cache_scope: ``public`` for everybody, ``private`` for one authorization; ``context`` for one context
            of one authorization, only to clients that declared that they know it.
    """

    ttl_ms: int | UnsetType = UNSET
    cache_scope: Literal["public", "private", "context"] | UnsetType = UNSET


class DiscoverResult(Cacheable, kw_only=True):
    """What this server is and can."""

    supported_versions: list[str]
    capabilities: dict[str, Any]
    instructions: str | UnsetType = UNSET


class InitializeResult(Result, kw_only=True):
    """The opening answer of earlier revisions."""

    protocol_version: str
    capabilities: dict[str, Any]
    server_info: dict[str, Any]
    instructions: str | UnsetType = UNSET


class ListResult(Cacheable, kw_only=True):
    """One page of a list."""

    next_cursor: str | UnsetType = UNSET


class ToolsResult(ListResult, kw_only=True):
    """Tools, encoded."""

    tools: Raw


class ResourcesResult(ListResult, kw_only=True):
    """Resources, encoded."""

    resources: Raw


class TemplatesResult(ListResult, kw_only=True):
    """Resource templates, encoded."""

    resource_templates: Raw


class PromptsResult(ListResult, kw_only=True):
    """Prompts, encoded."""

    prompts: Raw


class CallResult(Result, kw_only=True):
    """What a tool returned.

    Attributes:
        content: For the model.
        structured_content: The same as encoded JSON, of the tool's output schema.
        is_error: The tool failed, and ``content`` says how.
    """

    content: list[Content]
    structured_content: Raw | UnsetType = UNSET
    is_error: bool = False


class ReadResult(Cacheable, kw_only=True):
    """What a resource holds."""

    contents: list[ResourceContents]


class PromptResult(Result, kw_only=True):
    """The messages of a prompt."""

    messages: list[PromptMessage]
    description: str | UnsetType = UNSET


class InputRequiredResult(Result, kw_only=True):
    """The client is asked something and calls again with the answers."""

    input_requests: dict[str, dict[str, Any]]
    request_state: str


class TaskState(Result, kw_only=True):
    """How a task is.

    Attributes:
        created_at: ISO 8601.
        last_updated_at: ISO 8601.
        ttl_ms: Milliseconds from its creation for which it is kept.
        poll_interval_ms: Milliseconds that the client should wait between two looks.
    """

    task_id: str
    status: TaskStatus
    created_at: str
    last_updated_at: str
    ttl_ms: int
    poll_interval_ms: int
    status_message: str | UnsetType = UNSET


class CreateTaskResult(TaskState, kw_only=True):
    """The call goes on as a task."""


class TaskResult(TaskState, kw_only=True):
    """A task with what its status brings: open questions, the call's result, or its error."""

    input_requests: dict[str, Any] | UnsetType = UNSET
    result: Raw | UnsetType = UNSET
    error: Raw | UnsetType = UNSET


class Completion(Struct, rename="camel", omit_defaults=True):
    """Values that an argument may have, best first, at most 100."""

    values: list[str]
    total: int | None = None
    has_more: bool | None = None


class CompleteResult(Result, kw_only=True):
    """A completion."""

    completion: Completion


def stamp(
    result: Result, revision: Revision, server_info: Raw, echo: Mapping[str, Any] = MappingProxyType({})
) -> Result:
    """Add what the revision asks of every result, and take out what it has no name for.

    Args:
        result: From a handler.
        revision: That the request speaks.
        server_info: Encoded name and version.
        echo: What ``_meta`` repeats of the request.

    Returns:
        A copy: an author may keep a result and return it again, at another revision.
    """
    result = replace(result)
    if echo:
        result.meta = {**(result.meta or {}), **echo}
    if revision.stateless:
        result.result_type = result_type(result)
        result.meta = {**(result.meta or {}), meta.SERVER_INFO: server_info}
    elif isinstance(result, Cacheable):
        result.ttl_ms = result.cache_scope = UNSET
    if not revision.structured:
        _simplify(result)
    return result


def result_type(result: Result) -> Literal["complete", "input_required", "task"]:
    """Tell what a client has to do with a result."""
    if isinstance(result, InputRequiredResult):
        return "input_required"
    return "task" if isinstance(result, CreateTaskResult) else "complete"


def _simplify(result: Result) -> None:
    """Take out what results had not at 2025-03-26."""
    if isinstance(result, CallResult):
        result.structured_content = UNSET
        result.content = [_simple(block) for block in result.content]
    elif isinstance(result, PromptResult):
        result.messages = [_simple_message(one) for one in result.messages]
    elif isinstance(result, ReadResult):
        result.contents = [_simple_contents(held) for held in result.contents]


def _simple_contents(held: ResourceContents) -> ResourceContents:
    held = convert(held, ResourceContents) if isinstance(held, dict) else held
    return replace(held, meta=None)


def _simple_message(message: PromptMessage) -> PromptMessage:
    message = convert(message, PromptMessage) if isinstance(message, dict) else message
    return PromptMessage(_simple(message.content), message.role)


def _simple(block: Content) -> Content:
    if isinstance(block, dict):  # of another server, as it came
        block = convert(block, Content)
    if isinstance(block, ResourceLink):
        return Text(f"{block.title or block.name}: {block.uri}")
    if isinstance(block, EmbeddedResource):
        block = replace(block, resource=replace(block.resource, meta=None))
    hints = {name: hint for name, hint in (block.annotations or {}).items() if name != "lastModified"}
    return replace(block, meta=None, annotations=hints or None)
