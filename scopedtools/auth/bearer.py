"""What every endpoint that takes bearer tokens does, whether or not it says where they come from.

Source: RFC 6750 and 9110.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from typing import Final, Literal, Protocol, TypeAlias

from scopedtools.auth.errors import InsufficientScope, Unauthorized
from scopedtools.auth.tokens import bearer_token, uses_bearer
from scopedtools.exceptions import DefinitionError
from scopedtools.types import Principal, TokenVerifier

Error: TypeAlias = Literal["invalid_token", "insufficient_scope"]

Challenge: TypeAlias = Callable[[Error | None, Iterable[str]], str]
"""Takes what is wrong with a token and which scopes are needed; returns a value of ``WWW-Authenticate``."""

_SCOPE: Final = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")


class Authorizer(Protocol):
    """Tells a transport who asks. `ResourceServer` and `Verified` do."""

    async def authenticate(self, authorization: str | None) -> Principal:
        """Return who asks.

        Args:
            authorization: Value of the ``Authorization`` header; several of them joined by commas.

        Raises:
            AuthorizationError: Nobody who may.
        """
        ...

    def require(self, principal: Principal, scopes: Iterable[str]) -> None:
        """Return if a principal has the scopes.

        Raises:
            InsufficientScope: It lacks at least one; the challenge names them all.
        """
        ...


class Verified:
    """Lets in whom a verifier knows. Clients are not told where tokens are to be had.

    Args:
        verifier: Tells who a token belongs to.
    """

    def __init__(self, verifier: TokenVerifier) -> None:
        self._verifier = verifier

    async def authenticate(self, authorization: str | None) -> Principal:
        """Return who asks; see `Authorizer`."""
        return await principal_of(authorization, self._verifier, self._challenge)

    def require(self, principal: Principal, scopes: Iterable[str]) -> None:
        """Return if a principal has the scopes; see `Authorizer`."""
        require(principal, frozenset(scopes), self._challenge)

    def _challenge(self, error: Error | None, scopes: Iterable[str]) -> str:
        return challenge(error=error, scope=" ".join(sorted(scopes)))


async def principal_of(authorization: str | None, verifier: TokenVerifier, challenge: Challenge) -> Principal:
    """Return whose token a value of ``Authorization`` holds.

    Raises:
        Unauthorized: There is no token, or the verifier does not know it.
    """
    if authorization is None or not uses_bearer(authorization):
        raise Unauthorized("Send a bearer token in the Authorization header", challenge=challenge(None, ()))
    token = bearer_token(authorization)
    principal = None if token is None else await verifier.verify(token)
    if principal is None:
        raise Unauthorized(
            "The bearer token is malformed, expired, or not meant for this server",
            challenge=challenge("invalid_token", ()),
        )
    return principal


def require(principal: Principal, needed: frozenset[str], challenge: Challenge) -> None:
    """Return if a principal has all scopes that are needed.

    Raises:
        InsufficientScope: It lacks at least one.
    """
    if not needed <= principal.scopes:
        raise InsufficientScope(
            f"The request needs the scopes {', '.join(sorted(needed))}",
            challenge=challenge("insufficient_scope", needed),
            scopes=needed,
        )


def challenge(**parameters: str | None) -> str:
    """Return a value of ``WWW-Authenticate``; parameters that are empty are left out."""
    given = (f'{name}="{value}"' for name, value in parameters.items() if value)
    return f"Bearer {', '.join(given)}".rstrip()


def check_scopes(setting: str, scopes: AbstractSet[str]) -> None:
    """Check that scopes can stand in a challenge; what passes needs no escaping inside its quotes.

    Raises:
        DefinitionError: One cannot.
    """
    if isinstance(scopes, str):
        raise DefinitionError(f"{setting} must be a set of scopes, got {scopes!r}")
    for scope in scopes:
        if not _SCOPE.fullmatch(scope):
            raise DefinitionError(
                f"{setting}: a scope is visible ASCII without spaces, quotes and backslashes, got {scope!r}"
            )
