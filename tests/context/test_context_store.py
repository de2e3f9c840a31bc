import asyncio

import pytest

from scopedtools.context.carriers import CarrierTable
from scopedtools.context.context import Context, ContextResolver
from scopedtools.context.store import MemoryStore
from scopedtools.protocol.methods import METHODS, ListParams
from scopedtools.protocol.request import Ingress, Request
from scopedtools.protocol.revisions import LATEST
from scopedtools.types import ANONYMOUS, ContextRecord, Principal

pytestmark = pytest.mark.anyio


def asked(context_id: str | None, principal: Principal = ANONYMOUS) -> Request:
    own = {} if context_id is None else {"clientSessionId": context_id, "other": 1}
    headers = ((b"x-one", b"a"), (b"x-one", b"b"))
    return Request(
        METHODS["tools/list"], ListParams(meta=own), LATEST, Ingress(principal=principal, headers=headers), 1
    )


def resolver(secret: bytes | None = b"secret") -> ContextResolver:
    return ContextResolver(CarrierTable(), secret=secret)


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


def test_a_context_knows_its_request_and_its_representation_hides_the_id() -> None:
    ctx = resolver().resolve(asked("se-cret", Principal("ada", frozenset({"orders"}))))
    assert isinstance(ctx, Context)
    assert (ctx.id, str(ctx.carrier), ctx.intent) == ("se-cret", "meta:clientSessionId", None)
    assert (ctx.principal.has("orders"), ctx.principal.has("admin")) == (True, False)
    assert (ctx.meta["other"], ctx.headers, ctx.protocol_version) == (1, {"x-one": "a"}, "2026-07-28")
    assert "se-cret" not in repr(ctx)
    assert ctx.key is not None
    assert ctx.key.hex()[:12] in repr(ctx)


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


@pytest.mark.parametrize("options", [{"max_contexts": 0}, {"ttl_s": 0}, {"ttl_s": -1}])
def test_a_store_that_could_keep_nothing_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="got"):
        MemoryStore(**options)  # type: ignore[arg-type]


async def test_a_record_can_be_replaced_and_added_by_that() -> None:
    store = MemoryStore()
    await store.put(b"a", record(1))
    assert await store.add(b"a", record(2)) == record(1)
    await store.put(b"a", record(3))
    assert await store.get(b"a") == record(3)
    assert await store.get(b"b") is None
    assert len(store) == 1


async def test_a_record_lives_from_when_it_was_replaced() -> None:
    clock = Clock()
    store = MemoryStore(ttl_s=10, clock=clock)
    await store.add(b"a", record(1))
    clock.now_s = 9.0
    await store.put(b"a", record(2))
    clock.now_s = 18.9
    assert await store.get(b"a") == record(2)
    clock.now_s = 29.0
    assert await store.get(b"a") is None
    await store.put(b"a", record(3))
    assert await store.get(b"a") == record(3)


async def test_a_record_that_is_replaced_counts_as_used() -> None:
    store = MemoryStore(max_contexts=2)
    await store.add(b"a", record(1))
    await store.add(b"b", record(2))
    await store.put(b"a", record(3))
    await store.put(b"c", record(4))
    assert [await store.get(name) is not None for name in (b"a", b"b", b"c")] == [True, False, True]
    assert len(store) == 2
