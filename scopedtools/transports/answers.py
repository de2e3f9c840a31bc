"""HTTP answers of one piece: statuses, headers, refusals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple, TypeAlias

from msgspec import UNSET, UnsetType
from starlette.types import Send

from scopedtools.auth.errors import AuthorizationError
from scopedtools.exceptions import (
    InternalError,
    InvalidRequestError,
    MethodNotFoundError,
    ParseError,
    ProtocolError,
    UnsupportedVersionError,
)
from scopedtools.protocol import mirrors
from scopedtools.protocol.dispatch import to_protocol_error
from scopedtools.protocol.envelope import MessageId, Reply, failure
from scopedtools.protocol.request import Request

_MALFORMED: Final = {ParseError.code: 400, InvalidRequestError.code: 400, UnsupportedVersionError.code: 400}
"""HTTP status of errors at every revision; all others were 200 before 2026-07-28."""

_OURS: Final = frozenset({429, 503, 504})
"""Codes of errors that HTTP has a status for, the same."""

_STATELESS: Final = {MethodNotFoundError.code: 404, InternalError.code: 500}
"""HTTP status of errors at stateless revisions; all others are 400."""

Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]


class Answer(NamedTuple):
    """An HTTP response of one piece."""

    status: int
    body: bytes = b""
    headers: Headers = ()


class Refusal(Exception):  # noqa: N818 - an answer on its way out, not an error of ours
    """An HTTP answer that is decided before there is a message to reply to."""

    def __init__(self, status: int, error: ProtocolError, headers: Headers = ()) -> None:
        super().__init__(error.message)
        self.status = status
        self.error = error
        self.headers = headers

    def anew(self) -> Refusal:
        """Return the same refusal, to be raised for another request."""
        return Refusal(self.status, self.error, self.headers)


def json_headers(varies_by: Iterable[str]) -> Headers:
    """Return the headers of an answer with a body.

    Args:
        varies_by: Request headers that it may depend on, besides ``Authorization``.
    """
    return (
        (b"content-type", b"application/json"),
        # What a list shows depends on who asks and in which context; no shared cache may keep it.
        (b"cache-control", b"private, no-store"),
        (b"vary", ", ".join(("Authorization", *varies_by)).encode()),
    )


async def send_answer(send: Send, answer: Answer, described: Headers) -> None:
    """Send an answer; ``described`` are the headers of those that have a body."""
    length = b"%d" % len(answer.body)
    headers = (*(described if answer.body else ()), (b"content-length", length), *answer.headers)
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


def answer_with(reply: Reply, request: Request, headers: Headers = ()) -> Answer:
    """Make the answer of a reply, with the HTTP status that the request's revision gives it."""
    status = _status(reply.code, stateless=request.revision.stateless)
    return Answer(status, reply.body, headers + _later(reply))


def rejection(message_id: MessageId | UnsetType, problem: Exception, headers: Mapping[str, str]) -> Answer:
    """Make the answer to a message that was not let in."""
    if isinstance(problem, AuthorizationError):
        return refused(message_id, problem)
    error = to_protocol_error(problem)
    if message_id is UNSET and isinstance(error, MethodNotFoundError):
        return Answer(202)  # a notification that nobody knows is ignored, as JSON-RPC asks
    # Whoever names no revision, or one that came before, expects errors in a 200.
    stateless = not mirrors.is_legacy(headers.get(mirrors.VERSION_HEADER)) or error.code == -32020
    reply = failure(message_id, error)
    return Answer(_status(error.code, stateless=stateless), reply.body, _later(reply))


def refused(message_id: MessageId | UnsetType, refusal: AuthorizationError) -> Answer:
    """Make the answer to a caller who may not, or did not say who it is."""
    body = failure(message_id, InvalidRequestError(refusal.message)).body
    return Answer(refusal.status, body, refusal.headers)


def not_allowed(methods: str) -> Refusal:
    """Make the refusal of an HTTP method."""
    return Refusal(405, InvalidRequestError(f"Send messages with {methods}"), ((b"allow", methods.encode()),))


def _status(code: int | None, *, stateless: bool) -> int:
    if code is None:
        return 200
    if code in _OURS:
        return code
    if not stateless:
        return _MALFORMED.get(code, 200)
    return _STATELESS.get(code, 400)


def _later(reply: Reply) -> Headers:
    return () if reply.retry_after_s is None else ((b"retry-after", b"%d" % reply.retry_after_s),)


def require_media_types(headers: Mapping[str, str]) -> None:
    """Refuse a body that is not JSON, or compressed, and a client that cannot read JSON.

    Raises:
        Refusal: With status 415 or 406.
    """
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise Refusal(
            415, InvalidRequestError(f"Content-Type must be application/json, got {content_type!r}")
        )
    coding = headers.get("content-encoding", "identity").strip().lower()
    if coding != "identity":
        # A few bytes could become any number of them.
        told = f"Content-Encoding must be identity, got {coding!r}"
        raise Refusal(415, InvalidRequestError(told), ((b"accept-encoding", b"identity"),))
    accept = headers.get("accept", "*/*").lower()
    if not any(media in accept for media in ("application/json", "application/*", "*/*")):
        raise Refusal(406, InvalidRequestError(f"Accept must include application/json, got {accept!r}"))
