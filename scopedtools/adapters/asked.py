"""A request of another framework, as this package knows requests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from scopedtools.context.context import Context, ContextResolver
from scopedtools.protocol.methods import METHODS, decode_params
from scopedtools.protocol.request import Ingress, Request
from scopedtools.protocol.revisions import MARCH_2025, REVISIONS
from scopedtools.protocol.session import Session
from scopedtools.types import ANONYMOUS, Principal

_DECLARED: Final = ("extensions", "experimental")
"""The fields of a client's capabilities in which it may declare our extension."""


class Asked(NamedTuple):
    """A request and who asks.

    Attributes:
        request: What is asked.
        ctx: Who asks, and in which context.
    """

    request: Request
    ctx: Context


class HostRequest(Protocol):
    """What the official SDK tells of a request in its ``ServerRequestContext``, and FastMCP in its own."""

    @property
    def protocol_version(self) -> str: ...
    @property
    def request_id(self) -> Any: ...
    @property
    def request(self) -> Any: ...
    @property
    def session(self) -> Any: ...


def asked(
    host: HostRequest, method_name: str, params: Mapping[str, Any] | None, resolver: ContextResolver
) -> Asked:
    """Understand a request.

    Args:
        host: The request as its framework tells it.
        method_name: Of the request, as on the wire.
        params: Of the request, as on the wire.
        resolver: Tells which context it belongs to.

    Raises:
        ProtocolError: Its parameters are malformed, or it is not clear which context it names.
    """
    method = METHODS[method_name]
    revision = REVISIONS.get(host.protocol_version, MARCH_2025)  # 2024-11-05 lacks what that lacks
    request = Request(
        method,
        decode_params(encoded(dict(params or {})), method.params),
        revision,
        _ingress(host),
        host.request_id,
    )
    return Asked(request, resolver.resolve(request))


def encoded(value: Any) -> bytes:
    """Return parameters as JSON. Half of a surrogate pair, which has no bytes, becomes a question mark."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return json.dumps(value, ensure_ascii=False).encode(errors="replace")


def _ingress(host: HostRequest) -> Ingress:
    session = Session(_unheard)
    session.capabilities = _capabilities(host.session)
    http = host.request
    if http is None:
        return Ingress(session=session, unscoped=True)
    return Ingress(
        principal=_principal(http.scope.get("user")),
        # Nobody who reads the headers of a context needs the token, which was checked.
        headers=tuple(line for line in http.headers.raw if line[0] != b"authorization"),
        query=http.scope.get("query_string", b""),
        session=session,
    )


def _capabilities(session: Any) -> dict[str, Any]:
    declared = session.client_capabilities
    if declared is None:
        return {}
    return {name: value for name in _DECLARED if (value := getattr(declared, name, None))}


def _principal(user: Any) -> Principal:
    """Return whom an access token was issued to: a user, named by their issuer, or else a client."""
    token = getattr(user, "access_token", None)
    if token is None:
        return ANONYMOUS
    claims = token.claims or {}
    issuer, subject = claims.get("iss", ""), token.subject or claims.get("sub")
    name = f"user {issuer} {subject}" if subject else f"client {issuer} {token.client_id}"
    return Principal(name, frozenset(token.scopes))


async def _unheard(method: str, params: Mapping[str, Any]) -> None:
    """Send nothing: what the connection sends on its own is its framework's business."""
