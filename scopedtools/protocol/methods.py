"""Every method that is served: its parameters, the revisions that have it, the header that mirrors it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Final, Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType, field

from scopedtools.exceptions import InvalidParamsError, MethodNotFoundError
from scopedtools.protocol.revisions import Revision


class Params(Struct, rename="camel", kw_only=True):
    """Parameters that any request may have."""

    meta: dict[str, Any] = field(name="_meta", default_factory=dict)


class InitializeParams(Params, kw_only=True):
    """What a client of an earlier revision opens with."""

    protocol_version: str
    capabilities: dict[str, Any] = field(default_factory=dict)
    client_info: dict[str, Any] = field(default_factory=dict)


class ListParams(Params, kw_only=True):
    """A list, from its beginning or from a cursor."""

    cursor: str | None = None


class InputParams(Params, kw_only=True):
    """A request that may come again, with answers to what the server asked; see ``protocol.inputs``."""

    input_responses: dict[str, Any] | None = None
    request_state: str | None = None


class CallParams(InputParams, kw_only=True):
    """A tool and its arguments, which stay JSON until the tool's own schema reads them."""

    name: str
    arguments: Raw | UnsetType = UNSET


class ReadParams(InputParams, kw_only=True):
    """A resource."""

    uri: str


class GetPromptParams(InputParams, kw_only=True):
    """A prompt and its arguments."""

    name: str
    arguments: dict[str, str] | None = None


class CompletionArgument(Struct):
    """An argument and what was typed of it so far."""

    name: str
    value: str


class CompletionContext(Struct):
    """Arguments that are filled in already."""

    arguments: dict[str, str] = field(default_factory=dict)


class CompleteParams(Params, kw_only=True):
    """An argument of a prompt or a variable of a resource template, to be completed."""

    ref: dict[str, Any]
    argument: CompletionArgument
    context: CompletionContext = field(default_factory=CompletionContext)


class TaskParams(Params, kw_only=True):
    """A task."""

    task_id: str


class UpdateTaskParams(TaskParams, kw_only=True):
    """Answers to what a task asks, by key."""

    input_responses: dict[str, Any]


class SubscriptionFilter(Struct, rename="camel", omit_defaults=True):
    """Kinds of notifications that a client wants."""

    tools_list_changed: bool = False
    prompts_list_changed: bool = False
    resources_list_changed: bool = False
    resource_subscriptions: list[str] = field(default_factory=list)
    task_ids: list[str] = field(default_factory=list)


class ListenParams(Params, kw_only=True):
    """A stream of notifications."""

    notifications: SubscriptionFilter


class SetLevelParams(Params, kw_only=True):
    """The least severe log messages that the client wants."""

    level: Literal["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]


class CancelledParams(Params, kw_only=True):
    """A request that nobody waits for any longer."""

    request_id: int | str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Method:
    """A method of the protocol.

    Attributes:
        name: As on the wire.
        params: Shape of its parameters.
        eras: Whether stateless revisions have it, earlier ones, or both.
        named_by: The field of ``params`` that the ``Mcp-Name`` header mirrors, or ``None``.
        notification: It has no answer.
        interactive: An author's code runs for as long as it likes and may talk to the client meanwhile.
    """

    name: str
    params: type[Params] = Params
    eras: Literal["stateless", "initialize", "both"] = "both"
    named_by: str | None = None
    notification: bool = False
    interactive: bool = False

    def exists_at(self, revision: Revision) -> bool:
        """Tell whether a revision has this method."""
        return self.eras == "both" or (self.eras == "stateless") == revision.stateless


@cache
def _decoder(shape: type[Params]) -> msgspec.json.Decoder[Params]:
    return msgspec.json.Decoder(shape)


def decode_params(raw: Raw | bytes | UnsetType, shape: type[Params]) -> Params:
    """Read parameters.

    Raises:
        InvalidParamsError: They do not have this shape.
    """
    try:
        return _decoder(shape).decode(b"{}" if raw is UNSET else raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidParamsError(f"Invalid params: {error}") from error


_METHODS: Final = (
    Method("server/discover", eras="stateless"),
    Method("initialize", InitializeParams, eras="initialize"),
    Method("notifications/initialized", eras="initialize", notification=True),
    Method("notifications/cancelled", CancelledParams, notification=True),
    Method("notifications/progress", notification=True),
    Method("notifications/roots/list_changed", eras="initialize", notification=True),
    Method("ping", eras="initialize"),
    Method("tools/list", ListParams),
    Method("tools/call", CallParams, named_by="name", interactive=True),
    Method("resources/list", ListParams),
    Method("resources/templates/list", ListParams),
    Method("resources/read", ReadParams, named_by="uri", interactive=True),
    Method("resources/subscribe", ReadParams, eras="initialize"),
    Method("resources/unsubscribe", ReadParams, eras="initialize"),
    Method("prompts/list", ListParams),
    Method("prompts/get", GetPromptParams, named_by="name", interactive=True),
    Method("completion/complete", CompleteParams),
    Method("logging/setLevel", SetLevelParams, eras="initialize"),
    Method("subscriptions/listen", ListenParams, eras="stateless", interactive=True),
    Method("tasks/get", TaskParams, eras="stateless", named_by="task_id"),
    Method("tasks/update", UpdateTaskParams, eras="stateless", named_by="task_id"),
    Method("tasks/cancel", TaskParams, eras="stateless", named_by="task_id"),
)

METHODS: Final[Mapping[str, Method]] = MappingProxyType({method.name: method for method in _METHODS})


def unknown_method(name: str, revision: Revision) -> MethodNotFoundError:
    """Make the error for a method that a revision does not have."""
    return MethodNotFoundError(f"Unknown method {name!r} at protocol revision {revision.name}")
