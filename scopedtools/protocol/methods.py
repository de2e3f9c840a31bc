"""Every method that is served: its parameters, the revisions that have it, the header that mirrors it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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


class CallParams(Params, kw_only=True):
    """A tool and its arguments, which stay JSON until the tool's own schema reads them."""

    name: str
    arguments: Raw | UnsetType = UNSET


class ReadParams(Params, kw_only=True):
    """A resource."""

    uri: str


class GetPromptParams(Params, kw_only=True):
    """A prompt and its arguments."""

    name: str
    arguments: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Method:
    """A method of the protocol.

    Attributes:
        name: As on the wire.
        params: Shape of its parameters.
        eras: Whether stateless revisions have it, earlier ones, or both.
        named_by: The parameter that the ``Mcp-Name`` header mirrors, or ``None``.
        notification: It has no answer.
    """

    name: str
    params: type[Params] = Params
    eras: Literal["stateless", "initialize", "both"] = "both"
    named_by: str | None = None
    notification: bool = False

    def exists_at(self, revision: Revision) -> bool:
        """Tell whether a revision has this method."""
        return self.eras == "both" or (self.eras == "stateless") == revision.stateless

    def decode(self, raw: Raw | UnsetType) -> Params:
        """Read the parameters.

        Raises:
            InvalidParamsError: They do not have the shape that the method asks for.
        """
        return decode_params(raw, self.params)


def decode_params(raw: Raw | UnsetType, shape: type[Params]) -> Params:
    """Read parameters of a given shape; see `Method.decode`."""
    try:
        return msgspec.json.decode(b"{}" if raw is UNSET else raw, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidParamsError(f"Invalid params: {error}") from error


_METHODS: Final = (
    Method("server/discover", eras="stateless"),
    Method("initialize", InitializeParams, eras="initialize"),
    Method("notifications/initialized", eras="initialize", notification=True),
    Method("notifications/cancelled", notification=True),
    Method("ping", eras="initialize"),
    Method("tools/list", ListParams),
    Method("tools/call", CallParams, named_by="name"),
    Method("resources/list", ListParams),
    Method("resources/templates/list", ListParams),
    Method("resources/read", ReadParams, named_by="uri"),
    Method("prompts/list", ListParams),
    Method("prompts/get", GetPromptParams, named_by="name"),
)

METHODS: Final[Mapping[str, Method]] = MappingProxyType({method.name: method for method in _METHODS})


def unknown_method(name: str, revision: Revision) -> MethodNotFoundError:
    """Make the error for a method that a revision does not have."""
    return MethodNotFoundError(f"Unknown method {name!r} at protocol revision {revision.name}")
