"""What a Redis or Valkey server publishes, over one connection.

redis-py's own subscriptions connect again without a word, so that nobody knows that messages were missed.
Here a connection is read until it is lost; `scopedtools.stores.bus` opens the next one.

In a cluster a channel belongs to the server that has the slot of its name (``SSUBSCRIBE``): a message goes to
that server and its replicas alone, where ``PUBLISH`` would send it to every server of the cluster.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from scopedtools.stores.redis_engine import Engine

if TYPE_CHECKING:
    from redis.asyncio import Connection

_QUIET_S: Final = 5.0
"""Seconds without a message after which the server is asked whether it is still there."""


@asynccontextmanager
async def messages(
    engine: Engine, channel: bytes, *, timeout_s: float
) -> AsyncIterator[AsyncIterator[bytes | None]]:
    """Subscribe to a channel; yields what is published until the connection is lost.

    Args:
        engine: Where it is published.
        channel: Its name.
        timeout_s: Seconds that the server may take to answer.

    Raises:
        ConnectionError: The server does not answer.
    """
    command = "SSUBSCRIBE" if engine.is_cluster else "SUBSCRIBE"
    connection = await engine.connection(channel)
    try:
        await connection.send_command(command, channel)
        if await connection.read_response(timeout=timeout_s) is None:
            raise ConnectionError("the server does not answer a subscription")
        yield _read(connection, timeout_s)
    finally:
        await connection.disconnect(nowait=True)


async def _read(connection: Connection, timeout_s: float) -> AsyncIterator[bytes | None]:
    while True:
        answer = await connection.read_response(timeout=_QUIET_S)
        if answer is None:  # a connection whose other end is gone looks like a quiet one
            await connection.send_command("PING")
            answer = await connection.read_response(timeout=timeout_s)
        match answer:
            case [b"message" | b"smessage", _, message]:
                yield message or None
            case [b"pong", *_]:
                pass
            case None:
                raise ConnectionError("the server does not answer on the connection of a subscription")
            case _:  # a cluster has moved the channel to another server
                return
