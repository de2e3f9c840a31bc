"""What every store of contexts does, in memory or behind an engine."""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from scopedtools.context.state import State
from scopedtools.storage import NOBODY, OWNER_BYTES, Addition, ContextRecord
from scopedtools.types import Turn
from tests.stores.conftest import Kind

pytestmark = pytest.mark.anyio

TTL_S = 0.25
LIMIT_S = 20


def owner() -> bytes:
    return secrets.token_bytes(OWNER_BYTES)


def key(of: bytes = NOBODY) -> bytes:
    """Return a key of a principal; its portion is always the same."""
    return of + b"\x07" + secrets.token_bytes(31)


def record(*rows: int) -> ContextRecord:
    return ContextRecord("v", rows)


async def there(store: Any, *keys: bytes) -> list[bool]:
    return [await store.get(key) is not None for key in keys]


# Records


async def test_a_record_comes_back_as_it_was_with_all_that_it_holds(kind: Kind) -> None:
    grown = ContextRecord(
        "v",
        (0, 2**63 - 1, 3),
        (Turn("find é", "found 🛫", (3, 70_000)), Turn("and then")),
        (Addition(3, "search", "find"), Addition(0, "parent")),
        seeded=True,
    )
    async with entered(kind.store()) as store:
        one = key()
        assert await store.get(one) is None
        assert await store.add(one, grown) == grown
        assert await store.add(one, record(1)) == grown
        back = await store.get(one)
        assert back == grown
        assert isinstance(back.turns[0], Turn)


@pytest.mark.parametrize("of", [NOBODY, b"}" * OWNER_BYTES, b"\r\n{\0}\xff" * 3], ids=["nobody", "}", "odd"])
async def test_keys_may_have_any_bytes(kind: Kind, of: bytes) -> None:
    keys = [
        of[:OWNER_BYTES] + odd + secrets.token_bytes(8) for odd in (b"", b"{}", b"{a}{b", b"\0\r\n$1\r\n")
    ]
    async with entered(kind.store()) as store:
        for number, one in enumerate(keys):
            await store.add(one, record(number))
            await store.put_value(one + b"state", "n", b"%d" % number)
        assert [await store.get(one) for one in keys] == [record(number) for number in range(4)]
        assert [await store.get_value(one + b"state", "n") for one in keys] == [b"0", b"1", b"2", b"3"]


@pytest.mark.parametrize("of", [NOBODY, owner()], ids=["nobody", "somebody"])
async def test_of_adds_side_by_side_one_is_kept_for_all(kind: Kind, of: bytes) -> None:
    async with entered(kind.store()) as first, entered(other(kind, first)) as second:
        one = key(of)
        kept = await asyncio.gather(
            *((first, second)[number % 2].add(one, record(number)) for number in range(64))
        )
        assert set(kept) == {await second.get(one)}


async def test_of_changes_of_the_same_record_side_by_side_one_succeeds(kind: Kind) -> None:
    async with entered(kind.store()) as first, entered(other(kind, first)) as second:
        one = key(owner())
        await first.add(one, record(0))
        done = await asyncio.gather(
            *((first, second)[number % 2].replace(one, record(0), record(number)) for number in range(1, 65))
        )
        assert sum(done) == 1
        assert await second.get(one) == record(done.index(True) + 1)


async def test_nothing_is_replaced_where_something_else_or_nothing_is_kept(kind: Kind) -> None:
    async with entered(kind.store()) as store:
        one = key(owner())
        assert not await store.replace(one, record(1), record(2))
        assert await store.get(one) is None
        await store.add(one, record(1))
        assert not await store.replace(one, record(2), record(3))
        assert await store.get(one) == record(1)


async def test_records_and_values_live_from_their_last_use(kind: Kind) -> None:
    async with entered(kind.store(ttl_s=TTL_S)) as store:

        async def lives(
            begin: Callable[[bytes], Awaitable[Any]], use: Callable[[bytes], Awaitable[Any]]
        ) -> None:
            await until_kept_alive(begin, use)

        await asyncio.gather(
            lives(lambda one: store.add(one, record(1)), store.get),
            lives(lambda one: store.put_value(one, "n", b"1"), lambda one: store.get_value(one, "n")),
            lives(
                lambda one: store.put_value(one, "n", b"1"),
                lambda one: names_or_none(store, one),
            ),
        )


