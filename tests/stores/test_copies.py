"""What a process remembers of contexts while an engine is away, and gives back to it."""

from __future__ import annotations

import asyncio

import pytest

from scopedtools.storage import NOBODY, ContextRecord
from tests.stores.failing import KEY, OTHER, back, fail, guarded, record

pytestmark = pytest.mark.anyio


async def test_an_engine_that_comes_back_empty_is_given_what_contexts_had() -> None:
    async with guarded() as (store, engine):
        await store.add(KEY, record(1))
        assert await store.replace(KEY, record(1), record(1, 2))
        await fail(store, engine)
        engine._records.drop(KEY)
        await back(store, engine)
        assert await asyncio.gather(*(store.get(KEY) for _ in range(16))) == [record(1, 2)] * 16
        assert await engine.kept() == record(1, 2)
        engine._records.drop(KEY)  # as when its time is over
        assert await store.get(KEY) is None


async def test_a_copy_stays_where_another_process_was_faster_and_the_engine_fails_then() -> None:
    async with guarded() as (store, engine):
        await store.add(KEY, record(1))
        await engine.change(record(1), record(1, 2))
        assert not await store.replace(KEY, record(1), record(1, 3))
        await fail(store, engine)
        assert await store.get(KEY) == record(1)


async def test_copies_are_bounded_by_number_and_by_bytes() -> None:
    async with guarded(max_copies=10) as (store, engine):
        for number in range(20):
            await store.add(b"%d" % number, record(number))
        await fail(store, engine)
        assert [number for number in range(20) if await store.get(b"%d" % number)] == list(range(10, 20))
        for number in range(20, 40):
            await store.add(b"%d" % number, record(number))
        await back(store, engine)
        assert [number for number in range(20, 40) if await engine.kept(b"%d" % number)] == list(
            range(30, 40)
        )
    async with guarded(max_copies_bytes=5_000) as (store, engine):
        for number in range(20):
            await store.add(b"%d" % number, ContextRecord("x" * 1_000, ()))
        await fail(store, engine)
        assert [number for number in range(20) if await store.get(b"%d" % number)] == [17, 18, 19]


@pytest.mark.parametrize("hostile", [b"h" * 16, NOBODY], ids=["of one principal", "of nobody"])
async def test_very_many_contexts_in_an_outage_cost_others_neither_list_nor_growth(hostile: bytes) -> None:
    async with guarded(max_copies=16, max_copies_bytes=20_000) as (store, engine):
        await store.add(OTHER, record(1))
        await fail(store, engine)
        assert await store.replace(OTHER, record(1), record(1, 2))
        for number in range(1_000):
            one = hostile + b"%d" % number
            before = await store.add(one, record(*range(number % 50)))
            assert await store.replace(one, before, record(7))
        assert len(store._copies.changes) <= 3 * 16
        assert await store.get(OTHER) == record(1, 2)
        await back(store, engine)
        assert await engine.kept(OTHER) == record(1, 2)
