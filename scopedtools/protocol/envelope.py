"""The JSON-RPC 2.0 envelope: one message in, one reply out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import accumulate
from typing import Any, Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from scopedtools.exceptions import InvalidRequestError, LimitError, ParseError, ProtocolError

MessageId: TypeAlias = int | str


class Message(Struct, gc=False):
    """A message from the client: a request, a notification (no ``id``) or a reply (no ``method``).

    Parameters, results and errors stay undecoded until it is known who wants them.
    """

    jsonrpc: Literal["2.0"]
    id: MessageId | UnsetType = UNSET
    method: str | UnsetType = UNSET
    params: Raw | UnsetType = UNSET
    result: Raw | UnsetType = UNSET
    error: Raw | UnsetType = UNSET


class _Answer(Struct, gc=False):
    jsonrpc: str
    id: MessageId
    result: Any


class _ErrorBody(Struct, omit_defaults=True, gc=False):
    code: int
    message: str
    data: Any = None


class _Failure(Struct, omit_defaults=True, gc=False):
    jsonrpc: str
    error: _ErrorBody
    # Left out where it could not be read: 2026-07-28 has no ``null`` IDs.
    id: MessageId | UnsetType = UNSET


class _OnlyId(Struct, gc=False):
    id: MessageId | UnsetType = UNSET


class Reply(Struct, frozen=True, gc=False):
    """An encoded answer.

    Attributes:
        body: One JSON-RPC message as JSON, UTF-8, without a newline.
        code: JSON-RPC error code, or ``None`` for a result.
        retry_after_s: Seconds after which the client may try again, or ``None``.
    """

    body: bytes
    code: int | None = None
    retry_after_s: int | None = None


_message: Final = msgspec.json.Decoder(Message)
_only_id: Final = msgspec.json.Decoder(_OnlyId)
_encoder: Final = msgspec.json.Encoder()

_TEXT: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_STEPS: Final = {ord("{"): 1, ord("["): 1, ord("}"): -1, ord("]"): -1}
_OTHERS: Final = bytes(set(range(256)) - set(_STEPS))


def decode(body: bytes, *, max_depth: int = 64) -> Message:
    """Read one message.

    Args:
        body: JSON.
        max_depth: Most objects and lists inside each other.

    Raises:
        ParseError: It is not JSON.
        InvalidRequestError: It is not a JSON-RPC 2.0 message, or too deep.
    """
    try:
        body.decode()  # parameters stay undecoded for now, and must be text all the same
        message = _message.decode(body)
    except msgspec.ValidationError as error:
        raise InvalidRequestError(f"Not a JSON-RPC 2.0 message: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ParseError(f"The body is not JSON: {error}") from error
    is_reply = message.result is not UNSET or message.error is not UNSET
    if message.method is UNSET and not is_reply:
        raise InvalidRequestError("A message needs a 'method', a 'result' or an 'error', got none of them")
    # Whatever reads the parameters later calls itself for each level, and gives up somewhere.
    if body.count(b"{") + body.count(b"[") > max_depth and _depth(body) > max_depth:
        raise InvalidRequestError(f"The message has more than {max_depth} levels of objects and lists")
    return message


def _depth(body: bytes) -> int:
    """Return how many objects and lists of valid JSON are inside each other at most."""
    brackets = _TEXT.sub(b"", body).translate(None, _OTHERS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0)


def id_of(body: bytes) -> MessageId | UnsetType:
    """Find the ID in a message that could not be accepted, so that its error can be told apart."""
    try:
        return _only_id.decode(body).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return UNSET


def answer(message_id: MessageId, result: Struct | Raw) -> Reply:
    """Encode a result, or one that is encoded already, for a request."""
    return Reply(_encoder.encode(_Answer("2.0", message_id, result)))


def notification(method: str, params: Mapping[str, Any]) -> bytes:
    """Encode a notification."""
    return _encoder.encode({"jsonrpc": "2.0", "method": method, "params": params})


def question(message_id: MessageId, method: str, params: Mapping[str, Any]) -> bytes:
    """Encode a request to the client."""
    return _encoder.encode({"jsonrpc": "2.0", "id": message_id, "method": method, "params": params})


def failure(message_id: MessageId | UnsetType, error: ProtocolError) -> Reply:
    """Encode an error."""
    body = _encoder.encode(_Failure("2.0", _ErrorBody(error.code, error.message, error.data), message_id))
    return Reply(body, error.code, error.retry_after_s if isinstance(error, LimitError) else None)
