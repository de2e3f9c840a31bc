"""What hooks and tools know about the request they serve."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final

from scopedtools.context.carriers import Carrier, CarrierTable, query_values
from scopedtools.context.dialogue import Dialogue
from scopedtools.exceptions import HeaderMismatchError
from scopedtools.protocol.meta import INTENT, REPLY, extension_settings
from scopedtools.protocol.mirrors import decode_value
from scopedtools.protocol.request import Request
from scopedtools.protocol.seal import Sealer
from scopedtools.types import Principal

INTENT_HEADER: Final = "mcp-context-intent"

INTENT_CHARACTERS: Final = 8192
"""An intent is read up to here; selection gains nothing from more."""


class Context(Dialogue):
    """The unit of work that a request belongs to, and who asks.

    Attributes:
        id: The client's name for the unit of work, or ``None``. A name, never a credential.
        key: Digest of principal and ID, for stores and logs; ``None`` without an ID.
        carrier: Where the ID was found, or ``None``.
        principal: Who is asking.
        intent: What the client says that the unit of work is about, or ``None``.
        reply: What the client says that the assistant answered last, or ``""``.
        grows: Whether the client declared that it follows a list that grows.
        meta: ``_meta`` of the request.
        headers: HTTP headers, names in lower case, without a token that the server has checked; empty on
            stdio.
        protocol_version: Revision of the protocol that the request speaks.
    """

    __slots__ = ("carrier", "id", "intent", "key", "principal")

    def __init__(
        self,
        request: Request,
        sealer: Sealer,
        *,
        context_id: str | None,
        carrier: Carrier | None,
        key: bytes | None,
        intent: str | None,
    ) -> None:
        super().__init__(request, sealer)
        self.id = context_id
        self.carrier = carrier
        self.key = key
        self.intent = intent
        self.principal: Principal = request.ingress.principal

    @property
    def meta(self) -> Mapping[str, Any]:
        return self._request.meta

    @property
    def reply(self) -> str:
        said = self._request.meta.get(REPLY)
        return said[:INTENT_CHARACTERS] if isinstance(said, str) else ""

    @property
    def grows(self) -> bool:
        return extension_settings(self._request.client_capabilities).get("growth") is True

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
        return f"<Context {self.key.hex()[:12] if self.key else 'none'} of {self.principal.name}>"


class ContextResolver:
    """Makes the `Context` of a request.

    Args:
        carriers: Where to look for the ID.
        secret: Key of the digest, and of state that travels through clients. Replicas that share a store
            share it; random by default.
    """

    def __init__(self, carriers: CarrierTable, *, secret: bytes | None = None) -> None:
        self.carriers = carriers
        # Hashed, since a key may be of any length only so.
        self._secret = hashlib.blake2b(secret or secrets.token_bytes(32)).digest()
        self._sealer = Sealer(self._secret)

    def resolve(self, request: Request) -> Context:
        """Tell which context a request belongs to.

        Raises:
            InvalidRequestError: See `CarrierTable.find`.
        """
        found = self.carriers.find(request)
        return Context(
            request,
            self._sealer,
            context_id=found.id if found else None,
            carrier=found.carrier if found else None,
            key=self._key(request.ingress.principal, found.id) if found else None,
            intent=declared_intent(request),
        )

    def task_key(self, principal: Principal, task_id: str) -> bytes:
        """Return the key under which a task of a principal is stored."""
        return self._key(principal, f"task {task_id}")  # no context ID has a space in it

    def _key(self, principal: Principal, context_id: str) -> bytes:
        # The length keeps ("ab", "c") and ("a", "bc") apart.
        name = principal.name.encode()
        material = b"%d\n%b%b" % (len(name), name, context_id.encode())
        return hashlib.blake2b(material, digest_size=16, key=self._secret).digest()


def declared_intent(request: Request) -> str | None:
    """Return what the client says its unit of work is about.

    Looked for in the settings of our extension, in ``_meta``, in the header ``Mcp-Context-Intent`` and in
    the query parameter ``intent``, in this order; settings that a session began with come last.
    """
    for said in _intents(request):
        if isinstance(said, str) and (intent := said.strip()):
            return intent[:INTENT_CHARACTERS]
    return None


def _intents(request: Request) -> Iterator[Any]:
    declared = extension_settings(request.client_capabilities).get("intent")
    if request.revision.stateless:
        yield declared
    yield request.meta.get(INTENT)
    yield _intent_header(request)
    if request.ingress.query:
        yield query_values(request.ingress.query).get("intent")
    yield declared


def headers_of(request: Request) -> dict[str, str]:
    """Return the HTTP headers by name; of several lines of one name the first."""
    lines = reversed(request.ingress.headers)
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in lines}


def _intent_header(request: Request) -> str | None:
    name = INTENT_HEADER.encode()
    value = next((value for header, value in request.ingress.headers if header == name), None)
    if value is None:
        return None
    try:
        return decode_value(value.decode("latin-1").strip())
    except HeaderMismatchError:
        return None
