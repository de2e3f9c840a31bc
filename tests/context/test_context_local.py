"""Objects that live in the process, one for each context: made once, and closed after their last use."""

import asyncio
import gc
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from scopedtools import Context, ContextLocal, Principal, ToolError
from tests.context.opened import Forms, Timers, of, settle, used

pytestmark = pytest.mark.anyio


# Making


async def test_first_uses_side_by_side_share_one_object() -> None:
    forms = Forms()
    forms.may_open.clear()
    async with ContextLocal(forms.open) as local:
        uses = [asyncio.create_task(used(local, "a")) for _ in range(16)]
        await settle()
        forms.may_open.set()
        assert await asyncio.gather(*uses) == ["a1"] * 16
        assert await used(local, "a") == "a1"
        assert len(local) == 1


async def test_each_context_of_each_principal_has_its_own_object() -> None:
    ada, bob = Principal("ada"), Principal("bob")
    async with ContextLocal(Forms().open) as local:
        got = [await used(local, name, who) for who in (ada, bob) for name in "xy"]
        assert got == ["x1", "y2", "x3", "y4"]
        assert [await used(local, name, who) for who in (ada, bob) for name in "xy"] == got


async def test_without_a_context_the_error_says_what_to_send() -> None:
    async with ContextLocal(Forms().open) as local:
        with pytest.raises(ToolError, match=r"needs a context: send an ID"):
            async with local.use(of(None)):
                pass
        with pytest.raises(ToolError, match=r"needs a context: send an ID"):
            await local.discard(of(None))


async def test_a_caller_that_goes_away_does_not_take_the_object_from_the_others() -> None:
    forms = Forms()
    forms.may_open.clear()
    async with ContextLocal(forms.open) as local:
        first, second = (asyncio.create_task(used(local, "a")) for _ in range(2))
        await settle()
        first.cancel()
        await asyncio.wait([first])
        forms.may_open.set()
        assert first.cancelled()
        assert await second == "a1"


async def test_an_object_that_nobody_waits_for_any_more_is_there_for_the_next() -> None:
    forms = Forms()
    forms.may_open.clear()
    async with ContextLocal(forms.open) as local:
        alone = asyncio.create_task(used(local, "a"))
        await settle()
        alone.cancel()
        await asyncio.wait([alone])
        forms.may_open.set()
        assert await used(local, "a") == "a1"


async def test_a_factory_that_fails_fails_for_all_who_wait_and_is_tried_anew_by_the_next() -> None:
    forms = Forms()
    forms.may_open.clear()
    forms.fails = ToolError("the ERP is down")
    async with ContextLocal(forms.open) as local:
        uses = [asyncio.create_task(used(local, "a")) for _ in range(4)]
        await settle()
        forms.may_open.set()
        assert await asyncio.gather(*uses, return_exceptions=True) == [forms.fails] * 4
        assert len(local) == 0
        forms.fails = None
        assert await used(local, "a") == "a2"


async def test_a_factory_that_is_none_fails_for_the_caller_alone() -> None:
    def broken(ctx: Context) -> Forms:
        return Forms()

    async with ContextLocal(broken) as local:  # type: ignore[arg-type, var-annotated]
        with pytest.raises(TypeError):
            await used(local, "a")
        assert len(local) == 0


async def test_an_object_is_opened_and_closed_in_one_task_of_its_own() -> None:
    tasks: list[asyncio.Task[object] | None] = []

    @asynccontextmanager
    async def worker(ctx: Context) -> AsyncIterator[asyncio.Queue[int]]:
        numbers: asyncio.Queue[int] = asyncio.Queue()
        tasks.append(asyncio.current_task())
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep_forever)
            yield numbers
            group.cancel_scope.cancel()
        tasks.append(asyncio.current_task())

    async with ContextLocal(worker) as local:
        with anyio.move_on_after(60):  # the caller's scope is not the object's
            async with local.use(of("a")) as numbers:
                numbers.put_nowait(1)
        async with local.use(of("a")) as numbers:
            assert numbers.qsize() == 1
    assert tasks[0] is tasks[1] is not asyncio.current_task()


async def test_a_factory_that_failed_takes_no_room() -> None:
    forms = Forms()
    forms.fails = ToolError("the ERP is down")
    async with ContextLocal(forms.open, max_objects=1) as local:
        with pytest.raises(ToolError, match="is down"):
            await used(local, "a")
        forms.fails = None
        async with local.use(of("a")):
            with pytest.raises(ToolError, match="in use"):
                await used(local, "b")


