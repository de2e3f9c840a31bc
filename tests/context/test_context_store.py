import asyncio
import tracemalloc

import pytest
from anyio.lowlevel import checkpoint

from scopedtools.context.carriers import CarrierTable
from scopedtools.context.context import Context, ContextResolver
from scopedtools.context.store import MemoryStore
from scopedtools.protocol.methods import METHODS, ListParams
from scopedtools.protocol.request import Ingress, Request
from scopedtools.protocol.revisions import LATEST
from scopedtools.storage import NOBODY, OWNER_BYTES, Addition, ContextRecord
from scopedtools.types import ANONYMOUS, Principal, Turn

pytestmark = pytest.mark.anyio


def asked(context_id: str | None, principal: Principal = ANONYMOUS) -> Request:
    own = {} if context_id is None else {"clientSessionId": context_id, "other": 1}
    headers = ((b"x-one", b"a"), (b"x-one", b"b"))
    return Request(
        METHODS["tools/list"], ListParams(meta=own), LATEST, Ingress(principal=principal, headers=headers), 1
    )


def resolver(secret: bytes | None = b"secret") -> ContextResolver:
    return ContextResolver(CarrierTable(), store=MemoryStore(), secret=secret)


def key(context_id: str, name: str = "anonymous", secret: bytes | None = b"secret") -> bytes | None:
    return resolver(secret).resolve(asked(context_id, Principal(name))).key


def test_the_key_is_the_same_wherever_the_secret_is() -> None:
    assert key("a") == key("a")
    assert key("a") != key("a", secret=b"other")
    assert key("a", secret=None) != key("a", secret=None)


@pytest.mark.parametrize("size_bytes", [1, 64, 65, 10_000])
def test_a_secret_may_have_any_length(size_bytes: int) -> None:
    secret = b"x" * size_bytes
    assert key("a", secret=secret) == key("a", secret=secret) != key("a", secret=secret + b"y")


def test_the_key_tells_principals_and_ids_apart() -> None:
    pairs = [("a", "b"), ("b", "a"), ("ab", ""), ("a", "bb"), ("ab", "b"), ("1", "1\n1"), ("é", "x")]
    keys = {key(context_id or "-", name) for context_id, name in pairs}
    assert len(keys) == len(pairs)
    assert key("bc", "a") != key("c", "ab")


def test_keys_of_one_principal_begin_alike_and_those_of_nobody_with_zeros() -> None:
    def owner(name: str, context_id: str = "a") -> bytes:
        whole = key(context_id, name)
        assert whole is not None
        return whole[:OWNER_BYTES]

    assert owner("ada") == owner("ada", "b") != owner("bob")
    assert owner("anonymous") == owner("anonymous", "b") == NOBODY


def test_a_context_knows_its_request_and_its_representation_hides_the_id() -> None:
    ctx = resolver().resolve(asked("se-cret", Principal("ada", frozenset({"orders"}))))
    assert isinstance(ctx, Context)
    assert (ctx.id, str(ctx.carrier), ctx.intent) == ("se-cret", "meta:clientSessionId", None)
    assert (ctx.principal.has("orders"), ctx.principal.has("admin")) == (True, False)
    assert (ctx.meta["other"], ctx.headers, ctx.protocol_version) == (1, {"x-one": "a"}, "2026-07-28")
    assert "se-cret" not in repr(ctx)
    assert ctx.key is not None
    assert ctx.digest is not None
    assert ctx.digest[:12] in repr(ctx)


def test_without_an_id_there_is_no_key() -> None:
    ctx = resolver().resolve(asked(None))
    assert (ctx.id, ctx.key, ctx.carrier) == (None, None, None)
    assert repr(ctx) == "<Context none of anonymous>"


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def record(row: int) -> ContextRecord:
    return ContextRecord("v", (row,))


async def test_the_first_record_of_a_key_is_kept() -> None:
    store = MemoryStore()
    assert await store.get(b"a") is None
    assert await store.add(b"a", record(1)) == record(1)
    assert await store.add(b"a", record(2)) == record(1)
    assert await store.get(b"a") == record(1)


async def test_of_adds_side_by_side_one_is_kept_for_all() -> None:
    store = MemoryStore()
    kept = await asyncio.gather(*(store.add(b"a", record(row)) for row in range(32)))
    assert set(kept) == {await store.get(b"a")}


async def test_a_record_lives_from_its_last_use() -> None:
    clock = Clock()
    store = MemoryStore(ttl_s=10, clock=clock)
    await store.add(b"a", record(1))
    for clock.now_s in (9.0, 18.0, 27.0):
        assert await store.get(b"a") == record(1)
    clock.now_s = 37.1
    assert await store.get(b"a") is None
    assert await store.add(b"a", record(2)) == record(2)