async def names_or_none(store: Any, one: bytes) -> list[str] | None:
    return await store.value_names(one) or None


async def until_kept_alive(
    begin: Callable[[bytes], Awaitable[Any]], use: Callable[[bytes], Awaitable[Any]]
) -> None:
    """Use something for longer than it lives without a use, and see it go once it is left alone."""
    deadline = time.monotonic() + LIMIT_S
    while True:
        one = key(owner())
        await begin(one)
        began = used = time.monotonic()
        longest = 0.0
        while (now := time.monotonic()) - began < 1.5 * TTL_S:
            await asyncio.sleep(TTL_S / 4)
            found = await use(one)
            longest, used = max(longest, time.monotonic() - used), now
            if found is None:
                break
        if found is not None:
            break
        # A busy machine may have made too long a pause; then that was no test.
        assert longest > TTL_S * 0.9, "it went although it was used"
        assert time.monotonic() < deadline
    await asyncio.sleep(1.1 * TTL_S)
    assert await use(one) is None


# Who makes room for whom


async def test_the_context_of_the_same_principal_that_was_used_longest_ago_makes_room(kind: Kind) -> None:
    async with entered(kind.store(quota=2)) as store:
        busy, calm = owner(), owner()
        theirs, a, b, c = key(calm), key(busy), key(busy), key(busy)
        for one in (theirs, a, b):
            await store.add(one, record(1))
            await store.put_value(one, "n", b"1")
        await store.get(a)
        await store.get_value(a, "n")
        await store.add(c, record(1))
        await store.put_value(c, "n", b"1")
        async with entered(other(kind, store, quota=2)) as fresh:  # not one that has copies
            assert await there(fresh, theirs, a, b, c) == [True, True, False, True]
            assert [await fresh.value_names(one) for one in (theirs, a, b, c)] == [["n"], ["n"], [], ["n"]]


async def test_very_many_contexts_of_one_principal_leave_others_alone(kind: Kind) -> None:
    async with entered(kind.store(quota=4)) as store:
        busy, calm = owner(), owner()
        theirs = key(calm)
        await store.add(theirs, record(1))
        many = [busy + secrets.token_bytes(32) for _ in range(400)]
        for start in range(0, len(many), 40):
            await asyncio.gather(*(store.add(one, record(1)) for one in many[start : start + 40]))
        async with entered(other(kind, store, quota=4)) as fresh:
            kept = sum(await there(fresh, *many))
            assert 0 < kept <= 4 * 16
            assert await there(fresh, theirs) == [True]


async def test_contexts_without_authorization_are_not_counted(kind: Kind) -> None:
    async with entered(kind.store(quota=2)) as store:
        keys = [key() for _ in range(8)]
        for one in keys:
            await store.add(one, record(1))
            await store.put_value(one, "n", b"1")
        assert all(await there(store, *keys))
        assert [await store.get_value(one, "n") for one in keys] == [b"1"] * 8


# Values


async def test_a_value_is_kept_replaced_and_forgotten(kind: Kind) -> None:
    async with entered(kind.store()) as store:
        one, another = key(owner()), key(owner())
        assert await store.get_value(one, "x") is None
        assert await store.put_value(one, "x", b"1")
        assert await store.put_value(one, "w", bytes(range(256)))
        assert await store.put_value(one, "x", b"")
        assert await store.get_value(one, "x") == b""
        assert await store.get_value(one, "w") == bytes(range(256))
        assert await store.get_value(another, "x") is None
        assert await store.value_names(one) == ["w", "x"]
        await store.delete_value(one, "x")
        await store.delete_value(one, "x")
        assert await store.value_names(one) == ["w"]
        await store.delete_value(one, "w")
        assert await store.value_names(one) == []
        assert await store.add_value(one, "w", b"2") == b"2"


