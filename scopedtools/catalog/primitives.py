"""Tools, resources, resource templates and prompts: the rows of a catalog."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeAlias, TypeGuard

import msgspec

from scopedtools.protocol.content import PromptMessage, ResourceContents
from scopedtools.protocol.results import CallResult, PromptResult, ReadResult
from scopedtools.types import Parameter

Kind: TypeAlias = Literal["tool", "resource", "template", "prompt"]

KINDS: tuple[Kind, ...] = ("tool", "resource", "template", "prompt")

TaskSupport: TypeAlias = Literal["never", "optional", "required"]

CallTool: TypeAlias = Callable[[Any, bytes], Awaitable[CallResult]]
"""Takes the context and the arguments as JSON."""

ReadResource: TypeAlias = Callable[
    [Any, str, Mapping[str, str]], Awaitable[list[ResourceContents] | ReadResult]
]
"""Takes the context, the URI, and the variables of its template, none for a plain resource."""

ReadLink: TypeAlias = Callable[[Any, str], Awaitable[list[ResourceContents] | ReadResult]]
"""Takes the context and a URI."""

Updated: TypeAlias = Callable[[str], Awaitable[None]]
"""Takes the URI of a resource that holds something else now."""

WatchResource: TypeAlias = Callable[[str, Updated], Awaitable[Callable[[], None]]]
"""Takes the URI and what to tell of its changes; returns what ends that."""

GetPrompt: TypeAlias = Callable[[Any, Mapping[str, str]], Awaitable[list[PromptMessage] | PromptResult]]
"""Takes the context and the arguments."""

Complete: TypeAlias = Callable[[Any, str, str, Mapping[str, str]], Awaitable[Sequence[str]]]
"""Takes the context, the argument, what was typed of it, and the arguments that are filled in already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Primitive:
    """What all rows have in common.

    Attributes:
        name: Unique among the rows of its kind.
        description: What it does, for the model; also what the index reads first.
        title: Name for people.
        tags: Words that the author groups rows by; not sent to clients.
        examples: Requests that it serves, in users' words; read by the index, not sent.
        pinned: Shown in every view that permits it.
        icons: Images for people, each with a ``src``; revisions before 2025-11-25 do not have them.
        scopes: OAuth scopes that a caller needs, all of them; not sent to clients.
        group: What it belongs to, such as the server or the toolset that it comes from; not sent.
        requires: Names of the rows that must be called before it; a view that shows it shows them. Not sent.
    """

    kind: ClassVar[Kind]

    name: str
    description: str = ""
    title: str | None = None
    tags: frozenset[str] = frozenset()
    examples: tuple[str, ...] = ()
    pinned: bool = False
    icons: tuple[Mapping[str, Any], ...] = ()
    scopes: frozenset[str] = frozenset()
    group: str = ""
    requires: tuple[str, ...] = ()

    @property
    def identity(self) -> str:
        """What a client asks for it by."""
        return self.name

    def parameters(self) -> Iterable[Parameter]:
        """Return the arguments that it takes, in order."""
        return ()

    def wire(self) -> dict[str, Any]:
        """Return the fields that go to clients, at the latest revision."""
        fields = {
            "name": self.name,
            "title": self.title,
            "description": self.description or None,
            "icons": self.icons or None,
        }
        return _present(fields | self._own_fields())

    def _own_fields(self) -> dict[str, Any]:
        return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool(Primitive):
    """A function that the model may call.

    Attributes:
        input_schema: JSON Schema 2020-12 of the arguments, an object.
        output_schema: JSON Schema of the structured content, an object, or ``None``.
        annotations: Hints such as ``{"readOnlyHint": True}``.
        call: Runs it; ``None`` for rows that only describe.
        task: Whether a call may, or has to, become a task; it does when it calls ``ctx.detach()``.
        read_link: Reads what its results linked to, for the context that got the link, where no row stands
            for it; ``None`` where links are for rows only.
    """

    kind = "tool"

    input_schema: dict[str, Any] = field(default_factory=lambda: {"type": "object"})
    output_schema: dict[str, Any] | None = None
    annotations: dict[str, Any] = field(default_factory=dict)
    call: CallTool | None = None
    task: TaskSupport = "never"
    read_link: ReadLink | None = None

    def parameters(self) -> Iterable[Parameter]:
        properties = self.input_schema.get("properties")
        if not isinstance(properties, dict):
            return
        required = self.input_schema.get("required")
        needed = frozenset(filter(_is_text, required)) if isinstance(required, list) else frozenset()
        for name, schema in properties.items():
            description = schema.get("description") if isinstance(schema, dict) else None
            yield Parameter(name, description if _is_text(description) else "", name in needed)

    def mentions(self, keyword: str) -> bool:  # noqa: ARG002 - others know
        """Tell whether the input schema may have a keyword anywhere; false only where it has not."""
        return True

    def _own_fields(self) -> dict[str, Any]:
        return {
            "inputSchema": self.input_schema,
            "outputSchema": self.output_schema,
            "annotations": self.annotations or None,
        }


