"""Objects of contexts: how many there may be, and what starting and stopping means for them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from scopedtools import Context, ContextLocal, ToolError
from tests.context.opened import Forms, of, settle, used

pytestmark = pytest.mark.anyio

# Bounds


async def test_the_least_recently_used_object_that_is_idle_makes_room() -> None:
    forms = Forms()
    async with ContextLocal(forms.open, max_objects=3) as local:
        async with local.use(of("a")):
            for name in "bcb":
                await used(local, name)
            assert await used(local, "d") == "d4"
            assert forms.said[3:] == ["closed c3", "opening d4"]
            assert [await used(local, name) for name in "ab"] == ["a1", "b2"]
        assert len(local) == 3


async def test_a_use_counts_until_it_ends() -> None:
    forms = Forms()
    async with ContextLocal(forms.open, max_objects=2) as local:
        async with local.use(of("a")):
            await used(local, "b")
        await used(local, "c")
        assert forms.said[2:] == ["closed b2", "opening c3"]


async def test_never_more_objects_are_open_than_may_be() -> None:
    opened: set[str] = set()
    most = 0

    @asynccontextmanager
    async def counted(ctx: Context) -> AsyncIterator[str]:
        nonlocal most
        name = str(ctx.id)
        assert name not in opened
        opened.add(name)
        most = max(most, len(opened))
        await asyncio.sleep(0)
        yield name
        await asyncio.sleep(0)
        opened.remove(name)

    async def work(local: ContextLocal[str], number: int) -> None:
        for turn in range(10):
            assert await used(local, f"{number}-{turn % 3}") == f"{number}-{turn % 3}"

    async with ContextLocal(counted, max_objects=8) as local:
        await asyncio.gather(*(work(local, number) for number in range(8)))
        assert len(local) == 8
    assert (most, opened) == (8, set())


async def test_where_all_are_in_use_the_next_is_told_to_try_later() -> None:
    async with ContextLocal(Forms().open, max_objects=2) as local:
        async with local.use(of("a")), local.use(of("b")):
            with pytest.raises(ToolError, match=r"all 2 .* in use; try again later"):
                await used(local, "c")
            assert await used(local, "a") == "a1"
        assert await used(local, "c") == "c3"


async def test_one_that_is_being_closed_makes_room_before_one_that_is_idle() -> None:
    forms = Forms()
    async with ContextLocal(forms.open, max_objects=2) as local:
        await used(local, "a")
        await used(local, "b")
        forms.may_close.clear()
        discarding = asyncio.create_task(local.discard(of("b")))
        await settle()
        waits = asyncio.create_task(used(local, "c"))
        await settle()
        assert forms.said == ["opening a1", "opening b2"]
        forms.may_close.set()
        assert await waits == "c3"
        await discarding
        assert await used(local, "a") == "a1"


@pytest.mark.parametrize("options", [{"ttl_s": 0}, {"ttl_s": float("nan")}, {"max_objects": 0}])
def test_bounds_that_would_hold_nothing_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="got"):
        ContextLocal(Forms.open, **options)  # type: ignore[arg-type]


# Starting and stopping


async def test_it_is_used_only_between_start_and_stop_of_the_server() -> None:
    forms = Forms()
    local = ContextLocal(forms.open)
    with pytest.raises(RuntimeError, match=r"is not open: enter it in lifespan"):
        await used(local, "a")
    async with local:
        with pytest.raises(RuntimeError, match="entered already"):
            await local.__aenter__()
        assert await used(local, "a") == "a1"
    with pytest.raises(RuntimeError, match=r"is not open"):
        await used(local, "a")
    async with local:
        assert await used(local, "a") == "a2"


async def test_when_it_stops_all_are_closed_and_those_made_last_begin() -> None:
    forms = Forms()
    async with ContextLocal(forms.open) as local:
        for name in "abca":
            await used(local, name)
    assert forms.said[3:] == ["closed c3", "closed b2", "closed a1"]
    assert len(local) == 0


async def test_when_it_stops_it_waits_for_the_last_use_of_each() -> None:
    forms = Forms()
    local = ContextLocal(forms.open)
    await local.__aenter__()
    using = local.use(of("a"))
    await using.__aenter__()
    await used(local, "b")
    stopping = asyncio.create_task(local.__aexit__(None, None, None))
    await settle()
    assert (forms.said[2:], stopping.done()) == (["closed b2"], False)
    await using.__aexit__(None, None, None)
    await stopping
    assert forms.said[2:] == ["closed b2", "closed a1"]


async def test_when_it_stops_what_is_being_made_is_given_up() -> None:
    forms = Forms()
    forms.may_open.clear()
    async with ContextLocal(forms.open) as local:
        waits = asyncio.create_task(used(local, "a"))
        await settle()
        late = asyncio.create_task(used(local, "b"))  # not even begun when all stops
        await asyncio.sleep(0)
    for task in (waits, late):
        with pytest.raises(ToolError, match="the server is stopping"):
            await task


async def test_when_it_stops_a_factory_that_does_not_give_up_is_waited_for_and_closed() -> None:
    closed = asyncio.Event()

    @asynccontextmanager
    async def stubborn(ctx: Context) -> AsyncIterator[str]:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        yield "made"
        closed.set()

    async with ContextLocal(stubborn) as local:
        waits, leaves = (asyncio.create_task(used(local, name)) for name in "ab")
        await settle()
        leaves.cancel()
    assert await waits == "made"
    assert closed.is_set()
    assert len(local) == 0


async def test_a_stop_that_is_cancelled_leaves_no_object_open() -> None:
    forms = Forms()
    local = ContextLocal(forms.open)
    await local.__aenter__()
    using = local.use(of("a"))
    await using.__aenter__()
    stopping = asyncio.create_task(local.__aexit__(None, None, None))
    await settle()
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    await using.__aexit__(None, None, None)
    await settle()
    assert (forms.said[1:], len(local)) == (["closed a1"], 0)


def test_a_loop_that_ends_before_it_stops_closes_what_is_open() -> None:
    closed = []

    @asynccontextmanager
    async def form(ctx: Context) -> AsyncIterator[str | None]:
        try:
            yield ctx.id
        finally:
            closed.append(ctx.id)

    async def forget_to_stop() -> None:
        local = ContextLocal(form)
        await local.__aenter__()
        async with local.use(of("idle")):
            pass
        await local.use(of("used")).__aenter__()

    asyncio.run(forget_to_stop())
    assert sorted(filter(None, closed)) == ["idle", "used"]