async def test_names_of_values_may_have_any_characters(kind: Kind) -> None:
    names = sorted(["", "\0", "a:b{c}", "é 🛫", "\ud800", "\n"])
    async with entered(kind.store()) as store:
        one = key()
        for name in names:
            assert await store.put_value(one, name, name.encode("utf-8", "surrogatepass"))
        assert await store.value_names(one) == names
        for name in names:
            assert await store.get_value(one, name) == name.encode("utf-8", "surrogatepass")


async def test_of_values_added_side_by_side_all_get_the_first(kind: Kind) -> None:
    async with entered(kind.store()) as first, entered(other(kind, first)) as second:
        one = key(owner())
        added = await asyncio.gather(
            *((first, second)[number % 2].add_value(one, "x", b"%d" % number) for number in range(64))
        )
        assert set(added) == {await second.get_value(one, "x")}


async def test_of_values_put_side_by_side_no_more_are_kept_than_there_is_room(kind: Kind) -> None:
    async with (
        entered(kind.store(max_values=8)) as first,
        entered(other(kind, first, max_values=8)) as second,
    ):
        one = key(owner())
        put = await asyncio.gather(
            *((first, second)[number % 2].put_value(one, f"{number}", b"1") for number in range(32))
        )
        assert sum(put) == 8
        assert len(await second.value_names(one)) == 8


async def test_a_value_may_end_before_its_context(kind: Kind) -> None:
    async with entered(kind.store(max_values=2)) as store:
        one = key(owner())
        assert await store.put_value(one, "short", b"1", ttl_s=0.05)
        assert await store.put_value(one, "long", b"2")
        await until_gone(store, one, "short")
        assert await store.value_names(one) == ["long"]
        assert (
            await store.add_value(one, "other", b"3", ttl_s=60) == b"3"
        )  # in the room of the one that ended
        assert await store.add_value(one, "short", b"4") is None
        assert await store.get_value(one, "long") == b"2"


async def until_gone(store: Any, one: bytes, name: str) -> None:
    deadline = time.monotonic() + LIMIT_S
    while await store.get_value(one, name) is not None:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("ttl_s", [1e13, math.inf])
async def test_no_time_to_live_is_too_much_for_an_engine(kind: Kind, ttl_s: float) -> None:
    async with entered(kind.store()) as store:
        state = State(store, secrets.token_bytes(48))
        await state.set("x", 1, ttl_s=ttl_s)
        await state.setdefault("y", 1, ttl_s=ttl_s)
        assert await state.names() == ["x", "y"]


async def test_a_context_has_room_for_so_many_values(kind: Kind) -> None:
    async with entered(kind.store(max_values=2)) as store:
        one, another = key(owner()), key(owner())
        assert await store.put_value(one, "x", b"1")
        assert await store.put_value(one, "y", b"1")
        assert not await store.put_value(one, "z", b"1")
        assert await store.add_value(one, "z", b"1") is None
        assert await store.add_value(one, "y", b"2") == b"1"
        assert await store.put_value(one, "y", b"2")
        assert await store.put_value(another, "z", b"1")
        assert await store.value_names(one) == ["x", "y"]


async def test_a_context_has_room_for_so_many_bytes(shared: Kind) -> None:
    async with entered(shared.store(max_values_bytes=1_000)) as store:
        one = key(owner())
        assert await store.put_value(one, "x", bytes(600))
        assert not await store.put_value(one, "y", bytes(600))
        assert await store.put_value(one, "x", bytes(900))
        assert await store.add_value(one, "x", bytes(2_000)) == bytes(900)
        assert not await store.put_value(one, "x", bytes(2_000))
        assert await store.get_value(one, "x") == bytes(900)


# What they have in common with each other


def other(kind: Kind, store: Any, **options: Any) -> Any:
    """Return the store as another process has it; in memory there is but one."""
    return store if kind.name == "memory" else kind.store(**options)


def entered(store: Any) -> Any:
    return store if hasattr(store, "__aenter__") else _Unentered(store)


class _Unentered:
    def __init__(self, store: Any) -> None:
        self._store = store

    async def __aenter__(self) -> Any:
        return self._store

    async def __aexit__(self, *_: object) -> None:
        pass
