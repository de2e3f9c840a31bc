"""An MCP server framework that shows each unit of work only the tools, resources and prompts it needs."""

from scopedtools.catalog.catalog import Catalog
from scopedtools.catalog.declare import prompt, resource, tool, tools_from
from scopedtools.catalog.view import View
from scopedtools.context.context import Context
from scopedtools.context.local import ContextLocal
from scopedtools.context.settings import ViewSettings
from scopedtools.exceptions import ToolError
from scopedtools.protocol.content import Audio, EmbeddedResource, Image, PromptMessage, ResourceLink, Text
from scopedtools.server import ScopedServer
from scopedtools.types import Principal

__all__ = [
    "Audio",
    "Catalog",
    "Context",
    "ContextLocal",
    "EmbeddedResource",
    "Image",
    "Principal",
    "PromptMessage",
    "ResourceLink",
    "ScopedServer",
    "Text",
    "ToolError",
    "View",
    "ViewSettings",
    "prompt",
    "resource",
    "tool",
    "tools_from",
]

__version__ = "0.1.0"
