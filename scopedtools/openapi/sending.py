"""Requests on their way to an API and back: redirects, second tries, limits of time and size."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final
from urllib.parse import quote, urljoin, urlsplit

import httpx2
import msgspec

from scopedtools.exceptions import ToolError
from scopedtools.openapi.bodies import Written
from scopedtools.openapi.redaction import redacted, redacted_text, without_pairs
from scopedtools.openapi.security import NOTHING, Carried, Pair, read_token
from scopedtools.openapi.urls import origin_of
from scopedtools.running import Running

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "QUERY"})
"""Methods that change nothing, so that a request may be sent again."""

_TRIES: Final = 3
_REDIRECTS: Final = 5
_PAUSE_S: Final = 0.2
_PATIENCE_S: Final = 5
"""Seconds that a ``Retry-After`` is waited for at most."""

_BUSY: Final = frozenset({429, 502, 503, 504})
_ENCODINGS: Final = frozenset({"", "identity", "gzip", "x-gzip", "deflate"})
_REDIRECTING: Final = frozenset({301, 302, 303, 307, 308})
_TOKEN_BYTES: Final = 64 * 1024
_CARRIED: Final = "scopedtools.carried"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request, without its credentials.

    Attributes:
        method: In upper case.
        url: Absolute, encoded.
        headers: Names and values.
        cookies: Each ``name=value``.
        body: What is sent, or ``None``.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    cookies: tuple[str, ...] = ()
    body: Written | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        status: HTTP status.
        headers: Names in lower case.
        body: Decoded; cut where it is larger than allowed.
        whole: Whether the body is complete.
        url: What answered, without its query.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool
    url: str


class Sender:
    """Holds the HTTP client of an API while a server runs.

    Args:
        timeout_s: Seconds that a call may take, second tries included.
        max_response_bytes: Bytes of a response that are read.
    """

    def __init__(self, *, timeout_s: float, max_response_bytes: int) -> None:
        self._timeout_s = timeout_s
        self._max_bytes = max_response_bytes
        self._client: httpx2.AsyncClient | None = None
        self.running = Running(self._start)

    async def _start(self) -> AsyncExitStack:
        async with AsyncExitStack() as held:
            limits = httpx2.Timeout(self._timeout_s)
            client = httpx2.AsyncClient(transport=_Transport(), timeout=limits, follow_redirects=False)
            # What an API tells one caller to keep goes with no request of another, and would only pile up.
            client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
            self._client = await held.enter_async_context(client)
            held.callback(self._stopped)
            return held.pop_all()

    def _stopped(self) -> None:
        self._client = None

    async def send(self, outgoing: Outgoing, carried: Carried = NOTHING) -> Answer:
        """Send a request, and return what came back in the end.

        Raises:
            ToolError: Nothing came back in time.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                return _redacted(await self._persistently(outgoing, carried), carried.secrets)
        except TimeoutError as error:
            raise ToolError(
                f"the API did not answer within {self._timeout_s:g} s{_doubt(outgoing)}"
            ) from error
        except httpx2.InvalidURL as error:
            raise ToolError("the arguments make no URL that can be sent; it may be too long") from error
        except httpx2.HTTPError as error:
            raise ToolError(f"the API cannot be reached: {type(error).__name__}{_doubt(outgoing)}") from error

    async def _persistently(self, outgoing: Outgoing, carried: Carried) -> Answer:
        tries = _TRIES if outgoing.method in SAFE else 1
        for number in range(1, tries):
            try:
                answer = await self._redirected(outgoing, carried)
            except httpx2.TransportError:
                pause = _PAUSE_S * 2**number
            else:
                if answer.status not in _BUSY:
                    return answer
                patience = _pause(answer, number)
                if patience is None:
                    return answer
                pause = patience
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - spreads load, guards nothing
        return await self._redirected(outgoing, carried)

    async def _redirected(self, outgoing: Outgoing, carried: Carried) -> Answer:
        for _ in range(_REDIRECTS):
            answer = await self._once(outgoing, carried)
            following = _next(outgoing, answer, carried)
            if following is None:
                return answer
            outgoing = following
        raise ToolError(f"the API redirected more than {_REDIRECTS} times")

    async def _once(self, outgoing: Outgoing, carried: Carried) -> Answer:
        if self._client is None:
            raise ToolError("the API's client does not run; mount the OpenApi in the server")
        request = self._request(outgoing)
        request.extensions[_CARRIED] = carried
        response = await self._client.send(request, stream=True)
        try:
            _require_readable(response.headers.get("content-encoding", ""))
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > self._max_bytes:
                    break
            whole = len(body) <= self._max_bytes
            headers = {name.lower(): value for name, value in response.headers.items()}
            url = outgoing.url.partition("?")[0]
            return Answer(response.status_code, headers, bytes(body[: self._max_bytes]), whole, url)
        finally:
            await response.aclose()

    def _request(self, outgoing: Outgoing) -> httpx2.Request:
        headers = dict(outgoing.headers)
        if outgoing.cookies:
            headers["Cookie"] = "; ".join(outgoing.cookies)
        body = outgoing.body
        timeout = {"timeout": httpx2.Timeout(self._timeout_s).as_dict()}
        if body is not None and body.media_type is None:
            parts: Any = list(body.parts) or [("", ("", b"", None))]
            return httpx2.Request(
                outgoing.method, outgoing.url, headers=headers, files=parts, extensions=timeout
            )
        if body is not None:
            headers["Content-Type"] = str(body.media_type)
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        content = body.content if body is not None else None
        return httpx2.Request(outgoing.method, outgoing.url, headers=raw, content=content, extensions=timeout)

    async def fetch_token(self, url: str, client: Pair, scopes: tuple[str, ...]) -> tuple[str, float | None]:
        """Get an access token by client credentials (RFC 6749, 4.4).

        Raises:
            ToolError: There is none.
        """
        fields = "grant_type=client_credentials"
        if scopes:
            fields += f"&scope={quote(' '.join(scopes), safe='')}"
        # The parts of a Basic credential are form-encoded first (RFC 6749, 2.3.1).
        basic = httpx2.BasicAuth(quote(client.name, safe=""), quote(client.secret, safe=""))
        asked = next(basic.sync_auth_flow(httpx2.Request("POST", url)))
        carried = Carried({"Authorization": asked.headers["Authorization"]})
        body = Written("application/x-www-form-urlencoded", fields.encode())
        outgoing = Outgoing("POST", url, {"Accept": "application/json"}, body=body)
        answer = await self.send(outgoing, carried)
        if answer.status != httpx2.codes.OK or len(answer.body) > _TOKEN_BYTES:
            raise ToolError(f"the API's token endpoint answered HTTP {answer.status}")
        try:
            return read_token(msgspec.json.decode(answer.body))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ToolError("the API's token endpoint answered without JSON") from error