class StoredTool(Tool):
    """A tool whose schema is kept as JSON and decoded where it is asked for.

    As objects, the schemas of a large catalog would be most of it: five times the memory, all of which Python
    would go through whenever it looks for garbage.
    """

    __slots__ = ("_schema",)

    _schema: bytes

    @property
    def input_schema(self) -> dict[str, Any]:
        decoded: dict[str, Any] = msgspec.json.decode(self._schema)
        return decoded

    @input_schema.setter
    def input_schema(self, schema: dict[str, Any]) -> None:
        object.__setattr__(self, "_schema", msgspec.json.encode(schema))

    def mentions(self, keyword: str) -> bool:
        return keyword.encode() in self._schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource(Primitive):
    """Something to read, at a fixed URI.

    Attributes:
        uri: Where.
        mime_type: Of what it holds.
        read: Reads it; ``None`` for rows that only describe.
        watch: Tells when it changes, where that is known elsewhere; besides ``resource_updated``.
    """

    kind = "resource"

    uri: str
    mime_type: str | None = None
    read: ReadResource | None = None
    watch: WatchResource | None = None

    @property
    def identity(self) -> str:
        return self.uri

    def _own_fields(self) -> dict[str, Any]:
        return {"uri": self.uri, "mimeType": self.mime_type}


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceTemplate(Primitive):
    """Things to read, at URIs that follow a template (RFC 6570, level 1 and ``{+name}``).

    Attributes:
        uri_template: Which URIs.
        mime_type: Of what they hold.
        read: Reads one; ``None`` for rows that only describe.
        watch: Tells when one changes, where that is known elsewhere; besides ``resource_updated``.
    """

    kind = "template"

    uri_template: str
    mime_type: str | None = None
    read: ReadResource | None = None
    complete: Complete | None = None
    watch: WatchResource | None = None

    @property
    def identity(self) -> str:
        return self.uri_template

    def _own_fields(self) -> dict[str, Any]:
        return {"uriTemplate": self.uri_template, "mimeType": self.mime_type}


@dataclass(frozen=True, slots=True)
class PromptArgument:
    """An argument of a prompt, always text; ``choices`` are what it may be, where that is known."""

    name: str
    description: str = ""
    required: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt(Primitive):
    """A message, or several, that the user picks and fills in."""

    kind = "prompt"

    arguments: tuple[PromptArgument, ...] = ()
    get: GetPrompt | None = None
    complete: Complete | None = None

    def parameters(self) -> Iterable[Parameter]:
        return (
            Parameter(argument.name, argument.description, argument.required) for argument in self.arguments
        )

    def _own_fields(self) -> dict[str, Any]:
        return {"arguments": [_argument(argument) for argument in self.arguments] or None}


def _argument(argument: PromptArgument) -> dict[str, Any]:
    description = argument.description or None
    return _present({"name": argument.name, "description": description, "required": argument.required})


def _present(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str)