async def test_the_least_recently_used_record_goes_first() -> None:
    store = MemoryStore(max_contexts=2)
    await store.add(b"a", record(1))
    await store.add(b"b", record(2))
    await store.get(b"a")
    await store.add(b"c", record(3))
    assert [await store.get(name) is not None for name in (b"a", b"b", b"c")] == [True, False, True]
    assert len(store) == 2


@pytest.mark.parametrize(
    "options",
    [
        {"max_contexts": 0},
        {"max_contexts_per_principal": 0},
        {"max_records_bytes": 0},
        {"max_values": 0},
        {"max_values_bytes": 0},
        {"ttl_s": 0},
        {"ttl_s": -1},
        {"ttl_s": float("nan")},
    ],
)
def test_a_store_that_could_keep_nothing_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="got"):
        MemoryStore(**options)  # type: ignore[arg-type]


async def test_a_record_comes_back_as_it_was_with_all_that_it_holds() -> None:
    store = MemoryStore()
    grown = ContextRecord(
        "v",
        (0, 70_000, 3),
        (Turn("find é", "found 🛫", (3, 70_000)), Turn("and then")),
        (Addition(3, "search", "find"), Addition(0, "parent")),
    )
    await store.add(b"a", grown)
    back = await store.get(b"a")
    assert back == grown
    assert isinstance(back, ContextRecord)
    assert isinstance(back.turns[0], Turn)
    assert isinstance(back.additions[0], Addition)


# Replacing


async def test_a_record_is_replaced_where_it_is_the_one_that_was_seen() -> None:
    store = MemoryStore()
    await store.add(b"a", record(1))
    assert await store.replace(b"a", record(1), record(2))
    assert not await store.replace(b"a", record(1), record(3))
    assert await store.get(b"a") == record(2)
    assert not await store.replace(b"b", record(1), record(2))
    assert await store.get(b"b") is None
    assert len(store) == 1


async def test_of_changes_side_by_side_none_is_lost() -> None:
    store = MemoryStore()
    await store.add(b"a", ContextRecord("v", ()))

    async def append(row: int) -> None:
        while True:
            before = await store.get(b"a")
            assert before is not None
            await checkpoint()
            if await store.replace(b"a", before, before._replace(rows=(*before.rows, row))):
                return

    await asyncio.gather(*(append(row) for row in range(32)))
    last = await store.get(b"a")
    assert last is not None
    assert sorted(last.rows) == list(range(32))


async def test_a_record_lives_from_when_it_was_replaced() -> None:
    clock = Clock()
    store = MemoryStore(ttl_s=10, clock=clock)
    await store.add(b"a", record(1))
    clock.now_s = 9.0
    assert await store.replace(b"a", record(1), record(2))
    clock.now_s = 18.9
    assert await store.get(b"a") == record(2)
    clock.now_s = 29.0
    assert not await store.replace(b"a", record(2), record(3))
    assert await store.get(b"a") is None


async def test_a_record_that_is_replaced_counts_as_used() -> None:
    store = MemoryStore(max_contexts=2)
    await store.add(b"a", record(1))
    await store.add(b"b", record(2))
    await store.replace(b"a", record(1), record(3))
    await store.add(b"c", record(4))
    assert [await store.get(name) is not None for name in (b"a", b"b", b"c")] == [True, False, True]
    assert len(store) == 2


# Bounds in bytes


async def test_records_together_take_no_more_than_they_may() -> None:
    store = MemoryStore(max_records_bytes=100_000)
    long = ContextRecord("v", (), (Turn("x" * 30_000),))
    for name in (b"a", b"b", b"c", b"d"):
        await store.add(name, long)
    assert [await store.get(name) is not None for name in (b"a", b"b", b"c", b"d")] == [
        False,
        True,
        True,
        True,
    ]
    await store.replace(b"b", long, record(1))
    await store.add(b"e", long)
    assert len(store) == 4


async def test_a_record_that_is_larger_than_all_may_be_is_not_kept() -> None:
    store = MemoryStore(max_records_bytes=1_000)
    await store.add(b"a", record(1))
    large = ContextRecord("v", (), (Turn("x" * 30_000),))
    assert await store.add(b"b", large) == large
    assert await store.get(b"b") is None


async def filled(store: MemoryStore, contexts: int) -> int:
    """Keep records of 16 rows; returns how many bytes they take, their keys included."""
    rows = range(2**62, 2**62 + 16)
    tracemalloc.start()
    try:
        for number in range(contexts):
            await store.add(b"%-32d" % number, ContextRecord("v" * 32, tuple(rows)))
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


