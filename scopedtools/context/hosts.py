"""Which hosts name their unit of work, and where: the table that the carriers come from.

As seen in August 2026. A host that changes is a row that changes, here and in the requests that the tests
replay (``tests/context/host_requests.json``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from scopedtools.exceptions import DefinitionError
from scopedtools.protocol.meta import ID_HEADER

Place: TypeAlias = Literal["extension", "header", "meta", "baggage", "query", "argument", "environment"]

Unit: TypeAlias = Literal["conversation", "connection", "process"]


@dataclass(frozen=True, slots=True)
class Carrier:
    """A place on a request where a context ID can ride.

    Attributes:
        place: ``extension``: settings of our extension; ``header``: an HTTP header; ``meta``: a key of
            ``_meta``; ``baggage``: a W3C baggage item, in ``_meta`` or the header; ``query``: the URL;
            ``argument``: an argument of the tool that is called; ``environment``: a variable that a client
            on stdio started this process with.
        key: Name there. Names of headers and of ``_meta`` keys match in any case.
        field: Where the value is an object, the field of it that holds the ID.
        legacy: Looked at only for requests of revisions before 2026-07-28.
        strict: A malformed ID is refused, where elsewhere it is none. An empty one is none here too.
        echoed: Results of a request that names its context here repeat the ID under the same key.
    """

    place: Place
    key: str
    field: str | None = None
    legacy: bool = False
    strict: bool = False
    echoed: bool = False

    def __post_init__(self) -> None:
        if self.echoed and (self.place != "meta" or self.field is not None):
            raise DefinitionError(f"only a key of _meta can be echoed, got {self}")

    def __str__(self) -> str:
        return f"{self.place}:{self.key}" + (f".{self.field}" if self.field else "")


@dataclass(frozen=True, slots=True)
class Host:
    """What a host, a platform or a proposal puts on requests to say which unit of work they belong to.

    Attributes:
        name: What it is called.
        carriers: Where servers look for its ID by default.
        optional: Where servers look only if their author adds it to ``carriers``, since the same name may
            mean something else, or be of something else.
        unit: What the ID names.
        on_lists: Whether lists come with the ID too, and can be narrowed. Without, it is known to come with
            ``tools/call`` alone.
        unread: What could be taken for such an ID, and why it is not one.
        source: Where it was seen.
    """

    name: str
    carriers: tuple[Carrier, ...] = ()
    optional: tuple[Carrier, ...] = ()
    unit: Unit = "conversation"
    on_lists: bool = False
    unread: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    source: str = ""


_TRACE: Final = "one trace: a turn, or a call"

HOSTS: Final = (
    Host(
        "scopedtools extension",
        (Carrier("extension", "contextId"),),
        on_lists=True,
        source="io.github.scopedtools/context",
    ),
    Host(
        "SEP-2822",
        (
            Carrier("header", ID_HEADER),
            Carrier("meta", "clientSessionId"),
            # with the prefix that its open question asks for
            Carrier("meta", "io.modelcontextprotocol/clientSessionId"),
        ),
        on_lists=True,
        source="modelcontextprotocol PR 2822",
    ),
    Host(
        "Claude Code through claude.ai connectors",
        (Carrier("header", "X-Mcp-Client-Session-Id"),),
        unit="process",
        on_lists=True,
        source="Claude Code; seen only on the way to Anthropic's own proxy",
    ),
    Host(
        "A2A",
        # Its specification, 3.4.1: keep the client's value as it is, or refuse it; never put another in its
        # place. An empty one is what its messages hold where none was set.
        (Carrier("meta", "contextId", strict=True, echoed=True),),
        on_lists=True,
        source="a2aproject/A2A specification 3.4.1",
    ),
    Host(
        "SEP-3318",
        (
            Carrier("meta", "io.modelcontextprotocol/conversation-handle", "conversationId"),
            Carrier("meta", "io.modelcontextprotocol/conversation-handle", "handle"),
        ),
        source="modelcontextprotocol PR 3318; forbids lists that depend on the conversation",
    ),
    Host(
        "Sessions in the data layer",
        (Carrier("meta", "io.modelcontextprotocol/session", "sessionId"),),
        source="Transports working group PR 20",
    ),
    Host(
        "ChatGPT",
        (Carrier("meta", "openai/session"),),
        unread=MappingProxyType(
            {
                "openai/subject": "a user",
                "openai/organization": "an organization",
                "openai/widgetSessionId": "one widget, of several in a conversation",
            }
        ),
        source="FlowFuse#8561, openai-apps-sdk-examples#228",
    ),
    Host(
        "VS Code",
        (Carrier("meta", "vscode.conversationId"),),
        unread=MappingProxyType({"vscode.requestId": "one turn", "traceparent": _TRACE}),
        source="microsoft/vscode, openai/codex#7951",
    ),
    Host(
        "Codex",
        (
            Carrier("meta", "threadId"),
            Carrier("meta", "x-codex-turn-metadata", "thread_id"),
            # Shared by a thread and those that it starts; before May 2026 there was nothing else.
            Carrier("meta", "x-codex-turn-metadata", "session_id"),
        ),
        unread=MappingProxyType({"x-codex-turn-metadata.turn_id": "one turn"}),
        source="openai/codex#15190, #18093, #21329; #31328 would keep it from other people's servers",
    ),
    Host(
        "opencode",
        (Carrier("meta", "ai.opencode/sessionID"), Carrier("meta", "sessionID")),
        source="opencode#46008",
    ),
    Host(
        "goose",
        (Carrier("meta", "agent-session-id"), Carrier("meta", "goose-session-id")),
        on_lists=True,
        unread=MappingProxyType(
            {"agent-working-dir": "a folder", "agent-tool-call-request-id": "one call"},
        ),
        source="aaif-goose/goose, block/goose#6626",
    ),
    Host(
        "Antigravity",
        (Carrier("meta", "antigravity.google/conversation_id"),),
        unread=MappingProxyType({"artifacts_dir": "a folder"}),
        source="what it sends",
    ),
    Host(
        "ZCode",
        (Carrier("meta", "com.zcode/request-context", "session_id"), Carrier("meta", "session_id")),
        unread=MappingProxyType({"com.zcode/request-context.turn_id": "one turn"}),
        source="what it sends",
    ),
    Host(
        "Databricks dao-ai",
        (Carrier("meta", "conversation_id"), Carrier("header", "X-Databricks-Conversation-Id")),
        optional=(Carrier("argument", "conversation_id"), Carrier("argument", "thread_id")),
        source="dao-ai#187",
    ),
    Host(
        "PostHog",
        (Carrier("header", "Mcp-Conversation-Id"),),
        optional=(Carrier("argument", "conversation_id"),),
        source="posthog-js#4428, posthog#58493, posthog#76735",
    ),
    Host(
        "OpenHands",
        (Carrier("header", "X-OpenHands-Conversation-ID"),),
        on_lists=True,
        source="OpenHands#8348",
    ),
    Host(
        "kagent",
        (Carrier("header", "X-Kagent-Session-Id"),),
        source="kagent#1727; asked for, not merged",
    ),
    Host(
        "Bedrock AgentCore",
        (Carrier("header", "X-Amzn-Bedrock-AgentCore-Runtime-Session-Id"),),
        on_lists=True,
        source="Transports working group #36, aws-samples#353",
    ),
    Host(
        "OpenTelemetry",
        (Carrier("baggage", "gen_ai.conversation.id"), Carrier("baggage", "session.id")),
        on_lists=True,
        unread=MappingProxyType({"traceparent": _TRACE}),
        source="Transports working group PR 47",
    ),
    Host(
        "Hosts that can set nothing but a URL",
        (Carrier("query", "context"),),
        unit="connection",
        on_lists=True,
    ),
    Host(
        # AgentCore takes the client's value for it and makes one where there is none. All others mint it,
        # seldom one to a conversation: better than nothing, where there is nothing.
        "Earlier revisions, and Bedrock AgentCore",
        (Carrier("header", "Mcp-Session-Id", legacy=True),),
        optional=(Carrier("header", "Mcp-Session-Id"),),
        unit="connection",
        on_lists=True,
        source="MCP 2025-03-26 to 2025-11-25, Transports working group #36",
    ),
    Host(
        "Claude Code",
        # The life of a process is not a conversation, and what it inherited may be that of another.
        optional=(Carrier("environment", "CLAUDE_CODE_SESSION_ID"),),
        unit="process",
        on_lists=True,
        unread=MappingProxyType({"claudecode/toolUseId": "one call"}),
        source="claude-code#41836, #54629",
    ),
    Host(
        "Grok Build",
        optional=(Carrier("environment", "GROK_SESSION_ID"),),
        unit="process",
        on_lists=True,
        source="what it sends",
    ),
    Host(
        "claude.ai and Claude Desktop",
        unread=MappingProxyType({"traceparent": _TRACE}),
        source="claude-code#41836, claude-ai-mcp#975",
    ),
    Host("Cursor", source="nothing on its requests"),
    Host("Gemini CLI", unread=MappingProxyType({"progressToken": "one call"}), source="what it sends"),
)
"""Who sends what, in order of precedence."""

CARRIERS: Final = tuple(dict.fromkeys(carrier for host in HOSTS for carrier in host.carriers))
"""The carriers that a server reads by default, first match first."""

OPTIONAL: Final = tuple(dict.fromkeys(carrier for host in HOSTS for carrier in host.optional))
"""Those that it reads if its author says so: ``ScopedServer(carriers=[*CARRIERS, *OPTIONAL])``."""