def test_a_factory_that_fails_for_nobody_leaves_no_trace(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        forms = Forms()
        forms.may_open.clear()
        forms.fails = OSError("nobody asks any more")
        async with ContextLocal(forms.open) as local:
            alone = asyncio.create_task(used(local, "a"))
            await settle()
            alone.cancel()
            await asyncio.wait([alone])
            forms.may_open.set()
            await settle()
            assert len(local) == 0

    asyncio.run(fail())
    gc.collect()  # asyncio tells of errors that nobody looked at when it forgets them
    assert caplog.text == ""


# Closing


async def test_an_object_is_closed_some_time_after_its_last_use() -> None:
    forms, timers = Forms(), Timers()
    async with ContextLocal(forms.open, ttl_s=10, timers=timers) as local:
        for now_s in (0, 9, 18):
            await timers.pass_until(now_s)
            assert await used(local, "a") == "a1"
        await timers.pass_until(27.9)
        assert forms.said == ["opening a1"]
        await timers.pass_until(28)
        assert forms.said == ["opening a1", "closed a1"]
        assert await used(local, "a") == "a2"


async def test_the_event_loop_measures_the_time_where_nothing_else_does() -> None:
    forms = Forms()
    async with ContextLocal(forms.open, ttl_s=0.001) as local:
        await used(local, "a")
        with anyio.fail_after(30):
            await forms.closed.wait()
        assert forms.said[-1] == "closed a1"


async def test_an_object_is_not_closed_while_it_is_used() -> None:
    forms, timers = Forms(), Timers()
    async with ContextLocal(forms.open, ttl_s=10, timers=timers) as local:
        async with local.use(of("a")):
            assert await used(local, "a") == "a1"
            await timers.pass_until(100)
            assert forms.said == ["opening a1"]
        await timers.pass_until(109)
        assert forms.said == ["opening a1"]
        await timers.pass_until(110)
        assert forms.said[-1] == "closed a1"


async def test_an_object_that_takes_too_long_to_make_for_nobody_is_given_up() -> None:
    forms, timers = Forms(), Timers()
    forms.may_open.clear()
    async with ContextLocal(forms.open, ttl_s=10, timers=timers) as local:
        alone = asyncio.create_task(used(local, "a"))
        await settle()
        alone.cancel()
        await asyncio.wait([alone])
        await timers.pass_until(10)
        assert len(local) == 0
        forms.may_open.set()
        assert await used(local, "a") == "a2"


async def test_of_one_context_the_next_object_is_opened_when_the_last_one_is_closed() -> None:
    forms, timers = Forms(), Timers()
    async with ContextLocal(forms.open, ttl_s=10, timers=timers) as local:
        await used(local, "a")
        forms.may_close.clear()
        await timers.pass_until(10)
        again = asyncio.create_task(used(local, "a"))
        await settle()
        assert forms.said == ["opening a1"]
        forms.may_close.set()
        assert await again == "a2"
        assert forms.said == ["opening a1", "closed a1", "opening a2"]


async def test_an_object_may_be_discarded() -> None:
    forms = Forms()
    async with ContextLocal(forms.open) as local:
        await local.discard(of("a"))
        await used(local, "a")
        await local.discard(of("a"))
        assert forms.said == ["opening a1", "closed a1"]
        assert await used(local, "a") == "a2"


async def test_an_object_that_is_discarded_in_use_is_closed_after_its_last_use() -> None:
    forms = Forms()
    async with ContextLocal(forms.open) as local:
        async with local.use(of("a")), local.use(of("a")):
            await local.discard(of("a"))
            await local.discard(of("a"))
            assert await used(local, "a") == "a2"
            assert "closed a1" not in forms.said
        await settle()
        assert forms.said == ["opening a1", "opening a2", "closed a1"]
        assert await used(local, "a") == "a2"


async def test_one_who_waits_for_an_object_that_is_discarded_gets_it_and_it_is_closed() -> None:
    forms = Forms()
    forms.may_open.clear()
    async with ContextLocal(forms.open) as local:
        waits = asyncio.create_task(used(local, "a"))
        await settle()
        await local.discard(of("a"))
        forms.may_open.set()
        assert await waits == "a1"
        await settle()
        assert forms.said[-1] == "closed a1"


async def test_an_error_while_closing_is_logged_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    forms = Forms()
    forms.fails_to_close = {"b2"}
    async with ContextLocal(forms.open) as local:
        for name in "abc":
            await used(local, name)
    assert sorted(forms.said[3:]) == ["closed a1", "closed b2", "closed c3"]
    assert "b2 hangs" in caplog.text
    assert "b2" not in caplog.messages[0]  # the ID is in no record of ours


async def test_an_object_that_breaks_by_itself_is_replaced(caplog: pytest.LogCaptureFixture) -> None:
    breaks = asyncio.Event()
    made = itertools.count(1)

    async def watch() -> None:
        await breaks.wait()
        raise ConnectionError("gone")

    @asynccontextmanager
    async def connection(ctx: Context) -> AsyncIterator[str]:
        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            yield f"connection {next(made)}"
            group.cancel_scope.cancel()

    async with ContextLocal(connection) as local:
        async with local.use(of("a")) as first:
            breaks.set()
            await settle()
        breaks.clear()
        assert (first, await used(local, "a")) == ("connection 1", "connection 2")
    assert "gone" in caplog.text
