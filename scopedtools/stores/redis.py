"""Contexts on Redis or Valkey, for any number of processes and machines. Needs the extra ``redis``.

What has to happen at once is one script (`scopedtools.stores.redis_scripts`). Keys of this store::

    scopedtools:1{4f2a}c<key>                 a record, bytes
    scopedtools:1{9c01}v<key>                 the values of a context, a hash
    scopedtools:1{4f2a}C<principal, portion>  the records of a principal by their last use, a sorted set
    scopedtools:1{9c01}V<principal, portion>  the same of values
    scopedtools:1:bus                         a channel

The part in braces says which server of a cluster has the key. It is the same for keys that a script needs
together; the contexts of one principal are in `PORTIONS` places, so that a service with very many does not
keep a single server busy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Final, Self

from scopedtools.storage import NOBODY, OWNER_BYTES, ContextRecord
from scopedtools.stores.bus import Publication, Subscription
from scopedtools.stores.records import LAYOUT, decoded, encoded, name_bytes, name_of
from scopedtools.stores.redis_engine import Engine
from scopedtools.stores.redis_messages import messages
from scopedtools.stores.redis_scripts import ADD, GET, GET_VALUE, PUT_VALUE, REPLACE, VALUE_NAMES

PORTIONS: Final = 16
"""The contexts of a principal are counted in so many portions."""


class RedisStore:
    """A `ContextStore`, and a `Bus`, that several processes share.

    It connects when it is first needed. Every method but `publish` and `listening` raises where the engine
    does not answer; what goes on without it is `scopedtools.stores.guarded`.

    A principal may have so many contexts that for another the one that was used longest ago goes, and so for
    contexts with values. Both are counted in 16 portions, evenly filled but for chance: who has nearly
    the most loses some a little early, and nobody ever has more. Contexts without authorization belong to
    nobody and are not counted: give the engine a ``maxmemory`` and the policy ``volatile-lru`` too.

    Args:
        url: ``redis://user:password@host:port/database``, ``rediss://`` for TLS, ``unix://``, or
            ``redis+cluster://`` with one or more nodes, separated by commas. The query may name options of
            redis-py.
        ttl_s: Seconds that a record, or the values of a context, live after their last use.
        max_contexts_per_principal: Most contexts of a principal, at least 16.
        max_values: Most values of one context.
        max_values_bytes: Most bytes that the values of one context may take, names included.
        max_connections: Most connections; of a cluster, to each server.
        timeout_s: Seconds that the engine may take to answer, connecting included.
        namespace: What all keys begin with. Servers that are to share contexts have the same.

    Raises:
        ValueError: The URL is not one of those, or a limit is too small.
    """

    def __init__(
        self,
        url: str,
        *,
        ttl_s: float = 24 * 3600,
        max_contexts_per_principal: int = 10_000,
        max_values: int = 64,
        max_values_bytes: int = 2**20,
        max_connections: int = 64,
        timeout_s: float = 1.0,
        namespace: str = "scopedtools",
    ) -> None:
        for name, limit, least in (
            ("max_contexts_per_principal", max_contexts_per_principal, PORTIONS),
            ("max_values", max_values, 1),
            ("max_values_bytes", max_values_bytes, 1),
            ("max_connections", max_connections, 1),
        ):
            if limit < least:
                raise ValueError(f"{name} must be >= {least}, got {limit}")
        for name, seconds in (("ttl_s", ttl_s), ("timeout_s", timeout_s)):
            if not seconds >= 0.001:
                raise ValueError(f"{name} must be >= 0.001, got {seconds}")
        self._engine = Engine(url, max_connections=max_connections, timeout_s=timeout_s)
        self._ttl_ms = round(ttl_s * 1000)
        self._most = max_contexts_per_principal // PORTIONS
        self._max_values = max_values
        self._max_values_bytes = max_values_bytes
        self._prefix = f"{namespace}:{LAYOUT}".encode()
        self._channel = self._prefix + b":bus"
        self._subscription = Subscription(
            lambda: messages(self._engine, self._channel, timeout_s=timeout_s), patience_s=timeout_s
        )
        self._publication = Publication(self._send)

    def __repr__(self) -> str:
        return f"<RedisStore {self._engine!r}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._subscription.end()
        await self._engine.close()

    async def get(self, key: bytes) -> ContextRecord | None:
        keys, member = self._keys(key, b"c", b"C")
        if len(keys) == 1:
            kept = await self._engine.run(keys[0], "GETEX", keys[0], "PX", self._ttl_ms)
        else:
            kept = await self._engine.call(GET, keys, self._ttl_ms, member)
        return None if kept is None else decoded(kept)

    async def add(self, key: bytes, record: ContextRecord) -> ContextRecord:
        keys, member = self._keys(key, b"c", b"C")
        new = encoded(record)
        kept = await self._engine.call(ADD, keys, self._ttl_ms, member, self._most, new)
        if kept is None:
            return record
        found = decoded(kept)
        if found is None:
            await self._engine.call(REPLACE, keys, self._ttl_ms, member, kept, new)
        return found or record

    async def replace(self, key: bytes, before: ContextRecord, after: ContextRecord) -> bool:
        keys, member = self._keys(key, b"c", b"C")
        replaced = await self._engine.call(
            REPLACE, keys, self._ttl_ms, member, encoded(before), encoded(after)
        )
        return bool(replaced)

    async def get_value(self, key: bytes, name: str) -> bytes | None:
        keys, member = self._keys(key, b"v", b"V")
        kept: bytes | None = await self._engine.call(GET_VALUE, keys, self._ttl_ms, member, name_bytes(name))
        return kept

    async def put_value(self, key: bytes, name: str, value: bytes, *, ttl_s: float | None = None) -> bool:
        return await self._put(key, name, value, ttl_s, "put") is not None

    async def add_value(
        self, key: bytes, name: str, value: bytes, *, ttl_s: float | None = None
    ) -> bytes | None:
        return await self._put(key, name, value, ttl_s, "add")

    async def delete_value(self, key: bytes, name: str) -> None:
        keys, _ = self._keys(key, b"v", b"V")
        await self._engine.run(keys[0], "HDEL", keys[0], name_bytes(name))

    async def value_names(self, key: bytes) -> list[str]:
        keys, member = self._keys(key, b"v", b"V")
        names = await self._engine.call(VALUE_NAMES, keys, self._ttl_ms, member)
        return sorted(name_of(name) for name in names)

    async def publish(self, message: bytes) -> None:
        await self._publication.publish(message)

    def listening(self, heard: Callable[[bytes | None], None]) -> AbstractAsyncContextManager[None]:
        return self._subscription.listening(heard)

    async def _send(self, message: bytes) -> None:
        command = "SPUBLISH" if self._engine.is_cluster else "PUBLISH"
        await self._engine.run(self._channel, command, self._channel, message)

    async def _put(self, key: bytes, name: str, value: bytes, ttl_s: float | None, how: str) -> bytes | None:
        keys, member = self._keys(key, b"v", b"V")
        own_ttl_ms = "" if ttl_s is None else max(1, round(ttl_s * 1000))
        kept: bytes | None = await self._engine.call(
            PUT_VALUE,
            keys,
            self._ttl_ms,
            member,
            self._most,
            name_bytes(name),
            value,
            own_ttl_ms,
            how,
            self._max_values,
            self._max_values_bytes,
        )
        return kept

    def _keys(self, key: bytes, kind: bytes, quota: bytes) -> tuple[list[bytes], bytes]:
        """Return the key of what is kept, perhaps that of its quota, and what the quota calls it."""
        owner, member = key[:OWNER_BYTES], key[OWNER_BYTES:]
        if owner == NOBODY:
            return [self._prefix + _place(key) + kind + key], member
        portion = bytes([member[0] % PORTIONS if member else 0])
        prefix = self._prefix + _place(owner + portion)
        return [prefix + kind + key, prefix + quota + owner + portion], member


def _place(text: bytes) -> bytes:
    """Return what decides which server of a cluster has a key: 65,536 places, four for each slot."""
    return b"{" + hashlib.blake2b(text, digest_size=2).hexdigest().encode() + b"}"
