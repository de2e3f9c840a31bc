"""Content blocks of tool results, prompt messages and resources."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType, field


class TextContent(Struct, tag="text", tag_field="type"):
    """Text for the model."""

    text: str


class ResourceContents(Struct, rename="camel", omit_defaults=True):
    """What a resource holds: text, or base64 in ``blob``."""

    uri: str
    mime_type: str | None = None
    text: str | UnsetType = UNSET
    blob: str | UnsetType = UNSET


class PromptMessage(Struct):
    """One message of a prompt."""

    content: TextContent
    role: Literal["user", "assistant"] = field(default="user")
