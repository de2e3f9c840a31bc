"""Counters on Redis for the library ``limits``."""

from __future__ import annotations

from typing import Any, Final, cast

from limits.aio.storage import RedisStorage
from limits.aio.storage.redis.redispy import RedispyBridge
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.storage import storage_from_string
from redis.asyncio import BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

_CONNECTIONS: Final = 50


class SharedCounters:
    """Counters on Redis or Valkey, or a cluster of them.

    Args:
        url: Of one of its servers.
        timeout_s: Seconds that each step may take: to get a connection, to open it, to get an answer.

    Attributes:
        counters: Count there.
    """

    def __init__(self, url: str, *, timeout_s: float) -> None:
        options: dict[str, Any] = {"implementation": "redispy", "key_prefix": "scopedtools:rate"}
        times = {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s}
        self._pool = None
        if url.startswith("redis+cluster://"):
            options |= times
        else:
            # Of its own pool the client raises errors when it is empty.
            retry = Retry(NoBackoff(), 1)
            self._pool = BlockingConnectionPool.from_url(
                url, max_connections=_CONNECTIONS, timeout=timeout_s, retry=retry, **times
            )
            options["connection_pool"] = self._pool
        self._storage = cast("RedisStorage", storage_from_string(f"async+{url}", **options))
        self.counters = SlidingWindowCounterRateLimiter(self._storage)

    async def close(self) -> None:
        client: Any = cast("RedispyBridge", self._storage.bridge).get_connection()
        await client.aclose()
        if self._pool is not None:
            await self._pool.disconnect()
