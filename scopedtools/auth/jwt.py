"""Access tokens that are JWTs, as most authorization servers issue them.

Needs the extra ``auth``. Source: RFC 9068 (access tokens), 7519, 8725 (good practice), 8707 (audience).
"""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Collection, Mapping
from typing import Any, Final

from scopedtools.auth.jwks import ALGORITHMS, FixedKeys, Key, KeySource, RemoteKeys
from scopedtools.auth.tokens import MAX_TOKEN_CHARS
from scopedtools.exceptions import DefinitionError
from scopedtools.types import Principal

import jwt  # isort: skip - after the module that says what to install where it is missing

_log: Final = logging.getLogger(__name__)

_HOST: Final = re.compile(r"https?://[^/?#]+/?")


class JwtVerifier:
    """Verifies JWTs of one issuer that were made for this server. A ``types.TokenVerifier``.

    The principal's name is ``issuer#subject``. An issuer has no ``#``, so subjects of two issuers never
    share a name, nor do they with names from elsewhere that have none, ``anonymous`` among them.

    A token that is bound to a key of its holder (``cnf``: DPoP, mutual TLS) is refused, since whoever found
    it could send it as a bearer token, and the binding is not checked here.

    Servers that share a context store need the same `principal_claim`. An authorization server that lets
    clients choose their ID must keep those apart from users' subjects (RFC 9068, section 5).

    Args:
        issuer: The ``iss`` of every token, to the letter.
        audience: What ``aud`` must be or contain: the URL of the endpoint as clients know it. Several where
            it has several names; a host's own URL is meant with and without its slash.
        jwks_url: Where the issuer publishes its keys; fetched as `jwks.RemoteKeys` says.
        jwks: Instead, a JWK set, or a source of keys, such as `jwks.RemoteKeys` with other settings.
        algorithms: Signatures that are accepted, of `jwks.ALGORITHMS`; none is symmetric.
        leeway_s: How far the issuer's clock may be off.
        scope_claim: Claim that holds the scopes, as words of a string or as a list. Where a token has none,
            ``scp`` is read.
        principal_claim: Claim that says whose token it is.
        require_at_jwt: Refuse tokens whose ``typ`` is not ``at+jwt``, as RFC 9068 asks. By default ``JWT``
            or none will do too, since most issuers still send that; any other is refused.
    """

    def __init__(
        self,
        *,
        issuer: str,
        audience: str | Collection[str],
        jwks_url: str | None = None,
        jwks: Mapping[str, Any] | KeySource | None = None,
        algorithms: Collection[str] = ALGORITHMS,
        leeway_s: float = 30,
        scope_claim: str = "scope",
        principal_claim: str = "sub",
        require_at_jwt: bool = False,
    ) -> None:
        if not issuer or "#" in issuer:
            raise DefinitionError(f"issuer must be a name without '#', got {issuer!r}")
        self._issuer = issuer
        self._audiences = _audiences(audience)
        self._algorithms = _accepted(algorithms)
        self._keys = _source(jwks_url, jwks)
        self._leeway_s = leeway_s
        self._scope_claims = (scope_claim, "scp")
        self._principal_claim = principal_claim
        self._types = {"at+jwt"} if require_at_jwt else {"at+jwt", "jwt", ""}

    async def verify(self, token: str) -> Principal | None:
        """Return whose token it is, or ``None`` where it is not good here.

        Raises:
            Unavailable: There are no keys to check it with.
        """
        try:
            header = self._header(token)
            keys = await self._keys.find(header["alg"], header.get("kid"))
            claims = self._claims(token, keys)
            if "cnf" in claims:
                raise jwt.InvalidTokenError
            return Principal(self._name(claims), self._scopes(claims))
        except jwt.PyJWTError as error:
            # The kind alone: messages quote what a stranger sent.
            _log.info("A token was refused: %s", type(error).__name__)
            return None

    def _header(self, token: str) -> dict[str, Any]:
        """Return what a token says of itself, if that is worth looking for its key."""
        if len(token) > MAX_TOKEN_CHARS or not token.isascii():
            raise jwt.DecodeError
        header = _peek(token)
        kind, algorithm, kid = header.get("typ", ""), header.get("alg"), header.get("kid")
        if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in self._types:
            raise jwt.InvalidTokenError
        if not isinstance(algorithm, str) or algorithm not in self._algorithms:
            raise jwt.InvalidAlgorithmError
        if not isinstance(kid, str | None):
            raise jwt.InvalidTokenError
        return header

    def _claims(self, token: str, keys: Collection[Key]) -> dict[str, Any]:
        for key in keys:
            try:
                return jwt.decode(
                    token,
                    key.material,
                    algorithms=sorted(key.algorithms & self._algorithms),
                    issuer=self._issuer,
                    audience=self._audiences,
                    leeway=self._leeway_s,
                    options={"require": ["exp", "iss", "aud"], "enforce_minimum_key_length": True},
                )
            except jwt.InvalidSignatureError:
                continue
        raise jwt.InvalidSignatureError

    def _name(self, claims: Mapping[str, Any]) -> str:
        subject = claims.get(self._principal_claim)
        if not isinstance(subject, str) or not subject:
            raise jwt.MissingRequiredClaimError(self._principal_claim)
        return f"{self._issuer}#{subject}"

    def _scopes(self, claims: Mapping[str, Any]) -> frozenset[str]:
        granted = next((claims[name] for name in self._scope_claims if claims.get(name) is not None), ())
        if isinstance(granted, str):
            granted = granted.split(" ")
        # A claim of another form grants nothing.
        words = granted if isinstance(granted, list) else ()
        return frozenset(word for word in words if isinstance(word, str) and word)


def _peek(token: str) -> dict[str, Any]:
    # Only the first part, and leniently: decoding checks all of it later, once a key is found.
    segment = token.partition(".")[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    except (ValueError, RecursionError) as error:
        raise jwt.DecodeError from error
    if not isinstance(header, dict):
        raise jwt.DecodeError
    return header


def _audiences(audience: str | Collection[str]) -> frozenset[str]:
    names = {audience} if isinstance(audience, str) else {*audience}
    if not names or "" in names:
        raise DefinitionError(f"audience must name this server, got {audience!r}")
    # RFC 3986, section 6.2.3: a host's URL is the same with and without its slash, and clients send either.
    hosts = {name.rstrip("/") for name in names if _HOST.fullmatch(name)}
    return frozenset(names | hosts | {f"{host}/" for host in hosts})


def _accepted(algorithms: Collection[str]) -> frozenset[str]:
    names = frozenset([algorithms] if isinstance(algorithms, str) else algorithms)
    if not names or not names <= set(ALGORITHMS):
        raise DefinitionError(f"algorithms must be of {', '.join(ALGORITHMS)}, got {sorted(names)}")
    return names


def _source(jwks_url: str | None, jwks: Mapping[str, Any] | KeySource | None) -> KeySource:
    if jwks_url is not None and jwks is None:
        return RemoteKeys(jwks_url)
    if jwks_url is None and jwks is not None:
        return FixedKeys(jwks) if isinstance(jwks, Mapping) else jwks
    raise DefinitionError("a JwtVerifier takes either jwks_url or jwks")
