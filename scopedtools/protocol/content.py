"""Content blocks of tool results, prompt messages and resources."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from msgspec import UNSET, Struct, UnsetType, field


class Block(Struct, tag_field="type", rename="camel", omit_defaults=True, kw_only=True):
    """What all content blocks have in common.

    Attributes:
        annotations: Hints for the client: ``audience``, ``priority``, ``lastModified``.
        meta: ``_meta`` of the block.
    """

    annotations: dict[str, Any] | None = None
    meta: dict[str, Any] | None = field(name="_meta", default=None)


class Text(Block, tag="text"):
    """Text for the model."""

    text: str


class Image(Block, tag="image"):
    """An image; ``data`` goes out in base64."""

    data: bytes
    # By a factory: a default that stood here would be left out on the wire.
    mime_type: str = field(default_factory=lambda: "image/png")


class Audio(Block, tag="audio"):
    """A sound; ``data`` goes out in base64."""

    data: bytes
    mime_type: str = field(default_factory=lambda: "audio/wav")


class ResourceLink(Block, tag="resource_link"):
    """A resource that the client may read if it wants to. Revisions before 2025-06-18 do not have it."""

    uri: str
    name: str
    title: str | None = None
    description: str | None = None
    mime_type: str | None = None
    size: int | None = None


class ResourceContents(Struct, rename="camel", omit_defaults=True):
    """What a resource holds: text, or bytes in ``blob``, which go out in base64."""

    uri: str
    mime_type: str | None = None
    text: str | UnsetType = UNSET
    blob: bytes | UnsetType = UNSET
    meta: dict[str, Any] | None = field(name="_meta", default=None)


class EmbeddedResource(Block, tag="resource"):
    """A resource, with what it holds."""

    resource: ResourceContents


Content: TypeAlias = Text | Image | Audio | ResourceLink | EmbeddedResource


class PromptMessage(Struct):
    """One message of a prompt."""

    content: Content
    role: Literal["user", "assistant"] = field(default="user")
