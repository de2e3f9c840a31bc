"""What only the store on PostgreSQL has: tables, rows that stay when they are over, and few writes."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Any

import pytest

from scopedtools.storage import ContextRecord
from scopedtools.stores.postgres import PostgresStore
from tests.stores.running import until

pytestmark = pytest.mark.anyio

RECORD = ContextRecord("v", (1, 2))
TIMEOUT_S = 10


@pytest.fixture
def url(started: Callable[[str], Any]) -> str:
    """Make a database of its own."""
    import psycopg

    server = started("postgresql").server
    name = f"contexts_{secrets.token_hex(4)}"
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    made: str = server.get_uri(database=name)
    return made


async def rows(url: str, query: str) -> list[Any]:
    import psycopg

    async with await psycopg.AsyncConnection.connect(url) as connection:
        return await (await connection.execute(query.encode())).fetchall()


async def test_replicas_that_start_together_make_the_tables_once(url: str) -> None:
    stores = [PostgresStore(url, timeout_s=TIMEOUT_S) for _ in range(8)]
    key = secrets.token_bytes(48)

    async def begin(store: PostgresStore) -> ContextRecord:
        async with store:
            return await store.add(key, RECORD)

    assert set(await asyncio.gather(*map(begin, stores))) == {RECORD}


async def test_reading_writes_only_now_and_then(url: str) -> None:
    used = "SELECT used_at FROM scopedtools_contexts_1"
    key = secrets.token_bytes(48)
    async with PostgresStore(url, ttl_s=3600, timeout_s=TIMEOUT_S) as store:
        await store.add(key, RECORD)
        before = await rows(url, used)
        await store.get(key)
        assert await rows(url, used) == before
    async with PostgresStore(url, ttl_s=3600, touch_s=0, timeout_s=TIMEOUT_S) as store:
        await store.get(key)
        assert await rows(url, used) > before


async def test_values_of_a_context_that_was_over_do_not_come_back(url: str) -> None:
    key = secrets.token_bytes(48)
    short = PostgresStore(url, ttl_s=0.05, timeout_s=TIMEOUT_S)  # not entered, so nobody deletes its rows
    await short.put_value(key, "old", b"1")

    await asyncio.sleep(0.06)
    assert await short.get_value(key, "old") is None
    assert len(await rows(url, "SELECT * FROM scopedtools_values_1")) == 1
    async with PostgresStore(url, timeout_s=TIMEOUT_S) as store:
        await store.put_value(key, "new", b"2")
        assert await store.value_names(key) == ["new"]
        assert await store.get_value(key, "old") is None
        assert await store.add_value(key, "old", b"3") == b"3"
    await short._engine.close()


async def test_what_is_over_is_deleted_with_its_values(url: str) -> None:
    async with PostgresStore(url, ttl_s=0.05, timeout_s=TIMEOUT_S) as store:
        for _ in range(4):
            key = secrets.token_bytes(48)
            await store.add(key, RECORD)
            await store.put_value(key, "n", b"1")

        async def are_gone() -> bool:
            return not await rows(url, "SELECT key FROM scopedtools_contexts_1")

        await until(are_gone)
        assert not await rows(url, "SELECT key FROM scopedtools_values_1")


async def test_tables_are_made_again_in_a_database_that_took_over_empty(url: str) -> None:
    import psycopg

    async with PostgresStore(url, timeout_s=TIMEOUT_S) as store:
        key = secrets.token_bytes(48)
        await store.put_value(key, "x", b"1")
        async with await psycopg.AsyncConnection.connect(url) as connection:
            await connection.execute("DROP TABLE scopedtools_values_1, scopedtools_contexts_1")
        assert await store.get(key) is None
        assert await store.put_value(key, "x", b"2")
        assert await store.get_value(key, "x") == b"2"


async def test_what_is_no_record_is_as_if_nothing_were_kept(url: str) -> None:
    import psycopg

    async with PostgresStore(url, timeout_s=TIMEOUT_S) as store:
        key = secrets.token_bytes(48)
        await store.add(key, RECORD)
        async with await psycopg.AsyncConnection.connect(url) as connection:
            await connection.execute("UPDATE scopedtools_contexts_1 SET record = 'of another release'")
        assert await store.get(key) is None
        assert await store.add(key, RECORD) == RECORD
        assert await store.get(key) == RECORD


class Link:
    """A way to a server on which, at some point, nothing comes through any more, in neither direction."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.is_broken = asyncio.Event()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to_there = await asyncio.open_unix_connection(self._path)
        broken = self.is_broken
        try:
            await asyncio.gather(
                self._pass_on(reader, to_there, broken), self._pass_on(there, writer, broken)
            )
        finally:
            to_there.close()
            writer.close()

    @staticmethod
    async def _pass_on(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, broken: asyncio.Event
    ) -> None:
        while part := await reader.read(65_536):
            if not broken.is_set():
                writer.write(part)
                await writer.drain()
        writer.close()


async def test_connections_whose_other_end_is_gone_without_a_word_do_not_stay_in_use_for_ever(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from psycopg.conninfo import conninfo_to_dict

    monkeypatch.setattr("scopedtools.stores.postgres_engine._STUCK_S", 0.5)
    said = conninfo_to_dict(url)
    link = Link(f"{said['host']}/.s.PGSQL.5432")
    async with await asyncio.start_server(link.carry, "127.0.0.1", 0) as proxy:
        port = proxy.sockets[0].getsockname()[1]
        through = (
            f"postgresql://postgres@127.0.0.1:{port}/{said['dbname']}?sslmode=disable&gssencmode=disable"
        )
        async with PostgresStore(through, timeout_s=0.2, max_connections=1) as store:
            key = secrets.token_bytes(48)

            async def is_kept() -> bool:
                return await store.add(key, RECORD) == RECORD

            await until(is_kept)
            link.is_broken.set()
            with pytest.raises(TimeoutError):
                await store.get(key)
            link.is_broken = asyncio.Event()  # whoever connects from now on gets through
            await until(is_kept)
