"""A store with many contexts: in the right order, and none of them pays for the others."""

from __future__ import annotations

import gc
import random
from collections import OrderedDict

import pytest

from scopedtools.context.store import MemoryStore
from scopedtools.storage import ContextRecord

pytestmark = pytest.mark.anyio

RECORD = ContextRecord("v", (1, 2, 3))


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.parametrize("step_s", [0.0, 1.0])
async def test_whatever_was_asked_for_the_least_recently_used_goes_first(step_s: float) -> None:
    clock, chance = Clock(), random.Random(7)  # noqa: S311 - no secret
    store = MemoryStore(max_contexts=50, clock=clock)
    expected: OrderedDict[bytes, None] = OrderedDict()
    for _ in range(5_000):
        clock.now_s += step_s
        key = b"%d" % chance.randrange(100)
        if chance.random() < 0.5:
            assert (await store.get(key) is not None) == (key in expected)
        else:
            await store.add(key, RECORD)
            expected[key] = None
        if key in expected:
            expected.move_to_end(key)
        if len(expected) > 50:
            expected.popitem(last=False)
    assert len(store) == 50
    assert [key for key in expected if await store.get(key) is None] == []


async def test_contexts_that_end_together_are_dropped_a_few_at_a_time() -> None:
    clock = Clock()
    store = MemoryStore(ttl_s=10, clock=clock)
    for number in range(1_000):
        await store.add(b"%d" % number, RECORD)
    clock.now_s = 11
    await store.add(b"new", RECORD)
    left = 1_000
    for _ in range(1_000):
        assert len(store) > left - 20
        left = len(store)
        assert await store.get(b"%d" % (left % 1_000)) is None
    assert left == 1
    assert await store.get(b"new") == RECORD


async def test_a_record_that_has_no_room_pushes_no_other_out() -> None:
    store = MemoryStore(max_records_bytes=10_000)
    for number in range(10):
        await store.add(b"%d" % number, RECORD)
    await store.add(b"large", ContextRecord("x" * 10_000, ()))
    assert await store.get(b"large") is None
    assert len(store) == 10


async def test_records_are_nothing_to_python_s_search_for_cycles() -> None:
    store = MemoryStore()
    keys = [b"%032d" % number for number in range(2_000)]
    for key in keys:
        await store.add(key, RECORD)
        await store.get(key)
    gc.collect()
    assert [one for key in keys[::100] for one in gc.get_referrers(key) if isinstance(one, dict)] == []
