"""No principal takes the place of another's contexts, and nobody without authorization does."""

from __future__ import annotations

import os
import random
import tracemalloc
from collections import OrderedDict, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from benchmarks.serving.warm_list import request
from scopedtools import Principal, ScopedServer
from scopedtools.auth import StaticTokens
from scopedtools.context.store import MemoryStore
from scopedtools.storage import NOBODY, ContextRecord
from scopedtools.types import Describable, Hit, Ranking, Rows, Turn
from tests.context.office import Office, growing, listed

pytestmark = pytest.mark.anyio

RECORD: Final = ContextRecord("v" * 32, tuple(range(2**62, 2**62 + 16)))
ADA: Final = b"a" * 16
BO: Final = b"b" * 16


def keys(owner: bytes, count: int, start: int = 0) -> list[bytes]:
    return [owner + b"%016d" % number for number in range(start, start + count)]


async def kept(store: MemoryStore, wanted: list[bytes]) -> int:
    return sum([await store.get(key) is not None for key in wanted])


async def test_who_has_too_many_loses_the_own_least_recently_used_whoever_else_there_is() -> None:
    chance, quota = random.Random(3), 20  # noqa: S311 - no secret
    owners = [bytes([number]) * 16 for number in range(1, 6)]
    store = MemoryStore(max_contexts_per_principal=quota)
    expected: defaultdict[bytes, OrderedDict[bytes, None]] = defaultdict(OrderedDict)
    for _ in range(20_000):
        owner = chance.choice(owners)
        key, own = owner + b"%d" % chance.randrange(60), expected[owner]
        if chance.random() < 0.6:
            assert (await store.get(key) is not None) == (key in own)
        else:
            await store.add(key, RECORD)
            own[key] = None
        if key in own:
            own.move_to_end(key)
        if len(own) > quota:
            own.popitem(last=False)
    assert len(store) == sum(map(len, expected.values())) == 5 * quota


async def test_a_share_of_many_contexts_is_kept_to_as_well() -> None:
    store = MemoryStore(max_contexts_per_principal=20_000)
    for key in keys(ADA, 20_500):
        await store.add(key, RECORD)
    assert await kept(store, keys(ADA, 500)) == 0
    assert await kept(store, keys(ADA, 20_000, 500)) == 20_000


async def test_a_flood_of_one_principal_or_of_nobody_leaves_the_contexts_of_others() -> None:
    store = MemoryStore(max_contexts=500, max_contexts_per_principal=100)
    for key in keys(BO, 50):
        await store.add(key, RECORD)
        await store.put_value(key, "x", b"1")
    for owner in (ADA, NOBODY):
        for key in keys(owner, 5_000):
            await store.add(key, RECORD)
            await store.put_value(key, "x", b"1")
    assert await kept(store, keys(BO, 50)) == 50
    assert [await store.get_value(key, "x") for key in keys(BO, 50)] == [b"1"] * 50
    assert len(store) == 50 + 100 + 500
    assert await kept(store, keys(ADA, 100, 4_900)) == 100
    assert sum([len(await store.value_names(key)) for key in keys(ADA, 5_000)]) == 100


async def test_no_principal_has_more_than_an_eighth_of_the_bytes_but_for_one_context() -> None:
    store = MemoryStore(max_values_bytes=1_000_000)
    await store.put_value(BO + b"x", "x", bytes(300_000))
    for key in keys(ADA, 100):
        await store.put_value(key, "x", bytes(10_000))
    assert await store.value_names(BO + b"x") == ["x"]
    assert sum([len(await store.value_names(key)) for key in keys(ADA, 100)]) == 11
    assert await store.put_value(ADA + b"large", "x", bytes(300_000))
    assert sum([len(await store.value_names(key)) for key in keys(ADA, 100)]) == 0
    assert await store.value_names(ADA + b"large") == ["x"]


async def test_contexts_that_ended_count_no_more() -> None:
    now_s = 0.0
    store = MemoryStore(max_contexts_per_principal=10, ttl_s=10, clock=lambda: now_s)
    for key in keys(ADA, 15):
        await store.add(key, RECORD)
    now_s = 11.0
    for key in keys(ADA, 10, 100):
        await store.add(key, RECORD)
    assert await kept(store, keys(ADA, 10, 100)) == 10


@pytest.mark.parametrize(
    "owner", [lambda: os.urandom(16), lambda: ADA, lambda: NOBODY], ids=["many", "one", "nobody"]
)
async def test_a_context_takes_little_memory_whoever_it_belongs_to(owner: Callable[[], bytes]) -> None:
    contexts = 10_000
    tracemalloc.start()
    try:
        store = MemoryStore()
        for _ in range(contexts):
            await store.add(owner() + os.urandom(16), RECORD)
        assert len(store) == contexts
        assert tracemalloc.get_traced_memory()[0] / contexts < 500
    finally:
        tracemalloc.stop()


# A server

HOSTILE: Final = 20_000


class First:
    """Selects the first rows, whatever for."""

    async def prepare(self, rows: Sequence[Describable]) -> None:
        pass

    async def search(self, text: str, *, within: Rows, limit: int, history: Sequence[Turn] = ()) -> Ranking:
        return Ranking((), fits=False)

    async def select(self, intent: str, *, limit: int, **options: Any) -> tuple[Hit, ...]:
        return tuple(Hit(row, 1.0, vector=0.0, lexical=1.0, clause=intent) for row in range(5, 5 + limit))


def asking(server: ScopedServer, token: str) -> Callable[[int], Awaitable[int]]:
    """Return what lists in the context of a number, and tells how many bytes the answer has."""
    scope, body = request()
    scope["headers"] = [*scope["headers"], (b"authorization", f"Bearer {token}".encode())]

    async def ask(number: int) -> int:
        sent: list[Any] = []
        own = body.replace(b'"benchmark"', b'"context-%d"' % number)

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": own, "more_body": False}

        async def send(part: Any) -> None:
            sent.append(part)

        await server(scope, receive, send)
        assert sent[0]["status"] == 200
        return len(sent[1]["body"])

    return ask


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def test_20_000_hostile_ids_of_one_principal_take_bounded_memory_and_no_context_of_another() -> None:
    tokens = StaticTokens({"mallory": Principal("mallory"), "ada": Principal("ada")})
    store = MemoryStore(max_contexts_per_principal=1_000)
    office = Office(First(), store=store, verifier=tokens)
    async with growing(office, token="ada") as ada:
        before = await listed(ada, "invoice")
        ask = asking(office, "mallory")
        sizes = {await ask(number) for number in range(HOSTILE // 4)}
        resident = resident_bytes()
        sizes |= {await ask(number) for number in range(HOSTILE // 4, HOSTILE)}
        assert len(sizes) == 1
        assert len(store) == 1 + 1_000
        assert resident_bytes() - resident < 8 * 2**20
        assert await listed(ada) == before
