"""The OAuth 2.1 resource server: what it says of itself, whom it lets in, how it refuses.

Values in, values out: the transport hands over the ``Authorization`` header and sends what comes back.

Source: RFC 9728 (metadata), RFC 6750 and 9110 (challenges), the authorization page of the specification.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from scopedtools.auth import bearer
from scopedtools.auth.bearer import Authorizer, Error, Verified, check_scopes
from scopedtools.auth.urls import checked
from scopedtools.exceptions import DefinitionError
from scopedtools.types import Principal, TokenVerifier

_WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceServer:
    """An endpoint that takes bearer tokens.

    A refusal names all scopes that the request needs, whatever the token already grants: clients add them
    to those that they asked for before (SEP-2350).

    Attributes:
        verifier: Tells who a token belongs to. It must refuse tokens that were not made for `resource`;
            `jwt.JwtVerifier` does, by its ``audience``.
        resource: URL of the endpoint as clients know it, without query; also the ``resource`` that they
            ask tokens for.
        authorization_servers: Issuers that tokens are to be had from, at least one.
        scopes_supported: Scopes that exist here, as the metadata lists them.
        required_scopes: Scopes that every request needs.
        implies: Scopes that come with another: ``{"admin": {"read", "write"}}``.
    """

    verifier: TokenVerifier
    resource: str
    authorization_servers: Collection[str]
    scopes_supported: AbstractSet[str] = frozenset()
    required_scopes: AbstractSet[str] = frozenset()
    implies: Mapping[str, AbstractSet[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        checked("resource", self.resource)
        if "?" in self.resource or not self.resource.startswith(self._origin()):
            raise DefinitionError(f"resource must have no query and a lower-case host, got {self.resource!r}")
        if isinstance(self.authorization_servers, str) or not self.authorization_servers:
            raise DefinitionError(
                f"authorization_servers must list at least one URL, got {self.authorization_servers!r}"
            )
        for server in self.authorization_servers:
            checked("authorization_servers", server)
        check_scopes("scopes_supported", self.scopes_supported)
        check_scopes("required_scopes", self.required_scopes)
        for scope, others in self.implies.items():
            check_scopes("implies", {scope})
            check_scopes(f"implies[{scope!r}]", others)

    def metadata(self) -> dict[str, Any]:
        """Return the document that lies at `metadata_path`, for JSON."""
        document: dict[str, Any] = {
            "resource": self.resource,
            "authorization_servers": list(self.authorization_servers),
            "bearer_methods_supported": ["header"],
        }
        if scopes := sorted({*self.scopes_supported, *self.required_scopes}):
            document["scopes_supported"] = scopes
        return document

    def metadata_path(self) -> str:
        """Return the path of the metadata, as ASGI has it in ``scope["path"]``.

        It begins at the root of the host, even where the endpoint is mounted deeper. Nothing is at the
        well-known path alone, unless the resource is the host itself.
        """
        return unquote(self.metadata_url().removeprefix(self._origin()))

    def metadata_url(self) -> str:
        """Return the URL of the metadata."""
        path = self.resource.removeprefix(self._origin())
        return self._origin() + _WELL_KNOWN + ("" if path == "/" else path)

    def challenge(self, error: Error | None = None, scopes: Iterable[str] = ()) -> str:
        """Return the value of ``WWW-Authenticate``.

        Args:
            error: What is wrong with the token; ``None`` where none was sent.
            scopes: What the request needs besides `required_scopes`.
        """
        needed = self.required_scopes | frozenset(scopes)
        check_scopes("scopes", needed)
        return bearer.challenge(
            error=error, scope=" ".join(sorted(needed)), resource_metadata=self.metadata_url()
        )

    async def authenticate(self, authorization: str | None) -> Principal:
        """Return who asks, with every scope that is granted or implied.

        Args:
            authorization: Value of the ``Authorization`` header; several of them joined by commas, which
                is never well formed. Tokens elsewhere in a request do not count.

        Raises:
            Unauthorized: There is no token, or it is not good here.
            InsufficientScope: It grants less than `required_scopes`.
            Unavailable: The verifier cannot judge it now.
        """
        principal = await bearer.principal_of(authorization, self.verifier, self.challenge)
        principal = principal._replace(scopes=self._granted(principal.scopes))
        self.require(principal)
        return principal

    def require(self, principal: Principal, scopes: Iterable[str] = ()) -> None:
        """Return if a principal has `required_scopes` and those given.

        Raises:
            InsufficientScope: It lacks at least one; the challenge names them all.
        """
        bearer.require(principal, frozenset(scopes) | self.required_scopes, self.challenge)

    def _granted(self, scopes: frozenset[str]) -> frozenset[str]:
        granted = set(scopes)
        fresh = granted & self.implies.keys()
        while fresh:
            implied = {other for scope in fresh for other in self.implies[scope]} - granted
            granted |= implied
            fresh = implied & self.implies.keys()
        return frozenset(granted)

    def _origin(self) -> str:
        parts = urlsplit(self.resource)
        return f"{parts.scheme}://{parts.netloc.lower()}"


def choose_authorizer(
    verifier: TokenVerifier | None, resource_server: ResourceServer | None
) -> Authorizer | None:
    """Return what tells who asks, from the settings of a server; ``None`` where everybody is anonymous.

    Raises:
        DefinitionError: Both are given.
    """
    if verifier is not None and resource_server is not None:
        raise DefinitionError(
            "a server takes either a verifier or a resource_server, which has its own verifier"
        )
    return Verified(verifier) if verifier is not None else resource_server
