"""What hooks and tools know about the request they serve."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from copy import deepcopy
from functools import lru_cache, partial
from types import MappingProxyType
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from scopedtools.context.carriers import Carrier, CarrierTable, Found, is_context_id, query_values
from scopedtools.context.dialogue import Dialogue
from scopedtools.context.state import State
from scopedtools.exceptions import HeaderMismatchError
from scopedtools.protocol.meta import (
    INTENT,
    INTENT_HEADER,
    PARENT,
    PARENT_HEADER,
    REPLY,
    declared_settings,
)
from scopedtools.protocol.mirrors import decode_value
from scopedtools.protocol.request import Pin, Request
from scopedtools.protocol.seal import Sealer
from scopedtools.storage import NOBODY, OWNER_BYTES, ContextStore
from scopedtools.types import ANONYMOUS, Principal

INTENT_CHARACTERS: Final = 8192
"""An intent is read up to here; selection gains nothing from more."""

_REMEMBERED: Final = 4096
"""Keys of contexts that are not computed again."""

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class Context(Dialogue):
    """The unit of work that a request belongs to, and who asks.

    Attributes:
        id: The client's name for the unit of work, or ``None``. A name, never a credential.
        key: Digest of principal and ID, for stores and logs; ``None`` without an ID.
        carrier: Where the ID was found, or ``None``.
        principal: Who is asking.
        digest: The part of the key that tells contexts apart, hexadecimal, for logs; ``None`` without an ID.
        parent: ID of the context that this one was forked from, or ``None``.
        parent_key: Key of that context, or ``None``.
        state: Small values that tools keep for this context.
        intent: What the client says that the unit of work is about, or ``None``.
        listens: Whether the client only waits for news by now, and does not say its intent again.
        reply: What the client says that the assistant answered last, or ``""``.
        declared: Whether the client knows our extension.
        grows: Whether the client declared that it follows a list that grows.
        caches: Whether the client declared that it keeps results by context.
        edition: What answers the request, all of one catalog, or ``None``; of no use to authors.
        echo: What the ``_meta`` of each result repeats of the request.
        meta: ``_meta`` of the request.
        headers: HTTP headers, names in lower case, without a token that the server has checked; empty on
            stdio.
        protocol_version: Revision of the protocol that the request speaks.
    """

    __slots__ = (
        "_intent",
        "_meta",
        "_resolver",
        "_settings",
        "carrier",
        "echo",
        "id",
        "key",
        "listens",
        "principal",
    )

    def __init__(
        self,
        request: Request,
        resolver: ContextResolver,
        *,
        context_id: str | None,
        carrier: Carrier | None,
        intent: str | UnsetType | None = UNSET,
        echo: Mapping[str, str] = _NOTHING,
    ) -> None:
        super().__init__(request, resolver.sealer)
        self._resolver = resolver
        self._settings = declared_settings(request.client_capabilities)
        self._intent = intent
        self._meta: Mapping[str, Any] | None = None
        self.id = context_id
        self.carrier = carrier
        self.echo = echo
        self.listens = False
        self.principal: Principal = request.ingress.principal
        self.key = resolver.key(self.principal, context_id) if context_id is not None else None

    def during(self, request: Request) -> Context:
        """Return the same context for a request that stands for this one, such as the task that it became."""
        return Context(
            request,
            self._resolver,
            context_id=self.id,
            carrier=self.carrier,
            intent=self._intent,
            echo=self.echo,
        )

    @property
    def intent(self) -> str | None:
        # Most requests are about units of work that began long ago, and nobody asks.
        if self._intent is UNSET:
            self._intent = declared_intent(self._request)
        return self._intent

    @property
    def edition(self) -> Any:
        return self._request.edition

    def of(self, edition: Any) -> Context:
        """Return the same context as another edition of the server sees it."""
        same = self.during(msgspec.structs.replace(self._request, pin=Pin(edition)))
        same.listens = self.listens
        return same

    @property
    def digest(self) -> str | None:
        return self.key[OWNER_BYTES:].hex() if self.key is not None else None

    @property
    def parent(self) -> str | None:
        return None if self.id is None else declared_parent(self._request, child=self.id)

    @property
    def parent_key(self) -> bytes | None:
        parent = self.parent
        return self._resolver.key(self.principal, parent) if parent is not None else None

    @property
    def state(self) -> State:
        return State(self._resolver.store, self.key)

    @property
    def declared(self) -> bool:
        return self._settings is not None

    @property
    def caches(self) -> bool:
        scopes = (self._settings or _NOTHING).get("cacheScopes")
        return isinstance(scopes, list) and "context" in scopes

    @property
    def meta(self) -> Mapping[str, Any]:
        # A copy: requests that say just the same may share what is read of them.
        if self._meta is None:
            self._meta = deepcopy(self._request.meta)
        return self._meta

    @property
    def reply(self) -> str:
        said = self._request.meta.get(REPLY)
        return said[:INTENT_CHARACTERS] if isinstance(said, str) else ""

    @property
    def grows(self) -> bool:
        return self._settings is not None and self._settings.get("growth") is True

    @property
    def headers(self) -> Mapping[str, str]:
        return headers_of(self._request)

    @property
    def protocol_version(self) -> str:
        return self._request.revision.name

    def has_scopes(self, scopes: AbstractSet[str]) -> bool:
        """Tell whether the caller was granted all of some OAuth scopes; on stdio they do not apply."""
        return self._request.ingress.unscoped or scopes <= self.principal.scopes

    def __repr__(self) -> str:
        return f"<Context {(self.digest or 'none')[:12]} of {self.principal.name}>"


class ContextResolver:
    """Makes the `Context` of a request.

    Args:
        carriers: Where to look for the ID.
        store: Keeps what tools keep for a context.
        secret: Key of the digest, and of state that travels through clients. Replicas that share a store
            share it; random by default.

    Attributes:
        sealer: Seals what travels through clients.
    """

    def __init__(self, carriers: CarrierTable, *, store: ContextStore, secret: bytes | None = None) -> None:
        self.carriers = carriers
        self.store = store
        # Hashed, since a key may be of any length only so.
        self._secret = hashlib.blake2b(secret or secrets.token_bytes(32)).digest()
        self.sealer = Sealer(self._secret)
        self._digest = lru_cache(_REMEMBERED)(partial(_digest, self._secret))

    def resolve(self, request: Request) -> Context:
        """Tell which context a request belongs to.

        Raises:
            ProtocolError: See `CarrierTable.find`.
        """
        found = self._find(request)
        if found is None:
            return Context(request, self, context_id=None, carrier=None)
        return Context(request, self, context_id=found.id, carrier=found.carrier, echo=found.echo)

    def _find(self, request: Request) -> Found | None:
        again = request.again
        if again is None:
            return self.carriers.find(request)
        if again.found is UNSET:
            again.found = self.carriers.find(request)
        found: Found | None = again.found
        return found

    def task_key(self, principal: Principal, task_id: str) -> bytes:
        """Return the key under which a task of a principal is stored."""
        # No context ID has a space in it. Not remembered: an ID that a client makes up may be of any length.
        return _digest(self._secret, principal.name, f"task {task_id}")

    def caller_key(self, principal: Principal, network: str) -> bytes:
        """Return a digest of a principal, or of where its client is if nobody is authenticated."""
        if principal.name != ANONYMOUS.name:
            return _keyed(self._secret, principal.name.encode(), purpose=b"caller")
        return _keyed(self._secret, network.encode(), purpose=b"address")

    def key(self, principal: Principal, context_id: str) -> bytes:
        """Return the digests of a principal, and of the principal and an ID, one after the other."""
        return self._digest(principal.name, context_id)


def _digest(secret: bytes, principal: str, context_id: str) -> bytes:
    # The length keeps ("ab", "c") and ("a", "bc") apart.
    name = principal.encode()
    material = b"%d\n%b%b" % (len(name), name, context_id.encode())
    owner = NOBODY if principal == ANONYMOUS.name else _keyed(secret, name, purpose=b"owner")
    return owner + _keyed(secret, material, purpose=b"context")


def _keyed(secret: bytes, material: bytes, *, purpose: bytes) -> bytes:
    return hashlib.blake2b(material, digest_size=16, key=secret, person=purpose).digest()


def declared_intent(request: Request) -> str | None:
    """Return what the client says its unit of work is about.

    Looked for in the settings of our extension, in ``_meta``, in the header ``Mcp-Context-Intent`` and in
    the query parameter ``intent``, in this order; settings that a session began with come last.
    """
    for said in _said(request, "intent", key=INTENT, header=INTENT_HEADER):
        if isinstance(said, str) and (intent := said.strip()):
            return intent[:INTENT_CHARACTERS]
    return None


def declared_parent(request: Request, *, child: str) -> str | None:
    """Return the ID of the context that a request says its own was forked from.

    Looked for where intents are, in the same order; a malformed ID is none, and nobody is their own parent.
    """
    for said in _said(request, "parent", key=PARENT, header=PARENT_HEADER):
        if is_context_id(said):
            return said if said != child else None
    return None


def _said(request: Request, name: str, *, key: str, header: str) -> Iterator[Any]:
    declared = (declared_settings(request.client_capabilities) or _NOTHING).get(name)
    if request.revision.stateless:
        yield declared
    yield request.meta.get(key)
    yield _header(request, header.lower().encode())
    if request.ingress.query:
        yield query_values(request.ingress.query).get(name)
    yield declared


def header_names(carriers: CarrierTable) -> tuple[str, ...]:
    """Return the HTTP headers that tell the context of a request."""
    return (*carriers.header_names, INTENT_HEADER, PARENT_HEADER)


def headers_of(request: Request) -> dict[str, str]:
    """Return the HTTP headers by name; of several lines of one name the first."""
    lines = reversed(request.ingress.headers)
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in lines}


def _header(request: Request, name: bytes) -> str | None:
    value = next((value for header, value in request.ingress.headers if header == name), None)
    if value is None:
        return None
    try:
        return decode_value(value.decode("latin-1").strip())
    except HeaderMismatchError:
        return None
