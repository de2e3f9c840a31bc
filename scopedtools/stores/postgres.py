"""Contexts in PostgreSQL, for any number of processes and machines. Needs the extra ``postgres``.

For a service that has a database already and does not want another engine: about a third as many requests a
second as with Redis, and nothing more to operate.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from types import TracebackType
from typing import Any, Final, Self

from scopedtools.storage import NOBODY, OWNER_BYTES, ContextRecord
from scopedtools.stores import postgres_sql as sql
from scopedtools.stores.bus import Publication, Subscription
from scopedtools.stores.postgres_engine import Engine
from scopedtools.stores.records import decoded, encoded, name_bytes, name_of

_MAX_PAYLOAD: Final = 7_900
"""PostgreSQL notifies of fewer than 8,000 characters."""

_EXPIRED_AT_ONCE: Final = 1_000
_LONGEST_PAUSE_S: Final = 60.0


class PostgresStore:
    """A `ContextStore`, and a `Bus`, that several processes share.

    It connects when it is first needed, and makes its two tables then. Every method but `publish` and
    `listening` raises where the database does not answer; what goes on without it is
    `scopedtools.stores.guarded`. Rows that are over are not seen, and are deleted while the store is entered.

    Reading writes only now and then: a use is noted where the last noted one is ``touch_s`` ago. By so much a
    record may live shorter, and by so much the order may be off in which contexts of a principal go.

    Notifications need a connection that stays: name the server itself, not a pooler that shares connections
    between transactions.

    Args:
        url: ``postgresql://user:password@host:port/database``, as libpq takes it.
        ttl_s: Seconds that a record, or the values of a context, live after their last use.
        touch_s: Seconds after which another use is noted; by default a twentieth of ``ttl_s``.
        max_contexts_per_principal: Most contexts of a principal, and most with values; for another, the one
            that was used longest ago goes. Contexts without authorization are not counted.
        max_values: Most values of one context.
        max_values_bytes: Most bytes that the values of one context may take, names included.
        max_connections: Most connections, besides one that listens.
        timeout_s: Seconds that a request may take.
        namespace: Of the notifications; servers that are to hear one another have the same.

    Raises:
        ValueError: The URL is not one, or a limit is too small.
    """

    def __init__(
        self,
        url: str,
        *,
        ttl_s: float = 24 * 3600,
        touch_s: float | None = None,
        max_contexts_per_principal: int = 10_000,
        max_values: int = 64,
        max_values_bytes: int = 2**20,
        max_connections: int = 16,
        timeout_s: float = 1.0,
        namespace: str = "scopedtools",
    ) -> None:
        for name, limit in (
            ("max_contexts_per_principal", max_contexts_per_principal),
            ("max_values", max_values),
            ("max_values_bytes", max_values_bytes),
            ("max_connections", max_connections),
        ):
            if limit < 1:
                raise ValueError(f"{name} must be >= 1, got {limit}")
        for name, seconds in (("ttl_s", ttl_s), ("timeout_s", timeout_s)):
            if not seconds > 0:
                raise ValueError(f"{name} must be > 0, got {seconds}")
        self._engine = Engine(url, max_connections=max_connections, timeout_s=timeout_s)
        self._lives = {"ttl_s": ttl_s, "touch_s": ttl_s / 20 if touch_s is None else touch_s}
        self._others = max_contexts_per_principal - 1
        self._room = {"max_values": max_values, "max_values_bytes": max_values_bytes}
        self._channel = f"{namespace}_bus"
        self._subscription = Subscription(self._messages, patience_s=timeout_s)
        self._expiring: asyncio.Task[None] | None = None
        self._publication = Publication(self._send)

    def __repr__(self) -> str:
        return f"<PostgresStore {self._engine!r}>"

    async def __aenter__(self) -> Self:
        self._expiring = asyncio.create_task(self._expire(), name="scopedtools: expiry")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._expiring is not None:
            self._expiring.cancel()
            with suppress(asyncio.CancelledError):
                await self._expiring
        await self._subscription.end()
        await self._engine.close()

    async def get(self, key: bytes) -> ContextRecord | None:
        rows = await self._read(sql.GET, b"c" + key)
        return decoded(rows[0]) if rows else None

    async def add(self, key: bytes, record: ContextRecord) -> ContextRecord:
        new = encoded(record)
        kept = await self._one(sql.ADD, self._adding(b"c", key, new))
        found = decoded(kept)
        if found is None:
            await self._replace(key, kept, new)
        return found or record

    async def replace(self, key: bytes, before: ContextRecord, after: ContextRecord) -> bool:
        return await self._replace(key, encoded(before), encoded(after))

    async def get_value(self, key: bytes, name: str) -> bytes | None:
        rows = await self._read(sql.GET_VALUE, b"v" + key, name=name_bytes(name))
        return rows[0] if rows else None

    async def put_value(self, key: bytes, name: str, value: bytes, *, ttl_s: float | None = None) -> bool:
        return await self._put(sql.PUT_VALUE, key, name, value, ttl_s) is not None

    async def add_value(
        self, key: bytes, name: str, value: bytes, *, ttl_s: float | None = None
    ) -> bytes | None:
        return await self._put(sql.ADD_VALUE, key, name, value, ttl_s)

    async def delete_value(self, key: bytes, name: str) -> None:
        await self._engine.run((sql.DELETE_VALUE, {"key": b"v" + key, "name": name_bytes(name)}))

    async def value_names(self, key: bytes) -> list[str]:
        names = await self._read(sql.VALUE_NAMES, b"v" + key)
        return sorted(name_of(name) for name in names if name is not None)

    async def publish(self, message: bytes) -> None:
        await self._publication.publish(message)

    def listening(self, heard: Callable[[bytes | None], None]) -> AbstractAsyncContextManager[None]:
        return self._subscription.listening(heard)

    async def _send(self, message: bytes) -> None:
        payload = base64.b85encode(message).decode()
        if len(payload) > _MAX_PAYLOAD:
            payload = ""  # tells them that they have missed something
        await self._engine.run((sql.NOTIFY, {"channel": self._channel, "payload": payload}))

    async def _read(self, statement: str, key: bytes, **parameters: Any) -> list[Any]:
        """Return the first column, and note that the context was used if that is due."""
        (rows,) = await self._engine.run((statement, {"key": key, **parameters, **self._lives}))
        if rows and rows[0][1]:
            await self._engine.run((sql.TOUCH, {"key": key, **self._lives}))
        return [found for found, _ in rows]

    async def _one(self, statement: str, parameters: dict[str, Any]) -> Any:
        (rows,) = await self._engine.run((statement, parameters))
        return rows[0][0]

    async def _replace(self, key: bytes, before: bytes, after: bytes) -> bool:
        parameters = {"key": b"c" + key, "before": before, "after": after, **self._lives}
        return bool(await self._one(sql.REPLACE, parameters))

    async def _put(
        self, statement: str, key: bytes, name: str, value: bytes, ttl_s: float | None
    ) -> bytes | None:
        of = {"key": b"v" + key, "name": name_bytes(name)}
        put = {**of, **self._room, "value": value, "own_ttl_s": ttl_s, "bytes": len(of["name"]) + len(value)}
        *_, kept = await self._engine.run(
            (sql.PUT_BEGIN, self._adding(b"v", key, None)), (sql.PUT_CLEAR, of), (statement, put)
        )
        return kept[0][0] if kept else None

    def _adding(self, kind: bytes, key: bytes, record: bytes | None) -> dict[str, Any]:
        owner = key[:OWNER_BYTES]
        return {
            "key": kind + key,
            "owner": None if owner == NOBODY else kind + owner,
            "record": record,
            "others": self._others,
            **self._lives,
        }

    @asynccontextmanager
    async def _messages(self) -> AsyncIterator[AsyncIterator[bytes | None]]:
        async with self._engine.notifications(self._channel) as payloads:
            yield (_message(payload) async for payload in payloads)

    async def _expire(self) -> None:
        """Delete what is over, in small portions; of several replicas each deletes other rows."""
        pause_s = min(self._lives["ttl_s"] / 10, _LONGEST_PAUSE_S)
        while True:
            await asyncio.sleep(pause_s)
            with suppress(Exception):  # the next time will do
                while (await self._one(sql.EXPIRE, {"most": _EXPIRED_AT_ONCE})) == _EXPIRED_AT_ONCE:
                    pass


def _message(payload: str) -> bytes | None:
    try:
        return base64.b85decode(payload) or None
    except (ValueError, binascii.Error):
        return None  # somebody else uses this channel; whatever it is, looking again does no harm
