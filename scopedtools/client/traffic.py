"""What goes through one connection: names the unit of work on it, and keeps what may be kept.

This works on messages, between the official client and its transport, because that is the one public seam
that sees all of them: also those that the client sends on its own account, such as ``server/discover``, the
list that it reads to check a tool's result, and ``subscriptions/listen``. It is also where ``cacheScope:
"context"`` can be understood, which the client's models refuse, and where a list can be asked for by its
revision and still be handed on whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeAlias

from mcp.shared.message import ClientMessageMetadata, SessionMessage
from mcp_types import JSONRPCError, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse

from scopedtools.client.cache import LISTS, READ, ContextCache, Owner, Place, Ticket, view_of
from scopedtools.client.unit import UnitOfWork
from scopedtools.protocol import meta
from scopedtools.protocol.mirrors import VERSION_HEADER

CacheMode: TypeAlias = Literal["use", "refresh", "bypass"]

_KEPT: Final = frozenset({*LISTS, READ})
_FOLLOWED: Final = frozenset({*_KEPT, "tools/call", "subscriptions/listen"})
"""Methods whose answers are looked at."""

_ROUTINE: Final = frozenset(
    {
        *(meta.PROTOCOL_VERSION, meta.CLIENT_CAPABILITIES, meta.CLIENT_INFO, meta.LOG_LEVEL),
        *("traceparent", "tracestate", "baggage", "progressToken"),
    }
)
"""Keys of ``_meta`` that come with every request. Any other wants the server to see it, and may change the
answer, which is then kept for nobody."""

_CHANGED: Final[Mapping[str, tuple[str, ...]]] = {
    "notifications/tools/list_changed": ("tools/list",),
    "notifications/prompts/list_changed": ("prompts/list",),
    "notifications/resources/list_changed": ("resources/list", "resources/templates/list"),
}

_MAX_TTL_MS: Final = 24 * 60 * 60 * 1000
"""Longer promises are cut to this, as the official client does."""

_HEADER_MISMATCH: Final = -32020
_INVALID_PARAMS: Final = -32602

_mode: Final[ContextVar[CacheMode]] = ContextVar("cache mode", default="use")


@contextmanager
def asking(mode: CacheMode) -> Iterator[None]:
    """Say how requests that this task makes meanwhile use the cache, as `mcp.client.CacheMode` means it."""
    token = _mode.set(mode)
    try:
        yield
    finally:
        _mode.reset(token)


@dataclass(slots=True)
class _Pending:
    """A request that waits for its answer."""

    owner: Owner
    method: str
    ticket: Ticket | None
    grows: bool


class Traffic:
    """Stamps what leaves and reads what comes.

    Args:
        unit: Of requests for which no unit is active.
        cache: Keeps what may be kept; ``None`` for nothing.
        server: Identity of the server.
        partition: Identity of the authorization.
    """

    def __init__(
        self, unit: UnitOfWork | None, cache: ContextCache | None, *, server: str, partition: str
    ) -> None:
        self._unit = unit
        self._caches = cache is not None
        self._cache = cache if cache is not None else ContextCache(max_bytes=0)
        self._server = server
        self._partition = partition
        self._pending: dict[str, _Pending] = {}
        self._capabilities: Mapping[str, Any] = {}

    @property
    def unit(self) -> UnitOfWork | None:
        """The unit that a message of the current task belongs to."""
        return UnitOfWork.current() or self._unit

    def close(self) -> None:
        """Note that nothing more will come."""
        for pending in self._pending.values():
            self._abandon(pending)
        self._pending.clear()

    # Leaving

    def outgoing(self, item: SessionMessage) -> SessionMessage | JSONRPCResponse:
        """Return what to send, or the answer where there is no need to."""
        message = item.message
        if isinstance(message, JSONRPCRequest):
            if message.method == "initialize":
                message = self._opening(message)
            own = message.params.get("_meta") if message.params else None
            told = self._told(message)
            if message.method in _FOLLOWED:
                answer = self._follow(message, told, own or {}, _version(item, told))
                if answer is not None:
                    return answer
            message = message.model_copy(update={"params": told}) if told else message
        elif isinstance(message, JSONRPCNotification) and message.method == "notifications/cancelled":
            self._end((message.params or {}).get("requestId"))
        return SessionMessage(message, self._named(item.metadata))

    def _opening(self, message: JSONRPCRequest) -> JSONRPCRequest:
        """Declare the extension for a session, which has no unit of its own: each request names its own."""
        params = dict(message.params or {})
        self._capabilities = dict(params.get("capabilities") or {})
        settings: dict[str, Any] = {"cacheScopes": ["context"]} if self._caches else {}
        if self.unit is not None and self.unit.growth:
            settings["growth"] = True
        if not settings:
            return message
        declared = _declaring(self._capabilities, "extensions", settings)
        # Where earlier revisions have a place for what they do not know.
        params["capabilities"] = _declaring(declared, "experimental", settings)
        return message.model_copy(update={"params": params})

    def _told(self, message: JSONRPCRequest) -> dict[str, Any]:
        """Return parameters that name the unit."""
        unit = self.unit
        params = dict(message.params or {})
        if unit is None:
            return params
        own = {**(params.get("_meta") or {}), **unit.meta()}
        if message.method == "initialize":  # which has a place of its own for the rest
            return {**params, "_meta": own}
        settings = unit.settings() | ({"cacheScopes": ["context"]} if self._caches else {})
        # Before 2026-07-28 capabilities are not part of a request. Ours go along all the same, since sessions
        # are few, and one of them may serve many units.
        declared = own.get(meta.CLIENT_CAPABILITIES) or self._capabilities
        own[meta.CLIENT_CAPABILITIES] = _declaring(declared, "extensions", settings)
        return {**params, "_meta": own}

    def _named(self, metadata: Any) -> Any:
        """Return transport metadata with the header; what is longer rides in the body."""
        unit = self.unit
        if unit is None or not isinstance(metadata, ClientMessageMetadata | None):
            return metadata
        metadata = metadata or ClientMessageMetadata()
        return replace(metadata, headers={**(metadata.headers or {}), meta.ID_HEADER: unit.id})

    def _follow(
        self, message: JSONRPCRequest, told: dict[str, Any], own: Mapping[str, Any], version: str | None
    ) -> JSONRPCResponse | None:
        """Note what is asked; return the answer if it is at hand."""
        unit = self.unit
        owner = Owner(self._server, self._partition, unit.id if unit else None)
        self._cache.describe(owner, unit)
        pending = _Pending(owner, message.method, None, grows=_searches(message) or meta.INTENT in own)
        if pending.grows:
            self._cache.expire(owner, LISTS)
        elif self._may_keep(message.method, told, own):
            use = _mode.get() == "use" and "progressToken" not in own
            place = Place.of(version, message.method, told)
            if use and (kept := self._cache.fresh(owner, place)) is not None:
                return JSONRPCResponse(jsonrpc="2.0", id=message.id, result=kept)
            conditional = use and message.method in LISTS and place.is_first_page
            pending.ticket = self._cache.begin(owner, place, unit, conditional=conditional)
            if pending.ticket.revision is not None:
                told["_meta"] = {**told.get("_meta", {}), meta.IF_REVISION: pending.ticket.revision}
        self._pending[str(message.id)] = pending
        return None

    def _may_keep(self, method: str, told: Mapping[str, Any], own: Mapping[str, Any]) -> bool:
        if method not in _KEPT or _mode.get() == "bypass":
            return False
        return _ROUTINE.issuperset(own) and not _is_continued(told)

    # Coming

    def incoming(self, item: SessionMessage | Exception) -> SessionMessage | Exception:
        """Return what the client gets."""
        if isinstance(item, Exception):
            return item
        message = item.message
        if isinstance(message, JSONRPCResponse):
            result = self._answered(message)
            return SessionMessage(message.model_copy(update={"result": result}), item.metadata)
        if isinstance(message, JSONRPCError):
            self._refused(message)
        elif isinstance(message, JSONRPCNotification):
            self._heard(message)
        return item

    def _answered(self, message: JSONRPCResponse) -> dict[str, Any]:
        pending = self._pending.pop(str(message.id), None)
        result = message.result
        if pending is None or pending.method not in _KEPT:
            if pending is not None and pending.grows:
                self._cache.expire(pending.owner, LISTS)
            return result | {"cacheScope": "private"} if result.get("cacheScope") == "context" else result
        ttl_s = _ttl_s(result, pending.owner)
        result = _for_once(result)
        if pending.ticket is None:
            return result
        if result.get("resultType", "complete") != "complete":
            self._cache.abandon(pending.ticket)
            return result
        return self._cache.settle(pending.ticket, result, ttl_s=ttl_s)

    def _refused(self, message: JSONRPCError) -> None:
        pending = self._pending.pop(str(message.id), None)
        if pending is None:
            return
        self._abandon(pending)
        if pending.method == "tools/call" and message.error.code == _HEADER_MISMATCH:
            # The client has an old schema of the tool, and lists anew before it calls again.
            self._cache.forget_list(pending.owner, "tools/list")
        elif pending.method in LISTS and message.error.code == _INVALID_PARAMS:
            self._cache.forget_list(pending.owner, pending.method)  # a cursor into a list that is gone

    def _heard(self, message: JSONRPCNotification) -> None:
        params = message.params or {}
        own = params.get("_meta")
        subscription = own.get(meta.SUBSCRIPTION_ID) if isinstance(own, dict) else None
        pending = self._pending.get(str(subscription))
        if methods := _CHANGED.get(message.method):
            if pending is not None:
                self._cache.expire(pending.owner, methods)
            else:  # of a session: whose list has changed is not said
                self._cache.expire_everywhere(self._server, self._partition, methods)
        elif message.method == "notifications/resources/updated":
            self._cache.forget_resource(self._server, self._partition, str(params.get("uri")))

    def _end(self, request_id: Any) -> None:
        pending = self._pending.pop(str(request_id), None)
        if pending is not None:
            self._abandon(pending)

    def _abandon(self, pending: _Pending) -> None:
        if pending.ticket is not None:
            self._cache.abandon(pending.ticket)
        if pending.grows:
            self._cache.expire(pending.owner, LISTS)  # the server may have found something all the same


def _version(item: SessionMessage, params: Mapping[str, Any]) -> str | None:
    """Return the revision that a request speaks, as far as it says."""
    said = (params.get("_meta") or {}).get(meta.PROTOCOL_VERSION)
    if said is None and isinstance(item.metadata, ClientMessageMetadata):
        said = (item.metadata.headers or {}).get(VERSION_HEADER)
    return said if isinstance(said, str) else None


def _is_continued(params: Mapping[str, Any]) -> bool:
    """Tell whether a request answers what the server asked back; such results must not be kept."""
    return params.get("inputResponses") is not None or params.get("requestState") is not None


def _searches(message: JSONRPCRequest) -> bool:
    return message.method == "tools/call" and (message.params or {}).get("name") == "search_tools"


def _declaring(capabilities: Mapping[str, Any], group: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return capabilities with settings of the extension, over those that are there."""
    declared = capabilities.get(group) or {}
    own = {**(declared.get(meta.EXTENSION) or {}), **settings}
    return {**capabilities, group: {**declared, meta.EXTENSION: own}}


def _ttl_s(result: Mapping[str, Any], owner: Owner) -> float:
    """Return how long a result is fresh, in seconds: what its view says, else what it says itself."""
    view = view_of(result)
    said = view if "ttlMs" in view else result
    ttl_ms = said.get("ttlMs")
    if not isinstance(ttl_ms, int | float) or isinstance(ttl_ms, bool) or not ttl_ms > 0:
        return 0.0
    if said.get("cacheScope") == "context" and owner.context is None:
        return 0.0
    return min(ttl_ms, _MAX_TTL_MS) / 1000


def _for_once(result: dict[str, Any]) -> dict[str, Any]:
    """Return a result that nobody above keeps: other caches know of methods, not of contexts."""
    if "ttlMs" not in result and "cacheScope" not in result:
        return result  # of a revision without caching
    return result | {"ttlMs": 0, "cacheScope": "private"}
