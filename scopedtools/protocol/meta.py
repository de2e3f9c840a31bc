"""Keys of ``_meta`` and of ``capabilities.extensions``, and our headers, each in one place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

PROTOCOL_VERSION: Final = "io.modelcontextprotocol/protocolVersion"
CLIENT_CAPABILITIES: Final = "io.modelcontextprotocol/clientCapabilities"
CLIENT_INFO: Final = "io.modelcontextprotocol/clientInfo"
LOG_LEVEL: Final = "io.modelcontextprotocol/logLevel"
SUBSCRIPTION_ID: Final = "io.modelcontextprotocol/subscriptionId"
SERVER_INFO: Final = "io.modelcontextprotocol/serverInfo"

TASKS: Final = "io.modelcontextprotocol/tasks"
"""Identifier of the extension under which a client follows calls as tasks."""

EXTENSION: Final = "io.github.scopedtools/context"
"""Identifier of the extension under which a client names its context."""

INTENT: Final = "io.github.scopedtools/intent"
"""Request ``_meta``: what the unit of work is about."""

PARENT: Final = "io.github.scopedtools/parent"
"""Request ``_meta``: ID of the context that this one was forked from."""

IF_REVISION: Final = "io.github.scopedtools/ifRevision"
"""Request ``_meta``: revision of the list that the client holds; an answer that is the same leaves it out."""

REPLY: Final = "io.github.scopedtools/reply"
"""Request ``_meta``: what the assistant answered before the intent; counts with it where the view grows."""

VIEW: Final = "io.github.scopedtools/view"
"""Result ``_meta``: what a narrowed list shows, and of how much."""

EXPLAIN: Final = "io.github.scopedtools/explain"
"""Request ``_meta``: true to have the view say why each row is in."""

ID_HEADER: Final = "Mcp-Client-Session-Id"
"""HTTP header of SEP-2822 in which a client names its context."""

INTENT_HEADER: Final = "Mcp-Context-Intent"
PARENT_HEADER: Final = "Mcp-Context-Parent"


def declared_settings(capabilities: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return what a client declares under our extension, or ``None`` where it does not know it."""
    return _declared(capabilities, EXTENSION)


def declares_tasks(capabilities: Mapping[str, Any] | None) -> bool:
    """Tell whether a client with these capabilities can follow tasks."""
    return _declared(capabilities, TASKS, fields=("extensions",)) is not None


def _declared(
    capabilities: Mapping[str, Any] | None,
    extension: str,
    # Earlier revisions have no field for extensions; what is not in the specification is experimental there.
    fields: Iterable[str] = ("extensions", "experimental"),
) -> Mapping[str, Any] | None:
    if not capabilities:
        return None
    for field in fields:
        declared = capabilities.get(field)
        settings = declared.get(extension) if isinstance(declared, dict) else None
        if isinstance(settings, dict):
            return settings
    return None
