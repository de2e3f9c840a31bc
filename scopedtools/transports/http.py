"""Streamable HTTP: one endpoint, one JSON-RPC message to a POST.

Source: the Streamable HTTP pages of the specification, 2025-03-26 to 2026-07-28.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Final

from msgspec import UNSET, UnsetType
from starlette.types import Receive, Scope, Send

from scopedtools.exceptions import (
    InternalError,
    InvalidRequestError,
    MethodNotFoundError,
    ParseError,
    ProtocolError,
    UnsupportedVersionError,
)
from scopedtools.protocol import mirrors
from scopedtools.protocol.dispatch import Dispatcher, to_protocol_error
from scopedtools.protocol.request import Ingress, Request
from scopedtools.protocol.envelope import Message, MessageId, Reply, decode, failure, id_of
from scopedtools.types import ANONYMOUS, Principal, TokenVerifier

_MALFORMED: Final = {ParseError.code: 400, InvalidRequestError.code: 400, UnsupportedVersionError.code: 400}
"""HTTP status of errors at every revision; all others were 200 before 2026-07-28."""

_STATELESS: Final = {MethodNotFoundError.code: 404, InternalError.code: 500}
"""HTTP status of errors at stateless revisions; all others are 400."""

_HEADERS: Final = (
    (b"content-type", b"application/json"),
    # What a list shows depends on who asks and in which context; no shared cache may keep it.
    (b"cache-control", b"private, no-store"),
    (b"vary", b"Authorization, Mcp-Client-Session-Id"),
)


class _Refusal(Exception):  # noqa: N818 - an answer on its way out, not an error of ours
    """An HTTP answer that is decided before there is a message to reply to."""

    def __init__(
        self, status: int, error: ProtocolError, headers: tuple[tuple[bytes, bytes], ...] = ()
    ) -> None:
        super().__init__(error.message)
        self.status = status
        self.error = error
        self.headers = headers


class HttpTransport:
    """The MCP endpoint as an ASGI callable.

    Args:
        dispatcher: Answers messages.
        verifier: Tells who a bearer token belongs to; without one everybody is anonymous.
        max_body_bytes: Larger bodies are refused.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        *,
        verifier: TokenVerifier | None = None,
        max_body_bytes: int = 4 * 2**20,
    ) -> None:
        self._dispatcher = dispatcher
        self._verifier = verifier
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        try:
            status, body, headers = await self._answer(scope, receive)
        except _Refusal as refusal:
            status, headers = refusal.status, refusal.headers
            body = failure(UNSET, refusal.error).body
        except Exception as error:  # noqa: BLE001 - such as a verifier that fails
            status, body, headers = 500, failure(UNSET, to_protocol_error(error)).body, ()
        length = b"%d" % len(body)
        own = (*(_HEADERS if body else ()), (b"content-length", length), *headers)
        await send({"type": "http.response.start", "status": status, "headers": own})
        await send({"type": "http.response.body", "body": body})

    async def _answer(
        self, scope: Scope, receive: Receive
    ) -> tuple[int, bytes, tuple[tuple[bytes, bytes], ...]]:
        if scope["method"] != "POST":
            raise _Refusal(405, InvalidRequestError("Send messages with POST"), ((b"allow", b"POST"),))
        headers = _joined(scope["headers"])
        _require_media_types(headers)
        principal = await self._principal(headers)
        body = await self._read(headers, receive)
        ingress = Ingress(principal, tuple(scope["headers"]), scope.get("query_string", b""))
        try:
            message = decode(body)
        except ProtocolError as error:
            return 400, failure(id_of(body), error).body, ()
        status, reply = await self._reply(message, headers, ingress)
        return status, reply.body if reply else b"", ()

    async def _reply(
        self, message: Message, headers: Mapping[str, str], ingress: Ingress
    ) -> tuple[int, Reply | None]:
        version = headers.get(mirrors.VERSION_HEADER)
        if message.method is UNSET:
            return 202, None
        identify = partial(mirrors.identify, version)
        try:
            request = self._dispatcher.admit(message, identify, ingress)
            if request.revision.stateless and request.id is not None:
                mirrors.check(request, headers)
        except Exception as error:  # noqa: BLE001 - nothing a client sends may end in a bare failure
            return self._rejection(message.id, to_protocol_error(error), headers)
        if request.id is None:
            return 202, None
        reply = await self._dispatcher.run(request)
        return _status(reply.code, stateless=request.revision.stateless), reply

    def _rejection(
        self, message_id: MessageId | UnsetType, error: ProtocolError, headers: Mapping[str, str]
    ) -> tuple[int, Reply | None]:
        if message_id is UNSET and isinstance(error, MethodNotFoundError):
            return 202, None  # a notification that nobody knows is ignored, as JSON-RPC asks
        # Whoever names no revision, or one that came before, expects errors in a 200.
        stateless = not mirrors.is_legacy(headers.get(mirrors.VERSION_HEADER)) or error.code == -32020
        return _status(error.code, stateless=stateless), failure(message_id, error)

    async def _principal(self, headers: Mapping[str, str]) -> Principal:
        if self._verifier is None:
            return ANONYMOUS
        scheme, _, token = headers.get("authorization", "").partition(" ")
        principal = await self._verifier.verify(token.strip()) if scheme.lower() == "bearer" else None
        if principal is None:
            challenge = b"Bearer" if not scheme else b'Bearer error="invalid_token"'
            error = InvalidRequestError("Send a valid bearer token in the Authorization header")
            raise _Refusal(401, error, ((b"www-authenticate", challenge),))
        return principal

    async def _read(self, headers: Mapping[str, str], receive: Receive) -> bytes:
        announced = headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > self._max_body_bytes:
            raise self._too_large()
        chunks: list[bytes] = []
        size_bytes = 0
        while True:
            event = await receive()
            if event["type"] == "http.disconnect":
                raise _Refusal(400, InvalidRequestError("The client went away before its request ended"))
            chunks.append(event.get("body", b""))
            size_bytes += len(chunks[-1])
            if size_bytes > self._max_body_bytes:
                raise self._too_large()
            if not event.get("more_body"):
                return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _too_large(self) -> _Refusal:
        error = InvalidRequestError(f"The body is larger than {self._max_body_bytes} bytes")
        # What was not read yet would be taken for the next request, so the connection ends here.
        return _Refusal(413, error, ((b"connection", b"close"),))


def _joined(lines: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    # Several lines of one name are one list (RFC 9110, 5.3). So an Accept may come in two, and a header
    # that must mirror the body cannot: joined, it says something else.
    headers: dict[str, str] = {}
    for raw_name, raw_value in lines:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1").strip(" \t")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _status(code: int | None, *, stateless: bool) -> int:
    if code is None:
        return 200
    if not stateless:
        return _MALFORMED.get(code, 200)
    return _STATELESS.get(code, 400)


def _require_media_types(headers: Mapping[str, str]) -> None:
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise _Refusal(
            415, InvalidRequestError(f"Content-Type must be application/json, got {content_type!r}")
        )
    accept = headers.get("accept", "*/*").lower()
    if not any(media in accept for media in ("application/json", "application/*", "*/*")):
        raise _Refusal(406, InvalidRequestError(f"Accept must include application/json, got {accept!r}"))
