"""Counts requests in windows of time, by the library ``limits``: in this process, or on Redis for several."""

from __future__ import annotations

import logging
import math
import time
from typing import Any, Final, cast

import limits
from cachetools import TLRUCache
from limits.aio.storage import Storage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.storage import storage_from_string

from scopedtools.admission.windows import ProcessStorage

_log: Final = logging.getLogger(__name__)

_KEYS: Final = 50_000
"""Keys that a process counts by; of more, those that were not used for the longest time begin anew."""

_REFUSED: Final = 10_000
"""Keys that are refused without a look at the counters."""

_PATIENCE_S: Final = 0.25
"""Seconds for which an answer of Redis is waited for."""

_PAUSE_S: Final = 1.0
"""Seconds for which Redis is left alone after it failed."""

_CONNECTIONS: Final = 50


class Windows:
    """Counts by key in a window that slides: the window before counts as far as it reaches into it.

    A rate protects and authorizes nothing: while Redis does not answer, this process counts for itself.

    Args:
        rate: Such as ``600/minute``; several are separated by semicolons.
        store: URL of Redis, or ``None`` to count in this process.
    """

    def __init__(self, rate: str, store: str | None = None) -> None:
        self._items = limits.parse_many(rate)
        self._own = SlidingWindowCounterRateLimiter(ProcessStorage(max_keys=_KEYS * len(self._items)))
        self._shared = None if store is None else SlidingWindowCounterRateLimiter(_redis(store))
        self._paused_until = 0.0
        self._refused: TLRUCache[bytes, float] = TLRUCache(
            maxsize=_REFUSED, ttu=lambda _, until, __: until, timer=time.monotonic
        )

    async def take(self, key: bytes) -> int | None:
        """Count one more of a key; return whole seconds after which to try again if there were too many."""
        until = self._refused.get(key)
        if until is not None:
            return _whole(until - time.monotonic())
        name = key.hex()
        if self._shared is not None and time.monotonic() >= self._paused_until:
            try:
                return await self._count(self._shared, key, name)
            except Exception as error:  # noqa: BLE001 - the client leaks errors of its own besides those of Redis
                self._paused_until = time.monotonic() + _PAUSE_S
                _log.warning("requests are counted in this process: %s", type(error).__name__)
        return await self._count(self._own, key, name)

    async def _count(self, counters: SlidingWindowCounterRateLimiter, key: bytes, name: str) -> int | None:
        for item in self._items:
            if not await counters.hit(item, name):
                stats = await counters.get_window_stats(item, name)
                after_s = stats.reset_time - time.time()
                self._refused[key] = time.monotonic() + after_s
                return _whole(after_s)
        return None


def _whole(seconds: float) -> int:
    return max(1, math.ceil(seconds))


def _redis(url: str) -> Storage:
    options: dict[str, Any] = {
        "implementation": "redispy",
        "key_prefix": "scopedtools:rate",
        "socket_timeout": _PATIENCE_S,
        "socket_connect_timeout": _PATIENCE_S,
    }
    if url.startswith("redis+cluster://"):
        return cast("Storage", storage_from_string(f"async+{url}", **options))
    from redis.asyncio import BlockingConnectionPool  # noqa: PLC0415 - not to count in this process
    from redis.asyncio.retry import Retry  # noqa: PLC0415
    from redis.backoff import NoBackoff  # noqa: PLC0415

    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=_CONNECTIONS,
        timeout=_PATIENCE_S,
        socket_timeout=options.pop("socket_timeout"),
        socket_connect_timeout=options.pop("socket_connect_timeout"),
        retry=Retry(NoBackoff(), 1),
    )
    options["connection_pool"] = pool
    return cast("Storage", storage_from_string(f"async+{url}", **options))
