"""Rows of a catalog that stand for what an upstream has."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final, Protocol

from scopedtools.catalog.primitives import (
    Complete,
    Kind,
    Primitive,
    Prompt,
    PromptArgument,
    Resource,
    ResourceTemplate,
    Tool,
    Updated,
    WatchResource,
)
from scopedtools.catalog.templates import UriTemplate
from scopedtools.context.context import Context
from scopedtools.exceptions import DefinitionError
from scopedtools.gateway.config import ServerConfig
from scopedtools.gateway.names import Names
from scopedtools.gateway.trust import IDENTITY
from scopedtools.protocol.results import CallResult, PromptResult, ReadResult

_EXPRESSION: Final = re.compile(r"\{[^{}]*\}")


class Caller(Protocol):
    """What rows pass requests on to."""

    async def call_tool(
        self, ctx: Context, definition: Mapping[str, Any], arguments: bytes
    ) -> CallResult: ...
    async def read(self, ctx: Context, uri: str) -> ReadResult: ...
    async def read_link(self, ctx: Context, uri: str) -> ReadResult: ...
    async def watch(self, uri: str, updated: Updated) -> Callable[[], None]: ...
    async def get_prompt(self, ctx: Context, name: str, arguments: Mapping[str, str]) -> PromptResult: ...
    async def complete(
        self, ctx: Context, ref: tuple[Kind, str], argument: str, value: str, filled: Mapping[str, str]
    ) -> Sequence[str]: ...


class _Forwarded(Primitive):
    """A row that clients see as its upstream defined it, under the identity that it has here."""

    __slots__ = ()

    definition: Mapping[str, Any]

    def wire(self) -> dict[str, Any]:
        return {**self.definition, IDENTITY[self.kind]: self.identity}


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardedTool(_Forwarded, Tool):
    """A tool of an upstream.

    Attributes:
        definition: As the upstream sent it, cleaned.
    """

    definition: Mapping[str, Any] = field(default_factory=dict)

    def wire(self) -> dict[str, Any]:
        fields = _Forwarded.wire(self)
        # Tasks are followed here: clients call it like any other tool.
        fields.pop("execution", None)
        return fields


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardedPrompt(_Forwarded, Prompt):
    """A prompt of an upstream.

    Attributes:
        definition: As the upstream sent it, cleaned.
    """

    definition: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardedResource(_Forwarded, Resource):
    """A resource of an upstream.

    Attributes:
        definition: As the upstream sent it, cleaned.
    """

    definition: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardedTemplate(_Forwarded, ResourceTemplate):
    """A resource template of an upstream.

    Attributes:
        definition: As the upstream sent it, cleaned.
        written: The template as clients see it; `uri_template` is one that matches the same URIs here.
    """

    definition: Mapping[str, Any] = field(default_factory=dict)
    written: str = ""

    @property
    def identity(self) -> str:
        return self.written


def rows_of(
    config: ServerConfig,
    kind: Kind,
    definitions: Iterator[tuple[Mapping[str, Any], frozenset[str]]],
    *,
    names: Names,
    caller: Caller,
) -> Iterator[Primitive]:
    """Make the rows of one kind.

    Args:
        config: Of the server.
        kind: Which.
        definitions: Cleaned, each with tags of its own.
        names: Gives out names.
        caller: What the rows pass requests on to.
    """
    for definition, tags in definitions:
        if served(config, str(definition["name"])):
            made = _MAKE[kind](definition, _common(config, definition, tags), config, names, caller)
            if made is not None:
                yield made


def served(config: ServerConfig, name: str) -> bool:
    """Tell whether the configuration lets a row be served."""
    if config.allow and not _matches(name, config.allow):
        return False
    return not _matches(name, config.deny)


def _matches(name: str, globs: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)


def _common(config: ServerConfig, definition: Mapping[str, Any], tags: frozenset[str]) -> dict[str, Any]:
    icons = definition.get("icons") or ()
    return {
        "definition": definition,
        "title": definition.get("title"),
        "description": definition.get("description") or "",
        "tags": frozenset({config.name, *config.tags}) | tags,
        "pinned": _matches(str(definition["name"]), config.pins),
        "icons": tuple(icon for icon in icons if isinstance(icon, dict)),
        "group": config.name,
    }


def _tool(
    definition: Mapping[str, Any], common: dict[str, Any], config: ServerConfig, names: Names, caller: Caller
) -> Primitive:
    async def call(ctx: Any, arguments: bytes) -> CallResult:
        return await caller.call_tool(ctx, definition, arguments)

    return ForwardedTool(
        **common,
        name=names.name("tool", config.name, definition["name"], prefix=config.effective_prefix),
        input_schema=definition["inputSchema"],
        output_schema=definition.get("outputSchema"),
        annotations=definition.get("annotations") or {},
        call=call,
        read_link=caller.read_link,
    )


def _prompt(
    definition: Mapping[str, Any], common: dict[str, Any], config: ServerConfig, names: Names, caller: Caller
) -> Primitive:
    async def get(ctx: Any, arguments: Mapping[str, str]) -> Any:
        return await caller.get_prompt(ctx, definition["name"], arguments)

    arguments = tuple(
        PromptArgument(one["name"], one.get("description") or "", one.get("required") is True)
        for one in definition.get("arguments", ())
    )
    name = names.name("prompt", config.name, definition["name"], prefix=config.effective_prefix)
    return ForwardedPrompt(
        **common, name=name, arguments=arguments, get=get, complete=_completing(caller, "prompt", definition)
    )


def _resource(
    definition: Mapping[str, Any], common: dict[str, Any], config: ServerConfig, names: Names, caller: Caller
) -> Primitive:
    original = definition["uri"]
    written = names.uri("resource", config.name, original)

    async def read(ctx: Any, _uri: str, _variables: Mapping[str, str]) -> Any:
        return await caller.read(ctx, original)

    return ForwardedResource(
        **common,
        name=definition["name"],
        uri=written,
        mime_type=definition.get("mimeType"),
        read=read,
        watch=_watch(caller, written.removesuffix(original)),
    )


def _template(
    definition: Mapping[str, Any], common: dict[str, Any], config: ServerConfig, names: Names, caller: Caller
) -> Primitive | None:
    original = definition["uriTemplate"]
    written = names.uri("template", config.name, original)
    added = written.removesuffix(original)

    async def read(ctx: Any, uri: str, _variables: Mapping[str, str]) -> Any:
        return await caller.read(ctx, uri.removeprefix(added))

    matching = matching_template(written)
    if matching is None:
        return None
    return ForwardedTemplate(
        **common,
        name=definition["name"],
        written=written,
        uri_template=matching,
        mime_type=definition.get("mimeType"),
        read=read,
        watch=_watch(caller, added),
        complete=_completing(caller, "template", definition),
    )


def _completing(caller: Caller, kind: Kind, definition: Mapping[str, Any]) -> Complete:
    async def complete(ctx: Any, argument: str, value: str, filled: Mapping[str, str]) -> Sequence[str]:
        return await caller.complete(ctx, (kind, definition[IDENTITY[kind]]), argument, value, filled)

    return complete


def _watch(caller: Caller, added: str) -> WatchResource:
    """Return what watches resources of an upstream, whose URIs have something before them here."""

    async def watch(uri: str, updated: Updated) -> Callable[[], None]:
        async def told(changed: str) -> None:
            await updated(added + changed)

        return await caller.watch(uri.removeprefix(added), told)

    return watch


def matching_template(template: str) -> str | None:
    """Return a template that our catalog understands, for the same URIs or a few more; ``None`` for none."""
    places = iter(range(100))
    for candidate in (template, _EXPRESSION.sub(lambda _: f"{{+v{next(places, 0)}}}", template)):
        try:
            UriTemplate(candidate)
        except DefinitionError:
            continue
        return candidate
    return None


_MAKE: Final = {"tool": _tool, "resource": _resource, "template": _template, "prompt": _prompt}
