"""Credentials of the operator, by the names of the description's security schemes.

They are put on a request at the very end, below everything that logs or repeats what a request says.
"""

from __future__ import annotations

import asyncio
import re
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urljoin

from scopedtools.exceptions import DefinitionError, ToolError
from scopedtools.openapi.document import Document, Node
from scopedtools.openapi.operations import Operation, is_token
from scopedtools.openapi.urls import origin_of

_EARLY_S: Final = 30
"""Seconds before its end that a token is no longer used."""

_LIFETIME_S: Final = 300
"""Seconds that a token is used whose server does not say how long it lives."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two values that make a credential: user and password, or client ID and client secret."""

    name: str
    secret: str = field(repr=False)


class Carried(NamedTuple):
    """What a request carries for its credentials; none of it is to be logged.

    Attributes:
        headers: Names and values.
        query: Names and values, encoded.
        cookies: Each ``name=value``.
        secrets: What must not come back from the API to a client either.
    """

    headers: Mapping[str, str]
    query: str = ""
    cookies: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()


NOTHING: Final = Carried({})

FetchToken = Callable[[str, Pair, tuple[str, ...]], Awaitable[tuple[str, float | None]]]
"""Takes the URL of the token endpoint, the client and scopes; returns the token and its life in seconds."""


class Security:
    """Decides what each operation is authenticated with.

    Args:
        document: Names the security schemes.
        credentials: By the name of a scheme: a key, a token, or a `Pair`.
        token_urls: Where tokens are fetched, by the name of an OAuth 2 scheme. The description's own URL is
            used only where it has the origin of ``base_url``: a client secret goes where the operator says.
        base_url: Of the API.

    Raises:
        DefinitionError: The description has no such scheme, or the credential does not go with it.
    """

    def __init__(
        self,
        document: Document,
        *,
        credentials: Mapping[str, str | Pair],
        token_urls: Mapping[str, str],
        base_url: str,
    ) -> None:
        schemes = document.root.child("components").child("securitySchemes")
        self._schemes = {name: scheme.followed() for name, scheme in schemes.items()}
        self._credentials = dict(credentials)
        self._tokens: dict[tuple[str, tuple[str, ...]], _Token] = {}
        for name in (*credentials, *token_urls):
            if name not in self._schemes:
                raise DefinitionError(
                    f"the description has no security scheme {name!r}, it has {sorted(self._schemes)}"
                )
        self._token_urls = {
            name: token_urls.get(name) or _token_url(name, self._schemes[name], base_url)
            for name, credential in credentials.items()
            if isinstance(credential, Pair) and self._kind(name) in ("oauth2", "openIdConnect")
        }
        for name, credential in credentials.items():
            self._check(name, credential)

    def __repr__(self) -> str:
        return f"<Security of {sorted(self._credentials)}>"

    def owns(self, place: str, name: str) -> bool:
        """Tell whether a parameter is the place of a key, which no client may fill in."""
        return any(
            scheme.text("type") == "apiKey"
            and scheme.text("in") == place
            and _same(place, scheme.text("name"), name)
            for scheme in self._schemes.values()
        )

    async def carried(self, operation: Operation, fetch: FetchToken) -> Carried:
        """Return what a request of an operation carries.

        The first alternative counts for which there are all credentials; where there is none, nothing is
        sent and the API says what it thinks of that.

        Raises:
            ToolError: A token cannot be fetched.
        """
        headers: dict[str, str] = {}
        query: list[str] = []
        cookies: list[str] = []
        secrets: list[str] = []
        for name, scopes in self._chosen(operation).items():
            place, key, value = await self._placed(name, scopes, fetch)
            secrets += [value, value.partition(" ")[2], *self._said(name)]
            if place == "query":
                query.append(f"{quote(key, safe='')}={quote(value, safe='')}")
            elif place == "cookie":
                cookies.append(f"{key}={value}")
            else:
                headers[key] = value
        return Carried(headers, "&".join(query), tuple(cookies), tuple(secrets))

    def forget_tokens(self, operation: Operation) -> bool:
        """Forget the tokens of an operation, which the API refused; tell whether there were any."""
        chosen = self._chosen(operation).items()
        forgotten = [self._tokens.pop((name, tuple(sorted(scopes))), None) for name, scopes in chosen]
        return any(forgotten)

    def _chosen(self, operation: Operation) -> Mapping[str, tuple[str, ...]]:
        for alternative in operation.security:
            if alternative and all(name in self._credentials for name in alternative):
                return alternative
        return {}

    async def _placed(self, name: str, scopes: tuple[str, ...], fetch: FetchToken) -> tuple[str, str, str]:
        scheme, credential = self._schemes[name], self._credentials[name]
        if name in self._token_urls and isinstance(credential, Pair):
            token = self._tokens.setdefault((name, tuple(sorted(scopes))), _Token())
            url = self._token_urls[name]
            return (
                "header",
                "Authorization",
                f"Bearer {await token.get(lambda: fetch(url, credential, scopes))}",
            )
        if isinstance(credential, Pair):
            pair = b64encode(f"{credential.name}:{credential.secret}".encode()).decode()
            return "header", "Authorization", f"Basic {pair}"
        if self._kind(name) == "apiKey":
            return scheme.text("in"), scheme.text("name"), credential
        said = scheme.text("scheme") if self._kind(name) == "http" else ""
        prefix = "Bearer" if said.lower() in ("", "bearer") else said
        return "header", "Authorization", f"{prefix} {credential}"

    def _said(self, name: str) -> list[str]:
        credential = self._credentials[name]
        return [credential.secret if isinstance(credential, Pair) else credential]

    def _kind(self, name: str) -> str:
        return self._schemes[name].text("type")

    def _check(self, name: str, credential: str | Pair) -> None:
        pair = isinstance(credential, Pair)
        values = (credential.name, credential.secret) if isinstance(credential, Pair) else (credential,)
        if not all(values) or any(_CONTROL.search(value) or not value.isascii() for value in values):
            raise DefinitionError(
                f"the credential of {name!r} must be printable ASCII; check what it is read from"
            )
        kind, scheme = self._kind(name), self._schemes[name].text("scheme").lower()
        if kind == "http" and (scheme == "basic") != pair:
            wanted = "a Pair of user and password" if scheme == "basic" else "one token"
            raise DefinitionError(f"the credential of {name!r} must be {wanted}")
        if kind == "apiKey" and pair:
            raise DefinitionError(f"the credential of {name!r} must be one key, got a Pair")
        place, key = self._schemes[name].text("in"), self._schemes[name].text("name")
        if kind == "apiKey" and not (place == "query" or (place in ("header", "cookie") and is_token(key))):
            raise DefinitionError(f"the key {name!r} goes to {place[:40]!r}, {key[:80]!r}, which is no place")
        if kind not in ("apiKey", "http", "oauth2", "openIdConnect"):
            raise DefinitionError(f"the security scheme {name!r} is {kind!r}, which cannot be configured")


