"""A request on its way from a transport to a handler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct

from scopedtools.exceptions import MissingCapabilityError
from scopedtools.protocol import meta
from scopedtools.protocol.envelope import MessageId
from scopedtools.protocol.exchange import SILENCE, Exchange, TaskExchange
from scopedtools.protocol.methods import CallParams, Method, Params
from scopedtools.protocol.revisions import Revision
from scopedtools.protocol.session import Session
from scopedtools.protocol.understood import Again
from scopedtools.types import ANONYMOUS, Principal

CALL_TOOL: Final = "call_tool"
"""Name of the tool that calls the one which its argument ``name`` names."""


class Ingress(Struct, frozen=True):
    """What a transport knows of a request besides its body.

    Attributes:
        principal: Who is asking.
        headers: Header lines in the order of arrival, names in lower case; empty on stdio.
        query: Query string of the URL, undecoded.
        exchange: The way back to the client while the request runs.
        session: What the connection remembers, where it began with ``initialize``.
        unscoped: OAuth scopes do not apply: the client is who started this process, as on stdio.
        address: Of the client, as the ASGI server tells it; empty where there is none.
    """

    principal: Principal = ANONYMOUS
    headers: tuple[tuple[bytes, bytes], ...] = ()
    query: bytes = b""
    exchange: Exchange = SILENCE
    session: Session | None = None
    unscoped: bool = False
    address: str = ""


class Pin:
    """Keeps a request with one edition of the server.

    Attributes:
        edition: What answers the request. A request that only waits for news lets go of it, since the catalog
            may be replaced many times before it ends.
    """

    __slots__ = ("edition",)

    def __init__(self, edition: Any) -> None:
        self.edition = edition


class Request(Struct, frozen=True):
    """A request that was understood, on its way to a handler.

    Attributes:
        method: The method asked for.
        params: Its parameters, of the shape ``method.params``.
        revision: The protocol revision that it speaks.
        ingress: What the transport knows of it.
        id: What the client calls it, or ``None`` for a notification.
        task: What the call may become or has become, or ``None``.
        pin: Keeps it with what answers it, or ``None`` for whatever answers now.
        again: What is known of all requests that say just the same, where that is remembered.
    """

    method: Method
    params: Params
    revision: Revision
    ingress: Ingress
    id: MessageId | None
    task: TaskExchange | None = None
    pin: Pin | None = None
    again: Again | None = None

    @property
    def edition(self) -> Any:
        """What answers it, all of one catalog, or ``None``."""
        return self.pin.edition if self.pin is not None else None

    @property
    def meta(self) -> dict[str, Any]:
        """``_meta`` of the parameters; empty where there is none."""
        return self.params.meta

    @property
    def client_capabilities(self) -> Mapping[str, Any] | None:
        """What the client declared that it can do, or ``None`` where that is not known here."""
        declared = self.meta.get(meta.CLIENT_CAPABILITIES)
        if isinstance(declared, dict):
            return declared
        return self.ingress.session.capabilities if self.ingress.session is not None else None

    @property
    def target(self) -> str | None:
        """The tool, prompt or URI that the request names, or ``None``."""
        named_by = self.method.named_by
        # Where nobody is authenticated, who knows the ID of a task has the task: it must not be written down.
        return getattr(self.params, named_by) if named_by not in (None, "task_id") else None

    @property
    def tool(self) -> str | None:
        """The tool that is called in the end, through ``call_tool`` too, or ``None``."""
        params = self.params
        if not isinstance(params, CallParams):
            return None
        if params.name != CALL_TOOL or params.arguments is UNSET:
            return params.name
        try:
            return _named.decode(params.arguments).name
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return params.name  # no call of another tool, as it will turn out

    @property
    def begun_task(self) -> TaskExchange | None:
        """The task that the call is by now, or ``None``."""
        return self.task if self.task is not None and self.task.began else None

    @property
    def follows_tasks(self) -> bool:
        """Whether the client can follow a call as a task."""
        return self.revision.stateless and meta.declares_tasks(self.client_capabilities)


def tasks_required() -> MissingCapabilityError:
    """Make the error for a client that cannot follow tasks."""
    return MissingCapabilityError(
        f"This needs a client that declares the extension {meta.TASKS!r} on the request",
        data={"requiredCapabilities": {"extensions": {meta.TASKS: {}}}},
    )


class _Named(Struct):
    name: str


_named: Final = msgspec.json.Decoder(_Named)
