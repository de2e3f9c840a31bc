"""JSON-RPC batches: several messages in one array. Only revision 2025-03-26 has them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import msgspec
from msgspec import UNSET, Raw

from scopedtools.exceptions import InvalidRequestError, ParseError, ProtocolError
from scopedtools.protocol.dispatch import Dispatcher, to_protocol_error
from scopedtools.protocol.envelope import Message, Reply, decode, failure, id_of
from scopedtools.protocol.request import Ingress
from scopedtools.protocol.revisions import Revision
from scopedtools.protocol.understood import Identify, understand

_MESSAGES: Final = 100
"""Most messages in one batch."""

_parts: Final = msgspec.json.Decoder(list[Raw])


def is_batch(body: bytes) -> bool:
    """Tell whether a body is an array."""
    return body.lstrip()[:1] == b"["


async def run_batch(
    body: bytes,
    dispatcher: Dispatcher,
    *,
    identify: Identify,
    ingress: Ingress,
    answered: Callable[[Message], None],
    max_depth: int = 64,
) -> bytes | None:
    """Answer each message of a batch, one after the other.

    Args:
        body: The array.
        dispatcher: Answers messages.
        identify: Tells the revision of a message.
        ingress: What the transport knows of the batch.
        answered: Takes the answers to questions among the messages.
        max_depth: Most objects and lists inside each other in a message.

    Returns:
        An array of replies, or ``None`` where nothing in the batch asks for one.

    Raises:
        ParseError: It is not JSON.
        InvalidRequestError: It is empty, or too long.
    """
    try:
        parts = _parts.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ParseError(f"The body is not JSON: {error}") from error
    if not 1 <= len(parts) <= _MESSAGES:
        raise InvalidRequestError(f"A batch has 1 to {_MESSAGES} messages, got {len(parts)}")
    read = partial(decode, max_depth=max_depth)
    replies = [
        await _reply(bytes(part), dispatcher, read, identify, ingress=ingress, answered=answered)
        for part in parts
    ]
    bodies = [reply.body for reply in replies if reply is not None]
    return b"[%b]" % b",".join(bodies) if bodies else None


async def _reply(
    part: bytes,
    dispatcher: Dispatcher,
    read: Callable[[bytes], Message],
    identify: Identify,
    *,
    ingress: Ingress,
    answered: Callable[[Message], None],
) -> Reply | None:
    try:
        message = read(part)
    except ProtocolError as error:
        return failure(id_of(part), error)
    if message.method is UNSET:
        answered(message)
        return None
    if message.method == "initialize":
        alone = InvalidRequestError("'initialize' stands alone, send it outside of a batch")
        return None if message.id is UNSET else failure(message.id, alone)
    try:
        understood = understand(message.method, message.params, identify)
        request = dispatcher.admit(message, understood, ingress)
        _require_batches(request.revision)
        await dispatcher.gate.admit(request)
    except Exception as error:  # noqa: BLE001 - one bad message must not take the others with it
        return None if message.id is UNSET else failure(message.id, to_protocol_error(error))
    return None if request.id is None else await dispatcher.run(request)


def _require_batches(revision: Revision) -> None:
    # Others have requests that may last for ever, such as to listen.
    if not revision.batches:
        raise InvalidRequestError(f"Protocol revision {revision.name} has no batches")
