"""Catalog rows from the definitions that a server lists, as they stand on the wire."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from scopedtools.catalog.primitives import (
    Kind,
    Primitive,
    Prompt,
    PromptArgument,
    Resource,
    ResourceTemplate,
    Tool,
)

Definition = Mapping[str, Any]
"""A tool, resource, template or prompt, as in the answer to a list request."""

LISTS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "tools/list": "tool",
        "resources/list": "resource",
        "resources/templates/list": "template",
        "prompts/list": "prompt",
    }
)

FIELDS: Final[Mapping[Kind, str]] = MappingProxyType(
    {"tool": "tools", "resource": "resources", "template": "resourceTemplates", "prompt": "prompts"}
)
"""Where the definitions stand in the answer to a list request."""

_IDENTITIES: Final[Mapping[Kind, str]] = MappingProxyType(
    {"tool": "name", "resource": "uri", "template": "uriTemplate", "prompt": "name"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedTool(Tool):
    """A tool that goes to clients just as its server defines it."""

    fields: Definition

    def wire(self) -> dict[str, Any]:
        return dict(self.fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedResource(Resource):
    """A resource that goes to clients just as its server defines it."""

    fields: Definition

    def wire(self) -> dict[str, Any]:
        return dict(self.fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedTemplate(ResourceTemplate):
    """A resource template that goes to clients just as its server defines it."""

    fields: Definition

    def wire(self) -> dict[str, Any]:
        return dict(self.fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPrompt(Prompt):
    """A prompt that goes to clients just as its server defines it."""

    fields: Definition

    def wire(self) -> dict[str, Any]:
        return dict(self.fields)


def identity_of(kind: Kind, definition: Definition) -> str:
    """Return what a client asks for a row by."""
    return str(definition[_IDENTITIES[kind]])


def row_of(kind: Kind, definition: Definition, *, pinned: bool) -> Primitive:
    """Return the row for a definition."""
    row: Primitive = _ROWS[kind](
        fields=definition,
        name=definition["name"],
        title=definition.get("title"),
        description=definition.get("description") or "",
        tags=_tags(definition),
        pinned=pinned,
        **_OWN[kind](definition),
    )
    return row


def _tags(definition: Definition) -> frozenset[str]:
    """Return the tags that FastMCP tells in ``_meta``; the protocol itself knows none."""
    own = (definition.get("_meta") or {}).get("fastmcp")
    tags = own.get("tags") if isinstance(own, dict) else None
    return frozenset(tags) if isinstance(tags, list) else frozenset()


def _tool(definition: Definition) -> dict[str, Any]:
    return {"input_schema": definition.get("inputSchema") or {"type": "object"}}


def _prompt(definition: Definition) -> dict[str, Any]:
    arguments = tuple(
        PromptArgument(one["name"], one.get("description") or "", bool(one.get("required")))
        for one in definition.get("arguments") or ()
    )
    return {"arguments": arguments}


_ROWS: Final[Mapping[Kind, Callable[..., Primitive]]] = MappingProxyType(
    {"tool": ListedTool, "resource": ListedResource, "template": ListedTemplate, "prompt": ListedPrompt}
)

_OWN: Final[Mapping[Kind, Callable[[Definition], dict[str, Any]]]] = MappingProxyType(
    {
        "tool": _tool,
        "resource": lambda definition: {"uri": str(definition["uri"])},
        "template": lambda definition: {"uri_template": str(definition["uriTemplate"])},
        "prompt": _prompt,
    }
)
