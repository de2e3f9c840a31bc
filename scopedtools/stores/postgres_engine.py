"""Statements to a PostgreSQL server. Needs the extra ``postgres``."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, LiteralString, TypeAlias
from urllib.parse import urlsplit

from scopedtools.exceptions import MissingDependencyError
from scopedtools.stores.postgres_sql import ARE_THERE, LOCK, MAKE

try:
    import psycopg
    import psycopg_pool
    from psycopg.conninfo import conninfo_to_dict
    from psycopg.rows import TupleRow
except ImportError as error:
    raise MissingDependencyError(
        'psycopg and its pool are not installed; run pip install "scopedtools[postgres]"'
    ) from error

_QUIET_S: Final = 5.0
"""Seconds without a notification after which the server is asked whether it is still there."""

_STUCK_S: Final = 5.0
"""Seconds after which a connection on which a request waits is given up, by others than who asked."""

_RECONNECT_S: Final = 1.0
"""Seconds in which the pool tries to connect before it waits for the next one who asks."""

_Connection: TypeAlias = "psycopg.AsyncConnection[TupleRow]"
_Pool: TypeAlias = "psycopg_pool.AsyncConnectionPool[_Connection]"

Statement: TypeAlias = tuple[LiteralString, Mapping[str, Any]]
"""SQL and its parameters."""


class Engine:
    """Connects when it is first asked, and anew in each event loop that asks; makes the tables then.

    Args:
        url: ``postgresql://user:password@host:port/database``, as libpq takes it.
        max_connections: Most connections, besides the one of a subscription. Who needs another one waits.
        timeout_s: Seconds that a request may take, the waiting for a connection included.

    Raises:
        ValueError: The URL is not one. The message does not repeat it, since it may hold a password.
    """

    def __init__(self, url: str, *, max_connections: int, timeout_s: float) -> None:
        try:
            parts = urlsplit(url)
            # A password with a slash ends early, and what is left of it would be named in errors.
            if parts.scheme not in {"postgresql", "postgres"} or "@" in parts.path:
                raise ValueError  # noqa: TRY301 - all that is wrong with it is said at one place
            self._names = conninfo_to_dict(url)
        except (ValueError, psycopg.ProgrammingError):
            raise ValueError(
                "the URL of the store must be postgresql://user:password@host:port/database; write special"
                " characters of a password as %XX"
            ) from None
        self._url = url
        self._max_connections = max_connections
        self._timeout_s = timeout_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pool: _Pool | None = None
        self._are_tables_there = False
        self._under_way: set[asyncio.Task[Any]] = set()

    def __repr__(self) -> str:
        names = (f"{name} {self._names[name]}" for name in ("host", "port", "dbname") if name in self._names)
        return " ".join(names)

    async def run(self, *statements: Statement) -> list[list[tuple[Any, ...]]]:
        """Run statements, more than one as a transaction; returns the rows of each, or its number of rows.

        A request that takes too long is left to itself: to end it, the server would have to answer.

        Raises:
            TimeoutError: It takes too long.
            psycopg.Error: The server cannot be reached, or refuses.
        """
        task = asyncio.get_running_loop().create_task(self._run(statements))
        self._under_way.add(task)
        task.add_done_callback(self._over)
        done, _ = await asyncio.wait({task}, timeout=self._timeout_s)
        if not done:
            raise TimeoutError(f"PostgreSQL did not answer in {self._timeout_s} s")
        return task.result()

    @asynccontextmanager
    async def notifications(self, channel: str) -> AsyncIterator[AsyncIterator[str]]:
        """Listen on a connection of its own; yields payloads until it is lost.

        Raises:
            psycopg.OperationalError: It is lost, or the server does not answer.
        """
        connection = await self._alone()
        try:
            async with asyncio.timeout(self._timeout_s):
                await connection.execute(psycopg.sql.SQL("LISTEN {}").format(psycopg.sql.Identifier(channel)))
            yield self._payloads(connection)
        finally:
            await connection.close()

    async def close(self) -> None:
        """Close all connections; what is asked afterwards connects anew."""
        pool, self._pool = self._pool, None
        if pool is None or self._loop is not asyncio.get_running_loop():
            return
        for task in self._under_way:
            task.cancel()
        # Once more: at first psycopg asks the server to cancel, and waits for seconds.
        await asyncio.sleep(0)
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await pool.close()

    async def _run(self, statements: Sequence[Statement]) -> list[list[tuple[Any, ...]]]:
        pool = await self._opened()
        loop = asyncio.get_running_loop()
        waits_until = loop.time() + self._timeout_s
        try:
            return await self._tried(pool, statements)
        except psycopg.errors.UndefinedTable:  # as in a database that has taken over, empty
            self._are_tables_there = False
            return await self._tried(pool, statements)
        except psycopg.OperationalError as error:
            if isinstance(error, psycopg_pool.PoolTimeout) or loop.time() > waits_until:
                raise
            # Connections of before a restart of the server look like good ones until they are used.
            await pool.check()
            return await self._tried(pool, statements)

    async def _tried(self, pool: _Pool, statements: Sequence[Statement]) -> list[list[tuple[Any, ...]]]:
        async with pool.connection() as connection, _ending(connection, after_s=_STUCK_S):
            if not self._are_tables_there:
                await _make_tables(connection)
                self._are_tables_there = True
            if len(statements) == 1:
                return [await _rows(await _sent(connection, statements[0]))]
            # Sent together: each is begun when the one before it is done, and nobody waits in between.
            async with connection.pipeline() as pipeline, connection.transaction():
                cursors = [await _sent(connection, statement) for statement in statements]
                await pipeline.sync()
                return [await _rows(cursor) for cursor in cursors]

    async def _opened(self) -> _Pool:
        loop = asyncio.get_running_loop()
        if self._pool is None or self._loop is not loop:
            self._loop, self._under_way = loop, set()
            self._pool = psycopg_pool.AsyncConnectionPool(
                self._url,
                kwargs={"autocommit": True, "connect_timeout": 2},
                configure=_configure,
                min_size=0,
                max_size=self._max_connections,
                timeout=self._timeout_s,
                reconnect_timeout=_RECONNECT_S,
                open=False,
            )
            await self._pool.open()
        return self._pool

    async def _alone(self) -> _Connection:
        return await psycopg.AsyncConnection.connect(self._url, autocommit=True, connect_timeout=2)

    async def _payloads(self, connection: _Connection) -> AsyncIterator[str]:
        while True:
            async for notification in connection.notifies(timeout=_QUIET_S):
                yield notification.payload
            async with asyncio.timeout(self._timeout_s):
                await connection.execute("SELECT 1")

    def _over(self, task: asyncio.Task[Any]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # nobody may wait for it any more


@asynccontextmanager
async def _ending(connection: _Connection, *, after_s: float) -> AsyncIterator[None]:
    """End a connection on which no answer comes, since its other end may be gone without a word."""
    timer = asyncio.get_running_loop().call_later(after_s, _cut, connection)
    try:
        yield
    finally:
        timer.cancel()


def _cut(connection: _Connection) -> None:
    # As the server would do it. Cancelling instead makes psycopg ask the server to, which does not answer.
    with suppress(OSError), socket.socket(fileno=os.dup(connection.pgconn.socket)) as same:
        same.shutdown(socket.SHUT_RDWR)


async def _configure(connection: _Connection) -> None:
    # A crash of the server may lose the last moments, as with any cache; each write is ten times as fast.
    await connection.execute("SET synchronous_commit = off")


async def _make_tables(connection: _Connection) -> None:
    found = await connection.execute(ARE_THERE)
    if (await found.fetchone()) == (True,):
        return
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        await connection.execute(MAKE)


async def _sent(connection: _Connection, statement: Statement) -> psycopg.AsyncCursor[TupleRow]:
    text, parameters = statement
    return await connection.execute(text, parameters, binary=True)


async def _rows(cursor: psycopg.AsyncCursor[TupleRow]) -> list[tuple[Any, ...]]:
    """Return the rows of a statement, or their number where it returns none."""
    return [(cursor.rowcount,)] if cursor.description is None else await cursor.fetchall()