async def test_an_idle_context_takes_little_memory() -> None:
    contexts = 10_000
    assert await filled(MemoryStore(), contexts) / contexts < 500


async def test_records_take_about_the_bytes_that_they_are_counted_for() -> None:
    taken = await filled(MemoryStore(max_records_bytes=4_000_000), 12_000)
    assert 3_000_000 < taken < 4_400_000


# Values


async def test_a_value_is_kept_replaced_and_forgotten() -> None:
    store = MemoryStore()
    assert await store.get_value(b"a", "x") is None
    assert await store.put_value(b"a", "x", b"1")
    assert await store.put_value(b"a", "w", b"2")
    assert await store.put_value(b"a", "x", b"3")
    assert await store.get_value(b"a", "x") == b"3"
    assert await store.get_value(b"b", "x") is None
    assert await store.value_names(b"a") == ["w", "x"]
    await store.delete_value(b"a", "x")
    await store.delete_value(b"a", "x")
    assert await store.value_names(b"a") == ["w"]
    await store.delete_value(b"a", "w")
    assert await store.value_names(b"a") == []


async def test_the_first_value_that_is_added_is_kept() -> None:
    store = MemoryStore()
    added = await asyncio.gather(*(store.add_value(b"a", "x", b"%d" % number) for number in range(32)))
    assert set(added) == {b"0"}


async def test_a_value_may_end_before_its_context() -> None:
    clock = Clock()
    store = MemoryStore(ttl_s=100, clock=clock)
    await store.put_value(b"a", "short", b"1", ttl_s=10)
    await store.put_value(b"a", "long", b"2")
    clock.now_s = 9.9
    assert await store.get_value(b"a", "short") == b"1"
    clock.now_s = 10.0
    assert await store.get_value(b"a", "short") is None
    assert await store.value_names(b"a") == ["long"]
    assert await store.add_value(b"a", "short", b"3") == b"3"
    clock.now_s = 109.9
    assert await store.get_value(b"a", "long") == b"2"


async def test_values_live_from_the_last_use_of_any_of_them() -> None:
    clock = Clock()
    store = MemoryStore(ttl_s=10, clock=clock)
    await store.put_value(b"a", "x", b"1")
    await store.put_value(b"a", "y", b"2")
    for clock.now_s in (9.0, 18.0, 27.0):
        assert await store.get_value(b"a", "x") == b"1"
    assert await store.value_names(b"a") == ["x", "y"]
    clock.now_s = 37.0
    assert await store.value_names(b"a") == []


async def test_a_context_has_room_for_so_many_values() -> None:
    clock = Clock()
    store = MemoryStore(max_values=2, clock=clock)
    assert await store.put_value(b"a", "x", b"1", ttl_s=10)
    assert await store.put_value(b"a", "y", b"1")
    assert not await store.put_value(b"a", "z", b"1")
    assert await store.add_value(b"a", "z", b"1") is None
    assert await store.add_value(b"a", "y", b"2") == b"1"
    assert await store.put_value(b"a", "y", b"2")
    assert await store.put_value(b"b", "z", b"1")
    clock.now_s = 10.0
    assert await store.put_value(b"a", "z", b"1")


async def test_the_values_of_the_least_recently_used_contexts_go_first() -> None:
    store = MemoryStore(max_values_bytes=100_000)
    for name in (b"a", b"b", b"c"):
        assert await store.put_value(name, "x", bytes(30_000))
    assert await store.get_value(b"a", "x")
    assert await store.put_value(b"c", "y", bytes(30_000))
    assert [await store.value_names(name) for name in (b"a", b"b", b"c")] == [["x"], [], ["x", "y"]]
    assert not await store.put_value(b"c", "z", bytes(60_000))
    assert await store.value_names(b"c") == ["x", "y"]


async def test_contexts_with_values_are_bounded_too() -> None:
    store = MemoryStore(max_contexts=2)
    for name in (b"a", b"b", b"c"):
        await store.put_value(name, "x", b"1")
    assert [await store.value_names(name) for name in (b"a", b"b", b"c")] == [[], ["x"], ["x"]]


@pytest.mark.parametrize("values", [1, 10])
async def test_values_take_about_the_bytes_that_they_are_counted_for(values: int) -> None:
    store = MemoryStore(max_values_bytes=4_000_000)
    tracemalloc.start()
    try:
        for number in range(10_000):
            for name in range(values):
                await store.put_value(b"%-21d" % number, f"name {name}", b"x" * (40 + number % 2))
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 2_500_000 < taken < 4_400_000
