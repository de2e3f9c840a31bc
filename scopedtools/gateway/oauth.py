"""Access tokens of the gateway's own, from a token endpoint that the configuration names.

Not the official client's provider: it lets one request at a time through, each until its answer begins, and
finds the token endpoint by what the upstream says, so that an upstream decides who gets the client's secret.
"""

from __future__ import annotations

import asyncio
import base64
import re
import time
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final
from urllib.parse import quote

import httpx2
import msgspec
from mcp.client.auth.utils import build_oauth_authorization_server_metadata_discovery_urls
from mcp.shared.auth_utils import resource_url_from_server_url

from scopedtools.gateway.config import OAuth
from scopedtools.gateway.errors import ConfigError

_ANSWER_S: Final = 15.0
_ANSWER_BYTES: Final = 256 * 1024
_EARLY_S: Final = 30.0
"""Seconds before its end in which a token is not used any more, or half its life if that is less."""

_TOKEN: Final = re.compile(r"[\x21-\x7e]+")
_CODE: Final = re.compile(r"[a-z_]{1,40}")


class TokenError(httpx2.TransportError):
    """There is no token. The message has no secret and nothing that the endpoint wrote."""


class ClientCredentials(httpx2.Auth):
    """Puts a token on each request to one server, and a fresh one where the server refuses it.

    Args:
        config: Who the gateway is, and where tokens come from.
        url: Of the server. Requests to other origins go without.
    """

    def __init__(self, config: OAuth, url: str) -> None:
        self._config = config
        self._origin = _origin(httpx2.URL(url))
        self._resource = resource_url_from_server_url(url) if config.resource is None else config.resource
        self._token = ""
        self._until = 0.0
        self._lock = asyncio.Lock()

    async def async_auth_flow(
        self, request: httpx2.Request
    ) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        if _origin(request.url) != self._origin:
            yield request
            return
        token = await self._valid()
        request.headers["authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code == httpx2.codes.UNAUTHORIZED:
            request.headers["authorization"] = f"Bearer {await self._valid(refused=token)}"
            yield request

    async def _valid(self, *, refused: str = "") -> str:
        async with self._lock:
            if self._token in ("", refused) or time.monotonic() >= self._until:
                self._token = ""
                self._token, self._until = await self._fetched()
            return self._token

    async def _fetched(self) -> tuple[str, float]:
        asked = {"grant_type": "client_credentials"}
        headers = {}
        if self._config.scope:
            asked["scope"] = self._config.scope
        if self._resource:
            asked["resource"] = self._resource
        if self._config.auth_method == "client_secret_post":
            asked |= {"client_id": self._config.client_id, "client_secret": self._config.client_secret}
        else:
            pair = f"{quote(self._config.client_id, safe='')}:{quote(self._config.client_secret, safe='')}"
            headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        try:
            # Redirects are not followed: they would carry the secret elsewhere.
            async with asyncio.timeout(_ANSWER_S), httpx2.AsyncClient(follow_redirects=False) as client:
                url = self._config.token_url or await _token_endpoint(client, str(self._config.issuer))
                answer = await _answer(client, httpx2.Request("POST", url, data=asked, headers=headers))
        except TokenError:
            raise
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as error:
            raise TokenError(f"the token endpoint cannot be reached ({type(error).__name__})") from None
        return _read(answer)


def _read(answer: Mapping[str, Any]) -> tuple[str, float]:
    """Return a token and the time up to which it is used."""
    token, kind, lasts_s = answer.get("access_token"), answer.get("token_type"), answer.get("expires_in")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token) or str(kind).lower() != "bearer":
        raise TokenError("the token endpoint gave no bearer token")
    if isinstance(lasts_s, bool) or not isinstance(lasts_s, int | float):
        return token, float("inf")  # until it is refused
    return token, time.monotonic() + max(lasts_s - _EARLY_S, lasts_s / 2)


async def _token_endpoint(client: httpx2.AsyncClient, issuer: str) -> str:
    for url in build_oauth_authorization_server_metadata_discovery_urls(issuer, issuer):
        try:
            found = await _answer(client, httpx2.Request("GET", url))
        except TokenError:
            continue
        endpoint = found.get("token_endpoint")
        if found.get("issuer") == issuer and isinstance(endpoint, str):
            try:
                OAuth.require_private(endpoint)
            except ConfigError as error:
                raise TokenError("the issuer names a token endpoint without https") from error
            return endpoint
    raise TokenError("the issuer does not say where its token endpoint is")


async def _answer(client: httpx2.AsyncClient, request: httpx2.Request) -> dict[str, Any]:
    request.headers["accept"] = "application/json"
    request.headers["accept-encoding"] = "identity"
    response = await client.send(request, stream=True)
    body = b""
    try:
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > _ANSWER_BYTES:
                raise TokenError(f"the token endpoint answered more than {_ANSWER_BYTES} bytes")
    finally:
        await response.aclose()
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        answer = None
    said = answer if isinstance(answer, dict) else {}
    if response.status_code != httpx2.codes.OK:
        code = str(said.get("error"))
        why = f", {code}" if _CODE.fullmatch(code) and "error" in said else ""
        raise TokenError(f"the token endpoint refused the gateway (HTTP {response.status_code}{why})")
    return said


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or {"https": 443, "http": 80}.get(url.scheme)
