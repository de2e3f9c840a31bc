"""An upstream behind an HTTP endpoint: the official transport, over a client that has bounds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx2
import msgspec
from mcp.client.streamable_http import streamable_http_client

from scopedtools.gateway.config import Limits, ServerConfig
from scopedtools.gateway.oauth import TokenError
from scopedtools.gateway.values import Values

UNREACHABLE: Final = -31000
"""JSON-RPC code, outside the range of the protocol, of an answer that came from here: there was none."""

_END_S: Final = 5.0
_SESSION: Final = "mcp-session-id"


@asynccontextmanager
async def open_http(
    config: ServerConfig, *, auth: httpx2.Auth | None = None, session_began: Callable[[], None]
) -> AsyncIterator[tuple[Any, Any]]:
    """Open the official transport.

    Args:
        config: Of a server with a URL.
        auth: Puts the gateway's credential on each request.
        session_began: Called when the server begins a session.

    Yields:
        Streams of messages from and to the server.
    """
    if config.url is None:
        raise ValueError(f"{config.name} has no url")
    # No deadline for reading: streams of notifications are silent for hours. Requests have their own.
    timeout = httpx2.Timeout(config.connect_timeout_ms / 1000, read=None, pool=None)
    # Bodies as they are: a few bytes may unpack to gigabytes.
    headers = {"accept-encoding": "identity", **config.headers}
    limit = config.limits.max_message_bytes
    async with (
        _Client(config.limits, session_began, auth=auth, timeout=timeout, headers=headers) as client,
        streamable_http_client(config.url, http_client=client, max_sse_event_size=limit) as streams,
    ):
        yield streams


class _Client(httpx2.AsyncClient):
    """An HTTP client whose failures are answers: in the official transport one would end all requests."""

    def __init__(self, limits: Limits, session_began: Callable[[], None], **options: Any) -> None:
        super().__init__(**options)
        self._limits = limits
        self._session_began = session_began

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        if request.method == "DELETE" or (request.method == "POST" and not _asks(request.content)):
            # What has no answer must not wait for a server that is stuck; all that comes after would.
            request.extensions["timeout"] = httpx2.Timeout(_END_S).as_dict()
        try:
            response = await super().send(request, **options)
        except TokenError as error:
            return _failure(request, str(error))
        except httpx2.TransportError as error:
            # Its message may have the URL, and that a credential.
            return _failure(request, f"cannot be reached ({type(error).__name__})")
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.aclose()
            return _failure(request, "packs its answers, though it was asked not to")
        if response.status_code in (401, 403):
            await response.aclose()
            return _failure(request, _unauthorized(request, response.status_code))
        if (problem := _no_endpoint(request, response)) is not None:
            await response.aclose()
            return _failure(request, problem)
        if _SESSION in response.headers and request.method == "POST":
            self._session_began()
        is_events = response.headers.get("content-type", "").startswith("text/event-stream")
        if not response.is_closed:
            response.stream = _Bounded(response.stream, self._limits, is_events=is_events)
        return response


def _unauthorized(request: httpx2.Request, status: int) -> str:
    if "authorization" in request.headers:
        return f"refused the gateway's credentials (HTTP {status})"
    return f"wants credentials (HTTP {status}): give it 'headers' with them, or 'oauth'"


def _no_endpoint(request: httpx2.Request, response: httpx2.Response) -> str | None:
    """Say why what answered a first request is no MCP endpoint, where it is none."""
    answered = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    status = response.status_code
    if answered in ("application/json", "text/event-stream") or response.is_redirect or status == 202:
        return None
    if _decoded(request.content).method not in ("initialize", "server/discover"):
        return None
    if status >= 500:
        return f"answered with HTTP {status}"
    what = f"HTTP {status}" if response.is_error else answered[:40] or "nothing"
    return f"answered with {what}; 'url' has to be its MCP endpoint, which often ends in /mcp"


class _Message(msgspec.Struct):
    id: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    method: str | None = None


_UNKNOWN: Final = _Message(id=msgspec.Raw(b"null"), method="")


def _decoded(body: bytes) -> _Message:
    """Return a message; what cannot be read may be a request."""
    try:
        return msgspec.json.decode(body, type=_Message)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _UNKNOWN


def _asks(body: bytes) -> bool:
    """Tell whether a message is a request."""
    message = _decoded(body)
    return message.id is not msgspec.UNSET and message.method is not None


class _Bounded(httpx2.AsyncByteStream):
    """A body within limits; whatever goes wrong in it, the official transport expects.

    The bytes of an event are counted there.
    """

    def __init__(self, inner: Any, limits: Limits, *, is_events: bool) -> None:
        self._inner = inner
        self._limits = limits
        self._is_events = is_events

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size, values = 0, Values(events=self._is_events)
        try:
            async for chunk in self._inner:
                size += len(chunk)
                if size > self._limits.max_message_bytes and not self._is_events:
                    raise httpx2.StreamError(
                        f"the answer has more than {self._limits.max_message_bytes} bytes"
                    )
                values.feed(chunk)
                if values.most > self._limits.max_values:
                    raise httpx2.StreamError(f"the answer has more than {self._limits.max_values} values")
                yield chunk
        except httpx2.TransportError as error:
            raise httpx2.StreamError(f"the answer broke off ({type(error).__name__})") from error

    async def aclose(self) -> None:
        await self._inner.aclose()


def _failure(request: httpx2.Request, problem: str) -> httpx2.Response:
    error = {"code": UNREACHABLE, "message": problem}
    return httpx2.Response(502, json={"jsonrpc": "2.0", "id": None, "error": error}, request=request)
