"""The unit of work as its client sees it, and every place on a request where it can ride."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit
from uuid import uuid4

from scopedtools.context.carriers import is_context_id
from scopedtools.protocol.meta import (
    EXTENSION,
    ID_HEADER,
    INTENT,
    INTENT_HEADER,
    PARENT,
    PARENT_HEADER,
    REPLY,
)
from scopedtools.protocol.mirrors import encode_value

if TYPE_CHECKING:
    import httpx2

_QUERY: Final = ("context", "intent", "parent")


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitOfWork:
    """One conversation, workflow or agent run: what groups requests, for whoever answers them.

    A value: it knows no client and no server, and may be used with any number of both. Make one before the
    first request, keep it while the work lasts.

    Attributes:
        intent: What the work is about, in plain words; servers choose by it what they show. Or ``None``.
        id: The name of the unit, 1 to 256 visible ASCII characters; a new random UUID by default. A name and
            not a credential; take one that others cannot guess where the server knows no users.
        parent: ID of the unit that this one was forked from, or ``None``.
        growth: Follow lists that grow: what is listed stays and more may be appended, after a new intent or
            a search. Otherwise a list stays as it was first seen.
        reply: What the assistant answered before the intent came, or ``None``. It counts with the intent
            where lists grow.

    Raises:
        ValueError: An ID is malformed or is its own parent, or a text cannot be sent.
    """

    intent: str | None = None
    id: str = field(default_factory=lambda: str(uuid4()))
    parent: str | None = None
    growth: bool = True
    reply: str | None = None

    def __post_init__(self) -> None:
        _require_id("id", self.id)
        if self.parent is not None:
            _require_id("parent", self.parent)
            if self.parent == self.id:
                raise ValueError("parent must be another unit of work, got its own id; use fork()")
        _require_text("intent", self.intent)
        _require_text("reply", self.reply)

    def fork(self, intent: str | None = None) -> Self:
        """Return a new unit that begins with what this one is shown: a sub-agent, a branch.

        Args:
            intent: What the part is about.
        """
        return replace(self, id=str(uuid4()), parent=self.id, intent=intent, reply=None)

    def about(self, intent: str, *, reply: str | None = None) -> Self:
        """Return this unit with what it is about now: the next turn of a conversation.

        Args:
            intent: What the work is about now.
            reply: What the assistant answered before.
        """
        return replace(self, intent=intent, reply=reply)

    @contextmanager
    def active(self) -> Iterator[Self]:
        """Make this the unit of all requests that the current task, and tasks it starts, make meanwhile.

        For one client object that many tasks share. It counts before the unit that a client is bound to.
        """
        token = _active.set(self)
        try:
            yield self
        finally:
            _active.reset(token)

    @staticmethod
    def current() -> UnitOfWork | None:
        """Return the unit that is active in this task, or ``None``."""
        return _active.get()

    # Where it rides

    def extensions(self) -> dict[str, dict[str, Any]]:
        """Return the settings by the identifier of the extension, as ``capabilities.extensions`` has them."""
        return {EXTENSION: self.settings()}

    def settings(self) -> dict[str, Any]:
        """Return the client's settings of the extension.

        The cache scope is not declared here: only `connect` does that, where its cache is in place.
        """
        said = {"contextId": self.id, "intent": self.intent, "parent": self.parent, "growth": self.growth}
        return {key: value for key, value in said.items() if value}

    def meta(self) -> dict[str, Any]:
        """Return what goes into ``_meta`` of a request; the only place on stdio before 2026-07-28."""
        said = {"clientSessionId": self.id, INTENT: self.intent, PARENT: self.parent, REPLY: self.reply}
        return {key: value for key, value in said.items() if value}

    def headers(self) -> dict[str, str]:
        """Return HTTP headers, for clients that can set no more than these.

        The intent is encoded where it is not plain ASCII. Proxies limit a header, many to 8 KiB: be brief.
        """
        said = {
            ID_HEADER: self.id,
            INTENT_HEADER: encode_value(self.intent) if self.intent else None,
            PARENT_HEADER: self.parent,
        }
        return {name: value for name, value in said.items() if value}

    def url(self, base: str) -> str:
        """Return the URL of an endpoint that names this unit, for clients that can set nothing else.

        Args:
            base: The endpoint. Its other query parameters are kept.
        """
        parts = urlsplit(base)
        kept = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] not in _QUERY]
        own = zip(_QUERY, (self.id, self.intent, self.parent), strict=True)
        query = urlencode([*kept, *((name, value) for name, value in own if value)])
        return urlunsplit(parts._replace(query=query))

    # A2A

    @classmethod
    def from_a2a(cls, message: Mapping[str, Any] | object, *, intent: str | None = None) -> Self:
        """Return the unit that an A2A message belongs to: its ``contextId``, as it is.

        Args:
            message: As JSON, or an object with ``context_id`` as the A2A SDK makes it.
            intent: What the message is about.

        Returns:
            The unit. Where the message names none, it has a new ID, which has to go back: see `to_a2a`.

        Raises:
            ValueError: The ID cannot be used here. Refuse the message; A2A forbids to take another ID.
        """
        if isinstance(message, Mapping):
            said = message.get("contextId")
        else:
            said = getattr(message, "context_id", None) or None  # protocol buffers say "" where there is none
        if said is None:
            return cls(intent=intent)
        _require_id("contextId", said)
        return cls(id=said, intent=intent)

    def to_a2a(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Return an A2A message, as JSON, with this unit as its ``contextId``.

        Raises:
            ValueError: It belongs to another one already.
        """
        said = message.get("contextId")
        if said is not None and said != self.id:
            raise ValueError("The message has another contextId already; answer in the context it came in")
        return {**message, "contextId": self.id}


_active: Final[ContextVar[UnitOfWork | None]] = ContextVar("active unit of work", default=None)


async def add_context(request: httpx2.Request) -> None:
    """Put the active unit into the headers of an MCP request: an event hook of HTTP clients.

    For clients that build their own transport on httpx2 or httpx; `connect` needs it not::

        httpx2.AsyncClient(event_hooks={"request": [add_context]})

    A request that names a context already is left alone, and so is one that is not MCP, such as for a token.
    """
    unit = UnitOfWork.current()
    # Every request of the transport accepts a stream, and no request of an authorization flow does.
    is_mcp = "text/event-stream" in request.headers.get("accept", "")
    if unit is not None and is_mcp and ID_HEADER not in request.headers:
        request.headers.update(unit.headers())


def _require_id(name: str, value: object) -> None:
    if is_context_id(value):
        return
    # The value may be long or personal, and the message may reach a log.
    got = f"{len(value)} characters" if isinstance(value, str) else type(value).__name__
    raise ValueError(f"{name} must be 1 to 256 visible ASCII characters, got {got}; str(uuid4()) makes one")


def _require_text(name: str, value: object) -> None:
    if value is None:
        return
    if not isinstance(value, str):
        raise ValueError(f"{name} must be text or None, got {type(value).__name__}")  # noqa: TRY004 - as for IDs
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{name} must be text that UTF-8 can carry, got half of a surrogate pair") from error