class _Token:
    """A token and its end; fetched once however many ask at the same time."""

    def __init__(self) -> None:
        self._value = ""
        self._ends = 0.0
        self._fetching = asyncio.Lock()

    async def get(self, fetch: Callable[[], Awaitable[tuple[str, float | None]]]) -> str:
        async with self._fetching:
            if time.monotonic() >= self._ends:
                value, lifetime = await fetch()
                lives = _LIFETIME_S if lifetime is None else lifetime
                self._value, self._ends = value, time.monotonic() + max(lives - _EARLY_S, lives / 2)
            return self._value


def _same(place: str, one: str, other: str) -> bool:
    return one.lower() == other.lower() if place == "header" else one == other


def _token_url(name: str, scheme: Node, base_url: str) -> str:
    said = scheme.child("flows").child("clientCredentials").text("tokenUrl")
    url = urljoin(f"{base_url}/", said)
    if not said or origin_of(url) != origin_of(base_url):
        raise DefinitionError(
            f"tokens of {name!r} are fetched at {said!r}, which is not at the API's own origin; "
            "name the right URL in token_urls"
        )
    return url


def read_token(answer: Any) -> tuple[str, float | None]:
    """Read what a token endpoint answered.

    Raises:
        ToolError: It holds no bearer token.
    """
    token = answer.get("access_token") if isinstance(answer, dict) else None
    if not isinstance(token, str) or not token or _CONTROL.search(token) or not token.isascii():
        raise ToolError("the API's token endpoint answered without an access token")
    lifetime = answer.get("expires_in")
    return token, float(lifetime) if isinstance(lifetime, int | float) and lifetime > 0 else None