class _Transport(httpx2.AsyncHTTPTransport):
    """Puts credentials on requests, where no log of the client above has a request any more."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        carried: Carried = request.extensions.pop(_CARRIED, NOTHING)
        headers = request.headers.copy()
        headers.update(carried.headers)
        cookies = [*filter(None, [headers.get("cookie")]), *carried.cookies]
        if cookies:
            headers["Cookie"] = "; ".join(cookies)
        url = request.url
        if carried.query:
            own = url.query.decode()
            url = url.copy_with(query="&".join(filter(None, (own, carried.query))).encode())
        return await super().handle_async_request(
            httpx2.Request(
                request.method, url, headers=headers, stream=request.stream, extensions=request.extensions
            )
        )


def _pause(answer: Answer, number: int) -> float | None:
    """Return the seconds until the next try, or ``None`` where it would be too long."""
    said = answer.headers.get("retry-after", "")
    if not said:
        return float(_PAUSE_S * 2**number)
    return float(said) if re.fullmatch("[0-9]{1,4}", said) and int(said) <= _PATIENCE_S else None


def _require_readable(encoding: str) -> None:
    """Refuse an encoding that was not asked for: others, and several, make gigabytes of a few bytes."""
    if encoding.strip().lower() not in _ENCODINGS:
        raise ToolError(f"the API answered in the encoding {encoding[:40]!r}, which it was not asked for")


def _redacted(answer: Answer, secrets: tuple[str, ...]) -> Answer:
    headers = {name: redacted_text(value, secrets) for name, value in answer.headers.items()}
    return replace(answer, headers=headers, body=redacted(answer.body, secrets))


def _next(outgoing: Outgoing, answer: Answer, carried: Carried) -> Outgoing | None:
    """Return the request that a redirect leads to, or ``None`` where it is not followed."""
    location = answer.headers.get("location")
    if answer.status not in _REDIRECTING or not location:
        return None
    try:
        url = without_pairs(urljoin(outgoing.url, location), carried.query)
        if origin_of(url) != origin_of(outgoing.url) or "@" in urlsplit(url).netloc:
            return None
    except ValueError:
        return None
    if answer.status == httpx2.codes.SEE_OTHER and outgoing.method not in SAFE:
        return replace(outgoing, method="GET", url=url, body=None)
    if answer.status in (301, 302) and outgoing.method not in SAFE:
        return None  # clients disagree on whether it is sent again, and as what
    return replace(outgoing, url=url)


def _doubt(outgoing: Outgoing) -> str:
    return "" if outgoing.method in SAFE else "; it may have been carried out all the same"
