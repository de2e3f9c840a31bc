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
